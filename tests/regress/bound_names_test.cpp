// Who changes the file of an encrypted store while it is closed gave a family the name, or the id, of
// another: what was read under the one name was what had been written under the other, and everything said
// ok.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

Result<Store> open(const std::string& path, const Options& options = {}) {
  return Store::open_encrypted(path, key(), options);
}

constexpr TimePoint late(4'000'000'000'000ms);

/// Families "accounts", with the id 2, and "roles", with the id 3, which have the same keys.
std::string make_store(const TempDir& dir) {
  const std::string path = dir.file("a.db");
  Store store = must(open(path));
  must(store.put("alice", "of the default family"));
  for (const char* const name : {"accounts", "roles"}) {
    ColumnFamily family = must(store.column_family(name));
    must(family.put("alice", std::string("from ") + name));
    must(family.put("large", patterned(20'000, name[0])));
    must(family.put("later", "expires", {.expires_at = late}));
  }
  must(store.close());
  return path;
}

/// The statement that makes a family, as docs/file-format.md has it.
std::string family_sql(const std::string& name, const std::string& id) {
  return "CREATE TABLE \"" + name +
         "\"(key BLOB NOT NULL PRIMARY KEY, expires_at INTEGER, value BLOB, large_id INTEGER, large_size "
         "INTEGER /* snkv:" + id + " */) STRICT, WITHOUT ROWID";
}

/// Puts another definition into the schema, as the library would have written it.
std::string redefine(const std::string& name, const std::string& new_name, const std::string& id) {
  return "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET name='" + new_name + "', tbl_name='" +
         new_name + "', sql='" + family_sql(new_name, id) + "' WHERE name='" + name + "';";
}

void check_accessible(const Store& store, const std::string& name) {
  const ColumnFamily family = must(store.open_column_family(name));
  CHECK(must(family.get("alice")) == BytesView("from " + name));
  CHECK(must(family.get("large")) == BytesView(patterned(20'000, name[0])));
}

/// Everything that can be asked of a family of that name says `tampered`, and names it.
void check_refused(const std::string& path, const std::string& name) {
  CAPTURE(name);
  Store store = must(open(path));
  const auto refused = [&](const auto& result) {
    REQUIRE_ERRC(result, Errc::tampered);
    CHECK(result.error().message().find(name) != std::string::npos);
  };
  refused(store.open_column_family(name));
  refused(store.column_family(name));
  refused(store.drop_column_family(name));
  refused(store.write(WriteBatch().in_family(name).put("alice", "new")));
  {
    const Snapshot snapshot = must(store.snapshot());
    refused(snapshot.column_family(name));
    Transaction transaction = must(store.begin());
    refused(transaction.column_family(name));
  }
  refused(store.verify());
  REQUIRE_ERRC(store.rotate_key(key()), Errc::tampered);
  const auto names = must(store.list_column_families());
  CHECK(std::find(names.begin(), names.end(), name) != names.end());
  CHECK(must(store.get("alice")) == BytesView("of the default family"));
  must(store.put("bob", "is new"));
  must(store.close());
  REQUIRE_ERRC(Store::remove_encryption(path, key()), Errc::tampered);
}

}  // namespace

TEST_CASE("two families that were renamed into each other are refused") {
  const TempDir dir;
  const std::string path = make_store(dir);
  sqlite_cli(path,
             "ALTER TABLE accounts RENAME TO t; ALTER TABLE roles RENAME TO accounts; "
             "ALTER TABLE t RENAME TO roles");
  check_refused(path, "accounts");
  check_refused(path, "roles");
  // Put back, they are what they were.
  sqlite_cli(path,
             "ALTER TABLE accounts RENAME TO t; ALTER TABLE roles RENAME TO accounts; "
             "ALTER TABLE t RENAME TO roles");
  const Store store = must(open(path));
  check_accessible(store, "accounts");
  check_accessible(store, "roles");
}

TEST_CASE("families that were given another name or another id are refused") {
  const TempDir dir;
  const std::string path = make_store(dir);
  SECTION("another name") {
    sqlite_cli(path, "ALTER TABLE accounts RENAME TO billing");
    check_refused(path, "billing");
    const Store store = must(open(path));
    REQUIRE_ERRC(store.open_column_family("accounts"), Errc::not_found);
    check_accessible(store, "roles");
  }
  SECTION("names of each other, in the schema itself") {
    sqlite_cli(path, redefine("accounts", "t", "2") + redefine("roles", "accounts", "3") +
                         redefine("t", "roles", "2"));
    check_refused(path, "accounts");
    check_refused(path, "roles");
  }
  SECTION("ids of each other") {
    sqlite_cli(path, redefine("accounts", "accounts", "3") + redefine("roles", "roles", "2"));
    check_refused(path, "accounts");
    check_refused(path, "roles");
  }
  SECTION("the same id") {
    const bool first = GENERATE(false, true);
    const std::string forged = first ? "accounts" : "roles";
    const std::string other = first ? "roles" : "accounts";
    sqlite_cli(path, redefine(forged, forged, first ? "3" : "2"));
    check_refused(path, forged);
    check_accessible(must(open(path)), other);
  }
  SECTION("an id that none has") {
    sqlite_cli(path, redefine("accounts", "accounts", "9"));
    check_refused(path, "accounts");
    check_accessible(must(open(path)), "roles");
  }
  SECTION("a family that nobody made") {
    sqlite_cli(path, family_sql("planted", "4"));
    check_refused(path, "planted");
  }
}

TEST_CASE("tags of names that were changed, exchanged or removed are missed") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string other_path = dir.file("b.db");
  must(must(open(other_path)).column_family("accounts"));
  const std::string where = " WHERE key='family_2'";
  SECTION("removed") { sqlite_cli(path, "DELETE FROM snkv_meta" + where); }
  SECTION("that of another family") {
    sqlite_cli(path, "UPDATE snkv_meta SET value=(SELECT value FROM snkv_meta WHERE key='family_3')" + where);
  }
  SECTION("that of another store with the same key of the user") {
    const std::string tag = sqlite_cli(other_path, "SELECT hex(value) FROM snkv_meta" + where);
    sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + tag + "'" + where);
  }
  SECTION("another version") {
    sqlite_cli(path, "UPDATE snkv_meta SET value=x'02' || substr(value, 2)" + where);
  }
  SECTION("shortened") { sqlite_cli(path, "UPDATE snkv_meta SET value=substr(value, 1, 32)" + where); }
  SECTION("empty") { sqlite_cli(path, "UPDATE snkv_meta SET value=x''" + where); }
  SECTION("a number") { sqlite_cli(path, "UPDATE snkv_meta SET value=1" + where); }
  check_refused(path, "accounts");
  check_accessible(must(open(path)), "roles");
}

TEST_CASE("every bit of a tag counts") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string tag = sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='family_2'");
  REQUIRE(tag.size() == 66);
  // Ten bits of the 264, spread over all of it.
  for (std::size_t bit = 0; bit < 264; bit += 29) {
    std::string changed = tag;
    const std::size_t at = bit / 4;
    const int digit = std::stoi(changed.substr(at, 1), nullptr, 16) ^ (1 << (bit % 4));
    changed[at] = "0123456789ABCDEF"[digit];
    CAPTURE(bit);
    sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + changed + "' WHERE key='family_2'");
    REQUIRE_ERRC(must(open(path)).open_column_family("accounts"), Errc::tampered);
  }
}

TEST_CASE("nobody can make a store look as if its names were not bound") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string header = sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='keys'");
  const std::string strip = "DELETE FROM snkv_meta WHERE key GLOB 'family_*' OR key='next_family_tag';";
  const std::string older =
      "PRAGMA user_version=2; UPDATE snkv_meta SET value=2 WHERE key='format_version';";
  SECTION("the tags are gone") {
    sqlite_cli(path, strip);
    Store store = must(open(path));
    REQUIRE_ERRC(store.get("alice"), Errc::tampered);
    REQUIRE_ERRC(store.put("alice", "new"), Errc::tampered);
    REQUIRE_ERRC(store.column_family("new"), Errc::tampered);
    REQUIRE_ERRC(store.verify(), Errc::tampered);
  }
  SECTION("the format version of before") {
    sqlite_cli(path, strip + older);
    REQUIRE_ERRC(open(path), Errc::tampered);
    REQUIRE_ERRC(open(path, {.read_only = true}), Errc::tampered);
  }
  SECTION("the flag in the header") {
    std::string changed = header;
    REQUIRE(changed.substr(22, 2) == "01");
    changed.replace(22, 2, "00");
    sqlite_cli(path, strip + older + "UPDATE snkv_meta SET value=x'" + changed + "' WHERE key='keys'");
    REQUIRE_ERRC(open(path), Errc::auth_failed);
  }
  SECTION("a flag that is not known") {
    std::string changed = header;
    changed.replace(22, 2, "03");
    sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + changed + "' WHERE key='keys'");
    REQUIRE_ERRC(open(path), Errc::unsupported_version);
  }
}

