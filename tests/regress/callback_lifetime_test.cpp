// Functions of the caller that throw, and such that end the last handle on the store they are called by.
#include "callbacks.hpp"

#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

/// `aborted`, with what the exception said in the message.
template <class R>
std::string aborted_complaint(const R& result) {
  const std::string complaint = error_complaint(result, Errc::aborted, "");
  if (!complaint.empty()) return complaint;
  const std::string message = result.error().message();
  return message.find("my own reason") == std::string::npos ? "no reason: " + message : "";
}

[[noreturn]] void fail() { throw std::runtime_error("my own reason"); }

/// Waits until another thread has closed the file: then another process may take it to itself.
void wait_until_closed(const std::string& path) {
  while (size_of(path + "-wal") > 0 || std::filesystem::exists(path + "-shm")) {
    std::this_thread::sleep_for(milliseconds{1});
  }
}

}  // namespace

TEST_CASE("what functions of the caller throw becomes aborted, with their reason") {
  const Watchdog watchdog;
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db"), no_sync()));
  REQUIRE_OK(store.put("k", "v"));
  const auto merging = [](auto) -> Result<std::optional<Bytes>> { fail(); };
  const auto progress = [](std::uint64_t, std::uint64_t) -> bool { fail(); };
  CHECK(aborted_complaint(store.merge("k", merging)) == "");
  CHECK(aborted_complaint(store.visit("k", [](BytesView) { fail(); })) == "");
  CHECK(aborted_complaint(store.backup(dir.file("copy.db"), progress)) == "");
  CHECK(aborted_complaint(store.verify(progress)) == "");
  CHECK(aborted_complaint(store.compact(progress)) == "");
  write_file(dir.file("in"), "content");
  CHECK(aborted_complaint(store.put_file("f", dir.file("in"), {}, progress)) == "");
  CHECK(aborted_complaint(store.get_to_file("k", dir.file("out"), progress)) == "");
  {
    Transaction transaction = must(store.begin());
    CHECK(aborted_complaint(transaction.merge("k", merging)) == "");
    CHECK(aborted_complaint(transaction.visit("k", [](BytesView) { fail(); })) == "");
    REQUIRE_OK(transaction.put("l", "v"));  // nothing was changed by them
    REQUIRE_OK(transaction.commit());
  }
  const Snapshot snapshot = must(store.snapshot());
  CHECK(aborted_complaint(snapshot.visit("k", [](BytesView) { fail(); })) == "");
  REQUIRE_OK(snapshot.get("k"));
  CHECK(files_in(dir.path()) ==
        std::vector<std::string>{"in", "store.db", "store.db-shm", "store.db-wal"});
  // Without a reason, and without memory.
  auto other = store.merge("k", [](auto) -> Result<std::optional<Bytes>> { throw 42; });
  REQUIRE_ERROR(other, Errc::aborted, "merge");
  REQUIRE_ERROR(store.merge("k", [](auto) -> Result<std::optional<Bytes>> { throw std::bad_alloc(); }),
                Errc::no_memory, "merge");
  CHECK(must(store.get("k")) == "v");
  REQUIRE_OK(store.put("k", "w"));
}

TEST_CASE("a clock that throws makes calls fail, and ends nothing") {
  const Watchdog watchdog;
  const TempDir dir;
  FakeClock clock;
  std::atomic<bool> broken{false};
  Options options = no_sync();
  options.clock = [&]() -> std::int64_t {
    if (broken.load()) fail();
    return clock.now();
  };
  Store store = must(open_store(dir.file("store.db"), options));
  REQUIRE_OK(store.put("k", "v", {.ttl = std::chrono::hours{1}}));
  broken = true;
  CHECK(aborted_complaint(store.put("k", "w")) == "");
  CHECK(aborted_complaint(store.get("k")) == "");
  CHECK(aborted_complaint(store.begin()) == "");
  CHECK(aborted_complaint(store.snapshot()) == "");
  CHECK(aborted_complaint(store.purge_all_expired()) == "");
  CHECK(aborted_complaint(store.write(WriteBatch().put("a", "b"))) == "");
  auto scan = store.all();
  for ([[maybe_unused]] auto entry : scan) FAIL("an entry without a time");
  CHECK(aborted_complaint(scan.status()) == "");
  broken = false;
  CHECK(must(store.get("k")) == "v");
  REQUIRE_OK(store.put("k", "w"));
  REQUIRE_OK(store.close());
}

