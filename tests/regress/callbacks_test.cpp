// Functions of the caller that use the store they were called by: they may read, and what would wait for
// the operation that called them gives `locked` at once. Nothing hangs, and afterwards all goes on.
#include "callbacks.hpp"

#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

/// As many large values that a snapshot keeps in the log as lead to `on_wal_limit`.
void write_past_limit(Store& store) {
  const Snapshot snapshot = must(store.snapshot());
  for (int i = 0; i < 300; ++i) {
    REQUIRE_OK(store.put("w" + std::to_string(i % 10), patterned(2000, i)));
  }
}

Options limited() { return {.sync = Sync::off, .wal_size_limit = 64u << 10}; }

/// What another thread finds: nothing is held any more.
void check_usable(Store& store) {
  std::string complaint;
  std::thread other([&] {
    auto put = store.put("other", "thread");
    if (!put) complaint = put.error().message();
    auto begun = store.begin();
    if (!begun) complaint = begun.error().message();
  });
  other.join();
  CHECK(complaint == "");
  REQUIRE_OK(store.put("this", "thread"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("in a", "transaction"));
  REQUIRE_OK(transaction.commit());
  REQUIRE_OK(store.checkpoint());
  REQUIRE_OK(store.integrity_check());
}

}  // namespace

TEST_CASE("on_wal_limit may read, and gets locked for what writes") {
  const Watchdog watchdog;
  const bool in_transaction = GENERATE(false, true);
  CAPTURE(in_transaction);
  const TempDir dir;
  Complaints complaints;
  std::optional<Store> store;
  std::optional<Transaction> transaction;
  int calls = 0;
  Options options = limited();
  options.on_wal_limit = [&](const WalPressure&) {
    if (!store) return;
    ++calls;
    complaints.reads(*store);
    complaints.writes_locked(*store);
    if (transaction) {
      complaints.closed("put in the transaction", transaction->put("k", "v"));
      complaints.closed("get in the transaction", transaction->get("k"));
      complaints.closed("commit", transaction->commit());
    }
    throw std::runtime_error("is ignored");
  };
  store = must(open_store(dir.file("store.db"), options));
  REQUIRE_OK(store->put("k", "v"));
  if (in_transaction) {
    const Snapshot snapshot = must(store->snapshot());
    transaction = must(store->begin());
    for (int i = 0; i < 300; ++i) {
      REQUIRE_OK(transaction->put("w" + std::to_string(i), patterned(2000, i)));
    }
    REQUIRE_OK(transaction->commit());
    transaction.reset();
  } else {
    write_past_limit(*store);
  }
  CHECK(calls > 0);
  CHECK(complaints.text() == "");
  check_usable(*store);
}

TEST_CASE("the log may read, and gets locked for what writes") {
  const Watchdog watchdog;
  const TempDir dir;
  Complaints complaints;
  std::optional<Store> store;
  int calls = 0;
  Options options = limited();
  options.log = [&](LogLevel, std::string_view) {
    if (!store) return;
    ++calls;
    complaints.reads(*store);
    complaints.writes_locked(*store);
  };
  store = must(open_store(dir.file("store.db"), options));
  REQUIRE_OK(store->put("k", "v"));
  write_past_limit(*store);
  CHECK(calls > 0);
  CHECK(complaints.text() == "");
  check_usable(*store);
}

TEST_CASE("the log of the housekeeping thread gets locked, and so does closing from it") {
  const Watchdog watchdog;
  const TempDir dir;
  Complaints complaints;
  std::atomic<Store*> published{nullptr};
  std::atomic<int> calls{0};
  Options options{.sync = Sync::off, .housekeeping_interval = milliseconds{2}};
  options.log = [&](LogLevel, std::string_view) {
    Store* const store = published.load();
    if (store == nullptr || calls.load() > 0) return;
    complaints.reads(*store);
    complaints.writes_locked(*store);
    ++calls;
  };
  Store store = must(open_store(dir.file("store.db"), options));
  REQUIRE_OK(store.put("k", "v"));
  published = &store;
  while (calls.load() == 0) {
    REQUIRE_OK(store.put("short", "life", {.ttl = milliseconds{1}}));
    std::this_thread::sleep_for(milliseconds{5});
  }
  CHECK(complaints.text() == "");
  check_usable(store);
  REQUIRE_OK(store.close());
}

TEST_CASE("merge may read, and gets locked for what writes") {
  const Watchdog watchdog;
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("k", "v"));
  Complaints complaints;
  REQUIRE_OK(store.merge("k", [&](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    complaints.reads(store);
    complaints.writes_locked(store);
    return Bytes("merged");
  }));
  CHECK(complaints.text() == "");
  CHECK(must(store.get("k")) == "merged");
  check_usable(store);
}

