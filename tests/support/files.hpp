// Bytes of files on disk: read, write, damage.
//
// Never on a file that a store of this process has open: closing any descriptor of it drops the
// POSIX locks of the whole process. `size_of` only asks the file system and is always safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {

/// Size in bytes; 0 for a file that does not exist.
inline std::uint64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Creates or replaces.
inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

/// Replaces the bytes at `offset`, which must exist.
inline void overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes) {
  if (offset + bytes.size() > size_of(path)) throw std::runtime_error("beyond the end: " + path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot damage " + path);
}

/// Overwrites everything from `from` to the end with 0xa5, in a way no page survives.
inline void scribble(const std::string& path, std::uint64_t from) {
  overwrite(path, from, std::string(size_of(path) - std::min(from, size_of(path)), '\xa5'));
}

inline void truncate_file(const std::string& path, std::uint64_t size) {
  std::filesystem::resize_file(path, size);
}

/// Names in a folder, in order.
inline std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace snkv::test
