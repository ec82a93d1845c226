// Opening and closing: what is created, what is refused, what a reopened file has kept.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// A store with one entry, closed again.
std::string make_store(const TempDir& dir, const Options& options = {}) {
  const std::string path = dir.file("made.db");
  Store store = must(open_store(path, options));
  must(store.put("key", "value"));
  return path;
}

/// The working folder of the process, put back at the end.
class WorkingFolder {
 public:
  explicit WorkingFolder(const std::filesystem::path& folder)
      : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(folder);
  }
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;
  ~WorkingFolder() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

}  // namespace

TEST_CASE("a new store is empty and has the default family") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  CHECK(must(store.count()) == 0);
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default"});
  CHECK(store.name() == "default");
  CHECK(store.path() == (kind == StoreKind::memory ? "" : dir.file("test.db")));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a reopened store has what was put") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  for (int round = 0; round < 5; ++round) {
    Store store = open_kind(kind, dir);
    CHECK(must(store.count()) == static_cast<std::uint64_t>(round));
    REQUIRE_OK(store.put("key" + std::to_string(round), std::to_string(round)));
    auto family = must(store.column_family("other"));
    REQUIRE_OK(family.put("round", std::to_string(round)));
  }
  const Store store = open_kind(kind, dir);
  CHECK(must(store.get("key3")) == "3");
  CHECK(must(must(store.open_column_family("other")).get("round")) == "4");
}

TEST_CASE("a closed store is one file") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  {
    Store store = open_kind(kind, dir);
    REQUIRE_OK(store.put("key", "value"));
    // Reads of several threads have their own connections, which must go too.
    std::thread([&store] { static_cast<void>(store.get("key")); }).join();
    CHECK(must(store.get("key")) == "value");
  }
  CHECK(files_in(dir.path()).size() == 1);
  CHECK(size_of(dir.file("test.db")) > 0);
}

TEST_CASE("without create_if_missing a missing file is an error") {
  const TempDir dir;
  REQUIRE_ERROR(open_store(dir.file("none.db"), {.create_if_missing = false}), Errc::cant_open,
                "open");
  REQUIRE_ERROR(open_store(dir.file("none.db"), {.read_only = true}), Errc::cant_open, "open");
  CHECK(files_in(dir.path()).size() == 0);
  const std::string path = make_store(dir);
  const Store store = must(open_store(path, {.create_if_missing = false}));
  CHECK(must(store.get("key")) == "value");
}

TEST_CASE("error_if_exists refuses an existing store and leaves it alone") {
  const TempDir dir;
  const std::string path = make_store(dir);
  REQUIRE_ERROR(open_store(path, {.error_if_exists = true}), Errc::exists, "open");
  CHECK(must(must(open_store(path)).get("key")) == "value");
  REQUIRE_OK(open_store(dir.file("new.db"), {.error_if_exists = true}));
}

TEST_CASE("an empty file becomes a store") {
  const TempDir dir;
  const std::string path = dir.file("empty.db");
  write_file(path, "");
  {
    Store store = must(open_store(path));
    REQUIRE_OK(store.put("key", "value"));
  }
  CHECK(must(must(open_store(path)).get("key")) == "value");
}

TEST_CASE("a read-only store reads and refuses every write") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  {
    Store store = open_kind(kind, dir);
    REQUIRE_OK(store.put("key", "value"));
    REQUIRE_OK(must(store.create_column_family("family")).put("inner", "1"));
  }
  const std::string path = dir.file("test.db");
  const std::string before = read_file(path);
  {
    // The stored journal mode counts: a reader cannot convert, so it must not want to.
    Store store = must(open_store(path, {.read_only = true}));
    CHECK(must(store.get("key")) == "value");
    CHECK(keys(store.all()) == std::vector<std::string>{"key"});
    ColumnFamily family = must(store.column_family("family"));
    CHECK(must(family.get("inner")) == "1");
    REQUIRE_OK(store.snapshot());
    REQUIRE_OK(store.integrity_check());

    REQUIRE_ERROR(store.put("key", "new"), Errc::read_only, "put");
    REQUIRE_ERROR(store.erase("key"), Errc::read_only, "erase");
    REQUIRE_ERROR(store.clear(), Errc::read_only, "clear");
    REQUIRE_ERROR(family.put("inner", "2"), Errc::read_only, "put");
    REQUIRE_ERROR(store.begin(), Errc::read_only, "begin");
    REQUIRE_ERRC(store.create_column_family("another"), Errc::read_only);
    REQUIRE_ERRC(store.column_family("another"), Errc::read_only);
    REQUIRE_ERRC(store.drop_column_family("family"), Errc::read_only);
    REQUIRE_ERROR(store.vacuum(), Errc::read_only, "vacuum");

    CHECK(must(store.get("key")) == "value");
    CHECK(must(family.get("inner")) == "1");
  }
  CHECK(read_file(path) == before);
}

