// What was measured, as people and programs read it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace taffrail::bench {

/// One run's value of a figure.
struct Value {
  std::string figure;
  std::string unit;
  double value = 0;
};
using Values = std::vector<Value>;

/// What a figure is held against: a ratio to the ceiling's, or a value of our own.
struct Target {
  std::string figure;
  bool ratio = true;
  double reach = 0;
  double goal = 0;
};

struct Row {
  std::string figure;
  std::string unit;
  std::vector<double> ours;
  std::vector<double> ceiling;  ///< The same number of runs, or none.
  std::vector<double> ratios() const;
};

struct Measured {
  std::string workload;
  std::string what;  ///< In one sentence.
  std::vector<Target> targets;
  std::vector<Row> rows;
  double others = 0;  ///< Cores that other programs used meanwhile, at most.

  void add(const Values& ours, const Values& ceiling);
};

double median(std::vector<double> values);

struct Report {
  std::string machine;
  Values probes;
  std::vector<Measured> workloads;
};
/// The table's heading, and the part of one workload.
std::string heading(const Report& report);
std::string as_table(const Measured& measured);
std::string as_json(const Report& report);

}  // namespace taffrail::bench
