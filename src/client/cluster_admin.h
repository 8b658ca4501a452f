// What an operator asks of the brokers themselves: who they are and how far they have got, and what is set of them.
// Calls behave as those of Admin do (client/admin.h), and have its errors.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/admin.h"

namespace taffrail::client {

/// A replica with which something is wrong.
struct ReplicaTrouble {
  TopicPartition of;
  std::string what;  ///< That, and what is done about it, as its broker says it.
};

struct BrokerHealth {
  BrokerView broker;
  bool alive = false;
  std::string retire = "none";  ///< What is to leave it: none, leaders, replicas; only of one that answers.
  std::vector<std::string> failed_directories = {};  ///< Data directories that it goes on without; likewise.
  std::vector<ReplicaTrouble> troubles = {};         ///< Of its replicas; likewise.
};

/// Group 0, as its leader says.
struct MetadataQuorum {
  struct Member {
    BrokerId broker = kNoBroker;
    Uuid disk;
    bool voter = false;
    int64_t end = 0;
    int64_t lag = 0;           ///< Entries that it has not got of those that are committed.
    bool caught_up = false;    ///< Heard of, and without any lag.
  };
  BrokerId leader = kNoBroker;
  int32_t epoch = -1;
  std::vector<Member> members;
};

class ClusterAdmin {
 public:
  /// `cluster` outlives it.
  explicit ClusterAdmin(Cluster& cluster) : cluster_(cluster) {}

  /// All that are registered, by id.
  Result<std::vector<BrokerHealth>> brokers(Task& task, Instant deadline);
  Result<MetadataQuorum> quorum(Task& task, Instant deadline);
  /// Of one broker, which has to answer itself, or of all.
  Result<std::vector<ConfigEntry>> configs(Task& task, std::optional<BrokerId> broker, Instant deadline);
  /// Sets what has a value and deletes what has none. Errors: kNotFound: there is no such broker.
  Result<> alter_configs(Task& task, std::optional<BrokerId> broker,
                         const std::map<std::string, std::optional<std::string>>& changes, Instant deadline);
  /// Errors: kNotFound; kInvalid with the reason.
  Result<> unregister(Task& task, BrokerId broker, Instant deadline);
  /// Removes the records before `before`, -1: all of them. Where the partition begins then. Errors: kInvalid: it does
  /// not reach that far.
  Result<Offset> trim(Task& task, const TopicPartition& of, Offset before, Instant deadline);

 private:
  /// Fills in what is wrong with its disks and replicas.
  Result<> look_at_disks(Task& task, BrokerHealth& health, Instant deadline);

  Cluster& cluster_;
};

}  // namespace taffrail::client
