/// \file
/// How the demo shows how far it is: a bar on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace demo {

/// "1.5 MiB"
[[nodiscard]] std::string human_bytes(double bytes);
/// "12 345"
[[nodiscard]] std::string human_count(std::uint64_t count);

class Progress {
 public:
  /// `what` is being done, to `files` files of `bytes` bytes.
  Progress(std::string what, std::uint64_t files, std::uint64_t bytes);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// One more file is done.
  void add(std::uint64_t bytes);

  [[nodiscard]] double seconds() const;

 private:
  [[nodiscard]] double share() const;
  void draw_bar() const;
  void print_line() const;

  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::uint64_t files_;
  std::uint64_t bytes_;
  std::uint64_t files_done_ = 0;
  std::uint64_t bytes_done_ = 0;
  bool terminal_;
  Clock::time_point began_ = Clock::now();
  Clock::time_point next_{};  // when to show again
};

}  // namespace demo
