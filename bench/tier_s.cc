// What one small simulated scenario costs: three brokers, three partitions, 200 operations, ten simulated seconds with
// faults, all oracles on. Prints the median of many seeds, in milliseconds of one core, beside what this machine takes
// for one switch to a fiber and back: figures of two machines compare by that ratio.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "runtime/fiber.h"
#include "sim/scenario.h"

namespace taffrail {
namespace {

double cpu_ms() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3; };
  return ms(used.ru_utime) + ms(used.ru_stime);
}

double switch_ns() {
  constexpr int kSwitches = 1'000'000;
  StackPool stacks(StackPool::default_stack_size());
  Fiber* self = nullptr;
  Fiber fiber(stacks, [&self] {
    for (int i = 0; i < kSwitches; ++i) self->suspend();
  });
  self = &fiber;
  const double before = cpu_ms();
  while (!fiber.finished()) fiber.resume();
  return (cpu_ms() - before) * 1e6 / kSwitches;
}

double at(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

int run(uint64_t scenarios) {
  std::vector<double> times;
  uint64_t events = 0;
  double all = 0;
  const auto stacks = std::make_shared<StackPool>(StackPool::default_stack_size());
  for (uint64_t seed = 0; times.size() < scenarios; ++seed) {
    const sim::Scenario scenario = sim::Scenario::from_seed(seed);
    if (scenario.brokers != 3) continue;
    const double before = cpu_ms();
    const sim::RunReport report = sim::run_scenario(scenario, {.stacks = stacks});
    times.push_back(cpu_ms() - before);
    all += times.back();
    events += report.events;
    if (report.violation.empty()) continue;
    std::fprintf(stderr, "seed %llu fails: %s\n", static_cast<unsigned long long>(seed), report.violation.c_str());
    return 1;
  }
  std::sort(times.begin(), times.end());
  const double one_switch = switch_ns();
  std::printf("tier S, %zu scenarios: median %.1f ms of one core, a tenth below %.1f, a tenth above %.1f\n", times.size(),
              at(times, 0.5), at(times, 0.1), at(times, 0.9));
  std::printf("%.0f events each, %.0f ns an event; a switch to a fiber and back: %.0f ns\n",
              static_cast<double>(events) / static_cast<double>(times.size()), all * 1e6 / static_cast<double>(events), one_switch);
  return 0;
}

}  // namespace
}  // namespace taffrail

int main(int argc, char** argv) {
  const unsigned long long scenarios = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200;
  if (scenarios == 0 || argc > 2) {
    std::fprintf(stderr, "usage: bench_tier_s [SCENARIOS]\n");
    return 2;
  }
  return taffrail::run(scenarios);
}
