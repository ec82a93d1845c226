// Encrypted stores as the library wrote them before it bound names: format version 2. data/encrypted-2.db
// has all kinds of entries and a collection of vectors; the key rotation of data/encrypted-2-rotating.db
// was broken off.
#include "btree/connection.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

Secret key(char letter = 'k') { return Secret::key(std::string(Secret::key_size, letter)); }

Result<Store> open(const std::string& path, const Options& options = {}) {
  return Store::open_encrypted(path, key(), options);
}

/// A copy of a file in data/.
std::string copy_of(const TempDir& dir, const std::string& name) {
  const std::string path = dir.file(name);
  write_file(path, read_file(std::string(SNKV_COMPAT_DATA) + "/" + name));
  return path;
}

std::string letters(std::size_t size, unsigned seed) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>('a' + (i * 7 + seed) % 26);
  return out;
}

void check_contents(const Store& store) {
  CHECK(must(store.get("name")) == BytesView("of the default family"));
  CHECK(must(store.get("later")) == BytesView("it expires"));
  CHECK(must(store.ttl("later")).has_value());
  REQUIRE_ERRC(store.get("gone"), Errc::not_found);
  CHECK(must(store.get("large")) == BytesView(letters(9000, 1)));
  CHECK(must(must(store.open_column_family("accounts")).get("alice")) == BytesView("account of alice"));
  CHECK(must(must(store.open_column_family("roles")).get("alice")) == BytesView("role of alice"));
  must(store.verify());
}

std::string version_of(const std::string& path) {
  return sqlite_cli(path, "PRAGMA user_version") + " " +
         sqlite_cli(path, "SELECT value FROM snkv_meta WHERE key='format_version'") + " " +
         sqlite_cli(path, "SELECT count(*) FROM snkv_meta WHERE key GLOB 'family_*'");
}

std::string header_of(const std::string& path) {
  return sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='keys'");
}

/// Exchanges the names of two families.
void exchange(const std::string& path) {
  sqlite_cli(path,
             "ALTER TABLE accounts RENAME TO t; ALTER TABLE roles RENAME TO accounts; "
             "ALTER TABLE t RENAME TO roles");
}

}  // namespace

TEST_CASE("a store of version 2 is read as it is") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  const std::string before = read_file(path);
  CHECK(version_of(path) == "2 2 0");
  CHECK(must(Store::is_encrypted(path)));
  {
    Store store = must(open(path, {.read_only = true}));
    check_contents(store);
    CHECK(must(must(store.open_column_family("vectors")).get("one")) == BytesView("first"));
  }
  CHECK(read_file(path) == before);
  REQUIRE_ERRC(Store::open_encrypted(path, key('x')), Errc::auth_failed);
  CHECK(version_of(path) == "2 2 0");
}

TEST_CASE("who opens a store of version 2 for writing binds its names") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  const std::string before = header_of(path);
  {
    Store store = must(open(path, {.journal = journal}));
    check_contents(store);
    must(must(store.column_family("new")).put("a", "b"));
    must(store.verify());
  }
  // Those of the collection too.
  const std::string families =
      sqlite_cli(path, "SELECT count(*) FROM sqlite_schema WHERE sql GLOB '*/* snkv:*'");
  CHECK(version_of(path) == "3 3 " + families);
  // The flag is set, and a library that does not know of it finds another generation.
  const std::string after = header_of(path);
  CHECK(before.substr(22, 2) == "00");
  CHECK(after.substr(22, 2) == "01");
  CHECK(after.substr(128, 14) == before.substr(128, 14));
  CHECK(after.substr(142, 2) != before.substr(142, 2));
  check_contents(must(open(path, {.read_only = true})));
  exchange(path);
  REQUIRE_ERRC(must(open(path)).open_column_family("accounts"), Errc::tampered);
}

