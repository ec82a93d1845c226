/// \file
/// A graph with what belongs to its slots.
#pragma once

#include <snkv/vector/detail/graph/graph_image.hpp>
#include <snkv/vector/detail/graph/graph_linking.hpp>
#include <snkv/vector/detail/graph/segments.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// The order in which many slots are linked: each next one far from those before. Data often comes
/// sorted, and a graph to which one region is added after the other is hard to search (on words by
/// their frequency, a recall of 0.90 where a random order gives 0.97). Steps of the golden ratio
/// spread evenly at every length of the way (Knuth, The Art of Computer Programming, volume
/// 3, 6.4).
class LinkOrder {
 public:
  explicit LinkOrder(Slot count) noexcept : count_(count) {
    if (count > 2)
      step_ = static_cast<std::uint64_t>(static_cast<double>(count) * 0.6180339887498949);
    while (count > 2 && std::gcd(step_, std::uint64_t{count}) != 1) ++step_;
  }
  /// A permutation of the numbers below the count.
  [[nodiscard]] Slot operator[](Slot i) const noexcept {
    return static_cast<Slot>(i * step_ % count_);
  }

 private:
  std::uint64_t count_;
  std::uint64_t step_ = 1;
};

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

  /// Slots below this are linked; others may be.
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
  /// Bytes in use: codes, links, exact vectors, and the slots of numbers.
  [[nodiscard]] std::uint64_t memory() const noexcept {
    return graph.code_bytes() + graph.link_bytes() + vector_bytes() +
           std::uint64_t{numbers_.load(std::memory_order_relaxed)} * slots_.stride();
  }
  /// Bytes that so many more vectors take.
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t vectors) const noexcept {
    return graph.bytes_of(vectors) + vectors * ((keeps_vectors_ ? vectors_.stride() : 0) + slots_.stride());
  }
  /// Gives a label a vector, in place of the one that it had. Throws std::bad_alloc, and has
  /// changed nothing then. One thread at a time.
  void put(Label label, const float* prepared) {
    reserve_number(number_of(label));
    keep(graph.size(), prepared);
    std::size_t clamped = 0;
    const Slot slot = graph.append(prepared, label, clamped);
    clamped_.fetch_add(clamped, std::memory_order_relaxed);
    own(slot);
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
  /// Writes the slots of a mark, which was made with changes stopped; they need not be now.
  void write(ByteSink& sink, const Graph::Mark& mark) const {
    sink.number(static_cast<std::uint8_t>(keeps_vectors_ ? 1 : 0));
    sink.number(clamped());
    graph.write(sink, mark);
    if (!keeps_vectors_) return;
    vectors_.for_each_piece(
        mark.slots, [&](const std::byte* memory, std::size_t bytes) { sink.write(memory, bytes); });
  }
  /// Fills an empty generation, with numbers below `bound`. What cannot have been written by
  /// `write` is refused, as are living slots for whose label `is_current` is false. Throws
  /// std::bad_alloc.
  template <class IsCurrent>
  void read(ByteSource& source, std::uint32_t bound, IsCurrent&& is_current) {
    const bool has_vectors = source.number<std::uint8_t>() != 0;
    clamped_.store(source.number<std::uint64_t>(), std::memory_order_relaxed);
    source.require(has_vectors || !keeps_vectors_, "exact vectors were not kept");
    std::vector<Slot> lost;
    const Slot linked = graph.read(source, lost);
    const Slot slots = graph.size();
    if (has_vectors) read_vectors(source, slots);
    if (source.error().failed()) return;
    if (!source.require(are_finite(slots), "a vector is not finite")) return;
    if (bound != 0) reserve_number(bound - 1);
    for (Slot slot = 0; slot < slots; ++slot) {
      if (graph.is_dead(slot)) continue;
      const std::uint32_t number = number_of(graph.label(slot));
      if (!source.require(
              number < bound && slot_of(number) == no_slot && is_current(graph.label(slot)),
              "a vector of the graph belongs to nobody")) {
        return;
      }
      own(slot);
    }
    set_linked(linked);
    const Loan loan(*this);
    for (const Slot slot : lost) {
      if (!graph.is_dead(slot)) graph.link(slot, *loan);
    }
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
    const Slot begin = first_unlinked();
    const Slot total = end - begin;
    const LinkOrder order(total);
    constexpr Slot step = 1024;  // between two calls of `progress`
    for (Slot done = 0; done < total;) {
      const Slot stop = std::min(total, done + step);
      std::atomic<Slot> next{done};
      const auto work = [&](std::size_t) {
        const Loan loan(*this);
        for (Slot i = next.fetch_add(1); i < stop; i = next.fetch_add(1)) {
          const Slot slot = begin + order[i];
          if (!graph.is_linked(slot)) graph.link(slot, *loan);
        }
      };
      if (stop - done < 8) {
        work(0);
      } else {
        pool.run(work);
      }
      done = stop;
      if (done == total) set_linked(end);
      if (!progress(std::uint64_t{done}, std::uint64_t{total})) return false;
    }
    return true;
  }

  // ---- For copying and loading: slots with the levels that they had, linked by the caller ----

  /// Adds a slot with a code as it is, and the exact vector that belongs to it if vectors are kept.
  /// Takes the place of what its number had. Throws std::bad_alloc, and has changed nothing then.
  Slot adopt_code(const std::byte* code, const float* vector, Label label, unsigned level) {
    reserve_number(number_of(label));
    keep(graph.size(), vector);
    return own(graph.append_code(code, label, level));
  }
  /// The same, with the code of a prepared vector.
  Slot adopt(const float* prepared, Label label, unsigned level) {
    reserve_number(number_of(label));
    keep(graph.size(), prepared);
    std::size_t clamped = 0;
    const Slot slot = graph.append_at(prepared, label, level, clamped);
    clamped_.fetch_add(clamped, std::memory_order_relaxed);
    return own(slot);
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

  void read_vectors(ByteSource& source, Slot slots) {
    if (!source.require(slots <= source.remaining() / vectors_.stride(), "vectors are missing"))
      return;
    if (keeps_vectors_) {
      static_cast<void>(vectors_.fill_pieces(slots, [&](std::byte* memory, std::size_t bytes) {
        source.read(memory, bytes);
        return !source.error().failed();
      }));
      return;
    }
    std::vector<std::byte> skipped(vectors_.stride());
    for (Slot slot = 0; slot < slots; ++slot) source.read(skipped.data(), skipped.size());
  }

  /// Whether the exact vectors of these slots have an order by each of their components: a
  /// quantizer is trained on that.
  [[nodiscard]] bool are_finite(Slot slots) const noexcept {
    if (!has_exact()) return true;
    constexpr std::uint32_t exponent = 0x7f800000;
    bool finite = true;
    for (Slot slot = 0; slot < slots && finite; ++slot) {
      const float* const vector = exact(slot);
      for (std::size_t d = 0; d < exact_codec.dim(); ++d) {
        finite = finite && (std::bit_cast<std::uint32_t>(vector[d]) & exponent) != exponent;
      }
    }
    return finite;
  }

  /// Makes an appended slot the one of its number.
  Slot own(Slot slot) noexcept {
    const Slot old =
        slot_at(number_of(graph.label(slot))).exchange(slot, std::memory_order_acq_rel);
    if (old != no_slot) {
      static_cast<void>(graph.kill(old));
    } else {
      live_.fetch_add(1, std::memory_order_relaxed);
    }
    return slot;
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
