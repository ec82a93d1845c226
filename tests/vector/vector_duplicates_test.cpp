// Many copies of the same vectors: links among copies must not take the place of all others.
#include "support/catch.hpp"
#include "support/check.hpp"

#include <snkv/vector/index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using AnyIndex = VectorIndex<dynamic_extent, AnyMetric>;

enum class Order { sorted, shuffled, one_by_one };

struct Copies {
  std::size_t dim;
  std::vector<std::vector<float>> originals;
  std::vector<std::size_t> order;  // which original comes next
};

Copies make_copies(std::size_t groups, std::size_t copies, std::size_t dim, Order order, unsigned seed) {
  Copies out{dim, {}, {}};
  std::mt19937 random(seed);
  std::normal_distribution<float> component;
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<float>& original = out.originals.emplace_back(dim);
    for (float& x : original) x = component(random);
    out.order.insert(out.order.end(), copies, g);
  }
  if (order != Order::sorted) std::shuffle(out.order.begin(), out.order.end(), random);
  return out;
}

AnyIndex fill(const Copies& copies, Metric metric, ElementType type, Order order) {
  AnyIndex index = must(AnyIndex::create({.dim = copies.dim, .metric = metric, .dtype = type, .threads = 2}));
  std::vector<std::uint64_t> labels;
  std::vector<float> vectors;
  for (std::size_t i = 0; i < copies.order.size(); ++i) {
    const std::vector<float>& vector = copies.originals[copies.order[i]];
    if (order == Order::one_by_one) {
      must(index.put(i, vector));
      continue;
    }
    labels.push_back(i);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  if (order != Order::one_by_one) must(index.put_batch(labels, vectors));
  return index;
}

/// Of the ten nearest of each original and of points between them; any copies count.
double recall(const AnyIndex& index, const Copies& copies) {
  std::size_t found = 0;
  std::size_t wanted = 0;
  const std::size_t groups = copies.originals.size();
  for (std::size_t g = 0; g < groups; ++g) {
    for (const float mix : {0.0f, 0.3f}) {
      std::vector<float> query = copies.originals[g];
      for (std::size_t d = 0; d < copies.dim; ++d) query[d] += mix * copies.originals[(g + 1) % groups][d];
      const auto exact = must(index.search(query, 10, {.exact = true}));
      const auto hits = must(index.search(query, 10));
      REQUIRE(hits.size() == exact.size());
      wanted += exact.size();
      for (std::size_t i = 0; i < hits.size(); ++i) {
        found += hits[i].distance <= exact.back().distance + 1e-4f * std::abs(exact.back().distance) ? 1 : 0;
      }
    }
  }
  return static_cast<double>(found) / static_cast<double>(wanted);
}

}  // namespace

TEST_CASE("every group of copies is found, in whatever order they come") {
  const Metric metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const Order order = GENERATE(Order::sorted, Order::shuffled, Order::one_by_one);
  const std::size_t copies = GENERATE(std::size_t{2}, std::size_t{10}, std::size_t{100}, std::size_t{300});
  const unsigned seed = 71;
  CAPTURE(to_string(metric), static_cast<int>(order), copies, seed);
  // As many vectors in all, so that few copies have many originals.
  const std::size_t groups = std::max<std::size_t>(20, 1200 / copies);
  const Copies data = make_copies(groups, copies, 64, order, seed);
  const AnyIndex index = fill(data, metric, ElementType::f32, order);
  CHECK(recall(index, data) >= 0.99);
}

TEST_CASE("three thousand copies of few vectors, and codes of 8 bits") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  const Order order = GENERATE(Order::sorted, Order::shuffled);
  CAPTURE(to_string(type), static_cast<int>(order));
  const Copies data = make_copies(4, 3000, 32, order, 72);
  const AnyIndex index = fill(data, Metric::l2, type, order);
  CHECK(recall(index, data) >= 0.99);
}

TEST_CASE("copies stay found when others are replaced, and after a compaction") {
  const Copies data = make_copies(20, 100, 32, Order::shuffled, 73);
  AnyIndex index = fill(data, Metric::cosine, ElementType::f32, Order::shuffled);
  for (std::uint64_t label = 0; label < data.order.size(); label += 3) REQUIRE(index.erase(label));
  CHECK(recall(index, data) >= 0.99);
  index.compact();
  CHECK(recall(index, data) >= 0.99);
}

TEST_CASE("all vectors are equal") {
  const Metric metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const Copies data = make_copies(1, 2000, 32, Order::sorted, 74);
  const AnyIndex index = fill(data, metric, ElementType::f32, Order::sorted);
  CHECK(must(index.search(data.originals[0], 10)).size() == 10);
  // As many as asked for, out of the tree that the copies make.
  CHECK(must(index.search(data.originals[0], 1500)).size() == 1500);
}
