// An iterator outside a transaction reads from a snapshot of the moment it was made, whatever
// others do meanwhile, and however long its store handle lives. (Iterators of a transaction are in
// transaction_iterate_test.cpp.)
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

constexpr int entry_count = 300;

std::string key_of(int i) { return "key" + std::to_string(1000 + i); }
std::string value_of(int i) { return patterned(i % 20 == 0 ? 20'000 : 30, i); }

void fill(Store& store) {
  Transaction transaction = must(store.begin());
  for (int i = 0; i < entry_count; ++i) must(transaction.put(key_of(i), value_of(i)));
  must(transaction.commit());
}

/// The entries from `from` to the last, as `fill` has put them, and then the end.
void check_rest(Iterator& iterator, int from) {
  for (int i = from; i < entry_count; ++i) {
    REQUIRE_OK(iterator.status());
    REQUIRE(iterator.valid());
    REQUIRE(iterator.key() == key_of(i));
    REQUIRE((iterator.value() == BytesView(value_of(i))));
    iterator.next();
  }
  CHECK_FALSE(iterator.valid());
  REQUIRE_OK(iterator.status());
}

/// What others may do to a store under a reader.
const std::vector<std::pair<std::string, std::function<void(Store&)>>> disturbances = {
    {"overwrite",
     [](Store& store) {
       for (int i = 0; i < entry_count; i += 3) must(store.put(key_of(i), patterned(i * 10, 99)));
     }},
    {"insert between",
     [](Store& store) {
       for (int i = 0; i < entry_count; i += 3) must(store.put(key_of(i) + "x", "new"));
     }},
    {"erase",
     [](Store& store) {
       for (int i = 0; i < entry_count; i += 2) must(store.erase(key_of(i)));
     }},
    {"clear", [](Store& store) { must(store.clear()); }},
    {"clear and refill",
     [](Store& store) {
       must(store.clear());
       for (int i = 0; i < entry_count; ++i) must(store.put("other" + std::to_string(i), "x"));
     }},
    {"transaction",
     [](Store& store) {
       Transaction transaction = must(store.begin());
       must(transaction.clear());
       must(transaction.put("new", "entry"));
       must(transaction.commit());
     }},
    {"checkpoint", [](Store& store) {
       must(store.put(key_of(5), "new"));
       must(store.checkpoint(Checkpoint::passive));
     }}};

}  // namespace

TEST_CASE("an iterator does not see what is written after it was made") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  const std::size_t which = GENERATE(range(std::size_t{0}, disturbances.size()));
  CAPTURE(kind, disturbances[which].first);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  Iterator made_before = store.iterator();
  Iterator under_way = store.iterator();
  under_way.seek_first();
  for (int i = 0; i < 10; ++i) under_way.next();
  REQUIRE(under_way.valid());
  const Entry entry = under_way.entry();

  disturbances[which].second(store);

  CHECK(entry.key == key_of(10));
  CHECK((entry.value == BytesView(value_of(10))));
  check_rest(under_way, 10);
  made_before.seek_first();
  check_rest(made_before, 0);
  made_before.seek(key_of(77));
  check_rest(made_before, 77);
  made_before.seek_last();
  REQUIRE(made_before.valid());
  CHECK(made_before.key() == key_of(entry_count - 1));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("an iterator survives the drop of its family, and one of the same name after it") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  ColumnFamily family = must(store.create_column_family("family"));
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(family.put(key, "old"));
  Iterator iterator = family.iterator();
  iterator.seek_first();
  REQUIRE_OK(store.drop_column_family("family"));
  ColumnFamily again = must(store.create_column_family("family"));
  for (const char* key : {"b", "d"}) REQUIRE_OK(again.put(key, "new"));

  std::string seen;
  for (; iterator.valid(); iterator.next()) seen += iterator.key().str() + iterator.value().str();
  REQUIRE_OK(iterator.status());
  CHECK(seen == "aoldboldcold");
  CHECK(contents(again.all()) == Contents{{"b", "new"}, {"d", "new"}});
}

TEST_CASE("a new pass of a range sees what is new") {
  // A range holds the snapshot of its last pass until the next one.
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  Range range = store.all();
  REQUIRE_OK(store.put("a", "1"));
  CHECK(contents(range) == Contents{{"a", "1"}});
  REQUIRE_OK(store.put("b", "2"));
  CHECK(contents(range) == Contents{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("a loop may write through the store it runs over") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  int passes = 0;
  Range scan = store.all();
  for (auto [key, value] : scan) {
    ++passes;
    REQUIRE(must(store.erase(key)));
    REQUIRE_OK(store.put(key.str() + "-copy", value));
  }
  REQUIRE_OK(scan.status());
  CHECK(passes == entry_count);
  CHECK(must(store.count()) == entry_count);
  CHECK((must(store.get(key_of(20) + "-copy")) == BytesView(value_of(20))));
}

TEST_CASE("an iterator outlives its store handle") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Iterator iterator;
  {
    Store store = open_kind(kind, dir);
    fill(store);
    iterator = store.iterator();
  }
  iterator.seek_first();
  check_rest(iterator, 0);
}

TEST_CASE("an iterator may be moved to another thread and end there") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  Iterator iterator = store.iterator();
  iterator.seek_first();
  int seen = 0;
  std::thread([moved = std::move(iterator), &seen]() mutable {
    for (; moved.valid(); moved.next()) ++seen;
    if (!moved.status()) seen = -1;
  }).join();
  CHECK(seen == entry_count);
  REQUIRE_OK(store.put("key", "value"));
  REQUIRE_OK(store.close());
}

TEST_CASE("with a rollback journal an open iterator makes writers busy, and only them") {
  const TempDir dir;
  Store store = open_kind(StoreKind::rollback, dir, {.busy_timeout = 20ms});
  fill(store);
  {
    Iterator iterator = store.iterator();
    iterator.seek_first();
    REQUIRE(iterator.valid());
    REQUIRE_ERROR(store.put("key", "value"), Errc::busy, "put");
    REQUIRE_ERROR(store.clear(), Errc::busy, "clear");
    CHECK((must(store.get(key_of(1))) == BytesView(value_of(1))));
    check_rest(iterator, 0);
  }
  CHECK(must(store.count()) == entry_count);
  REQUIRE_OK(store.put("key", "value"));
  CHECK(must(store.get("key")) == "value");
}

TEST_CASE("a range that has reached its end holds back nobody") {
  const TempDir folder;
  Options options;
  options.busy_timeout = 0ms;
  Store store = open_kind(StoreKind::rollback, folder, options);
  fill(store);
  Range range = store.all();
  int seen = 0;
  for ([[maybe_unused]] auto entry : range) ++seen;
  REQUIRE(seen == entry_count);
  REQUIRE_OK(range.status());
  REQUIRE_OK(store.put("after", "the scan"));
  REQUIRE(must(store.stats()).snapshots == 0);

  auto it = range.begin();
  REQUIRE(it != range.end());
  REQUIRE_ERROR(store.put("during", "the scan"), Errc::busy, "put");
  for (; it != range.end(); ++it) {
  }
  REQUIRE_OK(range.status());
  REQUIRE_OK(store.put("during", "the scan"));
}
