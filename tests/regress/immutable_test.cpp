// `immutable` beside a log showed 0 of 100 entries and said that all is well.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <string>

using namespace snkv;
using namespace snkv::test;

TEST_CASE("immutable is refused where the file is not complete without its log") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  REQUIRE(in_child([&]() -> std::string {
            Store store = must(Store::open(path));
            for (int i = 0; i < 100; ++i) {
              if (!store.put("k" + std::to_string(i), "v")) return "no put";
            }
            ::_exit(0);
          }).empty());
  const Options immutable{.read_only = true, .immutable = true};
  const auto refused = Store::open(path, immutable);
  REQUIRE_ERROR(refused, Errc::invalid_argument, "open");
  CHECK(refused.error().message().find(path + "-wal") != std::string::npos);
  { CHECK(must(must(Store::open(path)).count()) == 100); }
  CHECK(must(must(Store::open(path, immutable)).count()) == 100);
  // An empty log has nothing that would be missing.
  write_file(path + "-wal", "");
  CHECK(must(must(Store::open(path, immutable)).count()) == 100);
}

TEST_CASE("immutable is refused beside a journal that has to be played back") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const Options options{.journal = Journal::rollback, .cache_size = 64 << 10};
  { REQUIRE_OK(must(Store::open(path, options)).put("k1", "before")); }
  REQUIRE(in_child([&]() -> std::string {
            Store store = must(Store::open(path, options));
            Transaction transaction = must(store.begin());
            for (int i = 0; i < 300; ++i) {
              if (!transaction.put("k" + std::to_string(i), std::string(1000, 'x'))) return "no put";
            }
            ::_exit(0);
          }).empty());
  REQUIRE(size_of(path + "-journal") > 0);
  const auto refused = Store::open(path, {.read_only = true, .immutable = true});
  REQUIRE_ERROR(refused, Errc::invalid_argument, "open");
  CHECK(refused.error().message().find(path + "-journal") != std::string::npos);
  CHECK(must(must(Store::open(path, options)).get("k1")) == BytesView("before"));
}
