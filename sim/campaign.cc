#include "sim/campaign.h"

#include <fmt/core.h>

#include <algorithm>

namespace taffrail::sim {

CampaignReport run_campaign(uint64_t first, uint64_t end, bool groups, uint32_t stretch,
                            const std::function<bool(const Scenario&, const RunReport&)>& progress) {
  CampaignReport total;
  std::map<std::string, uint64_t> runs_with;
  for (const char* always : {"elections", "truncations", "recoveries", "repairs", "groups", "restarts with other shards", "failed data directories"}) runs_with[always] = 0;
  std::vector<uint64_t> acked;
  const auto stacks = std::make_shared<StackPool>(StackPool::default_stack_size());
  for (uint64_t seed = first; seed < end; ++seed) {
    const Scenario scenario = (groups ? Scenario::with_group(seed) : Scenario::from_seed(seed)).stretched(stretch);
    const RunReport run = run_scenario(scenario, {.stacks = stacks});
    ++total.seeds;
    total.events += run.events;
    total.simulated = total.simulated + run.simulated;
    runs_with["elections"] += run.elections > 0;
    runs_with["truncations"] += run.truncations > 0;
    runs_with["recoveries"] += run.recoveries > 0;
    runs_with["repairs"] += run.repairs > 0;
    runs_with["restarts with other shards"] += run.other_shards > 0;
    runs_with["failed data directories"] += run.directories_failed > 0;
    runs_with["groups"] += run.commits > 0;
    for (const auto& [kind, count] : run.faults) ++runs_with[kind];
    for (const auto& [what, count] : run.asides) runs_with[what] += count > 0;
    if (run.sent > 0) acked.push_back(run.acked * 1000 / run.sent);
    if (!run.violation.empty()) {
      ++total.failed;
      ++total.signatures[run.signature()];
      if (total.failing_seeds.size() < 20) total.failing_seeds.push_back(seed);
    }
    if (progress && !progress(scenario, run)) break;
  }
  std::sort(acked.begin(), acked.end());
  if (!acked.empty()) total.acked_per_mille_median = acked[acked.size() / 2];
  for (const auto& [what, runs] : runs_with) total.reached[what] = runs * 1000 / std::max<uint64_t>(total.seeds, 1);
  return total;
}

std::vector<std::string> CampaignReport::emptiness() const {
  std::vector<std::string> out;
  if (acked_per_mille_median < 500)
    out.push_back(fmt::format("half of the runs had fewer than half of their operations acknowledged ({} of 1000)", acked_per_mille_median));
  for (const auto& [what, per_mille] : reached)
    if (per_mille < 10) out.push_back(fmt::format("{} in only {} of 1000 runs", what, per_mille));
  return out;
}

}  // namespace taffrail::sim
