// Searches among a part of the vectors: by metadata in the store, by a condition on the label in
// the index, and with the functor that hnswlib has for it.
#include "vector/bench.hpp"
#include "vector/curve.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <queue>

namespace benchmark {
namespace {

/// The data with fewer queries, whose answers are those among the groups below `below`.
Dataset among_groups(const Dataset& data, std::size_t below, std::size_t queries) {
  Dataset part{data.name, data.dim, data.cosine};
  part.vectors = data.vectors;
  part.queries.assign(data.queries.begin(),
                      data.queries.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min(queries, data.query_count()) * data.dim));
  find_truth(part, [below](std::size_t number) { return group_of(number) < below; });
  return part;
}

}  // namespace

void compare_filters(const VectorPlan& plan, const Dataset& data, Report& report) {
  std::vector<Curve> curves;
  for (const char* type : {"f32", "i8", "index f32", "index i8"}) {
    curves.push_back({snkv_engine(type)});
    for (const std::string& library : plan.others)
      curves.push_back({other_snkv_engine(library, type)});
  }
#if defined(BENCHMARK_HNSWLIB)
  curves.push_back({hnswlib_engine(false)});
#endif
  for (Curve& curve : curves) {
    Ticker().show(data.name + ", in groups: " + curve.kind.name + " builds");
    build(curve, data, plan.folder, true);
    Ticker().clear();
  }
  auto json = nlohmann::json::object();
  for (const std::size_t below : {std::size_t{10}, std::size_t{100}, std::size_t{500}}) {
    const Dataset part = among_groups(data, below, 100);
    measure_curves(
        curves, part, plan.rounds,
        [below](VectorEngine& engine, const float* query, std::size_t ef,
                std::span<std::uint32_t> out) { engine.search_groups(query, ef, below, out); });
    for (const double wanted : {0.95, 0.99}) {
      char name[80];
      std::snprintf(name, sizeof name, "%s, %zu %% match, at recall %.2f", data.name.c_str(),
                    below / 10, wanted);
      Row row{name, "queries/s",
              "one thread; metadata in the store, a condition in the index and hnswlib"};
      for (const Curve& curve : curves) {
        Series series = curve.rates_at(wanted);
        if (series.rounds[0] > 0) row.series.push_back(std::move(series));
      }
      report.add(std::move(row));
    }
    for (const Curve& curve : curves) {
      for (std::size_t i = 0; i < curve.recall.size(); ++i) {
        json[std::to_string(below / 10) + " %"][curve.kind.name].push_back(
            {{"ef", efs[i]},
             {"recall", curve.recall[i]},
             {"queries per second", median_of(curve.rates[i])}});
      }
    }
  }
  report.set("curves of filters in " + data.name, std::move(json));
}

}  // namespace benchmark
