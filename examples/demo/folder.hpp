/// \file
/// The files of a folder: finding them, and reading one.
#pragma once

#include <snkv/bytes.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// A regular file, as it was when it was found or read.
struct File {
  std::string path;
  std::uint64_t size = 0;
  std::int64_t changed = 0;  ///< time of the last change, in nanoseconds

  friend bool operator<(const File& a, const File& b) { return a.path < b.path; }
};

struct Folder {
  std::vector<File> files;  ///< sorted by path, byte by byte
  std::uint64_t bytes = 0;
  std::uint64_t unreadable = 0;  ///< folders that could not be listed, files of unknown kind
  std::uint64_t too_long = 0;    ///< paths that are no keys
};

/// Every regular file under `root`. Symbolic links are not followed.
[[nodiscard]] Folder list_files(const std::filesystem::path& root);

/// The whole contents of a file, whose size and time go into `file`; false if it cannot be read.
[[nodiscard]] bool read_file(File& file, snkv::Bytes& contents);

/// What the totals are kept by: ".h" for "/usr/include/stdio.h", "(none)" for "/etc/passwd".
[[nodiscard]] std::string extension(const std::string& path);

/// A path as it can be printed: what is not plain ASCII as \xNN.
[[nodiscard]] std::string shown(std::string_view path);

}  // namespace demo
