// Moving partitions: other replicas for what is there already. Errors as Kafka's controller has them (KIP-455, KIP-860).
#include <fmt/core.h>

#include <map>
#include <set>

#include "controller/decide.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;

void refuse(ItemReply& reply, ErrorCode error, std::string message) {
  reply.error = error;
  reply.message = std::move(message);
}

// Where `brokers` are, by their disks of now; nothing, and a refusal, if that cannot be.
std::optional<std::vector<ReplicaId>> placed(const ClusterImage& image, const PartitionKey& key, const std::vector<BrokerId>& brokers,
                                             ItemReply& reply) {
  constexpr auto kError = ErrorCode::kInvalidReplicaAssignment;
  std::vector<ReplicaId> replicas;
  std::set<BrokerId> seen;
  if (brokers.empty()) refuse(reply, kError, "The manual partition assignment includes an empty replica list.");
  for (const BrokerId id : brokers) {
    const BrokerRecord* broker = image.find_broker(id);
    if (!seen.insert(id).second) {
      refuse(reply, kError, fmt::format("The manual partition assignment includes the broker {} more than once.", id.value));
    } else if (broker == nullptr) {
      refuse(reply, kError, fmt::format("The manual partition assignment includes broker {}, but no such broker is "
                                        "registered.", id.value));
    } else {
      replicas.push_back(broker->replica_of(key));
    }
  }
  if (reply.error != ErrorCode::kNone) return std::nullopt;
  return replicas;
}

void move_one(const ClusterImage& image, const MovePartitionsCommand& command,
              const MovePartitionsCommand::Partition& wanted, ItemReply& reply, std::vector<MetadataRecord>& records) {
  const TopicRecord* topic = image.find_topic(std::string_view(wanted.topic));
  const PartitionRecord* partition = topic == nullptr ? nullptr : image.find_partition({topic->id, wanted.partition});
  if (partition == nullptr)
    return refuse(reply, ErrorCode::kUnknownTopicOrPartition,
                  topic == nullptr ? fmt::format("Unable to find a topic named {}.", wanted.topic)
                                   : fmt::format("Unable to find partition {}:{}.", wanted.topic, wanted.partition));
  reply.topic = topic->id;
  std::vector<BrokerId> brokers;
  if (wanted.replicas) {
    brokers = *wanted.replicas;
  } else if (partition->moving()) {
    for (const ReplicaId& replica : partition->original) brokers.push_back(replica.node);
  } else {
    return refuse(reply, ErrorCode::kNoReassignmentInProgress, "No partition reassignment is in progress.");
  }
  const auto replicas = placed(image, {topic->id, wanted.partition}, brokers, reply);
  if (!replicas) return;
  const size_t count = partition->moving() ? partition->original.size() : partition->replicas.size();
  if (!command.may_change_count && replicas->size() != count)
    return refuse(reply, ErrorCode::kInvalidReplicationFactor,
                  fmt::format("The replication factor is changed from {} to {}.", count, replicas->size()));
  if (*replicas != partition->replicas) records.push_back(MovePartition{topic->id, wanted.partition, *replicas});
}

}  // namespace

Decision decide_move_partitions(const ClusterImage& image, const MovePartitionsCommand& command) {
  std::map<std::pair<std::string_view, int32_t>, int> mentions;
  for (const auto& wanted : command.partitions) ++mentions[{wanted.topic, wanted.partition}];
  Decision out;
  for (const auto& wanted : command.partitions) {
    ItemReply& reply = out.reply.items.emplace_back();
    reply.name = wanted.topic;
    if (mentions[{wanted.topic, wanted.partition}] > 1) {
      refuse(reply, ErrorCode::kInvalidRequest, "Duplicate partition.");
    } else {
      move_one(image, command, wanted, reply, out.records);
    }
  }
  return out;
}

Decision decide_finish_move(const ClusterImage& image, const FinishMoveCommand& command) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  const PartitionRecord* partition = image.find_partition({command.topic, command.partition});
  // Told twice, or of a move that another one has replaced since: the leader will look at what is there now.
  if (partition == nullptr || !partition->moving() || partition->revision != command.revision) {
    refuse(reply, ErrorCode::kNoReassignmentInProgress, "There is no such move.");
  } else {
    out.records.push_back(FinishMove{command.topic, command.partition, command.revision});
  }
  return out;
}

}  // namespace taffrail
