// Single entries and scans.
#include "operations.hpp"

#include <array>
#include <chrono>
#include <utility>

namespace snkv::model {

std::string likely_key(World& world, const Entries* entries) {
  std::string key = world.keys.key(world.rng);
  if (entries == nullptr || entries->empty() || !world.rng.percent(50)) return key;
  auto near = entries->lower_bound(key);
  if (near == entries->end()) --near;
  return near->first;
}

const Entry* visible(const Entries* entries, std::string_view key, std::int64_t now) {
  if (entries == nullptr) return nullptr;
  const auto found = entries->find(key);
  if (found == entries->end() || found->second.expired(now)) return nullptr;
  return &found->second;
}

Expiry random_expiry(World& world, std::uint64_t share) {
  using std::chrono::milliseconds;
  Expiry expiry;
  Rng& rng = world.rng;
  if (!rng.percent(share)) return expiry;
  const std::int64_t now = world.clock.now();
  const std::uint64_t kind = rng.below(100);
  if (kind < 70) {
    expiry.ttl = milliseconds{rng.between(1, 2000)};
  } else if (kind < 92) {
    // Some are over already.
    expiry.at = TimePoint(milliseconds{now - 300 + static_cast<std::int64_t>(rng.below(1500))});
  } else {
    static constexpr std::array ttls = {std::int64_t{0}, std::int64_t{-1}, -end_of_time,
                                        end_of_time};
    static constexpr std::array moments = {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1},
                                           -end_of_time, end_of_time - 1};
    switch (rng.below(4)) {
      case 0:
        expiry.ttl = milliseconds{ttls[rng.below(ttls.size())]};
        break;
      case 1:
        // Around the last moment that there is, as seen from now.
        expiry.ttl =
            milliseconds{end_of_time - now - 1000 + static_cast<std::int64_t>(rng.below(3000))};
        break;
      default:
        expiry.at = TimePoint(milliseconds{moments[rng.below(moments.size())]});
        break;
    }
  }
  return expiry;
}

Range random_range(World& world, const EntryReader& reader, Bounds& bounds) {
  switch (world.rng.below(4)) {
    case 0: {
      const std::string prefix = world.keys.probe(world.rng);
      bounds = prefix_bounds(prefix);
      return reader.prefix(prefix);
    }
    case 1: {
      bounds = {world.keys.probe(world.rng), world.keys.probe(world.rng), true};
      // Mostly the right way round.
      if (bounds.high < bounds.low && !world.rng.one_in(10)) std::swap(bounds.low, bounds.high);
      return reader.range(bounds.low, bounds.high);
    }
    default:
      bounds = {};
      return reader.all();
  }
}

void compare_scan(World& world, Range range, const ScanView& view, bool backward, bool keys_only,
                  std::size_t limit) {
  ScanView::Position expected = backward ? view.last() : view.first();
  std::size_t seen = 0;
  for (auto [key, value] : range) {
    if (seen++ == limit) return;
    if (expected == nullptr) world.fail("scan: unexpected key " + printable(key.view()));
    if (key.view() != expected->first) {
      world.fail("scan: key " + printable(key.view()) + ", expected " + printable(expected->first));
    }
    if (keys_only ? !value.empty() : value.view() != *expected->second.value) {
      world.fail("scan: wrong value of " + printable(key.view()) + ": " + printable(value.view()) +
                 ", expected " + printable(*expected->second.value));
    }
    expected = backward ? view.before(expected->first) : view.after(expected->first);
  }
  world.expect(range.status(), {Errc::ok}, "scan");
  if (expected != nullptr) {
    world.fail("scan: it ended, but there is still " + printable(expected->first));
  }
}

