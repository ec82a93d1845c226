/// \file
/// A database file that is made beside the place where it will be.
#pragma once

#include "core/file_system.hpp"

#include <snkv/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

namespace snkv::core {

/// What the engine keeps beside a database file.
inline constexpr std::array<const char*, 3> sidecars = {"-wal", "-shm", "-journal"};

/// rename, but never over something that is there.
inline int rename_to_free(const std::string& from, const std::string& to) {
#if defined(__linux__) && defined(RENAME_NOREPLACE)
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != ENOSYS && errno != EINVAL) return -1;
#endif
  struct stat found {};
  if (::lstat(to.c_str(), &found) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::rename(from.c_str(), to.c_str());
}

/// The copy while it is being made, under a name of its own; goes away unless it is published. All names
/// are made before there is a file: later nothing may be thrown, or the file would stay.
class UnfinishedFile {
 public:
  UnfinishedFile() = default;
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  ~UnfinishedFile() {
    if (!exists_) return;
    ::unlink(path_.c_str());
    for (const std::string& beside : beside_) ::unlink(beside.c_str());
  }

  /// Creates an empty file beside `target`.
  [[nodiscard]] Error create(const char* operation, const std::string& target, ::mode_t mode) {
    static std::atomic<unsigned> number{0};
    target_ = target;
    folder_ = target.substr(0, target.rfind('/') + 1);
    for (;;) {
      path_ = fmt::format("{}.tmp-{}-{}", target, ::getpid(), number.fetch_add(1));
      for (std::size_t i = 0; i < sidecars.size(); ++i) beside_[i] = path_ + sidecars[i];
      const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (file >= 0) {
        exists_ = true;
        ::close(file);
        return {};
      }
      if (errno == EEXIST) continue;  // left behind by a process that had our number and was killed
      return system_error(errno == ENOSPC || errno == EDQUOT ? Errc::full : Errc::cant_open,
                          operation, path_);
    }
  }

  /// Makes it safe on the disk, and gives it its name, which must be free.
  [[nodiscard]] Error publish(const char* operation) {
    if (sync_path(path_, O_RDWR) != 0) {
      return system_error(operation, path_);
    }
    if (rename_to_free(path_, target_) != 0) {
      return errno == EEXIST ? system_error(Errc::exists, operation, target_)
                             : system_error(operation, target_);
    }
    std::swap(path_, target_);  // still to be removed if the folder cannot be synced
    if (sync_path(folder_, O_RDONLY | O_DIRECTORY) != 0) {
      return system_error(operation, path_);
    }
    exists_ = false;
    return {};
  }

  /// The same in place of the file that has the name, and whose log or journal is gone.
  [[nodiscard]] Error replace(const char* operation) {
    if (sync_path(path_, O_RDWR) != 0) return system_error(operation, path_);
    // Or a power cut could bring back the log, which would then be taken for that of the new file.
    if (sync_path(folder_, O_RDONLY | O_DIRECTORY) != 0) return system_error(operation, folder_);
    if (::rename(path_.c_str(), target_.c_str()) != 0) return system_error(operation, target_);
    exists_ = false;
    if (sync_path(folder_, O_RDONLY | O_DIRECTORY) != 0) return system_error(operation, folder_);
    return {};
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  std::array<std::string, sidecars.size()> beside_;
  std::string target_;
  std::string folder_;
  bool exists_ = false;
};

}  // namespace snkv::core
