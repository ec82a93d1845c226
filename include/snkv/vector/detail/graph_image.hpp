/// \file
/// How a graph becomes bytes, and a graph again.
#pragma once

#include <snkv/vector/detail/byte_stream.hpp>
#include <snkv/vector/detail/graph.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace snkv::vector_detail {

inline Graph::Mark Graph::mark(Slot linked) const {
  Mark mark{size(), linked, {}};
  mark.dead.resize((std::size_t{mark.slots} + 63) / 64);
  for (Slot slot = 0; slot < mark.slots; ++slot) {
    if (is_dead(slot)) mark.dead[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
  return mark;
}

inline void Graph::write(ByteSink& sink, const Mark& mark) const {
  sink.number(mark.slots);
  sink.number(mark.linked);
  sink.array(std::span(mark.dead));
  std::vector<Label> labels(mark.slots);
  std::vector<std::uint8_t> levels(mark.linked);
  for (Slot slot = 0; slot < mark.slots; ++slot) {
    labels[slot] = label(slot);
    if (slot < mark.linked) levels[slot] = static_cast<std::uint8_t>(level(slot));
  }
  sink.array(std::span(labels));
  sink.array(std::span(levels));
  codes_.for_each_piece(
      mark.slots, [&](const std::byte* memory, std::size_t bytes) { sink.write(memory, bytes); });
  // Links to what was not linked at the time of the mark are left out.
  std::vector<Slot> links(capacity(0));
  std::vector<Slot> rows;
  const auto add = [&](Slot slot, unsigned on) {
    const std::size_t count = links_of(slot, on, links.data());
    const std::size_t end = rows.size() + capacity(on);
    for (std::size_t i = 0; i < count; ++i) {
      if (links[i] < mark.linked) rows.push_back(links[i]);
    }
    rows.resize(end, no_slot);
    if (rows.size() < 65536) return;
    sink.write(rows.data(), rows.size() * sizeof(Slot));
    rows.clear();
  };
  for (Slot slot = 0; slot < mark.linked; ++slot) add(slot, 0);
  for (Slot slot = 0; slot < mark.linked; ++slot) {
    for (unsigned on = 1; on <= level(slot); ++on) add(slot, on);
  }
  sink.write(rows.data(), rows.size() * sizeof(Slot));
}

inline Slot Graph::read(ByteSource& source, std::vector<Slot>& lost) {
  const auto slots = source.number<Slot>();
  const auto linked = source.number<Slot>();
  source.require(slots <= max_slots && linked <= slots, "the graph has too many slots");
  const auto dead = source.array<std::uint64_t>((std::uint64_t{slots} + 63) / 64);
  const auto labels = source.array<Label>(slots);
  const auto levels = source.array<std::uint8_t>(linked);
  std::uint64_t upper = 0;
  for (const std::uint8_t level : levels) {
    source.require(level <= highest_level, "a level of the graph is too high");
    upper += level;
  }
  if (!source.require(labels.size() == slots && levels.size() == linked &&
                          dead.size() == (std::size_t{slots} + 63) / 64 &&
                          slots <= source.remaining() / codes_.stride(),
                      "the graph is damaged")) {
    return 0;
  }
  reserve(slots);
  codes_.for_each_piece(slots,
                        [&](std::byte* memory, std::size_t bytes) { source.read(memory, bytes); });
  if (!source.require(linked <= source.remaining() / links_.stride() &&
                          upper <= source.remaining() / upper_.stride(),
                      "links of the graph are missing")) {
    return 0;
  }
  Slot top = no_slot;
  Slot dead_slots = 0;
  std::uint32_t next_upper = 0;
  for (Slot slot = 0; slot < slots; ++slot) {
    const unsigned level = slot < linked ? levels[slot] : random_level(slot);
    const bool is_dead = (dead[slot / 64] >> (slot % 64) & 1) != 0;
    upper_.reserve(std::uint64_t{next_upper} + level);
    new (nodes_.at(slot)) Node{labels[slot],
                               next_upper,
                               0,
                               static_cast<std::uint8_t>(is_dead ? 1 : 0),
                               static_cast<std::uint8_t>(slot < linked ? 1 : 0),
                               static_cast<std::uint8_t>(level),
                               0};
    next_upper += level;
    dead_slots += is_dead ? 1 : 0;
    if (slot >= linked) {
      for (unsigned l = 0; l <= level; ++l) store_list(list(slot, l), nullptr, 0);
    } else if (top == no_slot || level > levels[top]) {
      top = slot;
    }
  }
  upper_count_.store(next_upper, std::memory_order_relaxed);
  dead_.store(dead_slots, std::memory_order_relaxed);
  if (!read_links(source, linked)) return 0;
  for (Slot slot = 0; slot < linked; ++slot) {
    if (slot != top && node(slot).in.load(std::memory_order_relaxed) == 0) lost.push_back(slot);
  }
  size_.store(slots, std::memory_order_release);
  if (top != no_slot) set_entry(top);
  return linked;
}

inline bool Graph::read_links(ByteSource& source, Slot linked) {
  links_.for_each_piece(linked,
                        [&](std::byte* memory, std::size_t bytes) { source.read(memory, bytes); });
  for (Slot slot = 0; slot < linked; ++slot) {
    if (!source.require(are_sound(slot, 0, linked), "a link of the graph leads nowhere"))
      return false;
  }
  for (Slot slot = 0; slot < linked; ++slot) {
    for (unsigned level = 1; level <= this->level(slot); ++level) {
      source.read(list(slot, level).first, upper_.stride());
      if (!source.require(are_sound(slot, level, linked), "a link of the graph leads nowhere")) {
        return false;
      }
    }
  }
  return !source.error().failed();
}

/// Whether the links of a slot lead to slots that are on this level too; counts them.
inline bool Graph::are_sound(Slot slot, unsigned level, Slot linked) noexcept {
  const List links = list(slot, level);
  bool ended = false;
  for (std::size_t i = 0; i < links.capacity; ++i) {
    const Slot other = links.first[i];
    if (other == no_slot) {
      ended = true;
    } else if (ended || other >= linked || other == slot || this->level(other) < level) {
      return false;
    } else if (level == 0) {
      node(other).in.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return true;
}

}  // namespace snkv::vector_detail
