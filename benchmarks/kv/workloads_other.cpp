// Workloads that have stores of their own: large values, synced writes, memory, features of snkv.
#include "kv/bench.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

namespace benchmark {

void Bench::large_values() {
  constexpr std::size_t size = 100'000;
  const std::size_t entries = plan_.large_entries;
  if (!plan_.wants("fill_100k") && !plan_.wants("get_100k") && !plan_.wants("overwrite_100k"))
    return;
  const Values values(size);
  const std::string note = "100 KB values, " + std::string(to_string(Durability::process));
  std::vector<Contestant> all = contestants("large", Durability::process);
  const auto order = shuffled(entries, plan_.seed);
  const auto fill = [&](Contestant& one, int) {
    one.start_anew();
    return static_cast<double>(entries) / seconds([&] {
             for (const std::uint32_t n : order) one.session().put(key_of(n), values.of(n));
           });
  };
  if (plan_.wants("fill_100k")) {
    add(take_turns("fill_100k", "entries/s", "random, one by one, " + note, all, WarmUp::no, fill));
  } else {
    for (Contestant& one : all) static_cast<void>(fill(one, 0));
  }
  for (Contestant& one : all) one.engine().settle();
  const std::size_t reads = std::min<std::size_t>(entries, plan_.reads / 20);
  if (plan_.wants("get_100k")) {
    add(take_turns("get_100k", "reads/s", note, all, WarmUp::yes, [&](Contestant& one, int round) {
      Random random(plan_.seed + static_cast<std::uint64_t>(round + 1));
      return static_cast<double>(reads) / seconds([&] {
               for (std::size_t i = 0; i < reads; ++i) {
                 if (!one.session().get(key_of(random.below(entries)))) {
                   fail(one.name(), "an entry is missing");
                 }
               }
             });
    }));
  }
  if (plan_.wants("overwrite_100k")) {
    const std::size_t writes = std::max<std::size_t>(1, reads / 10);
    add(take_turns("overwrite_100k", "writes/s", "random, one by one, " + note, all, WarmUp::yes,
                   [&](Contestant& one, int round) {
                     Random random(plan_.seed + static_cast<std::uint64_t>(round + 1));
                     return static_cast<double>(writes) / seconds([&] {
                              for (std::size_t i = 0; i < writes; ++i) {
                                const std::uint64_t n = random.below(entries);
                                one.session().put(key_of(n), values.of(n, 1));
                              }
                            });
                   }));
  }
  finish(all);
}

void Bench::durable_writes() {
  if (!plan_.wants("durable")) return;
  const Values values(100);
  std::vector<Contestant> all = contestants("durable", Durability::disk);
  for (Contestant& one : all) one.open();
  const std::string note = "100 B values, " + std::string(to_string(Durability::disk));
  const auto rate = [&](Contestant& one, std::size_t threads, int round) {
    return static_cast<double>(plan_.durable_writes) / seconds([&] {
             std::vector<std::thread> running;
             for (std::size_t t = 0; t < threads; ++t) {
               running.emplace_back([&, t] {
                 const auto session = one.engine().session();
                 Random random(plan_.seed + static_cast<std::uint64_t>(round + 1) * 64 + t);
                 for (std::size_t i = t; i < plan_.durable_writes; i += threads) {
                   const std::uint64_t n = random.below(1'000'000);
                   session->put(key_of(n), values.of(n));
                 }
               });
             }
             for (std::thread& thread : running) thread.join();
           });
  };
  std::vector<Series> ours;
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}, std::size_t{8}}) {
    const std::string count = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    std::string name = "durable_" + count;
    std::replace(name.begin(), name.end(), ' ', '_');
    Row row = take_turns(name, "writes/s", note, all, WarmUp::yes,
                         [&](Contestant& one, int round) { return rate(one, threads, round); });
    ours.insert(ours.begin(), {all.front().name() + ", " + count, row.series.front().rounds});
    add(std::move(row));
  }
  Row scaling{"durable_scaling", "writes/s", note};
  scaling.series = std::move(ours);
  add(std::move(scaling));
  finish(all);
}

namespace {

/// A line such as "RssAnon:   1234 kB" of /proc/self/status, in bytes.
double memory_line(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return 1024 * std::stod(line.substr(name.size() + 1));
  }
  return 0;
}

}  // namespace

int measure_memory(const std::string& engine, const std::string& folder, std::size_t entries) {
  const Values values(100);
  for (const EngineKind& kind : engine_kinds()) {
    if (kind.name != engine) continue;
    const double before = memory_line("RssAnon");
    const auto opened = kind.open({folder, Durability::process});
    const auto session = opened->session();
    double most = 0;
    std::vector<std::string> keys(1000);
    std::vector<Entry> batch;
    Random order(1);
    for (std::size_t done = 0; done < entries; done += keys.size()) {
      batch.clear();
      for (std::string& key : keys) {
        const std::uint64_t n = order.below(entries);
        key_to(n, key);
        batch.push_back({key, values.of(n)});
      }
      session->put_batch(batch);
      most = std::max(most, memory_line("RssAnon"));
    }
    for (std::size_t i = 0; i < entries; ++i) {
      static_cast<void>(session->get(key_of(order.below(entries))));
      if (i % 1000 == 0) most = std::max(most, memory_line("RssAnon"));
    }
    std::printf("%.0f\n", most - before);
    return 0;
  }
  return 1;
}

