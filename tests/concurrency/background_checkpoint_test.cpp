// The thread that copies the log into the file, beside the writers. Syncs come through here (--wrap, see
// CMakeLists.txt), so that a test can hold the thread in the middle of its work.
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace {

/// Counts syncs, and holds those of all threads but one while it is closed.
class Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    free_ = std::this_thread::get_id();
    closed_ = true;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    closed_ = false;
    changed_.notify_all();
  }
  /// False if nobody came for a minute.
  [[nodiscard]] bool wait_for_somebody() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [this] { return waiting_ > 0; });
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++syncs_;
    if (!closed_ || std::this_thread::get_id() == free_) return;
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !closed_; });
    --waiting_;
  }
  [[nodiscard]] int syncs() {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id free_;
  bool closed_ = false;
  int waiting_ = 0;
  int syncs_ = 0;
};
Gate gate;

/// Closes the gate, and opens it again also when a test ends early: its store would wait for the thread.
/// Made after the store, so that it goes first.
struct ClosedGate {
  ClosedGate() { gate.close(); }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;
  ~ClosedGate() { gate.open(); }
};

}  // namespace

extern "C" {
int __real_fsync(int file);
int __real_fdatasync(int file);
int __wrap_fsync(int file) {
  gate.pass();
  return __real_fsync(file);
}
int __wrap_fdatasync(int file) {
  gate.pass();
  return __real_fdatasync(file);
}
}  // extern "C"

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t interval = 50;

Options options() {
  Options out;
  out.wal_autocheckpoint = interval;
  out.busy_timeout = 60s;
  return out;
}

using Expected = std::map<std::string, std::string>;
Contents in_order(const Expected& expected) { return {expected.begin(), expected.end()}; }

/// Each of these puts is one page in the log.
void put_pages(Store& store, int first, int count, Expected* expected = nullptr) {
  for (int i = first; i < first + count; ++i) {
    const std::string key = "k" + std::to_string(i % 10);
    REQUIRE_OK(store.put(key, "value " + std::to_string(i)));
    if (expected != nullptr) expected->insert_or_assign(key, "value " + std::to_string(i));
  }
}

std::uint64_t checkpoints(const Store& store) { return must(store.stats()).checkpoints; }

/// Waits for the thread to have made so many checkpoints, a minute at most.
void wait_for_checkpoints(const Store& store, std::uint64_t count) {
  for (int i = 0; i < 6000 && checkpoints(store) < count; ++i) std::this_thread::sleep_for(10ms);
  REQUIRE(checkpoints(store) >= count);
}

std::uint64_t frames(std::uint64_t count) { return 32 + count * (Options().page_size + 24); }

}  // namespace

TEST_CASE("commits and reads go on while the log is copied") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, options());
  Expected expected;
  put_pages(store, 0, 1, &expected);
  REQUIRE_OK(store.checkpoint());
  REQUIRE_OK(store.reset_stats());
  const ClosedGate closed_gate;
  put_pages(store, 0, interval + 5, &expected);
  REQUIRE(gate.wait_for_somebody());
  put_pages(store, 100, 2 * interval, &expected);
  CHECK(checkpoints(store) == 0);  // it is held at its first sync
  CHECK(contents_of(store) == in_order(expected));
  CHECK(contents_of(must(store.snapshot())) == in_order(expected));
  gate.open();
  wait_for_checkpoints(store, 1);
  put_pages(store, 200, 3, &expected);
  CHECK(contents_of(store) == in_order(expected));
  REQUIRE_OK(store.close());
  CHECK(contents_of(open_kind(StoreKind::wal, dir)) == in_order(expected));
}

TEST_CASE("beside the writers the log stays within four times the pages at which copying begins") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, options());
  std::uint64_t largest = 0;
  for (int i = 0; i < 3000; ++i) {
    put_pages(store, i, 1);
    largest = std::max(largest, size_of(dir.file("test.db-wal")));
  }
  CHECK(largest > frames(interval));
  // And a quarter, where it was tried just before.
  CHECK(largest <= frames(4 * interval + interval / 4 + 2));
}

TEST_CASE("without the thread the log stays within the pages at which copying begins") {
  const TempDir dir;
  Options without = options();
  without.background_checkpoints = false;
  Store store = open_kind(StoreKind::wal, dir, without);
  for (int i = 0; i < 1000; ++i) {
    put_pages(store, i, 1);
    REQUIRE(size_of(dir.file("test.db-wal")) <= frames(interval + 2));
  }
}

TEST_CASE("a snapshot that holds the log back does not make the thread try at every commit") {
  const TempDir dir;
  Options unlimited = options();
  unlimited.wal_size_limit = 0;
  Store store = open_kind(StoreKind::wal, dir, unlimited);
  Expected before;
  put_pages(store, 0, 10, &before);
  std::optional<Snapshot> snapshot = must(store.snapshot());
  REQUIRE_OK(store.reset_stats());
  put_pages(store, 1000, 1000);
  CHECK(checkpoints(store) <= 1000 / (interval / 4) + 1);
  CHECK(contents_of(*snapshot) == in_order(before));
  snapshot.reset();
  // Then everything is copied, and the log begins anew.
  put_pages(store, 2000, 2 * interval);
  const std::uint64_t grown = size_of(dir.file("test.db-wal"));
  put_pages(store, 3000, 1000);
  CHECK(size_of(dir.file("test.db-wal")) == grown);
}

