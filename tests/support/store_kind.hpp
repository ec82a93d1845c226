// The three kinds of stores that must behave alike, for GENERATE over them:
//
//     const auto kind = GENERATE(from_range(all_store_kinds));
//     Store store = open_kind(kind, dir);
#pragma once

#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/store.hpp>

#include <array>
#include <ostream>
#include <string_view>

namespace snkv::test {

enum class StoreKind { wal, rollback, memory };

inline constexpr std::array all_store_kinds = {StoreKind::wal, StoreKind::rollback,
                                               StoreKind::memory};
inline constexpr std::array file_store_kinds = {StoreKind::wal, StoreKind::rollback};

/// For tests that commit often: nothing in them depends on surviving a power cut.
inline Options no_sync() { return {.sync = Sync::off}; }

inline std::ostream& operator<<(std::ostream& out, StoreKind kind) {
  constexpr std::array names = {"wal", "rollback", "memory"};
  return out << names[static_cast<std::size_t>(kind)];
}

/// Opens `name` in the folder, or a store in memory; fails the test when it cannot. `options`
/// apply, except that the kind sets the journal mode.
inline Store open_kind(StoreKind kind, const TempDir& dir, Options options = {},
                       std::string_view name = "test.db") {
  if (kind == StoreKind::memory) return must(Store::open_in_memory(options));
  options.journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback;
  return must(open_store(dir.file(name), options));
}

}  // namespace snkv::test
