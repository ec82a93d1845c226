// K1, K2, K4: keys are found, in the right order, by the key columns alone.
#include "fixture.hpp"

#include <chrono>
#include <random>
#include <set>

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("reading between writes never meets a record it cannot compare", "[K1]") {
  const File file;
  Connection connection = file.open();
  Writing writing(connection);
  btree::Cursor reader = cursor_on(connection, file.t);
  btree::Cursor writer = cursor_on(connection, file.t, true);
  for (int i = 0; i < 200; ++i) must_rc(put(writer, numbered(i), std::string(40, 'v')));
  std::string at = numbered(0);
  int met = 1;
  for (;;) {
    must_rc(put(writer, at, std::string(static_cast<std::size_t>(met % 90), 'w')));
    REQUIRE(seek(reader, at) == 0);
    if (!move(reader, snkv_bt_next)) break;
    at = key_at(reader);
    ++met;
  }
  CHECK(met == 200);
  must_rc(writing.transaction.commit());
}

TEST_CASE("the engine finds through SQL what we inserted, and we what it did", "[K1]") {
  const File file;
  Connection connection = file.open();
  Contents entries;
  for (int i = 0; i < 500; ++i) entries.emplace_back(patterned(1 + i % 300, i), "ours");
  put_committed(connection, file.t, entries);
  for (const auto& [key, value] : entries) {
    Statement statement;
    must_rc(statement.prepare(connection, "SELECT value FROM t WHERE key=?1"));
    must_rc(snkv_bt_bind_blob(statement.get(), 1, key.data(), size32(key.size())));
    REQUIRE(statement.step() == SNKV_BT_ROW);
    REQUIRE(statement.bytes(0).view() == "ours");
  }
  run(connection, "INSERT INTO t(key, value, large_id, large_size) "
                  "SELECT CAST('sql' || key AS BLOB), x'73', 1, 2 FROM t");
  const Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  for (const auto& [key, value] : entries) {
    REQUIRE(seek(cursor, key) == 0);
    REQUIRE(value_at(cursor) == "ours");
  }
  REQUIRE(seek(cursor, "sql") != 0);
}

TEST_CASE("overwriting a key never makes a second one", "[K2]") {
  const File file;
  Connection connection = file.open();
  const bool sought = GENERATE(true, false);
  CAPTURE(sought);
  // The engine's own search looks at one column more than the key: here, at expires_at.
  const std::vector<std::pair<std::string, Expiry>> values = {
      {"m", {}}, {"z", 5},      {"a", 900}, {"", 1}, {std::string(500, 'm'), {}},
      {"a", -1}, {"longer", 7}, {std::string(3000, 'a'), 1'700'000'000'000}, {"m", {}}};
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    btree::Cursor check = cursor_on(connection, file.t);
    for (const auto& [value, expires_at] : values) {
      for (const char* key : {"k1", "k2", "k3"}) {
        must_rc(sought ? put(cursor, key, value, expires_at)
                       : insert(cursor, key, value, expires_at));
        REQUIRE(seek(check, key) == 0);
        REQUIRE((value_at(check) == value));
      }
      std::uint64_t entries = 0;
      must_rc(snkv_bt_count(check.get(), &entries));
      REQUIRE(entries <= 3);
    }
    must_rc(writing.transaction.commit());
  }
  const Reading reading(connection);
  CHECK(rows(connection, file.t) == Contents{{"k1", "m"}, {"k2", "m"}, {"k3", "m"}});
  file.require_sound();
}

