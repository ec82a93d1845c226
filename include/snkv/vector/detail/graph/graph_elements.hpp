/// \file
/// The elements of a graph: hnswlib holds them.
#pragma once

#include <snkv/vector/detail/graph/code_space.hpp>
#include <snkv/vector/detail/graph/hnswlib.hpp>
#include <snkv/vector/detail/graph/reserved_memory.hpp>
#include <snkv/vector/detail/graph/scratch.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

namespace snkv::vector_detail {

/// Elements of hnswlib's hierarchical graph: its layout of codes, labels and lists of links, its marks of the
/// dead, its entry point, its parameters. What it does not have is here: memory that grows beside searches,
/// and lists that are read while they change.
///
/// An element is
///
///     number of links on level 0 (16 bits), mark of the dead (8 bits), links; label; what is ours; the code
///
/// with the code on cache lines of its own, in as few pairs of lines as it can be: processors fetch the other line
/// of an aligned pair of 128 bytes too. The links on upper levels lie apart, in hnswlib's form too.
/// hnswlib's locks and its table of levels stay empty, because they cannot grow in place.
///
/// Threads: `begin`, `publish` and `reserve` are for one thread at a time; everything else may run beside them, on
/// elements that were published.
class GraphElements : private hnswlib::HierarchicalNSW<float> {
  using Base = hnswlib::HierarchicalNSW<float>;

 public:
  GraphElements(Codec codec, std::uint32_t m, std::uint32_t ef_construction)
      : Base(nullptr), space_(std::move(codec)) {
    // What hnswlib's own constructor sets, but for the memory, and for the places in an element.
    M_ = maxM_ = m;
    maxM0_ = std::size_t{2} * m;
    ef_construction_ = ef_construction;
    ef_ = 10;
    mult_ = 1.0 / std::log(static_cast<double>(m));
    revSize_ = 1.0 / mult_;
    data_size_ = space_.get_data_size();
    fstdistfunc_ = space_.get_dist_func();
    dist_func_param_ = space_.get_dist_func_param();
    size_links_level0_ = maxM0_ * sizeof(hnswlib::tableint) + sizeof(hnswlib::linklistsizeint);
    size_links_per_element_ = maxM_ * sizeof(hnswlib::tableint) + sizeof(hnswlib::linklistsizeint);
    offsetLevel0_ = 0;
    label_offset_ = (size_links_level0_ + sizeof(Label) - 1) / sizeof(Label) * sizeof(Label);
    const std::size_t blocks = blocks_of(label_offset_ + sizeof(Own));
    offsetData_ = (blocks + (blocks + data_size_ / block_size) % 2) * block_size;
    size_data_per_element_ = offsetData_ + data_size_;
    enterpoint_node_ = no_slot;
    maxlevel_ = -1;
  }
  GraphElements(const GraphElements&) = delete;
  GraphElements& operator=(const GraphElements&) = delete;
  ~GraphElements() {
    for (Slot slot = 0; slot < size(); ++slot) std::free(linkLists_[slot]);
    // Which leaves nothing for hnswlib to free.
    cur_element_count = 0;
    data_level0_memory_ = nullptr;
    linkLists_ = nullptr;
  }

  /// As hnswlib sees it: for what reads or writes its files, and for tests. Its functions that search want a
  /// `visited_list_pool_`, those that insert must not be used.
  [[nodiscard]] const Base& as_hnswlib() const noexcept { return *this; }
  [[nodiscard]] Base& as_hnswlib() noexcept { return *this; }

