/// \file
/// How a graph becomes bytes, and a graph again.
#pragma once

#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/detail/graph/graph.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace snkv::vector_detail {

inline Graph::Mark Graph::mark() const {
  Mark mark{size(), {}, {}};
  const std::size_t words = (std::size_t{mark.slots} + 63) / 64;
  mark.dead.resize(words);
  mark.linked.resize(words);
  for (Slot slot = 0; slot < mark.slots; ++slot) {
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if (is_dead(slot)) mark.dead[slot / 64] |= bit;
    if (is_linked(slot)) mark.linked[slot / 64] |= bit;
  }
  return mark;
}

inline void Graph::write(ByteSink& sink, const Mark& mark) const {
  sink.number(mark.slots);
  sink.array(std::span(mark.dead));
  sink.array(std::span(mark.linked));
  std::vector<Label> labels(mark.slots);
  std::vector<std::uint8_t> levels(mark.slots);
  for (Slot slot = 0; slot < mark.slots; ++slot) {
    labels[slot] = label(slot);
    levels[slot] = static_cast<std::uint8_t>(level(slot));
  }
  sink.array(std::span(labels));
  sink.array(std::span(levels));
  const std::vector<Slot> next = chains(mark);
  sink.array(std::span(next));
  for (Slot slot = 0; slot < mark.slots; ++slot) sink.write(code(slot), codec().stride());
  // What was not linked at the time of the mark gets no links, and none lead to it.
  std::vector<Slot> links(capacity(0));
  std::vector<Slot> rows;
  const auto add = [&](Slot slot, unsigned on) {
    const std::size_t end = rows.size() + capacity(on);
    const std::size_t count =
        bit_of(mark.linked, slot) ? links_of(slot, on, links.data()) : std::size_t{0};
    for (std::size_t i = 0; i < count; ++i) {
      if (links[i] < mark.slots && bit_of(mark.linked, links[i])) rows.push_back(links[i]);
    }
    rows.resize(end, no_slot);
    if (rows.size() < 65536) return;
    sink.write(rows.data(), rows.size() * sizeof(Slot));
    rows.clear();
  };
  for (Slot slot = 0; slot < mark.slots; ++slot) add(slot, 0);
  for (Slot slot = 0; slot < mark.slots; ++slot) {
    for (unsigned on = 1; on <= level(slot); ++on) add(slot, on);
  }
  sink.write(rows.data(), rows.size() * sizeof(Slot));
}

/// The chains of copies at the time of a mark.
inline std::vector<Slot> Graph::chains(const Mark& mark) const {
  std::vector<Slot> next(mark.slots, no_slot);
  for (Slot first = 0; first < mark.slots; ++first) {
    if (!bit_of(mark.linked, first) || is_copy(first)) continue;
    Slot last = first;
    for (Slot copy = next_copy(first); copy != no_slot; copy = next_copy(copy)) {
      if (copy >= mark.slots || !bit_of(mark.linked, copy)) continue;
      next[last] = copy;
      last = copy;
    }
  }
  return next;
}

/// False, if they are no chains of linked slots with the same codes.
inline bool Graph::take_chains(const std::vector<Slot>& next) {
  std::vector<bool> follows(next.size());
  std::size_t copies = 0;
  for (Slot slot = 0; slot < next.size(); ++slot) {
    const Slot copy = next[slot];
    if (copy == no_slot) continue;
    if (copy >= next.size() || follows[copy] || !is_linked(slot) || !is_linked(copy)) return false;
    follows[copy] = true;
    ++copies;
  }
  for (Slot first = 0; first < next.size(); ++first) {
    if (follows[first]) continue;
    Slot last = first;
    for (Slot copy = next[first]; copy != no_slot; copy = next[copy], --copies) {
      if (!same_code(first, copy)) return false;
      set_link(copy, Link::as_copy);
      own(last).copy.store(copy, std::memory_order_relaxed);
      last = copy;
    }
  }
  return copies == 0;  // else some go round in a circle
}

