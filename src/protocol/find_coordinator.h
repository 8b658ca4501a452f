// FindCoordinator: which broker looks after a group, a transactional id or a share partition.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/enums.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct FindCoordinatorResponse;

/// v1 has transactions; v3 is flexible; v4 asks for several at once; v6 has share groups.
struct FindCoordinatorRequest {
  static constexpr Api kApi{.key = ApiKey::kFindCoordinator,
                            .name = "FindCoordinatorRequest",
                            .versions = {0, 6},
                            .flexible_from = 3};
  using Response = FindCoordinatorResponse;

  std::string key = {};  ///< A group id or transactional id; before v4.
  CoordinatorType key_type = CoordinatorType::kGroup;
  std::vector<std::string> coordinator_keys = {};  ///< From v4 on.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("key", self.key, until(3));
    walk("key_type", self.key_type, since(1));
    walk("coordinator_keys", self.coordinator_keys, since(4));
  }
  bool operator==(const FindCoordinatorRequest&) const = default;
};

/// Before v4 one coordinator in the message itself, from v4 on a list.
struct FindCoordinatorResponse {
  static constexpr Api kApi{.key = ApiKey::kFindCoordinator,
                            .name = "FindCoordinatorResponse",
                            .versions = {0, 6},
                            .flexible_from = 3};

  struct Coordinator {
    std::string key = {};
    BrokerId node_id = kNoBroker;
    std::string host = {};
    int32_t port = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("key", self.key, since(4));
      walk("node_id", self.node_id, since(4));
      walk("host", self.host, since(4));
      walk("port", self.port, since(4));
      walk("error_code", self.error_code, since(4));
      walk("error_message", self.error_message, since(4).ignorable());
    }
    bool operator==(const Coordinator&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  BrokerId node_id = kNoBroker;
  std::string host = {};
  int32_t port = 0;
  std::vector<Coordinator> coordinators = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("error_code", self.error_code, until(3));
    walk("error_message", self.error_message, between(1, 3).ignorable());
    walk("node_id", self.node_id, until(3));
    walk("host", self.host, until(3));
    walk("port", self.port, until(3));
    walk("coordinators", self.coordinators, since(4));
  }
  bool operator==(const FindCoordinatorResponse&) const = default;
};

}  // namespace taffrail::protocol
