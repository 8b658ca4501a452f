// What only the simulator can see: Raft's properties, watermarks, logs and state of every replica at once.
// docs/invariants.md names each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "consensus/invariants.h"
#include "sim/cluster.h"

namespace taffrail::sim {

class WhiteBox {
 public:
  /// Looks after every step of Raft from now on.
  explicit WhiteBox(SimCluster& cluster);
  ~WhiteBox();

  /// Cheap checks, for many moments of a run. The first violation, by name.
  std::optional<std::string> check_now();
  /// Everything, when the cluster has settled: reads every log of every replica.
  std::vector<std::string> check_settled();

  uint64_t elections() const { return elections_; }
  uint64_t truncations() const { return truncations_; }

 private:
  struct Group {
    GroupChecker checker;
    std::map<Term, BrokerId> leaders;
    std::map<BrokerId, std::pair<uint64_t, LogIndex>> last;  ///< By broker: incarnation and log end when last seen.
  };
  void look(const PartitionKey& key);
  std::optional<std::string> check_partition(uint32_t broker, Partition& partition);

  SimCluster& cluster_;
  std::map<PartitionKey, Group> groups_;
  std::optional<std::string> seen_;  ///< What look() found first.
  std::vector<ReplicaView> views_;
  uint64_t elections_ = 0;
  uint64_t truncations_ = 0;
};

}  // namespace taffrail::sim
