// SmallDisk: a file system that can be filled up. Needs the right to mount one: run the test with
// tests/api/with_mounts.sh.
#pragma once

#include "support/files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace snkv::test {

class SmallDisk {
 public:
  /// A folder at `path`; `size` as mount takes it: "4m".
  SmallDisk(std::string path, const char* size) : path_(std::move(path)) {
    std::filesystem::create_directory(path_);
    const std::string data = std::string("size=") + size;
    if (::mount("tmpfs", path_.c_str(), "tmpfs", 0, data.c_str()) != 0) {
      throw std::runtime_error(std::string("cannot mount a tmpfs: ") + std::strerror(errno));
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    ::umount2(path_.c_str(), MNT_DETACH);
    ::rmdir(path_.c_str());
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

  [[nodiscard]] std::uint64_t free_bytes() const {
    struct statvfs info {};
    if (::statvfs(path_.c_str(), &info) != 0) throw std::runtime_error("statvfs " + path_);
    return std::uint64_t{info.f_bavail} * info.f_bsize;
  }

  /// Takes all but `leave` bytes, which are rounded up to pages of the system.
  void fill_up(std::uint64_t leave = 0) {
    const int ballast = ::open(file(ballast_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ballast < 0) throw std::runtime_error("cannot make the ballast");
    std::error_code none;
    const std::uint64_t free = free_bytes() + std::filesystem::file_size(file(ballast_name), none);
    const std::uint64_t wanted = free > leave ? free - leave : 0;
    const int rc =
        wanted == 0 ? 0 : ::posix_fallocate(ballast, 0, static_cast<::off_t>(wanted / 4096 * 4096));
    ::close(ballast);
    if (rc != 0) throw std::runtime_error(std::string("the ballast: ") + std::strerror(rc));
  }
  /// Gives back what `fill_up` took.
  void free_space() { std::filesystem::remove(file(ballast_name)); }

  /// The names of the files, sorted, without the ballast.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names = files_in(path_);
    std::erase(names, ballast_name);
    return names;
  }

 private:
  static constexpr const char* ballast_name = "ballast";
  std::string path_;
};

}  // namespace snkv::test
