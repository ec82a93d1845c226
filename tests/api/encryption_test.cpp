// Encrypted stores: who gets in, what a changed file does, and that nothing is told wrong.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

Secret key(char c) { return Secret::key(std::string(Secret::key_size, c)); }

/// As little as is allowed, so that tests with passwords are fast.
constexpr EncryptionOptions cheap{.opslimit = 2, .memlimit = 19u << 20};

/// One that is closed again, with entries of all kinds in two families.
std::string make_store(const TempDir& dir, const Secret& secret, std::string_view name = "a.db") {
  const std::string path = dir.file(name);
  Store store = must(Store::open_encrypted(path, secret, {.page_size = 4096}));
  must(store.put("one", "first value"));
  must(store.put("two", "other value"));
  must(store.put("empty", ""));
  must(store.put("later", "expires", {.expires_at = TimePoint(4'000'000'000'000ms)}));
  must(store.put("big", patterned(20'000, 1)));
  must(store.put("big2", patterned(20'000, 2)));
  ColumnFamily other = must(store.column_family("other"));
  must(other.put("one", "of the other family"));
  must(other.put("big", patterned(20'000, 3)));
  must(store.close());
  return path;
}

/// A blob of SQL: of text.
std::string blob(std::string_view text) { return "CAST('" + std::string(text) + "' AS BLOB)"; }

std::string value_of(std::string_view key, std::string_view table = "\"default\"") {
  return "(SELECT value FROM " + std::string(table) + " WHERE key=" + blob(key) + ")";
}

void set_value(const std::string& path, std::string_view key, const std::string& sql) {
  static_cast<void>(sqlite_cli(
      path, "UPDATE \"default\" SET value=" + sql + " WHERE key=" + blob(key)));
}

/// Every way to read the value of a key says `tampered` and names the key; others are as they were.
void check_tampered(const std::string& path, const std::string& name) {
  CAPTURE(name);
  Store store = must(Store::open_encrypted(path, key('k')));
  const auto got = store.get(name);
  REQUIRE_ERROR(got, Errc::tampered, "get");
  CHECK(got.error().message().find(name) != std::string::npos);
  bool called = false;
  REQUIRE_ERRC(store.visit(name, [&](BytesView) { called = true; }), Errc::tampered);
  CHECK_FALSE(called);
  REQUIRE_ERRC(store.get_pinned(name), Errc::tampered);
  REQUIRE_ERRC(store.multi_get({BytesView("two"), BytesView(name)}), Errc::tampered);
  REQUIRE_ERRC(store.increment(name, 1), Errc::tampered);
  REQUIRE_ERRC(store.verify(), Errc::tampered);
  {
    Range all = store.all();
    for (auto [at, value] : all) CHECK(at != BytesView(name));
    REQUIRE_ERRC(all.status(), Errc::tampered);
  }
  CHECK(must(store.contains(name)));
  CHECK(must(store.get("two")) == BytesView("other value"));
  // It can be replaced.
  REQUIRE_OK(store.put(name, "new"));
  CHECK(must(store.get(name)) == BytesView("new"));
}

}  // namespace

// ---- Opening ----

TEST_CASE("an encrypted store is created, and opened with the same secret only") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open_encrypted(path, Secret::password("correct horse"), {}, cheap));
    CHECK(store.is_encrypted());
    REQUIRE_OK(store.put("key", "value"));
    // Without it, while it is open too.
    REQUIRE_ERROR(Store::open(path), Errc::auth_failed, "open");
  }
  REQUIRE_ERROR(Store::open(path), Errc::auth_failed, "open");
  REQUIRE_ERRC(Store::open(path, {.read_only = true}), Errc::auth_failed);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("correct horsf")), Errc::auth_failed);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("correct horse ")), Errc::auth_failed);
  REQUIRE_ERRC(Store::open_encrypted(path, key('k')), Errc::auth_failed);
  for (const bool read_only : {false, true}) {
    const Store store = must(
        Store::open_encrypted(path, Secret::password("correct horse"), {.read_only = read_only}));
    CHECK(store.is_encrypted());
    CHECK(must(store.get("key")) == BytesView("value"));
  }
  CHECK(must(Store::is_encrypted(path)));
}

TEST_CASE("a store that is not encrypted is never opened with a secret, nor changed by it") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    CHECK_FALSE(store.is_encrypted());
    REQUIRE_OK(store.put("key", "value"));
    REQUIRE_ERRC(store.change_password(key('a'), key('b')), Errc::invalid_argument);
    REQUIRE_ERRC(store.rotate_key(key('a')), Errc::invalid_argument);
  }
  REQUIRE_ERROR(Store::open_encrypted(path, key('k')), Errc::invalid_argument, "open");
  CHECK_FALSE(must(Store::is_encrypted(path)));
  const Store store = must(Store::open(path));
  CHECK(must(store.get("key")) == BytesView("value"));
  REQUIRE_ERRC(Store::is_encrypted(dir.file("none.db")), Errc::cant_open);
}

