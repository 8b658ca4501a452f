// The cluster as a client knows it: brokers, topics, leaders, and one connection to each broker that was
// asked for. What it knows may be old; whoever is told so by a broker says so here and asks again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/record.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail::protocol {
struct MetadataResponse;
}

namespace taffrail::client {

struct ClusterOptions {
  std::vector<Endpoint> bootstrap;  ///< At least one.
  ConnectionOptions connection;
  Duration metadata_age_max = 300_s;  ///< Leaders older than this are asked for again.
  Duration backoff_min = 50_ms;       ///< Between two attempts; doubles up to the maximum, with jitter.
  Duration backoff_max = 1_s;
};

struct BrokerView {
  BrokerId id = kNoBroker;
  Endpoint at;
  std::optional<std::string> rack;
};

struct PartitionView {
  int32_t index = 0;
  BrokerId leader = kNoBroker;
  int32_t leader_epoch = -1;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> in_sync;
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
};

struct TopicView {
  std::string name;
  TopicId id;
  bool internal = false;
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::vector<PartitionView> partitions;  ///< By index.
  const PartitionView* find(int32_t partition) const;
};

struct LeaderView {
  BrokerId broker = kNoBroker;
  int32_t epoch = -1;
  TopicId topic_id;  ///< Zero from brokers that do not tell.
};

/// Waiting times that double, with jitter, so that a thousand clients do not come back at once.
class Backoff {
 public:
  Backoff(Runtime& runtime, Duration min, Duration max) : runtime_(runtime), min_(min), max_(max) {}
  /// Between half and all of the next waiting time.
  Duration next();
  void reset() { attempt_ = 0; }

 private:
  Runtime& runtime_;
  Duration min_;
  Duration max_;
  int attempt_ = 0;
};

class Cluster {
 public:
  Cluster(Runtime& runtime, ClusterOptions options);
  /// close() first.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  /// Ends every connection. Nothing may be waiting in here any more.
  void close(Task& task);

  Runtime& runtime() { return runtime_; }
  const ClusterOptions& options() const { return options_; }
  Backoff backoff() { return {runtime_, options_.backoff_min, options_.backoff_max}; }

  // What is known, without asking.
  const std::map<BrokerId, BrokerView>& brokers() const { return brokers_; }
  BrokerId controller() const { return controller_; }
  const std::string& cluster_id() const { return cluster_id_; }
  const TopicView* find_topic(const std::string& name) const;

  /// Asks any broker for the brokers and these topics, and keeps what it says. `create`: the broker may
  /// create what does not exist. Tries brokers in turn until `deadline`.
  /// Errors: kUnavailable if none can be reached, kTimedOut, kClosed, kCancelled.
  Result<> refresh(Task& task, const std::vector<std::string>& topics, Instant deadline,
                   bool create = false);
  /// Every topic there is. Errors: as refresh().
  Result<std::vector<TopicView>> list_topics(Task& task, Instant deadline);
  /// The topic as last answered, if that is recent and nobody doubted it since; else asked for. Errors: as refresh(); kNotFound if it
  /// does not exist (with `create`: still not at the deadline), kInvalid for a bad name.
  Result<TopicView> topic(Task& task, const std::string& name, Instant deadline, bool create = false);
  /// How many partitions topic() would tell of, at no cost when that is known. Errors: as topic().
  Result<int32_t> partition_count(Task& task, const std::string& name, Instant deadline, bool create = false);
  /// Who leads, asked for until somebody does. Errors: as topic(); kTimedOut without a leader.
  Result<LeaderView> leader(Task& task, const TopicPartition& of, Instant deadline,
                            bool create = false);
  /// A broker said that `epoch` is not the partition's leadership any more: ask before next use.
  void forget_leader(const TopicPartition& of, int32_t epoch);
  /// A broker said who leads now (KIP-951). False if that was no news: the epoch is not above the one
  /// that is known, or nothing is known of that broker or partition.
  bool learn_leader(const TopicPartition& of, BrokerId leader, int32_t epoch);
  void learn_broker(BrokerId id, Endpoint at, std::optional<std::string> rack);

  /// The connection to a broker, dialled if there is none. A shared pointer, because a connection that
  /// breaks is replaced here while those who wait for its answers still hold it.
  /// Errors: as KafkaConnection::dial; kNotFound for an unknown broker.
  Result<std::shared_ptr<KafkaConnection>> connect(Task& task, BrokerId broker, Instant deadline);
  /// To any broker that can be reached, tried in turn until `deadline`.
  /// Errors: kUnavailable with the last broker's own reason, kCancelled.
  Result<std::shared_ptr<KafkaConnection>> connect_any(Task& task, Instant deadline);

 private:
  struct Slot {
    std::shared_ptr<KafkaConnection> connection;
    Mutex dialing;  ///< Held across the dial: one connection per address.
    Instant not_before;
    int failures = 0;
  };
  struct Known {
    TopicView view;
    Instant at;
    uint64_t round = 0;  ///< Of the refresh that brought it.
    bool stale = false;
  };
  Result<std::shared_ptr<KafkaConnection>> connect_to(Task& task, const Endpoint& at,
                                                      Instant deadline);
  Result<protocol::MetadataResponse> ask(Task& task, const std::vector<std::string>* topics,
                                         bool create, Instant deadline);
  void keep(const protocol::MetadataResponse& answer);
  TopicView keep_topic(TopicView view);
  Result<> know(Task& task, const std::string& name, Instant deadline, bool create);
  std::vector<Endpoint> candidates();

  Runtime& runtime_;
  ClusterOptions options_;
  std::map<BrokerId, BrokerView> brokers_;
  BrokerId controller_ = kNoBroker;
  std::string cluster_id_;
  std::map<std::string, Known> topics_;
  std::map<Endpoint, Slot> slots_;  ///< Grows with the addresses seen; a slot's place never changes.
  uint64_t round_ = 0;
  Mutex refreshing_;  ///< Held across a question: fibers that want to know the same ask once.
};

}  // namespace taffrail::client
