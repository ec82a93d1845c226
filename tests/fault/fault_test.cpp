// Every nth call to the system, every nth allocation fails, in every scenario: each time there must be an
// error that makes sense (or none), a usable handle, all acknowledged commits, no leak.
//
//     test_fault                                     everything
//     test_fault put_new                             one scenario
//     test_fault put_new io once 7                   one run, as printed on failure
//
// SNKV_FAULT_RUNS=<n>: about so many runs (20000 unless told otherwise), spread evenly over all
// scenarios, faults and positions; 0: all of them, which takes a quarter of an hour. A single scenario is
// run in full.
#include "fault/run.hpp"
#include "support/sanitizer.hpp"
#include "support/temp_dir.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <utility>
#include <vector>

namespace snkv::test {
namespace {

// What is running, for the handlers below.
char running[256] = "nothing";

void tell_and_abort(int signal) {
  // Only async-signal-safe calls here.
  const char* const parts[] = {"\ncrashed, or hung, in: test_fault ", running, "\n"};
  for (const char* part : parts) {
    if (::write(2, part, std::strlen(part)) < 0) break;
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal == SIGALRM ? SIGABRT : signal);
}

void install_handlers() {
  for (const int signal : {SIGABRT, SIGALRM}) std::signal(signal, tell_and_abort);
  // A sanitizer tells more of these.
  if (memory_is_sanitized) return;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, tell_and_abort);
}

struct Filter {
  const char* scenario = nullptr;
  const char* kind = nullptr;
  const char* mode = nullptr;
  std::uint64_t n = 0;

  [[nodiscard]] static bool wanted(const char* filter, std::string_view name) {
    return filter == nullptr || name == filter;
  }
};

constexpr std::uint64_t never = ~std::uint64_t{0};

class Test {
 public:
  explicit Test(const Filter& filter)
      : filter_(filter), bases_(make_bases(folder_.path().string())) {}

  /// About so many runs, 0: all of them.
  int run(std::uint64_t budget);

 private:
  struct Outcome {
    std::uint64_t calls = 0;
    bool delivered = false;
    std::string complaints{};
  };
  /// Calls that can fail, by kind.
  using Positions = std::array<std::uint64_t, kind_names.size()>;

  [[nodiscard]] Outcome run_once(const Scenario& scenario, const Fault& fault);
  [[nodiscard]] Outcome checked_run(const Scenario& scenario, const Fault& fault);
  [[nodiscard]] Positions probe(const Scenario& scenario);
  void all_positions(const Scenario& scenario, Fault fault, std::uint64_t calls);
  [[nodiscard]] bool applies(const Scenario& scenario, std::size_t kind) const;

