// Everything at once on one store and on several: threads x families x iterators x snapshots x
// transactions x checkpoints x expiry and purging x families created and dropped.
//
// What must hold in every view: the accounts of all families add up, because each transaction moves
// money; and each value names the family and key it was written for, so a row that turns up
// anywhere else is noticed.
#include "threads.hpp"

#include "support/encrypted.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <charconv>
#include <string>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 3> families = {"default", "checking", "savings"};
constexpr std::uint64_t accounts = 24;
constexpr std::int64_t opening_balance = 100;

std::string account(std::uint64_t number) { return "a" + std::to_string(number); }

/// "family/key=balance", padded now and then so that it goes to the side table.
std::string value_of(std::string_view family, std::string_view key, std::int64_t balance,
                     bool large = false) {
  std::string text(family);
  text += '/';
  text += key;
  text += '=';
  text += std::to_string(balance);
  if (large) text += ' ' + std::string(12'000, '.');
  return text;
}

/// The balance in such a value; complains when it is another key's.
std::int64_t balance_in(BytesView value, std::string_view family, std::string_view key,
                        Complaints& complaints) {
  const std::string head = value_of(family, key, 0).substr(0, family.size() + key.size() + 2);
  if (!value.view().starts_with(head)) {
    complaints.add(head + " holds " + std::string(value.view().substr(0, 40)));
    return 0;
  }
  std::int64_t balance = 0;
  const std::string_view digits = value.view().substr(head.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), balance);
  return balance;
}

void fill(Store& store) {
  for (const std::string_view name : families) {
    ColumnFamily family = must(store.column_family(name));
    for (std::uint64_t i = 0; i < accounts; ++i) {
      must(family.put(account(i), value_of(name, account(i), opening_balance)));
    }
  }
}

template <class Opened>
std::int64_t sum_of(Opened& opened, std::string_view name, bool backward, Complaints& complaints) {
  std::int64_t sum = 0;
  std::uint64_t seen = 0;
  auto scan = backward ? opened.prefix("a").reversed() : opened.prefix("a");
  for (auto [key, value] : scan) {
    sum += balance_in(value, name, key.view(), complaints);
    ++seen;
  }
  complaints.check(scan.status(), "scan");
  complaints.require(seen == accounts, "scan: not every account was there exactly once");
  return sum;
}

void require_total(std::int64_t sum, Complaints& complaints) {
  constexpr auto total = static_cast<std::int64_t>(families.size() * accounts) * opening_balance;
  if (sum != total) complaints.add("the balances add up to " + std::to_string(sum));
}

/// Moves money between two accounts of any families.
void transfer(Store& store, ThreadRandom& random, Complaints& complaints) {
  auto transaction = store.begin();
  if (!complaints.check(transaction, "begin")) return;
  const auto amount = static_cast<std::int64_t>(random.below(50));
  for (const std::int64_t delta : {amount, -amount}) {
    const std::string_view name = families[random.below(families.size())];
    const std::string key = account(random.below(accounts));
    auto family = transaction->open_column_family(name);
    if (!complaints.check(family, "family in a transaction")) return;
    auto value = family->get(key);
    if (!complaints.check(value, "get in a transaction")) return;
    const std::int64_t balance = balance_in(*value, name, key, complaints) + delta;
    const auto written = family->put(key, value_of(name, key, balance, random.percent(3)));
    if (!complaints.check(written, "put in a transaction")) return;
    if (random.percent(20)) {
      auto savepoint = transaction->savepoint();
      if (!complaints.check(savepoint, "savepoint")) return;
      complaints.check(family->put(key, "nonsense that is undone"), "put after a savepoint");
      if (random.percent(50)) complaints.check(savepoint->rollback(), "rollback to a savepoint");
    }
  }
  if (random.percent(15)) {
    complaints.check(transaction->rollback(), "rollback");
  } else if (random.percent(90)) {
    complaints.check(transaction->commit(), "commit");
  }  // Otherwise the destructor rolls back.
}

