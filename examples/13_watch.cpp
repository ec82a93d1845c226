// What has changed: told as it happens, and asked for afterwards.
#include "expect.hpp"

#include <string>

namespace {

std::string describe(const snkv::Change& change) {
  using Kind = snkv::Change::Kind;
  const std::string where = change.family + "/" + change.key.str();
  switch (change.kind) {
    case Kind::put:
      return "put " + where;
    case Kind::erase:
      return "erase " + where;
    case Kind::range:
      return "range " + where;
    case Kind::clear:
      return "clear " + change.family;
  }
  return "";
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("watch.db", {.change_history = 1000}));
  auto orders = must(store.column_family("orders"));

  // Called after each commit, in the order of the commits, for the keys that begin with "user:".
  std::string seen;
  auto watch = must(store.watch("user:", [&](const snkv::Change& change) {
    std::cout << "commit " << change.sequence << ": " << describe(change) << '\n';
    seen += describe(change) + ";";
  }));
  must(store.put("user:1", "alice"));
  must(store.put("other", "not watched"));
  must(orders.put("user:1", "not watched: another family"));
  must(store.erase("user:1"));
  expect(seen == "put default/user:1;erase default/user:1;", "two changes");

  // A transaction that is rolled back has changed nothing. One that commits is one step.
  seen.clear();
  {
    auto transaction = must(store.begin());
    must(transaction.put("user:2", "bob"));
  }
  expect(seen.empty(), "rolled back");

  // Changes are kept for those who come later: from the number up to which they know everything.
  const auto known = must(store.sequence());
  must(store.transact([](snkv::Transaction& t) -> snkv::Result<void> {
    must(t.put("user:3", "carol"));
    return must(t.open_column_family("orders")).put("17", "for carol");
  }));
  watch.stop();
  must(orders.clear());
  std::string missed;
  for (const auto& change : must(store.changes_since(known))) {
    expect(change.sequence > known, "only what came after");
    missed += describe(change) + ";";
  }
  std::cout << "since commit " << known << ": " << missed << '\n';
  expect(missed == "put default/user:3;put orders/17;clear orders;", "three changes");
  expect(seen == "put default/user:3;", "the watch has seen its part of them");
}
