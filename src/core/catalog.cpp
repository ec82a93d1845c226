#include "core/catalog.hpp"

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "core/family_seal.hpp"
#include "core/format.hpp"
#include "core/key_header.hpp"
#include "core/meta.hpp"
#include "core/schema.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <utility>

namespace snkv::core {
namespace {

/// The order of names to SQLite, which does not tell the case of ASCII letters apart.
bool before_in_name(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return base::lower_ascii(x) < base::lower_ascii(y); });
}
bool entry_before(const FamilyEntry* entry, std::string_view name) noexcept {
  return before_in_name(entry->family->name, name);
}

/// The keys that the values of this transaction are sealed with.
Error read_keys(const char* operation, snkv_bt* bt, std::uint32_t meta_root, const Cipher& cipher,
                std::shared_ptr<const KeyRing>& out) {
  Meta meta;
  if (Error error = read_meta(operation, bt, meta_root, meta); error.failed()) return error;
  KeyRing::Generation generation{};
  if (meta.key_header && KeyHeader::generation_of(*meta.key_header, generation)) {
    out = cipher.find(generation);
  }
  if (out != nullptr) return {};
  return Error(Errc::auth_failed, operation,
               "the keys of the store were changed elsewhere; it has to be opened again");
}

/// Says why a family's tables are not as the library made them; empty if they are. The B-tree layer
/// maintains no index, runs no trigger and fills no other column, so writing must stop [K8].
std::string alteration(const SchemaRow& table, const std::string& expected_sql,
                       const Schema& schema) {
  if (table.sql != expected_sql) {
    return fmt::format("the definition of table {} was changed through SQL",
                       base::printable(table.name));
  }
  const SchemaRow* const more = schema.attached(table.name);
  if (more == nullptr) return {};
  return fmt::format("table {} has {} {}, made through SQL", base::printable(table.name), more->type,
                     base::printable(more->name));
}

}  // namespace

Error Catalog::load(const char* operation, snkv_bt* bt, std::uint32_t cookie,
                    const Cipher* cipher, std::shared_ptr<const Catalog>& out) {
  Schema schema;
  if (Error error = schema.load(operation, bt); error.failed()) return error;
  auto catalog = std::make_shared<Catalog>();
  catalog->cookie_ = cookie;
  if (Error error = schema.meta_root(operation, catalog->meta_root_); error.failed()) return error;
  NameTags tags;
  if (cipher != nullptr) {
    const std::uint32_t root = catalog->meta_root_;
    Error error = read_keys(operation, bt, root, *cipher, catalog->keys_);
    if (!error.failed() && catalog->keys_->binds_names()) error = tags.read(operation, bt, root);
    if (error.failed()) return error;
  }
  std::set<const SchemaRow*> known;
  for (const SchemaRow& table : schema.rows()) {
    const std::uint32_t id = table.type == "table" ? format::family_id_of(table.sql) : 0;
    if (id == 0 || table.root == 0) continue;
    known.insert(&table);
    FamilyEntry entry;
    entry.family = std::make_shared<const Family>(Family{table.name, id});
    entry.root = table.root;
    entry.altered = alteration(table, format::family_table_sql(table.name, id), schema);
    entry.is_readable = table.is_ours || format::has_family_rows(table.sql, table.name);
    const auto side_table = [&](const std::string& name, const std::string& sql) {
      const SchemaRow* const found = schema.table(name);
      if (found == nullptr) return std::uint32_t{0};
      known.insert(found);
      if (entry.altered.empty()) entry.altered = alteration(*found, sql, schema);
      // Reads do not need the index of expiries.
      if (name == format::large_table_name(id) && !found->is_ours && !format::has_large_rows(found->sql, name)) {
        entry.is_readable = false;
      }
      return found->root;
    };
    entry.large_root = side_table(format::large_table_name(id), format::large_table_sql(id));
    entry.expiry_root = side_table(format::expiry_table_name(id), format::expiry_table_sql(id));
    if (catalog->keys_ != nullptr && catalog->keys_->binds_names()) {
      entry.forged = tags.forgery(*catalog->keys_, *entry.family);
    }
    catalog->families_.entries_.push_back(std::make_shared<const FamilyEntry>(std::move(entry)));
    catalog->by_name_.push_back(catalog->families_.entries_.back().get());
  }
  auto& entries = catalog->families_.entries_;
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    if (a->family->id != b->family->id) return a->family->id < b->family->id;
    return a->forged.empty() && !b->forged.empty();
  });
  std::sort(catalog->by_name_.begin(), catalog->by_name_.end(), [](const auto* a, const auto* b) {
    return before_in_name(a->family->name, b->family->name);
  });
  std::vector<Other> others;
  for (const SchemaRow& row : schema.rows()) {
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
  if (const int rc = read_last_schema_row(bt, row); rc != SNKV_BT_OK) {
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

Error check_name(const char* operation, const FamilyEntry& entry) {
  return entry.forged.empty() ? Error() : Error(Errc::tampered, operation, entry.forged);
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
