// Blob writers and readers inside transactions, savepoints, families and snapshots; pinned values.
#include "support/blob.hpp"
#include "support/catch.hpp"
#include "support/encrypted.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t large = 100'000;

/// Nothing is in the side table but the chunks of `values` values of size `large`.
void require_large_values(const std::string& path, std::size_t values) {
  const std::size_t chunks = (large + 8150) / 8151;
  REQUIRE(sqlite_cli(path, "SELECT count(*) FROM snkv_large_1") == std::to_string(values * chunks));
}

}  // namespace

TEST_CASE("blob writers join a transaction", "[blob]") {
  const bool commit = GENERATE(true, false);
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("old", patterned(large)));
  {
    Transaction transaction = must(store.begin());
    // Several at a time, and ordinary large values between them.
    BlobWriter a = must(transaction.blob_writer("a"));
    BlobWriter b = must(transaction.blob_writer("b"));
    BlobWriter c = must(transaction.blob_writer("c"));
    for (std::size_t at = 0; at < large; at += 5000) {
      REQUIRE_OK(a.write(patterned(5000, at)));
      REQUIRE_OK(b.write(patterned(5000, at + 1)));
      REQUIRE_OK(c.write(patterned(5000, at + 2)));
      REQUIRE_OK(transaction.put("p", patterned(large, at)));
    }
    REQUIRE_ERRC(transaction.get("a"), Errc::not_found);
    REQUIRE_OK(b.finish());
    c.cancel();
    REQUIRE_OK(a.finish());
    REQUIRE(must(transaction.get("a")).size() == large);
    REQUIRE_ERRC(store.get("a"), Errc::not_found);
    if (commit) REQUIRE_OK(transaction.commit());
  }
  REQUIRE(must(store.count()) == (commit ? 4 : 1));
  require_large_values(dir.file("a.db"), commit ? 4 : 1);
  if (!commit) return;
  for (std::size_t at = 0; at < large; at += 5000) {
    BlobReader a = must(store.blob_reader("a"));
    BlobReader b = must(store.blob_reader("b"));
    REQUIRE(read_part(a, at, 5000) == patterned(5000, at));
    REQUIRE(read_part(b, at, 5000) == patterned(5000, at + 1));
  }
  REQUIRE(must(store.get("p")) == patterned(large, large - 5000));
}

TEST_CASE("the end of a transaction cancels its unfinished blob writers", "[blob]") {
  const bool commit = GENERATE(true, false);
  const std::size_t size = GENERATE(std::size_t{10}, large);
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("old", patterned(large)));
  Transaction transaction = must(store.begin());
  BlobWriter writer = must(transaction.blob_writer("k"));
  write_pieces(writer, patterned(size), 3000);
  REQUIRE_OK(commit ? transaction.commit() : transaction.rollback());
  REQUIRE_ERROR(writer.write("x"), Errc::closed, "blob write");
  REQUIRE_ERRC(writer.finish(), Errc::closed);
  require_large_values(dir.file("a.db"), 1);
  REQUIRE_OK(store.put("k", "x"));  // the lock is free
  writer = BlobWriter();
  REQUIRE(must(store.get("k")) == "x");
  REQUIRE(must(store.get("old")) == patterned(large));
}

TEST_CASE("a savepoint that is rolled back ends blob writers", "[blob]") {
  const std::size_t size = GENERATE(std::size_t{10}, large);
  const bool begun_before = GENERATE(true, false);
  CAPTURE(size, begun_before);
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("old", patterned(large)));
  Transaction transaction = must(store.begin());
  BlobWriter writer;
  const std::string value = patterned(size);
  if (begun_before) {
    writer = must(transaction.blob_writer("k"));
    write_pieces(writer, value.substr(0, size / 2), 3000);
  }
  Savepoint savepoint = must(transaction.savepoint());
  if (!begun_before) writer = must(transaction.blob_writer("k"));
  write_pieces(writer, value.substr(writer.size()), 3000);

  SECTION("unfinished") {
    REQUIRE_OK(savepoint.rollback());
    REQUIRE_ERROR(writer.write("x"), Errc::closed, "blob write");
    REQUIRE_ERRC(writer.finish(), Errc::closed);
  }
  SECTION("unfinished, and destroyed before") {
    writer = BlobWriter();
    REQUIRE_OK(savepoint.rollback());
  }
  SECTION("finished before") {
    REQUIRE_OK(writer.finish());
    REQUIRE(must(transaction.get("k")) == value);
    REQUIRE_OK(savepoint.rollback());
  }
  REQUIRE_ERRC(transaction.get("k"), Errc::not_found);
  // Ids are not given twice, so that nobody takes new chunks for old ones.
  REQUIRE_OK(transaction.put("new", patterned(large, 2)));
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(store.get("new")) == patterned(large, 2));
  REQUIRE_ERRC(store.get("k"), Errc::not_found);
  require_large_values(dir.file("a.db"), 2);
}

