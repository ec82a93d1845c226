// Transactions and savepoints.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <array>
#include <thread>

namespace snkv::test {
namespace {

const std::string small(50, 't');
const std::string large = patterned(16'000, 5);
// More than the page cache holds, so that pages are written before the commit.
constexpr std::array<const char*, 14> many = {"t00", "t01", "t02", "t03", "t04", "t05", "t06",
                                              "t07", "t08", "t09", "t10", "t11", "t12", "t13"};

void commit(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  for (const char* key : many) {
    if (!run.ok(t->put(key, large))) return;
  }
  if (!run.ok(t->erase("key001"))) return;
  run.wrote(t->commit(), [](Model& m) {
    for (const char* key : many) m["default"][key] = {large};
    m["default"].erase("key001");
  });
}

void roll_back(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  for (const char* key : many) {
    if (!run.ok(t->put(key, large))) break;
  }
  // What a failed rollback leaves behind the next commit would find.
  run.ok(t->rollback());
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

void let_go(Run& run) {
  {
    auto t = run.store.begin();
    if (!run.ok(t) || !run.ok(t->clear()) || !run.ok(t->put("a", large))) return;
  }
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

/// Goes on after a failed write, as long as the transaction lets it: what was acknowledged must be
/// committed, what failed must not.
void go_on(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  std::array<bool, many.size()> done{};
  for (std::size_t i = 0; i < many.size(); ++i) {
    done[i] = run.ok(t->put(many[i], i % 2 == 0 ? large : small));
  }
  run.wrote(t->commit(), [&](Model& m) {
    for (std::size_t i = 0; i < many.size(); ++i) {
      if (done[i]) m["default"][many[i]] = {i % 2 == 0 ? large : small};
    }
  });
}

/// The part before the savepoint survives a failure after it.
void savepoint_saves(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", large))) return;
  bool inner = false;
  bool whole = true;
  {
    auto savepoint = t->savepoint();
    if (run.ok(savepoint)) {
      inner = run.ok(t->put("key001", large)) && run.ok(t->erase("large1"));
      if (inner) {
        inner = run.ok(savepoint->release());
        if (!inner) whole = run.ok(savepoint->rollback());
      } else {
        whole = run.ok(savepoint->rollback());
      }
    }
  }
  if (!whole) return;  // rolled back with the transaction
  run.wrote(t->commit(), [&](Model& m) {
    m["default"]["before"] = {large};
    if (!inner) return;
    m["default"]["key001"] = {large};
    m["default"].erase("large1");
  });
}

void savepoints_nested(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  auto outer = t->savepoint();
  if (!run.ok(outer) || !run.ok(t->put("a", small))) return;
  auto inner = t->savepoint();
  if (!run.ok(inner) || !run.ok(t->put("b", large)) || !run.ok(t->put("large1", small))) return;
  if (!run.ok(inner->rollback()) || !run.ok(t->put("c", small))) return;
  if (!run.ok(inner->release()) || !run.ok(outer->release())) return;
  run.wrote(t->commit(), [](Model& m) {
    m["default"]["a"] = {small};
    m["default"]["c"] = {small};
  });
}

void families(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  auto family = t->create_column_family("inside");
  if (!run.ok(family) || !run.ok(family->put("a", large))) return;
  if (!run.ok(t->drop_column_family("users"))) return;
  run.wrote(t->commit(), [](Model& m) {
    m["inside"]["a"] = {large};
    m.erase("users");
  });
}

void families_rolled_back(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->drop_column_family("users"))) return;
  if (!run.ok(t->create_column_family("inside"))) return;
  run.ok(t->rollback());
  auto users = run.store.open_column_family("users");
  if (!run.ok(users)) return;
  run.wrote(users->put("u", small), [](Model& m) { m["users"]["u"] = {small}; });
}

/// A savepoint made after a failure must not become a way around the rollback, whichever way the engine
/// took to lose the transaction.
void savepoint_after_failure(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", small))) return;
  auto family = t->create_column_family("inside");
  const bool created = run.ok(family);
  const bool put = run.ok(t->put("key001", large));
  {
    auto savepoint = t->savepoint();
    if (run.ok(savepoint)) {
      run.ok(t->erase("key002"));
      run.ok(savepoint->rollback());
    }
  }
  run.wrote(t->commit(), [&](Model& m) {
    m["default"]["before"] = {small};
    if (created) m["inside"];
    if (put) m["default"]["key001"] = {large};
  });
}

/// The savepoint was made before a schema change that may fail.
void savepoint_families(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t) || !run.ok(t->put("before", small))) return;
  auto savepoint = t->savepoint();
  if (!run.ok(savepoint)) return;
  run.ok(t->drop_column_family("users"));
  run.ok(t->create_column_family("inside"));
  if (!run.ok(savepoint->rollback())) return;
  run.wrote(t->commit(), [](Model& m) { m["default"]["before"] = {small}; });
}

/// Reads its own writes, with an iterator that loses its place again and again.
void iterate(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  std::size_t changed = 0;
  auto it = t->iterator();
  for (it.seek("key000"); it.valid() && changed < 12; it.next(), ++changed) {
    if (!run.ok(t->put(many[changed], small)) || !run.ok(t->erase(it.key()))) return;
  }
  if (!run.ok(it.status())) return;
  run.expect(changed == 12, "the iterator ended early and told nobody");
  it = Iterator();
  run.wrote(t->commit(), [](Model& m) {
    auto& entries = m["default"];
    for (std::size_t i = 0; i < 12; ++i) {
      entries[many[i]] = {small};
      entries.erase(entries.lower_bound("key"));
    }
  });
}

void transact(Run& run) {
  const auto result = run.store.transact([](Transaction& t) -> Result<void> {
    if (auto put = t.put("a", small); !put) return put;
    auto sum = t.increment("counter");
    if (!sum) return Unexpected(std::move(sum).error());
    return {};
  });
  run.wrote(result, [](Model& m) {
    m["default"]["a"] = {small};
    m["default"]["counter"] = {"42"};
  });
}

/// Two writers wait behind a transaction; one then commits for both. Each must get its own result.
void group_commit(Run& run) {
  auto t = run.store.begin();
  if (!run.ok(t)) return;
  std::array<std::optional<Result<void>>, 2> results;
  const auto put = [&](std::size_t i) { results[i] = run.store.put(many[i], i == 0 ? small : large); };
  std::array<std::thread, 2> threads;
  {
    const Paused paused;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i] = std::thread(put, i);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  run.ok(t->rollback());
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < results.size(); ++i) {
    run.wrote(*results[i], [&](Model& m) { m["default"][many[i]] = {i == 0 ? small : large}; });
  }
}

