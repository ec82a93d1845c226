/// \file
/// Slots and labels: where a vector is in a graph, and whose it is.
#pragma once

#include <cstdint>

namespace snkv::vector_detail {

using Slot = std::uint32_t;
inline constexpr Slot no_slot = 0xffffffffu;
/// The highest bit marks expanded entries of a pool.
inline constexpr Slot max_slots = 0x7fffffffu;

/// Whose vector is in a slot: a number in the low half, and in the high half how often that number
/// has been given to somebody else.
using Label = std::uint64_t;
[[nodiscard]] constexpr std::uint32_t number_of(Label label) noexcept {
  return static_cast<std::uint32_t>(label);
}

struct Scored {
  float distance = 0;
  Slot slot = no_slot;
  friend bool operator<(const Scored& a, const Scored& b) noexcept {
    return a.distance != b.distance ? a.distance < b.distance : a.slot < b.slot;
  }
};

}  // namespace snkv::vector_detail
