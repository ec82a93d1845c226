// M9: sizes in a damaged file are checked before anything is allocated or read by them. Pages are
// damaged by editing the file; each answer must be the truth or an error, and never a crash.
#include "fixture.hpp"

#include <random>

using namespace snkv;
using namespace snkv::contract;

namespace {

const std::string needle = "needle";
const std::string needle_value(20, 'v');

/// A file whose table `t` has three small rows, and where the record of the middle one starts. In
/// front of it is its size in one byte; it starts with its header: 4, key, expires_at, value.
struct Damaged {
  Damaged() : file(Log::journal) {
    Connection connection = file.open();
    put_committed(connection, file.t, {{"aaa", "1"}, {needle, needle_value}, {"zzz", "3"}});
    connection.close();
    record = read_file(file.path()).find(needle) - 4;
    REQUIRE(read_file(file.path()).substr(record - 1, 5) == std::string("\x1e\x04\x18\x00\x34", 5));
  }
  void write(int offset, const std::string& bytes) const {
    overwrite(file.path(), record + static_cast<std::uint64_t>(static_cast<std::int64_t>(offset)),
              bytes);
  }

  /// The result of reading the rows up to the needle.
  [[nodiscard]] int scan(std::string& value) const {
    Connection connection = file.open();
    Reading reading(connection);
    btree::Cursor cursor = cursor_on(connection, file.t);
    int valid = 0;
    int rc = snkv_bt_first(cursor.get(), &valid);
    if (rc == ok) rc = snkv_bt_next(cursor.get(), &valid);
    Bytes scratch;
    core::Row row;
    if (rc == ok && valid != 0) rc = core::read_row(cursor.get(), scratch, row);
    if (rc == ok && valid != 0) value = row.value.str();
    return rc;
  }

  File file;
  std::uint64_t record = 0;
};

}  // namespace

TEST_CASE("a payload size that no database can hold is corruption", "[M9]") {
  const Damaged damaged;
  // 2^32-1 as a varint of five bytes, and a size a little larger than the file.
  const std::string size = GENERATE(std::string("\x8f\xff\xff\xff\x7f", 5),
                                    std::string("\x81\x80\x80\x80\x00", 5));
  damaged.write(-1, size);
  std::string value;
  CHECK(damaged.scan(value) == corrupt);

  Connection connection = damaged.file.open();
  Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, damaged.file.t);
  REQUIRE(move(cursor, snkv_bt_first));
  REQUIRE(move(cursor, snkv_bt_next));
  const void* data = nullptr;
  std::uint32_t local = 0;
  std::uint32_t claimed = 0;
  CHECK(snkv_bt_payload(cursor.get(), &data, &local, &claimed) == corrupt);
}

TEST_CASE("a malformed record header is corruption", "[M9]") {
  struct Edit {
    int offset;
    char byte;
  };
  const auto edit = GENERATE(values<Edit>({
      {0, 0},       // a header that does not even contain its own size
      {0, 127},     // larger than the record
      {1, 126},     // a key that ends behind the record
      {1, 23},      // a key that is text
      {1, 0},       // no key
      {1, 6},       // an integer key
      {2, 6},       // an expiry that pushes the value over the end
      {3, 127},     // a value that ends behind the record
  }));
  CAPTURE(edit.offset, static_cast<int>(edit.byte));
  const Damaged damaged;
  damaged.write(edit.offset, std::string(1, edit.byte));
  std::string value;
  CHECK(damaged.scan(value) == corrupt);
}

TEST_CASE("a large serial type does not overflow the sum of the sizes", "[M9]") {
  // A header of nothing but the size of one field, in all widths up to nine bytes of 0xff.
  for (std::size_t width = 1; width <= 9; ++width) {
    const std::string header = std::string(1, static_cast<char>(1 + width)) +
                               std::string(width - 1, '\xff') + (width == 9 ? "\xff" : "\x7f");
    const std::string record = header + std::string(10, 'x');
    btree::ColumnExtent extents[5];
    CAPTURE(width);
    CHECK_FALSE(btree::parse_record(record, size32(record.size()), extents));
  }
}

TEST_CASE("whatever the parser accepts lies inside the record", "[M9]") {
  std::mt19937_64 random(20260101);
  for (int i = 0; i < 200'000; ++i) {
    std::string record(random() % 40, '\0');
    for (char& byte : record) byte = static_cast<char>(random());
    if (!record.empty() && random() % 4 != 0) record[0] = static_cast<char>(random() % 8);
    btree::ColumnExtent extents[5];
    if (!btree::parse_record(record, size32(record.size()), extents)) continue;
    for (const btree::ColumnExtent& extent : extents) {
      REQUIRE(std::uint64_t{extent.offset} + extent.size <= record.size());
      static_cast<void>(btree::decode_column(extent,
                                             reinterpret_cast<const std::byte*>(record.data())));
    }
  }
}