TEST_CASE("a store keeps one entry per key whatever is put", "[K2]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  for (const char* value : {"m", "z", "a", "", "zz"}) {
    must(store.put("k", value));
    must(store.put("k", value, {.ttl = std::chrono::hours(5)}));
    must(store.put("k", value, {.ttl = std::chrono::hours(2)}));
  }
  must(store.put("k", std::string(10'000, 'x')));
  must(store.put("k", "last"));
  CHECK(contents_of(store) == Contents{{"k", "last"}});
  CHECK(must(store.count()) == 1);
  CHECK(sqlite_cli(dir.file("a.db"), "PRAGMA integrity_check") == "ok");
}

TEST_CASE("seeks agree with an ordered set", "[K4]") {
  const File file;
  Connection connection = file.open();
  std::mt19937_64 random(3);
  // Short keys of few letters: prefixes of each other, and bytes that a text comparison gets wrong.
  const auto random_key = [&] {
    const std::string letters("\x00\x01\x7f\x80\xff", 5);
    std::string key(1 + random() % 4, '\0');
    for (char& byte : key) byte = letters[random() % letters.size()];
    if (random() % 8 == 0) key += std::string(1500, 'l');
    return key;
  };
  std::set<std::string> model;
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    for (int i = 0; i < 400; ++i) {
      const std::string key = random_key();
      must_rc(put(cursor, key, "v"));
      model.insert(key);
    }
    must_rc(writing.transaction.commit());
  }
  const Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  for (int i = 0; i < 3000; ++i) {
    const std::string key = random_key();
    const int order = seek(cursor, key);
    REQUIRE((order == 0) == model.contains(key));
    REQUIRE(snkv_bt_valid(cursor.get()) != 0);
    const std::string at = key_at(cursor);
    if (order == 0) REQUIRE((at == key));
    if (order > 0) REQUIRE((at == *model.upper_bound(key)));
    if (order < 0) REQUIRE((at == *std::prev(model.lower_bound(key))));
  }
}

TEST_CASE("keys of an integer and a blob are ordered by both", "[K4]") {
  const File file;
  Connection connection = file.open();
  std::mt19937_64 random(4);
  const auto random_key = [&] {
    constexpr std::int64_t times[] = {-1, 0, 1, 127, 128, 1'700'000'000'000, 1'700'000'000'001};
    const std::int64_t time = times[random() % 7];
    return std::pair<std::int64_t, std::string>(time, patterned(1 + random() % 3, 1));
  };
  std::set<std::pair<std::int64_t, std::string>> model;
  const auto seek_pair = [](btree::Cursor& cursor, const auto& key) {
    int order = 77;
    must_rc(snkv_bt_seek_expiry(cursor.get(), key.first, key.second.data(),
                                size32(key.second.size()), &order));
    return order;
  };
  {
    Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.expiry, true, SNKV_BT_EXPIRY);
    for (int i = 0; i < 300; ++i) {
      const auto key = random_key();
      const Column columns[] = {Column::of(key.first), Column::of(BytesView(key.second))};
      const std::string record = record_of(columns);
      if (i % 2 == 0) static_cast<void>(seek_pair(cursor, key));
      must_rc(snkv_bt_insert_expiry(cursor.get(), key.first, key.second.data(),
                                    size32(key.second.size()), record.data(),
                                    size32(record.size())));
      model.insert(key);
    }
    const auto gone = *model.begin();
    REQUIRE(seek_pair(cursor, gone) == 0);
    must_rc(snkv_bt_delete(cursor.get()));
    REQUIRE(seek_pair(cursor, gone) != 0);
    model.erase(gone);
    must_rc(writing.transaction.commit());
  }
  {
    const Reading reading(connection);
    btree::Cursor cursor = cursor_on(connection, file.expiry, false, SNKV_BT_EXPIRY);
    for (const auto& key : model) REQUIRE(seek_pair(cursor, key) == 0);
    std::uint64_t entries = 0;
    must_rc(snkv_bt_count(cursor.get(), &entries));
    CHECK(entries == model.size());
  }
  CHECK(number(connection, "SELECT count(*) FROM expiry") == static_cast<int>(model.size()));
  CHECK(number(connection, "SELECT min(expires_at) FROM expiry") == model.begin()->first);
  file.require_sound();
}
