// K6, K8: tables as other programs may leave them.
#include "fixture.hpp"

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("other programs can only store keys that we find", "[K6]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  must(store.put("k1", "ours"));
  for (const char* key : {"'k2'", "2", "2.5", "NULL"}) {
    CAPTURE(key);
    const CliResult result = run_sqlite_cli(
        path, std::string("INSERT INTO \"default\"(key, value) VALUES(") + key + ", x'00')");
    CHECK(result.exit_code != 0);
  }
  static_cast<void>(
      sqlite_cli(path, "INSERT INTO \"default\"(key, value) VALUES(x'6b32', x'7468656972')"));
  CHECK(must(store.get("k2")) == BytesView("their"));
  CHECK(contents_of(store) == Contents{{"k1", "ours"}, {"k2", "their"}});
  CHECK(run_sqlite_cli(path, "INSERT INTO \"default\"(key) VALUES(x'6b31')").exit_code != 0);
}

TEST_CASE("rows of other programs may leave out columns", "[K6]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  static_cast<void>(sqlite_cli(path, "INSERT INTO \"default\"(key) VALUES(x'6b')"));
  CHECK(must(store.get("k")) == BytesView(""));
  must(store.put("k", "v"));
  CHECK(must(store.get("k")) == BytesView("v"));
}

TEST_CASE("a table that SQL gave more than its columns is read but not written", "[K8]") {
  struct Change {
    const char* does;
    const char* undoes;  ///< empty: cannot be undone
  };
  const auto change = GENERATE(values<Change>({
      {"CREATE INDEX i ON f(value)", "DROP INDEX i"},
      {"CREATE UNIQUE INDEX i ON f(expires_at)", "DROP INDEX i"},
      {"CREATE INDEX i ON snkv_large_2(data)", "DROP INDEX i"},
      {"CREATE TRIGGER g AFTER INSERT ON f BEGIN SELECT 1; END", "DROP TRIGGER g"},
      {"CREATE TRIGGER g BEFORE DELETE ON f BEGIN SELECT 1; END", "DROP TRIGGER g"},
      {"ALTER TABLE f ADD COLUMN extra TEXT", "ALTER TABLE f DROP COLUMN extra"},
      {"ALTER TABLE f ADD COLUMN extra TEXT DEFAULT 'x'", ""},
      {"ALTER TABLE f ADD COLUMN made INTEGER GENERATED ALWAYS AS (length(value)) VIRTUAL", ""},
      {"ALTER TABLE f ADD COLUMN of TEXT REFERENCES snkv_meta(key)", ""},
      {"ALTER TABLE f RENAME COLUMN value TO content",
       "ALTER TABLE f RENAME COLUMN content TO value"},
      {"ALTER TABLE snkv_large_2 ADD COLUMN extra TEXT", ""},
  }));
  CAPTURE(change.does);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  ColumnFamily family = must(store.create_column_family("f"));
  const std::string large(50'000, 'x');
  must(family.put("k", "v"));
  must(family.put("large", large));
  static_cast<void>(sqlite_cli(path, change.does));

  REQUIRE_ERROR(family.put("k", "w"), Errc::schema_mismatch, "put");
  REQUIRE_ERROR(family.put("large", "w"), Errc::schema_mismatch, "put");
  REQUIRE_ERROR(family.erase("k"), Errc::schema_mismatch, "erase");
  REQUIRE_ERROR(family.clear(), Errc::schema_mismatch, "clear");
  CHECK(contents_of(family) == Contents{{"k", "v"}, {"large", large}});
  CHECK(must(family.get("k")) == BytesView("v"));
  must(store.put("k", "other families are not concerned"));
  {
    Transaction transaction = must(store.begin());
    ColumnFamily inside = must(transaction.open_column_family("f"));
    REQUIRE_ERRC(inside.put("k", "w"), Errc::schema_mismatch);
    must(transaction.put("l", "goes on"));
    must(transaction.commit());
  }
  if (std::string(change.undoes).empty()) return;
  static_cast<void>(sqlite_cli(path, change.undoes));
  auto put = family.put("k", "w");
  // What was taken away may leave the text of the table changed for ever; then it is still refused.
  if (put) {
    CHECK(must(family.get("k")) == BytesView("w"));
  } else {
    REQUIRE_ERROR(put, Errc::schema_mismatch, "put");
  }
  must(store.integrity_check());
}

TEST_CASE("dropping an index makes its family writable again", "[K8]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  static_cast<void>(sqlite_cli(path, "CREATE INDEX i ON \"default\"(value)"));
  REQUIRE_ERRC(store.put("k", "v"), Errc::schema_mismatch);
  static_cast<void>(sqlite_cli(path, "DROP INDEX i"));
  must(store.put("k", "v"));
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}
