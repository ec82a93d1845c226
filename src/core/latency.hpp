/// \file
/// Histograms of how long operations take.
#pragma once

#include <snkv/stats.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace snkv::core {

class Latencies {
 public:
  explicit Latencies(bool enabled) noexcept : enabled_(enabled) {}
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }

  void add(TimedOperation which, std::uint64_t nanoseconds) noexcept {
    Histogram& histogram = histograms_[static_cast<std::size_t>(which)];
    const auto width = static_cast<std::size_t>(std::bit_width(nanoseconds | 1)) - 1;
    histogram.buckets[width < histogram.buckets.size() ? width : histogram.buckets.size() - 1]
        .fetch_add(1, std::memory_order_relaxed);
    histogram.total.fetch_add(nanoseconds, std::memory_order_relaxed);
  }

  [[nodiscard]] LatencyHistogram read(TimedOperation which) const noexcept {
    const Histogram& histogram = histograms_[static_cast<std::size_t>(which)];
    LatencyHistogram out;
    for (std::size_t i = 0; i < out.buckets.size(); ++i) {
      out.buckets[i] = histogram.buckets[i].load(std::memory_order_relaxed);
      out.count += out.buckets[i];
    }
    out.total_ns = histogram.total.load(std::memory_order_relaxed);
    return out;
  }

 private:
  struct Histogram {
    std::array<std::atomic<std::uint64_t>, 48> buckets{};
    std::atomic<std::uint64_t> total{0};
  };
  const bool enabled_;
  std::array<Histogram, 4> histograms_{};
};

/// Measures a scope, if measuring is on.
class Stopwatch {
 public:
  Stopwatch(Latencies& latencies, TimedOperation which) noexcept
      : latencies_(latencies), which_(which) {
    if (latencies_.enabled()) start_ = std::chrono::steady_clock::now();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    if (!latencies_.enabled()) return;
    const auto passed = std::chrono::steady_clock::now() - start_;
    latencies_.add(which_, static_cast<std::uint64_t>(
                               std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count()));
  }

 private:
  Latencies& latencies_;
  TimedOperation which_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace snkv::core
