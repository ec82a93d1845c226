/// \file
/// Files that are made beside a store.
#pragma once

#include "btree/bt.h"
#include "core/system_error.hpp"

#include <snkv/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace snkv::core {

class StoreState;

/// What `errno` says about a file.
[[nodiscard]] inline Error system_error(Errc code, const char* operation, const std::string& path) {
  return Error(code, operation, fmt::format("{}: {}", path, std::strerror(errno)));
}
[[nodiscard]] inline Error system_error(const char* operation, const std::string& path) {
  return system_error(errc_of_errno(errno), operation, path);
}

/// Who may use a file that is made.
struct FileAccess {
  ::mode_t mode = 0600;
  /// `mode` is what the user's umask is taken from; the rest does not count.
  bool by_umask = false;
  ::gid_t group = static_cast<::gid_t>(-1);
  ::uid_t owner = static_cast<::uid_t>(-1);

  /// As the store's own file, so that what is made of a private file is private. The owner, too, where the
  /// process may give files away: else root would take a store from its user.
  [[nodiscard]] static FileAccess of(const StoreState& store) noexcept;
  /// As a file that is there; `fallback` if there is none.
  [[nodiscard]] static FileAccess of_file(const std::string& path, const FileAccess& fallback) noexcept;
  /// Gives it to a file; 0, or -1 and errno. Where it cannot get the group, it is open to the group that
  /// it has no more than to anybody.
  [[nodiscard]] int give_to(const std::string& path) const noexcept;
};

/// With the slash, if there is one; never empty.
[[nodiscard]] inline std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// Refuses a path that the engine cannot open, and a name with which a store could not make its journal:
/// before there is a file. `given` is for the message, `file` where it leads.
[[nodiscard]] inline Error check_length(const char* operation, const std::string& given,
                                        const std::string& file, bool for_writing) {
  if (file.empty()) {
    return Error(Errc::cant_open, operation, fmt::format("{}: where it leads cannot be found out", given));
  }
  if (file.size() > snkv_bt_max_path()) {
    return Error(Errc::cant_open, operation,
                 fmt::format("{}: the path is too long: with links followed it has {} bytes, at most {} "
                             "are possible",
                             given, file.size(), snkv_bt_max_path()));
  }
  if (!for_writing) return {};
  constexpr std::string_view longest_suffix = "-journal";
  const std::size_t slash = file.rfind('/');
  const std::size_t needed = file.size() - (slash + 1) + longest_suffix.size();
  const long most = ::pathconf(file.substr(0, slash + 1).c_str(), _PC_NAME_MAX);
  if (most < 0 || needed <= static_cast<std::size_t>(most)) return {};
  return Error(Errc::cant_open, operation,
               fmt::format("{}: the name is too long: a store needs files with \"{}\" behind its name, "
                           "which would have {} bytes, and the folder allows {}",
                           given, longest_suffix, needed, most));
}

/// fsync of an open folder; 0, or -1 and errno. Not every file system can do that.
[[nodiscard]] inline int sync_folder(int folder) noexcept {
  if (::fsync(folder) == 0 || errno == EINVAL || errno == ENOTSUP) return 0;
  return -1;
}

/// fsync by name; 0, or -1 and errno.
[[nodiscard]] inline int sync_path(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return -1;
  const int rc = (flags & O_DIRECTORY) != 0 ? sync_folder(file) : ::fsync(file);
  const int reason = errno;
  ::close(file);
  errno = reason;
  return rc;
}

}  // namespace snkv::core