TEST_CASE("a savepoint that is released keeps blobs", "[blob]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  Transaction transaction = must(store.begin());
  BlobWriter a = must(transaction.blob_writer("a"));
  REQUIRE_OK(a.write(patterned(large / 2)));
  Savepoint savepoint = must(transaction.savepoint());
  BlobWriter b = must(transaction.blob_writer("b"));
  REQUIRE_OK(b.write(patterned(large, 2)));
  REQUIRE_OK(b.finish());
  REQUIRE_OK(a.write(patterned(large / 2, 3)));
  REQUIRE_OK(a.finish());
  REQUIRE_OK(savepoint.release());
  REQUIRE_OK(transaction.put("b", "replaced"));
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(store.get("a")) == patterned(large / 2) + patterned(large / 2, 3));
  REQUIRE(must(store.get("b")) == "replaced");
  require_large_values(dir.file("a.db"), 1);
}

TEST_CASE("clearing and dropping a family ends its blob writers", "[blob]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  for (int i = 0; i < 500; ++i) REQUIRE_OK(store.put("e" + std::to_string(i), "x"));
  ColumnFamily family = must(store.create_column_family("f"));
  Transaction transaction = must(store.begin());
  ColumnFamily inside = must(transaction.column_family("f"));
  BlobWriter dropped = must(inside.blob_writer("k"));
  BlobWriter kept = must(transaction.blob_writer("k"));
  write_pieces(dropped, patterned(large), 3000);
  write_pieces(kept, patterned(large), 3000);
  // Nearly all of the entries, but not what is being written.
  REQUIRE(must(transaction.erase_prefix("e")) == 500);
  REQUIRE_OK(kept.finish());
  BlobWriter cleared = must(transaction.blob_writer("c"));
  write_pieces(cleared, patterned(large), 3000);
  REQUIRE_OK(transaction.clear());
  REQUIRE_ERROR(cleared.write("x"), Errc::closed, "blob write");
  REQUIRE_OK(dropped.write("x"));
  REQUIRE_OK(transaction.drop_column_family("f"));
  REQUIRE_ERRC(dropped.write(patterned(large)), Errc::dropped);
  REQUIRE_ERRC(family.blob_reader("k"), Errc::not_found);
  // It was refused before anything was changed, so the transaction goes on.
  REQUIRE_OK(transaction.put("after", "1"));
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(store.count()) == 1);
  REQUIRE(must(store.list_column_families()).size() == 1);
  REQUIRE_OK(store.verify());
}

TEST_CASE("a blob reader in a transaction notices changes", "[blob]") {
  const std::size_t size = GENERATE(std::size_t{10}, large);
  Store store = must(Store::open_in_memory());
  const std::string value = patterned(size);
  REQUIRE_OK(store.put("k", value));
  Transaction transaction = must(store.begin());
  BlobReader reader = must(transaction.blob_reader("k"));
  REQUIRE(read_part(reader, 2, size) == value.substr(2));
  REQUIRE_OK(transaction.put("other", patterned(large)));
  REQUIRE_OK(transaction.expire("k", std::chrono::hours(1)));
  REQUIRE(read_part(reader, 2, size) == value.substr(2));  // its value is the same
  std::string buffer(10, '\0');
  const auto span = std::as_writable_bytes(std::span(buffer));
  {
    Savepoint savepoint = must(transaction.savepoint());
    SECTION("replaced") { REQUIRE_OK(transaction.put("k", patterned(size, 2))); }
    SECTION("erased") { REQUIRE(must(transaction.erase("k"))); }
    SECTION("erased and put again") {
      REQUIRE(must(transaction.erase("k")));
      REQUIRE_OK(transaction.put("k", patterned(size, 2)));
    }
    SECTION("cleared") { REQUIRE_OK(transaction.clear()); }
    SECTION("replaced by a blob") {
      BlobWriter writer = must(transaction.blob_writer("k"));
      REQUIRE_OK(writer.write(patterned(size, 2)));
      REQUIRE(read_part(reader, 2, size) == value.substr(2));
      REQUIRE_OK(writer.finish());
    }
    REQUIRE_ERROR(reader.read_at(0, span), Errc::closed, "blob read");
  }
  REQUIRE(read_part(reader, 0, size) == value);  // the savepoint brought it back
  REQUIRE_OK(transaction.rollback());
  REQUIRE_ERROR(reader.read(span), Errc::closed, "blob read");
}

