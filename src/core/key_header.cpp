#include "core/key_header.hpp"

#include "core/big_endian.hpp"
#include "core/format.hpp"
#include "core/meta.hpp"
#include "core/sodium.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace snkv::core {
namespace {

constexpr char magic[] = {'s', 'n', 'k', 'v', 'k', 'e', 'y', 's'};
constexpr std::size_t version_at = 8;
constexpr std::size_t cipher_at = 9;
constexpr std::size_t derivation_at = 10;
constexpr std::size_t flags_at = 11;
constexpr std::size_t zero_at = 12;
constexpr std::size_t opslimit_at = 16;
constexpr std::size_t memlimit_at = 24;
constexpr std::size_t salt_at = 32;
constexpr std::size_t store_at = 48;
constexpr std::size_t generation_at = 64;
constexpr std::size_t check_at = 72;
constexpr std::size_t check_size = 32;
constexpr std::size_t count_at = check_at + check_size;
constexpr std::size_t keys_at = count_at + 1;

constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t entry_size = 1 + nonce_size + KeyRing::key_size + tag_size;
static_assert(entry_size == 73);
static_assert(crypto_pwhash_SALTBYTES == 16);

constexpr std::uint8_t raw_key = 0;
constexpr std::uint8_t argon2id = 1;

constexpr std::byte names_flag{1};

/// Less is no protection; a file that asks for less was not made by this library.
constexpr std::uint64_t least_opslimit = 2;
constexpr std::uint64_t least_memlimit = 19u << 20;

constexpr char context[crypto_kdf_CONTEXTBYTES + 1] = "snkvwrap";
constexpr std::uint64_t wrap_subkey = 1;
constexpr std::uint64_t check_subkey = 2;

std::uint8_t derivation_for(const Secret& secret) noexcept {
  return secret.kind() == Secret::Kind::key ? raw_key : argon2id;
}

KeyRing::Generation with_names(KeyRing::Generation generation) noexcept {
  generation.back() ^= std::byte{1};
  return generation;
}

void compute_check(const SecretKeys& keys, const std::byte* header, unsigned char* out) noexcept {
  crypto_generichash(out, check_size, raw(header), check_at, keys.check(), KeyRing::key_size);
}

}  // namespace

Error KeyHeader::check_secret(const char* operation, const Secret& secret) {
  if (secret.kind() == Secret::Kind::key && secret.size() != Secret::key_size) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("a key has {} bytes, this one {}", Secret::key_size, secret.size()));
  }
  if (secret.size() == 0) return Error(Errc::invalid_argument, operation, "the password is empty");
  if (secret.bytes().empty()) return Error(Errc::no_memory, operation, "for the secret");
  return {};
}

Error KeyHeader::check_options(const char* operation, const EncryptionOptions& options) {
  if (options.opslimit >= least_opslimit && options.memlimit >= least_memlimit &&
      options.opslimit <= crypto_pwhash_OPSLIMIT_MAX &&
      options.memlimit <= crypto_pwhash_MEMLIMIT_MAX) {
    return {};
  }
  return Error(Errc::invalid_argument, operation,
               fmt::format("opslimit must be at least {} and memlimit at least {} bytes",
                           least_opslimit, least_memlimit));
}

bool KeyHeader::generation_of(BytesView header, KeyRing::Generation& out) noexcept {
  if (header.size() < keys_at) return false;
  std::memcpy(out.data(), header.data() + generation_at, out.size());
  return true;
}

Error KeyHeader::make(const char* operation, const Secret& secret, const EncryptionOptions& options,
                      const KeyRing::StoreId& store) {
  store_ = store;
  binds_names_ = true;
  keys_.clear();
  add_key();
  return set_secret(operation, secret, options);
}

Error KeyHeader::set_secret(const char* operation, const Secret& secret,
                            const EncryptionOptions& options) {
  if (Error error = check_secret(operation, secret); error.failed()) return error;
  if (Error error = check_options(operation, options); error.failed()) return error;
  derivation_ = derivation_for(secret);
  opslimit_ = derivation_ == argon2id ? options.opslimit : 0;
  memlimit_ = derivation_ == argon2id ? options.memlimit : 0;
  randombytes_buf(salt_.data(), salt_.size());
  return derive(operation, secret);
}

