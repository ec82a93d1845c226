#include "core/journals.hpp"

#include "core/big_endian.hpp"
#include "core/read_path.hpp"
#include "core/store_state.hpp"

#include <sys/stat.h>

#include <string>

namespace snkv::core {
namespace {

constexpr std::size_t sequence_size = 8;
constexpr std::size_t flushed_at = 1;     // in the state, behind its version
constexpr ::off_t tail_header_size = 64;  // tail_file.hpp

/// Whether there is a row beyond what the state says was flushed.
Error has_waiting_rows(const char* operation, const ReadView& view, bool& out) {
  btree::Cursor cursor;
  int rc = cursor.open(view.bt, view.family->root, SNKV_BT_ROWS, false);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
  const std::byte state_key[sequence_size]{};
  std::uint64_t flushed = 0;
  bool found = false;
  Error error = find_entry(operation, view, cursor.get(), BytesView(state_key, sequence_size),
                           found, [&](const Row& row) -> Error {
                             Bytes state;
                             if (Error bad = copy_value(operation, view, row, state); bad.failed())
                               return bad;
                             if (state.size() >= flushed_at + sequence_size) {
                               flushed = big_endian(state.data() + flushed_at, sequence_size);
                             }
                             return {};
                           });
  if (error.failed()) return error;
  int present = 0;
  rc = snkv_bt_last(cursor.get(), &present);
  Bytes scratch;
  Row row;
  if (rc == SNKV_BT_OK && present != 0) rc = read_row(cursor.get(), scratch, row);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
  out = present != 0 && row.key.size() == sequence_size &&
        big_endian(row.key.data(), sequence_size) > flushed;
  return {};
}

}  // namespace

Error count_waiting_journals(const char* operation, snkv_bt* bt, const Catalog& catalog,
                             StoreState& store, std::uint64_t& out) {
  out = 0;
  for (const FamilyEntry& family : catalog.families()) {
    const std::string& name = family.family->name;
    if (!name.starts_with(journal_family_prefix) || !family.is_readable || !family.forged.empty())
      continue;
    const ReadView view{bt, &family, 0, &store, catalog.keys()};
    bool waits = false;
    if (Error error = has_waiting_rows(operation, view, waits); error.failed()) return error;
    if (!waits) {
      struct ::stat info {};
      const std::string tail = store.file + "-buffer-" + name.substr(journal_family_prefix.size());
      waits = ::stat(tail.c_str(), &info) == 0 && info.st_size > tail_header_size;
    }
    out += waits ? 1 : 0;
  }
  return {};
}

}  // namespace snkv::core
