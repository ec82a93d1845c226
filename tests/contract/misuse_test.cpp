// Misuse of the adapter that it refuses or repairs, though the engine itself would only assert.
#include "core/store_state.hpp"
#include "fixture.hpp"

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("C4: an insert after the seek of another key goes to its own place", "[C4]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    REQUIRE(seek(cursor, "a") == 0);
    const int rc = insert(cursor, "z", "26");
    CHECK((rc == ok || rc == moved || rc == misuse));
    if (rc == ok) must_rc(writing.transaction.commit());
  }
  {
    const Reading reading(connection);
    const Contents found = rows(connection, file.t);
    CHECK(found.size() >= 3);
    CHECK(found.front() == std::pair<std::string, std::string>("a", "1"));
  }
  file.require_sound();
}

TEST_CASE("T1: a writable cursor needs a write transaction", "[T1]") {
  const File file;
  Connection connection = file.open();
  const Reading reading(connection);
  btree::Cursor cursor;
  CHECK(cursor.open(connection.get(), file.t, SNKV_BT_ROWS, true) == misuse);
}

TEST_CASE("T1: emptying a tree needs a write transaction", "[T1]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  const Reading reading(connection);
  CHECK(snkv_bt_clear(connection.get(), file.t) == misuse);
}

TEST_CASE("T11: a second begin does not heal a poisoned transaction", "[T11]") {
  const File file;
  Connection connection = file.open();
  Writing writing(connection);
  snkv_bt_poison(connection.get());
  std::uint32_t cookie = 0;
  CHECK(snkv_bt_begin_write(connection.get(), &cookie) != ok);
  CHECK(snkv_bt_poisoned(connection.get()) != 0);
  CHECK(writing.transaction.commit() == poisoned);
}

TEST_CASE("T14: a savepoint needs a write transaction", "[T14]") {
  const File file;
  Connection connection = file.open();
  {
    const Lock lock(connection);
    CHECK(snkv_bt_savepoint(connection.get(), 0) == misuse);
    CHECK(snkv_bt_in_write(connection.get()) == 0);
    snkv_bt_rollback(connection.get());
  }
  const Reading reading(connection);
  CHECK(snkv_bt_savepoint(connection.get(), 0) == misuse);
  CHECK(snkv_bt_in_write(connection.get()) == 0);
}

TEST_CASE("S3: a family can be made while an iterator of the transaction is open", "[S3]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  must(store.put("a", "1"));
  must(store.put("b", "2"));
  Transaction transaction = must(store.begin());
  Iterator it = transaction.iterator();
  it.seek_first();
  REQUIRE_OK(transaction.create_column_family("f"));
  it.next();
  REQUIRE(it.valid());
  CHECK(it.key() == BytesView("b"));
  REQUIRE_OK(transaction.drop_column_family("f"));
  REQUIRE_OK(transaction.commit());
}

TEST_CASE("S3: the first large value can be put while scanning", "[S3]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  must(store.put("a", "1"));
  must(store.put("b", "2"));
  Transaction transaction = must(store.begin());
  Range scan = transaction.all();
  for (auto [key, value] : scan) REQUIRE_OK(transaction.put(key, std::string(50'000, 'x')));
  REQUIRE_OK(scan.status());
  REQUIRE_OK(transaction.commit());
}
