/// \file
/// The functions of core_abi.hpp that concern the store as a whole: checkpoint, sync, vacuum, checks,
/// statistics.
#include "core/journals.hpp"
#include "core/page_check.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <string>
#include <thread>
#include <vector>

namespace snkv::core {
Error checkpoint(const Target& target, Checkpoint mode, CheckpointResult& out) {
  constexpr const char* operation = "checkpoint";
  return guarded(operation, target, [&]() -> Error {
    using std::chrono::milliseconds;
    const auto deadline = WriteQueue::Clock::now() + target.store->options.busy_timeout;
    // Readers are waited for between the attempts, outside of the queue, so that writers go on.
    for (milliseconds pause{1};; pause = std::min(pause * 2, milliseconds(20))) {
      Error error = exclusively(operation, target, [&](StoreState& store) {
        return store.checkpoint(operation, mode, {}, out);
      });
      if (!(error == Errc::busy) || WriteQueue::Clock::now() + pause > deadline) return error;
      std::this_thread::sleep_for(pause);
    }
  });
}

Error sync(const Target& target) {
  constexpr const char* operation = "sync";
  return guarded(operation, target, [&]() -> Error {
    const bool file_too = target.store->options.sync == Sync::off;
    // Any connection will do: what is synced is the file.
    return with_catalog(operation, {target.store, nullptr, nullptr},
                        [&](snkv_bt* bt, const Catalog&) -> Error {
                          const int rc = snkv_bt_sync(bt, file_too ? 1 : 0);
                          if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
                          return target.store->check_place(operation, bt);
                        });
  });
}

Error vacuum(const Target& target, std::uint32_t max_pages, std::uint32_t& freed) {
  constexpr const char* operation = "vacuum";
  return guarded(operation, target, [&]() -> Error {
    freed = 0;
    // Made before the transaction, which nothing that may throw shall leave open.
    const std::string pragma = fmt::format("PRAGMA incremental_vacuum({})", max_pages);
    return exclusively(operation, target, [&](StoreState& store) -> Error {
      if (Error error = store.session.begin(operation); error.failed()) return error;
      std::uint32_t pages = 0;
      std::uint32_t free_pages = 0;
      {
        const btree::Lock lock(store.writer);
        snkv_bt_pages(lock.get(), &pages, &free_pages);
        const int rc = store.writer.execute(pragma);
        if (rc != SNKV_BT_OK) {
          Error error = store.writer.sql_error(operation, rc);
          store.session.rollback();
          return error;
        }
        std::uint32_t after = 0;
        snkv_bt_pages(lock.get(), &after, &free_pages);
        freed = pages - after;
      }
      if (Error error = store.session.commit(operation); error.failed()) {
        if (error == Errc::busy) store.session.rollback();
        return error;
      }
      // The file itself shrinks when the log is copied back into it.
      CheckpointResult ignored;
      const Error shrunk = store.checkpoint(operation, Checkpoint::passive, {}, ignored);
      return shrunk == Errc::busy ? Error() : shrunk;
    });
  });
}

Error integrity_check(const Target& target) {
  constexpr const char* operation = "integrity_check";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = target.store->check(operation); error.failed()) return error;
    ReaderLease reader;
    if (Error error = reader.acquire(operation, *target.store); error.failed()) return error;
    const btree::Lock lock(reader->connection);
    const btree::MixedReadTransaction transaction(lock);
    if (transaction.rc() != SNKV_BT_OK) {
      return btree::engine_error(operation, transaction.rc(), "beginning a read transaction");
    }
    Schema schema;
    if (Error error = schema.load(operation, lock.get()); error.failed()) return error;
    std::vector<std::string> lines;
    Error error = check_pages(operation, reader->connection, schema, lines);
    if (error.failed() || lines.empty()) return error;
    std::string findings;
    for (const std::string& line : lines) {
      if (!findings.empty()) findings += "; ";
      findings += line;
    }
    return Error(Errc::corrupt, operation, std::move(findings));
  });
}

Error stats(const Target& target, Stats& out) {
  constexpr const char* operation = "stats";
  return guarded(operation, target, [&]() -> Error {
    StoreState& store = *target.store;
    Stats gathered;
    const auto gauges = [&](snkv_bt* bt, const Catalog& catalog) -> Error {
      std::uint32_t pages = 0;
      std::uint32_t free_pages = 0;
      snkv_bt_pages(bt, &pages, &free_pages);
      gathered.db_pages = pages;
      gathered.free_pages = free_pages;
      gathered.page_size = snkv_bt_page_size(bt);
      gathered.wal_bytes = static_cast<std::uint64_t>(snkv_bt_wal_bytes(bt));
      return count_waiting_journals(operation, bt, catalog, store, gathered.journals_waiting);
    };
    Error error = with_catalog(operation, {target.store, nullptr, nullptr}, gauges);
    if (error.failed()) return error;
    gathered.snapshots = store.pins.count(gathered.oldest_snapshot_age);
    store.counters.sum_into(gathered);
    out = gathered;
    return {};
  });
}

Error space(const Target& target, SpaceReport& out) {
  constexpr const char* operation = "space";
  return guarded(operation, target, [&]() -> Error {
    return with_catalog(operation, {target.store, nullptr, nullptr},
                        [&](snkv_bt* bt, const Catalog&) -> Error {
                          std::uint32_t pages = 0;
                          std::uint32_t free_pages = 0;
                          snkv_bt_pages(bt, &pages, &free_pages);
                          const std::uint64_t page_size = snkv_bt_page_size(bt);
                          out.file_bytes = static_cast<std::uint64_t>(snkv_bt_file_bytes(bt));
                          out.live_bytes = (pages - free_pages) * page_size;
                          out.free_bytes = free_pages * page_size;
                          out.wal_bytes = static_cast<std::uint64_t>(snkv_bt_wal_bytes(bt));
                          return {};
                        });
  });
}

Error reset_stats(const Target& target) {
  return guarded("reset_stats", target, [&]() -> Error {
    if (Error error = target.store->check("reset_stats"); error.failed()) return error;
    target.store->counters.reset();
    return {};
  });
}

}  // namespace snkv::core
