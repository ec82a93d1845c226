#include "core/read_releaser.hpp"

#include "core/store_state.hpp"

#include <chrono>
#include <exception>

namespace snkv::core {

bool ReadReleaser::start(StoreState& store) noexcept {
  const std::lock_guard lock(worker_->mutex);
  if (state_.load() != State::idle) return state_.load() == State::running;
  try {
    worker_->thread = std::thread([this, &store] { run(store); });
    state_.store(State::running, std::memory_order_release);
  } catch (const std::exception&) {  // no thread, or no memory
    state_.store(State::stopped);
  }
  return state_.load() == State::running;
}

void ReadReleaser::wake() noexcept {
  // With the lock, so that it is not between its look and its sleep.
  { const std::lock_guard lock(worker_->mutex); }
  worker_->wake.notify_one();
}

void ReadReleaser::stop() noexcept {
  if (worker_.leaked()) return;
  {
    const std::lock_guard lock(worker_->mutex);
    state_.store(State::stopped);
  }
  worker_->wake.notify_one();
  if (worker_->thread.joinable()) worker_->thread.join();
}

void ReadReleaser::run(StoreState& store) noexcept {
  // An idle reader is found at the second look: it is in the way for twice this time at most.
  constexpr std::chrono::milliseconds pause{20};
  const auto stopped = [this] { return state_.load() == State::stopped; };
  std::unique_lock lock(worker_->mutex);
  while (!stopped()) {
    worker_->wake.wait(lock, [&] { return stopped() || store.readers.kept() > 0; });
    if (worker_->wake.wait_for(lock, pause, stopped)) return;
    lock.unlock();
    store.readers.release_unused();
    lock.lock();
  }
}

}  // namespace snkv::core
