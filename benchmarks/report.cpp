#include "report.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

namespace benchmark {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double Series::median() const { return median_of(rounds); }
double Series::least() const { return *std::min_element(rounds.begin(), rounds.end()); }
double Series::most() const { return *std::max_element(rounds.begin(), rounds.end()); }

const Series* Row::find(const std::string& candidate) const {
  for (const Series& one : series) {
    if (one.name == candidate) return &one;
  }
  return nullptr;
}

double Row::ratio(const std::string& rival) const {
  const Series* other = find(rival);
  if (other == nullptr || series.empty()) return 0;
  const std::vector<double>& ours = series.front().rounds;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(ours.size(), other->rounds.size()); ++i) {
    ratios.push_back(better == Better::more ? ours[i] / other->rounds[i]
                                            : other->rounds[i] / ours[i]);
  }
  return median_of(std::move(ratios));
}

std::string short_number(double value) {
  constexpr std::pair<double, const char*> scales[] = {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
  char text[64];
  for (const auto& [scale, suffix] : scales) {
    if (std::abs(value) < scale) continue;
    const double scaled = value / scale;
    std::snprintf(text, sizeof text,
                  scaled < 10    ? "%.2f%s"
                  : scaled < 100 ? "%.1f%s"
                                 : "%.0f%s",
                  scaled, suffix);
    return text;
  }
  std::snprintf(text, sizeof text, std::abs(value) < 10 ? "%.2f" : "%.0f", value);
  return text;
}

namespace {

std::string ratio_text(double ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "x %.2f", ratio);
  return text;
}

const char* verdict(const Target& target, double ratio) {
  return ratio >= target.aim ? "aim reached" : ratio >= target.at_least ? "reached" : "MISSED";
}

template <class Use>
void for_each_target(const std::vector<Row>& rows, Use&& use) {
  for (const Row& row : rows) {
    for (const Target& target : row.targets) {
      const double ratio = row.ratio(target.rival);
      if (ratio > 0) use(row, target, ratio);
    }
  }
}

}  // namespace

void Report::add(Row row) {
  Ticker().clear();
  std::printf("%s%s%s [%s]\n", row.name.c_str(), row.note.empty() ? "" : ", ", row.note.c_str(),
              row.unit.c_str());
  for (std::size_t i = 0; i < row.series.size(); ++i) {
    const Series& one = row.series[i];
    std::printf("  %-20s %10s  (%s to %s)", one.name.c_str(), short_number(one.median()).c_str(),
                short_number(one.least()).c_str(), short_number(one.most()).c_str());
    if (i > 0) {
      const double ratio = row.ratio(one.name);
      std::printf("  %s %s", ratio_text(ratio).c_str(), ratio < 1 ? "behind" : "ahead");
    }
    std::printf("\n");
  }
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

void Report::print_targets() const {
  bool first = true;
  for_each_target(rows_, [&](const Row& row, const Target& target, double ratio) {
    if (std::exchange(first, false)) std::printf("\nTargets (ratio, at least, aim)\n");
    std::printf("  %-34s %-20s %8s %6.2f %6.2f  %s\n", row.name.c_str(), target.rival.c_str(),
                ratio_text(ratio).c_str(), target.at_least, target.aim, verdict(target, ratio));
  });
}

void Report::write_json(const std::string& path) const {
  nlohmann::json json = facts_;
  json["title"] = title_;
  json["rows"] = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json one = {{"name", row.name},
                          {"unit", row.unit},
                          {"note", row.note},
                          {"better", row.better == Better::more ? "more" : "less"},
                          {"series", nlohmann::json::array()},
                          {"ratios", nlohmann::json::object()}};
    for (const Series& series : row.series) {
      one["series"].push_back(
          {{"name", series.name}, {"median", series.median()}, {"rounds", series.rounds}});
      if (&series != &row.series.front()) one["ratios"][series.name] = row.ratio(series.name);
    }
    json["rows"].push_back(std::move(one));
  }
  std::ofstream(path) << json.dump(1) << '\n';
}