  const Filter filter_;
  const TempDir folder_;
  const std::map<std::string, Base> bases_;
  std::uint64_t stride_ = 1;
  std::uint64_t next_ = 1;  // the next position of the sample, counted on from the last scenario
  std::uint64_t runs_ = 0;
  std::uint64_t failed_ = 0;
};

Test::Outcome Test::run_once(const Scenario& scenario, const Fault& fault) {
  Outcome outcome;
  const Base& base = bases_.at(scenario.base);
  Run run(base, folder_.file("run.db"), fault);
  if (scenario.prepare != nullptr) scenario.prepare(run);
  if (base.in_memory && !scenario.opens) {
    run.fill_before(base.contents);
  } else if (!scenario.opens && run.store.path().empty()) {
    run.open_before();
  }
  arm(fault);
  try {
    scenario.act(run);
  } catch (const std::bad_alloc&) {
    // The inline facade may throw it when a copy on the caller's side fails: before anything is done.
    disarm();
    if (fault.kind < Kind::memory) run.complain("threw std::bad_alloc");
  }
  disarm();
  outcome.delivered = faults_delivered() > 0;
  outcome.calls = calls_counted();
  run.verify();
  outcome.complaints = run.complaints();
  return outcome;
}

/// One run, with what can only be judged when everything is closed again.
Test::Outcome Test::checked_run(const Scenario& scenario, const Fault& fault) {
  std::snprintf(running, sizeof running, "%s %s %s %llu", scenario.name,
                kind_names[static_cast<std::size_t>(fault.kind)].data(),
                fault.persistent ? "persistent" : "once",
                static_cast<unsigned long long>(fault.n));
  ::alarm(60);
  const std::int64_t blocks = live_blocks();
  const std::int64_t bytes = snkv_fault_outstanding();
  Outcome outcome = run_once(scenario, fault);
  if (snkv_fault_outstanding() != bytes) outcome.complaints += "  the engine leaked memory\n";
  if (outcome.complaints.empty() && live_blocks() != blocks) {
    outcome.complaints += "  memory leaked\n";
  }
  ::alarm(0);
  ++runs_;
  if (!outcome.complaints.empty()) {
    ++failed_;
    std::printf("FAILED: test_fault %s\n%s", running, outcome.complaints.c_str());
    std::fflush(stdout);
  }
  return outcome;
}

bool Test::applies(const Scenario& scenario, std::size_t kind) const {
  return Filter::wanted(filter_.kind, kind_names[kind]) &&
         (!bases_.at(scenario.base).in_memory || is_memory(static_cast<Kind>(kind)));
}

/// Runs without a fault.
Test::Positions Test::probe(const Scenario& scenario) {
  Positions positions{};
  // Unchecked the first time: what is made on first use is no leak.
  static_cast<void>(run_once(scenario, {Kind::io, false, never}));
  for (std::size_t k = 0; k < positions.size(); ++k) {
    if (!applies(scenario, k)) continue;
    positions[k] = checked_run(scenario, {static_cast<Kind>(k), false, never}).calls;
  }
  return positions;
}

/// Until the scenario ends without meeting the fault; of a sample, as far as it went without one.
void Test::all_positions(const Scenario& scenario, Fault fault, std::uint64_t calls) {
  unsigned failures = 0;
  const bool whole = stride_ == 1;
  if (filter_.n != 0) {
    fault.n = filter_.n;
  } else if (!whole) {
    fault.n = next_;
  }
  // One cause tends to fail everywhere.
  for (; (whole || fault.n <= calls) && failures < 5; fault.n += stride_) {
    const Outcome outcome = checked_run(scenario, fault);
    if (!outcome.complaints.empty()) ++failures;
    if (whole && (!outcome.delivered || filter_.n != 0)) return;
  }
  next_ = fault.n > calls ? fault.n - calls : 1;
}

int Test::run(std::uint64_t budget) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Scenario> scenarios;
  for (const auto& table :
       {open_scenarios(), write_scenarios(), transaction_scenarios(), read_scenarios(),
        blob_scenarios(), column_scenarios(), copy_scenarios(), family_scenarios(), thread_scenarios(), secret_scenarios()}) {
    for (const Scenario& scenario : table) {
      if (Filter::wanted(filter_.scenario, scenario.name)) scenarios.push_back(scenario);
    }
  }
  std::uint64_t total = 0;
  std::vector<Positions> positions;
  for (const Scenario& scenario : scenarios) {
    positions.push_back(probe(scenario));
    for (const std::uint64_t calls : positions.back()) total += 2 * calls;
  }
  if (budget > 0 && filter_.n == 0) stride_ = std::max<std::uint64_t>(1, total / budget);
  const std::uint64_t probes = std::exchange(runs_, 0);
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    const Scenario& scenario = scenarios[i];
    const std::uint64_t before = runs_;
    for (std::size_t k = 0; k < kind_names.size(); ++k) {
      for (const bool persistent : {false, true}) {
        if (!applies(scenario, k)) continue;
        if (!Filter::wanted(filter_.mode, persistent ? "persistent" : "once")) continue;
        all_positions(scenario, {static_cast<Kind>(k), persistent, 1}, positions[i][k]);
      }
    }
    if (std::getenv("SNKV_FAULT_VERBOSE") != nullptr) {
      std::printf("%-44s %6llu runs\n", scenario.name,
                  static_cast<unsigned long long>(runs_ - before));
      std::fflush(stdout);
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%llu fault runs (every %llu. of %llu positions) and %llu without a fault over %zu "
              "scenarios in %.1f s, %llu failed\n",
              static_cast<unsigned long long>(runs_), static_cast<unsigned long long>(stride_),
              static_cast<unsigned long long>(total), static_cast<unsigned long long>(probes),
              scenarios.size(), seconds.count(), static_cast<unsigned long long>(failed_));
  return failed_ == 0 && !scenarios.empty() ? 0 : 1;
}

}  // namespace
}  // namespace snkv::test

int main(int argc, char** argv) {
  using namespace snkv::test;
  Filter filter;
  if (argc > 1) filter.scenario = argv[1];
  if (argc > 2) filter.kind = argv[2];
  if (argc > 3) filter.mode = argv[3];
  if (argc > 4) filter.n = std::strtoull(argv[4], nullptr, 10);
  std::uint64_t budget = argc > 1 ? 0 : 20'000;
  if (const char* runs = std::getenv("SNKV_FAULT_RUNS")) budget = std::strtoull(runs, nullptr, 10);
  if (!install_faults()) {
    std::puts("the faults could not be installed");
    return 2;
  }
  install_handlers();
  // In memory when that can be had: the test is about what the file system says, not about the disk.
  if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 0);
  return Test(filter).run(budget);
}
