// A handle belongs to the process that opened it. In a forked child every use gives `forked`, and
// nothing the child does with its copy, its end included, harms the parent's store.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// The first of several complaints.
std::string first_of(std::initializer_list<std::string> complaints) {
  for (const std::string& complaint : complaints) {
    if (!complaint.empty()) return complaint;
  }
  return "";
}

template <class R>
std::string forked(const R& result, std::string_view operation) {
  return error_complaint(result, Errc::forked, operation);
}

}  // namespace

TEST_CASE("every use of a store in a child gives forked") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  ColumnFamily family = must(store.create_column_family("family"));
  const std::string report = in_child([&]() -> std::string {
    Range scan = store.all();
    if (scan.begin() != scan.end()) return "a scan in the child found something";
    Iterator iterator = family.iterator();
    iterator.seek_first();
    if (iterator.valid()) return "an iterator in the child is valid";
    return first_of({forked(store.get("key"), "get"), forked(store.contains("key"), "contains"),
                     forked(store.count(), "count"), forked(store.put("key", "child"), "put"),
                     forked(store.erase("key"), "erase"), forked(store.clear(), "clear"),
                     forked(store.begin(), "begin"), forked(store.snapshot(), "snapshot"),
                     forked(store.column_family("family"), ""),
                     forked(store.create_column_family("new"), ""),
                     forked(store.drop_column_family("family"), ""),
                     forked(store.list_column_families(), ""),
                     forked(store.checkpoint(), "checkpoint"), forked(store.sync(), "sync"),
                     forked(store.vacuum(), "vacuum"), forked(store.integrity_check(), ""),
                     forked(store.stats(), "stats"), forked(store.close(), "close"),
                     forked(family.get("key"), "get"), forked(family.put("key", "x"), "put"),
                     forked(scan.status(), ""), forked(iterator.status(), "")});
  });
  CHECK(report == "");
  CHECK(must(store.get("key")) == "value");
  REQUIRE_OK(store.put("key", "parent"));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("an iterator, a transaction and a snapshot that were open at the fork") {
  // Those of the child say forked; those of the parent go on where they were.
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(store.put(key, "old"));
  const Snapshot snapshot = must(store.snapshot());
  Iterator iterator = store.iterator();
  iterator.seek("b");
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("b", "new"));
  Savepoint savepoint = must(transaction.savepoint());
  const std::string report = in_child([&]() -> std::string {
    iterator.next();
    if (iterator.valid()) return "an iterator goes on in the child";
    return first_of({forked(iterator.status(), ""), forked(snapshot.get("a"), "get"),
                     forked(transaction.get("a"), "get"), forked(transaction.put("c", "x"), "put"),
                     forked(savepoint.rollback(), "savepoint"),
                     forked(transaction.commit(), "commit"),
                     forked(transaction.rollback(), "rollback")});
  });
  CHECK(report == "");
  CHECK(must(snapshot.get("b")) == "old");
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "c");
  REQUIRE_OK(transaction.put("d", "new"));
  REQUIRE_OK(savepoint.release());
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store) == Contents{{"a", "old"}, {"b", "new"}, {"c", "old"}, {"d", "new"}});
}

TEST_CASE("the end of every handle in a child leaves the file and its locks alone") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  std::optional<Store> store = open_kind(kind, dir);
  for (int i = 0; i < 100; ++i) REQUIRE_OK(store->put(std::to_string(i), patterned(2000, i)));
  std::optional<Transaction> transaction = must(store->begin());
  REQUIRE_OK(transaction->put("in transaction", "1"));
  const std::string report = in_child([&]() -> std::string {
    // What a child that ends in the usual way does: here without the rest of the test program.
    transaction.reset();
    store.reset();
    return "";
  });
  CHECK(report == "");
  // Others still wait for the transaction: its lock was not let go by the child.
  const std::string path = dir.file("test.db");
  const CliResult other = run_sqlite_cli(path, "BEGIN IMMEDIATE", {"-cmd", ".timeout 0"});
  CHECK(other.exit_code != 0);
  CHECK(other.output.find("locked") != std::string::npos);
  REQUIRE_OK(transaction->put("in transaction", "2"));
  REQUIRE_OK(transaction->commit());
  CHECK(must(store->get("in transaction")) == "2");
  CHECK(must(store->count()) == 101);
  CHECK(sqlite_cli(path, "PRAGMA integrity_check; SELECT count(*) FROM \"default\"") == "ok\n101");
  transaction.reset();
  store.reset();
  CHECK(must(open_kind(kind, dir).count()) == 101);
}

