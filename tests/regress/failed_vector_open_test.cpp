// An open of a collection that fails makes no file.
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector/store.hpp>

#include <filesystem>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

/// Files in the folder.
std::size_t files_in(const TempDir& dir) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.path()))
    ++count;
  return count;
}

std::vector<VectorStoreOptions> refused_options() {
  static const std::string long_name(256, 'x');
  return {{.name = "c"},  // no dimensions
          {.name = "c", .dim = 65537},
          {.name = "c", .dim = 2, .metric = static_cast<Metric>(9)},
          {.name = "c", .dim = 2, .dtype = static_cast<ElementType>(9)},
          {.name = "c", .dim = 2, .m = 1},
          {.name = "c", .dim = 2, .ef_construction = 3},
          {.name = "c", .dim = 2, .ef_search = 0},
          {.name = "", .dim = 2},
          {.name = "snkv_c", .dim = 2},
          {.name = "sqlite_c", .dim = 2},
          {.name = std::string_view("c\0d", 3), .dim = 2},
          {.name = "\xff", .dim = 2},
          {.name = long_name, .dim = 2}};
}

}  // namespace

TEST_CASE("an open with options that can be no collection's makes no file") {
  for (const VectorStoreOptions& options : refused_options()) {
    const TempDir dir;
    const std::string path = dir.file("a.db");
    INFO(std::string(options.name));
    REQUIRE_ERRC(VectorStore<>::open(path, options), Errc::invalid_argument);
    CHECK(files_in(dir) == 0);
    REQUIRE_ERRC(VectorStore<>::open_encrypted(path, Secret::password("p"), options),
                 Errc::invalid_argument);
    CHECK(files_in(dir) == 0);
    if (options.dim != 0) REQUIRE_ERRC(VectorStore<>::check(options), Errc::invalid_argument);
  }
}

TEST_CASE("an open that is not to make a collection makes no store either") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const VectorStoreOptions options{.name = "c", .dim = 2, .create_if_missing = false};
  REQUIRE_ERRC(VectorStore<>::open(path, options), Errc::not_found);
  REQUIRE_ERRC((VectorStore<2, L2>::open(path, {.name = "c", .create_if_missing = false})),
               Errc::not_found);
  REQUIRE_ERRC(VectorStore<>::open_encrypted(path, Secret::password("p"), options),
               Errc::not_found);
  CHECK(files_in(dir) == 0);
  // In a store that is there nothing is made either.
  must(Store::open(path));
  REQUIRE_ERRC(VectorStore<>::open(path, options), Errc::not_found);
  CHECK(must(must(Store::open(path)).list_column_families()).size() == 1);
}

TEST_CASE("what is refused by an open store leaves no families behind") {
  const Store store = must(Store::open_in_memory());
  VectorCollections collections(store);
  for (const VectorStoreOptions& options : refused_options()) {
    INFO(std::string(options.name));
    REQUIRE_ERRC(collections.create(options.name, options), Errc::invalid_argument);
    REQUIRE_ERRC(collections.get_or_create(options.name, options), Errc::invalid_argument);
  }
  REQUIRE_ERRC(collections.open("c"), Errc::not_found);
  CHECK(must(store.list_column_families()).size() == 1);
  CHECK(must(collections.list()).empty());
}

TEST_CASE("an open that can make a collection still makes its store") {
  const TempDir dir;
  must(VectorStore<>::open(dir.file("a.db"), {.name = "c", .dim = 2}));
  must(VectorStore<2, L2>::open(dir.file("b.db"), {.name = "c"}));
  must(VectorStore<>::open_encrypted(dir.file("c.db"), Secret::password("p"),
                                     {.name = "c", .dim = 2}));
  // What is there need not be described again.
  CHECK(must(VectorStore<>::open(dir.file("a.db"), {.name = "c"})).dim() == 2);
  CHECK(must(VectorStore<>::open(dir.file("a.db"), {.name = "c", .create_if_missing = false}))
            .dim() == 2);
}

TEST_CASE("what the options of the store say of a missing file comes first") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  REQUIRE_ERRC(VectorStore<>::open(path, {.name = "c", .store = {.read_only = true}}),
               Errc::cant_open);
  REQUIRE_ERRC(
      VectorStore<>::open(path, {.name = "c", .dim = 2, .store = {.create_if_missing = false}}),
      Errc::cant_open);
  CHECK_FALSE(std::filesystem::exists(path));
}
