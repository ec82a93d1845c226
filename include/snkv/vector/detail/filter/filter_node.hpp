/// \file
/// What a filter is made of, and how it is compared with documents.
#pragma once

#include <snkv/error.hpp>
#include <snkv/vector/detail/base/json_depth.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

/// So many `&&`, `||` and `!` may be inside each other in a filter. Conditions that are joined by
/// the same one are beside each other, however many they are. What is deeper is refused with
/// `invalid_argument` where it is used.
inline constexpr int max_filter_depth = 256;

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
  too_deep,  ///< what is nested more than `max_filter_depth` deep; nothing is left of it
};

struct FilterNode {
  FilterOperator op = FilterOperator::all;
  std::string path{};
  Json operand{};
  std::vector<std::shared_ptr<const FilterNode>> children{};
  int depth = 1;  ///< nodes on the longest way down, this one included
  std::uint8_t rank =
      0;  ///< of a group that `joined` has made of many: how many times it was grouped
};
using FilterPointer = std::shared_ptr<const FilterNode>;

/// A node of these children; one that only says so if that is too deep.
[[nodiscard]] inline FilterPointer node_of(FilterOperator op, std::vector<FilterPointer> children) {
  auto node = std::make_shared<FilterNode>();
  node->op = op;
  for (const FilterPointer& child : children) {
    node->depth = std::max(node->depth, child->depth + 1);
    if (child->op == FilterOperator::too_deep) node->op = FilterOperator::too_deep;
  }
  if (node->depth > max_filter_depth) node->op = FilterOperator::too_deep;
  if (node->op == FilterOperator::too_deep) {
    node->depth = 1;
  } else {
    node->children = std::move(children);
  }
  return node;
}

/// Two conditions by `all` or `any`. What is joined one after the other, a hundred thousand times
/// perhaps, becomes neither a chain nor a list that is copied each time: of sixteen siblings a
/// group is made, and of sixteen groups one of the next rank, so that siblings are few and the
/// depth grows with their logarithm.
[[nodiscard]] inline FilterPointer joined(FilterOperator op, const FilterPointer& a,
                                          const FilterPointer& b) {
  constexpr std::size_t group_size = 16;
  constexpr std::size_t most_taken_apart = 256;
  std::vector<FilterPointer> parts;
  for (const FilterPointer* part : {&a, &b}) {
    const std::vector<FilterPointer>& children = (*part)->children;
    if ((*part)->op == op && !children.empty() && children.size() <= most_taken_apart) {
      parts.insert(parts.end(), children.begin(), children.end());
    } else {
      parts.push_back(*part);
    }
  }
  const auto rank_of = [op](const FilterPointer& part) { return part->op == op ? part->rank : 0; };
  // The order of siblings means nothing. (Not stable_sort: with GCC 12's library clang 19 warns of it.)
  std::sort(parts.begin(), parts.end(), [&](const FilterPointer& x, const FilterPointer& y) {
    return rank_of(x) > rank_of(y);
  });
  for (int rank = 0; rank <= rank_of(parts.front()) && parts.size() >= group_size; ++rank) {
    const auto higher = [&](const FilterPointer& part) { return rank_of(part) > rank; };
    const auto same = [&](const FilterPointer& part) { return rank_of(part) == rank; };
    for (;;) {
      const auto begin = std::find_if_not(parts.begin(), parts.end(), higher);
      const auto end = std::find_if_not(begin, parts.end(), same);
      if (end - begin < static_cast<std::ptrdiff_t>(group_size)) break;
      const auto last = begin + static_cast<std::ptrdiff_t>(group_size);
      auto group = std::make_shared<FilterNode>(*node_of(op, {begin, last}));
      group->rank = static_cast<std::uint8_t>(rank + 1);
      *begin = std::move(group);
      parts.erase(begin + 1, last);
    }
  }
  return parts.size() == 1 ? parts.front() : node_of(op, std::move(parts));
}

/// Why a filter cannot be used; ok if it can.
[[nodiscard]] inline Error error_of(const char* operation, const FilterNode& filter) {
  if (filter.op != FilterOperator::too_deep) return {};
  return Error(Errc::invalid_argument, operation,
               "the filter is nested more than " + std::to_string(max_filter_depth) + " deep");
}

/// The opposite.
[[nodiscard]] inline FilterPointer negated(const FilterPointer& filter) {
  if (filter->op == FilterOperator::none && filter->children.size() == 1)
    return filter->children[0];
  return node_of(FilterOperator::none, {filter});
}

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
/// to each of their elements, and no further than metadata can be nested.
template <class Use>
[[nodiscard]] bool any_at(const Json& json, std::string_view path, Use&& use,
                          int levels = max_metadata_depth) {
  if (levels == 0) return false;
  if (json.is_array()) {
    for (const Json& element : json) {
      if (element.is_object() && any_at(element, path, use, levels - 1)) return true;
    }
    return false;
  }
  if (!json.is_object()) return false;
  if (const auto whole = json.find(path); whole != json.end()) return use(*whole);
  for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1)) {
    const auto member = json.find(path.substr(0, dot));
    if (member != json.end() && any_at(*member, path.substr(dot + 1), use, levels - 1)) {
      return true;
    }
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
    case FilterOperator::too_deep:
      return false;
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
}  // namespace snkv
