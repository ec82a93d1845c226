// One store, used by many threads at once. Reads run in parallel; writers take turns.
#include "expect.hpp"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int writer_count = 4;
constexpr int reader_count = 2;
constexpr int entries_each = 250;

/// Writes its own entries, and counts every one of them in a common counter.
void write_entries(snkv::Store store, int number) {
  for (int i = 0; i < entries_each; ++i) {
    // Writes that several threads make at the same time share one commit.
    must(store.put(std::to_string(number) + "/" + std::to_string(i), "x"));

    // Read, add, write: other writers must stay out in between, so it takes a transaction.
    must(store.transact([](snkv::Transaction& t) -> snkv::Result<void> {
      const int count = std::stoi(must(t.get("counter")).str());
      return t.put("counter", std::to_string(count + 1));
    }));
  }
}

/// Reads until the writers are done. The counter must never go back.
void watch_counter(snkv::Store store, const std::atomic<bool>& done) {
  int last = 0;
  while (!done) {
    const int count = std::stoi(must(store.get("counter")).str());
    expect(count >= last, "a later read sees a later state");
    last = count;
  }
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("threads.db"));
  must(store.put("counter", "0"));

  // A Store is a handle: copies are cheap, and all mean the same open file.
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  std::vector<std::thread> readers;
  for (int i = 0; i < writer_count; ++i) writers.emplace_back(write_entries, store, i);
  for (int i = 0; i < reader_count; ++i)
    readers.emplace_back(watch_counter, store, std::cref(done));
  for (std::thread& writer : writers) writer.join();
  done = true;
  for (std::thread& reader : readers) reader.join();

  constexpr int total = writer_count * entries_each;
  expect(must(store.get("counter")) == std::to_string(total), "no increment was lost");
  expect(must(store.count()) == total + 1, "no entry was lost");
  const auto stats = must(store.stats());
  std::cout << stats.puts << " puts in " << stats.wal_commits << " commits, beside " << stats.gets
            << " gets\n";
}
