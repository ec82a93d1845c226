// S: schema changes, by this connection, by others, and those that are rolled back; settings. S5
// (backup) has no code yet.
#include "core/store_state.hpp"
#include "fixture.hpp"

using namespace snkv;
using namespace snkv::contract;

namespace {

/// Roots are reused at once: a family made after another was dropped gets its root.
std::uint32_t root_of(const std::string& path, const std::string& family) {
  const std::string root =
      sqlite_cli(path, "SELECT rootpage FROM sqlite_schema WHERE name='" + family + "'");
  return root.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(root));
}

unsigned byte_at(const std::string& bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

}  // namespace

TEST_CASE("after drop and create by another handle no row goes to the wrong family", "[S1]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store a = must(Store::open(path));
  Store b = must(Store::open(path));
  ColumnFamily one = must(a.create_column_family("one"));
  must(one.put("k", "of one"));
  const std::uint32_t root = root_of(path, "one");
  must(b.drop_column_family("one"));
  ColumnFamily two = must(b.create_column_family("two"));
  must(two.put("k", "of two"));
  REQUIRE(root_of(path, "two") == root);

  REQUIRE_ERROR(one.put("k", "lost"), Errc::dropped, "put");
  REQUIRE_ERROR(one.get("k"), Errc::dropped, "get");
  REQUIRE_ERROR(one.erase("k"), Errc::dropped, "erase");
  CHECK(contents_of(two) == Contents{{"k", "of two"}});
  // A family of the same name is another family.
  ColumnFamily again = must(b.create_column_family("one"));
  REQUIRE_ERROR(one.put("k", "lost"), Errc::dropped, "put");
  CHECK(must(again.count()) == 0);
}

