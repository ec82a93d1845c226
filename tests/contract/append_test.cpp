// What is put behind the last row fills the pages of the tree one after the other.
#include "fixture.hpp"

#include <algorithm>
#include <random>

using namespace snkv;
using namespace snkv::contract;

namespace {

std::string key_of(int i) {
  const std::string digits = std::to_string(i);
  return "key" + std::string(8 - digits.size(), '0') + digits;
}

/// Most entries of this size in one leaf: eight bytes of it are its header, and each cell has a size of two
/// bytes before its record, and a pointer of two.
int per_leaf(const Store& store, std::size_t value_size) {
  const auto key = key_of(0);
  const Column columns[] = {Column::of(BytesView(key)), Column::null(),
                            Column::of(BytesView(patterned(value_size)))};
  const std::uint64_t cell = 2 + (btree::record_size(columns) < 128 ? 1 : 2) + btree::record_size(columns);
  return static_cast<int>((must(store.stats()).page_size - 8) / cell);
}

}  // namespace

TEST_CASE("rows that come in order fill their pages") {
  const std::size_t value_size = GENERATE(10u, 100u, 1000u);
  const int batch_size = GENERATE(1, 7, 1000);
  CAPTURE(value_size, batch_size);
  constexpr int count = 6000;
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path, {.sync = Sync::off}));
  for (int i = 0; i < count;) {
    Transaction transaction = must(store.begin());
    for (int end = std::min(count, i + batch_size); i < end; ++i) {
      REQUIRE_OK(transaction.put(key_of(i), patterned(value_size, i)));
    }
    REQUIRE_OK(transaction.commit());
  }
  // Between two leaves there is always one row in the page above them.
  const auto fewest = static_cast<std::uint64_t>(count / (per_leaf(store, value_size) + 1));
  const std::uint64_t leaves = must(store.family_stats()).leaf_pages;
  if (!snkv_bt_without("append")) {
    CHECK(leaves <= fewest + 2);
  } else if (value_size <= 100) {  // seven of the largest to a page need no more either
    CHECK(leaves > fewest + 2);
  }
  int i = 0;
  for (auto [key, value] : store.all()) {
    REQUIRE(key == key_of(i));
    REQUIRE((value == BytesView(patterned(value_size, i))));
    ++i;
  }
  CHECK(i == count);

  // Full pages are no trouble for what comes between, shrinks, grows or goes.
  std::mt19937 random(7);
  Contents expected;
  for (int j = 0; j < count; ++j) {
    const std::string key = key_of(j);
    const std::string old = patterned(value_size, j);
    switch (random() % 5) {
      case 0: REQUIRE_OK(store.erase(key)); continue;
      case 1: {
        const std::string value = patterned(random() % (2 * value_size), j + 1);
        REQUIRE_OK(store.put(key, value));
        expected.emplace_back(key, value);
        break;
      }
      case 2:
        REQUIRE_OK(store.put(key + "+", old));
        expected.emplace_back(key, old);
        expected.emplace_back(key + "+", old);
        break;
      default: expected.emplace_back(key, old);
    }
  }
  CHECK(contents_of(store) == expected);
  REQUIRE_OK(store.close());
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}
