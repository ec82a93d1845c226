// Handles that outlive what they were made from, and handles that several threads use.
#include "c_api/kv.hpp"
#include "support/temp_dir.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace snkv::test;

namespace {

KVColumnFamily* default_family(KVStore* store) {
  KVColumnFamily* family = nullptr;
  REQUIRE(kvstore_cf_get_default(store, &family) == KVSTORE_OK);
  return family;
}

}  // namespace

TEST_CASE("families and iterators of a closed store give errors, and can be closed") {
  KVStore* store = open_kv(memory);
  REQUIRE(put(store, "k", "v") == KVSTORE_OK);
  KVColumnFamily* family = default_family(store);
  KVIterator* iterator = nullptr;
  REQUIRE(kvstore_prefix_iterator_create(store, "k", 1, &iterator) == KVSTORE_OK);
  REQUIRE(kvstore_close(store) == KVSTORE_OK);

  CHECK(put(family, "k", "w") == KVSTORE_ERROR);
  CHECK(kvstore_iterator_next(iterator) == KVSTORE_ERROR);
  CHECK(kvstore_iterator_eof(iterator) == 1);
  CHECK(kvstore_close(store) == KVSTORE_ERROR);

  // Not even when the memory of the store serves another one: many are closed in between.
  std::vector<KVStore*> others;
  for (int i = 0; i < 300; ++i) {
    KVStore* other = open_kv(memory);
    if (other == store) {
      CHECK(put(family, "k", "w") == KVSTORE_ERROR);
      CHECK(kvstore_iterator_first(iterator) == KVSTORE_ERROR);
      CHECK_FALSE(get(other, "k"));
    }
    others.push_back(other);
    REQUIRE(kvstore_close(other) == KVSTORE_OK);
  }
  CHECK(std::find(others.begin(), others.end(), store) != others.end());
  CHECK(others.front() != store);
  kvstore_cf_close(family);
  kvstore_iterator_close(iterator);
  kvstore_cf_close(family);
  kvstore_iterator_close(iterator);
}

TEST_CASE("messages belong to their handle, and to the thread that asks") {
  KVStore* one = open_kv(memory);
  KVStore* two = open_kv(memory);
  CHECK(kvstore_commit(one) == KVSTORE_ERROR);
  CHECK(std::string(kvstore_errmsg(one)).find("commit") == 0);
  CHECK(std::string(kvstore_errmsg(two)) == "no error");
  CHECK_FALSE(get(one, "none"));  // no failure
  const char* const message = kvstore_errmsg(one);
  std::thread([&] {
    (void)kvstore_checkpoint(one, 99, nullptr, nullptr);
    (void)kvstore_errmsg(one);
  }).join();
  CHECK(std::string(message).find("commit") == 0);
  CHECK(std::string(kvstore_errmsg(one)).find("checkpoint") == 0);
  REQUIRE(kvstore_close(one) == KVSTORE_OK);
  REQUIRE(kvstore_close(two) == KVSTORE_OK);
}

TEST_CASE("one handle serves many threads, also with transactions in between") {
  const TempDir dir;
  const int full_mutex = GENERATE(0, 1);
  KVStore* store = open_kv(dir.file("x.db"), {.syncLevel = KVSTORE_SYNC_NEVER, .fullMutex = full_mutex});
  constexpr int threads = 4;
  constexpr int rounds = 200;
  REQUIRE(put(store, "shared", "0") == KVSTORE_OK);
  std::atomic<int> failures = 0;
  const auto work = [&](int number) {
    const std::string key = "t" + std::to_string(number);
    for (int i = 0; i < rounds; ++i) {
      if (put(store, key, std::to_string(i)) != KVSTORE_OK) ++failures;
      void* value = nullptr;
      int size = 0;
      if (kvstore_get(store, "shared", 6, &value, &size) != KVSTORE_OK) ++failures;
      snkv_free(value);
      KVIterator* iterator = nullptr;
      if (kvstore_prefix_iterator_create(store, "t", 1, &iterator) != KVSTORE_OK) ++failures;
      kvstore_iterator_close(iterator);
    }
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(work, i);
  // Beginning is not kept waiting by the others for ever. Their writes become a part of it.
  for (int i = 0; i < rounds; ++i) {
    if (kvstore_begin(store, 1) != KVSTORE_OK) ++failures;
    if (put(store, "shared", std::to_string(i)) != KVSTORE_OK) ++failures;
    if (kvstore_commit(store) != KVSTORE_OK) ++failures;
  }
  for (std::thread& thread : running) thread.join();
  CHECK(failures == 0);
  CHECK(count(store) == threads + 1);
  CHECK(get(store, "shared") == std::to_string(rounds - 1));
  REQUIRE(kvstore_close(store) == KVSTORE_OK);
}

TEST_CASE("a handle is closed while other threads use it") {
  for (int round = 0; round < 20; ++round) {
    KVStore* store = open_kv(memory);
    KVColumnFamily* family = default_family(store);
    std::atomic<int> ready = 0;
    std::atomic<int> strange = 0;
    const auto work = [&] {
      ++ready;
      int code = KVSTORE_OK;
      while (code == KVSTORE_OK) {
        code = put(store, "k", "v");
        if (code == KVSTORE_OK) code = put(family, "k", "w");
      }
      if (code != KVSTORE_ERROR) ++strange;
    };
    std::thread one(work);
    std::thread two(work);
    while (ready < 2) std::this_thread::yield();
    CHECK(kvstore_close(store) == KVSTORE_OK);
    one.join();
    two.join();
    CHECK(strange == 0);
    kvstore_cf_close(family);
  }
}
