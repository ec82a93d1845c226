#include "measure.hpp"
#include "vector/bench.hpp"

#include <snkv/vector/store.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

namespace benchmark {
namespace {

using Clock = std::chrono::steady_clock;
using snkv::VectorStore;

/// Bytes that this process has handed to the system for writing.
double bytes_written() {
  std::ifstream in("/proc/self/io");
  for (std::string name; in >> name;) {
    std::uint64_t value = 0;
    in >> value;
    if (name == "wchar:") return static_cast<double>(value);
  }
  return 0;
}

/// A candidate with what one of its runs does; the rate is operations per second.
struct Runner {
  std::string name;
  std::size_t operations = 0;
  std::function<void()> run;
};

/// One round to warm up, then those that count, in turns.
Row measure(const VectorPlan& plan, Row row, std::vector<Runner> runners) {
  for (const Runner& runner : runners) row.series.push_back({runner.name, {}});
  for (int round = -1; round < plan.rounds; ++round) {
    for (std::size_t i = 0; i < runners.size(); ++i) {
      const std::size_t who = (i + static_cast<std::size_t>(round + 1)) % runners.size();
      const auto start = Clock::now();
      runners[who].run();
      const double passed = std::chrono::duration<double>(Clock::now() - start).count();
      if (round < 0) continue;
      row.series[who].rounds.push_back(static_cast<double>(runners[who].operations) / passed);
    }
  }
  return row;
}

/// Entries in groups, a thousandth of them in each, and each with a value.
void fill(VectorStore<>& store, const Dataset& data) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < data.size(); ++i) keys.push_back("key " + std::to_string(i));
  std::vector<snkv::VectorItem> items(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    items[i].key = keys[i];
    items[i].vector = data.vector(i);
    items[i].value = "a value that is not very long";
    items[i].metadata = {{"group", group_of(i)}};
  }
  must(store.put_batch(items));
}

class StoreBench {
 public:
  StoreBench(const VectorPlan& plan, const Dataset& data, Report& report)
      : plan_(plan), data_(data), report_(report), folder_(plan.folder) {}

  void run() {
    store_ = open(2);
    fill(store_, data_);
    results();
    filters();
    batches();
    clients();
    upserts();
    opening();
    crash();
  }

 private:
  [[nodiscard]] VectorStore<> open(std::size_t threads) const {
    snkv::VectorStoreOptions options;
    options.dim = data_.dim;
    options.metric = data_.cosine ? snkv::Metric::cosine : snkv::Metric::l2;
    options.threads = threads;
    return must(VectorStore<>::open(folder_.file("store.db"), options));
  }
  template <class Search>
  [[nodiscard]] Runner each_query(std::string name, std::size_t queries, Search&& search) const {
    return {std::move(name), queries, [this, queries, search] {
              for (std::size_t q = 0; q < queries; ++q) search(data_.query(q));
            }};
  }

  void results() {
    Row row{data_.name + ", key, value, metadata", "queries/s", "against search_keys; ef 64"};
    row.targets = {{"keys only", 0.8, 0.9}};
    const std::size_t all = data_.query_count();
    report_.add(
        measure(plan_, std::move(row),
                {each_query("snkv", all, [this](auto query) { must(store_.search(query, 10)); }),
                 each_query("keys only", all,
                            [this](auto query) { must(store_.search_keys(query, 10)); })}));
  }

  void filters() {
    struct Share {
      int groups;
      const char* name;
    };
    for (const Share share : {Share{1, "0.1 %"}, {10, "1 %"}, {100, "10 %"}, {500, "50 %"}}) {
      filtered(share.groups, share.name);
    }
  }
  void filtered(int share, const std::string& name) {
    const snkv::Filter filter = snkv::field("group") < share;
    Row row{data_.name + ", filter of " + name, "queries/s",
            "against scans of all and of what matches, and filtering afterwards"};
    // The one with a target.
    const bool main = share == 10;
    if (main) row.targets = {{"exact scan", 2, 5}, {"post-filter", 2, 5}};
    const std::size_t some = std::min<std::size_t>(main ? 200 : 50, data_.query_count());
    std::vector<Runner> runners{
        each_query(
            "snkv", some,
            [=, this](auto query) { must(store_.search_keys(query, 10, {.filter = filter})); }),
        each_query("exact scan", some,
                   [this](auto query) { must(store_.search_keys(query, 10, {.exact = true})); }),
        each_query("exact, filtered", some, [=, this](auto query) {
          must(store_.search_keys(query, 10, {.filter = filter, .exact = true}));
        })};
    if (main) {
      // Enough of the nearest that ten of them match, nearly always.
      runners.push_back(
          each_query("post-filter", std::min<std::size_t>(some, 50), [=, this](auto query) {
            std::size_t kept = 0;
            for (const auto& hit : must(store_.search(query, 1600))) {
              kept += filter.matches(hit.metadata) ? 1 : 0;
            }
            if (kept == 0) std::abort();
          }));
    }
    report_.add(measure(plan_, std::move(row), std::move(runners)));
  }