void KeyHeader::add_key() {
  const unsigned last = keys_.empty() ? 0 : keys_.front().number;
  DataKey key{static_cast<std::uint8_t>(last % 255 + 1), SecureBytes(KeyRing::key_size)};
  randombytes_buf(key.key.data(), key.key.size());
  keys_.insert(keys_.begin(), std::move(key));
  randombytes_buf(generation_.data(), generation_.size());
}

void KeyHeader::drop_old_keys() {
  keys_.resize(1);
  randombytes_buf(generation_.data(), generation_.size());
}

void KeyHeader::bind_names() noexcept {
  if (binds_names_) return;
  binds_names_ = true;
  generation_ = with_names(generation_);
}

Error KeyHeader::derive(const char* operation, const Secret& secret) {
  SecureBytes master(KeyRing::key_size);
  if (derivation_ == raw_key) {
    std::memcpy(master.data(), secret.bytes().data(), master.size());
  } else if (crypto_pwhash(master.data(), master.size(), secret.bytes().view().data(), secret.size(),
                           raw(salt_.data()), opslimit_, memlimit_,
                           crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error(Errc::no_memory, operation,
                 fmt::format("making the key of the password takes {} bytes", memlimit_));
  }
  SecretKeys derived{SecureBytes(2 * KeyRing::key_size)};
  crypto_kdf_derive_from_key(derived.bytes.data(), KeyRing::key_size, wrap_subkey, context,
                             master.data());
  crypto_kdf_derive_from_key(derived.bytes.data() + KeyRing::key_size, KeyRing::key_size,
                             check_subkey, context, master.data());
  secret_keys_ = std::move(derived);
  return {};
}

Bytes KeyHeader::encode() const {
  Bytes out;
  out.resize_for_overwrite(keys_at + keys_.size() * entry_size);
  std::byte* const p = out.data();
  std::memset(p, 0, out.size());
  std::memcpy(p, magic, sizeof magic);
  p[version_at] = std::byte{1};
  p[cipher_at] = std::byte{1};
  p[derivation_at] = static_cast<std::byte>(derivation_);
  if (binds_names_) p[flags_at] = names_flag;
  put_big_endian(p + opslimit_at, opslimit_, 8);
  put_big_endian(p + memlimit_at, memlimit_, 8);
  std::memcpy(p + salt_at, salt_.data(), salt_.size());
  std::memcpy(p + store_at, store_.data(), store_.size());
  std::memcpy(p + generation_at, generation_.data(), generation_.size());
  compute_check(secret_keys_, p, raw(p + check_at));
  p[count_at] = static_cast<std::byte>(keys_.size());
  std::size_t at = keys_at;
  for (const DataKey& key : keys_) {
    p[at] = static_cast<std::byte>(key.number);
    std::byte* const nonce = p + at + 1;
    randombytes_buf(nonce, nonce_size);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        raw(nonce + nonce_size), nullptr, key.key.data(), KeyRing::key_size, raw(p), at + 1, nullptr,
        raw(nonce), secret_keys_.wrap());
    at += entry_size;
  }
  return out;
}

std::shared_ptr<const KeyRing> KeyHeader::ring() const { return ring(generation_, binds_names_); }

std::shared_ptr<const KeyRing> KeyHeader::ring_with_names() const {
  return ring(binds_names_ ? generation_ : with_names(generation_), true);
}

std::shared_ptr<const KeyRing> KeyHeader::ring(const KeyRing::Generation& generation,
                                               bool binds_names) const {
  auto ring = std::make_shared<KeyRing>(store_, generation, binds_names);
  for (const DataKey& key : keys_) ring->add(key.number, key.key.data());
  return ring;
}

