#include "core/write_path.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/format.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace snkv::core {
namespace {

using btree::Column;

std::uint32_t size32(BytesView bytes) { return static_cast<std::uint32_t>(bytes.size()); }

Error engine_error(const WriteContext& context, int rc, BytesView key) {
  return btree::engine_error(context.operation, rc, base::printable(key));
}

Error resolve(const WriteContext& context, const FamilyEntry*& tables) {
  return context.session.resolve(context.operation, context.family, true, tables);
}

/// Encodes into the session's scratch space.
BytesView encode(WriteSession& session, std::span<const Column> columns) {
  session.record.resize_for_overwrite(btree::record_size(columns));
  btree::encode_record(columns, session.record.data());
  return session.record;
}

/// What the side tables have of a row, kept beyond the life of the row's page.
struct SideEntries {
  std::optional<std::int64_t> expires_at;
  std::int64_t large_id = 0;

  SideEntries() = default;
  explicit SideEntries(const Row& row) : expires_at(row.expires_at), large_id(row.large_id) {}
};

/// The row of `key`, expired or not; `found` tells whether there is one. Leaves the cursor on it.
int find_row(WriteSession& session, snkv_bt_cursor* cursor, BytesView key, bool& found, Row& row) {
  int order = 0;
  const int rc = snkv_bt_seek(cursor, key.data(), size32(key), &order);
  found = rc == SNKV_BT_OK && order == 0 && snkv_bt_valid(cursor) != 0;
  return found ? read_row(cursor, session.payload, row) : rc;
}

ReadView view_of(WriteSession& session, const FamilyEntry& tables) {
  return {session.bt(), &tables, session.now(), &session.store(), session.keys()};
}

// ---- Side tables ----

/// Makes a side table of the family on first use.
Error make_side_table(const WriteContext& context, const std::string& sql,
                      const FamilyEntry*& tables) {
  if (Error error = context.session.create_table(context.operation, sql, context.family.id);
      error.failed()) {
    return error;
  }
  return resolve(context, tables);
}

std::int64_t rowid_of(std::int64_t large_id, std::uint64_t chunk) {
  return (large_id << format::chunk_bits) + static_cast<std::int64_t>(chunk);
}

/// The largest id of a large value of the family, 0 if there is none.
int last_large_id(WriteSession& session, const FamilyEntry& tables, std::int64_t& id) {
  snkv_bt_cursor* cursor = nullptr;
  int valid = 0;
  int rc = session.cursor(tables.large_root, SNKV_BT_ROWID, cursor);
  if (rc == SNKV_BT_OK) rc = snkv_bt_last(cursor, &valid);
  id = rc == SNKV_BT_OK && valid != 0 ? snkv_bt_rowid(cursor) >> format::chunk_bits : 0;
  return rc;
}

/// An id, and a tag, for a large value, in a table that is made if need be.
Error new_large_value(const WriteContext& context, const FamilyEntry*& tables, BytesView key,
                      LargeValue& large) {
  if (tables->large_root == 0) {
    Error error = make_side_table(context, format::large_table_sql(context.family.id), tables);
    if (error.failed()) return error;
  }
  std::int64_t last = 0;
  const int rc = last_large_id(context.session, *tables, last);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
  large.id = context.session.new_large_id(last);
  if (context.session.keys() != nullptr) randombytes_buf(large.tag.data(), large.tag.size());
  return {};
}

/// Seals into the session's scratch space.
BytesView seal(WriteSession& session, const SealPlace& place, BytesView plain) {
  session.sealed.resize_for_overwrite(plain.size() + KeyRing::overhead);
  session.keys()->seal(place, plain, session.sealed.data());
  return session.sealed;
}

int put_chunk(WriteSession& session, const FamilyEntry& tables, BytesView key,
              const LargeValue& large, std::uint64_t index, BytesView chunk) {
  snkv_bt_cursor* cursor = nullptr;
  const int rc = session.cursor(tables.large_root, SNKV_BT_ROWID, cursor);
  if (rc != SNKV_BT_OK) return rc;
  if (session.keys() != nullptr) {
    const std::uint32_t family = tables.family->id;
    chunk = seal(session, {family, key, {}, SealPlace::Kind::chunk, large.tag, index}, chunk);
  }
  const Column columns[] = {Column::null(), Column::of(chunk)};
  const BytesView record = encode(session, columns);
  return snkv_bt_insert_rowid(cursor, rowid_of(large.id, index), record.data(), size32(record));
}

Error write_large(const WriteContext& context, const FamilyEntry*& tables, const NewEntry& entry,
                  LargeValue& large) {
  Error error = new_large_value(context, tables, entry.key, large);
  if (error.failed()) return error;
  large.size = entry.value.size();
  large.chunk_size = largest_chunk(context.session);
  const std::size_t chunk_size = large.chunk_size;
  std::uint64_t index = 0;
  int rc = SNKV_BT_OK;
  for (std::size_t at = 0; rc == SNKV_BT_OK && at < entry.value.size(); at += chunk_size) {
    const BytesView chunk(entry.value.data() + at, std::min(chunk_size, entry.value.size() - at));
    rc = put_chunk(context.session, *tables, entry.key, large, index++, chunk);
  }
  return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, entry.key);
}

