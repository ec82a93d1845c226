/// \file
/// A graph with what belongs to its slots, and how one without the dead is made from it.
#pragma once

#include <snkv/vector/detail/graph.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// A graph, the exact vectors beside it when its codes are not exact, and scratch for its searches.
class Generation {
 public:
  Generation(Codec codec, std::uint32_t m, std::uint32_t ef_construction, bool keep_vectors)
      : graph(std::move(codec), m, ef_construction),
        exact_codec(graph.codec().metric(), ElementType::f32, graph.codec().dim(),
                    graph.codec().kernels()),
        keeps_vectors_(keep_vectors && graph.codec().type() != ElementType::f32),
        vectors_(exact_codec.stride()),
        slots_(sizeof(Slot)) {}

  Graph graph;
  /// For the exact vectors.
  const Codec exact_codec;

  /// The slot of the vector that a number has now, or no_slot.
  [[nodiscard]] Slot slot_of(std::uint32_t number) const noexcept {
    if (number >= numbers_.load(std::memory_order_acquire)) return no_slot;
    return slot_at(number).load(std::memory_order_acquire);
  }
  [[nodiscard]] Slot live() const noexcept { return live_.load(std::memory_order_relaxed); }

  /// Slots below this are linked.
  [[nodiscard]] Slot first_unlinked() const noexcept {
    return first_unlinked_.load(std::memory_order_acquire);
  }
  /// Says that all slots are linked now, up to `size`.
  void set_linked(Slot size) noexcept { first_unlinked_.store(size, std::memory_order_release); }

