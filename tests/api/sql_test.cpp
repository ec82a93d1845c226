// The SQL window: what can be asked, what is refused, and what it sees.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string show(const SqlValue& value) {
  switch (value.type()) {
    case SqlType::null:
      return "null";
    case SqlType::integer:
      return "int:" + std::to_string(value.int64());
    case SqlType::real:
      return "real:" + std::to_string(value.real());
    case SqlType::text:
      return "text:" + std::string(value.text());
    case SqlType::blob:
      return "blob:" + value.blob().str();
  }
  return "?";
}

/// All rows, the columns of each joined by '|'; fails the test if they end in an error.
std::vector<std::string> rows_of(Result<SqlRows> result) {
  SqlRows rows = must(std::move(result));
  std::vector<std::string> all;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += (i > 0 ? "|" : "") + show(row[i]);
    all.push_back(line);
  }
  must(rows.status());
  return all;
}

std::string one(Result<SqlRows> result) {
  const auto rows = rows_of(std::move(result));
  REQUIRE(rows.size() == 1);
  return rows[0];
}

}  // namespace

TEST_CASE("SQL sees families as tables") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  ColumnFamily users = must(store.column_family("users"));
  for (int i = 0; i < 100; ++i) {
    REQUIRE_OK(
        users.put("user" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'x')));
  }
  REQUIRE_OK(store.put("key", "value", {.expires_at = TimePoint(4'000'000'000'000ms)}));
  CHECK(one(store.sql("SELECT count(*), sum(length(value)) FROM users")) == "int:100|int:4950");
  CHECK(one(store.sql("SELECT * FROM \"default\"")) ==
        "blob:key|int:4000000000000|blob:value|null|null");
  CHECK(rows_of(store.sql("SELECT key FROM users WHERE key < ? ORDER BY key DESC LIMIT ?",
                          BytesView("user11"), 2)) ==
        std::vector<std::string>{"blob:user10", "blob:user1"});
  CHECK(
      rows_of(store.sql("SELECT key FROM users WHERE key='user1'")).empty());  // a text is no blob
  CHECK(one(store.sql("SELECT CAST(value AS TEXT) FROM users WHERE key=CAST('user3' AS BLOB)")) ==
        "text:xxx");
  CHECK(one(store.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 10) "
                      "SELECT sum(i) FROM n")) == "int:55");
  CHECK(one(store.sql("SELECT count(*) FROM users u JOIN users v ON u.key = v.key")) == "int:100");
  CHECK(one(store.sql("VALUES(1)")) == "int:1");
}

TEST_CASE("values of all kinds go in and come out") {
  const TempDir dir;
  const Store store = open_kind(StoreKind::wal, dir);
  CHECK(one(store.sql("SELECT ?, ?, ?, ?, ?", nullptr, 42, 1.5, "text",
                      bytes_of(std::uint16_t{0}))) ==
        "null|int:42|real:1.500000|text:text|blob:"s + std::string(2, '\0'));
  CHECK(one(store.sql("SELECT ?, ?", std::numeric_limits<std::int64_t>::min(),
                      std::numeric_limits<std::int64_t>::max())) ==
        "int:-9223372036854775808|int:9223372036854775807");
  CHECK(one(store.sql("SELECT ?, ?, ?", true, std::uint32_t{4294967295u}, -1.0f)) ==
        "int:1|int:4294967295|real:-1.000000");
  CHECK(one(store.sql("SELECT typeof(?), typeof(?), typeof(?), typeof(?)", ""sv, std::string(),
                      BytesView(), Bytes())) == "text:text|text:text|text:blob|text:blob");
  CHECK(one(store.sql("SELECT length(?), length(?)", "a\0b"sv, BytesView("a\0b"sv))) ==
        "int:1|int:3");
  CHECK(one(store.sql("SELECT ?", "a\0b"sv)) == "text:a\0b"s);
  CHECK(one(store.sql("SELECT ?, ?", std::optional<int>(), std::optional<std::string>("x"))) ==
        "null|text:x");
  CHECK(one(store.sql("SELECT ?2, ?1, ?2", 1, 2)) == "int:2|int:1|int:2");
  CHECK(one(store.sql("SELECT :name", "named")) == "text:named");
  const std::string large = patterned(5'000'000);
  SqlRows rows = must(store.sql("SELECT ?", BytesView(large)));
  for (const auto& row : rows) CHECK((row[0].blob() == BytesView(large)));
  // Conversions that cost nothing are done; others are a matter of SQL.
  CHECK(SqlValue(2.9).int64() == 2);
  CHECK(SqlValue(1e300).int64() == std::numeric_limits<std::int64_t>::max());
  CHECK(SqlValue(-1e300).int64() == std::numeric_limits<std::int64_t>::min());
  CHECK(SqlValue(std::nan("")).int64() == 0);
  CHECK(SqlValue(2).real() == 2.0);
  CHECK(SqlValue("7").int64() == 0);
  CHECK(SqlValue(7).text().empty());
  CHECK(SqlValue().is_null());
}

