// Batches, commits that threads share, and a promise for each write of its own.
#include "expect.hpp"

#include <string>
#include <thread>
#include <vector>

int main() {
  using snkv::Sync;
  auto store = must(snkv::Store::open("batches.db", {.sync = Sync::normal}));
  must(store.column_family("index"));

  // A batch is made without a store and carried out as one transaction, all of it or nothing.
  snkv::WriteBatch batch;
  batch.put("user:1", "alice").put("user:2", "bob").erase("user:3");
  batch.in_family("index").put("alice", "user:1").put("bob", "user:2");
  must(store.write(batch));
  expect(must(must(store.column_family("index")).get("bob")) == "user:2", "in another family");

  // It is bytes: it can be sent, or kept in a journal, and carried out elsewhere.
  const std::string sent = batch.data().str();
  auto replica = must(snkv::Store::open_in_memory());
  must(replica.column_family("index"));
  must(replica.write(snkv::WriteBatch(sent)));
  expect(must(replica.get("user:1")) == "alice", "the replica");

  batch.reset();
  batch.put("user:4", "dave").put("", "an empty key is refused");
  const auto refused = store.write(batch);
  expect(!refused && refused.error() == snkv::Errc::invalid_argument, "refused");
  expect(!must(store.contains("user:4")), "and nothing of it was written");

  // What a power cut may take is a choice for each write: here the store's promise, which is that a
  // crash of the program takes nothing; there that even a power cut takes nothing.
  must(store.put("cache", "can be calculated again", {.sync = Sync::off}));
  must(store.put("order", "must not be lost", {.sync = Sync::full}));
  must(store.sync());  // the same for everything that was written before

  // Writes of several threads share one commit, and its fsync, if they come at the same time. Each
  // still returns only when its own is safe.
  must(store.reset_stats());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([store, t]() mutable {
      for (int i = 0; i < 50; ++i) {
        must(store.put(std::to_string(t) + "/" + std::to_string(i), "x", {.sync = Sync::full}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto stats = must(store.stats());
  std::cout << stats.puts << " durable puts in " << stats.wal_commits << " commits\n";
  expect(stats.puts == 400 && stats.wal_commits <= 400, "never more commits than puts");
}
