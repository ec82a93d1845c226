/// \file
/// How slots of a graph are linked.
#pragma once

#include <snkv/vector/detail/graph/graph.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <vector>

namespace snkv::vector_detail {

inline void Graph::link(Slot slot, Scratch& scratch, unsigned lowest) {
  codec().prepare_code(code(slot), scratch.query, scratch.numbers.data());
  const unsigned mine = level(slot);
  std::unique_lock<std::mutex> raising(entry_mutex_, std::defer_lock);
  Slot from = entry();
  if (static_cast<int>(mine) > level_of_entry(from)) {
    raising.lock();  // rare: one slot in m^level
    from = entry();
  }
  if (from == no_slot) {
    set_link(slot, Link::by_links);
    set_entry(slot);
    return;
  }
  // A thread may be stopped for long, while others link their slots near this one without seeing
  // it. What it found before that would lead away from where it is looked for.
  std::uint64_t before = linked();
  int highest = find_neighbours(slot, lowest, from, scratch);
  for (int i = 1; i < most_attempts && has_grown_since(before); ++i) {
    before = linked();
    highest = find_neighbours(slot, lowest, raising.owns_lock() ? from : entry(), scratch);
  }
  // Copies hang on the first of them. Links among them would fill all lists, and cut the group off
  // from the rest; in a search they would take the place of everything else.
  if (lowest == 0 && next_copy(slot) == no_slot) {
    if (const Slot twin = twin_of(slot, scratch); twin != no_slot) {
      add_copy(twin, slot);
      return;
    }
  }
  // From below: whoever finds it on a level can go on from there on all lower ones. Another slot
  // that is linked at the same time would otherwise begin in a place with no way on, and have no
  // neighbours but this.
  for (unsigned l = lowest; static_cast<int>(l) <= highest; ++l) {
    scratch.candidates.swap(scratch.levels[l]);
    if (!scratch.candidates.empty()) connect(slot, l, scratch);
  }
  set_link(slot, Link::by_links);
  if (raising.owns_lock() && static_cast<int>(mine) > level_of_entry(from)) set_entry(slot);
  if (lowest == 0 && has_grown_since(before)) scratch.suspects.push_back(slot);
  // Which may make others hard to find; not without end, if making room for one takes another's.
  for (int i = 0; i < 16 && !scratch.suspects.empty(); ++i) {
    const Slot other = scratch.suspects.back();
    scratch.suspects.pop_back();
    make_found(other, scratch);
  }
  scratch.suspects.clear();
}

/// The nearest to a slot, for which `scratch.query` is prepared, on its levels from `lowest` up, in
/// `scratch.levels`. Returns the highest of them that the graph has.
inline int Graph::find_neighbours(Slot slot, unsigned lowest, Slot from, Scratch& scratch) const {
  const int mine = static_cast<int>(level(slot));
  const int top = level_of_entry(from);
  Scored at = score(scratch.query, from);
  for (int l = top; l > mine; --l) at = descend(scratch, at, static_cast<unsigned>(l));
  const int highest = std::min(top, mine);
  scratch.levels.resize(std::max(scratch.levels.size(), static_cast<std::size_t>(highest) + 1));
  for (int l = highest; l >= static_cast<int>(lowest); --l) {
    walk(scratch, at, ef_construction(), static_cast<unsigned>(l));
    std::vector<Scored>& found = scratch.levels[static_cast<std::size_t>(l)];
    found.clear();
    for (std::size_t i = 0; i < scratch.pool.size(); ++i) {
      if (scratch.pool[i].slot != slot) found.push_back(scratch.pool[i]);
    }
    if (!found.empty()) at = found.front();
  }
  return highest;
}

inline void Graph::make_found(Slot slot, Scratch& scratch) {
  if (is_dead(slot)) return;
  codec().prepare_code(code(slot), scratch.query, scratch.numbers.data());
  search_firsts(scratch, ef_of_checks);
  Scored nearest[2];
  std::size_t found = 0;
  for (std::size_t i = 0; i < scratch.pool.size(); ++i) {
    const Scored at = scratch.pool[i];
    if (at.slot == slot) return;
    if (found < std::size(nearest) && !is_dead(at.slot)) nearest[found++] = at;
  }
  for (std::size_t i = 0; i < found; ++i)
    link_back(nearest[i].slot, {nearest[i].distance, slot}, 0, true, scratch);
}

/// Links a slot with the chosen of `scratch.candidates`, both ways.
inline void Graph::connect(Slot slot, unsigned level, Scratch& scratch) {
  choose(scratch, m(), 0);
  const std::vector<Scored> chosen = scratch.chosen;
  link_to_chosen(slot, level, chosen);
  for (const Scored& other : chosen)
    link_back(other.slot, {other.distance, slot}, level, false, scratch);
  if (level != 0) return;
  // Whom nobody links to is never found.
  for (std::size_t i = 0; i < chosen.size() && own(slot).in.load(std::memory_order_relaxed) == 0;
       ++i) {
    link_back(chosen[i].slot, {chosen[i].distance, slot}, 0, true, scratch);
  }
}

/// Of what was found on level 0, a slot with the same code; no_slot if there is none.
inline Slot Graph::twin_of(Slot slot, const Scratch& scratch) const {
  const float distance = score(scratch.query, slot).distance;
  for (const Scored& candidate : scratch.levels[0]) {
    if (candidate.distance == distance && same_code(candidate.slot, slot)) return candidate.slot;
  }
  return no_slot;
}

inline void Graph::link_to_chosen(Slot slot, unsigned level, const std::vector<Scored>& chosen) {
  // Others may link to this slot already, and it to them: those that were linked at the same time.
  const Guard guard(own(slot));
  const List links = list(slot, level);
  std::size_t count = links.count();
  for (const Scored& other : chosen) {
    bool linked = false;
    for (std::size_t i = 0; i < count; ++i) linked = linked || links.at(i) == other.slot;
    if (linked || count == links.capacity) continue;
    if (level == 0) own(other.slot).in.fetch_add(1, std::memory_order_relaxed);
    links.put(count++, other.slot);
  }
  links.set_count(count);
}

inline void Graph::link_back(Slot slot, Scored added, unsigned level, bool wanted,
                             Scratch& scratch) {
  const Guard guard(own(slot));
  const List links = list(slot, level);
  const std::size_t count = links.count();
  for (std::size_t i = 0; i < count; ++i) {
    if (links.at(i) == added.slot) return;
  }
  if (count < links.capacity) {
    if (level == 0) own(added.slot).in.fetch_add(1, std::memory_order_relaxed);
    links.put(count, added.slot);
    links.set_count(count + 1);
    return;
  }
  codec().prepare_code(code(slot), scratch.other, scratch.numbers.data());
  scratch.candidates.clear();
  scratch.candidates.push_back(added);
  std::size_t i = 0;
  score_each(
      scratch.other, [&] { return i < count ? links.at(i++) : no_slot; },
      [&](Slot other, float distance) {
        scratch.candidates.push_back({distance, other});
      });
  std::sort(scratch.candidates.begin(), scratch.candidates.end());
  choose(scratch, links.capacity, 0);
  std::vector<Slot>& kept = scratch.batch;
  kept.clear();
  for (const Scored& other : scratch.chosen) kept.push_back(other.slot);
  if (level == 0) keep_found(scratch, added.slot, wanted, links.capacity, kept);
  links.assign(kept.data(), kept.size());
}

inline void Graph::choose(Scratch& scratch, std::size_t most, std::size_t fill) const {
  scratch.chosen.clear();
  const std::vector<Scored>& from = scratch.candidates;
  if (from.size() <= fill) {
    scratch.chosen = from;
    return;
  }
  std::vector<Scored>& chosen = scratch.chosen;
  const std::byte* codes[Codec::largest_batch];
  float distances[Codec::largest_batch];
  for (std::size_t at = 0; at < from.size(); ++at) {
    const Scored& candidate = from[at];
    if (chosen.size() >= most) break;
    if (at + 1 < from.size()) prefetch_read(code(from[at + 1].slot), codec().stride() / block_size);
    bool good = true;
    if (!chosen.empty()) {
      codec().prepare_code(code(candidate.slot), scratch.other, scratch.numbers.data());
      // In small batches: mostly one of the first says no.
      for (std::size_t i = 0; i < chosen.size() && good; i += 4) {
        const std::size_t count = std::min<std::size_t>(4, chosen.size() - i);
        for (std::size_t k = 0; k < count; ++k) codes[k] = code(chosen[i + k].slot);
        codec().score(scratch.other, codes, count, count, distances);
        for (std::size_t k = 0; k < count; ++k) good = good && !(distances[k] < candidate.distance);
      }
    }
    if (good) chosen.push_back(candidate);
  }
  if (chosen.size() >= fill) return;
  const std::size_t good = chosen.size();
  for (const Scored& candidate : from) {
    if (chosen.size() >= fill) break;
    const auto end = chosen.begin() + static_cast<std::ptrdiff_t>(good);
    if (std::none_of(chosen.begin(), end,
                     [&](const Scored& s) { return s.slot == candidate.slot; })) {
      chosen.push_back(candidate);
    }
  }
}

/// Accounts for the links that `kept` drops from the candidates, and puts back those that must
/// stay.
inline void Graph::keep_found(Scratch& scratch, Slot added, bool wanted, std::size_t capacity,
                              std::vector<Slot>& kept) {
  const std::size_t chosen = kept.size();
  const auto is_kept = [&](Slot slot) {
    return std::find(kept.begin(), kept.end(), slot) != kept.end();
  };
  if (is_kept(added)) own(added).in.fetch_add(1, std::memory_order_relaxed);
  std::size_t room = chosen;  // the chosen from here on have been asked to make room
  const auto keep = [&](Slot slot) {
    if (kept.size() < capacity) {
      kept.push_back(slot);
      return true;
    }
    while (room > 0) {
      --room;
      if (kept[room] == added || !release(kept[room], scratch)) continue;
      kept[room] = slot;
      return true;
    }
    return false;
  };
  std::vector<Slot> dropped;
  for (const Scored& candidate : scratch.candidates) {
    if (candidate.slot != added && !is_kept(candidate.slot)) dropped.push_back(candidate.slot);
  }
  for (const Slot slot : dropped) {
    // When everything that is linked here has no other link, one has to go.
    if (!release(slot, scratch) && !keep(slot))
      own(slot).in.fetch_sub(1, std::memory_order_relaxed);
  }
  if (wanted && !is_kept(added) && keep(added))
    own(added).in.fetch_add(1, std::memory_order_relaxed);
}

/// Takes one link to a slot away, unless it is the last.
inline bool Graph::release(Slot slot, Scratch& scratch) {
  std::atomic<std::uint32_t>& in = own(slot).in;
  std::uint32_t links = in.load(std::memory_order_relaxed);
  while (links > 1) {
    if (!in.compare_exchange_weak(links, links - 1, std::memory_order_relaxed)) continue;
    if (links - 1 < enough_links) scratch.suspects.push_back(slot);
    return true;
  }
  return false;
}

}  // namespace snkv::vector_detail