TEST_CASE("rows know their columns") {
  const TempDir dir;
  const Store store = open_kind(StoreKind::wal, dir);
  SqlRows rows = must(store.sql("SELECT 1 AS one, 'two' AS \"the second\""));
  REQUIRE(rows.column_count() == 2);
  CHECK(rows.column_name(0) == "one");
  CHECK(rows.column_name(1) == "the second");
  CHECK(rows.column_name(2).empty());
  for (const auto& row : rows) {
    CHECK(row.size() == 2);
    CHECK(row[2].is_null());
  }
  CHECK(rows.column_name(0) == "one");  // still, after the last row
  SqlRows nothing;
  CHECK(nothing.column_count() == 0);
  CHECK(nothing.begin() == nothing.end());
  REQUIRE_OK(nothing.status());
}

TEST_CASE("rows can be left, moved and taken up again") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  for (int i = 0; i < 10; ++i) REQUIRE_OK(store.put(std::to_string(i), "value"));
  SqlRows rows = must(store.sql("SELECT key FROM \"default\" ORDER BY key"));
  for (const auto& row : rows) {
    if (row[0].text() == "3") break;
  }
  SqlRows moved = std::move(rows);
  std::string rest;
  for (const auto& row : moved) rest += row[0].text();
  CHECK(rest == "3456789");
  for (const auto& row : moved) rest += row[0].text();
  CHECK(rest == "3456789");
  CHECK(must(store.stats()).snapshots == 0);
}

TEST_CASE("rows are those of one moment, and count as a snapshot") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  for (int i = 0; i < 5000; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), patterned(100)));
  SqlRows rows = must(store.sql("SELECT key FROM \"default\""));
  CHECK(must(store.stats()).snapshots == 1);
  REQUIRE_ERROR(store.close(), Errc::busy, "close");
  REQUIRE_OK(store.clear());
  REQUIRE_OK(store.compact());
  CHECK(one(store.sql("SELECT count(*) FROM \"default\"")) == "int:0");
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& row : rows) ++count;
  REQUIRE_OK(rows.status());
  CHECK(count == 5000);
  CHECK(must(store.stats()).snapshots == 0);  // ended with the last row
  REQUIRE_OK(store.close());
  REQUIRE_ERROR(store.sql("SELECT 1"), Errc::closed, "sql");
}

TEST_CASE("a transaction's changes are not seen before its commit") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("key", "value"));
  CHECK(one(store.sql("SELECT count(*) FROM \"default\"")) == "int:0");
  REQUIRE_OK(transaction.commit());
  CHECK(one(store.sql("SELECT count(*) FROM \"default\"")) == "int:1");
}

