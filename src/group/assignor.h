// Who of a consumer group's members is to have which partitions (KIP-848). Pure: the same members and topics give the
// same assignment, whatever order they are named in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace taffrail::group {

/// Partitions by topic; sorted, each once, and no topic without any.
using PartitionSet = std::map<TopicId, std::vector<int32_t>>;

struct AssignorMember {
  std::optional<std::string> instance;
  const std::set<TopicId>* topics = nullptr;  ///< That it reads, and that exist. Outlives the call.
  PartitionSet had;                           ///< What it was to have before.
};
using AssignorMembers = std::map<std::string, AssignorMember>;
/// How many partitions each topic has.
using AssignorTopics = std::map<TopicId, int32_t>;
using Assignment = std::map<std::string, PartitionSet>;

/// In the order of Kafka's group.consumer.assignors: the first is what members get that do not ask.
inline constexpr std::string_view kAssignors[] = {"uniform", "range"};

/// As even as subscriptions allow, and as few partitions as possible change hands.
Assignment assign_uniform(const AssignorMembers& members, const AssignorTopics& topics);
/// Of each topic a contiguous piece, so that partitions with the same number end up together.
Assignment assign_range(const AssignorMembers& members, const AssignorTopics& topics);
/// By one of kAssignors.
Assignment assign(std::string_view assignor, const AssignorMembers& members, const AssignorTopics& topics);

}  // namespace taffrail::group
