// Metadata: brokers, topics, and who leads what. Kafka protocol guide, "Metadata".
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

struct MetadataResponse;

/// v0: an empty list asks for all topics. v1 and later: null does, and an empty list asks for none.
/// v9 is flexible; v10 has topic ids.
struct MetadataRequest {
  static constexpr Api kApi{
      .key = ApiKey::kMetadata, .name = "MetadataRequest", .versions = {0, 13}, .flexible_from = 9};
  using Response = MetadataResponse;

  struct Topic {
    TopicId topic_id = {};
    std::optional<std::string> name = {};  ///< Null: by id, from v12 on.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic_id", self.topic_id, since(10).ignorable());
      walk("name", self.name, always().null_since(10));
    }
    bool operator==(const Topic&) const = default;
  };

  std::optional<std::vector<Topic>> topics = {};
  bool allow_auto_topic_creation = true;  ///< Only where the broker allows it, too.
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics, always().null_since(1));
    walk("allow_auto_topic_creation", self.allow_auto_topic_creation, since(4));
    walk("include_cluster_authorized_operations", self.include_cluster_authorized_operations,
         between(8, 10));
    walk("include_topic_authorized_operations", self.include_topic_authorized_operations, since(8));
  }
  bool operator==(const MetadataRequest&) const = default;
};

/// v5 lists offline replicas, v7 leader epochs, v10 topic ids; v13 can fail as a whole.
struct MetadataResponse {
  static constexpr Api kApi{.key = ApiKey::kMetadata,
                            .name = "MetadataResponse",
                            .versions = {0, 13},
                            .flexible_from = 9};

  struct Broker {
    BrokerId node_id = kNoBroker;
    std::string host = {};  ///< Of the listener that was asked.
    int32_t port = 0;
    std::optional<std::string> rack = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("node_id", self.node_id);
      walk("host", self.host);
      walk("port", self.port);
      walk("rack", self.rack, since(1).ignorable());
    }
    bool operator==(const Broker&) const = default;
  };

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    int32_t partition_index = 0;
    BrokerId leader_id = kNoBroker;  ///< kNoBroker with LEADER_NOT_AVAILABLE.
    int32_t leader_epoch = -1;       ///< -1: unknown.
    std::vector<BrokerId> replica_nodes = {};
    std::vector<BrokerId> isr_nodes = {};
    std::vector<BrokerId> offline_replicas = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("partition_index", self.partition_index);
      walk("leader_id", self.leader_id);
      walk("leader_epoch", self.leader_epoch, since(7).ignorable());
      walk("replica_nodes", self.replica_nodes);
      walk("isr_nodes", self.isr_nodes);
      walk("offline_replicas", self.offline_replicas, since(5).ignorable());
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> name = {};  ///< Null only for an id that is not known, from v12 on.
    TopicId topic_id = {};
    bool is_internal = false;
    std::vector<Partition> partitions = {};
    /// Bit set; kNoAuthorizedOperations unless asked.
    int32_t topic_authorized_operations = kNoAuthorizedOperations;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("name", self.name, always().null_since(12));
      walk("topic_id", self.topic_id, since(10).ignorable());
      walk("is_internal", self.is_internal, since(1).ignorable());
      walk("partitions", self.partitions);
      walk("topic_authorized_operations", self.topic_authorized_operations, since(8));
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Broker> brokers = {};
  std::optional<std::string> cluster_id = {};
  BrokerId controller_id =
      kNoBroker;  ///< A live broker; requests for the controller are forwarded.
  std::vector<Topic> topics = {};
  int32_t cluster_authorized_operations = kNoAuthorizedOperations;  ///< Likewise.
  ErrorCode error_code = ErrorCode::kNone;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(3).ignorable());
    walk("brokers", self.brokers);
    walk("cluster_id", self.cluster_id, since(2).ignorable());
    walk("controller_id", self.controller_id, since(1).ignorable());
    walk("topics", self.topics);
    walk("cluster_authorized_operations", self.cluster_authorized_operations, between(8, 10));
    walk("error_code", self.error_code, since(13).ignorable());
  }
  bool operator==(const MetadataResponse&) const = default;
};

}  // namespace taffrail::protocol
