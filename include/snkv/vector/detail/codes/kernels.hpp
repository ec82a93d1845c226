/// \file
/// Inner loops of distances: one query against many codes. The best set for the processor is picked
/// at run time, so that a client that is compiled without -m flags loses nothing.
///
/// Codes and queries are padded with zeros to whole blocks of 64 bytes, which add nothing to a sum:
/// no kernel has a tail. Alignment is not needed. `Blocks` is the number of blocks when it is known
/// at compile time, 0 when it is not.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SNKV_VECTOR_X86 1
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined registers of its own intrinsics for our mistake (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define SNKV_VECTOR_NEON 1
#include <arm_neon.h>
#endif

namespace snkv::vector_detail {

inline constexpr std::size_t block_size = 64;

[[nodiscard]] constexpr std::size_t blocks_of(std::size_t bytes) noexcept {
  return (bytes + block_size - 1) / block_size;
}

/// `out[i]` becomes the sum over the dimensions of the query and `codes[i]`. `query` is
/// f32. `blocks` is the size of a code in blocks; `ahead` says how many codes ahead to prefetch.
using FloatKernel = void (*)(const float* query, const std::byte* const* codes, std::size_t count,
                             std::size_t blocks, std::size_t ahead, float* out) noexcept;
/// Dot products of unsigned 8-bit codes and a query of signed 8-bit numbers. Exact for up to
/// `max_dimension` dimensions: 65536 * 255 * 128 < 2^31.
using IntegerKernel = void (*)(const std::int8_t* query, const std::byte* const* codes,
                               std::size_t count, std::size_t blocks, std::size_t ahead,
                               std::int32_t* out) noexcept;

/// What a kernel adds up for each dimension.
enum class Sum : std::uint8_t {
  squares,     ///< of the difference
  products,
  magnitudes,  ///< of the difference
};

/// Kernels of one type, for each `Sum`.
struct FloatKernels {
  FloatKernel squares = nullptr;
  FloatKernel products = nullptr;
  FloatKernel magnitudes = nullptr;
};

struct Kernels {
  const char* name = "";
  FloatKernels f32{};
  FloatKernels f16{};
  IntegerKernel dot_i8 = nullptr;
  /// Sums of the magnitudes of the differences to a query that is a code too. Exact.
  IntegerKernel distance_i8 = nullptr;
};

/// Half to single precision, for finite and other values alike (IEEE 754-2008, 3.4).
[[nodiscard]] inline float from_half(std::uint16_t half) noexcept {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  std::uint32_t fraction = half & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // subnormal
  return sign != 0 ? -magnitude : magnitude;
}

/// Single to half precision, to nearest even; what is too large becomes infinity.
[[nodiscard]] inline std::uint16_t to_half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) {
    return static_cast<std::uint16_t>(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
  }
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // below 2^-14: subnormal halves, in steps of 2^-24
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    auto steps = static_cast<std::uint32_t>(scaled);
    const float rest = scaled - static_cast<float>(steps);
    if (rest > 0.5f || (rest == 0.5f && (steps & 1u) != 0)) ++steps;
    return static_cast<std::uint16_t>(sign | steps);
  }
  const std::uint32_t rebased = magnitude - (112u << 23);
  const std::uint32_t rounded = rebased + 0xfffu + (rebased >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

inline void prefetch_read(const std::byte* at, std::size_t blocks) noexcept {
#if defined(__GNUC__) || defined(__clang__)
  for (std::size_t block = 0; block < blocks; ++block) {
    __builtin_prefetch(at + block * block_size, 0, 3);
  }
#else
  static_cast<void>(at);
  static_cast<void>(blocks);
#endif
}

/// Codes `first` to `last` - 1.
inline void prefetch_some(const std::byte* const* codes, std::size_t first, std::size_t last,
                          std::size_t blocks) noexcept {
  for (std::size_t i = first; i < last; ++i) prefetch_read(codes[i], blocks);
}

// ---- Portable ----

namespace portable {

template <Sum S>
[[nodiscard]] inline float term(float q, float c) noexcept {
  if constexpr (S == Sum::products) return q * c;
  const float difference = q - c;
  return S == Sum::squares ? difference * difference : std::fabs(difference);
}

template <Sum S, std::size_t Blocks>
void score_f32(const float* query, const std::byte* const* codes, std::size_t count,
               std::size_t blocks, std::size_t, float* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * 16;
  for (std::size_t i = 0; i < count; ++i) {
    float sums[16] = {};
    for (std::size_t d = 0; d < n; d += 16) {
      float code[16];
      std::memcpy(code, codes[i] + d * sizeof(float), sizeof code);
      for (std::size_t lane = 0; lane < 16; ++lane) {
        sums[lane] += term<S>(query[d + lane], code[lane]);
      }
    }
    float sum = 0;
    for (const float part : sums) sum += part;
    out[i] = sum;
  }
}

template <Sum S, std::size_t Blocks>
void score_f16(const float* query, const std::byte* const* codes, std::size_t count,
               std::size_t blocks, std::size_t, float* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * 32;
  for (std::size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (std::size_t d = 0; d < n; ++d) {
      std::uint16_t half = 0;
      std::memcpy(&half, codes[i] + d * sizeof half, sizeof half);
      sum += term<S>(query[d], from_half(half));
    }
    out[i] = sum;
  }
}

template <std::size_t Blocks>
void dot_i8(const std::int8_t* query, const std::byte* const* codes, std::size_t count,
            std::size_t blocks, std::size_t, std::int32_t* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * block_size;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < n; ++d) {
      sum += std::to_integer<std::int32_t>(codes[i][d]) * std::int32_t{query[d]};
    }
    out[i] = sum;
  }
}

template <std::size_t Blocks>
void distance_i8(const std::int8_t* query, const std::byte* const* codes, std::size_t count,
                 std::size_t blocks, std::size_t, std::int32_t* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * block_size;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < n; ++d) {
      sum += std::abs(std::to_integer<std::int32_t>(codes[i][d]) -
                      std::int32_t{static_cast<std::uint8_t>(query[d])});
    }
    out[i] = sum;
  }
}

