// A disk that is full: the operation fails with `full` and changes nothing, whatever it was in the
// middle of, and the same handle goes on when there is room again.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/small_disk.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// Where the engine puts temporary files when this folder exists. It asks for the name once, before
/// the first store is opened.
const std::string temporary_folder = [] {
  std::string path = "/tmp/snkv-test-" + std::to_string(::getpid()) + "-temporary";
  ::setenv("SQLITE_TMPDIR", path.c_str(), 1);
  return path;
}();

/// About 400 KB in two families, with some large values and some that expire.
void fill(Store& store) {
  must(store.column_family("other"));
  must(store.column_family("empty"));
  Transaction transaction = must(store.begin());
  ColumnFamily other = must(transaction.column_family("other"));
  for (int i = 0; i < 400; ++i) {
    const std::string key = "key" + std::to_string(1000 + i);
    must(transaction.put(key, patterned(i % 50 == 0 ? 20'000 : 300, i)));
    if (i % 10 == 0) must(other.put(key, patterned(500, i), {.ttl = 1h}));
  }
  must(transaction.commit());
  must(store.checkpoint(Checkpoint::truncate));
}

/// A store on a small disk, what must be in it, and the means to fill the disk.
struct Fixture {
  explicit Fixture(StoreKind kind, Options options = {}, const char* size = "4m")
      : disk(dir.file("disk"), size), options_(std::move(options)) {
    options_.journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback;
    store = must(open_store(disk.file("test.db"), options_));
    fill(store);
    expected = everything_of(store);
  }

  /// Nothing has changed, and the store says of itself that it is sound.
  void check_unchanged() const {
    CHECK((everything_of(store) == expected));
    REQUIRE_OK(store.integrity_check());
    REQUIRE_OK(store.verify());
  }

  /// With room again everything works, now and after opening the store anew.
  void check_usable() {
    disk.free_space();
    check_unchanged();
    REQUIRE_OK(store.put("room", patterned(50'000, 7)));
    expected["default"] = contents(store.all());
    CHECK(must(store.get("room")).size() == 50'000);
    REQUIRE_OK(store.checkpoint(Checkpoint::full));
    check_unchanged();
    REQUIRE_OK(store.close());
    store = must(open_store(disk.file("test.db"), options_));
    check_unchanged();
    REQUIRE_OK(store.close());
    CHECK((disk.files() == std::vector<std::string>{"test.db"}));
  }

  TempDir dir;
  SmallDisk disk;
  Store store;
  Everything expected;

 private:
  Options options_;
};

/// It failed because the disk is full, and a reader of the message can tell.
template <class R>
void require_full(const R& result, const std::string& operation) {
  REQUIRE_ERROR(result, Errc::full, operation);
  const std::string message = result.error().message();
  INFO(message);
  CHECK(message.find("full") != std::string::npos);
}

/// Whether it worked, whatever it gave.
template <class T>
Result<void> outcome(Result<T> result) {
  if (!result) return Unexpected(std::move(result).error());
  return {};
}

/// Puts until one fails; the result of that one.
template <class Writer>
Result<void> put_until_failure(Writer& writer) {
  for (int i = 0; i < 20'000; ++i) {
    Result<void> put = writer.put("more" + std::to_string(i), patterned(1000, i));
    if (!put) return put;
  }
  return {};
}

}  // namespace

TEST_CASE("full in the middle of a transaction that spills") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  Fixture on(kind, {.cache_size = 64 << 10});
  on.disk.fill_up(1 << 20);
  Transaction transaction = must(on.store.begin());
  require_full(put_until_failure(transaction), "put");
  REQUIRE_ERRC(transaction.put("k", "v"), Errc::rollback_required);
  REQUIRE_ERRC(transaction.get("key1000"), Errc::rollback_required);
  REQUIRE_ERRC(transaction.commit(), Errc::rollback_required);
  REQUIRE_OK(transaction.rollback());
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full in the middle of a commit") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  Fixture on(kind);
  on.disk.fill_up(256 << 10);
  Transaction transaction = must(on.store.begin());
  for (int i = 0; i < 1000; ++i) {
    REQUIRE_OK(transaction.put("more" + std::to_string(i), patterned(1000, i)));
  }
  require_full(transaction.commit(), "commit");
  REQUIRE_ERRC(transaction.commit(), Errc::closed);
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full inside a savepoint: only a rollback of the whole is left") {
  const bool abandon = GENERATE(false, true);
  Fixture on(StoreKind::wal, {.cache_size = 64 << 10});
  on.disk.fill_up(1 << 20);
  Transaction transaction = must(on.store.begin());
  REQUIRE_OK(transaction.put("before", "savepoint"));
  {
    Savepoint savepoint = must(transaction.savepoint());
    require_full(put_until_failure(transaction), "put");
    if (!abandon) require_full(savepoint.rollback(), "savepoint rollback");
  }
  REQUIRE_ERRC(transaction.put("k", "v"), Errc::rollback_required);
  REQUIRE_ERRC(transaction.commit(), Errc::rollback_required);
  REQUIRE_OK(transaction.rollback());
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("writes outside a transaction: what was acknowledged stays, what was not is not there") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  // Nothing is copied back into the file meanwhile, so that the log is what fills the disk.
  Fixture on(kind, {.sync = Sync::off, .wal_autocheckpoint = 0, .wal_size_limit = 0}, "2m");
  on.disk.fill_up(512 << 10);
  int acknowledged = 0;
  for (;; ++acknowledged) {
    REQUIRE(acknowledged < 10'000);
    const auto put =
        on.store.put("new" + std::to_string(10'000 + acknowledged), patterned(500, acknowledged));
    if (put) continue;
    require_full(put, "put");
    break;
  }
  CHECK(acknowledged > 0);
  Contents& entries = on.expected["default"];
  for (int i = 0; i < acknowledged; ++i) {
    entries.emplace_back("new" + std::to_string(10'000 + i), patterned(500, i));
  }
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("every kind of write fails with full and changes nothing") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  FakeClock clock;
  Fixture on(kind, {.clock = clock.source()});
  Store& store = on.store;
  ColumnFamily other = must(store.column_family("other"));
  ColumnFamily empty = must(store.column_family("empty"));
  const std::vector<std::pair<std::string, std::function<Result<void>()>>> writes = {
      {"put", [&] { return store.put("k", "v"); }},
      {"put", [&] { return store.put("k", patterned(100'000)); }},
      {"put", [&] { return store.put("key1001", "v", {.ttl = 1h}); }},
      // The first that expires makes an index.
      {"put", [&] { return empty.put("k", "v", {.ttl = 1h}); }},
      {"erase", [&] { return outcome(store.erase("key1000")); }},
      {"clear", [&] { return store.clear(); }},
      {"erase_range", [&] { return outcome(store.erase_range("key1100", "key1200")); }},
      {"increment", [&] { return outcome(store.increment("counter")); }},
      {"compare_and_swap", [&] { return outcome(store.compare_and_swap("k", std::nullopt, "v")); }},
      {"write", [&] { return store.write(WriteBatch().put("k", "v").erase("key1001")); }},
      {"expire", [&] { return store.expire("key1001", 1s); }},
      {"persist", [&] { return other.persist("key1000"); }},
      {"purge", [&] { return outcome(other.purge_expired()); }},
      {"family", [&] { return outcome(store.create_column_family("new")); }},
      {"drop", [&] { return store.drop_column_family("other"); }},
  };
  for (const auto& [name, write] : writes) {
    DYNAMIC_SECTION(name) {
      const bool purging = name == "purge";
      if (purging) clock.advance(2h);
      if (purging) on.expected = everything_of(store);
      on.disk.fill_up();
      require_full(write(), "");
      on.check_unchanged();
      on.disk.free_space();
      on.check_unchanged();
      REQUIRE_OK(write());
      REQUIRE_OK(store.verify());
    }
  }
}

TEST_CASE("full while a value is written in pieces") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const bool inside = GENERATE(false, true);
  CAPTURE(kind, inside);
  Fixture on(kind, {.cache_size = 64 << 10});
  on.disk.fill_up(1 << 20);
  Transaction transaction;
  if (inside) transaction = must(on.store.begin());
  // In place of a large value that is there.
  BlobWriter writer =
      inside ? must(transaction.blob_writer("key1000")) : must(on.store.blob_writer("key1000"));
  Result<void> written;
  for (int i = 0; i < 100 && written; ++i) written = writer.write(patterned(100'000, i));
  require_full(written, "write");
  REQUIRE_ERRC(writer.write("more"), Errc::rollback_required);
  REQUIRE_ERRC(writer.finish(), Errc::rollback_required);
  writer.cancel();
  if (inside) REQUIRE_OK(transaction.rollback());
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while a value is finished") {
  Fixture on(StoreKind::wal);
  BlobWriter writer = must(on.store.blob_writer("key1000"));
  REQUIRE_OK(writer.write(patterned(500'000)));
  on.disk.fill_up(100 << 10);
  require_full(writer.finish(), "finish");
  REQUIRE_ERRC(writer.finish(), Errc::closed);
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while a file is stored") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  Fixture on(kind);
  const std::string source = on.dir.file("source");
  write_file(source, patterned(3'000'000));
  on.disk.fill_up(1 << 20);
  require_full(on.store.put_file("key1000", source), "put_file");
  require_full(on.store.put_file("new", source), "put_file");
  CHECK(size_of(source) == 3'000'000);
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while a value is written to a file") {
  Fixture on(StoreKind::wal);
  REQUIRE_OK(on.store.put("large", patterned(1'000'000)));
  const SmallDisk target(on.dir.file("target"), "256k");
  write_file(target.file("file"), "as it was");
  require_full(on.store.get_to_file("large", target.file("file")), "get_to_file");
  require_full(on.store.get_to_file("large", target.file("new")), "get_to_file");
  CHECK((target.files() == std::vector<std::string>{"file"}));
  CHECK(read_file(target.file("file")) == "as it was");
  CHECK(must(on.store.get_to_file("key1000", target.file("file"))) == 20'000);
  CHECK(read_file(target.file("file")) == patterned(20'000, 0));
}

TEST_CASE("full while a copy is made") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool compact = GENERATE(false, true);
  CAPTURE(kind, compact);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  fill(store);
  const Everything expected = everything_of(store);
  SmallDisk disk(dir.file("disk"), "2m");
  // At once, in the middle, and near the end.
  const std::uint64_t leave = GENERATE(0u, 100u << 10, 400u << 10);
  disk.fill_up(leave);
  CAPTURE(leave);
  require_full(store.backup(disk.file("copy.db"), {.compact = compact}), "backup");
  CHECK(disk.files().empty());
  CHECK((everything_of(store) == expected));
  REQUIRE_OK(store.integrity_check());
  disk.free_space();
  REQUIRE_OK(store.backup(disk.file("copy.db"), {.compact = compact}));
  CHECK((disk.files() == std::vector<std::string>{"copy.db"}));
  const Store copy = must(open_store(disk.file("copy.db")));
  REQUIRE_OK(copy.verify());
  CHECK((everything_of(copy) == expected));
}

TEST_CASE("full while a copy is made beside the store") {
  Fixture on(StoreKind::wal, {}, "2m");
  on.disk.fill_up(100 << 10);
  const auto before = on.disk.files();
  require_full(on.store.backup(on.disk.file("copy.db")), "backup");
  CHECK((on.disk.files() == before));
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while the store is compacted: the log") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  Fixture on(kind);
  REQUIRE_OK(on.store.erase_range("key1100", "key1200"));
  REQUIRE_OK(on.store.checkpoint(Checkpoint::truncate));
  on.expected = everything_of(on.store);
  // The log takes all that is there; the rollback journal what is overwritten.
  on.disk.fill_up(kind == StoreKind::wal ? 100 << 10 : 40 << 10);
  require_full(on.store.compact(), "compact");
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while the store is compacted: temporary files") {
  Fixture on(StoreKind::wal, {.cache_size = 64 << 10}, "16m");
  {
    // More than the engine keeps in memory, and more than there is room for.
    Transaction transaction = must(on.store.begin());
    for (int i = 0; i < 20; ++i) {
      REQUIRE_OK(transaction.put("x" + std::to_string(10 + i), patterned(50'000, i)));
    }
    REQUIRE_OK(transaction.commit());
    on.expected = everything_of(on.store);
  }
  {
    SmallDisk temporary(temporary_folder, "64k");
    require_full(on.store.compact(), "compact");
    on.check_unchanged();
    CHECK(temporary.files().empty());
  }
  REQUIRE_OK(on.store.compact());
  on.check_usable();
}

TEST_CASE("full while the log is copied into the file") {
  const auto mode = GENERATE(Checkpoint::passive, Checkpoint::full, Checkpoint::truncate);
  Fixture on(StoreKind::wal, {.wal_autocheckpoint = 0, .wal_size_limit = 0});
  Transaction transaction = must(on.store.begin());
  for (int i = 0; i < 500; ++i) {
    REQUIRE_OK(transaction.put("more" + std::to_string(i), patterned(1000, i)));
  }
  REQUIRE_OK(transaction.commit());
  on.expected = everything_of(on.store);
  on.disk.fill_up(16 << 10);
  require_full(on.store.checkpoint(mode), "checkpoint");
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("a commit that cannot be copied into the file has happened all the same") {
  const bool beside = GENERATE(false, true);
  CAPTURE(beside);
  std::mutex guard;
  std::vector<std::string> messages;
  const auto first_message = [&]() -> std::string {
    const std::lock_guard lock(guard);
    return messages.empty() ? "" : messages.front();
  };
  Fixture on(StoreKind::wal, {.wal_autocheckpoint = beside ? 25u : 10u,
                              .background_checkpoints = beside,
                              .log = [&](LogLevel level, std::string_view message) {
                                const std::lock_guard lock(guard);
                                if (level == LogLevel::error) messages.emplace_back(message);
                              }});
  // The log has its room already, the file does not.
  {
    Transaction transaction = must(on.store.begin());
    for (int i = 0; i < 200; ++i) {
      REQUIRE_OK(transaction.put("more" + std::to_string(i), patterned(1000, i)));
    }
    on.disk.fill_up(300 << 10);
    REQUIRE_OK(transaction.commit());
  }
  on.expected = everything_of(on.store);
  CHECK(on.expected["default"].size() == 600);
  // What could not be done is counted and told; the thread takes its time.
  for (int i = 0; i < 6000 && first_message().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(must(on.store.stats()).errors > 0);
  INFO(first_message());
  CHECK(first_message().find("full") != std::string::npos);
  on.check_unchanged();
  on.check_usable();
}

TEST_CASE("full while unused pages are given back") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  Fixture on(kind);
  REQUIRE_OK(on.store.erase_range("key1000", "key1300"));
  REQUIRE_OK(on.store.checkpoint(Checkpoint::truncate));
  on.expected = everything_of(on.store);
  on.disk.fill_up();
  require_full(on.store.vacuum(), "vacuum");
  on.check_unchanged();
  on.disk.free_space();
  CHECK(must(on.store.vacuum()) > 0);
  on.check_usable();
}

TEST_CASE("a store cannot be made on a full disk, and leaves no half of one") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const std::uint64_t leave = GENERATE(0u, 4u << 10, 16u << 10);
  CAPTURE(kind, leave);
  const TempDir dir;
  SmallDisk disk(dir.file("disk"), "1m");
  disk.fill_up(leave);
  const Options options{.journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback};
  require_full(open_store(disk.file("test.db"), options), "open");
  disk.free_space();
  Store store = must(open_store(disk.file("test.db"), options));
  REQUIRE_OK(store.put("k", "v"));
  REQUIRE_OK(store.verify());
}

TEST_CASE("a store on a full disk can be closed, and opened again with what is in its log") {
  Fixture on(StoreKind::wal, {.wal_autocheckpoint = 0, .wal_size_limit = 0});
  Transaction transaction = must(on.store.begin());
  for (int i = 0; i < 500; ++i) {
    REQUIRE_OK(transaction.put("more" + std::to_string(i), patterned(1000, i)));
  }
  REQUIRE_OK(transaction.commit());
  on.expected = everything_of(on.store);
  on.disk.fill_up();
  REQUIRE_OK(on.store.close());
  // The log stays, because it could not be copied.
  CHECK(size_of(on.disk.file("test.db-wal")) > 0);

  on.store = must(open_store(on.disk.file("test.db")));
  on.check_unchanged();
  REQUIRE_OK(on.store.close());
  // To be read, the log needs its index, which a machine that was switched off no longer has.
  std::filesystem::remove(on.disk.file("test.db-shm"));
  on.disk.fill_up();
  require_full(open_store(on.disk.file("test.db")), "open");
  on.disk.free_space();
  on.store = must(open_store(on.disk.file("test.db")));
  on.check_unchanged();
  on.check_usable();
}