TEST_CASE("closing waits for the log to be copied") {
  const bool by_close = GENERATE(true, false);
  CAPTURE(by_close);
  const TempDir dir;
  std::optional<Store> store = open_kind(StoreKind::wal, dir, options());
  Expected expected;
  const ClosedGate closed_gate;
  put_pages(*store, 0, interval + 5, &expected);
  REQUIRE(gate.wait_for_somebody());
  std::atomic<bool> begun{false};
  std::atomic<bool> closed{false};
  Result<void> result;
  std::thread closing([&] {
    begun = true;
    if (by_close) result = store->close();
    store.reset();
    closed = true;
  });
  while (!begun) std::this_thread::yield();
  std::this_thread::sleep_for(20ms);
  CHECK_FALSE(closed);
  gate.open();
  closing.join();
  REQUIRE_OK(result);
  CHECK(contents_of(open_kind(StoreKind::wal, dir)) == in_order(expected));
}

TEST_CASE("stores that go away at any moment of the copying") {
  const TempDir dir;
  Expected expected;
  for (int round = 0; round < 30; ++round) {
    Store store = open_kind(StoreKind::wal, dir, options());
    put_pages(store, round * 7, static_cast<int>(interval) + round % 5, &expected);
  }
  const Store store = open_kind(StoreKind::wal, dir, options());
  CHECK(contents_of(store) == in_order(expected));
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a store that could not be closed copies its log again") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, options());
  put_pages(store, 0, 2 * interval);
  std::optional<Snapshot> snapshot = must(store.snapshot());
  REQUIRE_ERRC(store.close(), Errc::busy);
  snapshot.reset();
  const std::uint64_t before = checkpoints(store);
  put_pages(store, 0, 4 * interval);
  wait_for_checkpoints(store, before + 1);
}

TEST_CASE("a checkpoint of another handle waits for that of the thread, whatever its busy timeout") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, options());
  Options impatient = options();
  impatient.busy_timeout = 0ms;
  Store other = open_kind(StoreKind::wal, dir, impatient);
  const ClosedGate closed_gate;
  put_pages(store, 0, interval + 5);
  REQUIRE(gate.wait_for_somebody());
  std::atomic<bool> begun{false};
  Result<CheckpointResult> result = Unexpected(Error(Errc::internal, "", ""));
  std::thread checkpointing([&] {
    begun = true;
    result = other.checkpoint(Checkpoint::passive);
  });
  while (!begun) std::this_thread::yield();
  std::this_thread::sleep_for(50ms);  // it would have failed by now
  gate.open();
  checkpointing.join();
  REQUIRE_OK(result);
  CHECK(result->checkpointed == result->wal_frames);
}

TEST_CASE("the thread's looks at the log are no reason to find the file locked") {
  // It takes the writers' lock for a moment where it meets a header that is being written.
  const TempDir dir;
  Options impatient = options();
  impatient.busy_timeout = 0ms;
  impatient.sync = Sync::off;
  impatient.wal_autocheckpoint = 1;
  Store store = open_kind(StoreKind::wal, dir, impatient);
  for (int i = 0; i < 100'000; ++i) {
    const auto put = store.put("k", std::to_string(i));
    if (!put) REQUIRE_OK(put);
  }
  CHECK(checkpoints(store) > 100);
}

TEST_CASE("where there can be no connection for the thread, the commit copies the log") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, options());
  put_pages(store, 0, 10);
  CHECK(must(store.get("k1")) == "value 1");
  REQUIRE_OK(store.reset_stats());
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next_file = ::open("/dev/null", O_RDONLY);
  REQUIRE(next_file >= 0);
  ::close(next_file);
  const ::rlimit none{static_cast<::rlim_t>(next_file), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  std::uint64_t made = 0;
  for (int i = 0; i < 2 * static_cast<int>(interval) && made == 0; ++i) {
    if (!store.put("k", std::to_string(i))) break;
    made = must(store.stats()).checkpoints;
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(made == 1);
  REQUIRE_OK(store.reset_stats());
  put_pages(store, 0, 3 * interval);
  wait_for_checkpoints(store, 1);
}

TEST_CASE("a checkpoint promises as much as any commit before it") {
  const TempDir dir;
  Options weak = options();
  weak.sync = Sync::off;
  weak.wal_autocheckpoint = 0;
  Store store = open_kind(StoreKind::wal, dir, weak);
  REQUIRE_OK(store.put("a", "1"));
  int before = gate.syncs();
  REQUIRE_OK(store.checkpoint());
  CHECK(gate.syncs() == before);
  REQUIRE_OK(store.put("b", "durable", {.sync = Sync::full}));
  REQUIRE_OK(store.put("a", "2"));
  // Else the log would be written over while the file is not on the disk.
  before = gate.syncs();
  REQUIRE_OK(store.checkpoint());
  CHECK(gate.syncs() >= before + 2);
}
