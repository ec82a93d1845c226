// Bad input to write buffers, and flushes that fail: an error that names it, and nothing
// acknowledged is lost.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include "btree/fault.h"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

const WriteBufferOptions quiet{.max_age = 0ms};

/// Before the first store is opened.
const bool faults_installed = snkv_fault_install() != 0;

/// What `on_error` was told.
class Told {
 public:
  std::function<void(const Error&)> function() {
    return [this](const Error& error) {
      const std::lock_guard lock(mutex_);
      errors_.push_back(error);
    };
  }
  [[nodiscard]] std::vector<Error> errors() const {
    const std::lock_guard lock(mutex_);
    return errors_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Error> errors_;
};

TEST_CASE("options out of range are refused") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  REQUIRE_ERROR(WriteBuffer::open(store, {.flush_bytes = 0}), Errc::invalid_argument,
                "open write buffer");
  REQUIRE_ERRC(WriteBuffer::open(store, {.max_age = -1ms}), Errc::invalid_argument);
  for (const std::string& name :
       {std::string(), std::string(65, 'a'), std::string("a/b"), std::string("a.b")}) {
    REQUIRE_ERRC(WriteBuffer::open(store, {.name = name}), Errc::invalid_argument);
  }
  Store memory = must(Store::open_in_memory());
  REQUIRE_ERRC(WriteBuffer::open(memory, {.journal = true}), Errc::invalid_argument);
  REQUIRE_ERRC(WriteBuffer::open(Store()), Errc::closed);
  WriteBuffer again = must(WriteBuffer::open(store, quiet));  // a refusal keeps no name
}

TEST_CASE("a store that is read-only has no buffer") {
  TempDir folder;
  must(Store::open(folder.file("db")));
  Store store = must(Store::open(folder.file("db"), {.read_only = true}));
  REQUIRE_ERROR(WriteBuffer::open(store), Errc::read_only, "open write buffer");
}

TEST_CASE("a name has one owner") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  Store other = must(Store::open(folder.file("db")));
  WriteBufferOptions options = quiet;
  options.journal = true;
  WriteBuffer buffer = must(WriteBuffer::open(store, options));
  REQUIRE_ERRC(WriteBuffer::open(store, options), Errc::busy);
  REQUIRE_ERRC(WriteBuffer::open(other, options), Errc::busy);
  REQUIRE_ERRC(WriteBuffer::drop_journal(other), Errc::busy);
  options.name = "second";
  WriteBuffer second = must(WriteBuffer::open(other, options));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.close());
  options.name = "default";
  WriteBuffer third = must(WriteBuffer::open(other, options));
  CHECK(must(third.get("k")).view() == "v");
}

TEST_CASE("a closed buffer says so, and its iterators go on") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.put("k", "v"));
  Iterator at = buffer.iterator();
  const ColumnFamily family = buffer.family(store.default_column_family());
  REQUIRE_OK(buffer.close());
  REQUIRE_ERROR(buffer.put("l", "v"), Errc::closed, "put");
  REQUIRE_ERROR(buffer.get("k"), Errc::closed, "get");
  REQUIRE_ERROR(family.contains("k"), Errc::closed, "contains");
  REQUIRE_ERROR(buffer.flush(), Errc::closed, "flush");
  REQUIRE_ERROR(buffer.close(), Errc::closed, "close");
  REQUIRE_ERRC(buffer.stats(), Errc::closed);
  REQUIRE_ERRC(buffer.count(), Errc::closed);
  auto range = buffer.all();
  for (auto [key, value] : range) FAIL("an entry " << key);
  REQUIRE_ERRC(range.status(), Errc::closed);
  at.seek_first();
  CHECK(at.valid());
  REQUIRE_ERRC(WriteBuffer().put("k", "v"), Errc::closed);
  REQUIRE_ERRC(WriteBuffer().flush(), Errc::closed);
}

TEST_CASE("what a buffer does not do is refused by name") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_ERROR(buffer.blob_writer("k"), Errc::invalid_argument, "blob_writer");
  REQUIRE_ERROR(buffer.blob_reader("k"), Errc::invalid_argument, "blob_reader");
  REQUIRE_ERROR(buffer.purge_expired(), Errc::invalid_argument, "purge_expired");
  REQUIRE_ERROR(buffer.family_stats(), Errc::invalid_argument, "family_stats");
  REQUIRE_ERROR(buffer.get_to_file("k", folder.file("out")), Errc::invalid_argument, "get_to_file");
  REQUIRE_ERRC(buffer.put("", "v"), Errc::invalid_argument);
  REQUIRE_ERRC(buffer.get(""), Errc::invalid_argument);
  REQUIRE_ERRC(buffer.put(std::string(max_key_size + 1, 'k'), "v"), Errc::too_large);
  Store other = must(Store::open(folder.file("other")));
  REQUIRE_ERRC(buffer.try_family(other.default_column_family()), Errc::invalid_argument);
  auto transaction = must(store.begin());
  REQUIRE_ERRC(buffer.try_family(must(transaction.column_family("default"))),
               Errc::invalid_argument);
  REQUIRE_ERRC(buffer.family(other.default_column_family()).get("k"), Errc::closed);
}

