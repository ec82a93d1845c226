#include "measure.hpp"
#include "vector/bench.hpp"

#include <snkv/vector/store.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

namespace benchmark {
namespace {

using Clock = std::chrono::steady_clock;
using snkv::VectorStore;

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

/// A hundred groups of entries, each with a value.
void fill(VectorStore<>& store, const Dataset& data) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < data.size(); ++i) keys.push_back("key " + std::to_string(i));
  std::vector<snkv::VectorItem> items(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    items[i].key = keys[i];
    items[i].vector = data.vector(i);
    items[i].value = "a value that is not very long";
    items[i].metadata = {{"group", i * 7919 % 100}};
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
    opening();
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
    const snkv::Filter filter = snkv::field("group") == 7;
    Row row{data_.name + ", filter of 1 %", "queries/s",
            "against a scan of all, and filtering afterwards"};
    row.targets = {{"exact scan", 2, 5}, {"post-filter", 2, 5}};
    const std::size_t some = std::min<std::size_t>(200, data_.query_count());
    report_.add(measure(
        plan_, std::move(row),
        {each_query(
             "snkv", some,
             [=, this](auto query) { must(store_.search_keys(query, 10, {.filter = filter})); }),
         each_query(
             "exact scan", some,
             [=, this](auto query) { must(store_.search_keys(query, 10, {.exact = true})); }),
         // Enough of the nearest that ten of them match, nearly always.
         each_query("post-filter", std::min<std::size_t>(some, 50), [=, this](auto query) {
           std::size_t kept = 0;
           for (const auto& hit : must(store_.search(query, 1600))) {
             kept += filter.matches(hit.metadata) ? 1 : 0;
           }
           if (kept == 0) std::abort();
         })}));
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