/// `F32`, `F16` and `I8`: the blocks of a code of each type, or 0.
template <std::size_t F32, std::size_t F16, std::size_t I8>
inline constexpr Kernels kernels{"portable",
                                 {score_f32<Sum::squares, F32>, score_f32<Sum::products, F32>,
                                  score_f32<Sum::magnitudes, F32>},
                                 {score_f16<Sum::squares, F16>, score_f16<Sum::products, F16>,
                                  score_f16<Sum::magnitudes, F16>},
                                 dot_i8<I8>,
                                 distance_i8<I8>};

}  // namespace portable

#if defined(SNKV_VECTOR_X86)

// ---- AVX2 ----

#define SNKV_VECTOR_AVX2 __attribute__((target("avx2,fma,f16c")))

namespace avx2 {

SNKV_VECTOR_AVX2 inline float sum_of(__m256 v) noexcept {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
  return _mm_cvtss_f32(sum);
}

template <Sum S>
SNKV_VECTOR_AVX2 inline __m256 add(__m256 sum, __m256 q, __m256 c) noexcept {
  if constexpr (S == Sum::products) {
    return _mm256_fmadd_ps(q, c, sum);
  } else {
    const __m256 difference = _mm256_sub_ps(q, c);
    if constexpr (S == Sum::squares) return _mm256_fmadd_ps(difference, difference, sum);
    return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
  }
}

template <Sum S, std::size_t Blocks>
SNKV_VECTOR_AVX2 void score_f32(const float* query, const std::byte* const* codes,
                                std::size_t count, std::size_t blocks, std::size_t ahead,
                                float* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    const auto* code = reinterpret_cast<const float*>(codes[i]);
    __m256 s0 = _mm256_setzero_ps();
    __m256 s1 = s0;
    __m256 s2 = s0;
    __m256 s3 = s0;
    std::size_t b = 0;
    for (; b + 2 <= n; b += 2) {
      const float* q = query + b * 16;
      const float* c = code + b * 16;
      s0 = add<S>(s0, _mm256_loadu_ps(q), _mm256_loadu_ps(c));
      s1 = add<S>(s1, _mm256_loadu_ps(q + 8), _mm256_loadu_ps(c + 8));
      s2 = add<S>(s2, _mm256_loadu_ps(q + 16), _mm256_loadu_ps(c + 16));
      s3 = add<S>(s3, _mm256_loadu_ps(q + 24), _mm256_loadu_ps(c + 24));
    }
    if (b < n) {
      s0 = add<S>(s0, _mm256_loadu_ps(query + b * 16), _mm256_loadu_ps(code + b * 16));
      s1 = add<S>(s1, _mm256_loadu_ps(query + b * 16 + 8), _mm256_loadu_ps(code + b * 16 + 8));
    }
    out[i] = sum_of(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  }
}

template <Sum S, std::size_t Blocks>
SNKV_VECTOR_AVX2 void score_f16(const float* query, const std::byte* const* codes,
                                std::size_t count, std::size_t blocks, std::size_t ahead,
                                float* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    __m256 s0 = _mm256_setzero_ps();
    __m256 s1 = s0;
    __m256 s2 = s0;
    __m256 s3 = s0;
    for (std::size_t b = 0; b < n; ++b) {
      const float* q = query + b * 32;
      const auto* c = reinterpret_cast<const __m128i*>(codes[i] + b * block_size);
      s0 = add<S>(s0, _mm256_loadu_ps(q), _mm256_cvtph_ps(_mm_loadu_si128(c)));
      s1 = add<S>(s1, _mm256_loadu_ps(q + 8), _mm256_cvtph_ps(_mm_loadu_si128(c + 1)));
      s2 = add<S>(s2, _mm256_loadu_ps(q + 16), _mm256_cvtph_ps(_mm_loadu_si128(c + 2)));
      s3 = add<S>(s3, _mm256_loadu_ps(q + 24), _mm256_cvtph_ps(_mm_loadu_si128(c + 3)));
    }
    out[i] = sum_of(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  }
}

/// Dot products with `Codes` codes at once: what is done for the query is done once, and memory is
/// read in as many places. Through 16 bits: the instruction that multiplies 8-bit pairs saturates.
template <std::size_t Codes>
SNKV_VECTOR_AVX2 inline void dot_i8_of(const std::int8_t* query, const std::byte* const* codes,
                                       std::size_t bytes, std::int32_t* out) noexcept {
  const __m256i low = _mm256_set1_epi16(0xff);
  __m256i sums[Codes][2];
  for (std::size_t i = 0; i < Codes; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
  for (std::size_t b = 0; b < bytes; b += 32) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + b));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8);
    const __m256i odd = _mm256_srai_epi16(q, 8);
    for (std::size_t i = 0; i < Codes; ++i) {
      const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes[i] + b));
      sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(_mm256_and_si256(c, low), even));
      sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(_mm256_srli_epi16(c, 8), odd));
    }
  }
  for (std::size_t i = 0; i < Codes; ++i) {
    const __m256i both = _mm256_add_epi32(sums[i][0], sums[i][1]);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    out[i] = _mm_cvtsi128_si32(sum);
  }
}