  [[nodiscard]] const Codec& codec() const noexcept { return space_.codec(); }
  [[nodiscard]] std::uint32_t m() const noexcept { return static_cast<std::uint32_t>(M_); }
  [[nodiscard]] std::uint32_t ef_construction() const noexcept {
    return static_cast<std::uint32_t>(ef_construction_);
  }
  /// Slots, dead ones included.
  [[nodiscard]] Slot size() const noexcept {
    return static_cast<Slot>(cur_element_count.load(std::memory_order_acquire));
  }
  [[nodiscard]] Slot dead() const noexcept {
    return static_cast<Slot>(num_deleted_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] bool is_dead(Slot slot) const noexcept {
    return (mark_of(slot).load(std::memory_order_acquire) & DELETE_MARK) != 0;
  }
  [[nodiscard]] bool is_linked(Slot slot) const noexcept { return link_of(slot) != Link::none; }
  /// Whether it hangs on another slot with the same code, see `next_copy`.
  [[nodiscard]] bool is_copy(Slot slot) const noexcept { return link_of(slot) == Link::as_copy; }
  [[nodiscard]] Label label(Slot slot) const noexcept { return own(slot).label; }
  [[nodiscard]] unsigned level(Slot slot) const noexcept { return own(slot).level; }
  [[nodiscard]] const std::byte* code(Slot slot) const noexcept { return code_at(slot); }
  /// Slots with the same code are a chain behind the one that was linked first. The others have no links, and no
  /// links lead to them; whoever finds the first has found them all. no_slot at the end.
  [[nodiscard]] Slot next_copy(Slot slot) const noexcept { return own(slot).copy.load(std::memory_order_acquire); }
  /// Where to begin a walk from above; no_slot in a graph without links.
  [[nodiscard]] Slot entry() const noexcept {
    return std::atomic_ref<hnswlib::tableint>(entry_word()).load(std::memory_order_acquire);
  }
  /// -1 in a graph without links.
  [[nodiscard]] int top_level() const noexcept { return level_of_entry(entry()); }
  /// Most links of a slot on a level.
  [[nodiscard]] std::size_t capacity(unsigned level) const noexcept { return level == 0 ? maxM0_ : maxM_; }

  [[nodiscard]] std::uint64_t code_bytes() const noexcept { return std::uint64_t{size()} * data_size_; }
  /// All the rest.
  [[nodiscard]] std::uint64_t link_bytes() const noexcept {
    return std::uint64_t{size()} * (offsetData_ + sizeof(char*)) +
           upper_lists_.load(std::memory_order_relaxed) * size_links_per_element_;
  }
  /// Of so many more slots: the average, and the upper lists of one on a rather high level.
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t slots) const noexcept {
    constexpr std::uint64_t high = 6;
    return slots * (size_data_per_element_ + sizeof(char*) + size_links_per_element_ / (M_ - 1)) +
           high * size_links_per_element_;
  }

  /// Makes room. Throws std::bad_alloc, and is as before then.
  void reserve(std::uint64_t slots) {
    if (slots <= max_elements_) return;
    if (slots > max_slots) throw std::bad_alloc();
    const std::size_t room = std::max<std::size_t>(slots, std::min<std::size_t>(2 * max_elements_, max_slots));
    elements_.grow(room * size_data_per_element_, std::size_t{max_slots} * size_data_per_element_);
    lists_.grow(room * sizeof(char*), std::size_t{max_slots} * sizeof(char*));
    if (data_level0_memory_ == nullptr) {  // from now on others read it
      data_level0_memory_ = elements_.data();
      linkLists_ = reinterpret_cast<char**>(lists_.data());
    }
    max_elements_ = room;
  }

  /// Marks as dead. Returns false if it was so already.
  bool kill(Slot slot) noexcept {
    // Who sees it dead also sees what was appended before, in its place.
    if ((mark_of(slot).fetch_or(DELETE_MARK, std::memory_order_acq_rel) & DELETE_MARK) != 0) return false;
    num_deleted_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  [[nodiscard]] bool same_code(Slot a, Slot b) const noexcept {
    return std::memcmp(code(a), code(b), data_size_) == 0;
  }
  /// Puts a slot without links, not yet in a chain, behind one that has the same code and is not a copy itself.
  void add_copy(Slot first, Slot copy) noexcept {
    set_link(copy, Link::as_copy);
    Slot next = next_copy(first);
    do {
      own(copy).copy.store(next, std::memory_order_relaxed);
    } while (!own(first).copy.compare_exchange_weak(next, copy, std::memory_order_acq_rel));
  }

  /// Makes a slot the entry, if it is to be found from there on its own level.
  void set_entry(Slot slot) noexcept {
    std::atomic_ref<int>(maxlevel_).store(static_cast<int>(level(slot)), std::memory_order_relaxed);
    std::atomic_ref<hnswlib::tableint>(entry_word()).store(slot, std::memory_order_release);
  }

 protected:
  enum class Link : std::uint8_t { none, by_links, as_copy };
  [[nodiscard]] Link link_of(Slot slot) const noexcept {
    return static_cast<Link>(own(slot).linked.load(std::memory_order_acquire));
  }
  void set_link(Slot slot, Link link) noexcept {
    own(slot).linked.store(static_cast<std::uint8_t>(link), std::memory_order_release);
    linked_.fetch_add(1, std::memory_order_relaxed);
  }
  /// Slots that were linked so far.
  [[nodiscard]] std::uint64_t linked() const noexcept { return linked_.load(std::memory_order_relaxed); }

  /// Links of a slot on one level. Whoever changes them holds the `Guard` of the slot; whoever walks does not.
  struct List {
    Slot* first;
    std::size_t capacity;

    [[nodiscard]] std::size_t count() const noexcept { return half().load(std::memory_order_acquire); }
    [[nodiscard]] Slot at(std::size_t i) const noexcept {
      return std::atomic_ref<Slot>(first[i]).load(std::memory_order_acquire);
    }
    void put(std::size_t i, Slot slot) const noexcept {
      std::atomic_ref<Slot>(first[i]).store(slot, std::memory_order_release);
    }
    void set_count(std::size_t count) const noexcept {
      half().store(static_cast<std::uint16_t>(count), std::memory_order_release);
    }
    void assign(const Slot* slots, std::size_t count) const noexcept {
      for (std::size_t i = 0; i < count; ++i) put(i, slots[i]);
      set_count(count);
    }

   private:
    // The low half of the word before the links; on level 0 the mark of the dead is in the other.
    [[nodiscard]] std::atomic_ref<std::uint16_t> half() const noexcept {
      return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(first - 1));
    }
  };
  [[nodiscard]] List list(Slot slot, unsigned level) const noexcept {
    return {get_linklist_at_level(slot, static_cast<int>(level)) + 1, capacity(level)};
  }

