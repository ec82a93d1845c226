// Iterators and snapshots, which stay open while the store changes.
#include "operations.hpp"

#include <utility>

namespace snkv::model::ops {

namespace {

constexpr std::size_t max_iterators = 3;
constexpr std::size_t max_snapshots = 3;

/// What the iterator sees at this moment; entries are null when its family or transaction is gone,
/// and then `gone` says how it must report that.
ScanView view_of(World& world, const LiveIterator& live, Outcome& gone) {
  if (live.frozen != nullptr) return {live.frozen.get(), &live.bounds, live.now};
  const bool ended = !world.in_transaction() || live.transaction_serial != world.transaction_serial;
  if (ended) {
    gone = {Errc::closed, Errc::dropped};
    return {nullptr, &live.bounds, 0};
  }
  const Family* family = world.oracle.open->state.find(live.name, live.incarnation);
  gone = {Errc::dropped};
  return {family == nullptr ? nullptr : family->entries.get(), &live.bounds, live.now};
}

/// The entry it stands on must not have changed under it.
void check_current(World& world, const LiveIterator& live) {
  world.require(live.iterator.valid() == live.valid, "iterator: valid() changed without a move");
  if (!live.valid) return;
  if (live.iterator.key().view() != live.key) {
    world.fail("iterator: key() is " + printable(live.iterator.key().view()) + ", expected " +
               printable(live.key));
  }
  const BytesView value = live.iterator.value();
  if (live.keys_only ? !value.empty() : value.view() != *live.value) {
    world.fail("iterator: wrong value at " + printable(live.key) + ": " + printable(value.view()) +
               ", expected " + (live.keys_only ? "none" : printable(*live.value)));
  }
}

void close(World& world, std::size_t number) {
  world.iterators.erase(world.iterators.begin() + static_cast<std::ptrdiff_t>(number));
}

/// One random move; false when the iterator has nothing left to show.
bool move(World& world, LiveIterator& live, std::string_view label) {
  Outcome gone;
  const ScanView view = view_of(world, live, gone);
  // After the end of the transaction nothing is promised before the next move.
  if (view.entries != nullptr) check_current(world, live);

  ScanView::Position expected = nullptr;
  const std::uint64_t kind = world.rng.below(100);
  if (live.valid && kind < 45) {
    world.trace(std::string(label) + " next");
    live.iterator.next();
    if (view.entries != nullptr) expected = view.after(live.key);
  } else if (live.valid && kind < 75) {
    world.trace(std::string(label) + " prev");
    live.iterator.prev();
    if (view.entries != nullptr) expected = view.before(live.key);
  } else if (!live.valid && kind < 10) {
    // Does nothing unless it is on an entry.
    live.iterator.next();
    live.iterator.prev();
    world.require(!live.iterator.valid(), "iterator: a step from nowhere led to an entry");
    return true;
  } else if (kind < 83) {
    const std::string key =
        world.rng.one_in(8) ? world.keys.probe(world.rng) : likely_key(world, view.entries);
    world.trace(std::string(label) + " seek " + printable(key));
    live.iterator.seek(key);
    if (view.entries != nullptr) expected = view.at_or_after(key);
  } else if (kind < 91) {
    const std::string key =
        world.rng.one_in(8) ? world.keys.probe(world.rng) : likely_key(world, view.entries);
    world.trace(std::string(label) + " seek_for_prev " + printable(key));
    live.iterator.seek_for_prev(key);
    if (view.entries != nullptr) expected = view.at_or_before(key);
  } else if (kind < 96) {
    world.trace(std::string(label) + " seek_first");
    live.iterator.seek_first();
    if (view.entries != nullptr) expected = view.first();
  } else {
    world.trace(std::string(label) + " seek_last");
    live.iterator.seek_last();
    if (view.entries != nullptr) expected = view.last();
  }

  if (view.entries == nullptr) {
    live.valid = false;
    world.require(!live.iterator.valid(), "iterator: on an entry of what is gone");
    world.expect(live.iterator.status(), gone, "iterator over what is gone");
    return false;
  }
  world.expect(live.iterator.status(), {Errc::ok}, "iterator");
  if (live.iterator.valid() != (expected != nullptr)) {
    world.fail(expected == nullptr
                   ? "iterator: on " + printable(live.iterator.key().view()) + ", expected the end"
                   : "iterator: at the end, expected " + printable(expected->first));
  }
  live.valid = expected != nullptr;
  if (live.valid) {
    live.key = expected->first;
    live.value = expected->second.value;
    check_current(world, live);
  }
  return true;
}

}  // namespace

bool open_iterator(World& world) {
  if (world.iterators.size() == max_iterators) return false;
  LiveIterator live;
  live.keys_only = world.rng.percent(15);
  const ScanOptions options{.keys_only = live.keys_only};
  const bool bounded = world.rng.percent(40);

  if (!world.snapshots.empty() && world.rng.percent(30)) {
    LiveSnapshot& from = world.snapshots[world.rng.below(world.snapshots.size())];
    world.trace("open an iterator on a snapshot");
    live.frozen = from.state.at("default").entries;
    live.now = from.now;
    live.store = from.store;
    if (bounded) {
      Range range = random_range(world, from.snapshot, live.bounds);
      live.iterator = live.keys_only ? range.keys_only().manual() : range.manual();
    } else {
      live.iterator = from.snapshot.iterator(options);
    }
    world.iterators.push_back(std::move(live));
    return true;
  }

  const Access access = world.pick_access();
  if (!world.config.views && access.place != Place::transaction) return false;
  world.trace("open an iterator on " + describe(access) + (bounded ? ", bounded" : ""));
  const Entries* entries = world.entries_of(access);
  live.name = access.name;
  live.incarnation = access.incarnation;
  live.transaction_serial = world.transaction_serial;
  if (access.place == Place::transaction) {
    live.store = world.transaction_store;
  } else {
    live.store = access.place == Place::second_store ? 1 : 0;
  }
  if (entries != nullptr) {
    live.now = world.now_at(access.place);
    if (access.place != Place::transaction) {
      live.frozen = world.oracle.committed.at(access.name).entries;
    }
  }
  if (bounded) {
    Range range = random_range(world, *access.writer, live.bounds);
    live.iterator = live.keys_only ? range.keys_only().manual() : range.manual();
  } else {
    live.iterator = access.writer->iterator(options);
  }
  if (entries == nullptr || world.commit_pending) {
    if (access.place == Place::transaction && entries != nullptr) {
      world.iterators.push_back(std::move(live));
      return true;
    }
    // It must tell; when the file is locked for readers it may be good all the same.
    live.iterator.seek_first();
    world.expect(live.iterator.status(), world.read_outcome(access), "iterator");
    return true;
  }
  world.iterators.push_back(std::move(live));
  return true;
}

bool move_iterator(World& world) {
  if (world.iterators.empty()) return false;
  const std::size_t number = world.rng.below(world.iterators.size());
  const std::string label = "iterator " + std::to_string(number);
  if (!move(world, world.iterators[number], label)) close(world, number);
  return true;
}

bool close_iterator(World& world) {
  if (world.iterators.empty()) return false;
  const std::size_t number = world.rng.below(world.iterators.size());
  world.trace("close iterator " + std::to_string(number));
  close(world, number);
  return true;
}

bool take_snapshot(World& world) {
  if (!world.config.views || world.snapshots.size() == max_snapshots) return false;
  const int store = world.open_store(1) && world.rng.percent(40) ? 1 : 0;
  world.trace(std::string("snapshot of ") + (store == 0 ? "A" : "B"));
  auto taken = world.stores[World::index(store)]->snapshot();
  Outcome allowed = {Errc::ok};
  if (world.commit_pending) allowed.add(Errc::busy);
  if (!world.expect(taken, allowed, "snapshot")) return true;
  world.snapshots.push_back({std::move(*taken), world.oracle.committed, world.clock.now(), store});
  return true;
}

bool read_snapshot(World& world) {
  if (world.snapshots.empty()) return false;
  LiveSnapshot& from = world.snapshots[world.rng.below(world.snapshots.size())];
  const auto& families = from.state.families();
  if (world.rng.one_in(12)) {
    world.trace("list the families of a snapshot");
    auto names = from.snapshot.list_column_families();
    world.expect(names, {Errc::ok}, "families of a snapshot");
    world.require(names->size() == families.size(), "families of a snapshot: wrong number");
    std::size_t at = 0;
    for (const auto& [name, family] : families) {
      world.require((*names)[at++] == name, "families of a snapshot: wrong names");
    }
    return true;
  }

  // A random family, also one that was dropped since; or one that there was not.
  auto chosen = families.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(world.rng.below(families.size())));
  if (world.rng.one_in(10)) {
    const std::string_view name = family_names[world.rng.below(family_names.size())];
    if (!from.state.has(name)) {
      world.expect(from.snapshot.column_family(name), {Errc::not_found}, "family of a snapshot");
      return true;
    }
  }
  auto handle = from.snapshot.column_family(chosen->first);
  world.expect(handle, {Errc::ok}, "family of a snapshot");
  const Entries& entries = *chosen->second.entries;
  const std::string key = likely_key(world, &entries);
  world.trace("read a snapshot's family " + chosen->first + " " + printable(key));

