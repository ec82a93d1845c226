// Scans: range-for in both directions, prefixes, intervals, and the manual iterator.
// What happens to them while others write is in iterate_snapshot_test.cpp.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using Keys = std::vector<std::string>;

/// A store with these keys; each value is "=" and the key.
Store store_of(StoreKind kind, const TempDir& dir, const Keys& keys) {
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  for (const std::string& key : keys) must(transaction.put(key, "=" + key));
  must(transaction.commit());
  return store;
}

/// No key of these tests.
const std::string nowhere = "(nowhere)";

/// The key that the iterator is on; `nowhere` if none, which must not be because of an error.
std::string position(const Iterator& iterator) {
  must(iterator.status());
  if (!iterator.valid()) return nowhere;
  CHECK(iterator.value().view().substr(1) == iterator.key().view());
  return iterator.key().str();
}

Keys reversed(Keys keys) {
  std::reverse(keys.begin(), keys.end());
  return keys;
}

/// Every seek to every probe, and a step to either side of where it got, against the sorted keys
/// that are in the range of the iterator.
void check_seeks(Iterator iterator, const std::set<std::string>& keys, const Keys& probes) {
  const auto at = [&](auto found) {
    return found == keys.end() ? nowhere : *found;
  };
  for (const std::string& probe : probes) {
    CAPTURE(probe);
    const auto ceiling = keys.lower_bound(probe);
    iterator.seek(probe);
    REQUIRE(position(iterator) == at(ceiling));
    if (ceiling != keys.end()) {
      iterator.next();
      REQUIRE(position(iterator) == at(std::next(ceiling)));
      iterator.seek(probe);
      iterator.prev();
      REQUIRE(position(iterator) ==
              (ceiling == keys.begin() ? nowhere : at(std::prev(ceiling))));
    }

    const auto above = keys.upper_bound(probe);
    const auto floor = above == keys.begin() ? keys.end() : std::prev(above);
    iterator.seek_for_prev(probe);
    REQUIRE(position(iterator) == at(floor));
    if (floor != keys.end()) {
      iterator.prev();
      REQUIRE(position(iterator) == (floor == keys.begin() ? nowhere : at(std::prev(floor))));
      iterator.seek_for_prev(probe);
      iterator.next();
      REQUIRE(position(iterator) == at(above));
    }
  }
  iterator.seek_first();
  REQUIRE(position(iterator) == at(keys.begin()));
  iterator.seek_last();
  REQUIRE(position(iterator) == (keys.empty() ? nowhere : at(std::prev(keys.end()))));
}

const std::string nul = std::string("\0", 1);
const std::string ff = "\xff";

/// Keys that share prefixes, with the smallest and largest bytes at the ends.
const Keys tricky = {nul, nul + nul, "a",      "a" + nul, "ab",    "abc",         "ab" + ff,   "ac",
                     "b", ff,        ff + nul, ff + "a",  ff + ff, ff + ff + nul, ff + ff + ff};

}  // namespace

TEST_CASE("a scan gives all entries in key order, or in the opposite order") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, {"b", "a", "ab", "c", "B"});
  CHECK(contents(store.all()) ==
        Contents{{"B", "=B"}, {"a", "=a"}, {"ab", "=ab"}, {"b", "=b"}, {"c", "=c"}});
  CHECK(keys(store.all().reversed()) == Keys{"c", "b", "ab", "a", "B"});
  CHECK(keys(store.all().reversed().reversed()) == Keys{"B", "a", "ab", "b", "c"});
}

TEST_CASE("a scan of nothing ends at once, and well") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = open_kind(kind, dir, no_sync());
  std::vector<Range> ranges;
  ranges.push_back(store.all());
  ranges.push_back(store.all().reversed());
  ranges.push_back(store.prefix("a"));
  ranges.push_back(store.prefix("a").reversed());
  ranges.push_back(store.range("a", "b"));
  for (Range& range : ranges) {
    CHECK(keys(range).empty());
    Iterator iterator = range.manual();
    for (const auto move : {&Iterator::seek_first, &Iterator::seek_last, &Iterator::next,
                            &Iterator::prev}) {
      (iterator.*move)();
      CHECK(position(iterator) == nowhere);
    }
    iterator.seek("a");
    CHECK(position(iterator) == nowhere);
    iterator.seek_for_prev("a");
    CHECK(position(iterator) == nowhere);
  }
}

TEST_CASE("a scan that is not over can be left") {
  const TempDir dir;
  Store store = store_of(StoreKind::wal, dir, {"a", "b", "c"});
  Range scan = store.all();
  std::string first;
  for (auto [key, value] : scan) {
    first = key.str();
    break;
  }
  CHECK(first == "a");
  REQUIRE_OK(scan.status());
  // A range can be run over again, from the start.
  CHECK(keys(scan) == Keys{"a", "b", "c"});
}

