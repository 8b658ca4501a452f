// The records of __consumer_offsets as this broker writes and reads them, in Kafka's own formats
// (docs/formats.md, "Group records").
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/consumer_group_records.h"
#include "protocol/coordinator_records.h"

namespace taffrail::group {

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

/// How far a group has read one partition; no value: it has forgotten.
struct OffsetRecord {
  std::string group;
  TopicPartition at;
  std::optional<protocol::OffsetCommitValue> value;
  bool operator==(const OffsetRecord&) const = default;
};

/// The members of a classic group in one generation; no value: the group is gone.
///
/// A value with members and without a leader is that of a generation that was given out and not assigned yet: whoever
/// replays it knows that the number is used, and has the members join again.
struct StateRecord {
  std::string group;
  std::optional<protocol::GroupMetadataValue> value;
  bool operator==(const StateRecord&) const = default;
};

// Of a consumer group (KIP-848), and of one of its members or regular expressions; no value: gone.
template <class Value>
struct GroupRecord {
  std::string group;
  std::optional<Value> value;
  bool operator==(const GroupRecord&) const = default;
};
template <class Value>
struct NamedRecord {
  std::string group;
  std::string name;  ///< The member, or the expression.
  std::optional<Value> value;
  bool operator==(const NamedRecord&) const = default;
};
using EpochRecord = GroupRecord<protocol::ConsumerGroupMetadataValue>;
using TargetEpochRecord = GroupRecord<protocol::ConsumerGroupTargetAssignmentMetadataValue>;
using MemberRecord = NamedRecord<protocol::ConsumerGroupMemberMetadataValue>;
using TargetRecord = NamedRecord<protocol::ConsumerGroupTargetAssignmentMemberValue>;
using CurrentRecord = NamedRecord<protocol::ConsumerGroupCurrentMemberAssignmentValue>;
using RegexRecord = NamedRecord<protocol::ConsumerGroupRegularExpressionValue>;

using Record = std::variant<OffsetRecord, StateRecord, EpochRecord, TargetEpochRecord, MemberRecord, TargetRecord, CurrentRecord,
                            RegexRecord>;

const std::string& group_of(const Record& record);

/// Key and value as they stand in a batch.
std::pair<Slice, std::optional<Slice>> encode(const Record& record);

/// Nothing for a type of key that this version does not know, which a reader passes over.
/// Errors: kCorrupt; kUnsupported for a known key with a value of a newer version.
Result<std::optional<Record>> decode(ByteView key, const std::optional<ByteView>& value);

}  // namespace taffrail::group