  /// Whether `exact` can be used.
  [[nodiscard]] bool has_exact() const noexcept {
    return keeps_vectors_ || graph.codec().type() == ElementType::f32;
  }
  /// The prepared vector of a slot.
  [[nodiscard]] const float* exact(Slot slot) const noexcept {
    return reinterpret_cast<const float*>(keeps_vectors_ ? vectors_.at(slot) : graph.code(slot));
  }
  [[nodiscard]] std::uint64_t vector_bytes() const noexcept {
    return keeps_vectors_ ? std::uint64_t{graph.size()} * vectors_.stride() : 0;
  }
  /// Gives a label a vector, in place of the one that it had. Throws std::bad_alloc, and has
  /// changed nothing then. One thread at a time.
  void put(Label label, const float* prepared) {
    reserve_number(number_of(label));
    keep(graph.size(), prepared);
    std::size_t clamped = 0;
    const Slot slot = graph.append(prepared, label, clamped);
    clamped_.fetch_add(clamped, std::memory_order_relaxed);
    const Slot old = slot_at(number_of(label)).exchange(slot, std::memory_order_acq_rel);
    if (old != no_slot) {
      static_cast<void>(graph.kill(old));
    } else {
      live_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  /// Returns false if the number has no vector.
  bool erase(std::uint32_t number) noexcept {
    if (number >= numbers_.load(std::memory_order_relaxed)) return false;
    const Slot old = slot_at(number).exchange(no_slot, std::memory_order_acq_rel);
    if (old == no_slot) return false;
    static_cast<void>(graph.kill(old));
    live_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  /// Components that did not fit into the quantizer's range.
  [[nodiscard]] std::uint64_t clamped() const noexcept {
    return clamped_.load(std::memory_order_relaxed);
  }

  /// Scratch for one search at a time, lent and given back.
  [[nodiscard]] std::unique_ptr<Scratch> borrow() {
    {
      const std::lock_guard lock(scratch_mutex_);
      if (!scratch_.empty()) {
        auto scratch = std::move(scratch_.back());
        scratch_.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>(graph.codec());
  }
  void give_back(std::unique_ptr<Scratch> scratch) noexcept {
    const std::lock_guard lock(scratch_mutex_);
    if (scratch_.size() < scratch_.capacity()) scratch_.push_back(std::move(scratch));
  }
  class Loan {
   public:
    explicit Loan(Generation& owner) : owner_(owner), scratch_(owner.borrow()) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { owner_.give_back(std::move(scratch_)); }
    [[nodiscard]] Scratch& operator*() const noexcept { return *scratch_; }

   private:
    Generation& owner_;
    std::unique_ptr<Scratch> scratch_;
  };

  /// Links all slots that are not linked yet. One caller at a time; searches may run beside it.
  /// `progress(done, total)` returns false to stop early; the rest stays unlinked, and found by
  /// scanning.
  template <class Progress>
  bool link_all(ThreadPool& pool, Progress&& progress) {
    const Slot end = graph.size();
    Slot begin = first_unlinked();
    const Slot first = begin;
    // In steps, so that the scanned rest shrinks while the work goes on.
    constexpr Slot step = 1024;
    while (begin < end) {
      const Slot stop = std::min(end, begin + step);
      if (stop - begin < 8) {
        const Loan loan(*this);
        for (Slot slot = begin; slot < stop; ++slot) graph.link(slot, *loan);
      } else {
        std::atomic<Slot> next{begin};
        pool.run([&](std::size_t) {
          const Loan loan(*this);
          for (Slot slot = next.fetch_add(1); slot < stop; slot = next.fetch_add(1)) {
            if (!graph.is_linked(slot)) graph.link(slot, *loan);
          }
        });
      }
      set_linked(stop);
      begin = stop;
      if (!progress(std::uint64_t{begin - first}, std::uint64_t{end - first})) return false;
    }
    return true;
  }

  /// A generation of the live slots of `old` with another codec, in an order that puts neighbours
  /// near each other. `old` must not be written meanwhile; searches may go on. Links of the dead
  /// are replaced by the best of their neighbours (as in FreshDiskANN, arXiv 2105.09613,
  /// section 4.2). `vector_of(slot)` gives the prepared vector when the codec changes, and is
  /// called in one thread.
  template <class VectorOf>
  [[nodiscard]] static std::shared_ptr<Generation> compacted(const Generation& old, Codec codec,
                                                             bool keep_vectors, ThreadPool& pool,
                                                             VectorOf&& vector_of) {
    const Graph& from = old.graph;
    const bool same_codes = codec.type() == from.codec().type() &&
                            codec.quantizer().scale == from.codec().quantizer().scale &&
                            codec.quantizer().offset == from.codec().quantizer().offset;
    auto made = std::make_shared<Generation>(std::move(codec), from.m(), from.ef_construction(),
                                             keep_vectors);
    Graph& to = made->graph;
    const std::vector<Slot> order = old.live_in_order();
    std::vector<Slot> renamed(from.size(), no_slot);
    std::size_t clamped = 0;
    for (const Slot slot : order) {
      const std::uint32_t number = number_of(from.label(slot));
      made->reserve_number(number);
      made->slot_at(number).store(to.size(), std::memory_order_relaxed);
      if (same_codes) {
        if (made->keeps_vectors_) made->keep(to.size(), vector_of(slot));
        renamed[slot] = to.append_code(from.code(slot), from.label(slot), from.level(slot));
      } else {
        const float* vector = vector_of(slot);
        made->keep(to.size(), vector);
        renamed[slot] = to.append_at(vector, from.label(slot), from.level(slot), clamped);
      }
    }
    made->clamped_.store(clamped, std::memory_order_relaxed);
    made->live_.store(static_cast<Slot>(order.size()), std::memory_order_relaxed);
    if (order.empty()) return made;

    std::vector<std::vector<Scored>> added(to.size());
    std::atomic<std::size_t> next{0};
    pool.run([&](std::size_t) {
      const Loan loan(*made);
      for (std::size_t i = next.fetch_add(1); i < order.size(); i = next.fetch_add(1)) {
        added[renamed[order[i]]] = repair(from, to, order[i], renamed, *loan);
      }
    });
    next.store(0);
    pool.run([&](std::size_t) {
      const Loan loan(*made);
      for (std::size_t i = next.fetch_add(1); i < added.size(); i = next.fetch_add(1)) {
        for (const Scored& other : added[i]) {
          to.link_back(other.slot, {other.distance, static_cast<Slot>(i)}, 0, false, *loan);
        }
      }
    });
    // The upper levels have few nodes and lead to all others: they are made anew.
    std::vector<Slot> upper;
    for (Slot slot = 0; slot < to.size(); ++slot) {
      if (to.level(slot) > 0) upper.push_back(slot);
    }
    if (upper.empty()) to.set_entry(0);
    next.store(0);
    pool.run([&](std::size_t) {
      const Loan loan(*made);
      for (std::size_t i = next.fetch_add(1); i < upper.size(); i = next.fetch_add(1)) {
        to.link(upper[i], *loan, 1);
      }
    });
    made->relink_lost();
    made->set_linked(to.size());
    return made;
  }

  /// Which slots a walk from the entry on level 0 reaches.
  [[nodiscard]] std::vector<bool> reached() const {
    std::vector<bool> seen(graph.size());
    std::vector<Slot> queue;
    std::vector<Slot> links(graph.capacity(0));
    if (graph.entry() == no_slot) return seen;
    queue.push_back(graph.entry());
    seen[graph.entry()] = true;
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const std::size_t count = graph.links_of(queue[i], 0, links.data());
      for (std::size_t k = 0; k < count; ++k) {
        if (links[k] >= seen.size() || seen[links[k]]) continue;
        seen[links[k]] = true;
        queue.push_back(links[k]);
      }
    }
    return seen;
  }

 private:
  [[nodiscard]] std::atomic<Slot>& slot_at(std::uint32_t number) const noexcept {
    return *reinterpret_cast<std::atomic<Slot>*>(slots_.at(number));
  }
  void reserve_number(std::uint32_t number) {
    std::uint32_t known = numbers_.load(std::memory_order_relaxed);
    if (number < known) return;
    slots_.reserve(std::uint64_t{number} + 1);
    for (; known <= number; ++known) new (slots_.at(known)) std::atomic<Slot>(no_slot);
    numbers_.store(known, std::memory_order_release);
  }
  /// Makes room for the exact vector of a slot that is about to be appended, and fills it.
  void keep(Slot slot, const float* prepared) {
    if (!keeps_vectors_) return;
    vectors_.reserve(std::uint64_t{slot} + 1);
    exact_codec.encode(prepared, vectors_.at(slot));
  }

  /// Live slots in the order in which a breadth-first walk meets them, then the rest.
  [[nodiscard]] std::vector<Slot> live_in_order() const {
    std::vector<bool> seen(graph.size());
    std::vector<Slot> queue;
    std::vector<Slot> links(graph.capacity(0));
    std::vector<Slot> order;
    if (graph.entry() != no_slot) {
      queue.push_back(graph.entry());
      seen[graph.entry()] = true;
    }
    for (std::size_t i = 0; i < queue.size(); ++i) {
      if (!graph.is_dead(queue[i])) order.push_back(queue[i]);
      const std::size_t count = graph.links_of(queue[i], 0, links.data());
      for (std::size_t k = 0; k < count; ++k) {
        if (seen[links[k]]) continue;
        seen[links[k]] = true;
        queue.push_back(links[k]);
      }
    }
    for (Slot slot = 0; slot < graph.size(); ++slot) {
      if (!seen[slot] && !graph.is_dead(slot)) order.push_back(slot);
    }
    return order;
  }

  /// Gives a slot of `to` the links on level 0 that it had in `from`, those to the dead replaced.
  /// Returns the new ones.
  static std::vector<Scored> repair(const Graph& from, Graph& to, Slot slot,
                                    const std::vector<Slot>& renamed, Scratch& scratch) {
    constexpr unsigned level = 0;
    const std::size_t capacity = from.capacity(level);
    std::vector<Slot> links(capacity);
    std::vector<Slot> further(capacity);
    const std::size_t count = from.links_of(slot, level, links.data());
    std::vector<Slot>& candidates = scratch.batch;
    candidates.clear();
    std::size_t lost = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (renamed[links[i]] != no_slot)
        candidates.push_back(renamed[links[i]]);
      else
        ++lost;
    }
    const Slot self = renamed[slot];
    if (lost == 0) {
      to.set_links(self, level, candidates.data(), candidates.size());
      return {};
    }
    const std::size_t kept = candidates.size();
    const auto add_neighbours_of_dead = [&](const std::vector<Slot>& dead) {
      std::vector<Slot> more;
      for (const Slot d : dead) {
        const std::size_t n = from.links_of(d, level, further.data());
        for (std::size_t k = 0; k < n; ++k) {
          const Slot other = renamed[further[k]];
          if (other == no_slot) {
            more.push_back(further[k]);
          } else if (other != self &&
                     std::find(candidates.begin(), candidates.end(), other) == candidates.end()) {
            candidates.push_back(other);
          }
        }
      }
      return more;
    };
    std::vector<Slot> dead;
    for (std::size_t i = 0; i < count; ++i) {
      if (renamed[links[i]] == no_slot) dead.push_back(links[i]);
    }
    // Whole neighbourhoods may be dead: then a little further, but not for ever.
    for (int hop = 0; hop < 3 && !dead.empty(); ++hop) {
      std::vector<Slot> more = add_neighbours_of_dead(dead);
      if (candidates.size() >= capacity) break;
      std::sort(more.begin(), more.end());
      more.erase(std::unique(more.begin(), more.end()), more.end());
      dead = std::move(more);
    }
    to.codec().prepare_code(to.code(self), scratch.query, scratch.numbers.data());
    scratch.candidates.clear();
    std::size_t i = 0;
    to.score_each(
        scratch.query, [&] { return i < candidates.size() ? candidates[i++] : no_slot; },
        [&](Slot other, float distance) {
          scratch.candidates.push_back({distance, other});
        });
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
    to.choose(scratch, capacity, std::min(kept, capacity));
    links.clear();
    std::vector<Scored> added;
    for (const Scored& chosen : scratch.chosen) {
      links.push_back(chosen.slot);
      const auto old_end = candidates.begin() + static_cast<std::ptrdiff_t>(kept);
      if (std::find(candidates.begin(), old_end, chosen.slot) == old_end) added.push_back(chosen);
    }
    to.set_links(self, level, links.data(), links.size());
    return added;
  }

  /// Links anew what no walk reaches.
  void relink_lost() {
    const Loan loan(*this);
    for (int round = 0; round < 4; ++round) {
      const std::vector<bool> seen = reached();
      bool lost = false;
      for (Slot slot = 0; slot < graph.size(); ++slot) {
        if (seen[slot]) continue;
        lost = true;
        graph.link(slot, *loan);
      }
      if (!lost) return;
    }
  }

  const bool keeps_vectors_;
  Segments vectors_;
  Segments slots_;
  std::atomic<std::uint32_t> numbers_{0};
  std::atomic<Slot> live_{0};
  std::atomic<Slot> first_unlinked_{0};
  std::atomic<std::uint64_t> clamped_{0};
  std::mutex scratch_mutex_;
  std::vector<std::unique_ptr<Scratch>> scratch_ = [] {
    std::vector<std::unique_ptr<Scratch>> reserved;
    reserved.reserve(64);
    return reserved;
  }();
};

}  // namespace snkv::vector_detail
