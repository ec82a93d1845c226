// Workloads on entries with small values.
#include "kv/bench.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace benchmark {
namespace {

constexpr std::size_t batch_size = 1000;

std::string note_of(const Values& values) {
  return std::to_string(values.size()) + " B values, " + to_string(Durability::process);
}

/// The name of a workload, with the size of its values unless it is the usual one.
std::string named(const std::string& workload, const Values& values) {
  return values.size() == 100 ? workload : workload + "_" + std::to_string(values.size());
}

/// Writes the entries `number(0)` to `number(count - 1)` in batches.
template <class Number>
void put_all(Session& session, const Values& values, std::size_t count, Number&& number) {
  std::vector<std::string> keys(batch_size);
  std::vector<Entry> batch;
  for (std::size_t at = 0; at < count;) {
    batch.clear();
    for (; at < count && batch.size() < batch_size; ++at) {
      const std::uint64_t n = number(at);
      std::string& key = keys[batch.size()];
      key_to(n, key);
      batch.push_back({key, values.of(n)});
    }
    session.put_batch(batch);
  }
}

/// Keys of a round, drawn before the clock runs.
std::vector<std::string> random_keys(std::size_t count, std::size_t entries, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::string> keys(count);
  for (std::string& key : keys) key_to(random.below(entries), key);
  return keys;
}

std::uint64_t seed_of(const Plan& plan, int round) {
  return plan.seed * 1000 + static_cast<std::uint64_t>(round + 1);
}

void expect(bool as_it_should_be, const Contestant& contestant, std::string_view what) {
  if (!as_it_should_be) fail(contestant.name(), what);
}

}  // namespace

void Bench::fills(std::vector<Contestant>& all, const Values& values) {
  const std::size_t entries = plan_.entries;
  if (plan_.wants("fill_sequential")) {
    add(take_turns(
        named("fill_sequential", values), "entries/s", "batches of 1000, " + note_of(values), all,
        WarmUp::no, [&](Contestant& one, int) {
          one.start_anew();
          return static_cast<double>(entries) / seconds([&] {
                   put_all(one.session(), values, entries, [](std::size_t i) { return i; });
                 });
        }));
  }
  const std::vector<std::uint32_t> order = shuffled(entries, plan_.seed);
  if (plan_.wants("fill_single")) {
    const std::size_t count = std::min(entries, plan_.writes * 2);
    add(take_turns(named("fill_single", values), "entries/s",
                   "random, one by one, " + note_of(values), all, WarmUp::no,
                   [&](Contestant& one, int) {
                     one.start_anew();
                     std::string key;
                     return static_cast<double>(count) / seconds([&] {
                              for (std::size_t i = 0; i < count; ++i) {
                                key_to(order[i], key);
                                one.session().put(key, values.of(order[i]));
                              }
                            });
                   }));
  }
  const auto fill = [&](Contestant& one, int) {
    one.start_anew();
    return static_cast<double>(entries) / seconds([&] {
             put_all(one.session(), values, entries, [&](std::size_t i) { return order[i]; });
           });
  };
  if (plan_.wants("fill_random")) {
    add(take_turns(named("fill_random", values), "entries/s", "batches of 1000, " + note_of(values),
                   all, WarmUp::no, fill));
  } else {
    for (Contestant& one : all) {
      Ticker().show("filling " + one.name());
      static_cast<void>(fill(one, 0));
    }
  }
  // As after a pause: what writing left to be done is done.
  for (Contestant& one : all) one.engine().settle();
}

