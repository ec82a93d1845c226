// Readers beside a writer: they never wait for it, and what they hold does not change.
#include "threads.hpp"

#include "support/contents.hpp"
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

std::string key(std::uint64_t number) { return "key" + std::to_string(number); }

// A rollback journal makes a committing writer wait for readers, which these tests do not.
constexpr std::array unhindered_kinds = {StoreKind::wal, StoreKind::memory};

}  // namespace

TEST_CASE("readers make progress while a transaction is open on another thread") {
  const auto kind = GENERATE(from_range(unhindered_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Store store = open_kind(kind, folder);
  for (std::uint64_t i = 0; i < 100; ++i) must(store.put(key(i), "old"));

  // Open, and with writes of its own, before the readers start; it ends after they have finished.
  Transaction transaction = must(store.begin());
  for (std::uint64_t i = 0; i < 100; ++i) must(transaction.put(key(i), "new"));
  Complaints complaints;
  std::atomic<int> finished{0};
  {
    Threads threads;
    for (int reader = 0; reader < 4; ++reader) {
      threads.once([&](ThreadRandom& random) {
        for (int i = 0; i < 200; ++i) {
          auto value = store.get(key(random.below(100)));
          if (complaints.check(value, "get")) {
            complaints.require(value->view() == "old", "a reader sees what is not committed");
          }
        }
        auto snapshot = store.snapshot();
        if (complaints.check(snapshot, "snapshot")) {
          auto count = snapshot->count();
          if (complaints.check(count, "count")) complaints.require(*count == 100, "count");
        }
        std::uint64_t seen = 0;
        for (auto entry : store.all()) seen += entry.value == BytesView("old") ? 1 : 0;
        complaints.require(seen == 100, "scan");
        finished.fetch_add(1);
      });
    }
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE(finished == 4);
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(store.get(key(7))).view() == "new");
}

TEST_CASE("a reader that holds its view does not keep others from reading") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Store store = open_kind(kind, folder);
  for (std::uint64_t i = 0; i < 100; ++i) must(store.put(key(i), "value"));

  // Far more views than any pool keeps ready, each held while all the others are opened.
  Complaints complaints;
  std::barrier everybody(24);
  {
    Threads threads;
    for (int reader = 0; reader < 24; ++reader) {
      threads.once([&](ThreadRandom&) {
        auto scan = store.all();
        auto at = scan.begin();
        complaints.require(at != scan.end(), "an empty scan");
        everybody.arrive_and_wait();
        std::uint64_t seen = 0;
        for (; at != scan.end(); ++at) ++seen;
        complaints.check(scan.status(), "scan");
        complaints.require(seen == 100, "scan: wrong number of entries");
      });
    }
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE(must(store.stats()).snapshots == 0);
}

TEST_CASE("a snapshot does not change beside writers") {
  const auto kind = GENERATE(from_range(unhindered_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Options options;
  options.sync = Sync::off;
  options.wal_autocheckpoint = 20;
  Store store = open_kind(kind, folder, options);
  ColumnFamily doomed = must(store.create_column_family("doomed"));
  for (std::uint64_t i = 0; i < 300; ++i) {
    must(store.put(key(i), "first"));
    must(doomed.put(key(i), "first"));
  }

  Complaints complaints;
  Threads threads;
  threads.loop([&](ThreadRandom& random) {
    const std::string name = key(random.below(300));
    if (random.percent(50)) {
      complaints.check(store.put(name, std::string(random.below(3000), 'x')), "put");
    } else {
      complaints.check(store.erase(name), "erase");
    }
    if (random.percent(1)) complaints.check(store.clear(), "clear");
  });
  threads.loop([&](ThreadRandom&) {
    auto family = store.column_family("doomed");
    if (complaints.check(family, "column_family")) {
      complaints.check(family->put("new", "row"), "put", {Errc::dropped});
    }
    complaints.check(store.drop_column_family("doomed"), "drop", {Errc::not_found});
    complaints.check(store.checkpoint(Checkpoint::passive), "checkpoint");
  });
  for (int reader = 0; reader < 2; ++reader) {
    threads.loop([&](ThreadRandom& random) {
      auto snapshot = store.snapshot();
      if (!complaints.check(snapshot, "snapshot")) return;
      std::optional<std::vector<std::pair<std::string, std::string>>> before;
      const std::optional<std::uint64_t> rows = [&]() -> std::optional<std::uint64_t> {
        auto family = snapshot->column_family("doomed");
        if (!family) return std::nullopt;
        auto count = family->count();
        return complaints.check(count, "count") ? std::optional(*count) : std::nullopt;
      }();
      for (int pass = 0; pass < 3; ++pass) {
        std::vector<std::pair<std::string, std::string>> now;
        auto scan = snapshot->all();
        for (auto [k, v] : scan) now.emplace_back(k.str(), v.str());
        complaints.check(scan.status(), "scan of a snapshot");
        if (!before) before = now;
        complaints.require(now == *before, "the entries of a snapshot have changed");
        auto family = snapshot->column_family("doomed");
        complaints.require(static_cast<bool>(family) == rows.has_value(),
                           "the families of a snapshot have changed");
        if (family && rows) {
          auto count = family->count();
          if (complaints.check(count, "count")) {
            complaints.require(*count == *rows, "a dropped family changed in a snapshot");
          }
        }
        std::this_thread::sleep_for(milliseconds{random.below(5)});
      }
    });
  }
  threads.run_for(test_duration(milliseconds{2000}), complaints);
  REQUIRE_NO(complaints);
}

TEST_CASE("get sees every commit of any thread at once") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Options options;
  options.sync = Sync::off;
  options.busy_timeout = std::chrono::seconds{60};
  Store store = open_kind(kind, folder, options);
  must(store.put("number", "0"));

  // Published after the commit has returned: whoever reads the number must then find it, or a
  // later one.
  std::atomic<std::uint64_t> published{0};
  Complaints complaints;
  Threads threads;
  threads.loop([&, number = std::uint64_t{0}](ThreadRandom&) mutable {
    ++number;
    if (complaints.check(store.put("number", std::to_string(number)), "put")) published = number;
  });
  for (int reader = 0; reader < 3; ++reader) {
    threads.loop([&, last = std::uint64_t{0}](ThreadRandom&) mutable {
      const std::uint64_t at_least = published;
      auto value = store.get("number");
      if (!complaints.check(value, "get")) return;
      const std::uint64_t seen = std::stoull(value->str());
      complaints.require(seen >= at_least, "get: a commit that had returned is not visible");
      complaints.require(seen >= last, "get: an older value after a newer one");
      last = seen;
    });
  }
  threads.run_for(test_duration(milliseconds{800}), complaints);
  REQUIRE_NO(complaints);
  REQUIRE(published > 0);
}

TEST_CASE("a full checkpoint and a writer that holds a scan do not wait for each other for ever") {
  const auto kind = GENERATE(from_range(unhindered_kinds));
  CAPTURE(kind);
  const TempDir folder;
  Options options;
  options.busy_timeout = milliseconds{300};
  Store store = open_kind(kind, folder, options);
  for (std::uint64_t i = 0; i < 100; ++i) must(store.put(key(i), "value"));

  // The checkpoint has the writers' turn and waits for the scan; the scan's thread wants to write.
  // Either may give up, with `busy`, and then everything works again.
  Complaints complaints;
  {
    Threads threads;
    auto scan = store.all();
    auto at = scan.begin();
    must(store.put("newer", "than the scan"));
    std::atomic<bool> begun{false};
    threads.once([&](ThreadRandom&) {
      begun = true;
      complaints.check(store.checkpoint(Checkpoint::restart), "checkpoint", {Errc::busy});
    });
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds{20});
    complaints.check(store.put("written", "during the scan"), "put", {Errc::busy});
    complaints.require(at != scan.end(), "the scan has ended");
    threads.join();
  }
  REQUIRE_NO(complaints);
  REQUIRE_OK(store.put("written", "after the scan"));
  REQUIRE_OK(store.checkpoint(Checkpoint::restart));
}