void open_patiently(Run& run) {
  run.options.busy_timeout = std::chrono::seconds(5);
  run.open_before();
}

}  // namespace

std::vector<Scenario> transaction_scenarios() {
  return {
      {"transaction_commit", "wal", commit},
      {"transaction_commit_rollback", "rollback", commit},
      {"transaction_commit_memory", "memory", commit},
      {"transaction_rolled_back", "wal", roll_back},
      {"transaction_rolled_back_rollback", "rollback", roll_back},
      {"transaction_rolled_back_memory", "memory", roll_back},
      {"transaction_let_go", "wal", let_go},
      {"transaction_go_on", "wal", go_on},
      {"transaction_go_on_rollback", "rollback", go_on},
      {"transaction_go_on_memory", "memory", go_on},
      {"savepoint_saves", "wal", savepoint_saves},
      {"savepoint_saves_rollback", "rollback", savepoint_saves},
      {"savepoint_saves_memory", "memory", savepoint_saves},
      {"savepoints_nested", "wal", savepoints_nested},
      {"savepoint_after_failure", "wal", savepoint_after_failure},
      {"savepoint_after_failure_rollback", "rollback", savepoint_after_failure},
      {"savepoint_families", "wal", savepoint_families},
      {"transaction_families", "wal", families},
      {"transaction_families_rolled_back", "wal", families_rolled_back},
      {"transaction_families_rolled_back_rollback", "rollback", families_rolled_back},
      {"transaction_iterate", "wal", iterate},
      {"transact", "wal", transact},
      {"group_commit", "wal", group_commit, false, open_patiently},
      {"group_commit_rollback", "rollback", group_commit, false, open_patiently},
  };
}

}  // namespace snkv::test
