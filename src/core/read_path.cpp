#include "core/read_path.hpp"

#include "btree/record.hpp"
#include "core/format.hpp"

#include <fmt/format.h>

namespace snkv::core {

namespace detail {

Error resolve(const char* operation, const Catalog& catalog, const Target& target,
              const FamilyEntry*& out) {
  if (target.family == nullptr) return Error(Errc::closed, operation, "the handle is empty");
  out = catalog.find(target.family->id);
  if (out == nullptr) return Error(Errc::dropped, operation, base::printable(target.family->name));
  return {};
}

}  // namespace detail

namespace {

using btree::Column;

bool decode_row(const btree::ColumnExtent* extents, const std::byte* record, Row& row) {
  const Column key = decode_column(extents[format::row_key], record);
  const Column expires_at = decode_column(extents[format::row_expires_at], record);
  const Column value = decode_column(extents[format::row_value], record);
  const Column large_id = decode_column(extents[format::row_large_id], record);
  const Column large_size = decode_column(extents[format::row_large_size], record);
  if (key.type != Column::Type::blob) return false;
  row.key = key.bytes;
  row.expires_at.reset();
  if (expires_at.type == Column::Type::integer) row.expires_at = expires_at.integer;
  row.value = value.bytes;
  row.large_id = 0;
  row.large_size = 0;
  if (large_id.type == Column::Type::integer) {
    if (large_size.type != Column::Type::integer || large_size.integer < 0) return false;
    if (static_cast<std::uint64_t>(large_size.integer) > max_value_size) return false;
    row.large_id = large_id.integer;
    row.large_size = static_cast<std::uint64_t>(large_size.integer);
  }
  return true;
}

}  // namespace

int read_row(snkv_bt_cursor* cursor, Bytes& scratch, Row& row) {
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  int rc = snkv_bt_payload(cursor, &data, &local, &size);
  if (rc != SNKV_BT_OK) return rc;
  if (local < size) {
    if (!scratch.try_resize_for_overwrite(size)) return SNKV_BT_NOMEM;
    rc = snkv_bt_read(cursor, 0, size, scratch.data());
    if (rc != SNKV_BT_OK) return rc;
    data = scratch.data();
  }
  btree::ColumnExtent extents[format::row_columns];
  if (!btree::parse_record({data, size}, size, extents)) return SNKV_BT_CORRUPT;
  return decode_row(extents, static_cast<const std::byte*>(data), row) ? SNKV_BT_OK
                                                                       : SNKV_BT_CORRUPT;
}

Error read_large(const char* operation, const ReadView& view, const Row& row, Bytes& out) {
  const auto broken = [&](const char* why) {
    return Error(Errc::corrupt, operation,
                 fmt::format("the large value of {} {}", base::printable(row.key), why));
  };
  if (view.family->large_root == 0) return broken("has no table");
  if (!out.try_resize_for_overwrite(row.large_size)) {
    return Error(Errc::no_memory, operation, fmt::format("{} bytes", row.large_size));
  }
  btree::Cursor cursor;
  int rc = cursor.open(view.bt, view.family->large_root, SNKV_BT_ROWID, false);
  int order = 0;
  std::int64_t rowid = row.large_id << format::chunk_bits;
  if (rc == SNKV_BT_OK) rc = snkv_bt_seek_rowid(cursor.get(), rowid, &order);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(row.key));
  if (order != 0 || snkv_bt_valid(cursor.get()) == 0) return broken("is missing");

  std::uint64_t have = 0;
  for (int valid = 1;;) {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
    if (rc != SNKV_BT_OK) break;
    btree::ColumnExtent extents[2];
    if (!btree::parse_record({data, local}, size, extents)) return broken("has a malformed chunk");
    const std::uint32_t chunk = extents[1].size;
    if (chunk == 0 || chunk > row.large_size - have) return broken("has a chunk of a wrong size");
    rc = snkv_bt_read(cursor.get(), extents[1].offset, chunk, out.data() + have);
    if (rc != SNKV_BT_OK) break;
    have += chunk;
    if (have == row.large_size) return {};
    rc = snkv_bt_next(cursor.get(), &valid);
    if (rc != SNKV_BT_OK) break;
    if (valid == 0 || snkv_bt_rowid(cursor.get()) != ++rowid) return broken("lacks a chunk");
  }
  return btree::engine_error(operation, rc, base::printable(row.key));
}

Error row_value(const char* operation, const ReadView& view, const Row& row, Bytes& buffer,
                BytesView& out) {
  out = row.value;
  if (row.large_id == 0) return {};
  Error error = read_large(operation, view, row, buffer);
  out = buffer;
  return error;
}

int count_expired(const ReadView& view, std::uint64_t& entries) {
  entries = 0;
  if (view.family->expiry_root == 0) return SNKV_BT_OK;
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(view.bt, view.family->expiry_root, SNKV_BT_EXPIRY, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  while (rc == SNKV_BT_OK && valid != 0) {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
    if (rc != SNKV_BT_OK) break;
    btree::ColumnExtent extents[1];
    if (!btree::parse_record({data, local}, size, extents) ||
        extents[0].offset + extents[0].size > local) {
      return SNKV_BT_CORRUPT;
    }
    const auto at = btree::decode_column(extents[0], static_cast<const std::byte*>(data));
    if (at.type != btree::Column::Type::integer) return SNKV_BT_CORRUPT;
    if (at.integer > view.now) break;
    ++entries;
    rc = snkv_bt_next(cursor.get(), &valid);
  }
  return rc;
}

int count_keys(snkv_bt_cursor* cursor, const KeyRange& range, std::uint64_t& entries) {
  entries = 0;
  if (range.bounded_above && range.high.empty()) return SNKV_BT_OK;  // nothing is below the empty key
  int order = 0;
  int valid = 0;
  int rc = SNKV_BT_OK;
  if (range.low.empty()) {
    rc = snkv_bt_first(cursor, &valid);
  } else {
    rc = snkv_bt_seek(cursor, range.low.data(), static_cast<std::uint32_t>(range.low.size()), &order);
    valid = snkv_bt_valid(cursor);
    if (rc == SNKV_BT_OK && valid != 0 && order < 0) rc = snkv_bt_next(cursor, &valid);
  }
  if (rc != SNKV_BT_OK || valid == 0) return rc;
  return snkv_bt_count_until(cursor, range.bounded_above ? range.high.data() : nullptr,
                             static_cast<std::uint32_t>(range.high.size()), &entries);
}

Error check_key(const char* operation, BytesView key) {
  if (key.empty()) return Error(Errc::invalid_argument, operation, "the key is empty");
  if (key.size() > max_key_size) {
    return Error(Errc::too_large, operation,
                 fmt::format("the key has {} bytes; at most {} are allowed", key.size(), max_key_size));
  }
  return {};
}

}  // namespace snkv::core
