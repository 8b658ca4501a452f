// What a request handler may use of the node it runs on. Handlers keep no state of their own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/fetch_sessions.h"
#include "broker/leaders.h"
#include "broker/node_config.h"
#include "controller/cluster_view.h"
#include "partition/partition.h"
#include "runtime/remote.h"
#include "runtime/runtime.h"

namespace taffrail {

namespace group { class Service; }

class BrokerShard;
class Guests;
class MemoryBudget;
class Quotas;

class BrokerContext {
 public:
  virtual ~BrokerContext() = default;

  virtual Runtime& runtime() = 0;
  virtual const NodeConfig& config() const = 0;
  virtual BrokerId id() const = 0;
  virtual const ClusterId& cluster() const = 0;
  virtual ClusterView& controller() = 0;
  virtual const Leaders& leaders() const = 0;
  /// What this shard's requests and answers share.
  virtual MemoryBudget& memory() = 0;
  /// The replica on this shard; null if it has none. Look it up again after every wait.
  virtual Partition* find_partition(const PartitionKey& key) = 0;
  /// The coordinator's replica of a partition of the offsets topic, likewise.
  virtual group::Service* find_groups(const PartitionKey& key) = 0;
  /// All of those that are here.
  virtual std::vector<group::Service*> groups() = 0;
  /// Registered brokers that this one hears from, itself included; sorted.
  virtual std::vector<BrokerId> alive_brokers() = 0;
  /// A producer id that nobody else was ever given (I-T8). Errors: as Controller::submit.
  virtual Result<ProducerId> new_producer_id(Task& task, Instant deadline) = 0;
  /// Asks the broker that leads a partition to hand it to its replica on `to`, and waits until it has. Errors: as
  /// RaftDriver::transfer_question and PeerChannel::call.
  virtual Result<> hand_over(Task& task, const PartitionKey& key, BrokerId leader, BrokerId to, Instant deadline) = 0;
  /// Tells the replica on a broker, by an operator's word, to go on without what it may have lost. Errors: as
  /// RaftDriver::give_up_question and PeerChannel::call.
  virtual Result<> give_up_doubts(Task& task, const PartitionKey& key, BrokerId on, Instant deadline) = 0;

  /// This node's other shards, and its own; where a partition lives is shard_of(key, runtime().shape()).
  virtual const Remote<BrokerShard>& shard(ShardId shard) = 0;
  /// What other shards have sent here.
  virtual Guests& guests() = 0;
  /// Of the connections of this shard.
  virtual FetchSessions& fetch_sessions() = 0;
  /// Those buckets that live on this shard (broker/quotas.h).
  virtual Quotas& quotas() = 0;
  /// A number that this shard did not give before: for what it sends to others.
  virtual uint64_t next_guest() = 0;
};

}  // namespace taffrail
