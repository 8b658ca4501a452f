// DeleteGroups. Kafka protocol guide, "DeleteGroups".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DeleteGroupsResponse;

/// v3 answers with words.
struct DeleteGroupsRequest {
  static constexpr Api kApi{.key = ApiKey::kDeleteGroups,
                            .name = "DeleteGroupsRequest",
                            .versions = {0, 3},
                            .flexible_from = 2};
  using Response = DeleteGroupsResponse;

  std::vector<std::string> groups_names = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("groups_names", self.groups_names);
  }
  bool operator==(const DeleteGroupsRequest&) const = default;
};

struct DeleteGroupsResponse {
  static constexpr Api kApi{.key = ApiKey::kDeleteGroups,
                            .name = "DeleteGroupsResponse",
                            .versions = {0, 3},
                            .flexible_from = 2};

  struct Deleted {
    std::string group_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("group_id", self.group_id);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message, since(3).null_since(3).ignorable());
    }
    bool operator==(const Deleted&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Deleted> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("results", self.results);
  }
  bool operator==(const DeleteGroupsResponse&) const = default;
};

}  // namespace taffrail::protocol
