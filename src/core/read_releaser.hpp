/// \file
/// The thread that ends the kept read transactions of readers that have become idle.
#pragma once

#include "core/worker.hpp"

#include <atomic>

namespace snkv::core {

class StoreState;

/// A reader that keeps its transaction for the next `get` is in the way of checkpoints, and when no next
/// `get` comes, other processes have no means to tell it. So for as long as any are kept, this looks
/// every few milliseconds which of them were not used, and ends those. Else it sleeps.
class ReadReleaser {
 public:
  ~ReadReleaser() { stop(); }

  /// Starts the thread if it does not run. False if it cannot be started: then nothing must be kept.
  [[nodiscard]] bool ensure(StoreState& store) noexcept {
    return state_.load(std::memory_order_acquire) == State::running || start(store);
  }
  /// Tells that the first transaction is kept.
  void wake() noexcept;
  /// For good. Harmless if it was not started.
  void stop() noexcept;
  /// In a forked child, where the thread does not exist.
  void leak() noexcept { worker_.leak(); }

 private:
  enum class State { idle, running, stopped };
  [[nodiscard]] bool start(StoreState& store) noexcept;
  void run(StoreState& store) noexcept;

  std::atomic<State> state_{State::idle};
  WorkerPlace worker_;
};

}  // namespace snkv::core
