/// \file
/// What a failed call to the system means to the caller.
#pragma once

#include <snkv/error.hpp>

#include <cerrno>

namespace snkv::core {

inline Errc errc_of_errno(int number) noexcept {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      return Errc::full;
    case ENOMEM:
      return Errc::no_memory;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE:
    case ETXTBSY:
      return Errc::cant_open;
    default:
      return Errc::io_error;
  }
}

}  // namespace snkv::core
