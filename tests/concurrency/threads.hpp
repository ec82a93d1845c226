// Threads of the concurrency tests. Catch2's assertions belong on the main thread, so the others
// write down what is wrong and the main thread requires that there is nothing.
#pragma once

#include "support/check.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace snkv::test {

/// How long a random test runs: SNKV_CONCURRENCY_MS, or this.
inline std::chrono::milliseconds test_duration(std::chrono::milliseconds fallback) {
  const char* text = std::getenv("SNKV_CONCURRENCY_MS");
  if (text == nullptr || *text == '\0') return fallback;
  return std::chrono::milliseconds{std::strtoll(text, nullptr, 10)};
}

/// xorshift64*: each thread has its own.
class ThreadRandom {
 public:
  explicit ThreadRandom(std::uint64_t seed) noexcept : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t next() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  std::uint64_t below(std::uint64_t limit) noexcept { return (next() >> 11) % limit; }
  bool percent(std::uint64_t share) noexcept { return below(100) < share; }

 private:
  std::uint64_t state_;
};

/// The first complaint of any thread.
class Complaints {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (first_.empty()) first_ = what;
    any_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

  /// Whether the call succeeded; complains when it failed with none of the allowed codes.
  template <class R>
  bool check(const R& result, std::string_view what, std::initializer_list<Errc> allowed = {}) {
    if (result) return true;
    for (const Errc code : allowed) {
      if (result.error() == code) return false;
    }
    add(std::string(what) + ": " + result.error().message());
    return false;
  }
  void require(bool condition, std::string_view what) {
    if (!condition) add(std::string(what));
  }

 private:
  mutable std::mutex mutex_;
  std::string first_;
  std::atomic<bool> any_{false};
};

/// Threads that run until told to stop; joined at the end of the scope, also when a test fails.
class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop_and_join(); }

  /// Runs `body(random)` in a thread, once.
  template <class Body>
  void once(Body body) {
    const std::uint64_t seed = threads_.size() + 1;
    threads_.emplace_back([body = std::move(body), seed]() mutable {
      ThreadRandom random(seed);
      body(random);
    });
  }
  /// Runs `body(random)` in a thread over and over.
  template <class Body>
  void loop(Body body) {
    once([this, body = std::move(body)](ThreadRandom& random) mutable {
      while (!stopping()) body(random);
    });
  }

  [[nodiscard]] bool stopping() const noexcept { return stop_.load(std::memory_order_relaxed); }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void stop_and_join() {
    stop_.store(true, std::memory_order_relaxed);
    join();
  }
  /// Lets them run for the given time, or until the first complaint.
  void run_for(std::chrono::milliseconds time, const Complaints& complaints) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end && !complaints.any()) {
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    stop_and_join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace snkv::test

#define REQUIRE_NO(complaints)                          \
  do {                                                  \
    if ((complaints).any()) FAIL((complaints).first()); \
    SUCCEED();                                          \
  } while (false)
