// The oracle of the model test: what a store must contain, as std::map.
//
// A `State` is the whole store at one moment. States share the entries of their families and copy
// them on the first write, so the open transaction, each savepoint, each snapshot and each iterator
// simply keep a State (or the entries of one family) of their own. Nothing here knows how snkv
// works: it must stay too simple to be wrong in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::model {

/// Values are shared between states, because copying them would dominate the run.
using Value = std::shared_ptr<const std::string>;

/// The last moment there is, and what no moment is: those before 1970 are refused.
inline constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t never = -1;

struct Entry {
  Value value;
  std::int64_t expires_at = never;

  /// An entry is gone from the very millisecond at which its time is over.
  [[nodiscard]] bool expired(std::int64_t now) const noexcept {
    return expires_at != never && expires_at <= now;
  }
};

/// std::string orders by unsigned bytes, shorter first: the order the store promises.
using Entries = std::map<std::string, Entry, std::less<>>;

/// A family has an identity beyond its name: dropped and created again it is another one.
struct Family {
  std::uint64_t incarnation = 0;
  std::shared_ptr<Entries> entries = std::make_shared<Entries>();
};

/// The keys of a scan: low <= key < high.
struct Bounds {
  std::string low;
  std::string high;
  bool bounded_above = false;

  [[nodiscard]] bool contains(std::string_view key) const {
    return key >= low && (!bounded_above || key < high);
  }
};

class State {
 public:
  using Families = std::map<std::string, Family, std::less<>>;

  [[nodiscard]] const Families& families() const noexcept { return families_; }
  [[nodiscard]] bool has(std::string_view name) const { return families_.contains(name); }

  /// The family of this name, if it is still that incarnation.
  [[nodiscard]] const Family* find(std::string_view name, std::uint64_t incarnation) const {
    const auto found = families_.find(name);
    if (found == families_.end() || found->second.incarnation != incarnation) return nullptr;
    return &found->second;
  }
  [[nodiscard]] const Family& at(std::string_view name) const {
    return families_.find(name)->second;
  }

  void create(std::string_view name, std::uint64_t incarnation) {
    families_.emplace(std::string(name), Family{incarnation});
  }
  void drop(std::string_view name) { families_.erase(families_.find(name)); }

  // Mutations expire nothing and drop nothing: an expired entry counts until it is overwritten.
  void put(std::string_view family, std::string_view key, Entry entry) {
    writable(family).insert_or_assign(std::string(key), std::move(entry));
  }
  /// Whether the key was there, expired or not.
  bool erase(std::string_view family, std::string_view key) {
    const auto& entries = *at(family).entries;
    if (!entries.contains(key)) return false;
    Entries& mine = writable(family);
    mine.erase(mine.find(key));
    return true;
  }
  void clear(std::string_view family) {
    families_.find(family)->second.entries = std::make_shared<Entries>();
  }
  /// The keys that were there, expired ones included.
  std::vector<std::string> erase_range(std::string_view family, const Bounds& bounds) {
    std::vector<std::string> keys;
    const auto& entries = *at(family).entries;
    for (auto it = entries.lower_bound(bounds.low);
         it != entries.end() && bounds.contains(it->first); ++it) {
      keys.push_back(it->first);
    }
    if (keys.empty()) return keys;
    Entries& mine = writable(family);
    mine.erase(mine.find(keys.front()), std::next(mine.find(keys.back())));
    return keys;
  }

 private:
  [[nodiscard]] Entries& writable(std::string_view family) {
    auto& entries = families_.find(family)->second.entries;
    if (entries.use_count() > 1) entries = std::make_shared<Entries>(*entries);
    return *entries;
  }

  Families families_;
};

/// All keys that start with `prefix`: up to the next string of that length, if there is one.
inline Bounds prefix_bounds(std::string_view prefix) {
  std::string high(prefix);
  while (!high.empty() && static_cast<unsigned char>(high.back()) == 0xff) high.pop_back();
  if (high.empty()) return {std::string(prefix), {}, false};
  high.back() = static_cast<char>(static_cast<unsigned char>(high.back()) + 1);
  return {std::string(prefix), std::move(high), true};
}

