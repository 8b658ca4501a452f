// CreateTopics. Kafka protocol guide, "CreateTopics".
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

struct CreateTopicsResponse;

/// v4 allows -1 for counts; v5 is flexible and answers with the configs; v7 with the topic id.
struct CreateTopicsRequest {
  static constexpr Api kApi{.key = ApiKey::kCreateTopics,
                            .name = "CreateTopicsRequest",
                            .versions = {2, 7},
                            .flexible_from = 5};
  using Response = CreateTopicsResponse;

  struct Assignment {
    int32_t partition_index = 0;
    std::vector<BrokerId> broker_ids = {};  ///< The first is the preferred leader.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("broker_ids", self.broker_ids);
    }
    bool operator==(const Assignment&) const = default;
  };

  struct Config {
    std::string name = {};
    std::optional<std::string> value = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("value", self.value);
    }
    bool operator==(const Config&) const = default;
  };

  struct Topic {
    std::string name = {};
    int32_t num_partitions = 0;                ///< -1: the broker's default, or by the assignments.
    int16_t replication_factor = 0;            ///< Likewise.
    std::vector<Assignment> assignments = {};  ///< By hand; empty: the controller assigns.
    std::vector<Config> configs = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("num_partitions", self.num_partitions);
      walk("replication_factor", self.replication_factor);
      walk("assignments", self.assignments);
      walk("configs", self.configs);
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};
  int32_t timeout_ms = 60000;
  bool validate_only = false;  ///< Answer what would be, and do nothing.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
    walk("timeout_ms", self.timeout_ms);
    walk("validate_only", self.validate_only);
  }
  bool operator==(const CreateTopicsRequest&) const = default;
};

/// One entry per topic that was asked for.
struct CreateTopicsResponse {
  static constexpr Api kApi{.key = ApiKey::kCreateTopics,
                            .name = "CreateTopicsResponse",
                            .versions = {2, 7},
                            .flexible_from = 5};

  struct Config {
    std::string name = {};
    std::optional<std::string> value = {};
    bool read_only = false;
    ConfigSource config_source = ConfigSource::kUnknown;
    bool is_sensitive = false;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, since(5));
      walk("value", self.value, since(5));
      walk("read_only", self.read_only, since(5));
      walk("config_source", self.config_source, since(5).ignorable());
      walk("is_sensitive", self.is_sensitive, since(5));
    }
    bool operator==(const Config&) const = default;
  };

  struct Topic {
    std::string name = {};
    TopicId topic_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    ErrorCode topic_config_error_code =
        ErrorCode::kNone;  ///< Why configs are missing, if they are.
    int32_t num_partitions = -1;
    int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("topic_id", self.topic_id, since(7).ignorable());
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("topic_config_error_code", self.topic_config_error_code, since(5).tag(0).ignorable());
      walk("num_partitions", self.num_partitions, since(5).ignorable());
      walk("replication_factor", self.replication_factor, since(5).ignorable());
      walk("configs", self.configs, since(5).ignorable());
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("topics", self.topics);
  }
  bool operator==(const CreateTopicsResponse&) const = default;
};

}  // namespace taffrail::protocol
