/// \file
/// The one place where values are sealed and opened. The write path seals what it puts into a row or a
/// chunk, the read path opens it; nothing else sees keys.
///
///     sealed = version u8, number of the data key u8, nonce 24 bytes, ciphertext, tag 16 bytes
///
/// The ciphertext is as long as the value: XChaCha20-Poly1305 (IETF). The tag also covers what the
/// value belongs to:
///
///     "snkv1", store id 16 bytes, family u32, size of the key u32, key, expiry i64 (0: none), flags u8
///     for a chunk also: tag of the large value 16 bytes, number of the chunk u64
///
/// Numbers are big-endian. Flags: 1 it expires; 2 it describes a large value; 4 it is a chunk of one.
#pragma once

#include "core/secure_memory.hpp"

#include <snkv/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace snkv::core {

/// Random, made with each large value: it tells the chunks of two values of one key apart.
using LargeTag = std::array<std::byte, 16>;

/// What a sealed value belongs to.
struct SealPlace {
  std::uint32_t family = 0;
  BytesView key;
  std::optional<std::int64_t> expires_at;  ///< not of chunks
  enum class Kind : std::uint8_t { value = 0, large = 2, chunk = 4 } kind = Kind::value;
  LargeTag tag{};           ///< of chunks
  std::uint64_t index = 0;  ///< of chunks
};

/// Proves that a name of `snkv_meta` or of the schema is the library's own.
using NameTag = std::array<std::byte, 32>;

/// The data keys of a store, as of one header. Immutable.
class KeyRing {
 public:
  /// What a sealed value is longer than the value.
  static constexpr std::size_t overhead = 42;
  static constexpr std::size_t key_size = 32;
  static constexpr std::size_t most_keys = 2;
  using StoreId = std::array<std::byte, 16>;
  /// Random, of one set of data keys.
  using Generation = std::array<std::byte, 8>;

  KeyRing(const StoreId& store, const Generation& generation, bool binds_names = false) noexcept
      : store_(store), generation_(generation), binds_names_(binds_names) {}

  /// The first key that is added is the one to seal with. Throws `std::bad_alloc`.
  void add(std::uint8_t number, const unsigned char* key);

  [[nodiscard]] const Generation& generation() const noexcept { return generation_; }
  [[nodiscard]] const StoreId& store() const noexcept { return store_; }
  /// Whether the header says that the store has the tags of its names (family_seal.hpp).
  [[nodiscard]] bool binds_names() const noexcept { return binds_names_; }

  /// Writes `plain.size() + overhead` bytes. May throw `std::bad_alloc`, as `open` may.
  void seal(const SealPlace& place, BytesView plain, std::byte* out) const;
  /// Writes `sealed.size() - overhead` bytes; false if that is not what was sealed for this place.
  [[nodiscard]] bool open(const SealPlace& place, BytesView sealed, std::byte* out) const;
  /// Whether it was sealed with the key that is used now.
  [[nodiscard]] bool is_current(BytesView sealed) const noexcept;

  /// The tag of a text, made with the key that is sealed with. What the text means is in its beginning.
  [[nodiscard]] NameTag name_tag(BytesView text) const noexcept;

  /// The key for the side files of the store.
  [[nodiscard]] const unsigned char* side_key() const noexcept;

 private:
  struct Key {
    std::uint8_t number;
    SecureBytes subkeys;  // for values, for side files, for names
  };
  StoreId store_;
  Generation generation_;
  bool binds_names_;
  std::vector<Key> keys_;
};

/// The rings of an open store: the latest, and some that were or may be in the file beside it.
class Cipher {
 public:
  explicit Cipher(std::shared_ptr<const KeyRing> ring) : latest_(std::move(ring)) {}

  [[nodiscard]] std::shared_ptr<const KeyRing> latest() const;
  /// The ring of a header; null if this handle does not have it: somebody else has changed the keys.
  [[nodiscard]] std::shared_ptr<const KeyRing> find(const KeyRing::Generation& generation) const;

  /// Makes a ring known that is about to be committed. It stays known when the commit fails: an error
  /// does not say that the file has nothing of it.
  void expect(std::shared_ptr<const KeyRing> ring);
  /// The expected one was committed, and is the latest.
  void adopt() noexcept;

 private:
  /// For who began to read before the last change, and for what became of a commit that failed.
  static constexpr std::size_t most_others = 3;

  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<const KeyRing> latest_;
  std::vector<std::shared_ptr<const KeyRing>> others_;  // the expected one last
};

}  // namespace snkv::core