void Bench::unsynced_fills(const Values& values) {
  if (!plan_.wants("unsynced_fill")) return;
  const std::size_t entries = plan_.entries;
  const std::string note =
      "batches of 1000, " + std::to_string(values.size()) + " B values, " + to_string(Durability::none);
  const std::vector<std::uint32_t> order = shuffled(entries, plan_.seed);
  std::vector<Contestant> all = contestants("unsynced", Durability::none);
  const auto fill = [&](const std::string& name, auto&& number) {
    add(take_turns(named(name, values), "entries/s", note, all, WarmUp::no,
                   [&](Contestant& one, int) {
                     one.start_anew();
                     return static_cast<double>(entries) /
                            seconds([&] { put_all(one.session(), values, entries, number); });
                   }));
  };
  fill("unsynced_fill_sequential", [](std::size_t i) { return i; });
  fill("unsynced_fill_random", [&](std::size_t i) { return order[i]; });
  finish(all);
}

void Bench::point_reads(std::vector<Contestant>& all, const Values& values) {
  const std::size_t reads = plan_.reads;
  const auto measure = [&](const std::string& name, const std::string& what, auto&& change_keys,
                           auto&& body) {
    if (!plan_.wants(name)) return;
    std::vector<std::string> keys;
    int drawn = -2;
    add(take_turns(named(name, values), "reads/s", what + note_of(values), all, WarmUp::yes,
                   [&](Contestant& one, int round) {
                     if (round != drawn) {
                       keys = random_keys(reads, plan_.entries, seed_of(plan_, round));
                       for (std::string& key : keys) change_keys(key);
                       drawn = round;
                     }
                     return static_cast<double>(reads) / seconds([&] { body(one, keys); });
                   }));
  };
  const auto as_they_are = [](std::string&) {};
  const auto get_all = [&](Contestant& one, const std::vector<std::string>& keys) {
    std::size_t found = 0;
    for (const std::string& key : keys) found += one.session().get(key) ? 1 : 0;
    return found;
  };
  measure("get", "", as_they_are, [&](Contestant& one, const std::vector<std::string>& keys) {
    expect(get_all(one, keys) == keys.size(), one, "an entry is missing");
  });
  measure("get_snapshot", "", as_they_are,
          [&](Contestant& one, const std::vector<std::string>& keys) {
            one.session().pin();
            expect(get_all(one, keys) == keys.size(), one, "an entry is missing");
            one.session().unpin();
          });
  measure(
      "get_missing", "", [](std::string& key) { key.back() = ':'; },
      [&](Contestant& one, const std::vector<std::string>& keys) {
        expect(get_all(one, keys) == 0, one, "found what is not there");
      });
  measure("contains", "", as_they_are, [&](Contestant& one, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) expect(one.session().contains(key), one, "missing");
  });
  measure("multi_get", "100 keys each, ", as_they_are,
          [&](Contestant& one, const std::vector<std::string>& keys) {
            std::uint64_t sum = 0;
            std::size_t found = 0;
            for (std::size_t at = 0; at < keys.size(); at += 100) {
              const std::size_t count = std::min<std::size_t>(100, keys.size() - at);
              found += one.session().multi_get({keys.data() + at, count}, sum);
            }
            expect(found == keys.size(), one, "an entry is missing");
          });
}

void Bench::scans(std::vector<Contestant>& all, const Values& values) {
  const auto whole = [&](const std::string& name, Direction direction) {
    if (!plan_.wants(name)) return;
    add(take_turns(named(name, values), "entries/s", "touching every byte, " + note_of(values), all,
                   WarmUp::yes, [&](Contestant& one, int) {
                     std::size_t count = 0;
                     std::uint64_t sum = 0;
                     const double took =
                         seconds([&] { count = one.session().scan(direction, sum); });
                     expect(count == plan_.entries, one, "a scan of another length");
                     return static_cast<double>(count) / took;
                   }));
  };
  whole("scan", Direction::forward);
  whole("scan_reverse", Direction::reverse);
  if (!plan_.wants("prefix_scan")) return;
  const std::size_t scans = std::max<std::size_t>(1, plan_.reads / 50);
  add(take_turns(named("prefix_scan", values), "scans/s", "of 100 entries, " + note_of(values), all,
                 WarmUp::yes, [&](Contestant& one, int round) {
                   Random random(seed_of(plan_, round));
                   std::uint64_t sum = 0;
                   std::size_t count = 0;
                   const double took = seconds([&] {
                     for (std::size_t i = 0; i < scans; ++i) {
                       const std::string key = key_of(random.below(plan_.entries / 100) * 100);
                       count += one.session().scan_prefix(std::string_view(key).substr(0, 14), sum);
                     }
                   });
                   expect(count == scans * 100, one, "a prefix with another number of entries");
                   return static_cast<double>(scans) / took;
                 }));
}

