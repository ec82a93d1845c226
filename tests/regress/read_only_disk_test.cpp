// A closed store on a read-only medium: "No such file or directory" was all that was said. Mounts: run the test with
// tests/api/with_mounts.sh.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/small_disk.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/mount.h>

#include <string>

using namespace snkv;
using namespace snkv::test;

TEST_CASE("a store on a read-only medium is refused with the reason and the way, and read with immutable") {
  const TempDir dir;
  const SmallDisk disk(dir.file("disk"), "4m");
  const std::string path = disk.file("a.db");
  { REQUIRE_OK(must(Store::open(path)).put("k", "v")); }
  REQUIRE(::mount(nullptr, disk.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  const auto refused = Store::open(path, {.read_only = true});
  REQUIRE_ERROR(refused, Errc::cant_open, "open");
  const std::string message = refused.error().message();
  CAPTURE(message);
  CHECK(message.find("Read-only file system") != std::string::npos);
  CHECK(message.find("immutable") != std::string::npos);
  REQUIRE_ERROR(Store::open(path), Errc::read_only, "open");
  CHECK(must(must(Store::open(path, {.read_only = true, .immutable = true})).get("k")) == BytesView("v"));
}

TEST_CASE("another file system that is mounted over an open store has moved it") {
  const TempDir dir;
  const SmallDisk below(dir.file("disk"), "4m");
  Store store = must(Store::open(below.file("a.db"), {.sync = Sync::full}));
  REQUIRE_OK(store.put("k", "v"));
  {
    REQUIRE(::mount("tmpfs", below.path().c_str(), "tmpfs", 0, "size=1m") == 0);
    REQUIRE_ERROR(store.put("k", "w"), Errc::moved, "put");
    REQUIRE(::umount2(below.path().c_str(), MNT_DETACH) == 0);
  }
  REQUIRE_ERROR(store.close(), Errc::moved, "close");
}
