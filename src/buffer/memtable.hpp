/// \file
/// A sorted table in memory: the versions of entries of all families, in the order of family and
/// key, the newest version of a key first, and the ranges that were erased.
///
/// It is a skip list whose nodes never move and never go away before the table does. One thread
/// adds at a time; any number read beside it without locks, each as of a sequence number: what was
/// added with a larger one it does not see.
#pragma once

#include "buffer/arena.hpp"
#include "core/catalog.hpp"

#include <snkv/bytes.hpp>
#include <snkv/detail/core_abi.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace snkv::buffer {

using Sequence = std::uint64_t;

/// Sees everything.
inline constexpr Sequence newest = ~Sequence{0};

/// One version of an entry. What it views lives as long as its table.
class Version {
 public:
  enum class Kind : std::uint8_t {
    put,
    put_expiring,
    erase,
    undone,  ///< The write that made it was not acknowledged; nobody sees it.
  };

  [[nodiscard]] Kind kind() const noexcept { return kind_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_put() const noexcept { return kind() <= Kind::put_expiring; }
  [[nodiscard]] Sequence sequence() const noexcept { return sequence_; }
  [[nodiscard]] std::uint32_t family() const noexcept { return family_; }
  [[nodiscard]] BytesView key() const noexcept { return {bytes(), key_size_}; }
  [[nodiscard]] BytesView value() const noexcept { return {bytes() + key_size_, value_size_}; }
  [[nodiscard]] std::optional<std::int64_t> expires_at() const noexcept {
    if (kind() != Kind::put_expiring) return {};
    std::int64_t at = 0;
    std::memcpy(&at, bytes() + key_size_ + value_size_, sizeof at);
    return at;
  }

 private:
  friend class Memtable;
  using Link = std::atomic<Version*>;

  // The links of all levels lie behind the object, then key, value and expiry.
  [[nodiscard]] Link* links() noexcept { return reinterpret_cast<Link*>(this + 1); }
  [[nodiscard]] const Link* links() const noexcept {
    return reinterpret_cast<const Link*>(this + 1);
  }
  [[nodiscard]] const std::byte* bytes() const noexcept {
    return reinterpret_cast<const std::byte*>(links() + height_);
  }

  std::uint64_t prefix_ =
      0;  // first bytes of the key, most significant first: most comparisons end here
  Sequence sequence_ = 0;
  std::uint32_t family_ = 0;
  std::uint32_t value_size_ = 0;
  std::uint32_t key_size_ = 0;
  std::atomic<Kind> kind_{Kind::put};
  std::uint8_t height_ = 0;
};

/// A range that was erased.
struct ErasedRange {
  std::uint32_t family = 0;
  core::KeyRange keys;
  Sequence sequence = 0;

  [[nodiscard]] bool covers(BytesView key) const noexcept {
    return key >= keys.low && (!keys.bounded_above || key < keys.high);
  }
};
using ErasedRanges = std::vector<ErasedRange>;

/// What a table says of a key.
struct Found {
  const Version* version = nullptr;  ///< the newest visible one; null: none
  Sequence erased = 0;               ///< the newest visible range that covers the key; 0: none
};

class Memtable {
 public:
  /// More would make each lookup walk a long list: a new table is begun.
  static constexpr std::size_t most_ranges = 128;

  explicit Memtable(std::size_t block_size);
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // ---- For the one thread that adds; `std::bad_alloc` leaves the table as it was ----

  /// Families are known by their ids; the handle is kept for the flush.
  void add_family(const std::shared_ptr<const core::Family>& family);
  Version* add(std::uint32_t family, BytesView key, Version::Kind kind, BytesView value,
               std::int64_t expires_at, Sequence sequence);
  void add_range(std::uint32_t family, const core::KeyRange& keys, Sequence sequence);

  // ---- For all threads ----

  static void undo(Version& version) noexcept {
    version.kind_.store(Version::Kind::undone, std::memory_order_release);
  }
  /// Forgets the ranges with these sequence numbers.
  void undo_ranges(Sequence first, Sequence last);

  /// What `add` takes for an entry, at most.
  [[nodiscard]] static std::size_t size_of(std::size_t key, std::size_t value) noexcept {
    return sizeof(Version) + most_height * sizeof(void*) + key + value + sizeof(std::int64_t);
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return arena_.bytes() + range_bytes_.load(std::memory_order_relaxed);
  }
  /// What `bytes` would be at most with a piece of `size` more.
  [[nodiscard]] std::size_t bytes_with(std::size_t size) const noexcept {
    return arena_.bytes_with(size) + range_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t versions() const noexcept {
    return versions_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t range_count() const noexcept {
    return range_count_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool empty() const noexcept { return versions() == 0 && range_count() == 0; }
  [[nodiscard]] std::shared_ptr<const ErasedRanges> ranges() const;
  /// Asked when nobody adds any more.
  [[nodiscard]] const std::vector<std::shared_ptr<const core::Family>>& families() const noexcept {
    return families_;
  }
  [[nodiscard]] const core::Family* family(std::uint32_t id) const noexcept;

  [[nodiscard]] Found find(std::uint32_t family, BytesView key, Sequence as_of) const noexcept;

  /// The first version at or after the place of `key`'s versions that are not newer than `as_of`.
  [[nodiscard]] const Version* seek(std::uint32_t family, BytesView key,
                                    Sequence as_of) const noexcept {
    return seek_version(family, key, as_of);
  }
  /// The last version before all of `key`; null if there is none. O(log n).
  [[nodiscard]] const Version* before(std::uint32_t family, BytesView key) const noexcept;
  /// The last version of a family, or of those before it; null if there is none. O(log n).
  [[nodiscard]] const Version* last_of(std::uint32_t family) const noexcept;
  [[nodiscard]] static const Version* next(const Version* at) noexcept {
    return at->links()[0].load(std::memory_order_acquire);
  }

 private:
  static constexpr int most_height = 14;

  struct Place {
    std::uint32_t family;
    std::uint64_t prefix;
    BytesView key;
    Sequence sequence;
  };
  [[nodiscard]] static std::uint64_t prefix_of(BytesView key) noexcept;
  /// Whether the version stands before the place.
  [[nodiscard]] static bool is_before(const Version& version, const Place& place) noexcept;
  [[nodiscard]] const Version* seek_version(std::uint32_t family, BytesView key,
                                            Sequence as_of) const noexcept;
  /// The last version for which `is_before` holds; null if there is none.
  template <class IsBefore>
  [[nodiscard]] const Version* last_before(IsBefore&& before) const noexcept;
  [[nodiscard]] int random_height() noexcept;

  Arena arena_;
  Version* head_;
  std::atomic<int> height_{1};
  std::atomic<std::uint64_t> versions_{0};
  std::uint64_t random_ = 0x9e3779b97f4a7c15;
  std::vector<std::shared_ptr<const core::Family>> families_;
  /// Before which nodes the last version was added, and itself on its levels: the next one is often
  /// right behind it.
  std::array<Version*, most_height> last_{};

  mutable std::mutex ranges_mutex_;
  std::shared_ptr<const ErasedRanges> ranges_;  // guarded by ranges_mutex_, replaced as a whole
  std::atomic<std::size_t> range_count_{0};
  std::atomic<std::size_t> range_bytes_{0};
};

}  // namespace snkv::buffer
