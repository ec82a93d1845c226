// What a write buffer promises: reads of both, one instant, flushes, batches.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

/// Nothing is flushed but when the test says so.
const WriteBufferOptions quiet{.max_age = 0ms};

std::string listing(Range range) {
  std::string out;
  for (auto [key, value] : range) out += key.str() + "=" + value.str() + " ";
  REQUIRE_OK(range.status());
  return out;
}

struct World {
  TempDir folder;
  Store store = must(open_store(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
};

TEST_CASE("what is written is read through the buffer, and is in the store after a flush") {
  World w;
  REQUIRE_OK(w.buffer.put("a", "1"));
  CHECK(must(w.buffer.get("a")).view() == "1");
  REQUIRE_ERRC(w.store.get("a"), Errc::not_found);
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(w.store.get("a")).view() == "1");
  CHECK(must(w.buffer.get("a")).view() == "1");
  CHECK(must(w.buffer.stats()).flushes == 1);
  CHECK(must(w.buffer.stats()).versions == 0);
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(w.buffer.stats()).flushes == 1);  // there was nothing to do
}

TEST_CASE("a flush is one commit") {
  World w;
  for (int i = 0; i < 500; ++i) REQUIRE_OK(w.buffer.put(std::to_string(i), "v"));
  const std::uint64_t before = must(w.store.stats()).wal_commits;
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(w.store.stats()).wal_commits == before + 1);
  CHECK(must(w.store.count()) == 500);
}

TEST_CASE("entries of buffer and store are merged, in both directions") {
  World w;
  for (const char* key : {"a", "c", "e", "g"}) REQUIRE_OK(w.store.put(key, "store"));
  REQUIRE_OK(w.buffer.put("b", "new"));
  REQUIRE_OK(w.buffer.put("c", "over"));
  CHECK(must(w.buffer.erase("e")));
  CHECK_FALSE(must(w.buffer.erase("nothing")));
  CHECK(listing(w.buffer.all()) == "a=store b=new c=over g=store ");
  CHECK(listing(w.buffer.all().reversed()) == "g=store c=over b=new a=store ");
  CHECK(listing(w.buffer.range("b", "g")) == "b=new c=over ");
  CHECK(listing(w.buffer.prefix("c")) == "c=over ");
  CHECK(listing(w.buffer.all().keys_only()) == "a= b= c= g= ");
  CHECK(must(w.buffer.count()) == 4);
  CHECK(must(w.buffer.count_range("b", "z")) == 3);
  CHECK(must(w.buffer.first())->key.view() == "a");
  CHECK(must(w.buffer.last())->value.view() == "store");
  CHECK(must(w.buffer.first("c"))->value.view() == "over");
  CHECK_FALSE(must(w.buffer.last("e")).has_value());
  const auto values = must(w.buffer.multi_get({"a", "b", "e", "c"}));
  CHECK(values[0]->view() == "store");
  CHECK(values[1]->view() == "new");
  CHECK_FALSE(values[2].has_value());
  CHECK(values[3]->view() == "over");
  std::string seen;
  REQUIRE_OK(w.buffer.visit("c", [&](BytesView value) { seen = value.str(); }));
  CHECK(seen == "over");
  CHECK(must(w.buffer.get_pinned("b")).view() == "new");
  CHECK(must(w.store.get("e")).view() == "store");
  REQUIRE_OK(w.buffer.flush());
  CHECK(listing(w.store.all()) == "a=store b=new c=over g=store ");
}

