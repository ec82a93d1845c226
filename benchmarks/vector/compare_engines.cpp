#include "measure.hpp"
#include "vector/bench.hpp"
#include "vector/data.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

namespace benchmark {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// An engine with what it has reached: for each ef its recall, and the rates of the rounds.
struct Curve {
  VectorEngineKind kind;
  std::unique_ptr<VectorEngine> engine{};
  double build_rate = 0;
  std::vector<double> recall{};
  std::vector<std::vector<double>> rates{};  // by ef, by round

  /// The rate at a recall in one round, between the two nearest points of the curve; 0 if it was
  /// not reached.
  [[nodiscard]] double rate_at(double wanted, std::size_t round) const {
    for (std::size_t i = 0; i < recall.size(); ++i) {
      if (recall[i] < wanted) continue;
      if (i == 0 || recall[i] == recall[i - 1]) return rates[i][round];
      const double part = (wanted - recall[i - 1]) / (recall[i] - recall[i - 1]);
      return std::exp(std::log(rates[i - 1][round]) * (1 - part) +
                      std::log(rates[i][round]) * part);
    }
    return 0;
  }
};

constexpr std::size_t efs[] = {10, 16, 24, 32, 48, 64, 96, 128, 200, 300, 400};
constexpr std::size_t k = Dataset::truth_size;

std::vector<std::uint32_t> search_all(Curve& curve, const Dataset& data, std::size_t ef) {
  std::vector<std::uint32_t> found(data.query_count() * k);
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    curve.engine->search(data.query(q).data(), ef, std::span(found).subspan(q * k, k));
  }
  return found;
}

void build(Curve& curve, const Dataset& data, const std::string& folder) {
  Ticker().show(data.name + ": " + curve.kind.name + " builds");
  std::string name = curve.kind.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  std::erase(name, ',');
  curve.engine = curve.kind.make(folder + "/" + name);
  const auto start = Clock::now();
  curve.engine->build(data);
  curve.build_rate = static_cast<double>(data.size()) / seconds_since(start);
  for (const std::size_t ef : efs) {
    curve.recall.push_back(recall_of(data, search_all(curve, data, ef)));
  }
  curve.rates.resize(curve.recall.size());
  Ticker().clear();
}

/// At the recall where the targets are, as far as there are any.
double recall_point(const Dataset& data, bool quantized) {
  if (data.name == "mnist") return 0.99;
  if (data.name == "words") return quantized ? 0.945 : 0.95;
  return 0.95;
}

void add_curve(const std::vector<Curve>& curves, const Dataset& data, Report& report) {
  auto json = nlohmann::json::object();
  for (const Curve& curve : curves) {
    for (std::size_t i = 0; i < curve.recall.size(); ++i) {
      json[curve.kind.name].push_back({{"ef", efs[i]},
                                       {"recall", curve.recall[i]},
                                       {"queries per second", median_of(curve.rates[i])}});
    }
  }
  report.set("curves of " + data.name, std::move(json));
}

}  // namespace

void compare_engines(const VectorPlan& plan, const Dataset& data, Report& report) {
  std::vector<Curve> curves;
  const auto enter = [&](VectorEngineKind kind) {
    const bool wanted =
        plan.engines.empty() ||
        std::any_of(plan.engines.begin(), plan.engines.end(),
                    [&](const std::string& name) { return kind.name.starts_with(name); });
    if (wanted || curves.size() < 2) curves.push_back({std::move(kind)});
  };
  enter(snkv_engine("f32"));
  enter(snkv_engine("i8"));
#if defined(BENCHMARK_HNSWLIB)
  enter(hnswlib_engine(false));
  enter(hnswlib_engine(true));
#endif
#if defined(BENCHMARK_USEARCH)
  enter(usearch_engine("f32"));
  enter(usearch_engine("i8"));
#endif
#if defined(BENCHMARK_FAISS)
  enter(faiss_engine("flat"));
  enter(faiss_engine("SQ8"));
#endif
  enter(snkv_engine("i8, vectors in the file"));
  for (Curve& curve : curves) build(curve, data, plan.folder);
  for (int round = 0; round < plan.rounds; ++round) {
    Ticker().show(data.name + ": round " + std::to_string(round + 1));
    for (std::size_t e = 0; e < std::size(efs); ++e) {
      for (std::size_t i = 0; i < curves.size(); ++i) {
        Curve& curve = curves[(i + static_cast<std::size_t>(round)) % curves.size()];
        const auto start = Clock::now();
        static_cast<void>(search_all(curve, data, efs[e]));
        curve.rates[e].push_back(static_cast<double>(data.query_count()) / seconds_since(start));
      }
    }
  }
  Ticker().clear();

  // f32 and i8 have targets of their own, so each is the first of a row.
  for (const std::size_t ours : {std::size_t{0}, std::size_t{1}}) {
    const bool quantized = ours == 1;
    const double wanted = recall_point(data, quantized);
    char name[80];
    std::snprintf(name, sizeof name, "%s, %s at recall %.3f", data.name.c_str(),
                  quantized ? "i8" : "f32", wanted);
    Row search{name, "queries/s", "one thread"};
    Row built{data.name + ", put_batch " + (quantized ? "i8" : "f32"), "vectors/s",
              "2 threads; durable, the rivals in memory; once"};
    Row memory{data.name + ", memory " + (quantized ? "i8" : "f32"), "bytes/vector", "",
               Better::less};
    for (std::size_t i = 0; i < curves.size(); ++i) {
      if (i < 2 && i != ours) continue;
      const Curve& curve = curves[i];
      Series rates{curve.kind.name, {}};
      for (int round = 0; round < plan.rounds; ++round) {
        rates.rounds.push_back(curve.rate_at(wanted, static_cast<std::size_t>(round)));
      }
      const auto add = [&](Series series, Row& row) {
        row.series.insert(i == ours ? row.series.begin() : row.series.end(), std::move(series));
      };
      if (rates.rounds[0] > 0) {
        add(std::move(rates), search);
      } else {
        std::printf("%s does not reach recall %.3f on %s\n", curve.kind.name.c_str(), wanted,
                    data.name.c_str());
      }
      add({curve.kind.name, {curve.build_rate}}, built);
      const auto bytes = static_cast<double>(curve.engine->memory());
      if (bytes > 0) {
        add({curve.kind.name, {bytes / static_cast<double>(data.size())}}, memory);
      }
    }
    if (data.name == "mnist")
      search.targets = {quantized ? Target{"hnswlib", 2.5, 4.5} : Target{"hnswlib", 1.0, 1.3}};
    if (data.name == "words")
      search.targets = {quantized ? Target{"hnswlib", 1.5, 2.5} : Target{"hnswlib", 1.0, 1.3}};
    built.targets = {quantized ? Target{"hnswlib", 1.8, 3} : Target{"hnswlib", 0.85, 1.2}};
    for (Row* row : {&search, &built, &memory}) {
      const bool is_ours = !row->series.empty() && row->series[0].name == curves[ours].kind.name;
      if (is_ours) report.add(std::move(*row));
    }
  }
  add_curve(curves, data, report);
}

}  // namespace benchmark
