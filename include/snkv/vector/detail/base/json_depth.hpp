/// \file
/// How deeply JSON may be nested. Whoever copies, compares or writes a document goes down into it,
/// and what comes from outside must not use up the stack.
#pragma once

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace snkv {

using Json = nlohmann::json;

/// So many arrays and objects may be inside each other in metadata, the outermost object included,
/// and in a value that a filter compares with. What is deeper is refused with `invalid_argument`.
inline constexpr int max_metadata_depth = 64;

namespace vector_detail {

/// Whether there are more than `levels` arrays and objects inside each other.
[[nodiscard]] inline bool is_nested_deeper(const Json& json, int levels) noexcept {
  if (!json.is_structured()) return false;
  if (levels == 0) return true;
  return std::any_of(json.begin(), json.end(),
                     [&](const Json& child) { return is_nested_deeper(child, levels - 1); });
}

/// The same of a text, before it is parsed. Of what is no JSON it says anything.
[[nodiscard]] inline bool is_nested_deeper(std::string_view text, int levels) noexcept {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > levels) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

/// The document of a text; discarded if it is no JSON, or nested more than `levels` deep.
[[nodiscard]] inline Json parse_json(std::string_view text, int levels = max_metadata_depth) {
  if (is_nested_deeper(text, levels)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

}  // namespace vector_detail
}  // namespace snkv
