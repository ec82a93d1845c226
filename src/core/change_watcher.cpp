#include "core/change_watcher.hpp"

#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <algorithm>
#include <chrono>

namespace snkv::core {

Error ChangeWatcher::look(const char* operation, StoreState& store, std::uint64_t& seen) {
  const std::lock_guard lock(mutex_);
  // Asked with the lock, because closing the store closes the connection.
  if (Error error = store.check(operation); error.failed()) return error;
  if (connection_.get() == nullptr) {
    btree::Connection opened;
    if (Error error = store.open_connection(operation, opened, StoreState::Role::reader);
        error.failed())
      return error;
    connection_ = std::move(opened);
  }
  std::uint32_t cookie = 0;
  const int rc = snkv_bt_begin_read(connection_.get(), &cookie);
  if (rc == SNKV_BT_OK) {
    const std::uint32_t version = snkv_bt_data_version(connection_.get());
    snkv_bt_end_read(connection_.get());
    if (seen_ == 0 || version != version_) ++seen_;
    version_ = version;
  } else if (rc != SNKV_BT_BUSY || seen_ == 0) {  // a writer with a rollback journal is at work
    return btree::engine_error(operation, rc);
  }
  seen = seen_;
  return {};
}

void ChangeWatcher::close() noexcept {
  const std::lock_guard lock(mutex_);
  connection_.close();
}

void ChangeWatcher::leak() noexcept { connection_.leak(); }

Error wait_for_change(const Target& target, std::uint64_t since, std::chrono::milliseconds timeout,
                      std::uint64_t& out) {
  constexpr const char* operation = "wait_for_change";
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds longest_pause{10};
  return guarded(operation, target, [&]() -> Error {
    if (timeout.count() < 0)
      return Error(Errc::invalid_argument, operation, "the timeout is negative");
    if (target.scope != nullptr) {
      return Error(Errc::invalid_argument, operation, "a transaction or snapshot sees no changes");
    }
    StoreState& store = *target.store;
    const Clock::time_point began = Clock::now();
    for (std::chrono::milliseconds pause{1};; pause = std::min(2 * pause, longest_pause)) {
      // Before looking: what this handle commits after that ends the pause.
      const std::uint64_t published = store.feed.sequence();
      std::uint64_t seen = 0;
      if (Error error = store.watcher.look(operation, store, seen); error.failed()) return error;
      const auto waited =
          std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
      if (seen > since || waited >= timeout) {
        out = seen;
        return {};
      }
      store.feed.wait_beyond(published, std::min(pause, timeout - waited));
    }
  });
}

}  // namespace snkv::core
