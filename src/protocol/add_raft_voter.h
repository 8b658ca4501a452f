// AddRaftVoter: a replica of the cluster's metadata gets a vote (KIP-853).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct AddRaftVoterResponse;

struct AddRaftVoterRequest {
  static constexpr Api kApi{.key = ApiKey::kAddRaftVoter,
                            .name = "AddRaftVoterRequest",
                            .versions = {0, 1},
                            .flexible_from = 0};
  using Response = AddRaftVoterResponse;

  struct Listener {
    std::string name = {};
    std::string host = {};
    uint16_t port = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("host", self.host);
      walk("port", self.port);
    }
    bool operator==(const Listener&) const = default;
  };

  std::optional<std::string> cluster_id = {};
  int32_t timeout_ms = 0;
  BrokerId voter_id = kNoBroker;
  Uuid voter_directory_id = {};
  std::vector<Listener> listeners = {};
  bool ack_when_committed = true;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("cluster_id", self.cluster_id);
    walk("timeout_ms", self.timeout_ms);
    walk("voter_id", self.voter_id);
    walk("voter_directory_id", self.voter_directory_id);
    walk("listeners", self.listeners);
    walk("ack_when_committed", self.ack_when_committed, since(1));
  }
  bool operator==(const AddRaftVoterRequest&) const = default;
};

struct AddRaftVoterResponse {
  static constexpr Api kApi{.key = ApiKey::kAddRaftVoter,
                            .name = "AddRaftVoterResponse",
                            .versions = {0, 1},
                            .flexible_from = 0};

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message, always().ignorable());
  }
  bool operator==(const AddRaftVoterResponse&) const = default;
};

}  // namespace taffrail::protocol