TEST_CASE("the id of a dropped family is not given to a new one") {
  const TempDir dir;
  const std::string path = make_store(dir);
  SECTION("because the number was set back") {
    const std::string id = GENERATE(as<std::string>(), "2", "3", "5", "4294967295");
    sqlite_cli(path, "UPDATE snkv_meta SET value=" + id + " WHERE key='next_family_id'");
    Store store = must(open(path));
    REQUIRE_ERROR(store.column_family("new"), Errc::tampered, "column_family");
    REQUIRE_ERRC(store.verify(), Errc::tampered);
    check_accessible(store, "accounts");
  }
  SECTION("because its tag was removed") {
    sqlite_cli(path, "DELETE FROM snkv_meta WHERE key='next_family_tag'");
    REQUIRE_ERRC(must(open(path)).column_family("new"), Errc::tampered);
  }
  SECTION("and a table that was dropped through SQL is missed") {
    sqlite_cli(path, "DROP TABLE accounts; DROP TABLE snkv_large_2; DROP TABLE snkv_expiry_2");
    REQUIRE_ERRC(must(open(path)).verify(), Errc::tampered);
  }
}

TEST_CASE("a number of families that cannot be is refused in any store") {
  const TempDir dir;
  const std::string path = dir.file("plain.db");
  {
    Store store = must(Store::open(path));
    must(store.column_family("one"));
    must(store.column_family("two"));
  }
  sqlite_cli(path, "UPDATE snkv_meta SET value=3 WHERE key='next_family_id'");
  REQUIRE_ERRC(must(Store::open(path)).column_family("three"), Errc::corrupt);
}

