#include "core/side_file.hpp"

#include "core/file_system.hpp"
#include "core/run.hpp"
#include "core/sodium.hpp"
#include "core/store_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

static_assert(std::endian::native == std::endian::little, "side files are little-endian");

struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t sealing;
  std::uint32_t chunk_size;
  std::uint32_t zero;
  SideSeal::Id id;
  std::array<unsigned char, 32> checksum;
};
static_assert(sizeof(Header) == 72);

constexpr std::array<char, 8> magic = {'s', 'n', 'k', 'v', 's', 'i', 'd', 'e'};
constexpr std::uint32_t version = 2;
/// A chunk is still in the cache when its tag is computed.
constexpr std::uint32_t chunk_size = 256 * 1024;
constexpr std::uint64_t whole_chunk = chunk_size + SideSeal::tag_size;

std::array<unsigned char, 32> checksum_of(const Header& header) noexcept {
  std::array<unsigned char, 32> out{};
  crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(&header),
                     offsetof(Header, checksum), nullptr, 0);
  return out;
}

/// Tags are checksums: they tell damage, not forgery. Poly1305 misses a difference with a probability of
/// 8 ceil(L/16) / 2^106 for L bytes (Bernstein, "The Poly1305-AES message-authentication code", theorem 3.3),
/// and is several times as fast as a hash.
class ChecksumSeal final : public SideSeal {
 public:
  [[nodiscard]] std::uint32_t number() const noexcept override { return 0; }
  void seal(const Id& id, Place place, std::byte* content, std::size_t size,
            std::byte* tag) const noexcept override {
    struct {
      Id id;
      Place place;
    } const where{id, place};
    std::array<unsigned char, crypto_onetimeauth_KEYBYTES> key{};
    crypto_generichash(key.data(), key.size(), reinterpret_cast<const unsigned char*>(&where), sizeof where,
                       nullptr, 0);
    crypto_onetimeauth(raw(tag), raw(content), size, key.data());
  }
  [[nodiscard]] bool open(const Id& id, Place place, std::byte* content, std::size_t size,
                          const std::byte* tag) const noexcept override {
    std::array<std::byte, tag_size> right{};
    seal(id, place, content, size, right.data());
    return std::memcmp(right.data(), tag, tag_size) == 0;
  }
};
static_assert(crypto_onetimeauth_BYTES == SideSeal::tag_size);
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SideSeal::tag_size);

/// In an encrypted store: the content is sealed with a key of the file's own, made of its id. So the place
/// of a chunk can be its nonce, because no id is used twice.
class EncryptedSeal final : public SideSeal {
 public:
  explicit EncryptedSeal(std::shared_ptr<const KeyRing> keys) noexcept : keys_(std::move(keys)) {}

  [[nodiscard]] std::uint32_t number() const noexcept override { return 1; }
  void seal(const Id& id, Place place, std::byte* content, std::size_t size,
            std::byte* tag) const noexcept override {
    const FileKey key(*keys_, id);
    const Nonce nonce = nonce_of(place);
    auto* const text = raw(content);
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        text, raw(tag), nullptr, text, size, nullptr, 0, nullptr,
        nonce.data(), key.bytes.data());
  }
  [[nodiscard]] bool open(const Id& id, Place place, std::byte* content, std::size_t size,
                          const std::byte* tag) const noexcept override {
    const FileKey key(*keys_, id);
    const Nonce nonce = nonce_of(place);
    auto* const text = raw(content);
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
               text, nullptr, text, size, raw(tag), nullptr, 0, nonce.data(),
               key.bytes.data()) == 0;
  }

 private:
  using Nonce = std::array<unsigned char, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES>;
  struct FileKey {
    std::array<unsigned char, KeyRing::key_size> bytes{};
    FileKey(const KeyRing& keys, const Id& id) noexcept {
      crypto_generichash(bytes.data(), bytes.size(), id.data(), id.size(), keys.side_key(),
                         KeyRing::key_size);
    }
    FileKey(const FileKey&) = delete;
    FileKey& operator=(const FileKey&) = delete;
    ~FileKey() { sodium_memzero(bytes.data(), bytes.size()); }
  };
  static Nonce nonce_of(Place place) noexcept {
    Nonce nonce{};
    std::memcpy(nonce.data(), &place.chunk, sizeof place.chunk);
    std::memcpy(nonce.data() + sizeof place.chunk, &place.is_last, sizeof place.is_last);
    return nonce;
  }

  std::shared_ptr<const KeyRing> keys_;
};

