/// \file
/// How a generation without the dead is made, while the old one is in use.
#pragma once

#include <snkv/vector/detail/index/generation.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Makes a generation of the living vectors of another one, perhaps with another codec, in an order
/// that puts neighbours near each other. Links of the dead are replaced by the best of their
/// neighbours (as in FreshDiskANN, arXiv 2105.09613, section 4.2).
///
/// Threads: the old generation may be searched, changed and linked meanwhile. What is changed after
/// the construction has to be told to `catch_up`.
class Compaction {
 public:
  Compaction(const Generation& old, Codec codec, bool keep_vectors)
      : old_(old),
        from_(old.graph),
        copied_(old.first_unlinked()),
        same_codes_(codec.type() == from_.codec().type() &&
                    codec.quantizer().scale == from_.codec().quantizer().scale &&
                    codec.quantizer().offset == from_.codec().quantizer().offset),
        decoded_(from_.codec().dim()),
        made_(std::make_shared<Generation>(std::move(codec), from_.m(), from_.ef_construction(),
                                           keep_vectors)),
        to_(made_->graph) {}

  [[nodiscard]] const std::shared_ptr<Generation>& made() const noexcept { return made_; }

  /// Slots from here on are not copied: they have to be told to `catch_up`.
  [[nodiscard]] Slot copied() const noexcept { return copied_; }

  /// Copies and links what was linked at the construction. `progress(done, total)` returns false to
  /// give up, and then this does too.
  template <class Progress>
  [[nodiscard]] bool run(ThreadPool& pool, Progress&& progress) {
    const std::vector<Slot> order = living_in_order();
    const std::uint64_t total = 3 * std::uint64_t{order.size()};
    renamed_.assign(copied_, no_slot);
    for (std::size_t i = 0; i < order.size(); ++i) {
      // Not if it was replaced a moment ago.
      if (old_.slot_of(number_of(from_.label(order[i]))) == order[i]) copy(order[i]);
      if (i % step == 0 && !progress(std::uint64_t{i}, total)) return false;
    }
    if (to_.size() == 0) return progress(total, total);
    gather_copies();
    const std::vector<Slot> firsts = firsts_in(order);

    std::vector<std::vector<Scored>> added(to_.size());
    const auto in_steps = [&](std::uint64_t done, std::size_t count, auto&& work) {
      for (std::size_t begin = 0; begin < count; begin += step) {
        const std::size_t end = std::min(count, begin + step);
        std::atomic<std::size_t> next{begin};
        pool.run([&](std::size_t) {
          const Generation::Loan loan(*made_);
          for (std::size_t i = next.fetch_add(1); i < end; i = next.fetch_add(1)) work(i, *loan);
        });
        if (!progress(done + end, total)) return false;
      }
      return true;
    };
    if (!in_steps(order.size(), firsts.size(), [&](std::size_t i, Scratch& scratch) {
          added[place_[firsts[i]]] = repair(firsts[i], scratch);
        })) {
      return false;
    }
    if (!in_steps(2 * order.size(), added.size(), [&](std::size_t i, Scratch& scratch) {
          for (const Scored& other : added[i]) {
            to_.link_back(other.slot, {other.distance, static_cast<Slot>(i)}, 0, false, scratch);
          }
        })) {
      return false;
    }
    // The upper levels have few nodes and lead to all others: they are made anew.
    std::vector<Slot> upper;
    for (Slot slot = 0; slot < to_.size(); ++slot) {
      if (to_.level(slot) > 0 && !to_.is_copy(slot)) upper.push_back(slot);
    }
    if (upper.empty()) to_.set_entry(place_[firsts.front()]);
    std::atomic<std::size_t> next{0};
    pool.run([&](std::size_t) {
      const Generation::Loan loan(*made_);
      for (std::size_t i = next.fetch_add(1); i < upper.size(); i = next.fetch_add(1)) {
        to_.link(upper[i], *loan, 1);
      }
    });
    relink_lost();
    std::vector<Slot> suspects;
    for (Slot slot = 0; slot < to_.size(); ++slot) {
      if (to_.is_hard_to_find(slot)) suspects.push_back(slot);
    }
    std::atomic<std::size_t> suspect{0};
    pool.run([&](std::size_t) {
      const Generation::Loan loan(*made_);
      for (std::size_t i = suspect.fetch_add(1); i < suspects.size(); i = suspect.fetch_add(1))
        to_.make_found(suspects[i], *loan);
      (*loan).suspects.clear();
    });
    made_->set_linked(to_.size());
    return progress(total, total);
  }

