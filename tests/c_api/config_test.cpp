// What a config means, and the documented defaults.
#include "c_api/kv.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <filesystem>
#include <string>

using namespace snkv::test;

namespace {

/// Whether the file uses a log: bytes 18 and 19 of the header of the database.
bool uses_log(const std::string& path) { return read_file(path)[18] == 2; }

unsigned page_size(const std::string& path) {
  const std::string header = read_file(path);
  return static_cast<unsigned char>(header[16]) * 256u + static_cast<unsigned char>(header[17]);
}

}  // namespace

TEST_CASE("no config, and one of zeros, are the documented defaults") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* store = nullptr;
  const KVStoreConfig zeros{};
  const bool without = GENERATE(true, false);
  REQUIRE(kvstore_open_v2(path.c_str(), &store, without ? nullptr : &zeros) == KVSTORE_OK);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  CHECK(size_of(path + "-wal") > 0);
  // No checkpoint by itself, however long the log.
  for (int i = 0; i < 1200; ++i) REQUIRE(put(store, std::to_string(i), std::string(4000, 'x')) == 0);
  CHECK(stats(store).nCheckpoints == 0);
  CHECK(size_of(path + "-wal") > 1200 * 4000);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  CHECK(size_of(path + "-wal") == 0);
  CHECK(uses_log(path));
  CHECK(page_size(path) == 4096);
}

TEST_CASE("a log is started anew when it has got too long, although no checkpoints were asked for") {
  // The original let it grow without end.
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* store = open_kv(path, {.syncLevel = KVSTORE_SYNC_NEVER});
  const std::string value(1 << 20, 'x');
  for (int i = 0; i < 80; ++i) REQUIRE(put(store, "k", value) == KVSTORE_OK);
  CHECK(size_of(path + "-wal") < std::uint64_t{72} << 20);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a store that somebody writes to is busy at once, or after the timeout") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* one = open_kv(path);
  KVStore* two = open_kv(path, {.busyTimeout = GENERATE(0, 5)});
  REQUIRE(kvstore_begin(one, 1) == KVSTORE_OK);
  CHECK(put(two, "k", "v") == KVSTORE_BUSY);
  CHECK(kvstore_begin(two, 1) == KVSTORE_BUSY);
  CHECK_FALSE(get(two, "k"));
  REQUIRE(kvstore_rollback(one) == KVSTORE_OK);
  CHECK(put(two, "k", "v") == KVSTORE_OK);
  REQUIRE(kvstore_close(two) == KVSTORE_OK);
  REQUIRE(kvstore_close(one) == KVSTORE_OK);
}

TEST_CASE("the rollback journal is asked for by name, and can be turned into a log") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* store = nullptr;
  REQUIRE(kvstore_open(path.c_str(), &store, KVSTORE_JOURNAL_DELETE) == KVSTORE_OK);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  int log = -1;
  CHECK(kvstore_checkpoint(store, KVSTORE_CHECKPOINT_FULL, &log, nullptr) == KVSTORE_OK);
  CHECK(log == 0);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  CHECK_FALSE(uses_log(path));

  store = open_kv(path, {.journalMode = KVSTORE_JOURNAL_ROLLBACK});
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  CHECK_FALSE(uses_log(path));

  store = open_kv(path, {.readOnly = 1});
  CHECK(get(store, "k") == "v");
  REQUIRE(kvstore_close(store) == KVSTORE_OK);

  store = open_kv(path);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  CHECK(uses_log(path));
}

TEST_CASE("walSizeLimit counts commits, those of transactions as one") {
  KVStore* store = open_kv(memory, {.walSizeLimit = 10});
  for (int i = 0; i < 9; ++i) REQUIRE(put(store, std::to_string(i), "v") == KVSTORE_OK);
  CHECK(stats(store).nCheckpoints == 0);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  for (int i = 0; i < 30; ++i) REQUIRE(put(store, std::to_string(i), "v") == KVSTORE_OK);
  CHECK(stats(store).nCheckpoints == 0);
  REQUIRE(kvstore_commit(store) == KVSTORE_OK);
  CHECK(stats(store).nCheckpoints == 1);
  for (int i = 0; i < 10; ++i) REQUIRE(put(store, std::to_string(i), "v") == KVSTORE_OK);
  CHECK(stats(store).nCheckpoints == 2);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("the page size is that of new files") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  REQUIRE(kvstore_close(open_kv(path, {.pageSize = 16384})) == KVSTORE_OK);
  CHECK(page_size(path) == 16384);
  REQUIRE(kvstore_close(open_kv(path, {.pageSize = 4096})) == KVSTORE_OK);
  CHECK(page_size(path) == 16384);
}

