// What clients do in a scenario: writers that send numbered records, and readers that follow. Everything
// that they are told goes into a History.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/observer.h"
#include "sim/checkers/history.h"
#include "sim/cluster.h"

namespace taffrail::sim {

struct WorkloadOptions {
  std::string topic = "orders";
  int32_t partitions = 3;
  int16_t replication_factor = 3;
  int32_t min_insync_replicas = 1;
  std::map<std::string, std::string> topic_configs;
  uint32_t operations = 200;   ///< Records to send, over all writers.
  Duration spread = 9_s;       ///< Over which they are sent.
  uint32_t readers = 1;
  Duration delivery_timeout = 8_s;
};

/// One per scenario; lives on the cluster's client machines.
class Workload {
 public:
  Workload(SimCluster& cluster, WorkloadOptions options);
  ~Workload();

  /// Creates the topic and starts the clients. They end by themselves; the world has to run.
  void start();
  bool topic_created() const;
  /// Every writer has settled all it sent.
  bool writers_done() const;
  /// Readers stop at their next poll.
  void stop_readers();
  bool readers_done() const;
  /// Reads every partition from its start to its end. The reason if that did not work within `limit`.
  std::optional<std::string> read_finally(Duration limit);

  /// Asks the cluster, from a client's machine, for new replicas of a partition, brokers from 1 on, or for its preferred
  /// leader (nowhere to go). `done` is told if that was taken on.
  void change(int32_t partition, const std::vector<uint32_t>& brokers, std::function<void()> done);

  History& history() { return history_; }
  const WorkloadOptions& options() const { return options_; }

 private:
  struct Progress;
  SimCluster& cluster_;
  WorkloadOptions options_;
  History history_;
  std::shared_ptr<Progress> progress_;
};

}  // namespace taffrail::sim
