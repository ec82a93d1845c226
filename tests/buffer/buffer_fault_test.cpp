// Every call of the engine to the system, and every allocation of it, fails once in turn, while a
// buffer is written to, flushed and closed. Whatever fails: what was acknowledged is there, before
// and after the fault is gone, and what was refused is not.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include "btree/fault.h"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

/// Before the first store is opened.
const bool faults_installed = snkv_fault_install() != 0;

/// The value of a key; none: it is not there.
using Known = std::map<std::string, std::optional<std::string>>;

void compare(const EntryReader& reader, const Known& known) {
  for (const auto& [key, value] : known) {
    INFO(key);
    const auto got = reader.get(key);
    if (!value) {
      REQUIRE_ERRC(got, Errc::not_found);
    } else {
      REQUIRE(must(got).view() == *value);
    }
  }
}

/// True if the fault was delivered.
bool run(snkv_fault_kind kind, std::uint64_t nth, bool persistent, bool journal) {
  TempDir folder;
  Known known;
  bool delivered = false;
  {
    Store store = must(Store::open(
        folder.file("db"),
        {.busy_timeout = 0ms, .wal_autocheckpoint = 4, .background_checkpoints = false}));
    WriteBuffer buffer = must(WriteBuffer::open(
        store, {.flush_bytes = 20'000, .max_age = 0ms, .journal = journal, .sync = Sync::full}));
    const auto put = [&](const std::string& key, const std::string& value) {
      if (buffer.put(key, value)) known[key] = value;
    };
    for (int i = 0; i < 20; ++i) put("k" + std::to_string(i), "before");
    REQUIRE_OK(buffer.flush());
    snkv_fault_arm(kind, nth, persistent ? 1 : 0);
    for (int i = 10; i < 40; ++i) put("k" + std::to_string(i), "during");
    if (buffer.erase_range("k0", "k1")) known["k0"].reset();
    put("large", std::string(15'000, 'x'));
    static_cast<void>(buffer.flush());
    if (buffer.erase("k12")) known["k12"].reset();
    WriteBatch batch;
    batch.put("b1", "1").put("b2", "2");
    const bool written = static_cast<bool>(buffer.write(batch));
    known["b1"] = written ? std::optional<std::string>("1") : std::nullopt;
    known["b2"] = written ? std::optional<std::string>("2") : std::nullopt;
    static_cast<void>(buffer.flush());
    put("through", std::string(30'000, 'y'));
    delivered = snkv_fault_delivered() > 0;
    snkv_fault_disarm();
    compare(buffer, known);
    bool closed = false;
    for (int i = 0; i < 20 && !closed; ++i) closed = static_cast<bool>(buffer.close());
    REQUIRE(closed);
    compare(store, known);
  }
  Store store = must(Store::open(folder.file("db")));
  compare(store, known);
  REQUIRE(must(store.verify()).journals_waiting == 0);
  return delivered;
}

void sweep(bool journal) {
  REQUIRE(faults_installed);
  struct Kind {
    snkv_fault_kind kind;
    const char* name;
  };
  for (const Kind kind : {Kind{SNKV_FAULT_IO, "io"}, Kind{SNKV_FAULT_FULL, "full"},
                          Kind{SNKV_FAULT_SYNC, "sync"}, Kind{SNKV_FAULT_SHM, "shm"},
                          Kind{SNKV_FAULT_BUSY, "busy"}, Kind{SNKV_FAULT_MALLOC, "malloc"}}) {
    for (const bool persistent : {false, true}) {
      std::uint64_t runs = 0;
      // Densely at first, and with growing steps after that.
      for (std::uint64_t nth = 1; nth < 5000; nth += 1 + nth / 12) {
        INFO(kind.name << " number " << nth << (persistent ? ", and all after it" : ""));
        if (!run(kind.kind, nth, persistent, journal)) break;
        ++runs;
      }
      INFO(kind.name);
      CHECK(runs > 0);
    }
  }
}

TEST_CASE("nothing acknowledged is lost, whatever fails, without a journal") { sweep(false); }
TEST_CASE("nothing acknowledged is lost, whatever fails, with a journal") { sweep(true); }

}  // namespace
