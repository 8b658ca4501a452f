// OffsetDelete: a group forgets how far it has read. Kafka protocol guide, "OffsetDelete"; KIP-496.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct OffsetDeleteResponse;

/// Never flexible.
struct OffsetDeleteRequest {
  static constexpr Api kApi{.key = ApiKey::kOffsetDelete,
                            .name = "OffsetDeleteRequest",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};
  using Response = OffsetDeleteResponse;

  struct Topic {
    struct Partition {
      int32_t partition_index = 0;
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("partition_index", self.partition_index);
      }
      bool operator==(const Partition&) const = default;
    };

    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  std::string group_id = {};
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("topics", self.topics);
  }
  bool operator==(const OffsetDeleteRequest&) const = default;
};

struct OffsetDeleteResponse {
  static constexpr Api kApi{.key = ApiKey::kOffsetDelete,
                            .name = "OffsetDeleteResponse",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};

  struct Topic {
    struct Partition {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("partition_index", self.partition_index);
        walk("error_code", self.error_code);
      }
      bool operator==(const Partition&) const = default;
    };

    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  ErrorCode error_code = ErrorCode::kNone;
  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("error_code", self.error_code);
    walk("throttle_time_ms", self.throttle_time_ms, always().ignorable());
    walk("topics", self.topics);
  }
  bool operator==(const OffsetDeleteResponse&) const = default;
};

}  // namespace taffrail::protocol
