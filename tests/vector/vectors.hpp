// Vectors to search in, and the exact answer by other code than the index's.
#pragma once

#include <snkv/vector/index.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace snkv::test {

/// Points around some centres, the same for the same seed on every machine. (The distributions of
/// the standard library are not.)
class ClusteredVectors {
 public:
  ClusteredVectors(std::size_t dim, std::size_t centres, std::uint64_t seed)
      : dim_(dim), random_(seed) {
    centres_.resize(dim * centres);
    for (float& x : centres_) x = normal();
  }

  std::vector<float> next() {
    const std::size_t centre = random_() % (centres_.size() / dim_);
    std::vector<float> vector(dim_);
    for (std::size_t d = 0; d < dim_; ++d)
      vector[d] = centres_[centre * dim_ + d] + 0.7f * normal();
    return vector;
  }
  std::uint64_t random() { return random_(); }

 private:
  /// Nearly normal: the sum of 12 uniform numbers.
  float normal() {
    float sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(random_() >> 40) * 0x1p-24f;
    return sum;
  }

  std::size_t dim_;
  std::mt19937_64 random_;
  std::vector<float> centres_;
};

inline double exact_distance(Metric metric, std::span<const float> a, std::span<const float> b) {
  double square = 0;
  double magnitude = 0;
  double dot = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t d = 0; d < a.size(); ++d) {
    const double x = static_cast<double>(a[d]);
    const double y = static_cast<double>(b[d]);
    square += (x - y) * (x - y);
    magnitude += std::abs(x - y);
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  if (metric == Metric::l2) return square;
  if (metric == Metric::l1) return magnitude;
  if (metric == Metric::inner_product) return -dot;
  return 1 - dot / std::sqrt(aa * bb);
}

/// What an index has to have.
using VectorModel = std::unordered_map<std::uint64_t, std::vector<float>>;

/// Labels of the k nearest that `accepts` accepts.
template <class Accepts>
std::vector<Neighbor> exact_search(const VectorModel& model, Metric metric,
                                   std::span<const float> query, std::size_t k, Accepts&& accepts) {
  std::vector<Neighbor> all;
  for (const auto& [label, vector] : model) {
    if (accepts(label)) {
      all.push_back({label, static_cast<float>(exact_distance(metric, query, vector))});
    }
  }
  const auto order = [](const Neighbor& a, const Neighbor& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.label < b.label;
  };
  const std::size_t count = std::min(k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                    order);
  all.resize(count);
  return all;
}

inline std::vector<Neighbor> exact_search(const VectorModel& model, Metric metric,
                                          std::span<const float> query, std::size_t k) {
  return exact_search(model, metric, query, k, [](std::uint64_t) { return true; });
}

/// How many of the true ones were found.
inline std::size_t common(const std::vector<Neighbor>& truth, const std::vector<Neighbor>& found) {
  return static_cast<std::size_t>(std::count_if(truth.begin(), truth.end(), [&](const Neighbor& t) {
    return std::any_of(found.begin(), found.end(),
                       [&](const Neighbor& f) { return f.label == t.label; });
  }));
}

/// Whether a call failed with this code, and a message that has `text` in it.
template <class R>
bool says(const R& result, Errc code, std::string_view text) {
  return !result && result.error() == code &&
         result.error().message().find(text) != std::string::npos;
}

}  // namespace snkv::test
