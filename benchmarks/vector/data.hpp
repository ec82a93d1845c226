/// \file
/// The vectors that are searched, and the exact answers.
#pragma once

#include "vector/engine.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace benchmark {

/// "mnist", "words" or "clusters", as far as they are there; at most `most` vectors and `queries`.
/// "wide" is 50 000 vectors of 1536 dimensions in clusters.
/// "scale-N" is N vectors of 100 dimensions in clusters.
[[nodiscard]] std::vector<std::string> dataset_names();
[[nodiscard]] Dataset load_dataset(const std::string& name, std::size_t most, std::size_t queries);

/// Sets the true answers among those that are accepted, by scanning.
void find_truth(Dataset& data, const std::function<bool(std::size_t number)>& accepts);

/// The share of the true neighbours that was found.
[[nodiscard]] double recall_of(const Dataset& data, const std::vector<std::uint32_t>& found);

}  // namespace benchmark