TEST_CASE("a range satisfies the input range concept") {
  STATIC_REQUIRE(std::input_iterator<Range::iterator>);
  STATIC_REQUIRE(std::sentinel_for<std::default_sentinel_t, Range::iterator>);
}

TEST_CASE("prefix scans") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, tricky);
  for (const std::string& prefix :
       {std::string(), std::string("a"), std::string("ab"), std::string("abc"),
        std::string("abcd"), "a" + nul, nul, nul + nul, ff, ff + ff, ff + ff + ff,
        ff + ff + ff + ff, "ab" + ff, std::string("z")}) {
    CAPTURE(prefix);
    Keys expected;
    for (const std::string& key : tricky) {
      if (key.starts_with(prefix)) expected.push_back(key);
    }
    CHECK(keys(store.prefix(prefix)) == expected);
    CHECK(keys(store.prefix(prefix).reversed()) == reversed(expected));
  }
}

TEST_CASE("interval scans have the low end and not the high one") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, tricky);
  Keys bounds = tricky;
  bounds.insert(bounds.end(), {"", "aa", "abb", "zz", ff + ff + ff + ff});
  for (const std::string& low : bounds) {
    for (const std::string& high : bounds) {
      CAPTURE(low, high);
      Keys expected;
      for (const std::string& key : tricky) {
        if (key >= low && key < high) expected.push_back(key);
      }
      REQUIRE(keys(store.range(low, high)) == expected);
      REQUIRE(keys(store.range(low, high).reversed()) == reversed(expected));
    }
  }
}

TEST_CASE("bounds longer than any key") {
  const TempDir dir;
  const Store store = store_of(StoreKind::wal, dir, {"a", "b", "c"});
  const std::string long_b = "b" + std::string(100'000, 'x');
  CHECK(keys(store.prefix(long_b)).empty());
  CHECK(keys(store.range("a", long_b)) == Keys{"a", "b"});
  CHECK(keys(store.range(long_b, "z")) == Keys{"c"});
  Iterator iterator = store.iterator();
  iterator.seek(long_b);
  CHECK(position(iterator) == "c");
  iterator.seek_for_prev(long_b);
  CHECK(position(iterator) == "b");
}

TEST_CASE("a manual iterator seeks and steps like an ordered set") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, tricky);
  Keys probes = tricky;
  probes.insert(probes.end(), {"", "aa", "abb", "ab" + nul, "B", "zz", ff + ff + ff + ff});
  check_seeks(store.iterator(), {tricky.begin(), tricky.end()}, probes);
}

TEST_CASE("seeks are confined to the prefix or interval") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, tricky);
  Keys probes = tricky;
  probes.insert(probes.end(), {"", "aa", "abb", "zz", ff + ff + ff + ff});
  for (const std::string& prefix : {std::string("a"), std::string("ab"), nul, ff, ff + ff}) {
    CAPTURE(prefix);
    std::set<std::string> inside;
    for (const std::string& key : tricky) {
      if (key.starts_with(prefix)) inside.insert(key);
    }
    check_seeks(store.prefix(prefix).manual(), inside, probes);
    // The direction of the range is the loop's, not the manual iterator's.
    check_seeks(store.prefix(prefix).reversed().manual(), inside, probes);
  }
  for (const auto& [low, high] : {std::pair<std::string, std::string>("ab", "b"),
                                  {"", "ab"},
                                  {"b", ff + ff},
                                  {"c", "d"},
                                  {"b", "a"},
                                  {"ab", "ab"}}) {
    CAPTURE(low, high);
    std::set<std::string> inside;
    for (const std::string& key : tricky) {
      if (key >= low && key < high) inside.insert(key);
    }
    check_seeks(store.range(low, high).manual(), inside, probes);
  }
}

