// Values written and read in pieces: what is stored, positions, declared sizes, writers that do not
// finish.
#include "support/blob.hpp"
#include "support/catch.hpp"
#include "support/contents.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// Sizes at which something changes: empty, the smallest that may leave its row, the largest that
/// stays in it, whole chunks, and many.
std::set<std::size_t> interesting_sizes(std::size_t page_size) {
  const std::size_t chunk = page_size - 41;
  const std::size_t local = (page_size - 12) * 64 / 255 - 23;
  std::set<std::size_t> sizes = {0, 1, 63, 64, 65, 5'000'000};
  for (std::size_t size = local - 40; size <= local + 5; ++size) sizes.insert(size);
  for (const std::size_t chunks : {1u, 2u, 3u, 17u}) {
    for (const int delta : {-1, 0, 1}) {
      sizes.insert(chunks * chunk + static_cast<std::size_t>(delta + 1) - 1);
    }
  }
  return sizes;
}

std::string key_of(char kind, std::size_t size) { return kind + std::to_string(size); }

/// One line per entry: how it is stored, without its key and the id of its large value. What is encrypted
/// is never the same twice.
std::string layout(const std::string& path, std::string_view prefix) {
  const std::string value = encrypting() ? "length(value)" : "hex(value)";
  return sqlite_cli(path,
                    "SELECT substr(CAST(key AS TEXT), 2), expires_at, " + value + ", large_size, "
                    "(SELECT group_concat((id & 1048575) || ':' || length(data)) FROM snkv_large_1 "
                    " WHERE id >> 20 = large_id) "
                    "FROM \"default\" WHERE substr(CAST(key AS TEXT), 1, 1) = '" +
                        std::string(prefix) + "' ORDER BY key");
}

std::string chunks_in(const std::string& path) {
  return sqlite_cli(path, "SELECT count(*) FROM snkv_large_1");
}

}  // namespace

TEST_CASE("a blob writer stores what put stores", "[blob]") {
  const std::uint32_t page_size = GENERATE(4096u, 8192u);
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db"), {.page_size = page_size}));
  for (const std::size_t size : interesting_sizes(page_size)) {
    CAPTURE(size);
    const std::string value = patterned(size);
    REQUIRE_OK(store.put(key_of('p', size), value));
    BlobWriter writer = must(store.blob_writer(key_of('w', size)));
    write_pieces(writer, value, size / 7 + 1);
    REQUIRE(writer.size() == size);
    REQUIRE_OK(writer.finish());

    REQUIRE(must(store.get(key_of('w', size))) == value);
    BlobReader reader = must(store.blob_reader(key_of('p', size)));
    REQUIRE(reader.size() == size);
    REQUIRE(read_all(reader, size / 5 + 1) == value);
  }
  REQUIRE(layout(dir.file("a.db"), "w") == layout(dir.file("a.db"), "p"));
  REQUIRE(sqlite_cli(dir.file("a.db"), "PRAGMA integrity_check") == "ok");
}

