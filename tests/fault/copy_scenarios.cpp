// The whole store: copies of it, rewriting it, checking it, SQL on it, and its log.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <algorithm>

namespace snkv::test {
namespace {

const std::string small(60, 'c');

template <bool compact>
void backup(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("copy");
  }
  run.expect_copy("copy", run.ok(run.store.backup(path, {.compact = compact})));
  // The reader that it used is as good as before.
  const auto value = run.store.get("large1");
  if (run.ok(value)) {
    const BytesView view(*value);
    run.expect(run.plausible("default", "large1", &view), "get gave a wrong value");
  }
}

template <bool compact>
void backup_twice(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("copy");
  }
  bool made = run.ok(run.store.backup(path, {.compact = compact}));
  // A copy that is there is never replaced.
  const auto again = run.store.backup(path, {.compact = compact});
  run.expect(!made || !again, "a backup went over a file");
  if (!made) made = run.ok(again);
  if (made && !again) run.ok(again, Errc::exists);
  run.expect_copy("copy", made);
}

template <bool compact>
void backup_aborted(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("copy");
  }
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  const auto result = run.store.backup(path, {.compact = compact}, stop);
  run.expect(!result, "the backup went on when it was told to stop");
  run.ok(result, Errc::aborted);
}

/// Somebody writes while the copy is made: it is of before or after that, and never of both.
void backup_beside_writes(Run& run) {
  std::string path;
  {
    const Paused paused;
    path = run.beside("copy");
  }
  bool wrote = false;
  run.expect_copy("copy", false);
  const std::optional<Model> before = [&] {
    const Paused paused;
    return std::optional<Model>(run.state());
  }();
  const auto progress = [&](std::uint64_t, std::uint64_t) {
    if (!wrote) {
      wrote = true;
      run.wrote(run.store.put("beside", small), [](Model& m) { m["default"]["beside"] = {small}; });
    }
    return true;
  };
  const auto result = run.store.backup(path, progress);
  const bool made = run.ok(result);
  const Paused paused;
  if (made) run.expect_copy_of("copy", {*before});
}