TEST_CASE("large values and expiries of other families are not taken for one's own") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const auto exchange = [](const std::string& kind, const std::string& columns) {
    const std::string a = "snkv_" + kind + "_2";
    const std::string b = "snkv_" + kind + "_3";
    return "CREATE TEMP TABLE t AS SELECT * FROM " + a + "; DELETE FROM " + a + "; INSERT INTO " + a + "(" +
           columns + ") SELECT " + columns + " FROM " + b + "; DELETE FROM " + b + "; INSERT INTO " + b +
           "(" + columns + ") SELECT " + columns + " FROM t; DROP TABLE t;";
  };
  SECTION("chunks") {
    sqlite_cli(path, exchange("large", "id, data"));
    const Store store = must(open(path));
    for (const char* const name : {"accounts", "roles"}) {
      const ColumnFamily family = must(store.open_column_family(name));
      REQUIRE_ERRC(family.get("large"), Errc::tampered);
      CHECK(must(family.get("alice")) == BytesView(std::string("from ") + name));
    }
    REQUIRE_ERRC(store.verify(), Errc::tampered);
  }
  SECTION("rows") {
    sqlite_cli(path,
               "UPDATE accounts SET value=(SELECT value FROM roles WHERE key=CAST('alice' AS BLOB)) WHERE "
               "key=CAST('alice' AS BLOB)");
    REQUIRE_ERRC(must(must(open(path)).open_column_family("accounts")).get("alice"), Errc::tampered);
  }
}

TEST_CASE("names stay bound through everything that changes them") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string tags = "SELECT group_concat(key, ' ') FROM (SELECT key FROM snkv_meta WHERE key GLOB "
                           "'family_*' ORDER BY key)";
  CHECK(sqlite_cli(path, tags) == "family_1 family_2 family_3");
  {
    Store store = must(open(path));
    must(store.column_family("third"));
    must(store.drop_column_family("roles"));
    {
      Transaction transaction = must(store.begin());
      must(transaction.column_family("undone"));
      must(transaction.rollback());
    }
    must(store.column_family("roles"));
    must(store.verify());
  }
  CHECK(sqlite_cli(path, tags) == "family_1 family_2 family_4 family_6");
  CHECK(sqlite_cli(path, "PRAGMA user_version") == "3");
  const std::string before = sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='family_2'");
  {
    Store store = must(open(path));
    const Store second = must(open(path));
    must(store.rotate_key(key()));
    check_accessible(store, "accounts");
    must(store.verify());
    must(store.column_family("after"));
  }
  CHECK(sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='family_2'") != before);
  // The tag of before, with the key of before, is no tag any more.
  sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + before + "' WHERE key='family_2'");
  REQUIRE_ERRC(must(open(path)).open_column_family("accounts"), Errc::tampered);
}

TEST_CASE("names are bound in a store that is encrypted later, and free in one that is not any more") {
  const TempDir dir;
  const std::string path = make_store(dir);
  must(Store::remove_encryption(path, key()));
  CHECK(sqlite_cli(path, "SELECT count(*) FROM snkv_meta") == "3");
  CHECK(sqlite_cli(path, "PRAGMA user_version") == "1");
  // In a store that is not encrypted a family may be renamed.
  sqlite_cli(path, "ALTER TABLE accounts RENAME TO billing");
  CHECK(must(must(must(Store::open(path)).open_column_family("billing")).get("alice")) ==
        BytesView("from accounts"));
  sqlite_cli(path, "ALTER TABLE billing RENAME TO accounts");
  must(Store::encrypt_existing(path, key()));
  {
    const Store store = must(open(path));
    check_accessible(store, "accounts");
    check_accessible(store, "roles");
    must(store.verify());
  }
  sqlite_cli(path, "ALTER TABLE accounts RENAME TO billing");
  check_refused(path, "billing");
}
