// What the fuzz targets have in common. A target is one file that defines `run` and `seeds`; it is linked with
// libFuzzer (`scripts/fuzz NAME`), and with a program that runs kept inputs, which ctest does in every
// configuration.
#pragma once

#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv::fuzz {

/// One input, whatever it is. What must not be ends the program.
void run(std::string_view input);

/// Inputs to begin with: sound ones. The same in each run.
std::vector<std::string> seeds();

[[noreturn]] inline void fail(std::string_view what) {
  std::fprintf(stderr, "fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// The value of what has to succeed.
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// For the outcome of a call with input from outside: an error says what is wrong, and is not one of ours.
template <class R>
void judge(std::string_view call, const R& result) {
  if (result) return;
  const Error& error = result.error();
  if (error.code() == Errc::internal || error.code() == Errc::ok || error.operation().empty()) {
    fail(std::string(call) + ": " + error.message());
  }
}

/// A folder in memory if there is one, for as long as the program runs.
inline const test::TempDir& folder() {
  static const bool chosen = [] {
    if (std::getenv("TMPDIR") == nullptr && std::filesystem::is_directory("/dev/shm")) {
      ::setenv("TMPDIR", "/dev/shm", 0);
    }
    return true;
  }();
  static_cast<void>(chosen);
  static const test::TempDir dir;
  return dir;
}

/// Removes what belongs to a store of this name.
inline void remove_store(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal", "-vectors-1", ".copy"}) {
    std::error_code ignored;
    std::filesystem::remove(path + suffix, ignored);
  }
}

/// Numbers and texts out of an input; zeros when it ends.
class Reader {
 public:
  explicit Reader(std::string_view input) : rest_(input) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::uint32_t number(unsigned bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | byte();
    return value;
  }
  std::string_view text(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace snkv::fuzz