TEST_CASE("a read-only store sees the commits of others") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store writer = open_kind(kind, dir);
  REQUIRE_OK(writer.put("key", "old"));
  const Store reader = must(open_store(dir.file("test.db"), {.read_only = true}));
  CHECK(must(reader.get("key")) == "old");
  REQUIRE_OK(writer.put("key", "new"));
  CHECK(must(reader.get("key")) == "new");
}

TEST_CASE("an immutable store reads, and leaves nothing beside the file") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  { REQUIRE_OK(open_kind(kind, dir).put("key", "value")); }
  Store store =
      must(open_store(dir.file("test.db"), {.read_only = true, .immutable = true}));
  CHECK(must(store.get("key")) == "value");
  CHECK(must(store.count()) == 1);
  REQUIRE_ERRC(store.put("key", "new"), Errc::read_only);
  CHECK(files_in(dir.path()).size() == 1);
}

TEST_CASE("immutable without read_only never writes") {
  // The promise "nobody changes the file" and a wish to change it contradict each other.
  const TempDir dir;
  const std::string path = make_store(dir);
  auto store = open_store(path, {.immutable = true});
  if (store) {
    REQUIRE_ERRC(store->put("key", "new"), Errc::read_only);
  } else {
    REQUIRE_ERROR(store, Errc::invalid_argument, "open");
  }
  CHECK(must(must(open_store(path)).get("key")) == "value");
}

TEST_CASE("the page size is stored with the file") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 16384u, 32768u, 65536u);
  CAPTURE(kind, page_size);
  const TempDir dir;
  {
    Store store = open_kind(kind, dir, {.page_size = page_size});
    REQUIRE_OK(store.put("key", "value"));
    CHECK(must(store.stats()).page_size == page_size);
    CHECK(must(store.get("key")) == "value");
    REQUIRE_OK(store.integrity_check());
  }
  if (kind == StoreKind::memory) return;
  // Whatever is asked for later, what is in the file wins.
  const Store store = open_kind(kind, dir, {.page_size = page_size == 4096 ? 16384u : 4096u});
  CHECK(must(store.stats()).page_size == page_size);
  CHECK(must(store.get("key")) == "value");
}

TEST_CASE("the default page size is 8192") {
  const TempDir dir;
  CHECK(must(must(open_store(dir.file("a.db"))).stats()).page_size == 8192);
}

TEST_CASE("options out of range are refused before anything is created") {
  const TempDir dir;
  const std::string path = dir.file("new.db");
  for (const std::uint32_t page_size : {0u, 1u, 512u, 2048u, 4095u, 5000u, 131072u, 0x80000000u}) {
    CAPTURE(page_size);
    REQUIRE_ERROR(open_store(path, {.page_size = page_size}), Errc::invalid_argument, "open");
    REQUIRE_ERRC(Store::open_in_memory({.page_size = page_size}), Errc::invalid_argument);
  }
  for (const std::chrono::milliseconds timeout :
       {std::chrono::milliseconds(-1), std::chrono::milliseconds(std::chrono::hours(25 * 24)),
        std::chrono::milliseconds::max(), std::chrono::milliseconds::min()}) {
    CAPTURE(timeout.count());
    REQUIRE_ERROR(open_store(path, {.busy_timeout = timeout}), Errc::invalid_argument, "open");
  }
  REQUIRE_ERROR(open_store(""), Errc::invalid_argument, "open");
  CHECK(files_in(dir.path()).size() == 0);
}

TEST_CASE("extreme options in range work") {
  const TempDir dir;
  const std::string path = dir.file("new.db");
  for (const Options& options :
       {Options{.busy_timeout = 0ms}, Options{.busy_timeout = std::chrono::hours(24 * 24)},
        Options{.cache_size = 0}, Options{.cache_size = 1}, Options{.cache_size = 1u << 30},
        Options{.wal_autocheckpoint = 0}, Options{.wal_autocheckpoint = 1},
        Options{.wal_autocheckpoint = 0x7fffffff}, Options{.sync = Sync::off},
        Options{.sync = Sync::full}}) {
    Store store = must(open_store(path, options));
    REQUIRE_OK(store.put("key", "value"));
    CHECK(must(store.get("key")) == "value");
  }
}

