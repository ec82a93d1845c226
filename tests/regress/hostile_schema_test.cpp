// Files whose schema was made to hurt whoever reads it. Once, SQL ran on `snkv_meta` before it was known to be
// the library's own table: a view of that name with an endless query made `open` and the tool hang, a generated
// column took 2.35 GB.
#include "regress/hostile_pokes.hpp"
#include "support/bounded.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

enum class Opens { no, yes };

struct Edit {
  const char* name;
  Opens opens;  ///< whether the store can still be opened
  std::string sql;
};

constexpr const char* endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT ";
constexpr const char* heavy = "length(printf(''%.*c'', 900000000, 1))";

std::string set_row(const std::string& where, const std::string& what) {
  return "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET " + what + " WHERE " + where + ";";
}
std::string add_row(const std::string& type, const std::string& name, const std::string& table,
                    const std::string& root, const std::string& sql) {
  return "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('" + type + "','" + name + "','" + table +
         "'," + root + "," + sql + ");";
}
std::string set_meta(const std::string& sql) {
  return set_row("name='snkv_meta'", "sql='" + sql + "'");
}
std::string add_meta_index(const std::string& expression) {
  // A tree to point to, which is empty.
  return "CREATE TABLE spare(a PRIMARY KEY) WITHOUT ROWID;" +
         add_row("index", "i", "snkv_meta", "(SELECT rootpage FROM sqlite_schema WHERE name='spare')",
                 "'CREATE INDEX i ON snkv_meta(" + expression + ")'") +
         "DELETE FROM sqlite_schema WHERE name='spare';";
}

