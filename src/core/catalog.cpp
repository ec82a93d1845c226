#include "core/catalog.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/format.hpp"
#include "core/key_header.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>
#include <utility>

namespace snkv::core {
namespace {

/// A row of sqlite_schema.
struct SchemaRow {
  std::string type;
  std::string name;
  std::string table;
  std::uint32_t root = 0;
  std::string sql;
};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// The order of names to SQLite, which does not tell the case of ASCII letters apart.
bool before_in_name(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return lower(x) < lower(y); });
}
bool entry_before(const FamilyEntry* entry, std::string_view name) noexcept {
  return before_in_name(entry->family->name, name);
}

constexpr std::uint32_t schema_root = 1;
constexpr std::size_t schema_columns = 5;

bool decode(BytesView record, SchemaRow& row) {
  btree::ColumnExtent extents[schema_columns];
  if (!btree::parse_record(record, static_cast<std::uint32_t>(record.size()), extents)) return false;
  const auto text = [&](std::size_t i) {
    return btree::decode_column(extents[i], record.data()).bytes.str();
  };
  row.type = text(0);
  row.name = text(1);
  row.table = text(2);
  row.root = static_cast<std::uint32_t>(btree::decode_column(extents[3], record.data()).integer);
  row.sql = text(4);
  return true;
}

/// Calls `use(record)`, which gives a result code, for all records of a tree.
template <class Use>
int for_each_record(snkv_bt* bt, std::uint32_t root, snkv_bt_kind kind, Use&& use) {
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(bt, root, kind, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  Bytes record;
  while (rc == SNKV_BT_OK && valid != 0) {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
    if (rc != SNKV_BT_OK) break;
    record.resize_for_overwrite(size);
    rc = snkv_bt_read(cursor.get(), 0, size, record.data());
    if (rc == SNKV_BT_OK) rc = use(BytesView(record));
    if (rc == SNKV_BT_OK) rc = snkv_bt_next(cursor.get(), &valid);
  }
  return rc;
}

Error read_schema(const char* operation, snkv_bt* bt, std::vector<SchemaRow>& rows) {
  const int rc = for_each_record(bt, schema_root, SNKV_BT_ROWID, [&](BytesView record) {
    SchemaRow row;
    if (!decode(record, row)) return SNKV_BT_CORRUPT;
    rows.push_back(std::move(row));
    return SNKV_BT_OK;
  });
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "reading the schema");
  return {};
}

/// The row that was made last.
int read_last_row(snkv_bt* bt, SchemaRow& row) {
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(bt, schema_root, SNKV_BT_ROWID, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_last(cursor.get(), &valid);
  if (rc != SNKV_BT_OK || valid == 0) return rc;
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
  if (rc != SNKV_BT_OK) return rc;
  Bytes record;
  record.resize_for_overwrite(size);
  rc = snkv_bt_read(cursor.get(), 0, size, record.data());
  if (rc == SNKV_BT_OK && !decode(BytesView(record), row)) rc = SNKV_BT_CORRUPT;
  return rc;
}

/// The keys that the values of this transaction are sealed with.
Error read_keys(const char* operation, snkv_bt* bt, std::uint32_t meta_root, const Cipher& cipher,
                std::shared_ptr<const KeyRing>& out) {
  bool found = false;
  KeyRing::Generation generation{};
  int rc = SNKV_BT_OK;
  if (meta_root != 0) {
    rc = for_each_record(bt, meta_root, SNKV_BT_ROWS, [&](BytesView record) {
      btree::ColumnExtent extents[2];
      const auto size = static_cast<std::uint32_t>(record.size());
      if (!btree::parse_record(record, size, extents)) return SNKV_BT_CORRUPT;
      const BytesView key = btree::decode_column(extents[0], record.data()).bytes;
      if (key != BytesView(format::key_header)) return SNKV_BT_OK;
      const BytesView header = btree::decode_column(extents[1], record.data()).bytes;
      found = KeyHeader::generation_of(header, generation);
      return SNKV_BT_OK;
    });
  }
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "reading snkv_meta");
  if (found) out = cipher.find(generation);
  if (out != nullptr) return {};
  return Error(Errc::auth_failed, operation,
               "the keys of the store were changed elsewhere; it has to be opened again");
}

/// Says why a family's tables are not as the library made them; empty if they are. The B-tree layer
/// maintains no index, runs no trigger and fills no other column, so writing must stop [K8].
std::string alteration(const SchemaRow& table, const std::string& expected_sql,
                       const std::multimap<std::string_view, const SchemaRow*>& attached) {
  if (table.sql != expected_sql) {
    return fmt::format("the definition of table {} was changed through SQL",
                       base::printable(table.name));
  }
  const auto found = attached.find(table.name);
  if (found == attached.end()) return {};
  return fmt::format("table {} has {} {}, made through SQL", base::printable(table.name),
                     found->second->type, base::printable(found->second->name));
}

}  // namespace

