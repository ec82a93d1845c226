// K5, K7: the bytes of records, and where they lie.
#include "core/store_state.hpp"
#include "fixture.hpp"

#include <limits>

using namespace snkv;
using namespace snkv::contract;

namespace {

/// The record that the engine itself makes of these columns.
std::string engines_record(const File& file, Connection& connection, BytesView key,
                           const std::optional<std::int64_t>& expires_at,
                           const std::optional<BytesView>& value,
                           const std::optional<std::int64_t>& number) {
  Writing writing(connection);
  {
    Statement statement;
    must_rc(statement.prepare(connection, "INSERT INTO t VALUES(?1, ?2, ?3, ?4, ?4)"));
    must_rc(snkv_bt_bind_blob(statement.get(), 1, key.data(), size32(key.size())));
    if (expires_at) must_rc(snkv_bt_bind_int64(statement.get(), 2, *expires_at));
    if (value) {
      // An empty blob needs a pointer: NULL would be the value NULL.
      must_rc(snkv_bt_bind_blob(statement.get(), 3, value->empty() ? "" : value->view().data(),
                                size32(value->size())));
    }
    if (number) must_rc(snkv_bt_bind_int64(statement.get(), 4, *number));
    REQUIRE(statement.step() == SNKV_BT_DONE);
  }
  btree::Cursor cursor = cursor_on(connection, file.t);
  REQUIRE(move(cursor, snkv_bt_first));
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t size = 0;
  must_rc(snkv_bt_payload(cursor.get(), &data, &local, &size));
  std::string record(size, '\0');
  must_rc(snkv_bt_read(cursor.get(), 0, size, record.data()));
  return record;  // and the row is rolled back
}

constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("our records are byte for byte those of the engine", "[K5]") {
  const File file;
  Connection connection = file.open();
  std::vector<std::int64_t> integers = {0, 1, 2, -1, -2, smallest, largest, largest - 1};
  for (const int bits : {7, 15, 23, 31, 47}) {
    const std::int64_t edge = std::int64_t{1} << bits;
    for (const std::int64_t n : {edge - 1, edge, -edge, -edge - 1}) integers.push_back(n);
  }
  const auto check = [&](BytesView key, std::optional<std::int64_t> expires_at,
                         std::optional<BytesView> value, std::optional<std::int64_t> number) {
    const Column columns[] = {Column::of(key), Column::of(expires_at),
                              value ? Column::of(*value) : Column::null(), Column::of(number),
                              Column::of(number)};
    const std::string ours = record_of(columns);
    REQUIRE((ours == engines_record(file, connection, key, expires_at, value, number)));
    btree::ColumnExtent extents[5];
    REQUIRE(btree::parse_record(ours, size32(ours.size()), extents));
    const auto* bytes = reinterpret_cast<const std::byte*>(ours.data());
    CHECK((btree::decode_column(extents[0], bytes).bytes == key));
    CHECK(btree::decode_column(extents[1], bytes).integer == expires_at.value_or(0));
    CHECK(btree::decode_column(extents[3], bytes).integer == number.value_or(0));
  };
  for (const std::int64_t n : integers) {
    CAPTURE(n);
    check("key", n, "value", n);
    check("key", std::nullopt, std::nullopt, n);
  }
  // Where the varint of a length becomes longer: 12 + 2 * size at 2^7 and 2^14.
  for (const std::size_t size : {0, 1, 57, 58, 59, 8185, 8186, 8187, 70'000}) {
    CAPTURE(size);
    const std::string bytes = patterned(size);
    check("key", std::nullopt, bytes, std::nullopt);
    if (size > 0) check(bytes, 17, "v", std::nullopt);
  }
}

TEST_CASE("rows with fewer columns than the table are complete rows", "[K5]") {
  const std::string record = row_of("key", "value");
  btree::ColumnExtent extents[5];
  REQUIRE(btree::parse_record(record, size32(record.size()), extents));
  const auto* bytes = reinterpret_cast<const std::byte*>(record.data());
  CHECK(btree::decode_column(extents[2], bytes).bytes == BytesView("value"));
  CHECK(btree::decode_column(extents[3], bytes).type == Column::Type::null);
  CHECK(btree::decode_column(extents[4], bytes).type == Column::Type::null);
}

TEST_CASE("another program reads what we wrote", "[K5]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    for (std::size_t size : {0, 1, 57, 58, 1900, 2100, 8186, 40'000, 300'000}) {
      must(store.put("k" + std::to_string(size), std::string(size, 'v')));
      must(store.put(std::string(size + 1, 'K').substr(0, 60'000), "long key"));
    }
  }
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
  CHECK(sqlite_cli(path, "SELECT count(*) FROM \"default\"") == "18");
  CHECK(sqlite_cli(path, "SELECT length(value) FROM \"default\" WHERE key=CAST('k1900' AS BLOB)") ==
        "1900");
  CHECK(sqlite_cli(path, "SELECT large_size FROM \"default\" WHERE key=CAST('k300000' AS BLOB)") ==
        "300000");
  CHECK(sqlite_cli(path, "SELECT sum(length(data)) FROM snkv_large_1") ==
        std::to_string(2100 + 8186 + 40'000 + 300'000));
  CHECK(sqlite_cli(path, "SELECT DISTINCT typeof(key), typeof(expires_at) FROM \"default\"") ==
        "blob|null");
}

TEST_CASE("the limit of what stays in a cell is the engine's", "[K7]") {
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 16384u, 32768u, 65536u);
  CAPTURE(page_size);
  const File file(Log::journal, page_size);
  Connection connection = file.open();
  CHECK(snkv_bt_page_size(connection.get()) == page_size);
  const std::uint32_t limit = snkv_bt_max_local(connection.get());
  const Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.t, true);
  std::size_t value_size = limit - row_of("k", "").size();
  while (row_of("k", std::string(value_size, 'v')).size() > limit) --value_size;
  for (const std::uint32_t extra : {0u, 1u}) {
    const std::string value(value_size + extra, 'v');
    REQUIRE(row_of("k", value).size() == limit + extra);
    must_rc(put(cursor, "k", value));
    REQUIRE(seek(cursor, "k") == 0);
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    must_rc(snkv_bt_payload(cursor.get(), &data, &local, &size));
    CHECK(size == limit + extra);
    CHECK((local == size) == (extra == 0));
  }
}

TEST_CASE("a chunk of a large value fills its page and no more", "[K7]") {
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 65536u);
  CAPTURE(page_size);
  const File file(Log::journal, page_size);
  Connection connection = file.open();
  const Writing writing(connection);
  btree::Cursor cursor = cursor_on(connection, file.chunks, true, SNKV_BT_ROWID);
  const auto is_local = [&](std::uint32_t chunk_size) {
    const std::string chunk = patterned(chunk_size);
    const Column columns[] = {Column::null(), Column::of(BytesView(chunk))};
    const std::string record = record_of(columns);
    constexpr std::int64_t rowid = std::int64_t{1} << 62;  // the longest rowids count
    must_rc(snkv_bt_insert_rowid(cursor.get(), rowid, record.data(), size32(record.size())));
    int order = 1;
    must_rc(snkv_bt_seek_rowid(cursor.get(), rowid, &order));
    REQUIRE(order == 0);
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    must_rc(snkv_bt_payload(cursor.get(), &data, &local, &size));
    return local == size;
  };
  CHECK(is_local(snkv_bt_max_chunk(connection.get())));
  CHECK_FALSE(is_local(snkv_bt_max_chunk(connection.get()) + 8));
}

TEST_CASE("values that do not fit the cell go to the side table", "[K7]") {
  const TempDir dir;
  const core::Target target = open_target(dir.file("a.db"));
  const std::uint32_t limit = snkv_bt_max_local(target.store->writer.get());
  ColumnFamily entries(target);
  must(entries.put("small", std::string(limit - 20, 's')));
  CHECK(sqlite_cli(target.store->path, "SELECT count(*) FROM sqlite_schema WHERE name LIKE "
                                       "'snkv_large%'") == "0");
  must(entries.put("large", std::string(limit, 'l')));
  CHECK(sqlite_cli(target.store->path, "SELECT count(*) FROM snkv_large_1") == "1");
  CHECK(must(entries.get("small")) == BytesView(std::string(limit - 20, 's')));
  CHECK(must(entries.get("large")) == BytesView(std::string(limit, 'l')));
  must(entries.put("large", "small now"));
  CHECK(sqlite_cli(target.store->path, "SELECT count(*) FROM snkv_large_1") == "0");
}