/// Takes all that needs no secret.
Error KeyHeader::parse(const char* operation, BytesView header, std::size_t& count) {
  const auto malformed = [&] {
    return Error(Errc::corrupt, operation, "the header of the encryption is malformed");
  };
  const std::byte* const p = header.data();
  if (header.size() < keys_at || std::memcmp(p, magic, sizeof magic) != 0) return malformed();
  std::uint32_t zero = 0;
  std::memcpy(&zero, p + zero_at, sizeof zero);
  derivation_ = static_cast<std::uint8_t>(p[derivation_at]);
  binds_names_ = p[flags_at] == names_flag;
  if (p[version_at] != std::byte{1} || p[cipher_at] != std::byte{1} ||
      (p[flags_at] & ~names_flag) != std::byte{0} || zero != 0 || derivation_ > argon2id) {
    return Error(Errc::unsupported_version, operation,
                 "the store is encrypted in a way that this library does not know");
  }
  count = static_cast<std::size_t>(p[count_at]);
  if (count == 0 || count > KeyRing::most_keys || header.size() != keys_at + count * entry_size) {
    return malformed();
  }
  opslimit_ = big_endian(p + opslimit_at, 8);
  memlimit_ = big_endian(p + memlimit_at, 8);
  std::memcpy(salt_.data(), p + salt_at, salt_.size());
  std::memcpy(store_.data(), p + store_at, store_.size());
  std::memcpy(generation_.data(), p + generation_at, generation_.size());
  return {};
}

/// Before any memory is taken.
Error KeyHeader::check_limits(const char* operation, const EncryptionOptions& options) const {
  if (derivation_ == raw_key) {
    if (opslimit_ == 0 && memlimit_ == 0) return {};
    return Error(Errc::corrupt, operation, "the header of the encryption contradicts itself");
  }
  if (opslimit_ < least_opslimit || memlimit_ < least_memlimit) {
    return Error(Errc::corrupt, operation,
                 fmt::format("the password would be protected by {} passes and {} bytes only",
                             opslimit_, memlimit_));
  }
  if (opslimit_ > options.max_opslimit || memlimit_ > options.max_memlimit ||
      opslimit_ > crypto_pwhash_OPSLIMIT_MAX || memlimit_ > crypto_pwhash_MEMLIMIT_MAX) {
    return Error(Errc::too_large, operation,
                 fmt::format("the file asks for {} passes and {} bytes of memory; at most {} and {} "
                             "are allowed",
                             opslimit_, memlimit_, options.max_opslimit, options.max_memlimit));
  }
  return {};
}

Error KeyHeader::open(const char* operation, BytesView header, const Secret& secret,
                      const EncryptionOptions& options) {
  std::size_t count = 0;
  if (Error error = check_secret(operation, secret); error.failed()) return error;
  if (Error error = parse(operation, header, count); error.failed()) return error;
  if (Error error = check_limits(operation, options); error.failed()) return error;
  if (derivation_for(secret) != derivation_) {
    return Error(Errc::auth_failed, operation,
                 derivation_ == raw_key ? "it is opened with a key, not with a password"
                                        : "it is opened with a password, not with a key");
  }
  if (Error error = derive(operation, secret); error.failed()) return error;
  const std::byte* const p = header.data();
  std::array<unsigned char, check_size> check{};
  compute_check(secret_keys_, p, check.data());
  if (sodium_memcmp(check.data(), raw(p + check_at), check.size()) != 0) {
    return Error(Errc::auth_failed, operation, "");
  }
  keys_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = keys_at + i * entry_size;
    DataKey key{static_cast<std::uint8_t>(p[at]), SecureBytes(KeyRing::key_size)};
    const std::byte* const nonce = p + at + 1;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            key.key.data(), nullptr, nullptr, raw(nonce + nonce_size), KeyRing::key_size + tag_size,
            raw(p), at + 1, raw(nonce), secret_keys_.wrap()) != 0) {
      return Error(Errc::tampered, operation, "the header of the encryption was changed");
    }
    keys_.push_back(std::move(key));
  }
  return {};
}

Error read_key_header(const char* operation, btree::Connection& connection, Bytes& out) {
  Meta meta;
  if (Error error = read_meta(operation, connection, meta); error.failed()) return error;
  out = std::move(meta.key_header).value_or(Bytes());
  return {};
}

Error write_key_header(const char* operation, btree::Connection& connection, BytesView header) {
  const int rc = connection.execute(fmt::format("REPLACE INTO snkv_meta VALUES('{}', {})",
                                                format::key_header, format::blob_literal(header)));
  return rc == SNKV_BT_OK ? Error() : connection.sql_error(operation, rc);
}

}  // namespace snkv::core