Error Catalog::load(const char* operation, snkv_bt* bt, std::uint32_t cookie,
                    const Cipher* cipher, std::shared_ptr<const Catalog>& out) {
  std::vector<SchemaRow> rows;
  if (Error error = read_schema(operation, bt, rows); error.failed()) return error;

  std::map<std::string_view, const SchemaRow*> tables;
  std::multimap<std::string_view, const SchemaRow*> attached;
  for (const SchemaRow& row : rows) {
    if (row.type == "table") tables.emplace(row.name, &row);
    if (row.type == "index" || row.type == "trigger") attached.emplace(row.table, &row);
  }

  auto catalog = std::make_shared<Catalog>();
  catalog->cookie_ = cookie;
  if (cipher != nullptr) {
    const auto meta = tables.find("snkv_meta");
    const std::uint32_t root = meta == tables.end() ? 0 : meta->second->root;
    Error error = read_keys(operation, bt, root, *cipher, catalog->keys_);
    if (error.failed()) return error;
  }
  std::set<const SchemaRow*> known;
  for (const auto& [name, table] : tables) {
    const std::uint32_t id = format::family_id_of(table->sql);
    if (id == 0) continue;
    known.insert(table);
    FamilyEntry entry;
    entry.family = std::make_shared<const Family>(Family{table->name, id});
    entry.root = table->root;
    entry.altered = alteration(*table, format::family_table_sql(name, id), attached);
    const auto side_table = [&](const std::string& side_name, const std::string& sql) {
      const auto found = tables.find(side_name);
      if (found == tables.end()) return std::uint32_t{0};
      known.insert(found->second);
      if (entry.altered.empty()) entry.altered = alteration(*found->second, sql, attached);
      return found->second->root;
    };
    entry.large_root = side_table(format::large_table_name(id), format::large_table_sql(id));
    entry.expiry_root = side_table(format::expiry_table_name(id), format::expiry_table_sql(id));
    catalog->families_.entries_.push_back(std::make_shared<const FamilyEntry>(std::move(entry)));
    catalog->by_name_.push_back(catalog->families_.entries_.back().get());
  }
  auto& entries = catalog->families_.entries_;
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a->family->id < b->family->id; });
  std::sort(catalog->by_name_.begin(), catalog->by_name_.end(), [](const auto* a, const auto* b) {
    return before_in_name(a->family->name, b->family->name);
  });
  std::vector<Other> others;
  for (const SchemaRow& row : rows) {
    if (known.count(&row) == 0) others.push_back({row.name, row.type});
  }
  std::sort(others.begin(), others.end(),
            [](const Other& a, const Other& b) { return before_in_name(a.name, b.name); });
  catalog->others_ = std::make_shared<const std::vector<Other>>(std::move(others));
  out = std::move(catalog);
  return {};
}

void Catalog::insert(FamilyEntry&& entry) {
  auto shared = std::make_shared<const FamilyEntry>(std::move(entry));
  const std::string& name = shared->family->name;
  auto named = std::lower_bound(by_name_.begin(), by_name_.end(), name, entry_before);
  auto& entries = families_.entries_;
  const auto at = std::lower_bound(entries.begin(), entries.end(), shared->family->id,
                                   [](const auto& other, std::uint32_t wanted) {
                                     return other->family->id < wanted;
                                   });
  if (at != entries.end() && (*at)->family->id == shared->family->id) {
    while (*named != at->get()) ++named;
    *named = shared.get();
    *at = std::move(shared);
  } else {
    by_name_.insert(named, shared.get());
    entries.insert(at, std::move(shared));
  }
}

Error Catalog::after_creation(const char* operation, snkv_bt* bt, const Catalog& before,
                              std::string_view sql, std::uint32_t id,
                              std::shared_ptr<const Catalog>& out) {
  SchemaRow row;
  if (const int rc = read_last_row(bt, row); rc != SNKV_BT_OK) {
    return btree::engine_error(operation, rc, "reading the schema");
  }
  const FamilyEntry* const found = before.find(id);
  FamilyEntry entry;
  if (found != nullptr) entry = *found;
  const bool large = sql == format::large_table_sql(id);
  const bool expiry = sql == format::expiry_table_sql(id);
  const bool left_over = !before.find_other(format::large_table_name(id)).empty() ||
                         !before.find_other(format::expiry_table_name(id)).empty();
  // A table that was there before its family, or the reverse.
  if (row.type != "table" || row.sql != sql || left_over || (found != nullptr) != (large || expiry)) {
    return {};
  }
  if (found == nullptr) entry.family = std::make_shared<const Family>(Family{row.name, id});
  (large ? entry.large_root : expiry ? entry.expiry_root : entry.root) = row.root;
  auto catalog = std::make_shared<Catalog>(before);
  catalog->cookie_ = snkv_bt_cookie(bt);
  catalog->insert(std::move(entry));
  out = std::move(catalog);
  return {};
}

const FamilyEntry* Catalog::find(std::uint32_t id) const noexcept {
  const auto& entries = families_.entries_;
  const auto at = std::lower_bound(
      entries.begin(), entries.end(), id,
      [](const auto& entry, std::uint32_t wanted) { return entry->family->id < wanted; });
  return at != entries.end() && (*at)->family->id == id ? at->get() : nullptr;
}

const FamilyEntry* Catalog::find(std::string_view name) const noexcept {
  const FamilyEntry* const found = find_similar(name);
  return found != nullptr && found->family->name == name ? found : nullptr;
}

const FamilyEntry* Catalog::find_similar(std::string_view name) const noexcept {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, entry_before);
  if (at == by_name_.end() || before_in_name(name, (*at)->family->name)) return nullptr;
  return *at;
}

std::string_view Catalog::find_other(std::string_view name) const noexcept {
  const auto at = std::lower_bound(
      others_->begin(), others_->end(), name,
      [](const Other& other, std::string_view wanted) { return before_in_name(other.name, wanted); });
  if (at == others_->end() || before_in_name(name, at->name)) return {};
  return at->type;
}

}  // namespace snkv::core
