// W1: the frames of a commit are collected, and in the log when the commit returns. W2: zeros are written
// ahead of a log only behind a commit that is under way.
#include "fixture.hpp"

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

using namespace snkv;
using namespace snkv::contract;

namespace {

/// The contents of a store as another process finds them after a crash at this moment. Copied by another
/// program: closing the file in this one would drop its locks.
Contents after_crash(const std::string& path, const std::string& copy) {
  const std::string command = "cp '" + path + "' '" + copy + "' && cp '" + path + "-wal' '" + copy +
                              "-wal' && rm -f '" + copy + "-shm'";
  REQUIRE(std::system(command.c_str()) == 0);
  return contents_of(must(Store::open(copy)));
}

/// Calls of the system that write, of this process.
std::uint64_t write_calls() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (io >> name >> value) {
    if (name == "syscw:") return value;
  }
  FAIL("no /proc/self/io");
  return 0;
}

}  // namespace

TEST_CASE("a commit of many pages is few writes", "[W1]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db"), {.sync = Sync::off, .wal_autocheckpoint = 0}));
  REQUIRE_OK(store.put("first", "1"));
  constexpr std::uint64_t pages = 100;
  WriteBatch batch;
  for (std::uint64_t i = 0; i < pages; ++i) batch.put(std::to_string(1000 + i), patterned(8000));
  const std::uint64_t before = write_calls();
  REQUIRE_OK(store.write(batch));
  const std::uint64_t calls = write_calls() - before;
  if (snkv_bt_without("log_buffer")) {
    CHECK(calls > 2 * pages);
  } else {
    CHECK(calls < pages / 5);
  }
  const std::uint64_t alone = write_calls();
  REQUIRE_OK(store.put("last", "1"));
  // The row, and the second write of a page after that of its header only without collecting.
  CHECK(write_calls() - alone <= (snkv_bt_without("log_buffer") ? 4u : 2u));
}

TEST_CASE("a log that grows by synced commits grows ahead of them", "[W2]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const auto sync = GENERATE(Sync::full, Sync::normal);
  CAPTURE(sync);
  const bool ahead = sync == Sync::full && !snkv_bt_without("log_ahead");
  Store store = must(Store::open(path, {.sync = sync, .wal_autocheckpoint = 0}));
  std::map<std::string, std::string> expected;
  int growths = 0;
  constexpr int commits = 40;
  for (int i = 0; i < commits; ++i) {
    const auto before = size_of(path + "-wal");
    REQUIRE_OK(store.put(numbered(i), "value"));
    expected[numbered(i)] = "value";
    if (size_of(path + "-wal") != before) ++growths;
    REQUIRE(after_crash(path, dir.file("copy.db")) == Contents(expected.begin(), expected.end()));
  }
  CHECK(growths <= (ahead ? 5 : commits));
  // Making the store was synced, too.
  CHECK(growths >= (ahead ? 1 : commits / 2));
  // Where the log begins anew there is room: nothing is written ahead.
  REQUIRE_OK(store.checkpoint(Checkpoint::restart));
  const auto before = size_of(path + "-wal");
  REQUIRE_OK(store.put("last", "value"));
  expected["last"] = "value";
  CHECK(size_of(path + "-wal") == before);
  CHECK(after_crash(path, dir.file("copy.db")) == Contents(expected.begin(), expected.end()));
}

TEST_CASE("a sync outside of a commit writes nothing behind it", "[W2]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path, {.sync = Sync::full, .wal_autocheckpoint = 0}));
  Store other = must(Store::open(path, {.sync = Sync::full, .wal_autocheckpoint = 0}));
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 10; ++i) {
    REQUIRE_OK(store.put(numbered(2 * i), "value"));
    REQUIRE_OK(other.put(numbered(2 * i + 1), "value"));
    expected[numbered(2 * i)] = expected[numbered(2 * i + 1)] = "value";
    // The end of what this handle has written is not the end of the log.
    REQUIRE_OK(store.sync());
    REQUIRE_OK(store.checkpoint());
    REQUIRE(after_crash(path, dir.file("copy.db")) == Contents(expected.begin(), expected.end()));
  }
}

// A small cache makes the engine write pages to the log before the commit, read them back, write them
// over, and go back behind them; another store commits in between, so that the log is not where this
// one has left it.
TEST_CASE("every commit is in the log as a whole when it returns", "[W1]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const auto seed = GENERATE(1u, 2u, 3u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const Options options{.sync = seed == 1 ? Sync::full : Sync::normal,
                        .page_size = 4096,
                        .cache_size = 40'000,
                        .wal_autocheckpoint = 60};
  Store store = must(Store::open(path, options));
  Store other = must(Store::open(path, options));
  std::map<std::string, std::string> expected;
  const auto put_some = [&](Transaction& transaction, std::map<std::string, std::string>& state,
                            std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string key = numbered(static_cast<int>(below(1500)));
      const std::string value = std::to_string(random()) + std::string(below(400), 'v');
      REQUIRE_OK(transaction.put(key, value));
      state[key] = value;
    }
  };
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    auto state = expected;
    Transaction transaction = must((below(4) == 0 ? other : store).begin());
    put_some(transaction, state, 1 + below(below(3) == 0 ? 300 : 4));
    if (below(3) == 0) {
      Savepoint savepoint = must(transaction.savepoint());
      auto undone = state;
      put_some(transaction, undone, 1 + below(200));
      REQUIRE_OK(savepoint.rollback());
      REQUIRE_OK(savepoint.release());
      put_some(transaction, state, below(20));
    }
    if (below(5) == 0) {
      REQUIRE_OK(transaction.rollback());
    } else {
      REQUIRE_OK(transaction.commit());
      expected = state;
    }
    if (size_of(path + "-wal") == 0) continue;
    const Contents found = after_crash(path, dir.file("copy.db"));
    REQUIRE(found == Contents(expected.begin(), expected.end()));
  }
}