void audit(Store& store, ThreadRandom& random, Complaints& complaints) {
  auto snapshot = store.snapshot();
  if (!complaints.check(snapshot, "snapshot")) return;
  for (int pass = 0; pass < 2; ++pass) {
    std::int64_t sum = 0;
    for (const std::string_view name : families) {
      auto family = snapshot->column_family(name);
      if (!complaints.check(family, "family of a snapshot")) return;
      sum += sum_of(*family, name, random.percent(50), complaints);
    }
    require_total(sum, complaints);
    if (random.percent(70)) return;
    std::this_thread::yield();
  }
}

void read_some(Store& store, ThreadRandom& random, Complaints& complaints) {
  const std::string_view name = families[random.below(families.size())];
  auto family = store.open_column_family(name);
  if (!complaints.check(family, "open_column_family")) return;
  for (int i = 0; i < 20; ++i) {
    const std::string key = account(random.below(accounts));
    auto value = family->get(key);
    if (complaints.check(value, "get")) (void)balance_in(*value, name, key, complaints);
  }
  auto cursor = family->iterator();
  cursor.seek(account(random.below(accounts)));
  for (int i = 0; i < 10 && cursor.valid(); ++i) {
    if (cursor.key().starts_with("a")) {
      (void)balance_in(cursor.value(), name, cursor.key().view(), complaints);
    }
    if (random.percent(50)) {
      cursor.next();
    } else {
      cursor.prev();
    }
  }
  complaints.check(cursor.status(), "iterator");
}

/// Single writes next to the accounts, and erasing them again.
void scribble(Store& store, ThreadRandom& random, Complaints& complaints) {
  const std::string_view name = families[random.below(families.size())];
  auto family = store.open_column_family(name);
  if (!complaints.check(family, "open_column_family")) return;
  const std::string key = "z" + std::to_string(random.below(200));
  if (random.percent(60)) {
    complaints.check(family->put(key, value_of(name, key, 1, random.percent(5))), "put");
  } else {
    complaints.check(family->erase(key), "erase");
  }
}

/// Entries that expire in a moment, of which others are purged meanwhile.
void expire(Store& store, ThreadRandom& random, Complaints& complaints) {
  constexpr std::string_view name = "sessions";
  auto family = store.column_family(name);
  if (!complaints.check(family, "column_family")) return;
  for (int i = 0; i < 10; ++i) {
    const std::string key = "s" + std::to_string(random.below(100));
    const milliseconds ttl{1 + random.below(15)};
    if (random.percent(50)) {
      complaints.check(family->put(key, value_of(name, key, 1, random.percent(5)), {.ttl = ttl}),
                       "put with a ttl");
    } else if (random.percent(30)) {
      complaints.check(family->expire(key, ttl), "expire", {Errc::not_found});
    } else if (random.percent(30)) {
      complaints.check(family->persist(key), "persist", {Errc::not_found});
    } else if (auto value = family->get(key);
               complaints.check(value, "get", {Errc::not_found})) {
      (void)balance_in(*value, name, key, complaints);
    }
  }
  if (random.percent(30)) complaints.check(family->purge_expired(20), "purge_expired");
  if (random.percent(10)) complaints.check(store.purge_all_expired(), "purge_all_expired");
  if (random.percent(30)) {
    auto scan = family->all();
    for (auto [key, value] : scan) (void)balance_in(value, name, key.view(), complaints);
    complaints.check(scan.status(), "scan");
  }
}

