// A file with two names has two logs: two processes that open it by one each do not see each other, and half of
// what they write is lost.
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <filesystem>
#include <string>

using namespace snkv;
using namespace snkv::test;

TEST_CASE("a store with two names is refused, for reading too") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string other = dir.file("b.db");
  REQUIRE_OK(must(Store::open(path)).put("k", "v"));
  std::filesystem::create_hard_link(path, other);
  for (const std::string& name : {path, other}) {
    const auto refused = Store::open(name);
    REQUIRE_ERROR(refused, Errc::invalid_argument, "open");
    const std::string message = refused.error().message();
    CHECK(message.find(name + " has 2 names") != std::string::npos);
    CHECK(message.find("allow_hard_links") != std::string::npos);
    REQUIRE_ERROR(Store::open(name, {.read_only = true}), Errc::invalid_argument, "open");
  }
  // Nothing came into being beside it.
  CHECK(!std::filesystem::exists(other + "-wal"));
  // Who knows better may insist; who knows that nobody writes needs not.
  REQUIRE_OK(must(Store::open(path, {.allow_hard_links = true})).put("k", "w"));
  CHECK(must(must(Store::open(other, {.read_only = true, .immutable = true})).get("k")) == BytesView("w"));
  CHECK(must(must(Store::open(other, {.read_only = true, .allow_hard_links = true})).get("k")) ==
        BytesView("w"));
  std::filesystem::remove(other);
  REQUIRE_OK(must(Store::open(path)).put("k", "x"));
}

TEST_CASE("a symbolic link is no second name") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  REQUIRE_OK(must(Store::open(path)).put("k", "v"));
  std::filesystem::create_symlink(path, dir.file("link.db"));
  CHECK(must(must(Store::open(dir.file("link.db"))).get("k")) == BytesView("v"));
}
