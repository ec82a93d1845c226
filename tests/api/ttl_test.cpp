// Entries that expire: absent for every reader from then on, though nothing is written for it.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an entry is there until its time is over") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::size_t size = GENERATE(0u, 10u, 100'000u);
  CAPTURE(kind, size);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  REQUIRE_OK(store.put("key", patterned(size), {.ttl = 1000ms}));
  REQUIRE_OK(store.put("forever", "1"));
  clock.advance(999ms);
  CHECK((must(store.get("key")) == BytesView(patterned(size))));
  CHECK(must(store.contains("key")));
  CHECK(keys(store.all()) == Names{"forever", "key"});

  clock.advance(1ms);
  REQUIRE_ERROR(store.get("key"), Errc::not_found, "get");
  CHECK_FALSE(must(store.contains("key")));
  CHECK(keys(store.all()) == Names{"forever"});
  CHECK(must(store.get("forever")) == "1");
}

TEST_CASE("iterators pass over what has expired") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    const bool stays = std::string("be").find(key) != std::string::npos;
    REQUIRE_OK(store.put(key, key, stays ? PutOptions{} : PutOptions{.ttl = 1s}));
  }
  clock.advance(2s);
  CHECK(keys(store.all()) == Names{"b", "e"});
  CHECK(keys(store.all().reversed()) == Names{"e", "b"});
  CHECK(keys(store.all().keys_only()) == Names{"b", "e"});
  CHECK(keys(store.range("c", "e")).empty());
  CHECK(keys(store.prefix("a")).empty());

  Iterator iterator = store.iterator();
  iterator.seek_first();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "b");
  iterator.seek("c");
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "e");
  iterator.seek_for_prev("d");
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "b");
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "e");
  iterator.next();
  CHECK_FALSE(iterator.valid());
  iterator.seek_last();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "e");
  iterator.seek("f");
  CHECK_FALSE(iterator.valid());
  REQUIRE_OK(iterator.status());
}

TEST_CASE("times are understood whatever the bytes that they take in a row") {
  const TempDir dir;
  FakeClock clock;
  const std::string path = dir.file("test.db");
  std::vector<std::int64_t> times = {0, 1, -1};
  for (int bits = 7; bits <= 63; bits += 8) {
    const auto power = std::uint64_t{1} << bits;
    for (const std::uint64_t time : {power - 1, power, 0 - power}) {
      times.push_back(static_cast<std::int64_t>(time));
    }
  }
  std::string sql = "BEGIN;";
  for (std::size_t i = 0; i < times.size(); ++i) {
    const std::string time = std::to_string(times[i]);
    sql += "INSERT INTO 'default'(key, expires_at, value) VALUES(CAST('k" + std::to_string(i) +
           "' AS BLOB)," + time + ",CAST('" + time + "' AS BLOB));";
  }
  REQUIRE_OK(Store::open(path));
  sqlite_cli(path, sql + "COMMIT");
  for (const std::int64_t now : times) {
    CAPTURE(now);
    clock.set(now);
    Store store = must(Store::open(path, {.clock = clock.source()}));
    std::vector<std::string> expected;
    for (const std::int64_t time : times) {
      if (time > now) expected.push_back(std::to_string(time));
    }
    std::sort(expected.begin(), expected.end());
    std::vector<std::string> found;
    std::vector<std::string> one_by_one;
    Range range = store.all();
    for (auto [key, value] : range) {
      found.push_back(value.str());
      one_by_one.push_back(must(store.get(key)).str());
      if (now < 0) continue;  // the time that is left could be more than there is
      CHECK(std::to_string(must(store.ttl(key))->count() + now) == value.str());
    }
    REQUIRE_OK(range.status());
    CHECK(found == one_by_one);
    std::sort(found.begin(), found.end());
    CHECK(found == expected);
    std::vector<std::string> backwards;
    for (auto [key, value] : store.all().reversed()) backwards.push_back(value.str());
    std::sort(backwards.begin(), backwards.end());
    CHECK(backwards == expected);
  }
}

TEST_CASE("an expired entry is absent for erase and put too") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(store.put(key, "old", {.ttl = 1s}));
  clock.advance(2s);
  CHECK_FALSE(must(store.erase("a")));
  REQUIRE_OK(store.put("b", "new"));
  REQUIRE_OK(store.put("c", "new", {.ttl = 1s}));
  CHECK(contents_of(store) == Contents{{"b", "new"}, {"c", "new"}});
  clock.advance(2s);
  CHECK(contents_of(store) == Contents{{"b", "new"}});
  REQUIRE_OK(store.clear());
  CHECK(must(store.count()) == 0);
}

TEST_CASE("count has what was not purged yet") {
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(StoreKind::wal, dir, {.clock = clock.source()});
  REQUIRE_OK(store.put("a", "1", {.ttl = 1s}));
  REQUIRE_OK(store.put("b", "2"));
  clock.advance(2s);
  CHECK(must(store.count()) == 2);
}

