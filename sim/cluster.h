// Brokers and clients in one process, for scenarios and tests to talk about. The brokers are the real
// ones: Node over the seam, real Kafka bytes between them and their clients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/node.h"
#include "broker/node_config.h"
#include "client/metadata.h"
#include "sim/world.h"

namespace taffrail::sim {

struct ClusterOptions {
  uint32_t brokers = 3;
  uint32_t seeds = 0;         ///< The first of them found the cluster, the others join it; 0: all found it.
  uint32_t clients = 1;       ///< Machines without a broker, for workloads.
  NodeConfig config;          ///< Of every broker; ids, addresses, shards and seeds are filled in. Each data directory is a disk.
  std::vector<Duration> starts = {};  ///< When each starts first; missing: at once.
  std::vector<uint32_t> shards = {};  ///< Of each broker, repeated as needed; empty: as `config` has it.
};

class SimCluster {
 public:
  static constexpr uint16_t kKafkaPort = 9092;
  static constexpr uint16_t kInternalPort = 9093;

  /// Adds the machines to `world` and starts the brokers. `world` outlives the cluster.
  SimCluster(World& world, ClusterOptions options);
  SimCluster(const SimCluster&) = delete;
  SimCluster& operator=(const SimCluster&) = delete;

  World& world() { return world_; }
  uint32_t broker_count() const { return options_.brokers; }
  /// Of its last start, or of the next one if that was set meanwhile.
  uint32_t shards_of(uint32_t i) const { return shards_[i]; }
  /// From its next start on: NodeConfig::unclean.
  void set_unclean(uint32_t i, bool unclean) { unclean_[i] = unclean; }
  /// From its next start on; not fewer than it has directories.
  void set_shards(uint32_t i, uint32_t count);
  NodeId broker(uint32_t i) const { return brokers_[i]; }
  NodeId client(uint32_t i) const { return clients_[i]; }
  std::vector<NodeId> machines() const;
  /// The broker's node, if its process is up and was built; null otherwise.
  taffrail::Node* node(uint32_t i) const;
  /// Which of its data directories has failed, so that it goes on with the others; nothing while all are well.
  std::optional<uint32_t> failed_directory(uint32_t i) const;
  /// Whether it was told to leave the cluster, and has.
  bool left(uint32_t i) const;
  static bool left(const Stop& stop) { return stop.why.find("has left the cluster") != std::string::npos; }
  /// Whether the broker has served clients since its last start.
  bool serving(uint32_t i) const;
  /// How clients find the cluster.
  client::ClusterOptions bootstrap() const;

  /// Until every broker serves. False after `limit`.
  bool await_serving(Duration limit);
  /// Until every partition that group 0 knows has one leader that all its live brokers agree on, and every
  /// replica has caught up with it, and brokers that are to retire have (I-M4). Of the brokers in `who` only, which must be a majority of each group;
  /// empty: of all. The reason if that does not happen within `limit`.
  std::optional<std::string> await_settled(Duration limit, const std::vector<NodeId>& who = {});

  /// Called after every step of every Raft group, and before each of its messages leaves.
  RaftLook on_step;

  struct Process;  ///< One run of a broker.

 private:
  uint32_t directories() const { return std::max<uint32_t>(1, static_cast<uint32_t>(options_.config.data_dirs.size())); }
  std::string unsettled(const std::vector<bool>& counts) const;

  World& world_;
  ClusterOptions options_;
  std::vector<uint32_t> shards_;  ///< Of each broker.
  std::vector<bool> unclean_;     ///< Likewise.
  std::vector<NodeId> brokers_;
  std::vector<NodeId> clients_;
  std::vector<std::weak_ptr<Process>> processes_;
};

}  // namespace taffrail::sim
