// AlterConfigs: replaces all configs of a resource by those that are given. Deprecated by clients for
// IncrementalAlterConfigs; older ones still ask.
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

struct AlterConfigsResponse;

/// v2 is flexible.
struct AlterConfigsRequest {
  static constexpr Api kApi{.key = ApiKey::kAlterConfigs,
                            .name = "AlterConfigsRequest",
                            .versions = {0, 2},
                            .flexible_from = 2};
  using Response = AlterConfigsResponse;

  struct Config {
    std::string name = {};
    std::optional<std::string> value = {};  ///< Null: the default.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("value", self.value);
    }
    bool operator==(const Config&) const = default;
  };

  struct Resource {
    ConfigResourceType resource_type = ConfigResourceType::kUnknown;
    std::string resource_name = {};
    std::vector<Config> configs = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("resource_type", self.resource_type);
      walk("resource_name", self.resource_name);
      walk("configs", self.configs);
    }
    bool operator==(const Resource&) const = default;
  };

  std::vector<Resource> resources = {};
  bool validate_only = false;  ///< Answer what would be, and do nothing.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("resources", self.resources);
    walk("validate_only", self.validate_only);
  }
  bool operator==(const AlterConfigsRequest&) const = default;
};

struct AlterConfigsResponse {
  static constexpr Api kApi{.key = ApiKey::kAlterConfigs,
                            .name = "AlterConfigsResponse",
                            .versions = {0, 2},
                            .flexible_from = 2};

  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    ConfigResourceType resource_type = ConfigResourceType::kUnknown;
    std::string resource_name = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("resource_type", self.resource_type);
      walk("resource_name", self.resource_name);
    }
    bool operator==(const Resource&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Resource> responses = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("responses", self.responses);
  }
  bool operator==(const AlterConfigsResponse&) const = default;
};

}  // namespace taffrail::protocol
