// ListConfigResources: what there is to configure, by kind (KIP-1142). v0 knows client metrics only.
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

struct ListConfigResourcesResponse;

struct ListConfigResourcesRequest {
  static constexpr Api kApi{.key = ApiKey::kListConfigResources,
                            .name = "ListConfigResourcesRequest",
                            .versions = {0, 1},
                            .flexible_from = 0};
  using Response = ListConfigResourcesResponse;

  std::vector<ConfigResourceType> resource_types = {};  ///< None: all that have configs.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("resource_types", self.resource_types, since(1));
  }
  bool operator==(const ListConfigResourcesRequest&) const = default;
};

struct ListConfigResourcesResponse {
  static constexpr Api kApi{.key = ApiKey::kListConfigResources,
                            .name = "ListConfigResourcesResponse",
                            .versions = {0, 1},
                            .flexible_from = 0};

  struct Resource {
    std::string resource_name = {};
    ConfigResourceType resource_type = ConfigResourceType::kClientMetrics;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("resource_name", self.resource_name);
      walk("resource_type", self.resource_type, since(1).ignorable());
    }
    bool operator==(const Resource&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Resource> config_resources = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("config_resources", self.config_resources);
  }
  bool operator==(const ListConfigResourcesResponse&) const = default;
};

}  // namespace taffrail::protocol
