/// \file
/// `Secret`, what opens an encrypted store, and the options of encryption. docs/encryption.md says what
/// encryption hides, and what it does not.
///
///     Store store = *Store::open_encrypted("app.db", Secret::password("correct horse battery"));
///
/// Threads: a `Secret` is a value that is not changed while it is used; any number may use it.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/detail/export.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace snkv {

/// Overwrites bytes such that the compiler does not leave it out.
SNKV_API void wipe(std::span<std::byte> bytes) noexcept;

/// A password or a key, in memory of its own that is locked, left out of core dumps and overwritten when
/// it goes away.
class Secret {
 public:
  /// Size of a raw key, in bytes.
  static constexpr std::size_t key_size = 32;

  /// A password: its bytes as they are. Whoever types text must give it the same Unicode normal form each
  /// time. An empty one is refused by the functions that use it, with `invalid_argument`. The caller's
  /// copy stays where it is; see the next one.
  [[nodiscard]] static Secret password(BytesView text) noexcept { return Secret(Kind::password, text); }
  /// The same, and overwrites `text`.
  [[nodiscard]] static Secret password_from(std::string& text) noexcept {
    Secret secret(Kind::password, text);
    wipe({reinterpret_cast<std::byte*>(text.data()), text.size()});
    text.clear();
    return secret;
  }
  /// A raw key of 32 bytes that nobody can guess: from a key store, say. Nothing is computed from it
  /// that takes time. Another size is refused by the functions that use it, with `invalid_argument`.
  [[nodiscard]] static Secret key(BytesView bytes) noexcept { return Secret(Kind::key, bytes); }

  Secret(Secret&& other) noexcept
      : kind_(other.kind_),
        size_(std::exchange(other.size_, 0)),
        data_(std::exchange(other.data_, nullptr)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Secret() { release(data_); }

  enum class Kind { password, key };
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  /// The bytes, as long as this lives. Empty, with a `size` that is not 0, if there was no memory.
  [[nodiscard]] BytesView bytes() const noexcept { return {data_, data_ == nullptr ? 0 : size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  Secret(Kind kind, BytesView bytes) noexcept
      : kind_(kind), size_(bytes.size()), data_(copy(bytes)) {}
  SNKV_API static std::byte* copy(BytesView bytes) noexcept;
  SNKV_API static void release(std::byte* data) noexcept;

  Kind kind_;
  std::size_t size_;
  std::byte* data_;
};

/// What it costs to make a key of a password. Nothing here concerns raw keys.
struct EncryptionOptions {
  /// For a new password: passes and bytes of memory that Argon2id takes; stored in the file. At least 2
  /// and 19 MiB. The defaults cost a fraction of a second, for the owner and for each guess of others.
  std::uint64_t opslimit = 3;
  std::uint64_t memlimit = 64u << 20;
  /// Of what a file may ask for when it is opened: more gives `too_large`, before any memory is taken.
  std::uint64_t max_opslimit = 10;
  std::uint64_t max_memlimit = 1u << 30;
};

}  // namespace snkv