TEST_CASE("secrets and options that are none are refused before there is a file") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("")), Errc::invalid_argument);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::key("")), Errc::invalid_argument);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::key("short")), Errc::invalid_argument);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::key(std::string(33, 'k'))), Errc::invalid_argument);
  CHECK(files_in(dir.path()).empty());
  for (const EncryptionOptions& options :
       {EncryptionOptions{.opslimit = 1}, EncryptionOptions{.memlimit = (19u << 20) - 1},
        EncryptionOptions{.opslimit = 0}, EncryptionOptions{.memlimit = 0}}) {
    REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("p"), {}, options),
                 Errc::invalid_argument);
  }
  std::string typed = "typed by hand";
  const Secret secret = Secret::password_from(typed);
  CHECK(typed.empty());
  CHECK(secret.bytes() == BytesView("typed by hand"));
}

// ---- A file that was changed ----

TEST_CASE("a value under another key, in another family or with another expiry is not opened") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  SECTION("another key") { set_value(path, "one", value_of("two")); }
  SECTION("another family") { set_value(path, "one", value_of("one", "other")); }
  SECTION("an expiry that was not there") {
    sqlite_cli(path, "UPDATE \"default\" SET expires_at=4000000000000 WHERE key=" + blob("one"));
    sqlite_cli(path, "INSERT INTO snkv_expiry_1 VALUES(4000000000000, " + blob("one") + ")");
  }
  SECTION("text that was not sealed") { set_value(path, "one", blob("first value")); }
  SECTION("nothing") { set_value(path, "one", "NULL"); }
  check_tampered(path, "one");
}

TEST_CASE("an expiry that was moved or taken away is noticed") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  const std::string to = GENERATE("4000000000001", "NULL", "0");
  CAPTURE(to);
  sqlite_cli(path, "UPDATE \"default\" SET expires_at=" + to + " WHERE key=" + blob("later") +
                       "; DELETE FROM snkv_expiry_1");
  const Store store = must(Store::open_encrypted(path, key('k')));
  REQUIRE_ERRC(store.get("later"), Errc::tampered);
}

TEST_CASE("a value of another store is not opened, even with the same secret") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  const std::string other = make_store(dir, key('k'), "b.db");
  sqlite_cli(path, "ATTACH '" + other + "' AS b; UPDATE main.\"default\" SET value="
                   "(SELECT value FROM b.\"default\" WHERE key=" + blob("one") + ") WHERE key=" +
                   blob("one"));
  check_tampered(path, "one");
  // Nor with the header of the other store.
  sqlite_cli(path, "ATTACH '" + other + "' AS b; UPDATE main.snkv_meta SET value="
                   "(SELECT value FROM b.snkv_meta WHERE key='keys') WHERE key='keys'");
  REQUIRE_ERRC(Store::open_encrypted(path, key('k')), Errc::tampered);
}

TEST_CASE("every bit of a sealed value counts, and so does its length") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open_encrypted(path, key('k'), {.sync = Sync::off}));
    REQUIRE_OK(store.put("one", patterned(64)));
    REQUIRE_OK(store.put("two", "other value"));
  }
  const std::string sealed = sqlite_cli(path, "SELECT hex(value) FROM \"default\" WHERE key=" + blob("one"));
  REQUIRE(sealed.size() == 2 * (64 + 42));
  const auto get_with = [&](const std::string& hex) {
    set_value(path, "one", "x'" + hex + "'");
    const Store store = must(Store::open_encrypted(path, key('k')));
    return store.get("one");
  };
  // Here of each byte one bit; cipher_test has all of them.
  const std::string digits = "0123456789ABCDEF";
  for (std::size_t at = 0; at < sealed.size(); at += 6) {
    CAPTURE(at);
    std::string changed = sealed;
    changed[at] = digits[digits.find(changed[at]) ^ 1];
    REQUIRE_ERRC(get_with(changed), Errc::tampered);
  }
  for (const std::size_t bytes : {0, 1, 2, 25, 26, 27, 41, 42, 43, 105}) {
    CAPTURE(bytes);
    REQUIRE_ERRC(get_with(sealed.substr(0, 2 * bytes)), Errc::tampered);
  }
  REQUIRE_ERRC(get_with(sealed + "00"), Errc::tampered);
  CHECK(must(get_with(sealed)) == BytesView(patterned(64)));
}

