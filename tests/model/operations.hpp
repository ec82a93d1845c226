// The operations of the model test. To add one: write `bool name(World&)` in the file of its kind,
// declare it here, and give it a weight in operations.cpp. It does one thing to the store and the
// same to the oracle, compares, and returns false when it does not apply just now (nothing open to
// close, say), having changed nothing.
#pragma once

#include "world.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace snkv::model {

struct Operation {
  std::string_view name;
  unsigned weight = 0;
  bool (*run)(World&) = nullptr;
};

[[nodiscard]] std::span<const Operation> operations();

/// Runs one operation, picked by weight among those that apply.
void run_one(World& world);

namespace ops {

// operations_entries.cpp
bool put(World& world);
bool put_with_expiry(World& world);
bool get(World& world);
bool contains(World& world);
bool erase(World& world);
bool clear(World& world);
bool count(World& world);
bool scan(World& world);
bool bad_arguments(World& world);

// operations_updates.cpp
bool put_if_absent(World& world);
bool compare_and_swap(World& world);
bool get_and_put(World& world);
bool get_and_erase(World& world);
bool merge(World& world);
bool increment(World& world);
bool put_number(World& world);
bool erase_range(World& world);
bool expire(World& world);
bool persist(World& world);
bool purge_expired(World& world);
bool purge_all_expired(World& world);

// operations_batches.cpp
bool make_batch(World& world);
bool write_batch(World& world);
bool fill(World& world);

// operations_reads.cpp
bool multi_get(World& world);
bool count_range(World& world);
bool count_live(World& world);
bool family_stats(World& world);
bool ttl(World& world);
bool visit(World& world);
bool sql_count(World& world);

// operations_values.cpp
bool open_value(World& world);
bool read_value(World& world);
bool close_value(World& world);
bool write_in_pieces(World& world);
bool open_writer(World& world);
bool use_writer(World& world);
bool close_writer(World& world);
bool put_file(World& world);
bool get_to_file(World& world);

// operations_transactions.cpp
bool begin(World& world);
bool commit(World& world);
bool rollback(World& world);
bool abandon(World& world);
bool transact(World& world);
bool savepoint(World& world);
bool savepoint_rollback(World& world);
bool savepoint_release(World& world);
bool savepoint_abandon(World& world);

// operations_views.cpp
bool open_iterator(World& world);
bool move_iterator(World& world);
bool close_iterator(World& world);
bool take_snapshot(World& world);
bool read_snapshot(World& world);
bool copy_snapshot(World& world);
bool release_snapshot(World& world);

// operations_families.cpp
bool create_family(World& world);
bool open_family(World& world);
bool get_or_create_family(World& world);
bool drop_family(World& world);
bool list_families(World& world);
bool bad_family_name(World& world);
bool forget_handle(World& world);

// operations_store.cpp
bool advance_clock(World& world);
bool open_second(World& world);
bool close_second(World& world);
bool reopen(World& world);
bool close_while_used(World& world);
bool checkpoint(World& world);
bool vacuum(World& world);
bool sync(World& world);
bool stats(World& world);
bool integrity_check(World& world);
bool compare_all(World& world);

// operations_copies.cpp
bool backup(World& world);
bool verify(World& world);
bool compact(World& world);
bool changes(World& world);

}  // namespace ops

// ---- Shared by the files above ----

/// Compares everything that can be read through a store or the transaction with the oracle.
void compare_place(World& world, Place place);
/// Compares the committed state with what the stock sqlite3 CLI reads from the file.
void compare_with_cli(World& world);

/// Compares one family with the oracle: forward, backward, counts.
void compare_family(World& world, const EntryReader& reader, const Entries& entries,
                    std::int64_t now);
/// Compares what the feed of this store tells with what was done since the last time.
void compare_feed(World& world, int store);

/// The name of a family in double quotes.
[[nodiscard]] std::string sql_name(std::string_view name);

/// Success is none of the outcomes, this is.
inline void refuse(Outcome& allowed, Errc code) {
  allowed.remove(Errc::ok);
  allowed.add(code);
}

/// The entry of a key, unless there is none or it has expired.
[[nodiscard]] const Entry* visible(const Entries* entries, std::string_view key, std::int64_t now);
/// With this probability in percent an expiry: mostly a good one.
[[nodiscard]] Expiry random_expiry(World& world, std::uint64_t share);

/// Where something is read: through a store, the transaction or a snapshot.
struct Reading {
  EntryReader* reader = nullptr;
  const Entries* entries = nullptr;  ///< Null: what it belongs to is gone.
  std::int64_t now = 0;
  Outcome allowed;
  std::string label;
  std::unique_ptr<ColumnFamily> family;  ///< If it is one made for the occasion.
  Access access;                         ///< Unless it is a snapshot.
  const LiveSnapshot* snapshot = nullptr;
};
[[nodiscard]] Reading pick_reading(World& world);
/// The value that is to be found; if there is none, the outcome is `not_found`.
[[nodiscard]] const Entry* sought(const Reading& reading, std::string_view key, Outcome& allowed);

/// A key that is often one of `entries` (null: any).
[[nodiscard]] std::string likely_key(World& world, const Entries* entries);
/// Random bounds, and the same as a range of the reader.
[[nodiscard]] Range random_range(World& world, const EntryReader& reader, Bounds& bounds);
/// Compares up to `limit` entries of a scan with what it should see.
void compare_scan(World& world, Range range, const ScanView& view, bool backward, bool keys_only,
                  std::size_t limit);
/// Closes the iterators and snapshots that keep this store open.
void forget_views_on(World& world, int store);

}  // namespace snkv::model