int erase_large(WriteSession& session, const FamilyEntry& tables, std::int64_t id, std::uint64_t first = 0) {
  snkv_bt_cursor* cursor = nullptr;
  if (tables.large_root == 0) return SNKV_BT_CORRUPT;
  session.retire_large_id(id);
  int rc = session.cursor(tables.large_root, SNKV_BT_ROWID, cursor);
  for (std::int64_t rowid = rowid_of(id, first); rc == SNKV_BT_OK; ++rowid) {
    int order = 0;
    rc = snkv_bt_seek_rowid(cursor, rowid, &order);
    if (rc != SNKV_BT_OK || order != 0 || snkv_bt_valid(cursor) == 0) break;
    rc = snkv_bt_delete(cursor);
  }
  return rc;
}

int add_expiry(WriteSession& session, const FamilyEntry& tables, std::int64_t at, BytesView key) {
  snkv_bt_cursor* cursor = nullptr;
  const int rc = session.cursor(tables.expiry_root, SNKV_BT_EXPIRY, cursor);
  if (rc != SNKV_BT_OK) return rc;
  const Column columns[] = {Column::of(at), Column::of(key)};
  const BytesView record = encode(session, columns);
  return snkv_bt_insert_expiry(cursor, at, key.data(), size32(key), record.data(), size32(record));
}

/// An entry written through SQL may be missing in the index: that is no error.
int remove_expiry(WriteSession& session, const FamilyEntry& tables, std::int64_t at, BytesView key) {
  if (tables.expiry_root == 0) return SNKV_BT_OK;
  snkv_bt_cursor* cursor = nullptr;
  int order = 0;
  int rc = session.cursor(tables.expiry_root, SNKV_BT_EXPIRY, cursor);
  if (rc == SNKV_BT_OK) rc = snkv_bt_seek_expiry(cursor, at, key.data(), size32(key), &order);
  if (rc != SNKV_BT_OK || order != 0 || snkv_bt_valid(cursor) == 0) return rc;
  return snkv_bt_delete(cursor);
}

/// Removes what the side tables have of a row that is gone.
Error erase_side_entries(const WriteContext& context, const FamilyEntry& tables, BytesView key,
                         const SideEntries& old) {
  int rc = SNKV_BT_OK;
  if (old.large_id != 0) rc = erase_large(context.session, tables, old.large_id);
  if (rc == SNKV_BT_OK && old.expires_at) {
    rc = remove_expiry(context.session, tables, *old.expires_at, key);
  }
  return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, key);
}

/// Writes the row itself, over one that may be there, and tells what the side tables had of that.
Error put_row(const WriteContext& context, const FamilyEntry& tables, BytesView key,
              std::span<const Column> columns, SideEntries& old) {
  WriteSession& session = context.session;
  snkv_bt_cursor* cursor = nullptr;
  bool found = false;
  Row row;
  int rc = session.cursor(tables.root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = find_row(session, cursor, key, found, row);
  if (rc == SNKV_BT_OK) {
    if (found) old = SideEntries(row);
    const BytesView record = encode(session, columns);
    rc = snkv_bt_insert(cursor, key.data(), size32(key), record.data(), size32(record));
  }
  return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, key);
}

