// Who waits for whom: transactions against other threads, other stores on the file, and readers.
// Nothing here measures time: a short timeout shows that somebody waits, a long one that the wait
// ends.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

/// Runs on another thread and gives back what it returned.
template <class Body>
auto elsewhere(Body body) {
  return std::async(std::launch::async, std::move(body)).get();
}

}  // namespace

TEST_CASE("an open transaction keeps the writes of other threads out") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = 20ms});
  REQUIRE_OK(store.put("a", "0"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "1"));

  REQUIRE_ERROR(elsewhere([&] { return store.put("b", "2"); }), Errc::busy, "put");
  REQUIRE_ERROR(elsewhere([&] { return store.erase("a"); }), Errc::busy, "erase");
  REQUIRE_ERROR(elsewhere([&] { return store.begin(); }), Errc::busy, "begin");
  REQUIRE_ERRC(elsewhere([&] { return store.create_column_family("f"); }), Errc::busy);
  // Readers are not kept out.
  CHECK(must(elsewhere([&] { return store.get("a"); })) == "0");

  REQUIRE_OK(transaction.commit());
  REQUIRE_OK(elsewhere([&] { return store.put("b", "2"); }));
  CHECK(contents_of(store) == Contents{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("the writes of other threads go on when the transaction ends") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool commit = GENERATE(true, false);
  CAPTURE(kind, commit);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = 60s});
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "transaction"));
  std::atomic<int> started = 0;
  const auto write = [&](const std::string& key) {
    ++started;
    return store.put(key, "thread");
  };
  auto one = std::async(std::launch::async, write, "a");
  auto two = std::async(std::launch::async, write, "b");
  while (started < 2) std::this_thread::yield();
  REQUIRE_OK(transaction.put("c", "transaction"));
  REQUIRE_OK(commit ? transaction.commit() : transaction.rollback());
  REQUIRE_OK(one.get());
  REQUIRE_OK(two.get());
  CHECK(must(store.get("a")) == "thread");
  CHECK(keys(store.all()) == (commit ? Names{"a", "b", "c"} : Names{"a", "b"}));
}

TEST_CASE("a transaction may be handed to another thread") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "1"));
  const auto done = elsewhere([moved = std::move(transaction)]() mutable -> Result<void> {
    if (auto put = moved.put("b", "2"); !put) return put;
    return moved.commit();
  });
  REQUIRE_OK(done);
  CHECK(contents_of(store) == Contents{{"a", "1"}, {"b", "2"}});
  // Neither thread is thought to have one open still.
  REQUIRE_OK(store.put("c", "3"));
  REQUIRE_OK(must(store.begin()).commit());
}

TEST_CASE("two stores on one file: the second waits for busy_timeout, then fails") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const auto timeout = GENERATE(0ms, 30ms);
  CAPTURE(kind, timeout.count());
  const TempDir dir;
  Store one = open_kind(kind, dir, no_sync());
  Store two = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = timeout});
  REQUIRE_OK(one.put("a", "1"));
  {
    Transaction transaction = must(one.begin());
    REQUIRE_OK(transaction.put("a", "2"));
    // Several times: the engine's timeout must not wear off.
    for (int i = 0; i < 3; ++i) {
      REQUIRE_ERROR(two.put("a", "ghost"), Errc::busy, "put");
      REQUIRE_ERROR(two.begin(), Errc::busy, "begin");
    }
    CHECK(must(two.get("a")) == "1");
    REQUIRE_OK(transaction.commit());
  }
  CHECK(must(two.get("a")) == "2");
  REQUIRE_OK(two.put("a", "3"));
  CHECK(must(one.get("a")) == "3");
}

TEST_CASE("two stores on one file: the second gets its turn") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store one = open_kind(kind, dir, no_sync());
  Store two = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = 60s});
  Transaction transaction = must(one.begin());
  REQUIRE_OK(transaction.put("a", "1"));
  std::atomic<bool> started = false;
  auto waiting = std::async(std::launch::async, [&] {
    started = true;
    return two.transact([](Transaction& inner) -> Result<std::string> {
      auto value = inner.get("a");
      if (!value) return Unexpected(value.error());
      if (auto put = inner.put("a", value->str() + "2"); !put) return Unexpected(put.error());
      return value->str();
    });
  });
  while (!started) std::this_thread::yield();
  REQUIRE_OK(transaction.commit());
  // It began after the end of the first: it has read what that committed.
  CHECK(must(waiting.get()) == "1");
  CHECK(must(one.get("a")) == "12");
}

TEST_CASE("threads that increment one counter lose nothing") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = 60s});
  REQUIRE_OK(store.put("counter", "0"));
  constexpr int thread_count = 4;
  constexpr int increments = 50;
  std::vector<std::future<std::string>> workers;
  for (int i = 0; i < thread_count; ++i) {
    workers.push_back(std::async(std::launch::async, [&]() -> std::string {
      for (int n = 0; n < increments; ++n) {
        auto done = store.transact([](Transaction& transaction) -> Result<void> {
          auto value = transaction.get("counter");
          if (!value) return Unexpected(value.error());
          return transaction.put("counter", std::to_string(std::stoi(value->str()) + 1));
        });
        if (!done) return done.error().message();
      }
      return "";
    }));
  }
  for (auto& worker : workers) CHECK(worker.get() == "");
  CHECK(must(store.get("counter")) == std::to_string(thread_count * increments));
}

TEST_CASE("autocommit writes of threads never fail for each other's sake") {
  // Even when the store does not want to wait at all.
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .busy_timeout = 0ms});
  constexpr int thread_count = 4;
  constexpr int writes = 100;
  std::vector<std::future<std::string>> workers;
  for (int i = 0; i < thread_count; ++i) {
    workers.push_back(std::async(std::launch::async, [&, i]() -> std::string {
      for (int n = 0; n < writes; ++n) {
        const std::string key = std::to_string(i) + "-" + std::to_string(n);
        if (auto put = store.put(key, key); !put) return put.error().message();
        if (n % 5 == 0) {
          auto erased = store.erase(key);
          if (!erased) return erased.error().message();
          if (!*erased) return "own entry not there: " + key;
        }
      }
      return "";
    }));
  }
  for (auto& worker : workers) CHECK(worker.get() == "");
  CHECK(must(store.count()) == thread_count * writes * 4 / 5);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("with a rollback journal a commit that meets a reader can be tried again") {
  const TempDir dir;
  Store store = open_kind(StoreKind::rollback, dir, {.busy_timeout = 20ms});
  REQUIRE_OK(store.put("a", "1"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "2"));
  {
    Iterator reader = store.iterator();
    reader.seek_first();
    REQUIRE(reader.valid());
    for (int i = 0; i < 2; ++i) {
      REQUIRE_ERROR(transaction.commit(), Errc::busy, "commit");
      CHECK(reader.value() == "1");
      CHECK(must(transaction.get("a")) == "2");
    }
    REQUIRE_OK(transaction.put("b", "3"));
  }
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store) == Contents{{"a", "2"}, {"b", "3"}});
}
