// A damaged row of a collection costs its entry, not the collection.
#include "support/encrypted.hpp"
#include "support/sqlite_cli.hpp"
#include "vector/collections.hpp"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t entries = 300;  // enough for i8 to be trained

std::string key_of(std::size_t i) { return "k" + std::to_string(i); }

/// What the store's log was told.
struct Log {
  std::mutex mutex;
  std::string text;
};

VectorStoreOptions options_of(ElementType type, bool save, Log* log = nullptr) {
  VectorStoreOptions options{.name = "c", .dtype = type, .keep_vectors = false, .auto_save = save};
  if (log != nullptr) {
    options.store.log = [log](LogLevel, std::string_view text) {
      const std::lock_guard lock(log->mutex);
      log->text.append(text).append("\n");
    };
  }
  return options;
}

using Plane = VectorStore<2, L2>;

void make_store(const std::string& path, ElementType type, bool save) {
  auto collection = must(Plane::open(path, options_of(type, save)));
  std::vector<std::string> keys;
  std::vector<std::vector<float>> vectors;
  for (std::size_t i = 0; i < entries; ++i) {
    keys.push_back(key_of(i));
    vectors.push_back(at(static_cast<float>(i), 1));
  }
  std::vector<VectorItem> items;
  for (std::size_t i = 0; i < entries; ++i) {
    items.push_back({.key = keys[i], .vector = vectors[i], .value = "v", .metadata = {{"n", i}}});
  }
  must(collection.put_batch(items));
}

const std::string change_vector = "UPDATE snkv_vector_1_vectors SET value = ";
const std::string third = " WHERE key = x'00000003'";
const std::string change_item = "UPDATE snkv_vector_1_items SET value = CAST(";
const std::string k3 = " AS BLOB) WHERE key = CAST('k3' AS BLOB)";

struct Damage {
  std::string sql;
  /// The metadata are lost, and nothing else.
  bool only_metadata = false;
};
const std::vector<Damage>& damages() {
  static const std::vector<Damage> all = {
      {change_vector + "x'00'" + third},
      {change_vector + "x'0000000000000000000000'" + third},
      {change_vector + "x'0000c07f0000c07f'" + third},  // NaN
      {"DELETE FROM snkv_vector_1_vectors WHERE key = x'00000003'"},
      {change_item + "x'00'" + k3},
      {change_item + "x'ffffff7f' || substr(value, 5)" + k3},  // a number of nobody
      {change_item + "x'04000000' || substr(value, 5)" + k3},  // the number of another one
      {change_item + "substr(value, 1, 20) || '{'" + k3, true},
      {change_item + "substr(value, 1, 20) || '[1]'" + k3, true},
      {change_item + "substr(value, 1, 20) || '{\"n\":<discarded>}'" + k3, true}};
  return all;
}

/// Everything but k3 is found, in every way, and k3 in none.
void check_rest(Plane& docs) {
  for (const bool exact : {false, true}) {
    for (const bool values : {false, true}) {
      const auto hits = must(docs.search(at(3, 1), entries, {.exact = exact, .values = values,
                                                             .metadata = values,
                                                             .vectors = values}));
      CHECK(hits.size() == entries - 1);
      CHECK(std::none_of(hits.begin(), hits.end(), [](const auto& h) { return h.key == "k3"; }));
      CHECK(must(docs.search(at(3, 1), 5, {.exact = exact, .values = values})).size() == 5);
    }
  }
  CHECK(must(docs.search_keys(at(3, 1), 3)).size() == 3);
  CHECK(keys_of(must(docs.search(at(3, 1), 9, {.filter = field("n") < 5}))).find("k3") ==
        std::string::npos);
  CHECK(must(docs.count(field("n") < 5)) == 4);
  const VectorPredicate sound = [](std::string_view, const Json& metadata) {
    CHECK(metadata.is_object());
    return true;
  };
  CHECK(must(docs.search(at(3, 1), 5, {.predicate = sound})).size() == 5);
  CHECK(must(docs.items({.predicate = sound, .vectors = true})).size() == entries - 1);
  std::ostringstream out;
  CHECK(must(docs.export_jsonl(out)) == entries - 1);
  CHECK(must(docs.search_batch(std::vector<float>(8, 1), 4)).size() == 4);
}

}  // namespace

