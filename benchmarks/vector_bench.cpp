// Vector search: VectorStore against hnswlib, and Faiss where it was built with it, on this
// machine. The engines take turns; rates are compared at equal recall@10.
//
//     vector_bench [--short] [--folder F] [--vectors N] [--queries N] [--rounds N]
//                  [--datasets NAME,...] [--engines NAME,...] [--before LIBRARY]
//                  [--parts engines,filters,store] [--json FILE] [--markdown FILE] [--plot
//                  FILE.svg]
#include "vector/bench.hpp"
#include "vector/data.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace {

using namespace benchmark;

[[noreturn]] void usage() {
  std::fputs(
      "usage: vector_bench [--short] [--folder F] [--vectors N] [--queries N] [--rounds N]\n"
      "                    [--datasets NAME,...] [--engines NAME,...] [--before LIBRARY]\n"
      "                    [--parts engines,filters,store] [--json FILE] [--markdown FILE] [--plot "
      "FILE]\n",
      stderr);
  std::exit(2);
}

std::size_t number(const std::string& text) {
  char* end = nullptr;
  const std::size_t value = std::strtoull(text.c_str(), &end, 10);
  if (end == text.c_str() || *end != '\0' || value == 0) usage();
  return value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

int main(int argc, char** argv) {
  VectorPlan plan;
  std::vector<std::string> parts{"engines", "filters", "store"};
  std::string json;
  std::string markdown;
  std::string plot;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--short") {
      plan.vectors = 10'000;
      plan.queries = 300;
      plan.rounds = 3;
      continue;
    }
    if (i + 1 == argc) usage();
    const std::string value = argv[++i];
    if (option == "--folder") {
      plan.folder = value;
    } else if (option == "--vectors") {
      plan.vectors = number(value);
    } else if (option == "--queries") {
      plan.queries = number(value);
    } else if (option == "--rounds") {
      plan.rounds = static_cast<int>(number(value));
    } else if (option == "--datasets") {
      plan.datasets = split(value);
    } else if (option == "--engines") {
      plan.engines = split(value);
    } else if (option == "--before") {
      plan.others.push_back(value);
    } else if (option == "--parts") {
      parts = split(value);
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
  if (plan.datasets.empty()) plan.datasets = dataset_names();

  Report report("Vector search");
  report.set("machine", machine_facts());
  report.set("rounds", plan.rounds);
  report.set("parameters", "M 16, ef_construction 128, k 10");
  for (const std::string& name : plan.datasets) {
    const Dataset data = load_dataset(name, plan.vectors, plan.queries);
    std::printf("%s: %zu vectors of %zu dimensions, %zu queries\n", name.c_str(), data.size(),
                data.dim, data.query_count());
    const auto wanted = [&](const char* part) {
      return std::find(parts.begin(), parts.end(), part) != parts.end();
    };
    if (wanted("engines")) compare_engines(plan, data, report);
    if (wanted("filters")) compare_filters(plan, data, report);
    if (wanted("store")) measure_store(plan, data, report);
  }
  report.print_targets();
  if (!json.empty()) report.write_json(json);
  if (!markdown.empty()) report.write_markdown(markdown);
  return plot.empty() || report.plot_ratios(plot) ? 0 : 1;
}
