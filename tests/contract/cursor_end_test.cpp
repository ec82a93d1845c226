// C1, C2, C7: what becomes of cursors at the end of a transaction.
#include "fixture.hpp"

using namespace snkv;
using namespace snkv::contract;

namespace {

enum class End { read, commit, rollback, savepoint, savepoint_rollback, savepoint_release };

void end(End how, snkv_bt* bt) {
  switch (how) {
    case End::read:
      return snkv_bt_end_read(bt);
    case End::commit:
      return must_rc(snkv_bt_commit(bt));
    case End::rollback:
      return snkv_bt_rollback(bt);
    case End::savepoint:
      return must_rc(snkv_bt_savepoint(bt, 1));
    case End::savepoint_rollback:
      return must_rc(snkv_bt_savepoint_rollback(bt, 0));
    case End::savepoint_release:
      return must_rc(snkv_bt_savepoint_release(bt, 0));
  }
}

/// Whether everybody is gone from the log, so that it can start from its beginning.
bool log_is_free(Connection& connection) {
  std::uint32_t frames = 0;
  std::uint32_t done = 0;
  const int rc = snkv_bt_checkpoint(connection.get(), 3, &frames, &done);
  REQUIRE((rc == ok || rc == busy));
  return rc == ok;
}

}  // namespace

TEST_CASE("every end of a transaction or savepoint closes the cursors", "[C1]") {
  const End how = GENERATE(End::read, End::commit, End::rollback, End::savepoint,
                           End::savepoint_rollback, End::savepoint_release);
  CAPTURE(static_cast<int>(how));
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}});
  const Lock lock(connection);
  std::uint32_t cookie = 0;
  must_rc(how == End::read ? snkv_bt_begin_read(connection.get(), &cookie)
                           : snkv_bt_begin_write(connection.get(), &cookie));
  if (how >= End::savepoint) must_rc(snkv_bt_savepoint(connection.get(), 0));
  btree::Cursor first = cursor_on(connection, file.t);
  btree::Cursor second = cursor_on(connection, file.t);
  btree::Cursor third = cursor_on(connection, file.u);
  REQUIRE(seek(first, "a") == 0);
  REQUIRE(move(second, snkv_bt_last));
  end(how, connection.get());
  for (btree::Cursor* cursor : {&first, &second, &third}) {
    CHECK(snkv_bt_is_dead(cursor->get()) != 0);
    CHECK(snkv_bt_valid(cursor->get()) == 0);
    CHECK(move_rc(*cursor, snkv_bt_next) == moved);
  }
  if (snkv_bt_in_write(connection.get()) != 0) snkv_bt_rollback(connection.get());
}

TEST_CASE("after the end of a read transaction no page and no snapshot stays", "[C1]") {
  const File file;
  Connection reader = file.open();
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  btree::Cursor forgotten;
  {
    const Reading reading(reader);
    forgotten = cursor_on(reader, file.t);
    REQUIRE(seek(forgotten, "a") == 0);
    put_committed(writer, file.t, {{"a", "2"}});
    CHECK_FALSE(log_is_free(writer));
  }
  // The engine gives up its place in the log only when the last page is released.
  CHECK(log_is_free(writer));
  put_committed(writer, file.t, {{"a", "3"}});
  const Reading reading(reader);
  CHECK(rows(reader, file.t) == Contents{{"a", "3"}});
}

TEST_CASE("after the end of a write transaction no page and no snapshot stays", "[C1]") {
  const File file;
  Connection a = file.open();
  Connection b = file.open();
  const bool commit = GENERATE(true, false);
  btree::Cursor forgotten;
  {
    Writing writing(a);
    forgotten = cursor_on(a, file.t, true);
    must_rc(put(forgotten, "a", "1"));
    REQUIRE(seek(forgotten, "a") == 0);
    if (commit) must_rc(writing.transaction.commit());
  }
  put_committed(b, file.t, {{"b", "2"}});
  CHECK(log_is_free(b));
  put_committed(b, file.t, {{"c", "3"}});
  {
    const Reading reading(a);
    CHECK(rows(a, file.t).size() == (commit ? 3 : 2));
  }
  put_committed(a, file.t, {{"d", "4"}});
  file.require_sound();
}

