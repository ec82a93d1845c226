// What concerns all of the store: copies of it, checks of it, and what its feed tells.
#include "operations.hpp"

#include "support/encrypted.hpp"

#include <array>
#include <filesystem>
#include <utility>

namespace snkv::model {

namespace {

bool is(const snkv::Change& told, snkv::Change::Kind kind, const Change& expected,
        std::string_view key) {
  return told.kind == kind && told.family == expected.family && told.key.view() == key;
}

/// How many of the changes that were told say what is expected; 0: they say something else.
std::size_t matching(std::span<const snkv::Change> told, const Change& expected) {
  using Kind = snkv::Change::Kind;
  if (told.empty()) return 0;
  switch (expected.kind) {
    case Change::Kind::put:
      return is(told[0], Kind::put, expected, expected.key) ? 1 : 0;
    case Change::Kind::erase:
      return is(told[0], Kind::erase, expected, expected.key) ? 1 : 0;
    case Change::Kind::clear:
      return is(told[0], Kind::clear, expected, "") ? 1 : 0;
    case Change::Kind::range:
      break;
  }
  // As a range, or key by key.
  if (told[0].kind == Kind::range) {
    return is(told[0], Kind::range, expected, expected.key) && told[0].high.view() == expected.high
               ? 1
               : 0;
  }
  if (told.size() < expected.keys.size()) return 0;
  for (std::size_t i = 0; i < expected.keys.size(); ++i) {
    if (!is(told[i], Kind::erase, expected, expected.keys[i])) return 0;
  }
  return expected.keys.size();
}

std::string describe(const snkv::Change& told) {
  static constexpr std::array<std::string_view, 4> kinds = {"put", "erase", "range", "clear"};
  return std::to_string(told.sequence) + ": " +
         std::string(kinds[static_cast<std::size_t>(told.kind)]) + " " + told.family + " " +
         printable(told.key.view());
}

}  // namespace

void compare_feed(World& world, int store) {
  ExpectedFeed& expected = world.feed(store);
  const Store& from = *world.stores[World::index(store)];
  const auto sequence = from.sequence();
  world.expect(sequence, {Errc::ok}, "sequence");
  world.require(*sequence >= expected.told, "sequence: smaller than before");
  const auto told = from.changes_since(expected.told);
  // As many changes as are kept can always be told.
  Outcome allowed = {Errc::ok};
  if (expected.most > World::change_history) allowed.add(Errc::expired);
  if (expected.changes.size() > World::change_history) allowed = {Errc::expired};
  if (world.expect(told, allowed, "changes_since")) {
    std::span<const snkv::Change> rest(*told);
    std::uint64_t last = expected.told;
    std::uint64_t commit = 0;
    for (const Change& change : expected.changes) {
      const std::size_t count = matching(rest, change);
      if (count == 0) {
        world.fail("changes_since: " + (rest.empty() ? "the end" : describe(rest[0])) +
                   ", expected a change of " + change.family + " " + printable(change.key));
      }
      for (const snkv::Change& one : rest.first(count)) {
        const bool right = change.commit == 0        ? one.sequence >= last
                           : change.commit == commit ? one.sequence == last
                                                     : one.sequence > last;
        if (!right) world.fail("changes_since: wrong commit: " + describe(one));
        last = one.sequence;
        commit = change.commit;
      }
      rest = rest.subspan(count);
    }
    if (!rest.empty()) world.fail("changes_since: more than was done: " + describe(rest[0]));
    world.require(last <= *sequence, "changes_since: a commit that is still to come");
  }
  expected.changes.clear();
  expected.most = 0;
  expected.told = *sequence;
}

namespace ops {

namespace {

/// Whether the value lies outside its row, for a row with this expiry (docs/file-format.md).
bool is_large(const World& world, std::size_t key, std::size_t value, std::size_t expiry) {
  const auto type_size = [](std::size_t bytes) -> std::size_t {
    const std::size_t type = 12 + 2 * bytes;
    return type < 128 ? 1 : type < 16384 ? 2 : 3;
  };
  const std::size_t header = 2 + type_size(key) + type_size(value);  // itself and the expiry's type
  return value > 64 && header + key + expiry + value + world.seal_size() >
                           local_payload_limit(world.config.page_size);
}

void compare_report(World& world, const VerifyReport& report) {
  VerifyReport expected;
  std::uint64_t most_large = 0;
  const State& state = world.oracle.committed;
  expected.families = state.families().size();
  for (const auto& [name, family] : state.families()) {
    for (const auto& [key, entry] : *family.entries) {
      const std::size_t size = entry.value->size();
      ++expected.entries;
      expected.bytes += key.size() + size;
      // Where it lies was decided when it was put. Since then its expiry may have come or gone.
      expected.large_values += is_large(world, key.size(), size, 0) ? 1 : 0;
      most_large += is_large(world, key.size(), size, 8) ? 1 : 0;
    }
  }
  world.require(report.families == expected.families, "verify: families");
  world.require(report.entries == expected.entries, "verify: entries");
  world.require(report.bytes == expected.bytes, "verify: bytes");
  world.require(report.large_values >= expected.large_values && report.large_values <= most_large,
                "verify: " + std::to_string(report.large_values) + " large values");
}

Outcome reading_a_store(const World& world) {
  return world.commit_pending ? Outcome{Errc::ok, Errc::busy} : Outcome{Errc::ok};
}

}  // namespace

bool backup(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  const bool compact = world.rng.percent(40);
  const std::string copy = world.scratch_file("copy.db");
  world.trace(compact ? "compact backup" : "backup");
  auto made = world.stores[World::index(store)]->backup(copy, {.compact = compact});
  if (!world.expect(made, reading_a_store(world), "backup")) {
    world.require(!std::filesystem::exists(copy), "backup: it failed and left a file");
    return true;
  }
  {
    Options options;
    options.sync = Sync::off;
    options.clock = world.clock.source();
    auto opened = test::open_copy(copy, *world.stores[World::index(store)], options);
    world.expect(opened, {Errc::ok}, "open a copy");
    const auto& families = world.oracle.committed.families();
    auto names = opened->list_column_families();
    world.expect(names, {Errc::ok}, "families of a copy");
    world.require(names->size() == families.size(), "families of a copy: wrong number");
    for (const auto& [name, family] : families) {
      auto handle = opened->open_column_family(name);
      world.expect(handle, {Errc::ok}, "family of a copy");
      compare_family(world, *handle, *family.entries, world.clock.now());
    }
    auto report = opened->verify();
    world.expect(report, {Errc::ok}, "verify a copy");
    compare_report(world, *report);
    // A store of its own: nothing of this is seen elsewhere.
    world.expect(opened->put("k1", "in the copy"), {Errc::ok}, "put into a copy");
    world.expect(opened->backup(copy), {Errc::exists}, "backup over itself");
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(copy + suffix);
  }
  return true;
}

bool verify(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  world.trace("verify");
  auto report = world.stores[World::index(store)]->verify();
  if (world.expect(report, reading_a_store(world), "verify")) compare_report(world, *report);
  return true;
}

bool compact(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  if (world.would_wait(World::store_place(store))) return false;
  world.trace("compact");
  const Outcome allowed = world.write_outcome(World::store_place(store));
  if (!world.expect(world.stores[World::index(store)]->compact(), allowed, "compact")) return true;
  auto now = world.stores[World::index(store)]->stats();
  world.expect(now, {Errc::ok}, "stats");
  world.require(now->free_pages == 0, "compact: there are unused pages");
  return true;
}

bool changes(World& world) {
  const int store = world.open_store(1) && world.rng.percent(35) ? 1 : 0;
  world.trace("changes");
  compare_feed(world, store);
  return true;
}

}  // namespace ops

}  // namespace snkv::model
