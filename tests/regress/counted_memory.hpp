// How much memory a program has from operator new, and had at most. Where SNKV_COUNTED_MEMORY is
// not defined (see counted_memory.cpp) nothing is counted.
#pragma once

#include <cstdint>

namespace snkv::test {

/// Bytes that are in use now.
[[nodiscard]] std::int64_t memory_in_use() noexcept;
/// The most that were in use since `forget_peak`.
[[nodiscard]] std::int64_t memory_peak() noexcept;
void forget_peak() noexcept;

}  // namespace snkv::test