std::vector<Edit> edits() {
  const std::string meta_key = "CREATE TABLE snkv_meta(key TEXT NOT NULL PRIMARY KEY, ";
  const std::string tail = ") STRICT, WITHOUT ROWID";
  const std::string h = heavy;
  std::string many_rows = "PRAGMA writable_schema=ON; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
                          "WHERE i<60000) INSERT INTO sqlite_schema SELECT ";
  return {
      {"an endless view for snkv_meta", Opens::no,
       "DROP TABLE snkv_meta; CREATE VIEW snkv_meta AS " + std::string(endless) + "x AS key, x AS value FROM c"},
      {"an endless view that says it is a table", Opens::no,
       set_row("name='snkv_meta'", "rootpage=0, sql='CREATE VIEW snkv_meta AS " + std::string(endless) +
                                       "x AS key, x AS value FROM c'")},
      {"a view of much memory", Opens::no,
       "DROP TABLE snkv_meta; CREATE VIEW snkv_meta AS SELECT 'format_version' AS key, "
       "group_concat(hex(randomblob(1e8))) AS value"},
      {"a view beside the table", Opens::no,
       add_row("view", "v", "v", "0", "'CREATE VIEW snkv_meta AS SELECT 1 AS key, 2 AS value'")},
      {"a generated column", Opens::no,
       set_meta(meta_key + "old ANY, value ANY AS (" + h + ")" + tail)},
      {"another column", Opens::no, "ALTER TABLE snkv_meta ADD COLUMN x ANY AS (length(zeroblob(9e8)))"},
      {"a check", Opens::no, set_meta(meta_key + "value ANY NOT NULL CHECK(" + h + ">0)" + tail)},
      {"a default", Opens::no, set_meta(meta_key + "value ANY NOT NULL DEFAULT (" + h + ")" + tail)},
      {"a foreign key", Opens::no,
       set_meta(meta_key + "value ANY NOT NULL REFERENCES snkv_meta(key) ON DELETE CASCADE" + tail)},
      {"a collation", Opens::no,
       set_meta("CREATE TABLE snkv_meta(key TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, value ANY NOT NULL" + tail)},
      {"no WITHOUT ROWID", Opens::no, set_meta(meta_key + "value ANY NOT NULL) STRICT")},
      {"no STRICT", Opens::no, set_meta(meta_key + "value ANY NOT NULL) WITHOUT ROWID")},
      {"small letters", Opens::no, set_meta("create table snkv_meta(key TEXT NOT NULL PRIMARY KEY, value ANY NOT "
                                            "NULL) STRICT, WITHOUT ROWID")},
      {"a virtual table", Opens::no,
       set_row("name='snkv_meta'", "rootpage=0, sql='CREATE VIRTUAL TABLE snkv_meta USING dbstat'")},
      {"no snkv_meta", Opens::no, "DROP TABLE snkv_meta"},
      {"a trigger on snkv_meta", Opens::no,
       "CREATE TRIGGER t AFTER UPDATE ON snkv_meta BEGIN UPDATE snkv_meta SET value=value; END"},
      {"an index on snkv_meta", Opens::no, "CREATE INDEX i ON snkv_meta(value)"},
      {"an expression index on snkv_meta", Opens::no, add_meta_index(h)},
      {"a partial index on snkv_meta", Opens::no, add_meta_index("value) WHERE (" + h + ">0")},
      {"an index that is filed as a view", Opens::no,
       add_meta_index(h) + set_row("name='i'", "type='view', name='v', tbl_name='v', rootpage=0")},
      {"an index that is filed with another table", Opens::no,
       add_meta_index(h) + set_row("name='i'", "tbl_name='default'")},
      {"an index on sqlite_schema", Opens::no,
       "CREATE TABLE spare(a PRIMARY KEY) WITHOUT ROWID;" +
           add_row("index", "i", "sqlite_schema", "(SELECT rootpage FROM sqlite_schema WHERE name='spare')",
                   "'CREATE INDEX i ON sqlite_schema(" + h + ")'") +
           "DELETE FROM sqlite_schema WHERE name='spare';"},
      {"statistics that are computed", Opens::no,
       "CREATE TABLE spare(tbl,idx,stat); INSERT INTO spare VALUES('a','b','c');" +
           set_row("name='spare'", "name='sqlite_stat1', tbl_name='sqlite_stat1', sql='CREATE TABLE "
                                   "sqlite_stat1(tbl,idx,other,stat AS (" + h + "))'")},
      {"statistics under another name", Opens::no,
       "CREATE TABLE spare(tbl,idx,stat); INSERT INTO spare VALUES('a','b','c');" +
           set_row("name='spare'", "sql='CREATE TABLE sqlite_stat1(tbl,idx,other,stat AS (" + h + "))'")},
      {"a row of no type", Opens::no, add_row("thing", "x", "x", "0", "'CREATE VIEW x AS SELECT 1'")},
      {"a row of numbers", Opens::no,
       "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES(1,2,3,4,5)"},
      {"a row of nothing", Opens::no,
       "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES(NULL,NULL,NULL,NULL,NULL)"},
      {"a name with a NUL", Opens::no,
       "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('view','x'||char(0)||'y','x',0,'CREATE VIEW "
       "x AS SELECT 1')"},
      {"text that does not parse", Opens::no, add_row("view", "x", "x", "0", "'CREATE VIEW x AS SELEKT 1'")},
      {"text of two statements", Opens::no,
       add_row("view", "x", "x", "0", "'CREATE VIEW x AS SELECT 1; DROP TABLE snkv_meta'")},
      {"a root beyond the end", Opens::no, set_row("name='default'", "rootpage=4000000000")},
      {"a root below zero", Opens::no, set_row("name='default'", "rootpage=-1")},
      {"the root of the schema", Opens::no, set_row("name='default'", "rootpage=1")},
      {"no root", Opens::no, set_row("name='default'", "rootpage=0")},
      {"a root that two tables have", Opens::no,
       set_row("name='users'", "rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='default')")},
      {"a root that two tables have, one of them snkv_meta", Opens::no,
       set_row("name='default'", "rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='snkv_meta')")},
      {"a table that is there twice", Opens::no,
       add_row("table", "DEFAULT", "DEFAULT", "(SELECT max(rootpage) FROM sqlite_schema)",
               "'CREATE TABLE \"DEFAULT\"(a)'")},
      {"sixty thousand views", Opens::no,
       many_rows + "'view','v'||i,'v'||i,0,'CREATE VIEW v'||i||' AS SELECT 1' FROM n"},
      {"sixty thousand triggers", Opens::no,
       many_rows + "'trigger','v'||i,'default',0,'CREATE TRIGGER v'||i||' AFTER INSERT ON \"default\" BEGIN "
                   "INSERT INTO \"default\" SELECT * FROM \"default\"; END' FROM n"},
      {"a definition of two megabytes", Opens::no,
       "PRAGMA writable_schema=ON; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000000) "
       "INSERT INTO sqlite_schema SELECT 'view','v','v',0,'CREATE VIEW v AS SELECT 1 IN (1'||"
       "group_concat('',',1')||')' FROM n"},
      // What others may add to a file.
      {"a table, a view, a trigger", Opens::yes,
       "CREATE TABLE notes(a INTEGER PRIMARY KEY, b UNIQUE, c AS (length(printf('%.*c', 900000000, b))), "
       "CHECK(length(printf('%.*c', 900000000, b))>=0 OR 1)); CREATE VIEW w AS " + std::string(endless) +
           "x FROM c; CREATE TRIGGER g AFTER INSERT ON notes BEGIN SELECT 1; END"},
      {"a table with a row that takes long to check", Opens::yes,
       "CREATE TABLE notes(a, b); INSERT INTO notes VALUES(1, 2);" +
           set_row("name='notes'", "sql='CREATE TABLE notes(a, b, c AS (" + h + ") VIRTUAL, CHECK(" + h + ">0))'")},
      {"an index that takes long to check", Opens::yes,
       "CREATE TABLE notes(a); CREATE INDEX j ON notes(a); INSERT INTO notes VALUES(1);" +
           set_row("name='j'", "sql='CREATE INDEX j ON notes(" + h + ")'")},
      {"statistics", Opens::yes, "CREATE TABLE notes(a); CREATE INDEX j ON notes(a); INSERT INTO notes VALUES(1); "
                                 "ANALYZE"},
      {"a number that counts up", Opens::yes, "CREATE TABLE notes(a INTEGER PRIMARY KEY AUTOINCREMENT)"},
      {"a trigger on a family", Opens::yes,
       "CREATE TRIGGER g AFTER INSERT ON \"default\" BEGIN SELECT " + std::string("length(zeroblob(900000000)); END")},
      {"an expression index on a family", Opens::yes, "CREATE INDEX j ON \"default\"(length(value))"},
      {"an index on a side table", Opens::yes, "CREATE INDEX j ON snkv_large_1(length(data))"},
      {"a family of rowids", Opens::yes,
       set_row("name='users'", "sql=replace(sql, ', WITHOUT ROWID', '')")},
      {"a family with other columns", Opens::yes,
       set_row("name='users'", "sql=replace(sql, 'value BLOB, large_id INTEGER', 'large_id INTEGER, value BLOB')")},
      {"a family that is computed", Opens::yes,
       set_row("name='users'", "sql=replace(sql, 'value BLOB', 'old BLOB, value BLOB AS (zeroblob(900000000))')")},
  };
}

