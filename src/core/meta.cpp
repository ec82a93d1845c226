#include "core/meta.hpp"

#include "btree/record.hpp"
#include "core/format.hpp"

namespace snkv::core {
namespace {

using Type = btree::Column::Type;

void take(std::optional<std::int64_t>& out, const btree::Column& value) {
  if (value.type == Type::integer) out = value.integer;
}

void take(std::optional<Bytes>& out, const btree::Column& value) {
  if (value.type == Type::blob) out = Bytes(value.bytes);
}

int take_row(BytesView record, Meta& out) {
  btree::ColumnExtent extents[2];
  if (!btree::parse_record(record, static_cast<std::uint32_t>(record.size()), extents)) {
    return SNKV_BT_CORRUPT;
  }
  const btree::Column key = btree::decode_column(extents[0], record.data());
  const btree::Column value = btree::decode_column(extents[1], record.data());
  if (key.type != Type::text) return SNKV_BT_CORRUPT;
  if (key.bytes == BytesView(format::format_version)) take(out.format_version, value);
  if (key.bytes == BytesView(format::next_family_id)) take(out.next_family_id, value);
  if (key.bytes == BytesView(format::store_id)) take(out.store_id, value);
  if (key.bytes == BytesView(format::key_header)) take(out.key_header, value);
  return SNKV_BT_OK;
}

}  // namespace

Error read_meta(const char* operation, snkv_bt* bt, std::uint32_t root, Meta& out) {
  out = {};
  // A handful is there; pages that lead to themselves have no end.
  int left = 1000;
  const int rc = for_each_record(bt, root, SNKV_BT_ROWS, [&](BytesView record) {
    return left-- > 0 ? take_row(record, out) : SNKV_BT_CORRUPT;
  });
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, "reading snkv_meta");
}

Error read_meta(const char* operation, btree::Connection& connection, Meta& out) {
  const btree::Lock lock(connection);
  const auto read = [&]() -> Error {
    Schema schema;
    std::uint32_t root = 0;
    Error error = schema.load(operation, lock.get());
    if (!error.failed()) error = schema.meta_root(operation, root);
    return error.failed() ? error : read_meta(operation, lock.get(), root, out);
  };
  if (snkv_bt_in_write(lock.get()) != 0) return read();
  const btree::ReadTransaction transaction(lock);
  if (transaction.rc() != SNKV_BT_OK) {
    return btree::engine_error(operation, transaction.rc(), "beginning a read transaction");
  }
  return read();
}

}  // namespace snkv::core
