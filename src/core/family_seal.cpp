#include "core/family_seal.hpp"

#include "base/printable.hpp"
#include "core/big_endian.hpp"
#include "core/format.hpp"
#include "core/meta.hpp"
#include "core/sodium.hpp"
#include "core/write_session.hpp"

#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::byte version{1};
constexpr std::string_view family_prefix = "family_";

void append(Bytes& out, std::size_t& at, const void* data, std::size_t size) {
  if (size > 0) std::memcpy(out.data() + at, data, size);
  at += size;
}

/// The text that a tag is made of: what it is about, the store, a number, and the rest.
Bytes text_of(std::string_view about, const KeyRing& keys, std::uint64_t number, unsigned bytes,
              std::string_view name) {
  Bytes text;
  const bool named = bytes == 4;
  text.resize_for_overwrite(about.size() + keys.store().size() + bytes + (named ? 4 + name.size() : 0));
  std::size_t at = 0;
  append(text, at, about.data(), about.size());
  append(text, at, keys.store().data(), keys.store().size());
  put_big_endian(text.data() + at, number, bytes);
  at += bytes;
  if (!named) return text;
  put_big_endian(text.data() + at, name.size(), 4);
  at += 4;
  append(text, at, name.data(), name.size());
  return text;
}

Bytes row_of(const KeyRing& keys, BytesView text) {
  const NameTag tag = keys.name_tag(text);
  Bytes row;
  row.resize_for_overwrite(1 + tag.size());
  row.data()[0] = version;
  std::memcpy(row.data() + 1, tag.data(), tag.size());
  return row;
}

Bytes family_row(const KeyRing& keys, const Family& family) {
  return row_of(keys, text_of("snkvname", keys, family.id, 4, family.name));
}

Bytes next_row(const KeyRing& keys, std::int64_t id) {
  return row_of(keys, text_of("snkvnext", keys, static_cast<std::uint64_t>(id), 8, {}));
}

bool same(BytesView a, BytesView b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Error write_row(const char* operation, btree::Connection& connection, std::string_view key,
                BytesView row) {
  const int rc = connection.execute(
      fmt::format("REPLACE INTO snkv_meta VALUES('{}', {})", key, format::blob_literal(row)));
  return rc == SNKV_BT_OK ? Error() : connection.sql_error(operation, rc);
}

std::string key_of(std::uint32_t id) { return fmt::format("{}{}", family_prefix, id); }

/// The id in the key of a tag; 0 if it is none.
std::uint32_t id_of(std::string_view key) noexcept {
  if (!key.starts_with(family_prefix)) return 0;
  key.remove_prefix(family_prefix.size());
  std::uint32_t id = 0;
  const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == key.data() + key.size();
  return whole && key.front() != '0' ? id : 0;
}

}  // namespace

Error NameTags::read(const char* operation, snkv_bt* bt, std::uint32_t meta_root) {
  const int rc = for_each_meta_row(bt, meta_root, [&](std::string_view key, const btree::Column& value) {
    if (const std::uint32_t id = id_of(key); id != 0) tags_.emplace(id, value.bytes);
    return SNKV_BT_OK;
  });
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, "reading snkv_meta");
}

std::string NameTags::forgery(const KeyRing& keys, const Family& family) const {
  const auto found = tags_.find(family.id);
  if (found != tags_.end() && same(found->second, family_row(keys, family))) return {};
  return fmt::format("the name or the id of the column family {}", base::printable(family.name));
}

std::vector<std::uint32_t> NameTags::without_family(const Catalog& catalog) const {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, tag] : tags_) {
    if (catalog.find(id) == nullptr) ids.push_back(id);
  }
  return ids;
}

Error write_name_tag(const char* operation, btree::Connection& connection, const KeyRing& keys,
                     const Family& family) {
  return write_row(operation, connection, key_of(family.id), family_row(keys, family));
}

