// Bad arguments and calls at the wrong time: an error that names the operation, and the handle
// works afterwards with nothing lost. Files that cannot be opened are in bad_file_test.cpp, tables
// altered through SQL in cli_schema_test.cpp, handles after fork in fork_test.cpp.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// A store with a few entries and a family, and the proof that nothing has happened to them.
class Fixture {
 public:
  explicit Fixture(StoreKind kind) : store(open_kind(kind, dir_, no_sync())) {
    must(store.put("a", "1"));
    must(store.put("b", patterned(50'000)));
    family = must(store.create_column_family("family"));
    must(family.put("inner", "2"));
  }

  /// Nothing lost, nothing gained, and every kind of operation works.
  void check_unharmed() {
    CHECK(keys(store.all()) == std::vector<std::string>{"a", "b"});
    CHECK(must(store.get("a")) == "1");
    CHECK((must(store.get("b")) == BytesView(patterned(50'000))));
    CHECK(must(store.list_column_families()) == std::vector<std::string>{"default", "family"});
    CHECK(contents_of(family) == Contents{{"inner", "2"}});
    REQUIRE_OK(store.put("new", "3"));
    CHECK(must(store.erase("new")));
    Transaction transaction = must(store.begin());
    REQUIRE_OK(transaction.put("new", "3"));
    REQUIRE_OK(transaction.rollback());
    REQUIRE_OK(store.integrity_check());
  }

 private:
  TempDir dir_;

 public:
  Store store;
  ColumnFamily family;
};

}  // namespace

TEST_CASE("an empty key") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  for (EntryWriter* target : {static_cast<EntryWriter*>(&fixture.store),
                              static_cast<EntryWriter*>(&fixture.family)}) {
    REQUIRE_ERROR(target->put("", "x"), Errc::invalid_argument, "put");
    REQUIRE_ERROR(target->get(""), Errc::invalid_argument, "get");
    REQUIRE_ERROR(target->contains(""), Errc::invalid_argument, "contains");
    REQUIRE_ERROR(target->erase(""), Errc::invalid_argument, "erase");
  }
  fixture.check_unharmed();
}

TEST_CASE("an empty key is no error for a seek") {
  // It is less than every key, so the answer is clear.
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  Iterator iterator = fixture.store.iterator();
  iterator.seek("");
  REQUIRE(iterator.valid());
  CHECK(iterator.key() == "a");
  iterator.seek_for_prev(BytesView());
  CHECK_FALSE(iterator.valid());
  REQUIRE_OK(iterator.status());
}

TEST_CASE("an oversized key") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  const std::string key(max_key_size + 1, 'k');
  REQUIRE_ERROR(fixture.store.put(key, "x"), Errc::too_large, "put");
  REQUIRE_ERROR(fixture.family.put(key, "x", {.ttl = 1s}), Errc::too_large, "put");
  fixture.check_unharmed();
}

TEST_CASE("an oversized value") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  // Only the length is looked at; nobody needs two gigabytes to be told no.
  const std::string_view claimed("x", max_value_size + 1);
  REQUIRE_ERROR(fixture.store.put("a", claimed), Errc::too_large, "put");
  REQUIRE_ERROR(fixture.family.put("new", claimed), Errc::too_large, "put");
  fixture.check_unharmed();
}

TEST_CASE("a time to live that is not positive") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  REQUIRE_ERROR(fixture.store.put("a", "x", {.ttl = 0ms}), Errc::invalid_argument, "put");
  REQUIRE_ERROR(fixture.store.put("a", "x", {.ttl = -5ms}), Errc::invalid_argument, "put");
  fixture.check_unharmed();
}

TEST_CASE("a reserved, empty, overlong or unreadable family name") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  for (const std::string& name :
       {std::string(), std::string("snkv_x"), std::string("sqlite_x"),
        std::string(max_family_name_size + 1, 'n'), std::string("a\0b", 3), std::string("\xff")}) {
    CAPTURE(name);
    REQUIRE_ERROR(fixture.store.create_column_family(name), Errc::invalid_argument, "family");
    REQUIRE_ERROR(fixture.store.column_family(name), Errc::invalid_argument, "family");
    REQUIRE_ERROR(fixture.store.open_column_family(name), Errc::invalid_argument, "family");
    REQUIRE_ERROR(fixture.store.drop_column_family(name), Errc::invalid_argument, "family");
  }
  fixture.check_unharmed();
}

TEST_CASE("an unknown family") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  REQUIRE_ERROR(fixture.store.open_column_family("unknown"), Errc::not_found, "family");
  REQUIRE_ERROR(fixture.store.drop_column_family("unknown"), Errc::not_found, "family");
  REQUIRE_ERROR(fixture.store.create_column_family("family"), Errc::exists, "family");
  // The message says which.
  const std::string message = fixture.store.open_column_family("unknown").error().message();
  CHECK(message.find("unknown") != std::string::npos);
  fixture.check_unharmed();
}

