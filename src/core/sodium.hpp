/// \file
/// Starting libsodium, and its idea of bytes.
#pragma once

#include <cstddef>

namespace snkv::core {

/// Makes libsodium ready, once for the process. Without it nothing of it may be called; false when the
/// system has no source of random bytes.
[[nodiscard]] bool sodium_ready() noexcept;

[[nodiscard]] inline unsigned char* raw(std::byte* bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes);
}
[[nodiscard]] inline const unsigned char* raw(const std::byte* bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes);
}

}  // namespace snkv::core
