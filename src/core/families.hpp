/// \file
/// Creating, opening, listing and dropping column families.
#pragma once

#include <snkv/detail/core_abi.hpp>

namespace snkv::core {

/// 1 to 255 bytes of UTF-8 without NUL, no reserved prefix.
[[nodiscard]] Error check_family_name(const char* operation, std::string_view name);

}  // namespace snkv::core
