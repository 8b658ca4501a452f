// The workloads by name; docs/performance.md tells what each is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "report.h"
#include "target.h"

namespace taffrail::bench {

struct Workload {
  std::string name;
  std::string what;
  std::vector<Target> targets;
  int runs_max = 7;
  /// One run of Taffrail. `others`: cores that other programs used is raised to what was seen.
  std::function<Values(const Setup&, double& others)> ours;
  std::function<Values(const Setup&, double& others)> ceiling;  ///< None: there is nothing to hold it against.
};

/// In the order in which `all` runs them.
std::vector<Workload> all_workloads();
// Its parts: of one broker (workloads.cc), of several or of many partitions (cluster_workloads.cc), and of groups
// (group_workloads.cc).
std::vector<Workload> broker_workloads();
std::vector<Workload> cluster_workloads();
std::vector<Workload> group_workloads();

/// What a load of produces gives, on whichever is under it.
Values produce_run(Cluster cluster, uint32_t batch_bytes, uint32_t record_bytes, uint64_t bytes, int16_t replicas,
                   double& others);
Values latency_run(Cluster cluster, int32_t partitions, double rate, int16_t replicas, double& others);

}  // namespace taffrail::bench
