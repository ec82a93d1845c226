#include "core/columns/column_rows.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"

#include <fmt/format.h>

namespace snkv::core {
namespace {

std::string name_of(std::string_view column) { return "column " + base::printable(column); }

}  // namespace

std::uint32_t largest_column_row(snkv_bt* bt) noexcept {
  return snkv_bt_max_chunk(bt) - static_cast<std::uint32_t>(KeyRing::overhead);
}

// ---- Reading ----

Error ColumnRows::engine(int rc) const {
  return btree::engine_error(operation_, rc, name_of(column_));
}

Error ColumnRows::broken(std::string_view why) const {
  return Error(keys_ == nullptr ? Errc::corrupt : Errc::tampered, operation_,
               fmt::format("{}: {}", name_of(column_), why));
}

Error ColumnRows::broken(std::uint64_t id, std::string_view why) const {
  return broken(fmt::format("row {} {}", id, why));
}

Error ColumnRows::read(std::uint64_t id, Bytes& buffer, BytesView& out) {
  if (root_ == 0) return broken("it has no rows");
  int rc = SNKV_BT_OK;
  if (!cursor_.is_open()) rc = cursor_.open(bt_, root_, SNKV_BT_ROWID, false);
  bool found = false;
  if (rc == SNKV_BT_OK && last_ != 0 && id == last_ + 1) {
    int valid = 0;
    rc = snkv_bt_next(cursor_.get(), &valid);
    found = rc == SNKV_BT_OK && valid != 0 &&
            snkv_bt_rowid(cursor_.get()) == static_cast<std::int64_t>(id);
  }
  if (rc == SNKV_BT_OK && !found) {
    int order = 0;
    rc = snkv_bt_seek_rowid(cursor_.get(), static_cast<std::int64_t>(id), &order);
    found = rc == SNKV_BT_OK && order == 0 && snkv_bt_valid(cursor_.get()) != 0;
  }
  last_ = 0;
  if (rc != SNKV_BT_OK) return engine(rc);
  if (!found) return broken(id, "is missing");
  last_ = id;
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  rc = snkv_bt_payload(cursor_.get(), &data, &local, &size);
  if (rc != SNKV_BT_OK) return engine(rc);
  btree::ColumnExtent extents[2];
  if (!btree::parse_record({data, local}, size, extents) || extents[1].serial_type < 12 ||
      extents[1].serial_type % 2 != 0) {
    return broken(id, "is malformed");
  }
  const btree::ColumnExtent& content = extents[1];
  const bool in_place = std::uint64_t{content.offset} + content.size <= local;
  BytesView stored(static_cast<const std::byte*>(data) + content.offset, content.size);
  Bytes collected;
  if (!in_place) {
    // No library writes such a row, but SQL may.
    Bytes& whole = keys_ == nullptr ? buffer : collected;
    if (!whole.try_resize_for_overwrite(content.size))
      return Error(Errc::no_memory, operation_, "");
    rc = snkv_bt_read(cursor_.get(), content.offset, content.size, whole.data());
    if (rc != SNKV_BT_OK) return engine(rc);
    stored = whole;
  }
  if (keys_ == nullptr) {
    out = stored;
    return {};
  }
  if (stored.size() < KeyRing::overhead) return broken(id, "is not what was put there");
  if (!buffer.try_resize_for_overwrite(stored.size() - KeyRing::overhead)) {
    return Error(Errc::no_memory, operation_, "");
  }
  if (!keys_->open(column_seal_place(family_, tag_, id), stored, buffer.data())) {
    return broken(id, "is not what was put there");
  }
  out = buffer;
  return {};
}

// ---- Writing ----

Error ColumnRowWriter::engine(int rc) const {
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(context_.operation, rc, name_of(column_));
}

Error ColumnRowWriter::write(const LargeTag& tag, std::uint64_t id, BytesView content) {
  WriteSession& session = context_.session;
  if (session.keys() != nullptr) {
    session.sealed.resize_for_overwrite(content.size() + KeyRing::overhead);
    session.keys()->seal(column_seal_place(tables_.family->id, tag, id), content,
                         session.sealed.data());
    content = session.sealed;
  }
  const btree::Column columns[] = {btree::Column::null(), btree::Column::of(content)};
  session.record.resize_for_overwrite(btree::record_size(columns));
  btree::encode_record(columns, session.record.data());
  snkv_bt_cursor* cursor = nullptr;
  int rc = session.cursor(tables_.large_root, SNKV_BT_ROWID, cursor);
  if (rc == SNKV_BT_OK) {
    rc = snkv_bt_insert_rowid(cursor, static_cast<std::int64_t>(id), session.record.data(),
                              static_cast<std::uint32_t>(session.record.size()));
  }
  return engine(rc);
}

Error ColumnRowWriter::erase(std::uint64_t id) {
  snkv_bt_cursor* cursor = nullptr;
  int order = 1;
  int rc = context_.session.cursor(tables_.large_root, SNKV_BT_ROWID, cursor);
  if (rc == SNKV_BT_OK) rc = snkv_bt_seek_rowid(cursor, static_cast<std::int64_t>(id), &order);
  if (rc == SNKV_BT_OK && order == 0 && snkv_bt_valid(cursor) != 0) rc = snkv_bt_delete(cursor);
  return engine(rc);
}

Error ColumnRowWriter::erase_from(std::uint64_t id) {
  snkv_bt_cursor* cursor = nullptr;
  int rc = context_.session.cursor(tables_.large_root, SNKV_BT_ROWID, cursor);
  // From the end, which keeps the tree in shape; the place is found anew, because erasing moves
  // cells.
  while (rc == SNKV_BT_OK) {
    int valid = 0;
    rc = snkv_bt_last(cursor, &valid);
    if (rc != SNKV_BT_OK || valid == 0) break;
    const std::int64_t last = snkv_bt_rowid(cursor);
    if (last < static_cast<std::int64_t>(id)) break;
    int order = 1;
    rc = snkv_bt_seek_rowid(cursor, last, &order);
    if (rc == SNKV_BT_OK) rc = snkv_bt_delete(cursor);
  }
  return engine(rc);
}

Error ColumnRowWriter::clear() {
  context_.session.close_cursors();
  return engine(snkv_bt_clear(context_.session.bt(), tables_.large_root));
}

}  // namespace snkv::core
