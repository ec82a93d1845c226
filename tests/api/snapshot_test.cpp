// Snapshots: one moment of the whole store, whatever happens afterwards.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

/// Those that a writer does not have to wait for a reader in.
constexpr std::array concurrent_kinds = {StoreKind::wal, StoreKind::memory};

}  // namespace

TEST_CASE("a snapshot does not change") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("a", "1"));
  REQUIRE_OK(store.put("b", patterned(100'000)));
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.put("a", "2"));
  CHECK(must(store.erase("b")));
  REQUIRE_OK(store.put("c", "3"));

  CHECK(must(snapshot.get("a")) == "1");
  CHECK((must(snapshot.get("b")) == BytesView(patterned(100'000))));
  REQUIRE_ERROR(snapshot.get("c"), Errc::not_found, "get");
  CHECK(must(snapshot.contains("b")));
  CHECK_FALSE(must(snapshot.contains("c")));
  CHECK(must(snapshot.count()) == 2);
  CHECK(keys(snapshot.all()) == Names{"a", "b"});
  CHECK(keys(snapshot.all().reversed()) == Names{"b", "a"});
  CHECK(keys(snapshot.prefix("a")) == Names{"a"});
  CHECK(snapshot.name() == "default");

  REQUIRE_OK(store.clear());
  CHECK(keys(snapshot.all()) == Names{"a", "b"});
  CHECK((must(snapshot.get("b")) == BytesView(patterned(100'000))));
  CHECK(must(store.count()) == 0);
}

TEST_CASE("snapshots of different moments side by side") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  std::vector<Snapshot> snapshots;
  for (int i = 0; i < 20; ++i) {
    REQUIRE_OK(store.put("value", std::to_string(i)));
    REQUIRE_OK(store.put("key" + std::to_string(i), "x"));
    snapshots.push_back(must(store.snapshot()));
  }
  REQUIRE_OK(store.clear());
  for (int i = 19; i >= 0; --i) {
    CHECK(must(snapshots[i].get("value")) == std::to_string(i));
    CHECK(must(snapshots[i].count()) == static_cast<std::uint64_t>(i) + 2);
  }
}

TEST_CASE("a snapshot has the families of its moment") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(must(store.create_column_family("old")).put("key", "old"));
  REQUIRE_OK(must(store.create_column_family("replaced")).put("key", "before"));
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.drop_column_family("old"));
  REQUIRE_OK(store.drop_column_family("replaced"));
  REQUIRE_OK(must(store.create_column_family("new")).put("key", "new"));
  REQUIRE_OK(must(store.create_column_family("replaced")).put("key", "after"));

  CHECK(must(snapshot.list_column_families()) == Names{"default", "old", "replaced"});
  CHECK(must(must(snapshot.column_family("old")).get("key")) == "old");
  CHECK(must(must(snapshot.column_family("replaced")).get("key")) == "before");
  REQUIRE_ERRC(snapshot.column_family("new"), Errc::not_found);
  REQUIRE_ERRC(snapshot.column_family(""), Errc::invalid_argument);
  CHECK(must(store.list_column_families()) == Names{"default", "new", "replaced"});
  CHECK(must(must(store.column_family("replaced")).get("key")) == "after");
}

TEST_CASE("nothing is written through a snapshot") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "value"));
  {
    const Snapshot snapshot = must(store.snapshot());
    ColumnFamily family = must(snapshot.column_family("default"));
    REQUIRE_ERROR(family.put("key", "ghost"), Errc::read_only, "put");
    REQUIRE_ERROR(family.erase("key"), Errc::read_only, "erase");
    REQUIRE_ERROR(family.clear(), Errc::read_only, "clear");
    CHECK(must(family.get("key")) == "value");
  }
  CHECK(must(store.get("key")) == "value");
  REQUIRE_OK(store.put("key", "new"));
}

TEST_CASE("a snapshot taken beside an open transaction does not have its writes") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("a", "1"));
  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put("a", "2"));
  const Snapshot before = must(store.snapshot());
  CHECK(must(before.get("a")) == "1");
  REQUIRE_OK(transaction.commit());
  CHECK(must(before.get("a")) == "1");
  CHECK(must(must(store.snapshot()).get("a")) == "2");
}

