// The journal of a write buffer: what is left by an owner that ended is found by the next, exactly
// once.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/encrypted.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

const WriteBufferOptions journaled{.max_age = 0ms, .journal = true};

/// Runs `body` with a store and a buffer in a child that ends without closing either.
void in_dying_child(const std::string& path,
                    const std::function<std::string(Store&, WriteBuffer&)>& body,
                    const WriteBufferOptions& options = journaled) {
  const std::string report = in_child([&]() -> std::string {
    auto store = open_store(path);
    if (!store) return store.error().message();
    auto buffer = WriteBuffer::open(*store, options);
    if (!buffer) return buffer.error().message();
    std::string said = body(*store, *buffer);
    // Here and now: nothing is flushed, nothing is closed.
    if (!said.empty()) return said;
    ::kill(::getpid(), SIGKILL);
    return "alive";
  });
  REQUIRE(report == " (the child died, status 9)");
}

std::string put_all(WriteBuffer& buffer, int from, int to, const std::string& value) {
  for (int i = from; i < to; ++i) {
    if (auto done = buffer.put("k" + std::to_string(i), value); !done)
      return done.error().message();
  }
  return {};
}

std::string tail_of(const std::string& path) { return path + "-buffer-default"; }

TEST_CASE("what a process acknowledged before it died is there for the next, once") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store& store, WriteBuffer& buffer) -> std::string {
    auto second = store.create_column_family("second");
    if (!second || !store.put("k0", "old") || !store.put("r5", "old")) return "store";
    if (std::string said = put_all(buffer, 0, 100, "v"); !said.empty()) return said;
    if (!buffer.erase("k7") || !buffer.erase_range("r0", "r9") || !buffer.increment("n", 5))
      return "erase";
    WriteBatch batch;
    batch.put("b", "1").in_family("second").put("x", "2", {.ttl = 1h});
    if (!buffer.write(batch)) return "batch";
    return {};
  });
  Store store = must(open_store(path));
  CHECK(must(store.get("k0")).view() == "old");
  CHECK(must(store.stats()).journals_waiting == 1);
  CHECK(must(store.verify()).journals_waiting == 1);
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(must(buffer.stats()).replayed == 105);
  CHECK(must(store.get("k0")).view() == "v");
  CHECK(must(store.count()) == 101);
  CHECK(must(store.get("n")).view() == "5");
  REQUIRE_ERRC(store.get("k7"), Errc::not_found);
  REQUIRE_ERRC(store.get("r5"), Errc::not_found);
  CHECK(must(must(store.open_column_family("second")).ttl("x")).has_value());
  CHECK(must(store.stats()).journals_waiting == 0);
  REQUIRE_OK(buffer.close());
  CHECK_FALSE(fs::exists(tail_of(path)));
  // Not a second time.
  REQUIRE_OK(store.put("n", "100"));
  WriteBuffer again = must(WriteBuffer::open(store, journaled));
  CHECK(must(again.stats()).replayed == 0);
  CHECK(must(store.get("n")).view() == "100");
}

TEST_CASE("a buffer without a journal replays one that waits, and takes it away") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) { return put_all(buffer, 0, 10, "v"); });
  Store store = must(open_store(path));
  {
    WriteBuffer buffer = must(WriteBuffer::open(store, {.max_age = 0ms}));
    CHECK(must(buffer.stats()).replayed == 10);
    CHECK(must(store.count()) == 10);
  }
  CHECK_FALSE(fs::exists(tail_of(path)));
  CHECK(must(store.stats()).journals_waiting == 0);
}

