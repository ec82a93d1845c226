// Copies of a live store. Compaction in place is in compact_test.cpp.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"
#include "support/two_families.hpp"

#include <snkv/snkv.hpp>

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

TEST_CASE("a copy is a store with the same contents") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool compact = GENERATE(false, true);
  CAPTURE(kind, compact);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store);
  for (int i = 0; i < 1000; i += 3) REQUIRE_OK(store.erase("key" + std::to_string(i)));
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact}));
  REQUIRE_OK(store.put("after", "1"));  // the store goes on as before
  REQUIRE_OK(store.erase("after"));

  // It is one file at rest, that can be read without writing anything.
  CHECK(size_of(dir.file("copy.db-wal")) == 0);
  {
    const Store copy =
        must(open_copy(dir.file("copy.db"), store, {.read_only = true, .immutable = true}));
    CHECK((everything_of(copy) == everything_of(store)));
  }
  Store copy = must(open_copy(dir.file("copy.db"), store));
  CHECK((everything_of(copy) == everything_of(store)));
  const VerifyReport report = must(copy.verify());
  CHECK(report.entries == must(store.count()) + 100);
  CHECK(report.families == 2);
  CHECK(must(must(copy.column_family("other")).ttl("key10")).has_value());
  const SpaceReport space = must(copy.space());
  if (compact) {
    CHECK(space.free_bytes == 0);
  } else {
    CHECK(space.free_bytes > 0);
  }
  REQUIRE_OK(copy.put("new", "1"));
  CHECK_FALSE(must(store.contains("new")));
  REQUIRE_OK(copy.close());
  CHECK(sqlite_cli(dir.file("copy.db"), "PRAGMA integrity_check") == "ok");
  CHECK(sqlite_cli(dir.file("copy.db"), "PRAGMA auto_vacuum") == "2");
}

TEST_CASE("a copy keeps the page size, whatever the store was opened with") {
  const bool compact = GENERATE(false, true);
  CAPTURE(compact);
  const TempDir dir;
  REQUIRE_OK(must(open_store(dir.file("test.db"), {.page_size = 4096})).put("key", "value"));
  Store store = must(open_store(dir.file("test.db"), {.page_size = 16384}));
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact}));
  CHECK(sqlite_cli(dir.file("copy.db"), "PRAGMA page_size") == "4096");
}

TEST_CASE("a read-only store can be copied") {
  const bool immutable = GENERATE(false, true);
  const bool compact = GENERATE(false, true);
  CAPTURE(immutable, compact);
  const TempDir dir;
  {
    Store store = open_kind(StoreKind::rollback, dir);
    fill_two_families(store, 100);
  }
  const Store store =
      must(open_store(dir.file("test.db"), {.read_only = true, .immutable = immutable}));
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact}));
  const Store copy = must(open_copy(dir.file("copy.db"), store));
  CHECK((everything_of(copy) == everything_of(store)));
  REQUIRE_OK(copy.verify());
}

TEST_CASE("a copy while two threads write is one moment of the store") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  const bool compact = GENERATE(false, true);
  CAPTURE(kind, compact);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 3000);
  REQUIRE_OK(store.put("even", "0"));
  std::atomic<bool> stop{false};
  std::vector<std::string> complaints(2);
  std::vector<std::thread> writers;
  for (int thread = 0; thread < 2; ++thread) {
    writers.emplace_back([&, thread] {
      for (int i = 0; !stop && complaints[thread].empty(); ++i) {
        // Both keys or none: a copy in between would show.
        const std::string value = std::to_string(thread) + ":" + std::to_string(i);
        auto done = store.transact([&](Transaction& t) -> Result<void> {
          for (const char* name : {"first", "second"}) {
            auto put =
                t.put(std::string(name) + std::to_string(thread), value + patterned(5000, i % 7));
            if (!put) return put;
          }
          return t.put("key" + std::to_string(i % 3000), patterned(300 + i % 40, i));
        });
        if (!done) complaints[thread] = done.error().message();
      }
    });
  }
  while (!must(store.contains("first0")) || !must(store.contains("first1"))) {
  }
  std::vector<std::string> copies;
  for (int round = 0; round < 3; ++round) {
    const std::string name = dir.file("copy" + std::to_string(round));
    REQUIRE_OK(store.backup(name, {.compact = compact}));
    copies.push_back(name);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  CHECK(complaints == std::vector<std::string>(2));
  for (const std::string& name : copies) {
    const Store copy = must(open_copy(name, store));
    REQUIRE_OK(copy.verify());
    for (const char* thread : {"0", "1"}) {
      CHECK((must(copy.get(std::string("first") + thread)) ==
             BytesView(must(copy.get(std::string("second") + thread)))));
    }
    CHECK(must(copy.count()) == 3000 + 5);
  }
}

