// The change feed, the log's limit, latencies and statistics of families.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

/// A process that has the lock of one byte of a file for writing, as long as this lives.
class LockInChild {
 public:
  LockInChild(const std::string& path, ::off_t at) {
    REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0);
    std::array<int, 2> ready{};
    REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::close(ends_[1]);
      const int file = ::open(path.c_str(), O_RDWR);
      struct ::flock lock{};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      lock.l_start = at;
      lock.l_len = 1;
      char byte = ::fcntl(file, F_SETLKW, &lock) == 0 ? 'y' : 'n';
      ::ssize_t done = ::write(ready[1], &byte, 1);
      done += ::read(ends_[0], &byte, 1);  // until the other end is closed
      ::_exit(done > 0 ? 0 : 1);
    }
    ::close(ready[1]);
    char byte = 0;
    REQUIRE(child_ > 0);
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    REQUIRE(byte == 'y');
    ::close(ready[0]);
  }
  LockInChild(const LockInChild&) = delete;
  LockInChild& operator=(const LockInChild&) = delete;
  ~LockInChild() {
    ::close(ends_[0]);
    ::close(ends_[1]);
    int status = 0;
    ::waitpid(child_, &status, 0);
  }

 private:
  std::array<int, 2> ends_{};
  ::pid_t child_ = -1;
};

std::string describe(const Change& change) {
  static constexpr const char* kinds[] = {"put", "erase", "range", "clear"};
  return std::to_string(change.sequence) + " " + kinds[static_cast<int>(change.kind)] + " " +
         change.key.str();
}

}  // namespace

TEST_CASE("a watch hears of commits, in order, and only of its keys") {
  Store store = must(Store::open_in_memory());
  ColumnFamily other = must(store.create_column_family("other"));
  const std::uint64_t start = must(store.sequence());
  std::vector<Change> heard;
  Watch watch = must(store.watch("a", [&](const Change& change) { heard.push_back(change); }));
  must(store.put("a1", "1"));
  must(store.put("b1", "1"));
  must(other.put("a1", "1"));
  must(store.erase("a1"));
  must(store.erase("a1"));
  {
    Transaction transaction = must(store.begin());
    must(transaction.put("a2", "2"));
    Savepoint savepoint = must(transaction.savepoint());
    must(transaction.put("a3", "3"));
    must(savepoint.rollback());
    CHECK(heard.size() == 2);
    must(transaction.commit());
  }
  {
    Transaction transaction = must(store.begin());
    must(transaction.put("a4", "4"));
    must(transaction.rollback());
  }
  REQUIRE(heard.size() == 3);
  CHECK(heard[0].key == "a1");
  CHECK(heard[0].kind == Change::Kind::put);
  CHECK(heard[0].sequence == start + 1);
  CHECK(heard[1].kind == Change::Kind::erase);
  CHECK(heard[2].key == "a2");
  CHECK(heard[2].family == "default");
  must(store.clear());
  REQUIRE(heard.size() == 4);
  CHECK(heard[3].kind == Change::Kind::clear);
  watch.stop();
  must(store.put("a9", ""));
  CHECK(heard.size() == 4);
}

TEST_CASE("a callback may throw, and may use the store") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db")));
  int calls = 0;
  Watch thrower = must(store.watch("", [&](const Change&) -> void {
    ++calls;
    throw 1;
  }));
  Names echoes;
  Watch writer = must(store.watch("in:", [&](const Change& change) {
    if (store.put("out:" + change.key.str(), "x")) echoes.push_back(change.key.str());
  }));
  must(store.put("in:1", "1"));
  must(store.put("in:2", "1"));
  CHECK(echoes == Names{"in:1", "in:2"});
  CHECK(calls == 4);
  CHECK(must(store.count()) == 4);
  REQUIRE_ERROR(store.watch("x", nullptr), Errc::invalid_argument, "watch");
}

TEST_CASE("watches hear each commit of many threads once and in order") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db"), {.sync = Sync::off}));
  std::vector<std::uint64_t> sequences;
  Watch watch = must(store.watch("", [&](const Change& c) { sequences.push_back(c.sequence); }));
  std::vector<std::thread> pool;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    pool.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        if (!store.put(std::to_string(t) + ":" + std::to_string(i), "v")) ++failures;
      }
    });
  }
  for (std::thread& thread : pool) thread.join();
  CHECK(failures == 0);
  must(store.put("last", "v"));  // whoever was delivering has done so by now
  CHECK(sequences.size() == 801);
  CHECK(std::is_sorted(sequences.begin(), sequences.end()));
}

TEST_CASE("changes are kept up to the number asked for") {
  Store store = must(Store::open_in_memory({.change_history = 3}));
  must(store.put("a", "1"));
  must(store.put("b", "1"));
  must(store.erase("a"));
  const std::uint64_t first = must(store.sequence()) - 2;
  Names all;
  for (const Change& change : must(store.changes_since(first - 1))) all.push_back(describe(change));
  CHECK(all == Names{std::to_string(first) + " put a", std::to_string(first + 1) + " put b",
                     std::to_string(first + 2) + " erase a"});
  CHECK(must(store.changes_since(first + 1)).size() == 1);
  must(store.put("c", "1"));
  REQUIRE_ERROR(store.changes_since(first - 1), Errc::expired, "changes_since");
  CHECK(must(store.changes_since(first)).size() == 3);

  Store plain = must(Store::open_in_memory());
  REQUIRE_ERROR(plain.changes_since(0), Errc::invalid_argument, "changes_since");
}

