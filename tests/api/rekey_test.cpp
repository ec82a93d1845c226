// Changing what opens a store: another password, another data key, encryption where there was none, and
// none where there was.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

Secret key(char c) { return Secret::key(std::string(Secret::key_size, c)); }

constexpr TimePoint late(4'000'000'000'000ms);

void fill(Store& store) {
  for (int i = 0; i < 300; ++i) must(store.put("key" + std::to_string(i), patterned(50, i)));
  must(store.put("empty", ""));
  must(store.put("later", "expires", {.expires_at = late}));
  must(store.put("big", patterned(100'000, 1)));
  must(store.put("big later", patterned(30'000, 2), {.expires_at = late}));
  ColumnFamily gone = must(store.column_family("gone"));
  ColumnFamily other = must(store.column_family("other \"family\""));
  must(other.put("one", "of the other family"));
  must(other.put("big", patterned(20'000, 3)));
  must(store.column_family("no entries"));
  must(store.drop_column_family("gone"));
}

void check(const Store& store) {
  CHECK(must(store.count()) == 304);
  for (int i = 0; i < 300; ++i) {
    CHECK(must(store.get("key" + std::to_string(i))) == BytesView(patterned(50, i)));
  }
  CHECK(must(store.get("empty")) == BytesView(""));
  CHECK(must(store.get("later")) == BytesView("expires"));
  CHECK(must(store.ttl("later")).has_value());
  CHECK_FALSE(must(store.ttl("big")).has_value());
  CHECK(must(store.get("big")) == BytesView(patterned(100'000, 1)));
  CHECK(must(store.get("big later")) == BytesView(patterned(30'000, 2)));
  const ColumnFamily other = must(store.open_column_family("other \"family\""));
  CHECK(must(other.get("one")) == BytesView("of the other family"));
  CHECK(must(other.get("big")) == BytesView(patterned(20'000, 3)));
  CHECK(must(store.list_column_families()).size() == 3);
  must(store.verify());
}

std::string make_encrypted(const TempDir& dir, const Options& options = {}) {
  const std::string path = dir.file("a.db");
  Store store = must(Store::open_encrypted(path, key('a'), options));
  fill(store);
  must(store.close());
  return path;
}

std::string make_plain(const TempDir& dir, const Options& options = {}) {
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path, options));
  fill(store);
  must(store.close());
  return path;
}

/// The numbers of the data keys in use, as SQL sees them.
std::string key_numbers(const std::string& path) {
  return sqlite_cli(path,
                    "SELECT group_concat(n) FROM (SELECT DISTINCT hex(substr(value, 2, 1)) AS n FROM "
                    "\"default\" UNION SELECT hex(substr(data, 2, 1)) FROM snkv_large_1 UNION "
                    "SELECT hex(substr(value, 2, 1)) FROM \"other \"\"family\"\"\" ORDER BY n)");
}

}  // namespace

// ---- Another password ----

TEST_CASE("after a change of the password only the new one opens, and one row was written") {
  const TempDir dir;
  const std::string path = make_encrypted(dir);
  const std::string rows = "SELECT hex(value) FROM \"default\" ORDER BY key";
  const std::string before = sqlite_cli(path, rows);
  constexpr EncryptionOptions cheap{.opslimit = 2, .memlimit = 19u << 20};
  {
    Store store = must(Store::open_encrypted(path, key('a')));
    const Store second = must(Store::open_encrypted(path, key('a')));
    REQUIRE_ERROR(store.change_password(key('b'), key('c')), Errc::auth_failed, "change_password");
    REQUIRE_ERRC(store.change_password(key('a'), Secret::password("")), Errc::invalid_argument);
    REQUIRE_ERRC(store.change_password(key('a'), Secret::password("p"), {.opslimit = 1}),
                 Errc::invalid_argument);
    {
      auto transaction = must(store.begin());
      REQUIRE_ERRC(store.change_password(key('a'), key('c')), Errc::locked);
    }
    REQUIRE_OK(store.change_password(key('a'), Secret::password("new"), cheap));
    // Handles that are open go on, to read and to write.
    check(store);
    check(second);
    REQUIRE_OK(store.put("later", "expires", {.expires_at = late}));
    REQUIRE_ERRC(store.change_password(key('a'), key('c')), Errc::auth_failed);
  }
  REQUIRE_ERRC(Store::open_encrypted(path, key('a')), Errc::auth_failed);
  check(must(Store::open_encrypted(path, Secret::password("new"))));
  {
    Store store = must(Store::open_encrypted(path, Secret::password("new")));
    REQUIRE_OK(store.change_password(Secret::password("new"), key('d')));
  }
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("new")), Errc::auth_failed);
  check(must(Store::open_encrypted(path, key('d'))));
  // All but the one entry that was put are the same bytes.
  const std::string after = sqlite_cli(path, rows);
  CHECK(after.size() == before.size());
  CHECK(sqlite_cli(path, "SELECT hex(value) FROM \"default\" WHERE key=CAST('key7' AS BLOB)").size() == 184);
}

TEST_CASE("a change of the password that cannot be committed changes nothing") {
  const TempDir dir;
  const std::string path = make_encrypted(dir, {.journal = Journal::rollback});
  {
    Store store = must(
        Store::open_encrypted(path, key('a'), {.journal = Journal::rollback, .busy_timeout = 50ms}));
    {
      const Snapshot snapshot = must(store.snapshot());  // in the way of every commit
      REQUIRE_ERRC(store.change_password(key('a'), key('b')), Errc::busy);
      REQUIRE_ERRC(store.rotate_key(key('a')), Errc::busy);
    }
    check(store);
    REQUIRE_OK(store.put("empty", ""));
  }
  REQUIRE_ERRC(Store::open_encrypted(path, key('b')), Errc::auth_failed);
  check(must(Store::open_encrypted(path, key('a'))));
  CHECK(key_numbers(path) == "01");
}

// ---- Another data key ----

TEST_CASE("rotating seals everything with a new key, while reads and writes go on") {
  const TempDir dir;
  const std::string path = make_encrypted(dir);
  CHECK(key_numbers(path) == "01");
  {
    Store store = must(Store::open_encrypted(path, key('a')));
    const Store second = must(Store::open_encrypted(path, key('a')));
    check(second);
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERROR(store.rotate_key(key('b')), Errc::auth_failed, "rotate_key");
    {
      auto transaction = must(store.begin());
      REQUIRE_ERRC(store.rotate_key(key('a')), Errc::locked);
    }
    std::uint64_t last = 0;
    std::uint64_t calls = 0;
    const auto progress = [&](std::uint64_t done, std::uint64_t total) {
      CHECK(done >= last);
      CHECK(done <= total);
      CHECK(total == 306);
      last = done;
      ++calls;
      must(store.put("key5", patterned(50, 5)));
      CHECK(must(store.get("key6")) == BytesView(patterned(50, 6)));
      return true;
    };
    REQUIRE_OK(store.rotate_key(key('a'), progress));
    CHECK(calls > 2);
    CHECK(last == 306);
    check(store);
    // What was begun before goes on with the old key.
    CHECK(must(snapshot.get("key1")) == BytesView(patterned(50, 1)));
    CHECK(must(snapshot.get("big")) == BytesView(patterned(100'000, 1)));
    // Another handle does not have the new key: it never reads or writes with the wrong one.
    Store other = second;
    REQUIRE_ERROR(other.get("key1"), Errc::auth_failed, "get");
    REQUIRE_ERROR(other.put("key1", "lost"), Errc::auth_failed, "put");
    Range all = other.all();
    for (auto [at, value] : all) FAIL("an entry " << at);
    REQUIRE_ERRC(all.status(), Errc::auth_failed);
  }
  CHECK(key_numbers(path) == "02");
  CHECK(sqlite_cli(path, "SELECT length(value) FROM snkv_meta WHERE key='keys'") == "178");
  {
    Store store = must(Store::open_encrypted(path, key('a')));
    check(store);
    REQUIRE_OK(store.rotate_key(key('a')));
    check(store);
  }
  CHECK(key_numbers(path) == "03");
}

TEST_CASE("a rotation that was stopped leaves all readable, and is taken up again") {
  const TempDir dir;
  const std::string path = make_encrypted(dir);
  {
    Store store = must(Store::open_encrypted(path, key('a')));
    for (int i = 0; i < 9000; ++i) must(store.put("many" + std::to_string(i), "v", {.sync = Sync::off}));
    int calls = 0;
    REQUIRE_ERRC(store.rotate_key(key('a'), [&](auto, auto) { return ++calls < 3; }), Errc::aborted);
    CHECK(must(store.get("key1")) == BytesView(patterned(50, 1)));
    CHECK(must(store.get("many8999")) == BytesView("v"));
    REQUIRE_OK(store.verify());
  }
  CHECK(key_numbers(path) == "01,02");
  CHECK(sqlite_cli(path, "SELECT length(value) FROM snkv_meta WHERE key='keys'") == "251");
  {
    Store store = must(Store::open_encrypted(path, key('a')));
    REQUIRE_OK(store.verify());
    // The password may be changed in between.
    REQUIRE_OK(store.change_password(key('a'), key('b')));
    REQUIRE_OK(store.put("written", "between"));
    REQUIRE_ERRC(store.rotate_key(key('a')), Errc::auth_failed);
    REQUIRE_OK(store.rotate_key(key('b')));
  }
  CHECK(key_numbers(path) == "02");
  Store store = must(Store::open_encrypted(path, key('b')));
  CHECK(must(store.get("written")) == BytesView("between"));
  CHECK(must(store.get("many4000")) == BytesView("v"));
  REQUIRE_OK(store.erase_prefix("many"));
  REQUIRE_OK(store.erase("written"));
  check(store);
}

TEST_CASE("a rotation stops at a value that was changed, and the old key stays") {
  const TempDir dir;
  const std::string path = make_encrypted(dir);
  const std::string sql = GENERATE(
      "UPDATE \"default\" SET value=(SELECT value FROM \"default\" WHERE key=CAST('key1' AS BLOB)) "
      "WHERE key=CAST('key2' AS BLOB)",
      "DELETE FROM snkv_large_1 WHERE id=1048578",
      "UPDATE snkv_large_1 SET data=x'00' WHERE id=1048578");
  CAPTURE(sql);
  sqlite_cli(path, sql);
  Store store = must(Store::open_encrypted(path, key('a')));
  REQUIRE_ERRC(store.rotate_key(key('a')), Errc::tampered);
  CHECK(must(store.get("key1")) == BytesView(patterned(50, 1)));
  CHECK(must(store.get("key3")) == BytesView(patterned(50, 3)));
  REQUIRE_OK(store.put("key2", "mended"));
  REQUIRE_OK(store.put("big", "mended"));
  REQUIRE_OK(store.rotate_key(key('a')));
  CHECK(must(store.get("key1")) == BytesView(patterned(50, 1)));
  CHECK(must(store.get("big later")) == BytesView(patterned(30'000, 2)));
}

// ---- Encryption where there was none, and the opposite ----

TEST_CASE("a store is encrypted and decrypted with all that is in it") {
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  CAPTURE(static_cast<int>(journal));
  const TempDir dir;
  const std::string path = make_plain(dir, {.journal = journal, .page_size = 16384});
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  const std::string ids = "SELECT value FROM snkv_meta WHERE key='next_family_id'";
  const std::string next_id = sqlite_cli(path, ids);
  std::uint64_t last = 0;
  REQUIRE_OK(Store::encrypt_existing(path, key('a'), [&](std::uint64_t done, std::uint64_t total) {
    CHECK(total == 306);
    last = done;
    return true;
  }));
  CHECK(last == 306);
  CHECK(must(Store::is_encrypted(path)));
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
  CHECK(std::filesystem::status(path).permissions() == std::filesystem::perms(0600));
  CHECK(sqlite_cli(path, ids) == next_id);
  CHECK(sqlite_cli(path, "PRAGMA page_size") == "16384");
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
  REQUIRE_ERRC(Store::open(path), Errc::auth_failed);
  {
    Store store = must(Store::open_encrypted(path, key('a'), {.journal = journal}));
    check(store);
    // No id of a family comes a second time.
    REQUIRE_OK(store.create_column_family("new"));
    REQUIRE_OK(store.drop_column_family("new"));
  }
  REQUIRE_ERRC(Store::encrypt_existing(path, key('a')), Errc::invalid_argument);
  REQUIRE_ERRC(Store::remove_encryption(path, key('b')), Errc::auth_failed);
  check(must(Store::open_encrypted(path, key('a'), {.journal = journal})));
  REQUIRE_OK(Store::remove_encryption(path, key('a')));
  CHECK_FALSE(must(Store::is_encrypted(path)));
  check(must(Store::open(path, {.journal = journal})));
  REQUIRE_ERRC(Store::remove_encryption(path, key('a')), Errc::invalid_argument);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
}

TEST_CASE("a store that cannot be encrypted stays as it is") {
  const TempDir dir;
  const std::string path = make_plain(dir);
  const auto unchanged = [&](Errc code, const Secret& secret, const Progress& progress = {}) {
    REQUIRE_ERROR(Store::encrypt_existing(path, secret, progress), code, "encrypt_existing");
    CHECK_FALSE(must(Store::is_encrypted(path)));
    check(must(Store::open(path)));
  };
  unchanged(Errc::invalid_argument, Secret::password(""));
  unchanged(Errc::aborted, key('a'), [](auto, auto) { return false; });
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
  SECTION("one that somebody has open") {
    const Store store = must(Store::open(path));
    REQUIRE_ERRC(Store::encrypt_existing(path, key('a')), Errc::busy);
  }
  SECTION("one with another name") {
    std::filesystem::create_hard_link(path, dir.file("b.db"));
    REQUIRE_ERROR(Store::encrypt_existing(path, key('a')), Errc::invalid_argument, "encrypt_existing");
    CHECK_FALSE(must(Store::is_encrypted(path)));
    const Options insist{.allow_hard_links = true};
    check(must(Store::open(path, insist)));
    CHECK(must(must(Store::open(dir.file("b.db"), insist)).get("empty")) == BytesView(""));
  }
  SECTION("one with a table of somebody else") {
    sqlite_cli(path, "CREATE TABLE mine(a)");
    unchanged(Errc::schema_mismatch, key('a'));
  }
  SECTION("one with a view, which a copy would lose") {
    sqlite_cli(path, "CREATE VIEW mine AS SELECT key FROM \"default\"");
    unchanged(Errc::schema_mismatch, key('a'));
  }
  SECTION("one with an index") {
    sqlite_cli(path, "CREATE INDEX mine ON \"default\"(value)");
    REQUIRE_ERRC(Store::encrypt_existing(path, key('a')), Errc::schema_mismatch);
  }
  SECTION("none at all") {
    REQUIRE_ERRC(Store::encrypt_existing(dir.file("none.db"), key('a')), Errc::cant_open);
    CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
  }
  SECTION("a damaged one") {
    sqlite_cli(path, "DELETE FROM snkv_large_1 WHERE id=1048578");
    REQUIRE_ERRC(Store::encrypt_existing(path, key('a')), Errc::corrupt);
    CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
  }
}

TEST_CASE("a handle that is idle with a rollback journal finds no store any more") {
  // It cannot be seen by others. What it would write must not be lost without a word.
  const TempDir dir;
  const Options options{.journal = Journal::rollback};
  const std::string path = make_plain(dir, options);
  Store idle = must(Store::open(path, options));
  Store other = must(Store::open(path, options));
  check(idle);
  const Store reader = must(Store::open(path, {.read_only = true, .journal = Journal::rollback}));
  check(reader);
  REQUIRE_OK(Store::encrypt_existing(path, key('a')));
  CHECK_FALSE(idle.get("key1"));
  CHECK_FALSE(idle.put("key1", "lost"));
  CHECK_FALSE(reader.get("key1"));
  CHECK_FALSE(other.put("key1", "lost"));
  CHECK_FALSE(idle.begin().and_then([](auto transaction) { return transaction.put("k", "lost"); }));
  const Store store = must(Store::open_encrypted(path, key('a'), options));
  check(store);
}

TEST_CASE("a changed value stops the decryption, which then has changed nothing") {
  const TempDir dir;
  const std::string path = make_encrypted(dir);
  sqlite_cli(path, "UPDATE \"default\" SET value=(SELECT value FROM \"default\" WHERE "
                   "key=CAST('key1' AS BLOB)) WHERE key=CAST('key2' AS BLOB)");
  REQUIRE_ERROR(Store::remove_encryption(path, key('a')), Errc::tampered, "remove_encryption");
  CHECK(must(Store::is_encrypted(path)));
  CHECK(must(must(Store::open_encrypted(path, key('a'))).get("key1")) == BytesView(patterned(50, 1)));
}

TEST_CASE("a symbolic link stays one, and the file that it leads to is encrypted") {
  const TempDir dir;
  const std::string path = make_plain(dir);
  const std::string link = dir.file("link.db");
  std::filesystem::create_symlink("a.db", link);
  REQUIRE_OK(Store::encrypt_existing(link, key('a')));
  CHECK(std::filesystem::is_symlink(link));
  check(must(Store::open_encrypted(path, key('a'))));
  check(must(Store::open_encrypted(link, key('a'))));
}