TEST_CASE("a dropped family") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  ColumnFamily dropped = must(fixture.store.create_column_family("dropped"));
  REQUIRE_OK(dropped.put("key", "value"));
  REQUIRE_OK(fixture.store.drop_column_family("dropped"));
  REQUIRE_ERROR(dropped.get("key"), Errc::dropped, "get");
  REQUIRE_ERROR(dropped.put("key", "ghost"), Errc::dropped, "put");
  REQUIRE_ERROR(dropped.erase("key"), Errc::dropped, "erase");
  REQUIRE_ERROR(dropped.clear(), Errc::dropped, "clear");
  CHECK(dropped.put("key", "ghost").error().message().find("dropped") != std::string::npos);
  fixture.check_unharmed();
}

TEST_CASE("a write through a read-only store") {
  const TempDir dir;
  { REQUIRE_OK(must(open_store(dir.file("a.db"))).put("a", "1")); }
  Store store = must(open_store(dir.file("a.db"), {.read_only = true}));
  REQUIRE_ERROR(store.put("a", "2"), Errc::read_only, "put");
  REQUIRE_ERROR(store.erase("a"), Errc::read_only, "erase");
  REQUIRE_ERROR(store.begin(), Errc::read_only, "begin");
  REQUIRE_ERROR(store.transact([](Transaction& transaction) { return transaction.clear(); }),
                Errc::read_only, "begin");
  CHECK(contents_of(store) == Contents{{"a", "1"}});
  Store writer = must(open_store(dir.file("a.db")));
  REQUIRE_OK(writer.put("a", "3"));
  CHECK(must(store.get("a")) == "3");
}

TEST_CASE("a write through a snapshot") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  {
    const Snapshot snapshot = must(fixture.store.snapshot());
    ColumnFamily family = must(snapshot.column_family("family"));
    REQUIRE_ERROR(family.put("inner", "ghost"), Errc::read_only, "put");
    REQUIRE_ERROR(family.erase("inner"), Errc::read_only, "erase");
    REQUIRE_ERROR(family.clear(), Errc::read_only, "clear");
    CHECK(must(family.get("inner")) == "2");
  }
  fixture.check_unharmed();
}

TEST_CASE("commit twice") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  Transaction transaction = must(fixture.store.begin());
  REQUIRE_OK(transaction.put("c", "3"));
  REQUIRE_OK(transaction.commit());
  REQUIRE_ERROR(transaction.commit(), Errc::closed, "commit");
  REQUIRE_ERROR(transaction.rollback(), Errc::closed, "rollback");
  CHECK(must(fixture.store.get("c")) == "3");
  CHECK(must(fixture.store.erase("c")));
  fixture.check_unharmed();
}

TEST_CASE("a second begin on the same thread") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  Transaction transaction = must(fixture.store.begin());
  REQUIRE_OK(transaction.put("c", "3"));
  REQUIRE_ERROR(fixture.store.begin(), Errc::locked, "begin");
  // The first one does not suffer.
  REQUIRE_OK(transaction.put("d", "4"));
  CHECK(must(transaction.count()) == 4);
  REQUIRE_OK(transaction.rollback());
  fixture.check_unharmed();
}

TEST_CASE("a transaction that is waited for by its own thread does not hang") {
  Fixture fixture(GENERATE(from_range(all_store_kinds)));
  const Result<void> outer = fixture.store.transact([&](Transaction&) -> Result<void> {
    return fixture.store.transact(
        [](Transaction& inner) -> Result<void> { return inner.put("c", "3"); });
  });
  REQUIRE_ERROR(outer, Errc::locked, "begin");
  fixture.check_unharmed();
}

TEST_CASE("use of what was moved away") {
  Fixture fixture(StoreKind::wal);
  Transaction transaction = must(fixture.store.begin());
  Transaction taken = std::move(transaction);
  REQUIRE_ERROR(transaction.put("c", "3"), Errc::closed, "put");  // NOLINT
  REQUIRE_ERROR(transaction.commit(), Errc::closed, "commit");
  REQUIRE_OK(taken.rollback());
  Iterator iterator = fixture.store.iterator();
  const Iterator other = std::move(iterator);
  iterator.seek_first();  // NOLINT
  CHECK_FALSE(iterator.valid());
  fixture.check_unharmed();
}
