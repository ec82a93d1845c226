// The file, its log or its folder is renamed, replaced or removed while a store is open. What is committed from
// then on would be in no file of that name, and nobody was told.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

/// A way to lose a file that is open.
struct Loss {
  const char* name;
  std::function<void(const TempDir&)> happen;
  bool needs_log = false;
};

std::vector<Loss> losses() {
  const auto of = [](const TempDir& dir, const char* name) { return dir.path() / "s" / name; };
  return {
      {"file renamed", [=](const TempDir& d) { fs::rename(of(d, "a.db"), of(d, "b.db")); }},
      {"file removed", [=](const TempDir& d) { fs::remove(of(d, "a.db")); }},
      {"file replaced",
       [=](const TempDir& d) {
         write_file(of(d, "new"), std::string(8192, 'x'));
         fs::rename(of(d, "new"), of(d, "a.db"));
       }},
      {"file replaced by a folder",
       [=](const TempDir& d) {
         fs::remove(of(d, "a.db"));
         fs::create_directory(of(d, "a.db"));
       }},
      {"folder renamed", [=](const TempDir& d) { fs::rename(d.path() / "s", d.path() / "t"); }},
      {"folder removed", [=](const TempDir& d) { fs::remove_all(d.path() / "s"); }},
      {"file emptied", [=](const TempDir& d) { REQUIRE(::truncate(of(d, "a.db").c_str(), 0) == 0); }, true},
      {"log removed", [=](const TempDir& d) { fs::remove(of(d, "a.db-wal")); }, true},
      {"log replaced",
       [=](const TempDir& d) {
         fs::remove(of(d, "a.db-wal"));
         write_file(of(d, "a.db-wal"), "");
       },
       true},
      {"index of the log removed", [=](const TempDir& d) { fs::remove(of(d, "a.db-shm")); }, true},
  };
}

std::string make_folder(const TempDir& dir) {
  fs::create_directory(dir.path() / "s");
  return (dir.path() / "s" / "a.db").string();
}

bool names(const Error& error, std::string_view text) {
  return error.message().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a durable commit, sync and close tell that the file or its log is gone") {
  for (const Loss& loss : losses()) {
    CAPTURE(loss.name);
    const TempDir dir;
    const std::string path = make_folder(dir);
    Store store = must(Store::open(path, {.sync = Sync::full}));
    REQUIRE_OK(store.put("before", "1"));
    REQUIRE_OK(store.sync());
    loss.happen(dir);
    const auto put = store.put("after", "2");
    REQUIRE_ERROR(put, Errc::moved, "put");
    CHECK(names(put.error(), "a.db"));
    // It was rolled back, and the handle reads on.
    if (!loss.needs_log) CHECK(!must(store.contains("after")));
    if (!loss.needs_log) CHECK(must(store.get("before")) == BytesView("1"));
    REQUIRE_ERROR(store.sync(), Errc::moved, "sync");
    // From then on nothing is written, whatever it promises.
    REQUIRE_ERROR(store.put("after", "2", {.sync = Sync::normal}), Errc::moved, "put");
    REQUIRE_ERROR(store.begin(), Errc::moved, "begin");
    REQUIRE_ERROR(store.compact(), Errc::moved, "compact");
    REQUIRE_ERROR(store.checkpoint(), Errc::moved, "checkpoint");
    REQUIRE_ERROR(store.close(), Errc::moved, "close");
    REQUIRE_ERRC(store.get("before"), Errc::closed);
  }
}

