// Transactions: several changes that happen together or not at all.
#include "expect.hpp"

#include <string>

namespace {

using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Transaction;
using snkv::Unexpected;

/// Moves money between two accounts, in whatever transaction the caller has open.
Result<void> move_money(Transaction& transaction, const char* from, const char* to, int amount) {
  auto source = transaction.get(from);
  if (!source) return Unexpected(source.error());
  auto target = transaction.get(to);
  if (!target) return Unexpected(target.error());

  const int rest = std::stoi(source->str()) - amount;
  if (rest < 0) return Unexpected(Error(Errc::aborted, "move_money", "not enough money"));
  auto taken = transaction.put(from, std::to_string(rest));
  if (!taken) return taken;
  return transaction.put(to, std::to_string(std::stoi(target->str()) + amount));
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("transactions.db"));
  must(store.put("alice", "100"));
  must(store.put("bob", "20"));

  // transact runs the function in a transaction: it commits when the function succeeds, and starts
  // the function anew when another process kept the store busy.
  must(store.transact([](Transaction& t) { return move_money(t, "alice", "bob", 30); }));
  expect(must(store.get("alice")) == "70" && must(store.get("bob")) == "50", "committed");

  // An error from the function rolls everything back, and comes out of transact.
  auto refused = store.transact([](Transaction& t) -> Result<void> {
    must(move_money(t, "alice", "bob", 10));
    return move_money(t, "alice", "bob", 1000);
  });
  expect(!refused && refused.error() == Errc::aborted, "refused");
  expect(must(store.get("alice")) == "70", "rolled back");

  // The same by hand. A transaction sees its own writes; nobody else does before the commit.
  Transaction transaction = must(store.begin());
  must(transaction.put("carol", "0"));
  expect(must(transaction.contains("carol")), "own writes are visible");
  expect(!must(store.contains("carol")), "to others they are not");

  // A savepoint undoes a part: here it is destroyed without release().
  {
    auto savepoint = must(transaction.savepoint());
    must(transaction.erase("bob"));
  }
  expect(must(transaction.contains("bob")), "the erase was undone");

  // While a transaction is open, its thread writes through it and not beside it.
  auto beside = store.put("dave", "0");
  expect(!beside && beside.error() == Errc::locked, "a write beside the transaction");

  must(transaction.commit());  // without this, its destructor rolls back
  for (auto scan = store.all(); auto [key, value] : scan)
    std::cout << key << " has " << value << '\n';
  expect(must(store.count()) == 3, "alice, bob and carol");
}