void make_store(const std::string& path, bool encrypted) {
  Store store = must(encrypted ? Store::open_encrypted(path, poke_secret(), {.page_size = 4096}, poke_encryption)
                               : Store::open(path, {.page_size = 4096}));
  ColumnFamily users = must(store.create_column_family("users"));
  for (int i = 0; i < 50; ++i) {
    REQUIRE_OK(store.put("key" + std::to_string(i), std::string(100, 'v')));
    REQUIRE_OK(users.put("key" + std::to_string(i), std::string(100, 'u')));
  }
  REQUIRE_OK(store.put("large", std::string(40'000, 'l')));
  REQUIRE_OK(store.put("brief", "b", {.ttl = std::chrono::hours(9)}));
  REQUIRE_OK(store.close());
}

}  // namespace

TEST_CASE("no definition in the file is ever evaluated") {
  const bool encrypted = GENERATE(false, true);
  const TempDir dir;
  const std::string sound = dir.file("sound.db");
  make_store(sound, encrypted);
  const std::string bytes = read_file(sound);
  for (const Edit& edit : edits()) {
    CAPTURE(edit.name, encrypted);
    const std::string path = dir.file("hostile.db");
    for (const char* suffix : {"", "-wal", "-shm", "-journal", ".copy", ".compact"}) {
      std::filesystem::remove(path + suffix);
    }
    write_file(path, bytes);
    const CliResult made = run_sqlite_cli(path, edit.sql);
    CAPTURE(made.output);
    CHECK(made.exit_code == 0);
    // Before anything else is asked, which leaves the file closed again.
    std::string report = in_bounds({.file_bytes = size_of(path)}, [&]() -> std::string {
      auto opened = encrypted ? Store::open_encrypted(path, poke_secret(), {}, poke_encryption) : Store::open(path);
      if (opened) return edit.opens == Opens::yes ? "" : "was opened";
      if (edit.opens == Opens::yes) return opened.error().message();
      const Errc code = opened.error().code();
      return code == Errc::corrupt || code == Errc::too_large ? "" : opened.error().message();
    });
    CHECK(report == "");
    if (!report.empty()) continue;
    // Argon2, for the wrong password, takes what it is told.
    report = in_bounds({.file_bytes = 6 * size_of(path) + (20u << 20), .seconds = 3},
                       [&] { return poke(path, encrypted); });
    CHECK(report == "");
  }
}

TEST_CASE("a family whose rows mean something else is not read") {
  const std::string change = GENERATE(
      std::string("replace(sql, ', WITHOUT ROWID', '')"),
      std::string("replace(sql, 'value BLOB, large_id INTEGER', 'large_id INTEGER, value BLOB')"),
      std::string("replace(sql, 'expires_at INTEGER, value BLOB', 'value BLOB, expires_at INTEGER')"),
      std::string("replace(sql, 'value BLOB', 'old BLOB, value BLOB AS (old)')"),
      std::string("replace(sql, 'PRIMARY KEY', 'PRIMARY KEY DESC')"));
  CAPTURE(change);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, false);
  static_cast<void>(sqlite_cli(path, set_row("name='users'", "sql=" + change)));
  const Store store = must(Store::open(path));
  const ColumnFamily users = must(store.open_column_family("users"));
  REQUIRE_ERROR(users.get("key1"), Errc::schema_mismatch, "get");
  REQUIRE_ERRC(users.count(), Errc::schema_mismatch);
  Range scan = users.all();
  for (auto [key, value] : scan) static_cast<void>(value.size());
  REQUIRE_ERRC(scan.status(), Errc::schema_mismatch);
  REQUIRE_ERROR(store.verify(), Errc::schema_mismatch, "verify");
  CHECK(must(store.get("key1")) == BytesView(std::string(100, 'v')));
}
