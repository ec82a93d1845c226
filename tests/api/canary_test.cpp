// No plaintext on the disk, at any moment: after every step each file of the folder is searched for
// values and for the password.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

const std::string canary = "CANARY-0123456789-abcdefghijklmn";
const std::string password = "PASSWORD-canary-9876543210-ZYXWV";
constexpr EncryptionOptions cheap{.opslimit = 2, .memlimit = 19u << 20};

Secret secret() { return Secret::password(password); }

/// Names of files in which one of them is found. Run in a child: reading a file of an open store drops
/// the locks of the process.
std::string found_in(const TempDir& dir) {
  return in_child([&] {
    std::string names;
    for (const std::string& name : files_in(dir.path())) {
      const std::string bytes = read_file(dir.file(name));
      for (const std::string& secret_text : {canary, password}) {
        if (bytes.find(secret_text) != std::string::npos) names += name + " ";
      }
    }
    return names;
  });
}

/// Values of all sizes, each full of canaries.
std::string full(std::size_t size) {
  std::string value;
  while (value.size() < size) value += canary;
  return value;
}

template <class Step>
void step(const TempDir& dir, const char* name, Step&& run) {
  INFO(name);
  run();
  CHECK(found_in(dir) == "");
}

}  // namespace

TEST_CASE("the search finds what is written without encryption") {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db")));
  must(store.put("key", canary));
  CHECK(found_in(dir) != "");
}

TEST_CASE("no value and no password is ever in a file of an encrypted store") {
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  CAPTURE(static_cast<int>(journal));
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const Options options{.journal = journal, .page_size = 4096, .cache_size = 64u << 10,
                        .expire_snapshots = false, .change_history = 100};
  {
    Store store = must(Store::open_encrypted(path, secret(), options, cheap));
    step(dir, "put", [&] {
      must(store.put("small", canary));
      must(store.put("row", full(900)));
      must(store.put("large", full(50'000)));
      must(store.put("ttl", canary, {.ttl = 1h}));
    });
    step(dir, "update", [&] {
      must(store.put("small", canary + canary));
      must(store.put("large", full(60'000)));
      must(store.expire("large", 1h));
      must(store.put_if_absent("absent", canary));
      must(store.compare_and_swap("absent", BytesView(canary), BytesView(canary + "2")));
    });
    step(dir, "a transaction that outgrows the cache", [&] {
      auto transaction = must(store.begin());
      for (int i = 0; i < 300; ++i) must(transaction.put("t" + std::to_string(i), full(500)));
      CHECK(found_in(dir) == "");
      must(transaction.commit());
    });
    step(dir, "a transaction that is rolled back", [&] {
      auto transaction = must(store.begin());
      for (int i = 0; i < 300; ++i) must(transaction.put("t" + std::to_string(i), full(600)));
      CHECK(found_in(dir) == "");
      must(transaction.rollback());
    });
    step(dir, "a batch", [&] {
      WriteBatch batch;
      for (int i = 0; i < 50; ++i) batch.put("b" + std::to_string(i), canary);
      must(store.write(batch));
    });
    step(dir, "a value in pieces", [&] {
      auto writer = must(store.blob_writer("pieces"));
      for (int i = 0; i < 20; ++i) {
        must(writer.write(full(1000)));
        if (i == 10) CHECK(found_in(dir) == "");
      }
      must(writer.finish());
    });
    step(dir, "one that is given up", [&] {
      auto writer = must(store.blob_writer("given up"));
      must(writer.write(full(20'000)));
    });
    step(dir, "erasing", [&] {
      must(store.erase("row"));
      must(store.erase_prefix("t"));
    });
    step(dir, "checkpoint", [&] { must(store.checkpoint(Checkpoint::truncate)); });
    step(dir, "vacuum", [&] { must(store.vacuum()); });
    step(dir, "compact", [&] { must(store.compact()); });
    step(dir, "backup", [&] { must(store.backup(dir.file("copy.db"))); });
    step(dir, "compact backup",
         [&] { must(store.backup(dir.file("copy2.db"), {.compact = true})); });
    step(dir, "rotate", [&] { must(store.rotate_key(secret())); });
    step(dir, "verify", [&] { must(store.verify()); });
    step(dir, "change the password", [&] {
      must(store.change_password(secret(), Secret::password(password + "2"), cheap));
      must(store.change_password(Secret::password(password + "2"), secret(), cheap));
    });
  }
  step(dir, "close", [] {});
  step(dir, "a crash", [&] {
    const std::string report = in_child([&] {
      auto store = Store::open_encrypted(path, secret(), options);
      if (!store) return store.error().message();
      auto transaction = store->begin();
      for (int i = 0; i < 300; ++i) {
        if (!transaction->put("c" + std::to_string(i), full(500))) return std::string("put");
      }
      ::_exit(0);
    });
    CHECK(report == "");
  });
  step(dir, "what comes after a crash", [&] {
    const Store store = must(Store::open_encrypted(path, secret(), options));
    CHECK(must(store.get("small")) == BytesView(canary + canary));
    must(store.verify());
  });
}

TEST_CASE("encrypting a store leaves no value in any file") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    for (int i = 0; i < 200; ++i) must(store.put("key" + std::to_string(i), full(300)));
    must(store.put("large", full(100'000)));
    must(store.erase_prefix("key1"));  // and in unused pages
  }
  write_file(dir.file("a.db-vectors-1"), canary);
  CHECK(found_in(dir) != "");
  std::ifstream before(path, std::ios::binary);  // who has it open keeps it
  bool seen = false;
  must(Store::encrypt_existing(path, secret(), [&](auto, auto) { return seen = true; }, cheap));
  CHECK(seen);
  CHECK(found_in(dir) == "");
  CHECK(files_in(dir.path()) == std::vector<std::string>{"a.db"});
  {
    // The old file has no name any more, and nothing in it.
    const std::string bytes((std::istreambuf_iterator<char>(before)), std::istreambuf_iterator<char>());
    CHECK(bytes.size() > 100'000);
    CHECK(bytes.find_first_not_of('\0') == std::string::npos);
    before.close();
  }
  const Store store = must(Store::open_encrypted(path, secret()));
  CHECK(must(store.get("large")) == BytesView(full(100'000)));
  CHECK(found_in(dir) == "");
}
