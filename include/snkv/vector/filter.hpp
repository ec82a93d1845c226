/// \file
/// `Filter`: a condition on JSON metadata, written in C++ or given as JSON.
///
///     Filter recent = field("year") >= 2020 && field("tag").in({"ai", "db"});
///     Result<Filter> same = Filter::parse(R"({"year": {"$gte": 2020}, "tag": {"$in": ["ai",
///     "db"]}})");
///
/// What an operator means, for missing fields and for values of other types too, is a table in
/// docs/vector-search.md. In short: a condition on a field that is missing, or of another type, is
/// false, and `$ne`, `$nin` and `$not` are the opposites of `$eq`, `$in` and of what stands in the
/// `$not`. Where the field is an array, it is enough that one of its elements fits.
///
/// Threads: a value like any other.
#pragma once

#include <snkv/expected.hpp>
#include <snkv/vector/detail/filter/filter_node.hpp>

#include <algorithm>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

inline namespace SNKV_EXPECTED_NAMESPACE {

/// So many filters may be inside each other in the JSON form.
inline constexpr int max_filter_text_depth = 64;

/// A condition on metadata.
class Filter {
 public:
  /// All.
  Filter() : node_(std::make_shared<const vector_detail::FilterNode>()) {}
  explicit Filter(vector_detail::FilterPointer node) noexcept : node_(std::move(node)) {}

  /// From its JSON form. `invalid_argument` for what is no filter; the message names the place.
  [[nodiscard]] static Result<Filter> parse(std::string_view text);
  [[nodiscard]] static Result<Filter> from_json(const Json& json);

  /// Whether metadata fits; metadata that is no object counts as empty.
  [[nodiscard]] bool matches(const Json& metadata) const {
    return vector_detail::matches(*node_, metadata);
  }
  /// Whether it lets everything pass.
  [[nodiscard]] bool is_all() const noexcept {
    return node_->op == vector_detail::FilterOperator::all && node_->children.empty();
  }
  [[nodiscard]] const vector_detail::FilterNode& node() const noexcept { return *node_; }
  [[nodiscard]] const vector_detail::FilterPointer& pointer() const noexcept { return node_; }

  /// Why it cannot be used: `invalid_argument` for one that is nested more than `max_filter_depth`
  /// deep, which matches nothing, nor does its opposite.
  [[nodiscard]] Error error(const char* operation) const {
    return vector_detail::error_of(operation, *node_);
  }

  [[nodiscard]] friend Filter operator&&(const Filter& a, const Filter& b) {
    return Filter(vector_detail::joined(vector_detail::FilterOperator::all, a.node_, b.node_));
  }
  [[nodiscard]] friend Filter operator||(const Filter& a, const Filter& b) {
    return Filter(vector_detail::joined(vector_detail::FilterOperator::any, a.node_, b.node_));
  }
  [[nodiscard]] Filter operator!() const { return Filter(vector_detail::negated(node_)); }

 private:
  vector_detail::FilterPointer node_;
};

/// A field of the metadata, for conditions: `field("author.name") == "Ada"`.
class Field {
 public:
  explicit Field(std::string path) noexcept : path_(std::move(path)) {}

  [[nodiscard]] friend Filter operator==(const Field& field, const Json& value) {
    return field.make(vector_detail::FilterOperator::equal, value);
  }
  [[nodiscard]] friend Filter operator!=(const Field& field, const Json& value) {
    return !(field == value);
  }
  [[nodiscard]] friend Filter operator>(const Field& field, const Json& value) {
    return field.make(vector_detail::FilterOperator::greater, value);
  }
  [[nodiscard]] friend Filter operator>=(const Field& field, const Json& value) {
    return field.make(vector_detail::FilterOperator::greater_equal, value);
  }
  [[nodiscard]] friend Filter operator<(const Field& field, const Json& value) {
    return field.make(vector_detail::FilterOperator::less, value);
  }
  [[nodiscard]] friend Filter operator<=(const Field& field, const Json& value) {
    return field.make(vector_detail::FilterOperator::less_equal, value);
  }
  /// Equal to one of these.
  [[nodiscard]] Filter in(const std::vector<Json>& values) const {
    return among(values);
  }
  [[nodiscard]] Filter in(std::initializer_list<Json> values) const { return among(values); }
  /// Equal to one of the elements of an array.
  [[nodiscard]] Filter in_array(const Json& values) const { return among(values); }
  /// From `low` to `high`, both included.
  [[nodiscard]] Filter between(const Json& low, const Json& high) const {
    return *this >= low && *this <= high;
  }
  [[nodiscard]] Filter exists() const {
    return make(vector_detail::FilterOperator::exists, nullptr);
  }
  /// An array with this element, or a text with this part.
  [[nodiscard]] Filter contains(const Json& value) const {
    return make(vector_detail::FilterOperator::contains, value);
  }
  /// A text that begins so.
  [[nodiscard]] Filter starts_with(std::string_view prefix) const {
    return make(vector_detail::FilterOperator::prefix, std::string(prefix));
  }

 private:
  [[nodiscard]] Filter make(vector_detail::FilterOperator op, const Json& operand) const {
    auto node = std::make_shared<vector_detail::FilterNode>();
    node->op = op;
    node->path = path_;
    // No metadata are as deep as that, so nothing equals it, as nothing equals what is no value.
    const bool deep = vector_detail::is_nested_deeper(operand, max_metadata_depth);
    node->operand = deep ? Json(Json::value_t::discarded) : operand;
    return Filter(std::move(node));
  }
  template <class Values>
  [[nodiscard]] Filter among(const Values& values) const {
    auto node = std::make_shared<vector_detail::FilterNode>();
    node->op = vector_detail::FilterOperator::in;
    node->path = path_;
    node->operand = Json::array();
    for (const Json& value : values) {
      if (!vector_detail::is_nested_deeper(value, max_metadata_depth)) node->operand.push_back(value);
    }
    return Filter(std::move(node));
  }

  std::string path_;
};

[[nodiscard]] inline Field field(std::string path) { return Field(std::move(path)); }

namespace filter_detail {

using vector_detail::compare_json;

/// Reads the JSON form. Where it fails, `error` says why.
class FilterParser {
 public:
  std::optional<Filter> filter(const Json& json, const std::string& place) {
    if (!json.is_object()) return fail(place, "a filter is an object");
    const Deeper deeper(depth_);
    if (depth_ > deepest) return fail(place, too_deep);
    std::vector<Filter> parts;
    for (const auto& [key, value] : json.items()) {
      const std::string here = place.empty() ? key : place + "." + key;
      std::optional<Filter> part;
      if (key == "$and" || key == "$or") {
        part = list(value, here, key == "$and");
      } else if (key == "$not") {
        part = filter(value, here);
        if (part) part = !*part;
      } else if (key.starts_with("$")) {
        return fail(here, "unknown operator " + key);
      } else {
        part = condition(key, value, here);
      }
      if (!part) return std::nullopt;
      parts.push_back(*std::move(part));
    }
    return together(vector_detail::FilterOperator::all, parts);
  }

  std::string error;

 private:
  /// What comes from outside must not use up the stack.
  static constexpr int deepest = max_filter_text_depth;
  static constexpr const char* too_deep = "is nested too deeply";
  struct Deeper {
    explicit Deeper(int& depth) noexcept : depth_(depth) { ++depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    ~Deeper() { --depth_; }
    int& depth_;
  };

  std::nullopt_t fail(const std::string& place, const std::string& why) {
    error = why + (place.empty() ? "" : " (at " + place + ")");
    return std::nullopt;
  }

  std::optional<Filter> list(const Json& json, const std::string& here, bool all) {
    if (!json.is_array() || json.empty()) return fail(here, "needs an array of filters");
    std::vector<Filter> parts;
    for (std::size_t i = 0; i < json.size(); ++i) {
      std::optional<Filter> part = filter(json[i], here + "[" + std::to_string(i) + "]");
      if (!part) return std::nullopt;
      parts.push_back(*std::move(part));
    }
    using vector_detail::FilterOperator;
    return together(all ? FilterOperator::all : FilterOperator::any, parts);
  }

  /// All of these, or any of them, beside each other.
  [[nodiscard]] static Filter together(vector_detail::FilterOperator op,
                                       const std::vector<Filter>& parts) {
    if (parts.size() == 1) return parts.front();
    std::vector<vector_detail::FilterPointer> children;
    children.reserve(parts.size());
    for (const Filter& part : parts) children.push_back(part.pointer());
    return Filter(vector_detail::node_of(op, std::move(children)));
  }

  std::optional<Filter> condition(const std::string& path, const Json& json,
                                  const std::string& here) {
    const Field of(path);
    if (!json.is_object()) {
      if (is_deep_operand(json)) return fail(here, too_deep);
      return of == json;
    }
    if (json.empty()) return fail(here, "has no operator");
    const Deeper deeper(depth_);
    if (depth_ > deepest) return fail(here, too_deep);
    std::vector<Filter> parts;
    for (const auto& [key, value] : json.items()) {
      std::optional<Filter> part = one(of, path, key, value, here + "." + key);
      if (!part) return std::nullopt;
      parts.push_back(*std::move(part));
    }
    return together(vector_detail::FilterOperator::all, parts);
  }

  [[nodiscard]] static bool is_deep_operand(const Json& operand) noexcept {
    return vector_detail::is_nested_deeper(operand, max_metadata_depth);
  }

  std::optional<Filter> one(const Field& of, const std::string& path, const std::string& key,
                            const Json& value, const std::string& here) {
    if (key != "$not" && is_deep_operand(value)) return fail(here, too_deep);
    const bool ordered = value.is_number() || value.is_string() || value.is_boolean();
    if (key == "$eq") return of == value;
    if (key == "$ne") return of != value;
    if (key == "$gt" || key == "$gte" || key == "$lt" || key == "$lte") {
      if (!ordered) return fail(here, "needs a number, a string or a boolean");
      return key == "$gt"    ? of > value
             : key == "$gte" ? of >= value
             : key == "$lt"  ? of < value
                             : of <= value;
    }
    if (key == "$in" || key == "$nin") {
      if (!value.is_array()) return fail(here, "needs an array");
      const Filter in = of.in_array(value);
      return key == "$in" ? in : !in;
    }
    if (key == "$exists") {
      if (!value.is_boolean()) return fail(here, "needs true or false");
      return value.get<bool>() ? of.exists() : !of.exists();
    }
    if (key == "$contains") return of.contains(value);
    if (key == "$prefix") {
      if (!value.is_string()) return fail(here, "needs a string");
      return of.starts_with(value.get_ref<const std::string&>());
    }
    if (key == "$between") {
      if (!value.is_array() || value.size() != 2 ||
          compare_json(value[0], value[1]) == std::partial_ordering::unordered) {
        return fail(here, "needs an array of two numbers or two strings");
      }
      return of.between(value[0], value[1]);
    }
    if (key == "$not") {
      if (!value.is_object()) return fail(here, "needs operators");
      const std::optional<Filter> part = condition(path, value, here);
      if (!part) return std::nullopt;
      return !*part;
    }
    return fail(here, key.starts_with("$") ? "unknown operator " + key
                                           : "an object is no value to compare with; use $eq");
  }

  int depth_ = 0;
};

}  // namespace filter_detail

inline Result<Filter> Filter::from_json(const Json& json) {
  filter_detail::FilterParser parser;
  std::optional<Filter> filter = parser.filter(json, "");
  if (!filter) return Unexpected(Error(Errc::invalid_argument, "filter", std::move(parser.error)));
  return *std::move(filter);
}

inline Result<Filter> Filter::parse(std::string_view text) {
  // A filter is an object in an array at most, and in the innermost is a value.
  constexpr int deepest = 2 * max_filter_text_depth + max_metadata_depth;
  if (vector_detail::is_nested_deeper(text, deepest)) {
    return Unexpected(
        Error(Errc::invalid_argument, "filter", std::string("the text is nested too deeply")));
  }
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return Unexpected(Error(Errc::invalid_argument, "filter", std::string("is no JSON")));
  }
  return from_json(json);
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
