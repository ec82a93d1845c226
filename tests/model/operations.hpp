// The operations of the model test. To add one: write `bool name(World&)` in the file of its kind,
// declare it here, and give it a weight in operations.cpp. It does one thing to the store and the
// same to the oracle, compares, and returns false when it does not apply just now (nothing open to
// close, say), having changed nothing.
#pragma once

#include "world.hpp"

#include <span>
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
bool put_with_ttl(World& world);
bool get(World& world);
bool contains(World& world);
bool erase(World& world);
bool clear(World& world);
bool count(World& world);
bool scan(World& world);
bool bad_arguments(World& world);

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

}  // namespace ops

// ---- Shared by the files above ----

/// Compares everything that can be read through a store or the transaction with the oracle.
void compare_place(World& world, Place place);
/// Compares the committed state with what the stock sqlite3 CLI reads from the file.
void compare_with_cli(World& world);

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
