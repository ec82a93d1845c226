/// \file
/// The header of an encrypted store, a blob in `snkv_meta`: how the secret becomes a key, and the data keys
/// of the store, wrapped with that key.
///
///     offset  size
///          0     8  "snkvkeys"
///          8     1  version: 1
///          9     1  cipher: 1, XChaCha20-Poly1305
///         10     1  key derivation: 0 the secret is the key, 1 Argon2id
///         11     1  flags: 1 the names of families are bound (family_seal.hpp)
///         12     4  zero
///         16     8  passes of Argon2id, 0 without
///         24     8  bytes of memory of Argon2id, 0 without
///         32    16  salt
///         48    16  store id
///         64     8  generation: random, new with each set of data keys
///         72    32  check: keyed BLAKE2b-256 of all before it
///        104     1  number of data keys: 1, or 2 while `rotate_key` is under way
///        105    73  for each, the one to seal with first: its number u8, nonce 24 bytes, and the key of
///                   32 bytes, encrypted and with a tag of 16 bytes that covers all before the nonce
///
/// Numbers are big-endian. The check tells a wrong secret from a changed header, and is what
/// Poly1305 alone does not give: that there is one secret only that opens it.
#pragma once

#include "btree/connection.hpp"
#include "core/cipher.hpp"
#include "core/secure_memory.hpp"

#include <snkv/bytes.hpp>
#include <snkv/encryption.hpp>
#include <snkv/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace snkv::core {

/// The keys that a secret makes: one to wrap data keys with, one for the check.
struct SecretKeys {
  SecureBytes bytes;
  [[nodiscard]] const unsigned char* wrap() const noexcept { return bytes.data(); }
  [[nodiscard]] const unsigned char* check() const noexcept {
    return bytes.data() + KeyRing::key_size;
  }
};

/// A header that was opened or is being made. Its keys are overwritten when it goes away.
class KeyHeader {
 public:
  /// `invalid_argument` for a secret or options that cannot make a header; `no_memory`.
  [[nodiscard]] static Error check_secret(const char* operation, const Secret& secret);
  [[nodiscard]] static Error check_options(const char* operation, const EncryptionOptions& options);
  /// The generation of a header, without opening it; false if it is malformed.
  [[nodiscard]] static bool generation_of(BytesView header, KeyRing::Generation& out) noexcept;

  /// One for a new store, with a new data key.
  [[nodiscard]] Error make(const char* operation, const Secret& secret,
                           const EncryptionOptions& options, const KeyRing::StoreId& store);
  /// Opens one: `auth_failed` (a wrong secret, or what it is made with was changed), `tampered`,
  /// `unsupported_version`, `corrupt`, and `too_large` for more than the options allow.
  [[nodiscard]] Error open(const char* operation, BytesView header, const Secret& secret,
                           const EncryptionOptions& options);
  /// Another secret for the same data keys.
  [[nodiscard]] Error set_secret(const char* operation, const Secret& secret,
                                 const EncryptionOptions& options);
  /// Adds a data key, to be sealed with from now on, and thereby makes another generation.
  void add_key();
  /// Forgets all data keys but the one that is sealed with. Another generation too.
  void drop_old_keys();
  /// Says that the names of families are bound. The generation is another one, so that a library which
  /// would not bind them has to open the store again; who knows of it can tell which one it will be.
  void bind_names() noexcept;
  [[nodiscard]] bool binds_names() const noexcept { return binds_names_; }

  [[nodiscard]] std::size_t key_count() const noexcept { return keys_.size(); }
  [[nodiscard]] const KeyRing::StoreId& store() const noexcept { return store_; }
  /// The bytes of it.
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] std::shared_ptr<const KeyRing> ring() const;
  /// The one that there will be after `bind_names`.
  [[nodiscard]] std::shared_ptr<const KeyRing> ring_with_names() const;

 private:
  struct DataKey {
    std::uint8_t number = 0;
    SecureBytes key;
  };
  [[nodiscard]] Error parse(const char* operation, BytesView header, std::size_t& count);
  [[nodiscard]] Error check_limits(const char* operation, const EncryptionOptions& options) const;
  [[nodiscard]] Error derive(const char* operation, const Secret& secret);
  [[nodiscard]] std::shared_ptr<const KeyRing> ring(const KeyRing::Generation& generation,
                                                    bool binds_names) const;

  std::uint8_t derivation_ = 0;
  bool binds_names_ = false;
  std::uint64_t opslimit_ = 0;
  std::uint64_t memlimit_ = 0;
  std::array<std::byte, 16> salt_{};
  KeyRing::StoreId store_{};
  KeyRing::Generation generation_{};
  SecretKeys secret_keys_;
  std::vector<DataKey> keys_;  // the one that is sealed with first
};

// ---- The row of snkv_meta that has it ----

/// That of the latest state, or of the write transaction that is open; empty if there is none.
[[nodiscard]] Error read_key_header(const char* operation, btree::Connection& connection, Bytes& out);
/// In a write transaction in which `snkv_meta` is known to be the library's own.
[[nodiscard]] Error write_key_header(const char* operation, btree::Connection& connection,
                                     BytesView header);

}  // namespace snkv::core
