// UnregisterBroker: the cluster forgets a broker that will not come back (KIP-500).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct UnregisterBrokerResponse;

struct UnregisterBrokerRequest {
  static constexpr Api kApi{.key = ApiKey::kUnregisterBroker,
                            .name = "UnregisterBrokerRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = UnregisterBrokerResponse;

  BrokerId broker_id = kNoBroker;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("broker_id", self.broker_id);
  }
  bool operator==(const UnregisterBrokerRequest&) const = default;
};

struct UnregisterBrokerResponse {
  static constexpr Api kApi{.key = ApiKey::kUnregisterBroker,
                            .name = "UnregisterBrokerResponse",
                            .versions = {0, 0},
                            .flexible_from = 0};

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
  }
  bool operator==(const UnregisterBrokerResponse&) const = default;
};

}  // namespace taffrail::protocol