template <std::size_t Blocks>
SNKV_VECTOR_AVX2 void dot_i8(const std::int8_t* query, const std::byte* const* codes,
                             std::size_t count, std::size_t blocks, std::size_t ahead,
                             std::int32_t* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    prefetch_some(codes, i + ahead, std::min(i + ahead + 4, count), n);
    dot_i8_of<4>(query, codes + i, n * block_size, out + i);
  }
  for (; i + 2 <= count; i += 2) dot_i8_of<2>(query, codes + i, n * block_size, out + i);
  if (i < count) dot_i8_of<1>(query, codes + i, n * block_size, out + i);
}

template <std::size_t Blocks>
SNKV_VECTOR_AVX2 void distance_i8(const std::int8_t* query, const std::byte* const* codes,
                                  std::size_t count, std::size_t blocks, std::size_t ahead,
                                  std::int32_t* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    __m256i s0 = _mm256_setzero_si256();
    __m256i s1 = s0;
    for (std::size_t b = 0; b < n * block_size; b += block_size) {
      const auto* c = reinterpret_cast<const __m256i*>(codes[i] + b);
      const auto* q = reinterpret_cast<const __m256i*>(query + b);
      s0 = _mm256_add_epi64(s0, _mm256_sad_epu8(_mm256_loadu_si256(c), _mm256_loadu_si256(q)));
      s1 = _mm256_add_epi64(s1, _mm256_sad_epu8(_mm256_loadu_si256(c + 1), _mm256_loadu_si256(q + 1)));
    }
    const __m256i both = _mm256_add_epi64(s0, s1);
    const __m128i sum =
        _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    out[i] = _mm_cvtsi128_si32(sum) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(sum, sum));
  }
}

