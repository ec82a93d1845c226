/// \file
/// Creating, opening, listing and dropping column families.
#pragma once

#include <snkv/detail/codec_abi.hpp>
#include <snkv/detail/core_abi.hpp>

#include <string_view>

namespace snkv::core {

/// Whether it belongs to a layer above the core: not listed, not opened by its name through the
/// public functions, and no change to it is told to anybody.
[[nodiscard]] bool is_internal_family(std::string_view name) noexcept;

}  // namespace snkv::core
