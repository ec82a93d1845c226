// A family's table that somebody has altered through SQL. The library writes B-trees directly and
// would leave an index, a trigger or a column it knows nothing of out of date; so it refuses to
// write, says why, and goes on reading.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

struct Alteration {
  std::string name;
  std::string sql;
  std::string undo;     ///< Empty: there is none that gives the very same table.
  std::string mention;  ///< What the message has to say.
};

const std::vector<Alteration> alterations = {
    {"index", "CREATE INDEX my_index ON family(value)", "DROP INDEX my_index", "my_index"},
    {"unique index", "CREATE UNIQUE INDEX my_index ON family(key, value)", "DROP INDEX my_index",
     "my_index"},
    {"partial index", "CREATE INDEX my_index ON family(value) WHERE expires_at IS NULL",
     "DROP INDEX my_index", "my_index"},
    {"trigger", "CREATE TRIGGER my_trigger AFTER INSERT ON family BEGIN SELECT 1; END",
     "DROP TRIGGER my_trigger", "my_trigger"},
    {"column", "ALTER TABLE family ADD COLUMN my_column TEXT", "", "family"},
    {"column with a default", "ALTER TABLE family ADD COLUMN my_column TEXT DEFAULT 'd'", "",
     "family"},
    {"renamed column", "ALTER TABLE family RENAME COLUMN value TO my_value", "", "family"},
};

/// Every write that there is says the same, and names what is wrong.
void check_refuses_writes(Store& store, ColumnFamily& family, const Alteration& alteration) {
  REQUIRE_ERROR(family.put("a", "ghost"), Errc::schema_mismatch, "put");
  REQUIRE_ERROR(family.put("new", "ghost"), Errc::schema_mismatch, "put");
  REQUIRE_ERROR(family.erase("a"), Errc::schema_mismatch, "erase");
  REQUIRE_ERROR(family.clear(), Errc::schema_mismatch, "clear");
  const std::string message = family.put("a", "ghost").error().message();
  CAPTURE(message);
  CHECK(message.find(alteration.mention) != std::string::npos);

  // In a transaction too, which others of its writes survive.
  Transaction transaction = must(store.begin());
  ColumnFamily inside = must(transaction.open_column_family("family"));
  REQUIRE_OK(transaction.put("beside", "1"));
  REQUIRE_ERROR(inside.put("a", "ghost"), Errc::schema_mismatch, "put");
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.erase("beside")));
}

void check_reads(Store& store, ColumnFamily& family) {
  CHECK(must(family.get("a")) == "1");
  CHECK((must(family.get("b")) == BytesView(patterned(50'000))));
  CHECK(must(family.contains("a")));
  CHECK(must(family.count()) == 2);
  CHECK(keys(family.all()) == std::vector<std::string>{"a", "b"});
  CHECK(must(must(must(store.snapshot()).column_family("family")).get("a")) == "1");
}

}  // namespace

TEST_CASE("an altered family can be read and not be written") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const std::size_t which = GENERATE(range(std::size_t{0}, alterations.size()));
  const Alteration& alteration = alterations[which];
  CAPTURE(kind, alteration.name);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily family = must(store.create_column_family("family"));
  REQUIRE_OK(family.put("a", "1"));
  REQUIRE_OK(family.put("b", patterned(50'000)));

  static_cast<void>(sqlite_cli(path, alteration.sql));
  check_refuses_writes(store, family, alteration);
  check_reads(store, family);
  // The other families have nothing to do with it.
  REQUIRE_OK(store.put("key", "value"));
  REQUIRE_OK(must(store.column_family("other")).put("key", "value"));
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");

  {
    // The same for those who open the store now.
    Store second = open_kind(kind, dir, no_sync());
    ColumnFamily found = must(second.open_column_family("family"));
    REQUIRE_ERRC(found.put("a", "ghost"), Errc::schema_mismatch);
    check_reads(second, found);
  }

  if (!alteration.undo.empty()) {
    static_cast<void>(sqlite_cli(path, alteration.undo));
    REQUIRE_OK(family.put("a", "2"));
    CHECK(must(family.erase("b")));
    CHECK(contents_of(family) == Contents{{"a", "2"}});
  }
  // An altered family can still be dropped: that is done through SQL.
  REQUIRE_OK(store.drop_column_family("family"));
  REQUIRE_ERRC(family.get("a"), Errc::dropped);
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("rows of an added column can be read") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("a", "1"));
  static_cast<void>(sqlite_cli(
      path, "ALTER TABLE \"default\" ADD COLUMN note TEXT;"
            "INSERT INTO \"default\"(key, value, note) "
            "VALUES(CAST('b' AS BLOB), CAST('2' AS BLOB), 'a note')"));
  CHECK(contents_of(store) == Contents{{"a", "1"}, {"b", "2"}});
  REQUIRE_ERROR(store.put("c", "3"), Errc::schema_mismatch, "put");
  CHECK(must(store.get("b")) == "2");
}

TEST_CASE("tables and views that are not ours are left alone") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("a", "1"));
  static_cast<void>(sqlite_cli(
      path, "CREATE TABLE plain(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO plain(x) VALUES('y');"
            "CREATE VIEW readable AS SELECT CAST(key AS TEXT) AS k FROM \"default\""));
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default"});
  REQUIRE_OK(store.put("b", "2"));
  CHECK(sqlite_cli(path, "SELECT count(*) FROM readable; SELECT x FROM plain") == "2\ny");
  // Nor are they taken for families, or replaced by them.
  for (const char* name : {"plain", "readable"}) {
    REQUIRE_ERRC(store.create_column_family(name), Errc::exists);
    auto opened = store.open_column_family(name);
    REQUIRE_FALSE(opened);
    CHECK((opened.error() == Errc::not_found || opened.error() == Errc::schema_mismatch));
    REQUIRE_FALSE(store.drop_column_family(name));
  }
  CHECK(sqlite_cli(path, "SELECT x FROM plain") == "y");
}
