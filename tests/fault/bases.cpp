// The stores that the scenarios start from.
#include "fault/run.hpp"

#include "support/files.hpp"
#include "support/patterned.hpp"

#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace snkv::test {
namespace {

std::string numbered(const char* prefix, int number) {
  char text[32];
  std::snprintf(text, sizeof text, "%s%03d", prefix, number);
  return text;
}

/// As the program made values that wrote the files of older versions.
std::string patterned_letters(std::size_t size, unsigned seed) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>('a' + (i * 7 + seed) % 26);
  return out;
}

template <class R>
void need(const R& result) {
  if (!result) throw std::runtime_error("making the bases: " + result.error().message());
}

Model usual_contents(std::int64_t now) {
  Model model;
  ModelFamily& main = model["default"];
  for (int i = 0; i < 60; ++i) main[numbered("key", i)] = {patterned(40, 1 + i)};
  main["large1"] = {patterned(20'000, 1)};
  main["large2"] = {patterned(9'000, 2)};
  main["counter"] = {"41"};
  for (int i = 0; i < 10; ++i) model["users"][numbered("user", i)] = {patterned(100, 100 + i)};
  for (int i = 0; i < 10; ++i) {
    // Half of them are expired.
    model["sessions"][numbered("s", i)] = {patterned(30, 200 + i), now + (i - 5) * 1000 + 500};
  }
  return model;
}

Model many_entries() {
  Model model{{"default", {}}};
  for (int i = 0; i < 700; ++i) model["default"][numbered("k", i)] = {patterned(24, i)};
  return model;
}

void fill(Store& store, const Model& contents) {
  for (const auto& [name, entries] : contents) {
    auto family = store.column_family(name);
    need(family);
    for (const auto& [key, entry] : entries) {
      PutOptions put{.sync = Sync::off};
      if (entry.expires_at) put.expires_at = TimePoint(std::chrono::milliseconds(*entry.expires_at));
      need(family->put(key, entry.value, put));
    }
  }
}

std::map<std::string, std::string> read_files(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const char* suffix : {"", "-wal", "-journal"}) {
    if (size_of(path + suffix) > 0) files[suffix] = read_file(path + suffix);
  }
  return files;
}

Options options_of(const Base& base, const FakeClock& clock) {
  return {.journal = base.journal, .page_size = 4096, .cache_size = 40 * 4096,
          .wal_autocheckpoint = 0, .clock = clock.source()};
}

/// Fills a store and closes it.
void make_closed(Base& base, const std::string& path, const FakeClock& clock) {
  const Options options = options_of(base, clock);
  auto store = base.encrypted ? Store::open_encrypted(path, test_key('a'), options)
                              : Store::open(path, options);
  need(store);
  fill(*store, base.contents);
  need(store->close());
  base.files = read_files(path);
}

/// A store of an older version, whose names are not bound yet.
Model older_contents() {
  Model model;
  model["default"] = {{"name", {"of the default family"}},
                      {"later", {"it expires", 4'000'000'000'000}},
                      {"gone", {"it has expired", 1'000'000'000'000}},
                      {"large", {patterned_letters(9000, 1)}}};
  model["accounts"] = {{"alice", {"account of alice"}}};
  model["roles"] = {{"alice", {"role of alice"}}};
  model["vectors"] = {{"one", {"first"}}, {"two", {"second"}}};
  return model;
}

void copy_older(Base& base, const std::string&, const FakeClock&) {
  base.files[""] = read_file(std::string(SNKV_COMPAT_DATA) + "/encrypted-2.db");
}

/// As a crash leaves it: with all that was written since the checkpoint still in the log.
void make_hot_log(Base& base, const std::string& path, const FakeClock& clock) {
  auto store = Store::open(path, options_of(base, clock));
  need(store);
  fill(*store, base.contents);
  // Copied while it is open; this drops the locks of this process, which has no competitor.
  base.files = read_files(path);
  need(store->close());
}

/// As a crash in the middle of a commit leaves it: the journal is whole, the file is half-written.
void make_hot_journal(Base& base, const std::string& path, const FakeClock& clock) {
  const std::string other(5'000, 'x');
  for (std::uint64_t n = 1; n < 200; ++n) {
    std::filesystem::remove(path);
    std::filesystem::remove(path + "-journal");
    {
      auto store = Store::open(path, options_of(base, clock));
      need(store);
      fill(*store, base.contents);
      auto transaction = store->begin({.sync = Sync::full});
      need(transaction);
      for (int i = 0; i < 60; ++i) need(transaction->put(numbered("key", i), other));
      const std::string before = read_file(path);
      arm({Kind::io, true, n});
      const bool committed = transaction->commit().has_value();
      *transaction = Transaction();
      store = Store();
      disarm();
      if (committed) continue;
      const bool changed = read_file(path) != before;
      // A journal that was never made valid has zeros where its magic should be.
      const std::string journal = size_of(path + "-journal") > 0 ? read_file(path + "-journal") : "";
      if (!changed || journal.empty() || journal[0] == '\0') continue;
    }
    base.files = read_files(path);
    return;
  }
  throw std::runtime_error("making the bases: no commit left a hot journal");
}

}  // namespace

std::map<std::string, Base> make_bases(const std::string& folder) {
  std::map<std::string, Base> bases;
  const FakeClock clock;
  const auto add = [&](Base base, auto&& make) {
    make(base, folder + "/" + base.name + ".db", clock);
    bases[base.name] = std::move(base);
  };
  const auto leave = [](Base&, const std::string&, const FakeClock&) {};
  const Model usual = usual_contents(clock.now());
  add({.name = "nothing"}, leave);
  add({.name = "nothing rollback", .journal = Journal::rollback}, leave);
  add({.name = "wal", .contents = usual}, make_closed);
  add({.name = "rollback", .journal = Journal::rollback, .contents = usual}, make_closed);
  add({.name = "sealed", .encrypted = true, .contents = usual}, make_closed);
  add({.name = "sealed rollback", .encrypted = true, .journal = Journal::rollback, .contents = usual},
      make_closed);
  add({.name = "sealed 2", .encrypted = true, .secret = 'k', .contents = older_contents()}, copy_older);
  add({.name = "sealed 2 rollback", .encrypted = true, .secret = 'k', .journal = Journal::rollback,
       .contents = older_contents()},
      copy_older);
  add({.name = "many", .contents = many_entries()}, make_closed);
  add({.name = "hot log", .contents = usual}, make_hot_log);
  add({.name = "hot journal", .journal = Journal::rollback, .contents = usual}, make_hot_journal);
  add({.name = "memory", .in_memory = true, .contents = usual}, leave);
  add({.name = "new memory", .in_memory = true}, leave);
  return bases;
}

}  // namespace snkv::test
