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

#include <nlohmann/json.hpp>

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

using Json = nlohmann::json;

namespace vector_detail {

enum class FilterOperator {
  all,  ///< of the children
  any,
  none,
  equal,
  greater,
  greater_equal,
  less,
  less_equal,
  in,
  exists,
  contains,
  prefix,
};

struct FilterNode {
  FilterOperator op = FilterOperator::all;
  std::string path{};
  Json operand{};
  std::vector<std::shared_ptr<const FilterNode>> children{};
};
using FilterPointer = std::shared_ptr<const FilterNode>;

/// Numbers by their value, strings by their bytes, booleans as false < true; nothing else has an
/// order, and neither have values of different types.
[[nodiscard]] inline std::partial_ordering compare_json(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    // Integers beyond 2^53 are not told apart as floating-point numbers.
    if (a.is_number_float() || b.is_number_float()) return a.get<double>() <=> b.get<double>();
    if (a.is_number_unsigned() != b.is_number_unsigned()) {
      const Json& with_sign = a.is_number_unsigned() ? b : a;
      if (with_sign.get<std::int64_t>() < 0) {
        return a.is_number_unsigned() ? std::partial_ordering::greater
                                      : std::partial_ordering::less;
      }
    }
    if (a.is_number_unsigned() || b.is_number_unsigned()) {
      return a.get<std::uint64_t>() <=> b.get<std::uint64_t>();
    }
    return a.get<std::int64_t>() <=> b.get<std::int64_t>();
  }
  if (a.is_string() && b.is_string()) {
    return a.get_ref<const std::string&>().compare(b.get_ref<const std::string&>()) <=> 0;
  }
  if (a.is_boolean() && b.is_boolean()) return a.get<bool>() <=> b.get<bool>();
  return std::partial_ordering::unordered;
}

/// Equal in all their parts; 1 equals 1.0, and nothing else of different types.
[[nodiscard]] inline bool equal_json(const Json& a, const Json& b) {
  if (a.is_null() && b.is_null()) return true;
  if (a.is_array() && b.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal_json);
  }
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    for (const auto& [key, value] : a.items()) {
      const auto other = b.find(key);
      if (other == b.end() || !equal_json(value, *other)) return false;
    }
    return true;
  }
  return compare_json(a, b) == std::partial_ordering::equivalent;
}

/// Calls `use` with each value that `path` leads to, until it returns true; returns whether it did.
/// A member of exactly this name comes first; else the path is followed at its dots, through arrays
/// to each of their elements.
template <class Use>
[[nodiscard]] bool any_at(const Json& json, std::string_view path, Use&& use) {
  if (json.is_array()) {
    for (const Json& element : json) {
      if (element.is_object() && any_at(element, path, use)) return true;
    }
    return false;
  }
  if (!json.is_object()) return false;
  if (const auto whole = json.find(path); whole != json.end()) return use(*whole);
  for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1)) {
    const auto member = json.find(path.substr(0, dot));
    if (member != json.end() && any_at(*member, path.substr(dot + 1), use)) return true;
  }
  return false;
}

[[nodiscard]] inline bool fits(const FilterNode& node, const Json& value) {
  switch (node.op) {
    case FilterOperator::equal:
      return equal_json(value, node.operand);
    case FilterOperator::greater:
      return compare_json(value, node.operand) > 0;
    case FilterOperator::greater_equal:
      return compare_json(value, node.operand) >= 0;
    case FilterOperator::less:
      return compare_json(value, node.operand) < 0;
    case FilterOperator::less_equal:
      return compare_json(value, node.operand) <= 0;
    case FilterOperator::in:
      return std::any_of(node.operand.begin(), node.operand.end(),
                         [&](const Json& one) { return equal_json(value, one); });
    case FilterOperator::contains:
      // In a text; elements of arrays are compared one by one by the caller.
      return value.is_string() && node.operand.is_string() &&
             value.get_ref<const std::string&>().find(node.operand.get_ref<const std::string&>()) !=
                 std::string::npos;
    case FilterOperator::prefix:
      return value.is_string() && node.operand.is_string() &&
             value.get_ref<const std::string&>().starts_with(
                 node.operand.get_ref<const std::string&>());
    default:
      return false;
  }
}

