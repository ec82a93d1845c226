// T1 to T7, T12 to T14: beginning transactions, SQL beside them, savepoints.
#include "fixture.hpp"

#include <chrono>

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("a cursor needs a transaction", "[T1]") {
  const File file;
  Connection connection = file.open();
  const Lock lock(connection);
  btree::Cursor cursor;
  CHECK(cursor.open(connection.get(), file.t, SNKV_BT_ROWS, false) == misuse);
  { const Reading reading(connection); }
  CHECK(cursor.open(connection.get(), file.t, SNKV_BT_ROWS, false) == misuse);
  { const Writing writing(connection); }
  CHECK(cursor.open(connection.get(), file.t, SNKV_BT_ROWS, true) == misuse);
  const Reading reading(connection);
  CHECK(cursor.open(connection.get(), file.t, SNKV_BT_ROWS, false) == ok);
}

TEST_CASE("a cursor whose transaction has ended does nothing", "[T1]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  const Lock lock(connection);
  btree::Cursor cursor;
  {
    const Writing writing(connection);
    cursor = cursor_on(connection, file.t, true);
    REQUIRE(seek(cursor, "a") == 0);
  }
  int order = 0;
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  std::uint64_t entries = 0;
  char byte = 0;
  snkv_bt_cursor* c = cursor.get();
  CHECK(snkv_bt_valid(c) == 0);
  CHECK(snkv_bt_seek(c, "a", 1, &order) == moved);
  CHECK(snkv_bt_seek_expiry(c, 1, "a", 1, &order) == moved);
  CHECK(snkv_bt_seek_rowid(c, 1, &order) == moved);
  for (auto* function : {snkv_bt_first, snkv_bt_last, snkv_bt_next, snkv_bt_prev}) {
    CHECK(move_rc(cursor, function) == moved);
  }
  CHECK(snkv_bt_payload(c, &data, &local, &size) == moved);
  CHECK(snkv_bt_read(c, 0, 1, &byte) == moved);
  CHECK(insert(cursor, "a", "2") == moved);
  CHECK(snkv_bt_insert_rowid(c, 1, "", 0) == moved);
  CHECK(snkv_bt_delete(c) == moved);
  CHECK(snkv_bt_count(c, &entries) == moved);
}

TEST_CASE("a begin that failed leaves no transaction behind", "[T2]") {
  const File file(GENERATE(Log::wal, Log::journal));
  Connection holder = file.open();
  Connection connection = file.open();
  {
    const Writing writing(holder);
    const Lock lock(connection);
    std::uint32_t cookie = 0;
    CHECK(snkv_bt_begin_write(connection.get(), &cookie) == busy);
    CHECK(snkv_bt_in_write(connection.get()) == 0);
    // Not read-only transaction either: one can begin.
    const Reading reading(connection);
    CHECK(rows(connection, file.t).empty());
  }
  put_committed(connection, file.t, {{"a", "1"}});
  file.require_sound();
}

TEST_CASE("a read transaction cannot become a write transaction", "[T3]") {
  const File file;
  Connection connection = file.open();
  Connection other = file.open();
  put_committed(other, file.t, {{"a", "1"}});
  const Lock lock(connection);
  std::uint32_t cookie = 0;
  {
    const Reading reading(connection);
    put_committed(other, file.t, {{"a", "2"}});
    CHECK(snkv_bt_begin_write(connection.get(), &cookie) == misuse);
    std::uint32_t ignored = 0;
    CHECK(snkv_bt_begin_read(connection.get(), &ignored) == misuse);
    CHECK(rows(connection, file.t) == Contents{{"a", "1"}});
  }
  const Writing writing(connection);
  CHECK(snkv_bt_begin_read(connection.get(), &cookie) == misuse);
  CHECK(rows(connection, file.t) == Contents{{"a", "2"}});
}

TEST_CASE("a snapshot of the same thread does not make its writes fail", "[T3]") {
  const TempDir dir;
  Store a = must(Store::open(dir.file("a.db")));
  Store b = must(Store::open(dir.file("a.db")));
  must(a.put("k", "old"));
  const Snapshot snapshot = must(a.snapshot());
  must(b.put("k", "new"));
  must(a.put("l", "of a"));
  CHECK(contents_of(snapshot) == Contents{{"k", "old"}});
  CHECK(contents_of(a) == Contents{{"k", "new"}, {"l", "of a"}});
}