TEST_CASE("a damaged row costs its entry") {
  const auto type = GENERATE(ElementType::f32, ElementType::i8);
  const TempDir dir;
  make_store(dir.file("good.db"), type, false);
  for (const Damage& damage : damages()) {
    INFO(damage.sql);
    const std::string path = dir.file("bad.db");
    std::filesystem::remove(path);
    std::filesystem::copy_file(dir.file("good.db"), path);
    sqlite_cli(path, damage.sql);
    {
      Log log;
      auto docs = must(Plane::open(path, options_of(type, false, &log)));
      check_rest(docs);
      CHECK(must(docs.info()).damaged == 1);
      CHECK(must(docs.stats()).info.damaged == 1);
      CHECK(log.text.find("\"k3\" is left out") != std::string::npos);
      CHECK(says(docs.get_item("k3"), Errc::corrupt, "\"k3\""));
      CHECK(must(docs.get("k3")).str() == "v");
      const auto report = must(docs.verify());
      REQUIRE(report.damaged == 1);
      CHECK(report.rows[0].key == "k3");
      CHECK(report.entries == entries);
      // Writes go on, and another put makes it whole.
      must(docs.put("new", at(500, 500)));
      must(docs.put("k3", at(3, 1), {.metadata = {{"n", 3}}}));
      CHECK(must(docs.info()).damaged == 0);
      CHECK(must(docs.search(at(3, 1), entries + 9)).size() == entries + 1);
      CHECK(keys_of(must(docs.search(at(3, 1), 1))) == "k3");
      CHECK(keys_of(must(docs.search(at(4, 1), 1))) == "k4");
      CHECK(must(docs.verify()).damaged == 0);
    }
    std::filesystem::remove(path);
    std::filesystem::copy_file(dir.file("good.db"), path);
    sqlite_cli(path, damage.sql);
    {
      auto docs = must(Plane::open(path, options_of(type, false)));
      CHECK(must(docs.erase("k3")));
      CHECK(must(docs.info()).damaged == 0);
      CHECK(must(docs.size()) == entries - 1);
      CHECK(must(docs.verify()).damaged == 0);
      for (int i = 0; i < 4; ++i) must(docs.put("more" + std::to_string(i), at(600, 1)));
      CHECK(must(docs.search(at(3, 1), 2 * entries)).size() == entries + 3);
    }
    std::filesystem::remove(path);
    std::filesystem::copy_file(dir.file("good.db"), path);
    sqlite_cli(path, damage.sql);
    auto docs = must(Plane::open(path, options_of(type, false)));
    const auto report = must(docs.repair());
    CHECK(report.damaged == 1);
    CHECK(report.removed == (damage.only_metadata ? 0 : 1));
    CHECK(report.without_metadata == (damage.only_metadata ? 1 : 0));
    CHECK(must(docs.info()).damaged == 0);
    const std::size_t left = damage.only_metadata ? entries : entries - 1;
    CHECK(must(docs.size()) == left);
    CHECK(must(docs.search(at(3, 1), 2 * entries)).size() == left);
    const auto again = must(docs.verify());
    CHECK((again.damaged == 0 && again.orphans == 0));
    CHECK(must(docs.get("k3")).str() == "v");
    must(docs.put("k3", at(3, 1), {.metadata = {{"n", 3}}}));
    CHECK(must(docs.search(at(3, 1), 2 * entries)).size() == entries);
  }
}

