// Vectors of databases of SNKV's C library. The databases are made here, after the description of the
// format: there is no sample of one with vectors.
#include "compat/original_writer.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector/import.hpp>

#include <cstring>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

std::string floats(const std::vector<float>& vector) {
  std::string bytes;
  for (const float component : vector) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &component, sizeof(bits));
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(bits >> 8 * i));
  }
  return bytes;
}

OriginalFamilies sample() {
  return {
      {"default", {{"a", "value of a"}, {"b", ""}, {"c", "expired"}, {"d", "later"}, {"plain", "x"}}},
      {"__snkv_ttl_k__default",
       {{"c", big_endian(1, 8)}, {"d", big_endian(4102444800000, 8)}}},
      {"__snkv_vec__",
       {{"a", floats({1, 0, 0.5f})},
        {"b", floats({0, 1, 0})},
        {"c", floats({1, 1, 1})},
        {"d", floats({0, 0, 1})},
        {"gone", floats({2, 2, 2})}}},
      {"__snkv_vec_tags__", {{"a", R"({"tag":"ai"})"}, {"d", R"({"n":1})"}}},
      {"__snkv_vec_meta__", {{"ndim", "3"}, {"metric", "cosine"}, {"dtype", "f16"}}},
      {"__snkv_vec_idk__", {{"a", big_endian(1, 8)}}},
  };
}

Result<std::uint64_t> import(const TempDir& dir, const OriginalFamilies& families) {
  write_file(dir.file("old.db"), original_database(families));
  std::uint64_t vectors = 0;
  auto report = import_original(dir.file("old.db"), dir.file("new.db"),
                                {.also = [&](const OriginalStore& original, Store& store) -> Result<void> {
                                  auto imported = import_original_vectors(original, store);
                                  if (!imported) return Unexpected(std::move(imported).error());
                                  vectors = *imported;
                                  return {};
                                }});
  if (!report) return Unexpected(std::move(report).error());
  CHECK(report->families == 1);
  return vectors;
}

}  // namespace

TEST_CASE("vectors, metadata and expiries are taken over into the collection \"default\"") {
  const TempDir dir;
  CHECK(must(import(dir, sample())) == 3);
  auto vectors = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
  CHECK(vectors.dim() == 3);
  CHECK(vectors.metric() == Metric::cosine);
  CHECK(vectors.dtype() == ElementType::f16);
  CHECK(must(vectors.ids()) == std::vector<std::string>{"a", "b", "d"});
  CHECK(must(vectors.get_vector("a")) == std::vector<float>{1, 0, 0.5f});
  CHECK(must(vectors.get("a")) == "value of a");
  CHECK(must(vectors.get("b")).empty());
  CHECK(must(vectors.get_metadata("a")) == Json({{"tag", "ai"}}));
  CHECK(must(vectors.get_metadata("b")).is_null());
  CHECK_FALSE(must(vectors.get_item("a")).expires_at);
  CHECK(must(vectors.get_item("d")).expires_at == TimePoint(std::chrono::milliseconds(4102444800000)));
  CHECK(must(vectors.store().get("plain")) == "x");
  const std::vector<float> query{0, 0.9f, 0.1f};
  CHECK(must(vectors.search_keys(query, 1)).at(0).key == "b");
}

TEST_CASE("vectors are found in each of the layouts that versions of the library have written") {
  const TempDir dir;
  const auto [prefix, suffix] = GENERATE(table<std::string, std::string>({
      {"__snkv_vec", "__"},
      {"_snkv_vec", "_"},  // version 0.7.3
      {"_vs_vec", ""},     // the Python package
  }));
  CAPTURE(prefix);
  OriginalFamilies families;
  for (auto& [name, entries] : sample()) {
    const bool of_vectors = name.starts_with("__snkv_vec");
    const std::string part = of_vectors ? name.substr(10, name.size() - 12) : "";
    families[of_vectors ? prefix + part + suffix : name] = entries;
  }
  CHECK(must(import(dir, families)) == 3);
  auto vectors = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
  CHECK(vectors.metric() == Metric::cosine);
  CHECK(must(vectors.ids()) == std::vector<std::string>{"a", "b", "d"});
  CHECK(must(vectors.get_vector("a")) == std::vector<float>{1, 0, 0.5f});
  CHECK(must(vectors.get_metadata("d")) == Json({{"n", 1}}));
  // No family is left that has their bytes, and none of their names.
  CHECK(must(vectors.store().list_column_families()) == std::vector<std::string>{"default"});
}

