/// \file
/// The optional background thread of a store.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace snkv::core {

class StoreState;

/// Removes expired entries in small transactions, and empties the log when nothing is written. Stopped
/// before the store closes; never the reason that it stays open.
class Housekeeper {
 public:
  ~Housekeeper() { stop(); }
  void start(StoreState& store, std::chrono::milliseconds interval);
  /// Waits for a running slice of work to end. Harmless if it was not started.
  void stop() noexcept;
  /// In a forked child, where the thread does not exist.
  void leak() noexcept { static_cast<void>(thread_.release()); }

 private:
  void run(StoreState& store, std::chrono::milliseconds interval) noexcept;

  std::mutex lifecycle_;  // one start or stop at a time
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::unique_ptr<std::thread> thread_;
};

}  // namespace snkv::core
