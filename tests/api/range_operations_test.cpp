// Operations on many entries: counting, multi_get, erasing ranges, batches.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

std::string key_of(int i) {
  char text[16];
  std::snprintf(text, sizeof(text), "k%06d", i);
  return text;
}

/// Fills with `n` entries: every 50th large, every 70th with a long key.
std::map<std::string, std::string> fill(Store& store, int n) {
  std::map<std::string, std::string> model;
  Transaction transaction = must(store.begin());
  for (int i = 0; i < n; ++i) {
    std::string key = key_of(i);
    if (i % 70 == 69) key += std::string(3000, 'p');
    const std::string value = patterned(i % 50 == 49 ? 20'000 : static_cast<std::size_t>(i % 40));
    must(transaction.put(key, value));
    model[key] = value;
  }
  must(transaction.commit());
  return model;
}

Contents rows(const std::map<std::string, std::string>& model) {
  return {model.begin(), model.end()};
}

}  // namespace

TEST_CASE("counts of ranges agree with a scan") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir);
  const auto model = fill(store, 3000);
  CHECK(must(store.count()) == model.size());
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string low = key_of(static_cast<int>(random() % 3200));
    std::string high = key_of(static_cast<int>(random() % 3200));
    if (random() % 3 == 0) low += "x";
    CAPTURE(low, high);
    const auto expected = low < high ? std::distance(model.lower_bound(low), model.lower_bound(high)) : 0;
    CHECK(must(store.count_range(low, high)) == static_cast<std::uint64_t>(expected));
  }
  CHECK(must(store.count_prefix("k")) == model.size());
  CHECK(must(store.count_prefix("k00")) == model.size());
  CHECK(must(store.count_prefix("k0011")) == 100);
  CHECK(must(store.count_prefix("")) == model.size());
  CHECK(must(store.count_prefix("l")) == 0);
  CHECK(must(store.count_range("a", "")) == 0);
}

TEST_CASE("multi_get answers in the order of the question") {
  Store store = must(Store::open_in_memory());
  const auto model = fill(store, 500);
  std::vector<BytesView> wanted;
  std::vector<std::string> names;
  for (int i = 0; i < 1200; i += 7) names.push_back(key_of((i * 389) % 1200));
  for (const std::string& name : names) wanted.emplace_back(name);
  const auto values = must(store.multi_get(wanted));
  REQUIRE(values.size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = model.find(names[i]);
    CAPTURE(names[i]);
    REQUIRE(values[i].has_value() == (found != model.end()));
    if (values[i]) CHECK((*values[i] == BytesView(found->second)));
  }
  CHECK(must(store.multi_get({})).empty());
  REQUIRE_ERROR(store.multi_get({"a", ""}), Errc::invalid_argument, "multi_get");
}

TEST_CASE("erase_range erases exactly the range") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  // Few, many, nearly all (which empties the tree and puts the rest back), all.
  const auto [low, high] = GENERATE(std::pair(100, 110), std::pair(500, 1500), std::pair(10, 1990),
                                    std::pair(0, 2000), std::pair(1990, 5000));
  CAPTURE(kind, low, high);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  auto model = fill(store, 2000);
  const auto first = model.lower_bound(key_of(low));
  const auto last = model.lower_bound(key_of(high));
  const auto expected = static_cast<std::uint64_t>(std::distance(first, last));
  CHECK(must(store.erase_range(key_of(low), key_of(high))) == expected);
  model.erase(first, last);
  CHECK(contents(store.all()) == rows(model));
  CHECK(must(store.count()) == model.size());
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("erase_range with plain survivors takes the short way and keeps them") {
  Store store = must(Store::open_in_memory());
  for (int i = 0; i < 3000; ++i) must(store.put(key_of(i), std::to_string(i)));
  REQUIRE_OK(store.put("a", "first"));
  REQUIRE_OK(store.put("z", "last"));
  Transaction transaction = must(store.begin());
  CHECK(must(transaction.erase_prefix("k")) == 3000);
  CHECK(contents_of(transaction) == Contents{{"a", "first"}, {"z", "last"}});
  REQUIRE_OK(transaction.rollback());
  CHECK(must(store.count()) == 3002);
  CHECK(must(store.erase_prefix("k")) == 3000);
  CHECK(contents_of(store) == Contents{{"a", "first"}, {"z", "last"}});
  CHECK(must(store.erase_prefix("k")) == 0);
}

TEST_CASE("a range the wrong way round is refused") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("b", "1"));
  REQUIRE_ERROR(store.erase_range("c", "a"), Errc::invalid_argument, "erase_range");
  CHECK(must(store.erase_range("b", "b")) == 0);
  CHECK(must(store.count()) == 1);
}

