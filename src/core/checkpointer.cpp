#include "core/checkpointer.hpp"

#include "core/store_state.hpp"
#include "core/user_code.hpp"

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace snkv::core {

bool Checkpointer::request(StoreState& store) noexcept {
  constexpr const char* operation = "checkpoint";
  try {
    if (!connection_.is_open()) {
      btree::Connection connection;
      const Error error = store.open_connection(operation, connection, StoreState::Role::reader);
      if (error.failed()) return false;
      connection_ = std::move(connection);
    }
    worker_.start([this, &store] {
      const Operation store_lives(&store);
      run(store);
    });
  } catch (const std::exception&) {  // no thread, or no memory
    return false;
  }
  {
    const std::lock_guard lock(worker_->mutex);
    working_ = true;
  }
  worker_->wake.notify_one();
  return true;
}

bool Checkpointer::working() noexcept {
  const std::lock_guard lock(worker_->mutex);
  return working_;
}

std::optional<CheckpointResult> Checkpointer::take_result() noexcept {
  const std::lock_guard lock(worker_->mutex);
  return std::exchange(result_, std::nullopt);
}

void Checkpointer::stop() noexcept {
  worker_.stop();
  working_ = false;
  connection_.close();
}

void Checkpointer::leak() noexcept {
  worker_.leak();
  connection_.leak();
}

void Checkpointer::run(StoreState& store) noexcept {
  constexpr int most_attempts = 20;
  std::unique_lock lock(worker_->mutex);
  for (;;) {
    worker_->wake.wait(lock, [this] { return worker_->stopping || working_; });
    if (worker_->stopping) return;
    lock.unlock();
    CheckpointResult result;
    Error error = store.try_checkpoint(connection_, result);
    // A commit was just writing the header of the log's index, or another process has its checkpoint.
    for (int attempt = 1; error == Errc::busy && attempt < most_attempts; ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      error = store.try_checkpoint(connection_, result);
    }
    if (Operation::is_doomed(store)) return;
    lock.lock();
    result_ = error.failed() ? std::nullopt : std::optional(result);
    working_ = false;
  }
}

}  // namespace snkv::core