TEST_CASE("the busy timeout holds for every attempt, not for the first only", "[T4]") {
  // That an attempt waits can be seen from outside only by the clock. A lower bound is safe: no
  // load makes a sleep shorter.
  using Clock = std::chrono::steady_clock;
  constexpr int timeout_ms = 40;
  const File file(Log::journal);
  Connection holder = file.open();
  Connection connection = file.open(timeout_ms);
  run(holder, "BEGIN EXCLUSIVE");
  const Lock lock(connection);
  const bool for_writing = GENERATE(false, true);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CAPTURE(for_writing, attempt);
    std::uint32_t cookie = 0;
    const Clock::time_point start = Clock::now();
    const int rc = for_writing ? snkv_bt_begin_write(connection.get(), &cookie)
                               : snkv_bt_begin_read(connection.get(), &cookie);
    CHECK((rc & 0xff) == busy);
    CHECK(Clock::now() - start >= std::chrono::milliseconds(timeout_ms - 1));
  }
  run(holder, "COMMIT");
  const Reading reading(connection);
}

TEST_CASE("SQL is refused while a raw read transaction is open", "[T5]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  Statement early;
  must_rc(early.prepare(connection, "SELECT count(*) FROM t"));
  {
    const Reading reading(connection);
    Statement late;
    CHECK(late.prepare(connection, "SELECT count(*) FROM t") == misuse);
    CHECK(early.step() == misuse);
    CHECK(rows(connection, file.t).size() == 1);
  }
  CHECK(early.step() == SNKV_BT_ROW);
}

TEST_CASE("SQL inside a write transaction does not end it", "[T5]") {
  const File file;
  Connection connection = file.open();
  const std::string sql = GENERATE("SELECT count(*) FROM t", "CREATE TABLE other(x)",
                                   "INSERT INTO t(key, value) VALUES('text', NULL)");
  CAPTURE(sql);
  {
    const Writing writing(connection);
    btree::Cursor cursor = cursor_on(connection, file.t, true);
    must_rc(put(cursor, "a", "1"));
    cursor.close();
    // The last of them fails; by itself that would roll back.
    static_cast<void>(connection.execute(sql));
    CHECK(snkv_bt_in_write(connection.get()) != 0);
    CHECK(number(connection, "SELECT count(*) FROM t") == 1);
  }
  const Reading reading(connection);
  CHECK(rows(connection, file.t).empty());
}

TEST_CASE("a family made in a transaction goes away with it", "[T5]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  {
    Transaction transaction = must(store.begin());
    must(transaction.put("before", "1"));
    ColumnFamily family = must(transaction.create_column_family("made"));
    must(family.put("k", "v"));
    must(transaction.put("after", "2"));
    must(transaction.rollback());
  }
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default"});
  CHECK(contents_of(store).empty());
  must(store.integrity_check());
}

TEST_CASE("commits tell the length of the log", "[T6]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  const Lock lock(connection);
  const std::uint32_t frames = snkv_bt_take_wal_frames(connection.get());
  CHECK(frames > 0);
  CHECK(snkv_bt_take_wal_frames(connection.get()) == 0);
  put_committed(connection, file.t, {{"b", "2"}});
  CHECK(snkv_bt_take_wal_frames(connection.get()) > frames);
}

TEST_CASE("automatic checkpoints run, and keep the log short", "[T6]") {
  const bool beside = GENERATE(false, true);
  CAPTURE(beside);
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db"), {.page_size = 4096,
                                                    .wal_autocheckpoint = 20,
                                                    .background_checkpoints = beside}));
  for (int i = 0; i < 500; ++i) must(store.put("k" + std::to_string(i % 10), std::to_string(i)));
  const Stats stats = must(store.stats());
  CHECK(stats.checkpoints >= (beside ? 5u : 10u));
  CHECK(stats.wal_bytes < 100 * 4096);
  CHECK(size_of(dir.file("a.db")) > 4096);
}

TEST_CASE("after a rolled back schema change the engine forgets it", "[T7]") {
  const File file;
  Connection connection = file.open();
  {
    const Writing writing(connection);
    run(connection, "CREATE TABLE phantom(x)");
    run(connection, "DROP TABLE u");
    REQUIRE(number(connection, "SELECT count(*) FROM phantom") == 0);
  }
  CHECK(connection.execute("SELECT * FROM phantom") == SNKV_BT_ERROR);
  CHECK(number(connection, "SELECT count(*) FROM u") == 0);
  run(connection, "CREATE TABLE phantom(x)");
  file.require_sound();
}

