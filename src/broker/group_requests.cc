#include "broker/group_requests.h"

#include "base/utf16.h"
#include "broker/internal_topics.h"

namespace taffrail::handlers {

int32_t group_partition(std::string_view group, int32_t partitions) {
  uint32_t hash = 0;
  for_each_utf16_unit(group, [&](uint16_t unit) { hash = 31 * hash + unit; });
  // Java's abs of its smallest integer is that integer; Kafka's Utils.abs makes it 0.
  const auto value = static_cast<int32_t>(hash);
  const int32_t positive = value == INT32_MIN ? 0 : value < 0 ? -value : value;
  return positive % partitions;
}

std::optional<PartitionKey> coordinator_of(BrokerContext& broker, std::string_view group) {
  const TopicRecord* topic = broker.controller().image().find_topic(kOffsetsTopic);
  if (topic == nullptr || topic->partitions.empty()) return std::nullopt;
  return PartitionKey{topic->id, group_partition(group, static_cast<int32_t>(topic->partitions.size()))};
}

ShardId shard_of_group(BrokerContext& broker, std::string_view group) {
  const auto key = coordinator_of(broker, group);
  return key ? shard_of(*key, broker.runtime().shape()) : broker.runtime().shard();
}

group::Service* find_groups(BrokerContext& broker, std::string_view group) {
  const auto key = coordinator_of(broker, group);
  return key ? broker.find_groups(*key) : nullptr;
}

}  // namespace taffrail::handlers
