// Write transactions: what happens together, what is undone, who waits for whom. Savepoints,
// iteration and other threads have files of their own.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

/// Every operation of a transaction that has ended.
void check_ended(Transaction& transaction) {
  REQUIRE_ERROR(transaction.get("a"), Errc::closed, "get");
  REQUIRE_ERROR(transaction.contains("a"), Errc::closed, "contains");
  REQUIRE_ERROR(transaction.count(), Errc::closed, "count");
  REQUIRE_ERROR(transaction.put("a", "ghost"), Errc::closed, "put");
  REQUIRE_ERROR(transaction.erase("a"), Errc::closed, "erase");
  REQUIRE_ERROR(transaction.clear(), Errc::closed, "clear");
  REQUIRE_ERROR(transaction.commit(), Errc::closed, "commit");
  REQUIRE_ERROR(transaction.rollback(), Errc::closed, "rollback");
  REQUIRE_ERROR(transaction.savepoint(), Errc::closed, "savepoint");
  REQUIRE_ERRC(transaction.column_family("family"), Errc::closed);
  REQUIRE_ERRC(transaction.create_column_family("family"), Errc::closed);
  REQUIRE_ERRC(transaction.drop_column_family("family"), Errc::closed);
  REQUIRE_ERRC(transaction.list_column_families(), Errc::closed);
  Range range = transaction.all();
  CHECK(range.begin() == range.end());
  REQUIRE_ERRC(range.status(), Errc::closed);
}

}  // namespace

