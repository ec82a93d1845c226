/// \file
/// The rows of `snkv_meta`, read through a raw cursor, in a transaction.
#pragma once

#include "btree/connection.hpp"
#include "btree/record.hpp"
#include "core/schema.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// What is there; empty for what is missing or of another type.
struct Meta {
  std::optional<std::int64_t> format_version;
  std::optional<std::int64_t> next_family_id;
  std::optional<Bytes> store_id;
  std::optional<Bytes> key_header;
  std::optional<Bytes> next_family_tag;
};

/// Calls `use(key, value)`, which gives a result code, for all rows.
template <class Use>
int for_each_meta_row(snkv_bt* bt, std::uint32_t root, Use&& use) {
  Bytes before;
  return for_each_record(bt, root, SNKV_BT_ROWS, [&](BytesView record) {
    btree::ColumnExtent extents[2];
    if (!btree::parse_record(record, static_cast<std::uint32_t>(record.size()), extents)) {
      return static_cast<int>(SNKV_BT_CORRUPT);
    }
    const btree::Column key = btree::decode_column(extents[0], record.data());
    // Pages that lead to themselves have no end, but no order either.
    if (key.type != btree::Column::Type::text || !(before.view() < key.bytes.view())) {
      return static_cast<int>(SNKV_BT_CORRUPT);
    }
    before = Bytes(key.bytes);
    return static_cast<int>(use(key.bytes.view(), btree::decode_column(extents[1], record.data())));
  });
}

/// Reads it from the tree that `Schema::meta_root` has found, in the transaction that is open.
[[nodiscard]] Error read_meta(const char* operation, snkv_bt* bt, std::uint32_t root, Meta& out);

/// The same for the latest state, or that of the write transaction which is open: looks at the schema first.
[[nodiscard]] Error read_meta(const char* operation, btree::Connection& connection, Meta& out);

}  // namespace snkv::core