TEST_CASE("a copy is that of its beginning") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 3000);
  const Snapshot before = must(store.snapshot());
  bool wrote = false;
  REQUIRE_OK(store.backup(dir.file("copy.db"), [&](std::uint64_t, std::uint64_t) {
    if (!wrote) must(store.put("later", "1"));
    wrote = true;
    return true;
  }));
  CHECK(wrote);
  const Store copy = must(open_copy(dir.file("copy.db"), store));
  CHECK((everything_of(copy) == everything_of(before)));
  REQUIRE_OK(copy.verify());
}

TEST_CASE("progress runs from something to everything, and can stop the copy") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool compact = GENERATE(false, true);
  CAPTURE(kind, compact);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill_two_families(store, 10'000);
  const auto before = files_in(dir.path());

  std::uint64_t calls = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  bool monotone = true;
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact},
                          [&](std::uint64_t done, std::uint64_t all) {
                            monotone = monotone && done >= last && done <= all;
                            last = done;
                            total = all;
                            ++calls;
                            return true;
                          }));
  CHECK(monotone);
  CHECK(calls > 1);
  CHECK(last == total);
  CHECK(total > 400);
  std::filesystem::remove(dir.file("copy.db"));

  for (const std::uint64_t stop_at : {std::uint64_t{1}, calls / 2, calls}) {
    CAPTURE(stop_at, calls);
    std::uint64_t call = 0;
    REQUIRE_ERROR(store.backup(dir.file("copy.db"), {.compact = compact},
                               [&](std::uint64_t, std::uint64_t) { return ++call < stop_at; }),
                  Errc::aborted, "backup");
    CHECK(files_in(dir.path()) == before);
  }
  const Progress throws = [](std::uint64_t, std::uint64_t) -> bool {
    throw std::runtime_error("no");
  };
  REQUIRE_ERROR(store.backup(dir.file("copy.db"), {.compact = compact}, throws), Errc::aborted,
                "backup");
  CHECK(files_in(dir.path()) == before);
  REQUIRE_OK(store.put("still", "works"));
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact}));
}

TEST_CASE("a copy never replaces anything") {
  const bool compact = GENERATE(false, true);
  CAPTURE(compact);
  const BackupOptions options{.compact = compact};
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  fill_two_families(store, 100);
  write_file(dir.file("file"), "not a store");
  REQUIRE_OK(must(open_store(dir.file("other.db"))).put("key", "value"));
  std::filesystem::create_directory(dir.file("folder"));
  std::filesystem::create_symlink(dir.file("nowhere"), dir.file("dangling"));
  std::filesystem::create_symlink(dir.file("test.db"), dir.file("link"));
  std::filesystem::create_hard_link(dir.file("test.db"), dir.file("hard"));
  write_file(dir.file("former.db-wal"), "the log of a database that is gone");
  const auto before = files_in(dir.path());

  for (const char* name : {"file", "other.db", "folder", "dangling", "former.db"}) {
    CAPTURE(name);
    REQUIRE_ERROR(store.backup(dir.file(name), options), Errc::exists, "backup");
  }
  for (const char* name : {"test.db", "link", "hard", "folder/../test.db"}) {
    CAPTURE(name);
    const auto refused = store.backup(dir.file(name), options);
    REQUIRE_ERROR(refused, Errc::exists, "backup");
    CHECK(refused.error().message().find("the store itself") != std::string::npos);
  }
  CHECK(files_in(dir.path()) == before);
  CHECK(read_file(dir.file("file")) == "not a store");
  CHECK(must(must(open_store(dir.file("other.db"))).get("key")) == "value");
  REQUIRE_OK(store.verify());
}