TEST_CASE("checkpoints run outside transactions only", "[T12]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  const Lock lock(connection);
  std::uint32_t frames = 0;
  std::uint32_t done = 0;
  {
    const Reading reading(connection);
    CHECK(snkv_bt_checkpoint(connection.get(), 0, &frames, &done) == misuse);
  }
  {
    const Writing writing(connection);
    CHECK(snkv_bt_checkpoint(connection.get(), 0, &frames, &done) == SNKV_BT_LOCKED);
    CHECK(snkv_bt_in_write(connection.get()) != 0);
  }
  CHECK(snkv_bt_checkpoint(connection.get(), 0, &frames, &done) == ok);
  CHECK(frames > 0);
  CHECK(done == frames);

  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  Transaction transaction = must(store.begin());
  REQUIRE_ERROR(store.checkpoint(), Errc::locked, "checkpoint");
}

TEST_CASE("a read transaction is a stable view, and the next one is a new one", "[T13]") {
  const File file;
  Connection reader = file.open();
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "1"}});
  {
    const Reading reading(reader);
    CHECK(rows(reader, file.t) == Contents{{"a", "1"}});
    put_committed(writer, file.t, {{"a", "2"}, {"b", "3"}});
    CHECK(rows(reader, file.t) == Contents{{"a", "1"}});
  }
  const Reading reading(reader);
  CHECK(rows(reader, file.t) == Contents{{"a", "2"}, {"b", "3"}});
}

TEST_CASE("a get sees the latest commit of every other handle", "[T13]") {
  const TempDir dir;
  Store a = must(Store::open(dir.file("a.db")));
  Store b = must(Store::open(dir.file("a.db")));
  for (int i = 0; i < 50; ++i) {
    Store& writer = i % 2 == 0 ? a : b;
    must(writer.put("k", std::to_string(i)));
    REQUIRE(must(a.get("k")) == BytesView(std::to_string(i)));
    REQUIRE(must(b.get("k")) == BytesView(std::to_string(i)));
  }
}

TEST_CASE("rolling back to a savepoint undoes raw writes after it and no others", "[T14]") {
  const File file(GENERATE(Log::wal, Log::journal));
  Connection connection = file.open();
  {
    Writing writing(connection);
    const auto add = [&](const char* key) {
      btree::Cursor cursor = cursor_on(connection, file.t, true);
      must_rc(put(cursor, key, "1"));
    };
    snkv_bt* bt = connection.get();
    add("before");
    must_rc(snkv_bt_savepoint(bt, 0));
    add("outer");
    must_rc(snkv_bt_savepoint(bt, 1));
    add("inner");
    must_rc(snkv_bt_savepoint_rollback(bt, 1));
    CHECK(rows(connection, file.t) == Contents{{"before", "1"}, {"outer", "1"}});
    add("again");
    must_rc(snkv_bt_savepoint_release(bt, 1));
    CHECK(rows(connection, file.t).size() == 3);
    must_rc(snkv_bt_savepoint_rollback(bt, 0));
    CHECK(rows(connection, file.t) == Contents{{"before", "1"}});
    add("last");
    must_rc(snkv_bt_savepoint_rollback(bt, 0));
    add("kept");
    must_rc(snkv_bt_savepoint_release(bt, 0));
    must_rc(writing.transaction.commit());
  }
  {
    const Reading reading(connection);
    CHECK(rows(connection, file.t) == Contents{{"before", "1"}, {"kept", "1"}});
  }
  file.require_sound();
}

TEST_CASE("without a log there is nothing to copy, whoever writes", "[T12]") {
  const TempDir dir;
  const Options options{.journal = Journal::rollback, .busy_timeout = std::chrono::milliseconds(0)};
  Store store = must(Store::open(dir.file("a.db"), options));
  Store other = must(Store::open(dir.file("a.db"), options));
  must(store.put("a", "1"));
  Transaction transaction = must(other.begin());
  must(transaction.put("a", "2"));
  for (const auto mode : {Checkpoint::passive, Checkpoint::full, Checkpoint::truncate}) {
    CHECK(must(store.checkpoint(mode)).wal_frames == 0);
  }
}