/// Erases the row that the cursor was sought to, and all that belongs to it.
Error erase_row(const WriteContext& context, const FamilyEntry& tables, snkv_bt_cursor* cursor,
                BytesView key, const SideEntries& old) {
  return change(context.session, [&]() -> Error {
    const int rc = snkv_bt_delete(cursor);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
    context.session.note(Change::Kind::erase, context.family, key);
    return erase_side_entries(context, tables, key, old);
  });
}

}  // namespace

Error put_entry(const WriteContext& context, const NewEntry& entry) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;

  Column columns[format::row_columns] = {Column::of(entry.key), Column::of(entry.expires_at),
                                         Column::of(entry.value)};
  std::span<const Column> record(columns, format::small_row_columns);
  LargeValue large = entry.large;
  const bool sealing = session.keys() != nullptr;
  const std::uint64_t row_size = btree::record_size(record) + (sealing ? KeyRing::overhead : 0);
  const bool in_chunks =
      large.id != 0 || (row_size > session.max_local() && entry.value.size() > format::large_value_minimum);
  SealPlace place{context.family.id, entry.key, entry.expires_at};
  return change(session, [&]() -> Error {
    // The side tables first: making or writing them would cost the row's cursor its position [C4].
    if (entry.expires_at && tables->expiry_root == 0) {
      Error error = make_side_table(context, format::expiry_table_sql(context.family.id), tables);
      if (error.failed()) return error;
    }
    if (in_chunks) {
      if (large.id == 0) {
        if (Error error = write_large(context, tables, entry, large); error.failed()) return error;
      }
      columns[format::row_value] = Column::null();
      if (sealing) {
        place.kind = SealPlace::Kind::large;
        columns[format::row_value] = Column::of(seal(session, place, describe_large(large)));
      }
      columns[format::row_large_id] = Column::of(large.id);
      columns[format::row_large_size] = Column::of(static_cast<std::int64_t>(large.size));
      record = columns;
    } else if (sealing) {
      columns[format::row_value] = Column::of(seal(session, place, entry.value));
    }
    SideEntries old;
    if (Error error = put_row(context, *tables, entry.key, record, old); error.failed()) return error;
    session.note(Change::Kind::put, context.family, entry.key);
    if (old.large_id == large.id) old.large_id = 0;  // changed where it is
    if (old.expires_at == entry.expires_at) {
      old.expires_at.reset();  // the index has it already
    } else if (entry.expires_at) {
      const int rc = add_expiry(session, *tables, *entry.expires_at, entry.key);
      if (rc != SNKV_BT_OK) return engine_error(context, rc, entry.key);
    }
    return erase_side_entries(context, *tables, entry.key, old);
  });
}

// ---- Large values in pieces ----

std::uint32_t largest_chunk(const WriteSession& session) noexcept {
  return snkv_bt_max_chunk(session.bt()) - (session.keys() == nullptr ? 0 : KeyRing::overhead);
}

