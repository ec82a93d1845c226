// T8 to T11: what happens when a write or a commit fails.
#include "core/store_state.hpp"
#include "fixture.hpp"

using namespace snkv;
using namespace snkv::contract;

namespace {

/// A store that cannot grow by more than a few pages, and its target.
core::Target full_store(const TempDir& dir) {
  core::Target target = open_target(dir.file("full.db"), {.page_size = 4096});
  btree::Connection& writer = target.store->writer;
  run(writer, "PRAGMA max_page_count=30");
  return target;
}

/// The same as handles.
Transaction begin(const core::Target& store) {
  core::Target target;
  const Error error = core::begin(store, {}, target);
  if (error.failed()) FAIL(error.message());
  return Transaction(std::move(target));
}
ColumnFamily entries_of(const core::Target& store) { return ColumnFamily(store); }

/// Puts until the store is full; the number of entries before that.
template <class Writer>
int fill(Writer& writer) {
  for (int i = 0;; ++i) {
    auto put = writer.put(numbered(i), std::string(900, 'x'));
    if (put) continue;
    REQUIRE_ERROR(put, Errc::full, "put");
    return i;
  }
}

}  // namespace

TEST_CASE("a commit that finds a reader stays open and can be tried again", "[T8]") {
  const File file(Log::journal);
  Connection writer = file.open();
  Connection reader = file.open();
  Writing writing(writer);
  btree::Cursor cursor = cursor_on(writer, file.t, true);
  must_rc(put(cursor, "a", "1"));
  {
    const Reading reading(reader);
    CHECK(rows(reader, file.t).empty());
    CHECK(writing.transaction.commit() == busy);
    CHECK(snkv_bt_in_write(writer.get()) != 0);
    CHECK(snkv_bt_is_dead(cursor.get()) != 0);
    CHECK(rows(writer, file.t) == Contents{{"a", "1"}});
    CHECK(writing.transaction.commit() == busy);
  }
  CHECK(writing.transaction.commit() == ok);
  CHECK(snkv_bt_in_write(writer.get()) == 0);
  const Reading reading(reader);
  CHECK(rows(reader, file.t) == Contents{{"a", "1"}});
}

TEST_CASE("a transaction survives a busy commit", "[T8]") {
  const TempDir dir;
  Options options{.journal = Journal::rollback};
  options.busy_timeout = std::chrono::milliseconds(0);
  Store store = must(Store::open(dir.file("a.db"), options));
  must(store.put("k", "old"));
  Transaction transaction = must(store.begin());
  must(transaction.put("k", "new"));
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERROR(transaction.commit(), Errc::busy, "commit");
    CHECK(must(transaction.get("k")) == BytesView("new"));
    CHECK(must(snapshot.get("k")) == BytesView("old"));
  }
  must(transaction.put("l", "more"));
  must(transaction.commit());
  CHECK(contents_of(store) == Contents{{"k", "new"}, {"l", "more"}});
  // Outside a transaction there is nobody to try again: nothing stays open.
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_ERROR(store.put("k", "lost"), Errc::busy, "put");
  CHECK(must(store.get("k")) == BytesView("new"));
}

TEST_CASE("a rollback closes every cursor and needs no position saved", "[T9]") {
  // That it needs no memory either is for the fault injection tests.
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", std::string(3000, 'a')}});
  std::vector<btree::Cursor> cursors;
  {
    Writing writing(connection);
    for (int i = 0; i < 3; ++i) {
      cursors.push_back(cursor_on(connection, file.t, i == 0));
      REQUIRE(seek(cursors.back(), "a") == 0);
    }
    cursors.push_back(cursor_on(connection, file.u, true));
    must_rc(put(cursors.back(), "z", "26"));
    writing.transaction.rollback();
    for (btree::Cursor& cursor : cursors) CHECK(snkv_bt_is_dead(cursor.get()) != 0);
    CHECK(snkv_bt_in_write(connection.get()) == 0);
  }
  const Reading reading(connection);
  CHECK(rows(connection, file.u).empty());
}

