#include "core/write_path.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/format.hpp"
#include "core/read_path.hpp"
#include "core/store_state.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace snkv::core {
namespace {

using btree::Column;

/// From the first change of an operation until `done`, leaving means that the operation is half-done:
/// the transaction is poisoned then.
class ChangeGuard {
 public:
  explicit ChangeGuard(WriteSession& session) noexcept : bt_(session.bt()) {}
  ChangeGuard(const ChangeGuard&) = delete;
  ChangeGuard& operator=(const ChangeGuard&) = delete;
  ~ChangeGuard() {
    if (!done_) snkv_bt_poison(bt_);
  }
  void done() noexcept { done_ = true; }

 private:
  snkv_bt* bt_;
  bool done_ = false;
};

std::uint32_t size32(BytesView bytes) { return static_cast<std::uint32_t>(bytes.size()); }

/// The row of `key`, expired or not; `found` tells whether there is one. Leaves the cursor on it.
int find_row(WriteSession& session, snkv_bt_cursor* cursor, BytesView key, bool& found, Row& row) {
  int order = 0;
  const int rc = snkv_bt_seek(cursor, key.data(), size32(key), &order);
  found = rc == SNKV_BT_OK && order == 0 && snkv_bt_valid(cursor) != 0;
  return found ? read_row(cursor, session.payload, row) : rc;
}

// ---- Large values ----

/// Makes the side table of a family on first use.
Error large_table(const char* operation, WriteSession& session, const Family& family,
                  const FamilyEntry*& entry) {
  if (entry->large_root != 0) return {};
  Error error = session.change_schema(operation, format::large_table_sql(family.id));
  if (error.failed()) return error;
  return session.resolve(operation, family, true, entry);
}

int next_large_id(snkv_bt_cursor* cursor, std::int64_t& id) {
  int valid = 0;
  const int rc = snkv_bt_last(cursor, &valid);
  id = valid != 0 ? (snkv_bt_rowid(cursor) >> format::chunk_bits) + 1 : 1;
  return rc;
}

Error write_large(const char* operation, WriteSession& session, const FamilyEntry& family,
                  BytesView value, std::int64_t& id) {
  snkv_bt_cursor* cursor = nullptr;
  int rc = session.cursor(family.large_root, SNKV_BT_ROWID, cursor);
  if (rc == SNKV_BT_OK) rc = next_large_id(cursor, id);
  const std::size_t chunk_size = snkv_bt_max_chunk(session.bt());
  std::int64_t rowid = id << format::chunk_bits;
  for (std::size_t at = 0; rc == SNKV_BT_OK && at < value.size(); at += chunk_size) {
    const BytesView chunk(value.data() + at, std::min(chunk_size, value.size() - at));
    const Column columns[] = {Column::null(), Column::of(chunk)};
    const auto size = static_cast<std::uint32_t>(btree::record_size(columns));
    session.record.resize_for_overwrite(size);
    btree::encode_record(columns, session.record.data());
    rc = snkv_bt_insert_rowid(cursor, rowid++, session.record.data(), size);
  }
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, "writing a large value");
}

Error erase_large(const char* operation, WriteSession& session, const FamilyEntry& family,
                  std::int64_t id) {
  snkv_bt_cursor* cursor = nullptr;
  int rc = family.large_root == 0 ? SNKV_BT_CORRUPT
                                  : session.cursor(family.large_root, SNKV_BT_ROWID, cursor);
  for (std::int64_t rowid = id << format::chunk_bits; rc == SNKV_BT_OK; ++rowid) {
    int order = 0;
    rc = snkv_bt_seek_rowid(cursor, rowid, &order);
    if (rc != SNKV_BT_OK || order != 0 || snkv_bt_valid(cursor) == 0) break;
    rc = snkv_bt_delete(cursor);
  }
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, "erasing a large value");
}

}  // namespace

Error put_entry(const char* operation, WriteSession& session, const Family& family,
                const NewEntry& entry) {
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = session.resolve(operation, family, true, tables); error.failed()) return error;

  const Column expiry = Column::of(entry.expires_at);
  Column columns[format::row_columns] = {Column::of(entry.key), expiry, Column::of(entry.value)};
  std::span<const Column> record(columns, format::small_row_columns);
  const bool large = btree::record_size(record) > snkv_bt_max_local(session.bt()) &&
                     entry.value.size() > format::large_value_minimum;
  ChangeGuard change(session);
  if (large) {
    // Before the row is sought: writing elsewhere would cost the cursor its position [C4].
    std::int64_t id = 0;
    if (Error error = large_table(operation, session, family, tables); error.failed()) return error;
    if (Error error = write_large(operation, session, *tables, entry.value, id); error.failed()) {
      return error;
    }
    columns[format::row_value] = Column::null();
    columns[format::row_large_id] = Column::of(id);
    columns[format::row_large_size] = Column::of(static_cast<std::int64_t>(entry.value.size()));
    record = columns;
  }

  snkv_bt_cursor* cursor = nullptr;
  bool found = false;
  Row old;
  int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = find_row(session, cursor, entry.key, found, old);
  if (rc == SNKV_BT_OK) {
    const auto size = static_cast<std::uint32_t>(btree::record_size(record));
    session.record.resize_for_overwrite(size);
    btree::encode_record(record, session.record.data());
    rc = snkv_bt_insert(cursor, entry.key.data(), size32(entry.key), session.record.data(), size);
  }
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(entry.key));
  if (found && old.large_id != 0) {
    if (Error error = erase_large(operation, session, *tables, old.large_id); error.failed()) {
      return error;
    }
  }
  change.done();
  return {};
}

Error erase_entry(const char* operation, WriteSession& session, const Family& family, BytesView key,
                  bool& existed) {
  existed = false;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = session.resolve(operation, family, true, tables); error.failed()) return error;
  snkv_bt_cursor* cursor = nullptr;
  bool found = false;
  Row old;
  int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = find_row(session, cursor, key, found, old);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  if (!found) return {};
  ChangeGuard change(session);
  const bool live = !old.expired(session.now());
  const std::int64_t large_id = old.large_id;
  rc = snkv_bt_delete(cursor);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  if (large_id != 0) {
    if (Error error = erase_large(operation, session, *tables, large_id); error.failed()) return error;
  }
  change.done();
  existed = live;
  return {};
}

Error clear_family(const char* operation, WriteSession& session, const Family& family) {
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = session.resolve(operation, family, true, tables); error.failed()) return error;
  session.close_cursors();
  ChangeGuard change(session);
  int rc = snkv_bt_clear(session.bt(), tables->root);
  if (rc == SNKV_BT_OK && tables->large_root != 0) {
    rc = snkv_bt_clear(session.bt(), tables->large_root);
  }
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(family.name));
  change.done();
  return {};
}

}  // namespace snkv::core
