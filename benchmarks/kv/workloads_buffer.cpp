// Writes that are collected in memory: the write buffer beside engines that have one of their own,
// of the same size.
#include "kv/bench.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace benchmark {
namespace {

constexpr std::size_t buffer_bytes = 64u << 20;

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  in >> pages >> resident;
  return resident * 4096;
}

}  // namespace

void Bench::buffered() {
  if (!plan_.wants("buffer")) return;
  const Values values(100);
  const std::size_t entries = plan_.entries * 2;
  const std::vector<std::uint32_t> order = shuffled(entries, plan_.seed);
  for (const bool journal : {true, false}) {
    const std::string suffix = journal ? "_journal" : "";
    std::vector<Contestant> all;
    for (EngineKind& kind : buffer_kinds(journal, buffer_bytes)) {
      const std::string folder = folder_ + "/buffer-" + kind.name;
      all.emplace_back(std::move(kind), folder, Durability::process);
    }
    const std::string note = std::string("one by one, 100 B values, 64 MB of memory, ") +
                             (journal ? "survives the end of the process"
                                      : "of snkv what is buffered is lost with the process");
    if (plan_.wants("buffer_fill" + suffix)) {
      add(take_turns("buffer_fill" + suffix, "entries/s", "random, " + note, all, WarmUp::no,
                     [&](Contestant& one, int) {
                       one.start_anew();
                       std::string key;
                       return static_cast<double>(entries) / seconds([&] {
                                for (std::size_t i = 0; i < entries; ++i) {
                                  key_to(order[i], key);
                                  one.session().put(key, values.of(order[i]));
                                }
                              });
                     }));
    } else {
      for (Contestant& one : all) {
        one.start_anew();
        for (std::size_t i = 0; i < entries; ++i)
          one.session().put(key_of(order[i]), values.of(order[i]));
      }
    }
    for (Contestant& one : all) one.engine().settle();
    if (plan_.wants("buffer_overwrite" + suffix)) {
      const std::size_t writes = std::min(plan_.writes * 10, entries);
      add(take_turns("buffer_overwrite" + suffix, "writes/s", "random, " + note, all, WarmUp::yes,
                     [&](Contestant& one, int round) {
                       Random random(plan_.seed * 1000 + static_cast<std::uint64_t>(round + 1));
                       std::string key;
                       return static_cast<double>(writes) / seconds([&] {
                                for (std::size_t i = 0; i < writes; ++i) {
                                  const std::uint64_t n = random.below(entries);
                                  key_to(n, key);
                                  one.session().put(key, values.of(n, 1));
                                }
                              });
                     }));
    }
    if (plan_.wants("buffer_memory" + suffix) && !all.empty()) {
      // Of the buffer alone: this process has nothing else open.
      finish(all);
      Contestant& one = all.front();
      const std::uint64_t before = resident_bytes();
      one.start_anew();
      std::uint64_t most = 0;
      for (std::size_t i = 0; i < entries; ++i) {
        one.session().put(key_of(order[i]), values.of(order[i]));
        if (i % 1024 == 0) most = std::max(most, resident_bytes());
      }
      Row row{"buffer_memory" + suffix, "MB", "at most while the store is filled; twice 64, and 16",
              Better::less};
      row.series.push_back(
          {one.name(), {static_cast<double>(most - std::min(most, before)) / (1 << 20)}});
      add(std::move(row));
    }
    finish(all);
  }
}

}  // namespace benchmark
