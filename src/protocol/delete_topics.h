// DeleteTopics. Kafka protocol guide, "DeleteTopics".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DeleteTopicsResponse;

/// v4 is flexible; v6 names topics by name or id.
struct DeleteTopicsRequest {
  static constexpr Api kApi{.key = ApiKey::kDeleteTopics,
                            .name = "DeleteTopicsRequest",
                            .versions = {1, 6},
                            .flexible_from = 4};
  using Response = DeleteTopicsResponse;

  struct Topic {
    std::optional<std::string> name = {};  ///< Null: by id.
    TopicId topic_id = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, since(6));
      walk("topic_id", self.topic_id, since(6));
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};
  std::vector<std::string> topic_names = {};  ///< Before v6.
  int32_t timeout_ms = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics, since(6));
    walk("topic_names", self.topic_names, until(5).ignorable());
    walk("timeout_ms", self.timeout_ms);
  }
  bool operator==(const DeleteTopicsRequest&) const = default;
};

/// One entry per topic that was asked for.
struct DeleteTopicsResponse {
  static constexpr Api kApi{.key = ApiKey::kDeleteTopics,
                            .name = "DeleteTopicsResponse",
                            .versions = {1, 6},
                            .flexible_from = 4};

  struct Topic {
    std::optional<std::string> name = {};  ///< Null for an id that is not known.
    TopicId topic_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, always().null_since(6));
      walk("topic_id", self.topic_id, since(6).ignorable());
      walk("error_code", self.error_code);
      walk("error_message", self.error_message, since(5).ignorable());
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> responses = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("responses", self.responses);
  }
  bool operator==(const DeleteTopicsResponse&) const = default;
};

}  // namespace taffrail::protocol
