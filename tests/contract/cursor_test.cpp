// C3 to C6, K3: cursors and writes on the same tree inside a transaction.
#include "fixture.hpp"

#include <algorithm>
#include <chrono>
#include <random>

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("a write takes the position of the tree's other cursors and of no others", "[C3]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}});
  put_committed(connection, file.u, {{"x", "24"}, {"y", "25"}});
  const Writing writing(connection);
  btree::Cursor writer = cursor_on(connection, file.t, true);
  btree::Cursor same = cursor_on(connection, file.t);
  btree::Cursor elsewhere = cursor_on(connection, file.u);
  const int change = GENERATE(0, 1, 2);
  CAPTURE(change);
  REQUIRE(seek(same, "a") == 0);
  REQUIRE(seek(elsewhere, "x") == 0);
  REQUIRE(seek(writer, "b") == 0);
  switch (change) {
    case 0:
      must_rc(insert(writer, "b", "overwritten"));
      break;
    case 1:
      must_rc(put(writer, "c", "new"));
      break;
    default:
      must_rc(snkv_bt_delete(writer.get()));
  }
  CHECK(snkv_bt_valid(same.get()) == 0);
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  CHECK(snkv_bt_payload(same.get(), &data, &local, &size) == moved);
  CHECK(snkv_bt_valid(elsewhere.get()) != 0);
  REQUIRE(move(elsewhere, snkv_bt_next));
  CHECK(key_at(elsewhere) == "y");
  // It lost its position only: it can seek again.
  CHECK(seek(same, "a") == 0);
  CHECK(snkv_bt_is_dead(same.get()) == 0);
}

TEST_CASE("the writing cursor has no position after a write either", "[C3]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.t, true);
  must_rc(put(cursor, "b", "other"));
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
  REQUIRE(seek(cursor, "b") == 0);
  must_rc(snkv_bt_delete(cursor.get()));
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
}

TEST_CASE("an insert after a stale seek still puts the row in its place", "[C4]") {
  const File file;
  Connection connection = file.open();
  Contents entries;
  for (int i = 0; i < 400; i += 2) entries.emplace_back(numbered(i), std::string(60, 'v'));
  put_committed(connection, file.t, entries);
  {
    Writing writing(connection);
    btree::Cursor a = cursor_on(connection, file.t, true);
    btree::Cursor b = cursor_on(connection, file.t, true);
    for (int i = 1; i < 400; i += 10) {
      // The seek is done, then pages split and merge under it.
      REQUIRE(seek(a, numbered(i)) != 0);
      for (int k = 2; k < 8; k += 2) {
        must_rc(put(b, numbered(i + k), std::string(900, 'w')));
        REQUIRE(seek(b, numbered((i + k * 37) / 2 * 2 % 400)) <= 1);
      }
      must_rc(put(b, numbered(i - 1), ""));
      must_rc(insert(a, numbered(i), "late"));
    }
    must_rc(writing.transaction.commit());
  }
  const Reading reading(connection);
  const Contents found = rows(connection, file.t);
  CHECK(std::is_sorted(found.begin(), found.end()));
  CHECK(std::adjacent_find(found.begin(), found.end(), [](const auto& x, const auto& y) {
          return x.first == y.first;
        }) == found.end());
  CHECK(std::count_if(found.begin(), found.end(),
                      [](const auto& entry) { return entry.second == "late"; }) == 40);
  file.require_sound();
}

TEST_CASE("an insert without any seek finds the place itself", "[C4]") {
  const File file;
  Connection connection = file.open();
  std::vector<int> order(500);
  for (int i = 0; i < 500; ++i) order[static_cast<std::size_t>(i)] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    for (const int i : order) must_rc(insert(cursor, numbered(i), "first"));
    for (const int i : order) must_rc(insert(cursor, numbered(i), patterned(i % 50, i)));
    must_rc(writing.transaction.commit());
  }
  const Reading reading(connection);
  const Contents found = rows(connection, file.t);
  REQUIRE(found.size() == 500);
  for (int i = 0; i < 500; ++i) {
    REQUIRE(found[static_cast<std::size_t>(i)].first == numbered(i));
    REQUIRE((found[static_cast<std::size_t>(i)].second == patterned(i % 50, i)));
  }
  file.require_sound();
}

TEST_CASE("delete refuses a row that was not just sought and found", "[C5]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.t, true);
  btree::Cursor other = cursor_on(connection, file.t, true);

  SECTION("never positioned") { CHECK(snkv_bt_delete(cursor.get()) == moved); }
  SECTION("sought, not found") {
    REQUIRE(seek(cursor, "bb") != 0);
    CHECK(snkv_bt_delete(cursor.get()) == moved);
  }
  SECTION("stepped away") {
    REQUIRE(seek(cursor, "a") == 0);
    REQUIRE(move(cursor, snkv_bt_next));
    CHECK(snkv_bt_delete(cursor.get()) == moved);
  }
  SECTION("another cursor overwrote the row") {
    REQUIRE(seek(cursor, "b") == 0);
    must_rc(put(other, "b", std::string(200, 'x')));
    CHECK(snkv_bt_delete(cursor.get()) == moved);
  }
  SECTION("another cursor deleted the row") {
    REQUIRE(seek(cursor, "b") == 0);
    REQUIRE(seek(other, "b") == 0);
    must_rc(snkv_bt_delete(other.get()));
    CHECK(snkv_bt_delete(cursor.get()) == moved);
    must_rc(put(other, "b", "2"));
  }
  SECTION("deleted it already") {
    REQUIRE(seek(cursor, "b") == 0);
    must_rc(snkv_bt_delete(cursor.get()));
    CHECK(snkv_bt_delete(cursor.get()) == moved);
    must_rc(put(other, "b", "2"));
  }
  // A refused delete is no failed write: the transaction goes on.
  must_rc(writing.transaction.commit());
  const Reading reading(connection);
  CHECK(rows(connection, file.t).size() == 3);
}

