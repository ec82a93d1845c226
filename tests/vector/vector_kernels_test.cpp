// Every kernel that this processor can run says what the portable one says.
#include "support/catch.hpp"

#include <snkv/vector/detail/codes/kernels.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

using namespace snkv::vector_detail;

namespace {

std::vector<std::size_t> dimensions() {
  std::vector<std::size_t> dims;
  for (std::size_t dim = 1; dim <= 300; ++dim) dims.push_back(dim);
  for (const std::size_t dim : {384, 512, 768, 784, 960, 1023, 1024, 1025, 1536, 3072, 4096}) {
    dims.push_back(dim);
  }
  return dims;
}

constexpr std::size_t count = 7;  // kernels take four, two and one at a time

/// Codes that start at odd addresses, each at another one.
class Codes {
 public:
  Codes(std::size_t blocks, std::size_t shift) : bytes_(count * (blocks * block_size + 7) + 64) {
    for (std::size_t i = 0; i < count; ++i) {
      at.push_back(bytes_.data() + i * (blocks * block_size + 7) + shift);
    }
  }
  std::vector<std::byte*> at;
  [[nodiscard]] const std::byte* const* pointers() const { return at.data(); }

 private:
  std::vector<std::byte> bytes_;
};

void compare_floats(FloatKernels Kernels::*type, FloatKernel FloatKernels::*kernel, std::size_t element,
                    float range, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const Kernels& truth = *kernel_choice<0>().sets[2];
  const auto number = [&] {
    return (static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f) * range;
  };
  for (const Kernels* set : kernel_choice<0>().sets) {
    if (set == nullptr) continue;
    for (const std::size_t dim : dimensions()) {
      const std::size_t blocks = blocks_of(dim * element);
      std::vector<float> query(blocks * block_size / element);
      for (std::size_t d = 0; d < dim; ++d) query[d] = number();
      const Codes codes(blocks, 1 + dim % 5);
      double scale = 0;
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t d = 0; d < dim; ++d) {
          const float x = number();
          const std::uint16_t half = to_half(x);
          std::memcpy(codes.at[i] + d * element,
                      element == 4 ? static_cast<const void*>(&x) : &half, element);
          const double most = kernel == &FloatKernels::magnitudes ? 1.0 : static_cast<double>(range);
          scale += static_cast<double>(range) * most;
        }
      }
      float expected[count];
      float got[count];
      (truth.*type.*kernel)(query.data(), codes.pointers(), count, blocks, 2, expected);
      (set->*type.*kernel)(query.data(), codes.pointers(), count, blocks, 2, got);
      for (std::size_t i = 0; i < count; ++i) {
        INFO(set->name << ", " << dim << " dimensions, code " << i);
        // Sums in another order: an error of some units in the last place of the largest term.
        REQUIRE(std::fabs(static_cast<double>(expected[i]) - static_cast<double>(got[i])) <=
                1e-6 * scale);
      }
    }
  }
}

}  // namespace

TEST_CASE("float kernels agree with the portable ones") {
  for (const float range : {1.0f, 1e15f, 1e-15f}) {
    CAPTURE(range);
    compare_floats(&Kernels::f32, &FloatKernels::squares, 4, range, 1);
    compare_floats(&Kernels::f32, &FloatKernels::products, 4, range, 2);
    compare_floats(&Kernels::f32, &FloatKernels::magnitudes, 4, range, 7);
  }
  for (const float range : {1.0f, 30000.0f, 1e-4f}) {
    CAPTURE(range);
    compare_floats(&Kernels::f16, &FloatKernels::squares, 2, range, 3);
    compare_floats(&Kernels::f16, &FloatKernels::products, 2, range, 4);
    compare_floats(&Kernels::f16, &FloatKernels::magnitudes, 2, range, 8);
  }
}

