// LeaveGroup: members that go, or are sent away by an administrator. Kafka protocol guide,
// "LeaveGroup".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct LeaveGroupResponse;

/// v3 takes several at once (KIP-345).
struct LeaveGroupRequest {
  static constexpr Api kApi{.key = ApiKey::kLeaveGroup,
                            .name = "LeaveGroupRequest",
                            .versions = {0, 5},
                            .flexible_from = 4};
  using Response = LeaveGroupResponse;

  struct Member {
    std::string member_id = {};  ///< Empty, with an instance id: whoever holds that instance.
    std::optional<std::string> group_instance_id = {};
    std::optional<std::string> reason = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id, since(3));
      walk("group_instance_id", self.group_instance_id, since(3).null_since(3));
      walk("reason", self.reason, since(5).null_since(5).ignorable());
    }
    bool operator==(const Member&) const = default;
  };

  std::string group_id = {};
  std::string member_id = {};
  std::vector<Member> members = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("member_id", self.member_id, until(2));
    walk("members", self.members, since(3));
  }
  bool operator==(const LeaveGroupRequest&) const = default;
};

struct LeaveGroupResponse {
  static constexpr Api kApi{.key = ApiKey::kLeaveGroup,
                            .name = "LeaveGroupResponse",
                            .versions = {0, 5},
                            .flexible_from = 4};

  struct Member {
    std::string member_id = {};
    std::optional<std::string> group_instance_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id, since(3));
      walk("group_instance_id", self.group_instance_id, since(3).null_since(3));
      walk("error_code", self.error_code, since(3));
    }
    bool operator==(const Member&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Member> members = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("error_code", self.error_code);
    walk("members", self.members, since(3));
  }
  bool operator==(const LeaveGroupResponse&) const = default;
};

}  // namespace taffrail::protocol
