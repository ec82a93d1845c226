// Compaction and training while vectors are put, replaced and erased.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/sanitizer.hpp"
#include "vectors.hpp"

#include <snkv/vector/index.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using AnyIndex = VectorIndex<dynamic_extent, AnyMetric>;

/// The index has what the model has: each vector finds itself, and hardly any needs a scan for it.
void require_equal(const AnyIndex& index, const VectorModel& model) {
  REQUIRE(index.size() == model.size());
  std::size_t missed = 0;
  for (const auto& [label, vector] : model) {
    REQUIRE(index.contains(label));
    const auto hits = must(index.search(vector, 1));
    REQUIRE(hits.size() == 1);
    if (hits[0].label == label) continue;
    ++missed;
    REQUIRE(must(index.search(vector, 1, {.exact = true}))[0].label == label);
  }
  CHECK(missed <= 5);
}

/// Runs in another thread, which would wait for ever for a lock that the caller has.
template <class Work>
void elsewhere(Work&& work) {
  std::thread(work).join();
}

}  // namespace

TEST_CASE("changes go on while the index is compacted") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const bool keep_vectors = GENERATE(true, false);
  CAPTURE(to_string(type), keep_vectors);
  constexpr std::uint64_t size = memory_is_sanitized ? 1500 : 6000;
  AnyIndex index = must(AnyIndex::create({.dim = 16,
                                          .metric = Metric::l2,
                                          .dtype = type,
                                          .keep_vectors = keep_vectors,
                                          .threads = 2}));
  ClusteredVectors source(16, 40, 31);
  VectorModel model;
  std::vector<std::uint64_t> labels;
  std::vector<float> vectors;
  for (std::uint64_t label = 0; label < size; ++label) {
    model[label] = source.next();
    labels.push_back(label);
    vectors.insert(vectors.end(), model[label].begin(), model[label].end());
  }
  must(index.put_batch(labels, vectors));
  for (std::uint64_t label = 0; label < size; label += 11) {
    REQUIRE(index.erase(label));
    model.erase(label);
  }
  std::uint64_t calls = 0;
  std::uint64_t changes = 0;
  std::uint64_t last = 0;
  std::uint64_t next_label = size;
  index.compact([&](std::uint64_t done, std::uint64_t total) {
    REQUIRE(done >= last);
    REQUIRE(done <= total);
    last = done;
    ++calls;
    for (int i = 0; i < 60; ++i, ++changes) {
      const std::uint64_t label = source.random() % size;
      if (i % 3 == 0) {
        elsewhere([&] { static_cast<void>(index.erase(label)); });
        model.erase(label);
      } else {
        const std::uint64_t changed = i % 3 == 1 ? label : next_label++;
        model[changed] = source.next();
        elsewhere([&] { static_cast<void>(index.put(changed, model[changed])); });
      }
    }
    return true;
  });
  CHECK(calls >= 4);
  // The dead of before are gone, and hardly any have come since.
  CHECK(index.stats().dead <= changes);
  CHECK(index.stats().unlinked == 0);
  require_equal(index, model);
  index.compact();
  CHECK(index.stats().dead == 0);
  require_equal(index, model);
}

TEST_CASE("a compaction that is stopped has changed nothing") {
  AnyIndex index = must(AnyIndex::create({.dim = 8, .metric = Metric::l2, .threads = 2}));
  ClusteredVectors source(8, 20, 32);
  VectorModel model;
  for (std::uint64_t label = 0; label < 1000; ++label) {
    model[label] = source.next();
    must(index.put(label, model[label]));
  }
  for (std::uint64_t label = 0; label < 100; ++label) {
    REQUIRE(index.erase(label));
    model.erase(label);
  }
  std::optional<std::uint64_t> all_calls;
  for (std::uint64_t stop_at = 0; !all_calls; ++stop_at) {
    std::uint64_t calls = 0;
    index.compact([&](std::uint64_t, std::uint64_t) { return calls++ != stop_at; });
    if (calls <= stop_at) {
      all_calls = calls;
    } else {
      CHECK(index.stats().dead == 100);
    }
    // What is changed after a stop is not lost in the next one.
    model[stop_at + 5000] = source.next();
    must(index.put(stop_at + 5000, model[stop_at + 5000]));
  }
  CHECK(*all_calls >= 4);
  CHECK(index.stats().dead == 0);
  require_equal(index, model);
}

TEST_CASE("a bulk load beside compactions of the empty index is not lost") {
  using namespace snkv::vector_detail;
  constexpr std::uint32_t size = 256;
  IndexConfig config;
  config.dim = 4;
  config.metric = Metric::l2;
  config.type = ElementType::i8;
  ClusteredVectors source(4, 8, 35);
  std::vector<std::vector<float>> vectors(size);
  for (auto& vector : vectors) vector = source.next();
  ThreadPool pool(2);
  const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
  for (int round = 0; round < (memory_is_sanitized ? 50 : 400); ++round) {
    CAPTURE(round);
    IndexCore core(config, best_kernels<0>());
    std::atomic<bool> loaded{false};
    std::thread compacting([&] {
      ThreadPool own(1);
      while (!loaded.load()) core.compact(own, go_on);
    });
    core.expect(
        size, [&](std::size_t i) { return vectors[i].data(); }, pool);
    for (std::uint32_t i = 0; i < size; ++i) core.put(i, vectors[i].data());
    loaded.store(true);
    compacting.join();
    REQUIRE(core.size() == size);
  }
}

TEST_CASE("memory is accounted for") {
  using namespace snkv::vector_detail;
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16);
  IndexCore core({.dim = 50, .metric = Metric::l2, .type = type}, best_kernels<0>());
  ThreadPool pool(1);
  ClusteredVectors source(50, 5, 33);
  CHECK(core.memory() == 0);
  constexpr std::uint32_t size = 3000;
  for (std::uint32_t number = 0; number < size; ++number) core.put(number, source.next().data());
  const double each = static_cast<double>(core.memory()) / size;
  const auto expected = static_cast<double>(core.bytes_of(1) - core.bytes_of(0));
  CAPTURE(each, expected);
  CHECK(each > 0.95 * expected);
  CHECK(each < 1.05 * expected);
  // While both graphs are there, both count.
  const std::uint64_t before = core.memory();
  std::uint64_t most = 0;
  REQUIRE(core.compact(pool, [&](std::uint64_t, std::uint64_t) {
    most = std::max(most, core.memory());
    return true;
  }));
  CHECK(most > before * 19 / 10);
  CHECK(core.memory() <= before);
}
