// Iterators beside writes, in transactions, and after the end of what they were made from.
#include "c_api/kv.hpp"
#include "support/temp_dir.hpp"

#include <string>
#include <vector>

using namespace snkv::test;

namespace {

using Keys = std::vector<std::string>;

KVIterator* iterate(KVStore* store) {
  KVIterator* iterator = nullptr;
  REQUIRE(kvstore_iterator_create(store, &iterator) == KVSTORE_OK);
  return iterator;
}

std::string value_at(KVIterator* iterator) {
  void* data = nullptr;
  int size = 0;
  REQUIRE(kvstore_iterator_value(iterator, &data, &size) == KVSTORE_OK);
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

void fill(KVStore* store, int entries) {
  for (int i = 0; i < entries; ++i) {
    const std::string key = "k" + std::to_string(1000 + i);
    REQUIRE(put(store, key, "value of " + key) == KVSTORE_OK);
  }
}

}  // namespace

TEST_CASE("every entry can be deleted while it is iterated over") {
  const TempDir dir;
  const bool log = GENERATE(true, false);
  const bool in_transaction = GENERATE(true, false);
  const int direction = GENERATE(0, 1);
  CAPTURE(log, in_transaction, direction);
  KVStore* store = open_kv(
      dir.file("x.db"), {.journalMode = log ? KVSTORE_JOURNAL_WAL : KVSTORE_JOURNAL_ROLLBACK,
                         .syncLevel = KVSTORE_SYNC_NEVER});
  fill(store, 300);
  if (in_transaction) REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  KVIterator* iterator = nullptr;
  if (direction == 0) {
    REQUIRE(kvstore_prefix_iterator_create(store, "k", 1, &iterator) == KVSTORE_OK);
  } else {
    REQUIRE(kvstore_reverse_prefix_iterator_create(store, "k", 1, &iterator) == KVSTORE_OK);
  }
  int seen = 0;
  while (kvstore_iterator_eof(iterator) == 0) {
    void* key = nullptr;
    int size = 0;
    REQUIRE(kvstore_iterator_key(iterator, &key, &size) == KVSTORE_OK);
    const std::string before(static_cast<const char*>(key), static_cast<std::size_t>(size));
    REQUIRE(kvstore_delete(store, key, size) == KVSTORE_OK);
    // Key and value stay until the iterator moves.
    CHECK(std::string(static_cast<const char*>(key), static_cast<std::size_t>(size)) == before);
    CHECK(key_at(iterator) == before);
    CHECK(value_at(iterator) == "value of " + before);
    ++seen;
    REQUIRE((direction == 0 ? kvstore_iterator_next(iterator) : kvstore_iterator_prev(iterator)) ==
            KVSTORE_OK);
  }
  CHECK(seen == 300);
  if (in_transaction) REQUIRE(kvstore_commit(store) == KVSTORE_OK);
  kvstore_iterator_close(iterator);
  CHECK(count(store) == 0);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("an iterator sees the moment that it was made at") {
  KVStore* store = open_kv(memory);
  REQUIRE(put(store, "a", "1") == KVSTORE_OK);
  REQUIRE(put(store, "b", "1") == KVSTORE_OK);
  KVIterator* iterator = iterate(store);
  REQUIRE(kvstore_clear(store) == KVSTORE_OK);
  REQUIRE(put(store, "c", "2") == KVSTORE_OK);
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  CHECK(rest_of(iterator) == Keys{"a", "b"});
  kvstore_iterator_close(iterator);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("an iterator outlives the transaction that it was made in") {
  const TempDir dir;
  const bool commit = GENERATE(true, false);
  const bool log = GENERATE(true, false);
  CAPTURE(commit, log);
  KVStore* store = open_kv(
      dir.file("x.db"), {.journalMode = log ? KVSTORE_JOURNAL_WAL : KVSTORE_JOURNAL_ROLLBACK});
  REQUIRE(put(store, "a", "old") == KVSTORE_OK);
  REQUIRE(put(store, "d", "old") == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(put(store, "b", "new") == KVSTORE_OK);
  REQUIRE(put(store, "c", "new") == KVSTORE_OK);
  KVIterator* iterator = iterate(store);
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  REQUIRE(kvstore_iterator_next(iterator) == KVSTORE_OK);
  void* key = nullptr;
  int size = 0;
  REQUIRE(kvstore_iterator_key(iterator, &key, &size) == KVSTORE_OK);
  CHECK(std::string(static_cast<const char*>(key), 1) == "b");
  REQUIRE((commit ? kvstore_commit(store) : kvstore_rollback(store)) == KVSTORE_OK);
  CHECK(std::string(static_cast<const char*>(key), 1) == "b");
  CHECK(value_at(iterator) == "new");
  REQUIRE(kvstore_iterator_next(iterator) == KVSTORE_OK);
  CHECK(rest_of(iterator) == (commit ? Keys{"c", "d"} : Keys{"d"}));
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  CHECK(rest_of(iterator) == (commit ? Keys{"a", "b", "c", "d"} : Keys{"a", "d"}));
  kvstore_iterator_close(iterator);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("an iterator in a transaction for reading keeps its moment") {
  const TempDir dir;
  KVStore* store = open_kv(dir.file("x.db"));
  KVStore* other = open_kv(dir.file("x.db"));
  REQUIRE(put(store, "a", "1") == KVSTORE_OK);
  REQUIRE(kvstore_begin(store, 0) == KVSTORE_OK);
  REQUIRE(put(other, "b", "2") == KVSTORE_OK);
  KVIterator* iterator = iterate(store);
  REQUIRE(kvstore_commit(store) == KVSTORE_OK);
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  CHECK(rest_of(iterator) == Keys{"a"});
  kvstore_iterator_close(iterator);
  REQUIRE(kvstore_close(other) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("iterators leave out what has expired") {
  KVStore* store = open_kv(memory);
  REQUIRE(put(store, "a", "1") == KVSTORE_OK);
  REQUIRE(kvstore_put_ttl(store, "b", 1, "2", 1, 1) == KVSTORE_OK);
  REQUIRE(kvstore_put_ttl(store, "c", 1, "3", 1, kvstore_now_ms() + 3600000) == KVSTORE_OK);
  KVIterator* iterator = iterate(store);
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  CHECK(rest_of(iterator) == Keys{"a", "c"});
  REQUIRE(kvstore_iterator_seek(iterator, "b", 1) == KVSTORE_OK);
  CHECK(rest_of(iterator) == Keys{"c"});
  kvstore_iterator_close(iterator);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("iterators of families, whose handles may be closed before them") {
  KVStore* store = open_kv(memory);
  KVColumnFamily* family = nullptr;
  REQUIRE(kvstore_cf_create(store, "f", &family) == KVSTORE_OK);
  for (const char* key : {"a", "b1", "b2", "c"}) REQUIRE(put(family, key, "v") == KVSTORE_OK);
  KVIterator* forward = nullptr;
  KVIterator* reverse = nullptr;
  REQUIRE(kvstore_cf_prefix_iterator_create(family, "b", 1, &forward) == KVSTORE_OK);
  REQUIRE(kvstore_cf_reverse_prefix_iterator_create(family, "b", 1, &reverse) == KVSTORE_OK);
  kvstore_cf_close(family);
  CHECK(rest_of(forward) == Keys{"b1", "b2"});
  CHECK(key_at(reverse) == "b2");
  // Outside of the prefix.
  REQUIRE(kvstore_iterator_seek(forward, "a", 1) == KVSTORE_OK);
  CHECK(key_at(forward) == "b1");
  REQUIRE(kvstore_iterator_seek(forward, "c", 1) == KVSTORE_OK);
  CHECK(kvstore_iterator_eof(forward) == 1);
  REQUIRE(kvstore_iterator_seek(reverse, "a", 1) == KVSTORE_OK);
  CHECK(kvstore_iterator_eof(reverse) == 1);
  REQUIRE(kvstore_iterator_seek(reverse, "z", 1) == KVSTORE_OK);
  CHECK(key_at(reverse) == "b2");
  kvstore_iterator_close(forward);
  kvstore_iterator_close(reverse);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("iterators of a dropped family end, or go on with what they saw") {
  KVStore* store = open_kv(memory);
  KVColumnFamily* family = nullptr;
  REQUIRE(kvstore_cf_create(store, "f", &family) == KVSTORE_OK);
  for (const char* key : {"a", "b"}) REQUIRE(put(family, key, "v") == KVSTORE_OK);
  KVIterator* iterator = nullptr;
  const bool in_transaction = GENERATE(true, false);
  CAPTURE(in_transaction);
  if (in_transaction) REQUIRE(kvstore_begin(store, 1) == KVSTORE_OK);
  REQUIRE(kvstore_cf_iterator_create(family, &iterator) == KVSTORE_OK);
  REQUIRE(kvstore_iterator_first(iterator) == KVSTORE_OK);
  REQUIRE(kvstore_cf_drop(store, "f") == KVSTORE_OK);
  if (in_transaction) {
    REQUIRE(kvstore_commit(store) == KVSTORE_OK);
    CHECK(kvstore_iterator_next(iterator) == KVSTORE_ERROR);
    CHECK(kvstore_iterator_eof(iterator) == 1);
  } else {
    CHECK(rest_of(iterator) == Keys{"a", "b"});
  }
  kvstore_iterator_close(iterator);
  kvstore_cf_close(family);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}