TEST_CASE("a large value whose chunks were moved, left out or replaced is not opened") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  // The values of "big" and "big2" have the numbers 1 and 2.
  const std::string sql = GENERATE(
      // Two chunks of the same value change places.
      "UPDATE snkv_large_1 SET id=-1 WHERE id=1048576; "
      "UPDATE snkv_large_1 SET id=1048576 WHERE id=1048577; "
      "UPDATE snkv_large_1 SET id=1048577 WHERE id=-1",
      // A chunk of the other value, in the same place.
      "UPDATE snkv_large_1 SET data=(SELECT data FROM snkv_large_1 WHERE id=2097152) WHERE id=1048576",
      // The last chunk is missing, and one in the middle.
      "DELETE FROM snkv_large_1 WHERE id=(SELECT max(id) FROM snkv_large_1 WHERE id<2097152)",
      "DELETE FROM snkv_large_1 WHERE id=1048578",
      // A shorter value, as the row says.
      "UPDATE \"default\" SET large_size=8000 WHERE large_id=1",
      "UPDATE \"default\" SET large_size=0 WHERE large_id=1",
      "UPDATE \"default\" SET large_size=2000000000 WHERE large_id=1",
      // The other value altogether.
      "UPDATE \"default\" SET large_id=2 WHERE large_id=1",
      // A chunk that was cut, and one with a byte more.
      "UPDATE snkv_large_1 SET data=substr(data, 1, length(data) - 1) WHERE id=1048577",
      "UPDATE snkv_large_1 SET data=x'00' WHERE id=1048577",
      "UPDATE snkv_large_1 SET data=CAST(data||x'00' AS BLOB) WHERE id=1048580",
      // No longer large: what describes it is no value.
      "UPDATE \"default\" SET large_id=NULL, large_size=NULL WHERE large_id=1");
  CAPTURE(sql);
  sqlite_cli(path, sql);
  {
    const Store store = must(Store::open_encrypted(path, key('k')));
    if (auto reader = store.blob_reader("big")) {
      // Part by part: what is right is told, the rest is an error.
      const std::string whole = patterned(20'000, 1);
      bool failed = false;
      for (std::size_t at = 0; at < whole.size(); at += 500) {
        std::vector<std::byte> part(500);
        const auto got = reader->read_at(at, part);
        failed = failed || !got;
        if (!got) continue;
        CHECK(BytesView(part.data(), *got) == BytesView(std::string_view(whole).substr(at, *got)));
      }
      CHECK(failed);
    } else {
      REQUIRE_ERRC(reader, Errc::tampered);
    }
  }
  check_tampered(path, "big");
}

