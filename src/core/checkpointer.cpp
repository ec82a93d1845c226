#include "core/checkpointer.hpp"

#include "core/store_state.hpp"

#include <exception>
#include <utility>

namespace snkv::core {

bool Checkpointer::request(StoreState& store) noexcept {
  constexpr const char* operation = "checkpoint";
  const std::lock_guard one_at_a_time(lifecycle_);
  try {
    if (!connection_.is_open()) {
      btree::Connection connection;
      const Error error = store.open_connection(operation, connection, StoreState::Role::reader);
      if (error.failed()) return false;
      connection_ = std::move(connection);
    }
    if (!worker_->thread.joinable()) {
      stopping_ = false;
      worker_->thread = std::thread([this, &store] { run(store); });
    }
  } catch (const std::exception&) {  // no thread, or no memory
    return false;
  }
  {
    const std::lock_guard lock(worker_->mutex);
    state_ = State::requested;
  }
  worker_->wake.notify_one();
  return true;
}

bool Checkpointer::working() noexcept {
  const std::lock_guard lock(worker_->mutex);
  return state_ != State::idle;
}

std::optional<CheckpointResult> Checkpointer::take_result() noexcept {
  const std::lock_guard lock(worker_->mutex);
  return std::exchange(result_, std::nullopt);
}

void Checkpointer::stop() noexcept {
  if (worker_.leaked()) return;
  const std::lock_guard one_at_a_time(lifecycle_);
  if (worker_->thread.joinable()) {
    {
      const std::lock_guard lock(worker_->mutex);
      stopping_ = true;
    }
    worker_->wake.notify_one();
    worker_->thread.join();
  }
  state_ = State::idle;
  connection_.close();
}

void Checkpointer::leak() noexcept {
  worker_.leak();
  connection_.leak();
}

void Checkpointer::run(StoreState& store) noexcept {
  std::unique_lock lock(worker_->mutex);
  for (;;) {
    worker_->wake.wait(lock, [this] { return stopping_ || state_ == State::requested; });
    if (stopping_) return;
    state_ = State::running;
    lock.unlock();
    CheckpointResult result;
    const bool done = store.try_checkpoint(connection_, result);
    lock.lock();
    result_ = done ? std::optional(result) : std::nullopt;
    state_ = State::idle;
  }
}

}  // namespace snkv::core
