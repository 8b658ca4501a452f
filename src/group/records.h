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

using Record = std::variant<OffsetRecord, StateRecord>;

const std::string& group_of(const Record& record);

/// Key and value as they stand in a batch.
std::pair<Slice, std::optional<Slice>> encode(const Record& record);

/// Nothing for a type of key that this version does not know, which a reader passes over.
/// Errors: kCorrupt; kUnsupported for a known key with a value of a newer version.
Result<std::optional<Record>> decode(ByteView key, const std::optional<ByteView>& value);

}  // namespace taffrail::group