TEST_CASE("commits that promise less are found to be gone by sync, checkpoint and close") {
  const auto [operation, act] = GENERATE(table<const char*, Result<void> (*)(Store&)>({
      {"sync", [](Store& store) { return store.sync(); }},
      {"close", [](Store& store) { return store.close(); }},
      {"checkpoint",
       [](Store& store) -> Result<void> {
         auto done = store.checkpoint();
         if (!done) return Unexpected(std::move(done).error());
         return {};
       }},
  }));
  for (const Loss& loss : losses()) {
    CAPTURE(operation, loss.name);
    const TempDir dir;
    const std::string path = make_folder(dir);
    Store store = must(Store::open(path));
    REQUIRE_OK(store.put("before", "1"));
    loss.happen(dir);
    const auto put = store.put("after", "2");  // which promises nothing of the kind
    CHECK((put || put.error() == Errc::moved));
    REQUIRE_ERROR(act(store), Errc::moved, operation);
  }
}

TEST_CASE("a transaction that promises to be safe is rolled back when the file is gone") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  REQUIRE_OK(store.put("before", "1"));
  CHECK(must(store.contains("before")));  // what has the file open for reading goes on to read
  Transaction transaction = must(store.begin({.sync = Sync::full}));
  REQUIRE_OK(transaction.put("after", "2"));
  fs::rename(path, dir.file("b.db"));
  REQUIRE_ERROR(transaction.commit(), Errc::moved, "commit");
  CHECK(!must(store.contains("after")));
  REQUIRE_ERROR(store.begin(), Errc::moved, "begin");
}

TEST_CASE("with a rollback journal no write goes to a file without its name") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path, {.journal = Journal::rollback}));
  REQUIRE_OK(store.put("before", "1"));
  fs::rename(path, dir.file("b.db"));
  REQUIRE_ERROR(store.put("after", "2"), Errc::moved, "put");
  REQUIRE_ERROR(store.sync(), Errc::moved, "sync");
  REQUIRE_ERROR(store.close(), Errc::moved, "close");
  CHECK(!fs::exists(path));
  CHECK(must(must(Store::open(dir.file("b.db"), {.read_only = true})).get("before")) == BytesView("1"));
}

TEST_CASE("a file that is renamed back has everything, also what was in its log") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    REQUIRE_OK(store.put("before", "1"));
    fs::rename(path, dir.file("b.db"));
    REQUIRE_OK(store.put("after", "2"));
    REQUIRE_ERROR(store.close(), Errc::moved, "close");
  }
  fs::rename(dir.file("b.db"), path);
  const Store store = must(Store::open(path));
  CHECK(must(store.get("before")) == BytesView("1"));
  CHECK(must(store.get("after")) == BytesView("2"));
}

TEST_CASE("a handle that goes away without close tells the log") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  std::string told;
  Options options;
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::error) told += text;
  };
  {
    Store store = must(Store::open(path, options));
    REQUIRE_OK(store.put("k", "v"));
    fs::remove(path);
  }
  CHECK(told.find(path) != std::string::npos);
}

TEST_CASE("a store does not go on with another file that has taken its name") {
  const bool read_only = GENERATE(false, true);
  CAPTURE(read_only);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  for (const char* name : {"a.db", "b.db"}) {
    Store store = must(Store::open(dir.file(name)));
    REQUIRE_OK(store.put("whose", name));
  }
  const Store store = must(Store::open(path, {.read_only = read_only}));
  CHECK(must(store.get("whose")) == BytesView("a.db"));
  // The snapshot takes the only reader, so that the next read opens the file by its name.
  const Snapshot snapshot = must(store.snapshot());
  fs::rename(dir.file("b.db"), path);
  REQUIRE_ERROR(store.get("whose"), Errc::moved, "get");
  CHECK(must(snapshot.get("whose")) == BytesView("a.db"));
}

TEST_CASE("what the library does itself is no move") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path, {.sync = Sync::full}));
  REQUIRE_OK(store.put("k", "v"));
  REQUIRE_OK(store.compact());
  REQUIRE_OK(store.backup(dir.file("b.db")));
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  REQUIRE_OK(store.put("k", "w"));
  REQUIRE_OK(store.vacuum());
  REQUIRE_OK(store.sync());
  REQUIRE_OK(store.close());
  REQUIRE_OK(must(Store::open_in_memory({.sync = Sync::full})).put("k", "v"));
}