TEST_CASE("handles that are open go on when another one binds the names") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  const Store reader = must(open(path, {.read_only = true}));
  const Snapshot snapshot = must(reader.snapshot());
  CHECK(must(reader.get("name")) == BytesView("of the default family"));
  std::optional<Store> late;  // one that could not bind them, because somebody else was writing
  {
    btree::Connection other;
    REQUIRE(other.open(path, 0, 1000) == SNKV_BT_OK);
    REQUIRE(other.execute("BEGIN IMMEDIATE") == SNKV_BT_OK);
    std::string told;
    late = must(open(path, {.busy_timeout = 10ms, .log = [&](LogLevel, std::string_view text) {
                              told += text;
                            }}));
    CHECK(told.find("not bound yet") != std::string::npos);
    REQUIRE(other.execute("ROLLBACK") == SNKV_BT_OK);
  }
  check_contents(*late);
  ColumnFamily unbound = must(late->column_family("unbound"));
  must(unbound.put("a", "made before"));
  CHECK(version_of(path).substr(0, 5) == "2 2 0");

  Store store = must(open(path));
  check_contents(store);
  CHECK(must(snapshot.get("name")) == BytesView("of the default family"));
  check_contents(reader);
  check_contents(*late);
  must(unbound.put("b", "made after"));
  must(must(late->column_family("bound")).put("a", "b"));
  must(late->drop_column_family("roles"));
  must(store.put("name", "new"));
  CHECK(must(late->get("name")) == BytesView("new"));
  CHECK(must(reader.get("name")) == BytesView("new"));
  CHECK(must(must(store.open_column_family("bound")).get("a")) == BytesView("b"));
  must(store.verify());
  must(late->verify());
  must(late->rotate_key(key()));
  must(late->verify());
  REQUIRE_ERRC(store.get("name"), Errc::auth_failed);
  REQUIRE_ERRC(reader.get("name"), Errc::auth_failed);
}

TEST_CASE("a rotation that an older library began is taken over and finished") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2-rotating.db");
  CHECK(version_of(path) == "2 2 0");
  check_contents(must(open(path, {.read_only = true})));
  {
    Store store = must(open(path));
    check_contents(store);
  }
  CHECK(version_of(path).substr(0, 3) == "3 3");
  {
    Store store = must(open(path));
    must(store.rotate_key(key()));
    check_contents(store);
  }
  CHECK(header_of(path).size() == 2 * (105 + 73));
  check_contents(must(open(path)));
  exchange(path);
  REQUIRE_ERRC(must(open(path)).open_column_family("roles"), Errc::tampered);
}

TEST_CASE("everything that changes the secret of a store of version 2 works") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  SECTION("another password") {
    must(must(open(path)).change_password(key(), key('n')));
    check_contents(must(Store::open_encrypted(path, key('n'))));
    CHECK(version_of(path).substr(0, 3) == "3 3");
  }
  SECTION("no encryption any more") {
    must(Store::remove_encryption(path, key()));
    check_contents(must(Store::open(path)));
    CHECK(version_of(path) == "1 1 0");
  }
  SECTION("a copy") {
    const std::string copy = dir.file("copy.db");
    {
      const Store store = must(open(path, {.read_only = true}));
      must(store.backup(copy));
    }
    CHECK(version_of(copy) == "2 2 0");
    check_contents(must(open(copy)));
  }
}

TEST_CASE("the header of before, put back, opens nothing after a rotation") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  const std::string before = header_of(path);
  { must(must(open(path)).rotate_key(key())); }
  sqlite_cli(path,
             "PRAGMA user_version=2; UPDATE snkv_meta SET value=2 WHERE key='format_version'; DELETE FROM "
             "snkv_meta WHERE key GLOB 'family_*' OR key='next_family_tag'; UPDATE snkv_meta SET value=x'" +
                 before + "' WHERE key='keys'");
  const Store store = must(open(path, {.read_only = true}));
  REQUIRE_ERRC(store.get("name"), Errc::tampered);
}

TEST_CASE("the version alone does not make names bound, or free") {
  const TempDir dir;
  const std::string path = copy_of(dir, "encrypted-2.db");
  sqlite_cli(path, "PRAGMA user_version=3; UPDATE snkv_meta SET value=3 WHERE key='format_version'");
  REQUIRE_ERRC(open(path), Errc::tampered);
}
