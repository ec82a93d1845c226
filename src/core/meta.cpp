#include "core/meta.hpp"

#include "core/format.hpp"

#include <string_view>

namespace snkv::core {
namespace {

using Type = btree::Column::Type;

void take(std::optional<std::int64_t>& out, const btree::Column& value) {
  if (value.type == Type::integer) out = value.integer;
}

void take(std::optional<Bytes>& out, const btree::Column& value) {
  if (value.type == Type::blob) out = Bytes(value.bytes);
}

}  // namespace

Error read_meta(const char* operation, snkv_bt* bt, std::uint32_t root, Meta& out) {
  out = {};
  const int rc = for_each_meta_row(bt, root, [&](std::string_view key, const btree::Column& value) {
    if (key == format::format_version) take(out.format_version, value);
    if (key == format::next_family_id) take(out.next_family_id, value);
    if (key == format::store_id) take(out.store_id, value);
    if (key == format::key_header) take(out.key_header, value);
    if (key == format::next_family_tag) take(out.next_family_tag, value);
    return SNKV_BT_OK;
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
