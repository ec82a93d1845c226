// TempDir: a folder of its own for one test, gone at the end of the scope.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace snkv::test {

/// Under $TMPDIR or /tmp. The name has the process id, so that what a killed run left behind can be
/// told from what a running one needs.
class TempDir {
 public:
  TempDir() {
    const char* base = std::getenv("TMPDIR");
    const std::filesystem::path parent = base != nullptr && *base != '\0' ? base : "/tmp";
    std::string name = (parent / ("snkv-test-" + std::to_string(::getpid()) + "-XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("cannot make a temporary folder like " + name);
    }
    path_ = name;
    owner_ = ::getpid();
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  ~TempDir() {
    // A forked child that returns through here must not take the folder from its parent.
    if (owner_ != ::getpid()) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// The path of a file in the folder; nothing is created.
  [[nodiscard]] std::string file(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
  ::pid_t owner_ = 0;
};

}  // namespace snkv::test
