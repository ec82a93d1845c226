// snkv against LMDB, RocksDB, LevelDB and SQLite, whichever of them this was built with, on this
// machine. The engines take turns round by round in one process; medians, and the ratio to each
// rival.
//
//     kv_bench [--short] [--folder F] [--disk F] [--entries N] [--large-entries N] [--rounds N]
//     [--seed N]
//              [--only NAME,...] [--engines NAME,...] [--sizes N,...]
//              [--json FILE] [--markdown FILE] [--plot FILE.svg]
#include "kv/bench.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sstream>

namespace {

using namespace benchmark;

[[noreturn]] void usage() {
  std::fputs(
      "usage: kv_bench [--short] [--folder F] [--disk F] [--entries N] [--large-entries N] "
      "[--rounds N]\n"
      "                [--seed N] [--only NAME,...] [--engines NAME,...] [--sizes N,...]\n"
      "                [--json FILE] [--markdown FILE] [--plot FILE.svg]\n",
      stderr);
  std::exit(2);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

std::size_t number(const std::string& text) {
  char* end = nullptr;
  const std::size_t value = std::strtoull(text.c_str(), &end, 10);
  if (end == text.c_str() || *end != '\0' || value == 0) usage();
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--memory") == 0) {
    return measure_memory(argv[2], argv[3], number(argv[4]));
  }
  Plan plan;
  std::string json;
  std::string markdown;
  std::string plot;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--short") {
      plan.entries = 30'000;
      plan.large_entries = 100;
      plan.reads = 10'000;
      plan.writes = 1'000;
      plan.durable_writes = 80;
      continue;
    }
    if (i + 1 == argc) usage();
    const std::string value = argv[++i];
    if (option == "--folder") {
      plan.folder = value;
    } else if (option == "--disk") {
      plan.disk = value;
    } else if (option == "--entries") {
      plan.entries = std::max<std::size_t>(1000, number(value) / 1000 * 1000);
    } else if (option == "--large-entries") {
      plan.large_entries = number(value);
    } else if (option == "--rounds") {
      plan.rounds = static_cast<int>(number(value));
    } else if (option == "--seed") {
      plan.seed = number(value);
    } else if (option == "--only") {
      plan.only = split(value);
    } else if (option == "--engines") {
      plan.engines = split(value);
    } else if (option == "--sizes") {
      plan.value_sizes.clear();
      for (const std::string& size : split(value)) plan.value_sizes.push_back(number(size));
    } else if (option == "--json") {
      json = value;
    } else if (option == "--markdown") {
      markdown = value;
    } else if (option == "--plot") {
      plot = value;
    } else {
      usage();
    }
  }

  Report report("Key-value engines, " + short_number(static_cast<double>(plan.entries)) +
                " entries");
  report.set("machine", machine_facts());
  report.set("rounds", plan.rounds);
  report.set("seed", plan.seed);
  nlohmann::json setups = nlohmann::json::object();
  std::printf("Engines:\n");
  for (const EngineKind& kind : engine_kinds()) {
    std::printf("  %-8s %s\n", kind.name.c_str(), kind.setup.c_str());
    setups[kind.name] = kind.setup;
  }
  report.set("engines", setups);
  std::printf(
      "%zu entries with 16 B keys, %d rounds, engines taking turns; median (slowest to fastest),\n"
      "and how many times as good %s is.\n\n",
      plan.entries, plan.rounds, "snkv");
  Bench(plan, report).run();
  report.print_targets();
  if (!json.empty()) report.write_json(json);
  if (!markdown.empty()) report.write_markdown(markdown);
  return plot.empty() || report.plot_ratios(plot) ? 0 : 1;
}