TEST_CASE("a row that is damaged after its graph was saved is left out when it is read") {
  const TempDir dir;
  make_store(dir.file("good.db"), ElementType::f32, true);
  for (const Damage& damage : damages()) {
    INFO(damage.sql);
    const std::string path = dir.file("bad.db");
    for (const char* suffix : {"", "-vectors-1"}) {
      std::filesystem::copy_file(dir.file("good.db") + suffix, path + suffix,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    sqlite_cli(path, damage.sql);
    auto docs = must(Plane::open(path, options_of(ElementType::f32, true)));
    const auto hits = must(docs.search(at(3, 1), 5, {.vectors = true}));
    CHECK(hits.size() == 5);
    CHECK(std::none_of(hits.begin(), hits.end(), [](const auto& h) { return h.key == "k3"; }));
    CHECK(must(docs.verify()).damaged == 1);
    must(docs.repair());
    CHECK(must(docs.verify()).damaged == 0);
    must(docs.save());
  }
}

TEST_CASE("entries with one number and no log lose both, and nothing wrong is given") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, ElementType::f32, false);
  sqlite_cli(path, change_item + "x'04000000' || substr(value, 5)" + k3 +
                       ";DELETE FROM snkv_vector_1_log");
  auto docs = must(Plane::open(path, options_of(ElementType::f32, false)));
  CHECK(must(docs.info()).damaged == 2);
  CHECK(says(docs.get_vector("k3"), Errc::corrupt, "k3"));
  CHECK(says(docs.get_vector("k4"), Errc::corrupt, "k4"));
  CHECK(must(docs.search(at(3, 1), entries)).size() == entries - 2);
  CHECK(must(docs.erase("k3")));
  CHECK(must(docs.info()).damaged == 0);
  CHECK(keys_of(must(docs.search(at(4, 1), 1))) == "k4");
}

TEST_CASE("an entry whose row is gone, and rows of the log, cost nothing else") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  for (const char* sql : {"DELETE FROM snkv_vector_1_items WHERE key = CAST('k3' AS BLOB)",
                          "UPDATE snkv_vector_1_log SET value = x'00' WHERE key = "
                          "x'0000000000000009'",
                          "DELETE FROM snkv_vector_1_log WHERE key = x'0000000000000009'",
                          "UPDATE snkv_vector_1_log SET value = CAST(substr(value, 1, 13) || 'kx' "
                          "AS BLOB) WHERE key = x'0000000000000009'"}) {
    INFO(sql);
    std::filesystem::remove(path);
    make_store(path, ElementType::f32, false);
    sqlite_cli(path, sql);
    const bool gone = std::string_view(sql).find("items") != std::string_view::npos;
    auto docs = must(Plane::open(path, options_of(ElementType::f32, false)));
    CHECK(must(docs.search(at(3, 1), entries)).size() == (gone ? entries - 1 : entries));
    must(docs.repair());
    CHECK(must(docs.size()) == (gone ? entries - 1 : entries));
    CHECK(must(docs.verify()).damaged == 0);
    must(docs.put("k3", at(3, 1)));
    CHECK(must(docs.size()) == entries);
  }
}

TEST_CASE("in an encrypted store a row that was tampered with costs its entry") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const auto open = [&] {
    return must(Plane::open_encrypted(path, test_secret(), options_of(ElementType::f32, false)));
  };
  // The last byte of what is sealed.
  const std::string flipped =
      "SET value = CAST(substr(value, 1, length(value) - 1) || "
      "CASE WHEN substr(value, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB) ";
  for (const std::string& sql :
       {"UPDATE snkv_vector_1_items " + flipped + "WHERE key = CAST('k3' AS BLOB)",
        "UPDATE snkv_vector_1_vectors " + flipped + "WHERE key = x'00000003'"}) {
    INFO(sql);
    std::filesystem::remove(path);
    {
      auto docs = open();
      for (std::size_t i = 0; i < 9; ++i) {
        must(docs.put(key_of(i), at(static_cast<float>(i), 1),
                      {.value = "v", .metadata = {{"n", i}}}));
      }
    }
    sqlite_cli(path, sql);
    auto docs = open();
    CHECK(must(docs.info()).damaged == 1);
    CHECK(must(docs.search(at(3, 1), 9, {.vectors = true})).size() == 8);
    CHECK(must(docs.items({.vectors = true})).size() == 8);
    CHECK(says(docs.get_item("k3"), Errc::tampered, "get_item"));
    CHECK(must(docs.verify()).damaged == 1);
    CHECK(must(docs.erase("k3")));
    CHECK(must(docs.verify()).damaged == 0);
    CHECK(must(docs.search(at(3, 1), 9)).size() == 8);
  }
}