void compact(Run& run) {
  run.ok(run.store.compact());
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

void compact_aborted(Run& run) {
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  const auto result = run.store.compact(stop);
  run.ok(result, Errc::aborted);
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

/// The snapshot sees what it saw, whatever becomes of the compaction.
void compact_beside_snapshot(Run& run) {
  auto view = run.store.snapshot();
  if (!run.ok(view)) return;
  run.ok(run.store.compact());
  const auto value = view->get("large1");
  if (run.ok(value)) {
    const BytesView bytes(*value);
    run.expect(run.plausible("default", "large1", &bytes), "the snapshot changed");
  }
}

void make_holes(Run& run) {
  run.open_before();
  run.wrote(run.store.erase("large1"), [](Model& m) { m["default"].erase("large1"); });
  run.wrote(run.store.put("large1", small), [](Model& m) { m["default"]["large1"] = {small}; });
  run.wrote(run.store.drop_column_family("users"), [](Model& m) { m.erase("users"); });
}

void verify(Run& run) {
  const auto report = run.store.verify();
  if (!run.ok(report)) return;
  std::size_t entries = 0;
  for (const auto& [name, family] : run.state()) entries += family.size();
  run.expect(report->entries == entries, "verify counts wrongly");
  run.expect(report->families == run.state().size(), "verify counts families wrongly");
}

void verify_twice(Run& run) {
  verify(run);
  verify(run);
}

void verify_aborted(Run& run) {
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  const auto report = run.store.verify(stop);
  run.expect(!report, "verify went on when it was told to stop");
  run.ok(report, Errc::aborted);
}

void space_and_stats(Run& run) {
  run.ok(run.store.space());
  auto users = run.store.open_column_family("users");
  if (!run.ok(users)) return;
  const auto stats = users->family_stats();
  if (run.ok(stats)) run.expect(stats->entries == 10, "family_stats counts wrongly");
}

// ---- SQL ----

void sql(Run& run) {
  auto rows = run.store.sql("SELECT key, value FROM \"default\" WHERE key >= ? AND key < ?",
                            BytesView("key010"), BytesView("key050"));
  if (!run.ok(rows)) return;
  int found = 0;
  for (const SqlRow row : *rows) {
    const Paused paused;
    const BytesView value = row[1].blob();
    run.expect(run.plausible("default", row[0].blob().view(), &value), "SQL gave a wrong row");
    ++found;
  }
  if (run.ok(rows->status())) run.expect(found == 40, "the rows ended early and told nobody");
}

/// With sorting, and a function of each row.
void sql_sorted(Run& run) {
  auto rows = run.store.sql(
      "SELECT hex(substr(value, 1, 4)), count(*) FROM \"default\" GROUP BY 1 ORDER BY 1 DESC");
  if (!run.ok(rows)) return;
  std::int64_t found = 0;
  for (const SqlRow row : *rows) found += row[1].int64();
  if (run.ok(rows->status())) {
    run.expect(found == static_cast<std::int64_t>(run.state().at("default").size()),
               "the rows ended early and told nobody");
  }
}

void sql_and_put(Run& run) {
  {
    auto rows = run.store.sql("SELECT key FROM users");
    if (run.ok(rows)) {
      // A store with a rollback journal waits for whoever reads.
      const Errc also = run.options.journal == Journal::rollback ? Errc::busy : Errc::ok;
      run.wrote(
          run.store.put("beside", small), [](Model& m) { m["default"]["beside"] = {small}; }, also);
      run.ok(rows->status());
    }
  }
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

void sql_wrong(Run& run) {
  const auto rows = run.store.sql("SELECT nothing FROM nowhere");
  run.expect(!rows, "SQL that is wrong was run");
  run.ok(rows, Errc::invalid_argument);
  const auto write = run.store.sql("DELETE FROM users");
  run.expect(!write, "SQL that writes was run");
  run.ok(write, Errc::read_only);
}

// ---- The log ----

void limit_log(Run& run) {
  run.options.wal_size_limit = 40 * 4096;
  run.options.expire_snapshots = true;
  run.open_before();
}

const std::string page = patterned(3'000, 71);

void write_much(Run& run) {
  static constexpr const char* keys[] = {"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"};
  for (const char* key : keys) {
    run.wrote(run.store.put(key, page), [&](Model& m) { m["default"][key] = {page}; });
  }
}

/// The snapshot is ended when the log is over its limit, and says so.
void expire_snapshot(Run& run) {
  auto view = run.store.snapshot();
  if (!run.ok(view)) return;
  std::string before;
  {
    const Paused paused;
    before = run.state().at("default").at("key001").value;
  }
  for (int round = 0; round < 2; ++round) write_much(run);
  const auto value = view->get("key001");
  if (run.ok(value, Errc::expired)) run.expect(*value == BytesView(before), "a snapshot changed");
  auto it = run.store.iterator();
  it.seek_first();
  for (int i = 0; i < 4 && it.valid(); ++i) it.next();
  run.ok(it.status(), Errc::expired);
}

void over_limit(Run& run) {
  for (int round = 0; round < 2; ++round) write_much(run);
}

void tell_limit(Run& run) {
  run.options.wal_size_limit = 40 * 4096;
  run.options.on_wal_limit = [](const WalPressure&) { throw 42; };
  run.options.log = [](LogLevel, std::string_view) { throw 42; };
  run.open_before();
}

/// Nobody can help it: the log grows, and whoever is told may do what he likes.
void limit_in_vain(Run& run) {
  auto view = run.store.snapshot();
  if (!run.ok(view)) return;
  for (int round = 0; round < 2; ++round) write_much(run);
  const auto value = view->get("key001");
  run.ok(value);
}

}  // namespace

std::vector<Scenario> copy_scenarios() {
  return {
      {"backup", "wal", backup<false>},
      {"backup_rollback", "rollback", backup<false>},
      {"backup_hot_log", "hot log", backup<false>},
      {"backup_memory", "memory", backup<false>},
      {"backup_twice", "wal", backup_twice<false>},
      {"backup_aborted", "wal", backup_aborted<false>},
      {"backup_beside_writes", "wal", backup_beside_writes},
      {"backup_compact", "wal", backup<true>},
      {"backup_compact_rollback", "rollback", backup<true>},
      {"backup_compact_hot_log", "hot log", backup<true>},
      {"backup_compact_twice", "wal", backup_twice<true>},
      {"compact", "wal", compact, false, make_holes},
      {"compact_rollback", "rollback", compact, false, make_holes},
      {"compact_hot_log", "hot log", compact},
      {"compact_memory", "memory", compact},
      {"compact_aborted", "wal", compact_aborted, false, make_holes},
      {"compact_beside_snapshot", "wal", compact_beside_snapshot},
      {"verify", "wal", verify},
      {"verify_rollback", "rollback", verify},
      {"verify_hot_log", "hot log", verify},
      {"verify_memory", "memory", verify_twice},
      {"verify_aborted", "wal", verify_aborted},
      {"space_and_stats", "wal", space_and_stats},
      {"sql", "wal", sql},
      {"sql_hot_log", "hot log", sql},
      {"sql_sorted", "wal", sql_sorted},
      {"sql_sorted_memory", "memory", sql_sorted},
      {"sql_and_put", "wal", sql_and_put},
      {"sql_and_put_rollback", "rollback", sql_and_put},
      {"sql_wrong", "wal", sql_wrong},
      {"wal_limit", "wal", over_limit, false, limit_log},
      {"wal_limit_expires_snapshot", "wal", expire_snapshot, false, limit_log},
      {"wal_limit_in_vain", "wal", limit_in_vain, false, tell_limit},
  };
}

}  // namespace snkv::test
