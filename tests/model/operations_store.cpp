// The store as a whole: opening, closing, the clock, maintenance.
#include "operations.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace snkv::model {

void forget_views_on(World& world, int store) {
  // Those of ended transactions may stay, and end long after their store.
  std::erase_if(world.iterators, [&](const LiveIterator& live) {
    return world.is_open(live) && world.same_store(live.store, store);
  });
  std::erase_if(world.live_values, [&](const LiveValue& live) {
    return world.is_open(live) && world.same_store(live.store, store);
  });
  std::erase_if(world.snapshots,
                [&](const LiveSnapshot& live) { return world.same_store(live.store, store); });
}

namespace {

constexpr int no_store = -1;

/// Views that outlive their store keep its file open, but belong to neither store any more.
void orphan_views_on(World& world, int store) {
  for (LiveIterator& live : world.iterators) {
    if (world.same_store(live.store, store)) live.store = no_store;
  }
  for (LiveValue& live : world.live_values) {
    if (world.same_store(live.store, store)) live.store = no_store;
  }
  for (LiveSnapshot& live : world.snapshots) {
    if (world.same_store(live.store, store)) live.store = no_store;
  }
}

void forget_handles_of(World& world, int store) {
  std::erase_if(world.handles, [&](const FamilyHandle& handle) {
    if (handle.place == Place::transaction) return true;
    return world.same_store(handle.place == Place::second_store ? 1 : 0, store);
  });
}

/// Ends the transaction when it would keep this store open.
void end_transaction_on(World& world, int store) {
  if (!world.in_transaction() || !world.same_store(world.transaction_store, store)) return;
  world.oracle.rollback();
  world.end_transaction_handles();
}

/// Closes one store in one of the ways there are. Handles of it are gone afterwards.
void close_somehow(World& world, int store) {
  auto& closing = world.stores[World::index(store)];
  end_transaction_on(world, store);
  compare_feed(world, store);
  if (world.rng.percent(50)) {
    world.trace("close, after all views");
    forget_views_on(world, store);
    orphan_views_on(world, store);
    world.expect(closing->close(), {Errc::ok}, "close");
    world.expect(closing->get("k1"), {Errc::closed}, "get after close");
    world.expect(closing->put("k1", "late"), {Errc::closed}, "put after close");
    for (FamilyHandle& handle : world.handles) {
      if (handle.place == World::store_place(store)) {
        world.expect(handle.family.count(), {Errc::closed, Errc::dropped}, "count after close");
      }
    }
  } else if (world.rng.percent(50)) {
    world.trace("drop the handle, after all views");
    forget_views_on(world, store);
    orphan_views_on(world, store);
  } else {
    world.trace("drop the handle, views live on");
    orphan_views_on(world, store);
  }
  forget_handles_of(world, store);
  closing.reset();
}

}  // namespace

