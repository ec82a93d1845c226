/// \file
/// The optional background thread of a store.
#pragma once

#include "core/worker.hpp"

#include <chrono>

namespace snkv::core {

class StoreState;

/// Removes expired entries in small transactions, and empties the log when nothing is written. Stopped
/// before the store closes; never the reason that it stays open.
class Housekeeper {
 public:
  ~Housekeeper() { stop(); }
  void start(StoreState& store, std::chrono::milliseconds interval);
  /// Waits for a running slice of work to end. Harmless if it was not started.
  void stop() noexcept { worker_.stop(); }
  /// In a forked child, where the thread does not exist.
  void leak() noexcept { worker_.leak(); }

 private:
  void run(StoreState& store, std::chrono::milliseconds interval) noexcept;

  WorkerPlace worker_;
};

}  // namespace snkv::core
