// What the C interface tells of damaged rows of vectors, and how it removes them.
#include "c_api/kv.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/c/kvstore_vec.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace snkv::test;

namespace {

constexpr int dim = 2;
constexpr int entries = 300;

KVVecStore* open_vectors(const std::string& path) {
  KVVecStore* vectors = nullptr;
  const int code = kvstore_vec_open(path.c_str(), dim, KVVEC_SPACE_L2, 0, 0, 0, KVVEC_DTYPE_F32, nullptr, 0,
                                    &vectors);
  if (code != KVSTORE_OK) FAIL(code << ": " << kvstore_errmsg(nullptr));
  return vectors;
}

/// k0 to k299, each with a value and metadata.
void make_store(const std::string& path) {
  KVVecStore* vectors = open_vectors(path);
  for (int i = 0; i < entries; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::string metadata = "{\"n\":" + std::to_string(i) + "}";
    const float vector[dim] = {static_cast<float>(i), 1};
    REQUIRE(kvstore_vec_put(vectors, key.data(), length(key), "v", 1, vector, 0, metadata.data(),
                            length(metadata)) == KVSTORE_OK);
  }
  kvstore_vec_close(vectors);
  // Without what was saved of the index, opening the file reads all rows, and so knows what is wrong.
  std::filesystem::remove(path + "-vectors-1");
}

std::string item(const char* key, const char* value) {
  return std::string("UPDATE snkv_vector_1_items SET value = CAST(") + value +
         " AS BLOB) WHERE key = CAST('" + key + "' AS BLOB);";
}
const char* const too_short = "x'00'";
const char* const no_json = "substr(value, 1, 20) || '{'";

/// A report as a test wants it; the C one is freed.
struct Report {
  int code = KVSTORE_OK;
  std::int64_t entries = 0, damaged = 0, removed = 0, without_metadata = 0, orphans = 0;
  std::vector<std::string> keys;
};
Report check(decltype(kvstore_vec_verify)* call, KVVecStore* vectors) {
  KVVecCheckReport report;
  Report out;
  out.code = call(vectors, &report, nullptr, nullptr);
  out.entries = report.entries;
  out.damaged = report.damaged;
  out.removed = report.removed;
  out.without_metadata = report.without_metadata;
  out.orphans = report.orphans;
  for (int i = 0; i < report.nRows; ++i) {
    const KVVecDamage& row = report.pRows[i];
    CHECK(std::string(row.pWhat).size() > 5);
    out.keys.emplace_back(static_cast<const char*>(row.pKey), static_cast<std::size_t>(row.nKey));
  }
  kvstore_vec_free_report(&report);
  CHECK(report.pRows == nullptr);
  return out;
}

std::int64_t known_damage(KVVecStore* vectors) {
  KVVecStats stats;
  REQUIRE(kvstore_vec_stats(vectors, &stats) == KVSTORE_OK);
  return stats.damaged;
}

int get(KVVecStore* vectors, const char* key, std::string& out) {
  void* value = nullptr;
  int size = 0;
  const int code = kvstore_vec_get(vectors, key, length(key), &value, &size);
  if (code == KVSTORE_OK) out.assign(static_cast<const char*>(value), static_cast<std::size_t>(size));
  snkv_free(value);
  return code;
}

}  // namespace

