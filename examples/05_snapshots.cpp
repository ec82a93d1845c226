// Snapshots: a view of the whole store that does not change while others write.
#include "expect.hpp"

#include <optional>

int main() {
  auto store = must(snkv::Store::open("snapshots.db"));
  auto log = must(store.column_family("log"));
  must(store.put("state", "before"));
  must(log.put("1", "started"));

  std::optional<snkv::Snapshot> snapshot = must(store.snapshot());

  must(store.put("state", "after"));
  must(store.drop_column_family("log"));

  // Everyone else sees the new state; the snapshot sees what was there when it was taken.
  expect(must(store.get("state")) == "after", "the latest commit");
  expect(must(snapshot->get("state")) == "before", "the snapshot");
  expect(must(must(snapshot->column_family("log")).get("1")) == "started",
         "a family dropped since");
  for (auto scan = snapshot->all(); auto [key, value] : scan) {
    std::cout << key << " was " << value << '\n';
  }

  // It cannot be written.
  auto family = must(snapshot->column_family("log"));
  auto written = family.put("2", "ended");
  expect(!written && written.error() == snkv::Errc::read_only, "a snapshot is read-only");

  // While it is open the write-ahead log cannot be recycled: keep snapshots short. The stats tell
  // how many there are and how old the oldest is. Handles made from a snapshot keep it open.
  expect(must(store.stats()).snapshots == 1, "one snapshot");
  family = snkv::ColumnFamily();
  snapshot.reset();
  expect(must(store.stats()).snapshots == 0, "none");
}