Error damaged(const std::string& path, const char* why) {
  return Error(Errc::corrupt, "open_side_file", fmt::format("{} {}", path, why));
}

/// The path of a side file, for stores that can have one.
Error side_path(const char* operation, const StoreState& store, std::string_view suffix,
                std::string& out) {
  if (store.in_memory) {
    return Error(Errc::invalid_argument, operation, "a store in memory has no side files");
  }
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  // None of the engine's own.
  if (!suffix.starts_with("-vectors-") || !std::all_of(suffix.begin(), suffix.end(), fits)) {
    return Error(Errc::invalid_argument, operation, "no name of a side file");
  }
  out = store.file;
  out += suffix;
  return {};
}

}  // namespace

std::unique_ptr<const SideSeal> make_side_seal(const StoreState& store) {
  if (store.cipher != nullptr) return std::make_unique<EncryptedSeal>(store.cipher->latest());
  return std::make_unique<ChecksumSeal>();
}

// ---- Writing ----

NewSideFile::~NewSideFile() {
  if (file_ >= 0) ::close(file_);
}

Error NewSideFile::create(const StoreState& store, std::string path) {
  if (!sodium_ready()) return Error(Errc::io_error, "side_file", "no source of random bytes");
  seal_ = make_side_seal(store);
  Error error = unfinished_.create_beside("side_file", store.file, path, FileAccess::of(store));
  if (error.failed()) return error;
  file_ = ::open(unfinished_.path().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (file_ < 0) return system_error("side_file", unfinished_.path());
  randombytes_buf(id_.data(), id_.size());
  Header header{magic, version, seal_->number(), core::chunk_size, 0, id_, {}};
  header.checksum = checksum_of(header);
  SideFileWriter::chunk_size = core::chunk_size;
  return write_at(0, {{{&header, sizeof header}, {nullptr, 0}}});
}

Error NewSideFile::write(std::uint64_t chunk, std::byte* content, std::size_t size, bool is_last) const {
  std::array<std::byte, SideSeal::tag_size> tag{};
  seal_->seal(id_, {chunk, is_last ? 1u : 0u}, content, size, tag.data());
  return write_at(sizeof(Header) + chunk * whole_chunk, {{{content, size}, {tag.data(), tag.size()}}});
}

Error NewSideFile::write_at(std::uint64_t offset, std::array<::iovec, 2> parts) const {
  while (parts[0].iov_len + parts[1].iov_len != 0) {
    const ::ssize_t done =
        ::pwritev(file_, parts.data(), static_cast<int>(parts.size()), static_cast<::off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("side_file", unfinished_.path());
    offset += static_cast<std::uint64_t>(done);
    auto left = static_cast<std::size_t>(done);
    for (::iovec& part : parts) {
      const std::size_t written = std::min(left, part.iov_len);
      part.iov_base = static_cast<std::byte*>(part.iov_base) + written;
      part.iov_len -= written;
      left -= written;
    }
  }
  return {};
}

Error NewSideFile::finish() {
  return ::fsync(file_) == 0 ? Error() : system_error("side_file", unfinished_.path());
}

Error NewSideFile::publish() { return unfinished_.replace("side_file"); }

// ---- Reading ----

OpenSideFile::~OpenSideFile() {
  if (file_ >= 0) ::close(file_);
}

Error OpenSideFile::open(const StoreState& store, std::string path) {
  if (!sodium_ready()) return Error(Errc::io_error, "side_file", "no source of random bytes");
  path_ = std::move(path);
  // Only a regular file, and no link to one: it is neither waited for nor followed.
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file_ < 0) {
    if (errno == ELOOP || errno == ENXIO) return damaged(path_, "is no regular file");
    return errno == ENOENT ? Error(Errc::not_found, "side_file", path_)
                           : system_error("side_file", path_);
  }
  struct stat found {};
  if (::fstat(file_, &found) != 0) return system_error("side_file", path_);
  Header header{};
  const auto length = static_cast<std::uint64_t>(found.st_size);
  if (!S_ISREG(found.st_mode) || length < sizeof header + SideSeal::tag_size ||
      ::pread(file_, &header, sizeof header, 0) != static_cast<::ssize_t>(sizeof header) ||
      header.magic != magic) {
    return damaged(path_, "is no side file");
  }
  if (header.version != version) {
    return Error(Errc::unsupported_version, "side_file", path_);
  }
  seal_ = make_side_seal(store);
  if (header.checksum != checksum_of(header) || header.sealing != seal_->number() ||
      header.zero != 0 || header.chunk_size != core::chunk_size) {
    return damaged(path_, "has a damaged header");
  }
  id_ = header.id;
  const std::uint64_t body = length - sizeof header;
  chunks = (body + whole_chunk - 1) / whole_chunk;
  if (body - (chunks - 1) * whole_chunk < SideSeal::tag_size) return damaged(path_, "ends too early");
  size = body - chunks * SideSeal::tag_size;
  SideFileReader::chunk_size = core::chunk_size;
  return {};
}

Error OpenSideFile::read(std::uint64_t first, std::uint64_t count, std::byte* out) const {
  if (first > chunks || count > chunks - first) {
    return Error(Errc::invalid_argument, "side_file", "beyond the end");
  }
  for (std::uint64_t chunk = first; chunk < first + count; ++chunk) {
    const bool is_last = chunk + 1 == chunks;
    const auto part =
        static_cast<std::size_t>(is_last ? size - chunk * core::chunk_size : core::chunk_size);
    std::array<std::byte, SideSeal::tag_size> tag{};
    std::array<::iovec, 2> parts{{{out, part}, {tag.data(), tag.size()}}};
    const auto at = static_cast<::off_t>(sizeof(Header) + chunk * whole_chunk);
    ::ssize_t got = 0;
    do {
      got = ::preadv(file_, parts.data(), static_cast<int>(parts.size()), at);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return system_error("side_file", path_);
    if (got != static_cast<::ssize_t>(part + tag.size())) return damaged(path_, "ends too early");
    if (!seal_->open(id_, {chunk, is_last ? 1u : 0u}, out, part, tag.data())) {
      return damaged(path_, "is damaged");
    }
    out += part;
  }
  return {};
}

// ---- The door ----

Error open_side_writer(const Target& target, std::string_view suffix, SideFileWriter*& out) {
  return guarded("side_file", target, [&]() -> Error {
    const StoreState& store = *target.store;
    if (Error error = store.check("side_file"); error.failed()) return error;
    std::string path;
    Error error = side_path("side_file", store, suffix, path);
    if (error.failed()) return error;
    if (store.options.read_only) return Error(Errc::read_only, "side_file", path);
    auto made = std::make_unique<NewSideFile>();
    if (error = made->create(store, std::move(path)); error.failed()) return error;
    out = made.release();
    return {};
  });
}

Error side_write(const SideFileWriter* writer, std::uint64_t chunk, std::byte* content, std::size_t size,
                 bool is_last) {
  return static_cast<const NewSideFile*>(writer)->write(chunk, content, size, is_last);
}
Error side_finish(SideFileWriter* writer) { return static_cast<NewSideFile*>(writer)->finish(); }
Error side_publish(SideFileWriter* writer) { return static_cast<NewSideFile*>(writer)->publish(); }
void close_side_writer(SideFileWriter* writer) noexcept { delete static_cast<NewSideFile*>(writer); }

Error open_side_reader(const Target& target, std::string_view suffix, SideFileReader*& out) {
  return guarded("side_file", target, [&]() -> Error {
    const StoreState& store = *target.store;
    if (Error error = store.check("side_file"); error.failed()) return error;
    std::string path;
    Error error = side_path("side_file", store, suffix, path);
    if (error.failed()) return error;
    auto made = std::make_unique<OpenSideFile>();
    if (error = made->open(store, std::move(path)); error.failed()) return error;
    out = made.release();
    return {};
  });
}

Error side_read(const SideFileReader* reader, std::uint64_t first, std::uint64_t count,
                std::byte* out) {
  return static_cast<const OpenSideFile*>(reader)->read(first, count, out);
}
void close_side_reader(SideFileReader* reader) noexcept {
  delete static_cast<OpenSideFile*>(reader);
}

Error remove_side_file(const Target& target, std::string_view suffix) {
  return guarded("side_file", target, [&]() -> Error {
    std::string path;
    if (Error error = target.store->check("side_file"); error.failed()) return error;
    Error error = side_path("side_file", *target.store, suffix, path);
    if (error.failed()) return error;
    if (target.store->options.read_only) return Error(Errc::read_only, "side_file", path);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("side_file", path);
    return {};
  });
}

}  // namespace snkv::core
