// Distances on codes are those of the vectors that the codes stand for.
#include "support/catch.hpp"
#include "vectors.hpp"

#include <snkv/vector/detail/codes/codec.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace snkv::vector_detail;

namespace {

std::vector<std::vector<float>> sample(Metric metric, std::size_t dim, std::size_t count,
                                       std::uint64_t seed) {
  ClusteredVectors source(dim, 4, seed);
  std::vector<std::vector<float>> vectors;
  for (std::size_t i = 0; i < count; ++i) {
    vectors.push_back(source.next());
    prepare_vector(metric, vectors.back().data(), dim, vectors.back().data());
  }
  return vectors;
}

Codec make_codec(Metric metric, ElementType type, const std::vector<std::vector<float>>& vectors) {
  const std::size_t dim = vectors.front().size();
  Quantizer quantizer;
  if (type == ElementType::i8) {
    snkv::ThreadPool pool(2);
    quantizer = Quantizer::train(
        dim, vectors.size(), [&](std::size_t i) { return vectors[i].data(); }, pool);
  }
  return Codec(metric, type, dim, best_kernels<0>(), quantizer);
}

}  // namespace

TEST_CASE("scores are distances of decoded vectors") {
  const Metric metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const std::size_t dim = GENERATE(1, 3, 16, 63, 64, 65, 100, 257);
  CAPTURE(to_string(metric), to_string(type), dim);
  const auto vectors = sample(metric, dim, 60, 7);
  const Codec codec = make_codec(metric, type, vectors);
  std::vector<AlignedBuffer> codes;
  std::vector<std::vector<float>> decoded;
  for (const auto& vector : vectors) {
    codes.emplace_back(codec.stride());
    codec.encode(vector.data(), codes.back().data());
    decoded.emplace_back(dim);
    codec.decode(codes.back().data(), decoded.back().data());
  }
  Codec::Query by_vector = codec.make_query();
  Codec::Query by_code = codec.make_query();
  std::vector<float> scratch(dim);
  double largest = 1;
  for (const auto& vector : vectors)
    largest = std::max(largest, std::pow(length(vector.data(), dim), 2));
  for (std::size_t i = 0; i < vectors.size(); i += 7) {
    codec.prepare(decoded[i].data(), by_vector);
    codec.prepare_code(codes[i].data(), by_code, scratch.data());
    for (std::size_t k = 0; k < vectors.size(); ++k) {
      double expected = exact_distance(Metric::l2, decoded[i], decoded[k]);
      double tolerance = 1e-5 * largest;
      if (metric == Metric::cosine) {
        // Unit vectors; decoded ones are nearly so. Codes of i8 are compared by their distance.
        expected = type == ElementType::i8
                       ? expected / 2
                       : 1 + exact_distance(Metric::inner_product, decoded[i], decoded[k]);
      } else if (metric == Metric::inner_product) {
        expected = exact_distance(Metric::inner_product, decoded[i], decoded[k]);
        // The query is rounded to 127 steps of its largest component.
        if (type == ElementType::i8) tolerance = 0.02 * largest;
      } else if (metric == Metric::l1) {
        expected = exact_distance(Metric::l1, decoded[i], decoded[k]);
      }
      INFO(i << " against " << k);
      REQUIRE(std::fabs(static_cast<double>(codec.score_one(by_vector, codes[k].data())) -
                        expected) <= tolerance);
      REQUIRE(std::fabs(static_cast<double>(codec.score_one(by_code, codes[k].data())) -
                        expected) <= tolerance);
    }
  }
}

TEST_CASE("the distance of a code to itself is zero") {
  const Metric metric = GENERATE(Metric::l2, Metric::l1);
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const auto vectors = sample(metric, 784, 300, 8);
  const Codec codec = make_codec(metric, type, vectors);
  AlignedBuffer code(codec.stride());
  std::vector<float> scratch(784);
  Codec::Query query = codec.make_query();
  for (const auto& vector : vectors) {
    codec.encode(vector.data(), code.data());
    codec.prepare_code(code.data(), query, scratch.data());
    REQUIRE(codec.score_one(query, code.data()) == 0.0f);
  }
}

TEST_CASE("the quantizer keeps integers of a byte exact") {
  std::vector<std::vector<float>> vectors;
  for (int i = 0; i < 300; ++i) {
    std::vector<float> vector(10, 0.0f);
    for (std::size_t d = 2; d < 10; ++d) {
      vector[d] = static_cast<float>((static_cast<std::size_t>(i) * (d + 3)) % 256);
    }
    vector[1] = static_cast<float>(i % 7);
    vectors.push_back(vector);
  }
  vectors[0].assign(10, 0.0f);
  const Codec codec = make_codec(Metric::l2, ElementType::i8, vectors);
  std::vector<float> decoded(10);
  AlignedBuffer code(codec.stride());
  for (const auto& vector : vectors) {
    REQUIRE(codec.encode(vector.data(), code.data()) == 0);
    codec.decode(code.data(), decoded.data());
    REQUIRE(decoded == vector);
  }
}

TEST_CASE("what lies outside the trained range is clamped, and counted") {
  const auto vectors = sample(Metric::l2, 8, 500, 9);
  const Codec codec = make_codec(Metric::l2, ElementType::i8, vectors);
  AlignedBuffer code(codec.stride());
  const std::vector<float> far(8, 1e6f);
  CHECK(codec.encode(far.data(), code.data()) == 8);
  std::vector<float> decoded(8);
  codec.decode(code.data(), decoded.data());
  for (const float x : decoded) CHECK(x < 100);

  const Codec half(Metric::l2, ElementType::f16, 8, best_kernels<0>());
  AlignedBuffer half_code(half.stride());
  CHECK(half.encode(far.data(), half_code.data()) == 8);
  half.decode(half_code.data(), decoded.data());
  for (const float x : decoded) CHECK(x == 65504.0f);
}

TEST_CASE("a quantizer can be trained on anything finite") {
  const std::vector<float> zeros(4, 0.0f);
  const std::vector<float> tiny(4, 1e-42f);
  snkv::ThreadPool pool(1);
  for (const auto* only : {&zeros, &tiny}) {
    const Quantizer quantizer = Quantizer::train(
        4, 1, [&](std::size_t) { return only->data(); }, pool);
    CHECK(quantizer.trained());
    CHECK(std::isfinite(quantizer.scale));
    const Codec codec(Metric::l2, ElementType::i8, 4, best_kernels<0>(), quantizer);
    AlignedBuffer code(codec.stride());
    CHECK(codec.encode(only->data(), code.data()) == 0);
  }
}
