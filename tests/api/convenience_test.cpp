// Shorter ways to say what can be said otherwise: the ends of a range, queues, integers, sessions,
// waiting for changes, transactions without a result, results as exceptions or early returns, and
// bytes as a regular type.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <atomic>
#include <chrono>
#include <compare>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// "key=value", or "-".
std::string shown(const std::optional<OwnedEntry>& entry) {
  return entry ? entry->key.str() + "=" + entry->value.str() : "-";
}

}  // namespace

TEST_CASE("first and last of a prefix") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  CHECK(shown(must(store.first())) == "-");
  CHECK(shown(must(store.last())) == "-");
  for (const char* key : {"a", "b1", "b2", "b3", "c"}) REQUIRE_OK(store.put(key, key));
  CHECK(shown(must(store.first())) == "a=a");
  CHECK(shown(must(store.last())) == "c=c");
  CHECK(shown(must(store.first("b"))) == "b1=b1");
  CHECK(shown(must(store.last("b"))) == "b3=b3");
  CHECK(shown(must(store.last("bb"))) == "-");
  REQUIRE_OK(store.put(std::string("b\xff\xff"), "end"));
  CHECK(must(store.last("b"))->value == "end");
  REQUIRE_OK(store.put("b0", "gone soon", {.ttl = 1s}));
  CHECK(must(store.first("b"))->key == "b0");
  clock.advance(1s);
  CHECK(must(store.first("b"))->key == "b1");
  if (kind == StoreKind::rollback) return;  // whose writers wait for snapshots
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.clear());
  CHECK(shown(must(snapshot.first("b"))) == "b1=b1");
  CHECK(shown(must(store.first("b"))) == "-");
}

TEST_CASE("pop takes entries out in order, once each") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool buffered = GENERATE(false, true);
  const bool in_transaction = GENERATE(false, true);
  if (buffered && in_transaction) return;
  CAPTURE(kind, buffered, in_transaction);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  const std::string large(100'000, 'x');
  REQUIRE_OK(store.put("q1", "one"));
  REQUIRE_OK(store.put("q2", large));
  REQUIRE_OK(store.put("q3", "three"));
  REQUIRE_OK(store.put("q4", "four"));
  REQUIRE_OK(store.put("q0", "gone", {.ttl = 1s}));
  REQUIRE_OK(store.put("q5", "gone too", {.ttl = 1s}));
  REQUIRE_OK(store.put("a", "other"));
  REQUIRE_OK(store.put("r", "other"));
  clock.advance(1s);
  const auto check = [](EntryWriter& queue, const std::string& of_two) {
    CHECK(shown(must(queue.pop_first("q"))) == "q1=one");
    CHECK(shown(must(queue.pop_last("q"))) == "q4=four");
    CHECK(shown(must(queue.pop_first("q"))) == "q2=" + of_two);
    CHECK(shown(must(queue.pop_last("q"))) == "q3=three");
    CHECK(shown(must(queue.pop_first("q"))) == "-");
    CHECK(shown(must(queue.pop_last("q"))) == "-");
  };
  if (buffered) {
    WriteBuffer buffer = must(WriteBuffer::open(store));
    REQUIRE_OK(buffer.put("q3", "three"));
    check(buffer, large);
    REQUIRE_OK(buffer.close());
  } else if (in_transaction) {
    Transaction transaction = must(store.begin());
    check(transaction, large);
    CHECK(must(store.contains("q1")));
    REQUIRE_OK(transaction.commit());
  } else {
    check(store, large);
  }
  CHECK(shown(must(store.pop_first())) == "a=other");
  CHECK(shown(must(store.pop_last())) == "r=other");
  CHECK(shown(must(store.pop_last())) == "-");
  REQUIRE_OK(store.verify());
}

TEST_CASE("pop where nothing can be written") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {});
  REQUIRE_OK(store.put("a", "1"));
  const Snapshot snapshot = must(store.snapshot());
  ColumnFamily family = must(snapshot.column_family("default"));
  REQUIRE_ERROR(family.pop_first(), Errc::read_only, "pop_first");
  REQUIRE_ERROR(family.pop_last(), Errc::read_only, "pop_last");
  ColumnFamily nowhere;
  REQUIRE_ERROR(nowhere.pop_first(), Errc::closed, "pop_first");
  CHECK(must(store.contains("a")));
}

