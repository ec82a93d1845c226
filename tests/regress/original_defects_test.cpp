// Defects of the original SNKV library, each told first, then shown not to be here.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sanitizer.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

// ---- What the engine asks of the operating system, counted and, on request, refused ----
//
// These functions of the C library are replaced for this program by ones that do the same. The
// engine finds them because its calls go through the same names.

namespace {

std::atomic<int> fsync_calls = 0;
std::atomic<bool> reads_fail = false;
std::atomic<int> failed_reads = 0;

/// Whether this read of a regular file is to fail.
bool refuse_read(int file) {
  if (!reads_fail) return false;
  struct stat info {};
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  ++failed_reads;
  errno = EIO;
  return true;
}

}  // namespace

extern "C" {

int fsync(int file) {
  ++fsync_calls;
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int fdatasync(int file) {
  ++fsync_calls;
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

::ssize_t read(int file, void* buffer, size_t size) {
  if (refuse_read(file)) return -1;
  return ::syscall(SYS_read, file, buffer, size);
}

::ssize_t pread(int file, void* buffer, size_t size, ::off_t offset) {
  if (refuse_read(file)) return -1;
  return ::syscall(SYS_pread64, file, buffer, size, offset);
}

::ssize_t pread64(int file, void* buffer, size_t size, ::off64_t offset) {
  if (refuse_read(file)) return -1;
  return ::syscall(SYS_pread64, file, buffer, size, offset);
}
}

namespace {

constexpr int commit_count = 20;

/// How many fsyncs that many small commits cost.
int fsyncs_of_commits(Store& store) {
  must(store.put("warm", "up"));
  const int before = fsync_calls;
  for (int i = 0; i < commit_count; ++i) must(store.put(std::to_string(i), "x"));
  return fsync_calls - before;
}

std::size_t address_space_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

// (a) The original's documentation says that a config struct of zeros means the defaults: a
// write-ahead log, and syncs where they are needed. But zero is also the number of "no log" and of
// "no sync at all", and that is what its users got: the careful default was the reckless one.
TEST_CASE("(a) options that nobody touched are the documented defaults") {
  const Options untouched{};
  CHECK(untouched.journal == Journal::wal);
  CHECK(untouched.sync == Sync::normal);
  CHECK(untouched.busy_timeout == std::chrono::seconds(5));
  CHECK(untouched.wal_autocheckpoint > 0);
  CHECK(untouched.create_if_missing);
  CHECK_FALSE(untouched.read_only);

  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(open_store(path, Options{}));
    // Normal means: not for each commit ...
    CHECK(fsyncs_of_commits(store) == 0);
    CHECK(size_of(path + "-wal") > 0);
    // ... but before the log is copied into the file, and after it.
    const int before = fsync_calls;
    REQUIRE_OK(store.checkpoint(Checkpoint::full));
    CHECK(fsync_calls - before >= 2);
  }
  // Bytes 18 and 19 of an SQLite file: 2 means that a log is used.
  CHECK(read_file(path)[18] == 2);
  CHECK(read_file(path)[19] == 2);
}

TEST_CASE("(a) every promise of Sync costs what it must") {
  const TempDir dir;
  {
    Store full = must(open_store(dir.file("full.db"), {.sync = Sync::full}));
    CHECK(fsyncs_of_commits(full) >= commit_count);
  }
  {
    Store off = must(open_store(dir.file("off.db"), {.sync = Sync::off}));
    CHECK(fsyncs_of_commits(off) == 0);
    REQUIRE_OK(off.checkpoint(Checkpoint::full));
    // Asked for in so many words, a sync is done all the same.
    REQUIRE_OK(off.put("key", "value"));
    const int before = fsync_calls;
    REQUIRE_OK(off.sync());
    CHECK(fsync_calls > before);
  }
  {
    Store normal = must(open_store(dir.file("normal.db")));
    REQUIRE_OK(normal.put("key", "value"));
    const int before = fsync_calls;
    REQUIRE_OK(normal.sync());
    CHECK(fsync_calls > before);
  }
  {
    Store rollback = must(open_store(dir.file("rollback.db"), {.journal = Journal::rollback}));
    CHECK(fsyncs_of_commits(rollback) >= commit_count);
  }
}

// (b) The original deletes an expired key when it is read. For that it began a transaction of its
// own, and committed it: a `get` in the middle of the caller's transaction committed the caller's
// half-done work. The rollback after that reported success, with everything on the disk.
TEST_CASE("(b) meeting an expired key in a transaction commits nothing") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  REQUIRE_OK(store.put("expired", "old", {.ttl = 10ms}));
  REQUIRE_OK(store.put("stays", "as it was"));
  REQUIRE_OK(must(store.column_family("other")).put("expired", "old", {.ttl = 10ms}));
  clock.advance(10ms);
  const std::uint64_t commits = must(store.stats()).wal_commits;
  const auto meet_it = [](EntryReader& reader, ColumnFamily other) {
    REQUIRE_ERRC(reader.get("expired"), Errc::not_found);
    CHECK_FALSE(must(reader.contains("expired")));
    REQUIRE_ERRC(reader.ttl("expired"), Errc::not_found);
    CHECK(must(reader.multi_get({"expired", "stays"}))[0] == std::nullopt);
    REQUIRE_ERRC(reader.visit("expired", [](BytesView) {}), Errc::not_found);
    REQUIRE_ERRC(reader.blob_reader("expired"), Errc::not_found);
    for (auto scan = reader.all(); auto [key, value] : scan) CHECK(key != "expired");
    REQUIRE_ERRC(other.get("expired"), Errc::not_found);
  };
  {
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("half", "done"));
    REQUIRE_OK(transaction.put("stays", "changed"));
    meet_it(transaction, must(transaction.column_family("other")));
    // Beside the transaction too, which is what the original's callers did.
    meet_it(store, must(store.open_column_family("other")));
    CHECK_FALSE(must(store.contains("half")));
    // And in those operations that write.
    CHECK_FALSE(must(transaction.erase("expired")));
    REQUIRE_ERRC(transaction.expire("expired", 1s), Errc::not_found);
    CHECK(must(transaction.put_if_absent("expired", "new")));
    CHECK(must(store.stats()).wal_commits == commits);
    REQUIRE_OK(transaction.rollback());
  }
  CHECK(must(store.stats()).wal_commits == commits);
  CHECK((contents_of(store) == Contents{{"stays", "as it was"}}));
  CHECK(must(store.count()) == 2);  // the expired one is hidden, as before
  if (kind == StoreKind::memory) return;
  REQUIRE_OK(store.close());
  store = open_kind(kind, dir, {.clock = clock.source()});
  CHECK((contents_of(store) == Contents{{"stays", "as it was"}}));
  REQUIRE_OK(store.verify());
}