TEST_CASE("merge in a transaction may read through it, and must not change or end it") {
  const Watchdog watchdog;
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, no_sync());
  Complaints complaints;
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("k", "v"));
  Savepoint savepoint = must(transaction.savepoint());
  const auto use = [&] {
    complaints.ok("get", transaction.get("k"));
    complaints.locked("put", transaction.put("k", "other"));
    complaints.locked("commit", transaction.commit());
    complaints.locked("rollback", transaction.rollback());
    complaints.locked("savepoint", transaction.savepoint());
    complaints.locked("savepoint rollback", savepoint.rollback());
    complaints.locked("create", transaction.create_column_family("more"));
  };
  REQUIRE_OK(transaction.merge("k", [&](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    use();
    return Bytes("merged");
  }));
  REQUIRE_OK(transaction.visit("k", [&](BytesView value) {
    use();
    complaints.require(value == BytesView("merged"), "the value changed under the visitor");
  }));
  CHECK(complaints.text() == "");
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.get("k")) == "merged");
}

TEST_CASE("a merge that another thread carries out gets locked too") {
  const Watchdog watchdog;
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, no_sync());
  Complaints complaints;
  std::atomic<int> elsewhere{0};
  for (int round = 0; round < 200 && elsewhere.load() == 0; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const auto self = std::this_thread::get_id();
        auto merged = store.merge(
            "k" + std::to_string(i), [&](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
              if (std::this_thread::get_id() != self) ++elsewhere;
              complaints.locked("put", store.put("x", "y"));
              std::this_thread::sleep_for(milliseconds{1});
              return Bytes("merged");
            });
        complaints.ok("merge", merged);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(elsewhere.load() > 0);
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("visit may read the same snapshot, and gets locked for what writes") {
  const Watchdog watchdog;
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("k", "v"));
  Complaints complaints;
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_OK(snapshot.visit("k", [&](BytesView value) {
      complaints.ok("get", snapshot.get("k"));
      auto scan = snapshot.all();
      for (auto entry : scan) complaints.require(entry.key == BytesView("k"), "another key");
      complaints.ok("scan", scan.status());
      complaints.locked("put", store.put("k", "w"));
      complaints.require(value == BytesView("v"), "the value changed under the visitor");
    }));
  }
  REQUIRE_OK(store.visit("k", [&](BytesView) {
    complaints.reads(store);
    complaints.writes_locked(store);
  }));
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("a visitor of a snapshot and a commit that wants to end it do not wait for each other") {
  const Watchdog watchdog;
  const TempDir dir;
  Options options = limited();
  options.expire_snapshots = true;
  Store store = must(open_store(dir.file("store.db"), options));
  REQUIRE_OK(store.put("k", "v"));
  Complaints complaints;
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(snapshot.visit("k", [&](BytesView value) {
    std::thread writer([&] {
      for (int i = 0; i < 300; ++i) {
        complaints.ok("put", store.put("w" + std::to_string(i % 10), patterned(2000, i)));
      }
    });
    // What takes the lock that the writer has while it looks for snapshots to end.
    for (int i = 0; i < 1000; ++i) complaints.ok("stats", store.stats());
    writer.join();
    complaints.require(value == BytesView("v"), "the value changed under the visitor");
  }));
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("the clock may read, and gets locked for what writes") {
  const Watchdog watchdog;
  const TempDir dir;
  Complaints complaints;
  std::optional<Store> store;
  FakeClock clock;
  int calls = 0;
  Options options = no_sync();
  options.clock = [&] {
    if (store) {
      ++calls;
      complaints.ok("get", store->get("expires"));
      complaints.locked("put", store->put("k", "w"));
      complaints.locked("checkpoint", store->checkpoint());
      complaints.locked("begin", store->begin());
    }
    return clock.now();
  };
  store = must(open_store(dir.file("store.db"), options));
  {
    std::optional<Store> quiet = std::exchange(store, std::nullopt);
    REQUIRE_OK(quiet->put("expires", "v", {.ttl = std::chrono::hours{1}}));
    store = quiet;
  }
  REQUIRE_OK(store->put("k", "v"));
  REQUIRE_OK(store->get("expires"));
  REQUIRE_OK(store->snapshot());
  REQUIRE_OK(store->begin());
  CHECK(calls > 2);
  CHECK(complaints.text() == "");
  REQUIRE_OK(store->close());
}

TEST_CASE("progress functions write where the operation lets others write") {
  const Watchdog watchdog;
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (int i = 0; i < 300; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(3000, i)));
  REQUIRE_OK(store.put("k", "v"));
  Complaints complaints;
  const auto may_write = [&](std::uint64_t, std::uint64_t) {
    complaints.ok("get", store.get("k"));
    if (kind == StoreKind::rollback) {
      complaints.writes_locked(store);
    } else {
      complaints.ok("put", store.put("status", "half"));
      complaints.locked("close", store.close());
    }
    return true;
  };
  // A database with a rollback journal cannot be read while `compact` replaces its pages.
  const auto must_not = [&](std::uint64_t, std::uint64_t) {
    if (kind != StoreKind::rollback) complaints.ok("get", store.get("k"));
    complaints.writes_locked(store);
    return true;
  };
  REQUIRE_OK(store.compact(must_not));
  CHECK(complaints.text() == "");
  REQUIRE_OK(store.backup(dir.file("copy.db"), may_write));
  REQUIRE_OK(store.verify(may_write));
  CHECK(complaints.text() == "");
  write_file(dir.file("in"), patterned(1u << 20, 1));
  REQUIRE_OK(store.put_file("blob", dir.file("in"), {}, must_not));
  REQUIRE_OK(store.get_to_file("blob", dir.file("out"), may_write));
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("the progress function of a rotation of keys may write") {
  const Watchdog watchdog;
  const TempDir dir;
  const Secret secret = Secret::key(std::string(32, 'k'));
  Store store = must(Store::open_encrypted(dir.file("store.db"), secret, no_sync()));
  for (int i = 0; i < 10; ++i) REQUIRE_OK(store.put(std::to_string(i), "v"));
  Complaints complaints;
  int calls = 0;
  REQUIRE_OK(store.rotate_key(secret, [&](std::uint64_t, std::uint64_t) {
    ++calls;
    complaints.ok("put", store.put("status", "half"));
    complaints.ok("get", store.get("1"));
    complaints.locked("close", store.close());
    return true;
  }));
  CHECK(calls > 0);
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("a watch callback may write, and must not close") {
  const Watchdog watchdog;
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Complaints complaints;
  int calls = 0;
  {
    const Watch watch = must(store.watch("watched", [&](const Change&) {
      ++calls;
      complaints.ok("put", store.put("seen", "yes"));
      complaints.ok("checkpoint", store.checkpoint());
      auto transaction = store.begin();
      complaints.ok("begin", transaction);
      complaints.locked("put beside a transaction", store.put("seen", "no"));
      if (transaction) complaints.ok("commit", transaction->commit());
      complaints.locked("close", store.close());
    }));
    REQUIRE_OK(store.put("watched", "1"));
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("watched", "2"));
    REQUIRE_OK(transaction.commit());
  }
  CHECK(calls == 2);
  CHECK(complaints.text() == "");
  check_usable(store);
}

TEST_CASE("functions of two stores that write to the other one's do not wait for each other") {
  const Watchdog watchdog;
  const TempDir dir;
  Options options = no_sync();
  options.busy_timeout = std::chrono::minutes{10};
  Store stores[2] = {must(open_store(dir.file("a.db"), options)),
                     must(open_store(dir.file("b.db"), options))};
  std::atomic<int> inside{0};
  Complaints complaints;
  std::atomic<int> locked{0};
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      complaints.ok("merge", stores[i].merge("k", [&](auto) -> Result<std::optional<Bytes>> {
        ++inside;
        while (inside.load() < 2) std::this_thread::yield();
        auto put = stores[1 - i].put("k", "v");
        if (!put) ++locked;
        complaints.require(put || put.error() == Errc::locked, "neither written nor locked");
        return Bytes("merged");
      }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(locked.load() == 1);  // who came last; then the other one's turn comes
  CHECK(complaints.text() == "");
  for (Store& store : stores) check_usable(store);
}

TEST_CASE("a second handle on the file is busy, not stuck") {
  const Watchdog watchdog;
  const TempDir dir;
  Options options = no_sync();
  options.busy_timeout = milliseconds{50};
  Store store = must(open_store(dir.file("store.db"), options));
  Store second = must(open_store(dir.file("store.db"), options));
  Complaints complaints;
  REQUIRE_OK(store.merge("k", [&](auto) -> Result<std::optional<Bytes>> {
    auto put = second.put("k", "v");
    complaints.require(!put && put.error() == Errc::busy, "put through a second handle");
    complaints.ok("count", second.count());
    return Bytes("merged");
  }));
  CHECK(complaints.text() == "");
  check_usable(second);
  check_usable(store);
}
