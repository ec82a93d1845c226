#include "vector/bench.hpp"
#include "vector/curve.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace benchmark {
namespace {

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

/// In turns, those that can.
void compare_batches(const VectorPlan& plan, const Dataset& data, std::vector<Curve>& curves,
                     Report& report) {
  Row row{data.name + ", all queries in one call", "queries/s", "ef 64, 2 threads"};
  for (int round = -1; round < plan.rounds; ++round) {
    std::size_t place = 0;
    for (Curve& curve : curves) {
      const auto start = Clock::now();
      if (!curve.engine->search_batch(data, 64)) continue;
      if (round < 0) {
        row.series.push_back({curve.kind.name, {}});
      } else {
        row.series[place++].rounds.push_back(static_cast<double>(data.query_count()) /
                                             seconds_since(start));
      }
    }
  }
  report.add(std::move(row));
}

void compare_opening(const VectorPlan& plan, const Dataset& data, std::vector<Curve>& curves,
                     Report& report) {
  Row row{data.name + ", opening what was saved", "seconds", "", Better::less};
  for (Curve& curve : curves) {
    Series series{curve.kind.name, {}};
    for (int round = 0; round < plan.rounds; ++round) {
      const double seconds = curve.engine->reopen();
      if (seconds > 0) series.rounds.push_back(seconds);
    }
    if (!series.rounds.empty()) row.series.push_back(std::move(series));
  }
  report.add(std::move(row));
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
  for (const std::string& library : plan.others) {
    for (const char* type : {"f32", "i8"}) enter(other_snkv_engine(library, type));
  }
  for (Curve& curve : curves) {
    Ticker().show(data.name + ": " + curve.kind.name + " builds");
    build(curve, data, plan.folder, false);
    Ticker().clear();
  }
  measure_curves(curves, data, plan.rounds,
                 [](VectorEngine& engine, const float* query, std::size_t ef,
                    std::span<std::uint32_t> out) { engine.search(query, ef, out); });
  compare_batches(plan, data, curves, report);
  compare_opening(plan, data, curves, report);

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
      Series rates = curve.rates_at(wanted);
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
