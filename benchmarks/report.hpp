/// \file
/// Results of benchmarks, and what is made of them: a table, JSON, Markdown, plots.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace benchmark {

/// What one candidate did in the rounds of one row, in the order of the rounds.
struct Series {
  std::string name;
  std::vector<double> rounds;

  [[nodiscard]] double median() const;
  [[nodiscard]] double least() const;
  [[nodiscard]] double most() const;
};

/// A ratio of medians that the first series is meant to reach against `rival`.
struct Target {
  std::string rival;
  double at_least = 0;
  double aim = 0;
};

enum class Better { more, less };

/// One thing that was measured, of several candidates that took turns. The first is ours.
struct Row {
  std::string name;
  std::string unit;
  std::string note{};  ///< durability, sizes
  Better better = Better::more;
  std::vector<Series> series{};
  std::vector<Target> targets{};

  [[nodiscard]] const Series* find(const std::string& candidate) const;
  /// How much better the first one is than `rival`: the median of the ratios round by round. 0 if
  /// there is no such rival.
  [[nodiscard]] double ratio(const std::string& rival) const;
};

/// The middle of the values; the mean of the two in the middle of an even number.
[[nodiscard]] double median_of(std::vector<double> values);

/// "1.23 M", "45.6 k", "7.89".
[[nodiscard]] std::string short_number(double value);

class Report {
 public:
  explicit Report(std::string title) : title_(std::move(title)) {}

  void set(const std::string& key, nlohmann::json value) { facts_[key] = std::move(value); }
  /// Keeps the row and prints it.
  void add(Row row);
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

  /// The targets, and which were missed.
  void print_targets() const;
  void write_json(const std::string& path) const;
  /// A table, the targets, the facts.
  void write_markdown(const std::string& path) const;
  /// `path` is an SVG: how many times as good as each rival, one group of bars for each row.
  /// Returns false, and says so, where there is no gnuplot.
  [[nodiscard]] bool plot_ratios(const std::string& path) const;

 private:
  std::string title_;
  nlohmann::json facts_ = nlohmann::json::object();
  std::vector<Row> rows_;
};

/// Date, processor, memory, kernel, compiler.
[[nodiscard]] nlohmann::json machine_facts();

/// Runs gnuplot on a script; false, with a message, where there is none or it fails.
[[nodiscard]] bool run_gnuplot(const std::string& script);

/// What is going on, on the last line of a terminal; nothing elsewhere.
class Ticker {
 public:
  void show(const std::string& what) const;
  void clear() const;
};

}  // namespace benchmark
