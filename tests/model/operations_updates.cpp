// Writes that look first: conditional puts, counters, merges, ranges, expiries.
#include "operations.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

namespace snkv::model::ops {

namespace {

/// What a write to one key works with.
struct Update {
  Access access;
  std::string key;
  const Entry* current = nullptr;  ///< Null: absent. Good until something is done to the oracle.
  std::int64_t now = 0;
  Expiry expiry;
  Outcome allowed;

  void trace(World& world, std::string_view what) const {
    world.trace(std::string(what) + " " + describe(access) + " " + printable(key) +
                expiry.describe());
  }
};

enum class KeyKind : std::uint8_t { any, counter };

Update pick_update(World& world, std::uint64_t expiry_share, KeyKind kind = KeyKind::any) {
  Update update;
  update.access = world.pick_writer();
  const Entries* entries = world.entries_of(update.access);
  update.key = kind == KeyKind::counter && !world.rng.one_in(20)
                   ? "n" + std::to_string(world.rng.below(5))
                   : likely_key(world, entries);
  update.now = world.now_at(update.access.place);
  update.current = visible(entries, update.key, update.now);
  update.expiry = random_expiry(world, expiry_share);
  update.allowed = world.write_outcome(update.access);
  if (update.expiry.refused(update.now)) refuse(update.allowed, Errc::invalid_argument);
  return update;
}

bool same(const std::optional<Bytes>& value, const Value& expected) {
  if (expected == nullptr) return !value.has_value();
  return value.has_value() && value->view() == *expected;
}

Value value_of(const Entry* entry) { return entry == nullptr ? nullptr : entry->value; }

/// The number, if the text is one as it is written by `std::to_chars`.
std::optional<std::int64_t> parse(const std::string& text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || std::to_string(number) != text) return std::nullopt;
  return number;
}

}  // namespace

bool put_if_absent(World& world) {
  Update update = pick_update(world, 30);
  Value value = world.new_value();
  update.trace(world, "put if absent");
  auto inserted = update.access.writer->put_if_absent(update.key, *value, update.expiry.options());
  if (!world.expect(inserted, update.allowed, "put_if_absent")) return true;
  world.require(*inserted == (update.current == nullptr), "put_if_absent: wrong about presence");
  if (*inserted) {
    world.put(update.access, update.key, {std::move(value), update.expiry.moment(update.now)});
  }
  return true;
}

bool compare_and_swap(World& world) {
  Update update = pick_update(world, 30);
  Value value = world.new_value();
  const Value current = value_of(update.current);
  // Mostly what is there, as far as the test knows; else nothing, or something else.
  Value expected = current;
  if (world.rng.one_in(5)) expected = nullptr;
  if (world.rng.one_in(6)) expected = world.new_value();
  update.trace(world, expected == nullptr ? "swap if absent" : "compare and swap");
  std::optional<BytesView> wanted;
  if (expected != nullptr) wanted = BytesView(*expected);
  auto swapped =
      update.access.writer->compare_and_swap(update.key, wanted, *value, update.expiry.options());
  if (!world.expect(swapped, update.allowed, "compare_and_swap")) return true;
  const bool matches =
      expected == nullptr || current == nullptr ? expected == current : *expected == *current;
  world.require(*swapped == matches, "compare_and_swap: wrong about what was there");
  if (matches) {
    world.put(update.access, update.key, {std::move(value), update.expiry.moment(update.now)});
  }
  return true;
}

bool get_and_put(World& world) {
  Update update = pick_update(world, 30);
  Value value = world.new_value();
  update.trace(world, "get and put");
  auto before = update.access.writer->get_and_put(update.key, *value, update.expiry.options());
  if (!world.expect(before, update.allowed, "get_and_put")) return true;
  world.require(same(*before, value_of(update.current)), "get_and_put: wrong value");
  world.put(update.access, update.key, {std::move(value), update.expiry.moment(update.now)});
  return true;
}

