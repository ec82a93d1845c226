// The transaction of a handle, and what belongs to it.
#include "c_api/kv.hpp"
#include "support/temp_dir.hpp"

#include <string>
#include <thread>

using namespace snkv::test;

namespace {

KVColumnFamily* make_family(KVStore* store, const char* name) {
  KVColumnFamily* family = nullptr;
  REQUIRE(kvstore_cf_create(store, name, &family) == KVSTORE_OK);
  return family;
}

/// Stores in a file with either journal, and in memory.
KVStore* open_either(const TempDir& dir) {
  const int which = GENERATE(0, 1, 2);
  CAPTURE(which);
  if (which == 0) return open_kv(memory);
  const int journal = which == 1 ? KVSTORE_JOURNAL_WAL : KVSTORE_JOURNAL_ROLLBACK;
  return open_kv(dir.file("x.db"), {.journalMode = journal});
}

}  // namespace

TEST_CASE("what is rolled back never was, expiry included") {
  const TempDir dir;
  KVStore* store = open_either(dir);
  const std::int64_t past = 1;
  REQUIRE(kvstore_put_ttl(store, "t", 1, "x", 1, past) == KVSTORE_OK);
  REQUIRE(put(store, "k", "before") == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "k", "after") == KVSTORE_OK);
  REQUIRE(put(store, "t", "alive") == KVSTORE_OK);
  CHECK(get(store, "t") == "alive");
  REQUIRE(kvstore_delete(store, "k", 1) == KVSTORE_OK);
  CHECK_FALSE(get(store, "k"));
  REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
  CHECK(get(store, "k") == "before");
  CHECK_FALSE(get(store, "t"));
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("reading what has expired does not commit the transaction") {
  const TempDir dir;
  KVStore* store = open_either(dir);
  REQUIRE(kvstore_put_ttl(store, "t", 1, "x", 1, 1) == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  CHECK_FALSE(get(store, "t"));
  REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
  CHECK_FALSE(get(store, "k"));
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("the calls of other threads on the handle belong to its transaction") {
  KVStore* store = open_kv(memory);
  KVColumnFamily* family = make_family(store, "f");
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  int codes[3] = {-1, -1, -1};
  std::thread([&] {
    codes[0] = put(store, "k", "v");
    codes[1] = put(family, "k", "v");
    codes[2] = kvstore_rollback(store);
  }).join();
  for (const int code : codes) CHECK(code == KVSTORE_OK);
  CHECK_FALSE(get(store, "k"));
  CHECK_FALSE(get(family, "k"));
  kvstore_cf_close(family);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a transaction for reading sees one moment") {
  const TempDir dir;
  KVStore* store = open_kv(dir.file("x.db"));
  KVStore* other = open_kv(dir.file("x.db"));
  KVColumnFamily* family = make_family(store, "f");
  REQUIRE(put(store, "k", "1") == KVSTORE_OK);
  REQUIRE(put(family, "k", "1") == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 0) == KVSTORE_OK);
  CHECK(kvstore_begin(store, 0) == KVSTORE_OK);
  REQUIRE(put(other, "k", "2") == KVSTORE_OK);
  CHECK(get(store, "k") == "1");
  CHECK(get(family, "k") == "1");
  CHECK(put(family, "k", "3") == KVSTORE_READONLY);
  CHECK(kvstore_clear(store) == KVSTORE_READONLY);
  KVColumnFamily* made = nullptr;
  CHECK(kvstore_cf_create(store, "g", &made) == KVSTORE_READONLY);
  CHECK(kvstore_cf_drop(store, "f") == KVSTORE_READONLY);
  CHECK(kvstore_purge_expired(store, nullptr) == KVSTORE_READONLY);
  REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
  CHECK(get(store, "k") == "2");

  // One for writing takes its place.
  REQUIRE(kvstore_begin(store, 0) == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "k", "4") == KVSTORE_OK);
  REQUIRE(kvstore_commit(store) == KVSTORE_OK);
  CHECK(get(other, "k") == "4");
  kvstore_cf_close(family);
  REQUIRE(kvstore_close(other) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("two handles see each other's commits and write in turn") {
  const TempDir dir;
  KVStore* one = open_kv(dir.file("x.db"));
  KVStore* two = open_kv(dir.file("x.db"));
  for (int i = 0; i < 20; ++i) {
    KVStore* writer = i % 2 == 0 ? one : two;
    KVStore* reader = i % 2 == 0 ? two : one;
    const std::string value = std::to_string(i);
    REQUIRE(put(writer, "k", value) == KVSTORE_OK);
    CHECK(get(reader, "k") == value);
    CHECK(get(writer, "k") == value);
  }
  REQUIRE(kvstore_close(one) == KVSTORE_OK);
  REQUIRE(kvstore_close(two) == KVSTORE_OK);
}

TEST_CASE("families made and dropped in a transaction") {
  const TempDir dir;
  KVStore* store = open_either(dir);
  KVColumnFamily* old = make_family(store, "old");
  REQUIRE(put(old, "k", "v") == KVSTORE_OK);

  SECTION("made and committed") {
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    KVColumnFamily* made = make_family(store, "new");
    REQUIRE(put(made, "k", "v") == KVSTORE_OK);
    CHECK(get(old, "k") == "v");
    REQUIRE(kvstore_commit(store) == KVSTORE_OK);
    CHECK(get(made, "k") == "v");
    REQUIRE(put(made, "k", "w") == KVSTORE_OK);
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    CHECK(get(made, "k") == "w");
    REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
    kvstore_cf_close(made);
  }
  SECTION("made and rolled back") {
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    KVColumnFamily* made = make_family(store, "new");
    KVColumnFamily* opened = nullptr;
    CHECK(kvstore_cf_open(store, "new", &opened) == KVSTORE_OK);
    REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
    CHECK(put(made, "k", "v") == KVSTORE_ERROR);
    CHECK(put(opened, "k", "v") == KVSTORE_ERROR);
    kvstore_cf_close(made);
    kvstore_cf_close(opened);
  }
  SECTION("dropped and rolled back") {
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    REQUIRE(kvstore_cf_drop(store, "old") == KVSTORE_OK);
    CHECK(put(old, "k", "w") == KVSTORE_ERROR);
    REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
    CHECK(get(old, "k") == "v");
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    CHECK(get(old, "k") == "v");
    REQUIRE(kvstore_commit(store) == KVSTORE_OK);
  }
  SECTION("dropped, and another one made of its name") {
    REQUIRE(kvstore_cf_drop(store, "old") == KVSTORE_OK);
    KVColumnFamily* young = make_family(store, "old");
    CHECK(put(old, "k", "w") == KVSTORE_ERROR);
    REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
    CHECK(put(old, "k", "w") == KVSTORE_ERROR);
    CHECK(put(young, "k", "young") == KVSTORE_OK);
    REQUIRE(kvstore_commit(store) == KVSTORE_OK);
    CHECK(get(young, "k") == "young");
    kvstore_cf_close(young);
  }
  kvstore_cf_close(old);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("sync commits what is open, and goes on") {
  const TempDir dir;
  KVStore* store = open_kv(dir.file("x.db"));
  KVStore* other = open_kv(dir.file("x.db"));
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "a", "1") == KVSTORE_OK);
  REQUIRE(kvstore_sync(store) == KVSTORE_OK);
  CHECK(get(other, "a") == "1");
  REQUIRE(put(store, "b", "2") == KVSTORE_OK);
  CHECK_FALSE(get(other, "b"));
  REQUIRE(kvstore_rollback(store) == KVSTORE_OK);
  CHECK(get(store, "a") == "1");
  CHECK_FALSE(get(store, "b"));
  REQUIRE(kvstore_close(other) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("closing rolls back") {
  const TempDir dir;
  KVStore* store = open_kv(dir.file("x.db"));
  REQUIRE(put(store, "a", "1") == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "b", "2") == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  store = open_kv(dir.file("x.db"));
  CHECK(get(store, "a") == "1");
  CHECK_FALSE(get(store, "b"));
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}
