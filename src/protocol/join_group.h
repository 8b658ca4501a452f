// JoinGroup: a member asks for its place in the next generation of its group. Kafka protocol guide,
// "JoinGroup"; KIP-345 (static members), KIP-394 (member ids are given out first).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct JoinGroupResponse;

/// v1 splits the timeouts; v4 may answer MEMBER_ID_REQUIRED; v5 has static members.
struct JoinGroupRequest {
  static constexpr Api kApi{.key = ApiKey::kJoinGroup,
                            .name = "JoinGroupRequest",
                            .versions = {0, 9},
                            .flexible_from = 6};
  using Response = JoinGroupResponse;

  /// Opaque to the coordinator.
  struct Protocol {
    std::string name = {};
    Slice metadata = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("metadata", self.metadata);
    }
    bool operator==(const Protocol&) const = default;
  };

  std::string group_id = {};
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = -1;  ///< Before v1 the session timeout serves for both.
  std::string member_id = {};  ///< Empty before the coordinator has given one.
  std::optional<std::string> group_instance_id = {};  ///< Of a static member.
  std::string protocol_type = {};  ///< "consumer", "connect": what the members' metadata is.
  std::vector<Protocol> protocols = {};  ///< The one that is liked best first.
  std::optional<std::string> reason = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("session_timeout_ms", self.session_timeout_ms);
    walk("rebalance_timeout_ms", self.rebalance_timeout_ms, since(1).ignorable());
    walk("member_id", self.member_id);
    walk("group_instance_id", self.group_instance_id, since(5).null_since(5));
    walk("protocol_type", self.protocol_type);
    walk("protocols", self.protocols);
    walk("reason", self.reason, since(8).null_since(8).ignorable());
  }
  bool operator==(const JoinGroupRequest&) const = default;
};

struct JoinGroupResponse {
  static constexpr Api kApi{.key = ApiKey::kJoinGroup,
                            .name = "JoinGroupResponse",
                            .versions = {0, 9},
                            .flexible_from = 6};

  struct Member {
    std::string member_id = {};
    std::optional<std::string> group_instance_id = {};
    Slice metadata = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id);
      walk("group_instance_id", self.group_instance_id, since(5).null_since(5).ignorable());
      walk("metadata", self.metadata);
    }
    bool operator==(const Member&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  int32_t generation_id = -1;
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol_name = std::string();
  std::string leader = {};
  /// The leader need not assign: a static leader came back to a stable group.
  bool skip_assignment = false;
  std::string member_id = {};
  std::vector<Member> members = {};  ///< For the leader only.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(2).ignorable());
    walk("error_code", self.error_code);
    walk("generation_id", self.generation_id);
    walk("protocol_type", self.protocol_type, since(7).null_since(7).ignorable());
    walk("protocol_name", self.protocol_name, always().null_since(7));
    walk("leader", self.leader);
    walk("skip_assignment", self.skip_assignment, since(9));
    walk("member_id", self.member_id);
    walk("members", self.members);
  }
  bool operator==(const JoinGroupResponse&) const = default;
};

}  // namespace taffrail::protocol
