// A consumer group as its log has it (KIP-848). Each record stands for itself, so that what is left of them by any legal
// compaction gives the same state (I-G5).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "group/assignor.h"
#include "group/records.h"

namespace taffrail::group {

struct ConsumerState {
  struct Member {
    std::optional<protocol::ConsumerGroupMemberMetadataValue> meta;
    std::optional<protocol::ConsumerGroupTargetAssignmentMemberValue> target;
    std::optional<protocol::ConsumerGroupCurrentMemberAssignmentValue> current;
    bool operator==(const Member&) const = default;
  };

  std::optional<protocol::ConsumerGroupMetadataValue> epoch;
  std::optional<protocol::ConsumerGroupTargetAssignmentMetadataValue> target_epoch;
  std::map<std::string, Member> members;
  std::map<std::string, protocol::ConsumerGroupRegularExpressionValue> regexes;

  /// Does nothing for records of other kinds of groups.
  void apply(const Record& record);
  /// The record with the key of `record` that says what is there now: applied after `record`, it undoes it.
  Record before(const Record& record) const;
  bool empty() const { return !epoch && !target_epoch && members.empty() && regexes.empty(); }
  /// The records that make this state out of nothing.
  std::vector<Record> records(const std::string& group) const;
  /// The records that make nothing out of it, in the order that Kafka's replay wants them in.
  std::vector<Record> tombstones(const std::string& group) const;
  bool operator==(const ConsumerState&) const = default;
};

/// Which partitions in which epoch they came.
using Held = std::map<TopicId, std::map<int32_t, int32_t>>;
using HeldList = std::vector<protocol::ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions>;

PartitionSet set_of(const std::vector<protocol::AssignedTopic>& list);
std::vector<protocol::AssignedTopic> list_of(const PartitionSet& set);
/// `unknown`: for partitions whose epoch is not recorded.
Held held_of(const HeldList& list, int32_t unknown);
HeldList list_of(const Held& held);
PartitionSet set_of(const Held& held);

}  // namespace taffrail::group
