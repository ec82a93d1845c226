/// \file
/// How vectors are compared, and in which form the index keeps them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace snkv {

/// The distance of two vectors a and b; smaller is nearer. The values are part of the file format.
enum class Metric : std::uint8_t {
  l2 = 1,             ///< squared Euclidean: sum (a_i - b_i)^2
  cosine = 2,         ///< 1 - a.b / (|a| |b|): 0 for one direction, 2 for opposite ones
  inner_product = 3,  ///< -a.b
  l1 = 4,             ///< Manhattan: sum |a_i - b_i|
};

/// The form of the vectors that the graph is walked on. The stored vectors are exact f32 whatever
/// it is. The values are part of the file format.
enum class ElementType : std::uint8_t {
  f32 = 1,  ///< IEEE 754 single
  f16 = 2,  ///< IEEE 754 half: half the memory, error 2^-11 relative, range 65504
  i8 = 3,   ///< 8-bit codes of a scalar quantizer that is trained on the data: a quarter of the
            ///< memory
};

// Tags: the metric as a template argument.
struct L2 {
  static constexpr Metric metric = Metric::l2;
};
struct Cosine {
  static constexpr Metric metric = Metric::cosine;
};
struct InnerProduct {
  static constexpr Metric metric = Metric::inner_product;
};
struct L1 {
  static constexpr Metric metric = Metric::l1;
};
/// The metric is chosen when the index is opened.
struct AnyMetric {};

/// As `VectorStore<dynamic_extent, ...>`: the dimension is chosen when the index is opened.
inline constexpr std::size_t dynamic_extent = std::dynamic_extent;

/// Dimensions from 1 to this. Bounds what a damaged file can ask for; embeddings in use have less
/// than a tenth of it.
inline constexpr std::size_t max_dimension = 65536;

[[nodiscard]] constexpr std::string_view to_string(Metric metric) noexcept {
  switch (metric) {
    case Metric::l2:
      return "l2";
    case Metric::cosine:
      return "cosine";
    case Metric::inner_product:
      return "inner_product";
    case Metric::l1:
      return "l1";
  }
  return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(ElementType type) noexcept {
  switch (type) {
    case ElementType::f32:
      return "f32";
    case ElementType::f16:
      return "f16";
    case ElementType::i8:
      return "i8";
  }
  return "unknown";
}

/// Understands the names above, and the ones that other systems use: euclidean, ip, dot,
/// dot_product, manhattan.
[[nodiscard]] constexpr std::optional<Metric> parse_metric(std::string_view name) noexcept {
  if (name == "l2" || name == "euclidean") return Metric::l2;
  if (name == "cosine" || name == "cos") return Metric::cosine;
  if (name == "inner_product" || name == "ip" || name == "dot" || name == "dot_product") {
    return Metric::inner_product;
  }
  if (name == "l1" || name == "manhattan") return Metric::l1;
  return std::nullopt;
}

[[nodiscard]] constexpr std::optional<ElementType> parse_element_type(
    std::string_view name) noexcept {
  if (name == "f32") return ElementType::f32;
  if (name == "f16") return ElementType::f16;
  if (name == "i8" || name == "int8") return ElementType::i8;
  return std::nullopt;
}

namespace vector_detail {

template <class Tag>
inline constexpr std::optional<Metric> metric_of = Tag::metric;
template <>
inline constexpr std::optional<Metric> metric_of<AnyMetric> = std::nullopt;

}  // namespace vector_detail
}  // namespace snkv