TEST_CASE("reading outside a record is refused", "[M9]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "value"}});
  Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  REQUIRE(seek(cursor, "a") == 0);
  const std::uint32_t size = size32(row_of("a", "value").size());
  std::string buffer(size, '\0');
  CHECK(snkv_bt_read(cursor.get(), 0, size, buffer.data()) == ok);
  CHECK(snkv_bt_read(cursor.get(), size, 0, buffer.data()) == ok);
  CHECK(snkv_bt_read(cursor.get(), 1, size, buffer.data()) == corrupt);
  CHECK(snkv_bt_read(cursor.get(), size + 1, 0, buffer.data()) == corrupt);
  CHECK(snkv_bt_read(cursor.get(), 0xffffffff, 2, buffer.data()) == corrupt);
}

TEST_CASE("a broken chain of overflow pages is corruption", "[M9]") {
  const File file(Log::journal);
  const std::string key(30'000, 'k');
  {
    Connection connection = file.open();
    put_committed(connection, file.t, {{key, "v"}});
  }
  // The chain's first page number stands behind the part of the record that is in its cell.
  const std::uint64_t end = std::uint64_t{file.t} * 4096;
  const std::string next =
      GENERATE(std::string("\x00\x00\x00\x00", 4), std::string("\x7f\xff\xff\xff", 4));
  overwrite(file.path(), end - 4, next);
  Connection connection = file.open();
  Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  REQUIRE(move(cursor, snkv_bt_first));
  Bytes scratch;
  core::Row row;
  CHECK(core::read_row(cursor.get(), scratch, row) == corrupt);
}

TEST_CASE("a large value that is not as its row says is corruption", "[M9]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string value = patterned(50'000);
  must(must(Store::open(path)).put("k", value));
  const std::string change = GENERATE("UPDATE \"default\" SET large_size=large_size+1",
                                      "UPDATE \"default\" SET large_size=2000000000",
                                      "UPDATE \"default\" SET large_size=9223372036854775807",
                                      "UPDATE \"default\" SET large_size=-1",
                                      "UPDATE \"default\" SET large_size=NULL",
                                      "UPDATE \"default\" SET large_size=100",
                                      "UPDATE \"default\" SET large_id=9223372036854775807",
                                      "UPDATE \"default\" SET large_id=-3",
                                      "UPDATE \"default\" SET large_id=7",
                                      "DELETE FROM snkv_large_1 WHERE id=(SELECT max(id) FROM "
                                      "snkv_large_1)",
                                      "UPDATE snkv_large_1 SET data=x''",
                                      "DROP TABLE snkv_large_1");
  CAPTURE(change);
  static_cast<void>(sqlite_cli(path, change));
  Store store = must(Store::open(path));
  REQUIRE_ERROR(store.get("k"), Errc::corrupt, "get");
  Range scan = store.all();
  for (auto [key, found] : scan) FAIL("an entry: " << key);
  REQUIRE_ERRC(scan.status(), Errc::corrupt);
  // The store as such is fine.
  must(store.put("other", "value"));
  CHECK(must(store.get("other")) == BytesView("value"));
}

TEST_CASE("damage anywhere in the pages never crashes the reader", "[M9]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path, {.journal = Journal::rollback, .page_size = 4096}));
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 120; ++i) {
      must(transaction.put(numbered(i), patterned(i % 30 == 0 ? 9000 : 60, i)));
    }
    must(transaction.commit());
  }
  const std::string sound = read_file(path);
  std::mt19937_64 random(42);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::string bytes = sound;
    for (std::uint64_t edits = 1 + random() % 12; edits > 0; --edits) {
      bytes[100 + random() % (bytes.size() - 100)] = static_cast<char>(random());
    }
    write_file(path, bytes);
    auto store = Store::open(path, {.journal = Journal::rollback});
    if (!store) continue;
    {
      // It ends before the writes below, which would wait for it.
      Range scan = store->all();
      int met = 0;
      for ([[maybe_unused]] auto [key, value] : scan) {
        // Links between pages can form a ring.
        if (++met > 10'000) break;
      }
    }
    for (int i = 0; i < 120; i += 7) static_cast<void>(store->get(numbered(i)));
    static_cast<void>(store->put(numbered(60), "new"));
    static_cast<void>(store->erase(numbered(30)));
    static_cast<void>(store->count());
  }
}