TEST_CASE("integer kernels are exact") {
  std::mt19937_64 random(5);
  for (const Kernels* set : kernel_choice<0>().sets) {
    if (set == nullptr) continue;
    for (const std::size_t dim : dimensions()) {
      const std::size_t blocks = blocks_of(dim);
      std::vector<std::int8_t> query(blocks * block_size);
      for (std::size_t d = 0; d < dim; ++d) query[d] = static_cast<std::int8_t>(random() & 0xff);
      const Codes codes(blocks, dim % 7);
      std::int32_t expected[count] = {};
      for (std::size_t i = 0; i < count; ++i) {
        // Behind the code anything may stand, because the query is zero there.
        for (std::size_t d = 0; d < blocks * block_size; ++d) {
          codes.at[i][d] = static_cast<std::byte>(random());
          expected[i] += std::to_integer<std::int32_t>(codes.at[i][d]) * query[d];
        }
      }
      std::int32_t got[count];
      set->dot_i8(query.data(), codes.pointers(), count, blocks, 3, got);
      std::int32_t distances[count];
      set->distance_i8(query.data(), codes.pointers(), count, blocks, 3, distances);
      for (std::size_t i = 0; i < count; ++i) {
        INFO(set->name << ", " << dim << " dimensions, code " << i);
        REQUIRE(got[i] == expected[i]);
        std::int32_t distance = 0;
        for (std::size_t d = 0; d < blocks * block_size; ++d) {
          const int other = static_cast<std::uint8_t>(query[d]);
          distance += std::abs(std::to_integer<int>(codes.at[i][d]) - other);
        }
        REQUIRE(distances[i] == distance);
      }
    }
  }
}

TEST_CASE("integer kernels do not overflow at the largest dimension") {
  constexpr std::size_t blocks = 65536 / block_size;
  const std::vector<std::byte> code(blocks * block_size, std::byte{255});
  const std::byte* pointer = code.data();
  for (const Kernels* set : kernel_choice<0>().sets) {
    if (set == nullptr) continue;
    for (const int extreme : {-128, 127}) {
      const std::vector<std::int8_t> query(code.size(), static_cast<std::int8_t>(extreme));
      std::int32_t got = 0;
      set->dot_i8(query.data(), &pointer, 1, blocks, 1, &got);
      INFO(set->name);
      REQUIRE(got == 65536 * 255 * extreme);
    }
    const std::vector<std::int8_t> zero(code.size(), 0);
    std::int32_t got = 0;
    set->distance_i8(zero.data(), &pointer, 1, blocks, 1, &got);
    REQUIRE(got == 65536 * 255);
  }
}

TEST_CASE("kernels for a fixed dimension are those for any") {
  std::mt19937_64 random(6);
  const auto fixed = kernel_choice<100>();
  const auto any = kernel_choice<0>();
  std::vector<float> query(blocks_of(400) * 16);
  std::vector<float> code(query.size());
  for (std::size_t d = 0; d < 100; ++d) {
    query[d] = static_cast<float>(random() % 100);
    code[d] = static_cast<float>(random() % 100);
  }
  const auto* pointer = reinterpret_cast<const std::byte*>(code.data());
  for (std::size_t set = 0; set < 3; ++set) {
    REQUIRE((fixed.sets[set] == nullptr) == (any.sets[set] == nullptr));
    if (any.sets[set] == nullptr) continue;
    float a = 0;
    float b = 0;
    fixed.sets[set]->f32.squares(query.data(), &pointer, 1, 7, 1, &a);
    any.sets[set]->f32.squares(query.data(), &pointer, 1, 7, 1, &b);
    REQUIRE(a == b);  // sums of small integers are exact
  }
}

TEST_CASE("half precision") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = from_half(half);
    if (std::isnan(value)) continue;
    REQUIRE(to_half(value) == half);
    // What lies between two halves goes to the nearer one, and from the middle to the even one.
    const auto next = static_cast<std::uint16_t>(half + 1);
    if ((half & 0x7fff) >= 0x7bff) continue;
    const float above = from_half(next);
    const float middle = value + (above - value) * 0.5f;
    REQUIRE(to_half(middle) == ((half & 1) == 0 ? half : next));
    REQUIRE(to_half(std::nextafter(middle, value)) == half);
    REQUIRE(to_half(std::nextafter(middle, above)) == next);
  }
  CHECK(std::isinf(from_half(to_half(1e9f))));
  CHECK(std::isnan(from_half(to_half(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(from_half(to_half(1e-30f)) == 0.0f);
}
