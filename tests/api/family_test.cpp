// Column families: names, life and death, and that none sees the entries of another.
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

/// Every operation of a handle whose family is gone.
void check_dropped(ColumnFamily family) {
  REQUIRE_ERROR(family.get("key"), Errc::dropped, "get");
  REQUIRE_ERROR(family.contains("key"), Errc::dropped, "contains");
  REQUIRE_ERROR(family.count(), Errc::dropped, "count");
  REQUIRE_ERROR(family.put("key", "ghost"), Errc::dropped, "put");
  REQUIRE_ERROR(family.erase("key"), Errc::dropped, "erase");
  REQUIRE_ERROR(family.clear(), Errc::dropped, "clear");
  Range range = family.all();
  CHECK(range.begin() == range.end());
  REQUIRE_ERRC(range.status(), Errc::dropped);
  Iterator iterator = family.iterator();
  iterator.seek("key");
  CHECK_FALSE(iterator.valid());
  REQUIRE_ERRC(iterator.status(), Errc::dropped);
}

const Names odd_names = {
    "x",
    "with space",
    " leading and trailing ",
    "double\"quote",
    "single'quote",
    "back`tick",
    "[brackets]",
    "semi;colon -- comment",
    "percent%s%n",
    "new\nline",
    "back\\slash",
    "123",
    "1.5",
    "NULL",
    "select",
    "TABLE",
    "order by",
    "main.default",
    "sqlite",
    "snkv",
    "not_snkv_",
    "\xc3\xa4\xc3\xb6",          // a and o with dots
    "\xe6\x97\xa5\xe6\x9c\xac",  // Japan
    "\xf0\x9f\x90\xa2",          // a tortoise, outside the first plane
    "\x01\x7f",
};

const Names bad_names = {
    "",
    std::string("nul\0inside", 10),
    std::string(1, '\0'),
    std::string(max_family_name_size + 1, 'n'),
    std::string(100'000, 'n'),
    "snkv_",
    "snkv_meta",
    "snkv_mine",
    "SNKV_meta",
    "sqlite_",
    "sqlite_schema",
    "SQLite_mine",
    "\x80",                  // a continuation byte alone
    "\xc3",                  // a sequence cut short
    "a\xe6\x97",             // the same
    "\xc0\x80",              // NUL, overlong
    "\xe0\x80\xaf",          // a slash, overlong
    "\xed\xa0\x80",          // half of a surrogate pair
    "\xf4\x90\x80\x80",      // above U+10FFFF
    "\xff\xfe",              // no UTF-8 at all
};

}  // namespace

TEST_CASE("families are created, opened and listed") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_ERRC(store.open_column_family("users"), Errc::not_found);
  ColumnFamily users = must(store.create_column_family("users"));
  CHECK(users.name() == "users");
  REQUIRE_ERRC(store.create_column_family("users"), Errc::exists);
  REQUIRE_OK(users.put("key", "value"));
  CHECK(must(must(store.open_column_family("users")).get("key")) == "value");
  CHECK(must(must(store.column_family("users")).get("key")) == "value");
  ColumnFamily made = must(store.column_family("made"));
  CHECK(must(made.count()) == 0);
  CHECK(must(store.list_column_families()) == Names{"default", "made", "users"});
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("families are still there after a reopen") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  {
    Store store = open_kind(kind, dir, no_sync());
    REQUIRE_OK(must(store.create_column_family("one")).put("key", "1"));
    REQUIRE_OK(must(store.create_column_family("two")).put("key", "2"));
    REQUIRE_OK(must(store.create_column_family("three")).put("key", "3"));
    REQUIRE_OK(store.drop_column_family("two"));
  }
  Store store = open_kind(kind, dir, no_sync());
  CHECK(must(store.list_column_families()) == Names{"default", "one", "three"});
  CHECK(must(must(store.open_column_family("three")).get("key")) == "3");
  REQUIRE_ERRC(store.open_column_family("two"), Errc::not_found);
}

TEST_CASE("the default family is a family like the others") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily family = store.default_column_family();
  CHECK(family.name() == "default");
  REQUIRE_OK(family.put("key", "value"));
  CHECK(must(store.get("key")) == "value");
  CHECK(must(must(store.open_column_family("default")).get("key")) == "value");
  CHECK(must(must(store.column_family("default")).get("key")) == "value");
  REQUIRE_ERRC(store.create_column_family("default"), Errc::exists);
}

TEST_CASE("the default family cannot be dropped") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("key", "value"));
  REQUIRE_ERROR(store.drop_column_family("default"), Errc::invalid_argument, "drop");
  CHECK(must(store.get("key")) == "value");
}