TEST_CASE("a flush that fails leaves everything buffered, and is told once to each side") {
  TempDir folder;
  Told told;
  Store store = must(Store::open(folder.file("db"), {.busy_timeout = 0ms}));
  WriteBufferOptions options = quiet;
  options.on_error = told.function();
  WriteBuffer buffer = must(WriteBuffer::open(store, options));
  REQUIRE_OK(buffer.put("k", "v"));
  {
    Store blocker = must(Store::open(folder.file("db")));
    auto transaction = must(blocker.begin());
    REQUIRE_ERROR(buffer.flush(), Errc::busy, "flush");
    CHECK(must(buffer.get("k")).view() == "v");
    CHECK(must(buffer.count()) == 1);
    CHECK(must(buffer.stats()).failed_flushes >= 1);
    CHECK(must(buffer.stats()).flushing);
    for (int i = 0; i < 5000 && told.errors().empty(); ++i) std::this_thread::sleep_for(1ms);
    REQUIRE_FALSE(told.errors().empty());
    CHECK(told.errors()[0] == Errc::busy);
    REQUIRE_ERROR(buffer.close(), Errc::busy, "close");
    REQUIRE_OK(transaction.rollback());
  }
  // What is told by a call was not carried out; after that the way is free.
  for (int i = 0; i < 100; ++i) {
    if (buffer.put("l", "v")) break;
  }
  for (int i = 0; i < 100; ++i) {
    if (buffer.flush()) break;
  }
  CHECK(must(store.count()) == 2);
  REQUIRE_OK(buffer.close());
}

TEST_CASE("a failure in the background is kept for the next call") {
  TempDir folder;
  Told told;
  Store store = must(Store::open(folder.file("db"), {.busy_timeout = 0ms}));
  WriteBuffer other = must(
      WriteBuffer::open(store, {.max_age = 1ms, .on_error = told.function(), .name = "other"}));
  Store blocker = must(Store::open(folder.file("db")));
  auto transaction = must(blocker.begin());
  REQUIRE_OK(other.put("k", "v"));
  for (int i = 0; i < 5000 && told.errors().empty(); ++i) std::this_thread::sleep_for(1ms);
  REQUIRE_FALSE(told.errors().empty());
  REQUIRE_ERROR(other.put("l", "v"), Errc::busy, "put");
  CHECK_FALSE(must(other.contains("l")));
  CHECK(must(other.contains("k")));
  REQUIRE_OK(transaction.rollback());
  for (int i = 0; i < 5000 && !must(store.contains("k")); ++i) std::this_thread::sleep_for(2ms);
  CHECK(must(store.contains("k")));
}

