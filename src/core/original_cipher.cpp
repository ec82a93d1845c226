#include "core/original_cipher.hpp"

#include "core/sodium.hpp"

#include <sodium.h>

#include <optional>
#include <string>
#include <string_view>

namespace snkv::core {
namespace {

constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::string_view verified_text = "SNKV_AUTH_V1";

/// The library always wrote 64 MiB and 3 passes. What a damaged file says must not take the machine.
constexpr std::uint32_t most_kib = 1u << 20;
constexpr std::uint32_t most_passes = 16;

const unsigned char* bytes(BytesView view) noexcept {
  return reinterpret_cast<const unsigned char*>(view.data());
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) noexcept {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

/// What the family of the file has to say.
struct Parameters {
  std::string salt;
  std::string params;
  std::string verify;
};

Error read_parameters(const char* operation, const OriginalFile& file, Parameters& out) {
  OriginalTree tree(file, file.root_of(OriginalCipher::family), OriginalTree::Kind::index);
  for (;;) {
    bool found = false;
    if (Error error = tree.next(operation, found); error.failed()) return error;
    if (!found) return {};
    OriginalEntry entry;
    if (!entry.parse(tree.payload())) return file.corrupt(operation, "an entry is damaged");
    if (entry.key == "salt") out.salt = entry.value.str();
    if (entry.key == "params") out.params = entry.value.str();
    if (entry.key == "verify") out.verify = entry.value.str();
  }
}

}  // namespace

OriginalCipher::~OriginalCipher() { sodium_memzero(key_.data(), key_.size()); }

Error OriginalCipher::unlock(const char* operation, const OriginalFile& file, BytesView password) {
  if (file.root_of(family) == 0) return {};
  if (password.empty()) {
    return Error(Errc::auth_failed, operation, file.path() + " is encrypted: a password is needed");
  }
  Parameters stored;
  if (Error error = read_parameters(operation, file, stored); error.failed()) return error;
  if (stored.salt.size() != crypto_pwhash_SALTBYTES || stored.params.size() != 8) {
    return file.corrupt(operation, "what the key is made with is damaged");
  }
  const std::uint32_t kib = number_at(stored.params, 0);
  const std::uint32_t passes = number_at(stored.params, 4);
  if (kib < 8 || kib > most_kib || passes < 1 || passes > most_passes) {
    return file.corrupt(operation, "what the key is made with is out of its range");
  }
  if (!sodium_ready()) return Error(Errc::internal, operation, "libsodium does not start");
  const auto* const text = reinterpret_cast<const char*>(password.data());
  const auto* const salt = reinterpret_cast<const unsigned char*>(stored.salt.data());
  if (crypto_pwhash(key_.data(), key_.size(), text, password.size(), salt, passes,
                    std::size_t{kib} * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error(Errc::no_memory, operation, "making the key of the password");
  }
  Bytes verified;
  if (!open(BytesView(stored.verify), verified) || !(verified == BytesView(verified_text))) {
    return Error(Errc::auth_failed, operation, file.path() + ": the password is another one");
  }
  encrypted_ = true;
  return {};
}

bool OriginalCipher::open(BytesView sealed, Bytes& value) const {
  if (sealed.size() < nonce_size + tag_size) return false;
  value.resize_for_overwrite(sealed.size() - nonce_size - tag_size);
  unsigned char none = 0;
  auto* const out = value.empty() ? &none : reinterpret_cast<unsigned char*>(value.data());
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             out, nullptr, nullptr, bytes(sealed) + nonce_size, sealed.size() - nonce_size, nullptr,
             0, bytes(sealed), key_.data()) == 0;
}

}  // namespace snkv::core
