/// \file
/// The functions of core_abi.hpp that concern entries, transactions, snapshots and cursors.
#include "base/printable.hpp"
#include "core/cursor.hpp"
#include "core/format.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <chrono>
#include <fmt/format.h>
#include <limits>
#include <random>
#include <thread>

namespace snkv::core {

// ---- Store ----

namespace {

/// `name` makes the path: here, where running out of memory is caught.
template <class Name>
Error open_state(Name&& name, bool in_memory, const Options& options, Target& out) {
  try {
    auto store = std::make_shared<StoreState>(name(), in_memory, options);
    if (Error error = store->open(); error.failed()) return error;
    auto family = std::make_shared<const Family>(
        Family{std::string(format::default_family), format::default_family_id});
    out = {std::move(store), std::move(family), nullptr};
    return {};
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, "open", "");
  }
}

}  // namespace

Error open_store(std::string_view path, const Options& options, Target& out) {
  return open_state([&] { return std::string(path); }, false, options, out);
}

Error open_in_memory(const Options& options, Target& out) {
  static std::atomic<std::uint64_t> number{0};
  if (options.read_only) {
    return Error(Errc::invalid_argument, "open", "a store in memory cannot be read-only");
  }
  return open_state([] { return fmt::format("/snkv-{}", number.fetch_add(1)); }, true, options, out);
}

Error close_store(const Target& target) {
  return guarded("close", target, [&] { return target.store->close(); });
}

std::string_view path(const Target& target) noexcept {
  if (target.store == nullptr || target.store->in_memory) return {};
  return target.store->path;
}

KeyRange prefix_range(BytesView prefix) {
  KeyRange range;
  range.low = Bytes(prefix);
  range.high = Bytes(prefix);
  // The first key that is larger than all with the prefix: its last byte that can be counted up is,
  // and what follows goes away. A prefix of 0xff bytes has none.
  std::size_t size = range.high.size();
  while (size > 0 && range.high.data()[size - 1] == std::byte{0xff}) --size;
  range.high.resize_for_overwrite(size);
  range.bounded_above = size > 0;
  if (size > 0) {
    std::byte& last = range.high.data()[size - 1];
    last = static_cast<std::byte>(static_cast<unsigned>(last) + 1);
  }
  return range;
}

// ---- Entries ----

Error get(const Target& target, BytesView key, Bytes& value) {
  constexpr const char* operation = "get";
  return guarded(operation, target, [&]() -> Error {
    Counters& counters = target.store->counters;
    counters.add(Counters::gets);
    if (Error error = check_key(operation, key); error.failed()) return error;
    bool found = false;
    Error error = with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* cursor) {
      return find_entry(operation, view, cursor, key, found, [&](const Row& row) -> Error {
        if (row.large_id != 0) return read_large(operation, view, row, value);
        if (!value.try_resize_for_overwrite(row.value.size())) {
          return Error(Errc::no_memory, operation, "");
        }
        if (!row.value.empty()) std::memcpy(value.data(), row.value.data(), row.value.size());
        return {};
      });
    });
    if (error.failed()) return error;
    if (!found) return Error(Errc::not_found, operation, base::printable(key));
    counters.add(Counters::bytes_read, value.size());
    return {};
  });
}

Error contains(const Target& target, BytesView key, bool& found) {
  constexpr const char* operation = "contains";
  return guarded(operation, target, [&]() -> Error {
    target.store->counters.add(Counters::gets);
    if (Error error = check_key(operation, key); error.failed()) return error;
    return with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* cursor) {
      return find_entry(operation, view, cursor, key, found, [](const Row&) { return Error(); });
    });
  });
}

namespace {

/// Absolute expiry of a write, from its options and one reading of the clock.
Error expiry(const char* operation, const PutOptions& options, std::int64_t now,
             std::optional<std::int64_t>& out) {
  if (!options.ttl) return {};
  const std::int64_t ttl = options.ttl->count();
  if (ttl <= 0) return Error(Errc::invalid_argument, operation, "the ttl is not positive");
  if (ttl > std::numeric_limits<std::int64_t>::max() - now) {
    return Error(Errc::invalid_argument, operation, "the ttl is too long");
  }
  out = now + ttl;
  return {};
}

}  // namespace

Error put(const Target& target, BytesView key, BytesView value, const PutOptions& options) {
  constexpr const char* operation = "put";
  return guarded(operation, target, [&]() -> Error {
    Counters& counters = target.store->counters;
    counters.add(Counters::puts);
    if (Error error = check_key(operation, key); error.failed()) return error;
    if (value.size() > max_value_size) {
      return Error(Errc::too_large, operation,
                   fmt::format("the value of {} has {} bytes; at most {} are allowed",
                               base::printable(key), value.size(), max_value_size));
    }
    if (target.family == nullptr) return Error(Errc::closed, operation, "");
    const auto work = [&](WriteSession& session) -> Error {
      NewEntry entry{key, value, {}};
      Error error = expiry(operation, options, session.now(), entry.expires_at);
      return error.failed() ? error : put_entry(operation, session, *target.family, entry);
    };
    if (Error error = write_in_scope(operation, target, work); error.failed()) return error;
    counters.add(Counters::bytes_written, key.size() + value.size());
    return {};
  });
}

