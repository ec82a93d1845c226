/// \file
/// Reads what `export_json` and `export_jsonl` write, entry by entry.
#pragma once

#include <snkv/error.hpp>
#include <snkv/vector/detail/text.hpp>
#include <snkv/vector/filter.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

enum class TextLayout : unsigned char { document, lines };

/// An entry as it is in the text.
struct TextRecord {
  std::string key;
  std::vector<float> vector{};
  std::optional<std::string> value{};
  Json metadata{};  ///< null: there are none
  std::optional<std::int64_t> expires_at{};
};

/// Takes what is read. Where an error is returned, the reading ends.
class TextSink {
 public:
  TextSink() = default;
  TextSink(const TextSink&) = delete;
  TextSink& operator=(const TextSink&) = delete;
  virtual ~TextSink() = default;
  /// What stands before the entries, an object. May come again when there is more of it behind
  /// them.
  virtual Error header(const Json& members) = 0;
  virtual Error record(const TextRecord& record) = 0;
};

/// The events of a JSON parser. A document is
///
///     {"version": 1, "dim": 2, ..., "vectors": [{"id": "a", "vector": [1, 2], ...}, ...]}
///
/// and of lines each is one of these objects, the first one may be the rest. Members that it does
/// not know are skipped. No more than one entry is kept.
class RecordReader : public nlohmann::json_sax<Json> {
 public:
  /// `dim`: where a vector gets longer than that, the reading ends; 0: at no length.
  RecordReader(const char* operation, TextLayout layout, std::size_t dim, TextSink& sink)
      : operation_(operation), layout_(layout), dim_(dim), sink_(sink) {}

  /// Lines only: what comes next is this line, the first one being 1.
  void begin_line(std::uint64_t number) {
    line_ = number;
    state_ = State::outside;
  }

