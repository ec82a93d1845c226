#include "core/housekeeper.hpp"

#include "core/store_state.hpp"
#include "core/user_code.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <utility>

namespace snkv::core {

void Housekeeper::start(StoreState& store, std::chrono::milliseconds interval) {
  worker_.start([this, &store, interval] {
    const Operation store_lives(&store);
    run(store, interval);
  });
}

void Housekeeper::run(StoreState& store, std::chrono::milliseconds interval) noexcept {
  // A handle on the store that does not keep it alive: the store waits for this thread, not the reverse.
  const Target target{std::shared_ptr<StoreState>(std::shared_ptr<void>(), &store), nullptr, nullptr};
  constexpr std::uint64_t slice = 1000;
  std::uint64_t last_seen = store.feed.sequence();
  bool told = false;
  std::unique_lock lock(worker_->mutex);
  while (!worker_->wake.wait_for(lock, interval, [this] { return worker_->stopping; })) {
    lock.unlock();
    std::uint64_t purged = slice;
    while (purged == slice) {
      const Error error = purge_all_expired(target, slice, purged);
      // Then all else is purged.
      if (error.failed() && !(error == Errc::tampered)) break;
      if (error.failed() && !std::exchange(told, true)) {
        store.log(LogLevel::warning, "entries that look expired were tampered with, and are not purged");
      }
      if (purged > 0) {
        char text[64];  // no allocation: nothing may be thrown here
        const auto end = fmt::format_to_n(text, sizeof text, "purged {} expired entries", purged).out;
        store.log(LogLevel::info, {text, static_cast<std::size_t>(end - text)});
      }
      if (Operation::is_doomed(store)) return;
      const std::lock_guard check(worker_->mutex);
      if (worker_->stopping) return;
    }
    const std::uint64_t now = store.feed.sequence();
    if (now == last_seen) store.empty_idle_log();
    last_seen = now;
    if (Operation::is_doomed(store)) return;
    lock.lock();
  }
}

}  // namespace snkv::core