TEST_CASE("vectors of two layouts are not lost, and not mixed up") {
  const TempDir dir;
  OriginalFamilies families = sample();
  families["_snkv_vec_"] = {{"a", floats({7, 8})}, {"plain", floats({1, 2})}};
  families["_snkv_vec_meta_"] = {{"metric", "l2"}};
  CHECK(must(import(dir, families)) == 5);
  const Store store = must(Store::open(dir.file("new.db")));
  auto young = must(VectorStore<>::open(store, {.name = "default"}));
  CHECK(must(young.get_vector("a")) == std::vector<float>{1, 0, 0.5f});
  auto old = must(VectorStore<>::open(store, {.name = "_snkv_vec_"}));
  CHECK(old.metric() == Metric::l2);
  CHECK(must(old.get_vector("a")) == std::vector<float>{7, 8});
  CHECK(must(old.get("a")) == "value of a");
  CHECK(must(old.get_vector("plain")) == std::vector<float>{1, 2});
}

TEST_CASE("the parameters of the index are taken over, in the ranges that they have here") {
  const TempDir dir;
  OriginalFamilies families = sample();
  auto& configuration = families["__snkv_vec_meta__"];
  SECTION("as they are") {
    configuration["connectivity"] = big_endian(24, 8);
    configuration["expansion_add"] = big_endian(200, 8);
    configuration["expansion_search"] = "90";
    REQUIRE_OK(import(dir, families));
    auto vectors = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
    CHECK(must(vectors.info()).m == 24);
    CHECK(must(vectors.info()).ef_construction == 200);
    CHECK(must(vectors.info()).ef_search == 90);
  }
  SECTION("too small and too large") {
    configuration["connectivity"] = big_endian(1, 8);
    configuration["expansion_add"] = big_endian(1u << 20, 8);
    configuration["expansion_search"] = std::string(8, '\xff');
    REQUIRE_OK(import(dir, families));
    auto vectors = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
    CHECK(must(vectors.info()).m == 2);
    CHECK(must(vectors.info()).ef_construction == 4096);
  }
  SECTION("none") {
    REQUIRE_OK(import(dir, families));
    auto vectors = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
    CHECK(must(vectors.info()).m == 16);
  }
}

TEST_CASE("the metric may be configured as a number") {
  const TempDir dir;
  OriginalFamilies families = sample();
  const auto [value, metric] = GENERATE(table<std::string, Metric>({
      {"l2", Metric::l2},
      {"ip", Metric::inner_product},
      {"0", Metric::l2},
      {std::string(4, '\0'), Metric::l2},
      {big_endian(1, 8), Metric::cosine},
      {big_endian(2, 4), Metric::inner_product},
  }));
  families["__snkv_vec_meta__"]["metric"] = value;
  REQUIRE_OK(import(dir, families));
  CHECK(must(VectorStore<>::open(dir.file("new.db"), {.name = "default"})).metric() == metric);
}

TEST_CASE("a database without vectors gets no collection") {
  const TempDir dir;
  OriginalFamilies families = sample();
  SECTION("no family of them") { families.erase("__snkv_vec__"); }
  SECTION("none in it") { families["__snkv_vec__"].clear(); }
  CHECK(must(import(dir, families)) == 0);
  const Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(VectorCollections(store).list()).empty());
}

TEST_CASE("damaged vectors are an error, and nothing is left") {
  const TempDir dir;
  OriginalFamilies families = sample();
  SECTION("of another size") { families["__snkv_vec__"]["b"] = floats({1, 2}); }
  SECTION("of no whole number of floats") { families["__snkv_vec__"] = {{"a", "12345"}}; }
  SECTION("an unknown metric") { families["__snkv_vec_meta__"]["metric"] = "hamming"; }
  SECTION("no metric") { families["__snkv_vec_meta__"].erase("metric"); }
  SECTION("metadata that are no object") { families["__snkv_vec_tags__"]["a"] = "[1]"; }
  SECTION("metadata that are no JSON") { families["__snkv_vec_tags__"]["a"] = "{"; }
  REQUIRE_ERRC(import(dir, families), Errc::corrupt);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"old.db"});
}

TEST_CASE("vectors that are none") {
  const TempDir dir;
  OriginalFamilies families = sample();
  families["__snkv_vec__"]["a"] = floats({0, 0, 0});  // has no direction
  REQUIRE_ERRC(import(dir, families), Errc::bad_vector);
}