TEST_CASE("a copy to where nothing can be written") {
  const TempDir dir;
  Store store = open_kind(StoreKind::rollback, dir);
  REQUIRE_OK(store.put("key", "value"));
  REQUIRE_ERROR(store.backup(""), Errc::invalid_argument, "backup");
  REQUIRE_ERROR(store.backup(std::string_view("a\0b", 3)), Errc::invalid_argument, "backup");
  // In rollback mode there is no log: its name is free, but not for anybody else.
  REQUIRE_ERROR(store.backup(dir.file("test.db-wal")), Errc::invalid_argument, "backup");
  REQUIRE_ERROR(store.backup(dir.file("test.db-journal")), Errc::invalid_argument, "backup");
  REQUIRE_ERROR(store.backup(dir.file("no/such/folder.db")), Errc::cant_open, "backup");
  REQUIRE_ERROR(store.backup(dir.file("test.db/x")), Errc::cant_open, "backup");
  REQUIRE_ERROR(store.backup(dir.file("new/")), Errc::cant_open, "backup");
  REQUIRE_ERROR(store.backup("/proc/snkv-test"), Errc::cant_open, "backup");
  REQUIRE_ERROR(store.backup(dir.file(std::string(300, 'x'))), Errc::cant_open, "backup");
  CHECK(files_in(dir.path()) == std::vector<std::string>{"test.db"});
}

TEST_CASE("names that mean something to the engine mean nothing here") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  const bool compact = GENERATE(false, true);
  CAPTURE(kind, compact);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  std::filesystem::current_path(dir.path());
  for (const char* name :
       {":memory:", "file:x.db", "file:y.db?mode=memory", "a b%20'c'.db", "\xc3\xa4#?"}) {
    CAPTURE(name);
    REQUIRE_OK(store.backup(name, {.compact = compact}));
    REQUIRE(std::filesystem::exists(dir.path() / name));
    const Store copy = must(open_copy(dir.file(name), store));
    CHECK(must(copy.get("key")) == "value");
  }
  std::filesystem::current_path("/");
}

TEST_CASE("the copy of a private file is private") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("key", "value"));
  std::filesystem::permissions(dir.file("test.db"), std::filesystem::perms(0600));
  REQUIRE_OK(store.backup(dir.file("copy.db")));
  CHECK(std::filesystem::status(dir.file("copy.db")).permissions() == std::filesystem::perms(0600));
}

TEST_CASE("a store cannot be closed while it is copied, and counts the copy as a snapshot") {
  const bool compact = GENERATE(false, true);
  CAPTURE(compact);
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  fill_two_families(store);
  std::string complaint;
  REQUIRE_OK(
      store.backup(dir.file("copy.db"), {.compact = compact}, [&](std::uint64_t, std::uint64_t) {
        // Its own function would wait for itself; others may try again.
        auto closed = store.close();
        if (closed || !(closed.error() == Errc::locked)) complaint = "closed";
        std::thread([&] {
          auto by_another = store.close();
          if (by_another || !(by_another.error() == Errc::busy)) complaint = "closed by another thread";
        }).join();
        if (store.stats()->snapshots != 1) complaint = "no snapshot";
        return true;
      }));
  CHECK(complaint.empty());
  REQUIRE_OK(store.close());
  REQUIRE_ERROR(store.backup(dir.file("second.db")), Errc::closed, "backup");
  REQUIRE_ERROR(store.compact(), Errc::closed, "compact");
  REQUIRE_ERROR(store.space(), Errc::closed, "space");
}

TEST_CASE("inside a transaction the copy is without its changes") {
  const bool compact = GENERATE(false, true);
  CAPTURE(compact);
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("key", "before"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("key", "inside"));
  REQUIRE_OK(store.backup(dir.file("copy.db"), {.compact = compact}));
  REQUIRE_OK(transaction.commit());
  CHECK(must(must(open_copy(dir.file("copy.db"), store)).get("key")) == "before");
}
