/// \file
/// Files that are being made, until they take the place that they are meant for.
///
/// A file that is to become `target` is `<target>.unfinished-<user>-<process>-<number>`, for its owner only.
/// Whoever makes some holds a shared lock (flock) on the empty file `<target>.unfinished-<user>`, which is
/// there as long as there may be others, and the lock ends with the process. Whoever gets the lock for
/// himself knows that nobody is at work, and that all of them were left behind. It is a file of its own
/// because closing a file drops the locks that the engine has on it.
#pragma once

#include "core/file_system.hpp"

#include <snkv/error.hpp>

#include <sys/stat.h>
#include <sys/types.h>
#include <array>
#include <cstdint>
#include <string>

namespace snkv::core {

/// What the engine keeps beside a database file.
inline constexpr std::array<const char*, 3> sidecars = {"-wal", "-shm", "-journal"};

/// How far is looked for what earlier versions left behind, which had no lock that tells that it is there.
enum class Search : std::uint8_t { nothing, first_entries, everything };

/// What is done with a file that is given up.
enum class Contents : std::uint8_t {
  any,     ///< It is removed.
  secret,  ///< It is overwritten first: it may be the plain text of an encrypted store.
};

/// Says that somebody is at work on files for a target.
class WorkLock {
 public:
  WorkLock() = default;
  WorkLock(const WorkLock&) = delete;
  WorkLock& operator=(const WorkLock&) = delete;
  ~WorkLock() { leave(); }

  /// Takes the lock. `busy`: somebody is clearing up for long.
  [[nodiscard]] Error enter(const char* operation, const std::string& target);
  /// Its file goes away with the last one.
  void leave() noexcept;

 private:
  std::string path_;
  ::pid_t owner_ = 0;
  int file_ = -1;
};

/// A file while it is being made; goes away unless it is published. All names are made before there is a
/// file: later nothing may be thrown, or the file would stay.
class UnfinishedFile {
 public:
  UnfinishedFile() = default;
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  ~UnfinishedFile();

  /// Creates an empty file that is to become `target`, after removing what was left behind there.
  [[nodiscard]] Error create(const char* operation, const std::string& target, const FileAccess& access,
                             Contents contents = Contents::any, Search search = Search::everything);
  /// The same for one of the files beside the target `beside`, with whose other files it is removed.
  [[nodiscard]] Error create_beside(const char* operation, const std::string& beside,
                                    const std::string& target, const FileAccess& access,
                                    Contents contents = Contents::any,
                                    Search search = Search::everything);

  /// Makes it safe on the disk, and gives it its name, which must be free.
  [[nodiscard]] Error publish(const char* operation);
  /// The same in place of the file that has the name, and whose log or journal is gone. On an error the name has what it
  /// had before, but for `io_error`: then it may have the new file, and a power cut may bring the old one back.
  [[nodiscard]] Error replace(const char* operation);
  /// Like `replace`, but the file that had the name becomes this one, which goes away like any
  /// other. `exchanged` is false where the file system cannot do that; then it was replaced.
  [[nodiscard]] Error exchange(const char* operation, bool& exchanged);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  [[nodiscard]] Error settle(const char* operation) const;

  WorkLock work_;
  std::string path_;
  std::array<std::string, sidecars.size()> beside_;
  std::string target_;
  std::string folder_;
  FileAccess access_;
  Contents contents_ = Contents::any;
  ::pid_t maker_ = 0;
  bool exists_ = false;
};

/// Removes what was left behind by who made files for `target`. It is looked for if there is a lock that
/// nobody has; what earlier versions left, in as much of the folder as `search` says, which `contents` is
/// about, too. The number of files. Failures are for the next time.
std::uint64_t remove_leftovers(const std::string& target, Contents contents, Search search) noexcept;

/// Removes a rollback journal that says nothing, as a process leaves it that is killed before it has written
/// the header. The engine would leave it there for ever where a log has taken its place. It must not begin
/// one meanwhile.
void remove_void_journal(const std::string& file) noexcept;

/// Whether an open file is still what has the name.
[[nodiscard]] bool has_name(int file, const std::string& path) noexcept;

/// Overwrites a file that nobody else uses, and syncs it, unless it has another name. Nothing is told: what
/// cannot be overwritten cannot be helped.
void overwrite_file(const char* path) noexcept;
void overwrite_contents(int file) noexcept;

}  // namespace snkv::core
