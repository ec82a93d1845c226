// Reads: what they give is right, or they say that they failed.
#include "fault/run.hpp"

#include <array>

namespace snkv::test {
namespace {

void check_get(Run& run, const char* key) {
  const auto value = run.store.get(key);
  if (!run.ok(value, Errc::not_found)) {
    if (value.error() == Errc::not_found) {
      run.expect(run.plausible("default", key, nullptr), "get lost a key");
    }
    return;
  }
  const BytesView view(*value);
  run.expect(run.plausible("default", key, &view), "get gave a wrong value");
}

void get(Run& run) {
  for (const char* key : {"key030", "absent", "counter"}) check_get(run, key);
}
void get_large(Run& run) {
  for (const char* key : {"large1", "large2", "key001"}) check_get(run, key);
}

void contains_and_ttl(Run& run) {
  const auto found = run.store.contains("large1");
  if (run.ok(found)) run.expect(*found, "contains lost a key");
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  run.ok(family->ttl("s007"));
  const auto expired = family->contains("s001");
  if (run.ok(expired)) run.expect(!*expired, "contains found what is expired");
}

void visit(Run& run) {
  for (const char* key : {"key030", "large1"}) {
    run.ok(run.store.visit(key, [&](BytesView value) {
      run.expect(run.plausible("default", key, &value), "visit gave a wrong value");
    }));
  }
}

void multi_get(Run& run) {
  static constexpr std::array<const char*, 5> keys = {"large1", "key002", "absent", "zz", "key050"};
  static const std::array<BytesView, 5> views = {keys[0], keys[1], keys[2], keys[3], keys[4]};
  const auto values = run.store.multi_get(views);
  if (!run.ok(values)) return;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const BytesView view = (*values)[i] ? BytesView(*(*values)[i]) : BytesView();
    run.expect(run.plausible("default", keys[i], (*values)[i] ? &view : nullptr),
               "multi_get gave a wrong value");
  }
}

void scan_forwards(Run& run) {
  auto range = run.store.all();
  run.scan(range, run.state().at("default"), false);
}
void scan_backwards(Run& run) {
  auto range = run.store.all().reversed();
  run.scan(range, run.state().at("default"), true);
}
void scan_twice(Run& run) {
  scan_forwards(run);
  scan_backwards(run);
}
void scan_expiring(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  auto range = family->all();
  run.scan(range, run.state().at("sessions"), false);
}

void seeks(Run& run) {
  auto it = run.store.iterator();
  if (!run.ok(it.status())) return;
  struct Step {
    const char* at;
    bool backwards;
    const char* found;
  };
  static constexpr std::array<Step, 5> steps = {{{"key030", false, "key030"},
                                                 {"key0305", false, "key031"},
                                                 {"key0305", true, "key030"},
                                                 {"l", false, "large1"},
                                                 {"lz", true, "large2"}}};
  for (const Step& step : steps) {
    if (step.backwards) {
      it.seek_for_prev(step.at);
    } else {
      it.seek(step.at);
    }
    if (!run.ok(it.status())) continue;  // the next seek is a new start
    run.expect(it.valid() && it.key() == BytesView(step.found), "a seek went to a wrong key");
  }
}

void snapshot(Run& run) {
  static const std::string value(60, 'n');
  auto view = run.store.snapshot();
  if (!run.ok(view)) return;
  const bool written = run.wrote(run.store.put("key001", value),
                                 [](Model& m) { m["default"]["key001"] = {value}; });
  const auto old = view->get("key001");
  if (run.ok(old) && written) run.expect(*old != BytesView(value), "a snapshot changed");
  auto users = view->column_family("users");
  if (run.ok(users)) run.ok(users->get("user003"));
  auto it = view->iterator();
  it.seek_first();
  if (run.ok(it.status())) run.expect(it.valid(), "the snapshot is empty");
}

void count(Run& run) {
  const std::uint64_t entries = run.state().at("default").size();
  const auto all = run.store.count();
  if (run.ok(all)) run.expect(*all == entries, "count is wrong");
  const auto live = run.store.count_live();
  if (run.ok(live)) run.expect(*live == entries, "count_live is wrong");
  const auto prefix = run.store.count_prefix("key");
  if (run.ok(prefix)) run.expect(*prefix == 60, "count_prefix is wrong");
}

void count_many(Run& run) {
  const auto some = run.store.count_range("k100", "k600");
  if (run.ok(some)) run.expect(*some == 500, "count_range is wrong");
}

}  // namespace

std::vector<Scenario> read_scenarios() {
  return {
      {"get", "wal", get},
      {"get_large", "wal", get_large},
      {"get_large_rollback", "rollback", get_large},
      {"get_hot_log", "hot log", get_large},
      {"get_memory", "memory", get_large},
      {"contains_and_ttl", "wal", contains_and_ttl},
      {"visit", "wal", visit},
      {"multi_get", "wal", multi_get},
      {"scan_forwards", "wal", scan_forwards},
      {"scan_backwards", "wal", scan_backwards},
      {"scan_twice_rollback", "rollback", scan_twice},
      {"scan_twice_memory", "memory", scan_twice},
      {"scan_many", "many", scan_forwards},
      {"scan_expiring", "wal", scan_expiring},
      {"seeks", "wal", seeks},
      {"snapshot", "wal", snapshot},
      {"snapshot_memory", "memory", snapshot},
      {"count", "wal", count},
      {"count_many", "many", count_many},
  };
}

}  // namespace snkv::test
