// M: the connection's mutex, how long memory is good, exceptions. M4 and M9's other half, running
// out of memory at every single allocation, need allocations that fail on request.
#include "core/store_state.hpp"
#include "core/write_path.hpp"
#include "core/write_session.hpp"
#include "fixture.hpp"

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <type_traits>

using namespace snkv;
using namespace snkv::contract;

TEST_CASE("a connection's mutex keeps other threads out, and may be taken twice", "[M1]") {
  const File file;
  Connection connection = file.open();
  std::atomic<bool> started{false};
  std::atomic<bool> inside{false};
  std::thread other;
  {
    const Lock lock(connection);
    const Lock again(connection);
    other = std::thread([&] {
      started = true;
      const Lock mine(connection);
      inside = true;
    });
    while (!started) std::this_thread::yield();
    // Long enough for it to come in if nothing stopped it; being slow can only hide a fault.
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK_FALSE(inside);
  }
  other.join();
  CHECK(inside);
}

TEST_CASE("under the mutex, seek and copy belong together", "[M1]") {
  const File file;
  Connection connection = file.open();
  Contents entries;
  for (int i = 0; i < 300; ++i) entries.emplace_back(numbered(i), patterned(100 + i, i));
  put_committed(connection, file.t, entries);
  std::atomic<int> wrong{0};
  {
    must_rc([&] {
      const Lock lock(connection);
      std::uint32_t cookie = 0;
      return snkv_bt_begin_read(lock.get(), &cookie);
    }());
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&, n] {
        for (int i = 0; i < 2000; ++i) {
          const auto& [key, value] = entries[static_cast<std::size_t>(i * 7 + n * 31) % 300];
          const Lock lock(connection);
          btree::Cursor cursor;
          int order = 1;
          Bytes scratch;
          core::Row row;
          if (cursor.open(lock.get(), file.t, SNKV_BT_ROWS, false) != ok ||
              snkv_bt_seek(cursor.get(), key.data(), size32(key.size()), &order) != ok ||
              order != 0 || core::read_row(cursor.get(), scratch, row) != ok ||
              !(row.value == BytesView(value))) {
            ++wrong;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const Lock lock(connection);
    snkv_bt_end_read(lock.get());
  }
  CHECK(wrong == 0);
}

TEST_CASE("what get returned survives later writes", "[M2]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  must(store.put("k", "first"));
  const Bytes value = must(store.get("k"));
  must(store.put("k", "other"));
  must(store.clear());
  CHECK(value == BytesView("first"));
}

TEST_CASE("an iterator's views in a transaction survive its writes", "[M2]") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  must(store.put("k1", "first value"));
  must(store.put("k2", "second value"));
  Transaction transaction = must(store.begin());
  Iterator it = transaction.iterator();
  it.seek_first();
  REQUIRE(it.valid());
  const Entry entry = it.entry();
  must(transaction.put("k1", "overwritten"));
  must(transaction.erase("k2"));
  for (int i = 0; i < 500; ++i) must(transaction.put(numbered(i), std::string(100, 'x')));
  must(transaction.clear());
  CHECK(entry.key == BytesView("k1"));
  CHECK(entry.value == BytesView("first value"));
}

TEST_CASE("after each move the payload is that of the new row", "[M3]") {
  const File file;
  Connection connection = file.open();
  Contents entries;
  // Sizes that differ from one row to the next, below and above what stays in the cell.
  for (int i = 0; i < 200; ++i) entries.emplace_back(numbered(i), patterned((i * 37) % 1500, i));
  put_committed(connection, file.t, entries);
  Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  const auto check = [&](const std::pair<std::string, std::string>& entry) {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    must_rc(snkv_bt_payload(cursor.get(), &data, &local, &size));
    const std::string wanted = row_of(entry.first, entry.second);
    REQUIRE(size == wanted.size());
    REQUIRE((BytesView(data, local) == BytesView(wanted.data(), local)));
    std::string whole(size, '\0');
    must_rc(snkv_bt_read(cursor.get(), 0, size, whole.data()));
    REQUIRE((whole == wanted));
  };
  REQUIRE(move(cursor, snkv_bt_first));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    check(entries[i]);
    REQUIRE(move(cursor, snkv_bt_next) == (i + 1 < entries.size()));
  }
  REQUIRE(move(cursor, snkv_bt_last));
  for (std::size_t i = entries.size(); i-- > 0;) {
    check(entries[i]);
    REQUIRE(move(cursor, snkv_bt_prev) == (i > 0));
  }
}

