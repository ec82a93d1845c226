// Savepoints: going back inside a transaction, nested, released, and ended out of order.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("rolling back to a savepoint undoes what came after it, again and again") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("old", "0"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("before", patterned(60'000)));
  Savepoint savepoint = must(transaction.savepoint());
  for (int round = 0; round < 3; ++round) {
    REQUIRE_OK(transaction.put("before", "changed"));
    REQUIRE_OK(transaction.put("after", patterned(60'000)));
    CHECK(must(transaction.erase("old")));
    REQUIRE_OK(savepoint.rollback());
    CHECK(keys(transaction.all()) == Names{"before", "old"});
    CHECK((must(transaction.get("before")) == BytesView(patterned(60'000))));
    CHECK(must(transaction.count()) == 2);
  }
  REQUIRE_OK(transaction.put("last", "1"));
  REQUIRE_OK(savepoint.release());
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"before", "last", "old"});
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a savepoint rolls back when destroyed, unless it was released") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  {
    Savepoint savepoint = must(transaction.savepoint());
    REQUIRE_OK(transaction.put("kept", "1"));
    REQUIRE_OK(savepoint.release());
    REQUIRE_OK(transaction.put("after release", "1"));
  }
  {
    Savepoint savepoint = must(transaction.savepoint());
    REQUIRE_OK(transaction.put("undone", "1"));
    REQUIRE_OK(transaction.clear());
  }
  CHECK(keys(transaction.all()) == Names{"after release", "kept"});
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"after release", "kept"});
}

TEST_CASE("savepoints nest") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("0", "x"));
  Savepoint outer = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("1", "x"));
  Savepoint middle = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("2", "x"));
  Savepoint inner = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("3", "x"));

  REQUIRE_OK(inner.rollback());
  CHECK(keys(transaction.all()) == Names{"0", "1", "2"});
  REQUIRE_OK(inner.release());
  CHECK(keys(transaction.all()) == Names{"0", "1", "2"});
  REQUIRE_OK(middle.release());
  REQUIRE_OK(outer.rollback());
  CHECK(keys(transaction.all()) == Names{"0"});
  REQUIRE_OK(transaction.put("4", "x"));
  REQUIRE_OK(outer.release());
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"0", "4"});
}

TEST_CASE("ending an outer savepoint ends the inner ones") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool by_rollback = GENERATE(true, false);
  CAPTURE(kind, by_rollback);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  Savepoint outer = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("1", "x"));
  Savepoint middle = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("2", "x"));
  std::optional<Savepoint> inner = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("3", "x"));

  if (by_rollback) {
    REQUIRE_OK(outer.rollback());
  } else {
    REQUIRE_OK(outer.release());
  }
  REQUIRE_ERROR(middle.rollback(), Errc::closed, "savepoint");
  REQUIRE_ERROR(middle.release(), Errc::closed, "savepoint");
  REQUIRE_ERRC(inner->rollback(), Errc::closed);
  // Nor does one that has ended undo anything when it goes away.
  REQUIRE_OK(transaction.put("4", "x"));
  inner.reset();
  middle = Savepoint(std::move(outer));
  const Names expected = by_rollback ? Names{"4"} : Names{"1", "2", "3", "4"};
  CHECK(keys(transaction.all()) == expected);
  if (by_rollback) {
    // The outer one itself stays and can be rolled back to.
    REQUIRE_OK(middle.rollback());
    CHECK(must(transaction.count()) == 0);
  }
  REQUIRE_OK(transaction.put("5", "x"));
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == (by_rollback ? Names{"5"} : Names{"1", "2", "3", "4", "5"}));
}

TEST_CASE("a savepoint ends with its transaction and does no harm after it") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  std::optional<Savepoint> savepoint = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("1", "x"));
  // What was not rolled back is part of the transaction.
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"1"});
  REQUIRE_ERROR(savepoint->rollback(), Errc::closed, "savepoint");
  REQUIRE_ERROR(savepoint->release(), Errc::closed, "savepoint");

  // It does not mistake a later transaction for its own, when it goes away inside one.
  Transaction later = must(store.begin());
  Savepoint later_savepoint = must(later.savepoint());
  REQUIRE_OK(later.put("2", "x"));
  savepoint.reset();
  CHECK(keys(later.all()) == Names{"1", "2"});
  REQUIRE_OK(later_savepoint.release());
  REQUIRE_OK(later.commit());
  CHECK(keys(store.all()) == Names{"1", "2"});
}