TEST_CASE("two handles take turns: A.get, B.put, A.put, A.get", "[C1]") {
  const TempDir dir;
  Store a = must(Store::open(dir.file("a.db")));
  Store b = must(Store::open(dir.file("a.db")));
  must(a.put("k", "0"));
  for (int i = 1; i <= 20; ++i) {
    const std::string number = std::to_string(i);
    CHECK(must(a.get("k")) == BytesView(std::to_string(i - 1)));
    must(b.put("k", "b" + number));
    must(b.put("of b", std::string(static_cast<std::size_t>(i) * 100, 'x')));
    must(a.put("of a", number));
    CHECK(must(a.get("k")) == BytesView("b" + number));
    CHECK(must(b.get("of a")) == BytesView(number));
    must(a.put("k", number));
  }
  must(a.integrity_check());
}

TEST_CASE("a commit ends the view: the next transaction seeks again and sees more", "[C2]") {
  const File file;
  Connection a = file.open();
  Connection b = file.open();
  put_committed(a, file.t, {{"a", "1"}, {"c", "3"}});
  const Lock lock(a);
  std::uint32_t cookie = 0;
  must_rc(snkv_bt_begin_write(a.get(), &cookie));
  btree::Cursor cursor = cursor_on(a, file.t, true);
  must_rc(put(cursor, "a", "one"));
  REQUIRE(seek(cursor, "a") == 0);
  must_rc(snkv_bt_commit(a.get()));
  put_committed(b, file.t, {{"b", "2"}});
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
  must_rc(snkv_bt_begin_read(a.get(), &cookie));
  // The handle of the old transaction is not revived by the new one.
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
  cursor = cursor_on(a, file.t);
  REQUIRE(seek(cursor, "a") == 0);
  REQUIRE(move(cursor, snkv_bt_next));
  CHECK(key_at(cursor) == "b");
  snkv_bt_end_read(a.get());
}

TEST_CASE("an iterator and a snapshot outlive commits of the same store", "[C2]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  for (int i = 0; i < 100; ++i) must(store.put(numbered(i), "old"));
  const Snapshot snapshot = must(store.snapshot());
  int met = 0;
  Range scan = store.all();
  for (auto [key, value] : scan) {
    REQUIRE(value == BytesView("old"));
    must(store.put(key, "new and longer"));
    must(store.put(key.str() + "+", "more"));
    ++met;
  }
  must(scan.status());
  CHECK(met == 100);
  CHECK(must(snapshot.count()) == 100);
  CHECK(must(store.count()) == 200);
}

TEST_CASE("after a rollback cursors are closed, and new ones work", "[C7]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  Writing writing(connection);
  must_rc(snkv_bt_savepoint(connection.get(), 0));
  btree::Cursor cursor = cursor_on(connection, file.t, true);
  must_rc(put(cursor, "b", "2"));
  must_rc(snkv_bt_savepoint_rollback(connection.get(), 0));
  int order = 0;
  CHECK(snkv_bt_seek(cursor.get(), "a", 1, &order) == moved);
  CHECK(insert(cursor, "b", "2") == moved);
  cursor = cursor_on(connection, file.t, true);
  CHECK(seek(cursor, "b") != 0);
  must_rc(put(cursor, "c", "3"));
  must_rc(writing.transaction.commit());
  const Reading reading(connection);
  CHECK(rows(connection, file.t) == Contents{{"a", "1"}, {"c", "3"}});
}

TEST_CASE("an iterator of a transaction goes on after a savepoint was rolled back", "[C7]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  for (int i = 0; i < 10; ++i) must(store.put(numbered(i), "v"));
  Transaction transaction = must(store.begin());
  Iterator it = transaction.iterator();
  it.seek_first();
  {
    Savepoint savepoint = must(transaction.savepoint());
    must(transaction.erase(numbered(1)));
    must(savepoint.rollback());
  }
  it.next();
  must(it.status());
  REQUIRE(it.valid());
  CHECK(it.key() == BytesView(numbered(1)));
}
