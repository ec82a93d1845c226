// Checkpoints, sync, vacuum and the integrity check. Statistics are in stats_test.cpp.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// Entries of about a megabyte in all, some of them spilled.
void fill(Store& store) {
  Transaction transaction = must(store.begin());
  for (int i = 0; i < 500; ++i) {
    must(transaction.put("key" + std::to_string(i), patterned(i % 25 == 0 ? 40'000 : 500, i)));
  }
  must(transaction.commit());
}

void check_filled(const Store& store) {
  CHECK(must(store.count()) == 500);
  for (int i = 0; i < 500; ++i) {
    REQUIRE((must(store.get("key" + std::to_string(i))) ==
             BytesView(patterned(i % 25 == 0 ? 40'000 : 500, i))));
  }
}

}  // namespace

TEST_CASE("a checkpoint brings the log into the file") {
  const auto mode = GENERATE(Checkpoint::passive, Checkpoint::full, Checkpoint::restart,
                             Checkpoint::truncate);
  CAPTURE(static_cast<int>(mode));
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.wal_autocheckpoint = 0});
  fill(store);
  CHECK(size_of(dir.file("test.db-wal")) > 1'000'000);
  const CheckpointResult result = must(store.checkpoint(mode));
  if (mode == Checkpoint::truncate) {
    // The log is empty by the time it is counted.
    CHECK(size_of(dir.file("test.db-wal")) == 0);
    CHECK(result.wal_frames == result.checkpointed);
  } else {
    CHECK(result.wal_frames > 100);
    CHECK(result.checkpointed == result.wal_frames);
  }
  CHECK(size_of(dir.file("test.db")) > 1'000'000);
  check_filled(store);
  REQUIRE_OK(store.put("after", "1"));
  CHECK(must(store.get("after")) == "1");
}

TEST_CASE("the log starts again after a checkpoint that restarts it") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.wal_autocheckpoint = 0});
  fill(store);
  REQUIRE_OK(store.checkpoint(Checkpoint::restart));
  const auto size = size_of(dir.file("test.db-wal"));
  for (int i = 0; i < 20; ++i) REQUIRE_OK(store.put("key1", patterned(100, i)));
  CHECK(size_of(dir.file("test.db-wal")) <= size);
}

TEST_CASE("a checkpoint beside an open snapshot") {
  const TempDir dir;
  Store store =
      open_kind(StoreKind::wal, dir, {.busy_timeout = 20ms, .wal_autocheckpoint = 0});
  fill(store);
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_OK(store.put("new", "1"));
    // The passive one does what it can; the others would have to wait.
    const CheckpointResult passive = must(store.checkpoint(Checkpoint::passive));
    CHECK(passive.checkpointed < passive.wal_frames);
    REQUIRE_ERROR(store.checkpoint(Checkpoint::full), Errc::busy, "checkpoint");
    REQUIRE_ERROR(store.checkpoint(Checkpoint::truncate), Errc::busy, "checkpoint");
    CHECK_FALSE(must(snapshot.contains("new")));
    CHECK(must(snapshot.count()) == 500);
  }
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  CHECK(size_of(dir.file("test.db-wal")) == 0);
  CHECK(must(store.get("new")) == "1");
}

TEST_CASE("writers go on while a checkpoint waits for a reader") {
  const TempDir folder;
  Options options;
  options.busy_timeout = 60s;
  Store store = must(open_store(folder.file("a.db"), options));
  must(store.put("a", "1"));
  Iterator reader = store.iterator();
  reader.seek_first();
  must(store.put("b", "2"));
  Result<CheckpointResult> result = CheckpointResult{};
  std::thread checkpointing([&] { result = store.checkpoint(Checkpoint::truncate); });
  // The reader ends only after these, which would wait for the checkpoint if it held their queue.
  for (int i = 0; i < 100; ++i) must(store.put("c" + std::to_string(i), "3"));
  std::this_thread::sleep_for(30ms);
  for (int i = 0; i < 100; ++i) must(store.put("d" + std::to_string(i), "4"));
  reader = Iterator();
  checkpointing.join();
  REQUIRE_OK(result);
  CHECK(must(store.stats()).wal_bytes == 0);
  CHECK(must(store.count()) == 202);
}