TEST_CASE("a delete that says ok has deleted", "[C5]") {
  const File file;
  Connection connection = file.open();
  Contents entries;
  for (int i = 0; i < 300; ++i) entries.emplace_back(numbered(i), std::string(150, 'v'));
  put_committed(connection, file.t, entries);
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    btree::Cursor other = cursor_on(connection, file.t, true);
    for (int i = 0; i < 300; ++i) {
      REQUIRE(seek(cursor, numbered(i)) == 0);
      if (i % 2 == 0) must_rc(put(other, numbered(i), std::string(400, 'w')));
      const int rc = snkv_bt_delete(cursor.get());
      REQUIRE((rc == ok || rc == moved));
      REQUIRE((seek(other, numbered(i)) == 0) == (rc == moved));
    }
    must_rc(writing.transaction.commit());
  }
  file.require_sound();
}

TEST_CASE("an empty tree and the two ends are no errors and have no row", "[C6]") {
  const File file;
  Connection connection = file.open();
  {
    const Reading reading(connection);
    btree::Cursor cursor = cursor_on(connection, file.t);
    CHECK(seek(cursor, "a") != 0);
    CHECK(snkv_bt_valid(cursor.get()) == 0);
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    CHECK(snkv_bt_payload(cursor.get(), &data, &local, &size) == moved);
    CHECK_FALSE(move(cursor, snkv_bt_first));
    CHECK_FALSE(move(cursor, snkv_bt_last));
  }
  put_committed(connection, file.t, {{"b", "2"}, {"d", "4"}});
  const Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  // Off either end: on the nearest row, and the sign says on which side of the key that is.
  CHECK(seek(cursor, "e") < 0);
  CHECK(key_at(cursor) == "d");
  CHECK_FALSE(move(cursor, snkv_bt_next));
  CHECK(snkv_bt_valid(cursor.get()) == 0);
  const int before = seek(cursor, "a");
  CHECK(before > 0);
  CHECK(key_at(cursor) == "b");
  CHECK_FALSE(move(cursor, snkv_bt_prev));
  CHECK(move_rc(cursor, snkv_bt_prev) == moved);
}

TEST_CASE("a cursor whose row another one wrote does not guess where it was", "[K3]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "m"}, {"b", "m"}, {"c", "m"}});
  const Writing writing(connection);
  btree::Cursor reader = cursor_on(connection, file.t);
  btree::Cursor writer = cursor_on(connection, file.t, true);
  // The engine's own restore compares the next column too: a larger one shows the row again.
  const std::string value = GENERATE("zzzz", "");
  const Expiry expires_at = GENERATE(Expiry(), Expiry(5));
  CAPTURE(value, expires_at.has_value());
  REQUIRE(seek(reader, "a") == 0);
  must_rc(put(writer, "a", value, expires_at));
  CHECK(move_rc(reader, snkv_bt_next) == moved);
  CHECK(move_rc(reader, snkv_bt_prev) == moved);
  // The way on: seek by one's own copy of the key.
  REQUIRE(seek(reader, "a") == 0);
  REQUIRE(move(reader, snkv_bt_next));
  CHECK(key_at(reader) == "b");
}

TEST_CASE("an iterator of a transaction meets each key once while values change", "[K3]") {
  const TempDir dir;
  const core::Target target = open_target(dir.file("a.db"));
  core::Target scope;
  REQUIRE_FALSE(core::begin(target, {}, scope).failed());
  Transaction transaction(scope);
  constexpr int count = 200;
  for (int i = 0; i < count; ++i) must(transaction.put(numbered(i), "m"));
  const bool forward = GENERATE(true, false);
  const std::string value = GENERATE("zz", "");
  const bool expiring = GENERATE(true, false);
  CAPTURE(forward, value, expiring);
  std::vector<std::string> met;
  Range scan = forward ? transaction.all() : transaction.all().reversed();
  for (auto [key, old] : scan) {
    met.push_back(key.str());
    REQUIRE(met.size() <= count);  // the fault is a scan without end
    PutOptions options;
    if (expiring) options.ttl = std::chrono::hours(1);
    must(transaction.put(key, value, options));
  }
  must(scan.status());
  if (!forward) std::reverse(met.begin(), met.end());
  REQUIRE(met.size() == count);
  for (int i = 0; i < count; ++i) CHECK(met[static_cast<std::size_t>(i)] == numbered(i));
}

TEST_CASE("an iterator of a transaction goes on when its row is erased", "[K3]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  Transaction transaction = must(store.begin());
  for (int i = 0; i < 100; ++i) must(transaction.put(numbered(i), std::string(i % 7 * 50, 'v')));
  std::vector<std::string> met;
  Range scan = transaction.all();
  for (auto [key, value] : scan) {
    met.push_back(key.str());
    REQUIRE(met.size() <= 100);
    REQUIRE(must(transaction.erase(key)));
  }
  must(scan.status());
  CHECK(met.size() == 100);
  CHECK(must(transaction.count()) == 0);
}
