// DescribeCluster: brokers and controller, without topics (KIP-700).
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

struct DescribeClusterResponse;

/// v1 can ask for controllers instead of brokers (KIP-919), v2 for fenced brokers, too.
struct DescribeClusterRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeCluster,
                            .name = "DescribeClusterRequest",
                            .versions = {0, 2},
                            .flexible_from = 0};
  using Response = DescribeClusterResponse;

  bool include_cluster_authorized_operations = false;
  EndpointType endpoint_type = EndpointType::kBroker;
  bool include_fenced_brokers = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("include_cluster_authorized_operations", self.include_cluster_authorized_operations);
    walk("endpoint_type", self.endpoint_type, since(1));
    walk("include_fenced_brokers", self.include_fenced_brokers, since(2));
  }
  bool operator==(const DescribeClusterRequest&) const = default;
};

/// Brokers under the addresses of the listener that was asked.
struct DescribeClusterResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeCluster,
                            .name = "DescribeClusterResponse",
                            .versions = {0, 2},
                            .flexible_from = 0};

  struct Broker {
    BrokerId broker_id = kNoBroker;
    std::string host = {};
    int32_t port = 0;
    std::optional<std::string> rack = {};
    bool is_fenced = false;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("broker_id", self.broker_id);
      walk("host", self.host);
      walk("port", self.port);
      walk("rack", self.rack);
      walk("is_fenced", self.is_fenced, since(2));
    }
    bool operator==(const Broker&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  EndpointType endpoint_type = EndpointType::kBroker;
  std::string cluster_id = {};
  BrokerId controller_id = kNoBroker;
  std::vector<Broker> brokers = {};
  /// Bit set; kNoAuthorizedOperations unless asked.
  int32_t cluster_authorized_operations = kNoAuthorizedOperations;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("endpoint_type", self.endpoint_type, since(1));
    walk("cluster_id", self.cluster_id);
    walk("controller_id", self.controller_id);
    walk("brokers", self.brokers);
    walk("cluster_authorized_operations", self.cluster_authorized_operations);
  }
  bool operator==(const DescribeClusterResponse&) const = default;
};

}  // namespace taffrail::protocol
