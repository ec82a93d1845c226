// Read-modify-write in one step: conditional puts, counters, merges.
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

TEST_CASE("put_if_absent stores once, and again when the entry has expired") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  CHECK(must(store.put_if_absent("lock", "me", {.ttl = 10ms})));
  CHECK_FALSE(must(store.put_if_absent("lock", "you", {.ttl = 10ms})));
  CHECK(must(store.get("lock")) == "me");
  clock.advance(10ms);
  CHECK(must(store.put_if_absent("lock", "you")));
  CHECK(must(store.get("lock")) == "you");
  CHECK_FALSE(must(store.ttl("lock")).has_value());
  REQUIRE_ERROR(store.put_if_absent("", "x"), Errc::invalid_argument, "put_if_absent");
}

TEST_CASE("compare_and_swap changes only what it expects") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::size_t size = GENERATE(1u, 50'000u);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  const std::string old_value = patterned(size);
  CHECK_FALSE(must(store.compare_and_swap("k", old_value, "new")));
  CHECK(must(store.compare_and_swap("k", std::nullopt, old_value)));
  CHECK_FALSE(must(store.compare_and_swap("k", std::nullopt, "new")));
  CHECK_FALSE(must(store.compare_and_swap("k", old_value + "x", "new")));
  CHECK((must(store.get("k")) == BytesView(old_value)));
  CHECK(must(store.compare_and_swap("k", old_value, "new")));
  CHECK(must(store.get("k")) == "new");
}

TEST_CASE("an empty value is not an absent one") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", ""));
  CHECK_FALSE(must(store.put_if_absent("k", "x")));
  CHECK_FALSE(must(store.compare_and_swap("k", std::nullopt, "x")));
  CHECK(must(store.compare_and_swap("k", "", "x")));
}

TEST_CASE("counters count, in decimal text") {
  Store store = must(Store::open_in_memory());
  CHECK(must(store.increment("n")) == 1);
  CHECK(must(store.increment("n", 41)) == 42);
  CHECK(must(store.fetch_add("n", -50)) == 42);
  CHECK(must(store.get("n")) == "-8");
  REQUIRE_OK(store.put("n", std::to_string(std::numeric_limits<std::int64_t>::max())));
  REQUIRE_ERROR(store.increment("n"), Errc::invalid_argument, "increment");
  CHECK(must(store.fetch_add("n", std::numeric_limits<std::int64_t>::min())) ==
        std::numeric_limits<std::int64_t>::max());
  CHECK(must(store.increment("n")) == 0);
  for (const char* text :
       {"", "1x", " 1", "+1", "0x1", "9223372036854775808", "one", "007", "-0", "00", "-01"}) {
    CAPTURE(text);
    REQUIRE_OK(store.put("n", text));
    REQUIRE_ERROR(store.increment("n"), Errc::invalid_argument, "increment");
    CHECK(must(store.get("n")) == text);
  }
}

TEST_CASE("a counter keeps its expiry unless it is given another") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  CHECK(must(store.increment("hits", 1, {.ttl = 100ms})) == 1);
  clock.advance(60ms);
  CHECK(must(store.increment("hits")) == 2);
  CHECK(must(store.ttl("hits")) == 40ms);
  CHECK(must(store.increment("hits", 1, {.ttl = 100ms})) == 3);
  CHECK(must(store.ttl("hits")) == 100ms);
  clock.advance(100ms);
  CHECK(must(store.increment("hits")) == 1);
  CHECK_FALSE(must(store.ttl("hits")).has_value());
}

TEST_CASE("get_and_put and get_and_erase give what was there") {
  Store store = must(Store::open_in_memory());
  CHECK_FALSE(must(store.get_and_put("k", "1")).has_value());
  CHECK(must(store.get_and_put("k", "2")) == Bytes("1"));
  CHECK(must(store.get_and_erase("k")) == Bytes("2"));
  CHECK_FALSE(must(store.get_and_erase("k")).has_value());
  CHECK_FALSE(must(store.contains("k")));
}

TEST_CASE("merge makes the new value from the old") {
  Store store = must(Store::open_in_memory());
  const auto append = [](std::optional<BytesView> current) {
    return Bytes((current ? current->str() : std::string()) + "x");
  };
  REQUIRE_OK(store.merge("k", append));
  REQUIRE_OK(store.merge("k", append));
  CHECK(must(store.get("k")) == "xx");
  REQUIRE_OK(store.merge("k", [](std::optional<BytesView>) { return std::optional<Bytes>(); }));
  CHECK_FALSE(must(store.contains("k")));
}

TEST_CASE("a merge that fails or throws changes nothing, in a transaction too") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", "1"));
  const auto refuse = [](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    return Unexpected(Error(Errc::exists, "mine", "no"));
  };
  const auto toss = [](std::optional<BytesView>) -> Bytes { throw std::runtime_error("no"); };
  CHECK(store.merge("k", refuse).error() == Errc::exists);
  REQUIRE_ERROR(store.merge("k", toss), Errc::aborted, "merge");
  CHECK(must(store.get("k")) == "1");

  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("other", "2"));
  CHECK(transaction.merge("k", refuse).error() == Errc::exists);
  REQUIRE_ERROR(transaction.merge("k", toss), Errc::aborted, "merge");
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.get("k")) == "1");
  CHECK(must(store.get("other")) == "2");
}

TEST_CASE("concurrent increments lose nothing, and failing neighbours fail alone") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db"), {.sync = Sync::off}));
  REQUIRE_OK(store.put("text", "no number"));
  constexpr int threads = 4;
  constexpr int rounds = 300;
  std::vector<int> wrong(threads);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      Store mine = store;
      for (int i = 0; i < rounds; ++i) {
        if (!mine.increment("n")) ++wrong[static_cast<std::size_t>(t)];
        if (mine.increment("text")) ++wrong[static_cast<std::size_t>(t)];
      }
    });
  }
  for (std::thread& thread : pool) thread.join();
  CHECK(wrong == std::vector<int>(threads));
  CHECK(must(store.increment("n", 0)) == threads * rounds);
  CHECK(must(store.get("text")) == "no number");
}
