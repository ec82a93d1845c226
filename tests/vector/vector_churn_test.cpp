// Replacing and erasing: an index that has been turned over five times is as good as a fresh one.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "vectors.hpp"

#include <snkv/vector/index.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using AnyIndex = VectorIndex<dynamic_extent, AnyMetric>;

double recall(const AnyIndex& index, const VectorModel& model, std::uint64_t seed) {
  ClusteredVectors queries(24, 30, seed);
  std::size_t found = 0;
  for (int i = 0; i < 100; ++i) {
    const std::vector<float> query = queries.next();
    found += common(exact_search(model, index.metric(), query, 10), must(index.search(query, 10)));
  }
  return static_cast<double>(found) / 1000;
}

std::uint64_t memory(const VectorIndexStats& stats) {
  return stats.code_bytes + stats.link_bytes + stats.vector_bytes;
}

}  // namespace

TEST_CASE("five turnovers of replacing and erasing") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  CAPTURE(to_string(type));
  constexpr std::uint64_t size = 4000;
  const VectorIndexOptions options{.dim = 24, .metric = Metric::l2, .dtype = type};
  ClusteredVectors source(24, 30, 21);
  AnyIndex index = must(AnyIndex::create(options));
  VectorModel model;
  for (std::uint64_t label = 0; label < size; ++label) {
    model[label] = source.next();
    must(index.put(label, model[label]));
  }
  std::uint64_t next_label = size;
  for (std::uint64_t change = 0; change < 5 * size; ++change) {
    const std::uint64_t victim =
        std::next(model.begin(), static_cast<std::ptrdiff_t>(source.random() % 16))->first;
    if (source.random() % 2 == 0) {
      const std::uint64_t label = source.random() % next_label;
      if (!model.contains(label)) continue;
      model[label] = source.next();
      must(index.put(label, model[label]));
    } else {
      REQUIRE(index.erase(victim));
      model.erase(victim);
      model[next_label] = source.next();
      must(index.put(next_label, model[next_label]));
      ++next_label;
    }
  }
  AnyIndex fresh = must(AnyIndex::create(options));
  for (const auto& [label, vector] : model) must(fresh.put(label, vector));
  REQUIRE(index.size() == fresh.size());

  const double old_recall = recall(index, model, 21);
  const double fresh_recall = recall(fresh, model, 21);
  CAPTURE(old_recall, fresh_recall);
  CHECK(old_recall >= fresh_recall - 0.01);
  CHECK(static_cast<double>(memory(index.stats())) <=
        1.3 * static_cast<double>(memory(fresh.stats())));

  std::size_t lost = 0;
  for (const auto& [label, vector] : model) {
    const auto hits = must(index.search(vector, 1));
    REQUIRE(hits.size() == 1);
    if (hits[0].label != label) ++lost;
  }
  CHECK(lost == 0);

  index.compact();
  CHECK(index.stats().dead == 0);
  CHECK(index.size() == model.size());
  CHECK(recall(index, model, 21) >= fresh_recall - 0.01);
}

TEST_CASE("everything can be erased, and the index used again") {
  AnyIndex index = must(AnyIndex::create({.dim = 24, .metric = Metric::l2}));
  ClusteredVectors source(24, 5, 22);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t label = 0; label < 500; ++label) must(index.put(label, source.next()));
    for (std::uint64_t label = 0; label < 500; ++label) REQUIRE(index.erase(label));
    CHECK(index.size() == 0);
    CHECK(must(index.search(source.next(), 5)).empty());
    index.compact();
    CHECK(memory(index.stats()) == 0);
  }
}

TEST_CASE("nothing is out of reach of a walk") {
  using namespace snkv::vector_detail;
  // Tight clusters and few links: what is pruned everywhere would be lost.
  ClusteredVectors source(100, 64, 23);
  const Codec codec(Metric::l2, ElementType::f32, 100, best_kernels<0>());
  Generation generation(codec, 4, 40, false);
  ThreadPool pool(2);
  for (std::uint32_t label = 0; label < 5000; ++label) generation.put(label, source.next().data());
  generation.link_all(pool, [](std::uint64_t, std::uint64_t) { return true; });
  std::vector<std::size_t> links_to(5000);
  std::vector<Slot> links(generation.graph.capacity(0));
  for (Slot slot = 0; slot < 5000; ++slot) {
    const std::size_t count = generation.graph.links_of(slot, 0, links.data());
    for (std::size_t i = 0; i < count; ++i) ++links_to[links[i]];
  }
  CHECK(std::count(links_to.begin(), links_to.end(), 0u) == 0);
}
