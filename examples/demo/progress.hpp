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
  /// `what` is being done, to `count` of `unit`, which have `bytes` bytes; 0: bytes do not matter.
  Progress(std::string what, std::uint64_t count, std::uint64_t bytes, std::string unit = "files");
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// One more is done.
  void add(std::uint64_t bytes);
  /// So many are done.
  void set(std::uint64_t done);

  [[nodiscard]] double seconds() const;

 private:
  void show();
  [[nodiscard]] double share() const;
  [[nodiscard]] std::string amount() const;
  void draw_bar() const;
  void print_line() const;

  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::string unit_;
  std::uint64_t count_;
  std::uint64_t bytes_;
  std::uint64_t done_ = 0;
  std::uint64_t bytes_done_ = 0;
  bool terminal_;
  Clock::time_point began_ = Clock::now();
  Clock::time_point next_{};  // when to show again
};

}  // namespace demo
