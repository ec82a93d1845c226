// The stock sqlite3 command and a live store on one file, in both directions.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char byte : bytes) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string quoted(std::string name) {
  for (std::size_t at = 0; (at = name.find('"', at)) != std::string::npos; at += 2) {
    name.insert(at, 1, '"');
  }
  return "\"" + name + "\"";
}

}  // namespace

TEST_CASE("the CLI finds the families as tables") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  for (const std::string name : {"users", "with space", "quo\"te", "select", "\xc3\xa4"}) {
    CAPTURE(name);
    ColumnFamily family = must(store.create_column_family(name));
    for (int i = 0; i < 10; ++i) REQUIRE_OK(family.put(std::to_string(i), name));
    CHECK(sqlite_cli(path, "SELECT count(*) FROM " + quoted(name)) == "10");
    CHECK(sqlite_cli(path, "SELECT DISTINCT CAST(value AS TEXT) FROM " + quoted(name)) == name);
    REQUIRE_OK(store.drop_column_family(name));
    CHECK(sqlite_cli(path, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name='" +
                               name + "'") == "0");
  }
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("the CLI reads keys and values byte for byte, in our order") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  std::vector<std::string> names = {"b", "a", std::string("a\0", 2), "\xff", std::string("\0", 1),
                                    "ab", "A"};
  for (const std::string& name : names) REQUIRE_OK(store.put(name, patterned(50, name.size())));
  std::string expected;
  for (auto [key, value] : store.all()) {
    if (!expected.empty()) expected += '\n';
    expected += hex(key.view()) + '|' + hex(value.view());
  }
  CHECK(sqlite_cli(path, "SELECT hex(key), hex(value) FROM \"default\" ORDER BY key") == expected);
  CHECK(sqlite_cli(path, "SELECT hex(value) FROM \"default\" WHERE key = x'6100'") ==
        hex(patterned(50, 2)));
  CHECK(sqlite_cli(path, "SELECT typeof(key), typeof(value), typeof(expires_at) "
                         "FROM \"default\" LIMIT 1") == "blob|blob|null");
}

TEST_CASE("the CLI sees each commit, and nothing of an open transaction") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  const std::string count = "SELECT count(*) FROM \"default\"";
  Store store = open_kind(kind, dir, no_sync());
  for (int i = 1; i <= 3; ++i) {
    REQUIRE_OK(store.put(std::to_string(i), "x"));
    CHECK(sqlite_cli(path, count) == std::to_string(i));
  }
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.clear());
  CHECK(sqlite_cli(path, count) == "3");
  REQUIRE_OK(transaction.commit());
  CHECK(sqlite_cli(path, count) == "0");
}