TEST_CASE("erased ranges hide the store and older writes, not newer ones") {
  World w;
  for (int i = 0; i < 10; ++i) REQUIRE_OK(w.store.put("k" + std::to_string(i), "store"));
  REQUIRE_OK(w.buffer.put("k3x", "older"));
  CHECK(must(w.buffer.erase_range("k2", "k5")) == 4);
  REQUIRE_OK(w.buffer.put("k4", "newer"));
  CHECK(must(w.buffer.count()) == 8);
  CHECK(listing(w.buffer.range("k1", "k6")) == "k1=store k4=newer k5=store ");
  CHECK(listing(w.buffer.range("k1", "k6").reversed()) == "k5=store k4=newer k1=store ");
  REQUIRE_ERRC(w.buffer.get("k3"), Errc::not_found);
  CHECK(must(w.buffer.erase_prefix("k9")) == 1);
  REQUIRE_ERRC(w.buffer.erase_range("b", "a"), Errc::invalid_argument);
  REQUIRE_OK(w.buffer.flush());
  CHECK(listing(w.store.range("k1", "k6")) == "k1=store k4=newer k5=store ");
  REQUIRE_OK(w.buffer.clear());
  CHECK(listing(w.buffer.all()).empty());
  CHECK(must(w.buffer.count()) == 0);
  CHECK(must(w.store.count()) == 7);
  REQUIRE_OK(w.buffer.put("after", "clear"));
  REQUIRE_OK(w.buffer.flush());
  CHECK(listing(w.store.all()) == "after=clear ");
}

TEST_CASE("very many erased ranges begin a new table") {
  World w;
  for (int i = 0; i < 400; ++i) REQUIRE_OK(w.store.put(std::to_string(1000 + i), "v"));
  for (int i = 0; i < 400; i += 2) {
    CHECK(must(w.buffer.erase_range(std::to_string(1000 + i), std::to_string(1001 + i))) == 1);
  }
  CHECK(must(w.buffer.count()) == 200);
  CHECK(must(w.buffer.stats()).flushes + (must(w.buffer.stats()).flushing ? 1 : 0) >= 1);
}

TEST_CASE("an iterator sees one instant, whatever is written and flushed meanwhile") {
  World w;
  REQUIRE_OK(w.store.put("a", "store"));
  REQUIRE_OK(w.buffer.put("b", "buffer"));
  Iterator at = w.buffer.iterator();
  REQUIRE_OK(w.buffer.put("a", "later"));
  REQUIRE_OK(w.buffer.put("c", "later"));
  CHECK(must(w.buffer.erase("b")));
  REQUIRE_OK(w.buffer.flush());
  REQUIRE_OK(w.store.put("d", "later"));
  REQUIRE_OK(w.buffer.put("e", "later"));
  at.seek_first();
  REQUIRE(at.valid());
  CHECK(at.key() == "a");
  CHECK(at.value() == "store");
  at.next();
  CHECK(at.key() == "b");
  CHECK(at.value() == "buffer");
  at.next();
  CHECK_FALSE(at.valid());
  CHECK(listing(w.buffer.all()) == "a=later c=later d=later e=later ");
}

TEST_CASE("the buffer hides what others write under it, and its flush wins") {
  World w;
  REQUIRE_OK(w.buffer.put("k", "buffered"));
  REQUIRE_OK(w.store.put("k", "direct"));
  REQUIRE_OK(w.store.put("other", "direct"));
  CHECK(must(w.buffer.get("k")).view() == "buffered");
  CHECK(must(w.buffer.get("other")).view() == "direct");
  CHECK(must(w.store.get("k")).view() == "direct");
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(w.store.get("k")).view() == "buffered");
}

TEST_CASE("families go through one buffer, and are flushed together") {
  World w;
  auto second = must(w.store.create_column_family("second"));
  ColumnFamily through = w.buffer.family(second);
  REQUIRE_OK(through.put("k", "2"));
  REQUIRE_OK(w.buffer.put("k", "1"));
  CHECK(through.name() == "second");
  CHECK(must(through.get("k")).view() == "2");
  CHECK(must(w.buffer.get("k")).view() == "1");
  REQUIRE_ERRC(second.get("k"), Errc::not_found);
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(second.get("k")).view() == "2");
  CHECK(must(w.store.get("k")).view() == "1");
}