TEST_CASE("a put replaces the expiry with the value") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  REQUIRE_OK(store.put("stays", "1", {.ttl = 1s}));
  REQUIRE_OK(store.put("stays", "2"));
  REQUIRE_OK(store.put("longer", "1", {.ttl = 1s}));
  REQUIRE_OK(store.put("longer", "2", {.ttl = 10s}));
  REQUIRE_OK(store.put("shorter", "1", {.ttl = 10s}));
  REQUIRE_OK(store.put("shorter", "2", {.ttl = 1s}));
  clock.advance(5s);
  CHECK(contents_of(store) == Contents{{"longer", "2"}, {"stays", "2"}});
  clock.advance(5s);
  CHECK(contents_of(store) == Contents{{"stays", "2"}});
}

TEST_CASE("a ttl must be positive") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("key", "old"));
  for (const std::chrono::milliseconds ttl :
       {0ms, -1ms, -1'000'000ms, std::chrono::milliseconds::min()}) {
    CAPTURE(ttl.count());
    REQUIRE_ERROR(store.put("key", "new", {.ttl = ttl}), Errc::invalid_argument, "put");
  }
  CHECK(must(store.get("key")) == "old");
}

TEST_CASE("a ttl beyond all time does not wrap round to the past") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (const std::chrono::milliseconds ttl :
       {std::chrono::milliseconds::max(), std::chrono::milliseconds::max() - 1ms,
        std::chrono::milliseconds(std::chrono::hours(24 * 366 * 1000))}) {
    CAPTURE(ttl.count());
    if (auto put = store.put("key", "value", {.ttl = ttl})) {
      CHECK(must(store.get("key")) == "value");
    } else {
      REQUIRE_ERROR(put, Errc::invalid_argument, "put");
    }
  }
}

TEST_CASE("reading what has expired writes nothing") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  for (int i = 0; i < 50; ++i) REQUIRE_OK(store.put(std::to_string(i), "x", {.ttl = 1s}));
  clock.advance(2s);
  const Stats before = must(store.stats());
  const auto log_before = size_of(dir.file("test.db-wal"));
  REQUIRE_ERRC(store.get("7"), Errc::not_found);
  CHECK_FALSE(must(store.contains("8")));
  CHECK(keys(store.all()).empty());
  const Stats after = must(store.stats());
  CHECK(after.wal_commits == before.wal_commits);
  CHECK(after.ttl_purged == before.ttl_purged);
  CHECK(size_of(dir.file("test.db-wal")) == log_before);
  // So a clock that was wrong for a moment has destroyed nothing.
  clock.advance(-2s);
  CHECK(must(store.get("7")) == "x");
  CHECK(must(store.count()) == 50);
}

TEST_CASE("an expired entry read inside a transaction does not end it") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  REQUIRE_OK(store.put("expired", "1", {.ttl = 1s}));
  clock.advance(2s);
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("a", "1"));
    REQUIRE_ERRC(transaction.get("expired"), Errc::not_found);
    CHECK(keys(transaction.all()) == Names{"a"});
    REQUIRE_OK(transaction.rollback());
  }
  CHECK(keys(store.all()).empty());
}

TEST_CASE("a rolled back put leaves the expiry as it was") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
  REQUIRE_OK(store.put("a", "old", {.ttl = 1s}));
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("a", "new"));
    REQUIRE_OK(transaction.put("b", "new", {.ttl = 5s}));
  }
  CHECK(must(store.get("a")) == "old");
  clock.advance(2s);
  CHECK_FALSE(must(store.contains("a")));
  CHECK_FALSE(must(store.contains("b")));
}

TEST_CASE("expiries are in the file, in families too") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  {
    Store store = open_kind(kind, dir, {.sync = Sync::off, .clock = clock.source()});
    ColumnFamily family = must(store.create_column_family("family"));
    REQUIRE_OK(family.put("short", "1", {.ttl = 1s}));
    REQUIRE_OK(family.put("long", "2", {.ttl = 1h}));
  }
  clock.advance(1min);
  const Store store =
      must(open_store(dir.file("test.db"), {.read_only = true, .clock = clock.source()}));
  CHECK(contents_of(must(store.open_column_family("family"))) == Contents{{"long", "2"}});
}

TEST_CASE("the system clock is used when there is no other") {
  const TempDir dir;
  Store store = open_kind(StoreKind::memory, dir);
  REQUIRE_OK(store.put("hour", "1", {.ttl = 1h}));
  REQUIRE_OK(store.put("moment", "1", {.ttl = 1ms}));
  // Ends by itself as soon as the clock has moved on.
  while (must(store.contains("moment"))) {
  }
  CHECK(must(store.contains("hour")));
}

TEST_CASE("statistics count the expired entries that reads met") {
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(StoreKind::wal, dir, {.clock = clock.source()});
  REQUIRE_OK(store.put("a", "1", {.ttl = 1s}));
  CHECK(must(store.get("a")) == "1");
  CHECK(must(store.stats()).ttl_expired == 0);
  clock.advance(2s);
  REQUIRE_ERRC(store.get("a"), Errc::not_found);
  CHECK(must(store.stats()).ttl_expired == 1);
}
