#include "core/cipher.hpp"

#include "core/big_endian.hpp"
#include "core/sodium.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::byte version{1};
constexpr std::size_t nonce_at = 2;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t text_at = nonce_at + nonce_size;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(text_at + tag_size == KeyRing::overhead);
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == KeyRing::key_size);
static_assert(crypto_kdf_KEYBYTES == KeyRing::key_size);

constexpr char context[crypto_kdf_CONTEXTBYTES + 1] = "snkvdata";
constexpr std::uint64_t value_subkey = 1;
constexpr std::uint64_t side_subkey = 2;
constexpr std::uint64_t name_subkey = 3;
static_assert(crypto_generichash_KEYBYTES == KeyRing::key_size);

/// The bytes that the tag covers besides the value.
class AssociatedData {
 public:
  AssociatedData(const KeyRing::StoreId& store, const SealPlace& place) {
    constexpr std::size_t longest_besides_key = 5 + 16 + 4 + 4 + 8 + 1 + 16 + 8;
    if (place.key.size() + longest_besides_key > few_.size()) {
      many_.resize_for_overwrite(place.key.size() + longest_besides_key);
      data_ = many_.data();
    }
    append("snkv1", 5);
    append(store.data(), store.size());
    number(place.family, 4);
    number(place.key.size(), 4);
    append(place.key.data(), place.key.size());
    number(static_cast<std::uint64_t>(place.expires_at.value_or(0)), 8);
    number((place.expires_at ? 1u : 0u) | static_cast<unsigned>(place.kind), 1);
    if (place.kind != SealPlace::Kind::chunk) return;
    append(place.tag.data(), place.tag.size());
    number(place.index, 8);
  }
  AssociatedData(const AssociatedData&) = delete;
  AssociatedData& operator=(const AssociatedData&) = delete;

  [[nodiscard]] const unsigned char* data() const noexcept { return raw(data_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  void append(const void* bytes, std::size_t size) noexcept {
    if (size > 0) std::memcpy(data_ + size_, bytes, size);
    size_ += size;
  }
  void number(std::uint64_t value, unsigned bytes) noexcept {
    put_big_endian(data_ + size_, value, bytes);
    size_ += bytes;
  }

  std::array<std::byte, 256> few_;
  Bytes many_;
  std::byte* data_ = few_.data();
  std::size_t size_ = 0;
};

}  // namespace

void KeyRing::add(std::uint8_t number, const unsigned char* key) {
  Key added{number, SecureBytes(3 * key_size)};
  crypto_kdf_derive_from_key(added.subkeys.data(), key_size, value_subkey, context, key);
  crypto_kdf_derive_from_key(added.subkeys.data() + key_size, key_size, side_subkey, context, key);
  crypto_kdf_derive_from_key(added.subkeys.data() + 2 * key_size, key_size, name_subkey, context, key);
  keys_.push_back(std::move(added));
}

void KeyRing::seal(const SealPlace& place, BytesView plain, std::byte* out) const {
  const AssociatedData data(store_, place);
  const Key& key = keys_.front();
  out[0] = version;
  out[1] = static_cast<std::byte>(key.number);
  // From the kernel each time: a forked child, or a copy of the machine, does not repeat them.
  randombytes_buf(out + nonce_at, nonce_size);
  crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
      raw(out + text_at), raw(out + text_at + plain.size()), nullptr, raw(plain.data()), plain.size(),
      data.data(), data.size(), nullptr, raw(out + nonce_at), key.subkeys.data());
}

bool KeyRing::open(const SealPlace& place, BytesView sealed, std::byte* out) const {
  if (sealed.size() < overhead || sealed.data()[0] != version) return false;
  const auto number = static_cast<std::uint8_t>(sealed.data()[1]);
  const auto key = std::find_if(keys_.begin(), keys_.end(),
                                [&](const Key& one) { return one.number == number; });
  if (key == keys_.end()) return false;
  const AssociatedData data(store_, place);
  const std::size_t size = sealed.size() - overhead;
  std::byte none{};
  return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
             raw(size == 0 ? &none : out), nullptr, raw(sealed.data() + text_at), size,
             raw(sealed.data() + text_at + size), data.data(), data.size(),
             raw(sealed.data() + nonce_at), key->subkeys.data()) == 0;
}

bool KeyRing::is_current(BytesView sealed) const noexcept {
  return sealed.size() >= overhead && sealed.data()[0] == version &&
         sealed.data()[1] == static_cast<std::byte>(keys_.front().number);
}

NameTag KeyRing::name_tag(BytesView text) const noexcept {
  NameTag tag;
  crypto_generichash(raw(tag.data()), tag.size(), raw(text.data()), text.size(),
                     keys_.front().subkeys.data() + 2 * key_size, key_size);
  return tag;
}

const unsigned char* KeyRing::side_key() const noexcept {
  return keys_.front().subkeys.data() + key_size;
}

std::shared_ptr<const KeyRing> Cipher::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

std::shared_ptr<const KeyRing> Cipher::find(const KeyRing::Generation& generation) const {
  const std::lock_guard lock(mutex_);
  if (latest_->generation() == generation) return latest_;
  const auto found = std::find_if(others_.begin(), others_.end(), [&](const auto& ring) {
    return ring->generation() == generation;
  });
  return found == others_.end() ? nullptr : *found;
}

void Cipher::expect(std::shared_ptr<const KeyRing> ring) {
  std::shared_ptr<const KeyRing> gone;  // its keys are overwritten outside the lock
  const std::lock_guard lock(mutex_);
  if (others_.size() == most_others) {
    gone = std::move(others_.front());
    others_.erase(others_.begin());
  }
  others_.push_back(std::move(ring));
}

void Cipher::adopt() noexcept {
  const std::lock_guard lock(mutex_);
  std::swap(latest_, others_.back());
}

}  // namespace snkv::core
