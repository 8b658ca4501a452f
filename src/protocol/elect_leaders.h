// ElectLeaders: hands partitions back to their preferred leaders (KIP-183, KIP-460).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ElectLeadersResponse;

/// v1 knows kinds of elections; v2 is flexible.
struct ElectLeadersRequest {
  static constexpr Api kApi{.key = ApiKey::kElectLeaders,
                            .name = "ElectLeadersRequest",
                            .versions = {0, 2},
                            .flexible_from = 2};
  using Response = ElectLeadersResponse;

  struct Topic {
    std::string topic = {};
    std::vector<int32_t> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  int8_t election_type = 0;  ///< 0: preferred; 1: unclean.
  std::optional<std::vector<Topic>> topic_partitions = {};  ///< Null: all.
  int32_t timeout_ms = 60000;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("election_type", self.election_type, since(1));
    walk("topic_partitions", self.topic_partitions);
    walk("timeout_ms", self.timeout_ms);
  }
  bool operator==(const ElectLeadersRequest&) const = default;
};

struct ElectLeadersResponse {
  static constexpr Api kApi{.key = ApiKey::kElectLeaders,
                            .name = "ElectLeadersResponse",
                            .versions = {0, 2},
                            .flexible_from = 2};

  struct Partition {
    int32_t partition_id = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_id", self.partition_id);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic = {};
    std::vector<Partition> partition_result = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
      walk("partition_result", self.partition_result);
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Topic> replica_election_results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code, since(1));
    walk("replica_election_results", self.replica_election_results);
  }
  bool operator==(const ElectLeadersResponse&) const = default;
};

}  // namespace taffrail::protocol