TEST_CASE("a store of every page size and every size of value passes the CLI's check") {
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 16384u, 32768u, 65536u);
  CAPTURE(page_size);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(StoreKind::wal, dir, {.page_size = page_size});
  ColumnFamily family = must(store.create_column_family("family"));
  for (std::size_t size = 0; size < 300'000; size = size * 3 / 2 + 1) {
    REQUIRE_OK(store.put("key" + std::to_string(size), patterned(size)));
    REQUIRE_OK(family.put(std::string(size % 60'000 + 1, 'k'), patterned(size)));
  }
  const std::string counts = std::to_string(must(store.count())) + "\n" +
                             std::to_string(must(family.count()));
  CHECK(sqlite_cli(path, "PRAGMA page_size; PRAGMA integrity_check; PRAGMA foreign_key_check;"
                         "SELECT count(*) FROM \"default\"; SELECT count(*) FROM family") ==
        std::to_string(page_size) + "\nok\n" + counts);
}

TEST_CASE("a row written by the CLI is in the store at once") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("mine", "1"));
  REQUIRE_ERRC(store.get("theirs"), Errc::not_found);

  static_cast<void>(sqlite_cli(
      path, "INSERT INTO \"default\"(key, value) VALUES(CAST('theirs' AS BLOB), x'00ff')"));
  CHECK(must(store.get("theirs")) == std::string("\0\xff", 2));
  CHECK(keys(store.all()) == std::vector<std::string>{"mine", "theirs"});
  static_cast<void>(sqlite_cli(
      path, "UPDATE \"default\" SET value = CAST('2' AS BLOB) WHERE key = CAST('mine' AS BLOB)"));
  CHECK(must(store.get("mine")) == "2");
  static_cast<void>(sqlite_cli(path, "DELETE FROM \"default\" WHERE key = CAST('mine' AS BLOB)"));
  CHECK_FALSE(must(store.contains("mine")));

  // What is written next goes on top of it.
  REQUIRE_OK(store.put("theirs", "mine now"));
  REQUIRE_OK(store.put("mine", "3"));
  CHECK(sqlite_cli(path, "SELECT CAST(value AS TEXT) FROM \"default\" ORDER BY key") ==
        "3\nmine now");
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("large and empty rows written by the CLI can be read and replaced") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(StoreKind::wal, dir);
  static_cast<void>(sqlite_cli(
      path, "INSERT INTO \"default\"(key, value) VALUES(x'01', zeroblob(300000)), (x'02', x''),"
            "(zeroblob(9000), zeroblob(9000))"));
  CHECK((must(store.get("\x01")) == BytesView(std::string(300'000, '\0'))));
  CHECK(must(store.get("\x02")).empty());
  CHECK((must(store.get(std::string(9000, '\0'))) == BytesView(std::string(9000, '\0'))));
  std::size_t bytes = 0;
  Range scan = store.all();
  for (auto [key, value] : scan) bytes += value.size();
  REQUIRE_OK(scan.status());
  CHECK(bytes == 309'000);
  REQUIRE_OK(store.put("\x01", patterned(200'000)));
  CHECK(must(store.erase(std::string(9000, '\0'))));
  CHECK((must(store.get("\x01")) == BytesView(patterned(200'000))));
  CHECK(must(store.count()) == 2);
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("expires_at is milliseconds since 1970, in both directions") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  FakeClock clock;
  Store store = open_kind(StoreKind::wal, dir, {.clock = clock.source()});
  REQUIRE_OK(store.put("a", "1", {.ttl = 1500ms}));
  CHECK(sqlite_cli(path, "SELECT expires_at FROM \"default\"") ==
        std::to_string(clock.now() + 1500));
  static_cast<void>(sqlite_cli(path, "UPDATE \"default\" SET expires_at = " +
                                         std::to_string(clock.now() + 10'000)));
  clock.advance(2s);
  CHECK(must(store.get("a")) == "1");
  clock.advance(9s);
  REQUIRE_ERRC(store.get("a"), Errc::not_found);
  static_cast<void>(sqlite_cli(path, "UPDATE \"default\" SET expires_at = NULL"));
  CHECK(must(store.get("a")) == "1");
}

TEST_CASE("a table dropped by the CLI is a dropped family") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily family = must(store.create_column_family("family"));
  REQUIRE_OK(family.put("key", "value"));
  static_cast<void>(sqlite_cli(path, "DROP TABLE family"));
  REQUIRE_ERROR(family.get("key"), Errc::dropped, "get");
  REQUIRE_ERROR(family.put("key", "ghost"), Errc::dropped, "put");
  REQUIRE_ERRC(store.open_column_family("family"), Errc::not_found);
  REQUIRE_OK(store.put("key", "default"));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a snapshot does not see what the CLI writes") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("a", "1"));
  const Snapshot snapshot = must(store.snapshot());
  static_cast<void>(sqlite_cli(path, "DELETE FROM \"default\""));
  CHECK(must(snapshot.get("a")) == "1");
  CHECK(must(store.count()) == 0);
}

TEST_CASE("a writer of the CLI makes our writers wait, and the other way round") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("a", "1"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "2"));
  const CliResult refused =
      run_sqlite_cli(path, "DELETE FROM \"default\"", {"-cmd", ".timeout 20"});
  CHECK(refused.exit_code != 0);
  CHECK(refused.output.find("locked") != std::string::npos);
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.get("a")) == "2");
}

TEST_CASE("VACUUM by the CLI moves everything and we follow") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily first = must(store.create_column_family("first"));
  ColumnFamily second = must(store.create_column_family("second"));
  for (int i = 0; i < 50; ++i) {
    REQUIRE_OK(first.put(std::to_string(i), patterned(3000, i)));
    REQUIRE_OK(second.put(std::to_string(i), patterned(30'000, i)));
  }
  REQUIRE_OK(first.clear());
  static_cast<void>(sqlite_cli(path, "VACUUM"));
  CHECK(must(first.count()) == 0);
  CHECK(must(second.count()) == 50);
  CHECK((must(second.get("7")) == BytesView(patterned(30'000, 7))));
  REQUIRE_OK(first.put("key", "value"));
  REQUIRE_OK(second.put("7", "short"));
  CHECK(contents_of(first) == Contents{{"key", "value"}});
  CHECK(must(second.get("7")) == "short");
  REQUIRE_OK(store.integrity_check());
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}
