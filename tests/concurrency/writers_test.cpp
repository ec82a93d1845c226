// Writers of many threads: they queue, nobody fails for another's sake, nothing is lost.
#include "threads.hpp"

#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
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

std::uint64_t number_in(const Result<Bytes>& value) {
  return value ? std::stoull(value->str()) : 0;
}

}  // namespace

TEST_CASE("autocommit writers never fail for each other's sake") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Options options = patient();
  // The promise holds without any patience. With a rollback journal a read has to wait while
  // another thread's commit goes to the file, though.
  if (kind != StoreKind::rollback) options.busy_timeout = milliseconds{0};
  Store store = open_kind(kind, folder, options);
  constexpr std::uint64_t writers = 8;
  constexpr std::uint64_t writes = 150;
  Complaints complaints;
  {
    Threads threads;
    for (std::uint64_t writer = 0; writer < writers; ++writer) {
      threads.once([&, writer](ThreadRandom&) {
        for (std::uint64_t i = 0; i < writes; ++i) {
          const std::string key = std::to_string(writer) + "/" + std::to_string(i);
          complaints.check(store.put(key, key), "put");
          // Read-your-writes, across whatever shared the commit.
          auto value = store.get(key);
          if (complaints.check(value, "get")) complaints.require(value->view() == key, "get");
          if (i % 3 == 0) complaints.check(store.erase(key), "erase");
        }
      });
    }
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE(must(store.count()) == writers * (writes - (writes + 2) / 3));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("each caller of a shared commit gets its own result") {
  const TempDir folder;
  Store store = open_kind(StoreKind::wal, folder, patient());
  Complaints complaints;
  {
    Threads threads;
    for (int writer = 0; writer < 8; ++writer) {
      threads.once([&, writer](ThreadRandom&) {
        const std::string mine = "good" + std::to_string(writer);
        for (int i = 0; i < 200; ++i) {
          if (writer % 2 == 0) {
            complaints.check(store.put(mine, std::to_string(i)), "put");
            auto erased = store.erase("absent" + std::to_string(writer));
            if (complaints.check(erased, "erase")) complaints.require(!*erased, "erase of nothing");
          } else {
            auto empty = store.put("", "no key");
            complaints.require(!empty && empty.error() == Errc::invalid_argument, "an empty key");
            auto family = store.create_column_family("default");
            complaints.require(!family && family.error() == Errc::exists, "an existing family");
          }
        }
      });
    }
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE(must(store.count()) == 4);
  for (const std::string name : {"good0", "good2", "good4", "good6"}) {
    REQUIRE(must(store.get(name)).view() == "199");
  }
}

TEST_CASE("transactions of many threads lose no update") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Store store = open_kind(kind, folder, patient());
  constexpr std::uint64_t writers = 6;
  constexpr std::uint64_t rounds = 60;
  Complaints complaints;
  {
    Threads threads;
    for (std::uint64_t writer = 0; writer < writers; ++writer) {
      threads.once([&, writer](ThreadRandom&) {
        for (std::uint64_t i = 0; i < rounds; ++i) {
          if (writer % 2 == 0) {
            auto done = store.transact([&](Transaction& transaction) -> Result<void> {
              const std::uint64_t old = number_in(transaction.get("counter"));
              return transaction.put("counter", std::to_string(old + 1));
            });
            complaints.check(done, "transact");
          } else {
            auto transaction = store.begin();
            if (!complaints.check(transaction, "begin")) return;
            const std::uint64_t old = number_in(transaction->get("counter"));
            complaints.check(transaction->put("counter", std::to_string(old + 1)), "put");
            complaints.check(transaction->commit(), "commit");
          }
        }
      });
    }
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE(number_in(store.get("counter")) == writers * rounds);
}

TEST_CASE("a writer waits for the transaction of another thread, up to the busy timeout") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Options options = patient();
  SECTION("long enough") {
    Store store = open_kind(kind, folder, options);
    Transaction transaction = must(store.begin());
    must(transaction.put("k", "transaction"));
    Complaints complaints;
    std::atomic<bool> written{false};
    Threads threads;
    threads.once([&](ThreadRandom&) {
      complaints.check(store.put("k", "after"), "put");
      written = true;
    });
    std::this_thread::sleep_for(milliseconds{60});
    REQUIRE_FALSE(written);
    must(transaction.commit());
    threads.join();
    REQUIRE_NO(complaints);
    REQUIRE(must(store.get("k")).view() == "after");
  }
  SECTION("not long enough") {
    options.busy_timeout = milliseconds{30};
    Store store = open_kind(kind, folder, options);
    Transaction transaction = must(store.begin());
    must(transaction.put("k", "transaction"));
    Complaints complaints;
    Threads threads;
    threads.once([&](ThreadRandom&) {
      auto written = store.put("k", "never");
      complaints.require(!written && written.error() == Errc::busy, "put: not busy");
      auto begun = store.begin();
      complaints.require(!begun && begun.error() == Errc::busy, "begin: not busy");
    });
    threads.join();
    REQUIRE_NO(complaints);
    must(transaction.commit());
    REQUIRE(must(store.get("k")).view() == "transaction");
    REQUIRE_OK(store.put("k", "again"));
  }
}

TEST_CASE("nobody starves: every queued writer gets its turn") {
  const TempDir folder;
  Store store = open_kind(StoreKind::wal, folder, patient());
  std::array<std::atomic<std::uint64_t>, 6> turns{};
  Complaints complaints;
  Threads threads;
  for (std::size_t writer = 0; writer < turns.size(); ++writer) {
    threads.loop([&, writer](ThreadRandom&) {
      auto transaction = store.begin();
      if (!complaints.check(transaction, "begin")) return;
      complaints.check(transaction->put("w" + std::to_string(writer), "x"), "put");
      std::this_thread::sleep_for(milliseconds{1});
      complaints.check(transaction->commit(), "commit");
      turns[writer].fetch_add(1);
    });
  }
  threads.run_for(test_duration(milliseconds{800}), complaints);
  REQUIRE_NO(complaints);
  for (const auto& count : turns) REQUIRE(count > 0);
}

TEST_CASE("a transaction may be handed from thread to thread") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Store store = open_kind(kind, folder, patient());
  Complaints complaints;
  Transaction transaction = must(store.begin());
  for (int i = 0; i < 10; ++i) {
    std::thread([&, i] {
      complaints.check(transaction.put("key" + std::to_string(i), "value"), "put");
      complaints.check(transaction.get("key0"), "get");
    }).join();
  }
  std::thread([&] { complaints.check(transaction.commit(), "commit"); }).join();
  REQUIRE_NO(complaints);
  REQUIRE(must(store.count()) == 10);
  // This thread began it, but holds nothing any more.
  REQUIRE_OK(store.put("after", "x"));
  REQUIRE_OK(store.begin());
}