TEST_CASE("many writes become rows of the store's file, and are replayed from there") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) {
    return put_all(buffer, 0, 40'000, std::string(100, 'v'));
  });
  // Several rows of a mebibyte, and a tail that is not longer than one.
  if (!encrypting()) CHECK(fs::file_size(tail_of(path)) < (1u << 20) + 4096);
  Store store = must(open_store(path));
  CHECK(must(store.count()) == 0);
  if (!encrypting()) {
    auto rows =
        must(store.sql("SELECT count(*) FROM snkv_journal_default WHERE key > zeroblob(8)"));
    std::int64_t count = 0;
    for (const auto& row : rows) count = row[0].int64();
    CHECK(count >= 4);
    CHECK(count < 50);
  }
  {
    WriteBuffer buffer =
        must(WriteBuffer::open(store, {.flush_bytes = 100'000, .max_age = 0ms, .journal = true}));
    CHECK(must(buffer.stats()).replayed == 40'000);
    CHECK(must(store.count()) == 40'000);
  }
  REQUIRE_OK(store.verify());
}

TEST_CASE("flushes erase what they wrote from the journal") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store& store, WriteBuffer& buffer) -> std::string {
    if (std::string said = put_all(buffer, 0, 20'000, std::string(100, 'a')); !said.empty())
      return said;
    if (!buffer.flush()) return "flush";
    if (std::string said = put_all(buffer, 0, 10, "b"); !said.empty()) return said;
    // Written to the store after it was buffered; the replay comes later and wins, as the flush
    // would have.
    if (!store.put("k100", "direct")) return "direct";
    return {};
  });
  Store store = must(open_store(path));
  CHECK(must(store.count()) == 20'000);
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(must(buffer.stats()).replayed == 10);
  CHECK(must(store.get("k9")).view() == "b");
  CHECK(must(store.get("k10")).view() == std::string(100, 'a'));
  CHECK(must(store.get("k100")).view() == "direct");
}

TEST_CASE("entries of a family that was dropped meanwhile are not replayed") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store& store, WriteBuffer& buffer) -> std::string {
    auto doomed = store.create_column_family("doomed");
    if (!doomed || !buffer.family(*doomed).put("k", "v") || !buffer.put("l", "v")) return "put";
    return {};
  });
  Store store = must(open_store(path));
  REQUIRE_OK(store.drop_column_family("doomed"));
  must(store.create_column_family("doomed"));
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(must(store.contains("l")));
  CHECK(must(must(store.open_column_family("doomed")).count()) == 0);
}

TEST_CASE("a name has one owner among processes, for as long as that lives") {
  TempDir folder;
  const std::string path = folder.file("db");
  Store store = must(open_store(path));
  const std::string report = in_child([&]() -> std::string {
    auto own = open_store(path);
    if (!own) return own.error().message();
    auto buffer = WriteBuffer::open(*own, journaled);
    if (!buffer) return buffer.error().message();
    if (!buffer->put("k", "v")) return "put";
    // A grandchild by fork has no lock, and no other process gets one.
    const std::string inner = in_child([&]() -> std::string {
      auto third = open_store(path);
      if (!third) return third.error().message();
      auto refused = WriteBuffer::open(*third, journaled);
      if (refused) return "two owners";
      return refused.error() == Errc::busy ? "" : refused.error().message();
    });
    return inner;
  });
  CHECK(report.empty());
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(must(store.get("k")).view() == "v");
}

TEST_CASE("a tail of another store, or of another state, is refused and stays") {
  if (encrypting()) return;  // there are none
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) { return put_all(buffer, 0, 10, "v"); });
  {
    Store other = must(open_store(folder.file("other")));
    must(WriteBuffer::open(other, journaled));
    fs::copy_file(tail_of(path), tail_of(folder.file("other")));
    REQUIRE_ERROR(WriteBuffer::open(other, journaled), Errc::log_mismatch, "open write buffer");
    CHECK(fs::file_size(tail_of(folder.file("other"))) == fs::file_size(tail_of(path)));
    REQUIRE_OK(WriteBuffer::drop_journal(other));
    must(WriteBuffer::open(other, journaled));
    REQUIRE_ERRC(WriteBuffer::drop_journal(other, "nothing"), Errc::not_found);
  }
  fs::copy_file(tail_of(path), folder.file("kept"));
  Store store = must(open_store(path));
  must(WriteBuffer::open(store, journaled));
  fs::copy_file(folder.file("kept"), tail_of(path));  // from a time before the last opening
  REQUIRE_ERRC(WriteBuffer::open(store, journaled), Errc::log_mismatch);
}