  /// Takes over what these numbers have now. They may change again meanwhile, and have to be told
  /// again then. What is new is not linked yet.
  void catch_up(std::span<const std::uint32_t> numbers) {
    for (const std::uint32_t number : numbers) {
      const Slot slot = old_.slot_of(number);
      if (slot == no_slot) {
        made_->erase(number);
        continue;
      }
      if (slot >= renamed_.size()) renamed_.resize(std::size_t{slot} + 1, no_slot);
      const Slot mine = made_->slot_of(number);
      if (mine != no_slot && renamed_[slot] == mine) continue;
      made_->put(from_.label(slot), vector_of(slot));
      renamed_[slot] = made_->slot_of(number);
    }
  }

 private:
  static constexpr std::size_t step = 4096;

  [[nodiscard]] const float* vector_of(Slot slot) {
    if (old_.has_exact()) return old_.exact(slot);
    from_.codec().decode(from_.code(slot), decoded_.data());
    return decoded_.data();
  }

  void copy(Slot slot) {
    const Label label = from_.label(slot);
    const unsigned level = from_.level(slot);
    renamed_[slot] = same_codes_
                         ? made_->adopt_code(from_.code(slot), vector_of(slot), label, level)
                         : made_->adopt(vector_of(slot), label, level);
  }

  /// Copies hang on the first of them that lives. Those whose codes are equal no more are linked as others.
  void gather_copies() {
    place_ = renamed_;
    for (Slot first = 0; first < copied_; ++first) {
      if (from_.is_copy(first)) continue;
      Slot mine = no_slot;
      for (Slot slot = first; slot != no_slot; slot = from_.next_copy(slot)) {
        if (slot >= copied_ || renamed_[slot] == no_slot) continue;
        if (mine == no_slot) {
          mine = renamed_[slot];
        } else if (to_.same_code(mine, renamed_[slot])) {
          to_.add_copy(mine, renamed_[slot]);
        }
      }
      place_[first] = mine;
    }
  }
  /// Slots whose links go over to the new graph: those that are no copies, and live or have a copy that does.
  [[nodiscard]] std::vector<Slot> firsts_in(const std::vector<Slot>& order) const {
    std::vector<Slot> firsts;
    for (const Slot slot : order) {
      if (!from_.is_copy(slot) && renamed_[slot] != no_slot) firsts.push_back(slot);
    }
    for (Slot slot = 0; slot < copied_; ++slot) {
      if (renamed_[slot] == no_slot && place_[slot] != no_slot) firsts.push_back(slot);
    }
    return firsts;
  }

  /// Living slots in the order in which a breadth-first walk meets them, then the rest.
  [[nodiscard]] std::vector<Slot> living_in_order() const {
    std::vector<Slot> order = walk(from_, copied_);
    std::vector<bool> seen(copied_);
    for (const Slot slot : order) seen[slot] = true;
    for (Slot slot = 0; slot < copied_; ++slot) {
      if (!seen[slot]) order.push_back(slot);
    }
    order.erase(
        std::remove_if(order.begin(), order.end(), [&](Slot slot) { return from_.is_dead(slot); }),
        order.end());
    return order;
  }

