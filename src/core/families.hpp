/// \file
/// Creating, opening, listing and dropping column families.
#pragma once

#include <snkv/detail/core_abi.hpp>

#include <string_view>

namespace snkv::core {

/// 1 to 255 bytes of UTF-8 without NUL, no reserved prefix.
[[nodiscard]] Error check_family_name(const char* operation, std::string_view name);

/// Whether it belongs to a layer above the core: not listed, not opened by its name through the
/// public functions, and no change to it is told to anybody.
[[nodiscard]] bool is_internal_family(std::string_view name) noexcept;

}  // namespace snkv::core