TEST_CASE(
    "a damaged tail is told, wherever the damage is, and what is cut off at its end is no damage") {
  if (encrypting()) return;
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) { return put_all(buffer, 0, 10, "value"); });
  const std::uintmax_t size = fs::file_size(tail_of(path));
  std::string whole(size, '\0');
  std::ifstream(tail_of(path), std::ios::binary)
      .read(whole.data(), static_cast<std::streamsize>(size));
  const auto write_tail = [&](const std::string& bytes) {
    std::ofstream(tail_of(path), std::ios::binary | std::ios::trunc) << bytes;
  };
  for (std::size_t i = 0; i < size; ++i) {
    INFO("byte " << i);
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    write_tail(changed);
    Store store = must(open_store(path));
    auto opened = WriteBuffer::open(store, journaled);
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error() == Errc::corrupt);
    REQUIRE(opened.error().message().find("-buffer-default") != std::string::npos);
    REQUIRE(fs::file_size(tail_of(path)) == size);
    REQUIRE(must(store.count()) == 0);
  }
  write_tail(whole.substr(0, size - 3));
  Store store = must(open_store(path));
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(must(store.count()) == 9);
}

TEST_CASE("damaged rows are told") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) {
    return put_all(buffer, 0, 20'000, std::string(100, 'v'));
  });
  if (encrypting()) return;  // the seal tells
  // As SQL changes them: a value that is no records.
  const std::string command =
      "sqlite3 '" + path +
      "' \"UPDATE snkv_journal_default SET value = x'00112233', large_id = NULL, large_size "
      "= NULL WHERE key > zeroblob(8)\" 2>/dev/null";
  if (std::system(command.c_str()) != 0) return;
  Store store = must(open_store(path));
  REQUIRE_ERROR(WriteBuffer::open(store, journaled), Errc::corrupt, "open write buffer");
  REQUIRE_OK(WriteBuffer::drop_journal(store));
  must(WriteBuffer::open(store, journaled));
}

TEST_CASE(
    "writes that ask for it are on the disk when they return, and so is the flush that takes them "
    "over") {
  TempDir folder;
  Store store = must(open_store(folder.file("db"), {.sync = Sync::off}));
  WriteBuffer buffer =
      must(WriteBuffer::open(store, {.max_age = 0ms, .journal = true, .sync = Sync::full}));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.put("l", "v", {.sync = Sync::full}));
  REQUIRE_OK(buffer.flush());
  CHECK(must(store.count()) == 2);
}

TEST_CASE("the journal's file is as private as the store") {
  TempDir folder;
  const std::string path = folder.file("db");
  must(open_store(path));
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  Store store = must(open_store(path));
  WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
  CHECK(fs::status(tail_of(path)).permissions() == fs::status(path).permissions());
}

TEST_CASE("an encrypted store has nothing in clear beside it") {
  TempDir folder;
  const std::string path = folder.file("db");
  {
    Store store = must(Store::open_encrypted(path, test_secret()));
    WriteBuffer buffer = must(WriteBuffer::open(store, journaled));
    REQUIRE_OK(buffer.put("secret key", "a very recognisable value"));
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      INFO(entry.path());
      CHECK(bytes.find("a very recognisable value") == std::string::npos);
    }
  }
}

TEST_CASE("a backup has the journal's rows, and replays them on its own") {
  TempDir folder;
  const std::string path = folder.file("db");
  in_dying_child(path, [](Store&, WriteBuffer& buffer) {
    return put_all(buffer, 0, 40'000, std::string(100, 'v'));
  });
  Store store = must(open_store(path));
  REQUIRE_OK(store.backup(folder.file("copy")));
  Store copy = must(open_copy(folder.file("copy"), store));
  WriteBuffer buffer = must(WriteBuffer::open(copy, journaled));
  CHECK(must(copy.count()) > 20'000);
  CHECK(must(store.count()) == 0);
}

}  // namespace
