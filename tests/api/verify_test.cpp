// verify: each promise of the file format, broken on purpose through the stock sqlite3 command, is
// named.
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// The default family has large values 1 to 3, of the keys big1 to big3, and entries that expire;
/// family 2 is "other", with a large value and an expiry of its own.
void fill(Store& store) {
  for (int i = 1; i <= 3; ++i) {
    must(store.put("big" + std::to_string(i), patterned(30'000 + static_cast<std::size_t>(i), i)));
  }
  for (int i = 0; i < 100; ++i) must(store.put("small" + std::to_string(i), "value"));
  must(store.put("late1", "value", {.expires_at = TimePoint(4'000'000'000'001ms)}));
  must(store.put("late2", "value", {.expires_at = TimePoint(4'000'000'000'002ms)}));
  ColumnFamily other = must(store.column_family("other"));
  must(other.put("big", patterned(50'000), {.expires_at = TimePoint(4'000'000'000'003ms)}));
}

struct Damage {
  const char* sql;
  std::vector<std::string> named;
};

/// What verify says of a store that was damaged like this.
Result<VerifyReport> verify_after(const Damage& damage) {
  const TempDir dir;
  {
    Store store = open_kind(StoreKind::wal, dir);
    fill(store);
    must(store.verify());
  }
  sqlite_cli(dir.file("test.db"), damage.sql);
  const Store store = must(open_store(dir.file("test.db")));
  return store.verify();
}

}  // namespace

TEST_CASE("a sound store verifies, with a report of what is in it") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  VerifyReport report = must(store.verify());
  CHECK(report.families == 1);
  CHECK(report.entries == 0);
  fill(store);
  report = must(store.verify());
  CHECK(report.families == 2);
  CHECK(report.entries == 106);
  CHECK(report.large_values == 4);
  // Keys: 3 of 4, 10 of 6, 90 of 7, 2 of 5 and one of 3 bytes.
  CHECK(report.bytes == 90'006 + 50'000 + 102 * 5 + 3 * 4 + 10 * 6 + 90 * 7 + 2 * 5 + 3);
  // Long keys, empty values, entries that have expired already, families and values that are gone.
  REQUIRE_OK(store.put(std::string(max_key_size, 'k'), patterned(100'000)));
  REQUIRE_OK(store.put("empty", ""));
  REQUIRE_OK(store.put("past", "value", {.expires_at = TimePoint(1ms)}));
  REQUIRE_OK(store.erase("big2"));
  REQUIRE_OK(store.put("big3", "small"));
  REQUIRE_OK(store.drop_column_family("other"));
  report = must(store.verify());
  CHECK(report.families == 1);
  CHECK(report.large_values == 2);
  CHECK(report.entries == 107);
}

TEST_CASE("verify goes with writers, transactions and snapshots") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  const Snapshot snapshot = must(store.snapshot());
  if (kind != StoreKind::rollback) {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("inside", patterned(30'000)));
    CHECK(must(store.verify()).entries == 106);
    REQUIRE_OK(transaction.commit());
    CHECK(must(store.verify()).entries == 107);
  }
  CHECK(must(snapshot.count()) == 105);
  REQUIRE_OK(store.get("big1"));
}

TEST_CASE("verify reports progress, and stops when asked to") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 50'000; ++i)
      must(transaction.put("more" + std::to_string(i), patterned(100)));
    REQUIRE_OK(transaction.commit());
  }
  std::uint64_t calls = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  bool sane = true;
  REQUIRE_OK(store.verify([&](std::uint64_t done, std::uint64_t all) {
    sane = sane && done >= last && done <= all;
    last = done;
    total = all;
    ++calls;
    return true;
  }));
  CHECK(sane);
  CHECK(calls > 5);
  CHECK(last == total);
  for (const std::uint64_t stop_at : {std::uint64_t{1}, calls / 2, calls}) {
    std::uint64_t call = 0;
    REQUIRE_ERROR(store.verify([&](std::uint64_t, std::uint64_t) { return ++call < stop_at; }),
                  Errc::aborted, "verify");
  }
  REQUIRE_ERROR(store.verify([](std::uint64_t, std::uint64_t) -> bool { throw 1; }), Errc::aborted,
                "verify");
  REQUIRE_OK(store.put("still", "works"));
  REQUIRE_OK(store.verify());
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("verify names what is broken") {
  const Damage damage = GENERATE(values<Damage>({
      // Large values.
      {"DELETE FROM snkv_large_1 WHERE id=(2<<20)+1", {"default", "big2", "lacks chunk 1"}},
      {"DELETE FROM snkv_large_1 WHERE id=(2<<20)", {"default", "big2", "lacks chunk 0"}},
      {"DELETE FROM snkv_large_1 WHERE id=(2<<20)+3", {"default", "big2", "30002"}},
      {"DELETE FROM snkv_large_1 WHERE id>>20=2", {"big2", "is missing"}},
      {"DELETE FROM snkv_large_1 WHERE id>>20=3", {"big3", "is missing"}},
      {"DELETE FROM snkv_large_2", {"family other", "of big is missing"}},
      {"DROP TABLE snkv_large_2", {"family other", "of big is missing"}},
      {"UPDATE \"default\" SET large_size=large_size+1 WHERE key=x'62696731'",
       {"big1", "30001 bytes in its chunks, 30002 in its row"}},
      {"UPDATE \"default\" SET large_size=-1 WHERE key=x'62696731'", {"first row cannot be read"}},
      {"UPDATE \"default\" SET large_id=99 WHERE key=x'62696731'",
       {"large value 99 of big1 is missing", "large value 1 belongs to no row"}},
      {"UPDATE \"default\" SET large_id=2 WHERE key=x'62696731'",
       {"two rows have the large value 2", "large value 1 belongs to no row"}},
      {"UPDATE \"default\" SET value=x'00' WHERE key=x'62696731'", {"big1", "malformed"}},
      {"INSERT INTO snkv_large_1 VALUES(77<<20, x'00')", {"large value 77 belongs to no row"}},
      {"INSERT INTO snkv_large_1 VALUES((1<<20)+9, x'00')", {"big1", "lacks chunk 4"}},
      {"UPDATE snkv_large_1 SET data=substr(data,1,10) WHERE id=(1<<20)", {"big1", "bytes"}},
      {"UPDATE snkv_large_1 SET data=substr(data,2) WHERE id=(1<<20)+1;"
       "UPDATE snkv_large_1 SET data=zeroblob(length(data)+1) WHERE id=(1<<20)+3",
       {"big1", "malformed chunk"}},
      // Expiries.
      {"DELETE FROM snkv_expiry_1 WHERE key=x'6c61746531'",
       {"4000000000001 of late1", "not in the index"}},
      {"DELETE FROM snkv_expiry_1", {"late1", "late2"}},
      {"DROP TABLE snkv_expiry_2", {"family other", "4000000000003 of big"}},
      {"INSERT INTO snkv_expiry_1 VALUES(5, x'6c61746531')",
       {"expiry 5 of late1, whose row does not"}},
      {"INSERT INTO snkv_expiry_1 VALUES(5, x'00ff')", {"expiry 5 of"}},
      {"UPDATE \"default\" SET expires_at=7 WHERE key=x'736d616c6c30'", {"expiry 7 of small0"}},
      {"UPDATE \"default\" SET expires_at=NULL WHERE key=x'6c61746531'",
       {"4000000000001 of late1, whose row does not"}},
      {"DELETE FROM \"default\" WHERE key=x'6c61746531'", {"late1, whose row does not"}},
      // Keys.
      {"INSERT INTO \"default\"(key, value) VALUES(x'', x'00')", {"a key has 0 bytes"}},
      {"INSERT INTO other(key, value) VALUES(zeroblob(70000), x'00')",
       {"other", "a key has 70000 bytes"}},
      // The store itself.
      {"UPDATE snkv_meta SET value=2 WHERE key='next_family_id'", {"next_family_id is 2", "other"}},
      {"DELETE FROM snkv_meta WHERE key='next_family_id'", {"next_family_id"}},
      {"DELETE FROM snkv_meta WHERE key='store_id'", {"store_id"}},
      {"UPDATE snkv_meta SET value='text' WHERE key='store_id'", {"store_id"}},
      {"DROP TABLE other",
       {"snkv_large_2 belongs to no family", "snkv_expiry_2 belongs to no family"}},
      {"DROP TABLE \"default\"", {"there is no family default"}},
      {"CREATE TABLE copy(key BLOB NOT NULL PRIMARY KEY, expires_at INTEGER, value BLOB, large_id "
       "INTEGER, large_size INTEGER /* snkv:2 */) STRICT, WITHOUT ROWID",
       {"same id"}},
  }));
  CAPTURE(damage.sql);
  const auto verdict = verify_after(damage);
  REQUIRE_ERROR(verdict, Errc::corrupt, "verify");
  std::string message = verdict.error().message();
  std::erase(message, '\'');  // names are quoted
  INFO(message);
  for (const std::string& name : damage.named) CHECK(message.find(name) != std::string::npos);
}

TEST_CASE("verify tells tables altered through SQL from damage") {
  for (const char* sql : {"CREATE INDEX mine ON other(value)",
                          "ALTER TABLE other ADD COLUMN more"
                          " TEXT"}) {
    CAPTURE(sql);
    const auto verdict = verify_after({sql, {}});
    REQUIRE_ERROR(verdict, Errc::schema_mismatch, "verify");
    CHECK(verdict.error().message().find("other") != std::string::npos);
  }
}

TEST_CASE("verify finds damaged pages") {
  const TempDir dir;
  {
    Store store = open_kind(StoreKind::rollback, dir);
    fill(store);
    for (int i = 0; i < 2000; ++i)
      REQUIRE_OK(store.put("page" + std::to_string(i), patterned(200)));
  }
  const std::uint64_t size = size_of(dir.file("test.db"));
  for (std::uint64_t page = 2; page < size / 8192; page += 7) {
    CAPTURE(page);
    const std::string whole = read_file(dir.file("test.db"));
    overwrite(dir.file("test.db"), page * 8192, patterned(8192, page));
    {
      const auto store = open_store(dir.file("test.db"), {.journal = Journal::rollback});
      if (store) {
        REQUIRE_ERROR(store->verify(), Errc::corrupt, "verify");
      } else {
        REQUIRE_ERRC(store, Errc::corrupt);
      }
    }
    write_file(dir.file("test.db"), whole);
  }
  REQUIRE_OK(must(open_store(dir.file("test.db"))).verify());
}

TEST_CASE("verify names no more than the first findings") {
  const TempDir dir;
  {
    Store store = open_kind(StoreKind::wal, dir);
    for (int i = 0; i < 1000; ++i) {
      REQUIRE_OK(store.put("key" + std::to_string(i), "value", {.ttl = 24h}));
    }
  }
  sqlite_cli(dir.file("test.db"), "DELETE FROM snkv_expiry_1");
  const auto verdict = must(open_store(dir.file("test.db"))).verify();
  REQUIRE_ERROR(verdict, Errc::corrupt, "verify");
  CHECK(verdict.error().message().size() < 4000);
  CHECK(verdict.error().message().find("perhaps more") != std::string::npos);
}