inline Slot Graph::read(ByteSource& source, std::vector<Slot>& lost) {
  const auto slots = source.number<Slot>();
  source.require(slots <= max_slots, "the graph has too many slots");
  const std::size_t words = (std::size_t{slots} + 63) / 64;
  const auto dead = source.array<std::uint64_t>(words);
  const auto linked = source.array<std::uint64_t>(words);
  const auto labels = source.array<Label>(slots);
  const auto levels = source.array<std::uint8_t>(slots);
  const auto next = source.array<Slot>(slots);
  std::uint64_t upper = 0;
  for (const std::uint8_t level : levels) {
    source.require(level <= highest_level, "a level of the graph is too high");
    upper += level;
  }
  if (!source.require(labels.size() == slots && levels.size() == slots && next.size() == slots &&
                          dead.size() == words && linked.size() == words,
                      "the graph is damaged")) {
    return 0;
  }
  const std::uint64_t of_slot = codec().stride() + capacity(0) * sizeof(Slot);
  if (!source.require(slots <= source.remaining() / of_slot &&
                          upper <= (source.remaining() - slots * of_slot) / (capacity(1) * sizeof(Slot)),
                      "codes or links of the graph are missing")) {
    return 0;
  }
  for (Slot slot = 0; slot < slots; ++slot) {
    begin(labels[slot], levels[slot]);
    source.read(code_at(slot), codec().stride());
    publish(slot);
    if (source.error().failed()) return 0;  // before all that it says is made room for
  }
  Slot top = no_slot;
  Slot first_unlinked = slots;
  for (Slot slot = 0; slot < slots; ++slot) {
    const bool is_dead = bit_of(dead, slot);
    const bool is_linked = bit_of(linked, slot);
    if (is_dead) static_cast<void>(kill(slot));
    set_link(slot, is_linked ? Link::by_links : Link::none);
    if (!is_linked) first_unlinked = std::min(first_unlinked, slot);
  }
  if (!source.require(take_chains(next), "copies of the graph make no chains")) return 0;
  for (Slot slot = 0; slot < slots; ++slot) {
    if (link_of(slot) == Link::by_links && (top == no_slot || levels[slot] > levels[top])) top = slot;
  }
  if (!read_links(source, slots)) return 0;
  for (Slot slot = 0; slot < slots; ++slot) {
    if (slot != top && link_of(slot) == Link::by_links && own(slot).in.load(std::memory_order_relaxed) == 0) {
      lost.push_back(slot);
    }
  }
  if (top != no_slot) set_entry(top);
  return first_unlinked;
}

inline bool Graph::read_links(ByteSource& source, Slot slots) {
  std::vector<Slot> row(capacity(0));
  const auto read_list = [&](Slot slot, unsigned level) {
    source.read(row.data(), capacity(level) * sizeof(Slot));
    std::size_t count = 0;
    while (count < capacity(level) && row[count] != no_slot) ++count;
    bool sound = true;
    for (std::size_t i = count; i < capacity(level); ++i) sound = sound && row[i] == no_slot;
    list(slot, level).assign(row.data(), count);
    return source.require(sound && are_sound(slot, level, slots), "a link of the graph leads nowhere");
  };
  for (Slot slot = 0; slot < slots; ++slot) {
    if (!read_list(slot, 0)) return false;
  }
  for (Slot slot = 0; slot < slots; ++slot) {
    for (unsigned level = 1; level <= this->level(slot); ++level) {
      if (!read_list(slot, level)) return false;
    }
  }
  return !source.error().failed();
}

/// Whether the links of a slot lead to slots that are linked and on this level too; counts them.
/// One that is not linked has none.
inline bool Graph::are_sound(Slot slot, unsigned level, Slot slots) noexcept {
  const List links = list(slot, level);
  const std::size_t count = links.count();
  if (link_of(slot) != Link::by_links && count != 0) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const Slot other = links.first[i];
    if (other >= slots || other == slot || link_of(other) != Link::by_links || this->level(other) < level) return false;
    if (level == 0) own(other).in.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace snkv::vector_detail
