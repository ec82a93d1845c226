/// \file
/// The only door from the inline facade to the compiled core. Not part of the public interface:
/// applications include <snkv/snkv.hpp>.
///
/// Nothing here names `expected`: functions return an `Error` that may be ok and give their result
/// through a reference, which they leave alone on failure. No function throws.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/detail/export.hpp>
#include <snkv/error.hpp>
#include <snkv/options.hpp>
#include <snkv/stats.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::core {

class StoreState;
struct Family;

/// What an operation may be bound to besides the store: a transaction or a snapshot.
class Scope;

/// Where an operation goes: the store, the column family, and the transaction or snapshot it runs
/// in (none: each operation is a transaction of its own).
struct Target {
  std::shared_ptr<StoreState> store;
  std::shared_ptr<const Family> family;
  std::shared_ptr<Scope> scope;
};

/// Half-open key interval of a scan. An empty `high` with `bounded_above == false` has no end.
struct KeyRange {
  Bytes low;
  Bytes high;
  bool bounded_above = false;
};

/// All keys that start with `prefix`.
[[nodiscard]] SNKV_API KeyRange prefix_range(BytesView prefix);

// ---- Store ----
SNKV_API Error open_store(std::string_view path, const Options& options, Target& out);
SNKV_API Error open_in_memory(const Options& options, Target& out);
SNKV_API Error close_store(const Target& target);
SNKV_API Error checkpoint(const Target& target, Checkpoint mode, CheckpointResult& out);
SNKV_API Error sync(const Target& target);
SNKV_API Error vacuum(const Target& target, std::uint32_t max_pages, std::uint32_t& freed);
SNKV_API Error integrity_check(const Target& target);
SNKV_API Error stats(const Target& target, Stats& out);
SNKV_API Error reset_stats(const Target& target);
SNKV_API std::string_view path(const Target& target) noexcept;

// ---- Column families ----
enum class FamilyMode { open, create, open_or_create };
SNKV_API Error family(const Target& target, std::string_view name, FamilyMode mode, Target& out);
SNKV_API Error drop_family(const Target& target, std::string_view name);
SNKV_API Error list_families(const Target& target, std::vector<std::string>& out);
SNKV_API std::string_view family_name(const Target& target) noexcept;

// ---- Entries ----
SNKV_API Error get(const Target& target, BytesView key, Bytes& value);
SNKV_API Error contains(const Target& target, BytesView key, bool& found);
SNKV_API Error put(const Target& target, BytesView key, BytesView value, const PutOptions& options);
SNKV_API Error erase(const Target& target, BytesView key, bool& existed);
SNKV_API Error clear(const Target& target);
SNKV_API Error count(const Target& target, std::uint64_t& entries);

// ---- Transactions and snapshots ----
SNKV_API Error begin(const Target& target, Target& out);
SNKV_API Error commit(const Target& target);
SNKV_API Error rollback(const Target& target);
/// Rolls back when the transaction is still open. For destructors.
SNKV_API void abandon(const Target& target) noexcept;
SNKV_API Error savepoint(const Target& target, std::uint64_t& id);
SNKV_API Error savepoint_rollback(const Target& target, std::uint64_t id);
SNKV_API Error savepoint_release(const Target& target, std::uint64_t id);
SNKV_API void savepoint_abandon(const Target& target, std::uint64_t id) noexcept;
SNKV_API Error snapshot(const Target& target, Target& out);
/// Sleeps before attempt number `attempt` (from 1) of a transaction that found the store busy;
/// returns false when it is time to give up.
SNKV_API bool backoff(unsigned attempt) noexcept;

// ---- Iteration ----

/// A cursor. The fields are its current entry, read inline by the facade; they change only in the
/// functions below.
struct Cursor {
  BytesView key;
  BytesView value;
  bool valid = false;
};

/// Opens a cursor on the keys of `range`, not yet positioned. On failure `out` is still a cursor,
/// which is never valid and whose status is the error.
SNKV_API Cursor* open_cursor(const Target& target, KeyRange range, const ScanOptions& options) noexcept;
SNKV_API void close_cursor(Cursor* cursor) noexcept;
SNKV_API void cursor_first(Cursor& cursor) noexcept;
SNKV_API void cursor_last(Cursor& cursor) noexcept;
SNKV_API void cursor_seek(Cursor& cursor, BytesView key) noexcept;
SNKV_API void cursor_seek_for_prev(Cursor& cursor, BytesView key) noexcept;
SNKV_API void cursor_next(Cursor& cursor) noexcept;
SNKV_API void cursor_prev(Cursor& cursor) noexcept;
SNKV_API Error cursor_status(const Cursor& cursor);

}  // namespace snkv::core
