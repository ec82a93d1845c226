// A write buffer: many small writes at random places, collected in memory and written in the order
// of their keys.
#include "expect.hpp"

#include <snkv/write_buffer.hpp>

#include <chrono>
#include <string>

int main() {
  using namespace std::chrono_literals;
  auto store = must(snkv::Store::open("buffered.db"));
  auto sessions = must(store.column_family("sessions"));

  // One buffer for the store and all its families. With a journal, what `put` has acknowledged
  // survives a crash of the program; without one, what was not flushed is lost then.
  auto buffer = must(
      snkv::WriteBuffer::open(store, {.flush_bytes = 8 << 20, .max_age = 1s, .journal = true}));
  for (int i = 0; i < 20'000; ++i) {
    must(buffer.put("point:" + std::to_string(i * 7919 % 20'000), std::to_string(i)));
  }
  auto buffered_sessions = buffer.family(sessions);
  must(buffered_sessions.put("abc", "alice", {.ttl = 30min}));

  // Reads through the buffer see both, in the order of the keys and as of one instant.
  must(store.put("point:direct", "written to the store itself"));
  expect(must(buffer.contains("point:7919")), "what is buffered");
  expect(must(buffer.contains("point:direct")), "what the store has");
  std::size_t points = 0;
  auto scan = buffer.prefix("point:");
  for (auto [key, value] : scan) points += key.empty() ? 0 : 1;
  must(scan.status());
  expect(points == 20'001, "the scan has all of them, once");
  expect(must(buffer.first("point:"))->key == "point:0", "the first");

  // Operations that read and write are atomic among those who use the buffer.
  expect(must(buffer.increment("visits")) == 1, "a counter");
  expect(must(buffer.put_if_absent("lock", "me")), "a lock");

  // A flush is one commit of the store; so is what size, age and `close` bring about.
  must(buffer.flush());
  expect(must(sessions.get("abc")) == "alice", "now the store has it");
  expect(must(store.count()) == 20'003, "and all the rest");

  const auto stats = must(buffer.stats());
  std::cout << stats.flushes << " flushes, " << must(store.stats()).wal_commits << " commits\n";
  must(buffer.close());
}
