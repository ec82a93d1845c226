/// \file
/// `Json` as a value: for `TypedFamily` and `Column`, and reading of text, MessagePack and CBOR
/// that may come from anywhere.
///
///     auto documents = TypedFamily<std::string, Json>::open(store, "documents");
///     documents->put("a", {{"title", "Trees"}, {"pages", 300}});
///
/// A `Json` is stored as MessagePack. Arrays and objects may lie in each other up to
/// `max_json_depth` deep: whoever reads, copies or compares a document goes down into it, and what
/// comes from outside must not use up the stack.
///
/// Needs nlohmann/json and exceptions. Threads: no shared state.
#pragma once

#include <snkv/codec.hpp>
#include <snkv/column_element.hpp>
#include <snkv/detail/codec_abi.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

using Json = nlohmann::json;

/// So many arrays and objects may lie inside each other.
inline constexpr std::size_t max_json_depth = 64;

enum class JsonFormat : std::uint8_t { text, msgpack, cbor };

inline namespace SNKV_EXPECTED_NAMESPACE {
namespace facade {

/// Builds a document out of what a parser tells, no deeper than allowed. Nothing is reserved for
/// sizes that a text claims.
class JsonBuilder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return check_text(value) && add(std::move(value)); }
  bool binary(binary_t& value) override { return add(Json::binary(std::move(value))); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool key(string_t& value) override {
    if (!check_text(value)) return false;
    key_ = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    position_ = position;
    return false;
  }

  [[nodiscard]] Json& document() noexcept { return document_; }
  [[nodiscard]] std::string complaint(const char* name) const {
    if (too_deep_)
      return "nested too deeply: more than " + std::to_string(max_json_depth) + " levels";
    if (no_text_) return "a text is not UTF-8";
    return std::string("not valid ") + name + " at byte " + std::to_string(position_);
  }

 private:
  Json* place(Json&& value) {
    if (open_.empty()) {
      document_ = std::move(value);
      return &document_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }
  bool add(Json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(Json&& value) {
    too_deep_ = open_.size() == max_json_depth;
    if (!too_deep_) open_.push_back(place(std::move(value)));
    return !too_deep_;
  }
  bool check_text(const string_t& text) noexcept {
    no_text_ = !core::is_utf8(text);
    return !no_text_;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json document_;
  std::vector<Json*>
      open_;  // arrays and objects that are being filled; a parent does not grow meanwhile
  std::string key_;
  std::size_t position_ = 0;
  bool too_deep_ = false;
  bool no_text_ = false;
};

[[nodiscard]] constexpr const char* name_of(JsonFormat format) noexcept {
  return format == JsonFormat::text      ? "JSON"
         : format == JsonFormat::msgpack ? "MessagePack"
                                         : "CBOR";
}

/// Why a document cannot be written so that it can be read again; empty if it can.
[[nodiscard]] inline std::string unwritable(const Json& json, std::size_t levels = max_json_depth) {
  if (json.is_string() && !core::is_utf8(json.get_ref<const std::string&>()))
    return "has a text that is not UTF-8";
  if (json.is_discarded()) return "is no document";
  if (!json.is_structured()) return {};
  if (levels == 0)
    return "is nested too deeply: more than " + std::to_string(max_json_depth) + " levels";
  for (auto it = json.begin(); it != json.end(); ++it) {
    if (json.is_object() && !core::is_utf8(it.key())) return "has a key that is not UTF-8";
    if (std::string why = unwritable(*it, levels - 1); !why.empty()) return why;
  }
  return {};
}

}  // namespace facade

/// Reads a document. `invalid_argument` with the byte at which it is not valid (counted from 1), or
/// if it is nested too deeply. Takes memory for what is there, not for what a length claims.
/// O(size).
[[nodiscard]] inline Result<Json> read_json(JsonFormat format, BytesView bytes) {
  using Input = nlohmann::json::input_format_t;
  const Input input = format == JsonFormat::text      ? Input::json
                      : format == JsonFormat::msgpack ? Input::msgpack
                                                      : Input::cbor;
  facade::JsonBuilder builder;
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (!Json::sax_parse(begin, begin + bytes.size(), &builder, input)) {
    return Unexpected(
        Error(Errc::invalid_argument, "read_json", builder.complaint(facade::name_of(format))));
  }
  return std::move(builder.document());
}

/// Writes one. `invalid_argument` for what `read_json` would refuse: too deep, or not UTF-8.
[[nodiscard]] inline Result<Bytes> write_json(JsonFormat format, const Json& json) {
  if (std::string why = facade::unwritable(json); !why.empty()) {
    return Unexpected(Error(Errc::invalid_argument, "write_json", "the document " + why));
  }
  if (format == JsonFormat::text) {
    // Strings were looked at; what is left that has no text is binary.
    return Bytes(BytesView(json.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  std::vector<std::uint8_t> out;
  if (format == JsonFormat::msgpack) {
    Json::to_msgpack(json, out);
  } else {
    Json::to_cbor(json, out);
  }
  return Bytes(BytesView(out));
}

/// MessagePack.
template <>
struct Codec<Json> {
  [[nodiscard]] static std::string name() { return "json"; }
  static constexpr bool ordered = false;
  [[nodiscard]] static Result<void> check(const Json& value) {
    if (std::string why = facade::unwritable(value); !why.empty()) {
      return Unexpected(Error(Errc::invalid_argument, "encode", std::move(why)));
    }
    return {};
  }
  static void encode(const Json& value, EncodeBuffer& out) {
    std::vector<std::uint8_t> bytes;
    Json::to_msgpack(value, bytes);
    out.append(bytes);
  }
  [[nodiscard]] static Result<Json> decode(BytesView bytes) {
    Result<Json> json = read_json(JsonFormat::msgpack, bytes);
    if (!json) return Unexpected(Error(Errc::corrupt, "decode", json.error().detail()));
    return json;
  }
};

namespace facade {

/// A column's element by its codec.
template <class T>
struct CodecElement {
  [[nodiscard]] static std::string name() { return Codec<T>::name(); }
  static constexpr std::uint32_t size = 0;
  [[nodiscard]] static BytesView encode(const T& element, Bytes& scratch) {
    const Encoded<T> encoded(element);
    scratch.clear();
    scratch.append(encoded.view());
    return scratch;
  }
  [[nodiscard]] static Result<T> decode(BytesView bytes) { return Codec<T>::decode(bytes); }
  [[nodiscard]] static Result<void> check(const T& element) { return Codec<T>::check(element); }
};

}  // namespace facade

template <>
struct ColumnElementTraits<Json> : facade::CodecElement<Json> {};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
