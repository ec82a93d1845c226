#include "core/read_path.hpp"

#include "btree/record.hpp"
#include "core/big_endian.hpp"
#include "core/format.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace snkv::core {

namespace detail {

Error resolve(const char* operation, const Catalog& catalog, const Target& target,
              const FamilyEntry*& out) {
  if (target.family == nullptr) return Error(Errc::closed, operation, "the handle is empty");
  out = catalog.find(target.family->id);
  if (out == nullptr) return Error(Errc::dropped, operation, base::printable(target.family->name));
  if (Error error = check_name(operation, *out); error.failed()) return error;
  if (!out->is_readable) return Error(Errc::schema_mismatch, operation, out->altered);
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
  if (plain_row({data, size}, row.key, row.value, row.expires_at)) {
    row.large_id = 0;
    row.large_size = 0;
    return SNKV_BT_OK;
  }
  btree::ColumnExtent extents[format::row_columns];
  if (!btree::parse_record({data, size}, size, extents)) return SNKV_BT_CORRUPT;
  return decode_row(extents, static_cast<const std::byte*>(data), row) ? SNKV_BT_OK
                                                                       : SNKV_BT_CORRUPT;
}

namespace {

/// A cursor on the chunks of one large value.
class ChunkCursor {
 public:
  [[nodiscard]] int open(const ReadView& view, std::int64_t large_id) noexcept {
    first_ = large_id << format::chunk_bits;
    return cursor_.open(view.bt, view.family->large_root, SNKV_BT_ROWID, false);
  }

  [[nodiscard]] int seek(std::uint64_t index) noexcept {
    int order = 0;
    const int rc = snkv_bt_seek_rowid(cursor_.get(), rowid(index), &order);
    return rc == SNKV_BT_OK ? look(order == 0 && snkv_bt_valid(cursor_.get()) != 0) : rc;
  }
  /// From the chunk before.
  [[nodiscard]] int next(std::uint64_t index) noexcept {
    int valid = 0;
    const int rc = snkv_bt_next(cursor_.get(), &valid);
    if (rc != SNKV_BT_OK) return rc;
    return look(valid != 0 && snkv_bt_rowid(cursor_.get()) == rowid(index));
  }

  /// Whether the chunk that was sought is there.
  [[nodiscard]] bool found() const noexcept { return found_; }
  /// Size of the chunk; 0 if its record is malformed.
  [[nodiscard]] std::uint32_t size() const noexcept { return content_.size; }
  [[nodiscard]] int read(std::uint64_t offset, std::size_t amount, std::byte* out) noexcept {
    const std::uint64_t begin = content_.offset + offset;
    if (begin + amount <= local_) {
      std::memcpy(out, data_ + begin, amount);
      return SNKV_BT_OK;
    }
    return snkv_bt_read(cursor_.get(), static_cast<std::uint32_t>(begin),
                        static_cast<std::uint32_t>(amount), out);
  }

 private:
  [[nodiscard]] std::int64_t rowid(std::uint64_t index) const noexcept {
    return first_ + static_cast<std::int64_t>(index);
  }
  [[nodiscard]] int look(bool found) noexcept {
    found_ = found;
    content_ = {};
    if (!found) return SNKV_BT_OK;
    const void* data = nullptr;
    std::uint32_t size = 0;
    const int rc = snkv_bt_payload(cursor_.get(), &data, &local_, &size);
    if (rc != SNKV_BT_OK) return rc;
    data_ = static_cast<const std::byte*>(data);
    btree::ColumnExtent extents[2];
    if (btree::parse_record({data, local_}, size, extents)) content_ = extents[1];
    return SNKV_BT_OK;
  }

