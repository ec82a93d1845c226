/// \file
/// The functions of core_abi.hpp for the change feed, latencies and statistics of families.
#include "base/printable.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

namespace snkv::core {

Error family_stats(const Target& target, FamilyStats& out) {
  constexpr const char* operation = "family_stats";
  return guarded(operation, target, [&]() -> Error {
    return with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* rows) -> Error {
      FamilyStats gathered;
      const auto count = [&](std::uint32_t root, snkv_bt_kind kind, std::uint64_t& entries) -> int {
        btree::Cursor cursor;
        if (root == 0) return SNKV_BT_OK;
        const int rc = cursor.open(view.bt, root, kind, false);
        return rc == SNKV_BT_OK ? snkv_bt_count(cursor.get(), &entries) : rc;
      };
      int rc = snkv_bt_count_pages(rows, &gathered.entries, &gathered.leaf_pages);
      if (rc == SNKV_BT_OK) rc = count(view.family->expiry_root, SNKV_BT_EXPIRY, gathered.expiring);
      if (rc == SNKV_BT_OK) rc = count(view.family->large_root, SNKV_BT_ROWID, gathered.large_chunks);
      if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
      out = gathered;
      return {};
    });
  });
}

Error latency(const Target& target, TimedOperation which, LatencyHistogram& out) {
  return guarded("latency", target, [&]() -> Error {
    if (!target.store->latencies.enabled()) {
      return Error(Errc::invalid_argument, "latency", "Options::latency_histograms is off");
    }
    out = target.store->latencies.read(which);
    return {};
  });
}

Error watch(const Target& target, BytesView prefix, WatchCallback callback,
            std::shared_ptr<void>& subscription) {
  return guarded("watch", target, [&]() -> Error {
    if (Error error = target.store->check("watch"); error.failed()) return error;
    if (!callback) return Error(Errc::invalid_argument, "watch", "the callback is empty");
    // The subscription refers to the store's counters, so it keeps the store.
    std::shared_ptr<void> inner =
        target.store->feed.subscribe(target.family->name, prefix, std::move(callback));
    struct Kept {
      std::shared_ptr<StoreState> store;
      std::shared_ptr<void> inner;
    };
    subscription = std::make_shared<Kept>(Kept{target.store, std::move(inner)});
    return {};
  });
}

Error sequence(const Target& target, std::uint64_t& out) {
  return guarded("sequence", target, [&]() -> Error {
    if (Error error = target.store->check("sequence"); error.failed()) return error;
    out = target.store->feed.sequence();
    return {};
  });
}

Error changes_since(const Target& target, std::uint64_t sequence, std::vector<Change>& out) {
  constexpr const char* operation = "changes_since";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = target.store->check(operation); error.failed()) return error;
    return target.store->feed.since(operation, sequence, out);
  });
}

}  // namespace snkv::core
