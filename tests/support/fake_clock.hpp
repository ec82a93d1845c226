// FakeClock: a clock that moves when the test says so, for `Options::clock`.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace snkv::test {

/// Copies show the same time. Any thread may read and move it.
class FakeClock {
 public:
  /// Starts in November 2023; `start` is in milliseconds since the Unix epoch.
  explicit FakeClock(std::int64_t start = 1'700'000'000'000)
      : now_(std::make_shared<std::atomic<std::int64_t>>(start)) {}

  [[nodiscard]] std::int64_t now() const noexcept { return now_->load(); }
  void set(std::int64_t milliseconds) noexcept { now_->store(milliseconds); }
  void advance(std::chrono::milliseconds step) noexcept { now_->fetch_add(step.count()); }

  /// What goes into `Options::clock`; it may outlive this object.
  [[nodiscard]] std::function<std::int64_t()> source() const {
    return [now = now_] { return now->load(); };
  }

 private:
  std::shared_ptr<std::atomic<std::int64_t>> now_;
};

}  // namespace snkv::test