TEST_CASE("a path is a file name and nothing more") {
  // The engine knows URIs, which must not shine through.
  const TempDir dir;
  for (const std::string name : {"with space.db", "q?mode=memory", "h#x%20y.db", "'quote'\".db",
                                 "no extension", "\xc3\xa4\xe2\x82\xac.db", "-dash"}) {
    CAPTURE(name);
    const std::string path = dir.file(name);
    { REQUIRE_OK(must(open_store(path)).put("key", name)); }
    CHECK(std::filesystem::exists(path));
    CHECK(must(must(open_store(path)).get("key")) == name);
  }
}

TEST_CASE("a path with a NUL in it opens nothing") {
  const TempDir dir;
  const std::string path = dir.file("a.db") + std::string("\0.bak", 5);
  REQUIRE_ERROR(open_store(path), Errc::invalid_argument, "open");
  CHECK(files_in(dir.path()).size() == 0);
}

TEST_CASE("a relative path means the working folder at the time of opening") {
  // The last two mean something else to the engine.
  const std::string name = GENERATE("relative.db", ":memory:", "file:x?mode=memory");
  CAPTURE(name);
  const TempDir dir;
  Store store;
  {
    const WorkingFolder folder(dir.path());
    store = must(open_store(name));
    REQUIRE_OK(store.put("key", "value"));
  }
  CHECK(store.path() == name);
  CHECK(std::filesystem::exists(dir.file(name)));
  // Each of these may open another connection, by then from another folder.
  CHECK(must(store.get("key")) == "value");
  Range first = store.all();
  CHECK(first.begin() != first.end());
  Iterator second = store.iterator();
  second.seek_first();
  CHECK(second.valid());
  const Snapshot snapshot = must(store.snapshot());
  CHECK(must(snapshot.get("key")) == "value");
  REQUIRE_OK(store.put("key", "new"));
}

TEST_CASE("opening with another journal mode converts the file") {
  const bool to_wal = GENERATE(true, false);
  CAPTURE(to_wal);
  const TempDir dir;
  const auto from = to_wal ? StoreKind::rollback : StoreKind::wal;
  const auto to = to_wal ? StoreKind::wal : StoreKind::rollback;
  { REQUIRE_OK(open_kind(from, dir).put("old", "1")); }
  {
    Store store = open_kind(to, dir);
    REQUIRE_OK(store.put("new", "2"));
    CHECK(std::filesystem::exists(dir.file("test.db-wal")) == to_wal);
    CHECK(contents_of(store) == Contents{{"new", "2"}, {"old", "1"}});
  }
  // Bytes 18 and 19 of an SQLite file: 2 means that a log is used.
  CHECK(read_file(dir.file("test.db"))[18] == (to_wal ? 2 : 1));
  REQUIRE_OK(must(open_store(dir.file("test.db"), {.read_only = true})).integrity_check());
}

TEST_CASE("a conversion that cannot have the file to itself is busy, and harms nobody") {
  const TempDir dir;
  Store user = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(user.put("key", "1"));
  Iterator reading = user.iterator();
  reading.seek_first();
  REQUIRE(reading.valid());
  REQUIRE_ERROR(
      open_store(dir.file("test.db"), {.journal = Journal::rollback, .busy_timeout = 20ms}),
      Errc::busy, "open");
  CHECK(reading.key() == "key");
  REQUIRE_OK(user.put("key", "2"));
  CHECK(must(user.get("key")) == "2");
}

TEST_CASE("copies of a store are the same store") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store copy;
  {
    Store store = open_kind(kind, dir);
    copy = store;
    REQUIRE_OK(store.put("key", "value"));
  }
  CHECK(must(copy.get("key")) == "value");
  Store moved = std::move(copy);
  REQUIRE_OK(moved.put("key", "new"));
  CHECK(must(moved.get("key")) == "new");
}

TEST_CASE("stores in memory are separate") {
  Store one = must(Store::open_in_memory());
  Store two = must(Store::open_in_memory());
  REQUIRE_OK(one.put("key", "one"));
  REQUIRE_ERRC(two.get("key"), Errc::not_found);
}

TEST_CASE("several stores on one file see each other") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store one = open_kind(kind, dir);
  Store two = open_kind(kind, dir);
  REQUIRE_OK(one.put("a", "1"));
  CHECK(must(two.get("a")) == "1");
  REQUIRE_OK(two.put("a", "2"));
  CHECK(must(one.get("a")) == "2");
  // One going away does not take the locks of the other with it.
  two = Store();
  REQUIRE_OK(one.put("a", "3"));
  CHECK(must(open_kind(kind, dir).get("a")) == "3");
  CHECK(must(one.get("a")) == "3");
}

