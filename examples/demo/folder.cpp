#include "folder.hpp"

#include <snkv/options.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace demo {
namespace {

namespace fs = std::filesystem;

/// Adds what is directly inside `path`, and puts the folders among it on the list of those to come.
void list_one(const fs::path& path, std::vector<fs::path>& to_come, Folder& out) {
  std::error_code error;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string& name = entry->path().native();
    struct stat info {};
    if (name.size() > snkv::max_key_size) {
      ++out.too_long;
    } else if (::lstat(name.c_str(), &info) != 0) {
      if (errno != ENOENT) ++out.unreadable;  // else it is gone since
    } else if (S_ISDIR(info.st_mode)) {
      to_come.push_back(entry->path());
    } else if (S_ISREG(info.st_mode)) {
      out.files.push_back({name, static_cast<std::uint64_t>(info.st_size), 0});
      out.bytes += out.files.back().size;
    }
  }
  if (error) ++out.unreadable;
}

/// Reads from `descriptor` until its end.
bool read_all(int descriptor, snkv::Bytes& contents, std::size_t expected) {
  std::size_t size = 0;
  contents.resize_for_overwrite(expected + 1);  // one more, to see the end
  for (;;) {
    if (size == contents.size()) contents.resize_for_overwrite(2 * size);
    const ssize_t got = ::read(descriptor, contents.data() + size, contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  contents.resize_for_overwrite(size);
  return true;
}

}  // namespace

Folder list_files(const fs::path& root) {
  Folder out;
  std::vector<fs::path> to_come{root};
  while (!to_come.empty()) {
    const fs::path path = std::move(to_come.back());
    to_come.pop_back();
    list_one(path, to_come, out);
  }
  std::sort(out.files.begin(), out.files.end());
  return out;
}

bool read_file(File& file, snkv::Bytes& contents) {
  const int descriptor = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  struct stat info {};
  bool ok = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
  ok = ok && read_all(descriptor, contents, static_cast<std::size_t>(info.st_size));
  ::close(descriptor);
  if (!ok) return false;
  file.size = contents.size();
  file.changed = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  return true;
}

std::string extension(const std::string& path) {
  const std::string found = fs::path(path).extension().native();
  return found.empty() ? "(none)" : found;
}

std::string shown(std::string_view path) {
  std::string out;
  for (const char c : path) {
    char escaped[8];
    const auto code = static_cast<unsigned char>(c);
    const bool plain = code >= 0x20 && code < 0x7f && c != '\\';
    std::snprintf(escaped, sizeof(escaped), plain ? "%c" : "\\x%02x", code);
    out += escaped;
  }
  return out;
}

}  // namespace demo
