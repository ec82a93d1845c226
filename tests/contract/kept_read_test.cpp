// T13: a read transaction that is kept for the next read never shows anything old, and is not in the way
// of the log.
#include "fixture.hpp"

#include "core/store_state.hpp"

using namespace snkv;
using namespace snkv::contract;

namespace {

/// A connection that has read and kept its transaction.
Connection keeping(const File& file, int expected = 1) {
  Connection connection = file.open();
  const Lock lock(connection);
  std::uint32_t cookie = 0;
  must_rc(snkv_bt_begin_read(connection.get(), &cookie));
  CHECK(snkv_bt_keep_read(connection.get()) == expected);
  return connection;
}

int checkpoint(Connection& connection, int mode) {
  std::uint32_t frames = 0;
  std::uint32_t done = 0;
  const int rc = snkv_bt_checkpoint(connection.get(), mode, &frames, &done);
  return rc == ok && done < frames ? busy : rc;
}

constexpr int passively = 0;
constexpr int truncating = 3;

}  // namespace

TEST_CASE("a kept transaction shows what was committed since", "[T13]") {
  const File file;
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  Connection reader = keeping(file);
  for (int i = 0; i < 5; ++i) {
    if (i % 2 == 0) put_committed(writer, file.t, {{"a", std::to_string(i)}});
    if (i == 3) must_rc(checkpoint(writer, passively));
    Lock lock(reader);
    std::uint32_t cookie = 0;
    must_rc(snkv_bt_begin_read(reader.get(), &cookie));
    CHECK(rows(reader, file.t) == Contents{{"a", std::to_string(i - i % 2)}});
    CHECK(snkv_bt_keep_read(reader.get()) == 1);
  }
}

TEST_CASE("a kept transaction notices another schema", "[T13][S1]") {
  const File file;
  Connection writer = file.open();
  Connection reader = file.open();
  const Lock lock(reader);
  std::uint32_t before = 0;
  std::uint32_t same = 0;
  std::uint32_t after = 0;
  must_rc(snkv_bt_begin_read(reader.get(), &before));
  REQUIRE(snkv_bt_keep_read(reader.get()) == 1);
  must_rc(snkv_bt_begin_read(reader.get(), &same));
  CHECK(same == before);
  REQUIRE(snkv_bt_keep_read(reader.get()) == 1);
  run(writer, "CREATE TABLE another(x)");
  must_rc(snkv_bt_begin_read(reader.get(), &after));
  CHECK(after != before);
  snkv_bt_end_read(reader.get());
}

TEST_CASE("a transaction that is old already is not kept", "[T13]") {
  const File file;
  Connection writer = file.open();
  Connection reader = file.open();
  const Lock lock(reader);
  std::uint32_t cookie = 0;
  must_rc(snkv_bt_begin_read(reader.get(), &cookie));
  put_committed(writer, file.t, {{"a", "1"}});
  CHECK(snkv_bt_keep_read(reader.get()) == 0);
  CHECK(checkpoint(writer, truncating) == ok);
}

TEST_CASE("without a log nothing is kept", "[T13]") {
  const File file(Log::journal);
  const Connection reader = keeping(file, 0);
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
}

TEST_CASE("a connection that keeps a transaction can only go on reading", "[T13][T5]") {
  const File file;
  Connection reader = keeping(file);
  std::uint32_t cookie = 0;
  CHECK(snkv_bt_begin_write(reader.get(), &cookie) == misuse);
  CHECK(reader.execute("SELECT 1") == misuse);
  CHECK(checkpoint(reader, passively) == misuse);
  snkv_bt_release_read(reader.get());
  CHECK(reader.execute("SELECT 1") == ok);
  snkv_bt_release_read(reader.get());
}

TEST_CASE("a kept transaction is in the way of checkpoints until it is released", "[T13]") {
  const File file;
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  Connection reader = keeping(file);
  CHECK(checkpoint(writer, truncating) != ok);
  snkv_bt_release_read(reader.get());
  CHECK(checkpoint(writer, truncating) == ok);
}

TEST_CASE("a reader that goes on reading does not keep the log from starting anew", "[T13]") {
  const File file;
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  Connection reader = keeping(file);  // with the log
  REQUIRE(checkpoint(writer, passively) == ok);
  {
    const Lock lock(reader);
    std::uint32_t cookie = 0;
    must_rc(snkv_bt_begin_read(reader.get(), &cookie));
    CHECK(rows(reader, file.t) == Contents{{"a", "1"}});
    CHECK(snkv_bt_keep_read(reader.get()) == 1);
  }
  CHECK(checkpoint(writer, truncating) == ok);  // needs that no reader uses the log
  put_committed(writer, file.t, {{"a", "2"}});
  const Lock lock(reader);
  std::uint32_t cookie = 0;
  must_rc(snkv_bt_begin_read(reader.get(), &cookie));
  CHECK(rows(reader, file.t) == Contents{{"a", "2"}});
  snkv_bt_end_read(reader.get());
}

TEST_CASE("a connection that has read nothing copies the log all the same", "[T12]") {
  const int mode = GENERATE(passively, truncating);
  const File file;
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  Connection fresh = file.open();
  const Lock lock(fresh);
  std::uint32_t frames = 0;
  std::uint32_t done = 0;
  must_rc(snkv_bt_checkpoint(fresh.get(), mode, &frames, &done));
  CHECK(snkv_bt_wal_bytes(fresh.get()) == (mode == truncating ? 0 : snkv_bt_wal_bytes(writer.get())));
  if (mode == passively) {
    CHECK(frames > 0);
    CHECK(done == frames);
  }
}

TEST_CASE("the reads of a store are not in the way of its own checkpoints", "[T13]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db"), {.busy_timeout = std::chrono::milliseconds(0)}));
  for (int i = 0; i < 20; ++i) {
    must(store.put("k", std::to_string(i)));
    CHECK(must(store.get("k")).str() == std::to_string(i));
    must(store.checkpoint(i % 2 == 0 ? Checkpoint::truncate : Checkpoint::restart));
    CHECK(must(store.get("k")).str() == std::to_string(i));
  }
}

TEST_CASE("an idle reader lets the checkpoints of others pass after a moment", "[T13]") {
  const TempDir dir;
  Store idle = must(Store::open(dir.file("a.db")));
  Store other = must(Store::open(dir.file("a.db")));
  for (int i = 0; i < 3; ++i) {
    must(other.put("k", std::to_string(i)));
    CHECK(must(idle.get("k")).str() == std::to_string(i));
    // Waits for as long as the busy timeout, which is much more than a moment.
    must(other.checkpoint(Checkpoint::truncate));
  }
}

TEST_CASE("a store that keeps no reads is in nobody's way", "[T13]") {
  const TempDir dir;
  Store idle = must(Store::open(dir.file("a.db"), {.keep_reads = false}));
  Store other = must(Store::open(dir.file("a.db"), {.busy_timeout = std::chrono::milliseconds(0)}));
  must(other.put("k", "v"));
  CHECK(must(idle.get("k")).str() == "v");
  must(other.checkpoint(Checkpoint::truncate));
}
