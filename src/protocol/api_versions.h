// ApiVersions: what a broker speaks; the first request of every client (KIP-511). Kafka protocol
// guide, "ApiVersions".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ApiVersionsResponse;

/// A version that the broker does not know is answered in v0, with UNSUPPORTED_VERSION. v3 is
/// flexible and names the client; v5 lets a client notice that it reached another cluster
/// (KIP-1242).
struct ApiVersionsRequest {
  static constexpr Api kApi{.key = ApiKey::kApiVersions,
                            .name = "ApiVersionsRequest",
                            .versions = {0, 5},
                            .flexible_from = 3};
  using Response = ApiVersionsResponse;

  std::string client_software_name = {};
  std::string client_software_version = {};
  /// Where the client believes to be; null: does not know.
  std::optional<std::string> cluster_id = {};
  int32_t node_id = -1;  ///< Likewise; -1: does not know.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("client_software_name", self.client_software_name, since(3).ignorable());
    walk("client_software_version", self.client_software_version, since(3).ignorable());
    walk("cluster_id", self.cluster_id, since(5).ignorable());
    walk("node_id", self.node_id, since(5).ignorable());
  }
  bool operator==(const ApiVersionsRequest&) const = default;
};

/// Its header is always v0: whoever reads it does not know yet what the broker speaks.
struct ApiVersionsResponse {
  static constexpr Api kApi{.key = ApiKey::kApiVersions,
                            .name = "ApiVersionsResponse",
                            .versions = {0, 5},
                            .flexible_from = 3};

  /// Both ends included.
  struct Range {
    int16_t api_key = 0;
    int16_t min_version = 0;
    int16_t max_version = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("api_key", self.api_key);
      walk("min_version", self.min_version);
      walk("max_version", self.max_version);
    }
    bool operator==(const Range&) const = default;
  };

  /// What this broker could run.
  struct SupportedFeature {
    std::string name = {};
    int16_t min_version = 0;
    int16_t max_version = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, since(3));
      walk("min_version", self.min_version, since(3));
      walk("max_version", self.max_version, since(3));
    }
    bool operator==(const SupportedFeature&) const = default;
  };

  /// What the whole cluster runs.
  struct FinalizedFeature {
    std::string name = {};
    int16_t max_version_level = 0;
    int16_t min_version_level = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, since(3));
      walk("max_version_level", self.max_version_level, since(3));
      walk("min_version_level", self.min_version_level, since(3));
    }
    bool operator==(const FinalizedFeature&) const = default;
  };

  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Range> api_keys = {};
  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<SupportedFeature> supported_features = {};
  int64_t finalized_features_epoch = -1;  ///< -1: unknown; grows with each change.
  std::vector<FinalizedFeature> finalized_features = {};
  bool zk_migration_ready = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("error_code", self.error_code);
    walk("api_keys", self.api_keys);
    walk("throttle_time_ms", self.throttle_time_ms, since(1).ignorable());
    walk("supported_features", self.supported_features, since(3).tag(0).ignorable());
    walk("finalized_features_epoch", self.finalized_features_epoch, since(3).tag(1).ignorable());
    walk("finalized_features", self.finalized_features, since(3).tag(2).ignorable());
    walk("zk_migration_ready", self.zk_migration_ready, since(3).tag(3).ignorable());
  }
  bool operator==(const ApiVersionsResponse&) const = default;
};

}  // namespace taffrail::protocol
