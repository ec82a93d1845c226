/// \file
/// The functions of core_abi.hpp that concern the store's life, transactions, snapshots and cursors.
#include "base/printable.hpp"
#include "core/cursor.hpp"
#include "core/format.hpp"
#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <chrono>
#include <fmt/format.h>
#include <limits>
#include <random>
#include <system_error>
#include <thread>

namespace snkv::core {

// ---- Store ----

namespace {

/// `name` makes the path: here, where running out of memory is caught.
template <class Name>
Error open_state(Name&& name, bool in_memory, const Options& options, const Unlock* unlock,
                 Target& out) {
  try {
    const std::shared_ptr<StoreState> store(new StoreState(name(), in_memory, options),
                                            Operation::destroy);
    if (Error error = store->open(unlock); error.failed()) return error;
    auto family = std::make_shared<const Family>(
        Family{std::string(format::default_family), format::default_family_id});
    out = {store, std::move(family), nullptr};
    return {};
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, "open", "");
  } catch (const std::system_error&) {
    return Error(Errc::no_memory, "open", "no thread can be started");
  }
}

}  // namespace

Error open_store(std::string_view path, const Options& options, Target& out) {
  return open_state([&] { return std::string(path); }, false, options, nullptr, out);
}

Error open_encrypted(std::string_view path, const Secret& secret, const Options& options,
                     const EncryptionOptions& encryption, Target& out) {
  const Unlock unlock{secret, encryption};
  return open_state([&] { return std::string(path); }, false, options, &unlock, out);
}

Error open_in_memory(const Options& options, Target& out) {
  static std::atomic<std::uint64_t> number{0};
  if (options.read_only) {
    return Error(Errc::invalid_argument, "open", "a store in memory cannot be read-only");
  }
  return open_state([] { return fmt::format("/snkv-{}", number.fetch_add(1)); }, true, options,
                    nullptr, out);
}

Error close_store(const Target& target) {
  return guarded("close", target, [&] { return target.store->close(); });
}

std::string_view path(const Target& target) noexcept {
  if (target.store == nullptr || target.store->in_memory) return {};
  return target.store->path;
}

std::string_view file(const Target& target) noexcept {
  if (target.store == nullptr || target.store->in_memory) return {};
  return target.store->file;
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

// ---- Transactions and snapshots ----

Error begin(const Target& target, const WriteOptions& options, Target& out) {
  return guarded("begin", target, [&]() -> Error {
    auto transaction = std::make_shared<TransactionState>();
    if (Error error = transaction->open("begin", target.store, options); error.failed()) return error;
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

/// Stands for a cursor there was no memory for: without it a scan would end as if there were no entries.
/// It refers to no store, so that it never changes and all threads may have it.
Cursor& unmade_cursor() noexcept {
  static CursorState cursor({}, {});
  static const bool told = (cursor.fail(Error(Errc::no_memory, "iterate", "")), true);
  static_cast<void>(told);
  return cursor;
}
}  // namespace

Cursor* open_cursor(const Target& target, KeyRange range, const ScanOptions& options) noexcept {
  const Operation store_lives(target.store.get());
  if (Overlay* over = overlay_of(target)) return over->open_cursor(target, std::move(range), options);
  auto* cursor = new (std::nothrow) CursorState(std::move(range), options);
  if (cursor == nullptr) return &unmade_cursor();
  try {
    cursor->open(target);
  } catch (...) {
    cursor->fail(error_of_exception("iterate"));
  }
  return cursor;
}

void close_cursor(Cursor* cursor) noexcept {
  if (cursor->moves != nullptr) return cursor->moves->close(cursor);
  if (cursor != &unmade_cursor()) delete static_cast<CursorState*>(cursor);
}
void cursor_first(Cursor& cursor) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->first(cursor);
  state(cursor).seek_first();
}
void cursor_last(Cursor& cursor) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->last(cursor);
  state(cursor).seek_last();
}
void cursor_seek(Cursor& cursor, BytesView key) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->seek(cursor, key);
  state(cursor).seek_from(key);
}
void cursor_seek_for_prev(Cursor& cursor, BytesView key) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->seek_for_prev(cursor, key);
  state(cursor).seek_for_prev(key);
}
void cursor_next(Cursor& cursor) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->next(cursor);
  state(cursor).advance(true);
}
void cursor_prev(Cursor& cursor) noexcept {
  if (cursor.moves != nullptr) return cursor.moves->prev(cursor);
  state(cursor).advance(false);
}
Error cursor_status(const Cursor& cursor) {
  if (cursor.moves != nullptr) return cursor.moves->status(cursor);
  return static_cast<const CursorState&>(cursor).status();
}

}  // namespace snkv::core
