/// \file
/// Reads what `export_json` and `export_jsonl` write, entry by entry.
#pragma once

#include <snkv/error.hpp>
#include <snkv/vector/detail/base/json_depth.hpp>
#include <snkv/vector/detail/base/text.hpp>
#include <snkv/vector/detail/base/text_layout.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

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
  /// Whether the reading goes on after this error of one entry, which `refused` is told of then.
  [[nodiscard]] virtual bool may_skip(const Error&) const { return false; }
  /// `record` has what could be read of it.
  virtual Error refused(const TextRecord&, std::string /*place*/, const Error& why) { return why; }
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
    in_record_ = false;
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
        if (is_special()) return refuse_special() && ignore();
        begin_value(Json::object());
        return true;
      case State::value:
        return open(Json::object());
      case State::vector:
        return refuse_number() && ignore();
      case State::ignored:
        ++ignored_;
        return true;
    }
    return false;
  }

  bool end_object() override {
    if (state_ == State::ignored) return end_ignored();
    if (state_ == State::value) return close();
    if (in_record_) return end_record();
    complete_ = true;
    if (!past_header_) return refuse("there is no \"vectors\"");
    return members_.empty() || give_header();
  }

  bool start_array(std::size_t) override {
    switch (state_) {
      case State::outside:
        return layout_ == TextLayout::lines ? ignore() : refuse("is no object");
      case State::records:
        return ignore();
      case State::vector:
        return refuse_number() && ignore();
      case State::value:
        return open(Json::array());
      case State::ignored:
        ++ignored_;
        return true;
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
      case State::ignored:
        return end_ignored();
      default:
        return close();
    }
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string why = error.what();
    if (const std::size_t begin = why.find("] "); begin != why.npos) why.erase(0, begin + 2);
    if (layout_ == TextLayout::document) return refuse(std::move(why));
    record_ = {};
    static_cast<void>(refuse_record(std::move(why)));
    return false;  // what is left of the line is not read
  }

 private:
  enum class State {
    outside,  ///< before the object
    members,  ///< of the header or of a record
    records,  ///< between records
    vector,   ///< inside the numbers of a record
    value,    ///< inside the array or object that is a member
    ignored,  ///< inside an array or object where none belongs
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

  // ---- Entries that are refused ----
  // The place is put before what is wrong when it is told: the sink gets both.

  /// Remembers what is wrong with the entry that is being read. The rest of it is read all the same.
  bool refuse_part(Errc code, std::string why) {
    if (!wrong_.failed()) wrong_ = Error(code, operation_, std::move(why));
    return true;
  }
  /// The end of an entry that is none.
  bool refuse_record(std::string why) {
    return give_refused(Error(Errc::invalid_argument, operation_, std::move(why)));
  }
  bool give_refused(Error why) {
    if (!sink_.may_skip(why)) {
      // "vectors[3].vector[0] is no number", but "line 3: the vector of ..."
      const bool is_path = why.detail().starts_with('.') || why.detail().starts_with(' ');
      return fail(Error(why.code(), operation_, place() + (is_path ? "" : ": ") + why.detail(),
                        why.extended()));
    }
    if (Error error = sink_.refused(record_, place(), why); error.failed()) {
      return fail(std::move(error));
    }
    ++records_;
    return true;
  }
  /// Leaves out the array or object that begins.
  bool ignore() {
    resumed_ = state_;
    state_ = State::ignored;
    ignored_ = 1;
    return true;
  }
  bool end_ignored() {
    if (--ignored_ != 0) return true;
    state_ = resumed_;
    return state_ == State::vector || state_ == State::members || refuse_no_object();
  }
  bool refuse_no_object() {
    record_ = {};
    return refuse_record(" is no object");
  }

  /// Whether the member that comes is the one whose elements are read one by one.
  [[nodiscard]] bool is_special() const { return name_ == (in_record_ ? "vector" : "vectors"); }
  bool refuse_special() {
    if (!in_record_) return refuse("\"vectors\" is no array");
    has_vector_ = true;
    return refuse_part(Errc::invalid_argument, ".vector is no array of numbers");
  }
  bool refuse_number() {
    return refuse_part(Errc::invalid_argument,
                       ".vector[" + std::to_string(record_.vector.size()) + "] is no number");
  }

  bool number(float value) {
    if (dim_ != 0 && record_.vector.size() == dim_) {
      return refuse_part(Errc::dimension_mismatch,
                         ".vector has more than " + std::to_string(dim_) + " dimensions");
    }
    record_.vector.push_back(value);
    return true;
  }

  bool scalar(Json value) {
    switch (state_) {
      case State::outside:
        return layout_ == TextLayout::lines ? refuse_no_object() : refuse("is no object");
      case State::records:
        return refuse_no_object();
      case State::vector:
        return refuse_number();
      case State::ignored:
        return true;
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
    wrong_ = {};
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
    take_members();
    Error wrong = std::exchange(wrong_, Error());
    if (!wrong.failed()) wrong = sink_.record(record_);
    if (wrong.failed()) return give_refused(std::move(wrong));
    ++records_;
    return true;
  }

  /// Makes a record of the members, and notes what is wrong with them.
  void take_members() {
    const auto wrong = [&](const char* why) { refuse_part(Errc::invalid_argument, why); };
    record_.key.clear();
    const bool has_id = text_member("id", record_.key);
    if (!has_id) wrong(" has no id");
    if (!has_vector_) wrong(" has no vector");
    record_.value.emplace();
    if (!text_member("value", *record_.value)) record_.value.reset();
    record_.metadata = nullptr;
    if (const auto at = members_.find("metadata"); at != members_.end()) {
      if (!at->is_object() && !at->is_null()) wrong(".metadata is no object");
      record_.metadata = std::move(*at);
    }
    record_.expires_at.reset();
    if (const auto at = members_.find("expires_at"); at != members_.end() && !at->is_null()) {
      const bool fits = at->is_number_integer() &&
                        (!at->is_number_unsigned() || at->get<std::uint64_t>() <= INT64_MAX);
      if (fits) {
        record_.expires_at = at->get<std::int64_t>();
      } else {
        wrong(".expires_at is no time in milliseconds");
        record_.value.reset();  // which must not stay longer than it should
      }
    }
  }

  /// Takes member `name`, or `name`_base64; whether there is one. What is no text is none, and wrong.
  bool text_member(const std::string& name, std::string& out) {
    if (const auto at = members_.find(name); at != members_.end()) {
      if (at->is_string()) {
        out = std::move(at->get_ref<std::string&>());
        return true;
      }
      refuse_part(Errc::invalid_argument, "." + name + " is no text");
    } else if (const auto coded = members_.find(name + "_base64"); coded != members_.end()) {
      std::optional<std::string> bytes;
      if (coded->is_string()) bytes = decode_base64(coded->get_ref<const std::string&>());
      if (bytes) {
        out = *std::move(bytes);
        return true;
      }
      refuse_part(Errc::invalid_argument, "." + name + "_base64 is no base64");
    }
    return false;
  }

  const char* operation_;
  const TextLayout layout_;
  const std::size_t dim_;
  TextSink& sink_;
  Error error_;
  Error wrong_;  // with the entry that is being read
  State resumed_ = State::outside;
  std::uint64_t ignored_ = 0;  // arrays and objects that are open and left out
  State state_ = State::outside;
  bool in_record_ = false;
  bool past_header_ = false;
  bool complete_ = false;
  bool has_vector_ = false;
  std::uint64_t line_ = 0;
  std::uint64_t records_ = 0;
  std::string name_;
  std::string member_;
  Json members_;
  std::vector<Json*> open_;  // from the member inwards
  TextRecord record_;
};

}  // namespace snkv::vector_detail
