// What a store counts about itself.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
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

TEST_CASE("operations are counted") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.reset_stats());
  REQUIRE_OK(store.put("a", "12345"));
  REQUIRE_OK(store.put("bc", patterned(1000)));
  CHECK(must(store.get("a")) == "12345");
  CHECK(must(store.get("bc")).size() == 1000);
  REQUIRE_ERRC(store.get("none"), Errc::not_found);
  CHECK(must(store.contains("a")));
  CHECK(must(store.erase("a")));
  CHECK_FALSE(must(store.erase("a")));
  CHECK(keys(store.all()).size() == 1);
  static_cast<void>(store.iterator());

  const Stats stats = must(store.stats());
  CHECK(stats.puts == 2);
  CHECK(stats.gets == 4);
  CHECK(stats.deletes == 2);
  CHECK(stats.iterations == 2);
  CHECK(stats.errors == 0);
  CHECK(stats.bytes_read == 1005);
  CHECK(stats.bytes_written == 1 + 5 + 2 + 1000);
  CHECK(stats.ttl_expired == 0);
  CHECK(stats.ttl_purged == 0);
}

TEST_CASE("operations in transactions, families and other threads are counted") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  ColumnFamily family = must(store.create_column_family("family"));
  REQUIRE_OK(store.reset_stats());
  REQUIRE_OK(family.put("a", "1"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("b", "2"));
  REQUIRE_OK(transaction.put("c", "3"));
  CHECK(must(transaction.get("b")) == "2");
  REQUIRE_OK(transaction.commit());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&store] {
      for (int n = 0; n < 25; ++n) static_cast<void>(store.get("b"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Stats stats = must(store.stats());
  CHECK(stats.puts == 3);
  CHECK(stats.gets == 101);
  CHECK(stats.bytes_read == 101);
}

TEST_CASE("write transactions are counted when they commit") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.reset_stats());
  REQUIRE_OK(store.put("a", "1"));
  CHECK(must(store.stats()).wal_commits == 1);
  {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 10; ++i) REQUIRE_OK(transaction.put(std::to_string(i), "x"));
    CHECK(must(store.stats()).wal_commits == 1);
    REQUIRE_OK(transaction.commit());
  }
  CHECK(must(store.stats()).wal_commits == 2);
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("never", "x"));
  }
  CHECK(must(store.get("a")) == "1");
  CHECK(must(store.stats()).wal_commits == 2);
}

TEST_CASE("failures are counted, a missing key is none") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.reset_stats());
  REQUIRE_ERRC(store.get("none"), Errc::not_found);
  CHECK_FALSE(must(store.erase("none")));
  CHECK(must(store.stats()).errors == 0);
  REQUIRE_ERRC(store.put("", "value"), Errc::invalid_argument);
  CHECK(must(store.stats()).errors == 1);
  REQUIRE_ERRC(store.get(""), Errc::invalid_argument);
  CHECK(must(store.stats()).errors == 2);
}

TEST_CASE("checkpoints are counted, automatic ones too") {
  const TempDir dir;
  const bool beside = GENERATE(false, true);
  CAPTURE(beside);
  Store store = open_kind(
      StoreKind::wal, dir,
      {.sync = Sync::off, .wal_autocheckpoint = 20, .background_checkpoints = beside});
  REQUIRE_OK(store.reset_stats());
  REQUIRE_OK(store.checkpoint());
  CHECK(must(store.stats()).checkpoints == 1);
  for (int i = 0; i < 100; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(1000)));
  CHECK(must(store.stats()).checkpoints > 1);
}

TEST_CASE("reset_stats resets the counters and not the gauges") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("a", "1"));
  CHECK(must(store.get("a")) == "1");
  const Snapshot snapshot = must(store.snapshot());
  const Stats before = must(store.stats());
  REQUIRE_OK(store.reset_stats());
  const Stats after = must(store.stats());
  CHECK(before.puts == 1);
  for (const std::uint64_t counter :
       {after.puts, after.gets, after.deletes, after.iterations, after.errors, after.bytes_read,
        after.bytes_written, after.wal_commits, after.checkpoints, after.ttl_expired,
        after.ttl_purged}) {
    CHECK(counter == 0);
  }
  CHECK(after.db_pages == before.db_pages);
  CHECK(after.db_pages > 0);
  CHECK(after.page_size == 8192);
  CHECK(after.wal_bytes == before.wal_bytes);
  CHECK(after.snapshots == 1);
}

TEST_CASE("the size of the log is a gauge") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.wal_autocheckpoint = 0});
  REQUIRE_OK(store.put("a", patterned(50'000)));
  const std::uint64_t first = must(store.stats()).wal_bytes;
  CHECK(first > 50'000);
  CHECK(first == size_of(dir.file("test.db-wal")));
  REQUIRE_OK(store.put("b", patterned(50'000)));
  CHECK(must(store.stats()).wal_bytes > first);
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  CHECK(must(store.stats()).wal_bytes == 0);
}

TEST_CASE("without a log its size is zero") {
  const TempDir dir;
  Store store = open_kind(StoreKind::rollback, dir);
  REQUIRE_OK(store.put("a", patterned(50'000)));
  CHECK(must(store.stats()).wal_bytes == 0);
}

TEST_CASE("the pages of the database are a gauge") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  const Stats empty = must(store.stats());
  CHECK(empty.db_pages > 0);
  REQUIRE_OK(store.put("a", patterned(1'000'000)));
  const Stats full = must(store.stats());
  CHECK(full.db_pages >= empty.db_pages + 1'000'000 / 8192);
  CHECK(must(store.erase("a")));
  const Stats erased = must(store.stats());
  CHECK(erased.free_pages >= empty.free_pages + 1'000'000 / 8192 - 10);
  // The gauges are of the latest commit, not of the open transaction.
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("b", patterned(3'000'000)));
  CHECK(must(store.stats()).db_pages == erased.db_pages);
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.stats()).db_pages > erased.db_pages);
}

TEST_CASE("another store's commits show in the gauges") {
  const TempDir dir;
  Store one = open_kind(StoreKind::wal, dir);
  Store two = open_kind(StoreKind::wal, dir);
  const std::uint64_t before = must(one.stats()).db_pages;
  REQUIRE_OK(two.put("a", patterned(1'000'000)));
  CHECK(must(one.stats()).db_pages > before);
  CHECK(must(one.stats()).puts == 0);
}

TEST_CASE("open snapshots and iterators are a gauge, and how old the oldest is") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("a", "1"));
  CHECK(must(store.stats()).snapshots == 0);
  CHECK(must(store.stats()).oldest_snapshot_age == 0ms);
  {
    const Snapshot snapshot = must(store.snapshot());
    // How long it sleeps does not matter, only that the age is not less.
    std::this_thread::sleep_for(30ms);
    Iterator iterator = store.iterator();
    iterator.seek_first();
    const Stats stats = must(store.stats());
    CHECK(stats.snapshots == 2);
    CHECK(stats.oldest_snapshot_age >= 29ms);
  }
  CHECK(must(store.stats()).snapshots == 0);
  CHECK(must(store.stats()).oldest_snapshot_age == 0ms);
}
