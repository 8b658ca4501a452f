// taffrail-bench: runs workloads against brokers of this tree and against the ceiling in turn, and prints both. What
// `taffrail bench` starts; docs/performance.md tells what the figures mean.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "probes.h"
#include "wire.h"
#include "workloads.h"

namespace taffrail::bench {
namespace {

struct Options {
  std::vector<std::string> workloads;
  int pairs = 5;
  std::string data;
  std::string broker;
  bool json = false;
};

int usage() {
  fmt::print(stderr, "usage: taffrail bench WORKLOAD... [--pairs=5] [--data=DIR] [-o json]\n\nworkloads: all");
  for (const Workload& w : all_workloads()) fmt::print(stderr, ", {}", w.name);
  fmt::print(stderr, "\n");
  return 2;
}

Measured measure(const Workload& w, const Setup& setup, int pairs) {
  Measured m{w.name, w.what, w.targets, {}, 0};
  const bool shown = ::isatty(2) != 0;
  for (int i = 0; i < std::min(pairs, w.runs_max); ++i) {
    if (shown) fmt::print(stderr, "\r\033[K{} {} of {}", w.name, i + 1, std::min(pairs, w.runs_max));
    // A B, B A, A B: neither profits from going second.
    Values ours, ceiling;
    if (i % 2 == 0) ours = w.ours(setup, m.others);
    if (w.ceiling) ceiling = w.ceiling(setup, m.others);
    if (i % 2 == 1) ours = w.ours(setup, m.others);
    m.add(ours, ceiling);
  }
  if (shown) fmt::print(stderr, "\r\033[K");
  return m;
}

int run(const Options& options) {
  const std::vector<Workload> known = all_workloads();
  std::vector<Workload> chosen;
  for (const std::string& name : options.workloads) {
    if (name == "all") {
      chosen = known;
      continue;
    }
    const auto at = std::find_if(known.begin(), known.end(), [&](const Workload& w) { return w.name == name; });
    if (at == known.end()) return usage();
    chosen.push_back(*at);
  }
  if (chosen.empty()) return usage();

  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  Setup setup;
  setup.broker = options.broker.empty() ? (here / "taffrail").string() : options.broker;
  setup.ceiling = (here / "taffrail-ceiling").string();
  for (const std::string& program : {setup.broker, setup.ceiling})
    if (::access(program.c_str(), X_OK) != 0) die(program + " is not there: build everything");
  setup.scratch = make_scratch(options.data);

  Report report;
  report.machine = machine_in_words(setup.scratch);
  report.probes = probe_machine(setup);
  pin_self();
  create_topic(Cluster::ceiling(setup).ports(), "first", 16, 1);  // Its file is there from now on.
  if (!options.json) fmt::print("{}", heading(report));
  for (const Workload& w : chosen) {
    report.workloads.push_back(measure(w, setup, options.pairs));
    if (!options.json) fmt::print("{}", as_table(report.workloads.back()));
    std::fflush(stdout);
  }
  if (options.json) fmt::print("{}", as_json(report));
  return 0;
}

}  // namespace
}  // namespace taffrail::bench

int main(int argc, char** argv) {
  using namespace taffrail::bench;
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value_of = [&](const std::string& key) { return word.starts_with(key) ? word.substr(key.size()) : ""; };
    if (const std::string pairs = value_of("--pairs="); !pairs.empty()) o.pairs = std::max(1, std::atoi(pairs.c_str()));
    else if (const std::string data = value_of("--data="); !data.empty()) o.data = data;
    else if (const std::string broker = value_of("--broker="); !broker.empty()) o.broker = broker;
    else if (word == "--output=json") o.json = true;
    else if (word.starts_with("-")) return usage();
    else o.workloads.push_back(word);
  }
  return run(o);
}
