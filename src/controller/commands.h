// What may be asked of the controller, and how it decides: pure, state and request in, records and
// replies out. Kafka's admin requests arrive here already decoded; answers carry Kafka's error codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "controller/cluster_image.h"
#include "protocol/errors.h"

namespace taffrail {

struct NewTopic {
  std::string name;
  int32_t partition_count = -1;      ///< -1: num.partitions.
  int16_t replication_factor = -1;   ///< -1: default.replication.factor, min(3, brokers).
  std::vector<std::pair<int32_t, std::vector<BrokerId>>> assignments = {};  ///< By hand; then both above are -1.
  ConfigMap configs = {};
};
struct CreateTopicsCommand { std::vector<NewTopic> topics; bool validate_only = false; };
struct DeleteTopicsCommand {
  struct Which { std::optional<std::string> name; TopicId id; };
  std::vector<Which> topics;
};
struct CreatePartitionsCommand {
  struct Topic {
    std::string name;
    int32_t count = 0;  ///< The new total.
    std::optional<std::vector<std::vector<BrokerId>>> assignments;
  };
  std::vector<Topic> topics;
  bool validate_only = false;
};
struct AlterConfigsCommand {
  /// kDeleteAll: of the resource; its change names no config, and comes first.
  enum class Op : int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3, kDeleteAll = 4 };
  struct Change { std::string name; Op op; std::optional<std::string> value; };
  struct Resource { int8_t type = 0; std::string name; std::vector<Change> changes; };
  std::vector<Resource> resources;
  bool validate_only = false;
};
struct RegisterBrokerCommand { BrokerRecord broker; };
struct AllocateProducerIdsCommand { BrokerId broker; };
/// AlterPartitionReassignments.
struct MovePartitionsCommand {
  struct Partition {
    std::string topic;
    int32_t partition = 0;
    std::optional<std::vector<BrokerId>> replicas;  ///< None: back to where it was before the move.
  };
  std::vector<Partition> partitions;
  bool may_change_count = true;  ///< Of replicas.
};
/// From a partition's leader: the members of its group are those of this revision.
struct FinishMoveCommand {
  TopicId topic;
  int32_t partition = 0;
  int64_t revision = 0;
};
/// Changes nothing: what the leader of group 0 knows of its members, true when it is answered.
struct DescribeQuorumCommand {};
struct UnregisterBrokerCommand {
  BrokerId broker;
  bool retired = false;  ///< From the leader of group 0: it was to leave, and nothing is left on it. It may be alive.
};
/// All or nothing: after an error the reply has one item, which says it.
struct UpdateFeaturesCommand {
  enum class Type : int8_t { kUpgrade = 1, kSafeDowngrade = 2, kUnsafeDowngrade = 3 };
  struct Update { std::string name; int16_t level = 0; Type type = Type::kUpgrade; };
  std::vector<Update> updates;
  bool validate_only = false;
};
/// AddRaftVoter, RemoveRaftVoter. Who votes then changes by and by.
struct ChangeVoterCommand {
  ReplicaId replica;
  bool vote = false;
};
struct AlterQuotasCommand {
  struct Change { std::string key; double value = 0; bool remove = false; };
  /// In Kafka's order, with doubles, before it is known to be an entity.
  struct Entry { std::vector<std::pair<std::string, std::optional<std::string>>> entity; std::vector<Change> changes; };
  std::vector<Entry> entries;
  bool validate_only = false;
};

using ControllerCommand = std::variant<CreateTopicsCommand, DeleteTopicsCommand, CreatePartitionsCommand,
                                       AlterConfigsCommand, RegisterBrokerCommand, AllocateProducerIdsCommand,
                                       MovePartitionsCommand, FinishMoveCommand, DescribeQuorumCommand,
                                       UnregisterBrokerCommand, UpdateFeaturesCommand, ChangeVoterCommand,
                                       AlterQuotasCommand>;

/// Group 0 as its leader sees it.
struct QuorumView {
  struct Member {
    ReplicaId replica;
    bool voter = false;
    int64_t end = 0;                ///< Behind the last entry that is durable there.
    int64_t contact_ms = -1;        ///< Wall time at which it was last heard of; -1: never.
    int64_t caught_up_ms = -1;      ///< Likewise, if it held everything then; -1: it did not.
    bool operator==(const Member&) const = default;
  };
  BrokerId leader = kNoBroker;
  int64_t epoch = -1;
  int64_t committed_end = 0;
  std::vector<Member> members;  ///< Sorted.
  bool is_voter(BrokerId id) const;
  bool operator==(const QuorumView&) const = default;
};

/// One line of an answer, in the order of the request.
struct ItemReply {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::string message;
  std::string name;
  TopicId topic;
  int32_t partition_count = -1;
  int16_t replication_factor = -1;
  bool operator==(const ItemReply&) const = default;
};
struct ControllerReply {
  std::vector<ItemReply> items;
  int64_t first_producer_id = -1;
  int64_t producer_id_count = 0;
  std::optional<QuorumView> quorum = {};
  bool operator==(const ControllerReply&) const = default;
};

struct Decision {
  std::vector<MetadataRecord> records;  ///< Empty: nothing to append; the reply stands all the same.
  ControllerReply reply;
};

/// What a decision may know besides the image.
struct DecisionContext {
  std::vector<BrokerId> alive;   ///< Sorted; where new replicas may be placed, but for brokers that retire.
  LogIndex next_index;           ///< The index that the records will get: their revision.
  int32_t default_partitions = 1;
  Random* random = nullptr;      ///< Topic ids; placement starts at a random broker.
  TopicConfigLimits limits = {};
  std::vector<ReplicaId> alive_disks = {};  ///< Registered, and heard of lately with that very disk.
  QuorumView quorum = {};
};

/// What one request may create, over all its topics: past it, POLICY_VIOLATION as in Kafka.
inline constexpr int64_t kNewPartitionsMax = 10'000;
/// How many producer ids a broker is given at a time.
inline constexpr int64_t kProducerIdBlock = 1000;

/// One reply item per item of the request; each succeeds or fails alone. All records of a decision go
/// into one entry, and applying them in their order to `image` succeeds (ClusterImage::apply).
Decision decide(const ClusterImage& image, const ControllerCommand& command, const DecisionContext& context);

/// Between brokers: a command on its way to the leader of group 0, and the reply.
Slice encode_command(const ControllerCommand& command);
Result<ControllerCommand> decode_command(ByteView bytes);
Slice encode_reply(const ControllerReply& reply);
Result<ControllerReply> decode_reply(ByteView bytes);

/// [a-zA-Z0-9._-]{1,249}, not "." or ".."; the reason if it is not.
std::optional<std::string> bad_topic_name(std::string_view name);

}  // namespace taffrail