TEST_CASE("nothing that changes anything is let through") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  const auto before = contents_of(store);
  for (const char* sql : {
           "INSERT INTO \"default\"(key, value) VALUES(x'00', x'00')",
           "UPDATE \"default\" SET value=x'00'",
           "DELETE FROM \"default\"",
           "DELETE FROM \"default\" RETURNING key",
           "REPLACE INTO snkv_meta VALUES('format_version', 9)",
           "WITH x AS (SELECT 1) DELETE FROM \"default\"",
           "EXPLAIN DELETE FROM \"default\"",
           "DROP TABLE \"default\"",
           "CREATE TABLE mine(a)",
           "CREATE TEMP TABLE mine(a)",
           "CREATE TEMP VIEW mine AS SELECT 1",
           "CREATE INDEX mine ON \"default\"(value)",
           "ALTER TABLE \"default\" RENAME TO other",
           "BEGIN",
           "BEGIN IMMEDIATE",
           "COMMIT",
           "ROLLBACK",
           "SAVEPOINT mine",
           "VACUUM",
           "VACUUM INTO 'stolen.db'",
           "REINDEX",
           "ANALYZE",
           "ATTACH 'other.db' AS other",
           "ATTACH ':memory:' AS other",
           "DETACH main",
           "PRAGMA user_version=7",
           "PRAGMA user_version(7)",
           "PRAGMA application_id=7",
           "PRAGMA schema_version=7",
           "PRAGMA journal_mode",
           "PRAGMA journal_mode=DELETE",
           "PRAGMA journal_mode(OFF)",
           "PRAGMA query_only=0",
           "PRAGMA cache_size=1",
           "PRAGMA page_size=1024",
           "PRAGMA synchronous=OFF",
           "PRAGMA writable_schema=1",
           "PRAGMA wal_checkpoint",
           "PRAGMA optimize",
           "PRAGMA incremental_vacuum",
           "PRAGMA shrink_memory",
           "PRAGMA mmap_size=1",
           "PRAGMA locking_mode=EXCLUSIVE",
           "PRAGMA temp_store=FILE",
           "PRAGMA busy_timeout=0",
           "SELECT * FROM pragma_mmap_size",
       }) {
    CAPTURE(sql);
    const auto result = store.sql(sql);
    REQUIRE_FALSE(result);
    if (std::string_view(sql).find("pragma_mmap_size") == std::string_view::npos) {
      REQUIRE_ERROR(result, Errc::read_only, "sql");
    }
  }
  CHECK((contents_of(store) == before));
  CHECK(size_of("stolen.db") == 0);
  REQUIRE_OK(store.verify());
  // The connection that said no is as good as before, for SQL and for the rest.
  CHECK(one(store.sql("SELECT 1")) == "int:1");
  REQUIRE_OK(store.put("new", "value"));
  REQUIRE_OK(store.integrity_check());
  REQUIRE_OK(store.compact());
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = true}));
}

TEST_CASE("pragmas and functions that only tell something are let through") {
  const TempDir dir;
  const Store store = open_kind(StoreKind::wal, dir);
  CHECK(one(store.sql("PRAGMA page_size")) == "int:8192");
  CHECK(one(store.sql("PRAGMA integrity_check")) == "text:ok");
  CHECK(rows_of(store.sql("PRAGMA table_info(default)")).size() == 5);
  CHECK(one(store.sql("SELECT count(*) FROM pragma_table_info('default')")) == "int:5");
  CHECK(one(store.sql("SELECT count(*) FROM json_each('[1,2,3]')")) == "int:3");
  CHECK(one(store.sql("SELECT name FROM sqlite_schema WHERE name='default'")) == "text:default");
  CHECK_FALSE(rows_of(store.sql("EXPLAIN QUERY PLAN SELECT * FROM \"default\"")).empty());
}

TEST_CASE("SQL that is wrong gets the engine's words") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("key", "value"));
  const std::vector<std::pair<std::string_view, std::string_view>> wrong = {
      {"SELEC 1", "near \"SELEC\""},
      {"SELECT * FROM absent", "no such table: absent"},
      {"SELECT absent FROM \"default\"", "no such column: absent"},
      {"SELECT \"absent\"", "absent"},
      {"SELECT absent(1)", "no such function"},
      {"SELECT load_extension('x')", "no such function"},
      {"SELECT 1; SELECT 2", "more than one statement"},
      {"SELECT 1; DROP TABLE \"default\"", "more than one statement"},
      {"SELECT 1; nonsense", "more than one statement"},
      {"", "no statement"},
      {"  -- only a comment", "no statement"},
      {";", "no statement"},
      {"SELECT 1\0; DROP TABLE x"sv, "NUL"},
      {"SELECT ?", "1 parameters, 0 were given"},
      {"SELECT abs(-9223372036854775808)", "overflow"},
      {"SELECT json('{')", "malformed JSON"},
  };
  for (const auto& [sql, words] : wrong) {
    CAPTURE(sql);
    const auto result = store.sql(sql);
    REQUIRE_ERROR(result, Errc::invalid_argument, "sql");
    INFO(result.error().message());
    CHECK(result.error().message().find(words) != std::string::npos);
  }
  REQUIRE_ERROR(store.sql("SELECT 1", 2), Errc::invalid_argument, "sql");
  REQUIRE_ERROR(store.sql("SELECT zeroblob(2000000000)"), Errc::too_large, "sql");
  CHECK(one(store.sql("SELECT 1;")) == "int:1");
  CHECK(one(store.sql("SELECT 1; -- and nothing else\n ; /* at all */ ")) == "int:1");
  REQUIRE_ERROR(Store().sql("SELECT 1"), Errc::closed, "sql");
}