Error make_family(const char* operation, WriteSession& session, std::string_view name,
                  std::uint32_t id) {
  const KeyRing* const keys = session.keys();
  session.close_cursors();
  if (keys != nullptr && keys->binds_names()) {
    // First: the catalog is read again as soon as the table is there.
    Error error = write_name_tag(operation, session.connection(), *keys, {std::string(name), id});
    if (error.failed()) return error;
  }
  return session.create_table(operation, format::family_table_sql(name, id), id);
}

Error forget_family(const char* operation, WriteSession& session, std::uint32_t id) {
  if (session.keys() == nullptr) return {};
  session.close_cursors();
  btree::Connection& connection = session.connection();
  const int rc =
      connection.execute(fmt::format("DELETE FROM snkv_meta WHERE key='{}'", key_of(id)));
  return rc == SNKV_BT_OK ? Error() : connection.sql_error(operation, rc);
}

namespace {

Error check_next(const char* operation, const KeyRing* keys, std::int64_t id, BytesView tag) {
  if (keys == nullptr || !keys->binds_names() || same(tag, next_row(*keys, id))) return {};
  return Error(Errc::tampered, operation, "snkv_meta: next_family_id");
}

}  // namespace

Error read_next_family_id(const char* operation, snkv_bt* bt, const Catalog& catalog, std::int64_t& id) {
  Meta meta;
  if (Error error = read_meta(operation, bt, catalog.meta_root(), meta); error.failed()) return error;
  id = meta.next_family_id.value_or(0);
  return check_next(operation, catalog.keys(), id, meta.next_family_tag.value_or(Bytes()));
}

Error read_next_family_id(const char* operation, WriteSession& session, std::int64_t& id) {
  // The table is known to be the library's own: the catalog of this transaction is.
  id = 0;
  Bytes tag;
  btree::Statement statement;
  int rc = statement.prepare(
      session.connection(),
      fmt::format("SELECT key='{0}', value FROM snkv_meta WHERE key='{0}' AND typeof(value)='integer' "
                  "OR key='{1}' AND typeof(value)='blob'",
                  format::next_family_id, format::next_family_tag)
          .c_str());
  if (rc == SNKV_BT_OK) rc = statement.step();
  for (; rc == SNKV_BT_ROW; rc = statement.step()) {
    if (statement.int64(0) != 0) {
      id = statement.int64(1);
    } else {
      tag = Bytes(statement.bytes(1));
    }
  }
  if (rc != SNKV_BT_DONE) return session.connection().sql_error(operation, rc);
  return check_next(operation, session.keys(), id, tag);
}

Error write_next_family_id(const char* operation, btree::Connection& connection, const KeyRing* keys,
                           std::int64_t id) {
  const int rc = connection.execute(
      fmt::format("UPDATE snkv_meta SET value={} WHERE key='next_family_id'", id));
  if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  if (keys == nullptr || !keys->binds_names()) return {};
  return write_row(operation, connection, format::next_family_tag, next_row(*keys, id));
}

Error rewrite_name_tags(const char* operation, btree::Connection& connection, const Catalog& catalog,
                        const KeyRing& keys) {
  std::int64_t next = 0;
  Error error = read_next_family_id(operation, connection.get(), catalog, next);
  for (const FamilyEntry& entry : catalog.families()) {
    if (!error.failed()) error = check_name(operation, entry);
  }
  for (const FamilyEntry& entry : catalog.families()) {
    if (!error.failed()) error = write_name_tag(operation, connection, keys, *entry.family);
  }
  if (!error.failed()) error = write_next_family_id(operation, connection, &keys, next);
  if (error.failed()) return error;
  const std::string versions[] = {
      fmt::format("PRAGMA user_version={}", format::bound_version),
      fmt::format("UPDATE snkv_meta SET value={} WHERE key='format_version'", format::bound_version)};
  for (const std::string& statement : versions) {
    const int rc = connection.execute(statement);
    if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  }
  return {};
}

}  // namespace snkv::core