TEST_CASE("a savepoint that was released twice or moved") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  Transaction transaction = must(store.begin());
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(savepoint.release());
  REQUIRE_ERRC(savepoint.release(), Errc::closed);
  REQUIRE_ERRC(savepoint.rollback(), Errc::closed);

  Savepoint first = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("1", "x"));
  Savepoint moved = std::move(first);
  REQUIRE_OK(moved.rollback());
  CHECK(must(transaction.count()) == 0);
  REQUIRE_OK(transaction.put("2", "x"));
  REQUIRE_OK(moved.release());
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"2"});
}

TEST_CASE("assigning to a savepoint rolls the old one back") {
  // The new one is made first, so it is inside the old one and ends with it.
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  Transaction transaction = must(store.begin());
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("1", "x"));
  savepoint = must(transaction.savepoint());
  CHECK(must(transaction.count()) == 0);
  REQUIRE_ERRC(savepoint.rollback(), Errc::closed);
  REQUIRE_OK(transaction.commit());
}

TEST_CASE("a rollback to a savepoint takes families back") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily old = must(store.create_column_family("old"));
  REQUIRE_OK(old.put("key", "old"));
  Transaction transaction = must(store.begin());
  ColumnFamily inside = must(transaction.open_column_family("old"));
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(inside.put("key", "changed"));
  REQUIRE_OK(transaction.drop_column_family("old"));
  ColumnFamily made = must(transaction.create_column_family("made"));
  REQUIRE_OK(made.put("key", "made"));
  REQUIRE_OK(savepoint.rollback());

  CHECK(must(transaction.list_column_families()) == Names{"default", "old"});
  // The family of this handle is there again; the other one never was.
  CHECK(must(inside.get("key")) == "old");
  REQUIRE_OK(inside.put("key", "new"));
  REQUIRE_ERRC(made.get("key"), Errc::dropped);
  REQUIRE_ERRC(made.put("key", "ghost"), Errc::dropped);
  // What is created now may lie where "made" lay.
  ColumnFamily other = must(transaction.create_column_family("other"));
  REQUIRE_OK(other.put("key", "other"));
  REQUIRE_ERRC(made.get("key"), Errc::dropped);
  REQUIRE_OK(savepoint.release());
  REQUIRE_OK(transaction.commit());
  CHECK(must(old.get("key")) == "new");
  CHECK(must(store.list_column_families()) == Names{"default", "old", "other"});
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a family dropped and made anew after a savepoint is the old one again") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily old = must(store.create_column_family("family"));
  REQUIRE_OK(old.put("key", "old"));
  Transaction transaction = must(store.begin());
  ColumnFamily inside = must(transaction.open_column_family("family"));
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(transaction.drop_column_family("family"));
  ColumnFamily again = must(transaction.create_column_family("family"));
  REQUIRE_OK(again.put("key", "new"));
  REQUIRE_ERRC(inside.get("key"), Errc::dropped);
  REQUIRE_OK(savepoint.rollback());
  CHECK(must(inside.get("key")) == "old");
  REQUIRE_ERRC(again.get("key"), Errc::dropped);
  REQUIRE_OK(savepoint.release());
  REQUIRE_OK(transaction.commit());
  CHECK(must(old.get("key")) == "old");
}

TEST_CASE("many savepoints at once") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  Transaction transaction = must(store.begin());
  std::vector<Savepoint> savepoints;
  for (int i = 0; i < 100; ++i) {
    savepoints.push_back(must(transaction.savepoint()));
    REQUIRE_OK(transaction.put(std::to_string(1000 + i), "x"));
  }
  for (int i = 99; i >= 50; --i) {
    REQUIRE_OK(savepoints[i].rollback());
    REQUIRE(must(transaction.count()) == static_cast<std::uint64_t>(i));
  }
  REQUIRE_OK(savepoints.front().release());
  REQUIRE_OK(transaction.commit());
  CHECK(must(store.count()) == 50);
}
