/// \file
/// A hierarchical navigable small world graph (Malkov and Yashunin, arXiv 1603.09320) over codes.
#pragma once

#include <snkv/vector/detail/byte_stream.hpp>
#include <snkv/vector/detail/codec.hpp>
#include <snkv/vector/detail/scratch.hpp>
#include <snkv/vector/detail/segments.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// The graph. Slots are appended, linked once, and never removed: erasing marks a slot dead, and a
/// new graph without the dead takes the place of the old one (`Compaction`).
///
/// Threads: `append` and `reserve` are for one thread at a time. `link` may run in many threads at
/// once, also beside `append`. Searches may run beside all of these and never wait: they read link
/// lists that are being changed entry by entry, each of which is a slot that is complete.
class Graph {
 public:
  Graph(Codec codec, std::uint32_t m, std::uint32_t ef_construction)
      : codec_(std::move(codec)),
        m_(m),
        ef_construction_(ef_construction),
        level_factor_(1.0 / std::log(static_cast<double>(m))),
        ahead_(std::clamp<std::size_t>(24 * block_size / codec_.stride(), 3, 32)),
        codes_(codec_.stride()),
        links_(std::size_t{2} * m * sizeof(Slot)),
        nodes_(sizeof(Node)),
        upper_(std::size_t{m} * sizeof(Slot)) {}