TEST_CASE("a file with two names is opened by who says that all use the same one") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const std::string other = dir.file("y.db");
  KVStore* store = open_kv(path);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  std::filesystem::create_hard_link(path, other);
  for (const std::string& name : {path, other}) {
    CHECK(kvstore_open_v2(name.c_str(), &store, nullptr) == KVSTORE_ERROR);
    CHECK(store == nullptr);
    CHECK(std::string(kvstore_errmsg(nullptr)).find(name + " has 2 names") != std::string::npos);
  }
  store = open_kv(path, {.allowHardLinks = 1});
  CHECK(get(store, "k") == "v");
  CHECK(put(store, "k", "w") == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  std::filesystem::remove(other);
  store = open_kv(path);
  CHECK(get(store, "k") == "w");
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("an encrypted file with two names is opened likewise, and stays encrypted") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* store = nullptr;
  REQUIRE(kvstore_open_encrypted(path.c_str(), "secret", 6, &store, nullptr) == KVSTORE_OK);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  std::filesystem::create_hard_link(path, dir.file("y.db"));
  CHECK(kvstore_open_encrypted(path.c_str(), "secret", 6, &store, nullptr) == KVSTORE_ERROR);
  KVStoreConfig config{};
  config.allowHardLinks = 1;
  REQUIRE(kvstore_open_encrypted(path.c_str(), "secret", 6, &store, &config) == KVSTORE_OK);
  CHECK(get(store, "k") == "v");
  // What makes another file of it would leave the other name with the old one.
  CHECK(kvstore_remove_encryption(store) == KVSTORE_ERROR);
  CHECK(kvstore_is_encrypted(store) == 1);
  CHECK(get(store, "k") == "v");
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a database has at most 64 column families besides the default one") {
  KVStore* store = open_kv(memory);
  for (int i = 1; i <= KVSTORE_MAX_COLUMN_FAMILIES; ++i) {
    KVColumnFamily* family = nullptr;
    REQUIRE(kvstore_cf_create(store, ("f" + std::to_string(i)).c_str(), &family) == KVSTORE_OK);
    kvstore_cf_close(family);
  }
  KVColumnFamily* family = nullptr;
  CHECK(kvstore_cf_create(store, "one more", &family) == KVSTORE_ERROR);
  CHECK(family == nullptr);
  REQUIRE(kvstore_cf_drop(store, "f1") == KVSTORE_OK);
  CHECK(kvstore_cf_create(store, "one more", &family) == KVSTORE_OK);
  kvstore_cf_close(family);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("counts are as documented") {
  KVStore* store = open_kv(memory);
  REQUIRE(put(store, "key", "value") == KVSTORE_OK);
  REQUIRE(kvstore_put_ttl(store, "t", 1, "x", 1, 1) == KVSTORE_OK);
  REQUIRE(kvstore_put_ttl(store, "later", 5, "12345", 5, kvstore_now_ms() + 3600000) == KVSTORE_OK);
  CHECK(get(store, "key") == "value");
  CHECK_FALSE(get(store, "none"));
  int exists = 0;
  CHECK(kvstore_exists(store, "t", 1, &exists) == KVSTORE_OK);
  void* value = nullptr;
  int size = 0;
  std::int64_t remaining = 0;
  CHECK(kvstore_get_ttl(store, "later", 5, &value, &size, &remaining) == KVSTORE_OK);
  snkv_free(value);
  CHECK(kvstore_ttl_remaining(store, "later", 5, &remaining) == KVSTORE_OK);
  CHECK(kvstore_delete(store, "none", 4) == KVSTORE_NOTFOUND);
  CHECK(kvstore_put(store, nullptr, 1, "", 0) == KVSTORE_ERROR);
  KVIterator* iterator = nullptr;
  CHECK(kvstore_prefix_iterator_create(store, "k", 1, &iterator) == KVSTORE_OK);
  kvstore_iterator_close(iterator);
  CHECK(count(store) == 3);  // with the expired one
  CHECK(kvstore_purge_expired(store, nullptr) == KVSTORE_OK);
  CHECK(count(store) == 2);

  const KVStoreStats after = stats(store);
  CHECK(after.nPuts == 3);
  CHECK(after.nGets == 3);
  CHECK(after.nDeletes == 1);
  CHECK(after.nIterations == 1);
  CHECK(after.nErrors == 1);
  CHECK(after.nBytesRead == 10);
  CHECK(after.nBytesWritten == 8 + 2 + 10);
  CHECK(after.nTtlExpired == 1);
  CHECK(after.nTtlPurged == 1);
  CHECK(after.nWalCommits >= 4);
  CHECK(after.nDbPages > 0);

  CHECK(kvstore_stats_reset(store) == KVSTORE_OK);
  const KVStoreStats reset = stats(store);
  CHECK(reset.nPuts + reset.nGets + reset.nDeletes + reset.nIterations + reset.nErrors == 0);
  CHECK(reset.nDbPages == after.nDbPages);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("damage is reported as such, with findings") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  KVStore* store = open_kv(path);
  for (int i = 0; i < 500; ++i) REQUIRE(put(store, std::to_string(i), std::string(200, 'x')) == 0);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
  scribble(path, 4096 * 8);

  store = open_kv(path);
  char* findings = nullptr;
  CHECK(kvstore_integrity_check(store, &findings) == KVSTORE_CORRUPT);
  CHECK(findings != nullptr);
  snkv_free(findings);
  // The end of a scan that broke off is no end.
  KVIterator* iterator = nullptr;
  REQUIRE(kvstore_iterator_create(store, &iterator) == KVSTORE_OK);
  int code = kvstore_iterator_first(iterator);
  while (code == KVSTORE_OK && kvstore_iterator_eof(iterator) == 0) {
    code = kvstore_iterator_next(iterator);
  }
  CHECK(code == KVSTORE_CORRUPT);
  CHECK(kvstore_iterator_eof(iterator) == 1);
  CHECK(std::string(kvstore_errmsg(store)).find("damaged") != std::string::npos);
  kvstore_iterator_close(iterator);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}
