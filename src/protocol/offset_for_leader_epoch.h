// OffsetForLeaderEpoch: where an epoch of a partition ended, for clients that check whether what
// they read was truncated (KIP-320).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct OffsetForLeaderEpochResponse;

/// v3 tells followers from consumers; v4 is flexible.
struct OffsetForLeaderEpochRequest {
  static constexpr Api kApi{.key = ApiKey::kOffsetForLeaderEpoch,
                            .name = "OffsetForLeaderEpochRequest",
                            .versions = {2, 4},
                            .flexible_from = 4};
  using Response = OffsetForLeaderEpochResponse;

  struct Partition {
    int32_t partition = 0;
    int32_t current_leader_epoch = -1;  ///< As the client knows it; -1: does not know.
    int32_t leader_epoch = 0;           ///< The one whose end is asked for.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition", self.partition);
      walk("current_leader_epoch", self.current_leader_epoch);
      walk("leader_epoch", self.leader_epoch);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  BrokerId replica_id{-2};  ///< -1: a consumer; -2: older than this field.
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("replica_id", self.replica_id, since(3).ignorable());
    walk("topics", self.topics);
  }
  bool operator==(const OffsetForLeaderEpochRequest&) const = default;
};

/// The largest epoch not above the one asked for, and one past its last offset; -1 and -1 if there
/// is none.
struct OffsetForLeaderEpochResponse {
  static constexpr Api kApi{.key = ApiKey::kOffsetForLeaderEpoch,
                            .name = "OffsetForLeaderEpochResponse",
                            .versions = {2, 4},
                            .flexible_from = 4};

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    int32_t partition = 0;
    int32_t leader_epoch = -1;
    Offset end_offset = kNoOffset;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("partition", self.partition);
      walk("leader_epoch", self.leader_epoch);
      walk("end_offset", self.end_offset);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
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
  bool operator==(const OffsetForLeaderEpochResponse&) const = default;
};

}  // namespace taffrail::protocol
