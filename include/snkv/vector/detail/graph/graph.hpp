/// \file
/// A hierarchical navigable small world graph (Malkov and Yashunin, arXiv 1603.09320) over codes.
#pragma once

#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/detail/graph/graph_elements.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// The graph. Slots are appended, linked once, and never removed: erasing marks a slot dead, and a
/// new graph without the dead takes the place of the old one (`Compaction`).
///
/// hnswlib holds it (`GraphElements`). Walks and links are ours: hnswlib's take a mutex for each step, score one
/// code after the other, and leave vectors that nothing links to when many were replaced.
///
/// Threads: `append` and `reserve` are for one thread at a time. `link` may run in many threads at
/// once, also beside `append`. Searches may run beside all of these and never wait: they read link
/// lists that are being changed entry by entry, each of which is a slot that is complete.
class Graph : public GraphElements {
 public:
  Graph(Codec codec, std::uint32_t m, std::uint32_t ef_construction)
      : GraphElements(std::move(codec), m, ef_construction),
        ahead_(std::clamp<std::size_t>(24 * block_size / this->codec().stride(), 3, 32)) {}

  /// Adds a prepared vector, which is not found by walking before `link`. Throws std::bad_alloc,
  /// and has changed nothing then. `clamped` counts components outside the quantizer's range.
  Slot append(const float* vector, Label label, std::size_t& clamped) {
    const Slot slot = begin(label, random_level(size()));
    clamped += codec().encode(vector, code_at(slot));
    publish(slot);
    return slot;
  }

  /// Adds a code as it is, for copying and loading: its links come by `set_links`, and the whole
  /// is ready with `set_entry`. The caller vouches for all of them.
  Slot append_code(const std::byte* code, Label label, unsigned level) {
    const Slot slot = begin(label, level);
    std::memcpy(code_at(slot), code, codec().stride());
    set_link(slot, Link::by_links);
    publish(slot);
    return slot;
  }
  /// The same for a vector, on the level that it had.
  Slot append_at(const float* vector, Label label, unsigned level, std::size_t& clamped) {
    const Slot slot = begin(label, level);
    clamped += codec().encode(vector, code_at(slot));
    set_link(slot, Link::by_links);
    publish(slot);
    return slot;
  }
  /// Connects an appended slot with the graph, on its levels from `lowest` up.
  void link(Slot slot, Scratch& scratch, unsigned lowest = 0);

  /// Whether a search might not come across a slot that has outlived many of its neighbours: so few links lead to
  /// it. It has links from where its neighbours were, and those that came after it need not have seen it.
  [[nodiscard]] bool is_hard_to_find(Slot slot) const noexcept {
    const std::uint32_t enough = std::max(enough_links, m() * 3 / 4);
    return !is_copy(slot) && own(slot).in.load(std::memory_order_relaxed) < enough;
  }
  /// Looks for a living slot as a search does, and links the nearest that it finds to it if that
  /// was not the slot itself.
  void make_found(Slot slot, Scratch& scratch);

  /// The `ef` nearest to `scratch.query`, in `scratch.pool`, dead ones included.
  void search(Scratch& scratch, std::size_t ef) const {
    search_firsts(scratch, ef);
    with_copies(scratch, scratch.pool, ef, [](Slot) { return true; });
  }
  /// The same without copies.
  void search_firsts(Scratch& scratch, std::size_t ef) const {
    scratch.pool.reset(ef);
    const Slot from = entry();
    if (from == no_slot) return;
    Scored at = score(scratch.query, from);
    for (int l = level_of_entry(from); l > 0; --l) at = descend(scratch, at, static_cast<unsigned>(l));
    walk(scratch, at, ef, 0);
  }

  /// The `ef` nearest that `accept` accepts, in `scratch.accepted`, with at most about `budget`
  /// distance computations. Returns false when the budget ran out before the search was complete.
  template <class Accept>
  bool search_filtered(Scratch& scratch, std::size_t ef, std::size_t budget,
                       const Accept& accept) const {
    scratch.accepted.reset(ef);
    const Slot from = entry();
    if (from == no_slot) return true;
    Scored at = score(scratch.query, from);
    for (int l = level_of_entry(from); l > 0; --l) at = descend(scratch, at, static_cast<unsigned>(l));
    const bool complete = walk_filtered(scratch, at, budget, accept);
    with_copies(scratch, scratch.accepted, ef, accept);
    return complete;
  }

  [[nodiscard]] Scored score(const Codec::Query& query, Slot slot) const noexcept {
    return {codec().score_one(query, code(slot)), slot};
  }

