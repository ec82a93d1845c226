#include "world.hpp"

#include "support/encrypted.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace snkv::model {

namespace {

constexpr std::uint64_t waits_one_in = 1000;

std::uint64_t bytes_in(const State& state) {
  std::uint64_t bytes = 0;
  for (const auto& [name, family] : state.families()) {
    for (const auto& [key, entry] : *family.entries) bytes += key.size() + entry.value->size();
  }
  return bytes;
}

}  // namespace

std::string Outcome::describe() const {
  std::string text;
  for (int code = 0; code < 64; ++code) {
    if (!allows(static_cast<Errc>(code))) continue;
    if (!text.empty()) text += ", ";
    text += to_string(static_cast<Errc>(code));
  }
  return text;
}

std::string_view to_string(Place place) {
  static constexpr std::array<std::string_view, 4> names = {"A", "B", "txn", "ended txn"};
  return names[static_cast<std::size_t>(place)];
}

std::string describe(const Access& access) {
  return std::string(to_string(access.place)) + "/" + access.name + "#" +
         std::to_string(access.incarnation);
}

std::string Expiry::describe() const {
  if (ttl) return " ttl " + std::to_string(ttl->count());
  return at ? " expires at " + std::to_string(at->time_since_epoch().count()) : "";
}

World::World(const Config& the_config, std::uint64_t seed)
    : config(the_config),
      rng(seed),
      keys(the_config.plain_keys),
      values(the_config.page_size),
      journal(the_config.journal) {
  if (!config.memory) path = scratch_file("model.db");
  oracle.committed.create("default", oracle.new_incarnation());
  open(0);
}

World::~World() = default;

std::string World::scratch_file(std::string_view name) {
  if (folder == nullptr) folder = std::make_unique<test::TempDir>();
  return folder->file(name);
}

void World::trace(std::string line) {
  if (trace_.size() == trace_length) trace_.pop_front();
  trace_.push_back(std::to_string(operations_done) + " " + std::move(line));
}

std::uint64_t World::entry_bytes() const {
  // A full count now and then is enough to keep the size of the file within bounds.
  if (entry_bytes_at_ == 0 || operations_done - entry_bytes_at_ > 500) {
    entry_bytes_ = bytes_in(oracle.open ? oracle.open->state : oracle.committed);
    entry_bytes_at_ = operations_done;
  }
  return entry_bytes_;
}

// ---- Picking ----

Place World::pick_place() {
  if (in_transaction() && rng.percent(80)) return Place::transaction;
  if (!open_store(0)) return Place::second_store;
  if (open_store(1) && rng.percent(35)) return Place::second_store;
  return Place::first_store;
}

Access World::pick_access() {
  if (!handles.empty() && rng.percent(65)) {
    FamilyHandle& handle = handles[rng.below(handles.size())];
    Place place = handle.place;
    if (place == Place::transaction &&
        (!in_transaction() || handle.transaction_serial != transaction_serial)) {
      place = Place::ended_transaction;
    }
    // Old handles are worth a try now and then only; so are stores while a transaction is open.
    const bool useful =
        place == Place::transaction || (!in_transaction() && place < Place::transaction);
    if (useful || rng.percent(15)) {
      return {&handle.family, place, handle.name, handle.incarnation};
    }
  }
  const Place place = pick_place();
  const std::uint64_t incarnation = state_at(place).at("default").incarnation;
  if (place == Place::transaction) return {&transaction, place, "default", incarnation};
  return {&*stores[place == Place::second_store ? 1 : 0], place, "default", incarnation};
}

bool World::would_wait(Place place) const noexcept {
  if (!in_transaction() || config.memory || journal != Journal::wal) return false;
  return place < Place::transaction &&
         !same_store(place == Place::second_store ? 1 : 0, transaction_store);
}

Access World::pick_writer() {
  for (;;) {
    Access access = pick_access();
    if (!would_wait(access.place) || rng.one_in(waits_one_in)) return access;
  }
}

Place World::pick_write_place() {
  for (;;) {
    const Place place = pick_place();
    if (!would_wait(place) || rng.one_in(waits_one_in)) return place;
  }
}

// ---- The rules ----

bool World::views_open() const noexcept {
  return !snapshots.empty() ||
         std::any_of(iterators.begin(), iterators.end(),
                     [](const LiveIterator& live) { return live.frozen != nullptr; }) ||
         std::any_of(live_values.begin(), live_values.end(),
                     [](const LiveValue& live) { return live.frozen; });
}

bool World::is_open(const LiveValue& live) const noexcept {
  return live.frozen || (in_transaction() && live.transaction_serial == transaction_serial);
}

bool World::is_open(const LiveIterator& live) const noexcept {
  if (live.frozen != nullptr) return true;
  return in_transaction() && live.transaction_serial == transaction_serial;
}

bool World::views_open_on(int store) const noexcept {
  return std::any_of(snapshots.begin(), snapshots.end(),
                     [&](const LiveSnapshot& live) { return same_store(live.store, store); }) ||
         std::any_of(iterators.begin(), iterators.end(),
                     [&](const LiveIterator& live) {
                       return is_open(live) && same_store(live.store, store);
                     }) ||
         std::any_of(live_values.begin(), live_values.end(), [&](const LiveValue& live) {
           return is_open(live) && same_store(live.store, store);
         });
}

const Entries* World::entries_of(const Access& access) const {
  if (access.place == Place::ended_transaction) return nullptr;
  const Family* family = state_at(access.place).find(access.name, access.incarnation);
  return family == nullptr ? nullptr : family->entries.get();
}

