/// \file
/// Starting libsodium.
#pragma once

namespace snkv::core {

/// Makes libsodium ready, once for the process. Without it nothing of it may be called; false when the
/// system has no source of random bytes.
[[nodiscard]] bool sodium_ready() noexcept;

}  // namespace snkv::core