TEST_CASE("the end of a store in a child does not wait for the parent's threads") {
  // The one that ends kept reads, the one that removes what has expired and the one that copies the log:
  // all sleep at the fork.
  const TempDir dir;
  std::optional<Store> store =
      must(open_store(dir.file("a"), {.wal_autocheckpoint = 10, .housekeeping_interval = 1h}));
  for (int i = 0; i < 20; ++i) REQUIRE_OK(store->put("other", std::to_string(i)));
  REQUIRE_OK(store->put("key", "value"));
  CHECK(must(store->get("key")) == "value");  // starts the first of them
  std::this_thread::sleep_for(100ms);
  const std::string report = in_child([&]() -> std::string {
    ::alarm(60);
    store.reset();
    return "ended";
  });
  CHECK(report == "ended");
  CHECK(must(store->get("key")) == "value");
}

TEST_CASE("a child may open the parent's file anew") {
  // Like any other process. The engine's own list of open files, and of the locks on them, goes
  // through a fork though the locks themselves do not.
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  std::optional<Store> store = open_kind(kind, dir);
  REQUIRE_OK(store->put("parent", "0"));
  std::array<int, 2> parent_closed{};
  std::array<int, 2> child_wrote{};
  REQUIRE(::pipe(parent_closed.data()) == 0);
  REQUIRE(::pipe(child_wrote.data()) == 0);
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // Writes, lets the parent close the file, writes again; the parent must not have thought that
    // nobody else was there and put the log away.
    ::close(parent_closed[1]);
    ::close(child_wrote[0]);
    char byte = 0;
    auto own = open_store(dir.file("test.db"),
                           {.journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback});
    bool good = own && own->get("parent") && own->put("child 1", "1");
    good = ::write(child_wrote[1], "x", 1) == 1 && good;
    good = ::read(parent_closed[0], &byte, 1) == 1 && good;
    good = good && own->put("child 2", "2") && own->get("child 1");
    own = Store();
    ::_exit(good ? 0 : 1);
  }
  ::close(parent_closed[0]);
  ::close(child_wrote[1]);
  char byte = 0;
  REQUIRE(::read(child_wrote[0], &byte, 1) == 1);
  CHECK(must(store->get("child 1")) == "1");
  store.reset();
  REQUIRE(::write(parent_closed[1], "x", 1) == 1);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  ::close(parent_closed[1]);
  ::close(child_wrote[0]);
  CHECK(contents_of(open_kind(kind, dir)) ==
        Contents{{"child 1", "1"}, {"child 2", "2"}, {"parent", "0"}});
}

TEST_CASE("a child may open other stores") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "parent"));
  const std::string report = in_child([&]() -> std::string {
    auto own = kind == StoreKind::memory ? Store::open_in_memory() : open_store(dir.file("child"));
    if (!own) return own.error().message();
    if (auto put = own->put("key", "child"); !put) return put.error().message();
    auto value = own->get("key");
    if (!value) return value.error().message();
    return *value == "child" ? "" : "a wrong value";
  });
  CHECK(report == "");
  CHECK(must(store.get("key")) == "parent");
  if (kind == StoreKind::memory) return;
  CHECK(must(must(open_store(dir.file("child"))).get("key")) == "child");
}