TEST_CASE("threads that pop get different entries") {
  const bool buffered = GENERATE(false, true);
  CAPTURE(buffered);
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.sync = Sync::off});
  constexpr int entries = 400;
  WriteBatch batch;
  for (int i = 0; i < entries; ++i) batch.put("job" + std::to_string(1000 + i), std::to_string(i));
  REQUIRE_OK(store.write(batch));
  std::optional<WriteBuffer> buffer;
  if (buffered) buffer = must(WriteBuffer::open(store));
  std::mutex mutex;
  std::multiset<std::string> popped;
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, mine = store, over = buffer]() mutable {
      for (;;) {
        auto entry = over ? over->pop_first("job") : mine.pop_first("job");
        if (!entry) {
          failures.fetch_add(1);
          return;
        }
        if (!*entry) return;
        const std::lock_guard lock(mutex);
        popped.insert((*entry)->value.str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures.load() == 0);
  CHECK(popped.size() == entries);
  CHECK(std::set<std::string>(popped.begin(), popped.end()).size() == entries);
  buffer.reset();
  CHECK(must(store.count()) == 0);
}

TEST_CASE("get_int reads what increment keeps") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {});
  CHECK(must(store.increment("n", 41)) == 41);
  CHECK(must(store.get_int("n")) == 41);
  REQUIRE_OK(store.put("n", "-9223372036854775808"));
  CHECK(must(store.get_int("n")) == std::numeric_limits<std::int64_t>::min());
  REQUIRE_ERROR(store.get_int("absent"), Errc::not_found, "get_int");
  for (const char* text : {"", "x", "007", "-0", "1 ", "9223372036854775808"}) {
    REQUIRE_OK(store.put("text", text));
    REQUIRE_ERROR(store.get_int("text"), Errc::invalid_argument, "get_int");
  }
  WriteBuffer buffer = must(WriteBuffer::open(store));
  CHECK(must(buffer.increment("m", 7)) == 7);
  CHECK(must(buffer.get_int("m")) == 7);
  REQUIRE_ERROR(store.get_int("m"), Errc::not_found, "get_int");
}

TEST_CASE("get_and_expire keeps a session alive") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const bool buffered = GENERATE(false, true);
  const std::size_t size = GENERATE(3u, 50'000u);
  CAPTURE(kind, buffered, size);
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  const Bytes value = Bytes(BytesView(patterned(size)));
  REQUIRE_OK(store.put("s", value, {.ttl = 10s}));
  std::optional<WriteBuffer> buffer;
  if (buffered) buffer = must(WriteBuffer::open(store));
  EntryWriter& entries = buffered ? static_cast<EntryWriter&>(*buffer) : store;
  for (int i = 0; i < 5; ++i) {
    clock.advance(9s);
    CHECK(must(entries.get_and_expire("s", 10s)) == value);
    CHECK(must(entries.ttl("s")) == 10s);
  }
  clock.advance(10s);
  REQUIRE_ERROR(entries.get_and_expire("s", 10s), Errc::not_found, "get_and_expire");
  REQUIRE_OK(entries.put("forever", "1"));
  CHECK(must(entries.get_and_expire("forever", 1s)) == "1");
  CHECK(must(entries.ttl("forever")) == 1s);
  REQUIRE_ERROR(entries.get_and_expire("forever", 0s), Errc::invalid_argument, "get_and_expire");
  REQUIRE_ERROR(entries.get_and_expire("", 1s), Errc::invalid_argument, "get_and_expire");
  CHECK(must(entries.get("forever")) == "1");
}

TEST_CASE("wait_for_change sees commits of this handle, of others and of other processes") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::rollback);
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {});
  REQUIRE_OK(store.put("a", "1"));
  std::uint64_t seen = must(store.wait_for_change(0, 0ms));
  CHECK(seen > 0);
  CHECK(must(store.wait_for_change(seen, 0ms)) == seen);
  CHECK(must(store.wait_for_change(seen, 20ms)) == seen);

  REQUIRE_OK(store.put("a", "2"));
  std::uint64_t next = must(store.wait_for_change(seen, 10s));
  CHECK(next > seen);
  CHECK(must(store.wait_for_change(next, 0ms)) == next);

  Store other = open_kind(kind, dir, {});
  REQUIRE_OK(other.put("a", "3"));
  seen = must(store.wait_for_change(next, 10s));
  CHECK(seen > next);

  CHECK(in_child([&] {
          Store own = open_kind(kind, dir, {});
          const auto put = own.put("a", "4");
          return put ? std::string() : put.error().message();
        }) == "");
  next = must(store.wait_for_change(seen, 10s));
  CHECK(next > seen);

  // Reading is no change, nor is a transaction that is rolled back.
  CHECK(must(other.get("a")) == "4");
  {
    Transaction transaction = must(other.begin());
    REQUIRE_OK(transaction.put("a", "5"));
    REQUIRE_OK(transaction.rollback());
  }
  CHECK(must(store.wait_for_change(next, 30ms)) == next);

  // One that waits while it happens.
  std::thread writing([&] { static_cast<void>(other.put("a", "6")); });
  CHECK(must(store.wait_for_change(next, 10s)) > next);
  writing.join();
}

TEST_CASE("wait_for_change on a store in memory, and where it cannot wait") {
  Store store = must(Store::open_in_memory());
  const std::uint64_t seen = must(store.wait_for_change(0, 0ms));
  CHECK(must(store.wait_for_change(seen, 0ms)) == seen);
  REQUIRE_OK(store.put("a", "1"));
  CHECK(must(store.wait_for_change(seen, 10s)) > seen);
  REQUIRE_ERROR(store.wait_for_change(0, -1ms), Errc::invalid_argument, "wait_for_change");
  REQUIRE_OK(store.close());
  REQUIRE_ERROR(store.wait_for_change(0, 10s), Errc::closed, "wait_for_change");
}

