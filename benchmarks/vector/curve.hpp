/// \file
/// Rates at equal recall: each engine is asked with several `ef`, and the rate at a recall lies
/// between two of them.
#pragma once

#include "report.hpp"
#include "vector/data.hpp"
#include "vector/engine.hpp"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace benchmark {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::size_t efs[] = {10, 16, 24, 32, 48, 64, 96, 128, 200, 300, 400};

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
  [[nodiscard]] Series rates_at(double wanted) const {
    Series series{kind.name, {}};
    for (std::size_t round = 0; round < rates[0].size(); ++round)
      series.rounds.push_back(rate_at(wanted, round));
    return series;
  }
};

/// Makes and fills an engine in a folder of its own below `folder`.
inline void build(Curve& curve, const Dataset& data, const std::string& folder, bool grouped) {
  std::string name;
  for (const char c : curve.kind.name) {
    if (c != ',' && c != ':') name += c == ' ' ? '-' : c;
  }
  curve.engine = curve.kind.make(folder + "/" + name);
  const auto start = Clock::now();
  curve.engine->build(data, grouped);
  curve.build_rate = static_cast<double>(data.size()) / seconds_since(start);
}

/// The numbers found for all queries of the data; `search(engine, query, ef, out)`.
template <class Search>
std::vector<std::uint32_t> search_all(Curve& curve, const Dataset& data, std::size_t ef,
                                      const Search& search) {
  constexpr std::size_t k = Dataset::truth_size;
  std::vector<std::uint32_t> found(data.query_count() * k);
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    search(*curve.engine, data.query(q).data(), ef, std::span(found).subspan(q * k, k));
  }
  return found;
}

/// The recall for each ef, which warms up as well; then the rounds, in which the engines take turns
/// at each ef.
template <class Search>
void measure_curves(std::vector<Curve>& curves, const Dataset& data, int rounds,
                    const Search& search) {
  for (Curve& curve : curves) {
    curve.recall.clear();
    for (const std::size_t ef : efs) {
      curve.recall.push_back(recall_of(data, search_all(curve, data, ef, search)));
    }
    curve.rates.assign(curve.recall.size(), {});
  }
  for (int round = 0; round < rounds; ++round) {
    Ticker().show(data.name + ": round " + std::to_string(round + 1));
    for (std::size_t e = 0; e < std::size(efs); ++e) {
      for (std::size_t i = 0; i < curves.size(); ++i) {
        Curve& curve = curves[(i + static_cast<std::size_t>(round)) % curves.size()];
        const auto start = Clock::now();
        static_cast<void>(search_all(curve, data, efs[e], search));
        curve.rates[e].push_back(static_cast<double>(data.query_count()) / seconds_since(start));
      }
    }
  }
  Ticker().clear();
}

}  // namespace benchmark
