/// \file
/// `Snapshot`, an unchanging view of the whole store as of one commit.
///
/// While a snapshot is open the write-ahead log cannot be recycled past it, so the log grows with
/// every write: keep snapshots short (`Stats::oldest_snapshot_age` tells). Its families are those of
/// its moment: one dropped since is still there.
///
/// Threads: reads through one snapshot exclude each other; take one per thread for parallel reads.
/// A copy is another handle to the same view, which ends when the last handle, and the last iterator
/// made from one, is gone.
#pragma once

#include <snkv/column_family.hpp>

#include <string>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class Snapshot : public EntryReader {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  Snapshot() noexcept = default;
  /// Made by `Store::snapshot`.
  explicit Snapshot(core::Target target) noexcept : EntryReader(std::move(target)) {}

  /// The column family `name` as of the snapshot; `not_found` if there was none. Writes through the
  /// handle give `Errc::read_only`.
  [[nodiscard]] Result<ColumnFamily> column_family(std::string_view name) const {
    return facade::open_family(target_, name, core::FamilyMode::open);
  }
  /// A family that was obtained elsewhere, as of the snapshot; `invalid_argument` if it is one of
  /// another store. It gives `dropped` if it was not there.
  [[nodiscard]] Result<ColumnFamily> column_family(const ColumnFamily& family) const {
    return family.seen_from(target_);
  }
  /// The names of the column families of that moment, sorted.
  [[nodiscard]] Result<std::vector<std::string>> list_column_families() const {
    return facade::list_families(target_);
  }
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
