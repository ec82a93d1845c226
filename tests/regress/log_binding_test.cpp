// The log of one file lies beside another: a backup was copied over a file whose writer had been killed, or the
// log of another store lies there. The engine takes any log that is whole in itself, and mixed the two.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

std::string key(int i) { return "key" + std::to_string(i); }

void fill(Store& store, int from, int to, const std::string& value) {
  for (int i = from; i < to; ++i) REQUIRE_OK(store.put(key(i), value + patterned(100)));
}

/// Writes in a process that is killed, so that the log stays.
void killed_writer(const std::string& path, const std::function<void(Store&)>& work, Options options = {}) {
  options.wal_autocheckpoint = 0;
  const std::string report = in_child([&]() -> std::string {
    Store store = must(Store::open(path, options));
    work(store);
    ::_exit(0);  // which leaves it as SIGKILL does
  });
  REQUIRE(report.empty());
}

void refuse(const std::string& path) {
  for (const bool read_only : {true, false}) {
    const auto opened = Store::open(path, {.read_only = read_only});
    REQUIRE_ERROR(opened, Errc::log_mismatch, "open");
    const std::string message = opened.error().message();
    CHECK(message.find(path + "-wal") != std::string::npos);
    CHECK(message.find("restore") != std::string::npos);
  }
  // Both are as they were, and the way that the message names works.
  CHECK(size_of(path + "-wal") > 0);
}

}  // namespace

TEST_CASE("a backup that was copied over the file of a killed writer is not mixed with its log") {
  const bool compact = GENERATE(false, true);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string copy = dir.file("copy.db");
  {
    Store store = must(Store::open(path));
    fill(store, 0, 2000, "old");
    REQUIRE_OK(store.backup(copy, {.compact = compact}));
  }
  killed_writer(path, [](Store& store) { fill(store, 1000, 3000, "new"); });
  fs::copy_file(copy, path, fs::copy_options::overwrite_existing);
  refuse(path);
  refuse(path);  // nor did refusing it once change anything
  REQUIRE_OK(Store::restore(copy, path));
  const Store store = must(Store::open(path));
  CHECK(must(store.count()) == 2000);
  REQUIRE_OK(store.verify());
}

TEST_CASE("a copy of the file from before is not mixed with a later log") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    fill(store, 0, 500, "old");
  }
  fs::copy_file(path, dir.file("copy.db"));
  { fill(*std::make_unique<Store>(must(Store::open(path))), 0, 10, "mid"); }
  killed_writer(path, [](Store& store) { fill(store, 0, 400, "new"); });
  fs::copy_file(dir.file("copy.db"), path, fs::copy_options::overwrite_existing);
  refuse(path);
}

TEST_CASE("the log of another store is refused") {
  const TempDir dir;
  for (const char* name : {"a.db", "b.db"}) {
    Store store = must(Store::open(dir.file(name)));
    fill(store, 0, 300, name);
  }
  killed_writer(dir.file("b.db"), [](Store& store) { fill(store, 0, 300, "new"); });
  fs::copy_file(dir.file("b.db-wal"), dir.file("a.db-wal"));
  refuse(dir.file("a.db"));
  // Without it the store is as it was.
  fs::remove(dir.file("a.db-wal"));
  const Store store = must(Store::open(dir.file("a.db")));
  CHECK(must(store.get(key(7))) == BytesView("a.db" + patterned(100)));
  REQUIRE_OK(store.verify());
}

TEST_CASE("the journal of another store is refused before it is played back") {
  const TempDir dir;
  const Options options{.journal = Journal::rollback};
  for (const char* name : {"a.db", "b.db"}) {
    Store store = must(Store::open(dir.file(name), options));
    fill(store, 0, 300, name);
  }
  // A transaction that is larger than the cache reaches the file, and so its journal is hot; a new family changes
  // the first page.
  Options small = options;
  small.cache_size = 64 << 10;
  const std::string report = in_child([&]() -> std::string {
    Store store = must(Store::open(dir.file("b.db"), small));
    Transaction transaction = must(store.begin());
    if (!transaction.create_column_family("family")) return "no family";
    for (int i = 0; i < 300; ++i) {
      if (!transaction.put(key(i), patterned(1000))) return "no put";
    }
    ::_exit(0);
  });
  REQUIRE(report.empty());
  REQUIRE(size_of(dir.file("b.db-journal")) > 0);
  const std::string before = read_file(dir.file("a.db"));
  fs::copy_file(dir.file("b.db-journal"), dir.file("a.db-journal"));
  const auto refused = Store::open(dir.file("a.db"), options);
  REQUIRE_ERROR(refused, Errc::log_mismatch, "open");
  CHECK(refused.error().message().find("a.db-journal") != std::string::npos);
  CHECK(read_file(dir.file("a.db")) == before);
  // Its own is played back.
  const Store store = must(Store::open(dir.file("b.db"), options));
  CHECK(must(store.get(key(7))) == BytesView("b.db" + patterned(100)));
  REQUIRE_OK(store.verify());
}

