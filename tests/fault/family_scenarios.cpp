// What works on many entries of a family, and what tells of changes.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <algorithm>

namespace snkv::test {
namespace {

using namespace std::chrono_literals;

const std::string small(60, 'f');
const std::string large = patterned(11'000, 81);

void erase_prefix(Run& run) {
  const auto erased = run.store.erase_prefix("large");
  const bool done = run.wrote(erased, [](Model& m) {
    std::erase_if(m["default"], [](const auto& entry) { return entry.first.starts_with("large"); });
  });
  if (done) run.expect(*erased == 2, "erase_prefix counts wrongly");
}

/// Entries that have expired, and those that will.
void erase_expiring(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  run.wrote(family->erase_range("s003", "s008"), [](Model& m) {
    auto& entries = m["sessions"];
    entries.erase(entries.lower_bound("s003"), entries.lower_bound("s008"));
  });
}

void erase_in_transaction(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("large3", large))) return;
  if (!run.ok(t->erase_prefix("key01")) || !run.ok(t->erase_range("large1", "large4"))) return;
  run.wrote(t->commit(), [](Model& m) {
    std::erase_if(m["default"], [](const auto& entry) {
      return entry.first.starts_with("key01") || entry.first.starts_with("large");
    });
  });
}

/// All but a few, by emptying the tree.
void erase_nearly_all(Run& run) {
  run.wrote(run.store.erase_range("k010", "k695"), [](Model& m) {
    auto& entries = m["default"];
    entries.erase(entries.lower_bound("k010"), entries.lower_bound("k695"));
  });
  run.wrote(run.store.put("k300", large), [](Model& m) { m["default"]["k300"] = {large}; });
}

// ---- Expiry ----

void purge(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  const auto some = family->purge_expired(2);
  if (run.ok(some)) run.expect(*some == 2, "purge_expired does not keep to its limit");
  run.ok(family->purge_expired());
}

void purge_in_transaction(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  auto family = t->open_column_family("sessions");
  if (!run.ok(family)) return;
  if (!run.ok(family->purge_expired()) || !run.ok(family->put("s001", small))) return;
  run.wrote(t->commit(), [](Model& m) { m["sessions"]["s001"] = {small}; });
}

void expire_at(Run& run) {
  const std::int64_t when = run.clock.now() + 4'000;
  run.wrote(run.store.expire_at("key030", TimePoint(std::chrono::milliseconds(when))),
            [&](Model& m) { m["default"]["key030"].expires_at = when; });
  run.wrote(run.store.expire("large1", 6s),
            [&](Model& m) { m["default"]["large1"].expires_at = run.clock.now() + 6'000; });
  run.wrote(run.store.persist("key030"),
            [](Model& m) { m["default"]["key030"].expires_at.reset(); });
}

void expire_in_transaction(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  if (!run.ok(t->expire("key030", 3s)) || !run.ok(t->expire("large1", 3s))) return;
  if (!run.ok(t->persist("large1")) || !run.ok(t->put("new", small, {.ttl = 2s}))) return;
  run.wrote(t->commit(), [&](Model& m) {
    m["default"]["key030"].expires_at = run.clock.now() + 3'000;
    m["default"]["new"] = {small, run.clock.now() + 2'000};
  });
}

void persist(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  run.wrote(family->persist("s008"), [](Model& m) { m["sessions"]["s008"].expires_at.reset(); });
  const auto gone = family->persist("s001");
  run.expect(!gone, "persist brought an expired entry back");
  run.ok(gone, Errc::not_found);
}

/// An expired entry counts as absent.
void revive(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  const auto inserted = family->put_if_absent("s002", large, {.ttl = 5s});
  if (run.wrote(inserted, [&](Model& m) {
        m["sessions"]["s002"] = {large, run.clock.now() + 5'000};
      })) {
    run.expect(*inserted, "put_if_absent found an expired entry");
  }
  const auto before = family->get_and_erase("s003");
  if (run.ok(before)) run.expect(!before->has_value(), "get_and_erase found an expired entry");
}

// ---- Read-modify-write ----

void merge_absent(Run& run) {
  const auto make = [](std::optional<BytesView> current) -> Result<std::optional<Bytes>> {
    return std::optional<Bytes>(std::in_place, current ? BytesView("wrong") : BytesView(large));
  };
  run.wrote(run.store.merge("merged", make, {.ttl = 5s}), [&](Model& m) {
    m["default"]["merged"] = {large, run.clock.now() + 5'000};
  });
}

void merge_erases(Run& run) {
  const auto erase = [](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    return std::optional<Bytes>();
  };
  run.wrote(run.store.merge("large1", erase), [](Model& m) { m["default"].erase("large1"); });
}

void merge_refuses(Run& run) {
  const auto refuse = [](std::optional<BytesView>) -> Result<std::optional<Bytes>> {
    return Unexpected(Error(Errc::exists, "merge", "no"));
  };
  const auto result = run.store.merge("large1", refuse);
  run.expect(!result, "a refusal was not handed on");
  run.ok(result, Errc::exists);
}

void merge_in_transaction(Run& run) {
  const auto grow = [](std::optional<BytesView> current) -> Result<std::optional<Bytes>> {
    Bytes longer;
    longer.resize_for_overwrite(current->size() + 1);
    std::copy(current->data(), current->data() + current->size(), longer.data());
    longer.data()[current->size()] = std::byte{'+'};
    return std::optional<Bytes>(std::move(longer));
  };
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->merge("large1", grow)) || !run.ok(t->merge("large1", grow))) return;
  if (!run.ok(t->fetch_add("counter", -1))) return;
  run.wrote(t->commit(), [](Model& m) {
    m["default"]["large1"].value += "++";
    m["default"]["counter"] = {"40"};
  });
}

/// Many families and many operations; the last of them is refused, or none.
void large_batch(Run& run) {
  WriteBatch batch;
  {
    const Paused paused;
    for (int i = 0; i < 40; ++i) batch.put(std::string(1, static_cast<char>('A' + i)), large);
    batch.erase_range("key010", "key020").in_family("users").erase("user001").put("u", large);
    batch.in_family("sessions").clear_family().put("s", small, {.ttl = 3s});
  }
  run.wrote(run.store.write(batch, {.sync = Sync::full}), [&](Model& m) {
    auto& entries = m["default"];
    for (int i = 0; i < 40; ++i) entries[std::string(1, static_cast<char>('A' + i))] = {large};
    entries.erase(entries.lower_bound("key010"), entries.lower_bound("key020"));
    m["users"].erase("user001");
    m["users"]["u"] = {large};
    m["sessions"] = {{"s", {small, run.clock.now() + 3'000}}};
  });
}

void batch_in_transaction(Run& run) {
  WriteBatch batch;
  {
    const Paused paused;
    batch.put("a", large).erase("large1").in_family("users").clear_family();
  }
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("b", small)) || !run.ok(t->write(batch))) return;
  run.wrote(t->commit(), [](Model& m) {
    m["default"]["a"] = {large};
    m["default"]["b"] = {small};
    m["default"].erase("large1");
    m["users"].clear();
  });
}

void batch_no_family(Run& run) {
  WriteBatch batch;
  {
    const Paused paused;
    batch.put("a", large).in_family("nowhere").put("b", small);
  }
  const auto result = run.store.write(batch);
  run.expect(!result, "a batch for a family that is not there was written");
  run.ok(result, Errc::not_found);
}

/// What the body says is what happens.
void transact_refused(Run& run) {
  const auto result = run.store.transact([](Transaction& t) -> Result<void> {
    if (auto put = t.put("a", large); !put) return put;
    return Unexpected(Error(Errc::exists, "body", "no"));
  });
  run.expect(!result, "a transaction was committed that its body refused");
  run.ok(result, Errc::exists);
}

/// Undone without being asked: what the savepoint was to undo must not be committed, even if
/// undoing it has failed.
void savepoint_let_go(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", small))) return;
  {
    auto savepoint = t->savepoint();
    if (!run.ok(savepoint)) return;
    run.ok(t->put("inside", large));
    run.ok(t->drop_column_family("users"));
  }
  run.wrote(t->commit(), [](Model& m) { m["default"]["before"] = {small}; });
}

// ---- The change feed ----

void keep_history(Run& run) {
  run.options.change_history = 100;
  run.open_before();
}

/// What was heard or read of changes, as far as it matters here. Fixed in size: it must not
/// allocate.
struct Heard {
  bool put = false, erase = false, range = false, counter = false, clear = false;
  std::uint64_t last = 0;

  void hear(Run& run, const Change& change) {
    run.expect(change.sequence >= last && change.sequence > 0, "changes come in the wrong order");
    last = change.sequence;
    put = put || (change.kind == Change::Kind::put && change.key == BytesView("new"));
    erase = erase || (change.kind == Change::Kind::erase && change.key == BytesView("key001"));
    range = range || (change.kind == Change::Kind::range || change.key == BytesView("key035"));
    counter = counter || (change.kind == Change::Kind::erase && change.key == BytesView("counter"));
    clear = clear || change.kind == Change::Kind::clear;
  }
};

/// Makes a change of each kind; those that were acknowledged must be told, and no other.
void changes(Run& run, Heard& told) {
  told.put =
      run.wrote(run.store.put("new", large), [](Model& m) { m["default"]["new"] = {large}; });
  told.erase = run.wrote(run.store.erase("key001"), [](Model& m) { m["default"].erase("key001"); });
  told.range = run.wrote(run.store.erase_range("key030", "key040"), [](Model& m) {
    auto& entries = m["default"];
    entries.erase(entries.lower_bound("key030"), entries.lower_bound("key040"));
  });
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  const bool inside = run.ok(t->put("inside", small));
  {
    auto savepoint = t->savepoint();
    if (!run.ok(savepoint)) return;
    run.ok(t->clear());
    run.ok(savepoint->rollback());
  }
  const bool erased = run.ok(t->erase("counter"));
  const bool committed = run.wrote(t->commit(), [&](Model& m) {
    if (inside) m["default"]["inside"] = {small};
    if (erased) m["default"].erase("counter");
  });
  told.counter = committed && erased;
}

void compare(Run& run, const Heard& heard, const Heard& told) {
  run.expect(heard.put == told.put, "the feed is wrong about a put");
  run.expect(heard.erase == told.erase, "the feed is wrong about an erase");
  run.expect(heard.range == told.range, "the feed is wrong about a range");
  run.expect(heard.counter == told.counter, "the feed is wrong about a transaction");
  run.expect(!heard.clear, "the feed tells what a savepoint undid");
}

void watch(Run& run) {
  Heard heard, told;
  struct Context {
    Run& run;
    Heard& heard;
  } context{run, heard};
  auto watching = run.store.watch(
      "", [&context](const Change& change) { context.heard.hear(context.run, change); });
  const bool listening = run.ok(watching);
  changes(run, told);
  if (listening) compare(run, heard, told);
}

void changes_since(Run& run) {
  Heard heard, told;
  changes(run, told);
  const auto all = run.store.changes_since(0);
  if (!run.ok(all)) return;
  for (const Change& change : *all) heard.hear(run, change);
  compare(run, heard, told);
}

}  // namespace

std::vector<Scenario> family_scenarios() {
  return {
      {"erase_prefix", "wal", erase_prefix},
      {"erase_prefix_rollback", "rollback", erase_prefix},
      {"erase_range_expiring", "wal", erase_expiring},
      {"erase_range_in_transaction", "wal", erase_in_transaction},
      {"erase_range_rollback", "rollback", erase_in_transaction},
      {"erase_range_and_put", "many", erase_nearly_all},
      {"purge_limited", "wal", purge},
      {"purge_limited_rollback", "rollback", purge},
      {"purge_in_transaction", "wal", purge_in_transaction},
      {"purge_memory", "memory", purge},
      {"expire_at", "wal", expire_at},
      {"expire_at_rollback", "rollback", expire_at},
      {"expire_in_transaction", "wal", expire_in_transaction},
      {"persist", "wal", persist},
      {"revive", "wal", revive},
      {"merge_absent", "wal", merge_absent},
      {"merge_erases", "wal", merge_erases},
      {"merge_refuses", "wal", merge_refuses},
      {"merge_in_transaction", "wal", merge_in_transaction},
      {"batch_large", "wal", large_batch},
      {"batch_large_rollback", "rollback", large_batch},
      {"batch_in_transaction", "wal", batch_in_transaction},
      {"batch_no_family", "wal", batch_no_family},
      {"transact_refused", "wal", transact_refused},
      {"savepoint_let_go", "wal", savepoint_let_go},
      {"savepoint_let_go_rollback", "rollback", savepoint_let_go},
      {"savepoint_let_go_memory", "memory", savepoint_let_go},
      {"watch", "wal", watch},
      {"watch_rollback", "rollback", watch},
      {"changes_since", "wal", changes_since, false, keep_history},
  };
}

}  // namespace snkv::test
