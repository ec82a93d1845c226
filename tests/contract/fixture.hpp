// A database file with tables of the kinds a store has, driven through the B-tree adapter directly:
// what the store above never does wrong can be done wrong here.
#pragma once

#include "btree/connection.hpp"
#include "btree/record.hpp"
#include "core/format.hpp"
#include "core/read_path.hpp"

#include "support/catch.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::contract {

using namespace snkv::test;
using btree::Column;
using btree::Connection;
using btree::Lock;
using btree::Statement;

// Typed as the functions' results are, so that Catch2 compares like with like.
constexpr int ok = SNKV_BT_OK;
constexpr int busy = SNKV_BT_BUSY;
constexpr int misuse = SNKV_BT_MISUSE;
constexpr int corrupt = SNKV_BT_CORRUPT;
constexpr int moved = SNKV_BT_MOVED;
constexpr int poisoned = SNKV_BT_POISONED;

enum class Log { wal, journal };

inline void must_rc(int rc, std::source_location where = std::source_location::current()) {
  if (rc != ok) FAIL(where.file_name() << ":" << where.line() << ": " << snkv_bt_errstr(rc));
}

inline void run(Connection& connection, const std::string& sql,
                std::source_location where = std::source_location::current()) {
  const int rc = connection.execute(sql);
  if (rc != ok) FAIL(where.line() << ": " << sql << ": " << snkv_bt_errmsg(connection.get()));
}

/// The first column of the first row.
inline std::string text(Connection& connection, const char* sql) {
  Statement statement;
  must_rc(statement.prepare(connection, sql));
  REQUIRE(statement.step() == SNKV_BT_ROW);
  return statement.bytes(0).str();
}

inline std::int64_t number(Connection& connection, const std::string& sql) {
  std::int64_t value = 0;
  must_rc(connection.query_int64(sql, value, -1));
  return value;
}

/// The file, and the roots of its tables: `t` and `u` as families have them, `expiry` of the kind
/// SNKV_BT_EXPIRY, `chunks` with integer keys.
class File {
 public:
  explicit File(Log log = Log::wal, std::uint32_t page_size = 4096) {
    Connection connection = open();
    snkv_bt_configure_new(connection.get(), page_size);
    run(connection, core::format::family_table_sql("t", 7));
    run(connection, core::format::family_table_sql("u", 8));
    run(connection,
        "CREATE TABLE expiry(expires_at INTEGER NOT NULL, key BLOB NOT NULL, "
        "PRIMARY KEY(expires_at, key)) STRICT, WITHOUT ROWID");
    run(connection, core::format::large_table_sql(7));
    if (log == Log::wal) run(connection, "PRAGMA journal_mode=WAL");
    t = root(connection, "t");
    u = root(connection, "u");
    expiry = root(connection, "expiry");
    chunks = root(connection, "snkv_large_7");
  }

  [[nodiscard]] Connection open(int busy_timeout_ms = 0, int flags = SNKV_BT_OPEN_CREATE) const {
    Connection connection;
    must_rc(connection.open(path(), flags, busy_timeout_ms));
    return connection;
  }
  [[nodiscard]] std::string path() const { return dir_.file("contract.db"); }

  [[nodiscard]] static std::uint32_t root(Connection& connection, const std::string& table) {
    return static_cast<std::uint32_t>(
        number(connection, "SELECT rootpage FROM sqlite_schema WHERE name='" + table + "'"));
  }

  /// As another program sees it, at the end of a test.
  void require_sound() const { REQUIRE(sqlite_cli(path(), "PRAGMA integrity_check") == "ok"); }

  std::uint32_t t = 0;
  std::uint32_t u = 0;
  std::uint32_t expiry = 0;
  std::uint32_t chunks = 0;

 private:
  TempDir dir_;
};

/// An open raw read transaction.
struct Reading {
  explicit Reading(Connection& connection) : lock(connection), transaction(lock) {
    must_rc(transaction.rc());
  }
  Lock lock;
  btree::ReadTransaction transaction;
};

