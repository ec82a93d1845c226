// Looking after a store: copies, checks, and space that is given back.
#include "expect.hpp"

#include <cstdint>
#include <string>

namespace {

void show(const char* what, const snkv::SpaceReport& space) {
  std::cout << what << ": file " << space.file_bytes / 1024 << " KB, of which unused "
            << space.free_bytes / 1024 << " KB, log " << space.wal_bytes / 1024 << " KB\n";
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("live.db"));
  auto transaction = must(store.begin());
  for (int i = 0; i < 5000; ++i) must(transaction.put(std::to_string(i), std::string(500, 'x')));
  must(transaction.commit());

  // A copy of one moment, made while others read and write. It appears when it is complete.
  std::uint64_t pages = 0;
  must(store.backup("copy.db", [&](std::uint64_t done, std::uint64_t) {
    pages = done;
    return true;  // false stops it
  }));
  std::cout << pages << " pages copied\n";
  const auto again = store.backup("copy.db");
  expect(!again && again.error() == snkv::Errc::exists, "a copy never replaces anything");

  // It is a store of its own. verify() reads everything and checks that it fits together.
  {
    const auto copy = must(snkv::Store::open("copy.db", {.read_only = true}));
    const auto report = must(copy.verify());
    std::cout << report.entries << " entries with " << report.bytes << " bytes are sound\n";
    expect(report.entries == 5000, "all are there");
  }

  // What is erased leaves unused pages, which later writes use again ...
  must(store.erase_prefix("4"));
  must(store.checkpoint(snkv::Checkpoint::truncate));
  const auto before = must(store.space());
  show("erased", before);
  expect(before.free_bytes > 0 && before.wal_bytes == 0, "unused pages, an empty log");

  // ... or which are given back: a few pages at a time, or all, or by writing everything anew.
  expect(must(store.vacuum(10)) == 10, "ten pages");
  must(store.vacuum());
  const auto vacuumed = must(store.space());
  show("vacuumed", vacuumed);
  must(store.compact());
  const auto compacted = must(store.space());
  show("compacted", compacted);
  expect(vacuumed.free_bytes == 0 && vacuumed.file_bytes < before.file_bytes, "vacuum");
  expect(compacted.file_bytes <= vacuumed.file_bytes, "compact");
  must(store.integrity_check());
}
