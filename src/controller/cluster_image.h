// The cluster's metadata as group 0 has it: brokers, topics, assignments, configs. A pure value: the same
// records in the same order give the same image, on every broker and after every restart.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "controller/cluster_settings.h"
#include "partition/topic_config.h"
#include "runtime/net.h"

namespace taffrail {

/// A broker as it registered; with another disk than before, it takes the old one's place in every partition. Whether it is alive is not in the log: that is each broker's own view.
struct BrokerRecord {
  ReplicaId replica;                          ///< With the disk of its first data directory.
  uint64_t incarnation = 0;
  Endpoint internal;                          ///< Where other brokers find it.
  std::map<std::string, Endpoint> listeners;  ///< Advertised address by listener name.
  std::optional<std::string> rack;
  std::vector<DiskId> more_disks = {};        ///< Of its second data directory, and so on.
  bool operator==(const BrokerRecord&) const = default;

  uint32_t directories() const { return static_cast<uint32_t>(1 + more_disks.size()); }
  ReplicaId replica_in(uint32_t directory) const {
    return directory == 0 ? replica : ReplicaId{replica.node, more_disks[directory - 1]};
  }
  /// Its replica of that partition, if it has one: which of its disks that is, the partition says.
  ReplicaId replica_of(const PartitionKey& key) const { return replica_in(directory_of(key, directories())); }
};

struct PartitionRecord {
  std::vector<ReplicaId> replicas;  ///< The preferred leader first. While it moves: where it moves to.
  int64_t revision = 0;             ///< Index of the record that set it; older ones are refused.

  // Of a partition whose replicas were ever changed.

  std::vector<ReplicaId> founders = {};  ///< Those that the partition was created with; empty: `replicas` still are.
  /// While it moves: the replicas before the first move that is not done, in their order; else empty.
  std::vector<ReplicaId> original = {};
  /// While it moves: those that are not among `replicas`, and may yet be members of its Raft group. They keep their
  /// logs. Sorted.
  std::vector<ReplicaId> leaving = {};
  /// Of `replicas` and `leaving`, those that were not there from the founding on: the revision that brought them.
  std::map<ReplicaId, int64_t> joined = {};

  bool moving() const { return !original.empty(); }
  /// The membership before the log's first entry.
  const std::vector<ReplicaId>& first_members() const { return founders.empty() ? replicas : founders; }
  /// `replicas`, then `leaving`: whoever has or shall have a log of it.
  std::vector<ReplicaId> everywhere() const;
  int64_t joined_at(const ReplicaId& replica) const;
  bool operator==(const PartitionRecord&) const = default;
};

struct TopicRecord {
  TopicId id;
  std::string name;
  std::vector<PartitionRecord> partitions;
  ConfigMap configs;
  bool operator==(const TopicRecord&) const = default;
};

/// What stands in a kCommand entry of group 0; layouts in docs/formats.md, "Metadata records".
struct RegisterBroker { BrokerRecord broker; bool operator==(const RegisterBroker&) const = default; };
struct CreateTopic { TopicRecord topic; bool operator==(const CreateTopic&) const = default; };
struct DeleteTopic { TopicId topic; bool operator==(const DeleteTopic&) const = default; };
struct AddPartitions {
  TopicId topic;
  std::vector<PartitionRecord> partitions;
  bool operator==(const AddPartitions&) const = default;
};
/// Replaces the whole set of a resource. `topic` names a topic by id; zero: cluster-wide broker configs.
struct SetConfigs {
  TopicId topic;
  ConfigMap configs;
  bool operator==(const SetConfigs&) const = default;
};
/// Producer ids [next, next + count) now belong to one broker; no id is ever handed out twice (I-T8).
struct AllocateProducerIds {
  BrokerId broker;
  int64_t count = 0;
  bool operator==(const AllocateProducerIds&) const = default;
};
/// A partition gets other replicas, or the same in another order. Those that it had stay until the move is done.
struct MovePartition {
  TopicId topic;
  int32_t partition = 0;
  std::vector<ReplicaId> replicas;
  bool operator==(const MovePartition&) const = default;
};
/// The members of its Raft group are those that the record of `revision` asked for: whoever left may forget its log.
struct FinishMove {
  TopicId topic;
  int32_t partition = 0;
  int64_t revision = 0;
  bool operator==(const FinishMove&) const = default;
};
/// A broker on which nothing is, or shall be, leaves the books. What was set of it alone goes too.
struct UnregisterBroker { BrokerId broker; bool operator==(const UnregisterBroker&) const = default; };
/// ClusterSettings::votes; nothing: the cluster chooses.
struct SetMetadataVote {
  BrokerId broker;
  std::optional<bool> vote;
  bool operator==(const SetMetadataVote&) const = default;
};
struct SetFeature {
  std::string name;
  int16_t level = 0;
  bool operator==(const SetFeature&) const = default;
};
/// Replaces the whole set of one broker; empty: takes it away.
struct SetBrokerConfigs {
  BrokerId broker;
  ConfigMap configs;
  bool operator==(const SetBrokerConfigs&) const = default;
};
/// Likewise of one group, whether it exists or not.
struct SetGroupConfigs {
  std::string group;
  ConfigMap configs;
  bool operator==(const SetGroupConfigs&) const = default;
};
/// Likewise the quotas of one entity.
struct SetQuotas {
  QuotaEntity entity;
  QuotaValues values;
  bool operator==(const SetQuotas&) const = default;
};
using MetadataRecord =
    std::variant<RegisterBroker, CreateTopic, DeleteTopic, AddPartitions, SetConfigs, AllocateProducerIds, MovePartition,
                 FinishMove, UnregisterBroker, SetMetadataVote, SetFeature, SetBrokerConfigs, SetGroupConfigs, SetQuotas>;

/// One entry's payload: a list of records that take effect together.
Slice encode_records(const std::vector<MetadataRecord>& records);
/// Errors: kCorrupt with what and where; kUnsupported for a newer format version.
Result<std::vector<MetadataRecord>> decode_records(ByteView bytes);

class ClusterImage {
 public:
  /// Applies one record at `index`. A record that contradicts the image (a topic that exists, a broker
  /// that does not) changes nothing and returns false: the caller puts group 0 in quarantine.
  [[nodiscard]] bool apply(const MetadataRecord& record, LogIndex index);

