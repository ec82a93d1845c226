// The families of a collection of vectors are tables too: exchanging them with those of another collection
// gave one the entries of the other.
#include "support/check.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

std::string make_store(const TempDir& dir) {
  const std::string path = dir.file("a.db");
  Store store = must(Store::open_encrypted(path, key()));
  for (const char* const name : {"first", "second"}) {
    auto collection = must(VectorStore<>::open(store, {.name = name, .dim = 4}));
    const std::vector<float> vector{1, 2, 3, name[0] == 'f' ? 4.0f : 5.0f};
    must(collection.put("entry", vector, {.value = name, .metadata = {{"of", name}}}));
  }
  must(store.close());
  return path;
}

std::string exchange(const std::string& a, const std::string& b) {
  return "ALTER TABLE " + a + " RENAME TO t; ALTER TABLE " + b + " RENAME TO " + a +
         "; ALTER TABLE t RENAME TO " + b + ";";
}

}  // namespace

TEST_CASE("a collection whose families are those of another one is refused") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string which =
      GENERATE(as<std::string>(), "snkv_vector_%_items", "snkv_vector_%_vectors", "snkv_vector_%_log",
               "snkv_vector_%_meta", "values", "all");
  CAPTURE(which);
  const auto table = [](std::string name, const char* id) { return name.replace(name.find('%'), 1, id); };
  std::string sql;
  for (const std::string name : {"snkv_vector_%_items", "snkv_vector_%_vectors", "snkv_vector_%_log",
                                 "snkv_vector_%_meta"}) {
    if (which == name || which == "all") sql += exchange(table(name, "1"), table(name, "2"));
  }
  if (which == "values" || which == "all") sql += exchange("first", "second");
  sqlite_cli(path, sql);
  const Store store = must(Store::open_encrypted(path, key()));
  for (const char* const name : {"first", "second"}) {
    CAPTURE(name);
    const auto collection = VectorStore<>::open(store, {.name = name});
    // What is not needed to open it is refused when it is needed.
    if (collection) {
      REQUIRE_ERRC(collection->get_item("entry"), Errc::tampered);
    } else {
      CHECK(collection.error() == Errc::tampered);
    }
  }
  REQUIRE_ERRC(store.verify(), Errc::tampered);
}

TEST_CASE("the catalog of collections cannot be exchanged, nor its rows") {
  const TempDir dir;
  const std::string path = make_store(dir);
  SECTION("rows") {
    sqlite_cli(path,
               "CREATE TEMP TABLE t AS SELECT key, value FROM snkv_vectors; UPDATE snkv_vectors SET value="
               "(SELECT value FROM t WHERE t.key=CAST('second' AS BLOB)) WHERE key=CAST('first' AS BLOB)");
  }
  SECTION("the table") {
    sqlite_cli(path, "ALTER TABLE snkv_vectors RENAME TO other; ALTER TABLE first RENAME TO snkv_vectors");
  }
  const Store store = must(Store::open_encrypted(path, key()));
  REQUIRE_ERRC(VectorStore<>::open(store, {.name = "first"}), Errc::tampered);
  REQUIRE_ERRC(store.verify(), Errc::tampered);
}