  Bounds bounds;
  switch (world.rng.below(5)) {
    case 0: {
      auto counted = handle->count();
      world.expect(counted, {Errc::ok}, "count in a snapshot");
      world.require(*counted == entries.size(), "count in a snapshot: wrong");
      break;
    }
    case 1: {
      Range range = random_range(world, *handle, bounds);
      const bool backward = world.rng.percent(50);
      const ScanView view{&entries, &bounds, from.now};
      compare_scan(world, backward ? range.reversed() : std::move(range), view, backward, false,
                   20);
      break;
    }
    case 2:
      world.expect(handle->put(key, "through a snapshot"), {Errc::read_only}, "put in a snapshot");
      world.expect(handle->clear(), {Errc::read_only}, "clear in a snapshot");
      break;
    default: {
      const auto found = entries.find(key);
      const bool there = found != entries.end() && !found->second.expired(from.now);
      auto value = handle->get(key);
      world.expect(value, {there ? Errc::ok : Errc::not_found}, "get in a snapshot");
      if (there && value->view() != *found->second.value) world.fail("get in a snapshot: value");
      auto contained = handle->contains(key);
      world.expect(contained, {Errc::ok}, "contains in a snapshot");
      world.require(*contained == there, "contains in a snapshot: wrong");
      break;
    }
  }
  return true;
}

bool copy_snapshot(World& world) {
  if (world.snapshots.empty() || world.snapshots.size() == max_snapshots) return false;
  world.trace("copy a snapshot");
  world.snapshots.push_back(LiveSnapshot(world.snapshots.front()));
  return true;
}

bool release_snapshot(World& world) {
  if (world.snapshots.empty()) return false;
  world.trace("release a snapshot");
  const std::size_t number = world.rng.below(world.snapshots.size());
  world.snapshots.erase(world.snapshots.begin() + static_cast<std::ptrdiff_t>(number));
  return true;
}

}  // namespace snkv::model::ops
