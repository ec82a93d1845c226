// Autocommit writes.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <stdexcept>

namespace snkv::test {
namespace {

using namespace std::chrono_literals;

const std::string small(50, 's');
const std::string large = patterned(30'000, 77);
const std::string medium = patterned(12'000, 78);

/// Puts `value` under a key of the default family.
template <const std::string& value>
void put(Run& run, const char* key) {
  run.wrote(run.store.put(key, value), [&](Model& m) { m["default"][key] = {value}; });
}

void put_new(Run& run) { put<small>(run, "new"); }
void put_overwrite(Run& run) { put<small>(run, "key030"); }
void put_large(Run& run) { put<large>(run, "new"); }
void small_to_large(Run& run) { put<large>(run, "key030"); }
void large_to_small(Run& run) { put<small>(run, "large1"); }
void large_to_large(Run& run) { put<medium>(run, "large1"); }

/// The store has to be usable in the middle of it, too.
void put_several(Run& run) {
  put<small>(run, "a");
  put<medium>(run, "key001");
  put<small>(run, "large2");
}

void erase(Run& run, const char* key) {
  const auto existed = run.store.erase(key);
  if (run.wrote(existed, [&](Model& m) { m["default"].erase(key); })) {
    run.expect(*existed, "erase says that the key was not there");
  }
}
void erase_small(Run& run) { erase(run, "key030"); }
void erase_large(Run& run) { erase(run, "large1"); }

void clear(Run& run) {
  run.wrote(run.store.clear(), [](Model& m) { m["default"].clear(); });
}

/// A key of the base "many".
std::string key_of(int number) {
  std::string key(4, 'k');
  for (std::size_t i = 3; i > 0; --i, number /= 10) key[i] = static_cast<char>('0' + number % 10);
  return key;
}

template <int low, int high>
void erase_range(Run& run) {
  static const std::string from = key_of(low);
  static const std::string to = key_of(high);
  const auto erased = run.store.erase_range(from, to);
  const bool done = run.wrote(erased, [](Model& m) {
    auto& entries = m["default"];
    entries.erase(entries.lower_bound(from), entries.lower_bound(to));
  });
  if (done) run.expect(*erased == high - low, "erase_range counts wrongly");
}

// ---- Families ----

void create_family(Run& run) {
  run.wrote(run.store.create_column_family("fresh"), [](Model& m) { m["fresh"]; });
}

void family_and_put(Run& run) {
  auto family = run.store.column_family("fresh");
  if (!run.wrote(family, [](Model& m) { m["fresh"]; })) return;
  run.wrote(family->put("a", large), [](Model& m) { m["fresh"]["a"] = {large}; });
}

void drop_family(Run& run) {
  run.wrote(run.store.drop_column_family("sessions"), [](Model& m) { m.erase("sessions"); });
}

void open_families(Run& run) {
  run.ok(run.store.list_column_families());
  run.ok(run.store.open_column_family("users"));
}

// ---- Expiry ----

std::int64_t in(const Run& run, std::int64_t ms) { return run.clock.now() + ms; }

void put_first_ttl(Run& run) {
  run.wrote(run.store.put("key001", small, {.ttl = 5s}),
            [&](Model& m) { m["default"]["key001"] = {small, in(run, 5000)}; });
}

void put_large_ttl(Run& run) {
  run.wrote(run.store.put("new", large, {.ttl = 5s}),
            [&](Model& m) { m["default"]["new"] = {large, in(run, 5000)}; });
}

void expire_and_persist(Run& run) {
  run.wrote(run.store.expire("large1", 7s),
            [&](Model& m) { m["default"]["large1"].expires_at = in(run, 7000); });
  run.wrote(run.store.persist("large1"),
            [](Model& m) { m["default"]["large1"].expires_at.reset(); });
}

void expire_again(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  run.wrote(family->expire("s007", 9s),
            [&](Model& m) { m["sessions"]["s007"].expires_at = in(run, 9000); });
}

void purge(Run& run) {
  auto family = run.store.open_column_family("sessions");
  if (!run.ok(family)) return;
  const auto purged = family->purge_expired();
  if (run.ok(purged)) run.expect(*purged == 5, "purge_expired counts wrongly");
}

void purge_all(Run& run) { run.ok(run.store.purge_all_expired()); }

// ---- Read-modify-write ----

void put_if_absent(Run& run) {
  run.wrote(run.store.put_if_absent("new", small), [](Model& m) { m["default"]["new"] = {small}; });
  const auto again = run.store.put_if_absent("large1", small);
  if (run.ok(again)) run.expect(!*again, "put_if_absent replaced something");
}

void compare_and_swap(Run& run) {
  const auto swapped = run.store.compare_and_swap("counter", "41", large);
  if (run.wrote(swapped, [](Model& m) { m["default"]["counter"] = {large}; })) {
    run.expect(*swapped, "compare_and_swap did not find what was there");
  }
}

void increment(Run& run) {
  const auto sum = run.store.increment("counter", 9);
  if (run.wrote(sum, [](Model& m) { m["default"]["counter"] = {"50"}; })) {
    run.expect(*sum == 50, "increment adds wrongly");
  }
}

void get_and_change(Run& run) {
  const auto before = run.store.get_and_put("large1", small);
  run.wrote(before, [](Model& m) { m["default"]["large1"] = {small}; });
  const auto gone = run.store.get_and_erase("large2");
  run.wrote(gone, [](Model& m) { m["default"].erase("large2"); });
}

void merge(Run& run) {
  const auto grow = [](std::optional<BytesView> current) -> Result<std::optional<Bytes>> {
    Bytes twice;
    twice.resize_for_overwrite(2 * current->size());
    std::copy(current->data(), current->data() + current->size(), twice.data());
    std::copy(current->data(), current->data() + current->size(), twice.data() + current->size());
    return std::optional<Bytes>(std::move(twice));
  };
  run.wrote(run.store.merge("large2", grow), [](Model& m) {
    std::string& value = m["default"]["large2"].value;
    value += std::string(value);
  });
}

void merge_throws(Run& run) {
  const auto refuse = [](std::optional<BytesView>) -> Result<std::optional<Bytes>> { throw 42; };
  run.ok(run.store.merge("key001", refuse), Errc::aborted);
}

void write_batch(Run& run) {
  WriteBatch batch;
  batch.put("a", small).put("key001", large).erase("large1").in_family("users").clear_family();
  batch.put("u", small, {.ttl = 4s});
  run.wrote(run.store.write(batch), [&](Model& m) {
    m["default"]["a"] = {small};
    m["default"]["key001"] = {large};
    m["default"].erase("large1");
    m["users"] = {{"u", {small, in(run, 4000)}}};
  });
}

}  // namespace

std::vector<Scenario> write_scenarios() {
  return {
      {"put_new", "wal", put_new},
      {"put_overwrite", "wal", put_overwrite},
      {"put_large", "wal", put_large},
      {"put_small_to_large", "wal", small_to_large},
      {"put_large_to_small", "wal", large_to_small},
      {"put_large_to_large", "wal", large_to_large},
      {"put_several", "wal", put_several},
      {"put_hot_log", "hot log", put_several},
      {"put_rollback", "rollback", put_new},
      {"put_several_rollback", "rollback", put_several},
      {"put_memory", "memory", put_several},
      {"erase_small", "wal", erase_small},
      {"erase_large", "wal", erase_large},
      {"erase_large_rollback", "rollback", erase_large},
      {"clear", "wal", clear},
      {"clear_memory", "memory", clear},
      {"erase_range_some", "many", erase_range<100, 140>},
      {"erase_range_nearly_all", "many", erase_range<10, 690>},
      {"create_family", "wal", create_family},
      {"family_and_put", "wal", family_and_put},
      {"family_and_put_rollback", "rollback", family_and_put},
      {"drop_family", "wal", drop_family},
      {"drop_family_memory", "memory", drop_family},
      {"open_families", "wal", open_families},
      {"put_first_ttl", "wal", put_first_ttl},
      {"put_large_ttl", "wal", put_large_ttl},
      {"expire_and_persist", "wal", expire_and_persist},
      {"expire_again", "wal", expire_again},
      {"purge", "wal", purge},
      {"purge_all", "wal", purge_all},
      {"put_if_absent", "wal", put_if_absent},
      {"compare_and_swap", "wal", compare_and_swap},
      {"increment", "wal", increment},
      {"get_and_change", "wal", get_and_change},
      {"merge", "wal", merge},
      {"merge_throws", "wal", merge_throws},
      {"write_batch", "wal", write_batch},
      {"write_batch_rollback", "rollback", write_batch},
  };
}

}  // namespace snkv::test