TEST_CASE("a batch is seen and flushed as a whole, in its order") {
  World w;
  must(w.store.create_column_family("second"));
  REQUIRE_OK(w.store.put("old", "store"));
  WriteBatch batch;
  batch.put("a", "1").erase("a").put("a", "2").erase("old");
  batch.in_family("second").put("x", "3").in_family("").put("b", "4");
  REQUIRE_OK(w.buffer.write(batch));
  CHECK(listing(w.buffer.all()) == "a=2 b=4 ");
  CHECK(listing(w.buffer.family(must(w.store.open_column_family("second"))).all()) == "x=3 ");
  WriteBatch wrong;
  wrong.put("c", "5").in_family("nowhere").put("d", "6");
  REQUIRE_ERROR(w.buffer.write(wrong), Errc::not_found, "write");
  WriteBatch empty_key;
  empty_key.put("c", "5").put("", "6");
  REQUIRE_ERROR(w.buffer.write(empty_key), Errc::invalid_argument, "write");
  REQUIRE_ERROR(w.buffer.write(WriteBatch(BytesView("nonsense"))), Errc::invalid_argument, "write");
  CHECK(listing(w.buffer.all()) == "a=2 b=4 ");
  REQUIRE_OK(w.buffer.write(WriteBatch()));
  REQUIRE_OK(w.buffer.flush());
  CHECK(listing(w.store.all()) == "a=2 b=4 ");
}

TEST_CASE("atomic operations work on what the buffer and the store have together") {
  World w;
  REQUIRE_OK(w.store.put("n", "41"));
  CHECK(must(w.buffer.increment("n")) == 42);
  CHECK(must(w.buffer.fetch_add("n", 2)) == 42);
  CHECK_FALSE(must(w.buffer.put_if_absent("n", "x")));
  CHECK(must(w.buffer.put_if_absent("new", "x")));
  CHECK(must(w.buffer.compare_and_swap("n", "44", "50")));
  CHECK_FALSE(must(w.buffer.compare_and_swap("n", "44", "51")));
  CHECK(must(w.buffer.compare_and_swap("absent", {}, "now there")));
  CHECK(must(w.buffer.get_and_put("n", "60"))->view() == "50");
  CHECK(must(w.buffer.get_and_erase("new"))->view() == "x");
  REQUIRE_OK(
      w.buffer.merge("n", [](std::optional<BytesView> before) -> Result<std::optional<Bytes>> {
        return std::optional<Bytes>(Bytes(BytesView(before->str() + "!")));
      }));
  REQUIRE_ERRC(w.buffer.increment("n"), Errc::invalid_argument);
  CHECK(must(w.store.get("n")).view() == "41");
  REQUIRE_OK(w.buffer.flush());
  CHECK(must(w.store.get("n")).view() == "60!");
  REQUIRE_ERRC(w.store.get("new"), Errc::not_found);
}

TEST_CASE("entries expire in the buffer as in the store") {
  TempDir folder;
  FakeClock clock;
  Store store = must(open_store(folder.file("db"), {.clock = clock.source()}));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(store.put("under", "store"));
  REQUIRE_OK(buffer.put("under", "short", {.ttl = 10ms}));
  REQUIRE_OK(buffer.put("long", "v", {.ttl = 1h}));
  CHECK(must(buffer.ttl("under")) == 10ms);
  CHECK_FALSE(must(store.ttl("under")).has_value());
  clock.advance(10ms);
  REQUIRE_ERRC(buffer.get("under"), Errc::not_found);
  CHECK_FALSE(must(buffer.contains("under")));
  CHECK(listing(buffer.all()) == "long=v ");
  CHECK(must(buffer.count_live()) == 1);
  REQUIRE_OK(buffer.persist("long"));
  CHECK_FALSE(must(buffer.ttl("long")).has_value());
  REQUIRE_OK(buffer.expire("long", 5ms));
  REQUIRE_ERRC(buffer.expire("nothing", 5ms), Errc::not_found);
  REQUIRE_ERRC(buffer.put("k", "v", {.ttl = 0ms}), Errc::invalid_argument);
  CHECK(must(buffer.put_if_absent("under", "again")));
  REQUIRE_OK(buffer.flush());
  CHECK(must(store.get("under")).view() == "again");
  CHECK(must(store.ttl("long")) == 5ms);
  clock.advance(5ms);
  REQUIRE_ERRC(buffer.get("long"), Errc::not_found);
  CHECK(must(buffer.put_if_absent("long", "anew")));
}

