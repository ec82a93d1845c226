// Values that are held, read in pieces, written in pieces, and taken from and to files.
#include "operations.hpp"

#include "support/files.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace snkv::model::ops {

namespace {

constexpr std::size_t max_live_values = 3;
constexpr std::size_t max_writers = 3;

// ---- Reading ----

void compare_part(World& world, const LiveValue& live, std::uint64_t offset,
                  std::string_view part) {
  if (live.value->compare(offset, part.size(), part) != 0) {
    world.fail("blob reader: wrong bytes at " + std::to_string(offset) + " of " +
               printable(live.key));
  }
}

/// One random reading; whether it succeeded.
bool read_part(World& world, LiveValue& live, Outcome allowed) {
  const std::uint64_t size = live.value->size();
  world.require(live.reader.size() == size, "blob reader: wrong size");
  world.require(live.reader.tell() == live.position, "blob reader: wrong position");
  std::uint64_t offset = world.rng.below(size + 1);
  std::string buffer(world.rng.one_in(4) ? size + 1 : world.rng.below(300), '\0');
  const std::uint64_t kind = world.rng.below(10);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(buffer));
  const auto in_outcome = [&](const auto& result) {
    return world.expect(result, allowed, "blob read");
  };
  if (kind < 4) {
    world.trace("read on in " + printable(live.key));
    auto got = live.reader.read(bytes);
    if (!in_outcome(got)) return false;
    world.require(*got == std::min<std::uint64_t>(buffer.size(), size - live.position),
                  "blob reader: wrong number of bytes");
    compare_part(world, live, live.position, std::string_view(buffer).substr(0, *got));
    live.position += *got;
    return true;
  }
  if (kind < 8) {
    if (world.rng.one_in(8)) {
      offset = size + world.rng.between(1, 3);
      refuse(allowed, Errc::invalid_argument);
    }
    world.trace("read at " + std::to_string(offset) + " in " + printable(live.key));
    auto got = live.reader.read_at(offset, bytes);
    if (!in_outcome(got)) return allowed.allows(Errc::invalid_argument);
    world.require(*got == std::min<std::uint64_t>(buffer.size(), size - offset),
                  "blob reader: wrong number of bytes");
    compare_part(world, live, offset, std::string_view(buffer).substr(0, *got));
    return true;
  }
  if (world.rng.one_in(4)) {
    offset = size + 1;
    refuse(allowed, Errc::invalid_argument);
  }
  world.trace("seek to " + std::to_string(offset) + " in " + printable(live.key));
  if (!in_outcome(live.reader.seek(offset))) return allowed.allows(Errc::invalid_argument);
  live.position = offset;
  return true;
}

Outcome reader_outcome(const World& world, const LiveValue& live) {
  if (live.frozen) return {Errc::ok};
  if (!world.is_open(live)) return {Errc::closed, Errc::dropped};
  const Family* family = world.oracle.open->state.find(live.name, live.incarnation);
  if (family == nullptr) return {Errc::closed, Errc::dropped};
  const Entry* entry = visible(family->entries.get(), live.key, world.oracle.open->now);
  if (entry == nullptr) return {Errc::closed};
  if (entry->value == live.value) return {Errc::ok};
  // Another value with the same bytes may, but need not be noticed.
  return *entry->value == *live.value ? Outcome{Errc::ok, Errc::closed} : Outcome{Errc::closed};
}

/// False when it has nothing left to show.
bool use_value(World& world, LiveValue& live) {
  if (!live.is_pinned) return read_part(world, live, reader_outcome(world, live));
  // Whatever has happened since.
  world.require(live.pinned.view().view() == *live.value, "a pinned value has changed");
  world.require(live.pinned.size() == live.value->size(), "a pinned value: wrong size");
  return true;
}

}  // namespace

bool open_value(World& world) {
  const Reading reading = pick_reading(world);
  LiveValue live;
  live.key = likely_key(world, reading.entries);
  live.is_pinned = world.rng.percent(40);
  Outcome allowed;
  const Entry* entry = sought(reading, live.key, allowed);
  world.trace((live.is_pinned ? "pin " : "open a reader of ") + reading.label + " " +
              printable(live.key));
  if (live.is_pinned) {
    auto pinned = reading.reader->get_pinned(live.key);
    if (!world.expect(pinned, allowed, "get_pinned")) return true;
    live.pinned = std::move(*pinned);
  } else {
    auto reader = reading.reader->blob_reader(live.key);
    if (!world.expect(reader, allowed, "blob_reader")) return true;
    live.reader = std::move(*reader);
  }
  live.value = entry->value;
  live.frozen = reading.snapshot != nullptr || reading.access.place != Place::transaction;
  if (reading.snapshot != nullptr) {
    live.store = reading.snapshot->store;
  } else if (live.frozen) {
    live.store = reading.access.place == Place::second_store ? 1 : 0;
  } else {
    live.store = world.transaction_store;
    live.name = reading.access.name;
    live.incarnation = reading.access.incarnation;
    live.transaction_serial = world.transaction_serial;
  }
  use_value(world, live);
  if (live.frozen && !world.config.views) return true;
  if (world.live_values.size() < max_live_values) world.live_values.push_back(std::move(live));
  return true;
}