TEST_CASE("seeks across many pages and large values") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = 4096});
  std::vector<std::string> names;
  Transaction transaction = must(store.begin());
  for (int i = 0; i < 1500; ++i) {
    names.push_back("key" + std::to_string(10'000 + 2 * i));
    const std::size_t size = i % 50 == 0 ? 30'000 : i % 7 == 0 ? 1500 : 20;
    must(transaction.put(names.back(), patterned(size, i)));
  }
  must(transaction.commit());
  CHECK(keys(store.all()) == names);
  CHECK(keys(store.all().reversed()) == reversed(names));

  Iterator iterator = store.iterator();
  for (int i = 1; i < 1500; i += 13) {
    iterator.seek("key" + std::to_string(10'000 + 2 * i - 1));
    REQUIRE(iterator.valid());
    REQUIRE(iterator.key() == names[i]);
    const std::size_t size = i % 50 == 0 ? 30'000 : i % 7 == 0 ? 1500 : 20;
    REQUIRE((iterator.value() == BytesView(patterned(size, i))));
  }
}

TEST_CASE("an iterator that left an end stays there until it seeks") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, {"a", "b"});
  Iterator iterator = store.iterator();
  CHECK(position(iterator) == nowhere);
  iterator.next();
  CHECK(position(iterator) == nowhere);

  iterator.seek_last();
  iterator.next();
  CHECK(position(iterator) == nowhere);
  iterator.prev();
  CHECK(position(iterator) == nowhere);
  iterator.seek_first();
  iterator.prev();
  CHECK(position(iterator) == nowhere);
  iterator.next();
  CHECK(position(iterator) == nowhere);
  iterator.seek("b");
  CHECK(position(iterator) == "b");
}

TEST_CASE("an iterator may change its direction at every step") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, {"a", "b", "c", "d"});
  Iterator iterator = store.iterator();
  iterator.seek_first();
  std::string walked;
  for (const char step : std::string("++-++--+-")) {
    walked += position(iterator);
    if (step == '+') {
      iterator.next();
    } else {
      iterator.prev();
    }
  }
  CHECK(walked == "abcbcdcbc");
  CHECK(position(iterator) == "b");
}

TEST_CASE("the views of an entry stay while the iterator does not move") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::size_t size = GENERATE(10u, 100'000u);
  CAPTURE(kind, size);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("a", patterned(size)));
  REQUIRE_OK(store.put("b", patterned(size, 2)));
  Iterator iterator = store.iterator();
  iterator.seek_first();
  REQUIRE(iterator.valid());
  const Entry entry = iterator.entry();
  // Other reads do not disturb it.
  CHECK((must(store.get("b")) == BytesView(patterned(size, 2))));
  CHECK(keys(store.all()) == Keys{"a", "b"});
  must(iterator.status());
  CHECK(entry.key == "a");
  CHECK((entry.value == BytesView(patterned(size))));
  // Nor does moving the object that holds it.
  const Iterator moved = std::move(iterator);
  CHECK(entry.key == "a");
  CHECK((moved.value() == BytesView(patterned(size))));
}

TEST_CASE("an iterator may seek to the key it is on") {
  // The view it is given ends with the very move that it asks for.
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool in_transaction = GENERATE(false, true);
  CAPTURE(kind, in_transaction);
  const TempDir dir;
  const std::string long_key(20'000, 'b');
  Store store = store_of(kind, dir, {"a", long_key, "c"});
  const Transaction transaction = in_transaction ? must(store.begin()) : Transaction();
  Iterator iterator = in_transaction ? transaction.iterator() : store.iterator();
  for (const std::string& key : {std::string("a"), long_key, std::string("c")}) {
    iterator.seek(key);
    for (int i = 0; i < 3; ++i) {
      iterator.seek(iterator.key());
      REQUIRE(position(iterator) == key);
      iterator.seek_for_prev(iterator.key());
      REQUIRE(position(iterator) == key);
    }
  }
}

TEST_CASE("a scan of keys only has no values") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const Store store = store_of(kind, dir, {"a", "b", "ba", "c"});
  CHECK(contents(store.all().keys_only()) ==
        Contents{{"a", ""}, {"b", ""}, {"ba", ""}, {"c", ""}});
  CHECK(contents(store.prefix("b").reversed().keys_only()) == Contents{{"ba", ""}, {"b", ""}});
  CHECK(contents(store.prefix("b").keys_only().reversed()) == Contents{{"ba", ""}, {"b", ""}});
  Iterator iterator = store.iterator({.keys_only = true});
  iterator.seek("b");
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "b");
  CHECK(iterator.value().empty());
}

TEST_CASE("a family is scanned alone") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = store_of(kind, dir, {"a", "b"});
  ColumnFamily family = must(store.create_column_family("family"));
  REQUIRE_OK(family.put("b", "1"));
  REQUIRE_OK(family.put("c", "2"));
  CHECK(contents(family.all()) == Contents{{"b", "1"}, {"c", "2"}});
  CHECK(contents(family.range("a", "c")) == Contents{{"b", "1"}});
  CHECK(keys(store.all()) == Keys{"a", "b"});
}

TEST_CASE("many iterators at once do not mix") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Keys names;
  for (int i = 0; i < 60; ++i) names.push_back(std::to_string(100 + i));
  const Store store = store_of(kind, dir, names);
  std::vector<Iterator> iterators;
  for (const std::string& name : names) {
    iterators.push_back(store.iterator());
    iterators.back().seek(name);
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    CHECK(position(iterators[i]) == names[i]);
    iterators[i].next();
    CHECK(position(iterators[i]) ==
          (i + 1 < names.size() ? names[i + 1] : nowhere));
  }
}