template <std::size_t F32, std::size_t F16, std::size_t I8>
inline constexpr Kernels kernels{"avx2",
                                 {score_f32<Sum::squares, F32>, score_f32<Sum::products, F32>,
                                  score_f32<Sum::magnitudes, F32>},
                                 {score_f16<Sum::squares, F16>, score_f16<Sum::products, F16>,
                                  score_f16<Sum::magnitudes, F16>},
                                 dot_i8<I8>,
                                 distance_i8<I8>};

}  // namespace avx2

// ---- AVX-512 ----

#define SNKV_VECTOR_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

namespace avx512 {

template <Sum S>
SNKV_VECTOR_AVX512 inline __m512 add(__m512 sum, __m512 q, __m512 c) noexcept {
  if constexpr (S == Sum::products) {
    return _mm512_fmadd_ps(q, c, sum);
  } else {
    const __m512 difference = _mm512_sub_ps(q, c);
    if constexpr (S == Sum::squares) return _mm512_fmadd_ps(difference, difference, sum);
    return _mm512_add_ps(sum, _mm512_abs_ps(difference));
  }
}

template <Sum S, std::size_t Blocks>
SNKV_VECTOR_AVX512 void score_f32(const float* query, const std::byte* const* codes,
                                  std::size_t count, std::size_t blocks, std::size_t ahead,
                                  float* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    const auto* code = reinterpret_cast<const float*>(codes[i]);
    __m512 s0 = _mm512_setzero_ps();
    __m512 s1 = s0;
    __m512 s2 = s0;
    __m512 s3 = s0;
    std::size_t b = 0;
    for (; b + 4 <= n; b += 4) {
      const float* q = query + b * 16;
      const float* c = code + b * 16;
      s0 = add<S>(s0, _mm512_loadu_ps(q), _mm512_loadu_ps(c));
      s1 = add<S>(s1, _mm512_loadu_ps(q + 16), _mm512_loadu_ps(c + 16));
      s2 = add<S>(s2, _mm512_loadu_ps(q + 32), _mm512_loadu_ps(c + 32));
      s3 = add<S>(s3, _mm512_loadu_ps(q + 48), _mm512_loadu_ps(c + 48));
    }
    for (; b < n; ++b) {
      s0 = add<S>(s0, _mm512_loadu_ps(query + b * 16), _mm512_loadu_ps(code + b * 16));
    }
    out[i] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
  }
}

template <Sum S, std::size_t Blocks>
SNKV_VECTOR_AVX512 void score_f16(const float* query, const std::byte* const* codes,
                                  std::size_t count, std::size_t blocks, std::size_t ahead,
                                  float* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    __m512 s0 = _mm512_setzero_ps();
    __m512 s1 = s0;
    for (std::size_t b = 0; b < n; ++b) {
      const float* q = query + b * 32;
      const auto* c = reinterpret_cast<const __m256i*>(codes[i] + b * block_size);
      s0 = add<S>(s0, _mm512_loadu_ps(q), _mm512_cvtph_ps(_mm256_loadu_si256(c)));
      s1 = add<S>(s1, _mm512_loadu_ps(q + 16), _mm512_cvtph_ps(_mm256_loadu_si256(c + 1)));
    }
    out[i] = _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
  }
}