/// Families that come and go; a handle must never reach another family's rows.
void churn(Store& store, ThreadRandom& random, Complaints& complaints) {
  const bool drop_during_scan = random.percent(50);
  const std::string name = "churn" + std::to_string(random.below(3));
  auto family = store.column_family(name);
  if (!complaints.check(family, "column_family")) return;
  const std::string key = "a0";
  for (int i = 0; i < 5; ++i) {
    if (!complaints.check(family->put(key, value_of(name, key, 1)), "put", {Errc::dropped})) return;
    auto value = family->get(key);
    // Another thread may have cleared or dropped it.
    if (complaints.check(value, "get", {Errc::dropped, Errc::not_found})) {
      (void)balance_in(*value, name, key, complaints);
    }
  }
  if (random.percent(30)) complaints.check(family->clear(), "clear", {Errc::dropped});
  const auto drop = [&] {
    complaints.check(store.drop_column_family(name), "drop_column_family", {Errc::not_found});
  };
  {
    auto scan = family->all();
    auto entry = scan.begin();
    if (drop_during_scan) drop();
    // The scan began before the drop and sees what there was.
    for (; entry != scan.end(); ++entry) {
      (void)balance_in((*entry).value, name, (*entry).key.view(), complaints);
    }
    complaints.check(scan.status(), "scan", {Errc::dropped});
  }
  if (!drop_during_scan && random.percent(50)) drop();
}

void maintain(Store& store, ThreadRandom& random, Complaints& complaints) {
  static constexpr std::array modes = {Checkpoint::passive, Checkpoint::full, Checkpoint::restart,
                                       Checkpoint::truncate};
  complaints.check(store.checkpoint(modes[random.below(modes.size())]), "checkpoint", {Errc::busy});
  if (random.percent(10)) complaints.check(store.vacuum(10), "vacuum", {Errc::busy});
  if (random.percent(10)) complaints.check(store.integrity_check(), "integrity_check");
  if (random.percent(20)) complaints.check(store.stats(), "stats");
  if (random.percent(20)) complaints.check(store.list_column_families(), "list_column_families");
  if (random.percent(5)) complaints.check(store.sync(), "sync");
  std::this_thread::sleep_for(milliseconds{random.below(20)});
}

using Work = void (*)(Store&, ThreadRandom&, Complaints&);
constexpr std::array<Work, 7> kinds = {transfer, audit, read_some, scribble, expire, churn, maintain};

void run_mixed(const std::vector<Store>& stores) {
  Complaints complaints;
  Threads threads;
  // Two threads of each kind, but one for maintenance; each with its own copy of the handle.
  for (std::size_t i = 0; i < 2 * kinds.size() - 1; ++i) {
    threads.loop([store = stores[i % stores.size()], work = kinds[i % kinds.size()],
                  &complaints](ThreadRandom& random) mutable { work(store, random, complaints); });
  }
  threads.run_for(test_duration(milliseconds{2000}), complaints);
  REQUIRE_NO(complaints);

  ThreadRandom random(1);
  for (Store store : stores) audit(store, random, complaints);
  REQUIRE_NO(complaints);
  Store first = stores.front();
  REQUIRE_OK(first.integrity_check());
}

Options patient() {
  Options options;
  // Threads queue, so nobody should come near this even under a sanitizer.
  options.busy_timeout = std::chrono::seconds{60};
  options.sync = Sync::off;
  options.wal_autocheckpoint = 100;
  options.housekeeping_interval = milliseconds{5};
  return options;
}

}  // namespace

TEST_CASE("all kinds of work on one store") {
  const TempDir folder;
  Store store = must(open_store(folder.file("mixed.db"), patient()));
  fill(store);
  run_mixed({store});
}

TEST_CASE("all kinds of work on one store in memory") {
  Store store = must(Store::open_in_memory(patient()));
  fill(store);
  run_mixed({store});
}

TEST_CASE("all kinds of work on three stores of one file") {
  const TempDir folder;
  std::vector<Store> stores;
  for (int i = 0; i < 3; ++i) {
    stores.push_back(must(open_store(folder.file("mixed.db"), patient())));
  }
  fill(stores.front());
  run_mixed(stores);
}

TEST_CASE("all kinds of work on a store with a tiny cache") {
  const TempDir folder;
  Options options = patient();
  options.cache_size = 16u << 10;
  options.page_size = 4096;
  options.wal_autocheckpoint = 10;
  Store store = must(open_store(folder.file("mixed.db"), options));
  fill(store);
  run_mixed({store});
}
