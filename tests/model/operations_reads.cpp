// Reads of every kind, through stores, the transaction and snapshots.
#include "operations.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace snkv::model {

Reading pick_reading(World& world) {
  Reading reading;
  if (!world.snapshots.empty() && world.rng.percent(30)) {
    const LiveSnapshot& from = world.snapshots[world.rng.below(world.snapshots.size())];
    const auto& families = from.state.families();
    auto chosen = families.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(world.rng.below(families.size())));
    auto handle = from.snapshot.column_family(chosen->first);
    world.expect(handle, {Errc::ok}, "family of a snapshot");
    reading.family = std::make_unique<ColumnFamily>(std::move(*handle));
    reading.reader = reading.family.get();
    reading.entries = chosen->second.entries.get();
    reading.now = from.now;
    reading.allowed = {Errc::ok};
    reading.label = "snapshot/" + chosen->first;
    reading.snapshot = &from;
    return reading;
  }
  reading.access = world.pick_access();
  reading.reader = reading.access.writer;
  reading.entries = world.entries_of(reading.access);
  if (reading.access.place != Place::ended_transaction) {
    reading.now = world.now_at(reading.access.place);
  }
  reading.allowed = world.read_outcome(reading.access);
  reading.label = describe(reading.access);
  return reading;
}

const Entry* sought(const Reading& reading, std::string_view key, Outcome& allowed) {
  allowed = reading.allowed;
  const Entry* entry = visible(reading.entries, key, reading.now);
  if (entry == nullptr && allowed.allows(Errc::ok)) refuse(allowed, Errc::not_found);
  return entry;
}

namespace ops {

bool multi_get(World& world) {
  const Reading reading = pick_reading(world);
  std::vector<std::string> keys(world.rng.below(12));
  for (std::string& key : keys) key = likely_key(world, reading.entries);
  if (keys.size() > 2 && world.rng.one_in(4)) keys.back() = keys.front();
  Outcome allowed = reading.allowed;
  if (!keys.empty() && world.rng.one_in(60)) {
    keys[world.rng.below(keys.size())].clear();
    refuse(allowed, Errc::invalid_argument);
  }
  world.trace("multi_get " + reading.label + " " + std::to_string(keys.size()));
  const std::vector<BytesView> views(keys.begin(), keys.end());
  auto values = reading.reader->multi_get(views);
  if (!world.expect(values, allowed, "multi_get")) return true;
  world.require(values->size() == keys.size(), "multi_get: wrong number of values");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Entry* entry = visible(reading.entries, keys[i], reading.now);
    const auto& value = (*values)[i];
    if (value.has_value() != (entry != nullptr) || (value && value->view() != *entry->value)) {
      world.fail("multi_get: wrong value of " + printable(keys[i]));
    }
  }
  return true;
}

bool count_range(World& world) {
  const Reading reading = pick_reading(world);
  const bool by_prefix = world.rng.percent(50);
  Bounds bounds;
  std::string prefix;
  if (by_prefix) {
    prefix = world.keys.probe(world.rng);
    bounds = prefix_bounds(prefix);
  } else {
    bounds = {world.keys.probe(world.rng), world.keys.probe(world.rng), true};
    if (bounds.high < bounds.low && !world.rng.one_in(4)) std::swap(bounds.low, bounds.high);
  }
  world.trace("count " + reading.label + " from " + printable(bounds.low) +
              (bounds.bounded_above ? " to " + printable(bounds.high) : ""));
  auto counted = by_prefix ? reading.reader->count_prefix(prefix)
                           : reading.reader->count_range(bounds.low, bounds.high);
  if (!world.expect(counted, reading.allowed, "count_range")) return true;
  std::uint64_t expected = 0;
  for (auto it = reading.entries->lower_bound(bounds.low);
       it != reading.entries->end() && bounds.contains(it->first); ++it) {
    ++expected;
  }
  if (*counted != expected) {
    world.fail("count_range: " + std::to_string(*counted) + ", expected " +
               std::to_string(expected));
  }
  return true;
}

bool count_live(World& world) {
  const Reading reading = pick_reading(world);
  world.trace("count_live " + reading.label);
  auto live = reading.reader->count_live();
  if (!world.expect(live, reading.allowed, "count_live")) return true;
  const auto expected = static_cast<std::uint64_t>(
      std::count_if(reading.entries->begin(), reading.entries->end(),
                    [&](const auto& entry) { return !entry.second.expired(reading.now); }));
  if (*live != expected) {
    world.fail("count_live: " + std::to_string(*live) + ", expected " + std::to_string(expected));
  }
  return true;
}

