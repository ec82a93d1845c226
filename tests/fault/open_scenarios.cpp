// Opening, closing, maintenance.
#include "fault/run.hpp"

namespace snkv::test {
namespace {

/// Opens, and puts something if that went well.
void open_and_put(Run& run) {
  auto opened = Store::open(run.path, run.options);
  if (!run.ok(opened)) return;
  run.store = std::move(*opened);
  run.wrote(run.store.put("opened", "1"), [](Model& m) { m["default"]["opened"] = {"1"}; });
}

void open_memory(Run& run) {
  auto opened = Store::open_in_memory(run.options);
  if (!run.ok(opened)) {
    const Paused paused;
    // There is nothing to open again: the checks need a store.
    disarm();
    run.store = *Store::open_in_memory(run.options);
    return;
  }
  run.store = std::move(*opened);
  run.wrote(run.store.put("opened", "1"), [](Model& m) { m["default"]["opened"] = {"1"}; });
}

void open_and_read(Run& run) {
  auto opened = Store::open(run.path, run.options);
  if (!run.ok(opened)) return;
  const auto value = opened->get("large1");
  if (run.ok(value)) {
    const BytesView view(*value);
    run.expect(run.plausible("default", "large1", &view), "get gave a wrong value");
  }
  run.expect(!opened->put("never", "1").has_value(), "a read-only store was written");
}

void read_only(Run& run) { run.options.read_only = true; }
void to_wal(Run& run) { run.options.journal = Journal::wal; }
void to_rollback(Run& run) { run.options.journal = Journal::rollback; }

void write_before(Run& run) {
  for (const char* key : {"a", "b", "c"}) {
    run.wrote(run.store.put(key, std::string(3000, *key)),
              [&](Model& m) { m["default"][key] = {std::string(3000, *key)}; });
  }
}

void open_before_and_write(Run& run) {
  run.open_before();
  write_before(run);
}

void close_it(Run& run) {
  // Not closed after an error, or for good: what was committed is in the log then.
  run.ok(run.store.close());
  run.store = Store();
}

void let_go(Run& run) { run.store = Store(); }

template <Checkpoint mode>
void checkpoint(Run& run) {
  run.ok(run.store.checkpoint(mode), Errc::busy);
  run.wrote(run.store.put("after", "1"), [](Model& m) { m["default"]["after"] = {"1"}; });
}

void sync(Run& run) {
  const bool done = run.ok(run.store.sync());
  // The only operation that is nothing but a promise about the disk.
  run.expect(run.fault.kind != Kind::sync || faults_delivered() == 0 || !done,
             "sync promised what a failed fsync did not give");
}

void vacuum_prepare(Run& run) {
  run.open_before();
  run.wrote(run.store.erase("large1"), [](Model& m) { m["default"].erase("large1"); });
  run.ok(run.store.drop_column_family("users"));
  run.wrote(run.store.put("b", "1"), [](Model& m) {
    m.erase("users");
    m["default"]["b"] = {"1"};
  });
}

void vacuum(Run& run) { run.ok(run.store.vacuum()); }
void vacuum_some(Run& run) { run.ok(run.store.vacuum(2)); }

void stats(Run& run) {
  run.ok(run.store.stats());
  run.ok(run.store.reset_stats());
}

void integrity(Run& run) {
  const auto result = run.store.integrity_check();
  run.ok(result);
}

/// The first commit that asks for more than the store syncs what is there before it.
void put_synced(Run& run) {
  run.wrote(run.store.put("synced", "1", {.sync = Sync::full}),
            [](Model& m) { m["default"]["synced"] = {"1"}; });
}

void autocheckpoint(Run& run) {
  run.options.wal_autocheckpoint = 8;
  run.options.background_checkpoints = false;  // what a thread does is not counted the same each time
}

void put_many(Run& run) {
  static const std::string value(1500, 'v');
  static constexpr const char* keys[] = {"m1", "m2", "m3", "m4", "m5", "m6"};
  for (const char* key : keys) {
    run.wrote(run.store.put(key, value), [&](Model& m) { m["default"][key] = {value}; });
  }
}

void without_syncs_prepare(Run& run) {
  run.options.sync = Sync::off;
  run.open_before();
}

void autocheckpoint_prepare(Run& run) {
  autocheckpoint(run);
  run.open_before();
}

}  // namespace

std::vector<Scenario> open_scenarios() {
  return {
      {"open_new", "nothing", open_and_put, true},
      {"open_new_rollback", "nothing rollback", open_and_put, true},
      {"open_new_memory", "new memory", open_memory, true},
      {"open_existing", "wal", open_and_put, true},
      {"open_existing_rollback", "rollback", open_and_put, true},
      {"open_hot_log", "hot log", open_and_put, true},
      {"open_hot_journal", "hot journal", open_and_put, true},
      {"open_read_only", "wal", open_and_read, true, read_only},
      {"open_read_only_hot_log", "hot log", open_and_read, true, read_only},
      {"convert_to_wal", "rollback", open_and_put, true, to_wal},
      {"convert_to_rollback", "wal", open_and_put, true, to_rollback},
      {"close", "wal", close_it, false, open_before_and_write},
      {"let_go", "wal", let_go, false, open_before_and_write},
      {"checkpoint_passive", "wal", checkpoint<Checkpoint::passive>, false, open_before_and_write},
      {"checkpoint_full", "wal", checkpoint<Checkpoint::full>, false, open_before_and_write},
      {"checkpoint_restart", "wal", checkpoint<Checkpoint::restart>, false, open_before_and_write},
      {"checkpoint_truncate", "wal", checkpoint<Checkpoint::truncate>, false, open_before_and_write},
      {"checkpoint_rollback", "rollback", checkpoint<Checkpoint::truncate>, false,
       open_before_and_write},
      {"first_synced", "wal", put_synced, false, without_syncs_prepare},
      {"autocheckpoint", "wal", put_many, false, autocheckpoint_prepare},
      {"sync", "wal", sync, false, open_before_and_write},
      {"sync_rollback", "rollback", sync, false, open_before_and_write},
      {"vacuum", "wal", vacuum, false, vacuum_prepare},
      {"vacuum_some", "wal", vacuum_some, false, vacuum_prepare},
      {"vacuum_rollback", "rollback", vacuum, false, vacuum_prepare},
      {"stats", "wal", stats},
      {"integrity_check", "wal", integrity},
  };
}

}  // namespace snkv::test
