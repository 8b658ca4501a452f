// AlterPartitionReassignments: other replicas for partitions (KIP-455, KIP-860).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct AlterPartitionReassignmentsResponse;

/// v1 can keep the number of replicas from changing. All versions are flexible.
struct AlterPartitionReassignmentsRequest {
  static constexpr Api kApi{.key = ApiKey::kAlterPartitionReassignments,
                            .name = "AlterPartitionReassignmentsRequest",
                            .versions = {0, 1},
                            .flexible_from = 0};
  using Response = AlterPartitionReassignmentsResponse;

  struct Partition {
    int32_t partition_index = 0;
    std::optional<std::vector<BrokerId>> replicas = {};  ///< Null: the move is taken back.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("replicas", self.replicas);
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

  int32_t timeout_ms = 60000;
  bool allow_replication_factor_change = true;
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("timeout_ms", self.timeout_ms);
    walk("allow_replication_factor_change", self.allow_replication_factor_change, since(1));
    walk("topics", self.topics);
  }
  bool operator==(const AlterPartitionReassignmentsRequest&) const = default;
};

struct AlterPartitionReassignmentsResponse {
  static constexpr Api kApi{.key = ApiKey::kAlterPartitionReassignments,
                            .name = "AlterPartitionReassignmentsResponse",
                            .versions = {0, 1},
                            .flexible_from = 0};

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
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
  bool allow_replication_factor_change = true;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Topic> responses = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("allow_replication_factor_change", self.allow_replication_factor_change, since(1).ignorable());
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("responses", self.responses);
  }
  bool operator==(const AlterPartitionReassignmentsResponse&) const = default;
};

}  // namespace taffrail::protocol
