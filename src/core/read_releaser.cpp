#include "core/read_releaser.hpp"

#include "core/store_state.hpp"

#include <chrono>
#include <new>
#include <system_error>

namespace snkv::core {

bool ReadReleaser::start(StoreState& store) noexcept {
  const std::lock_guard lock(mutex_);
  if (state_.load() != State::idle) return state_.load() == State::running;
  try {
    thread_ = std::make_unique<std::thread>([this, &store] { run(store); });
    state_.store(State::running, std::memory_order_release);
  } catch (const std::system_error&) {
    state_.store(State::stopped);
  } catch (const std::bad_alloc&) {
    state_.store(State::stopped);
  }
  return state_.load() == State::running;
}

void ReadReleaser::wake() noexcept {
  // With the lock, so that it is not between its look and its sleep.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_one();
}

void ReadReleaser::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    state_.store(State::stopped);
  }
  wake_.notify_one();
  if (thread_ == nullptr) return;
  thread_->join();
  thread_.reset();
}

void ReadReleaser::run(StoreState& store) noexcept {
  // An idle reader is found at the second look: it is in the way for twice this time at most.
  constexpr std::chrono::milliseconds pause{20};
  const auto stopped = [this] { return state_.load() == State::stopped; };
  std::unique_lock lock(mutex_);
  while (!stopped()) {
    wake_.wait(lock, [&] { return stopped() || store.readers.kept() > 0; });
    if (wake_.wait_for(lock, pause, stopped)) return;
    lock.unlock();
    store.readers.release_unused();
    lock.lock();
  }
}

}  // namespace snkv::core