TEST_CASE("a batch is carried out as a whole") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  ColumnFamily other = must(store.create_column_family("other"));
  REQUIRE_OK(store.put("gone", "x"));
  REQUIRE_OK(store.put("r1", "x"));
  REQUIRE_OK(store.put("r2", "x"));
  REQUIRE_OK(other.put("old", "x"));
  WriteBatch batch;
  CHECK(batch.empty());
  batch.put("a", "1")
      .put("b", patterned(30'000), {.ttl = 10ms})
      .put("c", "3", {.expires_at = TimePoint(std::chrono::milliseconds(clock.now() + 5))})
      .erase("gone")
      .erase_range("r1", "r2")
      .in_family("other")
      .clear_family()
      .put("new", "y")
      .in_family("")
      .put("d", "4");
  // The bytes can be kept and used again.
  const Bytes kept(batch.data());
  REQUIRE_OK(store.write(WriteBatch(kept)));
  CHECK(keys(store.all()) == std::vector<std::string>{"a", "b", "c", "d", "r2"});
  CHECK(contents_of(other) == Contents{{"new", "y"}});
  clock.advance(5ms);
  CHECK(keys(store.all()) == std::vector<std::string>{"a", "b", "d", "r2"});
  clock.advance(5ms);
  CHECK(keys(store.all()) == std::vector<std::string>{"a", "d", "r2"});
}

TEST_CASE("a bad batch changes nothing") {
  Store store = must(Store::open_in_memory());
  const auto refused = [&](const WriteBatch& batch, Errc code) {
    REQUIRE_ERROR(store.write(batch), code, "write");
    CHECK(must(store.count()) == 0);
  };
  refused(WriteBatch().put("a", "1").put("", "2"), Errc::invalid_argument);
  refused(WriteBatch().put("a", "1").in_family("nobody").put("b", "2"), Errc::not_found);
  refused(WriteBatch().put("a", "1").erase_range("z", "b"), Errc::invalid_argument);
  refused(WriteBatch().put("a", "1").put("b", "2", {.ttl = 0ms}), Errc::invalid_argument);
  refused(WriteBatch().put("a", "1", {.ttl = 1s, .expires_at = TimePoint(1s)}),
          Errc::invalid_argument);
  refused(WriteBatch().put("a", "1").put(std::string(max_key_size + 1, 'k'), "2"), Errc::too_large);
  const std::string good = WriteBatch().put("a", "1").put("b", "2").data().str();
  for (std::size_t size = 1; size < good.size(); ++size) {
    if (size == good.size() / 2) continue;  // cut between the two operations it is a good batch
    refused(WriteBatch(std::string_view(good).substr(0, size)), Errc::invalid_argument);
  }
  refused(WriteBatch("?"), Errc::invalid_argument);
}

TEST_CASE("visit sees the value where it lies") {
  const std::size_t size = GENERATE(0u, 10u, 70'000u);
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", patterned(size)));
  std::string seen = "none";
  REQUIRE_OK(store.visit("k", [&](BytesView value) { seen = value.str(); }));
  CHECK(seen == patterned(size));
  REQUIRE_ERROR(store.visit("absent", [](BytesView) {}), Errc::not_found, "visit");
  REQUIRE_ERROR(store.visit("k", [](BytesView) { throw 1; }), Errc::aborted, "visit");
}

TEST_CASE("a batch that is refused leaves its transaction as it was") {
  const TempDir dir;
  const std::string path = dir.file("store.db");
  Store store = must(open_store(path));
  must(store.create_column_family("good"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("before", "1"));
  WriteBatch batch;
  batch.put("a", "1");
  SECTION("for a ttl that ends after the end of time") {
    batch.put("b", "1", {.ttl = std::chrono::milliseconds::max()});
    REQUIRE_ERROR(transaction.write(batch), Errc::invalid_argument, "write");
  }
  SECTION("for a family that is not there") {
    batch.in_family("none").put("b", "1");
    REQUIRE_ERROR(transaction.write(batch), Errc::not_found, "write");
  }
  REQUIRE_OK(transaction.put("after", "1"));
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == std::vector<std::string>{"after", "before"});
}

TEST_CASE("what is asked of a dropped family says so, even if there is nothing to do") {
  Store store = must(Store::open_in_memory());
  ColumnFamily family = must(store.create_column_family("gone"));
  must(store.create_column_family("other"));
  must(store.drop_column_family("gone"));
  REQUIRE_ERROR(family.count_range("a", "a"), Errc::dropped, "count_range");
  REQUIRE_ERROR(family.count_range("b", "a"), Errc::dropped, "count_range");
  REQUIRE_ERROR(family.write(WriteBatch()), Errc::dropped, "write");
  REQUIRE_ERROR(family.write(WriteBatch().in_family("other").put("k", "v")), Errc::dropped, "write");
  CHECK(must(must(store.open_column_family("other")).count()) == 0);
  REQUIRE_OK(store.close());
  REQUIRE_ERROR(store.count_range("a", "a"), Errc::closed, "count_range");
}
