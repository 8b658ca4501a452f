// DescribeConfigs. Kafka protocol guide, "DescribeConfigs".
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

struct DescribeConfigsResponse;

/// v1 has synonyms, v3 types and documentation; v4 is flexible.
struct DescribeConfigsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeConfigs,
                            .name = "DescribeConfigsRequest",
                            .versions = {1, 4},
                            .flexible_from = 4};
  using Response = DescribeConfigsResponse;

  struct Resource {
    ConfigResourceType resource_type = ConfigResourceType::kUnknown;
    std::string resource_name = {};
    std::optional<std::vector<std::string>> configuration_keys = {};  ///< Null: all.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("resource_type", self.resource_type);
      walk("resource_name", self.resource_name);
      walk("configuration_keys", self.configuration_keys);
    }
    bool operator==(const Resource&) const = default;
  };

  std::vector<Resource> resources = {};
  bool include_synonyms = false;  ///< Also the other places a value could come from, nearest first.
  bool include_documentation = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("resources", self.resources);
    walk("include_synonyms", self.include_synonyms);
    walk("include_documentation", self.include_documentation, since(3));
  }
  bool operator==(const DescribeConfigsRequest&) const = default;
};

/// Values of sensitive configs are null.
struct DescribeConfigsResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeConfigs,
                            .name = "DescribeConfigsResponse",
                            .versions = {1, 4},
                            .flexible_from = 4};

  struct Synonym {
    std::string name = {};
    std::optional<std::string> value = {};
    ConfigSource source = ConfigSource::kUnknown;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("value", self.value);
      walk("source", self.source);
    }
    bool operator==(const Synonym&) const = default;
  };

  struct Config {
    std::string name = {};
    std::optional<std::string> value = {};
    bool read_only = false;
    ConfigSource config_source = ConfigSource::kUnknown;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms = {};
    ConfigType config_type = ConfigType::kUnknown;
    std::optional<std::string> documentation = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("value", self.value);
      walk("read_only", self.read_only);
      walk("config_source", self.config_source);
      walk("is_sensitive", self.is_sensitive);
      walk("synonyms", self.synonyms);
      walk("config_type", self.config_type, since(3).ignorable());
      walk("documentation", self.documentation, since(3).ignorable());
    }
    bool operator==(const Config&) const = default;
  };

  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    ConfigResourceType resource_type = ConfigResourceType::kUnknown;
    std::string resource_name = {};
    std::vector<Config> configs = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("resource_type", self.resource_type);
      walk("resource_name", self.resource_name);
      walk("configs", self.configs);
    }
    bool operator==(const Resource&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Resource> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("results", self.results);
  }
  bool operator==(const DescribeConfigsResponse&) const = default;
};

}  // namespace taffrail::protocol
