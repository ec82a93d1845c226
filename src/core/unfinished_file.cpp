#include "core/unfinished_file.hpp"

#include "core/store_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

namespace snkv::core {
namespace {

/// rename, but never over something that is there.
int rename_to_free(const std::string& from, const std::string& to) {
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

/// Two files change their names; -1 also where that cannot be done, with ENOSYS or EINVAL.
int exchange_names(const std::string& one, const std::string& other) {
#if defined(__linux__) && defined(RENAME_EXCHANGE)
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
#else
  static_cast<void>(one);
  static_cast<void>(other);
  errno = ENOSYS;
  return -1;
#endif
}

/// The folder of a file that is to change its name. It is opened before: once the name has changed,
/// nothing must fail that would be told as if it had not.
class Folder {
 public:
  explicit Folder(const std::string& path) : path_(path) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    if (file_ >= 0) ::close(file_);
  }
  [[nodiscard]] Error open(const char* operation) {
    file_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file_ >= 0 ? Error() : system_error(operation, path_);
  }
  /// Makes the names in it safe on the disk; `io_error` if that fails, whatever the reason.
  [[nodiscard]] Error sync(const char* operation) const {
    return sync_folder(file_) == 0 ? Error() : system_error(Errc::io_error, operation, path_);
  }

 private:
  const std::string& path_;
  int file_ = -1;
};

/// Cleaning takes long only where much has to be overwritten.
constexpr std::chrono::seconds longest_wait{3};

int lock_shared(int file) noexcept {
  const auto deadline = std::chrono::steady_clock::now() + longest_wait;
  while (::flock(file, LOCK_SH | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return 0;  // there are no locks; then nobody cleans either
    if (std::chrono::steady_clock::now() > deadline) return -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return 0;
}

}  // namespace

// ---- Access ----

FileAccess FileAccess::of(const StoreState& store) noexcept {
  if (store.in_memory) return {.mode = 0644, .by_umask = true};
  return of_file(store.file, {});
}

FileAccess FileAccess::of_file(const std::string& path, const FileAccess& fallback) noexcept {
  struct stat own {};
  if (::stat(path.c_str(), &own) != 0) return fallback;
  return {(own.st_mode & 0777) | 0600, false, own.st_gid, own.st_uid};
}

int FileAccess::give_to(const std::string& path) const noexcept {
  if (by_umask) return 0;
  struct stat now {};
  if (::lstat(path.c_str(), &now) != 0) return -1;
  const bool root = ::geteuid() == 0;
  const bool other_owner = root && owner != static_cast<::uid_t>(-1) && owner != now.st_uid;
  const bool other_group = group != static_cast<::gid_t>(-1) && group != now.st_gid;
  ::mode_t given = mode;
  if ((other_owner || other_group) && ::lchown(path.c_str(), other_owner ? owner : now.st_uid,
                                               other_group ? group : now.st_gid) != 0) {
    given = (mode & 0707) | (mode & 0070 & ((mode & 07) << 3));
  }
  return ::chmod(path.c_str(), given);
}

// ---- The lock ----

bool has_name(int file, const std::string& path) noexcept {
  struct stat own {};
  struct stat found {};
  return ::fstat(file, &own) == 0 && ::lstat(path.c_str(), &found) == 0 &&
         own.st_dev == found.st_dev && own.st_ino == found.st_ino;
}

Error WorkLock::enter(const char* operation, const std::string& target) {
  const ::uid_t user = ::geteuid();
  path_ = fmt::format("{}.unfinished-{}", target, user);
  owner_ = ::getpid();
  // Whoever leaves last removes it, maybe just now.
  for (int attempt = 0; attempt < 100; ++attempt) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (file_ < 0) {
      return system_error(errno == ENOSPC || errno == EDQUOT ? Errc::full : Errc::cant_open,
                          operation, path_);
    }
    struct stat found {};
    const bool known = ::fstat(file_, &found) == 0 && S_ISREG(found.st_mode) &&
                       found.st_size == 0 && found.st_uid == user;
    const bool locked = known && lock_shared(file_) == 0;
    if (locked && has_name(file_, path_)) return {};
    ::close(std::exchange(file_, -1));
    if (!known) {
      return Error(Errc::cant_open, operation,
                   fmt::format("{} is something of somebody else", path_));
    }
    if (!locked) return Error(Errc::busy, operation, fmt::format("{} is being cleared up", path_));
  }
  return Error(Errc::busy, operation, fmt::format("{} is removed again and again", path_));
}

void WorkLock::leave() noexcept {
  if (file_ < 0) return;
  // A forked child shares the lock, and is not at work.
  const bool is_last = owner_ == ::getpid() && ::flock(file_, LOCK_EX | LOCK_NB) == 0;
  if (is_last && has_name(file_, path_)) ::unlink(path_.c_str());
  ::close(std::exchange(file_, -1));
}

// ---- The file ----

UnfinishedFile::~UnfinishedFile() {
  // A forked child has not made it.
  if (!exists_ || maker_ != ::getpid()) return;
  if (contents_ == Contents::secret) overwrite_file(path_.c_str());
  ::unlink(path_.c_str());
  for (const std::string& beside : beside_) ::unlink(beside.c_str());
}

Error UnfinishedFile::create(const char* operation, const std::string& target,
                             const FileAccess& access, Contents contents, Search search) {
  return create_beside(operation, target, target, access, contents, search);
}

Error UnfinishedFile::create_beside(const char* operation, const std::string& beside,
                                    const std::string& target, const FileAccess& access,
                                    Contents contents, Search search) {
  static std::atomic<unsigned> number{0};
  static_cast<void>(remove_leftovers(beside, contents, search));
  target_ = target;
  folder_ = folder_of(target);
  access_ = access;
  contents_ = contents;
  maker_ = ::getpid();
  if (Error error = work_.enter(operation, beside); error.failed()) return error;
  for (;;) {
    path_ = fmt::format("{}.unfinished-{}-{}-{}{}", target, ::geteuid(), maker_,
                        number.fetch_add(1), contents == Contents::secret ? ".secret" : "");
    for (std::size_t i = 0; i < sidecars.size(); ++i) beside_[i] = path_ + sidecars[i];
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            access.by_umask ? access.mode : ::mode_t{0600});
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

Error UnfinishedFile::settle(const char* operation) const {
  return sync_path(path_, O_RDWR) == 0 ? Error() : system_error(operation, path_);
}

// The others are let in at the last moment: whoever is killed before leaves a file for its owner
// only.

Error UnfinishedFile::publish(const char* operation) {
  if (Error error = settle(operation); error.failed()) return error;
  if (access_.give_to(path_) != 0) return system_error(operation, path_);
  Folder folder(folder_);
  if (Error error = folder.open(operation); error.failed()) return error;
  if (rename_to_free(path_, target_) != 0) {
    return errno == EEXIST ? system_error(Errc::exists, operation, target_)
                           : system_error(operation, target_);
  }
  std::swap(path_, target_);  // still to be removed if the folder cannot be synced
  if (Error error = folder.sync(operation); error.failed()) return error;
  exists_ = false;
  return {};
}

Error UnfinishedFile::replace(const char* operation) {
  if (Error error = settle(operation); error.failed()) return error;
  Folder folder(folder_);
  if (Error error = folder.open(operation); error.failed()) return error;
  // Or a power cut could bring back the log, which would then be taken for that of the new file.
  if (Error error = folder.sync(operation); error.failed()) return error;
  if (access_.give_to(path_) != 0) return system_error(operation, path_);
  if (::rename(path_.c_str(), target_.c_str()) != 0) return system_error(operation, target_);
  exists_ = false;
  return folder.sync(operation);
}

Error UnfinishedFile::exchange(const char* operation, bool& exchanged) {
  exchanged = false;
  if (Error error = settle(operation); error.failed()) return error;
  Folder folder(folder_);
  if (Error error = folder.open(operation); error.failed()) return error;
  if (Error error = folder.sync(operation); error.failed()) return error;
  if (access_.give_to(path_) != 0) return system_error(operation, path_);
  if (exchange_names(path_, target_) != 0) {
    if (errno != ENOSYS && errno != EINVAL && errno != ENOTSUP)
      return system_error(operation, target_);
    return replace(operation);
  }
  exchanged = true;
  Error error = folder.sync(operation);
  // A power cut could make it the store again: then it must not have been overwritten.
  if (error.failed()) contents_ = Contents::any;
  return error;
}

// ---- Overwriting ----

void overwrite_contents(int file) noexcept {
  static constexpr std::array<char, 64 * 1024> zeros{};
  struct stat info {};
  if (::fstat(file, &info) != 0) return;
  for (::off_t at = 0; at < info.st_size;) {
    const ::off_t amount = std::min<::off_t>(info.st_size - at, static_cast<::off_t>(zeros.size()));
    const ::ssize_t done = ::pwrite(file, zeros.data(), static_cast<std::size_t>(amount), at);
    if (done <= 0 && errno != EINTR) return;
    at += std::max<::ssize_t>(done, 0);
  }
  static_cast<void>(::fsync(file));
}

void overwrite_file(const char* path) noexcept {
  const int file = ::open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return;
  struct stat info {};
  if (::fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1)
    overwrite_contents(file);
  ::close(file);
}

}  // namespace snkv::core
