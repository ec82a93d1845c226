// Handles that end in other threads than they began in, and close() in the middle of everything.
#include "threads.hpp"

#include "support/encrypted.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

Options patient() {
  Options options;
  options.sync = Sync::off;
  options.busy_timeout = std::chrono::seconds{60};
  return options;
}

}  // namespace

TEST_CASE("copies of a store end in other threads, the last one closes the file") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Complaints complaints;
  for (int round = 0; round < 20; ++round) {
    Threads threads;
    {
      Store store = open_kind(kind, folder, patient());
      for (int copy = 0; copy < 4; ++copy) {
        threads.once(
            [mine = std::optional(store), &complaints, copy](ThreadRandom& random) mutable {
              auto family = mine->column_family("shared");
              if (!complaints.check(family, "column_family")) return;
              const std::string key = "k" + std::to_string(copy);
              complaints.check(family->put(key, "value"), "put");
              // The family keeps the store open after the store handle is gone.
              mine.reset();
              if (random.percent(50)) std::this_thread::yield();
              complaints.check(family->get(key), "get");
            });
      }
    }
    threads.join();
    REQUIRE_NO(complaints);
  }
  if (kind != StoreKind::memory) {
    Store store = open_kind(kind, folder, patient());
    REQUIRE(must(must(store.open_column_family("shared")).count()) == 4);
    REQUIRE_OK(store.integrity_check());
  }
}

TEST_CASE("views outlive their store, and end in other threads") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Complaints complaints;
  for (int round = 0; round < 20; ++round) {
    Threads threads;
    {
      Store store = open_kind(kind, folder, patient());
      must(store.put("a", "1"));
      must(store.put("b", "2"));
      for (int view = 0; view < 3; ++view) {
        auto snapshot = std::make_shared<Snapshot>(must(store.snapshot()));
        auto cursor = std::make_shared<Iterator>(store.iterator());
        threads.once([snapshot, cursor, &complaints](ThreadRandom&) mutable {
          cursor->seek_first();
          complaints.require(cursor->valid() && cursor->key() == BytesView("a"), "first entry");
          cursor->next();
          complaints.require(cursor->valid() && cursor->key() == BytesView("b"), "second entry");
          complaints.check(cursor->status(), "iterator");
          auto value = snapshot->get("b");
          if (complaints.check(value, "get")) complaints.require(value->view() == "2", "value");
          if (value) cursor.reset();
        });
      }
    }
    threads.join();
    REQUIRE_NO(complaints);
  }
}

TEST_CASE("close beside users gives closed or busy, never anything else") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const auto end = std::chrono::steady_clock::now() + test_duration(milliseconds{700});
  const TempDir folder;
  int rounds = 0;
  while (std::chrono::steady_clock::now() < end) {
    ++rounds;
    Store store = open_kind(kind, folder, patient());
    must(store.put("k", "value"));
    Complaints complaints;
    std::atomic<std::uint64_t> acknowledged{0};
    Threads threads;
    threads.loop([&, number = std::uint64_t{0}](ThreadRandom&) mutable {
      ++number;
      if (complaints.check(store.put("number", std::to_string(number)), "put", {Errc::closed})) {
        acknowledged = number;
      }
    });
    threads.loop([&](ThreadRandom&) {
      auto value = store.get("k");
      if (complaints.check(value, "get", {Errc::closed})) {
        complaints.require(value->view() == "value", "get: wrong value");
      }
      complaints.check(store.stats(), "stats", {Errc::closed});
    });
    threads.loop([&](ThreadRandom&) {
      {
        // Of its own scope: with a rollback journal a writer waits until it has ended, and then
        // lets no new reader in.
        auto scan = store.all();
        for ([[maybe_unused]] auto entry : scan) {
        }
        complaints.check(scan.status(), "scan", {Errc::closed});
      }
      auto snapshot = store.snapshot();
      if (complaints.check(snapshot, "snapshot", {Errc::closed})) {
        // An open snapshot keeps close() out, so this cannot be too late.
        complaints.check(snapshot->get("k"), "get in a snapshot");
      }
    });
    threads.loop([&](ThreadRandom& random) {
      auto transaction = store.begin();
      if (!complaints.check(transaction, "begin", {Errc::closed})) return;
      complaints.check(transaction->put("t", "x"), "put in a transaction");
      if (random.percent(50)) complaints.check(transaction->commit(), "commit");
      complaints.check(store.checkpoint(), "checkpoint", {Errc::closed, Errc::locked, Errc::busy});
    });
    bool closed = false;
    for (int attempt = 0; !closed && attempt < 2000; ++attempt) {
      std::this_thread::sleep_for(std::chrono::microseconds{200});
      closed = complaints.check(store.close(), "close", {Errc::busy});
      if (complaints.any()) break;
    }
    threads.stop_and_join();
    REQUIRE_NO(complaints);
    // With views and transactions that come and go it may never have found a gap; now it must.
    if (!closed) REQUIRE_OK(store.close());
    REQUIRE_ERRC(store.get("k"), Errc::closed);
    REQUIRE_ERRC(store.close(), Errc::closed);
    if (kind != StoreKind::memory) {
      Store again = open_kind(kind, folder, patient());
      auto number = again.get("number");
      REQUIRE((number ? std::stoull(number->str()) : 0) >= acknowledged);
    }
  }
  REQUIRE(rounds > 0);
}

TEST_CASE("stores of one file are opened and closed beside each other") {
  const TempDir folder;
  Store keeper = must(open_store(folder.file("test.db"), patient()));
  must(keeper.put("k", "value"));
  Complaints complaints;
  Threads threads;
  for (int i = 0; i < 4; ++i) {
    threads.loop([&](ThreadRandom& random) {
      auto store = open_store(folder.file("test.db"), patient());
      if (!complaints.check(store, "open")) return;
      auto value = store->get("k");
      if (complaints.check(value, "get")) complaints.require(value->view() == "value", "value");
      complaints.check(store->put("x" + std::to_string(random.below(10)), "y"), "put");
      if (random.percent(50)) complaints.check(store->close(), "close");
    });
  }
  threads.run_for(test_duration(milliseconds{1000}), complaints);
  REQUIRE_NO(complaints);
  REQUIRE_OK(keeper.integrity_check());
}

TEST_CASE("a new store is opened by many threads at once") {
  for (int round = 0; round < 10; ++round) {
    const TempDir folder;
    Complaints complaints;
    Threads threads;
    std::barrier everybody(8);
    for (int i = 0; i < 8; ++i) {
      threads.once([&, i](ThreadRandom&) {
        everybody.arrive_and_wait();
        auto store = open_store(folder.file("new.db"), patient());
        if (!complaints.check(store, "open")) return;
        complaints.check(store->put("k" + std::to_string(i), "v"), "put");
      });
    }
    threads.join();
    REQUIRE_NO(complaints);
    REQUIRE(must(must(open_store(folder.file("new.db"), patient())).count()) == 8);
  }
}
