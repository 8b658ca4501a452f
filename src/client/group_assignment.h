// What members of a `consumer` group tell each other through their coordinator, which does not look into it: topics
// wanted, and partitions given. Kafka's embedded consumer protocol, version 0.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "client/record.h"

namespace taffrail::client {

Slice encode_subscription(const std::vector<std::string>& topics);
/// Of later versions, too: they only append. Errors: kCorrupt.
Result<std::vector<std::string>> decode_subscription(ByteView bytes);

Slice encode_assignment(const std::vector<TopicPartition>& partitions);
/// An empty one is no partitions. Errors: kCorrupt.
Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes);

struct GroupMemberView {
  std::string id;
  std::optional<std::string> instance;
  std::vector<std::string> topics;
};

/// Kafka's RangeAssignor, without racks: of each topic a contiguous range for each subscriber, the first ones one more.
/// Static members come first, by their names. Every member has a place in the result.
std::map<std::string, std::vector<TopicPartition>> assign_range(std::vector<GroupMemberView> members,
                                                                const std::map<std::string, int32_t>& partition_counts);

}  // namespace taffrail::client
