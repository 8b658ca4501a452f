// One broker: wires everything below it together, and keeps what group 0 says true on this machine.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/context.h"
#include "broker/node_config.h"
#include "consensus/driver.h"
#include "runtime/runtime.h"

namespace taffrail {

class Controller;
class BrokerShard;
class RaftGroup;
class Store;
struct NodeShards;

class Node {
 public:
  /// `runtime` is that of shard 0. `shards`: where it meets the parts that the other shards run
  /// (broker/node_part.h); none are needed where there are no others.
  Node(Runtime& runtime, NodeConfig config, std::shared_ptr<NodeShards> shards = nullptr);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Recovers, founds or joins a cluster, registers, and then listens for clients. Returns when clients are
  /// served. Errors say what to do: kBusy (the data directory is in use), kInvalid (another node's or
  /// cluster's directory), kUnsupported (a newer format), kCorrupt, kIo; kCancelled.
  Result<> start(Task& task);
  /// Orderly: clients are cut off, what is queued becomes durable.
  void stop(Task& task);

  /// The address of a listener, with the port really bound.
  Endpoint listener(std::string_view name) const;
  Endpoint internal() const;
  /// Of shard 0.
  BrokerContext& context();

  /// Before start(): `look` is called after every step of every Raft group here, and before its messages leave, on the group's shard. For checkers.
  void observe(RaftLook look);

  // For checkers of simulated worlds, where all shards run in one thread: what is on all shards of the node.

  std::vector<BrokerShard*> shards();
  /// Null before it is made, and after stop().
  const Controller* controller() const;
  /// Of shard 0, where group 0 is.
  Store* store();
  std::vector<Partition*> partitions();
  Partition* find_partition(const PartitionKey& key);
  RaftGroup* find_group(const PartitionKey& key);
  /// Replicas that stopped taking part, with the invariant that was broken.
  std::vector<std::pair<PartitionKey, std::string>> quarantines();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