TEST_CASE("a blob writer replaces what was there", "[blob]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir);
  for (const std::size_t before : {10u, 100'000u}) {
    for (const std::size_t after : {0u, 20u, 50'000u}) {
      REQUIRE_OK(store.put("k", patterned(before), {.ttl = 1h}));
      BlobWriter writer = must(store.blob_writer("k"));
      write_pieces(writer, patterned(after, 2), 999);
      REQUIRE_OK(writer.finish());
      REQUIRE(must(store.get("k")) == patterned(after, 2));
      REQUIRE(must(store.ttl("k")) == std::nullopt);
    }
  }
  REQUIRE(must(store.count()) == 1);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("positioned writes and reads agree with a string", "[blob]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const auto seed = GENERATE(1u, 2u, 3u);
  CAPTURE(kind, seed);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.page_size = 4096});
  std::mt19937 random(seed);
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };

  std::string model;
  BlobWriter writer = must(store.blob_writer("k"));
  for (int i = 0; i < 400; ++i) {
    static constexpr std::array most = {3u, 100u, 5000u, 20'000u};
    const std::string bytes = patterned(below(most[random() % most.size()]), random());
    const std::size_t offset = random() % 3 == 0 ? model.size() : below(model.size() + 1);
    REQUIRE_OK(writer.write_at(offset, bytes));
    if (offset + bytes.size() > model.size()) model.resize(offset + bytes.size());
    model.replace(offset, bytes.size(), bytes);
    REQUIRE(writer.size() == model.size());
  }
  REQUIRE_OK(writer.finish());
  REQUIRE(must(store.get("k")) == model);

  BlobReader reader = must(store.blob_reader("k"));
  for (int i = 0; i < 400; ++i) {
    const std::size_t offset = below(model.size() + 1);
    const std::size_t size = below(i % 2 == 0 ? 50 : 30'000);
    REQUIRE(read_part(reader, offset, size) == model.substr(offset, size));
  }
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a blob reader has a position", "[blob]") {
  Store store = must(Store::open_in_memory());
  const std::string value = patterned(20'000);
  REQUIRE_OK(store.put("k", value));
  BlobReader reader = must(store.blob_reader("k"));
  std::string buffer(15'000, '\0');
  const auto span = std::as_writable_bytes(std::span(buffer));
  REQUIRE(reader.tell() == 0);
  REQUIRE(must(reader.read(span)) == 15'000);
  REQUIRE(reader.tell() == 15'000);
  REQUIRE(must(reader.read(span)) == 5'000);
  REQUIRE(must(reader.read(span)) == 0);
  REQUIRE_OK(reader.seek(19'999));
  REQUIRE(must(reader.read(span)) == 1);
  REQUIRE(buffer[0] == value[19'999]);
  REQUIRE_OK(reader.seek(20'000));
  REQUIRE(must(reader.read(span)) == 0);
  REQUIRE(must(reader.read_at(20'000, span)) == 0);
  REQUIRE_ERROR(reader.read_at(20'001, span), Errc::invalid_argument, "blob read");
  REQUIRE_ERRC(reader.seek(20'001), Errc::invalid_argument);
  REQUIRE(reader.tell() == 20'000);
  REQUIRE(must(reader.read_at(0, {})) == 0);
}

TEST_CASE("a blob writer keeps to its declared size", "[blob]") {
  const std::size_t size = GENERATE(0u, 100u, 30'000u);
  CAPTURE(size);
  Store store = must(Store::open_in_memory());
  REQUIRE_OK(store.put("k", "old"));
  const std::string value = patterned(size);
  {
    BlobWriter writer = must(store.blob_writer("k", {.size = size}));
    write_pieces(writer, value, 1000);
    REQUIRE_ERROR(writer.write("x"), Errc::invalid_argument, "blob write");
    REQUIRE_ERRC(writer.write_at(size / 2, patterned(size - size / 2 + 1, 7)),
                 Errc::invalid_argument);
    REQUIRE_ERRC(writer.write_at(size + 1, "x"), Errc::invalid_argument);
    REQUIRE(writer.size() == size);
    REQUIRE_OK(writer.finish());
    REQUIRE(must(store.get("k")) == value);
  }
  {
    BlobWriter writer = must(store.blob_writer("k", {.size = size + 1}));
    write_pieces(writer, value, 1000);
    REQUIRE_ERROR(writer.finish(), Errc::invalid_argument, "blob finish");
    REQUIRE_OK(writer.write("x"));  // what was missing can still come
    REQUIRE_OK(writer.finish());
    REQUIRE(must(store.get("k")) == value + "x");
  }
  {
    BlobWriter writer = must(store.blob_writer("k", {.size = size + 2}));
    write_pieces(writer, value, 1000);
    REQUIRE_ERRC(writer.finish(), Errc::invalid_argument);
  }
  REQUIRE(must(store.get("k")) == value + "x");
}

TEST_CASE("a blob writer refuses bad arguments", "[blob]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_ERROR(store.blob_writer(""), Errc::invalid_argument, "blob_writer");
  REQUIRE_ERRC(store.blob_writer(std::string(max_key_size + 1, 'k')), Errc::too_large);
  REQUIRE_ERRC(store.blob_writer("k", {.size = max_value_size + 1}), Errc::too_large);
  REQUIRE_ERRC(store.blob_writer("k", {.ttl = 0ms}), Errc::invalid_argument);
  REQUIRE_ERRC(store.blob_writer("k", {.ttl = std::chrono::milliseconds::max()}),
               Errc::invalid_argument);
  REQUIRE_ERRC(store.blob_writer("k", {.ttl = 1s, .expires_at = TimePoint(1s)}),
               Errc::invalid_argument);
  REQUIRE_ERROR(store.blob_reader(""), Errc::invalid_argument, "blob_reader");
  REQUIRE_ERROR(store.blob_reader("k"), Errc::not_found, "blob_reader");
  REQUIRE_ERRC(must(store.snapshot()).column_family("default")->blob_writer("k"), Errc::read_only);

  BlobWriter writer = must(store.blob_writer("k"));
  REQUIRE_ERRC(writer.write_at(1, "x"), Errc::invalid_argument);
  REQUIRE_OK(writer.write("abc"));
  // A view that is larger than any value: refused before a byte of it is looked at.
  REQUIRE_ERRC(writer.write(BytesView("x", max_value_size + 1)), Errc::too_large);
  REQUIRE_ERRC(writer.write_at(3, BytesView("x", max_value_size - 2)), Errc::too_large);
  REQUIRE(writer.size() == 3);
  REQUIRE_ERROR(store.put("other", "x"), Errc::locked, "put");
  REQUIRE_OK(writer.finish());
  REQUIRE_ERROR(writer.write("x"), Errc::closed, "blob write");
  REQUIRE_ERROR(writer.finish(), Errc::closed, "blob finish");
  writer.cancel();
  REQUIRE(must(store.get("k")) == "abc");
  REQUIRE_ERRC(BlobWriter().write("x"), Errc::closed);
  REQUIRE_ERRC(BlobWriter().finish(), Errc::closed);
  REQUIRE_ERRC(BlobReader().seek(0), Errc::closed);
  REQUIRE_ERRC(Store().blob_writer("k"), Errc::closed);
  REQUIRE_ERRC(Store().blob_reader("k"), Errc::closed);

  Store read_only = must(open_store(dir.file("a.db"), {.read_only = true}));
  REQUIRE_ERRC(read_only.blob_writer("k"), Errc::read_only);
  BlobReader reader = must(read_only.blob_reader("k"));
  REQUIRE(read_all(reader, 2) == "abc");
}

TEST_CASE("an unfinished blob writer leaves nothing", "[blob]") {
  const bool cancel = GENERATE(false, true);
  const std::size_t size = GENERATE(10u, 2'000'000u);
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE_OK(store.put("k", patterned(100'000)));
  const auto pages = must(store.stats()).db_pages;
  {
    BlobWriter writer = must(store.blob_writer("k"));
    write_pieces(writer, patterned(size, 3), 10'000);
    if (cancel) {
      writer.cancel();
      REQUIRE_ERRC(writer.finish(), Errc::closed);
      REQUIRE_OK(store.put("other", "x"));  // the write lock is free again
      REQUIRE(must(store.erase("other")));
    }
  }
  REQUIRE(must(store.count()) == 1);
  REQUIRE(must(store.get("k")) == patterned(100'000));
  REQUIRE(must(store.stats()).db_pages == pages);
  REQUIRE(chunks_in(dir.file("a.db")) == std::to_string((100'000 + 8150) / 8151));
}

TEST_CASE("a blob writer may be handed to another thread", "[blob]") {
  Store store = must(Store::open_in_memory());
  BlobWriter writer = must(store.blob_writer("k"));
  std::string complaint;
  std::thread([&, mine = std::move(writer)]() mutable {
    if (!mine.write(patterned(50'000)) || !mine.finish()) complaint = "failed";
  }).join();
  REQUIRE(complaint.empty());
  REQUIRE(must(store.get("k")) == patterned(50'000));
}

TEST_CASE("a blob may expire", "[blob]") {
  const std::size_t size = GENERATE(10u, 100'000u);
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  BlobWriter writer = must(store.blob_writer("k", {.ttl = 10s}));
  write_pieces(writer, patterned(size), 1000);
  clock.advance(1h);  // the time runs from the end on
  REQUIRE_OK(writer.finish());
  REQUIRE(must(store.ttl("k")) == 10s);
  clock.advance(9s);
  BlobReader reader = must(store.blob_reader("k"));
  clock.advance(1s);
  REQUIRE_ERRC(store.blob_reader("k"), Errc::not_found);
  REQUIRE(must(store.purge_expired()) == 1);
  REQUIRE(must(store.count()) == 0);
  REQUIRE(read_all(reader, 5000) == patterned(size));  // of its own snapshot

  BlobWriter dated =
      must(store.blob_writer("d", {.expires_at = TimePoint(clock.now() * 1ms + 5s)}));
  REQUIRE_OK(dated.write("x"));
  REQUIRE_OK(dated.finish());
  REQUIRE(must(store.ttl("d")) == 5s);
}

TEST_CASE("a blob reader is not disturbed by others", "[blob]") {
  const auto kind = GENERATE(StoreKind::wal, StoreKind::memory);
  const std::size_t size = GENERATE(100u, 300'000u);
  const TempDir dir;
  Store store = open_kind(kind, dir);
  const std::string value = patterned(size);
  REQUIRE_OK(store.put("k", value));
  BlobReader reader = must(store.blob_reader("k"));
  REQUIRE(read_part(reader, 0, size / 2) == value.substr(0, size / 2));
  REQUIRE_OK(store.put("k", patterned(size, 9)));
  REQUIRE(read_part(reader, size / 3, size) == value.substr(size / 3));
  REQUIRE(must(store.erase("k")));
  REQUIRE_OK(store.clear());
  REQUIRE(read_all(reader, 7777) == value);
  REQUIRE_ERRC(store.close(), Errc::busy);
  reader = BlobReader();
  REQUIRE_OK(store.close());
}
