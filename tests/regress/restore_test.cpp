// Putting a backup in place. By hand it left the log of the old store beside it.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

/// A store at `path` that was backed up as `copy` and changed since.
void make_both(const std::string& path, const std::string& copy) {
  Store store = must(Store::open(path));
  for (int i = 0; i < 300; ++i) REQUIRE_OK(store.put("k" + std::to_string(i), "old" + patterned(100)));
  REQUIRE_OK(store.backup(copy));
  REQUIRE_OK(store.put("k7", "new"));
}

void require_old(const std::string& path) {
  const Store store = must(Store::open(path));
  CHECK(must(store.get("k7")) == BytesView("old" + patterned(100)));
  REQUIRE_OK(store.verify());
}

}  // namespace

TEST_CASE("restore puts the backup in place, and nothing of the old store stays") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_both(path, dir.file("copy.db"));
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  write_file(path + "-vectors-1", "a saved index");
  // Its log is there: the writer was killed.
  REQUIRE(in_child([&]() -> std::string {
            Store store = must(Store::open(path));
            if (!store.put("k9", "newer")) return "no put";
            ::_exit(0);
          }).empty());
  std::uint64_t pages = 0;
  REQUIRE_OK(Store::restore(dir.file("copy.db"), path, [&](std::uint64_t done, std::uint64_t) {
    pages = done;
    return true;
  }));
  CHECK(pages > 0);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db", "copy.db"});
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0640);
  require_old(path);
  // The backup can be used again.
  REQUIRE_OK(must(Store::open(path)).put("k7", "newest"));
  REQUIRE_OK(Store::restore(dir.file("copy.db"), path));
  require_old(path);
}

TEST_CASE("restore makes a store where there is none, past a log that was left there") {
  const TempDir dir;
  make_both(dir.file("a.db"), dir.file("copy.db"));
  write_file(dir.file("new.db-wal"), "left behind");
  REQUIRE_OK(Store::restore(dir.file("copy.db"), dir.file("new.db")));
  require_old(dir.file("new.db"));
}

TEST_CASE("restore takes the place of a damaged store, and of an empty file") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_both(path, dir.file("copy.db"));
  const bool empty = GENERATE(true, false);
  if (empty) {
    write_file(path, "");
  } else {
    scribble(path, 100);
  }
  REQUIRE_OK(Store::restore(dir.file("copy.db"), path));
  require_old(path);
}

TEST_CASE("an encrypted backup is restored without its secret") {
  const TempDir dir;
  const EncryptionOptions cheap{.opslimit = 2, .memlimit = 19u << 20};
  const Secret secret = Secret::password("hunter2");
  {
    Store store = must(Store::open_encrypted(dir.file("a.db"), secret, {}, cheap));
    REQUIRE_OK(store.put("k", "v"));
    REQUIRE_OK(store.backup(dir.file("copy.db")));
    REQUIRE_OK(store.put("k", "w"));
  }
  REQUIRE_OK(Store::restore(dir.file("copy.db"), dir.file("a.db")));
  CHECK(must(must(Store::open_encrypted(dir.file("a.db"), secret)).get("k")) == BytesView("v"));
}

TEST_CASE("restore refuses what it must not touch, and what is no backup") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string copy = dir.file("copy.db");
  make_both(path, copy);
  write_file(dir.file("text"), std::string(5000, 'x'));
  {
    const Store store = must(Store::open(path));
    REQUIRE_ERROR(Store::restore(copy, path), Errc::busy, "restore");
    CHECK(must(store.get("k7")) == BytesView("new"));
  }
  {
    const Store store = must(Store::open(dir.file("other.db"), {.journal = Journal::rollback}));
    REQUIRE_ERROR(Store::restore(copy, dir.file("other.db")), Errc::busy, "restore");
  }
  REQUIRE(in_child([&]() -> std::string {
            const Store store = must(Store::open(path));
            return store.get("k7") ? "" : "no get";
          }).empty());
  REQUIRE_ERROR(Store::restore(path, path), Errc::invalid_argument, "restore");
  REQUIRE_ERROR(Store::restore(copy, ""), Errc::invalid_argument, "restore");
  REQUIRE_ERROR(Store::restore(dir.file("none.db"), path), Errc::cant_open, "restore");
  REQUIRE_ERROR(Store::restore(dir.file("text"), path), Errc::not_a_store, "restore");
  REQUIRE_ERROR(Store::restore(copy, dir.file("text")), Errc::not_a_store, "restore");
  REQUIRE_ERROR(Store::restore(copy, dir.path().string()), Errc::cant_open, "restore");
  REQUIRE_ERROR(Store::restore(copy, path, [](std::uint64_t, std::uint64_t) { return false; }),
                Errc::aborted, "restore");
  scribble(copy, 8192 * 3);
  REQUIRE_ERROR(Store::restore(copy, path), Errc::corrupt, "restore");
  CHECK(must(must(Store::open(path)).get("k7")) == BytesView("new"));
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db", "copy.db", "other.db", "text"});
}
