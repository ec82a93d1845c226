/// \file
/// The vectors that are searched, and the exact answers.
#pragma once

#include "vector/engine.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace benchmark {

/// "mnist", "words" or "clusters", as far as they are there; at most `most` vectors and `queries`.
/// "scale-N" is N vectors of 100 dimensions in clusters.
[[nodiscard]] std::vector<std::string> dataset_names();
[[nodiscard]] Dataset load_dataset(const std::string& name, std::size_t most, std::size_t queries);

/// The share of the true neighbours that was found.
[[nodiscard]] double recall_of(const Dataset& data, const std::vector<std::uint32_t>& found);

}  // namespace benchmark
