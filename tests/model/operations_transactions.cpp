// Transactions and savepoints.
#include "operations.hpp"

#include <string>
#include <utility>

namespace snkv::model::ops {

namespace {

constexpr std::size_t max_savepoints = 4;

void after_end(World& world) {
  // The handles stay for a while on purpose: those of an ended transaction must say `closed`.
  if (world.rng.percent(50)) {
    world.expect(world.transaction.commit(), {Errc::closed}, "commit after the end");
    world.expect(world.transaction.put("k1", "late"), {Errc::closed}, "put after the end");
    if (!world.savepoints.empty()) {
      world.expect(world.savepoints.back().release(), {Errc::closed}, "release after the end");
    }
  }
  world.end_transaction_handles();
}

/// Savepoints made after number `index` have ended with it.
void drop_inner_savepoints(World& world, std::size_t index, bool keep_this) {
  const std::size_t keep = keep_this ? index + 1 : index;
  while (world.savepoints.size() > keep) {
    if (world.rng.percent(30)) {
      auto rolled_back = world.savepoints.back().rollback();
      world.expect(rolled_back, {Errc::closed}, "rollback of an ended savepoint");
    }
    world.savepoints.pop_back();
  }
}

std::size_t pick_savepoint(World& world) { return world.rng.below(world.savepoints.size()); }

}  // namespace

bool begin(World& world) {
  // Once in a while a second one, which must be refused.
  if (world.in_transaction() && !world.rng.one_in(20)) return false;
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  if (world.would_wait(World::store_place(store)) && !world.rng.one_in(50)) return false;
  world.trace(std::string("begin ") + (store == 0 ? "A" : "B"));
  Outcome allowed = world.write_outcome(World::store_place(store));
  // Only the commit is in the way of readers.
  if (allowed.allows(Errc::ok)) allowed = {Errc::ok};
  auto begun = world.stores[World::index(store)]->begin();
  if (!world.expect(begun, allowed, "begin")) return true;
  world.transaction = std::move(*begun);
  world.transaction_store = store;
  ++world.transaction_serial;
  world.oracle.begin(world.clock.now());
  return true;
}

bool commit(World& world) {
  if (!world.in_transaction()) return false;
  world.trace("commit");
  if (world.rng.one_in(20)) compare_place(world, Place::transaction);
  Outcome allowed = {Errc::ok};
  if (world.rollback_journal() && world.views_open()) allowed.add(Errc::busy);
  if (world.expect(world.transaction.commit(), allowed, "commit")) {
    world.commit();
    after_end(world);
    return true;
  }
  // Busy: the transaction is still there, and goes through once the readers are gone.
  world.commit_pending = true;
  world.lose_writers();
  if (world.rng.percent(60)) {
    world.trace("close all views, commit again");
    world.snapshots.clear();
    std::erase_if(world.iterators, [](const LiveIterator& live) { return live.frozen != nullptr; });
    std::erase_if(world.live_values, [](const LiveValue& live) { return live.frozen; });
    world.expect(world.transaction.commit(), {Errc::ok}, "commit again");
    world.commit();
    after_end(world);
  }
  return true;
}

bool rollback(World& world) {
  if (!world.in_transaction()) return false;
  world.trace("rollback");
  world.expect(world.transaction.rollback(), {Errc::ok}, "rollback");
  world.oracle.rollback();
  after_end(world);
  return true;
}

bool abandon(World& world) {
  if (!world.in_transaction()) return false;
  if (world.rng.percent(30)) {
    // Moving hands the transaction on; the moved-from object must not end it.
    world.trace("move the transaction");
    Transaction moved = std::move(world.transaction);
    world.transaction = Transaction();
    world.expect(moved.contains("k1"), {Errc::ok}, "contains in a moved transaction");
    world.transaction = std::move(moved);
    return true;
  }
  world.trace("destroy the transaction");
  if (world.rng.percent(50)) world.savepoints.clear();
  world.transaction = Transaction();
  world.oracle.rollback();
  world.end_transaction_handles();
  return true;
}

bool transact(World& world) {
  if (world.in_transaction()) return false;
  if (world.rollback_journal() && world.views_open()) return false;  // It would only wait.
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  const bool fail_at_end = world.rng.one_in(3);
  const std::size_t writes = world.rng.between(1, 6);
  world.transaction_store = store;
  world.trace("transact of " + std::to_string(writes) + (fail_at_end ? ", to fail" : ""));
  world.oracle.begin(world.clock.now());
  const Access inner{nullptr, Place::transaction, "default",
                     world.oracle.committed.at("default").incarnation};
  auto result =
      world.stores[World::index(store)]->transact([&](Transaction& inside) -> Result<void> {
        for (std::size_t i = 0; i < writes; ++i) {
          const std::string key = world.keys.key(world.rng);
          Value value = world.new_value();
          auto written = inside.put(key, *value);
          if (!written) return written;
          world.put(inner, key, {std::move(value), never});
        }
        if (fail_at_end) return Unexpected(Error(Errc::aborted, "test", "on purpose"));
        return {};
      });
  if (store == 1 && world.second_is_read_only) {
    world.oracle.rollback();
    world.expect(result, {Errc::read_only}, "transact");
    return true;
  }
  world.expect(result, {fail_at_end ? Errc::aborted : Errc::ok}, "transact");
  if (fail_at_end) {
    world.oracle.rollback();
  } else {
    world.commit();
  }
  return true;
}

bool savepoint(World& world) {
  if (!world.in_transaction() || world.savepoints.size() == max_savepoints) return false;
  world.trace("savepoint " + std::to_string(world.savepoints.size()));
  auto made = world.transaction.savepoint();
  world.expect(made, {Errc::ok}, "savepoint");
  world.savepoints.push_back(std::move(*made));
  world.oracle.savepoint();
  return true;
}

bool savepoint_rollback(World& world) {
  if (!world.in_transaction() || world.savepoints.empty()) return false;
  const std::size_t index = pick_savepoint(world);
  world.trace("rollback to savepoint " + std::to_string(index));
  world.expect(world.savepoints[index].rollback(), {Errc::ok}, "rollback to a savepoint");
  world.oracle.rollback_to(index);
  world.lose_writers();
  drop_inner_savepoints(world, index, true);
  return true;
}

bool savepoint_release(World& world) {
  if (!world.in_transaction() || world.savepoints.empty()) return false;
  const std::size_t index = pick_savepoint(world);
  world.trace("release savepoint " + std::to_string(index));
  world.expect(world.savepoints[index].release(), {Errc::ok}, "release of a savepoint");
  world.oracle.release(index);
  drop_inner_savepoints(world, index, false);
  return true;
}

bool savepoint_abandon(World& world) {
  if (!world.in_transaction() || world.savepoints.empty()) return false;
  const std::size_t index = pick_savepoint(world);
  world.trace("destroy savepoint " + std::to_string(index));
  { const Savepoint gone = std::move(world.savepoints[index]); }
  world.oracle.rollback_to(index);
  world.lose_writers();
  world.oracle.release(index);
  drop_inner_savepoints(world, index + 1, false);
  world.savepoints.pop_back();  // The moved-from object, which does nothing.
  return true;
}

}  // namespace snkv::model::ops