Error erase(const Target& target, BytesView key, bool& existed) {
  constexpr const char* operation = "erase";
  return guarded(operation, target, [&]() -> Error {
    target.store->counters.add(Counters::deletes);
    if (Error error = check_key(operation, key); error.failed()) return error;
    const auto work = [&](WriteSession& session) {
      return erase_entry(operation, session, *target.family, key, existed);
    };
    return write_in_scope(operation, target, work);
  });
}

Error clear(const Target& target) {
  constexpr const char* operation = "clear";
  return guarded(operation, target, [&]() -> Error {
    const auto work = [&](WriteSession& session) {
      return clear_family(operation, session, *target.family);
    };
    return write_in_scope(operation, target, work);
  });
}

Error count(const Target& target, std::uint64_t& entries) {
  constexpr const char* operation = "count";
  return guarded(operation, target, [&]() -> Error {
    return with_view(operation, target, [&](const ReadView&, snkv_bt_cursor* cursor) -> Error {
      const int rc = snkv_bt_count(cursor, &entries);
      return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc);
    });
  });
}

// ---- Transactions and snapshots ----

Error begin(const Target& target, Target& out) {
  return guarded("begin", target, [&]() -> Error {
    auto transaction = std::make_shared<TransactionState>();
    if (Error error = transaction->open("begin", target.store); error.failed()) return error;
    out = {target.store, target.family, std::move(transaction)};
    return {};
  });
}

namespace {

template <class Step>
Error in_transaction(const char* operation, const Target& target, Step&& step) {
  return guarded(operation, target, [&]() -> Error {
    if (target.scope == nullptr) return Error(Errc::closed, operation, "");
    return step(static_cast<TransactionState&>(*target.scope));
  });
}

}  // namespace

Error commit(const Target& target) {
  return in_transaction("commit", target, [](TransactionState& t) { return t.commit(); });
}

Error rollback(const Target& target) {
  return in_transaction("rollback", target, [](TransactionState& t) { return t.rollback(); });
}

void abandon(const Target& target) noexcept {
  static_cast<TransactionState&>(*target.scope).abandon();
}

Error savepoint(const Target& target, std::uint64_t& id) {
  return in_transaction("savepoint", target, [&](TransactionState& t) { return t.savepoint(id); });
}

Error savepoint_rollback(const Target& target, std::uint64_t id) {
  return in_transaction("savepoint rollback", target,
                        [&](TransactionState& t) { return t.savepoint_rollback(id); });
}

Error savepoint_release(const Target& target, std::uint64_t id) {
  return in_transaction("savepoint release", target,
                        [&](TransactionState& t) { return t.savepoint_release(id); });
}

void savepoint_abandon(const Target& target, std::uint64_t id) noexcept {
  static_cast<TransactionState&>(*target.scope).savepoint_abandon(id);
}

Error snapshot(const Target& target, Target& out) {
  return guarded("snapshot", target, [&]() -> Error {
    if (Error error = target.store->check("snapshot"); error.failed()) return error;
    auto state = std::make_shared<SnapshotState>();
    if (Error error = state->open("snapshot", target.store); error.failed()) return error;
    out = {target.store, target.family, std::move(state)};
    return {};
  });
}

bool backoff(unsigned attempt) noexcept {
  constexpr unsigned attempts = 8;
  if (attempt >= attempts) return false;
  // Random, so that two who met once do not meet again.
  thread_local std::minstd_rand random{static_cast<unsigned>(
      std::chrono::steady_clock::now().time_since_epoch().count())};
  std::this_thread::sleep_for(std::chrono::microseconds(500u << attempt) +
                              std::chrono::microseconds(random() % (500u << attempt)));
  return true;
}

// ---- Iteration ----

namespace {
CursorState& state(Cursor& cursor) noexcept { return static_cast<CursorState&>(cursor); }
}  // namespace

Cursor* open_cursor(const Target& target, KeyRange range, const ScanOptions& options) noexcept {
  auto* cursor = new (std::nothrow) CursorState(std::move(range), options);
  if (cursor == nullptr) return nullptr;
  try {
    cursor->open(target);
  } catch (const std::bad_alloc&) {
    cursor->fail(Error(Errc::no_memory, "iterate", ""));
  }
  return cursor;
}

void close_cursor(Cursor* cursor) noexcept { delete static_cast<CursorState*>(cursor); }
void cursor_first(Cursor& cursor) noexcept { state(cursor).seek_first(); }
void cursor_last(Cursor& cursor) noexcept { state(cursor).seek_last(); }
void cursor_seek(Cursor& cursor, BytesView key) noexcept { state(cursor).seek_from(key); }
void cursor_seek_for_prev(Cursor& cursor, BytesView key) noexcept {
  state(cursor).seek_for_prev(key);
}
void cursor_next(Cursor& cursor) noexcept { state(cursor).advance(true); }
void cursor_prev(Cursor& cursor) noexcept { state(cursor).advance(false); }
Error cursor_status(const Cursor& cursor) {
  return static_cast<const CursorState&>(cursor).status();
}

}  // namespace snkv::core
