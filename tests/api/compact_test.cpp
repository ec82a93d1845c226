// Compaction in place, and the space report.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"
#include "support/two_families.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

TEST_CASE("compaction shrinks the file and keeps everything") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 5000);
  ColumnFamily other = must(store.column_family("other"));
  for (int i = 0; i < 5000; ++i) {
    if (i % 5 != 0) REQUIRE_OK(store.erase("key" + std::to_string(i)));
  }
  const auto contents_before = everything_of(store);
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  const SpaceReport before = must(store.space());
  CHECK(before.free_bytes > 0);
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  REQUIRE_OK(store.compact([&](std::uint64_t done, std::uint64_t all) {
    last = done;
    total = all;
    return true;
  }));
  CHECK(total > 0);
  CHECK(last == total);
  const SpaceReport after = must(store.space());
  CHECK(after.free_bytes == 0);
  CHECK(after.file_bytes == after.live_bytes);
  CHECK(after.file_bytes < before.file_bytes * 3 / 4);
  if (kind != StoreKind::memory) CHECK(after.file_bytes == size_of(dir.file("test.db")));
  CHECK(after.wal_bytes == 0);
  CHECK((everything_of(store) == contents_before));
  REQUIRE_OK(store.verify());
  // Handles from before are still good, in both directions.
  CHECK(must(other.get("key10")) == "value");
  REQUIRE_OK(other.put("new", "1"));
  REQUIRE_OK(other.erase("new"));
  REQUIRE_OK(store.put("key0", "new"));
  CHECK(must(store.stats()).page_size == 8192);
}

TEST_CASE("snapshots and iterators live through a compaction") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 3000);
  REQUIRE_OK(store.erase_prefix("key1"));
  const auto contents_before = everything_of(store);
  {
    const Snapshot snapshot = must(store.snapshot());
    Iterator iterator = store.iterator();
    iterator.seek("key2");
    REQUIRE(iterator.valid());
    REQUIRE_OK(store.compact());
    CHECK((everything_of(snapshot) == contents_before));
    std::size_t rest = 0;
    for (; iterator.valid(); iterator.next()) ++rest;
    REQUIRE_OK(iterator.status());
    CHECK(rest > 1000);
    REQUIRE_OK(store.put("after", "1"));
    CHECK((everything_of(snapshot) == contents_before));
  }
  REQUIRE_OK(store.erase("after"));
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  const SpaceReport space = must(store.space());
  CHECK(space.free_bytes == 0);
  CHECK(space.file_bytes == space.live_bytes);
  CHECK((everything_of(store) == contents_before));
  REQUIRE_OK(store.verify());
}

TEST_CASE("with a rollback journal a reader is in the way of a compaction") {
  const TempDir dir;
  Store store =
      must(open_store(dir.file("test.db"), {.journal = Journal::rollback, .busy_timeout = 20ms}));
  fill_two_families(store, 500);
  REQUIRE_OK(store.erase_prefix("key1"));
  const auto contents_before = everything_of(store);
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERROR(store.compact(), Errc::busy, "compact");
    CHECK((everything_of(snapshot) == contents_before));
  }
  CHECK((everything_of(store) == contents_before));
  REQUIRE_OK(store.compact());
  CHECK((everything_of(store) == contents_before));
}

TEST_CASE("a compaction that is stopped, or cannot be, changes nothing") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 10'000);
  REQUIRE_OK(store.erase_prefix("key1"));
  const auto contents_before = everything_of(store);
  const std::uint64_t free_before = must(store.space()).free_bytes;
  REQUIRE_ERROR(store.compact([](std::uint64_t, std::uint64_t) { return false; }), Errc::aborted,
                "compact");
  REQUIRE_ERROR(store.compact([](std::uint64_t, std::uint64_t) -> bool { throw 1; }), Errc::aborted,
                "compact");
  Result<void> inside;
  {
    Transaction transaction = must(store.begin());
    REQUIRE_ERROR(store.compact(), Errc::locked, "compact");
    REQUIRE_OK(transaction.put("key", "value"));
    REQUIRE_OK(transaction.rollback());
  }
  CHECK(must(store.space()).free_bytes == free_before);
  CHECK((everything_of(store) == contents_before));
  // Writing from the progress function would wait for itself.
  REQUIRE_OK(store.compact([&](std::uint64_t, std::uint64_t) {
    inside = store.put("from", "progress");
    return true;
  }));
  REQUIRE_ERROR(inside, Errc::locked, "put");
  CHECK((everything_of(store) == contents_before));
}

TEST_CASE("a read-only store is not compacted") {
  const TempDir dir;
  { REQUIRE_OK(open_kind(StoreKind::rollback, dir).put("key", "value")); }
  Store store = must(open_store(dir.file("test.db"), {.read_only = true}));
  REQUIRE_ERROR(store.compact(), Errc::read_only, "compact");
}

TEST_CASE("a compaction beside readers and writers") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 2000);
  std::atomic<bool> stop{false};
  std::vector<std::string> complaints(3);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      ColumnFamily other = *store.column_family("other");
      for (int i = 0; !stop && complaints[thread].empty(); ++i) {
        const std::string key = "key" + std::to_string(i % 2000);
        if (thread == 0) {
          auto got = store.get(key);
          if (!got) complaints[thread] = got.error().message();
        } else {
          auto put =
              (thread == 1 ? other : store.default_column_family()).put(key, patterned(300, i));
          if (!put) complaints[thread] = put.error().message();
        }
      }
    });
  }
  for (int round = 0; round < 5; ++round) REQUIRE_OK(store.compact());
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(complaints == std::vector<std::string>(3));
  REQUIRE_OK(store.verify());
  CHECK(must(store.count()) == 2000);
}

TEST_CASE("the space report adds up") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store);
  const SpaceReport full = must(store.space());
  CHECK(full.live_bytes > 500'000);
  CHECK(full.wal_bytes == (kind == StoreKind::rollback ? 0 : must(store.stats()).wal_bytes));
  REQUIRE_OK(store.clear());
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  const SpaceReport empty = must(store.space());
  CHECK(empty.live_bytes < full.live_bytes);
  CHECK(empty.free_bytes > full.free_bytes);
  CHECK(empty.file_bytes == empty.live_bytes + empty.free_bytes);
  CHECK(empty.wal_bytes == 0);
}
