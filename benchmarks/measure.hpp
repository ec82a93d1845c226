/// \file
/// What the benchmarks have in common: candidates that take turns round by round, so that what the
/// machine does besides meets all of them, and medians, which a single bad round does not move.
#pragma once

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace benchmark {

/// The value of a result, or the end of the program with the message of its error.
template <class T>
T must(snkv::Result<T> result) {
  if (!result) {
    std::cerr << result.error().message() << '\n';
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// So many keys in a random order, the same each time.
inline std::vector<std::string> shuffled_keys(std::size_t count) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back("key" + std::to_string(1'000'000 + i));
  std::shuffle(keys.begin(), keys.end(), std::mt19937(1));
  return keys;
}

/// A folder for stores below `parent`, gone in the end.
class Folder {
 public:
  explicit Folder(const std::string& parent)
      : path_(std::filesystem::path(parent) / ("snkv-benchmark-" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Something that is measured: how many operations a run does, and the run.
struct Candidate {
  std::string name;
  std::size_t operations = 0;
  std::function<void()> run{};
  std::vector<double> seconds{};

  /// Operations per second, the median of the rounds.
  [[nodiscard]] double rate() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    const double median =
        sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return static_cast<double>(operations) / median;
  }
};

/// One round to warm up, then `rounds` that count. Who goes first changes from round to round.
inline void take_turns(std::vector<Candidate>& candidates, int rounds) {
  for (int round = -1; round < rounds; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      Candidate& candidate =
          candidates[(i + static_cast<std::size_t>(round + 1)) % candidates.size()];
      const auto start = std::chrono::steady_clock::now();
      candidate.run();
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
      if (round >= 0) candidate.seconds.push_back(passed.count());
    }
  }
}

/// A line for each: the median, the slowest and the fastest round, and the ratio to `base`.
inline void print(const std::vector<Candidate>& candidates, const Candidate& base) {
  for (const Candidate& candidate : candidates) {
    const auto [fastest, slowest] =
        std::minmax_element(candidate.seconds.begin(), candidate.seconds.end());
    const auto operations = static_cast<double>(candidate.operations);
    std::printf("%-24s %10.0f /s  (%.0f to %.0f)  x %.2f\n", candidate.name.c_str(),
                candidate.rate(), operations / *slowest, operations / *fastest,
                candidate.rate() / base.rate());
  }
}

}  // namespace benchmark