[[nodiscard]] inline bool matches(const FilterNode& node, const Json& metadata) {
  const auto child_matches = [&](const FilterPointer& child) { return matches(*child, metadata); };
  switch (node.op) {
    case FilterOperator::all:
      return std::all_of(node.children.begin(), node.children.end(), child_matches);
    case FilterOperator::any:
      return std::any_of(node.children.begin(), node.children.end(), child_matches);
    case FilterOperator::none:
      return std::none_of(node.children.begin(), node.children.end(), child_matches);
    case FilterOperator::exists:
      return any_at(metadata, node.path, [](const Json&) { return true; });
    case FilterOperator::contains:
      return any_at(metadata, node.path, [&](const Json& value) {
        if (!value.is_array()) return fits(node, value);
        return std::any_of(value.begin(), value.end(),
                           [&](const Json& element) { return equal_json(element, node.operand); });
      });
    default:
      return any_at(metadata, node.path, [&](const Json& value) {
        return fits(node, value) || (value.is_array() && std::any_of(value.begin(), value.end(),
                                                                     [&](const Json& element) {
                                                                       return fits(node, element);
                                                                     }));
      });
  }
}

}  // namespace vector_detail

inline namespace SNKV_EXPECTED_NAMESPACE {

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

  [[nodiscard]] friend Filter operator&&(const Filter& a, const Filter& b) {
    return combined(vector_detail::FilterOperator::all, {a, b});
  }
  [[nodiscard]] friend Filter operator||(const Filter& a, const Filter& b) {
    return combined(vector_detail::FilterOperator::any, {a, b});
  }
  [[nodiscard]] Filter operator!() const {
    return combined(vector_detail::FilterOperator::none, {*this});
  }

 private:
  static Filter combined(vector_detail::FilterOperator op, std::initializer_list<Filter> parts) {
    auto node = std::make_shared<vector_detail::FilterNode>();
    node->op = op;
    for (const Filter& part : parts) node->children.push_back(part.node_);
    return Filter(std::move(node));
  }

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
    return make(vector_detail::FilterOperator::in, Json(values));
  }
  [[nodiscard]] Filter in(std::initializer_list<Json> values) const {
    return in(std::vector<Json>(values));
  }
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
  [[nodiscard]] Filter make(vector_detail::FilterOperator op, Json operand) const {
    auto node = std::make_shared<vector_detail::FilterNode>();
    node->op = op;
    node->path = path_;
    node->operand = std::move(operand);
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
    if (depth_ > deepest) return fail(place, "is nested too deeply");
    Filter all;
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
      all = all.is_all() ? *part : all && *part;
    }
    return all;
  }

  std::string error;

 private:
  /// What comes from outside must not use up the stack.
  static constexpr int deepest = 64;
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
    std::optional<Filter> combined;
    for (std::size_t i = 0; i < json.size(); ++i) {
      const std::optional<Filter> part = filter(json[i], here + "[" + std::to_string(i) + "]");
      if (!part) return std::nullopt;
      combined = !combined ? *part : all ? *combined && *part : *combined || *part;
    }
    return combined;
  }

  std::optional<Filter> condition(const std::string& path, const Json& json,
                                  const std::string& here) {
    const Field of(path);
    if (!json.is_object()) return of == json;
    if (json.empty()) return fail(here, "has no operator");
    const Deeper deeper(depth_);
    if (depth_ > deepest) return fail(here, "is nested too deeply");
    Filter all;
    for (const auto& [key, value] : json.items()) {
      const std::optional<Filter> part = one(of, path, key, value, here + "." + key);
      if (!part) return std::nullopt;
      all = all.is_all() ? *part : all && *part;
    }
    return all;
  }

  std::optional<Filter> one(const Field& of, const std::string& path, const std::string& key,
                            const Json& value, const std::string& here) {
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
      const Filter in = of.in(value.get<std::vector<Json>>());
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
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return Unexpected(Error(Errc::invalid_argument, "filter", std::string("is no JSON")));
  }
  return from_json(json);
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
