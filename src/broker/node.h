// One broker: wires everything below it together, and keeps what group 0 says true on this machine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "broker/context.h"
#include "broker/node_config.h"
#include "net/peers.h"
#include "runtime/runtime.h"

namespace taffrail {

class Store;
class RaftDriver;

class Node {
 public:
  Node(Runtime& runtime, NodeConfig config);
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
  BrokerContext& context();

  /// Before start(): `look` is called after every step of every Raft group here. For checkers.
  void observe(std::function<void(const PartitionKey&)> look);
  Store* store();
  RaftDriver* driver();
  std::vector<Partition*> partitions();
  /// Replicas that stopped taking part, with the invariant that was broken.
  const std::vector<std::pair<PartitionKey, std::string>>& quarantines() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
