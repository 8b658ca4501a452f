// Group 0 on one broker: applies its log to the image that everything else reads, and, on its leader,
// decides. Followers are hot: a failover has no loading phase.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "consensus/driver.h"
#include "controller/cluster_view.h"
#include "net/peers.h"
#include "runtime/runtime.h"
#include "storage/log.h"

namespace taffrail {

struct ControllerOptions {
  int32_t default_partitions = 1;  ///< num.partitions.
  uint64_t snapshot_every = 10'000;  ///< Entries between two snapshots of the image.
  Duration scrub_round = 604'800_s;  ///< Between two looks whether the present one can still be read.
  ByteCount uncommitted_max = 32_MiB;  ///< Past it the leader decides nothing more (kUnavailable).
  TopicConfigLimits limits = {};
};

class Controller final : public ClusterView {
 public:
  Controller(Runtime& runtime, RaftDriver& driver, Log& log, Peers& peers, ControllerOptions options);
  ~Controller() override;

  /// Loads the snapshot, replays, joins group 0, and answers the brokers that ask. `voters` found the
  /// group when its log is empty. Call once.
  /// Errors: kCorrupt, kUnsupported (the snapshot); as RaftDriver::add.
  Result<> start(Task& task, const Configuration& voters);
  /// Every submit() that still waits returns kUnavailable. Call before the driver's and Peers' stop().
  void stop(Task& task);

  const ClusterImage& image() const override;
  /// The entry of group 0 that the image stands at.
  LogIndex applied() const;
  /// For checkers: what a replay of the log from its start to applied() gives; nothing if the start is gone, or the
  /// image moved on meanwhile.
  std::optional<ClusterImage> replay(Task& task) const;
  /// Where brokers may be found: as registered, and as the part of the log says that was not known to be committed at
  /// start. Who may vote is known from there too, and to learn what is committed it takes their votes.
  std::map<BrokerId, Endpoint> addresses() const;
  /// Somebody said so: as long as this broker is no member, it asks there too who leads.
  void hear_of(BrokerId id, const Endpoint& at);
  bool is_leader() const;
  BrokerId leader() const override;
  Result<ControllerReply> submit(Task& task, const ControllerCommand& command, Instant deadline) override;
  /// The same for whoever leaves the cluster by it: does not wait until it is applied here, which may never be.
  Result<ControllerReply> submit_and_go(Task& task, const ControllerCommand& command, Instant deadline);

  /// Called after each applied entry, outside any wait: reconcile replicas, wake waiters, tell other shards.
  /// Null: the image came as a whole, by a snapshot.
  std::function<void(const Entry*)> on_applied;
  /// Brokers that the leader may place replicas on; asked at each decision.
  std::function<std::vector<BrokerId>()> alive;
  /// Registered disks that were heard of lately, likewise; a broker with another disk does not take their place.
  std::function<std::vector<ReplicaId>()> alive_disks;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
