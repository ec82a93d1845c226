/// \file
/// Creating, opening, listing and dropping column families.
#pragma once

#include <snkv/detail/core_abi.hpp>

#include <string_view>

namespace snkv::core {

/// Whether it belongs to a layer above the core: not listed, not opened by its name through the
/// public functions, and no change to it is told to anybody.
[[nodiscard]] bool is_internal_family(std::string_view name) noexcept;

/// Whether a text is UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace snkv::core
