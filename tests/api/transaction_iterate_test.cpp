// Iterating over what the same transaction changes: each key at most once, in order; what is put
// ahead of the iterator is met, what is put behind it is not.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using Names = std::vector<std::string>;

std::string key_of(int i) { return "key" + std::to_string(1000 + i); }

/// A transaction over a store with `count` entries of `size` bytes.
Transaction begin_over(Store& store, int count, std::size_t size = 30) {
  Transaction transaction = must(store.begin());
  for (int i = 0; i < count; ++i) must(transaction.put(key_of(i), patterned(size, i)));
  must(transaction.commit());
  return must(store.begin());
}

void check_at_end(const Iterator& iterator) {
  CHECK_FALSE(iterator.valid());
  REQUIRE_OK(iterator.status());
}

}  // namespace

TEST_CASE("overwriting the current entry while iterating") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  // Small stays small, grows, spills; large shrinks: the engine's own cursors get some of these
  // wrong and give a key twice or not at all.
  const auto sizes = GENERATE(table<std::size_t, std::size_t>(
      {{30, 30}, {30, 29}, {30, 31}, {30, 3000}, {3000, 30}, {30, 100'000}, {100'000, 30}}));
  const bool forward = GENERATE(true, false);
  const auto [size_before, size_after] = sizes;
  CAPTURE(kind, size_before, size_after, forward);
  constexpr int count = 60;
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = 4096});
  Transaction transaction = begin_over(store, count, size_before);
  Range scan = forward ? transaction.all() : transaction.all().reversed();
  Names seen;
  for (auto [key, value] : scan) {
    const int i = std::stoi(key.str().substr(3)) - 1000;
    REQUIRE((value == BytesView(patterned(size_before, i))));
    seen.push_back(key.str());
    REQUIRE_OK(transaction.put(key, patterned(size_after, i + 5000)));
    // The views are of the entry as it was met, until the iterator moves.
    REQUIRE(key == seen.back());
    REQUIRE((value == BytesView(patterned(size_before, i))));
  }
  REQUIRE_OK(scan.status());
  Names expected;
  for (int i = 0; i < count; ++i) expected.push_back(key_of(forward ? i : count - 1 - i));
  CHECK(seen == expected);
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.count()) == count);
  for (int i = 0; i < count; ++i) {
    REQUIRE((must(store.get(key_of(i))) == BytesView(patterned(size_after, i + 5000))));
  }
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("erasing the current entry while iterating") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool forward = GENERATE(true, false);
  const std::size_t size = GENERATE(30u, 1500u, 20'000u);
  CAPTURE(kind, forward, size);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = 4096});
  Transaction transaction = begin_over(store, 100, size);
  Range scan = forward ? transaction.all() : transaction.all().reversed();
  int seen = 0;
  for (auto [key, value] : scan) {
    REQUIRE(key == key_of(forward ? seen : 99 - seen));
    REQUIRE(must(transaction.erase(key)));
    REQUIRE(value.size() == size);
    ++seen;
  }
  REQUIRE_OK(scan.status());
  CHECK(seen == 100);
  CHECK(must(transaction.count()) == 0);
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store).empty());
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("erasing other entries than the current one") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 10);
  Iterator iterator = transaction.iterator();
  iterator.seek(key_of(4));
  REQUIRE(iterator.valid());
  CHECK(must(transaction.erase(key_of(5))));
  CHECK(must(transaction.erase(key_of(3))));
  CHECK(iterator.key() == key_of(4));
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(6));
  CHECK(must(transaction.erase(key_of(6))));
  CHECK(must(transaction.erase(key_of(4))));
  iterator.prev();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(2));
  CHECK((iterator.value() == BytesView(patterned(30, 2))));
  for (int i = 7; i < 10; ++i) CHECK(must(transaction.erase(key_of(i))));
  iterator.next();
  check_at_end(iterator);
}

TEST_CASE("inserting ahead of and behind the iterator") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 100);
  Names seen;
  for (auto [key, value] : transaction.all()) {
    seen.push_back(key.str());
    if (seen.back().size() > 7) continue;
    REQUIRE_OK(transaction.put(key.str() + "+", "ahead"));
    REQUIRE_OK(transaction.put("behind " + key.str(), patterned(500)));
  }
  Names expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back(key_of(i));
    expected.push_back(key_of(i) + "+");
  }
  CHECK(seen == expected);
  CHECK(must(transaction.count()) == 300);
}

