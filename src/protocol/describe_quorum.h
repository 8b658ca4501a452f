// DescribeQuorum: who replicates the cluster's metadata, and how far each of them is (KIP-595, KIP-836).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeQuorumResponse;

struct DescribeQuorumRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeQuorum,
                            .name = "DescribeQuorumRequest",
                            .versions = {0, 2},
                            .flexible_from = 0};
  using Response = DescribeQuorumResponse;

  struct Partition {
    int32_t partition_index = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic_name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic_name", self.topic_name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};  ///< "__cluster_metadata", and of it partition 0.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
  }
  bool operator==(const DescribeQuorumRequest&) const = default;
};

struct DescribeQuorumResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeQuorum,
                            .name = "DescribeQuorumResponse",
                            .versions = {0, 2},
                            .flexible_from = 0};

  struct Replica {
    BrokerId replica_id = kNoBroker;
    Uuid replica_directory_id = {};
    int64_t log_end_offset = 0;
    int64_t last_fetch_timestamp = -1;  ///< -1: unknown.
    int64_t last_caught_up_timestamp = -1;  ///< -1: unknown.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("replica_id", self.replica_id);
      walk("replica_directory_id", self.replica_directory_id, since(2));
      walk("log_end_offset", self.log_end_offset);
      walk("last_fetch_timestamp", self.last_fetch_timestamp, since(1).ignorable());
      walk("last_caught_up_timestamp", self.last_caught_up_timestamp, since(1).ignorable());
    }
    bool operator==(const Replica&) const = default;
  };

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    BrokerId leader_id = kNoBroker;
    int32_t leader_epoch = 0;
    int64_t high_watermark = 0;
    std::vector<Replica> current_voters = {};
    std::vector<Replica> observers = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message, since(2).ignorable());
      walk("leader_id", self.leader_id);
      walk("leader_epoch", self.leader_epoch);
      walk("high_watermark", self.high_watermark);
      walk("current_voters", self.current_voters);
      walk("observers", self.observers);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic_name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic_name", self.topic_name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  struct Listener {
    std::string name = {};
    std::string host = {};
    uint16_t port = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("host", self.host);
      walk("port", self.port);
    }
    bool operator==(const Listener&) const = default;
  };

  struct Node {
    BrokerId node_id = kNoBroker;
    std::vector<Listener> listeners = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("node_id", self.node_id);
      walk("listeners", self.listeners);
    }
    bool operator==(const Node&) const = default;
  };

  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Topic> topics = {};
  std::vector<Node> nodes = {};  ///< Of the replicas, where they listen.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("error_code", self.error_code);
    walk("error_message", self.error_message, since(2).ignorable());
    walk("topics", self.topics);
    walk("nodes", self.nodes, since(2));
  }
  bool operator==(const DescribeQuorumResponse&) const = default;
};

}  // namespace taffrail::protocol
