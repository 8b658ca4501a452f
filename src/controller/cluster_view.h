// What a shard of a broker knows of group 0, and how it asks for changes: the controller itself where it lives, a copy
// of its image and a way there on the other shards.
#pragma once

#include "base/ids.h"
#include "base/units.h"
#include "controller/cluster_image.h"
#include "controller/commands.h"
#include "runtime/scheduler.h"

namespace taffrail {

class ClusterView {
 public:
  virtual ~ClusterView() = default;

  /// Committed, and applied on this shard. Changes only between waits.
  virtual const ClusterImage& image() const = 0;
  /// Of group 0; kNoBroker while unknown.
  virtual BrokerId leader() const = 0;
  /// Decides here or on the leader, and returns when the result is committed and, if it succeeded,
  /// applied to image(). Errors: kTimedOut, kUnavailable (no leader known), kCancelled.
  /// After kTimedOut the command may or may not have taken effect. A leader that goes away before it has
  /// answered is followed by its successor, as Kafka's brokers do it: an item may then be refused because
  /// this very call had done it before (TOPIC_ALREADY_EXISTS).
  virtual Result<ControllerReply> submit(Task& task, const ControllerCommand& command, Instant deadline) = 0;
};

}  // namespace taffrail
