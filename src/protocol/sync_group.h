// SyncGroup: the leader brings what it assigned, every member takes its own. Kafka protocol guide,
// "SyncGroup".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct SyncGroupResponse;

/// v3 has static members; v5 lets the coordinator compare protocols.
struct SyncGroupRequest {
  static constexpr Api kApi{.key = ApiKey::kSyncGroup,
                            .name = "SyncGroupRequest",
                            .versions = {0, 5},
                            .flexible_from = 4};
  using Response = SyncGroupResponse;

  struct Assignment {
    std::string member_id = {};
    Slice assignment = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id);
      walk("assignment", self.assignment);
    }
    bool operator==(const Assignment&) const = default;
  };

  std::string group_id = {};
  int32_t generation_id = 0;
  std::string member_id = {};
  std::optional<std::string> group_instance_id = {};
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol_name = {};
  std::vector<Assignment> assignments = {};  ///< From the leader only.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("generation_id", self.generation_id);
    walk("member_id", self.member_id);
    walk("group_instance_id", self.group_instance_id, since(3).null_since(3));
    walk("protocol_type", self.protocol_type, since(5).null_since(5).ignorable());
    walk("protocol_name", self.protocol_name, since(5).null_since(5).ignorable());
    walk("assignments", self.assignments);
  }
  bool operator==(const SyncGroupRequest&) const = default;
};

struct SyncGroupResponse {
  static constexpr Api kApi{.key = ApiKey::kSyncGroup,
                            .name = "SyncGroupResponse",
                            .versions = {0, 5},
                            .flexible_from = 4};

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol_name = {};
  Slice assignment = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("error_code", self.error_code);
    walk("protocol_type", self.protocol_type, since(5).null_since(5).ignorable());
    walk("protocol_name", self.protocol_name, since(5).null_since(5).ignorable());
    walk("assignment", self.assignment);
  }
  bool operator==(const SyncGroupResponse&) const = default;
};

}  // namespace taffrail::protocol
