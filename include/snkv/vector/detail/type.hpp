/// \file
/// What a template says of dimensions and metric, and what options say of them.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>
#include <snkv/vector/metric.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace snkv::vector_detail {

/// Puts what the type says into the options, unless they say something else: `dimension_mismatch`,
/// `metric_mismatch`.
template <std::size_t Dim, class MetricTag>
[[nodiscard]] Error merge_type(const char* operation, std::size_t& dim,
                               std::optional<Metric>& metric) {
  if constexpr (Dim != dynamic_extent) {
    if (dim != 0 && dim != Dim) {
      return Error(Errc::dimension_mismatch, operation,
                   "the type has " + std::to_string(Dim) + " dimensions, the options " +
                       std::to_string(dim));
    }
    dim = Dim;
  }
  if constexpr (metric_of<MetricTag>) {
    constexpr Metric own = *metric_of<MetricTag>;
    if (metric && *metric != own) {
      return Error(Errc::metric_mismatch, operation,
                   "the type's metric is " + std::string(to_string(own)) +
                       ", that of the options " + std::string(to_string(*metric)));
    }
    metric = own;
  }
  return {};
}

}  // namespace snkv::vector_detail
