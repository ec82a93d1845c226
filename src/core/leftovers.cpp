/// \file
/// What processes that were killed have left behind, and its removal.
#include "core/unfinished_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace snkv::core {
namespace {

/// What `Search::first_entries` looks at: enough for folders of ordinary size, and less than opening costs.
constexpr std::uint64_t most_entries = 1000;

struct Close {
  void operator()(::DIR* folder) const noexcept { ::closedir(folder); }
};
using Folder = std::unique_ptr<::DIR, Close>;

/// Takes a number from the beginning of `text`; false if there is none.
template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}
bool take(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

/// What the name of an unfinished file says.
struct Name {
  bool is_old = false;   ///< Of an earlier version, which had no locks ...
  bool is_side = false;  ///< ... but for side files, on themselves.
  bool is_secret = false;
  ::uid_t user = 0;
  ::pid_t maker = 0;
};

/// `rest` is what follows the target: ".unfinished-0-12-0", "-vectors-7.unfinished-0-12-0",
/// ".unfinished-0-12-0.secret-journal"; of earlier versions ".tmp-12-0-journal", "-vectors-7.tmp-12-0",
/// ".importing-12-0".
bool parse(std::string_view rest, Name& out) {
  unsigned number = 0;
  if (take(rest, "-vectors-")) {
    if (!take_number(rest, number)) return false;
    out.is_side = true;
  }
  if (!take(rest, ".unfinished-")) {
    out.is_old = take(rest, ".tmp-") || take(rest, ".importing-");
    if (!out.is_old) return false;
  } else if (!take_number(rest, out.user) || !take(rest, "-")) {
    return false;
  }
  if (!take_number(rest, out.maker) || out.maker <= 0 || !take(rest, "-")) return false;
  if (!take_number(rest, number)) return false;
  out.is_secret = !out.is_old && take(rest, ".secret");
  return rest.empty() || rest == "-wal" || rest == "-shm" || rest == "-journal";
}

/// Whether nobody works on a file of an earlier version. This process has none.
bool is_abandoned(const std::string& path, const Name& name) {
  if (!name.is_side) {
    return name.maker == ::getpid() || (::kill(name.maker, 0) != 0 && errno == ESRCH);
  }
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return false;
  const bool locked = ::flock(file, LOCK_EX | LOCK_NB) == 0;
  ::close(file);
  return locked;
}

/// The lock of who clears up.
class ClearingLock {
 public:
  ClearingLock(const std::string& target, ::uid_t user)
      : path_(fmt::format("{}.unfinished-{}", target, user)), user_(user) {}
  ClearingLock(const ClearingLock&) = delete;
  ClearingLock& operator=(const ClearingLock&) = delete;
  ~ClearingLock() {
    if (held_) ::unlink(path_.c_str());
    if (file_ >= 0) ::close(file_);
  }

  /// Takes it if it is there, or `flags` say that it is to be made, and nobody works.
  void take(int flags) noexcept {
    file_ = ::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
    is_free_ = file_ < 0 && errno == ENOENT;
    struct stat own {};
    held_ = file_ >= 0 && ::fstat(file_, &own) == 0 && S_ISREG(own.st_mode) && own.st_size == 0 &&
            own.st_uid == user_ && ::flock(file_, LOCK_EX | LOCK_NB) == 0 && has_name(file_, path_);
  }
  [[nodiscard]] bool held() const noexcept { return held_; }
  /// Whether nobody has even made it: what is there is what a power cut has left of a killed process.
  [[nodiscard]] bool is_free() const noexcept { return is_free_; }

 private:
  std::string path_;
  ::uid_t user_;
  int file_ = -1;
  bool held_ = false;
  bool is_free_ = false;
};

class Clearing {
 public:
  Clearing(const std::string& target, ::uid_t user, Contents contents)
      : target_(target), parent_(folder_of(target)), contents_(contents), user_(user), lock_(target, user) {}

  std::uint64_t run(Search search) {
    lock_.take(0);
    bool orphans = false;
    search_folder(lock_.held() ? Search::everything : search, orphans);
    if (orphans && lock_.is_free()) {
      lock_.take(O_CREAT | O_EXCL);
      search_folder(Search::everything, orphans);
    }
    return removed_;
  }

 private:
  void search_folder(Search search, bool& orphans) {
    if (search == Search::nothing) return;
    const std::string_view start = std::string_view(target_).substr(target_.rfind('/') + 1);
    const Folder folder(::opendir(parent_.c_str()));
    if (folder == nullptr) return;
    for (std::uint64_t seen = 0; search == Search::everything || seen < most_entries; ++seen) {
      const ::dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      Name parsed;
      if (!name.starts_with(start) || !parse(name.substr(start.size()), parsed)) continue;
      if (!parsed.is_old && parsed.user != user_) continue;
      if (!parsed.is_old && !lock_.held()) {
        orphans = true;
        continue;
      }
      remove(parent_ == "." ? std::string(name) : parent_ + std::string(name), parsed);
    }
  }

  void remove(const std::string& path, const Name& name) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
    if (name.is_old && !is_abandoned(path, name)) return;
    if (name.is_old ? contents_ == Contents::secret : name.is_secret) {
      // First safe on the disk: else a power cut could put back what was exchanged.
      if (!is_safe_ && sync_path(parent_, O_RDONLY | O_DIRECTORY) != 0) return;
      is_safe_ = true;
      overwrite_file(path.c_str());
    }
    if (::unlink(path.c_str()) == 0) ++removed_;
  }

  const std::string& target_;
  const std::string parent_;
  const Contents contents_;
  const ::uid_t user_;
  ClearingLock lock_;
  std::uint64_t removed_ = 0;
  bool is_safe_ = false;
};

}  // namespace

void remove_void_journal(const std::string& file) noexcept {
  try {
    const std::string journal = file + "-journal";
    const int opened = ::open(journal.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0) return;
    struct stat info {};
    char first = 0;
    const bool regular = ::fstat(opened, &info) == 0 && S_ISREG(info.st_mode);
    const bool is_void = regular && ::pread(opened, &first, 1, 0) >= 0 && first == 0;
    ::close(opened);
    if (is_void) ::unlink(journal.c_str());
  } catch (const std::bad_alloc&) {
    // Another time.
  }
}

std::uint64_t remove_leftovers(const std::string& target, Contents contents, Search search) noexcept {
  try {
    const ::uid_t user = ::geteuid();
    std::uint64_t removed = Clearing(target, user, contents).run(search);
    struct stat info {};
    if (user == 0 && ::stat(target.c_str(), &info) == 0 && info.st_uid != 0) {
      removed += Clearing(target, info.st_uid, contents).run(search);
    }
    return removed;
  } catch (const std::bad_alloc&) {
    return 0;  // another time
  }
}

}  // namespace snkv::core