TEST_CASE("a blob reader reads from the snapshot it is made from", "[blob]") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", patterned(large)));
  Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(store.put("k", "new"));
  BlobReader old = must(snapshot.blob_reader("k"));
  BlobReader current = must(store.blob_reader("k"));
  snapshot = Snapshot();
  REQUIRE(read_all(old, 1234) == patterned(large));
  REQUIRE(read_all(current, 2) == "new");
}

TEST_CASE("a pinned value stays as it is", "[blob]") {
  const std::size_t size = GENERATE(std::size_t{0}, std::size_t{10}, std::size_t{1500}, large);
  const bool long_key = GENERATE(false, true);
  CAPTURE(size, long_key);
  Store store = must(Store::open_in_memory());
  const std::string key(long_key ? 20'000 : 1, 'k');  // a long key makes a record of several pages
  const std::string value = patterned(size);
  REQUIRE_OK(store.put(key, value));
  REQUIRE_ERROR(store.get_pinned("j"), Errc::not_found, "get_pinned");
  REQUIRE_ERRC(store.get_pinned("kk"), Errc::not_found);
  REQUIRE_ERRC(store.get_pinned(""), Errc::invalid_argument);
  REQUIRE_ERRC(Store().get_pinned("k"), Errc::closed);

  PinnedValue pinned = must(store.get_pinned(key));
  REQUIRE(pinned.view() == value);
  REQUIRE_OK(store.put(key, patterned(size + 1, 2)));
  REQUIRE(pinned.view() == value);
  REQUIRE_OK(store.clear());
  for (int i = 0; i < 100; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(1000)));
  const PinnedValue moved = std::move(pinned);
  REQUIRE(moved.view() == value);
  REQUIRE(moved.size() == size);
  REQUIRE(PinnedValue().view().empty());

  Transaction transaction = must(store.begin());
  REQUIRE_OK(transaction.put(key, value));
  const PinnedValue inside = must(transaction.get_pinned(key));
  REQUIRE_OK(transaction.put(key, "changed"));
  REQUIRE(inside.view() == value);
  REQUIRE_OK(transaction.rollback());
  REQUIRE(inside.view() == value);
}

TEST_CASE("a writer takes nothing more once its family is dropped") {
  Store store = must(Store::open_in_memory());
  must(store.create_column_family("family"));
  Transaction transaction = must(store.begin());
  ColumnFamily family = must(transaction.open_column_family("family"));
  BlobWriter writer = must(family.blob_writer("k"));
  REQUIRE_OK(writer.write("a"));
  REQUIRE_OK(transaction.drop_column_family("family"));
  REQUIRE_ERROR(writer.write("b"), Errc::dropped, "blob write");
  REQUIRE_ERROR(writer.finish(), Errc::dropped, "blob finish");
  REQUIRE_OK(transaction.commit());
}

TEST_CASE("going back to a savepoint does not mix up large values", "[blob]") {
  Store store = must(Store::open_in_memory());
  const std::string value = patterned(large);
  REQUIRE_OK(store.put("k", value));
  Transaction transaction = must(store.begin());
  Savepoint savepoint = must(transaction.savepoint());
  REQUIRE_OK(transaction.put("k", "small"));
  // Must not get the id of the value that comes back.
  BlobWriter writer = must(transaction.blob_writer("other"));
  write_pieces(writer, patterned(large, 2), 3000);
  REQUIRE_OK(writer.finish());
  REQUIRE_OK(savepoint.rollback());
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(store.get("k")) == value);
  REQUIRE_OK(store.verify());
}

TEST_CASE("a blob reader notices another value of the same size", "[blob]") {
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", patterned(large)));
  Transaction transaction = must(store.begin());
  BlobReader reader = must(transaction.blob_reader("k"));
  SECTION("after an erase") { REQUIRE(must(transaction.erase("k"))); }
  SECTION("after a clear") { REQUIRE_OK(transaction.clear()); }
  REQUIRE_OK(transaction.put("k", patterned(large, 2)));
  std::string buffer(10, '\0');
  REQUIRE_ERROR(reader.read(std::as_writable_bytes(std::span(buffer))), Errc::closed, "blob read");
}

TEST_CASE("an unfinished value that comes back after a busy commit is dropped all the same",
          "[blob]") {
  const TempDir dir;
  const Options options{.journal = Journal::rollback, .busy_timeout = std::chrono::seconds(0)};
  Store store = must(open_store(dir.file("a.db"), options));
  Transaction transaction = must(store.begin());
  BlobWriter writer = must(transaction.blob_writer("k"));
  write_pieces(writer, patterned(large), 3000);
  Savepoint savepoint = must(transaction.savepoint());
  {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_ERROR(transaction.commit(), Errc::busy, "commit");
  }
  REQUIRE_OK(savepoint.rollback());
  REQUIRE_OK(transaction.commit());
  REQUIRE_OK(store.verify());
}
