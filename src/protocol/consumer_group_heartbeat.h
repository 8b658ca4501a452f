// ConsumerGroupHeartbeat: all that a member of a consumer group says and is told, joining and leaving included (KIP-848).
// Kafka protocol guide, "ConsumerGroupHeartbeat".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/assigned_topic.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ConsumerGroupHeartbeatResponse;

/// Null, and -1 where there is no null: as before. v1 has regular expressions, and members that make their own ids.
struct ConsumerGroupHeartbeatRequest {
  static constexpr Api kApi{.key = ApiKey::kConsumerGroupHeartbeat,
                            .name = "ConsumerGroupHeartbeatRequest",
                            .versions = {0, 1},
                            .flexible_from = 0};
  using Response = ConsumerGroupHeartbeatResponse;

  static constexpr int32_t kJoin = 0;
  static constexpr int32_t kLeave = -1;
  static constexpr int32_t kLeaveForAWhile = -2;  ///< A static member that comes back.

  std::string group_id = {};
  std::string member_id = {};
  int32_t member_epoch = 0;  ///< One of the above, or what the last answer said.
  std::optional<std::string> instance_id = {};
  std::optional<std::string> rack_id = {};
  int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string>> subscribed_topic_names = {};
  std::optional<std::string> subscribed_topic_regex = {};
  std::optional<std::string> server_assignor = {};
  /// What the member owns: the proof that it has given up the rest.
  std::optional<std::vector<AssignedTopic>> topic_partitions = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("member_id", self.member_id);
    walk("member_epoch", self.member_epoch);
    walk("instance_id", self.instance_id);
    walk("rack_id", self.rack_id);
    walk("rebalance_timeout_ms", self.rebalance_timeout_ms);
    walk("subscribed_topic_names", self.subscribed_topic_names);
    walk("subscribed_topic_regex", self.subscribed_topic_regex, since(1).null_since(1));
    walk("server_assignor", self.server_assignor);
    walk("topic_partitions", self.topic_partitions);
  }
  bool operator==(const ConsumerGroupHeartbeatRequest&) const = default;
};

struct ConsumerGroupHeartbeatResponse {
  static constexpr Api kApi{.key = ApiKey::kConsumerGroupHeartbeat,
                            .name = "ConsumerGroupHeartbeatResponse",
                            .versions = {0, 1},
                            .flexible_from = 0};

  struct Assignment {
    std::vector<AssignedTopic> topic_partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) { walk("topic_partitions", self.topic_partitions); }
    bool operator==(const Assignment&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::optional<std::string> member_id = {};
  int32_t member_epoch = 0;
  int32_t heartbeat_interval_ms = 0;
  std::optional<Assignment> assignment = {};  ///< Null: as before.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("member_id", self.member_id);
    walk("member_epoch", self.member_epoch);
    walk("heartbeat_interval_ms", self.heartbeat_interval_ms);
    walk("assignment", self.assignment);
  }
  bool operator==(const ConsumerGroupHeartbeatResponse&) const = default;
};

}  // namespace taffrail::protocol