TEST_CASE("changing an expiry seals anew, without touching the chunks of a large value") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  const std::string chunks = "SELECT hex(data) FROM snkv_large_1 ORDER BY id";
  const std::string before = sqlite_cli(path, chunks);
  {
    Store store = must(Store::open_encrypted(path, key('k')));
    REQUIRE_OK(store.expire("big", 1h));
    REQUIRE_OK(store.expire("one", 1h));
    REQUIRE_OK(store.persist("later"));
    CHECK(must(store.get("big")) == BytesView(patterned(20'000, 1)));
    CHECK(must(store.get("one")) == BytesView("first value"));
    CHECK(must(store.get("later")) == BytesView("expires"));
    REQUIRE_OK(store.verify());
  }
  CHECK(sqlite_cli(path, chunks) == before);
  // A value that was changed is noticed before it is sealed again.
  set_value(path, "two", value_of("one"));
  Store store = must(Store::open_encrypted(path, key('k')));
  REQUIRE_ERRC(store.expire("two", 1h), Errc::tampered);
}

TEST_CASE("a header that was changed opens with no secret") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  { REQUIRE_OK(Store::open_encrypted(path, Secret::password("p"), {}, cheap)); }
  const std::string header = sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='keys'");
  REQUIRE(header.size() == 2 * (105 + 73));
  const auto open_with = [&](const std::string& hex) {
    sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + hex + "' WHERE key='keys'");
    return Store::open_encrypted(path, Secret::password("p"));
  };
  const auto changed = [&](std::size_t at, std::string_view hex) {
    std::string out = header;
    return out.replace(2 * at, hex.size(), hex);
  };
  // What is unknown.
  REQUIRE_ERRC(open_with(changed(8, "02")), Errc::unsupported_version);
  REQUIRE_ERRC(open_with(changed(9, "02")), Errc::unsupported_version);
  REQUIRE_ERRC(open_with(changed(10, "02")), Errc::unsupported_version);
  REQUIRE_ERRC(open_with(changed(11, "02")), Errc::unsupported_version);
  REQUIRE_ERRC(open_with(changed(11, "03")), Errc::unsupported_version);
  REQUIRE_ERRC(open_with(changed(15, "01")), Errc::unsupported_version);
  // What was never written.
  REQUIRE_ERRC(open_with(changed(0, "00")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(104, "00")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(104, "02")), Errc::corrupt);
  REQUIRE_ERRC(open_with(header.substr(2)), Errc::corrupt);
  REQUIRE_ERRC(open_with(header + "00"), Errc::corrupt);
  REQUIRE_ERRC(open_with("00"), Errc::corrupt);
  // A key for a password, and the opposite.
  REQUIRE_ERRC(open_with(changed(10, "00")), Errc::corrupt);
  // Hostile amounts: told before any memory is taken.
  REQUIRE_ERRC(open_with(changed(16, "0000000000000000")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(16, "0000000000000001")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(24, "0000000000000000")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(24, "0000000000000001")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(24, "0000000000002000")), Errc::corrupt);
  REQUIRE_ERRC(open_with(changed(16, "000000000000000B")), Errc::too_large);
  REQUIRE_ERRC(open_with(changed(16, "FFFFFFFFFFFFFFFF")), Errc::too_large);
  REQUIRE_ERRC(open_with(changed(24, "0000000040000001")), Errc::too_large);
  REQUIRE_ERRC(open_with(changed(24, "00000FFFFFFFFFFF")), Errc::too_large);
  REQUIRE_ERRC(open_with(changed(24, "FFFFFFFFFFFFFFFF")), Errc::too_large);
  // Other amounts that are allowed, another salt, store or generation: no secret makes the check.
  for (const std::size_t at : {23, 31, 32, 47, 48, 63, 64, 71, 72, 103}) {
    CAPTURE(at);
    const char last = header[2 * at + 1];
    REQUIRE_ERRC(open_with(changed(at, std::string{header[2 * at], last == '4' ? '5' : '4'})),
                 Errc::auth_failed);
  }
  // That the names are not bound.
  REQUIRE_ERRC(open_with(changed(11, "00")), Errc::auth_failed);
  // The wrapped key.
  for (const std::size_t at : {105, 106, 129, 130, 161, 162, 177}) {
    CAPTURE(at);
    const char last = header[2 * at + 1];
    REQUIRE_ERRC(open_with(changed(at, std::string{header[2 * at], last == '4' ? '5' : '4'})),
                 Errc::tampered);
  }
  // The caller's own limits.
  REQUIRE_OK(open_with(header));
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("p"), {}, {.max_opslimit = 1}),
               Errc::too_large);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("p"), {}, {.max_memlimit = 1u << 20}),
               Errc::too_large);
  // No header at all, in a file that says that it is encrypted; and the opposite.
  sqlite_cli(path, "DELETE FROM snkv_meta WHERE key='keys'");
  REQUIRE_ERRC(Store::open(path), Errc::corrupt);
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::password("p")), Errc::corrupt);
  const std::string plain = dir.file("b.db");
  { REQUIRE_OK(Store::open(plain)); }
  sqlite_cli(plain, "INSERT INTO snkv_meta VALUES('keys', x'" + header + "')");
  REQUIRE_ERRC(Store::open(plain), Errc::corrupt);
}

// ---- What others see ----

TEST_CASE("SQL and copies have the sealed bytes, and a copy opens with the same secret") {
  const TempDir dir;
  const std::string path = make_store(dir, key('k'));
  const std::string copy = dir.file("copy.db");
  const std::string compact = dir.file("compact.db");
  {
    Store store = must(Store::open_encrypted(path, key('k')));
    SqlRows rows = must(store.sql("SELECT length(value), value FROM \"default\" WHERE key=?",
                                  BytesView("one")));
    bool seen = false;
    for (const auto& row : rows) {
      seen = true;
      CHECK(row[0].int64() == 11 + 42);
      CHECK(row[1].blob() != BytesView("first value"));
    }
    CHECK(seen);
    REQUIRE_OK(store.backup(copy));
    REQUIRE_OK(store.backup(compact, {.compact = true}));
    REQUIRE_OK(store.compact());
    REQUIRE_OK(store.verify());
    CHECK(must(store.verify()).bytes ==
          3 + 11 + 3 + 11 + 5 + 5 + 7 + 3 + 20'000 + 4 + 20'000 + 3 + 19 + 3 + 20'000);
  }
  for (const std::string& file : {copy, compact}) {
    REQUIRE_ERRC(Store::open(file), Errc::auth_failed);
    const Store store = must(Store::open_encrypted(file, key('k')));
    CHECK(must(store.get("one")) == BytesView("first value"));
    CHECK(must(store.get("big")) == BytesView(patterned(20'000, 1)));
    REQUIRE_OK(store.verify());
  }
}