TEST_CASE("a checkpoint without a log does nothing, and sync syncs") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.sync());
  REQUIRE_OK(store.put("key", "value"));
  REQUIRE_OK(store.sync());
  for (const auto mode : {Checkpoint::passive, Checkpoint::full, Checkpoint::restart,
                          Checkpoint::truncate}) {
    const CheckpointResult result = must(store.checkpoint(mode));
    if (kind == StoreKind::rollback) {
      CHECK(result.wal_frames == 0);
      CHECK(result.checkpointed == 0);
    }
  }
  CHECK(must(store.get("key")) == "value");
  REQUIRE_OK(store.put("key", "new"));
}

TEST_CASE("vacuum gives unused pages back to the file system") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("kept", "value"));
  CHECK(must(store.vacuum()) == 0);
  fill(store);
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  const auto full_size = size_of(dir.file("test.db"));
  const Stats full = must(store.stats());
  {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 500; ++i) REQUIRE(must(transaction.erase("key" + std::to_string(i))));
    REQUIRE_OK(transaction.commit());
  }
  const Stats erased = must(store.stats());
  CHECK(erased.free_pages > full.db_pages / 2);

  // A few first, then the rest.
  const std::uint32_t some = must(store.vacuum(5));
  CHECK(some >= 1);
  CHECK(some <= 5);
  const std::uint32_t rest = must(store.vacuum());
  CHECK(rest > 0);
  const Stats after = must(store.stats());
  CHECK(after.free_pages == 0);
  CHECK(after.db_pages == erased.db_pages - some - rest);
  CHECK(must(store.vacuum()) == 0);
  CHECK(contents_of(store) == Contents{{"kept", "value"}});
  REQUIRE_OK(store.integrity_check());
  if (kind != StoreKind::memory) {
    REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
    CHECK(size_of(dir.file("test.db")) < full_size / 4);
  }
  fill(store);
  CHECK(must(store.count()) == 501);
}

TEST_CASE("vacuum moves families and snapshots do not notice") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  ColumnFamily first = must(store.create_column_family("first"));
  REQUIRE_OK(first.put("key", patterned(50'000)));
  fill(store);
  ColumnFamily last = must(store.create_column_family("last"));
  REQUIRE_OK(last.put("key", patterned(60'000)));
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.clear());
  CHECK(must(store.vacuum()) > 0);
  // Where the tables are has changed; the handles must find them.
  CHECK((must(first.get("key")) == BytesView(patterned(50'000))));
  CHECK((must(last.get("key")) == BytesView(patterned(60'000))));
  REQUIRE_OK(last.put("key", "new"));
  REQUIRE_OK(store.put("key", "default"));
  CHECK((must(must(snapshot.column_family("last")).get("key")) == BytesView(patterned(60'000))));
  CHECK(must(snapshot.count()) == 500);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("integrity_check finds nothing in a sound store") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.integrity_check());
  fill(store);
  REQUIRE_OK(must(store.create_column_family("family")).put("key", patterned(100'000)));
  REQUIRE_OK(store.integrity_check());
  if (kind != StoreKind::memory) {
    CHECK(sqlite_cli(dir.file("test.db"), "PRAGMA integrity_check") == "ok");
  }
  // Beside a transaction it sees the last commit.
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.clear());
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("integrity_check finds damage anywhere") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  { Store store = open_kind(StoreKind::rollback, dir, {.page_size = 4096}); fill(store); }
  const std::string sound = read_file(path);
  const std::uint64_t pages = sound.size() / 4096;
  int found = 0;
  int tried = 0;
  for (std::uint64_t page = 3; page < pages; page += pages / 12) {
    CAPTURE(page);
    write_file(path, sound);
    // The header of a B-tree page, and its cell pointers.
    overwrite(path, page * 4096, std::string(200, '\x5a'));
    ++tried;
    auto store = open_store(path, {.journal = Journal::rollback});
    if (!store) {
      REQUIRE_ERROR(store, Errc::corrupt, "open");
      ++found;
      continue;
    }
    auto check = store->integrity_check();
    // Bytes in the middle of a value are beyond what a structure check can know.
    if (check) continue;
    REQUIRE_ERROR(check, Errc::corrupt, "integrity_check");
    CHECK_FALSE(check.error().detail().empty());
    ++found;
  }
  CHECK(tried >= 10);
  CHECK(found >= 2);
  write_file(path, sound);
  const Store store = open_kind(StoreKind::rollback, dir);
  REQUIRE_OK(store.integrity_check());
  check_filled(store);
}