TEST_CASE("roots that another program moved are found again", "[S1]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  ColumnFamily first = must(store.create_column_family("first"));
  ColumnFamily last = must(store.create_column_family("last"));
  must(first.put("k", std::string(100'000, 'f')));
  must(last.put("k", "value"));
  CHECK(must(last.get("k")) == BytesView("value"));
  const std::uint32_t before = root_of(path, "last");
  static_cast<void>(sqlite_cli(path, "DROP TABLE snkv_large_2; DROP TABLE first; VACUUM"));
  REQUIRE(root_of(path, "last") != before);
  CHECK(must(last.get("k")) == BytesView("value"));
  must(last.put("l", "more"));
  must(store.put("d", "default"));
  REQUIRE_ERRC(first.get("k"), Errc::dropped);
  CHECK(contents_of(last) == Contents{{"k", "value"}, {"l", "more"}});
  must(store.integrity_check());
}

TEST_CASE("every transaction is told the schema's cookie", "[S1]") {
  const File file;
  Connection a = file.open();
  Connection b = file.open();
  std::uint32_t before = 0;
  {
    const Reading reading(a);
    before = reading.transaction.cookie();
  }
  run(b, "CREATE TABLE other(x)");
  {
    const Reading reading(a);
    CHECK(reading.transaction.cookie() != before);
    before = reading.transaction.cookie();
  }
  run(b, "VACUUM");
  const Writing writing(a);
  CHECK(writing.transaction.cookie() != before);
  const std::uint32_t at_begin = writing.transaction.cookie();
  run(a, "DROP TABLE other");
  CHECK(snkv_bt_cookie(a.get()) != at_begin);
}

TEST_CASE("roots found in a transaction that is rolled back are forgotten", "[S2]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open(path));
  {
    Transaction transaction = must(store.begin());
    ColumnFamily undone = must(transaction.create_column_family("undone"));
    must(undone.put("k", "undone"));
    must(transaction.rollback());
    REQUIRE_ERRC(undone.put("k", "v"), Errc::closed);
  }
  REQUIRE_ERRC(store.open_column_family("undone"), Errc::not_found);
  // The next schema change gets the cookie, the id and the root that the undone one had.
  ColumnFamily made = must(store.create_column_family("made"));
  CHECK(must(made.count()) == 0);
  must(made.put("k", "made"));
  must(store.put("k", "default"));
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default", "made"});
  CHECK(contents_of(made) == Contents{{"k", "made"}});
  CHECK(contents_of(store) == Contents{{"k", "default"}});
  must(store.integrity_check());
}

TEST_CASE("roots found since a savepoint are forgotten with it", "[S2]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  Transaction transaction = must(store.begin());
  {
    Savepoint savepoint = must(transaction.savepoint());
    ColumnFamily undone = must(transaction.create_column_family("undone"));
    must(undone.put("k", "undone"));
    must(transaction.put("large", std::string(50'000, 'x')));  // makes a side table
    must(savepoint.rollback());
    REQUIRE_ERRC(transaction.open_column_family("undone"), Errc::not_found);
  }
  ColumnFamily made = must(transaction.create_column_family("made"));
  CHECK(must(made.count()) == 0);
  must(made.put("k", "made"));
  must(transaction.put("large", std::string(60'000, 'y')));
  must(transaction.commit());
  CHECK(must(must(store.open_column_family("made")).get("k")) == BytesView("made"));
  CHECK(must(store.get("large")) == BytesView(std::string(60'000, 'y')));
  must(store.integrity_check());
}

TEST_CASE("a change through SQL takes the cursors away first", "[S3]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  const std::string sql = GENERATE("DROP TABLE t", "CREATE TABLE x(y)", "DELETE FROM t",
                                   "INSERT INTO t(key) VALUES(x'00')",
                                   "PRAGMA incremental_vacuum(1)");
  CAPTURE(sql);
  const Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  REQUIRE(seek(cursor, "a") == 0);
  REQUIRE(connection.execute(sql) == ok);
  CHECK(snkv_bt_is_dead(cursor.get()) != 0);
}

TEST_CASE("a family that is being read can be dropped", "[S3]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  ColumnFamily family = must(store.create_column_family("f"));
  for (int i = 0; i < 300; ++i) must(family.put(numbered(i), "v"));
  Iterator it = family.iterator();
  it.seek_first();
  must(store.drop_column_family("f"));
  ColumnFamily other = must(store.create_column_family("g"));
  for (int i = 0; i < 300; ++i) must(other.put(numbered(i), "w"));
  int met = 0;
  for (; it.valid(); it.next(), ++met) REQUIRE(it.value() == BytesView("v"));
  must(it.status());
  CHECK(met == 300);
}

TEST_CASE("emptying a tree closes its cursors and leaves others alone", "[S4]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", std::string(20'000, 'x')}, {"b", "2"}});
  put_committed(connection, file.u, {{"x", "24"}, {"y", "25"}});
  {
    Writing writing(connection);
    btree::Cursor first = cursor_on(connection, file.t, true);
    btree::Cursor second = cursor_on(connection, file.t);
    btree::Cursor other = cursor_on(connection, file.u);
    REQUIRE(seek(first, "a") == 0);
    REQUIRE(seek(second, "b") == 0);
    REQUIRE(seek(other, "x") == 0);
    must_rc(snkv_bt_clear(connection.get(), file.t));
    CHECK(move_rc(first, snkv_bt_next) == moved);
    CHECK(insert(first, "a", "1") == moved);
    CHECK(snkv_bt_is_dead(second.get()) != 0);
    CHECK(move(other, snkv_bt_next));
    CHECK(key_at(other) == "y");
    CHECK(rows(connection, file.t).empty());
    must_rc(writing.transaction.commit());
  }
  file.require_sound();
}

TEST_CASE("an iterator of a transaction notices that its family was cleared", "[S4]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  for (int i = 0; i < 300; ++i) must(store.put(numbered(i), "v"));
  Transaction transaction = must(store.begin());
  Iterator it = transaction.iterator();
  it.seek(numbered(5));
  must(transaction.clear());
  must(transaction.put(numbered(7), "new"));
  it.next();
  must(it.status());
  REQUIRE(it.valid());
  CHECK(it.key() == BytesView(numbered(7)));
  it.next();
  must(it.status());
  CHECK_FALSE(it.valid());
}

TEST_CASE("free pages are given back on request, never at a commit", "[S6]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path, {.journal = Journal::rollback}));
    ColumnFamily low = must(store.create_column_family("low"));
    ColumnFamily high = must(store.create_column_family("high"));
    for (int i = 0; i < 300; ++i) must(low.put(numbered(i), std::string(900, 'x')));
    must(high.put("k", "v"));
    const std::uint32_t root = root_of(path, "high");
    must(low.clear());
    CHECK(root_of(path, "high") == root);
    CHECK(must(store.stats()).free_pages > 20);
    CHECK(must(store.vacuum()) > 20);
    CHECK(must(store.stats()).free_pages == 0);
    CHECK(must(high.get("k")) == BytesView("v"));
    must(store.integrity_check());
  }
  CHECK(sqlite_cli(path, "PRAGMA auto_vacuum") == "2");
  const std::string bytes = read_file(path);
  CHECK(byte_at(bytes, 55) != 0);  // largest root page: there is a pointer map
  CHECK(byte_at(bytes, 67) == 1);  // incremental
}

TEST_CASE("what options say about sync and cache holds on every connection", "[S7]") {
  const TempDir dir;
  const Sync sync = GENERATE(Sync::off, Sync::normal, Sync::full);
  const Options options{.sync = sync, .page_size = 16384, .cache_size = 3u << 20};
  const core::Target target = open_target(dir.file("a.db"), options);
  core::StoreState& store = *target.store;
  Connection reader;
  REQUIRE_FALSE(
      store.open_connection("test", reader, core::StoreState::Role::reader).failed());
  for (Connection* connection : {&store.writer, &reader}) {
    // As for making the store, until there is a commit with its own level.
    CHECK(number(*connection, "PRAGMA synchronous") == (sync == Sync::off ? 0 : 2));
    CHECK(number(*connection, "PRAGMA cache_size") == -(3 << 10));
    CHECK(number(*connection, "PRAGMA page_size") == 16384);
    CHECK(number(*connection, "PRAGMA journal_size_limit") > 0);
    CHECK(text(*connection, "PRAGMA journal_mode") == "wal");
  }
  REQUIRE_FALSE(store.session.begin("test").failed());
  CHECK(number(store.writer, "PRAGMA synchronous") == static_cast<int>(sync));
  store.session.rollback();
}
