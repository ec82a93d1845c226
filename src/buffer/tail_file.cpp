#include "buffer/tail_file.hpp"

#include <snkv/bytes.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

namespace snkv::buffer {
namespace {

constexpr char magic[] = {'s', 'n', 'k', 'v', 'b', 'u', 'f', '1'};

/// The files that buffers of this process own: POSIX locks keep out other processes only.
struct Owned {
  std::mutex mutex;
  std::set<std::pair<::dev_t, ::ino_t>> files;
};
Owned& owned() {
  static Owned all;
  return all;
}

/// Changes with each start of the machine: after one, what was not synced may be missing.
std::uint64_t boot_mark() noexcept {
  static const std::uint64_t mark = [] {
    char id[64];
    const int file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::uint64_t{0};
    const ssize_t size = ::read(file, id, sizeof id);
    ::close(file);
    return size <= 0 ? 0 : checksum(BytesView(id, static_cast<std::size_t>(size)), 0);
  }();
  return mark;
}

struct Header {
  std::byte bytes[TailFile::header_size]{};

  void put(std::size_t at, const void* from, std::size_t size) {
    std::memcpy(bytes + at, from, size);
  }
  void put_number(std::size_t at, std::uint64_t value) {
    for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
  [[nodiscard]] std::uint64_t number(std::size_t at) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i)
      value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
    return value;
  }
  [[nodiscard]] std::uint64_t check() const { return checksum(BytesView(bytes, 56), 0); }
  [[nodiscard]] bool is_one() const {
    return std::memcmp(bytes, magic, sizeof magic) == 0 && number(56) == check();
  }
};
constexpr std::size_t at_store = 8;
constexpr std::size_t at_family = 24;
constexpr std::size_t at_epoch = 32;
constexpr std::size_t at_number = 40;
constexpr std::size_t at_boot = 48;
constexpr std::size_t at_check = 56;

/// The number of a header, in the form that goes into the checks of its records.
std::uint64_t seed_of(std::uint64_t number, std::uint64_t epoch) noexcept {
  return (number + 1) * 0xd6e8feb86659fd93 ^ epoch;
}

int write_all(int file, const std::byte* bytes, std::size_t size, std::uint64_t offset) noexcept {
  while (size > 0) {
    const ssize_t written = ::pwrite(file, bytes, size, static_cast<::off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      if (written == 0) errno = ENOSPC;
      return -1;
    }
    bytes += written;
    offset += static_cast<std::uint64_t>(written);
    size -= static_cast<std::size_t>(written);
  }
  return 0;
}

}  // namespace

Error TailFile::open(const char* operation, const std::string& path,
                     const core::FileAccess& access) {
  path_ = path;
  process_ = ::getpid();
  for (;;) {
    // Where the file is owned by this process already, it must not even be closed: that would drop
    // the lock.
    struct ::stat info {};
    const bool exists = ::stat(path.c_str(), &info) == 0;
    Owned& all = owned();
    const std::lock_guard guard(all.mutex);
    if (exists && all.files.contains({info.st_dev, info.st_ino})) {
      return Error(Errc::busy, operation,
                   fmt::format("{}: another write buffer of this process has it", path));
    }
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file_ < 0) return core::system_error(operation, path);
    bool is_there = false;
    if (Error error = lock(operation, is_there); error.failed()) {
      ::close(std::exchange(file_, -1));
      return error;
    }
    if (!is_there) {  // its last owner removed it meanwhile
      ::close(std::exchange(file_, -1));
      continue;
    }
    all.files.insert({device_, inode_});
    break;
  }
  struct ::stat info {};
  if (::fstat(file_, &info) != 0 || (info.st_size == 0 && access.give_to(path) != 0)) {
    Error error = core::system_error(operation, path);
    close();
    return error;
  }
  end_ = std::max<std::uint64_t>(static_cast<std::uint64_t>(info.st_size), header_size);
  return {};
}

