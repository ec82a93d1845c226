#include "core/catalog.hpp"

#include "base/printable.hpp"
#include "core/family_seal.hpp"
#include "core/format.hpp"
#include "core/key_header.hpp"
#include "core/meta.hpp"
#include "core/schema.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace snkv::core {
namespace {

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
  for (const SchemaRow& table : schema.rows()) {
    const std::uint32_t id = table.type == "table" ? format::family_id_of(table.sql) : 0;
    if (id == 0 || table.root == 0) continue;
    FamilyEntry entry;
    entry.family = std::make_shared<const Family>(Family{table.name, id});
    entry.root = table.root;
    entry.altered = alteration(table, format::family_table_sql(table.name, id), schema);
    entry.is_readable = table.is_ours || format::has_family_rows(table.sql, table.name);
    const auto side_table = [&](const std::string& name, const std::string& sql) {
      const SchemaRow* const found = schema.table(name);
      if (found == nullptr) return std::uint32_t{0};
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
    catalog->families_.push_back(std::move(entry));
  }
  std::sort(catalog->families_.begin(), catalog->families_.end(),
            [](const FamilyEntry& a, const FamilyEntry& b) {
              if (a.family->id != b.family->id) return a.family->id < b.family->id;
              return a.forged.empty() && !b.forged.empty();
            });
  out = std::move(catalog);
  return {};
}

Error check_name(const char* operation, const FamilyEntry& entry) {
  return entry.forged.empty() ? Error() : Error(Errc::tampered, operation, entry.forged);
}

const FamilyEntry* Catalog::find(std::uint32_t id) const noexcept {
  const auto at = std::lower_bound(
      families_.begin(), families_.end(), id,
      [](const FamilyEntry& entry, std::uint32_t wanted) { return entry.family->id < wanted; });
  return at != families_.end() && at->family->id == id ? &*at : nullptr;
}

const FamilyEntry* Catalog::find(std::string_view name) const noexcept {
  for (const FamilyEntry& entry : families_) {
    if (entry.family->name == name) return &entry;
  }
  return nullptr;
}

}  // namespace snkv::core
