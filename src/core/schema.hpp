/// \file
/// The schema of a file, read through a raw cursor and checked before any SQL runs on the file: a store may
/// come from anywhere, and nothing that its definitions say shall be evaluated.
#pragma once

#include "btree/connection.hpp"

#include <snkv/error.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace snkv::core {

/// A row of sqlite_schema.
struct SchemaRow {
  std::string type;
  std::string name;
  std::string table;
  std::uint32_t root = 0;  ///< 0 for what has no tree
  std::string sql;         ///< empty for the index that a constraint needs
  bool is_ours = false;    ///< a table that is, to the byte, as the library makes it
};

/// Names are looked up as SQL does it, without regard to the case of ASCII letters.
class Schema {
 public:
  Schema() = default;
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  /// Reads it in the transaction that is open on the connection. `corrupt` for what no SQLite has written:
  /// rows that contradict themselves or each other, trees that are shared, tables of the engine's own that
  /// are none; `too_large` when definitions that are not the library's have more text than
  /// `most_foreign_bytes`, because the engine keeps many times that of them in memory.
  [[nodiscard]] Error load(const char* operation, snkv_bt* bt);

  [[nodiscard]] const std::vector<SchemaRow>& rows() const noexcept { return rows_; }
  /// What is a table, or says so; nullptr if there is none.
  [[nodiscard]] const SchemaRow* table(std::string_view name) const;
  /// An index or trigger of a table; nullptr if it has none but those of its constraints.
  [[nodiscard]] const SchemaRow* attached(std::string_view table) const;
  /// The tree of `snkv_meta`, once it is known to be the library's own; `corrupt` if it is not.
  [[nodiscard]] Error meta_root(const char* operation, std::uint32_t& root) const;
  /// The last page that is the root of a tree.
  [[nodiscard]] std::uint32_t largest_root() const noexcept;
  /// Whether everything in the file is as the library makes it.
  [[nodiscard]] bool is_all_ours() const noexcept { return all_ours_; }

  static constexpr std::size_t most_foreign_bytes = 512 * 1024;

 private:
  [[nodiscard]] Error add(const char* operation, BytesView record, std::uint32_t pages);
  [[nodiscard]] Error check_roots(const char* operation) const;

  std::vector<SchemaRow> rows_;
  std::unordered_map<std::string, std::size_t> names_;     // in small letters; triggers have their own names
  std::unordered_map<std::string, std::size_t> attached_;  // by table
  std::size_t foreign_bytes_ = 0;
  bool all_ours_ = true;
};

/// The row that was made last, in the transaction that is open on the connection; an engine code.
[[nodiscard]] int read_last_schema_row(snkv_bt* bt, SchemaRow& row);

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
    if (!record.try_resize_for_overwrite(size)) return SNKV_BT_NOMEM;
    rc = snkv_bt_read(cursor.get(), 0, size, record.data());
    if (rc == SNKV_BT_OK) rc = use(BytesView(record));
    if (rc == SNKV_BT_OK) rc = snkv_bt_next(cursor.get(), &valid);
  }
  return rc;
}

}  // namespace snkv::core