bool get_and_erase(World& world) {
  const Update update = pick_update(world, 0);
  update.trace(world, "get and erase");
  auto before = update.access.writer->get_and_erase(update.key);
  if (!world.expect(before, update.allowed, "get_and_erase")) return true;
  world.require(same(*before, value_of(update.current)), "get_and_erase: wrong value");
  // What has expired is left to purging.
  if (update.current != nullptr) world.erase(update.access, update.key);
  return true;
}

bool merge(World& world) {
  enum class Ending { replace, append, erase, fail, raise };
  static constexpr std::array endings = {Ending::replace, Ending::replace, Ending::append,
                                         Ending::append,  Ending::append,  Ending::erase,
                                         Ending::fail,    Ending::raise};
  Update update = pick_update(world, 30);
  const Ending ending = endings[world.rng.below(endings.size())];
  Value value = world.new_value();
  const Value current = value_of(update.current);
  if (ending == Ending::append && current != nullptr && current->size() < 1000) {
    value = std::make_shared<const std::string>(*current + value->substr(0, 200));
  }
  update.trace(world, "merge " + std::to_string(static_cast<int>(ending)));
  if (update.allowed.allows(Errc::ok)) {
    if (ending == Ending::fail) refuse(update.allowed, Errc::dimension_mismatch);
    if (ending == Ending::raise) refuse(update.allowed, Errc::aborted);
  }
  bool saw_the_current = true;
  const auto function = [&](std::optional<BytesView> seen) -> Result<std::optional<Bytes>> {
    saw_the_current = current == nullptr ? !seen : seen && seen->view() == *current;
    if (ending == Ending::fail) {
      return Unexpected(Error(Errc::dimension_mismatch, "test", "on purpose"));
    }
    if (ending == Ending::raise) throw std::runtime_error("on purpose");
    if (ending == Ending::erase) return std::optional<Bytes>();
    return std::optional<Bytes>(std::in_place, *value);
  };
  auto merged = update.access.writer->merge(update.key, function, update.expiry.options());
  const bool done = world.expect(merged, update.allowed, "merge");
  world.require(saw_the_current, "merge: the function saw another value");
  if (!done) return true;
  if (ending == Ending::erase) {
    world.erase(update.access, update.key);
  } else {
    world.put(update.access, update.key, {std::move(value), update.expiry.moment(update.now)});
  }
  return true;
}

bool increment(World& world) {
  static constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  static constexpr std::array deltas = {std::int64_t{1}, std::int64_t{-1}, std::int64_t{0}, most,
                                        least,           most - 1};
  Update update = pick_update(world, 15, KeyKind::counter);
  const std::int64_t delta = world.rng.percent(70)
                                 ? static_cast<std::int64_t>(world.rng.below(2000)) - 1000
                                 : deltas[world.rng.below(deltas.size())];
  const bool want_before = world.rng.percent(40);
  update.trace(world, (want_before ? "fetch_add " : "increment ") + std::to_string(delta));
  std::optional<std::int64_t> before = 0;
  if (update.current != nullptr) before = parse(*update.current->value);
  std::int64_t sum = 0;
  const bool possible = before && !__builtin_add_overflow(*before, delta, &sum);
  if (!possible && update.allowed.allows(Errc::ok)) refuse(update.allowed, Errc::invalid_argument);
  auto result = want_before
                    ? update.access.writer->fetch_add(update.key, delta, update.expiry.options())
                    : update.access.writer->increment(update.key, delta, update.expiry.options());
  if (!world.expect(result, update.allowed, "increment")) return true;
  const std::int64_t expected = want_before ? *before : sum;
  if (*result != expected) {
    world.fail("increment: " + std::to_string(*result) + ", expected " + std::to_string(expected));
  }
  std::int64_t expires_at = update.current == nullptr ? never : update.current->expires_at;
  if (update.expiry.ttl || update.expiry.at) expires_at = update.expiry.moment(update.now);
  world.put(update.access, update.key,
            {std::make_shared<const std::string>(std::to_string(sum)), expires_at});
  return true;
}

