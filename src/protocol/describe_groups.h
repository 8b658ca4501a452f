// DescribeGroups: classic groups and their members. Kafka protocol guide, "DescribeGroups".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocol/enums.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeGroupsResponse;

/// v4 has static members; v6 answers GROUP_ID_NOT_FOUND.
struct DescribeGroupsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeGroups,
                            .name = "DescribeGroupsRequest",
                            .versions = {0, 6},
                            .flexible_from = 5};
  using Response = DescribeGroupsResponse;

  std::vector<std::string> groups = {};
  bool include_authorized_operations = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("groups", self.groups);
    walk("include_authorized_operations", self.include_authorized_operations, since(3));
  }
  bool operator==(const DescribeGroupsRequest&) const = default;
};

struct DescribeGroupsResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeGroups,
                            .name = "DescribeGroupsResponse",
                            .versions = {0, 6},
                            .flexible_from = 5};

  struct Group {
    struct Member {
      std::string member_id = {};
      std::optional<std::string> group_instance_id = {};
      std::string client_id = {};
      std::string client_host = {};
      Slice member_metadata = {};
      Slice member_assignment = {};
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("member_id", self.member_id);
        walk("group_instance_id", self.group_instance_id, since(4).null_since(4).ignorable());
        walk("client_id", self.client_id);
        walk("client_host", self.client_host);
        walk("member_metadata", self.member_metadata);
        walk("member_assignment", self.member_assignment);
      }
      bool operator==(const Member&) const = default;
    };

    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    std::string group_id = {};
    std::string group_state = {};  ///< "Stable"; "Dead" if there is none.
    std::string protocol_type = {};
    std::string protocol_data = {};  ///< The selected protocol, of a stable group.
    std::vector<Member> members = {};
    int32_t authorized_operations = kNoAuthorizedOperations;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("error_message", self.error_message, since(6).null_since(6));
      walk("group_id", self.group_id);
      walk("group_state", self.group_state);
      walk("protocol_type", self.protocol_type);
      walk("protocol_data", self.protocol_data);
      walk("members", self.members);
      walk("authorized_operations", self.authorized_operations, since(3));
    }
    bool operator==(const Group&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Group> groups = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("groups", self.groups);
  }
  bool operator==(const DescribeGroupsResponse&) const = default;
};

}  // namespace taffrail::protocol
