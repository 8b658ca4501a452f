// RemoveRaftVoter: a replica of the cluster's metadata loses its vote (KIP-853).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct RemoveRaftVoterResponse;

struct RemoveRaftVoterRequest {
  static constexpr Api kApi{.key = ApiKey::kRemoveRaftVoter,
                            .name = "RemoveRaftVoterRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = RemoveRaftVoterResponse;

  std::optional<std::string> cluster_id = {};
  BrokerId voter_id = kNoBroker;
  Uuid voter_directory_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("cluster_id", self.cluster_id);
    walk("voter_id", self.voter_id);
    walk("voter_directory_id", self.voter_directory_id);
  }
  bool operator==(const RemoveRaftVoterRequest&) const = default;
};

struct RemoveRaftVoterResponse {
  static constexpr Api kApi{.key = ApiKey::kRemoveRaftVoter,
                            .name = "RemoveRaftVoterResponse",
                            .versions = {0, 0},
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
  bool operator==(const RemoveRaftVoterResponse&) const = default;
};

}  // namespace taffrail::protocol
