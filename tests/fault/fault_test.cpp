// Every nth call to the system, every nth allocation fails, in every scenario: each time there must be an
// error that makes sense (or none), a usable handle, all acknowledged commits, no leak.
//
//     test_fault                                     everything
//     test_fault put_new                             one scenario
//     test_fault put_new io once 7                   one run, as printed on failure
//
// SNKV_FAULT_RUNS=<n>: about so many runs, spread over all faults and their positions.
#include "fault/run.hpp"
#include "support/temp_dir.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

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
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) {
    std::signal(signal, tell_and_abort);
  }
}

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t failed = 0;
  std::uint64_t scenarios = 0;
};

struct Filter {
  const char* scenario = nullptr;
  const char* kind = nullptr;
  const char* mode = nullptr;
  std::uint64_t n = 0;
  std::uint64_t stride = 1;
};

/// One run. Returns whether a fault was delivered.
bool run_once(const Scenario& scenario, const Base& base, const std::string& folder,
              const Fault& fault, Totals& totals, std::string& complaints) {
  bool delivered = false;
  {
    Run run(base, base.in_memory ? std::string() : folder + "/run.db", fault);
    if (scenario.prepare != nullptr) scenario.prepare(run);
    if (!scenario.opens && run.store.path().empty()) {
      if (base.in_memory) {
        run.fill_before(base.contents);
      } else {
        run.open_before();
      }
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
    delivered = faults_delivered() > 0;
    run.verify();
    complaints = run.complaints();
  }
  ++totals.runs;
  return delivered;
}

/// One run, with what can only be judged when everything is closed again.
bool checked_run(const Scenario& scenario, const Base& base, const std::string& folder,
                 const Fault& fault, Totals& totals, std::string& complaints) {
  std::snprintf(running, sizeof running, "%s %s %s %llu", scenario.name,
                kind_names[static_cast<std::size_t>(fault.kind)].data(),
                fault.persistent ? "persistent" : "once",
                static_cast<unsigned long long>(fault.n));
  ::alarm(60);
  complaints.clear();
  const std::int64_t blocks = live_blocks();
  const std::int64_t bytes = snkv_fault_outstanding();
  const bool delivered = run_once(scenario, base, folder, fault, totals, complaints);
  if (snkv_fault_outstanding() != bytes) complaints += "  the engine leaked memory\n";
  if (complaints.empty() && live_blocks() != blocks) complaints += "  memory leaked\n";
  ::alarm(0);
  if (!complaints.empty()) {
    ++totals.failed;
    std::printf("FAILED: test_fault %s\n%s", running, complaints.c_str());
    std::fflush(stdout);
  }
  return delivered;
}

bool wanted(const char* filter, std::string_view name) { return filter == nullptr || name == filter; }

/// All positions of one fault, until the scenario ends without meeting it. With a stride only some,
/// starting somewhere else for each scenario.
void all_positions(const Scenario& scenario, const Base& base, const std::string& folder, Fault fault,
                   const Filter& filter, Totals& totals) {
  std::string complaints;
  unsigned failures = 0;
  fault.n = filter.n != 0 ? filter.n : 1 + totals.runs % filter.stride;
  while (checked_run(scenario, base, folder, fault, totals, complaints) && filter.n == 0) {
    // One cause tends to fail everywhere.
    if (!complaints.empty() && ++failures == 5) break;
    fault.n += filter.stride;
  }
}

void run_scenario(const Scenario& scenario, const Base& base, const std::string& folder,
                  const Filter& filter, Totals& totals) {
  ++totals.scenarios;
  std::string complaints;
  // Without a fault, twice: what is made on first use is no leak.
  Totals warming;
  checked_run(scenario, base, folder, {Kind::io, false, ~std::uint64_t{0}}, warming, complaints);
  warming = {};
  checked_run(scenario, base, folder, {Kind::io, false, ~std::uint64_t{0}}, warming, complaints);
  totals.failed += warming.failed;
  if (warming.failed != 0) return;
  for (std::size_t k = 0; k < kind_names.size(); ++k) {
    const Kind kind = static_cast<Kind>(k);
    if (!wanted(filter.kind, kind_names[k]) || (base.in_memory && !is_memory(kind))) continue;
    for (const bool persistent : {false, true}) {
      if (!wanted(filter.mode, persistent ? "persistent" : "once")) continue;
      all_positions(scenario, base, folder, {kind, persistent, 1}, filter, totals);
    }
  }
}

int run_all(Filter filter) {
  if (!install_faults()) {
    std::puts("the faults could not be installed");
    return 2;
  }
  install_handlers();
  // In memory when that can be had: the test is about what the file system says, not about the disk.
  if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 0);
  const TempDir folder;
  const auto bases = make_bases(folder.path().string());
  const auto start = std::chrono::steady_clock::now();
  Totals totals;
  for (const auto& table :
       {open_scenarios(), write_scenarios(), transaction_scenarios(), read_scenarios()}) {
    for (const Scenario& scenario : table) {
      if (!wanted(filter.scenario, scenario.name)) continue;
      const std::uint64_t before = totals.runs;
      run_scenario(scenario, bases.at(scenario.base), folder.path().string(), filter, totals);
      if (std::getenv("SNKV_FAULT_VERBOSE") != nullptr) {
        std::printf("%-44s %6llu runs\n", scenario.name,
                    static_cast<unsigned long long>(totals.runs - before));
      }
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%llu fault runs over %llu scenarios in %.1f s, %llu failed\n",
              static_cast<unsigned long long>(totals.runs),
              static_cast<unsigned long long>(totals.scenarios), seconds.count(),
              static_cast<unsigned long long>(totals.failed));
  return totals.failed == 0 && totals.scenarios > 0 ? 0 : 1;
}

}  // namespace
}  // namespace snkv::test

int main(int argc, char** argv) {
  snkv::test::Filter filter;
  if (argc > 1) filter.scenario = argv[1];
  if (argc > 2) filter.kind = argv[2];
  if (argc > 3) filter.mode = argv[3];
  if (argc > 4) filter.n = std::strtoull(argv[4], nullptr, 10);
  if (const char* stride = std::getenv("SNKV_FAULT_STRIDE")) {
    filter.stride = std::max<std::uint64_t>(1, std::strtoull(stride, nullptr, 10));
  }
  return snkv::test::run_all(filter);
}