  /// Between the links and the code: hnswlib's label, and what is ours.
  struct Own {
    Label label;
    std::atomic<std::uint32_t> in;  // links to it on level 0
    std::atomic<Slot> copy;         // the next one with the same code, see `next_copy`
    std::atomic<std::uint8_t> lock;
    std::atomic<std::uint8_t> linked;  // a `Link`
    std::uint8_t level;
  };
  static_assert(sizeof(hnswlib::labeltype) == sizeof(Label) && sizeof(hnswlib::tableint) == sizeof(Slot));
  [[nodiscard]] Own& own(Slot slot) const noexcept {
    return *reinterpret_cast<Own*>(getExternalLabeLp(slot));
  }

  /// Holds the lists of a slot, against others that change them.
  class Guard {
   public:
    explicit Guard(Own& own) noexcept : own_(own) {
      for (unsigned spins = 0; own_.lock.exchange(1, std::memory_order_acquire) != 0; ++spins) {
        if (spins > 64) std::this_thread::yield();
      }
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { own_.lock.store(0, std::memory_order_release); }

   private:
    Own& own_;
  };

  [[nodiscard]] std::byte* code_at(Slot slot) const noexcept {
    return reinterpret_cast<std::byte*>(getDataByInternalId(slot));
  }
  [[nodiscard]] int level_of_entry(Slot entry) const noexcept {
    return entry == no_slot ? -1 : static_cast<int>(level(entry));
  }
  /// Of a level, that the level above has: hnswlib's `mult_`.
  [[nodiscard]] double level_factor() const noexcept { return mult_; }

  /// The next slot, without links, not linked, and not there for others before `publish`. Its code is to be
  /// written meanwhile. Throws std::bad_alloc, and has changed nothing then.
  Slot begin(Label label, unsigned level) {
    const Slot slot = size();
    if (slot >= max_slots) throw std::bad_alloc();
    reserve(std::uint64_t{slot} + 1);
    void* upper = nullptr;
    if (level > 0) {
      upper = std::calloc(level, size_links_per_element_);
      if (upper == nullptr) throw std::bad_alloc();
    }
    linkLists_[slot] = static_cast<char*>(upper);
    std::memset(get_linklist0(slot), 0, offsetData_);
    new (getExternalLabeLp(slot)) Own{label, 0, no_slot, 0, 0, static_cast<std::uint8_t>(level)};
    upper_lists_.store(upper_lists_.load(std::memory_order_relaxed) + level, std::memory_order_relaxed);
    return slot;
  }
  void publish(Slot slot) noexcept { cur_element_count.store(std::size_t{slot} + 1, std::memory_order_release); }

 private:
  [[nodiscard]] std::atomic_ref<unsigned char> mark_of(Slot slot) const noexcept {
    return std::atomic_ref<unsigned char>(reinterpret_cast<unsigned char*>(get_linklist0(slot))[2]);
  }
  [[nodiscard]] hnswlib::tableint& entry_word() const noexcept {
    return const_cast<GraphElements*>(this)->enterpoint_node_;
  }

  CodeSpace space_;
  ReservedMemory elements_;
  ReservedMemory lists_;
  std::atomic<std::uint64_t> upper_lists_{0};
  std::atomic<std::uint64_t> linked_{0};
};

}  // namespace snkv::vector_detail
