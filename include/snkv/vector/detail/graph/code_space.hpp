/// \file
/// What hnswlib calls a space: the distance between two elements, here between codes.
#pragma once

#include <snkv/vector/detail/codes/codec.hpp>
#include <snkv/vector/detail/graph/hnswlib.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Codes as hnswlib's code compares them. Walks of the library score many codes at once and do not come here.
class CodeSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit CodeSpace(Codec codec) noexcept : codec_(std::move(codec)) {}

  [[nodiscard]] const Codec& codec() const noexcept { return codec_; }
  std::size_t get_data_size() override { return codec_.stride(); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &distance; }
  void* get_dist_func_param() override { return &codec_; }

 private:
  static float distance(const void* a, const void* b, const void* codec_of_both) {
    const auto& codec = *static_cast<const Codec*>(codec_of_both);
    thread_local Codec::Query query;
    thread_local std::vector<float> numbers;
    if (numbers.size() < codec.dim()) {
      query.data = AlignedBuffer(blocks_of(codec.dim() * 2) * 2 * block_size);  // enough for every type
      numbers.resize(codec.dim());
    }
    codec.prepare_code(static_cast<const std::byte*>(b), query, numbers.data());
    return codec.score_one(query, static_cast<const std::byte*>(a));
  }

  Codec codec_;
};

}  // namespace snkv::vector_detail