Error begin_large_value(const WriteContext& context, BytesView key, LargeValue& large) {
  const btree::Lock lock(context.session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  return change(context.session, [&] { return new_large_value(context, tables, key, large); });
}

Error write_chunk(const WriteContext& context, BytesView key, const LargeValue& large,
                  std::uint64_t index, BytesView chunk) {
  const btree::Lock lock(context.session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  return change(context.session, [&]() -> Error {
    const int rc = put_chunk(context.session, *tables, key, large, index, chunk);
    return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, key);
  });
}

Error erase_chunks(const WriteContext& context, BytesView key, std::int64_t id) {
  const btree::Lock lock(context.session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  if (tables->large_root == 0) return {};  // its table was rolled back to a savepoint
  return change(context.session, [&]() -> Error {
    const int rc = erase_large(context.session, *tables, id);
    return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, key);
  });
}

Error erase_chunks_from(const WriteContext& context, BytesView key, std::int64_t id, std::uint64_t first) {
  const btree::Lock lock(context.session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  return change(context.session, [&]() -> Error {
    const int rc = erase_large(context.session, *tables, id, first);
    return rc == SNKV_BT_OK ? Error() : engine_error(context, rc, key);
  });
}

Error drop_unfinished_values(const char* operation, WriteSession& session) {
  if (session.begun_values().empty()) return {};
  const btree::Lock lock(session.connection());
  session.lose_values(0);
  // They are not forgotten before the commit has happened: when it is busy, going back to a savepoint
  // may bring the chunks back.
  return change(session, [&]() -> Error {
    for (const auto& value : session.begun_values()) {
      const FamilyEntry* tables = session.catalog().find(value->family_id);
      if (value->id == 0 || tables == nullptr) continue;
      snkv_bt_cursor* cursor = nullptr;
      bool found = false;
      Row row;
      int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
      if (rc == SNKV_BT_OK) rc = find_row(session, cursor, value->key, found, row);
      if (rc == SNKV_BT_OK && found && row.large_id == value->id) continue;
      const WriteContext context{operation, session, *tables->family};
      if (rc != SNKV_BT_OK) return engine_error(context, rc, value->key);
      Error failed = erase_chunks(context, value->key, value->id);
      if (failed.failed()) return failed;
    }
    return {};
  });
}

Error erase_entry(const WriteContext& context, BytesView key, bool& existed) {
  existed = false;
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  snkv_bt_cursor* cursor = nullptr;
  bool found = false;
  Row row;
  int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = find_row(session, cursor, key, found, row);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
  if (!found) return {};
  bool live = false;
  Error error = is_live(context.operation, view_of(session, *tables), row, live);
  const bool believed = !(error == Errc::tampered);
  if (error.failed() && believed) return error;
  error = erase_row(context, *tables, cursor, key, SideEntries(row));
  existed = (live || !believed) && !error.failed();
  return error;
}

namespace {

/// Empties the trees of a family, in O(pages).
Error clear_trees(const WriteContext& context, const FamilyEntry& tables) {
  if (tables.large_root != 0) {
    std::int64_t last = 0;
    const int rc = last_large_id(context.session, tables, last);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, context.family.name);
    context.session.retire_large_id(last);
  }
  context.session.close_cursors();
  context.session.lose_values(context.family.id);
  for (const std::uint32_t root : {tables.root, tables.large_root, tables.expiry_root}) {
    if (root == 0) continue;
    const int rc = snkv_bt_clear(context.session.bt(), root);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, context.family.name);
  }
  return {};
}

}  // namespace

Error clear_family(const WriteContext& context) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  return change(session, [&]() -> Error {
    session.note(Change::Kind::clear, context.family, {});
    return clear_trees(context, *tables);
  });
}

namespace {

/// The entries outside a range, when they are few enough to be set aside while the tree is emptied.
class Survivors {
 public:
  /// Collects them; false when there are too many, or too large ones.
  [[nodiscard]] bool collect(snkv_bt_cursor* cursor, const KeyRange& range, int& rc) {
    int valid = 0;
    int order = 0;
    rc = snkv_bt_first(cursor, &valid);
    Bytes scratch;
    while (rc == SNKV_BT_OK && valid != 0) {
      Row row;
      rc = read_row(cursor, scratch, row);
      if (rc != SNKV_BT_OK) break;
      if (row.key >= BytesView(range.low) && inside_above(range, row.key)) {
        if (!range.bounded_above) return true;
        // To the end of the range in one seek.
        rc = snkv_bt_seek(cursor, range.high.data(), size32(range.high), &order);
        valid = snkv_bt_valid(cursor);
        if (rc == SNKV_BT_OK && valid != 0 && order < 0) rc = snkv_bt_next(cursor, &valid);
        continue;
      }
      if (row.large_id != 0 || row.expires_at) return false;
      bytes_ += row.key.size() + row.value.size();
      if (bytes_ > most_bytes) return false;
      entries_.push_back({Bytes(row.key), Bytes(row.value)});
      rc = snkv_bt_next(cursor, &valid);
    }
    return rc == SNKV_BT_OK;
  }

  [[nodiscard]] std::uint64_t size() const noexcept { return entries_.size(); }

  [[nodiscard]] Error restore(const WriteContext& context, const FamilyEntry& tables) const {
    for (const auto& [key, value] : entries_) {
      const Column columns[] = {Column::of(key), Column::null(), Column::of(BytesView(value))};
      SideEntries old;
      if (Error error = put_row(context, tables, key, columns, old); error.failed()) return error;
    }
    return {};
  }

  static bool inside_above(const KeyRange& range, BytesView key) {
    return !range.bounded_above || key < BytesView(range.high);
  }

