#include "core/schema.hpp"

#include "base/printable.hpp"
#include "btree/record.hpp"
#include "core/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::uint32_t schema_root = 1;
constexpr std::size_t schema_columns = 5;

std::string small(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool is_text(const btree::Column& column) {
  return column.type == btree::Column::Type::text &&
         column.bytes.str().find('\0') == std::string::npos;
}

/// The columns of a row, if they are of the types that SQLite gives them.
bool decode(BytesView record, SchemaRow& row) {
  btree::ColumnExtent extents[schema_columns];
  if (!btree::parse_record(record, static_cast<std::uint32_t>(record.size()), extents)) return false;
  std::string* const texts[] = {&row.type, &row.name, &row.table, nullptr, &row.sql};
  for (std::size_t i = 0; i < schema_columns; ++i) {
    const btree::Column column = btree::decode_column(extents[i], record.data());
    const bool is_null = column.type == btree::Column::Type::null;
    if (texts[i] != nullptr) {
      if (!(is_null && texts[i] == &row.sql) && !is_text(column)) return false;
      *texts[i] = column.bytes.str();
    } else if (column.type == btree::Column::Type::integer && column.integer >= 0 &&
               column.integer <= 0xffffffff) {
      row.root = static_cast<std::uint32_t>(column.integer);
    } else if (!is_null) {
      return false;
    }
  }
  return true;
}

constexpr std::string_view engine_prefix = "sqlite_";

/// Of the names that SQLite keeps for itself only tables that it makes, exactly so: it reads and writes them
/// on its own.
bool is_engine_table(const SchemaRow& row) {
  constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"},
      {"sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"},
      {"sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)"}};
  return std::any_of(std::begin(known), std::end(known),
                     [&](const auto& one) { return row.name == one.first && row.sql == one.second; });
}

/// The number behind a prefix; 0 if that is not all of the name.
std::uint32_t number_behind(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() ? number : 0;
}

bool is_made_by_us(const SchemaRow& row) {
  if (row.type != "table") return false;
  if (row.name == format::meta_table) return row.sql == format::meta_table_sql;
  if (const std::uint32_t id = format::family_id_of(row.sql); id != 0) {
    return row.sql == format::family_table_sql(row.name, id);
  }
  if (const std::uint32_t id = number_behind(row.name, "snkv_large_"); id != 0) {
    return row.name == format::large_table_name(id) && row.sql == format::large_table_sql(id);
  }
  const std::uint32_t id = number_behind(row.name, "snkv_expiry_");
  return id != 0 && row.name == format::expiry_table_name(id) && row.sql == format::expiry_table_sql(id);
}

/// Why SQLite cannot have written the row; empty if it can.
std::string contradiction(const SchemaRow& row, std::uint32_t pages) {
  const std::string name = small(row.name);
  const std::string table = small(row.table);
  const bool is_thing = row.type == "table" || row.type == "view";
  if (!is_thing && row.type != "index" && row.type != "trigger") return "is of no known type";
  if (is_thing && name != table) return "has two names";
  int defined = 1;
  if (row.sql.empty()) {
    if (row.type != "index" || !name.starts_with("sqlite_autoindex_")) return "has no definition";
  } else if (!row.is_ours) {  // what is, to the byte, defines what its name says
    defined = snkv_bt_defines(row.sql.c_str(), row.type.c_str(), row.name.c_str(), row.table.c_str());
    if (defined == 0) return "has the definition of something else";
  }
  const bool has_tree = row.type == "index" || (row.type == "table" && defined != SNKV_BT_VIRTUAL);
  const bool fits = has_tree ? row.root > schema_root && row.root <= pages : row.root == 0;
  if (!fits) return fmt::format("has the root page {}", row.root);
  if (!row.sql.empty() && name.starts_with(engine_prefix) && !is_engine_table(row)) {
    return "has a name that is the engine's";
  }
  if (!is_thing && table.starts_with(engine_prefix)) return "is of a table that is the engine's";
  return {};
}

Error malformed(const char* operation, std::string_view what) {
  return Error(Errc::corrupt, operation, fmt::format("the schema is malformed: {}", what));
}

}  // namespace