TEST_CASE("at the limit a write waits, or is refused, or tells why nothing can be flushed") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db"), {.busy_timeout = 0ms}));
  Store blocker = must(Store::open(folder.file("db")));
  for (const WhenFull when_full : {WhenFull::block, WhenFull::refuse}) {
    WriteBuffer buffer = must(
        WriteBuffer::open(store, {.flush_bytes = 10'000, .max_age = 0ms, .when_full = when_full}));
    auto transaction = must(blocker.begin());
    std::vector<std::string> acknowledged;
    Error refused;
    for (int i = 0; i < 1000 && !refused.failed(); ++i) {
      const std::string key = std::to_string(i);
      auto done = buffer.put(key, std::string(100, 'v'));
      if (done) {
        acknowledged.push_back(key);
      } else {
        refused = done.error();
      }
    }
    CHECK(refused == Errc::busy);
    CHECK(refused.operation() == "put");
    CHECK(must(buffer.stats()).memory <= 2 * 10'000);
    for (const std::string& key : acknowledged) CHECK(must(buffer.contains(key)));
    REQUIRE_OK(transaction.rollback());
    for (int i = 0; i < 1000; ++i) {
      if (buffer.close()) break;
      std::this_thread::sleep_for(1ms);
    }
    for (const std::string& key : acknowledged) CHECK(must(store.contains(key)));
    REQUIRE_OK(store.clear());
  }
}

TEST_CASE("a store that was moved away is told, and nothing is lost") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.flush());
  REQUIRE_OK(buffer.put("l", "v"));
  std::filesystem::rename(folder.file("db"), folder.file("elsewhere"));
  auto flushed = buffer.flush();
  if (!flushed) {
    CHECK(flushed.error() == Errc::moved);
    CHECK(must(buffer.get("l")).view() == "v");
  }
  std::filesystem::rename(folder.file("elsewhere"), folder.file("db"));
}

TEST_CASE("a full disk leaves everything buffered; room is all it needs") {
  REQUIRE(faults_installed);
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.put("k", std::string(100'000, 'v')));
  snkv_fault_arm(SNKV_FAULT_FULL, 1, 1);
  auto flushed = buffer.flush();
  snkv_fault_disarm();
  REQUIRE_FALSE(flushed);
  CHECK(must(buffer.get("k")).size() == 100'000);
  for (int i = 0; i < 100 && !buffer.flush(); ++i) {
  }
  CHECK(must(store.get("k")).size() == 100'000);
}

TEST_CASE("entries of a family that was dropped go away with it, and the rest is flushed") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  ColumnFamily doomed = must(store.create_column_family("doomed"));
  WriteBuffer buffer = must(WriteBuffer::open(store, quiet));
  REQUIRE_OK(buffer.family(doomed).put("k", "v"));
  REQUIRE_OK(buffer.put("k", "stays"));
  REQUIRE_OK(store.drop_column_family("doomed"));
  must(store.create_column_family("doomed"));
  REQUIRE_OK(buffer.flush());
  CHECK(must(store.get("k")).view() == "stays");
  CHECK(must(must(store.open_column_family("doomed")).count()) == 0);
  auto range = buffer.family(doomed).all();
  for (auto [key, value] : range) FAIL("an entry " << key);
  REQUIRE_ERRC(range.status(), Errc::dropped);
}

TEST_CASE("functions that the buffer calls cannot write to it") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db"), {.busy_timeout = 0ms}));
  WriteBuffer buffer;
  std::atomic<int> locked{0};
  buffer = must(WriteBuffer::open(store, {.max_age = 0ms, .on_error = [&](const Error&) {
                                            if (!buffer.put("x", "y")) locked.fetch_add(1);
                                            if (!buffer.flush()) locked.fetch_add(1);
                                            if (!buffer.close()) locked.fetch_add(1);
                                            if (buffer.get("k")) locked.fetch_add(1);
                                            throw 1;
                                          }}));
  REQUIRE_OK(buffer.put("k", "v"));
  REQUIRE_OK(buffer.merge("k", [&](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    auto inner = buffer.put("x", "y");
    if (inner || !(inner.error() == Errc::locked)) FAIL("a write in a merge");
    CHECK(must(buffer.get("k")).view() == "v");
    return std::optional<Bytes>(Bytes("merged"));
  }));
  REQUIRE_ERRC(
      buffer.merge("k", [](std::optional<BytesView>) -> Result<std::optional<Bytes>> { throw 1; }),
      Errc::aborted);
  {
    Store blocker = must(Store::open(folder.file("db")));
    auto transaction = must(blocker.begin());
    REQUIRE_ERRC(buffer.flush(), Errc::busy);
    for (int i = 0; i < 5000 && locked < 4; ++i) std::this_thread::sleep_for(1ms);
    CHECK(locked >= 4);
  }
  for (int i = 0; i < 100 && !buffer.close(); ++i) {
  }
  CHECK(must(store.get("k")).view() == "merged");
}

TEST_CASE("the last handle may go away in on_error") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db"), {.busy_timeout = 0ms}));
  auto handle = std::make_unique<WriteBuffer>();
  std::atomic<bool> gone{false};
  *handle = must(WriteBuffer::open(store, {.max_age = 1ms, .on_error = [&](const Error&) {
                                             if (handle != nullptr) handle.reset();
                                             gone = true;
                                           }}));
  {
    Store blocker = must(Store::open(folder.file("db")));
    auto transaction = must(blocker.begin());
    REQUIRE_OK(handle->put("k", "v"));
    for (int i = 0; i < 5000 && !gone; ++i) std::this_thread::sleep_for(1ms);
  }
  CHECK(gone);
  for (int i = 0; i < 5000 && !store.close(); ++i) std::this_thread::sleep_for(1ms);
  REQUIRE_ERRC(store.get("k"), Errc::closed);
}

TEST_CASE("in a forked child a buffer gives forked") {
  TempDir folder;
  Store store = must(Store::open(folder.file("db")));
  WriteBuffer buffer = must(WriteBuffer::open(store, {.max_age = 0ms, .journal = true}));
  REQUIRE_OK(buffer.put("k", "v"));
  const std::string report = in_child([&]() -> std::string {
    auto done = buffer.put("l", "v");
    if (done || !(done.error() == Errc::forked)) return "put";
    auto read = buffer.get("k");
    if (read || !(read.error() == Errc::forked)) return "get";
    buffer = WriteBuffer();
    return "";
  });
  CHECK(report.empty());
  REQUIRE_OK(buffer.put("m", "v"));
  REQUIRE_OK(buffer.close());
  CHECK(must(store.count()) == 2);
}

}  // namespace
