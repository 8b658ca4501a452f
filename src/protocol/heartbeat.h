// Heartbeat: a member telling its group's coordinator that it is alive. Kafka protocol guide,
// "Heartbeat".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct HeartbeatResponse;

/// v3 adds group_instance_id (KIP-345).
struct HeartbeatRequest {
  static constexpr Api kApi{.key = ApiKey::kHeartbeat,
                            .name = "HeartbeatRequest",
                            .versions = {0, 4},
                            .flexible_from = 4};
  using Response = HeartbeatResponse;

  std::string group_id = {};
  int32_t generation_id = 0;  ///< From the last JoinGroup.
  std::string member_id = {};
  std::optional<std::string> group_instance_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("generation_id", self.generation_id);
    walk("member_id", self.member_id);
    walk("group_instance_id", self.group_instance_id, since(3).null_since(3));
  }
  bool operator==(const HeartbeatRequest&) const = default;
};

struct HeartbeatResponse {
  static constexpr Api kApi{.key = ApiKey::kHeartbeat,
                            .name = "HeartbeatResponse",
                            .versions = {0, 4},
                            .flexible_from = 4};

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("error_code", self.error_code);
  }
  bool operator==(const HeartbeatResponse&) const = default;
};

}  // namespace taffrail::protocol
