/// \file
/// Opening the values of encrypted databases of SNKV's C library: a nonce of 24 bytes, then what
/// XChaCha20-Poly1305 made of the value, under a key that Argon2id makes of the password.
#pragma once

#include "core/original_file.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <array>
#include <cstddef>

namespace snkv::core {

class OriginalCipher {
 public:
  OriginalCipher() = default;
  OriginalCipher(const OriginalCipher&) = delete;
  OriginalCipher& operator=(const OriginalCipher&) = delete;
  ~OriginalCipher();

  /// The family that makes a file an encrypted one.
  static constexpr std::string_view family = "__snkv_auth__";

  /// Makes the key, if the file is encrypted: `auth_failed` for a wrong password or none, `corrupt`.
  [[nodiscard]] Error unlock(const char* operation, const OriginalFile& file, BytesView password);

  /// Whether values have to be opened.
  [[nodiscard]] bool encrypted() const noexcept { return encrypted_; }
  /// False if `sealed` was not made with the key.
  [[nodiscard]] bool open(BytesView sealed, Bytes& value) const;

 private:
  bool encrypted_ = false;
  std::array<unsigned char, 32> key_{};
};

}  // namespace snkv::core