TEST_CASE("a cursor handle moves without moving the engine's cursor", "[M5]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<btree::Cursor>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<btree::Cursor>);
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", "2"}});
  Reading reading(connection);
  btree::Cursor cursor = cursor_on(connection, file.t);
  REQUIRE(seek(cursor, "a") == 0);
  snkv_bt_cursor* const before = cursor.get();
  CHECK(reinterpret_cast<std::uintptr_t>(before) % 8 == 0);
  btree::Cursor other = std::move(cursor);
  CHECK(other.get() == before);
  CHECK_FALSE(cursor.is_open());  // NOLINT: that it is empty is what we check
  CHECK(move(other, snkv_bt_next));
  CHECK(key_at(other) == "b");
}

TEST_CASE("a closed cursor's memory is used again, its position is not", "[M5]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  put_committed(connection, file.u, {{"z", "26"}});
  Reading reading(connection);
  {
    btree::Cursor cursor = cursor_on(connection, file.t);
    REQUIRE(seek(cursor, "a") == 0);
  }
  btree::Cursor cursor = cursor_on(connection, file.u);
  CHECK(snkv_bt_valid(cursor.get()) == 0);
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
  REQUIRE(move(cursor, snkv_bt_first));
  CHECK(key_at(cursor) == "z");
}

TEST_CASE("closing a connection closes its cursors, which stay safe to use", "[M6]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  btree::Cursor cursor;
  {
    const Lock lock(connection);
    std::uint32_t cookie = 0;
    must_rc(snkv_bt_begin_read(connection.get(), &cookie));
    cursor = cursor_on(connection, file.t);
    REQUIRE(seek(cursor, "a") == 0);
  }
  connection.close();
  CHECK(snkv_bt_is_dead(cursor.get()) != 0);
  CHECK(move_rc(cursor, snkv_bt_next) == moved);
  // No lock of it is left: changing the journal mode needs the file to itself.
  CHECK(sqlite_cli(file.path(), "PRAGMA journal_mode=DELETE") == "delete");
}

TEST_CASE("an iterator keeps the connections that it needs", "[M6]") {
  const TempDir dir;
  Iterator it;
  {
    Store store = must(Store::open(dir.file("a.db")));
    for (int i = 0; i < 100; ++i) must(store.put(numbered(i), "v"));
    it = store.iterator();
    it.seek_first();
    REQUIRE_ERROR(store.close(), Errc::busy, "close");
  }
  int met = 0;
  for (; it.valid(); it.next()) ++met;
  must(it.status());
  CHECK(met == 100);
}

TEST_CASE("an exception in a write does not pass through the engine", "[M7]") {
  const TempDir dir;
  core::StoreState store(dir.file("a.db"), false, {});
  REQUIRE_FALSE(store.open().failed());
  const core::Family family{"default", 1};
  const auto throws = [&](core::WriteSession& session) -> Error {
    const Error error = core::put_entry({"put", session, family}, {"k", "v", {}});
    if (error.failed()) return Error(error);
    throw std::bad_alloc();
  };
  const Error error = store.write("put", core::WriteOperation(throws));
  CHECK(error == Errc::no_memory);
  {
    const Lock lock(store.writer);
    CHECK(snkv_bt_in_write(store.writer.get()) == 0);
  }
  bool existed = true;
  const auto look = [&](core::WriteSession& session) {
    return core::erase_entry({"erase", session, family}, "k", existed);
  };
  CHECK_FALSE(store.write("erase", core::WriteOperation(look)).failed());
  CHECK_FALSE(existed);
}

TEST_CASE("counts that the engine did not write are zero", "[M8]") {
  const File file;
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}});
  Writing writing(connection);
  std::uint32_t frames = 77;
  std::uint32_t checkpointed = 77;
  // Refused inside a transaction, and then the engine reports -1.
  CHECK(snkv_bt_checkpoint(connection.get(), 0, &frames, &checkpointed) != ok);
  CHECK(frames == 0);
  CHECK(checkpointed == 0);
  std::uint64_t entries = 77;
  btree::Cursor empty = cursor_on(connection, file.u);
  must_rc(snkv_bt_count(empty.get(), &entries));
  CHECK(entries == 0);
}