void Bench::readers(std::vector<Contestant>& all, const Values& values) {
  /// Reads per second of so many threads, with one more that writes beside them or not.
  const auto rate = [&](Contestant& one, std::size_t threads, bool writing, int round) {
    std::vector<std::vector<std::string>> keys;
    for (std::size_t t = 0; t < threads; ++t) {
      keys.push_back(random_keys(plan_.reads / 2, plan_.entries, seed_of(plan_, round) + 7 * t));
    }
    std::atomic<bool> stop{false};
    std::atomic<bool> missing{false};
    std::thread writer;
    if (writing) {
      writer = std::thread([&] {
        const auto session = one.engine().session();
        Random random(seed_of(plan_, round));
        while (!stop.load()) {
          const std::uint64_t n = random.below(plan_.entries);
          session->put(key_of(n), values.of(n));
        }
      });
    }
    const double took = seconds([&] {
      std::vector<std::thread> running;
      for (std::size_t t = 0; t < threads; ++t) {
        running.emplace_back([&, t] {
          const auto session = one.engine().session();
          for (const std::string& key : keys[t]) {
            if (!session->get(key)) missing.store(true);
          }
        });
      }
      for (std::thread& thread : running) thread.join();
    });
    stop.store(true);
    if (writer.joinable()) writer.join();
    expect(!missing.load(), one, "an entry is missing");
    return static_cast<double>(threads * (plan_.reads / 2)) / took;
  };
  std::vector<Row> alone;
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    const std::string name =
        "readers_" + std::to_string(threads) + (threads == 1 ? "_thread" : "_threads");
    if (plan_.wants(name) || plan_.wants("readers_scaling")) {
      alone.push_back(
          take_turns(named(name, values), "reads/s", note_of(values), all, WarmUp::yes,
                     [&](Contestant& one, int round) { return rate(one, threads, false, round); }));
    }
    if (plan_.wants(name + "_beside_writer")) {
      add(take_turns(named(name + "_beside_writer", values), "reads/s", note_of(values), all,
                     WarmUp::yes,
                     [&](Contestant& one, int round) { return rate(one, threads, true, round); }));
    }
  }
  if (alone.size() != 2) return;
  Row scaling{named("readers_scaling", values), "reads/s", note_of(values)};
  scaling.series = {{all.front().name() + ", 2 threads", alone[1].series.front().rounds},
                    {all.front().name() + ", 1 thread", alone[0].series.front().rounds}};
  for (Row& row : alone) add(std::move(row));
  add(std::move(scaling));
}

void Bench::single_writes(std::vector<Contestant>& all, const Values& values) {
  const std::size_t writes = std::min(plan_.writes, plan_.entries);
  if (plan_.wants("overwrite")) {
    add(take_turns(named("overwrite", values), "writes/s", "random, one by one, " + note_of(values),
                   all, WarmUp::yes, [&](Contestant& one, int round) {
                     Random random(seed_of(plan_, round));
                     std::string key;
                     return static_cast<double>(writes) / seconds([&] {
                              for (std::size_t i = 0; i < writes; ++i) {
                                const std::uint64_t n = random.below(plan_.entries);
                                key_to(n, key);
                                one.session().put(key, values.of(n, 1));
                              }
                            });
                   }));
  }
  if (plan_.wants("delete")) {
    add(take_turns(named("delete", values), "writes/s", "random, one by one, " + note_of(values),
                   all, WarmUp::no, [&](Contestant& one, int round) {
                     const auto order = shuffled(plan_.entries, seed_of(plan_, round));
                     std::string key;
                     const double took = seconds([&] {
                       for (std::size_t i = 0; i < writes; ++i) {
                         key_to(order[i], key);
                         one.session().erase(key);
                       }
                     });
                     put_all(one.session(), values, writes,
                             [&](std::size_t i) { return order[i]; });
                     return static_cast<double>(writes) / took;
                   }));
  }
}

