// DeleteRecords: moves the start of a partition's log, for good.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DeleteRecordsResponse;

/// v2 is flexible.
struct DeleteRecordsRequest {
  static constexpr Api kApi{.key = ApiKey::kDeleteRecords,
                            .name = "DeleteRecordsRequest",
                            .versions = {0, 2},
                            .flexible_from = 2};
  using Response = DeleteRecordsResponse;

  struct Partition {
    int32_t partition_index = 0;
    Offset offset{0};  ///< The first that stays; -1: the high watermark.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("offset", self.offset);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};
  int32_t timeout_ms = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
    walk("timeout_ms", self.timeout_ms);
  }
  bool operator==(const DeleteRecordsRequest&) const = default;
};

struct DeleteRecordsResponse {
  static constexpr Api kApi{.key = ApiKey::kDeleteRecords,
                            .name = "DeleteRecordsResponse",
                            .versions = {0, 2},
                            .flexible_from = 2};

  struct Partition {
    int32_t partition_index = 0;
    Offset low_watermark = kNoOffset;  ///< Where the log begins now; -1 with an error.
    ErrorCode error_code = ErrorCode::kNone;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("low_watermark", self.low_watermark);
      walk("error_code", self.error_code);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partitions", self.partitions);
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
  bool operator==(const DeleteRecordsResponse&) const = default;
};

}  // namespace taffrail::protocol
