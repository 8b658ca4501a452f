// What a decision about a group leads to: records to append, and answers that are true once they are committed.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/units.h"
#include "group/records.h"
#include "protocol/consumer_group_describe.h"
#include "protocol/consumer_group_heartbeat.h"
#include "protocol/delete_groups.h"
#include "protocol/describe_groups.h"
#include "protocol/errors.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/sync_group.h"

namespace taffrail::group {

/// Whom an answer goes to: a number that the caller gives each of its requests.
using Token = uint64_t;

/// What every request comes with.
struct Call {
  Token token = 0;
  int16_t version = 0;
  Instant now;
  WallTime wall;
};

/// One code for each partition that was asked about, in that order.
struct OffsetsReply {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;  ///< Of the whole; then `items` may be empty.
  std::vector<protocol::ErrorCode> items;
  bool operator==(const OffsetsReply&) const = default;
};

struct FetchReply {
  struct Item {
    TopicPartition at;
    std::optional<protocol::OffsetCommitValue> value;
    bool operator==(const Item&) const = default;
  };
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::vector<Item> items;
  bool operator==(const FetchReply&) const = default;
};

using Answer = std::variant<protocol::JoinGroupResponse, protocol::SyncGroupResponse, protocol::HeartbeatResponse,
                            protocol::LeaveGroupResponse, OffsetsReply, FetchReply, protocol::DescribeGroupsResponse::Group,
                            protocol::DeleteGroupsResponse::Deleted, protocol::ConsumerGroupHeartbeatResponse,
                            protocol::ConsumerGroupDescribeResponse::DescribedGroup>;

struct Reply {
  Token to = 0;
  Answer answer;
};

/// Puts `error` in the place of whatever the answer said.
void refuse(Answer& answer, protocol::ErrorCode error);

/// Of one group.
struct Effects {
  /// What `records` is a step of, for when they cannot be appended.
  enum class Step : uint8_t { kNone, kGeneration, kAssignment };

  std::string group;
  std::vector<Record> records;
  /// Sent when `records`, and all that this group had appended before, are committed.
  std::vector<Reply> replies;
  Step step = Step::kNone;
  /// Of a consumer group, whose state has `records` in it already: those that take them out again, in this order.
  std::vector<Record> undo;
};

}  // namespace taffrail::group
