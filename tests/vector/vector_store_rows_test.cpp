// The rows of a collection: as docs/file-format.md has them, and what comes of damaged ones.
#include "support/check.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector/store.hpp>

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace snkv::test {
namespace {

using Point = std::array<float, 2>;

VectorStoreOptions by_hand() { return {.name = "p", .auto_save = false}; }

/// A collection of three entries, of which one expires and one was erased.
void make(const std::string& path) {
  auto points = must(VectorStore<2, L2>::open(path, by_hand()));
  must(points.put("a", Point{1, 2}, {.value = "v", .metadata = {{"x", 1}}}));
  must(points.put("b", Point{3, 4}, {.expires_at = TimePoint(std::chrono::milliseconds(1) +
                                                             std::chrono::hours(24 * 365 * 100))}));
  must(points.put("c", Point{5, 6}));
  must(points.erase("c"));
}

TEST_CASE("the rows of a collection are as the file format says", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  const auto rows = [&](const std::string& table, const std::string& columns) {
    return sqlite_cli(path, "SELECT " + columns + " FROM \"" + table + "\" ORDER BY key");
  };
  CHECK(rows("snkv_vectors", "hex(key) || ' ' || hex(value)") ==
        "006E6578745F6964 02000000\n"
        "70 010001010100000002000000100000008000000040000000");
  CHECK(rows("snkv_vector_1_items", "hex(key) || ' ' || hex(value)") ==
        "61 00000000000000000000000001000000000000007B2278223A317D\n"
        "62 0100000001303541DE0200000200000000000000");
  CHECK(rows("snkv_vector_1_vectors", "hex(key) || ' ' || hex(value)") ==
        "00000000 0000803F00000040\n"
        "00000001 0000404000008040");
  // The chains depend on chance.
  CHECK(rows("snkv_vector_1_log",
             "hex(key) || ' ' || hex(substr(value, 1, 5)) || ' ' || hex(substr(value, 14))") ==
        "0000000000000001 0100000000 61\n"
        "0000000000000002 0101000000 62\n"
        "0000000000000003 0102000000 63\n"
        "0000000000000004 0302000000 63");
  CHECK(rows("snkv_vector_1_meta",
             "hex(key) || ' ' || CASE WHEN length(value) = 61 THEN hex(substr(value, 1, 9)) || "
             "hex(substr(value, 18)) ELSE hex(value) END") ==
        "65000002DE4135300100000001 62\n"
        "6600000002 \n"
        "7374617465 010400000000000000"
        "0000000000000000"
        "0200000000000000"
        "0100000000000000"
        "03000000"
        "0000000000000000"
        "0000000000000000");
  CHECK(rows("p", "CAST(key AS TEXT) || ' ' || CAST(value AS TEXT)") == "a v");
}

TEST_CASE("damaged rows cost their entries, and give no wrong answer", "[vector][store]") {
  const std::string damage = GENERATE(
      as<std::string>{}, "UPDATE snkv_vector_1_vectors SET value = x'0000803f'",
      "UPDATE snkv_vector_1_vectors SET value = x'0000c07f00000040'",  // not a number
      "DELETE FROM snkv_vector_1_vectors WHERE key = x'00000000'",
      "UPDATE snkv_vector_1_items SET value = x'00' WHERE key = x'61'",
      "UPDATE snkv_vector_1_items SET value = x'000000000000000000000000010000000000000078'",
      "UPDATE snkv_vector_1_items SET value = x'0100000000000000000000000100000000000000' "
      "WHERE key = x'61'",
      "UPDATE snkv_vector_1_items SET value = x'ffffff7f00000000000000000100000000000000' "
      "WHERE key = x'61'",
      "DELETE FROM snkv_vector_1_items WHERE key = x'61'");
  CAPTURE(damage);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  sqlite_cli(path, damage);
  auto points = must(VectorStore<2, L2>::open(path, by_hand()));
  const VectorCheckReport report = must(points.verify());
  CHECK(report.damaged + report.orphans > 0);
  const std::map<std::string, std::vector<float>> expected{{"a", {1, 2}}, {"b", {3, 4}}};
  for (const VectorHit& hit : must(points.search(Point{1, 2}, 5, {.vectors = true}))) {
    REQUIRE(expected.contains(hit.key));
    CHECK(hit.vector == expected.at(hit.key));
  }
  for (const auto& [key, vector] : expected) {
    const auto found = points.get_vector(key);
    if (found) CHECK(*found == vector);
    if (!found) CHECK((found.error() == Errc::corrupt || found.error() == Errc::not_found));
  }
  must(points.repair());
  CHECK(must(points.verify()).damaged == 0);
}

TEST_CASE("a collection that is damaged itself gives corrupt", "[vector][store]") {
  const std::string damage = GENERATE(
      as<std::string>{}, "DELETE FROM snkv_vector_1_meta WHERE key = CAST('state' AS BLOB)",
      "UPDATE snkv_vector_1_meta SET value = x'02' WHERE key = CAST('state' AS BLOB)",
      "UPDATE snkv_vectors SET value = x'01' WHERE key = CAST('p' AS BLOB)",
      "UPDATE snkv_vectors SET value = x'010009010100000002000000100000008000000040000000' "
      "WHERE key = CAST('p' AS BLOB)");
  CAPTURE(damage);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  sqlite_cli(path, damage);
  REQUIRE_ERROR(VectorStore<>::open(path, by_hand()), Errc::corrupt, "open");
}

TEST_CASE("who follows a damaged log takes what the rows say", "[vector][store]") {
  const std::string damage =
      GENERATE(as<std::string>{}, "DELETE FROM snkv_vector_1_log WHERE key = x'000000000000001a'",
               "DELETE FROM snkv_vector_1_log WHERE key = x'000000000000001b'",
               "UPDATE snkv_vector_1_log SET value = x'09' WHERE key = x'000000000000001b'");
  CAPTURE(damage);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  {
    auto points = must(VectorStore<2, L2>::open(path, by_hand()));
    for (int i = 0; i < 20; ++i) must(points.put("k" + std::to_string(i), Point{1, 1}));
    must(points.save());  // up to change 24
  }
  {
    auto points = must(VectorStore<2, L2>::open(path, by_hand()));
    for (int i = 0; i < 3; ++i) must(points.put("k" + std::to_string(i), Point{2, 2}));
  }
  sqlite_cli(path, damage);
  auto points = must(VectorStore<2, L2>::open(path, by_hand()));
  CHECK(must(points.size()) == 22);
  for (int i = 0; i < 20; ++i) {
    const float x = i < 3 ? 2 : 1;
    CHECK(must(points.get_vector("k" + std::to_string(i))) == std::vector<float>{x, x});
  }
  CHECK(must(points.search_keys(Point{2, 2}, 3)).back().distance == 0);
}

TEST_CASE("a collection of a newer version is refused", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  sqlite_cli(path, "UPDATE snkv_vectors SET value = x'02' WHERE key = CAST('p' AS BLOB)");
  REQUIRE_ERROR(VectorStore<>::open(path, by_hand()), Errc::unsupported_version, "open");
}

TEST_CASE("a value that is not there any more leaves its entry", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make(path);
  auto points = must(VectorStore<2, L2>::open(path, by_hand()));
  must(must(points.values()).erase("a"));
  CHECK(must(points.contains("a")));
  CHECK_FALSE(must(points.search(Point{1, 2}, 1))[0].value.has_value());
  must(points.store().drop_column_family("p"));
  CHECK_FALSE(must(points.search(Point{1, 2}, 1))[0].value.has_value());
  CHECK_FALSE(must(points.get_item("a")).value.has_value());
  REQUIRE_ERRC(points.put("d", Point{1, 1}, {.value = "w"}), Errc::dropped);
  must(points.put("d", Point{1, 1}));
  must(points.erase("a"));
  // Opened anew, the collection has a family again.
  points = must(VectorStore<2, L2>::open(points.store(), by_hand()));
  must(points.put("d", Point{1, 1}, {.value = "w"}));
  CHECK(must(points.get("d")).view() == "w");
}

}  // namespace
}  // namespace snkv::test
