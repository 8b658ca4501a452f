// ListPartitionReassignments: which partitions move, from where and to where (KIP-455).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ListPartitionReassignmentsResponse;

struct ListPartitionReassignmentsRequest {
  static constexpr Api kApi{.key = ApiKey::kListPartitionReassignments,
                            .name = "ListPartitionReassignmentsRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = ListPartitionReassignmentsResponse;

  struct Topic {
    std::string name = {};
    std::vector<int32_t> partition_indexes = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partition_indexes", self.partition_indexes);
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t timeout_ms = 60000;
  std::optional<std::vector<Topic>> topics = {};  ///< Null: all.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("timeout_ms", self.timeout_ms);
    walk("topics", self.topics);
  }
  bool operator==(const ListPartitionReassignmentsRequest&) const = default;
};

struct ListPartitionReassignmentsResponse {
  static constexpr Api kApi{.key = ApiKey::kListPartitionReassignments,
                            .name = "ListPartitionReassignmentsResponse",
                            .versions = {0, 0},
                            .flexible_from = 0};

  struct Partition {
    int32_t partition_index = 0;
    std::vector<BrokerId> replicas = {};  ///< All that have a log of it now.
    std::vector<BrokerId> adding_replicas = {};
    std::vector<BrokerId> removing_replicas = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("replicas", self.replicas);
      walk("adding_replicas", self.adding_replicas);
      walk("removing_replicas", self.removing_replicas);
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
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("topics", self.topics);
  }
  bool operator==(const ListPartitionReassignmentsResponse&) const = default;
};

}  // namespace taffrail::protocol