Outcome World::read_outcome(const Access& access) const {
  // Which of two reasons is reported is not promised.
  Outcome outcome;
  if (access.place == Place::ended_transaction) {
    outcome.add(Errc::closed);
    if (oracle.committed.find(access.name, access.incarnation) == nullptr) {
      outcome.add(Errc::dropped);
    }
    return outcome;
  }
  if (entries_of(access) == nullptr) outcome.add(Errc::dropped);
  if (outcome.empty()) outcome.add(Errc::ok);
  if (commit_pending && access.place != Place::transaction) outcome.add(Errc::busy);
  return outcome;
}

Outcome World::write_outcome(Place place) const {
  Outcome outcome;
  if (place == Place::ended_transaction) return {Errc::closed};
  if (place == Place::transaction) return {Errc::ok};
  const int store = place == Place::second_store ? 1 : 0;
  if (in_transaction()) {
    outcome.add(Errc::locked);
    // Another store's transaction, though of this thread: a writer like any other.
    if (!same_store(store, transaction_store)) outcome.add(Errc::busy);
  }
  if (store == 1 && second_is_read_only) outcome.add(Errc::read_only);
  if (commit_pending) outcome.add(Errc::busy);  // It may have to read first.
  if (outcome.empty()) {
    outcome.add(Errc::ok);
    if (rollback_journal() && views_open()) outcome.add(Errc::busy);
  }
  return outcome;
}

Outcome World::write_outcome(const Access& access) const {
  Outcome outcome = write_outcome(access.place);
  const bool gone = access.place == Place::ended_transaction
                        ? oracle.committed.find(access.name, access.incarnation) == nullptr
                        : entries_of(access) == nullptr;
  if (gone) {
    if (outcome.allows(Errc::ok)) {
      return rollback_journal() && views_open() ? Outcome{Errc::dropped, Errc::busy}
                                                : Outcome{Errc::dropped};
    }
    outcome.add(Errc::dropped);
  }
  return outcome;
}

// ---- What was done ----

void World::put(const Access& access, const std::string& key, Entry entry) {
  state_at(access.place).put(access.name, key, std::move(entry));
  note(access.place, {{Change::Kind::put, access.name, key, {}, {}, 0}});
}

void World::erase(const Access& access, const std::string& key) {
  if (!state_at(access.place).erase(access.name, key)) return;
  note(access.place, {{Change::Kind::erase, access.name, key, {}, {}, 0}});
}

void World::clear(const Access& access) {
  state_at(access.place).clear(access.name);
  if (access.place == Place::transaction) lose_writers(access.name);
  note(access.place, {{Change::Kind::clear, access.name, {}, {}, {}, 0}});
}

void World::erase_range(const Access& access, const Bounds& bounds) {
  auto erased = state_at(access.place).erase_range(access.name, bounds);
  if (erased.empty()) return;
  note(access.place,
       {{Change::Kind::range, access.name, bounds.low, bounds.high, std::move(erased), 0}});
}

void World::commit() {
  auto changes = oracle.commit();
  note(store_place(transaction_store), std::move(changes));
}

void World::note(Place place, std::vector<Change> changes, bool apart) {
  if (place == Place::transaction) {
    auto& noted = oracle.open->changes;
    std::move(changes.begin(), changes.end(), std::back_inserter(noted));
    return;
  }
  ExpectedFeed& expected = feed(place == Place::second_store ? 1 : 0);
  ++expected.commits;
  for (Change& change : changes) {
    change.commit = apart ? 0 : expected.commits;
    expected.most += std::max<std::size_t>(1, change.keys.size());
    // What is too much to be told need not be remembered, but that it is too much.
    if (expected.changes.size() <= change_history) expected.changes.push_back(std::move(change));
  }
}

void World::lose_writers(std::string_view name) {
  for (LiveWriter& live : writers) {
    if (name.empty() || live.name == name) live.lost = true;
  }
}

// ---- Opening and closing ----

std::size_t World::seal_size() const noexcept { return !config.memory && test::encrypting() ? 42 : 0; }

void World::open(int store) {
  Options options;
  options.page_size = config.page_size;
  options.journal = journal;
  options.sync = Sync::off;
  // Every wait in a single thread is in vain.
  options.busy_timeout = std::chrono::milliseconds{0};
  options.cache_size = config.cache_size;
  options.wal_autocheckpoint = config.wal_autocheckpoint;
  options.background_checkpoints = config.beside;
  options.clock = clock.source();
  options.change_history = change_history;
  // A log that views hold back would be waited for, in vain.
  if (config.views) options.wal_size_limit = 0;
  if (config.memory) {
    if (store == 1) {
      stores[1] = stores[0];
      return;
    }
    feeds[0] = {};
    auto opened = Store::open_in_memory(options);
    expect(opened, {Errc::ok}, "open_in_memory");
    stores[0] = std::move(*opened);
    return;
  }
  feeds[index(store)] = {};
  options.read_only = store == 1 && second_is_read_only;
  if (!options.read_only && rng.one_in(4)) options.sync = Sync::normal;
  // With a rollback journal a transaction that outgrows the cache locks readers out.
  if (journal == Journal::wal && rng.one_in(3)) options.cache_size = 64u << 10;
  // The page size of an existing file wins.
  if (rng.one_in(4)) options.page_size = 4096;
  if (!std::filesystem::exists(path)) options.page_size = config.page_size;
  auto opened = test::open_store(path, options);
  expect(opened, {Errc::ok}, "open");
  stores[index(store)] = std::move(*opened);
}

void World::end_transaction_handles() {
  // Savepoints may outlive their transaction; then their end does nothing.
  savepoints.clear();
  transaction = Transaction();
  commit_pending = false;
}

}  // namespace snkv::model
