// CreatePartitions: more partitions for a topic; there is no way back. Kafka protocol guide,
// "CreatePartitions".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct CreatePartitionsResponse;

/// v2 is flexible; v3 may answer THROTTLING_QUOTA_EXCEEDED.
struct CreatePartitionsRequest {
  static constexpr Api kApi{.key = ApiKey::kCreatePartitions,
                            .name = "CreatePartitionsRequest",
                            .versions = {0, 3},
                            .flexible_from = 2};
  using Response = CreatePartitionsResponse;

  struct Assignment {
    std::vector<BrokerId> broker_ids = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) { walk("broker_ids", self.broker_ids); }
    bool operator==(const Assignment&) const = default;
  };

  struct Topic {
    std::string name = {};
    int32_t count = 0;  ///< The new total.
    /// Of the new ones only; null: the controller assigns.
    std::optional<std::vector<Assignment>> assignments = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("count", self.count);
      walk("assignments", self.assignments);
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};
  int32_t timeout_ms = 0;
  bool validate_only = false;  ///< Answer what would be, and do nothing.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
    walk("timeout_ms", self.timeout_ms);
    walk("validate_only", self.validate_only);
  }
  bool operator==(const CreatePartitionsRequest&) const = default;
};

/// One entry per topic that was asked for.
struct CreatePartitionsResponse {
  static constexpr Api kApi{.key = ApiKey::kCreatePartitions,
                            .name = "CreatePartitionsResponse",
                            .versions = {0, 3},
                            .flexible_from = 2};

  struct Topic {
    std::string name = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("results", self.results);
  }
  bool operator==(const CreatePartitionsResponse&) const = default;
};

}  // namespace taffrail::protocol