void Report::write_markdown(const std::string& path) const {
  std::ofstream out(path);
  out << "# " << title_ << "\n\nMade by a program, do not edit.\n\n";
  for (const auto& [key, value] : facts_.items()) {
    if (value.is_object()) {
      for (const auto& [name, text] : value.items()) {
        out << "- " << name << ": " << (text.is_string() ? text.get<std::string>() : text.dump())
            << '\n';
      }
    } else {
      out << "- " << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
          << '\n';
    }
  }
  out << "\nMedians of the rounds. In brackets: how many times as good the first one is, the "
         "median of "
         "the ratios round by round.\n";
  std::vector<std::string> names;
  for (const Row& row : rows_) {
    for (const Series& series : row.series) {
      if (std::find(names.begin(), names.end(), series.name) == names.end()) {
        names.push_back(series.name);
      }
    }
  }
  // Rows of the same candidates share a table.
  std::vector<std::string> header;
  for (const Row& row : rows_) {
    std::vector<std::string> these;
    for (const Series& series : row.series) these.push_back(series.name);
    if (these != header) {
      header = these;
      out << "\n| workload | unit |";
      for (const std::string& name : header) out << ' ' << name << " |";
      out << "\n|---|---|";
      for (std::size_t i = 0; i < header.size(); ++i) out << "---|";
      out << '\n';
    }
    out << "| " << row.name << (row.note.empty() ? "" : ", ") << row.note << " | " << row.unit
        << " |";
    for (std::size_t i = 0; i < row.series.size(); ++i) {
      out << ' ' << short_number(row.series[i].median());
      if (i > 0) out << " (" << ratio_text(row.ratio(row.series[i].name)) << ')';
      out << " |";
    }
    out << '\n';
  }
  bool first = true;
  for_each_target(rows_, [&](const Row& row, const Target& target, double ratio) {
    if (std::exchange(first, false)) {
      out << "\n## Targets\n\n| workload | rival | ratio | at least | aim | "
             "|\n|---|---|---|---|---|---|\n";
    }
    out << "| " << row.name << " | " << target.rival << " | " << ratio_text(ratio) << " | "
        << target.at_least << " | " << target.aim << " | " << verdict(target, ratio) << " |\n";
  });
}

bool Report::plot_ratios(const std::string& path) const {
  // Candidates such as "snkv, 2 threads" are ours: no rivals.
  const auto is_rival = [](const std::string& name) { return name.find(',') == name.npos; };
  std::vector<std::string> rivals;
  std::ostringstream data;
  std::size_t shown = 0;
  for (const Row& row : rows_) {
    for (std::size_t i = 1; i < row.series.size(); ++i) {
      const std::string& name = row.series[i].name;
      if (is_rival(name) && std::find(rivals.begin(), rivals.end(), name) == rivals.end()) {
        rivals.push_back(name);
      }
    }
  }
  for (const Row& row : rows_) {
    if (row.series.size() < 2 || !is_rival(row.series[1].name)) continue;
    ++shown;
    data << '"' << row.name << '"';
    for (const std::string& rival : rivals) {
      const double ratio = row.ratio(rival);
      data << ' ' << (ratio > 0 ? std::to_string(ratio) : std::string("NaN"));
    }
    data << '\n';
  }
  if (shown == 0) return true;
  std::ostringstream script;
  script << "set terminal svg noenhanced size " << 260 + shown * 46
         << ",560 font 'sans,11' background 'white'\nset output '" << path << "'\nset title \""
         << title_ << ": how many times as good as each rival\"\n"
         << "$data << EOD\n"
         << data.str() << "EOD\n"
         << "set logscale y 2\nset style data histograms\nset style histogram clustered gap 1\n"
            "set style fill solid 0.8\nset xtics rotate by 40 right scale 0\n"
            "set ytics format '%g'\nset grid y\nset key outside top right\nset bmargin 12\n"
            "set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead lw 2 front\nplot ";
  for (std::size_t i = 0; i < rivals.size(); ++i) {
    script << (i == 0 ? "" : ", ") << "$data using " << i + 2 << ":xtic(1) title '" << rivals[i]
           << "'";
  }
  script << '\n';
  return run_gnuplot(script.str());
}

bool run_gnuplot(const std::string& script) {
  FILE* gnuplot = ::popen("gnuplot 2>&1", "w");
  if (gnuplot != nullptr) {
    std::fwrite(script.data(), 1, script.size(), gnuplot);
    if (::pclose(gnuplot) == 0) return true;
  }
  std::fprintf(stderr, "no plot: gnuplot is missing or failed\n");
  return false;
}

nlohmann::json machine_facts() {
  nlohmann::json facts;
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  facts["date"] = date;
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (!line.starts_with("model name")) continue;
    facts["processor"] = line.substr(line.find(':') + 2);
    break;
  }
  facts["cores"] = std::thread::hardware_concurrency();
  const double memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  facts["memory"] = std::to_string(std::lround(memory / (1 << 30))) + " GiB";
  ::utsname system{};
  if (::uname(&system) == 0) facts["kernel"] = std::string(system.sysname) + " " + system.release;
  facts["compiler"] = __VERSION__;
  return facts;
}

void Ticker::show(const std::string& what) const {
  if (::isatty(STDOUT_FILENO) == 0) return;
  std::printf("\r\033[K%s", what.c_str());
  std::fflush(stdout);
}

void Ticker::clear() const {
  if (::isatty(STDOUT_FILENO) != 0) std::printf("\r\033[K");
}

}  // namespace benchmark