 private:
  static constexpr std::size_t most_bytes = 4u << 20;
  struct Entry {
    Bytes key;
    Bytes value;
  };
  std::vector<Entry> entries_;
  std::size_t bytes_ = 0;
};

/// Erases by emptying the tree, in O(pages), when what stays is a small part of it. `done` tells whether
/// it was so.
Error erase_nearly_all(const WriteContext& context, const FamilyEntry& tables, const KeyRange& range,
                       std::uint64_t in_range, bool& done) {
  WriteSession& session = context.session;
  done = false;
  snkv_bt_cursor* cursor = nullptr;
  std::uint64_t all = 0;
  int rc = session.cursor(tables.root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = snkv_bt_count(cursor, &all);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, range.low);
  // Erasing one entry costs about as much as putting one back.
  if (all - in_range > in_range / 4) return {};
  // Nor may the chunks of values go that somebody is still writing.
  for (const auto& value : session.begun_values()) {
    if (value->family_id == context.family.id) return {};
  }
  Survivors survivors;
  const bool few = survivors.collect(cursor, range, rc);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, range.low);
  if (!few) return {};
  done = true;
  return change(session, [&]() -> Error {
    session.note(Change::Kind::range, context.family, range.low, range.high);
    Error error = clear_trees(context, tables);
    return error.failed() ? error : survivors.restore(context, tables);
  });
}

/// Erases so many entries of a range, from its beginning.
Error erase_one_by_one(const WriteContext& context, const FamilyEntry& tables, const KeyRange& range,
                       std::uint64_t count) {
  WriteSession& session = context.session;
  snkv_bt_cursor* cursor = nullptr;
  int rc = session.cursor(tables.root, SNKV_BT_ROWS, cursor);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, range.low);
  for (std::uint64_t i = 0; i < count; ++i) {
    // The first key of what is left of the range; found again each time, because erasing moves cells.
    int order = 0;
    rc = snkv_bt_seek(cursor, range.low.data(), size32(range.low), &order);
    int valid = snkv_bt_valid(cursor);
    if (rc == SNKV_BT_OK && valid != 0 && order < 0) rc = snkv_bt_next(cursor, &valid);
    Row row;
    if (rc == SNKV_BT_OK && valid == 0) rc = SNKV_BT_CORRUPT;  // the count said otherwise
    if (rc == SNKV_BT_OK) rc = read_row(cursor, session.payload, row);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, range.low);
    const Bytes key(row.key);
    const SideEntries old(row);
    bool found = false;
    rc = find_row(session, cursor, key, found, row);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
    if (Error error = erase_row(context, tables, cursor, key, old); error.failed()) return error;
  }
  return {};
}

}  // namespace

Error erase_entries(const WriteContext& context, const KeyRange& range, std::uint64_t& erased) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  snkv_bt_cursor* cursor = nullptr;
  int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = count_keys(cursor, range, erased);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, range.low);
  if (erased == 0) return {};
  bool done = false;
  if (erased >= 256) {
    Error error = erase_nearly_all(context, *tables, range, erased, done);
    if (error.failed() || done) return error;
  }
  return change(session, [&] { return erase_one_by_one(context, *tables, range, erased); });
}

namespace {

/// Seals what was sealed for a place once more, with another expiry.
Error seal_again(const WriteContext& context, SealPlace place,
                 std::optional<std::int64_t> expires_at, Bytes& value) {
  const KeyRing& keys = *context.session.keys();
  Bytes plain;
  plain.resize_for_overwrite(value.size() - std::min(value.size(), KeyRing::overhead));
  if (!keys.open(place, value, plain.data())) {
    return Error(Errc::tampered, context.operation,
                 fmt::format("the value of {}", base::printable(place.key)));
  }
  place.expires_at = expires_at;
  keys.seal(place, plain, value.data());
  return {};
}

}  // namespace

