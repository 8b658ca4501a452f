// Many seeds: runs them, adds up what they reached, and says when they were empty.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/scenario.h"

namespace taffrail::sim {

struct CampaignReport {
  uint64_t seeds = 0;
  uint64_t failed = 0;
  uint64_t events = 0;
  Duration simulated{};
  uint64_t acked_per_mille_median = 0;       ///< Of the operations of a run.
  /// Share of the runs, in per mille, in which it happened at least once: "elections", "truncations",
  /// "recoveries", each kind of fault, and each of RunReport::asides.
  std::map<std::string, uint64_t> reached;
  std::map<std::string, uint64_t> signatures;  ///< Of failures, with how many.
  std::vector<uint64_t> failing_seeds;         ///< The first few.

  /// Why the campaign proves little although nothing failed; empty if it reached enough. Asked of
  /// campaigns of a hundred seeds and more.
  std::vector<std::string> emptiness() const;
};

/// Seeds [first, end), with a consumer group in each of them or in those that have one, each stretched by so much
/// (Scenario::stretched). `progress` is told of each run and may end the campaign by returning false.
CampaignReport run_campaign(uint64_t first, uint64_t end, bool groups, uint32_t stretch,
                            const std::function<bool(const Scenario&, const RunReport&)>& progress);

}  // namespace taffrail::sim