namespace ops {

bool advance_clock(World& world) {
  const std::chrono::milliseconds step{world.rng.one_in(10) ? 2500 : world.rng.between(1, 300)};
  world.trace("advance the clock by " + std::to_string(step.count()));
  world.clock.advance(step);
  return true;
}

bool open_second(World& world) {
  if (world.open_store(1)) return false;
  if (world.commit_pending) return false;  // The file is locked even for a look at its header.
  world.second_is_read_only = !world.config.memory && world.rng.one_in(4);
  world.trace(world.second_is_read_only ? "open B read-only" : "open B");
  world.open(1);
  return true;
}

bool close_second(World& world) {
  if (!world.open_store(1)) return false;
  if (world.config.memory) {
    // It is a copy of the first: only handles made through it go.
    world.trace("drop the copy of the store");
    world.stores[1].reset();
    std::erase_if(world.handles,
                  [](const FamilyHandle& handle) { return handle.place == Place::second_store; });
    if (world.in_transaction() && world.transaction_store == 1) world.transaction_store = 0;
    return true;
  }
  world.trace("close B");
  close_somehow(world, 1);
  world.second_is_read_only = false;
  return true;
}

bool reopen(World& world) {
  if (world.commit_pending) return false;
  if (world.config.memory) {
    world.trace("reopen in memory: empty");
    world.stores[1].reset();
    close_somehow(world, 0);
    orphan_views_on(world, 0);
    world.oracle.committed = State();
    world.oracle.committed.create("default", world.oracle.new_incarnation());
    world.open(0);
    return true;
  }
  world.trace("reopen A");
  close_somehow(world, 0);
  // Even what is left of an ended transaction keeps the file open.
  const bool alone = !world.open_store(1) && world.snapshots.empty() && world.iterators.empty() &&
                     world.live_values.empty() && world.writers.empty();
  if (world.config.convert && alone && !world.in_transaction() && world.rng.percent(60)) {
    world.journal = world.journal == Journal::wal ? Journal::rollback : Journal::wal;
    world.trace(world.journal == Journal::wal ? "convert to WAL" : "convert to rollback journal");
  }
  // Whoever comes first makes the file; a writer elsewhere must not keep this from opening.
  world.open(0);
  return true;
}

bool close_while_used(World& world) {
  const int store = world.open_store(1) && world.rng.percent(50) ? 1 : 0;
  const bool used = world.views_open_on(store) ||
                    (world.in_transaction() && world.same_store(world.transaction_store, store));
  if (!used) return false;
  world.trace("close while used");
  world.expect(world.stores[World::index(store)]->close(), {Errc::busy}, "close while used");
  return true;
}

bool checkpoint(World& world) {
  static constexpr std::array modes = {Checkpoint::passive, Checkpoint::full, Checkpoint::restart,
                                       Checkpoint::truncate};
  // Where the size of the log is watched, the automatic ones must do [T6].
  if (world.watches_log()) return false;
  const Checkpoint mode = modes[world.rng.below(modes.size())];
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  world.trace("checkpoint " + std::to_string(static_cast<int>(mode)));
  Outcome allowed;
  if (world.in_transaction()) {
    if (world.same_store(world.transaction_store, store)) {
      allowed.add(Errc::locked);
    } else {
      allowed = mode == Checkpoint::passive ? Outcome{Errc::ok} : Outcome{Errc::busy, Errc::locked};
    }
    if (world.rollback_journal()) allowed.add(Errc::ok);  // Without a log it does nothing.
  } else {
    allowed.add(Errc::ok);
    if (mode != Checkpoint::passive && world.views_open()) allowed.add(Errc::busy);
  }
  if (store == 1 && world.second_is_read_only) {
    allowed.add(Errc::read_only);
    allowed.add(Errc::ok);
  }
  auto done = world.stores[World::index(store)]->checkpoint(mode);
  if (!world.expect(done, allowed, "checkpoint")) return true;
  world.require(done->checkpointed <= done->wal_frames, "checkpoint: more frames than there are");
  if (mode == Checkpoint::truncate && !world.second_is_read_only && !world.in_transaction() &&
      !world.config.memory) {
    const std::uint64_t left = std::filesystem::exists(world.path + "-wal")
                                   ? std::filesystem::file_size(world.path + "-wal")
                                   : 0;
    world.require(left == 0, "checkpoint(truncate) left bytes in the log");
  }
  return true;
}

bool vacuum(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  if (world.would_wait(World::store_place(store)) && !world.rng.one_in(50)) return false;
  const auto max_pages = static_cast<std::uint32_t>(world.rng.one_in(2) ? 0 : world.rng.below(20));
  world.trace("vacuum " + std::to_string(max_pages));
  const Outcome allowed = world.write_outcome(World::store_place(store));
  auto freed = world.stores[World::index(store)]->vacuum(max_pages);
  if (!world.expect(freed, allowed, "vacuum")) return true;
  if (max_pages != 0) world.require(*freed <= max_pages, "vacuum: freed more than asked for");
  if (max_pages == 0) {
    auto now = world.stores[World::index(store)]->stats();
    world.expect(now, {Errc::ok}, "stats");
    world.require(now->free_pages == 0,
                  "vacuum: there are still " + std::to_string(now->free_pages) + " unused pages");
  }
  return true;
}

bool sync(World& world) {
  world.trace("sync");
  Outcome allowed = {Errc::ok};
  if (world.in_transaction()) {
    allowed.add(Errc::locked);
    allowed.add(Errc::busy);
  }
  world.expect(world.stores[0]->sync(), allowed, "sync");
  return true;
}

bool stats(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  world.trace("stats");
  auto now = world.stores[World::index(store)]->stats();
  Outcome allowed = {Errc::ok};
  if (world.commit_pending) allowed.add(Errc::busy);
  if (!world.expect(now, allowed, "stats")) return true;
  world.require(now->page_size == world.config.page_size, "stats: page_size");
  world.require(now->free_pages <= now->db_pages, "stats: more free pages than pages");
  if (!world.views_open_on(store)) {
    world.require(now->snapshots == 0, "stats: snapshots open, but there are none");
  }
  // Automatic checkpoints must keep the log small where nothing holds it back. The slack is for the
  // largest transaction.
  if (world.watches_log()) {
    const std::uint64_t limit =
        (2u << 20) + (world.config.beside ? 5ull : 2ull) * world.config.wal_autocheckpoint *
                         world.config.page_size;
    world.require(now->wal_bytes <= limit,
                  "the log has grown to " + std::to_string(now->wal_bytes) + " bytes");
  }
  return true;
}

bool integrity_check(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  world.trace("integrity_check");
  Outcome allowed = {Errc::ok};
  if (world.commit_pending) allowed.add(Errc::busy);
  world.expect(world.stores[World::index(store)]->integrity_check(), allowed, "integrity_check");
  return true;
}

bool compare_all(World& world) {
  if (world.commit_pending) return false;
  world.trace("compare everything");
  compare_place(world, Place::first_store);
  if (world.open_store(1)) compare_place(world, Place::second_store);
  if (world.in_transaction()) compare_place(world, Place::transaction);
  return true;
}

}  // namespace ops

}  // namespace snkv::model