Error set_entry_expiry(const WriteContext& context, BytesView key,
                       std::optional<std::int64_t> expires_at, bool& found) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  snkv_bt_cursor* cursor = nullptr;
  Row row;
  int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc == SNKV_BT_OK) rc = find_row(session, cursor, key, found, row);
  if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
  if (found) {
    Error error = is_live(context.operation, view_of(session, *tables), row, found);
    if (error.failed()) return error;
  }
  if (!found || row.expires_at == expires_at) return {};
  const SideEntries old(row);
  // A copy: the row is rewritten from it, and making the index may take the page away.
  Bytes value(row.value);
  if (session.keys() != nullptr) {
    // The expiry is sealed with the value; of a large one, with what describes it.
    const auto kind = row.large_id != 0 ? SealPlace::Kind::large : SealPlace::Kind::value;
    Error error = seal_again(context, {context.family.id, key, row.expires_at, kind}, expires_at, value);
    if (error.failed()) return error;
  }
  const bool has_value = row.large_id == 0 || !value.empty();
  const Column columns[format::row_columns] = {
      Column::of(key), Column::of(expires_at),
      has_value ? Column::of(BytesView(value)) : Column::null(), Column::of(row.large_id),
      Column::of(static_cast<std::int64_t>(row.large_size))};
  const std::span<const Column> record(
      columns, row.large_id != 0 ? format::row_columns : format::small_row_columns);
  return change(session, [&]() -> Error {
    if (expires_at && tables->expiry_root == 0) {
      Error error = make_side_table(context, format::expiry_table_sql(context.family.id), tables);
      if (error.failed()) return error;
    }
    SideEntries ignored;
    if (Error error = put_row(context, *tables, key, record, ignored); error.failed()) return error;
    session.note(Change::Kind::put, context.family, key);
    int status = SNKV_BT_OK;
    if (old.expires_at) status = remove_expiry(session, *tables, *old.expires_at, key);
    if (status == SNKV_BT_OK && expires_at) status = add_expiry(session, *tables, *expires_at, key);
    return status == SNKV_BT_OK ? Error() : engine_error(context, status, key);
  });
}

namespace {

/// The earliest expiry in the index behind those that were passed over, if it is in the past.
int earliest_expired(WriteSession& session, snkv_bt_cursor* cursor, const PurgeProgress& progress,
                     bool& found, std::int64_t& at, Bytes& key) {
  found = false;
  int valid = 0;
  int rc = SNKV_BT_OK;
  if (!progress.refused.failed()) {
    rc = snkv_bt_first(cursor, &valid);
  } else {
    int order = 0;
    rc = snkv_bt_seek_expiry(cursor, progress.refused_at, progress.refused_key.data(),
                             size32(progress.refused_key), &order);
    valid = snkv_bt_valid(cursor);
    if (rc == SNKV_BT_OK && valid != 0 && order <= 0) rc = snkv_bt_next(cursor, &valid);
  }
  if (rc != SNKV_BT_OK || valid == 0) return rc;
  rc = read_expiry(cursor, session.payload, at, key);
  found = rc == SNKV_BT_OK && at <= session.now();
  return rc;
}

}  // namespace

Error purge_entries(const WriteContext& context, std::uint64_t limit, PurgeProgress& progress,
                    std::uint64_t& purged) {
  purged = 0;
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = resolve(context, tables); error.failed()) return error;
  if (tables->expiry_root == 0) return {};
  Bytes key;
  while (purged < limit) {
    snkv_bt_cursor* expiries = nullptr;
    snkv_bt_cursor* rows = nullptr;
    bool expired = false;
    bool found = false;
    std::int64_t at = 0;
    Row row;
    int rc = session.cursor(tables->expiry_root, SNKV_BT_EXPIRY, expiries);
    if (rc == SNKV_BT_OK) rc = earliest_expired(session, expiries, progress, expired, at, key);
    if (rc == SNKV_BT_OK && !expired) return {};
    if (rc == SNKV_BT_OK) rc = session.cursor(tables->root, SNKV_BT_ROWS, rows);
    if (rc == SNKV_BT_OK) rc = find_row(session, rows, key, found, row);
    if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
    if (found && row.expires_at == at) {
      bool live = false;
      Error refused = is_live(context.operation, view_of(session, *tables), row, live);
      if (refused == Errc::tampered) {
        if (!progress.refused.failed()) progress.refused = std::move(refused);
        progress.refused_at = at;
        progress.refused_key = std::move(key);
        continue;
      }
      if (refused.failed()) return refused;
      if (Error error = erase_row(context, *tables, rows, key, SideEntries(row)); error.failed()) {
        return error;
      }
      ++purged;
    } else {
      // SQL changed or removed the row: only the index still speaks of it.
      rc = remove_expiry(session, *tables, at, key);
      if (rc != SNKV_BT_OK) return engine_error(context, rc, key);
    }
  }
  return {};
}

}  // namespace snkv::core
