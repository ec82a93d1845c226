// Many column families: making one does not read all the others again, and what is known of them without
// reading is what there is.
#include "support/check.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <new>
#include <string>
#include <vector>

namespace {
std::atomic<std::uint64_t> allocations{0};
}

// Counted instead of time, which depends on the machine: what is read of the schema is allocated.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace snkv;
using namespace snkv::test;

std::string name_of(std::size_t i) { return "family " + std::to_string(i); }

void make_families(Store& store, std::size_t from, std::size_t to) {
  Transaction transaction = must(store.begin());
  for (std::size_t i = from; i < to; ++i) REQUIRE_OK(transaction.create_column_family(name_of(i)));
  REQUIRE_OK(transaction.commit());
}

/// What one use of a family that was just made takes.
std::uint64_t cost_of_creation(Store& store, const std::string& name) {
  const std::uint64_t before = allocations.load();
  {
    ColumnFamily family = must(store.create_column_family(name));
    REQUIRE_OK(family.put("k", "v", {.ttl = std::chrono::hours{1}}));
    REQUIRE_OK(family.put("large", patterned(100'000)));
    REQUIRE_OK(family.get("k"));
    REQUIRE_OK(store.open_column_family(name));
  }
  return allocations.load() - before;
}

/// All that a handle on the file that was opened now sees.
std::string seen_anew(const std::string& path) {
  Store store = must(open_store(path));
  REQUIRE_OK(store.verify());
  std::string out;
  for (const std::string& name : must(store.list_column_families())) {
    ColumnFamily family = must(store.open_column_family(name));
    out += name + ": " + std::to_string(must(family.count()));
    if (auto value = family.get("large")) out += " " + std::to_string(value->size());
    out += "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("making a family takes as much among many as among few") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db"), no_sync()));
  make_families(store, 0, 50);
  cost_of_creation(store, "warm");
  const std::uint64_t among_few = cost_of_creation(store, "few");
  make_families(store, 50, 500);
  cost_of_creation(store, "warm again");
  const std::uint64_t among_many = cost_of_creation(store, "many");
  CAPTURE(among_few, among_many);
  CHECK(among_many < among_few + 100);
  REQUIRE_OK(store.verify());
}

TEST_CASE("the families that are known are those that there are") {
  const TempDir dir;
  const std::string path = dir.file("store.db");
  Store store = must(open_store(path, no_sync()));
  Store other = must(open_store(path, no_sync()));
  const auto check_same = [&] {
    std::string seen;
    for (Store* handle : {&store, &other}) {
      seen.clear();
      for (const std::string& name : must(handle->list_column_families())) {
        ColumnFamily family = must(handle->open_column_family(name));
        seen += name + ": " + std::to_string(must(family.count()));
        if (auto value = family.get("large")) seen += " " + std::to_string(value->size());
        seen += "\n";
      }
      CHECK(seen == seen_anew(path));
    }
  };
  make_families(store, 0, 5);
  check_same();
  {
    Transaction transaction = must(store.begin());
    ColumnFamily family = must(transaction.create_column_family("first"));
    REQUIRE_OK(family.put("large", patterned(50'000)));
    Savepoint savepoint = must(transaction.savepoint());
    ColumnFamily undone = must(transaction.create_column_family("undone"));
    REQUIRE_OK(undone.put("large", patterned(60'000)));
    REQUIRE_OK(savepoint.rollback());
    REQUIRE_ERROR(undone.put("k", "v"), Errc::dropped, "put");
    ColumnFamily again = must(transaction.create_column_family("undone"));
    REQUIRE_OK(again.put("large", patterned(70'000)));
    REQUIRE_ERROR(transaction.create_column_family("FIRST"), Errc::exists, "create_column_family");
    REQUIRE_OK(transaction.commit());
  }
  check_same();
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.create_column_family("rolled back"));
    REQUIRE_OK(transaction.rollback());
  }
  REQUIRE_ERROR(store.open_column_family("rolled back"), Errc::not_found, "open_column_family");
  check_same();
  // The two take turns, and dropping moves trees.
  REQUIRE_OK(other.drop_column_family("first"));
  ColumnFamily small = must(store.create_column_family("First"));
  REQUIRE_OK(small.put("k", "v", {.ttl = std::chrono::hours{1}}));
  REQUIRE_OK(other.drop_column_family(name_of(0)));
  REQUIRE_OK(must(other.create_column_family("from the other")).put("large", patterned(80'000)));
  REQUIRE_OK(small.put("large", patterned(90'000)));
  REQUIRE_OK(store.drop_column_family("undone"));
  check_same();
  REQUIRE_ERROR(store.create_column_family("FROM THE OTHER"), Errc::exists, "create_column_family");
  REQUIRE_ERROR(other.create_column_family("first"), Errc::exists, "create_column_family");
}

/// Prints what it takes: `test_family_count "[.times]"`.
TEST_CASE("times with many families", "[.times]") {
  using Clock = std::chrono::steady_clock;
  const TempDir dir;
  const std::string path = dir.file("store.db");
  const auto ms = [](Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  };
  std::size_t made = 0;
  for (const std::size_t count : {100u, 1500u, 10'000u}) {
    Store store = must(open_store(path, no_sync()));
    make_families(store, made, count);
    made = count;
    for (int kind = 0; kind < 4; ++kind) {
      const char* const names[] = {"create", "column_family", "list", "drop"};
      const auto begin = Clock::now();
      for (std::size_t i = 0; i < 20; ++i) {
        const std::string name = "timed " + std::to_string(i);
        if (kind == 0) REQUIRE_OK(store.create_column_family(name));
        if (kind == 1) REQUIRE_OK(store.column_family(name));
        if (kind == 2) REQUIRE_OK(store.list_column_families());
        if (kind == 3) REQUIRE_OK(store.drop_column_family(name));
      }
      std::cout << count << " families: " << names[kind] << " " << ms(begin) / 20 << " ms\n";
    }
    REQUIRE_OK(store.close());
    const auto begin = Clock::now();
    Store again = must(open_store(path, no_sync()));
    REQUIRE_OK(again.open_column_family(name_of(7)));
    std::cout << count << " families: open and the first look " << ms(begin) << " ms\n";
  }
}