bool family_stats(World& world) {
  const Reading reading = pick_reading(world);
  world.trace("family_stats " + reading.label);
  auto stats = reading.reader->family_stats();
  if (!world.expect(stats, reading.allowed, "family_stats")) return true;
  const auto expiring = static_cast<std::uint64_t>(
      std::count_if(reading.entries->begin(), reading.entries->end(),
                    [](const auto& entry) { return entry.second.expires_at != never; }));
  world.require(stats->entries == reading.entries->size(), "family_stats: entries");
  world.require(stats->expiring == expiring, "family_stats: expiring");
  return true;
}

bool ttl(World& world) {
  const Reading reading = pick_reading(world);
  const std::string key = likely_key(world, reading.entries);
  world.trace("ttl " + reading.label + " " + printable(key));
  Outcome allowed;
  const Entry* entry = sought(reading, key, allowed);
  auto left = reading.reader->ttl(key);
  if (!world.expect(left, allowed, "ttl")) return true;
  if (entry->expires_at == never) {
    world.require(!left->has_value(), "ttl: of an entry that stays");
  } else {
    world.require(left->has_value() && (*left)->count() == entry->expires_at - reading.now,
                  "ttl: wrong");
  }
  return true;
}

bool visit(World& world) {
  const Reading reading = pick_reading(world);
  const std::string key = likely_key(world, reading.entries);
  const bool raise = world.rng.one_in(10);
  world.trace("visit " + reading.label + " " + printable(key));
  Outcome allowed;
  const Entry* entry = sought(reading, key, allowed);
  if (raise && entry != nullptr && allowed.allows(Errc::ok)) refuse(allowed, Errc::aborted);
  int calls = 0;
  bool right = true;
  auto visited = reading.reader->visit(key, [&](BytesView value) {
    ++calls;
    right = entry != nullptr && value.view() == *entry->value;
    if (raise) throw std::runtime_error("on purpose");
  });
  const bool done = world.expect(visited, allowed, "visit");
  world.require(right, "visit: wrong value");
  world.require(calls == (done || (raise && entry != nullptr && visited.error() == Errc::aborted)),
                "visit: called so often: " + std::to_string(calls));
  return true;
}

bool sql_count(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  const auto& families = world.oracle.committed.families();
  auto chosen = families.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(world.rng.below(families.size())));
  const auto& [name, family] = *chosen;
  world.trace("sql count " + name);
  const std::int64_t now = world.clock.now();
  auto rows = world.stores[World::index(store)]->sql(
      "SELECT count(*), count(CASE WHEN expires_at <= ? THEN 1 END),"
      " coalesce(sum(length(key)), 0),"
      " coalesce(sum(CASE WHEN large_id IS NULL THEN length(value) - ? ELSE large_size END), 0) FROM " +
          sql_name(name),
      now, static_cast<std::int64_t>(world.seal_size()));
  Outcome allowed = {Errc::ok};
  if (world.commit_pending) allowed.add(Errc::busy);
  if (!world.expect(rows, allowed, "sql")) return true;
  std::int64_t expired = 0;
  std::int64_t key_bytes = 0;
  std::int64_t value_bytes = 0;
  for (const auto& [key, entry] : *family.entries) {
    expired += entry.expired(now) ? 1 : 0;
    key_bytes += static_cast<std::int64_t>(key.size());
    value_bytes += static_cast<std::int64_t>(entry.value->size());
  }
  int seen = 0;
  for (const auto& row : *rows) {
    ++seen;
    world.require(row[0].int64() == static_cast<std::int64_t>(family.entries->size()),
                  "sql: wrong count");
    world.require(row[1].int64() == expired, "sql: wrong count of expired entries");
    world.require(row[2].int64() == key_bytes, "sql: wrong sum of the keys' sizes");
    world.require(row[3].int64() == value_bytes, "sql: wrong sum of the values' sizes");
  }
  world.expect(rows->status(), {Errc::ok}, "sql");
  world.require(seen == 1, "sql: not one row");
  return true;
}

}  // namespace ops

}  // namespace snkv::model