  /// One by one, each a durable commit.
  void upserts() {
    const std::size_t some = std::min<std::size_t>(500, data_.query_count());
    Row rate{data_.name + ", upserts one by one", "upserts/s", "durable, one thread"};
    Row bytes{data_.name + ", written for an upsert", "bytes",
              "handed to the system, checkpoints included; against the vector alone", Better::less};
    rate.series = {{"snkv", {}}};
    bytes.series = {{"snkv", {}}, {"vector", {}}};
    for (int round = 0; round < plan_.rounds; ++round) {
      const double before = bytes_written();
      const auto start = Clock::now();
      for (std::size_t i = 0; i < some; ++i) {
        // Other entries in each round, all over the file.
        const std::size_t which = (i * 7919 + static_cast<std::size_t>(round)) % data_.size();
        must(
            store_.put("key " + std::to_string(which), data_.query(i), {.sync = snkv::Sync::full}));
      }
      const double passed = std::chrono::duration<double>(Clock::now() - start).count();
      const auto count = static_cast<double>(some);
      rate.series[0].rounds.push_back(count / passed);
      bytes.series[0].rounds.push_back((bytes_written() - before) / count);
      bytes.series[1].rounds.push_back(static_cast<double>(data_.dim * sizeof(float)));
    }
    report_.add(std::move(rate));
    report_.add(std::move(bytes));
  }

  void batches() {
    // The number of threads is that of the first handle, so each has a store of its own.
    VectorStore<> one;
    Row row{data_.name + ", search_keys_batch with 2 threads", "queries/s", "against 1 thread"};
    row.targets = {{"1 thread", 1.85, 1.95}};
    const std::size_t all = data_.query_count();
    const auto batch = [this](std::string name, VectorStore<>& store, std::size_t count) {
      return Runner{std::move(name), count,
                    [this, &store] { must(store.search_keys_batch(data_.queries, 10)); }};
    };
    must(store_.save());
    one = open(1);
    report_.add(
        measure(plan_, std::move(row), {batch("snkv", store_, all), batch("1 thread", one, all)}));
  }

  /// Programs that differ in the flags that they were compiled with.
  void clients() {
    Row row{data_.name + ", a client without -m flags", "queries/s",
            "against one with -march=native; ef 64, the best of 3"};
    row.targets = {{"-march=native", 0.97, 1}};
    row.series = {{"snkv", {}}, {"-march=native", {}}};
    const std::string queries = folder_.file("queries");
    std::ofstream(queries, std::ios::binary)
        .write(reinterpret_cast<const char*>(data_.queries.data()),
               static_cast<std::streamsize>(data_.queries.size() * sizeof(float)));
    const char* const programs[] = {BENCHMARK_CLIENT, BENCHMARK_CLIENT_NATIVE};
    for (int round = 0; round < plan_.rounds; ++round) {
      for (int i = 0; i < 2; ++i) {
        const auto who = static_cast<std::size_t>((i + round) % 2);
        row.series[who].rounds.push_back(answer_of(std::string(programs[who]) + " '" +
                                                   folder_.file("store.db") + "' '" + queries +
                                                   "' 3"));
      }
    }
    report_.add(std::move(row));
  }
  static double answer_of(const std::string& command) {
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    double answer = 0;
    if (pipe == nullptr || std::fscanf(pipe, "%lf", &answer) != 1 || ::pclose(pipe) != 0) {
      std::abort();
    }
    return answer;
  }

  void opening() {
    must(store_.save());
    store_ = {};
    const auto saved = [this] {
      store_ = open(2);
      if (!must(store_.stats()).loaded) std::abort();
      store_ = {};
    };
    const auto timed = [](const auto& work) {
      const auto start = Clock::now();
      work();
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
    Row row{data_.name + ", open", "seconds", "what was saved, against building it; built once",
            Better::less};
    row.targets = {{"rebuild", 50, 200}};
    row.series = {{"snkv", {}}, {"rebuild", {}}};
    for (int round = 0; round < plan_.rounds; ++round) row.series[0].rounds.push_back(timed(saved));
    for (const auto& entry : std::filesystem::directory_iterator(
             std::filesystem::path(folder_.file("store.db")).parent_path())) {
      const std::string name = entry.path().filename().string();
      if (name.find("-vectors-") != std::string::npos) std::filesystem::remove(entry.path());
    }
    const double rebuilt = timed([this] { store_ = open(2); });
    row.series[1].rounds.assign(static_cast<std::size_t>(plan_.rounds), rebuilt);
    report_.add(std::move(row));
  }

  /// What is saved is as old as it gets by itself: another process writes, and is killed.
  void crash() {
    store_ = {};
    Row row{data_.name + ", first answer after kill -9", "seconds",
            "opening, recovery and one search; 200 upserts since the last save", Better::less};
    row.series = {{"snkv", {}}};
    for (int round = 0; round < plan_.rounds; ++round) {
      const pid_t child = ::fork();
      if (child == 0) {
        VectorStore<> store = open(1);
        must(store.save());
        for (std::size_t i = 0; i < 200; ++i) {
          must(store.put("key " + std::to_string(i), data_.query(i % data_.query_count())));
        }
        ::kill(::getpid(), SIGKILL);
      }
      int status = 0;
      if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) std::abort();
      const auto start = Clock::now();
      store_ = open(2);
      must(store_.search_keys(data_.query(0), 10));
      row.series[0].rounds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
      store_ = {};
    }
    report_.add(std::move(row));
  }

  const VectorPlan& plan_;
  const Dataset& data_;
  Report& report_;
  Folder folder_;
  VectorStore<> store_;
};

}  // namespace

void measure_store(const VectorPlan& plan, const Dataset& data, Report& report) {
  StoreBench(plan, data, report).run();
}

}  // namespace benchmark
