// What programs that were written for SNKV's C library rely on, and met something else here. Its own test
// programs have most of it.
#include "c_api/kv.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <cstring>
#include <string>
#include <vector>

// As sqlite3.h has them: another definition of the same name would have to be the same, to the token.
#define SQLITE_OK           0   /* Successful result */
#define SQLITE_ERROR        1   /* Generic error */
#define SQLITE_BUSY         5   /* The database file is locked */
#define SQLITE_LOCKED       6   /* A table in the database is locked */
#define SQLITE_NOMEM        7   /* A malloc() failed */
#define SQLITE_READONLY     8   /* Attempt to write a readonly database */
#define SQLITE_CORRUPT     11   /* The database disk image is malformed */
#define SQLITE_NOTFOUND    12   /* Unknown opcode in sqlite3_file_control() */
#define SQLITE_PROTOCOL    15   /* Database lock protocol error */

using namespace snkv::test;

namespace {

/// Whether the file uses a log: byte 18 of the header of the database.
bool uses_log(const std::string& path) { return read_file(path)[18] == 2; }

int create(KVStore* store, const char* name) {
  KVColumnFamily* family = nullptr;
  const int code = kvstore_cf_create(store, name, &family);
  kvstore_cf_close(family);
  return code;
}

std::vector<std::string> families(KVStore* store) {
  char** names = nullptr;
  int count = 0;
  REQUIRE(kvstore_cf_list(store, &names, &count) == KVSTORE_OK);
  std::vector<std::string> out(names, names + count);
  for (int i = 0; i < count; ++i) sqliteFree(names[i]);
  sqliteFree(names);
  return out;
}

}  // namespace

TEST_CASE("what a config names is meant, and what it leaves at 0 is the default") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  REQUIRE(kvstore_close(open_kv(path, {.journalMode = KVSTORE_JOURNAL_DELETE})) == KVSTORE_OK);
  CHECK_FALSE(uses_log(path));
  REQUIRE(kvstore_close(open_kv(path, {})) == KVSTORE_OK);
  CHECK(uses_log(path));
  // That nothing is synced cannot be seen from here; that the name has a meaning of its own can.
  CHECK(KVSTORE_SYNC_OFF != 0);
  CHECK(KVSTORE_SYNC_OFF != KVSTORE_SYNC_NORMAL);
  REQUIRE(kvstore_close(open_kv(path, {.syncLevel = KVSTORE_SYNC_OFF})) == KVSTORE_OK);
  // The number that its page has for the rollback journal, where no default can be meant.
  KVStore* store = nullptr;
  REQUIRE(kvstore_open(dir.file("y.db").c_str(), &store, 0) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  CHECK_FALSE(uses_log(dir.file("y.db")));
}

TEST_CASE("the header brings the formats of its numbers, and the codes under SQLite's names") {
  // Nothing above includes <inttypes.h> by itself for sure; the program in C in tests/c_api shows that.
  CHECK(std::strlen(PRId64) > 0);
  CHECK(KVSTORE_OK == SQLITE_OK);
  CHECK(KVSTORE_ERROR == SQLITE_ERROR);
  CHECK(KVSTORE_BUSY == SQLITE_BUSY);
  CHECK(KVSTORE_LOCKED == SQLITE_LOCKED);
  CHECK(KVSTORE_NOMEM == SQLITE_NOMEM);
  CHECK(KVSTORE_READONLY == SQLITE_READONLY);
  CHECK(KVSTORE_CORRUPT == SQLITE_CORRUPT);
  CHECK(KVSTORE_NOTFOUND == SQLITE_NOTFOUND);
  CHECK(KVSTORE_PROTOCOL == SQLITE_PROTOCOL);
}

TEST_CASE("names of families that SNKV keeps for itself are refused") {
  KVStore* store = open_kv(memory);
  const char* const name = GENERATE("__", "__x", "__snkv_auth__", "_snkv_", "_snkv_vec_");
  CAPTURE(name);
  KVColumnFamily* family = nullptr;
  CHECK(kvstore_cf_create(store, name, &family) == KVSTORE_ERROR);
  CHECK(family == nullptr);
  CHECK(std::string(kvstore_errmsg(store)).find("reserved") != std::string::npos);
  CHECK(kvstore_cf_open(store, name, &family) == KVSTORE_ERROR);
  CHECK(kvstore_cf_drop(store, name) == KVSTORE_ERROR);
  CHECK(families(store).empty());
  for (const char* free_name : {"_", "_x", "_snkv", "_vs_vec"}) CHECK(create(store, free_name) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a family of a reserved name that another interface has made is not shown") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  {
    auto store = snkv::Store::open(path);
    REQUIRE(store);
    REQUIRE(store->create_column_family("__made in C++"));
    REQUIRE(store->create_column_family("users"));
  }
  KVStore* store = open_kv(path);
  CHECK(families(store) == std::vector<std::string>{"users"});
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a program may have 64 families of its own") {
  KVStore* store = open_kv(memory);
  for (int i = 0; i < 64; ++i) REQUIRE(create(store, ("f" + std::to_string(i)).c_str()) == KVSTORE_OK);
  CHECK(create(store, "the 65th") == KVSTORE_ERROR);
  CHECK(families(store).size() == 64);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("closing nothing is fine") { CHECK(kvstore_close(nullptr) == KVSTORE_OK); }

TEST_CASE("a value of more than 10 MiB is refused, whatever is behind the pointer") {
  KVStore* store = open_kv(memory);
  constexpr int most = 10 * 1024 * 1024;
  const char value[64] = {};
  int inserted = -1;
  CHECK(kvstore_put(store, "k", 1, value, most + 1) == KVSTORE_ERROR);
  CHECK(std::string(kvstore_errmsg(store)).find("10 MiB") != std::string::npos);
  CHECK(kvstore_put_ttl(store, "k", 1, value, most + 1, kvstore_now_ms() + 60000) == KVSTORE_ERROR);
  CHECK(kvstore_put_if_absent(store, "k", 1, value, most + 1, 0, &inserted) == KVSTORE_ERROR);
  CHECK(inserted == 0);
  CHECK_FALSE(get(store, "k"));
  // The largest one.
  CHECK(put(store, "k", std::string(most, 'x')) == KVSTORE_OK);
  CHECK(get(store, "k")->size() == most);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}
