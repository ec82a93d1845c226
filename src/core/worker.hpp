/// \file
/// A background thread of a store, and what it sleeps on.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace snkv::core {

struct Worker {
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
};

/// Holds a worker in memory of its own, because a forked child has to leave it as it is: the thread
/// does not exist there, its mutex may be locked for ever, and to destroy a condition that it was
/// waiting for never returns.
class WorkerPlace {
 public:
  [[nodiscard]] Worker* operator->() const noexcept { return worker_.get(); }
  void leak() noexcept { static_cast<void>(worker_.release()); }
  [[nodiscard]] bool leaked() const noexcept { return worker_ == nullptr; }

 private:
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
};

}  // namespace snkv::core
