/// \file
/// What lies beside a store and must not outlive its contents.
#pragma once

#include "core/file_system.hpp"

#include <snkv/error.hpp>

#include <dirent.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

namespace snkv::core {

/// Removes the saved indexes of vectors beside `file`, an absolute path. They can be made again.
[[nodiscard]] inline Error remove_side_files(const char* operation, const std::string& file) {
  const std::size_t slash = file.rfind('/');
  const std::string start = file.substr(slash + 1) + "-vectors-";
  struct Close {
    void operator()(::DIR* folder) const noexcept { ::closedir(folder); }
  };
  const std::string name = file.substr(0, slash + 1);
  const std::unique_ptr<::DIR, Close> folder(::opendir(name.c_str()));
  if (folder == nullptr) return system_error(operation, name);
  while (const ::dirent* entry = ::readdir(folder.get())) {
    if (!std::string_view(entry->d_name).starts_with(start)) continue;
    if (::unlinkat(::dirfd(folder.get()), entry->d_name, 0) != 0 && errno != ENOENT) {
      return system_error(operation, name + entry->d_name);
    }
  }
  return {};
}

}  // namespace snkv::core
