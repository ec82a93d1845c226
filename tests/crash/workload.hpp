// The transactions of the kill -9 test: number n of a seed is always the same, so that the writer
// only has to report numbers and the parent can work out what the store must contain.
#pragma once

#include "process.hpp"

#include "support/patterned.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {

inline constexpr std::array<std::string_view, 4> workload_families = {"default", "one", "two",
                                                                      "three"};

/// One change inside a transaction.
struct Change {
  enum class Kind : std::uint8_t { put, erase, clear, create, drop };
  Kind kind = Kind::put;
  std::string_view family;
  std::string key;
  std::size_t size = 0;    ///< Of the value.
  std::uint64_t salt = 0;  ///< The value is patterned(size, salt).
};

/// One unit that is acknowledged: all of it happens or nothing.
struct Unit {
  std::vector<Change> changes;
  bool autocommit = false;  ///< One change, without an explicit transaction.
};

/// What the store must contain.
class Expected {
 public:
  struct Stored {
    std::size_t size = 0;
    std::uint64_t salt = 0;
    friend bool operator==(const Stored&, const Stored&) = default;
  };
  using Entries = std::map<std::string, Stored, std::less<>>;
  std::map<std::string, Entries, std::less<>> families{{"default", {}}};

  [[nodiscard]] bool has(std::string_view family) const { return families.contains(family); }
  void apply(const Unit& unit) {
    for (const Change& change : unit.changes) apply(change);
  }

 private:
  void apply(const Change& change) {
    if (change.kind == Change::Kind::create) {
      families.emplace(std::string(change.family), Entries());
      return;
    }
    const auto family = families.find(change.family);
    switch (change.kind) {
      case Change::Kind::put:
        family->second.insert_or_assign(change.key, Stored{change.size, change.salt});
        break;
      case Change::Kind::erase:
        family->second.erase(change.key);
        break;
      case Change::Kind::clear:
        family->second.clear();
        break;
      default:
        families.erase(family);
        break;
    }
  }
};

inline std::size_t workload_value_size(Random& random) {
  const std::uint64_t kind = random.below(100);
  if (kind < 70) return random.below(100);
  if (kind < 94) return random.below(1500);
  if (kind < 99) return random.below(12'000);
  return random.below(80'000);
}

/// Unit number `number`, given the state before it (which families there are).
inline Unit make_unit(std::uint64_t seed, std::uint64_t number, const Expected& before) {
  Random random(seed * 0x9e3779b97f4a7c15u + number);
  Unit unit;
  Expected now_there;
  for (const auto& [name, entries] : before.families) now_there.families[name];
  unit.autocommit = random.percent(40);
  const std::uint64_t changes = unit.autocommit ? 1 : 2 + random.below(9);
  for (std::uint64_t i = 0; i < changes; ++i) {
    Change change;
    change.family = workload_families[random.below(workload_families.size())];
    change.key = std::string(random.percent(10) ? 200 : 3, 'k') + std::to_string(random.below(40));
    change.salt = number * 16 + i;
    const std::uint64_t kind = random.below(100);
    if (!now_there.has(change.family)) {
      change.kind = Change::Kind::create;
      now_there.families[std::string(change.family)];
    } else if (kind < 66) {
      change.size = workload_value_size(random);
    } else if (kind < 96) {
      change.kind = Change::Kind::erase;
    } else if (kind < 98 || change.family == "default") {
      change.kind = Change::Kind::clear;
    } else {
      change.kind = Change::Kind::drop;
      now_there.families.erase(now_there.families.find(change.family));
    }
    unit.changes.push_back(std::move(change));
  }
  return unit;
}

/// Makes the change through a store or a transaction; families are opened when needed.
template <class Place>
[[nodiscard]] Result<void> make_change(Place& place, const Change& change) {
  if (change.kind == Change::Kind::drop) return place.drop_column_family(change.family);
  auto family = change.kind == Change::Kind::create ? place.create_column_family(change.family)
                                                    : place.open_column_family(change.family);
  if (!family) return Unexpected(family.error());
  switch (change.kind) {
    case Change::Kind::put:
      return family->put(change.key, patterned(change.size, change.salt));
    case Change::Kind::erase: {
      auto erased = family->erase(change.key);
      if (!erased) return Unexpected(erased.error());
      return {};
    }
    case Change::Kind::clear:
      return family->clear();
    default:
      return {};
  }
}

/// What differs between the store and the expectation; empty: nothing.
[[nodiscard]] inline std::string difference(Store& store, const Expected& expected) {
  auto names = store.list_column_families();
  if (!names) return names.error().message();
  if (names->size() != expected.families.size()) return "another number of families";
  std::size_t at = 0;
  for (const auto& [name, entries] : expected.families) {
    if ((*names)[at++] != name) return "family " + name + " is missing";
    auto family = store.open_column_family(name);
    if (!family) return family.error().message();
    auto scan = family->all();
    auto next = entries.begin();
    for (auto [key, value] : scan) {
      if (next == entries.end()) return name + ": one key too many: " + key.str();
      if (key.view() != next->first) {
        return name + ": key " + key.str() + " where " + next->first + " should be";
      }
      if (value.view() != patterned(next->second.size, next->second.salt)) {
        return name + ": wrong value of " + key.str();
      }
      ++next;
    }
    if (!scan.status()) return name + ": " + scan.status().error().message();
    if (next != entries.end()) return name + ": " + next->first + " is missing";
  }
  return {};
}

}  // namespace snkv::test
