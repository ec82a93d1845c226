/// \file
/// `ColumnFamily`, a named key space of its own in a store: a table of the same name in the file.
///
/// A handle is cheap to copy and keeps the store open. It means one family for ever: after the family
/// is dropped, by whomever, every use gives `Errc::dropped`, even if another family of the same name
/// has been created since. A handle obtained from a transaction or a snapshot reads and writes
/// through it, and gives `Errc::closed` after its end.
///
/// Threads: any number, as `Store` (bound to a transaction or snapshot: as that).
#pragma once

#include <snkv/entries.hpp>

#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class ColumnFamily : public EntryWriter {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  ColumnFamily() noexcept = default;
  /// Made by `Store`, `Transaction` and `Snapshot`.
  explicit ColumnFamily(core::Target target) noexcept : EntryWriter(std::move(target)) {}

 private:
  friend class Store;
  friend class Transaction;
  friend class Snapshot;
  /// The same family seen from where `target` is.
  [[nodiscard]] Result<ColumnFamily> seen_from(const core::Target& target) const {
    if (target_.store != target.store || target_.store == nullptr) {
      return Unexpected(Error(Errc::invalid_argument, "column_family", "a family of another store"));
    }
    return ColumnFamily(core::Target{target_.store, target_.family, target.scope});
  }
};

namespace facade {

inline Result<ColumnFamily> open_family(const core::Target& target, std::string_view name,
                                        core::FamilyMode mode) {
  core::Target out;
  Error error = core::family(target, name, mode, out);
  return as_result(std::move(error), ColumnFamily(std::move(out)));
}

inline Result<std::vector<std::string>> list_families(const core::Target& target) {
  std::vector<std::string> names;
  Error error = core::list_families(target, names);
  return as_result(std::move(error), std::move(names));
}

}  // namespace facade
}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