void Bench::memory() {
  if (!plan_.wants("memory")) return;
  Row row{"memory", "bytes, private, at most", "filled at random and read, 100 B values",
          Better::less};
  for (Contestant& one : contestants("memory", Durability::process)) {
    const std::string folder = folder_ + "/memory-" + one.name();
    std::filesystem::create_directories(folder);
    const std::string command = "/proc/" + std::to_string(::getpid()) + "/exe --memory " +
                                one.name() + " " + folder + " " + std::to_string(plan_.entries);
    Ticker().show("memory of " + one.name());
    FILE* child = ::popen(command.c_str(), "r");
    double bytes = 0;
    if (child == nullptr || std::fscanf(child, "%lf", &bytes) != 1) fail(one.name(), "no answer");
    ::pclose(child);
    row.series.push_back({one.name(), {bytes}});
    std::filesystem::remove_all(folder);
  }
  add(std::move(row));
}

namespace {

template <class T>
T must(snkv::Result<T> result) {
  if (!result) fail("snkv", result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// A store of snkv, and how it is written to.
struct Side {
  std::string name;
  snkv::Store store;
  snkv::PutOptions options{};
};

void put_all(Side& side, const Values& values, std::size_t entries, int round) {
  constexpr std::size_t batch = 1000;
  for (std::size_t at = 0; at < entries; at += batch) {
    must(side.store.transact([&](snkv::Transaction& transaction) -> snkv::Result<void> {
      for (std::size_t i = at; i < std::min(at + batch, entries); ++i) {
        auto put = transaction.put(key_of(i), values.of(i, static_cast<std::uint64_t>(round + 1)),
                                   side.options);
        if (!put) return put;
      }
      return {};
    }));
  }
}

void scan_all(Side& side, std::size_t entries) {
  std::uint64_t sum = 0;
  std::size_t count = 0;
  snkv::Range range = side.store.all();
  for (auto [key, value] : range) {
    sum += touch(key.view()) + touch(value.view());
    ++count;
  }
  must(range.status());
  if (count != entries) fail(side.name, "a scan of another length");
}

}  // namespace

/// What a feature costs: stores of snkv against each other.
void Bench::features() {
  using namespace std::chrono_literals;
  const Values values(100);
  const std::size_t entries = std::min<std::size_t>(plan_.entries, 200'000);
  const auto compare = [&](const std::string& feature, std::vector<Side> sides) {
    const auto row_of = [&](const std::string& what, const char* unit, std::size_t count,
                            auto&& body) {
      Row row{feature + "_" + what, unit,
              "100 B values, " + std::string(to_string(Durability::process))};
      for (const Side& side : sides) row.series.push_back({side.name, {}});
      for (int round = -1; round < plan_.rounds; ++round) {
        for (std::size_t i = 0; i < sides.size(); ++i) {
          const std::size_t at = (i + static_cast<std::size_t>(round + 1)) % sides.size();
          const double took = seconds([&] { body(sides[at], round); });
          if (round >= 0) row.series[at].rounds.push_back(static_cast<double>(count) / took);
        }
      }
      add(std::move(row));
    };
    row_of("put", "entries/s", entries,
           [&](Side& side, int round) { put_all(side, values, entries, round); });
    for (Side& side : sides) must(side.store.checkpoint(snkv::Checkpoint::truncate));
    row_of("get", "reads/s", plan_.reads, [&](Side& side, int round) {
      Random random(plan_.seed + static_cast<std::uint64_t>(round + 1));
      for (std::size_t i = 0; i < plan_.reads; ++i) {
        static_cast<void>(must(side.store.get(key_of(random.below(entries)))));
      }
    });
    row_of("scan", "entries/s", entries, [&](Side& side, int) { scan_all(side, entries); });
  };
  const auto open = [&](const char* name) { return must(snkv::Store::open(folder_ + name)); };
  if (plan_.wants("ttl")) {
    compare("ttl", {{"snkv, entries expire", open("/ttl.db"), {.ttl = 24h}},
                    {"snkv, without expiry", open("/no-ttl.db")}});
  }
  if (plan_.wants("encryption")) {
    const std::string key(snkv::Secret::key_size, 'k');
    compare("encryption", {{"snkv, encrypted",
                            must(snkv::Store::open_encrypted(folder_ + "/encrypted.db",
                                                             snkv::Secret::key(key)))},
                           {"snkv, plain", open("/plain.db")}});
  }
}

}  // namespace benchmark
