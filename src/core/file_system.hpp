/// \file
/// Files that are made beside a store.
#pragma once

#include "core/store_state.hpp"
#include "core/system_error.hpp"

#include <snkv/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace snkv::core {

/// What `errno` says about a file.
[[nodiscard]] inline Error system_error(Errc code, const char* operation, const std::string& path) {
  return Error(code, operation, fmt::format("{}: {}", path, std::strerror(errno)));
}
[[nodiscard]] inline Error system_error(const char* operation, const std::string& path) {
  return system_error(errc_of_errno(errno), operation, path);
}

/// As the store's own, so that what is made of a private file is private.
[[nodiscard]] inline ::mode_t mode_beside(const StoreState& store) {
  struct stat own {};
  if (store.in_memory || ::stat(store.path.c_str(), &own) != 0) return 0644;
  return (own.st_mode & 0777) | 0600;
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

/// fsync by name; 0, or -1 and errno.
[[nodiscard]] inline int sync_path(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return -1;
  int rc = ::fsync(file);
  // Not every file system can sync a folder.
  if (rc != 0 && (flags & O_DIRECTORY) != 0 && (errno == EINVAL || errno == ENOTSUP)) rc = 0;
  const int reason = errno;
  ::close(file);
  errno = reason;
  return rc;
}

}  // namespace snkv::core