  [[nodiscard]] Error take_error() { return std::move(error_); }
  /// Whether a document was read to its end.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool string(string_t& value) override { return scalar(std::move(value)); }
  bool binary(binary_t&) override { return scalar(nullptr); }
  bool number_integer(number_integer_t value) override {
    return state_ == State::vector ? number(static_cast<float>(value)) : scalar(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    return state_ == State::vector ? number(static_cast<float>(value)) : scalar(value);
  }
  bool number_float(number_float_t value, const string_t&) override {
    return state_ == State::vector ? number(static_cast<float>(value)) : scalar(value);
  }

  bool key(string_t& name) override {
    name_ = std::move(name);
    return true;
  }

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::outside:
        begin_members(layout_ == TextLayout::lines);
        return true;
      case State::records:
        begin_members(true);
        return true;
      case State::members:
        if (is_special()) return refuse_special();
        begin_value(Json::object());
        return true;
      case State::value:
        return open(Json::object());
      case State::vector:
        return refuse_number();
    }
    return false;
  }

  bool end_object() override {
    if (state_ == State::value) return close();
    if (in_record_) return end_record();
    complete_ = true;
    if (!past_header_) return refuse("there is no \"vectors\"");
    return members_.empty() || give_header();
  }

  bool start_array(std::size_t) override {
    switch (state_) {
      case State::outside:
        return refuse("is no object");
      case State::records:
        return refuse(place() + " is no object");
      case State::vector:
        return refuse_number();
      case State::value:
        return open(Json::array());
      case State::members:
        break;
    }
    if (!is_special()) {
      begin_value(Json::array());
      return true;
    }
    if (in_record_) {
      state_ = State::vector;
      record_.vector.clear();
      has_vector_ = true;
      return true;
    }
    if (past_header_) return refuse("\"vectors\" comes twice");
    past_header_ = true;
    state_ = State::records;
    return give_header();
  }

  bool end_array() override {
    switch (state_) {
      case State::vector:
        state_ = State::members;
        return true;
      case State::records:
        state_ = State::members;
        in_record_ = false;
        members_ = Json::object();
        return true;
      default:
        return close();
    }
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string why = error.what();
    if (const std::size_t begin = why.find("] "); begin != why.npos) why.erase(0, begin + 2);
    if (layout_ == TextLayout::lines) why = "line " + std::to_string(line_) + ": " + why;
    return refuse(std::move(why));
  }

 private:
  enum class State {
    outside,  ///< before the object
    members,  ///< of the header or of a record
    records,  ///< between records
    vector,   ///< inside the numbers of a record
    value,    ///< inside the array or object that is a member
  };

  /// Where it is, for messages.
  [[nodiscard]] std::string place() const {
    if (layout_ == TextLayout::lines) return "line " + std::to_string(line_);
    return "vectors[" + std::to_string(records_) + "]";
  }
  bool fail(Error error) {
    if (!error_.failed()) error_ = std::move(error);
    return false;
  }
  bool refuse(std::string why) {
    return fail(Error(Errc::invalid_argument, operation_, std::move(why)));
  }

  /// Whether the member that comes is the one whose elements are read one by one.
  [[nodiscard]] bool is_special() const { return name_ == (in_record_ ? "vector" : "vectors"); }
  bool refuse_special() {
    return refuse(in_record_ ? place() + ".vector is no array of numbers"
                             : std::string("\"vectors\" is no array"));
  }
  bool refuse_number() {
    return refuse(place() + ".vector[" + std::to_string(record_.vector.size()) + "] is no number");
  }

  bool number(float value) {
    record_.vector.push_back(value);
    if (dim_ == 0 || record_.vector.size() <= dim_) return true;
    return fail(Error(Errc::dimension_mismatch, operation_,
                      place() + ".vector has more than " + std::to_string(dim_) + " dimensions"));
  }

  bool scalar(Json value) {
    switch (state_) {
      case State::outside:
        return refuse(layout_ == TextLayout::lines ? place() + " is no object" : "is no object");
      case State::records:
        return refuse(place() + " is no object");
      case State::vector:
        return refuse_number();
      case State::members:
        if (is_special()) return refuse_special();
        members_[name_] = std::move(value);
        return true;
      case State::value:
        add(std::move(value));
        return true;
    }
    return false;
  }

  // ---- A member that is an array or object ----

  void begin_value(Json empty) {
    state_ = State::value;
    member_ = name_;
    open_.clear();
    members_[member_] = std::move(empty);
    open_.push_back(&members_[member_]);
  }
  Json& add(Json value) {
    Json& parent = *open_.back();
    if (parent.is_array()) return parent.emplace_back(std::move(value));
    return parent[name_] = std::move(value);
  }
  bool open(Json empty) {
    // Of a record or header this is a member, so what is in it is one deeper.
    if (open_.size() >= static_cast<std::size_t>(max_metadata_depth)) {
      return refuse(place() + "." + member_ + " is nested too deeply");
    }
    open_.push_back(&add(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    if (open_.empty()) state_ = State::members;
    return true;
  }

  // ---- The object that members belong to ----

  void begin_members(bool record) {
    state_ = State::members;
    in_record_ = record;
    members_ = Json::object();
    has_vector_ = false;
    record_.vector.clear();
  }

  bool give_header() {
    Error error = sink_.header(members_);
    return error.failed() ? fail(std::move(error)) : true;
  }

  bool end_record() {
    state_ = layout_ == TextLayout::lines ? State::outside : State::records;
    if (layout_ == TextLayout::lines && !std::exchange(past_header_, true) && !has_vector_ &&
        !members_.contains("id") && !members_.contains("id_base64")) {
      return give_header();
    }
    if (!text_member("id", record_.key)) return false;
    if (!has_text_) return refuse(place() + " has no id");
    if (!has_vector_) return refuse(place() + " has no vector");
    record_.value.emplace();
    if (!text_member("value", *record_.value)) return false;
    if (!has_text_) record_.value.reset();
    record_.metadata = nullptr;
    if (const auto at = members_.find("metadata"); at != members_.end()) {
      if (!at->is_object() && !at->is_null()) return refuse(place() + ".metadata is no object");
      record_.metadata = std::move(*at);
    }
    record_.expires_at.reset();
    if (const auto at = members_.find("expires_at"); at != members_.end() && !at->is_null()) {
      const bool fits = at->is_number_integer() &&
                        (!at->is_number_unsigned() || at->get<std::uint64_t>() <= INT64_MAX);
      if (!fits) return refuse(place() + ".expires_at is no time in milliseconds");
      record_.expires_at = at->get<std::int64_t>();
    }
    if (Error error = sink_.record(record_); error.failed()) {
      return fail(
          Error(error.code(), operation_, place() + ": " + error.detail(), error.extended()));
    }
    ++records_;
    return true;
  }

  /// Member `name`, or `name`_base64. `has_text_`: whether there is one.
  bool text_member(const std::string& name, std::string& out) {
    has_text_ = false;
    if (const auto at = members_.find(name); at != members_.end()) {
      if (!at->is_string()) return refuse(place() + "." + name + " is no text");
      out = std::move(at->get_ref<std::string&>());
      has_text_ = true;
    } else if (const auto coded = members_.find(name + "_base64"); coded != members_.end()) {
      std::optional<std::string> bytes;
      if (coded->is_string()) bytes = decode_base64(coded->get_ref<const std::string&>());
      if (!bytes) return refuse(place() + "." + name + "_base64 is no base64");
      out = *std::move(bytes);
      has_text_ = true;
    }
    return true;
  }

  const char* operation_;
  const TextLayout layout_;
  const std::size_t dim_;
  TextSink& sink_;
  Error error_;
  State state_ = State::outside;
  bool in_record_ = false;
  bool past_header_ = false;
  bool complete_ = false;
  bool has_vector_ = false;
  bool has_text_ = false;
  std::uint64_t line_ = 0;
  std::uint64_t records_ = 0;
  std::string name_;
  std::string member_;
  Json members_;
  std::vector<Json*> open_;  // from the member inwards
  TextRecord record_;
};

}  // namespace snkv::vector_detail