  /// Calls `use(slot, distance)` for slots that `next()` gives until no_slot, scored in batches.
  template <class Next, class Use>
  void score_each(const Codec::Query& query, Next&& next, Use&& use) const {
    constexpr std::size_t batch = 64;
    Slot slots[batch];
    const std::byte* codes[batch];
    float distances[batch];
    for (bool more = true; more;) {
      std::size_t count = 0;
      while (count < batch) {
        const Slot slot = next();
        if (slot == no_slot) {
          more = false;
          break;
        }
        slots[count] = slot;
        codes[count++] = code(slot);
      }
      codec().score(query, codes, count, ahead_, distances);
      for (std::size_t i = 0; i < count; ++i) use(slots[i], distances[i]);
    }
  }

  /// What of a graph goes into a snapshot that is written while the graph grows.
  struct Mark {
    Slot slots = 0;
    std::vector<std::uint64_t> dead{};    ///< bits
    std::vector<std::uint64_t> linked{};  ///< bits
  };
  /// One thread at a time with `append` and `kill`.
  [[nodiscard]] Mark mark() const;
  /// Writes the slots of `mark`. Everything else may run meanwhile.
  void write(ByteSink& sink, const Mark& mark) const;
  /// Fills an empty graph. What cannot have been written by `write` is refused. Returns the first
  /// slot that is not linked; `lost` gets those linked ones that nothing links to.
  Slot read(ByteSource& source, std::vector<Slot>& lost);

  /// Links of a slot on a level, as they are now; none twice. `out` has room for 2 m.
  std::size_t links_of(Slot slot, unsigned level, Slot* out) const noexcept {
    const Guard guard(own(slot));
    const List links = list(slot, level);
    const std::size_t count = links.count();
    for (std::size_t i = 0; i < count; ++i) out[i] = links.at(i);
    return count;
  }

  /// Gives a slot that has none its links; nothing else may touch the slot meanwhile.
  void set_links(Slot slot, unsigned level, const Slot* links, std::size_t count) noexcept {
    list(slot, level).assign(links, count);
    if (level != 0) return;
    for (std::size_t i = 0; i < count; ++i)
      own(links[i]).in.fetch_add(1, std::memory_order_relaxed);
  }

  /// Adds `added` to the links of `slot`. If they are full the best are kept, and those that have
  /// no other link to them; `added` too if it is `wanted`.
  void link_back(Slot slot, Scored added, unsigned level, bool wanted, Scratch& scratch);

  /// Chooses among `scratch.candidates`, which are in order of their distance from one vector, into
  /// `scratch.chosen`: each that is nearer to the vector than to any chosen one (algorithm 4 of the
  /// paper), then the nearest of the rest while there are fewer than `fill`.
  void choose(Scratch& scratch, std::size_t most, std::size_t fill) const;

 private:
  /// Geometric with ratio 1/m, the same for a slot in every run.
  [[nodiscard]] unsigned random_level(Slot slot) const noexcept {
    std::uint64_t x = (slot + 1) * 0x9e3779b97f4a7c15u;  // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    const double uniform = (static_cast<double>(x >> 11) + 1.0) * 0x1p-53;
    return static_cast<unsigned>(
        std::min(-std::log(uniform) * level_factor(), static_cast<double>(highest_level)));
  }

  /// The nearest on an upper level, by steps to the nearest neighbour.
  Scored descend(Scratch& scratch, Scored at, unsigned level) const {
    Fresh fresh;
    for (;;) {
      unvisited(scratch, at.slot, level, fresh);
      codec().score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
      Scored best = at;
      for (std::size_t i = 0; i < fresh.count; ++i) {
        if (fresh.distances[i] < best.distance) best = {fresh.distances[i], fresh.slots[i]};
      }
      if (best.slot == at.slot) break;
      at = best;
    }
    scratch.forget_visits();
    return at;
  }