  const TopicRecord* find_topic(std::string_view name) const;
  const TopicRecord* find_topic(const TopicId& id) const;
  const PartitionRecord* find_partition(const PartitionKey& key) const;
  const std::map<TopicId, TopicRecord>& topics() const { return topics_; }
  const std::map<std::string, TopicId, std::less<>>& names() const { return names_; }
  const std::map<BrokerId, BrokerRecord>& brokers() const { return brokers_; }
  const BrokerRecord* find_broker(BrokerId id) const;
  const ConfigMap& cluster_configs() const { return cluster_configs_; }
  const ClusterSettings& settings() const { return settings_; }
  /// Whether a log of some partition is, may be or shall be on a broker, whatever its disk.
  bool has_replicas_on(BrokerId id) const;
  int64_t next_producer_id() const { return next_producer_id_; }

  /// The state as a snapshot, and back. Errors: kCorrupt, kUnsupported.
  Slice encode() const;
  static Result<ClusterImage> decode(ByteView bytes);
  bool operator==(const ClusterImage&) const = default;

 private:
  bool apply_one(const RegisterBroker& record, LogIndex index);
  bool apply_one(const CreateTopic& record, LogIndex index);
  bool apply_one(const DeleteTopic& record, LogIndex index);
  bool apply_one(const AddPartitions& record, LogIndex index);
  bool apply_one(const SetConfigs& record, LogIndex index);
  bool apply_one(const AllocateProducerIds& record, LogIndex index);
  bool apply_one(const MovePartition& record, LogIndex index);
  bool apply_one(const FinishMove& record, LogIndex index);
  bool apply_one(const UnregisterBroker& record, LogIndex index);
  bool apply_one(const SetMetadataVote& record, LogIndex index);
  bool apply_one(const SetFeature& record, LogIndex index);
  bool apply_one(const SetBrokerConfigs& record, LogIndex index);
  bool apply_one(const SetGroupConfigs& record, LogIndex index);
  bool apply_one(const SetQuotas& record, LogIndex index);
  PartitionRecord* partition_at(const PartitionKey& key);
  bool settings_fit() const;

  std::map<TopicId, TopicRecord> topics_;
  std::map<std::string, TopicId, std::less<>> names_;
  std::map<BrokerId, BrokerRecord> brokers_;
  ConfigMap cluster_configs_;
  ClusterSettings settings_;
  int64_t next_producer_id_ = 0;
};

}  // namespace taffrail
