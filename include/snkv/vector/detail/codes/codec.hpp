/// \file
/// The form in which a graph keeps vectors, and how distances are computed on it.
#pragma once

#include <snkv/vector/detail/codes/kernels.hpp>
#include <snkv/vector/metric.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Bytes aligned to a cache line, all zero at first.
class AlignedBuffer {
 public:
  AlignedBuffer() noexcept = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<std::byte*>(::operator new (padded(size), std::align_val_t{block_size}))),
        size_(padded(size)) {
    std::memset(data_.get(), 0, size_);
  }

  [[nodiscard]] std::byte* data() noexcept { return data_.get(); }
  [[nodiscard]] const std::byte* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static std::size_t padded(std::size_t size) noexcept { return blocks_of(size) * block_size; }
  struct Free {
    void operator()(std::byte* p) const noexcept {
      ::operator delete (p, std::align_val_t{block_size});
    }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

/// Infinity as the number next to it: infinity times zero would be no number, which has no order.
[[nodiscard]] inline float finite(float x) noexcept {
  constexpr float most = std::numeric_limits<float>::max();
  return std::clamp(x, -most, most);
}

/// Scalar quantizer: code = round((x - offset_d) / scale), clamped to 0..255. One scale for all
/// dimensions, so that distances are sums of integers; an offset for each.
struct Quantizer {
  float scale = 0;  ///< 0: not trained
  std::vector<float> offset{};

  [[nodiscard]] bool trained() const noexcept { return scale > 0; }

  /// Learns the ranges from `count` vectors, given by `vector_at(i)`, which is called by this
  /// thread only; untrained if it gives null. Of each dimension the outermost thousandth at either
  /// end is left out, and clamped.
  template <class VectorAt>
  [[nodiscard]] static Quantizer train(std::size_t dim, std::size_t count, VectorAt&& vector_at,
                                       ThreadPool& pool) {
    // The ranks of a sample of some thousands are as good as those of all.
    constexpr std::size_t most = 8192;
    const std::size_t step = count > most ? count / most : 1;
    const std::size_t sampled = (count + step - 1) / step;
    // There is room only for what has come: `count` may be what a file says.
    std::vector<std::vector<float>> sample;
    for (std::size_t i = 0; i < sampled; ++i) {
      const float* const vector = vector_at(i * step);
      if (vector == nullptr) return {};
      sample.emplace_back(vector, vector + dim);
    }
    const auto cut = static_cast<std::ptrdiff_t>(sampled / 1000);
    std::vector<std::pair<float, float>> ranges(dim);
    std::atomic<std::size_t> next{0};
    pool.run([&](std::size_t) {
      std::vector<float> column(sampled);
      const auto high = column.end() - (cut + 1);
      for (std::size_t d = next.fetch_add(1); d < dim; d = next.fetch_add(1)) {
        for (std::size_t i = 0; i < sampled; ++i) column[i] = sample[i][d];
        std::nth_element(column.begin(), column.begin() + cut, column.end());
        ranges[d].first = column[static_cast<std::size_t>(cut)];
        std::nth_element(column.begin(), high, column.end());
        ranges[d].second = *high;
      }
    });
    // In double: the difference of two numbers may be more than the largest one.
    double widest = 0;
    for (const auto& [low, high] : ranges) {
      widest = std::max(widest, static_cast<double>(high) - static_cast<double>(low));
    }
    Quantizer trained;
    // All vectors equal, or nearly: any positive scale will do.
    trained.scale = widest > 0 ? static_cast<float>(widest / 255.0) : 1.0f;
    if (!(trained.scale > 0)) trained.scale = 1.0f;  // the range is subnormal
    trained.offset.resize(dim);
    for (std::size_t d = 0; d < dim; ++d) {
      const double low = static_cast<double>(ranges[d].first);
      const double range = static_cast<double>(ranges[d].second) - low;
      trained.offset[d] = static_cast<float>(low + range * 0.5) - trained.scale * 127.5f;
      // A range that starts on a multiple of the scale, as that of integers does, stays exact.
      if (range <= widest) {
        const float steps = std::round((ranges[d].first - trained.offset[d]) / trained.scale);
        trained.offset[d] = ranges[d].first - steps * trained.scale;
      }
      trained.offset[d] = finite(trained.offset[d]);
    }
    return trained;
  }
};

/// Turns vectors into codes and scores codes against queries. Immutable; safe from all threads.
///
/// Vectors come in "prepared": those of the cosine metric are of length 1. A code of type i8 is
/// followed by a term T of 4 bytes and the norm n(a), 4 bytes, for when it is a query itself: with a the
/// code, q the query's code, n(x) = sum x_d^2, and the integer dot product D = sum a_d (q_d - 128) of the
/// kernel,
///
///     squared distance = scale^2 (n(a) - 256 sum a_d + n(q) - 2 D),   T = n(a) - 256 sum a_d
///
/// which is exact for the quantized vectors; that of unit vectors is twice their cosine distance.
/// For inner products the query is scaled by itself to -127..127, with u its step, and
///
///     a.q = sum offset_d q_d + scale u D
///
/// so that queries need not lie in the range of the data. Of the L1 distance, scale sum |a_d - q_d|, there is no
/// term: what follows the code is zero.
class Codec {
 public:
  /// What a vector is compared as.
  struct Query {
    AlignedBuffer data{};
    const std::byte* at = nullptr;  ///< `data`, or a code that serves as it is
    float bias = 0;
    float factor = 1;
    std::int64_t norm = 0;  ///< i8: n(q)
  };

  Codec(Metric metric, ElementType type, std::size_t dim, const Kernels& kernels,
        Quantizer quantizer = {})
      : metric_(metric),
        type_(type),
        dim_(dim),
        kernels_(&kernels),
        quantizer_(std::move(quantizer)) {
    switch (type) {
      case ElementType::f32:
        stride_ = blocks_of(dim * 4) * block_size;
        break;
      case ElementType::f16:
        stride_ = blocks_of(dim * 2) * block_size;
        break;
      case ElementType::i8:
        term_at_ = (dim + 3) / 4 * 4;
        stride_ = blocks_of(term_at_ + 8) * block_size;
        break;
    }
    blocks_ = type == ElementType::i8 ? blocks_of(dim) : stride_ / block_size;
  }

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] ElementType type() const noexcept { return type_; }
  [[nodiscard]] std::size_t dim() const noexcept { return dim_; }
  /// Bytes of a code, a multiple of `block_size`.
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] const Quantizer& quantizer() const noexcept { return quantizer_; }
  [[nodiscard]] const Kernels& kernels() const noexcept { return *kernels_; }

  /// Writes the code of a prepared vector; `code` has `stride()` bytes. Returns how many components
  /// had to be clamped.
  std::size_t encode(const float* vector, std::byte* code) const noexcept {
    std::memset(code, 0, stride_);
    std::size_t clamped = 0;
    switch (type_) {
      case ElementType::f32:
        std::memcpy(code, vector, dim_ * sizeof(float));
        break;
      case ElementType::f16:
        for (std::size_t d = 0; d < dim_; ++d) {
          const std::uint16_t half = to_half(std::clamp(vector[d], -65504.0f, 65504.0f));
          clamped += vector[d] > 65504.0f || vector[d] < -65504.0f ? 1 : 0;
          std::memcpy(code + d * sizeof half, &half, sizeof half);
        }
        break;
      case ElementType::i8: {
        std::int64_t sum = 0;
        std::int64_t norm = 0;
        for (std::size_t d = 0; d < dim_; ++d) {
          const std::int32_t step = quantize(vector[d], d, clamped);
          code[d] = static_cast<std::byte>(step);
          sum += step;
          norm += std::int64_t{step} * step;
        }
        if (metric_ == Metric::l1) break;
        const auto term = static_cast<std::int32_t>(norm - 256 * sum);
        std::memcpy(code + term_at_, &term, sizeof term);
        const auto square = static_cast<std::uint32_t>(norm);
        std::memcpy(code + term_at_ + sizeof term, &square, sizeof square);
        break;
      }
    }
    return clamped;
  }

  /// The vector that a code stands for.
  void decode(const std::byte* code, float* vector) const noexcept {
    for (std::size_t d = 0; d < dim_; ++d) {
      switch (type_) {
        case ElementType::f32:
          std::memcpy(vector + d, code + d * 4, 4);
          break;
        case ElementType::f16: {
          std::uint16_t half = 0;
          std::memcpy(&half, code + d * 2, 2);
          vector[d] = from_half(half);
          break;
        }
        case ElementType::i8:
          vector[d] = quantizer_.offset[d] +
                      quantizer_.scale * static_cast<float>(std::to_integer<int>(code[d]));
          break;
      }
    }
  }

  [[nodiscard]] Query make_query() const {
    Query query;
    query.data =
        AlignedBuffer(type_ == ElementType::i8 ? stride_ : blocks_of(dim_ * 2) * 2 * block_size);
    return query;
  }

  /// Makes a query of a prepared vector.
  void prepare(const float* vector, Query& query) const noexcept {
    set_constants(query);
    query.at = query.data.data();
    if (type_ != ElementType::i8) {
      std::memcpy(query.data.data(), vector, dim_ * sizeof(float));
      return;
    }
    auto* out = reinterpret_cast<std::int8_t*>(query.data.data());
    if (metric_ == Metric::inner_product) {
      float largest = 0;
      for (std::size_t d = 0; d < dim_; ++d) largest = std::max(largest, std::fabs(vector[d]));
      const float part = largest / 127.0f;
      const float step = part > 0 ? part : 1.0f;  // 0 also where the largest is subnormal
      double constant = 0;
      for (std::size_t d = 0; d < dim_; ++d) {
        out[d] = static_cast<std::int8_t>(std::lround(vector[d] / step));
        constant += static_cast<double>(quantizer_.offset[d]) * static_cast<double>(vector[d]);
      }
      query.bias = finite(static_cast<float>(-constant));
      query.factor = finite(-quantizer_.scale * step);
      return;
    }
    query.norm = 0;
    std::size_t clamped = 0;
    for (std::size_t d = 0; d < dim_; ++d) {
      const std::int32_t step = quantize(vector[d], d, clamped);
      out[d] = static_cast<std::int8_t>(metric_ == Metric::l1 ? step : step - 128);
      query.norm += std::int64_t{step} * step;
    }
  }

  /// Makes a query of the vector that a code stands for, which stays where it is as long as the
  /// query is in use. `scratch` has room for `dim()` numbers.
  void prepare_code(const std::byte* code, Query& query, float* scratch) const noexcept {
    if (type_ == ElementType::f32 || (type_ == ElementType::i8 && metric_ == Metric::l1)) {
      set_constants(query);
      query.at = code;
      return;
    }
    if (type_ == ElementType::i8 && metric_ != Metric::inner_product) {
      set_constants(query);
      // Pointers of their own: what is written here might otherwise be a member.
      std::byte* const to = query.data.data();
      const std::size_t bytes = blocks_of(dim_) * block_size;
      for (std::size_t at = 0; at < bytes; at += block_size) {
        std::uint64_t steps[block_size / sizeof(std::uint64_t)];
        std::memcpy(steps, code + at, block_size);
        for (std::uint64_t& eight : steps) eight ^= 0x8080808080808080u;
        std::memcpy(to + at, steps, block_size);
      }
      std::memset(to + dim_, 0, query.data.size() - dim_);
      query.at = to;
      query.norm = norm_of(code);
      return;
    }
    decode(code, scratch);
    prepare(scratch, query);
  }

  /// Distances of the query to `count` codes; `count` is at most `largest_batch`.
  static constexpr std::size_t largest_batch = 256;
  void score(const Query& query, const std::byte* const* codes, std::size_t count,
             std::size_t ahead, float* out) const noexcept {
    if (type_ != ElementType::i8) {
      const auto* vector = reinterpret_cast<const float*>(query.at);
      const FloatKernels& kernels = type_ == ElementType::f32 ? kernels_->f32 : kernels_->f16;
      const FloatKernel kernel = metric_ == Metric::l2   ? kernels.squares
                                 : metric_ == Metric::l1 ? kernels.magnitudes
                                                         : kernels.products;
      kernel(vector, codes, count, blocks_, ahead, out);
      if (metric_ != Metric::l2 && metric_ != Metric::l1) {
        for (std::size_t i = 0; i < count; ++i) out[i] = query.bias + query.factor * out[i];
      }
      // Sums of numbers near the end of the range can be no number, which has no order.
      for (std::size_t i = 0; i < count; ++i) {
        if (std::isnan(out[i])) out[i] = std::numeric_limits<float>::infinity();
      }
      return;
    }
    std::int32_t dots[largest_batch];
    const IntegerKernel kernel = metric_ == Metric::l1 ? kernels_->distance_i8 : kernels_->dot_i8;
    kernel(reinterpret_cast<const std::int8_t*>(query.at), codes, count, blocks_, ahead, dots);
    for (std::size_t i = 0; i < count; ++i) {
      if (metric_ == Metric::inner_product || metric_ == Metric::l1) {
        out[i] = query.bias + query.factor * static_cast<float>(dots[i]);
      } else {
        const std::int64_t square = query.norm + term_of(codes[i]) - 2 * std::int64_t{dots[i]};
        out[i] = query.factor * static_cast<float>(square);
      }
    }
  }

  [[nodiscard]] float score_one(const Query& query, const std::byte* code) const noexcept {
    float out = 0;
    score(query, &code, 1, 1, &out);
    return out;
  }

 private:
  [[nodiscard]] std::int32_t quantize(float x, std::size_t d, std::size_t& clamped) const noexcept {
    const float step = (x - quantizer_.offset[d]) / quantizer_.scale;
    if (step < -0.5f || step > 255.5f) ++clamped;
    return static_cast<std::int32_t>(std::clamp(step, 0.0f, 255.0f) + 0.5f);
  }

  [[nodiscard]] std::int32_t term_of(const std::byte* code) const noexcept {
    std::int32_t term = 0;
    std::memcpy(&term, code + term_at_, sizeof term);
    return term;
  }

  [[nodiscard]] std::uint32_t norm_of(const std::byte* code) const noexcept {
    std::uint32_t norm = 0;
    std::memcpy(&norm, code + term_at_ + sizeof(std::int32_t), sizeof norm);
    return norm;
  }

  void set_constants(Query& query) const noexcept {
    query.bias = metric_ == Metric::cosine && type_ != ElementType::i8 ? 1.0f : 0.0f;
    query.factor = metric_ == Metric::l2 ? 1.0f : -1.0f;
    if (type_ == ElementType::i8) {
      const float square = quantizer_.scale * quantizer_.scale;
      query.factor = finite(metric_ == Metric::cosine ? square * 0.5f
                            : metric_ == Metric::l1   ? quantizer_.scale
                                                      : square);
    }
  }

  Metric metric_;
  ElementType type_;
  std::size_t dim_;
  const Kernels* kernels_;
  Quantizer quantizer_;
  std::size_t stride_ = 0;
  std::size_t blocks_ = 0;
  std::size_t term_at_ = 0;
};

/// Length of a vector, without overflow for finite components that are not near the end of the
/// range.
[[nodiscard]] inline double length(const float* vector, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d)
    sum += static_cast<double>(vector[d]) * static_cast<double>(vector[d]);
  return std::sqrt(sum);
}

/// `out` becomes what the codec takes: for cosine the vector scaled to length 1.
inline void prepare_vector(Metric metric, const float* vector, std::size_t dim,
                           float* out) noexcept {
  if (metric != Metric::cosine) {
    if (out != vector) std::memcpy(out, vector, dim * sizeof(float));
    return;
  }
  const double factor = 1.0 / length(vector, dim);
  for (std::size_t d = 0; d < dim; ++d) {
    out[d] = static_cast<float>(static_cast<double>(vector[d]) * factor);
  }
}

}  // namespace snkv::vector_detail