TEST_CASE("an error in the middle of the rows is told at their end") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  for (int i = 0; i < 10; ++i) REQUIRE_OK(store.put(std::to_string(i), i == 5 ? "{" : "{}"));
  SqlRows rows = must(store.sql("SELECT json(CAST(value AS TEXT)) FROM \"default\""));
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& row : rows) ++count;
  CHECK(count == 5);
  REQUIRE_ERROR(rows.status(), Errc::invalid_argument, "sql");
  CHECK(rows.status().error().message().find("malformed JSON") != std::string::npos);
  CHECK(must(store.stats()).snapshots == 0);
}

TEST_CASE("SQL on a read-only store, and from many threads") {
  const TempDir dir;
  {
    Store store = open_kind(StoreKind::rollback, dir);
    for (int i = 0; i < 1000; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), patterned(100)));
  }
  const Store store = must(open_store(dir.file("test.db"), {.read_only = true}));
  REQUIRE_ERROR(store.sql("DELETE FROM \"default\""), Errc::read_only, "sql");
  std::array<std::string, 4> seen;
  std::vector<std::thread> threads;
  for (std::string& mine : seen) {
    threads.emplace_back([&store, &mine] {
      for (int i = 0; i < 20; ++i) {
        auto rows = store.sql("SELECT length(value) FROM \"default\" WHERE length(key) > ?", 0);
        if (!rows) {
          mine = rows.error().message();
          return;
        }
        std::int64_t sum = 0;
        for (const auto& row : *rows) sum += row[0].int64();
        mine = std::to_string(sum);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& mine : seen) CHECK(mine == "100000");
}

TEST_CASE("rows keep the store open") {
  const TempDir dir;
  SqlRows rows;
  {
    Store store = open_kind(StoreKind::wal, dir);
    for (int i = 0; i < 3; ++i) REQUIRE_OK(store.put(std::to_string(i), "value"));
    rows = must(store.sql("SELECT key FROM \"default\""));
  }
  std::string keys;
  for (const auto& row : rows) keys += row[0].text();
  CHECK(keys == "012");
  REQUIRE_OK(rows.status());
}

TEST_CASE("large and expired entries are rows like any other") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("large", patterned(100'000)));
  REQUIRE_OK(store.put("past", "value", {.expires_at = TimePoint(1ms)}));
  CHECK(rows_of(store.sql("SELECT key, expires_at, value IS NULL, large_size FROM \"default\"")) ==
        std::vector<std::string>{"blob:large|null|int:1|int:100000", "blob:past|int:1|int:0|null"});
  CHECK(one(store.sql("SELECT sum(length(data)) FROM snkv_large_1")) == "int:100000");
}

TEST_CASE("a table that cannot be looked for is not said to be missing") {
  const TempDir dir;
  const Options options{.journal = Journal::rollback, .busy_timeout = 0ms};
  Store writer = must(open_store(dir.file("store.db"), options));
  Store reader = must(open_store(dir.file("store.db"), options));
  CHECK(one(reader.sql("SELECT count(*) FROM \"default\"")) == "int:0");
  must(writer.create_column_family("new"));
  // A commit that waits for a reader lets no other in.
  std::optional<Snapshot> snapshot = must(reader.snapshot());
  Transaction transaction = must(writer.begin());
  REQUIRE_OK(transaction.put("k", "v"));
  REQUIRE_ERROR(transaction.commit(), Errc::busy, "commit");
  REQUIRE_ERROR(reader.sql("SELECT count(*) FROM new"), Errc::busy, "sql");
  snapshot.reset();
  REQUIRE_OK(transaction.commit());
  CHECK(one(reader.sql("SELECT count(*) FROM new")) == "int:0");
}