void Bench::ycsb(std::vector<Contestant>& all, const Values& values) {
  struct Mix {
    char letter;
    const char* what;
    unsigned reads, updates, inserts, scans;  // percent; the rest reads, changes and writes back
  };
  constexpr Mix mixes[] = {{'a', "half reads, half updates", 50, 50, 0, 0},
                           {'b', "95 % reads, updates", 95, 5, 0, 0},
                           {'c', "reads", 100, 0, 0, 0},
                           {'d', "95 % reads of the latest, inserts", 95, 0, 5, 0},
                           {'e', "95 % short scans, inserts", 0, 0, 5, 95},
                           {'f', "half reads, half read-modify-write", 50, 0, 0, 0}};
  const Zipfian zipfian(plan_.entries);
  std::vector<std::uint64_t> inserted(all.size(), plan_.entries);
  for (const Mix& mix : mixes) {
    const std::string name = std::string("ycsb_") + mix.letter;
    if (!plan_.wants(name)) continue;
    const std::size_t operations = mix.letter == 'c' ? plan_.reads : plan_.writes;
    add(take_turns(
        named(name, values), "operations/s",
        std::string(mix.what) + ", zipfian 0.99, " + note_of(values), all, WarmUp::yes,
        [&](Contestant& one, int round) {
          std::uint64_t& count = inserted[static_cast<std::size_t>(&one - all.data())];
          Random random(seed_of(plan_, round));
          std::string key;
          std::string value;
          std::uint64_t sum = 0;
          return static_cast<double>(operations) / seconds([&] {
                   for (std::size_t i = 0; i < operations; ++i) {
                     const std::uint64_t dice = random.below(100);
                     const std::uint64_t n =
                         mix.letter == 'd' ? count - 1 - zipfian.rank(random) : zipfian(random);
                     if (dice < mix.inserts) {
                       key_to(count, key);
                       one.session().put(key, values.of(count));
                       ++count;
                       continue;
                     }
                     key_to(n, key);
                     if (dice < mix.inserts + mix.scans) {
                       one.session().scan_from(key, 1 + random.below(100), sum);
                     } else if (dice < mix.inserts + mix.scans + mix.reads) {
                       expect(one.session().get(key).has_value(), one, "an entry is missing");
                     } else if (dice < mix.inserts + mix.scans + mix.reads + mix.updates) {
                       one.session().put(key, values.of(n, i));
                     } else {
                       const auto found = one.session().get(key);
                       expect(found.has_value(), one, "an entry is missing");
                       value = *found;
                       value[0] = static_cast<char>(value[0] + 1);
                       one.session().put(key, value);
                     }
                   }
                 });
        }));
  }
}

void Bench::resting(std::vector<Contestant>& all, const Values& values) {
  if (plan_.wants("open")) {
    Row row = take_turns(named("open", values), "ms", "open, and read one entry", all, WarmUp::yes,
                         [&](Contestant& one, int) {
                           one.close();
                           return 1000 * seconds([&] {
                                    one.open();
                                    expect(one.session().get(key_of(1)).has_value(), one, "missing");
                                  });
                         });
    row.better = Better::less;
    add(std::move(row));
  }
  if (plan_.wants("size")) {
    Row row{named("size", values), "bytes on disk / payload", note_of(values), Better::less};
    const double payload =
        static_cast<double>(plan_.entries) * static_cast<double>(16 + values.size());
    for (Contestant& one : all) {
      one.engine().settle();
      row.series.push_back({one.name(), {static_cast<double>(one.bytes_on_disk()) / payload}});
    }
    add(std::move(row));
  }
}

}  // namespace benchmark