TEST_CASE("the log stays within its limit while no snapshot is open") {
  const TempDir dir;
  constexpr std::uint64_t limit = 1u << 20;
  Store store = must(open_store(
      dir.file("store.db"), {.sync = Sync::off, .wal_autocheckpoint = 0, .wal_size_limit = limit}));
  std::uint64_t largest = 0;
  for (int i = 0; i < 3000; ++i) {
    must(store.put(std::to_string(i % 100), std::to_string(i) + std::string(1000, 'x')));
    if (i % 50 == 0) largest = std::max(largest, must(store.stats()).wal_bytes);
  }
  // Over the limit by no more than the pages of one commit.
  CHECK(largest <= limit + 20u * 8192);
  CHECK(must(store.stats()).wal_over_limit == 0);
}

TEST_CASE("a snapshot that holds back the log is reported, and can be ended") {
  const bool expire = GENERATE(false, true);
  CAPTURE(expire);
  const TempDir dir;
  int reports = 0;
  Store store = must(open_store(dir.file("store.db"),
                                 {.sync = Sync::off,
                                  .wal_size_limit = 1u << 20,
                                  .expire_snapshots = expire,
                                  .on_wal_limit = [&](const WalPressure& pressure) {
                                    ++reports;
                                    CHECK(pressure.snapshots == 2);
                                    CHECK(pressure.wal_bytes > (1u << 20));
                                    throw 1;  // must do no harm
                                  }}));
  must(store.put("k", "old"));
  Snapshot snapshot = must(store.snapshot());
  Iterator iterator = store.iterator();
  iterator.seek_first();
  REQUIRE(iterator.valid());
  // Values that differ: a page that would not change is not written.
  for (int i = 0; i < 1000; ++i) {
    must(store.put(std::to_string(i % 10), std::to_string(i) + std::string(1000, 'x')));
  }
  if (expire) {
    REQUIRE_ERROR(snapshot.get("k"), Errc::expired, "get");
    CHECK(iterator.key() == BytesView("k"));  // what it showed stays
    iterator.next();
    CHECK_FALSE(iterator.valid());
    CHECK(iterator.status().error() == Errc::expired);
    CHECK(reports == 0);
    CHECK(must(store.stats()).wal_bytes < (3u << 20));
  } else {
    CHECK(must(snapshot.get("k")) == "old");
    CHECK(reports > 0);
    CHECK(must(store.stats()).wal_over_limit == static_cast<std::uint64_t>(reports));
  }
}

TEST_CASE("no snapshot is ended because another process copies the log") {
  const TempDir dir;
  const std::string path = dir.file("store.db");
  int reports = 0;
  std::vector<std::string> logged;
  Store store = must(open_store(path, {.sync = Sync::off,
                                       .wal_autocheckpoint = 0,
                                       .wal_size_limit = 1u << 20,
                                       .expire_snapshots = true,
                                       .on_wal_limit = [&](const WalPressure&) { ++reports; },
                                       .log = [&](LogLevel, std::string_view text) {
                                         logged.emplace_back(text);
                                       }}));
  must(store.put("k", "old"));
  Snapshot snapshot = must(store.snapshot());
  const auto write_megabytes = [&](int count) {
    for (int i = 0; i < 1000 * count; ++i) {
      must(store.put(std::to_string(i % 10), std::to_string(i) + std::string(1000, 'x')));
    }
  };
  {
    // As a checkpoint has it: SQLite's WAL_CKPT_LOCK.
    const LockInChild lock(path + "-shm", 121);
    write_megabytes(2);
    CHECK(must(store.stats()).wal_bytes > (2u << 20));
    CHECK(must(snapshot.get("k")) == "old");
    CHECK(reports > 0);
    REQUIRE_FALSE(logged.empty());
    CHECK(logged.back() == "the log is over its size limit: another process is copying it");
  }
  const int before = reports;
  write_megabytes(1);
  REQUIRE_ERROR(snapshot.get("k"), Errc::expired, "get");
  CHECK(reports == before);
}

TEST_CASE("latencies are measured when asked for") {
  Store store = must(Store::open_in_memory({.latency_histograms = true}));
  for (int i = 0; i < 10; ++i) must(store.put("k", "v"));
  must(store.get("k"));
  const LatencyHistogram puts = must(store.latency(TimedOperation::put));
  CHECK(puts.count == 10);
  CHECK(puts.total_ns > 0);
  CHECK(puts.percentile_ns(0.5) > 0);
  CHECK(puts.percentile_ns(0.5) <= puts.percentile_ns(1.0));
  CHECK(must(store.latency(TimedOperation::get)).count == 1);
  CHECK(must(store.latency(TimedOperation::commit)).count == 10);
  Store plain = must(Store::open_in_memory());
  REQUIRE_ERROR(plain.latency(TimedOperation::get), Errc::invalid_argument, "latency");
}

TEST_CASE("families know their size") {
  Store store = must(Store::open_in_memory());
  CHECK(must(store.family_stats()).entries == 0);
  for (int i = 0; i < 2000; ++i) must(store.put(std::to_string(i), std::string(50, 'v')));
  must(store.put("large", std::string(100'000, 'v')));
  must(store.put("short-lived", "v", {.ttl = 1h}));
  const FamilyStats stats = must(store.family_stats());
  CHECK(stats.entries == 2002);
  CHECK(stats.expiring == 1);
  CHECK(stats.leaf_pages >= 2002 * 60 / 8192);
  CHECK(stats.leaf_pages <= 2002 * 60 / 8192 * 3);
  CHECK(stats.large_chunks == (100'000 + 8150) / 8151);
}