TEST_CASE("a log that belongs to the file is taken, however far it was copied") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::vector<std::function<void(Store&)>> ways = {
      [](Store& store) { fill(store, 0, 50, "one"); },
      [](Store& store) {
        fill(store, 0, 300, "two");
        REQUIRE_OK(store.checkpoint());
      },
      [](Store& store) {
        fill(store, 0, 300, "three");
        REQUIRE_OK(store.checkpoint(Checkpoint::restart));
        fill(store, 0, 20, "three");
      },
      [](Store& store) {
        fill(store, 0, 300, "four");
        const Snapshot snapshot = must(store.snapshot());
        fill(store, 100, 600, "four");
        REQUIRE_OK(store.checkpoint());
        fill(store, 0, 20, "four");
      },
      [](Store& store) {
        fill(store, 0, 10, "five");
        REQUIRE_OK(store.compact());
        fill(store, 0, 10, "five");
      },
      [](Store& store) { REQUIRE_OK(store.create_column_family("f" + std::to_string(::getpid()))); },
  };
  for (const auto& way : ways) {
    killed_writer(path, way);
    REQUIRE_OK(must(Store::open(path, {.read_only = true})).verify());
    killed_writer(path, [](Store& store) { REQUIRE_OK(store.verify()); });
    REQUIRE_OK(must(Store::open(path)).verify());
  }
  for (const auto& way : ways) killed_writer(path, way);
  REQUIRE_OK(must(Store::open(path)).verify());
}

TEST_CASE("the change counter grows with each log, and begins at random") {
  const TempDir dir;
  const auto counter = [](const std::string& path) {
    const std::string header = read_file(path).substr(24, 4);
    std::uint32_t value = 0;
    for (const char c : header) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  };
  std::vector<std::uint32_t> first;
  for (const char* name : {"a.db", "b.db"}) {
    { REQUIRE_OK(must(Store::open(dir.file(name))).put("k", "v")); }
    first.push_back(counter(dir.file(name)));
  }
  CHECK(first[0] != first[1]);
  CHECK(first[0] - first[1] + 1000 > 2000);
  const std::string path = dir.file("a.db");
  for (int i = 0; i < 5; ++i) {
    const std::uint32_t before = counter(path);
    Store store = must(Store::open(path));
    REQUIRE_OK(store.put("k", std::to_string(i)));
    REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
    REQUIRE_OK(store.put("k", "again"));
    REQUIRE_OK(store.close());
    CHECK(counter(path) == before + 2);
  }
}

TEST_CASE("logs of other programs are read, and the counter may pass its end") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  { fill(*std::make_unique<Store>(must(Store::open(path))), 0, 100, "old"); }
  // The largest counter, as the file has it; 92 says for which counter the version number holds.
  const std::string end(4, '\xff');
  overwrite(path, 24, end);
  overwrite(path, 92, end);
  killed_writer(path, [](Store& store) { fill(store, 0, 50, "new"); });
  CHECK(must(must(Store::open(path)).get(key(7))) == BytesView("new" + patterned(100)));
  killed_writer(path, [](Store& store) { fill(store, 0, 50, "newer"); });
  CHECK(sqlite_cli(path, "PRAGMA integrity_check", {"-readonly"}) == "ok");
  CHECK(sqlite_cli(path, "SELECT count(*) FROM \"default\"", {"-readonly"}) == "100");
  CHECK(must(must(Store::open(path)).get(key(7))) == BytesView("newer" + patterned(100)));
}
