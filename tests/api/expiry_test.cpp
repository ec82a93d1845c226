// Expiry beyond put: setting, removing and asking for it, purging, the background thread.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

TEST_CASE("ttl tells the time that is left") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  REQUIRE_OK(store.put("k", "v", {.ttl = 100ms}));
  CHECK(must(store.ttl("k")) == 100ms);
  clock.advance(99ms);
  CHECK(must(store.ttl("k")) == 1ms);
  REQUIRE_OK(store.put("k", "v"));
  CHECK_FALSE(must(store.ttl("k")).has_value());
  REQUIRE_ERROR(store.ttl("absent"), Errc::not_found, "ttl");
}

TEST_CASE("expire and persist leave the value alone") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::size_t size = GENERATE(3u, 100'000u);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  const std::string value = patterned(size);
  REQUIRE_OK(store.put("k", value));
  REQUIRE_OK(store.expire("k", 50ms));
  CHECK(must(store.ttl("k")) == 50ms);
  CHECK((must(store.get("k")) == BytesView(value)));
  REQUIRE_OK(store.persist("k"));
  clock.advance(1h);
  CHECK((must(store.get("k")) == BytesView(value)));
  REQUIRE_OK(store.expire_at("k", TimePoint(std::chrono::milliseconds(clock.now() + 7))));
  CHECK(must(store.ttl("k")) == 7ms);
  clock.advance(7ms);
  REQUIRE_ERROR(store.expire("k", 1s), Errc::not_found, "expire");
  REQUIRE_ERROR(store.persist("k"), Errc::not_found, "persist");
  CHECK(must(store.purge_expired()) == 1);
  CHECK(must(store.count()) == 0);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("impossible expiries are refused and change nothing") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  REQUIRE_OK(store.put("k", "v"));
  REQUIRE_ERROR(store.put("k", "w", {.ttl = 0ms}), Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.put("k", "w", {.ttl = -1ms}), Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.put("k", "w", {.ttl = std::chrono::milliseconds::max()}),
                Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.put("k", "w", {.ttl = 1ms, .expires_at = TimePoint(1ms)}),
                Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.put("k", "w", {.expires_at = TimePoint(-1ms)}), Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.expire("k", 0ms), Errc::invalid_argument, "expire");
  CHECK(must(store.get("k")) == "v");
  CHECK_FALSE(must(store.ttl("k")).has_value());
  // A moment that is over is allowed: the entry is expired from the start.
  REQUIRE_OK(store.put("past", "v", {.expires_at = TimePoint(1ms)}));
  CHECK_FALSE(must(store.contains("past")));
}

TEST_CASE("purging takes those first that expired first, up to the limit") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  // Expiry runs against key order.
  for (int i = 0; i < 100; ++i) {
    must(store.put("k" + std::to_string(100 + i), "v", {.ttl = std::chrono::milliseconds(200 - i)}));
  }
  REQUIRE_OK(store.put("stays", "v"));
  clock.advance(150ms);
  CHECK(must(store.count_live()) == 51);
  CHECK(must(store.count()) == 101);
  CHECK(must(store.purge_expired(10)) == 10);
  CHECK(must(store.count()) == 91);
  // The ten last keys were the first to expire: through time travel the others come back.
  clock.advance(-150ms);
  CHECK(must(store.contains("k189")));
  CHECK_FALSE(must(store.contains("k190")));
  clock.advance(150ms);
  CHECK(must(store.purge_expired()) == 40);
  CHECK(must(store.purge_expired()) == 0);
  CHECK(must(store.count()) == 51);
  CHECK(must(store.stats()).ttl_purged == 50);
}

TEST_CASE("purging one family leaves the others alone; purging all takes them in turn") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  ColumnFamily a = must(store.create_column_family("a"));
  ColumnFamily b = must(store.create_column_family("b"));
  for (int i = 0; i < 2500; ++i) must(a.put(std::to_string(i), "v", {.ttl = 1ms}));
  REQUIRE_OK(b.put("x", "v", {.ttl = 1ms}));
  REQUIRE_OK(store.put("y", "v", {.ttl = 1ms}));
  clock.advance(1ms);
  CHECK(must(b.purge_expired()) == 1);
  CHECK(must(a.count()) == 2500);
  CHECK(must(store.purge_all_expired(2000)) == 2000);
  CHECK(must(store.purge_all_expired()) == 501);
  CHECK(must(a.count()) + must(store.count()) == 0);
}

TEST_CASE("purging inside a transaction is undone with it") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  REQUIRE_OK(store.put("k", "v", {.ttl = 1ms}));
  clock.advance(1ms);
  Transaction transaction = must(store.begin());
  CHECK(must(transaction.purge_expired()) == 1);
  CHECK(must(transaction.count()) == 0);
  REQUIRE_OK(transaction.rollback());
  CHECK(must(store.count()) == 1);
  CHECK(must(store.purge_expired()) == 1);
}

TEST_CASE("time stands still inside a transaction and inside a snapshot") {
  const TempDir dir;
  FakeClock clock;
  Store store = must(open_store(dir.file("store.db"), {.clock = clock.source()}));
  REQUIRE_OK(store.put("k", "v", {.ttl = 5ms}));
  Snapshot snapshot = must(store.snapshot());
  Transaction transaction = must(store.begin());
  clock.advance(10ms);
  CHECK(must(snapshot.contains("k")));
  CHECK(must(transaction.contains("k")));
  CHECK_FALSE(must(store.contains("k")));
}

TEST_CASE("a put in a transaction that is rolled back leaves the expiry as it was") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  REQUIRE_OK(store.put("k", "v", {.ttl = 10ms}));
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("k", "for ever"));
    REQUIRE_OK(transaction.rollback());
  }
  CHECK(must(store.ttl("k")) == 10ms);
  clock.advance(10ms);
  CHECK_FALSE(must(store.contains("k")));
  CHECK(must(store.purge_expired()) == 1);
}

TEST_CASE("a store without expiries has no index of them") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db")));
  const auto before = must(store.stats()).db_pages;
  REQUIRE_OK(store.put("k", "v"));
  CHECK(must(store.purge_all_expired()) == 0);
  CHECK(must(store.stats()).db_pages == before);
  CHECK(must(store.family_stats()).expiring == 0);
  REQUIRE_OK(store.put("t", "v", {.ttl = 1h}));
  CHECK(must(store.family_stats()).expiring == 1);
  CHECK(must(store.stats()).db_pages > before);
}

TEST_CASE("the background thread purges and empties the log, and closing stops it") {
  const TempDir dir;
  FakeClock clock;
  Store store = must(open_store(dir.file("store.db"), {.housekeeping_interval = 1ms,
                                                        .clock = clock.source()}));
  for (int i = 0; i < 50; ++i) must(store.put(std::to_string(i), "v", {.ttl = 1ms}));
  clock.advance(1ms);
  // No promise about when; the test only gives up after a long time.
  for (int i = 0; i < 10'000; ++i) {
    const Stats stats = must(store.stats());
    if (stats.ttl_purged == 50 && stats.wal_bytes == 0) break;
    std::this_thread::sleep_for(1ms);
  }
  CHECK(must(store.count()) == 0);
  CHECK(must(store.stats()).wal_bytes == 0);
  REQUIRE_OK(store.close());
}
