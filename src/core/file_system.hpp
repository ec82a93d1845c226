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