TEST_CASE("a family sees its own entries only") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily one = must(store.create_column_family("one"));
  ColumnFamily two = must(store.create_column_family("two"));
  REQUIRE_OK(store.put("key", "default"));
  REQUIRE_OK(one.put("key", patterned(50'000, 1)));
  REQUIRE_OK(two.put("key", patterned(50'000, 2)));
  REQUIRE_OK(one.put("only one", "1"));
  CHECK(must(store.get("key")) == "default");
  CHECK((must(one.get("key")) == BytesView(patterned(50'000, 1))));
  CHECK((must(two.get("key")) == BytesView(patterned(50'000, 2))));
  REQUIRE_ERRC(two.get("only one"), Errc::not_found);
  CHECK(must(one.count()) == 2);
  CHECK(must(two.count()) == 1);

  CHECK(must(one.erase("key")));
  CHECK(must(two.contains("key")));
  REQUIRE_OK(one.clear());
  CHECK(must(one.count()) == 0);
  CHECK((must(two.get("key")) == BytesView(patterned(50'000, 2))));
  REQUIRE_OK(store.drop_column_family("one"));
  CHECK((must(two.get("key")) == BytesView(patterned(50'000, 2))));
  CHECK(must(store.get("key")) == "default");
}

TEST_CASE("a dropped family is gone for every handle") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily family = must(store.create_column_family("family"));
  const ColumnFamily copy = family;
  REQUIRE_OK(family.put("key", "value"));
  REQUIRE_OK(store.drop_column_family("family"));
  CHECK(must(store.list_column_families()) == Names{"default"});
  REQUIRE_ERRC(store.open_column_family("family"), Errc::not_found);
  REQUIRE_ERROR(store.drop_column_family("family"), Errc::not_found, "drop");
  check_dropped(family);
  check_dropped(copy);
  CHECK(family.name() == "family");
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a new family of the same name has nothing to do with the old one") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  std::vector<ColumnFamily> old;
  for (int round = 0; round < 5; ++round) {
    ColumnFamily family = must(store.create_column_family("family"));
    CHECK(must(family.count()) == 0);
    REQUIRE_OK(family.put("key", std::to_string(round)));
    for (const ColumnFamily& dead : old) check_dropped(dead);
    CHECK(must(family.get("key")) == std::to_string(round));
    CHECK(must(family.count()) == 1);
    REQUIRE_OK(store.drop_column_family("family"));
    // What comes to lie where the family was is not to be mistaken for it.
    REQUIRE_OK(must(store.column_family("neighbour" + std::to_string(round))).put("key", "no"));
    check_dropped(family);
    old.push_back(family);
  }
}

TEST_CASE("a drop through one store is seen by another on the same file") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store one = open_kind(kind, dir, no_sync());
  Store two = open_kind(kind, dir, no_sync());
  ColumnFamily mine = must(one.create_column_family("family"));
  REQUIRE_OK(mine.put("key", "value"));
  ColumnFamily theirs = must(two.open_column_family("family"));
  CHECK(must(theirs.get("key")) == "value");
  CHECK(must(two.list_column_families()) == Names{"default", "family"});

  REQUIRE_OK(two.drop_column_family("family"));
  check_dropped(mine);
  ColumnFamily again = must(two.create_column_family("family"));
  REQUIRE_OK(again.put("key", "new"));
  check_dropped(mine);
  check_dropped(theirs);
  CHECK(must(must(one.open_column_family("family")).get("key")) == "new");
  REQUIRE_OK(one.put("default", "still fine"));
}

TEST_CASE("odd names are names") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Names names = odd_names;
  names.push_back(std::string(max_family_name_size, 'n'));
  std::string wide;
  while (wide.size() + 3 <= max_family_name_size) wide += "\xe6\x97\xa5";
  names.push_back(wide);
  {
    Store store = open_kind(kind, dir, no_sync());
    for (const std::string& name : names) {
      CAPTURE(name);
      ColumnFamily family = must(store.create_column_family(name));
      CHECK(family.name() == name);
      REQUIRE_OK(family.put("name", name));
      REQUIRE_OK(family.put("large", patterned(30'000, name.size())));
    }
    Names expected = names;
    expected.push_back("default");
    std::sort(expected.begin(), expected.end());
    CHECK(must(store.list_column_families()) == expected);
    REQUIRE_OK(store.integrity_check());
    if (kind == StoreKind::memory) return;
  }
  Store store = open_kind(kind, dir, no_sync());
  for (const std::string& name : names) {
    CAPTURE(name);
    ColumnFamily family = must(store.open_column_family(name));
    CHECK(must(family.get("name")) == name);
    CHECK((must(family.get("large")) == BytesView(patterned(30'000, name.size()))));
    REQUIRE_OK(family.clear());
    REQUIRE_OK(store.drop_column_family(name));
  }
  CHECK(must(store.list_column_families()) == Names{"default"});
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("bad names are refused by every call that takes one") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("key", "value"));
  for (const std::string& name : bad_names) {
    CAPTURE(name);
    REQUIRE_ERRC(store.create_column_family(name), Errc::invalid_argument);
    REQUIRE_ERRC(store.column_family(name), Errc::invalid_argument);
    REQUIRE_ERRC(store.open_column_family(name), Errc::invalid_argument);
    REQUIRE_ERRC(store.drop_column_family(name), Errc::invalid_argument);
  }
  CHECK(must(store.list_column_families()) == Names{"default"});
  CHECK(must(store.get("key")) == "value");
  REQUIRE_OK(store.create_column_family("good"));
}

TEST_CASE("names that differ only in the case of ASCII letters cannot exist together") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily users = must(store.create_column_family("users"));
  REQUIRE_OK(users.put("key", "value"));
  for (const char* name : {"Users", "USERS", "userS"}) {
    CAPTURE(name);
    REQUIRE_ERRC(store.create_column_family(name), Errc::exists);
    REQUIRE_ERRC(store.column_family(name), Errc::exists);
    // They are names of other families, which do not exist.
    REQUIRE_ERRC(store.open_column_family(name), Errc::not_found);
    REQUIRE_ERRC(store.drop_column_family(name), Errc::not_found);
  }
  REQUIRE_ERRC(store.create_column_family("Default"), Errc::exists);
  REQUIRE_ERRC(store.drop_column_family("DEFAULT"), Errc::not_found);
  CHECK(must(store.list_column_families()) == Names{"default", "users"});
  CHECK(must(users.get("key")) == "value");
  REQUIRE_OK(store.drop_column_family("users"));
  REQUIRE_OK(store.create_column_family("USERS"));
  CHECK(must(store.list_column_families()) == Names{"USERS", "default"});
}

TEST_CASE("names that differ in the case of other letters are different") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  ColumnFamily small = must(store.create_column_family("\xc3\xa4"));
  ColumnFamily capital = must(store.create_column_family("\xc3\x84"));
  REQUIRE_OK(small.put("key", "small"));
  REQUIRE_OK(capital.put("key", "capital"));
  CHECK(must(small.get("key")) == "small");
}

TEST_CASE("two hundred families") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  constexpr int family_count = 200;
  Store store = open_kind(kind, dir, {.sync = Sync::off});
  std::vector<ColumnFamily> families;
  for (int i = 0; i < family_count; ++i) {
    families.push_back(must(store.create_column_family("family " + std::to_string(i))));
  }
  Transaction transaction = must(store.begin());
  for (int i = 0; i < family_count; ++i) {
    auto inside = must(transaction.open_column_family("family " + std::to_string(i)));
    REQUIRE_OK(inside.put("key", std::to_string(i)));
  }
  REQUIRE_OK(transaction.commit());
  for (int i = 0; i < family_count; i += 2) {
    REQUIRE_OK(store.drop_column_family("family " + std::to_string(i)));
  }
  CHECK(must(store.list_column_families()).size() == family_count / 2 + 1);
  for (int i = 0; i < family_count; ++i) {
    CAPTURE(i);
    if (i % 2 == 0) {
      REQUIRE_ERRC(families[i].get("key"), Errc::dropped);
    } else {
      REQUIRE(must(families[i].get("key")) == std::to_string(i));
    }
  }
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("dropping a family gives its pages back") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  std::uint64_t pages_after_first = 0;
  for (int round = 0; round < 6; ++round) {
    ColumnFamily family = must(store.create_column_family("family"));
    Transaction transaction = must(store.begin());
    ColumnFamily inside = must(transaction.open_column_family("family"));
    for (int i = 0; i < 200; ++i) {
      REQUIRE_OK(inside.put(std::to_string(i), patterned(i % 10 == 0 ? 30'000 : 300)));
    }
    REQUIRE_OK(transaction.commit());
    REQUIRE_OK(store.drop_column_family("family"));
    if (round == 0) pages_after_first = must(store.stats()).db_pages;
  }
  CHECK(must(store.stats()).db_pages <= pages_after_first + 5);
}
