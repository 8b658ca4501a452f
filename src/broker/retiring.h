// Brokers that are to be emptied (controller/setting_keys.h), seen from one of them.
//
//     taffrail.retire = leaders | replicas
//       every shard of that broker    hands over what it leads             (BrokerShard::run_movers)
//       the leader of group 0         moves replicas, a few at a time      (run_moves)
//                                     takes its vote in group 0 away       (wanted_metadata_members)
//       that broker                   once nothing is left on it, has itself unregistered, and ends   (run_leaving)
#pragma once

#include <functional>
#include <vector>

#include "consensus/driver.h"
#include "controller/controller.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail {

class Retiring {
 public:
  /// On shard 0. All references outlive it.
  Retiring(Runtime& runtime, Controller& controller, RaftDriver& driver, ReplicaId self,
           std::function<std::vector<BrokerId>()> alive)
      : runtime_(runtime), controller_(controller), driver_(driver), self_(self), alive_(std::move(alive)) {}

  /// On the leader of group 0, for as long as it is: a fiber of every node.
  void run_moves(Task& task);
  /// Of a node that is registered. Ends the process when the cluster has forgotten this broker.
  void run_leaving(Task& task);
  /// The leader of group 0 does not keep that office on a broker that retires. True if it is about to pass on.
  bool pass_on_group_zero();
  /// The image is another one: who waits because nobody retires looks again.
  void on_applied() { changed_.notify_all(); }

 private:
  Result<> await_retirement(Task& task, const std::function<bool()>& wanted);


  Runtime& runtime_;
  Controller& controller_;
  RaftDriver& driver_;
  const ReplicaId self_;
  const std::function<std::vector<BrokerId>()> alive_;
  WaitQueue changed_;
};

/// What `group`, led here by a broker that retires, goes to: a broker that is alive and stays. Whom it asked, if anybody.
std::optional<ReplicaId> pass_on(RaftGroup& group, const ClusterImage& image, const std::vector<BrokerId>& alive);

}  // namespace taffrail