/// An open write transaction, rolled back unless committed.
struct Writing {
  explicit Writing(Connection& connection) : lock(connection), transaction(lock) {
    must_rc(transaction.rc());
  }
  Lock lock;
  btree::WriteTransaction transaction;
};

inline btree::Cursor cursor_on(Connection& connection, std::uint32_t root, bool writable = false,
                               snkv_bt_kind kind = SNKV_BT_ROWS) {
  btree::Cursor cursor;
  must_rc(cursor.open(connection.get(), root, kind, writable));
  return cursor;
}

inline std::uint32_t size32(std::size_t size) { return static_cast<std::uint32_t>(size); }

/// The result of a seek: 0 when the key is there.
inline int seek(btree::Cursor& cursor, std::string_view key) {
  int order = 77;
  must_rc(snkv_bt_seek(cursor.get(), key.data(), size32(key.size()), &order));
  return order;
}

inline std::string record_of(std::span<const Column> columns) {
  std::string record(btree::record_size(columns), '\0');
  btree::encode_record(columns, reinterpret_cast<std::byte*>(record.data()));
  return record;
}

using Expiry = std::optional<std::int64_t>;

inline std::string row_of(std::string_view key, std::string_view value, Expiry expires_at = {}) {
  const Column columns[] = {Column::of(BytesView(key)), Column::of(expires_at),
                            Column::of(BytesView(value))};
  return record_of(columns);
}

/// Insert without a seek.
inline int insert(btree::Cursor& cursor, std::string_view key, std::string_view value,
                  Expiry expires_at = {}) {
  const std::string record = row_of(key, value, expires_at);
  return snkv_bt_insert(cursor.get(), key.data(), size32(key.size()), record.data(),
                        size32(record.size()));
}

/// As the store puts: seek, then insert.
inline int put(btree::Cursor& cursor, std::string_view key, std::string_view value,
               Expiry expires_at = {}) {
  static_cast<void>(seek(cursor, key));
  return insert(cursor, key, value, expires_at);
}

/// Moves, and tells whether there is an entry.
inline bool move(btree::Cursor& cursor, int (*function)(snkv_bt_cursor*, int*)) {
  int valid = 77;
  must_rc(function(cursor.get(), &valid));
  return valid != 0;
}

/// The result code of a move alone.
inline int move_rc(btree::Cursor& cursor, int (*function)(snkv_bt_cursor*, int*)) {
  int valid = 0;
  return function(cursor.get(), &valid);
}

inline std::string key_at(btree::Cursor& cursor) {
  Bytes scratch;
  core::Row row;
  must_rc(core::read_row(cursor.get(), scratch, row));
  return row.key.str();
}

inline std::string value_at(btree::Cursor& cursor) {
  Bytes scratch;
  core::Row row;
  must_rc(core::read_row(cursor.get(), scratch, row));
  return row.value.str();
}

/// All rows of a tree in the transaction that is open.
inline Contents rows(Connection& connection, std::uint32_t root) {
  btree::Cursor cursor = cursor_on(connection, root);
  Contents found;
  for (bool valid = move(cursor, snkv_bt_first); valid; valid = move(cursor, snkv_bt_next)) {
    found.emplace_back(key_at(cursor), value_at(cursor));
  }
  return found;
}

/// Puts in a transaction of its own.
inline void put_committed(Connection& connection, std::uint32_t root, const Contents& entries) {
  Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, root, true);
  for (const auto& [key, value] : entries) must_rc(put(cursor, key, value));
  must_rc(writing.transaction.commit());
}

inline std::string numbered(int i) { return "key" + std::to_string(10000 + i); }

/// A store through the inside of its ABI, where the state behind the handles can be reached.
inline core::Target open_target(const std::string& path, const Options& options = {}) {
  core::Target target;
  const Error error = core::open_store(path, options, target);
  if (error.failed()) FAIL(error.message());
  return target;
}

}  // namespace snkv::contract
