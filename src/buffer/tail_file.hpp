/// \file
/// The file beside a store that says who owns a journal, and has its newest records until they are
/// rows of the store's file.
///
/// `<file>-buffer-<name>`: a header, and records (record.hpp), whose number is that of the header:
///
///     header = "snkvbuf1", store id 16 bytes, family of the journal u32, 0 u32, epoch u64, number
///     u64,
///              boot id's checksum u64, check u64
///
/// Numbers are little-endian. The owner holds a lock (POSIX) on the file, which ends with the
/// process. A new number makes all records that are in it void at once.
#pragma once

#include "buffer/record.hpp"
#include "core/file_system.hpp"

#include <snkv/error.hpp>

#include <sys/types.h>
#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace snkv::buffer {

/// What a file belongs to.
struct TailOwner {
  std::array<std::uint8_t, 16> store{};
  std::uint32_t family = 0;
  std::uint64_t epoch = 0;  ///< that the state row of the journal had when the header was written
};

class TailFile {
 public:
  TailFile() noexcept = default;
  TailFile(const TailFile&) = delete;
  TailFile& operator=(const TailFile&) = delete;
  ~TailFile() { close(); }

  /// Makes the file if need be, and takes the lock: `busy` if another process, or another buffer of
  /// this one, has it.
  [[nodiscard]] Error open(const char* operation, const std::string& path,
                           const core::FileAccess& access);
  [[nodiscard]] bool is_open() const noexcept { return file_ >= 0; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Calls `use(record)` for the records that it has; `log_mismatch` if it has some that are
  /// another journal's, `corrupt` if they are damaged. A last one that is not whole was not
  /// acknowledged; after a power cut
  /// (`cut_short`) that holds for all from the first that is not whole.
  [[nodiscard]] Error read(const char* operation, const TailOwner& owner, bool& cut_short,
                           const std::function<Error(const Record&)>& use);
  /// Forgets all records, and begins anew for this owner.
  [[nodiscard]] Error reset(const char* operation, const TailOwner& owner);

  /// Adds records that were made with `seed()`. If it fails it is as before.
  [[nodiscard]] Error append(const char* operation, BytesView records, bool safe);
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return end_ - header_size; }
  /// Reads `size` bytes of the records.
  [[nodiscard]] Error read_at(const char* operation, std::uint64_t offset, std::byte* out,
                              std::size_t size) const;

  /// Removes the file, and gives the lock back.
  void remove() noexcept;
  /// Gives the lock back. In a forked child it only closes the file.
  void close() noexcept;

  static constexpr std::size_t header_size = 64;

 private:
  [[nodiscard]] Error lock(const char* operation, bool& is_there);
  [[nodiscard]] Error write_header(const char* operation, const TailOwner& owner);

  std::string path_;
  int file_ = -1;
  ::pid_t process_ = 0;
  ::dev_t device_ = 0;
  ::ino_t inode_ = 0;
  std::uint64_t end_ = header_size;
  std::uint64_t number_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace snkv::buffer