TEST_CASE("threads that open a new file at the same time all get the same store") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  constexpr int opener_count = 6;
  std::vector<std::string> problems(opener_count);
  {
    std::vector<std::thread> openers;
    for (int i = 0; i < opener_count; ++i) {
      openers.emplace_back([&, i] {
        const Journal journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback;
        auto store = open_store(dir.file("test.db"),
                                 {.journal = journal, .busy_timeout = std::chrono::seconds(30)});
        if (!store) {
          problems[i] = store.error().message();
        } else if (auto put = store->put(std::to_string(i), "here"); !put) {
          problems[i] = put.error().message();
        }
      });
    }
    for (std::thread& opener : openers) opener.join();
  }
  CHECK(problems == std::vector<std::string>(opener_count));
  CHECK(must(open_kind(kind, dir).count()) == opener_count);
}

TEST_CASE("close ends every copy") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  Store copy = store;
  ColumnFamily family = must(store.column_family("family"));
  REQUIRE_OK(store.close());

  REQUIRE_ERROR(store.get("key"), Errc::closed, "get");
  REQUIRE_ERRC(copy.put("key", "new"), Errc::closed);
  REQUIRE_ERRC(family.get("key"), Errc::closed);
  REQUIRE_ERRC(copy.begin(), Errc::closed);
  REQUIRE_ERRC(copy.snapshot(), Errc::closed);
  REQUIRE_ERRC(store.list_column_families(), Errc::closed);
  REQUIRE_ERRC(store.stats(), Errc::closed);
  REQUIRE_ERRC(store.close(), Errc::closed);
  Range range = copy.all();
  CHECK(range.begin() == range.end());
  REQUIRE_ERRC(range.status(), Errc::closed);

  if (kind == StoreKind::memory) return;
  CHECK(files_in(dir.path()).size() == 1);
  CHECK(must(open_kind(kind, dir).get("key")) == "value");
}

TEST_CASE("close refuses while something is open, and changes nothing") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  {
    Iterator iterator = store.iterator();
    iterator.seek_first();
    REQUIRE_ERROR(store.close(), Errc::busy, "close");
    CHECK(iterator.key() == "key");
  }
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERRC(store.close(), Errc::busy);
    CHECK(must(snapshot.get("key")) == "value");
  }
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("key", "new"));
    REQUIRE_ERRC(store.close(), Errc::busy);
    REQUIRE_OK(transaction.commit());
  }
  CHECK(must(store.get("key")) == "new");
  REQUIRE_OK(store.close());
}

TEST_CASE("a handle that refers to nothing says closed") {
  Store store;
  REQUIRE_ERROR(store.get("key"), Errc::closed, "get");
  REQUIRE_ERROR(store.put("key", "value"), Errc::closed, "put");
  REQUIRE_ERRC(store.begin(), Errc::closed);
  REQUIRE_ERRC(store.snapshot(), Errc::closed);
  REQUIRE_ERRC(store.column_family("family"), Errc::closed);
  REQUIRE_ERRC(store.close(), Errc::closed);
  REQUIRE_ERRC(store.stats(), Errc::closed);
  REQUIRE_ERRC(store.checkpoint(), Errc::closed);
  CHECK(store.path().empty());
  CHECK(store.name().empty());
  ColumnFamily family;
  REQUIRE_ERRC(family.count(), Errc::closed);
  const Snapshot snapshot;
  REQUIRE_ERRC(snapshot.contains("key"), Errc::closed);
  Iterator iterator;
  iterator.seek_first();
  iterator.next();
  CHECK_FALSE(iterator.valid());
  Range range = store.all();
  CHECK(range.begin() == range.end());
  REQUIRE_ERRC(range.status(), Errc::closed);
}

TEST_CASE("families, transactions and iterators keep the store open") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  ColumnFamily family;
  Iterator iterator;
  {
    Store store = open_kind(kind, dir);
    family = must(store.create_column_family("family"));
    REQUIRE_OK(family.put("key", "value"));
    iterator = family.iterator();
  }
  iterator.seek_first();
  REQUIRE(iterator.valid());
  CHECK(iterator.value() == "value");
  CHECK(must(family.get("key")) == "value");
  iterator = Iterator();
  REQUIRE_OK(family.put("key", "new"));
}
