/// \file
/// Numbers as columns have them: least significant byte first, like their elements.
#pragma once

#include <cstddef>
#include <cstdint>

namespace snkv::core {

/// Writes the low `bytes` bytes of a number.
inline void put_little_endian(std::byte* at, std::uint64_t value, unsigned bytes) noexcept {
  for (unsigned i = 0; i < bytes; ++i, value >>= 8) at[i] = static_cast<std::byte>(value);
}

/// The number in `bytes` bytes, at most 8.
[[nodiscard]] inline std::uint64_t little_endian(const std::byte* at, unsigned bytes) noexcept {
  std::uint64_t value = 0;
  for (unsigned i = bytes; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(at[i]);
  return value;
}

}  // namespace snkv::core