bool put_number(World& world) {
  static constexpr std::array<std::string_view, 14> texts = {"0",
                                                             "42",
                                                             "-1",
                                                             "9223372036854775800",
                                                             "-9223372036854775808",
                                                             "9223372036854775808",
                                                             "007",
                                                             "-0",
                                                             "+5",
                                                             " 5",
                                                             "5 ",
                                                             "",
                                                             "0x1",
                                                             "1e3"};
  Update update = pick_update(world, 15, KeyKind::counter);
  auto value = std::make_shared<const std::string>(texts[world.rng.below(texts.size())]);
  update.trace(world, "put number " + *value);
  auto written = update.access.writer->put(update.key, *value, update.expiry.options());
  if (!world.expect(written, update.allowed, "put")) return true;
  world.put(update.access, update.key, {std::move(value), update.expiry.moment(update.now)});
  return true;
}

// ---- Ranges ----

namespace {

/// Mostly short ranges: the store is to have entries left.
Bounds bounds_to_erase(World& world, const Entries* entries) {
  Bounds bounds{likely_key(world, entries), {}, true};
  const std::uint64_t kind = world.rng.below(100);
  if (kind < 65 && entries != nullptr) {
    auto last = entries->lower_bound(bounds.low);
    for (std::uint64_t more = world.rng.below(8); more > 0 && last != entries->end(); --more) {
      ++last;
    }
    bounds.high = last == entries->end() ? bounds.low : last->first;
    if (world.rng.percent(40)) bounds.high += '\0';
  } else if (kind < 73 && entries != nullptr && entries->size() > 8) {
    // All but a few at both ends.
    const auto from_end = [&] { return static_cast<std::ptrdiff_t>(world.rng.below(4)); };
    bounds.low = world.rng.percent(50) ? "" : std::next(entries->begin(), from_end())->first;
    bounds.high = std::prev(entries->end(), 1 + from_end())->first;
    if (world.rng.percent(50)) bounds.high = std::string(5, '\xff');
  } else if (kind < 87) {
    // Any two: as often as not the wrong way round.
    bounds.high = world.rng.percent(30) ? bounds.low : world.keys.key(world.rng);
    if (bounds.high > bounds.low && !world.rng.one_in(8)) std::swap(bounds.low, bounds.high);
  } else {
    if (world.rng.percent(50)) bounds.low = world.keys.probe(world.rng);
    bounds.high = world.keys.probe(world.rng);
    if (bounds.high < bounds.low) std::swap(bounds.low, bounds.high);
  }
  return bounds;
}

bool erase_prefix(World& world, const Access& access) {
  std::string prefix = likely_key(world, world.entries_of(access));
  if (world.rng.percent(30)) prefix.resize(prefix.size() - world.rng.below(2));
  if (world.rng.one_in(20)) prefix = world.keys.probe(world.rng);
  world.trace("erase prefix " + describe(access) + " " + printable(prefix));
  const Bounds bounds = prefix_bounds(prefix);
  const Outcome allowed = world.write_outcome(access);
  auto erased = access.writer->erase_prefix(prefix);
  if (!world.expect(erased, allowed, "erase_prefix")) return true;
  const std::size_t before = world.entries_of(access)->size();
  world.erase_range(access, bounds);
  world.require(*erased == before - world.entries_of(access)->size(), "erase_prefix: wrong number");
  return true;
}

}  // namespace

bool erase_range(World& world) {
  const Access access = world.pick_writer();
  if (world.rng.percent(40)) return erase_prefix(world, access);
  const Bounds bounds = bounds_to_erase(world, world.entries_of(access));
  world.trace("erase range " + describe(access) + " " + printable(bounds.low) + " to " +
              printable(bounds.high));
  Outcome allowed = world.write_outcome(access);
  if (bounds.low > bounds.high) refuse(allowed, Errc::invalid_argument);
  auto erased = access.writer->erase_range(bounds.low, bounds.high);
  if (!world.expect(erased, allowed, "erase_range")) return true;
  const std::size_t before = world.entries_of(access)->size();
  world.erase_range(access, bounds);
  world.require(*erased == before - world.entries_of(access)->size(), "erase_range: wrong number");
  return true;
}

// ---- Expiry ----