// (c) The original counts in memory how many keys expire, and asks no key for its expiry while
// there are none. A rollback brought the keys back and not the count: a key whose overwriting was
// rolled back could be read long after it had expired, until the store was opened anew.
TEST_CASE("(c) a rollback brings back when a key expires") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool by_savepoint = GENERATE(false, true);
  CAPTURE(kind, by_savepoint);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  using Work = std::function<void(Transaction&)>;
  const auto undo = [&](const Work& work) {
    Transaction transaction = must(store.begin());
    if (by_savepoint) {
      Savepoint savepoint = must(transaction.savepoint());
      work(transaction);
      REQUIRE_OK(savepoint.rollback());
      REQUIRE_OK(savepoint.release());
      REQUIRE_OK(transaction.commit());
    } else {
      work(transaction);
      REQUIRE_OK(transaction.rollback());
    }
  };
  // All ways to make the only key that expires one that does not.
  const std::vector<std::pair<std::string, Work>> ways = {
      {"put", [](Transaction& t) { REQUIRE_OK(t.put("key", "for ever")); }},
      {"later", [](Transaction& t) { REQUIRE_OK(t.put("key", "longer", {.ttl = 1h})); }},
      {"persist", [](Transaction& t) { REQUIRE_OK(t.persist("key")); }},
      {"expire", [](Transaction& t) { REQUIRE_OK(t.expire("key", 1h)); }},
      {"erase", [](Transaction& t) { CHECK(must(t.erase("key"))); }},
      {"range", [](Transaction& t) { CHECK(must(t.erase_prefix("k")) == 1); }},
      {"clear", [](Transaction& t) { REQUIRE_OK(t.clear()); }},
      {"batch", [](Transaction& t) { REQUIRE_OK(t.write(WriteBatch().put("key", "for ever"))); }},
      {"blob", [](Transaction& t) {
         BlobWriter writer = must(t.blob_writer("key"));
         REQUIRE_OK(writer.write("for ever"));
         REQUIRE_OK(writer.finish());
       }}};
  for (const auto& [name, work] : ways) {
    CAPTURE(name);
    REQUIRE_OK(store.put("key", "value", {.ttl = 100ms}));
    undo(work);
    CHECK(must(store.get("key")) == "value");
    CHECK(must(store.ttl("key")) == 100ms);
    CHECK(must(store.family_stats()).expiring == 1);
    clock.advance(99ms);
    CHECK(must(store.get("key")) == "value");
    clock.advance(1ms);
    REQUIRE_ERRC(store.get("key"), Errc::not_found);
    CHECK(must(store.count_live()) == 0);
    CHECK(must(store.purge_expired()) == 1);
    CHECK(must(store.count()) == 0);
    REQUIRE_OK(store.verify());
  }
}