TEST_CASE("a full table is flushed while a second one takes the writes") {
  TempDir folder;
  Store store = must(open_store(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, {.flush_bytes = 20'000, .max_age = 0ms}));
  const std::string value(100, 'v');
  std::size_t most = 0;
  for (int i = 0; i < 5000; ++i) {
    REQUIRE_OK(buffer.put(std::to_string(i * 7919 % 5000), value));
    most = std::max(most, must(buffer.stats()).memory);
  }
  CHECK(most <= 2 * 20'000);
  CHECK(must(buffer.stats()).flushes > 10);
  CHECK(must(buffer.count()) == 5000);
  REQUIRE_OK(buffer.close());
  CHECK(must(store.count()) == 5000);
}

TEST_CASE("age is a reason to flush") {
  TempDir folder;
  Store store = must(open_store(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, {.max_age = 20ms}));
  REQUIRE_OK(buffer.put("k", "v"));
  for (int i = 0; i < 5000 && !must(store.contains("k")); ++i) std::this_thread::sleep_for(2ms);
  CHECK(must(store.contains("k")));
  for (int i = 0; i < 5000 && must(buffer.stats()).flushes == 0; ++i)
    std::this_thread::sleep_for(2ms);
  REQUIRE_OK(buffer.put("l", "v"));
  for (int i = 0; i < 5000 && !must(store.contains("l")); ++i) std::this_thread::sleep_for(2ms);
  CHECK(must(store.contains("l")));
}

TEST_CASE("what is larger than a table is written through, behind what came before") {
  TempDir folder;
  Store store = must(open_store(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, {.flush_bytes = 10'000, .max_age = 0ms}));
  const std::string large(50'000, 'x');
  REQUIRE_OK(buffer.put("k", "small"));
  REQUIRE_OK(buffer.put("k", large));
  CHECK(must(store.get("k")).view() == large);
  CHECK(must(buffer.get("k")).view() == large);
  REQUIRE_OK(buffer.put("k", "small again"));
  CHECK(must(buffer.get("k")).view() == "small again");
  WriteBatch batch;
  for (int i = 0; i < 1000; ++i) batch.put(std::to_string(i), std::string(100, 'b'));
  REQUIRE_OK(buffer.write(batch));
  CHECK(must(store.count()) == 1001);
  CHECK(must(store.get("k")).view() == "small again");
  CHECK(must(buffer.get_and_put("k", large))->view() == "small again");
  CHECK(must(store.get("k")).view() == large);
}

TEST_CASE("the last handle flushes, and families keep the buffer open") {
  TempDir folder;
  Store store = must(open_store(folder.file("db")));
  ColumnFamily through;
  {
    WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
    WriteBuffer copy = buffer;
    through = copy.family(store.default_column_family());
    REQUIRE_OK(buffer.put("k", "v"));
  }
  CHECK_FALSE(must(store.contains("k")));
  REQUIRE_ERROR(store.close(), Errc::busy, "close");
  REQUIRE_OK(through.put("l", "v"));
  through = ColumnFamily();
  CHECK(must(store.count()) == 2);
  REQUIRE_OK(store.close());
}

TEST_CASE("watches tell of writes when they are flushed") {
  World w;
  std::vector<std::string> told;
  const Watch watch =
      must(w.buffer.watch("", [&](const Change& change) { told.push_back(change.key.str()); }));
  REQUIRE_OK(w.buffer.put("k", "v"));
  CHECK(told.empty());
  REQUIRE_OK(w.buffer.flush());
  CHECK(told == std::vector<std::string>{"k"});
}

TEST_CASE("a store in memory has buffers too") {
  Store store = must(Store::open_in_memory());
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.close());
  CHECK(must(store.get("k")).view() == "v");
}

TEST_CASE("a store with a rollback journal has buffers too") {
  TempDir folder;
  Store store = must(open_store(folder.file("db"), {.journal = snkv::Journal::rollback}));
  WriteBuffer buffer = must(WriteBuffer::open(store, {.max_age = 0ms, .journal = true}));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.flush());
  CHECK(must(store.get("k")).view() == "v");
}

}  // namespace
