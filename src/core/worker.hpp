/// \file
/// A background thread of a store, and what it sleeps on.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace snkv::core {

struct Worker {
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
  bool stopping = false;  // guarded by `mutex`
  std::mutex lifecycle;   // one start or stop at a time
};

/// Holds a worker in memory of its own, because a forked child has to leave it as it is: the thread
/// does not exist there, its mutex may be locked for ever, and to destroy a condition that it was
/// waiting for never returns.
class WorkerPlace {
 public:
  [[nodiscard]] Worker* operator->() const noexcept { return worker_.get(); }
  /// Has `body` run by the thread, unless it runs already. Throws if there can be no thread.
  template <class Body>
  void start(Body body) {
    const std::lock_guard one_at_a_time(worker_->lifecycle);
    if (worker_->thread.joinable()) return;
    worker_->stopping = false;
    worker_->thread = std::thread(std::move(body));
  }
  /// Tells the thread that it is `stopping`, and waits for its end, unless it is the caller. Harmless if
  /// there is none; it may be started again.
  void stop() noexcept {
    if (leaked()) return;
    const std::lock_guard one_at_a_time(worker_->lifecycle);
    if (!worker_->thread.joinable()) return;
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->stopping = true;
    }
    worker_->wake.notify_all();
    if (worker_->thread.get_id() == std::this_thread::get_id()) {
      // It had the last handle on the store, and ends when it has destroyed that.
      worker_->thread.detach();
    } else {
      worker_->thread.join();
    }
  }
  void leak() noexcept { static_cast<void>(worker_.release()); }
  [[nodiscard]] bool leaked() const noexcept { return worker_ == nullptr; }

 private:
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
};

}  // namespace snkv::core