int read_last_schema_row(snkv_bt* bt, SchemaRow& row) {
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(bt, schema_root, SNKV_BT_ROWID, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_last(cursor.get(), &valid);
  if (rc != SNKV_BT_OK || valid == 0) return rc;
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  rc = snkv_bt_payload(cursor.get(), &data, &local, &size);
  Bytes record;
  if (rc == SNKV_BT_OK && !record.try_resize_for_overwrite(size)) rc = SNKV_BT_NOMEM;
  if (rc == SNKV_BT_OK) rc = snkv_bt_read(cursor.get(), 0, size, record.data());
  if (rc != SNKV_BT_OK) return rc;
  return decode(BytesView(record), row) ? SNKV_BT_OK : SNKV_BT_CORRUPT;
}

Error Schema::add(const char* operation, BytesView record, std::uint32_t pages) {
  SchemaRow row;
  if (!decode(record, row)) return malformed(operation, fmt::format("row {}", rows_.size() + 1));
  const auto refuse = [&](std::string_view why) {
    return malformed(operation, fmt::format("{} {} {}", base::printable(row.type),
                                            base::printable(row.name), why));
  };
  row.is_ours = is_made_by_us(row);
  if (const std::string why = contradiction(row, pages); !why.empty()) return refuse(why);
  if (!row.is_ours) {
    all_ours_ = false;
    foreign_bytes_ += record.size();
    if (foreign_bytes_ > most_foreign_bytes) {
      return Error(Errc::too_large, operation,
                   fmt::format("definitions that are not the library's have more than {} bytes",
                               most_foreign_bytes));
    }
  }
  const bool is_trigger = row.type == "trigger";
  if (!names_.emplace((is_trigger ? "trigger " : "") + small(row.name), rows_.size()).second) {
    return refuse("is there twice");
  }
  if ((is_trigger || row.type == "index") && !row.sql.empty()) {
    attached_.emplace(small(row.table), rows_.size());
  }
  rows_.push_back(std::move(row));
  return {};
}

Error Schema::check_roots(const char* operation) const {
  std::vector<std::pair<std::uint32_t, const SchemaRow*>> roots;
  for (const SchemaRow& row : rows_) {
    if (row.root != 0) roots.emplace_back(row.root, &row);
  }
  std::sort(roots.begin(), roots.end());
  const auto shared = std::adjacent_find(roots.begin(), roots.end(), [](const auto& a, const auto& b) {
    return a.first == b.first;
  });
  if (shared == roots.end()) return {};
  return malformed(operation, fmt::format("{} and {} share the root page {}",
                                          base::printable(shared->second->name),
                                          base::printable((shared + 1)->second->name), shared->first));
}

Error Schema::load(const char* operation, snkv_bt* bt) {
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  snkv_bt_pages(bt, &pages, &free_pages);
  Error refused;
  const int rc = for_each_record(bt, schema_root, SNKV_BT_ROWID, [&](BytesView record) {
    refused = add(operation, record, pages);
    return refused.failed() ? SNKV_BT_ABORT : SNKV_BT_OK;
  });
  if (refused.failed()) return refused;
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "reading the schema");
  return check_roots(operation);
}

const SchemaRow* Schema::table(std::string_view name) const {
  const auto found = names_.find(small(name));
  return found != names_.end() && rows_[found->second].type == "table" ? &rows_[found->second] : nullptr;
}

const SchemaRow* Schema::attached(std::string_view table) const {
  const auto found = attached_.find(small(table));
  return found == attached_.end() ? nullptr : &rows_[found->second];
}

std::uint32_t Schema::largest_root() const noexcept {
  std::uint32_t largest = schema_root;
  for (const SchemaRow& row : rows_) largest = std::max(largest, row.root);
  return largest;
}

Error Schema::meta_root(const char* operation, std::uint32_t& root) const {
  const SchemaRow* const meta = table(format::meta_table);
  const auto refuse = [&](std::string_view why) {
    return Error(Errc::corrupt, operation, fmt::format("there is no usable table snkv_meta: {}", why));
  };
  if (meta == nullptr) return refuse("there is none");
  if (!meta->is_ours) return refuse("it is not defined as the library does it");
  if (const SchemaRow* const more = attached(format::meta_table); more != nullptr) {
    return refuse(fmt::format("it has the {} {}", more->type, base::printable(more->name)));
  }
  root = meta->root;
  return {};
}

}  // namespace snkv::core
