// hnswlib 0.8.0 as its users have it: one translation unit with -O3 -march=native, and its own
// kernels.
#include "vector/engine.hpp"

// Under a name of its own: this file is compiled for the machine, and must not share hnswlib's
// functions with those that our index was compiled with.
#define hnswlib native_hnswlib
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

namespace benchmark {
namespace {

class Hnswlib final : public VectorEngine {
 public:
  explicit Hnswlib(bool shuffled) : shuffled_(shuffled) {}

  void build(const Dataset& data, bool) override {
    dim_ = data.dim;
    cosine_ = data.cosine;
    if (cosine_) {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(dim_);
    } else {
      space_ = std::make_unique<hnswlib::L2Space>(dim_);
    }
    index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), data.size(), links,
                                                               ef_construction);
    std::vector<std::size_t> order(data.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (shuffled_) std::shuffle(order.begin(), order.end(), std::mt19937(1));
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      std::vector<float> scaled(dim_);
      for (std::size_t i = next.fetch_add(1); i < data.size(); i = next.fetch_add(1)) {
        index_->addPoint(prepare(data.vector(order[i]).data(), scaled), order[i]);
      }
    };
    std::thread other(work);
    work();
    other.join();
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    find(query, ef, nullptr, out);
  }
  bool search_groups(const float* query, std::size_t ef, std::size_t below,
                     std::span<std::uint32_t> out) override {
    struct Below final : hnswlib::BaseFilterFunctor {
      std::size_t below = 0;
      bool operator()(hnswlib::labeltype label) override { return group_of(label) < below; }
    } condition;
    condition.below = below;
    find(query, ef, &condition, out);
    return true;
  }

  [[nodiscard]] std::uint64_t memory() const override {
    return index_->max_elements_ * index_->size_data_per_element_;
  }

 private:
  void find(const float* query, std::size_t ef, hnswlib::BaseFilterFunctor* condition,
            std::span<std::uint32_t> out) {
    index_->setEf(ef);
    scaled_.resize(dim_);
    auto found = index_->searchKnn(prepare(query, scaled_), out.size(), condition);
    for (std::size_t i = found.size(); i > 0; --i) {
      out[i - 1] = static_cast<std::uint32_t>(found.top().second);
      found.pop();
    }
  }
  const float* prepare(const float* vector, std::vector<float>& scaled) const {
    if (!cosine_) return vector;
    float square = 0;
    for (std::size_t d = 0; d < dim_; ++d) square += vector[d] * vector[d];
    const float factor = 1.0f / std::sqrt(square);
    for (std::size_t d = 0; d < dim_; ++d) scaled[d] = vector[d] * factor;
    return scaled.data();
  }

  const bool shuffled_;
  std::size_t dim_ = 0;
  bool cosine_ = false;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> index_;
  std::vector<float> scaled_;
};

}  // namespace

VectorEngineKind hnswlib_engine(bool shuffled) {
  return {shuffled ? "hnswlib shuffled" : "hnswlib",
          "0.8.0, f32, -O3 -march=native, its own kernels",
          [shuffled](const std::string&) { return std::make_unique<Hnswlib>(shuffled); }};
}

}  // namespace benchmark