namespace ops {

namespace {

bool put_entry(World& world, const Expiry& expiry) {
  const Access access = world.pick_writer();
  const std::string key = likely_key(world, world.entries_of(access));
  Value value = world.new_value();
  world.trace("put " + describe(access) + " " + printable(key) + " <- " +
              std::to_string(value->size()) + " bytes" + expiry.describe());
  const std::int64_t now = world.now_at(access.place);
  Outcome allowed = world.write_outcome(access);
  if (expiry.refused(now)) refuse(allowed, Errc::invalid_argument);
  if (!world.expect(access.writer->put(key, *value, expiry.options()), allowed, "put")) return true;
  world.put(access, key, {std::move(value), expiry.moment(now)});
  return true;
}

}  // namespace

bool put(World& world) { return put_entry(world, {}); }

bool put_with_expiry(World& world) { return put_entry(world, random_expiry(world, 100)); }

bool get(World& world) {
  const Access access = world.pick_access();
  const Entries* entries = world.entries_of(access);
  const std::string key = likely_key(world, entries);
  world.trace("get " + describe(access) + " " + printable(key));
  const Outcome allowed = world.read_outcome(access);
  const Entry* expected =
      entries == nullptr ? nullptr : visible(entries, key, world.now_at(access.place));
  auto value = access.writer->get(key);
  if (!value && entries != nullptr && value.error() == Errc::not_found) {
    if (expected != nullptr) world.fail("get: not_found, but the key is there");
    return true;
  }
  if (!world.expect(value, allowed, "get")) return true;
  if (expected == nullptr) world.fail("get: found a key that is not there");
  if (value->view() != *expected->value) {
    world.fail("get: " + printable(value->view()) + ", expected " + printable(*expected->value));
  }
  return true;
}

bool contains(World& world) {
  const Access access = world.pick_access();
  const Entries* entries = world.entries_of(access);
  const std::string key = likely_key(world, entries);
  world.trace("contains " + describe(access) + " " + printable(key));
  auto found = access.writer->contains(key);
  if (!world.expect(found, world.read_outcome(access), "contains")) return true;
  const bool expected = visible(entries, key, world.now_at(access.place)) != nullptr;
  if (*found != expected) world.fail(*found ? "contains: true" : "contains: false");
  return true;
}

bool erase(World& world) {
  const Access access = world.pick_writer();
  const Entries* entries = world.entries_of(access);
  const std::string key = likely_key(world, entries);
  world.trace("erase " + describe(access) + " " + printable(key));
  auto existed = access.writer->erase(key);
  if (!world.expect(existed, world.write_outcome(access), "erase")) return true;
  const bool expected = visible(entries, key, world.now_at(access.place)) != nullptr;
  if (*existed != expected)
    world.fail(*existed ? "erase: it was there" : "erase: it was not there");
  world.erase(access, key);
  return true;
}

bool clear(World& world) {
  const Access access = world.pick_writer();
  world.trace("clear " + describe(access));
  if (world.expect(access.writer->clear(), world.write_outcome(access), "clear")) {
    world.clear(access);
  }
  return true;
}

bool count(World& world) {
  const Access access = world.pick_access();
  world.trace("count " + describe(access));
  auto counted = access.writer->count();
  if (!world.expect(counted, world.read_outcome(access), "count")) return true;
  const std::size_t expected = world.entries_of(access)->size();
  if (*counted != expected) {
    world.fail("count: " + std::to_string(*counted) + ", expected " + std::to_string(expected));
  }
  return true;
}

bool scan(World& world) {
  // Outside of a transaction a scan is a view of its own; it ends before the operation does.
  const Access access = world.pick_access();
  Bounds bounds;
  Range range = random_range(world, *access.writer, bounds);
  const bool backward = world.rng.percent(50);
  const bool keys_only = world.rng.percent(20);
  world.trace("scan " + describe(access) + " [" + printable(bounds.low) + ", " +
              (bounds.bounded_above ? printable(bounds.high) : "end") + ")" +
              (backward ? " backward" : "") + (keys_only ? " keys only" : ""));
  if (backward) range = range.reversed();
  if (keys_only) range = range.keys_only();
  const Outcome allowed = world.read_outcome(access);
  const Entries* entries = world.entries_of(access);
  if (entries == nullptr || world.commit_pending) {
    for ([[maybe_unused]] auto entry : range) {
      if (entries == nullptr) world.fail("scan: an entry of a dropped family");
    }
    world.expect(range.status(), allowed, "scan");
    return true;
  }
  const ScanView view{entries, &bounds, world.now_at(access.place)};
  const std::size_t limit = world.rng.one_in(4) ? entries->size() + 1 : world.rng.between(1, 30);
  compare_scan(world, std::move(range), view, backward, keys_only, limit);
  return true;
}

bool bad_arguments(World& world) {
  const Access access = world.pick_writer();
  Outcome allowed = world.write_outcome(access);
  refuse(allowed, Errc::invalid_argument);
  switch (world.rng.below(4)) {
    case 0:
      world.trace("put of an empty key " + describe(access));
      world.expect(access.writer->put("", "value"), allowed, "put of an empty key");
      break;
    case 1:
      world.trace("get of an empty key " + describe(access));
      world.expect(access.writer->get(""), allowed, "get of an empty key");
      break;
    case 2:
      world.trace("erase of an empty key " + describe(access));
      world.expect(access.writer->erase(""), allowed, "erase of an empty key");
      break;
    default: {
      allowed.add(Errc::too_large);
      world.trace("put of an overlong key " + describe(access));
      const std::string key(max_key_size + 1, 'k');
      world.expect(access.writer->put(key, "v"), allowed, "put of an overlong key");
      break;
    }
  }
  return true;
}

}  // namespace ops

}  // namespace snkv::model