  btree::Cursor cursor_;
  std::int64_t first_ = 0;
  btree::ColumnExtent content_;
  const std::byte* data_ = nullptr;  // what of the record lies in the page
  std::uint32_t local_ = 0;
  bool found_ = false;
};

/// Under encryption nothing but a change from outside breaks a value.
Error broken_large_value(const char* operation, const ReadView& view, BytesView key,
                         const char* why) {
  return Error(view.keys == nullptr ? Errc::corrupt : Errc::tampered, operation,
               fmt::format("the large value of {} {}", base::printable(key), why));
}

Error tampered(const char* operation, BytesView key) {
  return Error(Errc::tampered, operation, fmt::format("the value of {}", base::printable(key)));
}

/// What is sealed in the row of a large value: its tag, its size and the size of its chunks.
constexpr std::size_t description_size = 16 + 8 + 4;

Error read_large(const char* operation, const ReadView& view, const Row& row, Bytes& out) {
  if (row.large_size == 0) return broken_large_value(operation, view, row.key, "is empty");
  LargeValue value;
  if (Error error = large_of(operation, view, row, value); error.failed()) return error;
  // A damaged size must not make us take memory for what the file cannot hold.
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  snkv_bt_pages(view.bt, &pages, &free_pages);
  if (row.large_size > std::uint64_t{pages} * snkv_bt_page_size(view.bt)) {
    return broken_large_value(operation, view, row.key, "is larger than the file");
  }
  if (!out.try_resize_for_overwrite(row.large_size)) {
    return Error(Errc::no_memory, operation, fmt::format("{} bytes", row.large_size));
  }
  return read_large_part(operation, view, row.key, value, 0, out.data(), out.size());
}

/// Opens the value of a row that has no large one.
Error open_value(const char* operation, const ReadView& view, const Row& row, Bytes& buffer) {
  if (row.value.size() < KeyRing::overhead) return tampered(operation, row.key);
  if (!buffer.try_resize_for_overwrite(row.value.size() - KeyRing::overhead)) {
    return Error(Errc::no_memory, operation, "");
  }
  const SealPlace place{view.family->family->id, row.key, row.expires_at};
  return view.keys->open(place, row.value, buffer.data()) ? Error() : tampered(operation, row.key);
}

}  // namespace

Error authenticate(const char* operation, const ReadView& view, const Row& row) {
  LargeValue large;
  Bytes opened;
  return row.large_id != 0 ? large_of(operation, view, row, large)
                           : open_value(operation, view, row, opened);
}

Bytes describe_large(const LargeValue& value) {
  Bytes out;
  out.resize_for_overwrite(description_size);
  std::copy(value.tag.begin(), value.tag.end(), out.begin());
  put_big_endian(out.data() + 16, value.size, 8);
  put_big_endian(out.data() + 24, value.chunk_size, 4);
  return out;
}

Error large_of(const char* operation, const ReadView& view, const Row& row, LargeValue& out) {
  out = {row.large_id, row.large_size, 0, {}};
  if (view.keys == nullptr || row.large_id == 0) return {};
  std::array<std::byte, description_size> description;
  const SealPlace place{view.family->family->id, row.key, row.expires_at, SealPlace::Kind::large};
  if (row.value.size() != description_size + KeyRing::overhead ||
      !view.keys->open(place, row.value, description.data())) {
    return tampered(operation, row.key);
  }
  std::copy_n(description.begin(), out.tag.size(), out.tag.begin());
  out.chunk_size = static_cast<std::uint32_t>(big_endian(description.data() + 24, 4));
  const bool agree = big_endian(description.data() + 16, 8) == row.large_size;
  return agree && out.chunk_size > 0 ? Error() : tampered(operation, row.key);
}

Error read_large_part(const char* operation, const ReadView& view, BytesView key, LargeValue& value,
                      std::uint64_t offset, std::byte* out, std::size_t size) {
  const auto broken = [&](const char* why) {
    return broken_large_value(operation, view, key, why);
  };
  const std::uint32_t extra = view.keys == nullptr ? 0 : KeyRing::overhead;
  if (view.family->large_root == 0) return broken("has no table");
  ChunkCursor chunk;
  int rc = chunk.open(view, value.id);
  std::uint64_t index = value.chunk_size == 0 ? 0 : offset / value.chunk_size;
  if (rc == SNKV_BT_OK) rc = chunk.seek(index);
  if (rc == SNKV_BT_OK && value.chunk_size == 0) {
    if (!chunk.found()) return broken("is missing");
    if (chunk.size() == 0) return broken("has a malformed chunk");
    value.chunk_size = chunk.size();
    index = offset / value.chunk_size;
    if (index > 0) rc = chunk.seek(index);
  }
  Bytes sealed;
  Bytes opened;
  for (std::size_t have = 0; rc == SNKV_BT_OK;) {
    if (!chunk.found()) return broken("lacks a chunk");
    const std::uint64_t begin = index * value.chunk_size;
    const std::uint64_t left = value.size - std::min(value.size, begin);
    const std::uint64_t length = std::min<std::uint64_t>(value.chunk_size, left);
    if (left == 0 || chunk.size() != length + extra) return broken("has a chunk of a wrong size");
    const std::uint64_t within = offset + have - begin;
    const std::size_t amount = std::min<std::size_t>(length - within, size - have);
    if (view.keys == nullptr) {
      rc = chunk.read(within, amount, out + have);
    } else {
      const SealPlace place{view.family->family->id, key, {}, SealPlace::Kind::chunk, value.tag, index};
      sealed.resize_for_overwrite(chunk.size());
      rc = chunk.read(0, chunk.size(), sealed.data());
      if (rc != SNKV_BT_OK) break;
      // A whole chunk goes where it belongs; of others, only what was asked for may.
      std::byte* at = out + have;
      if (amount != length) {
        opened.resize_for_overwrite(length);
        at = opened.data();
      }
      if (!view.keys->open(place, sealed, at)) return broken("has a chunk that does not belong there");
      if (amount != length) std::memcpy(out + have, at + within, amount);
    }
    have += amount;
    if (rc != SNKV_BT_OK || have == size) break;
    rc = chunk.next(++index);
  }
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, base::printable(key));
}