/// `is_there` tells whether the locked file still has its name.
Error TailFile::lock(const char* operation, bool& is_there) {
  struct ::flock wanted {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  if (::fcntl(file_, F_SETLK, &wanted) != 0) {
    if (errno != EACCES && errno != EAGAIN) return core::system_error(operation, path_);
    return Error(Errc::busy, operation,
                 fmt::format("{}: the write buffer of another process has it", path_));
  }
  struct ::stat mine {};
  struct ::stat named {};
  if (::fstat(file_, &mine) != 0) return core::system_error(operation, path_);
  is_there = ::stat(path_.c_str(), &named) == 0 && mine.st_dev == named.st_dev &&
             mine.st_ino == named.st_ino;
  device_ = mine.st_dev;
  inode_ = mine.st_ino;
  return {};
}

Error TailFile::read(const char* operation, const TailOwner& owner, bool& cut_short,
                     const std::function<Error(const Record&)>& use) {
  cut_short = false;
  struct ::stat info {};
  if (::fstat(file_, &info) != 0) return core::system_error(operation, path_);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size <= header_size) return {};
  Header header;
  end_ = size;
  if (Error error = read_at(operation, 0 - std::uint64_t{header_size}, header.bytes, header_size);
      error.failed()) {
    return error;
  }
  if (!header.is_one()) {
    return Error(Errc::corrupt, operation,
                 fmt::format("{}: the header of the journal is damaged", path_));
  }
  const bool same_store =
      std::memcmp(header.bytes + at_store, owner.store.data(), owner.store.size()) == 0;
  if (!same_store || (header.number(at_family) & 0xffffffff) != owner.family ||
      header.number(at_epoch) != owner.epoch) {
    return Error(
        Errc::log_mismatch, operation,
        fmt::format(
            "{}: it has writes that belong to another store, or to another state of this one; "
            "remove the file to give them up",
            path_));
  }
  const bool same_boot = boot_mark() != 0 && header.number(at_boot) == boot_mark();
  const std::uint64_t seed = seed_of(header.number(at_number), owner.epoch);
  // In pieces: there may be as much of it as a memtable holds.
  Bytes piece;
  std::uint64_t offset = 0;
  std::size_t wanted = 1u << 20;
  while (offset < bytes()) {
    const auto have = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, bytes() - offset));
    const bool is_last = offset + have == bytes();
    piece.resize_for_overwrite(have);
    if (Error error = read_at(operation, offset, piece.data(), have); error.failed()) return error;
    BytesView rest(piece.data(), have);
    Take taken = Take::ok;
    Record record;
    while ((taken = take_record(rest, seed, record)) == Take::ok) {
      if (Error error = use(record); error.failed()) return error;
      offset += record.all.size();
    }
    if (taken == Take::incomplete && !is_last) {
      if (rest.size() == have) wanted *= 2;
      continue;
    }
    if (taken == Take::incomplete && rest.empty()) break;
    if (taken == Take::damaged && same_boot) {
      return Error(Errc::corrupt, operation,
                   fmt::format("{}: the record at {} of the journal is damaged", path_,
                               offset + header_size));
    }
    cut_short = taken == Take::damaged;
    break;
  }
  return {};
}

Error TailFile::write_header(const char* operation, const TailOwner& owner) {
  Header header;
  header.put(0, magic, sizeof magic);
  header.put(at_store, owner.store.data(), owner.store.size());
  header.put_number(at_family, owner.family);
  header.put_number(at_epoch, owner.epoch);
  header.put_number(at_number, number_);
  header.put_number(at_boot, boot_mark());
  header.put_number(at_check, header.check());
  if (write_all(file_, header.bytes, header_size, 0) != 0)
    return core::system_error(operation, path_);
  seed_ = seed_of(number_, owner.epoch);
  return {};
}

Error TailFile::reset(const char* operation, const TailOwner& owner) {
  if (::ftruncate(file_, static_cast<::off_t>(header_size)) != 0)
    return core::system_error(operation, path_);
  end_ = header_size;
  ++number_;
  return write_header(operation, owner);
}

Error TailFile::append(const char* operation, BytesView records, bool safe) {
  if (write_all(file_, records.data(), records.size(), end_) != 0 ||
      (safe && ::fdatasync(file_) != 0)) {
    Error error = core::system_error(operation, path_);
    // What there is of it must not be taken for a record later.
    if (::ftruncate(file_, static_cast<::off_t>(end_)) != 0)
      return core::system_error(operation, path_);
    return error;
  }
  end_ += records.size();
  return {};
}

Error TailFile::read_at(const char* operation, std::uint64_t offset, std::byte* out,
                        std::size_t size) const {
  offset += header_size;
  while (size > 0) {
    const ssize_t got = ::pread(file_, out, size, static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::system_error(operation, path_);
    if (got == 0)
      return Error(Errc::io_error, operation, fmt::format("{}: the file was cut short", path_));
    out += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

void TailFile::remove() noexcept {
  if (file_ >= 0 && process_ == ::getpid()) ::unlink(path_.c_str());
  close();
}

void TailFile::close() noexcept {
  if (file_ < 0) return;
  if (process_ == ::getpid()) {
    Owned& all = owned();
    const std::lock_guard guard(all.mutex);
    all.files.erase({device_, inode_});
    ::close(file_);
  } else {
    ::close(file_);
  }
  file_ = -1;
}

}  // namespace snkv::buffer