template <std::size_t Blocks>
SNKV_VECTOR_AVX512 void dot_i8(const std::int8_t* query, const std::byte* const* codes,
                               std::size_t count, std::size_t blocks, std::size_t ahead,
                               std::int32_t* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    __m512i s0 = _mm512_setzero_si512();
    __m512i s1 = s0;
    std::size_t b = 0;
    for (; b + 2 <= n; b += 2) {
      const auto* c = codes[i] + b * block_size;
      const auto* q = query + b * block_size;
      s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(c), _mm512_loadu_si512(q));
      s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(c + block_size),
                               _mm512_loadu_si512(q + block_size));
    }
    if (b < n) {
      s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(codes[i] + b * block_size),
                               _mm512_loadu_si512(query + b * block_size));
    }
    out[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
  }
}

template <std::size_t Blocks>
SNKV_VECTOR_AVX512 void distance_i8(const std::int8_t* query, const std::byte* const* codes,
                                    std::size_t count, std::size_t blocks, std::size_t ahead,
                                    std::int32_t* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t b = 0; b < n * block_size; b += block_size) {
      sum = _mm512_add_epi64(
          sum, _mm512_sad_epu8(_mm512_loadu_si512(codes[i] + b), _mm512_loadu_si512(query + b)));
    }
    out[i] = static_cast<std::int32_t>(_mm512_reduce_add_epi64(sum));
  }
}

template <std::size_t F32, std::size_t F16, std::size_t I8>
inline constexpr Kernels kernels{"avx512",
                                 {score_f32<Sum::squares, F32>, score_f32<Sum::products, F32>,
                                  score_f32<Sum::magnitudes, F32>},
                                 {score_f16<Sum::squares, F16>, score_f16<Sum::products, F16>,
                                  score_f16<Sum::magnitudes, F16>},
                                 dot_i8<I8>,
                                 distance_i8<I8>};

}  // namespace avx512

#undef SNKV_VECTOR_AVX2
#undef SNKV_VECTOR_AVX512

#endif  // SNKV_VECTOR_X86

#if defined(SNKV_VECTOR_NEON)

// ---- NEON ----

namespace neon {

template <Sum S>
inline float32x4_t add(float32x4_t sum, float32x4_t q, float32x4_t c) noexcept {
  if constexpr (S == Sum::products) {
    return vfmaq_f32(sum, q, c);
  } else {
    const float32x4_t difference = vsubq_f32(q, c);
    if constexpr (S == Sum::squares) return vfmaq_f32(sum, difference, difference);
    return vaddq_f32(sum, vabsq_f32(difference));
  }
}

template <Sum S, std::size_t Blocks>
void score_f32(const float* query, const std::byte* const* codes, std::size_t count,
               std::size_t blocks, std::size_t ahead, float* out) noexcept {
  const std::size_t n = Blocks != 0 ? Blocks : blocks;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n);
    const auto* code = reinterpret_cast<const float*>(codes[i]);
    float32x4_t sums[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    for (std::size_t b = 0; b < n; ++b) {
      for (std::size_t part = 0; part < 4; ++part) {
        const std::size_t at = b * 16 + part * 4;
        sums[part] = add<S>(sums[part], vld1q_f32(query + at), vld1q_f32(code + at));
      }
    }
    out[i] = vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
  }
}

template <Sum S, std::size_t Blocks>
void score_f16(const float* query, const std::byte* const* codes, std::size_t count,
               std::size_t blocks, std::size_t ahead, float* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * 32;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n / 32);
    float32x4_t s0 = vdupq_n_f32(0);
    float32x4_t s1 = s0;
    for (std::size_t d = 0; d < n; d += 8) {
      float16x8_t code;
      std::memcpy(&code, codes[i] + d * 2, sizeof code);
      s0 = add<S>(s0, vld1q_f32(query + d), vcvt_f32_f16(vget_low_f16(code)));
      s1 = add<S>(s1, vld1q_f32(query + d + 4), vcvt_high_f32_f16(code));
    }
    out[i] = vaddvq_f32(vaddq_f32(s0, s1));
  }
}

