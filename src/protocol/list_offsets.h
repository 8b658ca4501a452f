// ListOffsets: from a time, or a word like "latest", to an offset. Kafka protocol guide,
// "ListOffsets".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/enums.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ListOffsetsResponse;

/// v4 has leader epochs; v6 is flexible; v7 to v11 add further special timestamps; v10 a timeout.
struct ListOffsetsRequest {
  static constexpr Api kApi{.key = ApiKey::kListOffsets,
                            .name = "ListOffsetsRequest",
                            .versions = {1, 11},
                            .flexible_from = 6};
  using Response = ListOffsetsResponse;

  struct Partition {
    int32_t partition_index = 0;
    int32_t current_leader_epoch = -1;  ///< As the client knows it; -1: does not know.
    int64_t timestamp = 0;              ///< In ms, or one of ListOffsetsTimestamp.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("current_leader_epoch", self.current_leader_epoch, since(4).ignorable());
      walk("timestamp", self.timestamp);
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

  BrokerId replica_id = kNoBroker;  ///< kNoBroker: a consumer.
  IsolationLevel isolation_level = IsolationLevel::kReadUncommitted;
  std::vector<Topic> topics = {};
  int32_t timeout_ms = 0;  ///< For answers that tiered storage has to give.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("replica_id", self.replica_id);
    walk("isolation_level", self.isolation_level, since(2));
    walk("topics", self.topics);
    walk("timeout_ms", self.timeout_ms, since(10).ignorable());
  }
  bool operator==(const ListOffsetsRequest&) const = default;
};

/// Offset and timestamp are -1 where nothing is late enough.
struct ListOffsetsResponse {
  static constexpr Api kApi{.key = ApiKey::kListOffsets,
                            .name = "ListOffsetsResponse",
                            .versions = {1, 11},
                            .flexible_from = 6};

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    int64_t timestamp = -1;
    Offset offset = kNoOffset;
    int32_t leader_epoch = -1;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("error_code", self.error_code);
      walk("timestamp", self.timestamp);
      walk("offset", self.offset);
      walk("leader_epoch", self.leader_epoch, since(4));
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
    walk("throttle_time_ms", self.throttle_time_ms, since(2).ignorable());
    walk("topics", self.topics);
  }
  bool operator==(const ListOffsetsResponse&) const = default;
};

}  // namespace taffrail::protocol