Error row_value(const char* operation, const ReadView& view, const Row& row, Bytes& buffer,
                BytesView& out) {
  if (row.large_id == 0 && view.keys == nullptr) {
    out = row.value;
    return {};
  }
  Error error = row.large_id != 0 ? read_large(operation, view, row, buffer)
                                  : open_value(operation, view, row, buffer);
  out = buffer;
  return error;
}

Error copy_value(const char* operation, const ReadView& view, const Row& row, Bytes& out) {
  if (row.large_id != 0) return read_large(operation, view, row, out);
  if (view.keys != nullptr) return open_value(operation, view, row, out);
  if (!out.try_resize_for_overwrite(row.value.size())) return Error(Errc::no_memory, operation, "");
  if (!row.value.empty()) std::memcpy(out.data(), row.value.data(), row.value.size());
  return {};
}

namespace {

/// The time in the entry of an index of expiries that the cursor is on.
int read_expiry_time(snkv_bt_cursor* cursor, std::int64_t& at) {
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  const int rc = snkv_bt_payload(cursor, &data, &local, &size);
  if (rc != SNKV_BT_OK) return rc;
  btree::ColumnExtent extents[1];
  if (!btree::parse_record({data, local}, size, extents) ||
      extents[0].offset + extents[0].size > local) {
    return SNKV_BT_CORRUPT;
  }
  const Column when = btree::decode_column(extents[0], static_cast<const std::byte*>(data));
  if (when.type != Column::Type::integer) return SNKV_BT_CORRUPT;
  at = when.integer;
  return SNKV_BT_OK;
}

}  // namespace

int count_expired(const ReadView& view, std::uint64_t most, std::uint64_t& entries) {
  entries = 0;
  if (view.family->expiry_root == 0) return SNKV_BT_OK;
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(view.bt, view.family->expiry_root, SNKV_BT_EXPIRY, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  while (rc == SNKV_BT_OK && valid != 0 && entries < most) {
    std::int64_t at = 0;
    rc = read_expiry_time(cursor.get(), at);
    if (rc != SNKV_BT_OK || at > view.now.get()) break;
    ++entries;
    rc = snkv_bt_next(cursor.get(), &valid);
  }
  return rc;
}

int read_expiry(snkv_bt_cursor* cursor, Bytes& scratch, std::int64_t& at, Bytes& key) {
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  int rc = snkv_bt_payload(cursor, &data, &local, &size);
  if (rc != SNKV_BT_OK) return rc;
  if (!scratch.try_resize_for_overwrite(size)) return SNKV_BT_NOMEM;
  rc = snkv_bt_read(cursor, 0, size, scratch.data());
  if (rc != SNKV_BT_OK) return rc;
  btree::ColumnExtent extents[2];
  if (!btree::parse_record(scratch, size, extents)) return SNKV_BT_CORRUPT;
  const Column when = btree::decode_column(extents[0], scratch.data());
  const Column what = btree::decode_column(extents[1], scratch.data());
  if (when.type != Column::Type::integer || what.type != Column::Type::blob) return SNKV_BT_CORRUPT;
  at = when.integer;
  key = Bytes(what.bytes);
  return SNKV_BT_OK;
}

namespace {

/// Counts an entry of the index if its row has the same expiry; one that has another does not expire now.
Error count_one(const char* operation, const ReadView& view, snkv_bt_cursor* rows, BytesView key,
                std::int64_t at, std::uint64_t& entries) {
  int order = 0;
  Bytes scratch;
  Row row;
  int rc = snkv_bt_seek(rows, key.data(), static_cast<std::uint32_t>(key.size()), &order);
  if (rc == SNKV_BT_OK && (order != 0 || snkv_bt_valid(rows) == 0)) return {};
  if (rc == SNKV_BT_OK) rc = read_row(rows, scratch, row);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  if (row.expires_at != at) return {};
  bool live = false;
  Error error = is_live(operation, view, row, live);
  if (!error.failed() && !live) ++entries;
  return error;
}

}  // namespace

Error count_gone(const char* operation, const ReadView& view, snkv_bt_cursor* rows,
                 std::uint64_t& entries) {
  entries = 0;
  int rc = SNKV_BT_OK;
  if (view.keys == nullptr) {
    rc = count_expired(view, std::numeric_limits<std::uint64_t>::max(), entries);
    return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc);
  }
  if (view.family->expiry_root == 0) return {};
  btree::Cursor cursor;
  int valid = 0;
  rc = cursor.open(view.bt, view.family->expiry_root, SNKV_BT_EXPIRY, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  Bytes scratch;
  Bytes key;
  while (rc == SNKV_BT_OK && valid != 0) {
    std::int64_t at = 0;
    rc = read_expiry(cursor.get(), scratch, at, key);
    if (rc != SNKV_BT_OK || at > view.now.get()) break;
    if (Error error = count_one(operation, view, rows, key, at, entries); error.failed()) return error;
    rc = snkv_bt_next(cursor.get(), &valid);
  }
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc);
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