/// What a scan sees: the entries between the bounds that have not expired at `now`.
struct ScanView {
  const Entries* entries = nullptr;
  const Bounds* bounds = nullptr;
  std::int64_t now = 0;

  using Position = const Entries::value_type*;  ///< Null: not on an entry.

  [[nodiscard]] Position at_or_after(std::string_view key) const {
    if (key < std::string_view(bounds->low)) key = bounds->low;
    return forward(entries->lower_bound(key));
  }
  [[nodiscard]] Position after(std::string_view key) const {
    if (key < std::string_view(bounds->low)) return at_or_after(key);
    return forward(entries->upper_bound(key));
  }
  [[nodiscard]] Position at_or_before(std::string_view key) const {
    if (bounds->bounded_above && key >= std::string_view(bounds->high)) return before(bounds->high);
    return backward(entries->upper_bound(key));
  }
  [[nodiscard]] Position before(std::string_view key) const {
    if (bounds->bounded_above && key > std::string_view(bounds->high)) key = bounds->high;
    return backward(entries->lower_bound(key));
  }
  [[nodiscard]] Position first() const { return at_or_after(bounds->low); }
  [[nodiscard]] Position last() const {
    return bounds->bounded_above ? before(bounds->high) : backward(entries->end());
  }

 private:
  [[nodiscard]] Position forward(Entries::const_iterator it) const {
    for (; it != entries->end() && bounds->contains(it->first); ++it) {
      if (!it->second.expired(now)) return &*it;
    }
    return nullptr;
  }
  /// The nearest entry strictly before `it`.
  [[nodiscard]] Position backward(Entries::const_iterator it) const {
    while (it != entries->begin()) {
      --it;
      if (!bounds->contains(it->first)) return nullptr;
      if (!it->second.expired(now)) return &*it;
    }
    return nullptr;
  }
};

// ---- Changes ----

/// What the change feed must tell of a change.
struct Change {
  enum class Kind : std::uint8_t { put, erase, range, clear };
  Kind kind = Kind::put;
  std::string family;
  std::string key;                ///< Of a range: where it begins.
  std::string high;               ///< Of a range: where it ends; empty: not at all.
  std::vector<std::string> keys;  ///< Of a range: what was there.
  std::uint64_t commit = 0;  ///< Changes of one commit have the same number; 0: it is not known.
};

// ---- Transactions ----

/// The committed state, and the one write transaction that may be open with its savepoints.
class Oracle {
 public:
  struct OpenTransaction {
    State state;
    std::int64_t now = 0;  ///< One clock reading serves the whole transaction.
    std::vector<Change> changes;
    struct Savepoint {
      State state;
      std::size_t changes = 0;
    };
    std::vector<Savepoint> savepoints;  ///< What there was at each, innermost last.
  };

  State committed;
  std::optional<OpenTransaction> open;

  [[nodiscard]] std::uint64_t new_incarnation() noexcept { return ++last_incarnation_; }

  void begin(std::int64_t now) { open = OpenTransaction{committed, now, {}, {}}; }
  /// The changes that were made permanent.
  std::vector<Change> commit() {
    std::vector<Change> changes = std::move(open->changes);
    committed = std::move(open->state);
    open.reset();
    return changes;
  }
  void rollback() { open.reset(); }

  void savepoint() { open->savepoints.push_back({open->state, open->changes.size()}); }
  /// Back to savepoint `index`, which stays; those after it end.
  void rollback_to(std::size_t index) {
    open->state = open->savepoints[index].state;
    open->changes.resize(open->savepoints[index].changes);
    open->savepoints.resize(index + 1);
  }
  /// Ends savepoint `index` and those after it, keeping what was done.
  void release(std::size_t index) { open->savepoints.resize(index); }

 private:
  std::uint64_t last_incarnation_ = 0;
};

}  // namespace snkv::model
