#include "kv/bench.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <system_error>

namespace benchmark {

bool Plan::wants(std::string_view workload) const {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& name) {
           return workload.starts_with(name);
         });
}

bool Plan::wants_small_values() const {
  constexpr std::string_view others[] = {"unsynced_fill", "fill_100k", "get_100k", "overwrite_100k",
                                         "durable",       "memory",    "ttl",      "encryption", "buffer"};
  return only.empty() || !std::all_of(only.begin(), only.end(), [&](const std::string& name) {
    return std::any_of(std::begin(others), std::end(others),
                       [&](std::string_view other) { return name.starts_with(other); });
  });
}

Contestant::Contestant(EngineKind kind, std::string folder, Durability durability)
    : kind_(std::move(kind)), folder_(std::move(folder)), durability_(durability) {}

Contestant::~Contestant() { close(); }

void Contestant::open() {
  close();
  std::filesystem::create_directories(folder_);
  engine_ = kind_.open({folder_, durability_});
  session_ = engine_->session();
}

void Contestant::close() noexcept {
  session_.reset();
  engine_.reset();
}

void Contestant::remove() noexcept {
  close();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Contestant::start_anew() {
  remove();
  open();
}

std::uint64_t Contestant::bytes_on_disk() {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    // Sparse files count as what they take.
    struct ::stat info {};
    if (entry.is_regular_file() && ::stat(entry.path().c_str(), &info) == 0) {
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  return bytes;
}

Bench::Bench(Plan plan, Report& report)
    : plan_(std::move(plan)),
      report_(report),
      folder_(plan_.folder + "/snkv-bench-" + std::to_string(::getpid())),
      disk_(plan_.disk + "/snkv-bench-synced-" + std::to_string(::getpid())) {
  std::filesystem::create_directories(folder_);
  std::filesystem::create_directories(disk_);
}

Bench::~Bench() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  std::filesystem::remove_all(disk_, ignored);
}

void Bench::finish(std::vector<Contestant>& all) {
  for (Contestant& one : all) one.remove();
}

std::vector<Contestant> Bench::contestants(const std::string& name, Durability durability) const {
  std::vector<Contestant> all;
  for (EngineKind& kind : engine_kinds()) {
    if (!plan_.engines.empty() &&
        std::find(plan_.engines.begin(), plan_.engines.end(), kind.name) == plan_.engines.end()) {
      continue;
    }
    if (durability < kind.weakest) continue;
    const std::string& place = durability == Durability::disk ? disk_ : folder_;
    const std::string folder = place + "/" + name + "-" + kind.name;
    all.emplace_back(std::move(kind), folder, durability);
  }
  return all;
}

Row Bench::take_turns(std::string name, std::string unit, std::string note,
                      std::vector<Contestant>& contestants, WarmUp warm_up,
                      const Measure& measure) const {
  Row row{std::move(name), std::move(unit), std::move(note)};
  for (const Contestant& one : contestants) row.series.push_back({one.name(), {}});
  for (int round = warm_up == WarmUp::yes ? -1 : 0; round < plan_.rounds; ++round) {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      const std::size_t at = (i + static_cast<std::size_t>(round + 1)) % contestants.size();
      Ticker().show(row.name + ": round " + std::to_string(round + 1) + " of " +
                    std::to_string(plan_.rounds) + ", " + contestants[at].name());
      const double result = measure(contestants[at], round);
      if (round >= 0) row.series[at].rounds.push_back(result);
    }
  }
  return row;
}

namespace {

/// The targets of the project, by workload.
std::vector<Target> targets_of(std::string_view workload) {
  if (workload == "get") {
    return {{"lmdb", 1.0, 1.5}, {"sqlite", 2, 4}, {"rocksdb", 3, 4}, {"leveldb", 3, 4}};
  }
  if (workload == "get_snapshot") return {{"lmdb", 1.0, 1.5}};
  if (workload == "scan") return {{"lmdb", 1.2, 2}};
  if (workload == "fill_sequential") return {{"lmdb", 0.8, 1.2}, {"sqlite", 1.7, 2.5}};
  if (workload == "unsynced_fill_sequential") return {{"lmdb", 0.8, 1.2}};
  if (workload == "unsynced_fill_random") return {{"lmdb", 0.7, 1.5}};
  if (workload == "fill_random") return {{"sqlite", 2.5, 5}, {"lmdb", 0.7, 1.5}};
  if (workload == "overwrite") return {{"sqlite", 4, 6}, {"rocksdb", 0.6, 1}};
  if (workload == "durable_1_thread") return {{"lmdb", 1.0, 1.3}};
  if (workload == "durable_scaling") return {{"snkv, 1 thread", 4, 6}};
  if (workload == "readers_scaling") return {{"snkv, 1 thread", 1.8, 1.95}};
  if (workload == "buffer_fill_journal") return {{"rocksdb-64m", 1.0, 1.5}};
  if (workload == "buffer_fill") return {{"leveldb-64m", 1.0, 1.5}};
  if (workload == "buffer_overwrite_journal") return {{"rocksdb-64m", 1.0, 1.5}};
  if (workload == "get_100k") return {{"lmdb", 0.8, 1.0}};
  return {};
}

}  // namespace

void Bench::add(Row row) {
  // The targets are for values of 100 bytes; the rows of other sizes have the size in their name.
  row.targets = targets_of(row.name);
  report_.add(std::move(row));
}

void Bench::run() {
  for (const std::size_t size : plan_.value_sizes) {
    const Values values(size);
    unsynced_fills(values);
    if (!plan_.wants_small_values()) continue;
    std::vector<Contestant> all = contestants(std::to_string(size), Durability::process);
    fills(all, values);
    point_reads(all, values);
    scans(all, values);
    readers(all, values);
    single_writes(all, values);
    ycsb(all, values);
    resting(all, values);
    finish(all);
  }
  large_values();
  durable_writes();
  buffered();
  memory();
  features();
}

}  // namespace benchmark