  [[nodiscard]] const Codec& codec() const noexcept { return codec_; }
  [[nodiscard]] std::uint32_t m() const noexcept { return m_; }
  [[nodiscard]] std::uint32_t ef_construction() const noexcept { return ef_construction_; }
  /// Slots, dead ones included.
  [[nodiscard]] Slot size() const noexcept { return size_.load(std::memory_order_acquire); }
  [[nodiscard]] Slot dead() const noexcept { return dead_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_dead(Slot slot) const noexcept {
    return node(slot).dead.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] bool is_linked(Slot slot) const noexcept {
    return node(slot).linked.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] Label label(Slot slot) const noexcept { return node(slot).label; }
  [[nodiscard]] unsigned level(Slot slot) const noexcept { return node(slot).level; }
  [[nodiscard]] const std::byte* code(Slot slot) const noexcept { return codes_.at(slot); }
  [[nodiscard]] int top_level() const noexcept {
    return level_in(entry_.load(std::memory_order_acquire));
  }
  [[nodiscard]] Slot entry() const noexcept {
    return slot_in(entry_.load(std::memory_order_acquire));
  }

  [[nodiscard]] std::uint64_t code_bytes() const noexcept {
    return std::uint64_t{size()} * codec_.stride();
  }
  [[nodiscard]] std::uint64_t link_bytes() const noexcept {
    return std::uint64_t{size()} * (links_.stride() + sizeof(Node)) +
           std::uint64_t{upper_count_.load(std::memory_order_relaxed)} * upper_.stride();
  }

  /// Of one more slot, on average.
  [[nodiscard]] std::uint64_t bytes_per_slot() const noexcept {
    return codes_.stride() + links_.stride() + sizeof(Node) + upper_.stride() / (m_ - 1);
  }

  void reserve(std::uint64_t slots) {
    codes_.reserve(slots);
    links_.reserve(slots);
    nodes_.reserve(slots);
  }

  /// Adds a prepared vector, which is not found by walking before `link`. Throws std::bad_alloc,
  /// and has changed nothing then. `clamped` counts components outside the quantizer's range.
  Slot append(const float* vector, Label label, std::size_t& clamped) {
    const Slot slot = begin_append(label, random_level(size_.load(std::memory_order_relaxed)));
    clamped += codec_.encode(vector, codes_.at(slot));
    size_.store(slot + 1, std::memory_order_release);
    return slot;
  }

  /// Adds a code as it is, for copying and loading: its links come by `set_links`, and the whole
  /// is ready with `set_entry`. The caller vouches for all of them.
  Slot append_code(const std::byte* code, Label label, unsigned level) {
    const Slot slot = begin_append(label, level);
    std::memcpy(codes_.at(slot), code, codec_.stride());
    node(slot).linked.store(1, std::memory_order_relaxed);
    size_.store(slot + 1, std::memory_order_release);
    return slot;
  }
  /// The same for a vector, on the level that it had.
  Slot append_at(const float* vector, Label label, unsigned level, std::size_t& clamped) {
    const Slot slot = begin_append(label, level);
    clamped += codec_.encode(vector, codes_.at(slot));
    node(slot).linked.store(1, std::memory_order_relaxed);
    size_.store(slot + 1, std::memory_order_release);
    return slot;
  }
  void set_entry(Slot slot) noexcept {
    entry_.store(pack(static_cast<int>(level(slot)), slot), std::memory_order_release);
  }

  /// Returns false if it was dead already.
  bool kill(Slot slot) noexcept {
    // Who sees it dead also sees what was appended before, in its place.
    if (node(slot).dead.exchange(1, std::memory_order_acq_rel) != 0) return false;
    dead_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  /// Connects an appended slot with the graph, on its levels from `lowest` up.
  void link(Slot slot, Scratch& scratch, unsigned lowest = 0) {
    codec_.prepare_code(code(slot), scratch.query, scratch.numbers.data());
    const unsigned mine = level(slot);
    std::unique_lock<std::mutex> raising(entry_mutex_, std::defer_lock);
    std::uint64_t entry = entry_.load(std::memory_order_acquire);
    if (static_cast<int>(mine) > level_in(entry)) {
      raising.lock();  // rare: one slot in m^level
      entry = entry_.load(std::memory_order_acquire);
    }
    if (slot_in(entry) == no_slot) {
      node(slot).linked.store(1, std::memory_order_release);
      entry_.store(pack(static_cast<int>(mine), slot), std::memory_order_release);
      return;
    }
    Scored at = score(scratch.query, slot_in(entry));
    const int top = level_in(entry);
    for (int l = top; l > static_cast<int>(mine); --l)
      at = descend(scratch, at, static_cast<unsigned>(l));
    const unsigned highest = static_cast<unsigned>(std::min(top, static_cast<int>(mine)));
    if (scratch.levels.size() <= highest) scratch.levels.resize(std::size_t{highest} + 1);
    for (unsigned l = highest + 1; l-- > lowest;) {
      walk(scratch, at, ef_construction_, l);
      std::vector<Scored>& found = scratch.levels[l];
      found.clear();
      for (std::size_t i = 0; i < scratch.pool.size(); ++i) {
        if (scratch.pool[i].slot != slot) found.push_back(scratch.pool[i]);
      }
      if (!found.empty()) at = found.front();
    }
    // From below: whoever finds it on a level can go on from there on all lower ones. Another slot
    // that is linked at the same time would otherwise begin in a place with no way on, and have no
    // neighbours but this.
    for (unsigned l = lowest; l <= highest; ++l) {
      scratch.candidates.swap(scratch.levels[l]);
      if (!scratch.candidates.empty()) connect(slot, l, scratch);
    }
    node(slot).linked.store(1, std::memory_order_release);
    if (raising.owns_lock() && static_cast<int>(mine) > top) {
      entry_.store(pack(static_cast<int>(mine), slot), std::memory_order_release);
    }
    // Which may make others hard to find; not without end, if making room for one takes another's.
    for (int i = 0; i < 16 && !scratch.suspects.empty(); ++i) {
      const Slot other = scratch.suspects.back();
      scratch.suspects.pop_back();
      make_found(other, scratch);
    }
    scratch.suspects.clear();
  }

  /// Whether so few links lead to a slot that a search might not come across it.
  [[nodiscard]] bool is_hard_to_find(Slot slot) const noexcept {
    return node(slot).in.load(std::memory_order_relaxed) < enough_links;
  }
  /// Looks for a living slot as a search does, and links the nearest that it finds to it if that
  /// was not the slot itself.
  void make_found(Slot slot, Scratch& scratch) {
    if (is_dead(slot)) return;
    codec_.prepare_code(code(slot), scratch.query, scratch.numbers.data());
    search(scratch, ef_of_checks);
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

  /// The `ef` nearest to `scratch.query`, in `scratch.pool`, dead ones included.
  void search(Scratch& scratch, std::size_t ef) const {
    scratch.pool.reset(ef);
    const std::uint64_t entry = entry_.load(std::memory_order_acquire);
    if (slot_in(entry) == no_slot) return;
    Scored at = score(scratch.query, slot_in(entry));
    for (int l = level_in(entry); l > 0; --l) at = descend(scratch, at, static_cast<unsigned>(l));
    walk(scratch, at, ef, 0);
  }

  /// The `ef` nearest that `accept` accepts, in `scratch.accepted`, with at most about `budget`
  /// distance computations. Returns false when the budget ran out before the search was complete.
  template <class Accept>
  bool search_filtered(Scratch& scratch, std::size_t ef, std::size_t budget,
                       const Accept& accept) const {
    scratch.accepted.reset(ef);
    const std::uint64_t entry = entry_.load(std::memory_order_acquire);
    if (slot_in(entry) == no_slot) return true;
    Scored at = score(scratch.query, slot_in(entry));
    for (int l = level_in(entry); l > 0; --l) at = descend(scratch, at, static_cast<unsigned>(l));
    return walk_filtered(scratch, at, budget, accept);
  }

  [[nodiscard]] Scored score(const Codec::Query& query, Slot slot) const noexcept {
    return {codec_.score_one(query, code(slot)), slot};
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
      codec_.score(query, codes, count, ahead_, distances);
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
    const NodeLock lock(node(slot));
    const List links = list(slot, level);
    std::size_t count = 0;
    for (std::size_t i = 0; i < links.capacity; ++i) {
      const Slot other = load(links.first + i);
      if (other == no_slot) break;
      out[count++] = other;
    }
    return count;
  }

  /// Gives a slot that has none its links; nothing else may touch the slot meanwhile.
  void set_links(Slot slot, unsigned level, const Slot* links, std::size_t count) noexcept {
    store_list(list(slot, level), links, count);
    if (level != 0) return;
    for (std::size_t i = 0; i < count; ++i)
      node(links[i]).in.fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t capacity(unsigned level) const noexcept {
    return level == 0 ? std::size_t{2} * m_ : m_;
  }

  /// Adds `added` to the links of `slot`. If they are full the best are kept, and those that have
  /// no other link to them; `added` too if it is `wanted`.
  void link_back(Slot slot, Scored added, unsigned level, bool wanted, Scratch& scratch) {
    const NodeLock lock(node(slot));
    const List links = list(slot, level);
    std::size_t count = 0;
    for (; count < links.capacity; ++count) {
      const Slot other = load(links.first + count);
      if (other == no_slot) break;
      if (other == added.slot) return;
    }
    if (count < links.capacity) {
      if (level == 0) node(added.slot).in.fetch_add(1, std::memory_order_relaxed);
      store(links.first + count, added.slot);
      return;
    }
    codec_.prepare_code(code(slot), scratch.other, scratch.numbers.data());
    scratch.candidates.clear();
    scratch.candidates.push_back(added);
    std::size_t i = 0;
    score_each(
        scratch.other, [&] { return i < count ? load(links.first + i++) : no_slot; },
        [&](Slot other, float distance) {
          scratch.candidates.push_back({distance, other});
        });
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
    choose(scratch, links.capacity, 0);
    std::vector<Slot>& kept = scratch.batch;
    kept.clear();
    for (const Scored& other : scratch.chosen) kept.push_back(other.slot);
    if (level == 0) keep_found(scratch, added.slot, wanted, links.capacity, kept);
    store_list(links, kept.data(), kept.size());
  }

  /// Chooses among `scratch.candidates`, which are in order of their distance from one vector, into
  /// `scratch.chosen`: each that is nearer to the vector than to any chosen one (algorithm 4 of the
  /// paper), then the nearest of the rest while there are fewer than `fill`.
  void choose(Scratch& scratch, std::size_t most, std::size_t fill) const {
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
      if (at + 1 < from.size())
        prefetch_read(code(from[at + 1].slot), codec_.stride() / block_size);
      bool good = true;
      if (!chosen.empty()) {
        codec_.prepare_code(code(candidate.slot), scratch.other, scratch.numbers.data());
        // In small batches: mostly one of the first says no.
        for (std::size_t i = 0; i < chosen.size() && good; i += 4) {
          const std::size_t count = std::min<std::size_t>(4, chosen.size() - i);
          for (std::size_t k = 0; k < count; ++k) codes[k] = code(chosen[i + k].slot);
          codec_.score(scratch.other, codes, count, count, distances);
          for (std::size_t k = 0; k < count; ++k)
            good = good && !(distances[k] < candidate.distance);
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

 private:
  struct Node {
    Label label;
    std::uint32_t upper;  // of its lists on levels 1 and up
    std::atomic<std::uint8_t> lock;
    std::atomic<std::uint8_t> dead;
    std::atomic<std::uint8_t> linked;
    std::uint8_t level;
    std::atomic<std::uint32_t> in;  // links to it on level 0
  };
  struct List {
    Slot* first;
    std::size_t capacity;
  };
  class NodeLock {
   public:
    explicit NodeLock(Node& node) noexcept : node_(node) {
      for (unsigned spins = 0; node_.lock.exchange(1, std::memory_order_acquire) != 0; ++spins) {
        if (spins > 64) std::this_thread::yield();
      }
    }
    NodeLock(const NodeLock&) = delete;
    NodeLock& operator=(const NodeLock&) = delete;
    ~NodeLock() { node_.lock.store(0, std::memory_order_release); }

   private:
    Node& node_;
  };

  static constexpr std::uint64_t pack(int level, Slot slot) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(level)) << 32 | slot;
  }
  static constexpr Slot slot_in(std::uint64_t entry) noexcept { return static_cast<Slot>(entry); }
  static constexpr int level_in(std::uint64_t entry) noexcept {
    return static_cast<int>(entry >> 32);
  }

  // Entries of lists change while they are read.
  static Slot load(Slot* at) noexcept {
    return std::atomic_ref<Slot>(*at).load(std::memory_order_acquire);
  }
  static void store(Slot* at, Slot slot) noexcept {
    std::atomic_ref<Slot>(*at).store(slot, std::memory_order_release);
  }
  static void store_list(List links, const Slot* slots, std::size_t count) noexcept {
    for (std::size_t i = 0; i < links.capacity; ++i)
      store(links.first + i, i < count ? slots[i] : no_slot);
  }

  [[nodiscard]] Node& node(Slot slot) const noexcept {
    return *reinterpret_cast<Node*>(nodes_.at(slot));
  }
  [[nodiscard]] List list(Slot slot, unsigned level) const noexcept {
    if (level == 0) return {reinterpret_cast<Slot*>(links_.at(slot)), std::size_t{2} * m_};
    return {reinterpret_cast<Slot*>(upper_.at(node(slot).upper + level - 1)), m_};
  }

  /// Geometric with ratio 1/m, the same for a slot in every run.
  [[nodiscard]] unsigned random_level(Slot slot) const noexcept {
    std::uint64_t x = (slot + 1) * 0x9e3779b97f4a7c15u;  // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    const double uniform = (static_cast<double>(x >> 11) + 1.0) * 0x1p-53;
    return static_cast<unsigned>(
        std::min(-std::log(uniform) * level_factor_, static_cast<double>(highest_level)));
  }

  Slot begin_append(Label label, unsigned level) {
    const Slot slot = size_.load(std::memory_order_relaxed);
    if (slot >= max_slots) throw std::bad_alloc();
    reserve(std::uint64_t{slot} + 1);
    const std::uint32_t upper = upper_count_.load(std::memory_order_relaxed);
    upper_.reserve(std::uint64_t{upper} + level);
    new (nodes_.at(slot)) Node{label, upper, 0, 0, 0, static_cast<std::uint8_t>(level), 0};
    upper_count_.store(upper + level, std::memory_order_relaxed);
    for (unsigned l = 0; l <= level; ++l) store_list(list(slot, l), nullptr, 0);
    return slot;
  }

  /// The nearest on an upper level, by steps to the nearest neighbour.
  Scored descend(Scratch& scratch, Scored at, unsigned level) const {
    Fresh fresh;
    for (;;) {
      unvisited(scratch, at.slot, level, fresh);
      codec_.score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
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
    std::size_t count = 0;
    for (std::size_t i = 0; i < links.capacity; ++i) {
      const Slot other = load(links.first + i);
      if (other == no_slot) break;
      fresh.slots[count] = other;
      count += scratch.visit(other);
    }
    for (std::size_t i = 0; i < count; ++i) fresh.codes[i] = code(fresh.slots[i]);
    fresh.count = count;
    prefetch_some(fresh.codes, 0, std::min(count, ahead_), codec_.stride() / block_size);
  }
  void prefetch_links(Slot slot, unsigned level) const noexcept {
    if (slot == no_slot) return;
    prefetch_read(reinterpret_cast<const std::byte*>(list(slot, level).first), 2);
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
      codec_.score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
      for (std::size_t i = 0; i < fresh.count; ++i) {
        if (!(fresh.distances[i] < pool.worst())) continue;
        if (fresh.distances[i] < next.distance) prefetch_links(fresh.slots[i], level);
        pool.insert({fresh.distances[i], fresh.slots[i]});
      }
    }
    scratch.forget_visits();
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
    if (accept(from.slot)) accepted.insert(from);
    bool complete = true;
    std::size_t spent = 0;
    for (Scored at = pool.take(); at.slot != no_slot; at = pool.take()) {
      if (at.distance > accepted.worst()) break;
      if (spent > budget) {
        complete = false;
        break;
      }
      unvisited(scratch, at.slot, 0, fresh);
      codec_.score(scratch.query, fresh.codes, fresh.count, ahead_, fresh.distances);
      spent += fresh.count;
      for (std::size_t i = 0; i < fresh.count; ++i) {
        const Scored found{fresh.distances[i], fresh.slots[i]};
        if (!(found.distance < accepted.worst())) continue;
        pool.insert(found);
        if (accept(found.slot)) accepted.insert(found);
      }
      if (accepted.full()) pool.drop_beyond(accepted.worst());
    }
    scratch.forget_visits();
    return complete;
  }

  /// Links a slot with the chosen of `scratch.candidates`, both ways.
  void connect(Slot slot, unsigned level, Scratch& scratch) {
    choose(scratch, m_, 0);
    const std::vector<Scored> chosen = scratch.chosen;
    {
      // Others may link to this slot already, and it to them: those that were linked at the same
      // time.
      const NodeLock lock(node(slot));
      const List own = list(slot, level);
      std::size_t count = 0;
      while (count < own.capacity && load(own.first + count) != no_slot) ++count;
      for (const Scored& other : chosen) {
        bool linked = false;
        for (std::size_t i = 0; i < count; ++i)
          linked = linked || load(own.first + i) == other.slot;
        if (linked || count == own.capacity) continue;
        if (level == 0) node(other.slot).in.fetch_add(1, std::memory_order_relaxed);
        store(own.first + count++, other.slot);
      }
    }
    for (const Scored& other : chosen)
      link_back(other.slot, {other.distance, slot}, level, false, scratch);
    if (level != 0) return;
    // Whom nobody links to is never found.
    for (std::size_t i = 0; i < chosen.size() && node(slot).in.load(std::memory_order_relaxed) == 0;
         ++i) {
      link_back(chosen[i].slot, {chosen[i].distance, slot}, 0, true, scratch);
    }
  }

  /// Accounts for the links that `kept` drops from the candidates, and puts back those that must
  /// stay.
  void keep_found(Scratch& scratch, Slot added, bool wanted, std::size_t capacity,
                  std::vector<Slot>& kept) {
    const std::size_t chosen = kept.size();
    const auto is_kept = [&](Slot slot) {
      return std::find(kept.begin(), kept.end(), slot) != kept.end();
    };
    if (is_kept(added)) node(added).in.fetch_add(1, std::memory_order_relaxed);
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
        node(slot).in.fetch_sub(1, std::memory_order_relaxed);
    }
    if (wanted && !is_kept(added) && keep(added))
      node(added).in.fetch_add(1, std::memory_order_relaxed);
  }

  /// Takes one link to a slot away, unless it is the last.
  bool release(Slot slot, Scratch& scratch) {
    std::atomic<std::uint32_t>& in = node(slot).in;
    std::uint32_t links = in.load(std::memory_order_relaxed);
    while (links > 1) {
      if (!in.compare_exchange_weak(links, links - 1, std::memory_order_relaxed)) continue;
      if (links - 1 < enough_links) scratch.suspects.push_back(slot);
      return true;
    }
    return false;
  }

  [[nodiscard]] static bool bit_of(const std::vector<std::uint64_t>& bits, Slot slot) noexcept {
    return (bits[slot / 64] >> (slot % 64) & 1) != 0;
  }
  [[nodiscard]] bool read_links(ByteSource& source, Slot slots);
  [[nodiscard]] bool are_sound(Slot slot, unsigned level, Slot slots) noexcept;

  static constexpr std::uint32_t enough_links = 4;
  static constexpr std::size_t ef_of_checks = 32;
  static constexpr unsigned highest_level = 30;

  const Codec codec_;
  const std::uint32_t m_;
  const std::uint32_t ef_construction_;
  const double level_factor_;
  const std::size_t ahead_;  // codes that are fetched before they are needed
  Segments codes_;
  Segments links_;
  Segments nodes_;
  Segments upper_;
  std::atomic<std::uint32_t> upper_count_{0};
  std::atomic<Slot> size_{0};
  std::atomic<Slot> dead_{0};
  std::mutex entry_mutex_;
  std::atomic<std::uint64_t> entry_{pack(-1, no_slot)};
};

}  // namespace snkv::vector_detail
