// The sorted table in memory: order, versions, lookups beside the one that adds.
#include "buffer/table_cursor.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::buffer;

Tables only(const std::shared_ptr<Memtable>& table) { return {table, nullptr}; }

std::string keys_of(TableCursor& at, bool forward) {
  std::string out;
  if (forward) {
    at.seek({});
  } else {
    at.seek_last();
  }
  for (; at.get() != nullptr; forward ? at.next() : at.prev()) out += at.get()->key().str() + " ";
  return out;
}

TEST_CASE("keys are in the order of memcmp, whatever their length, and families apart") {
  const auto table = std::make_shared<Memtable>(4096);
  const std::string with_nul("a\0", 2);
  Sequence sequence = 0;
  for (const std::string& key :
       {std::string("b"), with_nul, std::string("a"), std::string("abcdefghi"),
        std::string("abcdefgh"), std::string("abcdefgha"), std::string("\xff")}) {
    table->add(7, key, Version::Kind::put, "v", 0, ++sequence);
  }
  table->add(8, "a", Version::Kind::put, "other", 0, ++sequence);
  table->add(6, "z", Version::Kind::put, "other", 0, ++sequence);
  TableCursor at(only(table), 7, newest);
  CHECK(keys_of(at, true) == "a " + with_nul + " abcdefgh abcdefgha abcdefghi b \xff ");
  CHECK(keys_of(at, false) == "\xff b abcdefghi abcdefgha abcdefgh " + with_nul + " a ");
  TableCursor none(only(table), 9, newest);
  CHECK(keys_of(none, true).empty());
  CHECK(keys_of(none, false).empty());
}

TEST_CASE("a lookup sees what was added up to its number") {
  Memtable table(4096);
  table.add(1, "k", Version::Kind::put, "one", 0, 1);
  table.add(1, "k", Version::Kind::erase, {}, 0, 2);
  Version* third = table.add(1, "k", Version::Kind::put, "three", 0, 3);
  CHECK(table.find(1, "k", 0).version == nullptr);
  CHECK(table.find(1, "k", 1).version->value() == "one");
  CHECK_FALSE(table.find(1, "k", 2).version->is_put());
  CHECK(table.find(1, "k", newest).version->value() == "three");
  Memtable::undo(*third);
  CHECK_FALSE(table.find(1, "k", newest).version->is_put());
  CHECK(table.find(1, "l", newest).version == nullptr);
  CHECK(table.find(2, "k", newest).version == nullptr);
}

TEST_CASE("ranges hide what is older, and can be undone") {
  const auto table = std::make_shared<Memtable>(4096);
  table->add(1, "b", Version::Kind::put, "old", 0, 1);
  table->add_range(1, {Bytes("a"), Bytes("c"), true}, 2);
  table->add(1, "b", Version::Kind::put, "new", 0, 3);
  table->add_range(1, {Bytes("c"), {}, false}, 4);
  CHECK(table->find(1, "b", newest).erased == 2);
  CHECK(table->find(1, "b", newest).version->sequence() == 3);
  CHECK(table->find(1, "zzz", newest).erased == 4);
  CHECK(table->find(1, "zzz", 3).erased == 0);
  CHECK(table->find(2, "b", newest).erased == 0);
  TableCursor before(only(table), 1, 2);
  before.seek({});
  CHECK(before.is_erased());
  TableCursor after(only(table), 1, 3);
  after.seek({});
  CHECK_FALSE(after.is_erased());
  table->undo_ranges(4, 4);
  CHECK(table->find(1, "zzz", newest).erased == 0);
  CHECK(table->range_count() == 1);
}

TEST_CASE("what is allocated is counted") {
  Memtable table(1 << 16);
  const std::size_t empty = table.bytes();
  CHECK(empty >= 1 << 16);
  const std::string value(1000, 'v');
  for (Sequence i = 1; i <= 1000; ++i)
    table.add(1, std::to_string(i), Version::Kind::put, value, 0, i);
  CHECK(table.bytes() >= 1000 * 1000);
  CHECK(table.bytes() < 1000 * (1000 + 200) + 2 * (1 << 16));
  CHECK(table.bytes_with(1 << 20) >= table.bytes() + (1 << 20));
}

TEST_CASE("a walk goes both ways as the model does, over two tables") {
  const unsigned seed = 7;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const Tables tables{std::make_shared<Memtable>(4096), std::make_shared<Memtable>(4096)};
  std::map<std::string, std::string> model;
  Sequence sequence = 0;
  Sequence as_of = 0;
  for (int i = 0; i < 4000; ++i) {
    // The older table first.
    Memtable& table = i < 2000 ? *tables.frozen : *tables.active;
    const std::string key = std::to_string(random() % 700);
    const std::string value = std::to_string(i);
    table.add(3, key, Version::Kind::put, value, 0, ++sequence);
    if (i < 3000) {
      model[key] = value;
      as_of = sequence;
    }
  }
  TableCursor at(tables, 3, as_of);
  auto expected = model.end();
  at.seek("5");
  expected = model.lower_bound("5");
  for (int i = 0; i < 20000; ++i) {
    if (expected == model.end()) {
      REQUIRE(at.get() == nullptr);
      const std::string key = std::to_string(random() % 700);
      if (random() % 2 == 0) {
        at.seek(key);
        expected = model.lower_bound(key);
      } else {
        at.seek_before(key, false);
        expected = model.lower_bound(key);
        expected = expected == model.begin() ? model.end() : std::prev(expected);
      }
      continue;
    }
    REQUIRE(at.get() != nullptr);
    REQUIRE(at.get()->key().str() == expected->first);
    REQUIRE(at.get()->value().str() == expected->second);
    if (random() % 3 != 0) {
      at.next();
      ++expected;
    } else {
      at.prev();
      expected = expected == model.begin() ? model.end() : std::prev(expected);
    }
  }
}

TEST_CASE(
    "readers beside the one that adds see whole versions, and all up to the number that was told") {
  Memtable table(1 << 16);
  constexpr Sequence writes = 30000;
  std::atomic<Sequence> told{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (unsigned reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      std::mt19937 random(reader);
      Sequence as_of = 0;
      while ((as_of = told.load(std::memory_order_acquire)) < writes) {
        if (as_of == 0) continue;
        const Sequence wanted = 1 + random() % as_of;
        const Found found = table.find(1, std::to_string(wanted * 7919 % 100003), as_of);
        if (found.version == nullptr || found.version->value() != std::to_string(wanted))
          wrong.fetch_add(1);
      }
    });
  }
  for (Sequence i = 1; i <= writes; ++i) {
    table.add(1, std::to_string(i * 7919 % 100003), Version::Kind::put, std::to_string(i), 0, i);
    told.store(i, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
}

}  // namespace
