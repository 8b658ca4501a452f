// ListGroups: the groups that one broker coordinates. Kafka protocol guide, "ListGroups".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ListGroupsResponse;

/// v4 filters by state, v5 by type.
struct ListGroupsRequest {
  static constexpr Api kApi{.key = ApiKey::kListGroups,
                            .name = "ListGroupsRequest",
                            .versions = {0, 5},
                            .flexible_from = 3};
  using Response = ListGroupsResponse;

  std::vector<std::string> states_filter = {};  ///< Empty: all.
  std::vector<std::string> types_filter = {};  ///< Empty: all.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("states_filter", self.states_filter, since(4));
    walk("types_filter", self.types_filter, since(5));
  }
  bool operator==(const ListGroupsRequest&) const = default;
};

struct ListGroupsResponse {
  static constexpr Api kApi{.key = ApiKey::kListGroups,
                            .name = "ListGroupsResponse",
                            .versions = {0, 5},
                            .flexible_from = 3};

  struct Group {
    std::string group_id = {};
    std::string protocol_type = {};
    std::string group_state = {};
    std::string group_type = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("group_id", self.group_id);
      walk("protocol_type", self.protocol_type);
      walk("group_state", self.group_state, since(4).ignorable());
      walk("group_type", self.group_type, since(5).ignorable());
    }
    bool operator==(const Group&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Group> groups = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("error_code", self.error_code);
    walk("groups", self.groups);
  }
  bool operator==(const ListGroupsResponse&) const = default;
};

}  // namespace taffrail::protocol