TEST_CASE("compact that is told to stop by its last call changes nothing") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (int i = 0; i < 500; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(3000, i)));
  REQUIRE_OK(store.erase_range("1", "4"));
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  const SpaceReport before = must(store.space());
  std::uint64_t largest = 0;
  REQUIRE_ERROR(store.compact([&](std::uint64_t done, std::uint64_t total) {
    largest = std::max(largest, done);
    return done < total;
  }), Errc::aborted, "compact");
  CHECK(largest > 0);  // it has been asked at the end
  const SpaceReport after = must(store.space());
  CHECK(after.free_bytes == before.free_bytes);
  CHECK(after.file_bytes == before.file_bytes);
  // And when nobody stops it, the last call is the whole.
  std::pair<std::uint64_t, std::uint64_t> last;
  REQUIRE_OK(store.compact([&](std::uint64_t done, std::uint64_t total) {
    last = {done, total};
    return true;
  }));
  CHECK(last.first == last.second);
  CHECK(must(store.space()).free_bytes < before.free_bytes);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("the last handle may go away in the log of the housekeeping thread") {
  const Watchdog watchdog;
  const TempDir dir;
  for (int round = 0; round < 5; ++round) {
    auto handle = std::make_shared<std::optional<Store>>();
    std::atomic<bool> given{false};
    std::atomic<bool> gone{false};
    Options options{.sync = Sync::off, .housekeeping_interval = milliseconds{1}};
    options.log = [&](LogLevel, std::string_view) {
      if (!given.load() || gone.load()) return;
      handle->reset();
      gone = true;
    };
    *handle = must(open_store(dir.file("store.db"), options));
    REQUIRE_OK((*handle)->put("short", "life", {.ttl = milliseconds{1}}));
    REQUIRE_OK((*handle)->put("k", "v"));
    given = true;
    while (!gone.load()) std::this_thread::sleep_for(milliseconds{1});
    wait_until_closed(dir.file("store.db"));
    Store again = must(open_store(dir.file("store.db"), no_sync()));
    CHECK(must(again.get("k")) == "v");
  }
}

TEST_CASE("the last handle may go away in a function that the thread's own call calls") {
  const Watchdog watchdog;
  const TempDir dir;
  const std::string path = dir.file("store.db");
  std::optional<Store> store;
  std::optional<Watch> watch;
  bool gone = false;
  const auto end = [&] {
    watch.reset();
    store.reset();
    gone = true;
  };
  SECTION("watch") {
    store = must(open_store(path, no_sync()));
    watch = must(store->watch("", [&](const Change&) { end(); }));
    auto put = store->put("k", "v");
    REQUIRE_OK(put);
  }
  SECTION("on_wal_limit") {
    Options options{.sync = Sync::off, .wal_size_limit = 64u << 10};
    std::optional<Snapshot> snapshot;
    options.on_wal_limit = [&](const WalPressure&) {
      snapshot.reset();
      end();
    };
    store = must(open_store(path, options));
    REQUIRE_OK(store->put("k", "v"));
    snapshot = must(store->snapshot());
    for (int i = 0; !gone; ++i) REQUIRE_OK(store->put("w", patterned(3000, i)));
  }
  SECTION("merge") {
    store = must(open_store(path, no_sync()));
    REQUIRE_OK(store->put("k", "w"));
    REQUIRE_OK(store->merge("k", [&](auto) -> Result<std::optional<Bytes>> {
      end();
      return Bytes("v");
    }));
  }
  SECTION("progress") {
    store = must(open_store(path, no_sync()));
    REQUIRE_OK(store->put("k", "v"));
    REQUIRE_OK(store->backup(dir.file("copy.db"), [&](std::uint64_t, std::uint64_t) {
      end();
      return true;
    }));
  }
  CHECK(gone);
  CHECK_FALSE(std::filesystem::exists(path + "-wal"));  // it is closed
  Store again = must(open_store(path, no_sync()));
  CHECK(must(again.get("k")) == "v");
}
