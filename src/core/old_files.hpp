/// \file
/// What lies beside a store and must not outlive its contents.
#pragma once

#include "core/unfinished_file.hpp"

#include <snkv/error.hpp>

#include <dirent.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

namespace snkv::core {

/// Removes the saved indexes of vectors beside a file. They can be made again. `secret`: what they have may be
/// in clear, and shall not be found on the disk.
[[nodiscard]] inline Error remove_side_files(const char* operation, const std::string& file, Contents contents) {
  const std::string start = file.substr(file.rfind('/') + 1) + "-vectors-";
  const auto is_ours = [&](std::string_view name) {
    return name.starts_with(start) && name.size() > start.size() &&
           name.find_first_not_of("0123456789", start.size()) == name.npos;
  };
  struct Close {
    void operator()(::DIR* folder) const noexcept { ::closedir(folder); }
  };
  const std::string name = folder_of(file);
  const std::unique_ptr<::DIR, Close> folder(::opendir(name.c_str()));
  if (folder == nullptr) return system_error(operation, name);
  while (const ::dirent* entry = ::readdir(folder.get())) {
    if (!is_ours(entry->d_name)) continue;
    const std::string side = name == "." ? std::string(entry->d_name) : name + entry->d_name;
    if (contents == Contents::secret) overwrite_file(side.c_str());
    if (::unlink(side.c_str()) != 0 && errno != ENOENT) return system_error(operation, side);
  }
  return {};
}

}  // namespace snkv::core