TEST_CASE("an operation on several trees happens as a whole or not at all", "[T10]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  static_cast<void>(must(Store::open(path)));
  // Its large value is missing: replacing or erasing the row fails after the row was changed.
  static_cast<void>(sqlite_cli(
      path, "INSERT INTO \"default\"(key, large_id, large_size) VALUES(x'6b', 5, 9)"));
  Store store = must(Store::open(path));
  REQUIRE_ERRC(store.put("k", "small"), Errc::corrupt);
  REQUIRE_ERRC(store.erase("k"), Errc::corrupt);
  CHECK(must(store.contains("k")));
  CHECK(sqlite_cli(path, "SELECT large_id FROM \"default\"") == "5");

  Transaction transaction = must(store.begin());
  must(transaction.put("a", "1"));
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_ERRC(transaction.erase("k"), Errc::corrupt);
  REQUIRE_ERROR(transaction.commit(), Errc::rollback_required, "commit");
  must(savepoint.rollback());
  must(savepoint.release());
  must(transaction.commit());
  CHECK(sqlite_cli(path, "SELECT count(*) FROM \"default\"") == "2");
}

TEST_CASE("after a failed write nothing but a rollback is possible", "[T11]") {
  const File file;
  Connection connection = file.open();
  snkv_bt* bt = connection.get();
  put_committed(connection, file.t, {{"a", "1"}});
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    must_rc(put(cursor, "b", "2"));
    snkv_bt_poison(bt);
    CHECK(snkv_bt_poisoned(bt) != 0);
    CHECK(insert(cursor, "c", "3") == poisoned);
    CHECK(seek(cursor, "a") == 0);
    CHECK(snkv_bt_delete(cursor.get()) == poisoned);
    CHECK(snkv_bt_clear(bt, file.t) == poisoned);
    CHECK(writing.transaction.commit() == poisoned);
    CHECK(snkv_bt_in_write(bt) != 0);
  }
  CHECK(snkv_bt_poisoned(bt) == 0);
  {
    const Reading reading(connection);
    CHECK(rows(connection, file.t) == Contents{{"a", "1"}});
  }
  put_committed(connection, file.t, {{"c", "3"}});
}

TEST_CASE("the engine's own failure of a write forbids the commit", "[T11]") {
  const File file;
  Connection connection = file.open();
  run(connection, "PRAGMA max_page_count=20");
  Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.t, true);
  int rc = ok;
  for (int i = 0; rc == ok; ++i) rc = put(cursor, numbered(i), std::string(900, 'x'));
  CHECK(rc == SNKV_BT_FULL);
  // Not even a seek: the tree in memory may be torn, and the engine says corrupt then.
  CHECK(insert(cursor, "z", "small") == poisoned);
  CHECK(writing.transaction.commit() == poisoned);
}

TEST_CASE("a full store fails whole operations and keeps what it had", "[T11]") {
  const TempDir dir;
  const core::Target store = full_store(dir);
  ColumnFamily entries = entries_of(store);
  must(entries.put("first", "value"));
  const int count = fill(entries);
  CHECK(count > 10);
  CHECK(must(entries.count()) == static_cast<std::uint64_t>(count) + 1);
  CHECK(must(entries.get("first")) == BytesView("value"));
  // A value in many pieces, of which the first ones find room.
  REQUIRE_ERRC(entries.put("big", std::string(400'000, 'b')), Errc::full);
  CHECK_FALSE(must(entries.contains("big")));
  // The same handle works as soon as there is room.
  must(entries.erase(numbered(0)));
  must(entries.put("fits", "v"));
  CHECK(sqlite_cli(dir.file("full.db"), "PRAGMA integrity_check") == "ok");
}

TEST_CASE("a savepoint brings a transaction back from a full store", "[T11]") {
  const TempDir dir;
  const core::Target store = full_store(dir);
  {
    Transaction transaction = begin(store);
    must(transaction.put("kept", "value"));
    Savepoint savepoint = must(transaction.savepoint());
    REQUIRE(fill(transaction) > 10);
    REQUIRE_ERROR(transaction.put("k", "v"), Errc::rollback_required, "put");
    REQUIRE_ERROR(transaction.get("kept"), Errc::rollback_required, "get");
    REQUIRE_ERROR(savepoint.release(), Errc::rollback_required, "savepoint release");
    REQUIRE_ERROR(transaction.commit(), Errc::rollback_required, "commit");
    must(savepoint.rollback());
    CHECK(must(transaction.get("kept")) == BytesView("value"));
    must(savepoint.release());
    must(transaction.commit());
  }
  CHECK(contents_of(entries_of(store)) == Contents{{"kept", "value"}});
}