bool read_value(World& world) {
  if (world.live_values.empty()) return false;
  const std::size_t number = world.rng.below(world.live_values.size());
  if (!use_value(world, world.live_values[number])) {
    world.live_values.erase(world.live_values.begin() + static_cast<std::ptrdiff_t>(number));
  }
  return true;
}

bool close_value(World& world) {
  if (world.live_values.empty()) return false;
  world.trace("close a value");
  const std::size_t number = world.rng.below(world.live_values.size());
  world.live_values.erase(world.live_values.begin() + static_cast<std::ptrdiff_t>(number));
  return true;
}

// ---- Writing ----

namespace {

std::size_t most_content(const World& world) {
  if (world.entry_bytes() > World::max_entry_bytes) return 100;
  return std::min<std::size_t>(4 * world.config.page_size, 100'000);
}

/// A size for a value of several pages, or less.
std::size_t random_size(World& world) {
  return world.rng.below(world.rng.percent(50) ? 300 : most_content(world) + 1);
}

Outcome writer_outcome(const World& world, const LiveWriter& live) {
  if (!world.in_transaction() || live.transaction_serial != world.transaction_serial) {
    return {Errc::closed, Errc::dropped};
  }
  Outcome outcome;
  if (live.lost) outcome.add(Errc::closed);
  if (world.oracle.open->state.find(live.name, live.incarnation) == nullptr) {
    outcome.add(Errc::dropped);
  }
  if (outcome.empty()) outcome.add(Errc::ok);
  return outcome;
}

void open_with(World& world, LiveWriter& live, std::int64_t now, Outcome& allowed) {
  live.expiry = random_expiry(world, 25);
  if (live.expiry.refused(now)) refuse(allowed, Errc::invalid_argument);
  if (world.rng.percent(40)) live.size = random_size(world);
  if (world.rng.one_in(100)) {
    live.size = max_value_size + world.rng.between(1, 5);
    refuse(allowed, Errc::too_large);
  }
}

BlobOptions options_of(const LiveWriter& live) {
  return {.size = live.size, .ttl = live.expiry.ttl, .expires_at = live.expiry.at};
}

/// One random writing; to the oracle too if it succeeded.
void write_part(World& world, LiveWriter& live, Outcome allowed) {
  Rng& rng = world.rng;
  world.require(live.writer.size() == live.content.size(), "blob writer: wrong size");
  std::size_t amount = random_size(world);
  std::uint64_t offset = live.content.size();
  const std::uint64_t kind = rng.below(10);
  if (kind >= 5 && kind < 9) offset = rng.below(live.content.size() + 1);
  if (kind == 9 && rng.percent(30)) offset += rng.between(1, 5);
  // Mostly within what is allowed.
  std::size_t most = most_content(world);
  if (live.size && !rng.one_in(8)) most = std::min<std::uint64_t>(most, *live.size);
  amount = std::min(amount, most - std::min(most, static_cast<std::size_t>(offset)));
  const bool beyond = offset > live.content.size();
  if (beyond || (live.size && offset + amount > *live.size)) {
    refuse(allowed, Errc::invalid_argument);
  }
  const Value bytes = world.values.value_of(amount);
  world.trace("write " + std::to_string(amount) + " bytes at " + std::to_string(offset) + " of " +
              printable(live.key));
  auto written = kind < 5 ? live.writer.write(*bytes) : live.writer.write_at(offset, *bytes);
  if (!world.expect(written, allowed, "blob write")) return;
  const std::size_t end = static_cast<std::size_t>(offset) + amount;
  if (live.content.size() < end) live.content.resize(end);
  live.content.replace(static_cast<std::size_t>(offset), amount, *bytes);
  world.require(live.writer.size() == live.content.size(), "blob writer: wrong size");
}

/// Makes the size the declared one, most of the time.
void fill_up(World& world, LiveWriter& live, const Outcome& allowed) {
  if (!live.size || live.content.size() >= *live.size || !world.rng.percent(80)) return;
  const Value rest = world.values.value_of(*live.size - live.content.size());
  world.trace("write the rest of " + printable(live.key));
  if (world.expect(live.writer.write(*rest), allowed, "blob write")) live.content += *rest;
}

/// Finishes it; true when it has ended with that.
bool finish(World& world, LiveWriter& live, const Access& access, Outcome allowed) {
  fill_up(world, live, allowed.allows(Errc::busy) ? Outcome{Errc::ok} : allowed);
  const std::int64_t now = world.now_at(access.place);
  if ((live.size && *live.size != live.content.size()) || live.expiry.refused(now)) {
    refuse(allowed, Errc::invalid_argument);
  }
  world.trace("finish " + printable(live.key) + ", " + std::to_string(live.content.size()) +
              " bytes");
  if (!world.expect(live.writer.finish(), allowed, "blob finish")) return false;
  world.put(access, live.key,
            {std::make_shared<const std::string>(live.content), live.expiry.moment(now)});
  world.expect(live.writer.write("late"), {Errc::closed}, "write after finish");
  world.expect(live.writer.finish(), {Errc::closed}, "finish after finish");
  return true;
}

}  // namespace

bool write_in_pieces(World& world) {
  const Access access = world.pick_writer();
  if (access.place == Place::transaction) return false;
  LiveWriter live;
  const Entries* entries = world.entries_of(access);
  live.key = likely_key(world, entries);
  Outcome allowed = world.write_outcome(access);
  open_with(world, live, world.clock.now(), allowed);
  world.trace("write in pieces " + describe(access) + " " + printable(live.key) +
              live.expiry.describe() + (live.size ? " size " + std::to_string(*live.size) : ""));
  auto opened = access.writer->blob_writer(live.key, options_of(live));
  if (!world.expect(opened, allowed, "blob_writer")) return true;
  live.writer = std::move(*opened);
  for (std::uint64_t parts = world.rng.below(5); parts > 0; --parts) {
    write_part(world, live, {Errc::ok});
  }
  if (world.rng.one_in(4)) {
    world.expect(access.writer->put("k1", "meanwhile"), {Errc::locked}, "put beside a blob writer");
    const Entry* entry = visible(entries, live.key, world.clock.now());
    auto before = access.writer->get(live.key);
    world.expect(before, {entry == nullptr ? Errc::not_found : Errc::ok},
                 "get of an unfinished value");
    if (entry != nullptr) world.require(before->view() == *entry->value, "an unfinished value");
  }
  // The time of a ttl runs from the end on.
  if (world.rng.one_in(3)) world.clock.advance(std::chrono::milliseconds{world.rng.below(200)});
  if (world.rng.percent(30)) {
    if (world.rng.percent(50)) live.writer.cancel();
    return true;
  }
  Outcome ending = {Errc::ok};
  if (world.rollback_journal() && world.views_open()) ending.add(Errc::busy);
  if (!finish(world, live, access, ending) && world.rng.percent(50)) {
    live.writer.cancel();
    world.expect(live.writer.write("late"), {Errc::closed}, "write after cancel");
  }
  return true;
}

bool open_writer(World& world) {
  if (!world.in_transaction() || world.writers.size() >= max_writers) return false;
  const Access access = world.pick_access();
  if (access.place < Place::transaction) return false;
  LiveWriter live;
  live.name = access.name;
  live.incarnation = access.incarnation;
  live.transaction_serial = world.transaction_serial;
  live.key = likely_key(world, world.entries_of(access));
  Outcome allowed = world.write_outcome(access);
  open_with(world, live, world.oracle.open->now, allowed);
  world.trace("open a writer of " + describe(access) + " " + printable(live.key) +
              live.expiry.describe() + (live.size ? " size " + std::to_string(*live.size) : ""));
  auto opened = access.writer->blob_writer(live.key, options_of(live));
  if (!world.expect(opened, allowed, "blob_writer")) return true;
  live.writer = std::move(*opened);
  world.writers.push_back(std::move(live));
  return true;
}

bool use_writer(World& world) {
  if (world.writers.empty()) return false;
  const std::size_t number = world.rng.below(world.writers.size());
  LiveWriter& live = world.writers[number];
  const Outcome allowed = writer_outcome(world, live);
  if (!allowed.allows(Errc::ok)) {
    world.trace("use a writer that is lost");
    world.expect(live.writer.write("late"), allowed, "write to a lost blob writer");
    world.expect(live.writer.finish(), allowed, "finish of a lost blob writer");
    if (world.rng.percent(15)) return true;
  } else if (world.rng.percent(75)) {
    write_part(world, live, allowed);
    return true;
  } else {
    const Access access{nullptr, Place::transaction, live.name, live.incarnation};
    if (!finish(world, live, access, allowed)) return true;
  }
  world.writers.erase(world.writers.begin() + static_cast<std::ptrdiff_t>(number));
  return true;
}

bool close_writer(World& world) {
  if (world.writers.empty()) return false;
  const std::size_t number = world.rng.below(world.writers.size());
  LiveWriter& live = world.writers[number];
  world.trace("give up the writer of " + printable(live.key));
  if (world.rng.percent(50)) {
    live.writer.cancel();
    world.expect(live.writer.write("late"), {Errc::closed}, "write after cancel");
  }
  world.writers.erase(world.writers.begin() + static_cast<std::ptrdiff_t>(number));
  return true;
}

// ---- Files ----

namespace {

/// Files that are the store's own, which nobody else must open.
std::string own_file(World& world) {
  static constexpr std::array<std::string_view, 3> suffixes = {"", "-wal", "-shm"};
  return world.path + std::string(suffixes[world.rng.below(suffixes.size())]);
}

}  // namespace

bool put_file(World& world) {
  const Access access = world.pick_writer();
  const std::string key = likely_key(world, world.entries_of(access));
  const Value content = world.values.value_of(random_size(world));
  Outcome allowed = world.write_outcome(access);
  BlobOptions options;
  const Expiry expiry = random_expiry(world, 25);
  const std::int64_t now =
      access.place == Place::ended_transaction ? world.clock.now() : world.now_at(access.place);
  if (expiry.refused(now)) refuse(allowed, Errc::invalid_argument);
  options.ttl = expiry.ttl;
  options.expires_at = expiry.at;
  if (world.rng.percent(20)) {
    options.size = content->size() + world.rng.below(2);
    if (*options.size != content->size()) refuse(allowed, Errc::invalid_argument);
  }
  std::string path = world.scratch_file("in");
  if (world.rng.one_in(20)) {
    path = world.scratch_file("no such file");
    refuse(allowed, Errc::cant_open);
  } else if (!world.config.memory && world.rng.one_in(20)) {
    path = own_file(world);
    refuse(allowed, Errc::invalid_argument);
  } else {
    test::write_file(path, *content);
  }
  Progress progress;
  if (!content->empty() && world.rng.one_in(10)) {
    progress = [](std::uint64_t, std::uint64_t) { return false; };
    refuse(allowed, Errc::aborted);
  }
  world.trace("put a file of " + std::to_string(content->size()) + " bytes " + describe(access) +
              " " + printable(key) + expiry.describe());
  auto size = access.writer->put_file(key, path, options, progress);
  if (!world.expect(size, allowed, "put_file")) return true;
  world.require(*size == content->size(), "put_file: wrong size");
  world.put(access, key, {content, expiry.moment(now)});
  return true;
}

bool get_to_file(World& world) {
  const Reading reading = pick_reading(world);
  const std::string key = likely_key(world, reading.entries);
  Outcome allowed;
  const Entry* entry = sought(reading, key, allowed);
  static constexpr std::string_view before = "what was there before";
  std::string path = world.scratch_file("out");
  const bool replaces = world.rng.percent(50);
  std::filesystem::remove(path);
  if (replaces) test::write_file(path, before);
  if (world.rng.one_in(20)) {
    path = world.scratch_file("no such folder/out");
    refuse(allowed, Errc::cant_open);
  } else if (!world.config.memory && world.rng.one_in(20)) {
    path = own_file(world);
    refuse(allowed, Errc::invalid_argument);
  }
  Progress progress;
  if (entry != nullptr && !entry->value->empty() && world.rng.one_in(10)) {
    progress = [](std::uint64_t, std::uint64_t) { return false; };
    refuse(allowed, Errc::aborted);
  }
  world.trace("get to a file " + reading.label + " " + printable(key));
  auto size = reading.reader->get_to_file(key, path, progress);
  const bool done = world.expect(size, allowed, "get_to_file");
  path = world.scratch_file("out");
  if (done) {
    world.require(*size == entry->value->size(), "get_to_file: wrong size");
    world.require(test::read_file(path) == *entry->value, "get_to_file: wrong content");
  } else {
    world.require(std::filesystem::exists(path) == replaces, "get_to_file: it left a file");
    if (replaces) world.require(test::read_file(path) == before, "get_to_file: it left something");
  }
  return true;
}

}  // namespace snkv::model::ops