TEST_CASE("a committed transaction is visible, all of it and only then") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("a", "old"));
  REQUIRE_OK(store.put("gone", "old"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "new"));
  REQUIRE_OK(transaction.put("b", patterned(100'000)));
  CHECK(must(transaction.erase("gone")));

  // Reads outside see the last commit, also on the thread of the transaction.
  CHECK(must(store.get("a")) == "old");
  CHECK_FALSE(must(store.contains("b")));
  CHECK(contents_of(store) == Contents{{"a", "old"}, {"gone", "old"}});
  CHECK(must(store.count()) == 2);

  REQUIRE_OK(transaction.commit());
  CHECK(must(store.get("a")) == "new");
  CHECK((must(store.get("b")) == BytesView(patterned(100'000))));
  REQUIRE_ERRC(store.get("gone"), Errc::not_found);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a transaction reads its own writes") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("a", "1"));
  Transaction transaction = must(store.begin());
  CHECK(must(transaction.get("a")) == "1");
  REQUIRE_OK(transaction.put("a", "2"));
  REQUIRE_OK(transaction.put("b", patterned(50'000)));
  CHECK(must(transaction.get("a")) == "2");
  CHECK(must(transaction.contains("b")));
  CHECK(must(transaction.count()) == 2);
  CHECK(keys(transaction.all()) == Names{"a", "b"});
  CHECK(keys(transaction.prefix("b")) == Names{"b"});
  CHECK(must(transaction.erase("a")));
  CHECK_FALSE(must(transaction.erase("a")));
  REQUIRE_ERRC(transaction.get("a"), Errc::not_found);
  REQUIRE_OK(transaction.clear());
  CHECK(must(transaction.count()) == 0);
  CHECK(contents_of(transaction).empty());
  REQUIRE_OK(transaction.put("c", "3"));
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store) == Contents{{"c", "3"}});
}

TEST_CASE("a rolled back transaction has not been") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool by_destructor = GENERATE(true, false);
  CAPTURE(kind, by_destructor);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (const char* key : {"a", "b", "c"}) REQUIRE_OK(store.put(key, patterned(40'000)));
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("a", "new"));
    CHECK(must(transaction.erase("b")));
    REQUIRE_OK(transaction.clear());
    for (int i = 0; i < 200; ++i) REQUIRE_OK(transaction.put(std::to_string(i), patterned(5000)));
    if (!by_destructor) {
      REQUIRE_OK(transaction.rollback());
      check_ended(transaction);
    }
  }
  CHECK(keys(store.all()) == Names{"a", "b", "c"});
  for (const char* key : {"a", "b", "c"}) {
    CHECK((must(store.get(key)) == BytesView(patterned(40'000))));
  }
  REQUIRE_OK(store.put("d", "after"));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a transaction that wrote nothing can be committed") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(must(store.begin()).commit());
  REQUIRE_OK(must(store.begin()).rollback());
  REQUIRE_OK(store.put("a", "1"));
}

TEST_CASE("after its end a transaction is closed") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "1"));
  ColumnFamily family = must(transaction.create_column_family("family"));
  REQUIRE_OK(family.put("key", "value"));
  REQUIRE_OK(transaction.commit());
  check_ended(transaction);
  REQUIRE_ERRC(family.get("key"), Errc::closed);
  REQUIRE_ERRC(family.put("key", "ghost"), Errc::closed);
  CHECK(must(store.get("a")) == "1");
  CHECK(must(must(store.open_column_family("family")).get("key")) == "value");

  Transaction nothing;
  check_ended(nothing);
  Transaction from = must(store.begin());
  Transaction moved = std::move(from);
  REQUIRE_OK(moved.put("a", "2"));
  REQUIRE_OK(moved.commit());
  CHECK(must(store.get("a")) == "2");
}

TEST_CASE("assigning to a transaction rolls the old one back") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "1"));
  transaction = Transaction();
  CHECK(must(store.count()) == 0);
  transaction = must(store.begin());
  REQUIRE_OK(transaction.put("b", "2"));
  REQUIRE_OK(transaction.commit());
  CHECK(keys(store.all()) == Names{"b"});
}

TEST_CASE("beside an open transaction its thread cannot write") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("a", "1"));
  ColumnFamily family = must(store.create_column_family("family"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("b", "2"));

  REQUIRE_ERROR(store.begin(), Errc::locked, "begin");
  REQUIRE_ERROR(store.put("a", "ghost"), Errc::locked, "put");
  REQUIRE_ERROR(store.erase("a"), Errc::locked, "erase");
  REQUIRE_ERROR(store.clear(), Errc::locked, "clear");
  REQUIRE_ERROR(family.put("a", "ghost"), Errc::locked, "put");
  REQUIRE_ERRC(store.create_column_family("another"), Errc::locked);
  REQUIRE_ERRC(store.column_family("another"), Errc::locked);
  REQUIRE_ERRC(store.drop_column_family("family"), Errc::locked);
  REQUIRE_ERROR(store.checkpoint(), Errc::locked, "checkpoint");
  REQUIRE_ERROR(store.vacuum(), Errc::locked, "vacuum");
  // What exists needs no write.
  REQUIRE_OK(store.column_family("family"));

  REQUIRE_OK(transaction.put("c", "3"));
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store) == Contents{{"a", "1"}, {"b", "2"}, {"c", "3"}});
  CHECK(must(store.list_column_families()) == Names{"default", "family"});
  REQUIRE_OK(store.put("a", "after"));
}

TEST_CASE("families are created and dropped inside a transaction") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool commit = GENERATE(true, false);
  CAPTURE(kind, commit);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  ColumnFamily old = must(store.create_column_family("old"));
  ColumnFamily kept = must(store.create_column_family("kept"));
  REQUIRE_OK(old.put("key", "old"));
  {
    Transaction transaction = must(store.begin());
    CHECK(must(transaction.list_column_families()) == Names{"default", "kept", "old"});
    ColumnFamily inside = must(transaction.open_column_family("old"));
    CHECK(must(inside.get("key")) == "old");
    REQUIRE_OK(transaction.drop_column_family("old"));
    REQUIRE_ERRC(inside.get("key"), Errc::dropped);
    REQUIRE_ERRC(transaction.open_column_family("old"), Errc::not_found);
    REQUIRE_ERRC(transaction.drop_column_family("old"), Errc::not_found);

    ColumnFamily fresh = must(transaction.create_column_family("fresh"));
    REQUIRE_OK(fresh.put("key", patterned(50'000)));
    REQUIRE_ERRC(transaction.create_column_family("fresh"), Errc::exists);
    REQUIRE_ERRC(transaction.create_column_family("snkv_x"), Errc::invalid_argument);
    ColumnFamily again = must(transaction.column_family("old"));
    CHECK(must(again.count()) == 0);
    REQUIRE_OK(again.put("key", "again"));
    REQUIRE_ERRC(inside.get("key"), Errc::dropped);
    REQUIRE_OK(must(transaction.open_column_family("kept")).put("key", "kept"));
    CHECK(must(transaction.list_column_families()) == Names{"default", "fresh", "kept", "old"});

    // Nothing of it is to be seen outside yet.
    CHECK(must(store.list_column_families()) == Names{"default", "kept", "old"});
    CHECK(must(old.get("key")) == "old");
    if (commit) {
      REQUIRE_OK(transaction.commit());
    }
  }
  if (commit) {
    CHECK(must(store.list_column_families()) == Names{"default", "fresh", "kept", "old"});
    REQUIRE_ERRC(old.get("key"), Errc::dropped);
    CHECK(must(must(store.open_column_family("old")).get("key")) == "again");
    CHECK((must(must(store.open_column_family("fresh")).get("key")) ==
           BytesView(patterned(50'000))));
    CHECK(must(kept.get("key")) == "kept");
  } else {
    CHECK(must(store.list_column_families()) == Names{"default", "kept", "old"});
    CHECK(must(old.get("key")) == "old");
    REQUIRE_OK(old.put("key", "newer"));
    CHECK(must(kept.count()) == 0);
  }
  // Whatever happened to the file, what is created now lies in a place of its own.
  REQUIRE_OK(must(store.create_column_family("last")).put("key", "last"));
  CHECK(must(kept.count()) == (commit ? 1 : 0));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a bad argument leaves the transaction as it was") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "1"));
  REQUIRE_ERROR(transaction.put("", "x"), Errc::invalid_argument, "put");
  REQUIRE_ERROR(transaction.put(std::string(max_key_size + 1, 'k'), "x"), Errc::too_large, "put");
  REQUIRE_ERRC(transaction.get(""), Errc::invalid_argument);
  REQUIRE_ERRC(transaction.put("a", "x", {.ttl = 0ms}), Errc::invalid_argument);
  REQUIRE_ERRC(transaction.column_family(""), Errc::invalid_argument);
  REQUIRE_OK(transaction.put("b", "2"));
  REQUIRE_OK(transaction.commit());
  CHECK(contents_of(store) == Contents{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("a transaction outlives its store handle") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Transaction transaction;
  ColumnFamily family;
  {
    Store store = open_kind(kind, dir, no_sync());
    family = store.default_column_family();
    transaction = must(store.begin());
  }
  REQUIRE_OK(transaction.put("a", "1"));
  REQUIRE_OK(transaction.commit());
  CHECK(must(family.get("a")) == "1");
}

TEST_CASE("transact commits what succeeds and undoes what fails") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  const Result<int> answer = store.transact([](Transaction& transaction) -> Result<int> {
    if (auto put = transaction.put("a", "1"); !put) return Unexpected(put.error());
    return 42;
  });
  CHECK(must(answer) == 42);
  CHECK(must(store.get("a")) == "1");

  const Result<void> failed = store.transact([](Transaction& transaction) -> Result<void> {
    must(transaction.put("a", "2"));
    return Unexpected(Error(Errc::aborted, "my operation", "no more"));
  });
  REQUIRE_ERROR(failed, Errc::aborted, "my operation");
  CHECK(must(store.get("a")) == "1");

  // The error of an operation, handed on.
  const auto missing =
      store.transact([](Transaction& transaction) { return transaction.get("none"); });
  REQUIRE_ERROR(missing, Errc::not_found, "get");

  // The body may end the transaction by itself, but then there is nothing left to commit.
  const Result<void> ended =
      store.transact([](Transaction& transaction) { return transaction.rollback(); });
  REQUIRE_ERROR(ended, Errc::closed, "commit");
  REQUIRE_OK(store.put("a", "3"));
}

TEST_CASE("an exception out of transact rolls back") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  const auto body = [](Transaction& transaction) -> Result<void> {
    must(transaction.put("a", "1"));
    throw std::runtime_error("out of here");
  };
  CHECK_THROWS_AS(static_cast<void>(store.transact(body)), std::runtime_error);
  CHECK(must(store.count()) == 0);
  REQUIRE_OK(store.put("a", "2"));
}

TEST_CASE("transact starts anew when the store is busy, from a clean slate") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  int attempts = 0;
  const Result<void> done = store.transact([&](Transaction& transaction) -> Result<void> {
    CHECK(must(transaction.count()) == 0);
    must(transaction.put(std::to_string(attempts), "x"));
    if (++attempts < 3) return Unexpected(Error(Errc::busy, "pretend", "somebody writes"));
    return {};
  });
  REQUIRE_OK(done);
  CHECK(attempts == 3);
  CHECK(keys(store.all()) == Names{"2"});
}

TEST_CASE("transact gives up at last") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  int attempts = 0;
  const Result<void> never = store.transact([&](Transaction&) -> Result<void> {
    ++attempts;
    return Unexpected(Error(Errc::busy, "pretend", "somebody writes"));
  });
  REQUIRE_ERROR(never, Errc::busy, "pretend");
  // "At most 8 times": one run, and at most 8 more.
  CHECK(attempts > 1);
  CHECK(attempts <= 9);
  REQUIRE_OK(store.put("a", "1"));
}