  /// Neighbours of a slot that were not visited yet, and where their codes are.
  struct Fresh {
    std::size_t count = 0;
    Slot slots[Codec::largest_batch];
    const std::byte* codes[Codec::largest_batch];
    float distances[Codec::largest_batch];
  };
  void unvisited(Scratch& scratch, Slot slot, unsigned level, Fresh& fresh) const {
    const List links = list(slot, level);
    const std::size_t size = links.count();
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const Slot other = links.at(i);
      fresh.slots[count] = other;
      count += scratch.visit(other);
    }
    for (std::size_t i = 0; i < count; ++i) fresh.codes[i] = code(fresh.slots[i]);
    fresh.count = count;
    prefetch_some(fresh.codes, 0, std::min(count, ahead_), codec().stride() / block_size);
  }
  void prefetch_links(Slot slot, unsigned level) const noexcept {
    if (slot == no_slot) return;
    prefetch_read(reinterpret_cast<const std::byte*>(list(slot, level).first - 1), level == 0 ? 3 : 2);
  }

  /// Algorithm 2 of the paper: the `ef` nearest on a level, in `scratch.pool`.
  void walk(Scratch& scratch, Scored from, std::size_t ef, unsigned level) const {
    Fresh fresh;
    Pool& pool = scratch.pool;
    pool.reset(ef);
    pool.insert(from);
    scratch.visit(from.slot);
    for (Scored at = pool.take(); at.slot != no_slot; at = pool.take()) {
      unvisited(scratch, at.slot, level, fresh);
      const Scored next = pool.peek();
      prefetch_links(next.slot, level);
      codec().score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
      for (std::size_t i = 0; i < fresh.count; ++i) {
        if (!(fresh.distances[i] < pool.worst())) continue;
        if (fresh.distances[i] < next.distance) prefetch_links(fresh.slots[i], level);
        pool.insert({fresh.distances[i], fresh.slots[i]});
      }
    }
    scratch.forget_visits();
  }

  /// Puts the copies of what was found beside it, the first `ef` of all that `accept` accepts.
  template <class Accept>
  void with_copies(Scratch& scratch, Pool& pool, std::size_t ef, const Accept& accept) const {
    bool any = false;
    for (std::size_t i = 0; i < pool.size() && !any; ++i) any = next_copy(pool[i].slot) != no_slot;
    if (!any) return;
    std::vector<Scored>& all = scratch.found;
    all.clear();
    for (std::size_t i = 0; i < pool.size() && all.size() < ef; ++i) {
      const Scored first = pool[i];
      for (Slot slot = first.slot; slot != no_slot && all.size() < ef; slot = next_copy(slot)) {
        if (accept(slot)) all.push_back({first.distance, slot});
      }
    }
    pool.reset(ef);
    for (const Scored& one : all) pool.insert(one);
  }
  /// Whether a slot, or one of its copies, is accepted.
  template <class Accept>
  [[nodiscard]] bool accepts_any(Slot slot, const Accept& accept) const {
    for (; slot != no_slot; slot = next_copy(slot)) {
      if (accept(slot)) return true;
    }
    return false;
  }

  /// The same, where only some count: those that do not are walked through as long as they are
  /// nearer than the worst of the accepted ones.
  template <class Accept>
  bool walk_filtered(Scratch& scratch, Scored from, std::size_t budget,
                     const Accept& accept) const {
    Fresh fresh;
    Pool& pool = scratch.pool;
    Pool& accepted = scratch.accepted;
    pool.reset(std::numeric_limits<std::size_t>::max());
    pool.insert(from);
    scratch.visit(from.slot);
    if (accepts_any(from.slot, accept)) accepted.insert(from);
    bool complete = true;
    std::size_t spent = 0;
    for (Scored at = pool.take(); at.slot != no_slot; at = pool.take()) {
      if (at.distance > accepted.worst()) break;
      if (spent > budget) {
        complete = false;
        break;
      }
      unvisited(scratch, at.slot, 0, fresh);
      codec().score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
      spent += fresh.count;
      for (std::size_t i = 0; i < fresh.count; ++i) {
        const Scored found{fresh.distances[i], fresh.slots[i]};
        if (!(found.distance < accepted.worst())) continue;
        pool.insert(found);
        if (accepts_any(found.slot, accept)) accepted.insert(found);
      }
      if (accepted.full()) pool.drop_beyond(accepted.worst());
    }
    scratch.forget_visits();
    return complete;
  }

  [[nodiscard]] int find_neighbours(Slot slot, unsigned lowest, Slot from, Scratch& scratch) const;
  /// Whether so many slots were linked since there were `before` that a walk of that time says little.
  [[nodiscard]] bool has_grown_since(std::uint64_t before) const noexcept {
    return linked() - before > 8 + before / 16;
  }
  void connect(Slot slot, unsigned level, Scratch& scratch);
  [[nodiscard]] Slot twin_of(Slot slot, const Scratch& scratch) const;
  void link_to_chosen(Slot slot, unsigned level, const std::vector<Scored>& chosen);
  void keep_found(Scratch& scratch, Slot added, bool wanted, std::size_t capacity, std::vector<Slot>& kept);
  bool release(Slot slot, Scratch& scratch);

  [[nodiscard]] static bool bit_of(const std::vector<std::uint64_t>& bits, Slot slot) noexcept {
    return (bits[slot / 64] >> (slot % 64) & 1) != 0;
  }
  [[nodiscard]] std::vector<Slot> chains(const Mark& mark) const;
  [[nodiscard]] bool take_chains(const std::vector<Slot>& next);
  [[nodiscard]] bool read_links(ByteSource& source, Slot slots);
  [[nodiscard]] bool are_sound(Slot slot, unsigned level, Slot slots) noexcept;

  static constexpr std::uint32_t enough_links = 4;
  static constexpr std::size_t ef_of_checks = 32;
  static constexpr int most_attempts = 3;
  static constexpr unsigned highest_level = 30;

  const std::size_t ahead_;  // codes that are fetched before they are needed
  std::mutex entry_mutex_;
};

}  // namespace snkv::vector_detail