  /// The slots below `end` that a breadth-first walk from the entry on level 0 reaches.
  [[nodiscard]] static std::vector<Slot> walk(const Graph& graph, Slot end) {
    std::vector<bool> seen(end);
    std::vector<Slot> queue;
    std::vector<Slot> links(graph.capacity(0));
    const auto meet = [&](Slot slot) {
      if (slot >= end || seen[slot]) return;
      seen[slot] = true;
      queue.push_back(slot);
    };
    meet(graph.entry());
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const std::size_t count = graph.links_of(queue[i], 0, links.data());
      for (std::size_t k = 0; k < count; ++k) meet(links[k]);
      if (graph.is_copy(queue[i])) continue;
      for (Slot copy = graph.next_copy(queue[i]); copy != no_slot; copy = graph.next_copy(copy)) meet(copy);
    }
    return queue;
  }

  /// Gives a slot the links on level 0 that it had, those to the dead replaced. Returns the new
  /// ones.
  std::vector<Scored> repair(Slot slot, Scratch& scratch) {
    constexpr unsigned level = 0;
    const std::size_t capacity = from_.capacity(level);
    std::vector<Slot> links(capacity);
    std::vector<Slot> further(capacity);
    const std::size_t count = from_.links_of(slot, level, links.data());
    std::vector<Slot>& candidates = scratch.batch;
    candidates.clear();
    std::vector<Slot> dead;
    for (std::size_t i = 0; i < count; ++i) {
      if (links[i] >= copied_) continue;  // linked since; `catch_up` takes care of it
      if (place_[links[i]] != no_slot)
        candidates.push_back(place_[links[i]]);
      else
        dead.push_back(links[i]);
    }
    const Slot self = place_[slot];
    if (dead.empty()) {
      to_.set_links(self, level, candidates.data(), candidates.size());
      return {};
    }
    const std::size_t kept = candidates.size();
    const auto add_neighbours_of_dead = [&] {
      std::vector<Slot> more;
      for (const Slot d : dead) {
        const std::size_t n = from_.links_of(d, level, further.data());
        for (std::size_t k = 0; k < n; ++k) {
          if (further[k] >= copied_) continue;
          const Slot other = place_[further[k]];
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
    // Whole neighbourhoods may be dead: then a little further, but not for ever.
    for (int hop = 0; hop < 3 && !dead.empty(); ++hop) {
      std::vector<Slot> more = add_neighbours_of_dead();
      if (candidates.size() >= capacity) break;
      std::sort(more.begin(), more.end());
      more.erase(std::unique(more.begin(), more.end()), more.end());
      dead = std::move(more);
    }
    to_.codec().prepare_code(to_.code(self), scratch.query, scratch.numbers.data());
    scratch.candidates.clear();
    std::size_t i = 0;
    to_.score_each(
        scratch.query, [&] { return i < candidates.size() ? candidates[i++] : no_slot; },
        [&](Slot other, float distance) {
          scratch.candidates.push_back({distance, other});
        });
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
    to_.choose(scratch, capacity, std::min(kept, capacity));
    links.clear();
    std::vector<Scored> added;
    for (const Scored& chosen : scratch.chosen) {
      links.push_back(chosen.slot);
      const auto old_end = candidates.begin() + static_cast<std::ptrdiff_t>(kept);
      if (std::find(candidates.begin(), old_end, chosen.slot) == old_end) added.push_back(chosen);
    }
    to_.set_links(self, level, links.data(), links.size());
    return added;
  }

  /// Links anew what no walk reaches.
  void relink_lost() {
    const Generation::Loan loan(*made_);
    for (int round = 0; round < 4; ++round) {
      std::vector<bool> reached(to_.size());
      for (const Slot slot : walk(to_, to_.size())) reached[slot] = true;
      bool lost = false;
      for (Slot slot = 0; slot < to_.size(); ++slot) {
        if (reached[slot]) continue;
        lost = true;
        to_.link(slot, *loan);
      }
      if (!lost) return;
    }
  }

  const Generation& old_;
  const Graph& from_;
  const Slot copied_;
  const bool same_codes_;
  std::vector<float> decoded_;
  std::shared_ptr<Generation> made_;
  Graph& to_;
  std::vector<Slot> renamed_;  // slots of the old generation to those of the new one
  std::vector<Slot> place_;    // where links to a slot of the old one lead: to it, or to a copy that lives
};

}  // namespace snkv::vector_detail
