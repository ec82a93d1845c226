/// \file
/// What is measured of vector search.
#pragma once

#include "report.hpp"
#include "vector/engine.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace benchmark {

struct VectorPlan {
  std::string folder = ".";
  std::size_t vectors = 1'000'000;  ///< of each dataset, at most
  std::size_t queries = 2000;
  int rounds = 7;
  std::vector<std::string> datasets{};  ///< empty: all
  std::vector<std::string> engines{};   ///< beginnings of names; empty: all
  std::vector<std::string> others{};    ///< libraries with other versions of snkv
};

/// Every engine on one dataset: building, searching at equal recall, batches, opening, memory.
void compare_engines(const VectorPlan& plan, const Dataset& data, Report& report);
/// Searches of those that have filters, at equal recall among what matches.
void compare_filters(const VectorPlan& plan, const Dataset& data, Report& report);
/// What only a store has: opening, filters, full results, batches.
void measure_store(const VectorPlan& plan, const Dataset& data, Report& report);

}  // namespace benchmark
