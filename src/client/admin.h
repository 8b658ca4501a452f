// What an operator asks of a cluster: topics, configs, brokers, offsets. Each call tries brokers in turn
// until its deadline; what came to nothing for want of an answer may have happened all the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/metadata.h"
#include "protocol/enums.h"

namespace taffrail::client {

struct NewTopic {
  std::string name;
  int32_t partitions = -1;          ///< -1: the cluster's default.
  int16_t replication_factor = -1;  ///< Likewise.
  std::map<std::string, std::string> configs = {};
  bool validate_only = false;
};

struct CreatedTopic {
  TopicId id;                       ///< Zero from brokers that do not tell.
  int32_t partitions = -1;          ///< -1: likewise.
  int16_t replication_factor = -1;
};

struct ConfigEntry {
  std::string name;
  std::optional<std::string> value;  ///< Null: not set, or sensitive.
  protocol::ConfigSource source = protocol::ConfigSource::kUnknown;
  bool read_only = false;
  bool sensitive = false;
  /// Whether somebody set it for this very resource.
  bool is_set() const { return source == protocol::ConfigSource::kTopicConfig ||
                               source == protocol::ConfigSource::kDynamicBrokerConfig; }
};

struct ClusterView {
  std::string id;
  BrokerId controller = kNoBroker;
  std::vector<BrokerView> brokers;
};

struct OffsetRange {
  Offset begin = kNoOffset;
  Offset end = kNoOffset;  ///< One past the last.
};

class Admin {
 public:
  /// `cluster` outlives it.
  explicit Admin(Cluster& cluster) : cluster_(cluster) {}

  /// Errors: kExists, kInvalid with the broker's reason, kTimedOut, kUnavailable, kRefused, kCancelled.
  Result<CreatedTopic> create_topic(Task& task, const NewTopic& topic, Instant deadline);
  /// Errors: kNotFound, and as above.
  Result<> delete_topic(Task& task, const std::string& name, Instant deadline);
  /// `count` is the new total. Errors: kNotFound, kInvalid, and as above.
  Result<> grow_topic(Task& task, const std::string& name, int32_t count, Instant deadline);
  /// Gives a partition other replicas, the preferred leader first; nothing: back to where it was before it moved.
  /// Returns when that is on its way. Errors: kNotFound, kInvalid, and as above.
  Result<> move_partition(Task& task, const TopicPartition& of, const std::optional<std::vector<BrokerId>>& to,
                          Instant deadline);
  /// Hands a partition to its preferred leader, unless that leads. Errors: kNotFound, kUnavailable: it cannot take
  /// over now; and as above.
  Result<> elect_preferred(Task& task, const TopicPartition& of, Instant deadline);
  /// Where a partition has no leader because a replica may have lost what nobody else holds any more: has it go on
  /// without. Errors: kUnavailable with the reason: there was nothing to give up, or nobody can be elected; and as above.
  Result<> elect_unclean(Task& task, const TopicPartition& of, Instant deadline);
  /// Sets what has a value and deletes what has none. Errors: kNotFound, kInvalid, and as above.
  Result<> alter_topic(Task& task, const std::string& name,
                       const std::map<std::string, std::optional<std::string>>& changes,
                       Instant deadline);
  /// By name, all of them. Errors: kNotFound, and as above.
  Result<std::vector<ConfigEntry>> describe_topic(Task& task, const std::string& name,
                                                  Instant deadline);
  /// Errors: kUnavailable, kTimedOut, kCancelled.
  Result<ClusterView> describe_cluster(Task& task, Instant deadline);
  /// Where a partition begins and ends, as its leader says. Errors: kNotFound, kTimedOut, kCancelled.
  Result<OffsetRange> offsets(Task& task, const TopicPartition& of, Instant deadline);
  /// The first record of that time or later; the end if there is none. Errors: as offsets().
  Result<Offset> offset_at(Task& task, const TopicPartition& of, WallTime time, Instant deadline);

 private:
  Result<> elect(Task& task, const TopicPartition& of, int8_t type, Instant deadline);
  template <class Request>
  Result<typename Request::Response> ask(Task& task, const Request& request, Instant deadline);
  /// `what`: a time, or one of ListOffsetsTimestamp.
  Result<Offset> find_offset(Task& task, const TopicPartition& of, int64_t what, Instant deadline);

  Cluster& cluster_;
};

}  // namespace taffrail::client