TEST_CASE("(c) a rollback takes back that a key expires") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  REQUIRE_OK(store.put("key", "for ever"));
  for (int round = 0; round < 2; ++round) {
    // The first expiry of a family makes an index, which the rollback takes back as well.
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("key", "short", {.ttl = 10ms}));
    REQUIRE_OK(transaction.put("new", "short", {.ttl = 10ms}));
    REQUIRE_OK(transaction.rollback());
    CHECK(must(store.ttl("key")) == std::nullopt);
    CHECK(must(store.family_stats()).expiring == 0);
    clock.advance(1h);
    CHECK(must(store.get("key")) == "for ever");
    CHECK(must(store.purge_expired()) == 0);
  }
  // After all that, expiring works as ever.
  REQUIRE_OK(store.put("key", "short", {.ttl = 10ms}));
  clock.advance(10ms);
  REQUIRE_ERRC(store.get("key"), Errc::not_found);
  CHECK(must(store.purge_expired()) == 1);
  REQUIRE_OK(store.verify());
}

// (d) When the disk or the memory failed an iterator of the original, it said "no more entries". A
// loop that copied a store copied the half before the bad page, and was content.
TEST_CASE("(d) damage ends a scan with an error") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const bool forward = GENERATE(true, false);
  CAPTURE(kind, forward);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  constexpr int entry_count = 2000;
  {
    Store store = open_kind(kind, dir, {.page_size = 4096});
    Transaction transaction = must(store.begin());
    for (int i = 0; i < entry_count; ++i) {
      REQUIRE_OK(transaction.put("key" + std::to_string(10'000 + i), patterned(200, i)));
    }
    REQUIRE_OK(transaction.commit());
  }
  // Two pages in the middle, so that one at least is a leaf.
  overwrite(path, size_of(path) / 4096 / 2 * 4096, std::string(2 * 4096, '\x5a'));

  const Store store = must(open_store(path, {.read_only = true}));
  Range scan = forward ? store.all() : store.all().reversed();
  int met = 0;
  for (auto entry = scan.begin(); entry != scan.end(); ++entry) ++met;
  CHECK(met > 0);
  CHECK(met < entry_count);
  REQUIRE_ERRC(scan.status(), Errc::corrupt);
  // The iterator stays where it failed until it is told to go somewhere else.
  Iterator iterator = store.iterator();
  iterator.seek_first();
  while (iterator.valid()) iterator.next();
  REQUIRE_ERRC(iterator.status(), Errc::corrupt);
  iterator.next();
  CHECK_FALSE(iterator.valid());
  REQUIRE_ERRC(iterator.status(), Errc::corrupt);
  iterator.seek_first();
  REQUIRE_OK(iterator.status());
  CHECK(iterator.valid());
}

TEST_CASE("(d) a disk that cannot be read ends a scan with an error") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  constexpr int entry_count = 3000;
  {
    Store store = open_kind(kind, dir);
    Transaction transaction = must(store.begin());
    for (int i = 0; i < entry_count; ++i) {
      REQUIRE_OK(transaction.put("key" + std::to_string(10'000 + i), patterned(800, i)));
    }
    REQUIRE_OK(transaction.commit());
  }
  // By calls that read: what fails in a mapping is a signal, not an error (Options::map_file says so).
  const Store store = open_kind(kind, dir, {.cache_size = 64 << 10, .map_file = false});
  Range scan = store.all();
  int met = 0;
  failed_reads = 0;
  for (auto entry = scan.begin(); entry != scan.end(); ++entry) {
    if (++met == 100) reads_fail = true;
  }
  reads_fail = false;
  // The fault must have been met for this test to mean anything.
  CHECK(failed_reads > 0);
  CHECK(met >= 100);
  CHECK(met < entry_count);
  REQUIRE_ERRC(scan.status(), Errc::io_error);
  CHECK(scan.status().error().extended() != 0);

  // With the disk back, so is everything.
  met = 0;
  for (auto entry = scan.begin(); entry != scan.end(); ++entry) ++met;
  REQUIRE_OK(scan.status());
  CHECK(met == entry_count);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("(d) want of memory ends a scan with an error") {
  // A limit on the address space is no use where a sanitizer maps most of it.
  if (memory_is_sanitized) return;
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.sync = Sync::off});
  constexpr std::size_t large = 96u << 20;
  REQUIRE_OK(store.put("a", "small"));
  REQUIRE_OK(store.put("b", std::string(large, 'b')));
  REQUIRE_OK(store.put("c", "small"));
  REQUIRE_OK(store.close());
  const std::string report = in_child([&]() -> std::string {
    auto own = open_store(dir.file("test.db"));
    if (!own) return own.error().message();
    auto small = own->get("a");
    if (!small) return small.error().message();
    Range scan = own->all();
    const ::rlim_t limit = address_space_in_use() + large / 2;
    const struct rlimit address_space { limit, limit };
    if (::setrlimit(RLIMIT_AS, &address_space) != 0) return "no limit set";
    std::string met;
    for (auto [key, value] : scan) met += key.str();
    if (met != "a") return "met " + met;
    std::string complaint = error_complaint(scan.status(), Errc::no_memory, "");
    if (!complaint.empty()) return complaint;
    complaint = error_complaint(own->get("b"), Errc::no_memory, "get");
    if (!complaint.empty()) return complaint;
    // What fits can still be had.
    small = own->get("c");
    if (!small) return small.error().message();
    auto put = own->put("d", "small");
    return put ? "" : put.error().message();
  });
  CHECK(report == "");
}

// (g) Two handles of the original on one file: the first reads, the second writes, and from its
// next write on the first is broken for ever ("file is not a database"). Until then it goes on
// showing what was there when it first looked. Its cached cursor kept a page of a read transaction
// that was over.
TEST_CASE("(g) two handles on one file read and write in turns") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  // Syncs are not what this is about, and would take most of its time.
  Store a = open_kind(kind, dir, {.sync = Sync::off});
  Store b = open_kind(kind, dir, {.sync = Sync::off});
  REQUIRE_OK(a.put("key", "0"));
  CHECK(must(a.get("key")) == "0");
  REQUIRE_OK(b.put("key", "1"));
  REQUIRE_OK(a.put("other", "2"));
  CHECK(must(a.get("key")) == "1");
  CHECK(must(b.get("other")) == "2");
  for (int round = 0; round < 200; ++round) {
    const std::string value = std::to_string(round);
    Store& writer = round % 3 == 0 ? a : b;
    Store& reader = round % 3 == 0 ? b : a;
    REQUIRE_OK(writer.put("key", value));
    REQUIRE(must(reader.get("key")) == value);
    REQUIRE(must(writer.get("key")) == value);
    REQUIRE_OK(reader.put("other", patterned(round * 100, round)));
    REQUIRE((must(writer.get("other")) == BytesView(patterned(round * 100, round))));
    if (round % 10 == 0) REQUIRE(keys(reader.all()) == keys(writer.all()));
  }
  REQUIRE_OK(a.integrity_check());
  REQUIRE_OK(b.integrity_check());
}

TEST_CASE("(g) a handle sees the commit of another process at once") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = dir.file("test.db");
  const Journal journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback;
  // The other process must not inherit an open store, so this one opens its own anew each time.
  { REQUIRE_OK(open_kind(kind, dir).put("key", "parent")); }
  for (int round = 0; round < 3; ++round) {
    const std::string report = in_child([&]() -> std::string {
      auto store = open_store(path, {.journal = journal});
      if (!store) return store.error().message();
      auto value = store->get("key");
      if (!value) return value.error().message();
      auto put = store->put("key", value->str() + "+child");
      return put ? "" : put.error().message();
    });
    CHECK(report == "");
    Store store = open_kind(kind, dir);
    REQUIRE_OK(store.put("key", must(store.get("key")).str() + "+parent"));
  }
  CHECK(must(open_kind(kind, dir).get("key")) == "parent+child+parent+child+parent+child+parent");
}

// (h) With its default settings nothing bounded the original's log: its commits bypass the place
// where the engine checks for an automatic checkpoint. 100 KB of live data, overwritten, grew a log
// of 84 MB.
/// Bytes of a log that is copied back from `mark` pages of 8 KiB on, and of the header of each frame, with a
/// quarter more for the commit that passes the mark. Beside the writers it may have four times as many pages,
/// and another quarter where it was tried just before.
std::uint64_t log_bound(std::uint64_t mark, bool beside) {
  return (beside ? mark * 18 / 4 : mark * 5 / 4) * (Options().page_size + 24);
}

TEST_CASE("(h) with default settings the log stays bounded") {
  const bool beside = GENERATE(true, false);
  CAPTURE(beside);
  const TempDir dir;
  const std::string log = dir.file("test.db-wal");
  Store store = open_kind(StoreKind::wal, dir, {.background_checkpoints = beside});
  std::uint64_t largest = 0;
  // Several times what the log may have.
  for (int i = 0; i < 40000; ++i) {
    REQUIRE_OK(store.put("key" + std::to_string(i % 100), patterned(1000, i)));
    largest = std::max(largest, size_of(log));
  }
  CHECK(largest > 0);
  CHECK(largest < log_bound(Options().wal_autocheckpoint, beside));
  CHECK(must(store.stats()).wal_bytes <= largest);
  CHECK(size_of(dir.file("test.db")) < (2u << 20));
}

TEST_CASE("(h) the log stays bounded with transactions and readers in between") {
  const bool beside = GENERATE(true, false);
  CAPTURE(beside);
  const TempDir dir;
  const std::string log = dir.file("test.db-wal");
  Store store = open_kind(StoreKind::wal, dir, {.background_checkpoints = beside});
  std::uint64_t largest = 0;
  for (int i = 0; i < 3000; ++i) {
    Transaction transaction = must(store.begin());
    for (int j = 0; j < 10; ++j) {
      REQUIRE_OK(transaction.put("key" + std::to_string(i * 17 % 100 + j), patterned(1000, i)));
    }
    REQUIRE_OK(transaction.commit());
    // Short readers must not hold the log back for good.
    CHECK(contents_of(must(store.snapshot())).size() >= 10);
    largest = std::max(largest, size_of(log));
  }
  CHECK(largest < log_bound(Options().wal_autocheckpoint, beside));
}

TEST_CASE("(h) the log stays bounded when each transaction is larger than the mark") {
  const bool beside = GENERATE(true, false);
  CAPTURE(beside);
  const TempDir dir;
  const std::string log = dir.file("test.db-wal");
  // Without the limit, so that the mark alone has to do it.
  constexpr std::uint32_t mark = 100;
  const Options options{.sync = Sync::off,
                        .wal_autocheckpoint = mark,
                        .background_checkpoints = beside,
                        .wal_size_limit = 0};
  Store store = open_kind(StoreKind::wal, dir, options);
  std::uint64_t one = 0;
  std::uint64_t first = 0;
  std::uint64_t largest = 0;
  for (int i = 0; i < 40; ++i) {
    REQUIRE_OK(store.put("key", patterned(1'000'000, i)));
    if (i == 0) one = size_of(log);
    if (i == 1) first = size_of(log);
    largest = std::max(largest, size_of(log));
  }
  CHECK(first > mark * 8192);
  // How much the log has after two is a matter of time where it is copied beside them.
  CHECK(largest < (beside ? log_bound(mark, beside) + one : first * 2));
}

TEST_CASE("(h) the log is within its limit when each transaction is larger than that") {
  const TempDir dir;
  const std::string log = dir.file("test.db-wal");
  const Options options{.sync = Sync::off, .wal_autocheckpoint = 0, .wal_size_limit = 500'000};
  Store store = open_kind(StoreKind::wal, dir, options);
  std::uint64_t first = 0;
  std::uint64_t largest = 0;
  for (int i = 0; i < 40; ++i) {
    REQUIRE_OK(store.put("key", patterned(1'000'000, i)));
    if (i == 1) first = size_of(log);
    largest = std::max(largest, size_of(log));
  }
  CHECK(first > 500'000);
  CHECK(largest < first * 3 / 2);
}