namespace {

bool set_expiry(World& world, Update& update, std::string_view name) {
  const bool given = update.expiry.ttl || update.expiry.at;
  if (update.current == nullptr) refuse(update.allowed, Errc::not_found);
  update.trace(world, name);
  EntryWriter& writer = *update.access.writer;
  auto done = !given              ? writer.persist(update.key)
              : update.expiry.ttl ? writer.expire(update.key, *update.expiry.ttl)
                                  : writer.expire_at(update.key, *update.expiry.at);
  if (!world.expect(done, update.allowed, name)) return true;
  Entry entry = *update.current;
  const std::int64_t moment = update.expiry.moment(update.now);
  if (entry.expires_at == moment) return true;
  entry.expires_at = moment;
  world.put(update.access, update.key, std::move(entry));
  return true;
}

}  // namespace

bool expire(World& world) {
  Update update = pick_update(world, 100);
  return set_expiry(world, update, "expire");
}

bool persist(World& world) {
  Update update = pick_update(world, 0);
  return set_expiry(world, update, "persist");
}

namespace {

/// The keys that a purge removes, in its order.
std::vector<std::string> purgeable(const Entries& entries, std::int64_t now, std::uint64_t limit) {
  std::vector<std::pair<std::int64_t, std::string>> expired;
  for (const auto& [key, entry] : entries) {
    if (entry.expired(now)) expired.emplace_back(entry.expires_at, key);
  }
  std::sort(expired.begin(), expired.end());
  if (limit != 0 && expired.size() > limit) expired.resize(limit);
  std::vector<std::string> keys;
  for (auto& [moment, key] : expired) keys.push_back(std::move(key));
  return keys;
}

void purge(World& world, Place place, const std::string& name, std::vector<std::string> keys) {
  std::vector<Change> changes;
  for (std::string& key : keys) {
    world.state_at(place).erase(name, key);
    changes.push_back({Change::Kind::erase, name, std::move(key), {}, {}, 0});
  }
  // In how many commits is not promised.
  world.note(place, std::move(changes), true);
}

}  // namespace

bool purge_expired(World& world) {
  const Access access = world.pick_writer();
  const std::uint64_t limit = world.rng.percent(60) ? 0 : world.rng.between(1, 6);
  world.trace("purge expired " + describe(access) + " " + std::to_string(limit));
  auto purged = access.writer->purge_expired(limit);
  if (!world.expect(purged, world.write_outcome(access), "purge_expired")) return true;
  auto keys = purgeable(*world.entries_of(access), world.now_at(access.place), limit);
  if (*purged != keys.size()) {
    world.fail("purge_expired: " + std::to_string(*purged) + ", expected " +
               std::to_string(keys.size()));
  }
  purge(world, access.place, access.name, std::move(keys));
  return true;
}

bool purge_all_expired(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  const Place place = World::store_place(store);
  if (world.would_wait(place)) return false;
  const std::uint64_t limit = world.rng.percent(60) ? 0 : world.rng.between(1, 10);
  world.trace("purge all expired " + std::to_string(limit));
  // One family after the other, in the order in which they were made.
  std::vector<std::pair<std::uint64_t, std::string>> families;
  for (const auto& [name, family] : world.oracle.committed.families()) {
    families.emplace_back(family.incarnation, name);
  }
  std::sort(families.begin(), families.end());
  std::uint64_t left = limit;
  std::uint64_t expected = 0;
  std::vector<std::pair<std::string, std::vector<std::string>>> purges;
  for (const auto& [incarnation, name] : families) {
    if (limit != 0 && left == 0) break;
    auto keys = purgeable(*world.oracle.committed.at(name).entries, world.clock.now(), left);
    left -= limit == 0 ? 0 : keys.size();
    expected += keys.size();
    purges.emplace_back(name, std::move(keys));
  }
  Outcome allowed = world.write_outcome(place);
  // It looks first, and writes only if there is a reason.
  if (expected == 0) allowed.add(Errc::ok);
  auto purged = world.stores[World::index(store)]->purge_all_expired(limit);
  if (!world.expect(purged, allowed, "purge_all_expired")) return true;
  world.require(*purged == expected, "purge_all_expired: wrong number");
  for (auto& [name, keys] : purges) purge(world, place, name, std::move(keys));
  return true;
}

}  // namespace snkv::model::ops
