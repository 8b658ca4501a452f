// Group 0 on one broker: applies its log to the image that everything else reads, and, on its leader,
// decides. Followers are hot: a failover has no loading phase.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "consensus/driver.h"
#include "controller/cluster_image.h"
#include "controller/commands.h"
#include "net/peers.h"
#include "runtime/runtime.h"
#include "storage/log.h"

namespace taffrail {

struct ControllerOptions {
  int32_t default_partitions = 1;  ///< num.partitions.
  uint64_t snapshot_every = 10'000;  ///< Entries between two snapshots of the image.
  ByteCount uncommitted_max = 32_MiB;  ///< Past it the leader decides nothing more (kUnavailable).
  TopicConfigLimits limits = {};
};

class Controller {
 public:
  Controller(Runtime& runtime, RaftDriver& driver, Log& log, Peers& peers, ControllerOptions options);
  ~Controller();

  /// Loads the snapshot, replays, joins group 0, and answers the brokers that ask. `voters` found the
  /// group when its log is empty. Call once.
  /// Errors: kCorrupt, kUnsupported (the snapshot); as RaftDriver::add.
  Result<> start(Task& task, const Configuration& voters);
  /// Every submit() that still waits returns kUnavailable. Call before the driver's and Peers' stop().
  void stop(Task& task);

  /// Committed and applied here. Changes only between waits.
  const ClusterImage& image() const;
  bool is_leader() const;
  BrokerId leader() const;

  /// Decides here or on the leader, and returns when the result is committed and, if it succeeded,
  /// applied to this broker's own image. Errors: kTimedOut, kUnavailable (no leader known), kCancelled.
  /// After kTimedOut the command may or may not have taken effect. A leader that goes away before it has
  /// answered is followed by its successor, as Kafka's brokers do it: an item may then be refused because
  /// this very call had done it before (TOPIC_ALREADY_EXISTS).
  Result<ControllerReply> submit(Task& task, const ControllerCommand& command, Instant deadline);

  /// Called after each applied entry, outside any wait: reconcile replicas, wake waiters.
  std::function<void()> on_applied;
  /// Brokers that the leader may place replicas on; asked at each decision.
  std::function<std::vector<BrokerId>()> alive;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