TEST_CASE("closing a store ends those who wait for changes of it") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {});
  const std::uint64_t seen = must(store.wait_for_change(0, 0ms));
  std::optional<Errc> told;
  std::thread waiting([&] {
    auto next = store.wait_for_change(seen, 1h);
    told = next ? Errc::ok : next.error().code();
  });
  REQUIRE_OK(store.close());
  waiting.join();
  CHECK(told == Errc::closed);
}

TEST_CASE("a transaction whose body returns nothing, and families by brackets") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {});
  ColumnFamily users = must(store.column_family("users"));
  REQUIRE_OK(store.transact([&](Transaction& transaction) {
    must(transaction.put("a", "1"));
    must(transaction[users].put("u", "2"));
  }));
  CHECK(must(store.get("a")) == "1");
  CHECK(must(users.get("u")) == "2");
  const Result<int> sum = store.transact([&](Transaction&) -> Result<int> { return 3; });
  CHECK(must(sum) == 3);
  const Store elsewhere = must(Store::open_in_memory());
  REQUIRE_OK(store.transact([&](Transaction& transaction) {
    REQUIRE_ERROR(transaction[elsewhere.default_column_family()].get("a"), Errc::closed, "get");
  }));
}

TEST_CASE("a result as an exception") {
  const TempDir dir;
  Store store = value_or_throw(Store::open(dir.file("a.db")));
  value_or_throw(store.put("a", "1"));
  CHECK(value_or_throw(store.get("a")) == "1");
  const auto result = store.get("a");
  CHECK(value_or_throw(result) == "1");
  try {
    static_cast<void>(value_or_throw(store.get("absent")));
    FAIL("no exception");
  } catch (const Exception& exception) {
    CHECK(exception.code() == Errc::not_found);
    CHECK(exception.error() == Errc::not_found);
    CHECK(std::string(exception.what()) == "get: not found: 'absent'");
    CHECK(exception.message() == exception.what());
  }
  CHECK_THROWS_AS(value_or_throw(Store::open(dir.file("no/such/folder/a.db"))), std::exception);
}

namespace {

Result<std::size_t> size_of_both(const Store& store, BytesView first, BytesView second) {
  SNKV_TRY(const Bytes one, store.get(first));
  SNKV_TRY(auto two, store.get(second));
  return one.size() + two.size();
}

Result<void> copy(Store& store, BytesView from, BytesView to) {
  Bytes value;
  SNKV_TRY(value, store.get(from));
  SNKV_TRY_VOID(store.put(to, value));
  return {};
}

}  // namespace

TEST_CASE("a result as an early return") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("a", "12"));
  REQUIRE_ERROR(size_of_both(store, "a", "b"), Errc::not_found, "get");
  REQUIRE_ERROR(copy(store, "b", "a"), Errc::not_found, "get");
  REQUIRE_ERROR(copy(store, "a", ""), Errc::invalid_argument, "put");
  REQUIRE_OK(copy(store, "a", "b"));
  CHECK(must(size_of_both(store, "a", "b")) == 4);
}

TEST_CASE("bytes are a regular type") {
  const Bytes abc(BytesView("abc"));
  const BytesView view = abc;
  CHECK(view[1] == std::byte{'b'});
  CHECK(abc[2] == std::byte{'c'});
  CHECK(std::string_view(view) == "abc");
  CHECK(std::string_view(abc) == "abc");
  CHECK(std::is_lt(abc <=> Bytes(BytesView("abd"))));
  CHECK(std::is_gt(abc <=> BytesView("ab")));
  CHECK(abc < Bytes(BytesView("b")));
  CHECK(std::set<Bytes>{abc, Bytes(BytesView("\xff")), Bytes()}.begin()->empty());
  CHECK(std::unordered_set<Bytes>{abc, abc}.size() == 1);
  CHECK(std::unordered_map<BytesView, int>{{"abc", 3}}.at(view) == 3);
  CHECK(std::hash<Bytes>()(abc) == std::hash<BytesView>()(view));
  std::size_t sum = 0;
  for (const std::byte byte : view) sum += static_cast<std::size_t>(byte);
  CHECK(sum == 'a' + 'b' + 'c');
  std::ostringstream out;
  out << view << abc;
  CHECK(out.str() == "abcabc");

  Bytes grown;
  for (int i = 0; i < 1000; ++i) grown.append("xy");
  CHECK(grown.size() == 2000);
  grown.append(grown);
  CHECK(grown == BytesView(std::string([] {
          std::string expected;
          for (int i = 0; i < 2000; ++i) expected += "xy";
          return expected;
        }())));
  grown.clear();
  CHECK(grown.empty());
}