TEST_CASE("a snapshot lives as long as any handle made from it") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  REQUIRE_OK(store.put("key", "old"));
  ColumnFamily family;
  Iterator iterator;
  Snapshot copy;
  {
    const Snapshot snapshot = must(store.snapshot());
    copy = snapshot;
    family = must(snapshot.column_family("default"));
    iterator = snapshot.iterator();
  }
  REQUIRE_OK(store.put("key", "new"));
  REQUIRE_OK(store.put("other", "new"));
  CHECK(must(copy.get("key")) == "old");
  copy = Snapshot();
  CHECK(must(family.get("key")) == "old");
  family = ColumnFamily();
  iterator.seek_first();
  REQUIRE(iterator.valid());
  CHECK(iterator.value() == "old");
  iterator.next();
  CHECK_FALSE(iterator.valid());
  REQUIRE_OK(iterator.status());
  iterator = Iterator();
  CHECK(must(store.stats()).snapshots == 0);
}

TEST_CASE("a snapshot outlives its store handle") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Snapshot snapshot;
  {
    Store store = open_kind(kind, dir);
    REQUIRE_OK(store.put("key", "value"));
    snapshot = must(store.snapshot());
  }
  CHECK(must(snapshot.get("key")) == "value");
}

TEST_CASE("iterators and gets of one snapshot do not disturb each other") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  for (const char* key : {"a", "b", "c", "d"}) REQUIRE_OK(store.put(key, key));
  const Snapshot snapshot = must(store.snapshot());
  Iterator up = snapshot.iterator();
  Iterator down = snapshot.iterator();
  up.seek_first();
  down.seek_last();
  std::string seen;
  for (; up.valid() && down.valid(); up.next(), down.prev()) {
    seen += up.value().str() + down.value().str();
    seen += must(snapshot.get("b")).str();
  }
  CHECK(seen == "adbbcbcbbdab");
}

TEST_CASE("a snapshot holds across checkpoints and a great many commits") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.sync = Sync::off, .wal_autocheckpoint = 50});
  for (int i = 0; i < 300; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(500, i)));
  const Snapshot snapshot = must(store.snapshot());
  const Contents before = contents_of(snapshot);
  for (int i = 0; i < 600; ++i) {
    REQUIRE_OK(store.put(std::to_string(i), patterned(700, i + 1000)));
    if (i % 100 == 0) REQUIRE_OK(store.checkpoint(Checkpoint::passive));
  }
  CHECK((contents_of(snapshot) == before));
  CHECK(before.size() == 300);
}

TEST_CASE("a snapshot may be read from several threads, which take turns") {
  const auto kind = GENERATE(from_range(concurrent_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  for (int i = 0; i < 100; ++i) REQUIRE_OK(store.put(std::to_string(i), "old"));
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.clear());
  std::vector<int> found(4);
  std::vector<std::thread> readers;
  for (int& mine : found) {
    readers.emplace_back([&snapshot, &mine] {
      for (int i = 0; i < 100; ++i) {
        auto value = snapshot.get(std::to_string(i));
        if (value && *value == "old") ++mine;
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(found == std::vector<int>(4, 100));
}

TEST_CASE("with a rollback journal a snapshot makes writers busy, and only them") {
  const TempDir dir;
  Store store = open_kind(StoreKind::rollback, dir, {.busy_timeout = 20ms});
  REQUIRE_OK(store.put("key", "old"));
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERROR(store.put("key", "new"), Errc::busy, "put");
    CHECK(must(snapshot.get("key")) == "old");
    CHECK(must(store.get("key")) == "old");
  }
  REQUIRE_OK(store.put("key", "new"));
  CHECK(must(store.get("key")) == "new");
}
