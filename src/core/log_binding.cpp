/// \file
/// Whether the log or the journal that lies beside a file is that of the file. What does not belong to it is
/// refused before any of it is read as the store's, copied or played back.
#include "core/big_endian.hpp"
#include "core/store_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <chrono>
#include <optional>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace snkv::core {
namespace {

/// Enough for whoever is just beginning or ending to write.
constexpr int looks = 5;
constexpr std::chrono::milliseconds between_looks{10};

/// Whether a failure to look says nothing about what would have been found, and may not come again.
bool passes(int rc) {
  const Errc code = btree::errc_of(rc);
  return rc != SNKV_BT_IOERR_SHORT_READ &&
         (code == Errc::io_error || code == Errc::no_memory || code == Errc::busy || code == Errc::full);
}

Error mismatch(const char* operation, const std::string& file, const std::string& beside) {
  return Error(Errc::log_mismatch, operation,
               fmt::format("{} was not written for {}: one of them was put there since. Store::restore (snkv "
                           "restore) puts a backup in place; without {} the file is opened as it is",
                           beside, file, beside));
}

/// A rollback journal as SQLite writes it (sqlite.org/fileformat2.html, "The Rollback Journal").
class JournalFile {
 public:
  explicit JournalFile(const std::string& path)
      : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {
    struct stat info {};
    if (file_ >= 0 && ::fstat(file_, &info) == 0 && S_ISREG(info.st_mode)) {
      size_ = static_cast<std::uint64_t>(info.st_size);
    }
  }
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;
  ~JournalFile() {
    if (file_ >= 0) ::close(file_);
  }

  /// Whether there is anything that would be played back.
  [[nodiscard]] bool is_hot() const {
    std::array<std::byte, header_size> header{};
    return read(0, header.data(), header.size()) && is_header(header);
  }

  /// The change counter that the first page had before the transaction; nothing if it was not changed.
  [[nodiscard]] std::optional<std::uint32_t> counter() const {
    std::uint64_t at = 0;
    std::array<std::byte, header_size> header{};
    while (read(at, header.data(), header.size()) && is_header(header)) {
      const auto field = [&](std::size_t offset) {
        return static_cast<std::uint32_t>(big_endian(header.data() + offset, 4));
      };
      const std::uint64_t sector = field(20);
      const std::uint64_t page = field(24);
      if (sector < 32 || sector > 65536 || page < 512 || page > 65536) return {};
      at += sector;
      std::uint64_t records = field(8);
      if (records == 0xffffffff) records = at < size_ ? (size_ - at) / (page + 8) : 0;
      for (; records > 0; --records, at += page + 8) {
        std::array<std::byte, 4> number{};
        if (!read(at, number.data(), number.size())) return {};
        if (big_endian(number.data(), 4) == 1) return counter_of(at + 4, page, field(12));
      }
      at = (at + sector - 1) / sector * sector;
    }
    return {};
  }

 private:
  static constexpr std::size_t header_size = 28;

  [[nodiscard]] static bool is_header(const std::array<std::byte, header_size>& header) {
    return big_endian(header.data(), 8) == 0xd9d505f920a163d7;
  }

  /// Of a record whose checksum holds: another is not played back.
  [[nodiscard]] std::optional<std::uint32_t> counter_of(std::uint64_t at, std::uint64_t page,
                                                        std::uint32_t sum) const {
    std::vector<std::byte> bytes(page + 4);
    if (!read(at, bytes.data(), bytes.size())) return {};
    for (std::size_t i = page; i > 200;) {
      i -= 200;
      sum += std::to_integer<std::uint32_t>(bytes[i]);
    }
    if (sum != big_endian(bytes.data() + page, 4)) return {};
    return static_cast<std::uint32_t>(big_endian(bytes.data() + 24, 4));
  }

  [[nodiscard]] bool read(std::uint64_t at, std::byte* out, std::size_t size) const {
    if (at > size_ || size_ - at < size) return false;
    return ::pread(file_, out, size, static_cast<::off_t>(at)) == static_cast<::ssize_t>(size);
  }

  int file_;
  std::uint64_t size_ = 0;
};

}  // namespace

Error StoreState::check_beside(const char* caller, btree::Connection& connection) {
  if (snkv_bt_is_watching(connection.get()) != 0) return {};  // nothing lies there
  if (!log_is_ours_.load() && !in_memory) {
    Error error = options.immutable ? check_immutable(caller) : check_journal(caller, connection);
    if (!error.failed() && !options.immutable) error = check_log(caller, connection);
    if (error.failed()) return error;
  }
  log_is_ours_.store(true);
  snkv_bt_leave_log(connection.get(), 0);
  return {};
}

Error StoreState::check_immutable(const char* caller) const {
  struct stat info {};
  std::string beside = file + "-wal";
  bool has_commits = ::stat(beside.c_str(), &info) == 0 && info.st_size > 0;
  if (!has_commits) {
    beside = file + "-journal";
    has_commits = JournalFile(beside).is_hot();
  }
  if (!has_commits) return {};
  return Error(Errc::invalid_argument, caller,
               fmt::format("immutable reads {} alone, but it is not complete without {}: open the store for "
                           "writing once, or read it without immutable",
                           file, beside));
}

Error StoreState::check_journal(const char* caller, btree::Connection& connection) const {
  const std::string beside = file + "-journal";
  for (int look = 0; look < looks; ++look) {
    // The journal of somebody who is writing is neither played back nor at rest.
    if (snkv_bt_writer_at_work(connection.get()) != 0) return {};
    const std::optional<std::uint32_t> before = JournalFile(beside).counter();
    std::uint32_t now = 0;
    if (!before || snkv_bt_file_counter(connection.get(), &now) != SNKV_BT_OK) return {};
    // The new first page may have reached the file, or not.
    if (now == *before || now == *before + 1) return {};
    std::this_thread::sleep_for(between_looks);
  }
  return mismatch(caller, file, beside);
}

Error StoreState::check_log(const char* caller, btree::Connection& connection) const {
  int fits = 1;
  for (int look = 0; look < looks; ++look) {
    const int rc = snkv_bt_check_log(connection.get(), &fits);
    if (passes(rc)) return btree::engine_error(caller, rc, file);
    // What is wrong with the file itself is for those to judge who read more of it.
    if (rc != SNKV_BT_OK || fits != 0) return {};
    std::this_thread::sleep_for(between_looks);
  }
  return mismatch(caller, file, file + "-wal");
}

}  // namespace snkv::core
