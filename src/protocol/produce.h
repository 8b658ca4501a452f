// Produce: appending record batches. Kafka protocol guide, "Produce".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ProduceResponse;

/// One batch for each of several partitions. v9 is flexible; v12 lets a transaction add its
/// partition by producing to it (KIP-890); v13 names topics by id (KIP-516).
struct ProduceRequest {
  static constexpr Api kApi{
      .key = ApiKey::kProduce, .name = "ProduceRequest", .versions = {3, 13}, .flexible_from = 9};
  using Response = ProduceResponse;

  struct Partition {
    int32_t index = 0;
    Records records = {};  ///< Exactly one batch, of format v2; the broker's to check.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("index", self.index);
      walk("records", self.records);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string name = {};
    TopicId topic_id = {};
    std::vector<Partition> partition_data = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(12).ignorable());
      walk("topic_id", self.topic_id, since(13).ignorable());
      walk("partition_data", self.partition_data);
    }
    bool operator==(const Topic&) const = default;
  };

  std::optional<std::string> transactional_id = {};  ///< Null outside of transactions.
  /// -1: when min.insync.replicas have it; 1: when the leader has it; 0: no response is ever sent.
  int16_t acks = 0;
  int32_t timeout_ms = 0;  ///< How long the broker may wait for the replicas.
  std::vector<Topic> topic_data = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("transactional_id", self.transactional_id);
    walk("acks", self.acks);
    walk("timeout_ms", self.timeout_ms);
    walk("topic_data", self.topic_data);
  }
  bool operator==(const ProduceRequest&) const = default;
};

/// v8 names the records at fault (KIP-467); v10 tells where the leader went (KIP-951).
struct ProduceResponse {
  static constexpr Api kApi{
      .key = ApiKey::kProduce, .name = "ProduceResponse", .versions = {3, 13}, .flexible_from = 9};

  /// A record that was the reason for refusing its batch.
  struct RecordError {
    int32_t batch_index = 0;  ///< Of the record within its batch.
    std::optional<std::string> batch_index_error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("batch_index", self.batch_index, since(8));
      walk("batch_index_error_message", self.batch_index_error_message, since(8));
    }
    bool operator==(const RecordError&) const = default;
  };

  /// With NOT_LEADER_OR_FOLLOWER: who leads, so that no Metadata request is needed.
  struct Leader {
    BrokerId leader_id = kNoBroker;
    int32_t leader_epoch = -1;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("leader_id", self.leader_id, since(10));
      walk("leader_epoch", self.leader_epoch, since(10));
    }
    bool operator==(const Leader&) const = default;
  };

  struct Partition {
    int32_t index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    Offset base_offset = kNoOffset;   ///< Of the first record; -1 with an error.
    int64_t log_append_time_ms = -1;  ///< -1 unless the topic has LogAppendTime.
    Offset log_start_offset = kNoOffset;
    std::vector<RecordError> record_errors = {};
    std::optional<std::string> error_message = {};
    Leader current_leader = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("index", self.index);
      walk("error_code", self.error_code);
      walk("base_offset", self.base_offset);
      walk("log_append_time_ms", self.log_append_time_ms);
      walk("log_start_offset", self.log_start_offset, since(5).ignorable());
      walk("record_errors", self.record_errors, since(8).ignorable());
      walk("error_message", self.error_message, since(8).ignorable());
      walk("current_leader", self.current_leader, since(10).tag(0));
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string name = {};
    TopicId topic_id = {};
    std::vector<Partition> partition_responses = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(12).ignorable());
      walk("topic_id", self.topic_id, since(13).ignorable());
      walk("partition_responses", self.partition_responses);
    }
    bool operator==(const Topic&) const = default;
  };

  struct Node {
    BrokerId node_id = kNoBroker;
    std::string host = {};
    int32_t port = 0;
    std::optional<std::string> rack = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("node_id", self.node_id, since(10));
      walk("host", self.host, since(10));
      walk("port", self.port, since(10));
      walk("rack", self.rack, since(10));
    }
    bool operator==(const Node&) const = default;
  };

  std::vector<Topic> responses = {};
  int32_t throttle_time_ms = 0;           ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Node> node_endpoints = {};  ///< Of the leaders named above.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("responses", self.responses);
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("node_endpoints", self.node_endpoints, since(10).tag(0));
  }
  bool operator==(const ProduceResponse&) const = default;
};

}  // namespace taffrail::protocol
