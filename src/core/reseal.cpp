#include "core/reseal.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/columns/column_reader.hpp"
#include "core/format.hpp"
#include "core/run.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>
#include <vector>

namespace snkv::core {
namespace {

using btree::Column;

/// What one transaction takes: enough to be fast, little enough not to keep other writers waiting.
constexpr std::uint64_t most_entries = 4096;
constexpr std::uint64_t most_bytes = 4u << 20;

std::uint32_t size32(BytesView bytes) { return static_cast<std::uint32_t>(bytes.size()); }

/// A row that is sealed with an older key, kept beyond the life of its page.
struct OldRow {
  Bytes key;
  Bytes value;
  std::optional<std::int64_t> expires_at;
  std::int64_t large_id = 0;
  std::uint64_t large_size = 0;
};

class Resealer {
 public:
  Resealer(const WriteContext& context, const FamilyEntry& tables, ResealPosition& position)
      : context_(context), session_(context.session), tables_(tables), position_(position) {}

  [[nodiscard]] Error run() {
    if (!position_.rows_finished) {
      if (Error error = entries(); error.failed()) return error;
      position_.rows_finished = position_.finished;
    }
    if (!position_.rows_finished || !is_column_family(context_.family.name)) return {};
    position_.finished = false;
    return column();
  }

 private:
  [[nodiscard]] Error entries() {
    std::vector<OldRow> rows;
    std::vector<std::uint64_t> entries;  // that are done with each of them
    if (Error error = collect(rows, entries); error.failed()) return error;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      bool done = true;
      if (rows[i].large_id != 0) {
        if (Error error = chunks(rows[i], done); error.failed()) return error;
      }
      if (!done) {
        position_.finished = false;
        return {};
      }
      if (Error error = row(rows[i]); error.failed()) return error;
      position_.entries = entries[i];
      position_.after = std::move(rows[i].key);
    }
    if (last_.size() > 0) position_.after = std::move(last_);
    position_.entries = seen_;
    return {};
  }

  [[nodiscard]] Error failed(int rc, BytesView key) const {
    return btree::engine_error(context_.operation, rc, base::printable(key));
  }
  [[nodiscard]] Error tampered(BytesView key) const {
    return Error(Errc::tampered, context_.operation,
                 fmt::format("the value of {}", base::printable(key)));
  }

  /// Finds rows with an older key among the next ones.
  [[nodiscard]] Error collect(std::vector<OldRow>& rows, std::vector<std::uint64_t>& entries) {
    snkv_bt_cursor* cursor = nullptr;
    const BytesView after = position_.after;
    int valid = 0;
    int rc = session_.cursor(tables_.root, SNKV_BT_ROWS, cursor);
    if (rc == SNKV_BT_OK && after.empty()) {
      rc = snkv_bt_first(cursor, &valid);
    } else if (rc == SNKV_BT_OK) {
      int order = 0;
      rc = snkv_bt_seek(cursor, after.data(), size32(after), &order);
      valid = snkv_bt_valid(cursor);
      if (rc == SNKV_BT_OK && valid != 0 && order <= 0) rc = snkv_bt_next(cursor, &valid);
    }
    std::uint64_t bytes = 0;
    seen_ = position_.entries;
    for (std::uint64_t i = 0; rc == SNKV_BT_OK && valid != 0; ++i) {
      if (i == most_entries || bytes >= most_bytes) return {};
      Row row;
      rc = read_row(cursor, session_.payload, row);
      if (rc != SNKV_BT_OK) break;
      ++seen_;
      if (session_.keys()->is_current(row.value)) {
        last_ = Bytes(row.key);
      } else {
        rows.push_back(
            {Bytes(row.key), Bytes(row.value), row.expires_at, row.large_id, row.large_size});
        entries.push_back(seen_);
        bytes += row.key.size() + row.value.size();
        last_ = Bytes();
      }
      rc = snkv_bt_next(cursor, &valid);
    }
    position_.finished = rc == SNKV_BT_OK;
    return rc == SNKV_BT_OK ? Error() : failed(rc, after);
  }

  /// Opens with whatever key it was, and seals with the latest, in place.
  [[nodiscard]] bool again(const SealPlace& place, Bytes& sealed) {
    plain_.resize_for_overwrite(sealed.size() - std::min(sealed.size(), KeyRing::overhead));
    if (!session_.keys()->open(place, sealed, plain_.data())) return false;
    session_.keys()->seal(place, plain_, sealed.data());
    return true;
  }

  [[nodiscard]] Error row(OldRow& old) {
    const auto kind = old.large_id != 0 ? SealPlace::Kind::large : SealPlace::Kind::value;
    if (!again({context_.family.id, old.key, old.expires_at, kind}, old.value)) {
      return tampered(old.key);
    }
    const Column columns[format::row_columns] = {
        Column::of(BytesView(old.key)), Column::of(old.expires_at),
        Column::of(BytesView(old.value)), Column::of(old.large_id),
        Column::of(static_cast<std::int64_t>(old.large_size))};
    const std::span<const Column> record(
        columns, old.large_id != 0 ? format::row_columns : format::small_row_columns);
    session_.record.resize_for_overwrite(btree::record_size(record));
    btree::encode_record(record, session_.record.data());
    snkv_bt_cursor* cursor = nullptr;
    int order = 0;
    int rc = session_.cursor(tables_.root, SNKV_BT_ROWS, cursor);
    if (rc == SNKV_BT_OK) rc = snkv_bt_seek(cursor, old.key.data(), size32(old.key), &order);
    if (rc == SNKV_BT_OK) {
      rc = snkv_bt_insert(cursor, old.key.data(), size32(old.key), session_.record.data(),
                          size32(session_.record));
    }
    return rc == SNKV_BT_OK ? Error() : failed(rc, old.key);
  }