TEST_CASE("damaged rows are counted, listed, and removed without their values") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  make_store(path);
  sqlite_cli(path, item("k3", too_short) + item("k7", no_json));
  KVVecStore* vectors = open_vectors(path);
  CHECK(known_damage(vectors) == 2);
  float* vector = nullptr;
  int floats = 0;
  CHECK(kvstore_vec_get_vector(vectors, "k3", 2, &vector, &floats) == KVSTORE_CORRUPT);
  const float query[dim] = {3, 1};
  KVVecKeyResult* hits = nullptr;
  int count = 0;
  REQUIRE(kvstore_vec_search_keys(vectors, query, entries, &hits, &count) == KVSTORE_OK);
  CHECK(count == entries - 2);
  kvstore_vec_free_key_results(hits, count);

  const Report found = check(kvstore_vec_verify, vectors);
  CHECK(found.code == KVSTORE_OK);
  CHECK(found.entries == entries);
  CHECK(found.damaged == 2);
  CHECK(found.removed + found.without_metadata == 0);
  CHECK(found.keys == std::vector<std::string>{"k3", "k7"});
  CHECK(known_damage(vectors) == 2);

  const Report mended = check(kvstore_vec_repair, vectors);
  CHECK(mended.code == KVSTORE_OK);
  CHECK(mended.damaged == 2);
  CHECK(mended.removed == 1);
  CHECK(mended.without_metadata == 1);
  CHECK(mended.keys == found.keys);
  CHECK(known_damage(vectors) == 0);
  CHECK(kvstore_vec_count(vectors) == entries - 1);
  std::string value;
  CHECK(get(vectors, "k3", value) == KVSTORE_OK);
  CHECK(value == "v");
  CHECK(kvstore_vec_get_vector(vectors, "k3", 2, &vector, &floats) == KVSTORE_NOTFOUND);
  REQUIRE(kvstore_vec_get_vector(vectors, "k7", 2, &vector, &floats) == KVSTORE_OK);
  snkv_free(vector);
  CHECK(check(kvstore_vec_verify, vectors).damaged == 0);
  kvstore_vec_close(vectors);
}

TEST_CASE("a report lists 100 rows at most, and counts all") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  make_store(path);
  sqlite_cli(path, "UPDATE snkv_vector_1_items SET value = x'00' WHERE key < CAST('k22' AS BLOB)");
  KVVecStore* vectors = open_vectors(path);
  const Report found = check(kvstore_vec_repair, vectors);
  CHECK(found.damaged > 100);
  CHECK(found.keys.size() == 100);
  CHECK(found.removed == found.damaged);
  CHECK(kvstore_vec_count(vectors) == entries - found.removed);
  kvstore_vec_close(vectors);
}

TEST_CASE("a repair that is stopped has changed nothing") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  make_store(path);
  sqlite_cli(path, item("k3", too_short));
  KVVecStore* vectors = open_vectors(path);
  KVVecCheckReport report;
  for (const bool throws : {false, true}) {
    const auto stop = [](void* context, std::uint64_t, std::uint64_t) -> int {
      if (*static_cast<const bool*>(context)) throw 7;
      return 1;
    };
    bool context = throws;
    CHECK(kvstore_vec_repair(vectors, &report, stop, &context) == KVSTORE_INTERRUPT);
    CHECK(report.nRows == 0);
    CHECK(kvstore_vec_verify(vectors, &report, stop, &context) == KVSTORE_INTERRUPT);
    CHECK(known_damage(vectors) == 1);
  }
  CHECK(check(kvstore_vec_verify, vectors).damaged == 1);
  kvstore_vec_close(vectors);
}

TEST_CASE("damage of the collection itself is an error") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  make_store(path);
  KVVecStore* vectors = open_vectors(path);
  // Another process; this one reads what it has written.
  sqlite_cli(path, "DELETE FROM snkv_vector_1_meta WHERE key = CAST('state' AS BLOB)");
  CHECK(check(kvstore_vec_verify, vectors).code == KVSTORE_CORRUPT);
  CHECK(check(kvstore_vec_repair, vectors).code == KVSTORE_CORRUPT);
  kvstore_vec_close(vectors);
}

TEST_CASE("who closes the handle waits for the check, whose function goes on reading") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  make_store(path);
  struct Shared {
    KVVecStore* vectors;
    std::thread closer;
    int calls = 0;
  } shared{open_vectors(path), {}};
  const auto read = [](void* context, std::uint64_t, std::uint64_t) -> int {
    auto& told = *static_cast<Shared*>(context);
    if (told.calls++ == 0) told.closer = std::thread([&] { kvstore_vec_close(told.vectors); });
    // Long enough for the other thread to be waiting.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::string value;
    CHECK(get(told.vectors, "k1", value) == KVSTORE_OK);
    return 0;
  };
  KVVecCheckReport report;
  CHECK(kvstore_vec_verify(shared.vectors, &report, read, &shared) == KVSTORE_OK);
  CHECK(report.entries == entries);
  kvstore_vec_free_report(&report);
  shared.closer.join();
  CHECK(shared.calls > 0);
  CHECK(kvstore_vec_verify(shared.vectors, &report, nullptr, nullptr) == KVSTORE_ERROR);
}