TEST_CASE("an iterator on an entry that is erased and put again") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 10);
  Iterator iterator = transaction.iterator();
  iterator.seek(key_of(4));
  CHECK(must(transaction.erase(key_of(4))));
  REQUIRE_OK(transaction.put(key_of(4), "again"));
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(5));
  iterator.prev();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(4));
  CHECK(iterator.value() == "again");
}

TEST_CASE("clearing under an iterator") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 200, 1000);
  Iterator iterator = transaction.iterator();
  iterator.seek(key_of(100));
  REQUIRE(iterator.valid());
  REQUIRE_OK(transaction.clear());
  CHECK(iterator.key() == key_of(100));
  iterator.next();
  check_at_end(iterator);
  REQUIRE_OK(transaction.put("z", "1"));
  iterator.seek_first();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "z");
}

TEST_CASE("dropping the family under an iterator") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  ColumnFamily family = must(transaction.create_column_family("family"));
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(family.put(key, "old"));
  Iterator iterator = family.iterator();
  iterator.seek("b");
  REQUIRE(iterator.valid());
  REQUIRE_OK(transaction.drop_column_family("family"));
  ColumnFamily again = must(transaction.create_column_family("family"));
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(again.put(key, "new"));
  CHECK(iterator.value() == "old");
  iterator.next();
  CHECK_FALSE(iterator.valid());
  REQUIRE_ERRC(iterator.status(), Errc::dropped);
  CHECK(must(again.count()) == 3);
  REQUIRE_OK(transaction.commit());
}

TEST_CASE("a rollback to a savepoint under an iterator") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 10);
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(transaction.put(key_of(4) + "+", "undone"));
  CHECK(must(transaction.erase(key_of(6))));
  Iterator iterator = transaction.iterator();
  iterator.seek(key_of(4) + "+");
  REQUIRE(iterator.valid());
  REQUIRE_OK(savepoint.rollback());
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(5));
  iterator.next();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(6));
  iterator.prev();
  iterator.prev();
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == key_of(4));
}

TEST_CASE("an iterator of a transaction stops when it ends") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool commit = GENERATE(true, false);
  CAPTURE(kind, commit);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 10);
  Iterator iterator = transaction.iterator();
  iterator.seek(key_of(4));
  REQUIRE(iterator.valid());
  REQUIRE_OK(commit ? transaction.commit() : transaction.rollback());
  iterator.next();
  CHECK_FALSE(iterator.valid());
  REQUIRE_ERRC(iterator.status(), Errc::closed);
  iterator.seek_first();
  CHECK_FALSE(iterator.valid());
  REQUIRE_ERRC(iterator.status(), Errc::closed);
  // It must not keep the next writer out.
  REQUIRE_OK(store.put("key", "value"));
}

TEST_CASE("several iterators over one transaction, prefix and interval included") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = begin_over(store, 100);
  Iterator all = transaction.iterator();
  Iterator prefix = transaction.prefix("key101").manual();
  Iterator interval = transaction.range(key_of(20), key_of(40)).manual();
  all.seek_first();
  prefix.seek_last();
  interval.seek_first();
  for (int i = 0; i < 20; ++i) REQUIRE(must(transaction.erase(key_of(i))));
  for (int i = 0; i < 20; ++i) REQUIRE_OK(transaction.put(key_of(20 + i), patterned(2000)));
  prefix.prev();
  check_at_end(prefix);
  all.next();
  REQUIRE(all.valid());
  CHECK(all.key() == key_of(20));
  int inside = 0;
  for (; interval.valid(); interval.next()) {
    REQUIRE(interval.key() == key_of(20 + inside));
    ++inside;
  }
  check_at_end(interval);
  CHECK(inside == 20);
}

TEST_CASE("a transaction's iterator survives many writes in other places") {
  // Page splits and merges around and under it.
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = 4096});
  Transaction transaction = begin_over(store, 400, 100);
  Names seen;
  int step = 0;
  for (auto [key, value] : transaction.all()) {
    seen.push_back(key.str());
    for (int i = 0; i < 5; ++i) {
      const std::string other = "before" + std::to_string((step * 7919 + i) % 3000);
      if (step % 2 == 0) {
        REQUIRE_OK(transaction.put(other, patterned(700)));
      } else {
        static_cast<void>(must(transaction.erase(other)));
      }
    }
    ++step;
  }
  CHECK(seen.size() == 400);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.front() == key_of(0));
  REQUIRE_OK(transaction.commit());
  REQUIRE_OK(store.integrity_check());
}
