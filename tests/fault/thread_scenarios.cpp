// Several threads, several handles. Faults strike whoever comes along; what each thread is told
// must be true all the same.
#include "fault/run.hpp"

#include "support/patterned.hpp"

#include <array>
#include <new>
#include <thread>

namespace snkv::test {
namespace {

const std::string small(60, 'h');
const std::string large = patterned(13'000, 91);

/// Runs `body(i)` in threads. What the facade throws was before anything was done.
template <std::size_t count, class Body>
void in_threads(Body&& body) {
  std::array<std::thread, count> threads;
  {
    const Paused paused;
    for (std::size_t i = 0; i < count; ++i) {
      threads[i] = std::thread([&body, i] {
        try {
          body(i);
        } catch (const std::bad_alloc&) {
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
}

/// Each puts two keys, one after the other; they share commits as it happens.
void group_puts(Run& run) {
  static constexpr std::array<const char*, 6> keys = {"g0", "g1", "g2", "g3", "g4", "g5"};
  std::array<std::optional<Result<void>>, 6> results;
  in_threads<3>([&](std::size_t i) {
    for (const std::size_t k : {i, i + 3}) {
      results[k] = run.store.put(keys[k], k % 2 == 0 ? small : large);
    }
  });
  for (std::size_t k = 0; k < keys.size(); ++k) {
    if (!results[k]) continue;
    run.wrote(*results[k], [&](Model& m) { m["default"][keys[k]] = {k % 2 == 0 ? small : large}; });
  }
}

/// One of those that share a commit is refused.
void group_refusal(Run& run) {
  std::array<std::optional<Result<void>>, 3> results;
  in_threads<3>([&](std::size_t i) {
    static constexpr const char* keys[] = {"g0", "g1", "g2"};
    if (i == 1) {
      results[i] = run.store.merge(
          "key001", [](std::optional<BytesView>) -> Result<std::optional<Bytes>> { throw 42; });
    } else {
      results[i] = run.store.put(keys[i], small);
    }
  });
  if (results[0]) run.wrote(*results[0], [](Model& m) { m["default"]["g0"] = {small}; });
  if (results[1]) run.expect(!*results[1], "what a function threw was not told");
  if (results[1]) run.ok(*results[1], Errc::aborted);
  if (results[2]) run.wrote(*results[2], [](Model& m) { m["default"]["g2"] = {small}; });
}

/// Readers beside a writer: what they read is from before or after.
void read_beside_write(Run& run) {
  std::optional<Result<Bytes>> read;
  std::optional<Result<void>> put;
  in_threads<2>([&](std::size_t i) {
    if (i == 0) {
      put = run.store.put("large1", small);
    } else {
      read = run.store.get("large1");
    }
  });
  std::string before;
  {
    const Paused paused;
    before = run.state().at("default").at("large1").value;
  }
  if (put) run.wrote(*put, [](Model& m) { m["default"]["large1"] = {small}; });
  if (read && run.ok(*read)) {
    run.expect(**read == BytesView(before) || **read == BytesView(small), "get gave a wrong value");
  }
}

void increments(Run& run) {
  std::array<std::optional<Result<std::int64_t>>, 3> results;
  in_threads<3>([&](std::size_t i) { results[i] = run.store.increment("counter", 1); });
  for (const auto& result : results) {
    if (!result) continue;
    run.wrote(*result, [](Model& m) {
      std::string& value = m["default"]["counter"].value;
      value = std::to_string(std::stoi(value) + 1);
    });
  }
}

void open_patiently(Run& run) {
  run.options.busy_timeout = std::chrono::seconds(5);
  run.open_before();
}

/// A second handle on the file, as another process would have.
void two_handles(Run& run) {
  auto second = Store::open(run.path, run.options);
  if (!run.ok(second)) return;
  const bool put =
      run.wrote(run.store.put("first", large), [](Model& m) { m["default"]["first"] = {large}; });
  const auto seen = second->get("first");
  if (put && run.ok(seen)) run.expect(*seen == BytesView(large), "the other handle reads wrong");
  run.wrote(second->put("second", small), [](Model& m) { m["default"]["second"] = {small}; });
  run.wrote(run.store.erase("large1"), [](Model& m) { m["default"].erase("large1"); });
}

void open_twice(Run& run) {
  for (int i = 0; i < 2; ++i) {
    auto opened = Store::open(run.path, run.options);
    if (!run.ok(opened)) continue;
    run.store = *opened;
    run.wrote(run.store.put("opened", small), [](Model& m) { m["default"]["opened"] = {small}; });
    if (i == 0) {
      run.closing();
      run.store = Store();
    }
  }
}

void hot_log_to_rollback(Run& run) { run.options.journal = Journal::rollback; }
void keep_house(Run& run) {
  run.options.housekeeping_interval = std::chrono::milliseconds(1);
  run.options.busy_timeout = std::chrono::seconds(5);
  run.open_before();
}

/// The background thread purges and checkpoints under faults that it can tell nobody.
void housekeeping(Run& run) {
  for (int i = 0; i < 2; ++i) {
    run.wrote(run.store.put("kept", large), [](Model& m) { m["default"]["kept"] = {large}; });
    const Paused paused;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

std::vector<Scenario> thread_scenarios() {
  return {
      {"group_puts", "wal", group_puts, false, open_patiently},
      {"group_puts_rollback", "rollback", group_puts, false, open_patiently},
      {"group_puts_memory", "memory", group_puts},
      {"group_refusal", "wal", group_refusal, false, open_patiently},
      {"group_increments", "wal", increments, false, open_patiently},
      {"read_beside_write", "wal", read_beside_write, false, open_patiently},
      {"two_handles", "wal", two_handles, false, open_patiently},
      {"two_handles_rollback", "rollback", two_handles, false, open_patiently},
      {"open_twice", "hot log", open_twice, true},
      {"open_twice_hot_journal", "hot journal", open_twice, true},
      {"open_hot_log_to_rollback", "hot log", open_twice, true, hot_log_to_rollback},
      {"housekeeping", "wal", housekeeping, false, keep_house},
  };
}

}  // namespace snkv::test
