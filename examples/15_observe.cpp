// Seeing what a store does: counters, latencies, the log, and what holds the log back.
#include "expect.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

int main() {
  std::vector<std::string> messages;
  int pressure = 0;
  snkv::Options options;
  options.latency_histograms = true;
  options.wal_size_limit = 256 << 10;
  // Messages about what happens in the background, for the application's own log.
  options.log = [&](snkv::LogLevel, std::string_view message) { messages.emplace_back(message); };
  // Somebody keeps a snapshot open, and the log grows: find out who.
  options.on_wal_limit = [&](const snkv::WalPressure& about) {
    if (pressure++ > 0) return;
    std::cout << "the log has " << about.wal_bytes / 1024 << " KB, with " << about.snapshots
              << " snapshot open\n";
  };
  auto store = must(snkv::Store::open("observe.db", options));

  for (int i = 0; i < 1000; ++i) must(store.put(std::to_string(i % 50), std::string(200, 'x')));
  for (int i = 0; i < 3000; ++i) must(store.get(std::to_string(i % 50)));
  expect(!store.put("", "refused"), "an error, which is counted");

  const auto stats = must(store.stats());
  std::cout << stats.puts << " puts, " << stats.gets << " gets, " << stats.errors << " error, "
            << stats.wal_commits << " commits, " << stats.checkpoints << " checkpoints\n";
  expect(stats.gets == 3000 && stats.errors == 1 && stats.wal_commits == 1000, "counters");

  // Half of the operations were faster than the median, and one of a hundred slower than the 99th.
  for (const auto& [name, which] : {std::pair("get", snkv::TimedOperation::get),
                                    std::pair("commit", snkv::TimedOperation::commit)}) {
    const auto latency = must(store.latency(which));
    std::cout << name << ": " << latency.count << " times, median < "
              << latency.percentile_ns(0.5) / 1000 << " us, 99 % < "
              << latency.percentile_ns(0.99) / 1000 << " us\n";
    expect(latency.count >= 1000, name);
    expect(latency.percentile_ns(0.5) <= latency.percentile_ns(0.99), "in order");
  }

  // A snapshot that stays open holds the log back, and the store says so in three ways.
  expect(pressure == 0 && messages.empty(), "all is quiet");
  {
    const auto forgotten = must(store.snapshot());
    for (int i = 0; i < 200; ++i) must(store.put(std::to_string(i), std::string(200, 'y')));
    expect(must(store.stats()).snapshots == 1, "the gauge");
  }
  expect(must(store.stats()).wal_over_limit > 0, "the counter");
  expect(pressure > 0 && !messages.empty(), "the callbacks");
  std::cout << "log: " << messages.front() << '\n';
}