template <std::size_t Blocks>
void dot_i8(const std::int8_t* query, const std::byte* const* codes, std::size_t count,
            std::size_t blocks, std::size_t ahead, std::int32_t* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * block_size;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n / block_size);
    const auto* code = reinterpret_cast<const std::uint8_t*>(codes[i]);
    int32x4_t s0 = vdupq_n_s32(0);
    int32x4_t s1 = s0;
    for (std::size_t d = 0; d < n; d += 16) {
      const uint8x16_t c = vld1q_u8(code + d);
      const int8x16_t q = vld1q_s8(query + d);
      const int16x8_t c_low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(c)));
      const int16x8_t c_high = vreinterpretq_s16_u16(vmovl_high_u8(c));
      const int16x8_t q_low = vmovl_s8(vget_low_s8(q));
      const int16x8_t q_high = vmovl_high_s8(q);
      s0 = vmlal_s16(s0, vget_low_s16(c_low), vget_low_s16(q_low));
      s1 = vmlal_high_s16(s1, c_low, q_low);
      s0 = vmlal_s16(s0, vget_low_s16(c_high), vget_low_s16(q_high));
      s1 = vmlal_high_s16(s1, c_high, q_high);
    }
    out[i] = vaddvq_s32(vaddq_s32(s0, s1));
  }
}

template <std::size_t Blocks>
void distance_i8(const std::int8_t* query, const std::byte* const* codes, std::size_t count,
                 std::size_t blocks, std::size_t ahead, std::int32_t* out) noexcept {
  const std::size_t n = (Blocks != 0 ? Blocks : blocks) * block_size;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_read(codes[i + ahead], n / block_size);
    const auto* code = reinterpret_cast<const std::uint8_t*>(codes[i]);
    const auto* other = reinterpret_cast<const std::uint8_t*>(query);
    uint32x4_t sum = vdupq_n_u32(0);
    for (std::size_t d = 0; d < n; d += 16) {
      const uint8x16_t difference = vabdq_u8(vld1q_u8(code + d), vld1q_u8(other + d));
      sum = vpadalq_u16(sum, vpaddlq_u8(difference));
    }
    out[i] = static_cast<std::int32_t>(vaddvq_u32(sum));
  }
}

template <std::size_t F32, std::size_t F16, std::size_t I8>
inline constexpr Kernels kernels{"neon",
                                 {score_f32<Sum::squares, F32>, score_f32<Sum::products, F32>,
                                  score_f32<Sum::magnitudes, F32>},
                                 {score_f16<Sum::squares, F16>, score_f16<Sum::products, F16>,
                                  score_f16<Sum::magnitudes, F16>},
                                 dot_i8<I8>,
                                 distance_i8<I8>};

}  // namespace neon

#endif  // SNKV_VECTOR_NEON

/// Kernels in the order of their preference; those that this processor lacks are null.
struct KernelChoice {
  const Kernels* sets[3] = {};
};

/// For vectors of `Dim` dimensions (0: known only at run time). A code of an 8-bit type is followed
/// by a term of 4 bytes (see `Codec`), which the dot product must not see: its query has zeros
/// there.
template <std::size_t Dim>
[[nodiscard]] KernelChoice kernel_choice() noexcept {
  constexpr std::size_t f32 = blocks_of(Dim * 4);
  constexpr std::size_t f16 = blocks_of(Dim * 2);
  constexpr std::size_t i8 = blocks_of(Dim);
  KernelChoice choice;
  choice.sets[2] = &portable::kernels<f32, f16, i8>;
#if defined(SNKV_VECTOR_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    choice.sets[1] = &avx2::kernels<f32, f16, i8>;
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni")) {
    choice.sets[0] = &avx512::kernels<f32, f16, i8>;
  }
#elif defined(SNKV_VECTOR_NEON)
  choice.sets[0] = &neon::kernels<f32, f16, i8>;
#endif
  return choice;
}

/// The best for this processor.
template <std::size_t Dim>
[[nodiscard]] const Kernels& best_kernels() noexcept {
  static const Kernels* const best = [] {
    for (const Kernels* set : kernel_choice<Dim>().sets) {
      if (set != nullptr) return set;
    }
    return static_cast<const Kernels*>(nullptr);  // not reached: the portable ones are always there
  }();
  return *best;
}

}  // namespace snkv::vector_detail

#if defined(SNKV_VECTOR_X86) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
