/// \file
/// The workloads, one function for each group, and what they share.
#pragma once

#include "kv/data.hpp"
#include "kv/engine.hpp"
#include "report.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmark {

struct Plan {
  std::string folder = ".";            ///< where the stores go: a disk, or a folder in memory
  std::string disk = ".";              ///< where those go whose writes are synced: a real disk
  std::size_t entries = 1'000'000;     ///< of the stores with small values
  std::size_t large_entries = 10'000;  ///< of those with 100 KB
  std::size_t reads = 200'000;         ///< operations of a round of reading
  std::size_t writes = 20'000;         ///< of writing one by one
  std::size_t durable_writes = 400;    ///< of writing one by one, synced
  int rounds = 7;
  std::uint64_t seed = 42;
  std::vector<std::string> only{};     ///< names of workloads, or beginnings of them; empty: all
  std::vector<std::string> engines{};  ///< empty: all
  std::vector<std::size_t> value_sizes = {100, 1000};

  /// Whether a workload is asked for.
  [[nodiscard]] bool wants(std::string_view workload) const;
  /// Whether any is that needs stores filled with small values.
  [[nodiscard]] bool wants_small_values() const;
};

/// An engine in its own folder, open or not.
class Contestant {
 public:
  Contestant(EngineKind kind, std::string folder, Durability durability);
  Contestant(Contestant&&) noexcept = default;
  Contestant& operator=(Contestant&&) noexcept = default;
  ~Contestant();

  [[nodiscard]] const std::string& name() const noexcept { return kind_.name; }
  [[nodiscard]] Engine& engine() noexcept { return *engine_; }
  [[nodiscard]] Session& session() noexcept { return *session_; }

  /// Opens what is in the folder.
  void open();
  void close() noexcept;
  void remove() noexcept;
  /// Closes, and opens an empty one.
  void start_anew();
  [[nodiscard]] std::uint64_t bytes_on_disk();

 private:
  EngineKind kind_;
  std::string folder_;
  Durability durability_ = Durability::process;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
};

/// Seconds that `work` takes.
template <class Work>
[[nodiscard]] double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  Bench(Plan plan, Report& report);
  ~Bench();

  /// Everything that the plan wants.
  void run();

 private:
  /// Measures one contestant in one round; the result is a number in the unit of the row.
  using Measure = std::function<double(Contestant&, int round)>;
  enum class WarmUp { yes, no };

  /// All engines take turns; who is first changes from round to round.
  [[nodiscard]] Row take_turns(std::string name, std::string unit, std::string note,
                               std::vector<Contestant>& contestants, WarmUp warm_up,
                               const Measure& measure) const;
  [[nodiscard]] std::vector<Contestant> contestants(const std::string& name,
                                                    Durability durability) const;
  /// Closes them and removes their files.
  static void finish(std::vector<Contestant>& all);
  void add(Row row);

  void fills(std::vector<Contestant>& all, const Values& values);
  /// Against engines that can do without all syncs as well, so that no disk is waited for.
  void unsynced_fills(const Values& values);
  void point_reads(std::vector<Contestant>& all, const Values& values);
  void scans(std::vector<Contestant>& all, const Values& values);
  void readers(std::vector<Contestant>& all, const Values& values);
  void single_writes(std::vector<Contestant>& all, const Values& values);
  void ycsb(std::vector<Contestant>& all, const Values& values);
  void resting(std::vector<Contestant>& all, const Values& values);
  void large_values();
  void durable_writes();
  void buffered();
  void memory();
  void features();

  Plan plan_;
  Report& report_;
  std::string folder_;
  std::string disk_;
};

/// Fills a store and reads it, as the only thing this process does, and prints its private and its
/// peak memory in bytes. For `Bench::memory`, which starts this program again for each engine.
int measure_memory(const std::string& engine, const std::string& folder, std::size_t entries);

}  // namespace benchmark
