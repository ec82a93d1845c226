#include "buffer/memtable.hpp"

#include <algorithm>
#include <new>

namespace snkv::buffer {

Memtable::Memtable(std::size_t block_size) : arena_(block_size) {
  const std::size_t size = sizeof(Version) + most_height * sizeof(Version::Link);
  head_ = new (arena_.allocate(size)) Version();
  head_->height_ = most_height;
  for (int level = 0; level < most_height; ++level) {
    new (&head_->links()[level]) Version::Link(nullptr);
    last_[static_cast<std::size_t>(level)] = head_;
  }
}

std::uint64_t Memtable::prefix_of(BytesView key) noexcept {
  std::uint64_t prefix = 0;
  if (key.empty()) return 0;
  std::memcpy(&prefix, key.data(), std::min(key.size(), sizeof prefix));
  if constexpr (std::endian::native == std::endian::little) prefix = __builtin_bswap64(prefix);
  return prefix;
}

bool Memtable::is_before(const Version& version, const Place& place) noexcept {
  if (version.family_ != place.family) return version.family_ < place.family;
  if (version.prefix_ != place.prefix) return version.prefix_ < place.prefix;
  // Equal prefixes of short keys are told apart by their lengths: "a" and "a\0".
  const std::strong_ordering order = version.key() <=> place.key;
  if (order != 0) return order < 0;
  return version.sequence_ > place.sequence;
}

int Memtable::random_height() noexcept {
  // xorshift; each level has a quarter of the nodes of the one below.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return 1 + std::min(std::countr_zero(random_) / 2, most_height - 1);
}

void Memtable::add_family(const std::shared_ptr<const core::Family>& family) {
  if (this->family(family->id) == nullptr) families_.push_back(family);
}

const core::Family* Memtable::family(std::uint32_t id) const noexcept {
  for (const auto& family : families_) {
    if (family->id == id) return family.get();
  }
  return nullptr;
}

Version* Memtable::add(std::uint32_t family, BytesView key, Version::Kind kind, BytesView value,
                       std::int64_t expires_at, Sequence sequence) {
  const int height = random_height();
  const bool expires = kind == Version::Kind::put_expiring;
  const std::size_t size = sizeof(Version) +
                           static_cast<std::size_t>(height) * sizeof(Version::Link) + key.size() +
                           value.size() + (expires ? sizeof expires_at : 0);
  auto* const version = new (arena_.allocate(size)) Version();
  version->prefix_ = prefix_of(key);
  version->sequence_ = sequence;
  version->family_ = family;
  version->value_size_ = static_cast<std::uint32_t>(value.size());
  version->key_size_ = static_cast<std::uint32_t>(key.size());
  version->kind_.store(kind, std::memory_order_relaxed);
  version->height_ = static_cast<std::uint8_t>(height);
  auto* const bytes = const_cast<std::byte*>(version->bytes());
  std::memcpy(bytes, key.data(), key.size());
  if (!value.empty()) std::memcpy(bytes + key.size(), value.data(), value.size());
  if (expires) std::memcpy(bytes + key.size() + value.size(), &expires_at, sizeof expires_at);

  const Place place{family, version->prefix_, key, sequence};
  std::array<Version*, most_height>& before = last_;
  const int levels = std::max(height_.load(std::memory_order_relaxed), height);
  // Right behind the last one: then `last_` is where it belongs on all levels, and keys in order
  // need no search.
  Version* const behind =
      last_[0] == head_ ? nullptr : last_[0]->links()[0].load(std::memory_order_relaxed);
  const bool in_order = last_[0] != head_ && is_before(*last_[0], place) &&
                        (behind == nullptr || !is_before(*behind, place));
  if (!in_order) {
    Version* at = head_;
    for (int level = levels - 1; level >= 0; --level) {
      for (;;) {
        Version* const next = at->links()[level].load(std::memory_order_relaxed);
        if (next == nullptr || !is_before(*next, place)) break;
        at = next;
      }
      before[static_cast<std::size_t>(level)] = at;
    }
  }
  for (int level = 0; level < height; ++level) {
    const auto i = static_cast<std::size_t>(level);
    Version* const next = before[i]->links()[level].load(std::memory_order_relaxed);
    new (&version->links()[level]) Version::Link(next);
  }
  // Readers find it from here on, whole.
  for (int level = 0; level < height; ++level) {
    const auto i = static_cast<std::size_t>(level);
    before[i]->links()[level].store(version, std::memory_order_release);
    last_[i] = version;
  }
  if (levels > height_.load(std::memory_order_relaxed))
    height_.store(levels, std::memory_order_relaxed);
  versions_.fetch_add(1, std::memory_order_relaxed);
  return version;
}

void Memtable::add_range(std::uint32_t family, const core::KeyRange& keys, Sequence sequence) {
  const std::lock_guard lock(ranges_mutex_);
  auto after = ranges_ == nullptr ? std::make_shared<ErasedRanges>()
                                  : std::make_shared<ErasedRanges>(*ranges_);
  after->push_back({family, keys, sequence});
  range_bytes_.fetch_add(sizeof(ErasedRange) + keys.low.size() + keys.high.size(),
                         std::memory_order_relaxed);
  range_count_.store(after->size(), std::memory_order_release);
  ranges_ = std::move(after);
}

void Memtable::undo_ranges(Sequence first, Sequence last) {
  const std::lock_guard lock(ranges_mutex_);
  if (ranges_ == nullptr) return;
  auto after = std::make_shared<ErasedRanges>(*ranges_);
  std::erase_if(*after, [&](const ErasedRange& range) {
    return range.sequence >= first && range.sequence <= last;
  });
  range_count_.store(after->size(), std::memory_order_release);
  ranges_ = std::move(after);
}

std::shared_ptr<const ErasedRanges> Memtable::ranges() const {
  const std::lock_guard lock(ranges_mutex_);
  return ranges_;
}

const Version* Memtable::seek_version(std::uint32_t family, BytesView key,
                                      Sequence as_of) const noexcept {
  const Place place{family, prefix_of(key), key, as_of};
  const Version* at = head_;
  const Version* next = nullptr;
  for (int level = height_.load(std::memory_order_relaxed) - 1; level >= 0; --level) {
    for (;;) {
      next = at->links()[level].load(std::memory_order_acquire);
      if (next == nullptr || !is_before(*next, place)) break;
      at = next;
    }
  }
  return next;
}

template <class IsBefore>
const Version* Memtable::last_before(IsBefore&& before) const noexcept {
  const Version* at = head_;
  for (int level = height_.load(std::memory_order_relaxed) - 1; level >= 0; --level) {
    for (;;) {
      const Version* const next = at->links()[level].load(std::memory_order_acquire);
      if (next == nullptr || !before(*next)) break;
      at = next;
    }
  }
  return at == head_ ? nullptr : at;
}

const Version* Memtable::before(std::uint32_t family, BytesView key) const noexcept {
  const Place place{family, prefix_of(key), key, newest};
  return last_before([&](const Version& version) { return is_before(version, place); });
}

const Version* Memtable::last_of(std::uint32_t family) const noexcept {
  return last_before([&](const Version& version) { return version.family_ <= family; });
}

Found Memtable::find(std::uint32_t family, BytesView key, Sequence as_of) const noexcept {
  Found found;
  const Version* at = seek_version(family, key, as_of);
  while (at != nullptr && at->family() == family && at->key() == key) {
    if (at->kind() != Version::Kind::undone) {
      found.version = at;
      break;
    }
    at = next(at);
  }
  if (range_count() == 0) return found;
  const std::shared_ptr<const ErasedRanges> all = ranges();
  if (all == nullptr) return found;
  for (auto range = all->rbegin(); range != all->rend(); ++range) {
    if (range->sequence <= as_of && range->family == family && range->covers(key)) {
      found.erased = range->sequence;
      break;
    }
  }
  return found;
}

}  // namespace snkv::buffer
