#include <algorithm>

#include "broker/handlers.h"
#include "controller/features.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

ErrorCode error_of(const Fault& fault) {
  switch (fault.what) {
    case PartitionFault::kNotLeader: return ErrorCode::kNotLeaderOrFollower;
    case PartitionFault::kFencedEpoch: return ErrorCode::kFencedLeaderEpoch;
    case PartitionFault::kUnknownEpoch: return ErrorCode::kUnknownLeaderEpoch;
    case PartitionFault::kNotEnoughReplicas: return ErrorCode::kNotEnoughReplicas;
    case PartitionFault::kNotEnoughAfterAppend: return ErrorCode::kNotEnoughReplicasAfterAppend;
    case PartitionFault::kTimedOut: return ErrorCode::kRequestTimedOut;
    case PartitionFault::kOutOfRange: return ErrorCode::kOffsetOutOfRange;
    case PartitionFault::kOffsetNotAvailable: return ErrorCode::kOffsetNotAvailable;
    case PartitionFault::kOutOfOrderSequence: return ErrorCode::kOutOfOrderSequenceNumber;
    case PartitionFault::kInvalidProducerEpoch: return ErrorCode::kInvalidProducerEpoch;
    case PartitionFault::kNoTransaction: return ErrorCode::kInvalidTxnState;
    case PartitionFault::kBatch: return protocol::error_code(fault.batch.fault);
    case PartitionFault::kStorage: return ErrorCode::kKafkaStorageError;
    case PartitionFault::kOverloaded: return ErrorCode::kNotEnoughReplicas;
    case PartitionFault::kDeleted: return ErrorCode::kUnknownTopicOrPartition;
  }
  return ErrorCode::kUnknownServerError;
}

ErrorCode error_of_submit(const Error& error) {
  switch (error.code) {
    case Errc::kTimedOut: return ErrorCode::kRequestTimedOut;
    case Errc::kNotLeader: return ErrorCode::kNotController;
    default: return ErrorCode::kNotController;  // Retriable: the client asks again.
  }
}

std::vector<ItemReply> items_of(const Result<ControllerReply>& reply, size_t count) {
  if (reply && reply->items.size() == count) return reply->items;
  ItemReply failed;
  failed.error = reply ? ErrorCode::kUnknownServerError : error_of_submit(reply.error());
  failed.message = reply ? "the controller's answer does not fit the request" : reply.error().message;
  return std::vector<ItemReply>(count, failed);
}

std::optional<std::string> message_of(const ItemReply& item) {
  return item.error == ErrorCode::kNone || item.message.empty() ? std::nullopt : std::optional(item.message);
}

bool serves_consumer_groups(BrokerContext& broker) {
  return feature_level(broker.controller().image(), kGroupVersion) >= 1;
}

const TopicRecord* resolve_topic(BrokerContext& broker, const std::string& name, const TopicId& id, bool by_id) {
  const ClusterImage& image = broker.controller().image();
  return by_id ? image.find_topic(id) : image.find_topic(std::string_view(name));
}

ErrorCode unknown_topic(bool by_id) {
  return by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
}

std::expected<Partition*, ErrorCode> find_replica(BrokerContext& broker, const std::string& topic, int32_t partition) {
  const TopicRecord* record = broker.controller().image().find_topic(std::string_view(topic));
  if (record == nullptr || partition < 0 || static_cast<size_t>(partition) >= record->partitions.size())
    return std::unexpected(ErrorCode::kUnknownTopicOrPartition);
  Partition* replica = broker.find_partition({record->id, partition});
  if (replica == nullptr) return std::unexpected(ErrorCode::kNotLeaderOrFollower);
  return replica;
}

std::optional<Endpoint> address_of(BrokerContext& broker, BrokerId id, const std::string& listener) {
  const BrokerRecord* record = broker.controller().image().find_broker(id);
  if (record == nullptr) return std::nullopt;
  const auto it = record->listeners.find(listener);
  if (it == record->listeners.end()) return std::nullopt;
  return it->second;
}

std::pair<BrokerId, int32_t> leader_of(BrokerContext& broker, const PartitionKey& key) {
  const Leadership* known = broker.leaders().find(key);
  if (known == nullptr) return {kNoBroker, -1};
  const std::vector<BrokerId> alive = broker.alive_brokers();
  if (!std::binary_search(alive.begin(), alive.end(), known->leader)) return {kNoBroker, -1};
  return {known->leader, static_cast<int32_t>(known->epoch.value)};
}

Instant deadline_in(Runtime& runtime, int64_t timeout_ms) {
  return runtime.now() + Duration::from_ms(std::clamp<int64_t>(timeout_ms, 0, 86'400'000));
}

}  // namespace taffrail::handlers
