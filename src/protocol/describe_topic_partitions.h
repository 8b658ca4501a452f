// DescribeTopicPartitions: topics in pages, so that a large cluster can be listed (KIP-966).
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

struct DescribeTopicPartitionsResponse;

/// The first partition of the next page. A struct of its own, because a nested one is not complete
/// yet where std::optional would want to know how it is constructed.
struct TopicPartitionsCursor {
  std::string topic_name = {};
  int32_t partition_index = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topic_name", self.topic_name);
    walk("partition_index", self.partition_index);
  }
  bool operator==(const TopicPartitionsCursor&) const = default;
};

/// Topics come in alphabetical order, whatever the order here.
struct DescribeTopicPartitionsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeTopicPartitions,
                            .name = "DescribeTopicPartitionsRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = DescribeTopicPartitionsResponse;

  struct Topic {
    std::string name = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) { walk("name", self.name); }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};           ///< Empty: all.
  int32_t response_partition_limit = 2000;  ///< The broker may stop earlier.
  std::optional<TopicPartitionsCursor> cursor =
      {};  ///< Where the last page ended; null: from the start.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
    walk("response_partition_limit", self.response_partition_limit);
    walk("cursor", self.cursor);
  }
  bool operator==(const DescribeTopicPartitionsRequest&) const = default;
};

/// One page.
struct DescribeTopicPartitionsResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeTopicPartitions,
                            .name = "DescribeTopicPartitionsResponse",
                            .versions = {0, 0},
                            .flexible_from = 0};

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    int32_t partition_index = 0;
    BrokerId leader_id = kNoBroker;
    int32_t leader_epoch = -1;
    std::vector<BrokerId> replica_nodes = {};
    std::vector<BrokerId> isr_nodes = {};
    std::optional<std::vector<BrokerId>> eligible_leader_replicas = {};  ///< Null: not kept.
    std::optional<std::vector<BrokerId>> last_known_elr = {};            ///< Null: not kept.
    std::vector<BrokerId> offline_replicas = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("partition_index", self.partition_index);
      walk("leader_id", self.leader_id);
      walk("leader_epoch", self.leader_epoch);
      walk("replica_nodes", self.replica_nodes);
      walk("isr_nodes", self.isr_nodes);
      walk("eligible_leader_replicas", self.eligible_leader_replicas);
      walk("last_known_elr", self.last_known_elr);
      walk("offline_replicas", self.offline_replicas);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> name = {};
    TopicId topic_id = {};
    bool is_internal = false;
    std::vector<Partition> partitions = {};
    /// Bit set; kNoAuthorizedOperations unless asked.
    int32_t topic_authorized_operations = kNoAuthorizedOperations;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("name", self.name);
      walk("topic_id", self.topic_id);
      walk("is_internal", self.is_internal);
      walk("partitions", self.partitions);
      walk("topic_authorized_operations", self.topic_authorized_operations);
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  std::optional<TopicPartitionsCursor> next_cursor = {};  ///< Null: this was the last page.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("topics", self.topics);
    walk("next_cursor", self.next_cursor);
  }
  bool operator==(const DescribeTopicPartitionsResponse&) const = default;
};

}  // namespace taffrail::protocol