  /// The chunks of a large value; `done` tells whether it was all of them.
  [[nodiscard]] Error chunks(const OldRow& old, bool& done) {
    const ReadView view{session_.bt(), &tables_, 0, nullptr, session_.keys()};
    LargeValue large;
    const Row row{old.key, old.value, old.expires_at, old.large_id, old.large_size};
    if (Error error = large_of(context_.operation, view, row, large); error.failed()) return error;
    if (position_.large_id != large.id) position_.chunk = 0;
    position_.large_id = large.id;
    const std::uint64_t count = (large.size + large.chunk_size - 1) / large.chunk_size;
    for (; position_.chunk < count; ++position_.chunk) {
      done = chunk_bytes_ < most_bytes;
      if (!done) return {};
      if (Error error = chunk(old.key, large, position_.chunk); error.failed()) return error;
    }
    return {};
  }

  [[nodiscard]] Error chunk(BytesView key, const LargeValue& large, std::uint64_t index) {
    const std::int64_t rowid = (large.id << format::chunk_bits) + static_cast<std::int64_t>(index);
    snkv_bt_cursor* cursor = nullptr;
    int order = 0;
    int rc = session_.cursor(tables_.large_root, SNKV_BT_ROWID, cursor);
    if (rc == SNKV_BT_OK) rc = snkv_bt_seek_rowid(cursor, rowid, &order);
    if (rc != SNKV_BT_OK) return failed(rc, key);
    if (order != 0 || snkv_bt_valid(cursor) == 0) return tampered(key);
    return reseal_chunk(cursor, key, rowid,
                        {context_.family.id, key, {}, SealPlace::Kind::chunk, large.tag, index});
  }

  /// The row of a side table that the cursor is on.
  [[nodiscard]] Error reseal_chunk(snkv_bt_cursor* cursor, BytesView key, std::int64_t rowid,
                                   const SealPlace& place) {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    btree::ColumnExtent extents[2];
    int rc = snkv_bt_payload(cursor, &data, &local, &size);
    if (rc != SNKV_BT_OK) return failed(rc, key);
    if (!btree::parse_record({data, local}, size, extents)) return tampered(key);
    session_.sealed.resize_for_overwrite(extents[1].size);
    rc = snkv_bt_read(cursor, extents[1].offset, extents[1].size, session_.sealed.data());
    if (rc != SNKV_BT_OK) return failed(rc, key);
    if (session_.keys()->is_current(session_.sealed)) return {};
    if (!again(place, session_.sealed)) return tampered(key);
    chunk_bytes_ += session_.sealed.size();
    const Column columns[] = {Column::null(), Column::of(BytesView(session_.sealed))};
    session_.record.resize_for_overwrite(btree::record_size(columns));
    btree::encode_record(columns, session_.record.data());
    rc = snkv_bt_insert_rowid(cursor, rowid, session_.record.data(), size32(session_.record));
    return rc == SNKV_BT_OK ? Error() : failed(rc, key);
  }

  /// The rows of a column, whose description is sealed already.
  [[nodiscard]] Error column() {
    ColumnState state;
    snkv_bt_cursor* cursor = nullptr;
    int rc = session_.cursor(tables_.root, SNKV_BT_ROWS, cursor);
    if (rc != SNKV_BT_OK) return failed(rc, context_.family.name);
    const ReadView view{session_.bt(), &tables_, session_.now(), &session_.store(), session_.keys()};
    Error error = read_column_state(context_.operation, context_.family.name, view, cursor, state);
    while (!error.failed() && chunk_bytes_ < most_bytes) {
      int order = 0;
      rc = session_.cursor(tables_.large_root, SNKV_BT_ROWID, cursor);
      if (rc == SNKV_BT_OK) rc = snkv_bt_seek_rowid(cursor, position_.column_row + 1, &order);
      int valid = rc == SNKV_BT_OK ? snkv_bt_valid(cursor) : 0;
      if (rc == SNKV_BT_OK && valid != 0 && order < 0) rc = snkv_bt_next(cursor, &valid);
      if (rc != SNKV_BT_OK) return failed(rc, context_.family.name);
      if (valid == 0) {
        position_.finished = true;
        return {};
      }
      const std::int64_t rowid = snkv_bt_rowid(cursor);
      const auto row = static_cast<std::uint64_t>(rowid);
      error = reseal_chunk(cursor, BytesView(context_.family.name), rowid,
                           column_seal_place(context_.family.id, state.tag, row));
      position_.column_row = rowid;
    }
    return error;
  }

  const WriteContext& context_;
  WriteSession& session_;
  const FamilyEntry& tables_;
  ResealPosition& position_;
  Bytes plain_;
  Bytes last_;  // the last key that needed nothing, after all that did
  std::uint64_t seen_ = 0;
  std::uint64_t chunk_bytes_ = 0;
};

}  // namespace

Error reseal_some(const WriteContext& context, ResealPosition& position) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  Error error = session.resolve(context.operation, context.family, true, tables);
  if (error.failed()) return error;
  return change(session, [&] { return Resealer(context, *tables, position).run(); });
}

}  // namespace snkv::core
