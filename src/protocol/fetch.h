// Fetch: reading record batches, with or without a session (KIP-227). Kafka protocol guide,
// "Fetch".
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

struct FetchResponse;

/// v7 has sessions (KIP-227), v9 leader epochs (KIP-320), v11 racks (KIP-392); v12 is flexible; v13
/// names topics by id (KIP-516); v15 and later move what only followers send into tags.
struct FetchRequest {
  static constexpr Api kApi{
      .key = ApiKey::kFetch, .name = "FetchRequest", .versions = {4, 18}, .flexible_from = 12};
  using Response = FetchResponse;

  struct ReplicaState {
    BrokerId replica_id = kNoBroker;
    int64_t replica_epoch = -1;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("replica_id", self.replica_id, since(15));
      walk("replica_epoch", self.replica_epoch, since(15));
    }
    bool operator==(const ReplicaState&) const = default;
  };

  struct Partition {
    int32_t partition = 0;
    /// As the client knows it; -1: does not know. The broker compares.
    int32_t current_leader_epoch = -1;
    Offset fetch_offset{0};
    int32_t last_fetched_epoch = -1;      ///< Of the last record the follower has; -1: none.
    Offset log_start_offset = kNoOffset;  ///< Of the follower; -1 for consumers.
    int32_t partition_max_bytes = 0;
    DiskId replica_directory_id = {};  ///< Of the follower's disk.
    Offset high_watermark{INT64_MAX};  ///< The follower's own; INT64_MAX: unknown (KIP-1166).
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition", self.partition);
      walk("current_leader_epoch", self.current_leader_epoch, since(9).ignorable());
      walk("fetch_offset", self.fetch_offset);
      walk("last_fetched_epoch", self.last_fetched_epoch, since(12));
      walk("log_start_offset", self.log_start_offset, since(5).ignorable());
      walk("partition_max_bytes", self.partition_max_bytes);
      walk("replica_directory_id", self.replica_directory_id, since(17).tag(0).ignorable());
      walk("high_watermark", self.high_watermark, since(18).tag(1).ignorable());
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic = {};
    TopicId topic_id = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic, until(12).ignorable());
      walk("topic_id", self.topic_id, since(13).ignorable());
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  struct ForgottenTopic {
    std::string topic = {};
    TopicId topic_id = {};
    std::vector<int32_t> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic, between(7, 12).ignorable());
      walk("topic_id", self.topic_id, since(13).ignorable());
      walk("partitions", self.partitions, since(7));
    }
    bool operator==(const ForgottenTopic&) const = default;
  };

  std::optional<std::string> cluster_id = {};  ///< Sent by controllers only.
  BrokerId replica_id = kNoBroker;             ///< kNoBroker: a consumer.
  ReplicaState replica_state = {};
  int32_t max_wait_ms = 0;  ///< How long to wait for min_bytes.
  int32_t min_bytes = 0;
  /// Of the whole answer. The first batch is returned even if it is larger (KIP-74).
  int32_t max_bytes = INT32_MAX;
  IsolationLevel isolation_level = IsolationLevel::kReadUncommitted;
  int32_t session_id = 0;      ///< 0: none yet.
  int32_t session_epoch = -1;  ///< -1: no session wanted; 0: open one; else the next in turn.
  std::vector<Topic> topics = {};
  /// Partitions to take out of the session.
  std::vector<ForgottenTopic> forgotten_topics_data = {};
  /// Of the consumer, which may be sent to a nearer replica; empty: unknown.
  std::string rack_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("cluster_id", self.cluster_id, since(12).tag(0).ignorable());
    walk("replica_id", self.replica_id, until(14));
    walk("replica_state", self.replica_state, since(15).tag(1));
    walk("max_wait_ms", self.max_wait_ms);
    walk("min_bytes", self.min_bytes);
    walk("max_bytes", self.max_bytes);
    walk("isolation_level", self.isolation_level);
    walk("session_id", self.session_id, since(7).ignorable());
    walk("session_epoch", self.session_epoch, since(7).ignorable());
    walk("topics", self.topics);
    walk("forgotten_topics_data", self.forgotten_topics_data, since(7));
    walk("rack_id", self.rack_id, since(11).ignorable());
  }
  bool operator==(const FetchRequest&) const = default;
};

/// Batches as they are stored: the first may begin before the offset asked for, the last may be cut
/// off.
struct FetchResponse {
  static constexpr Api kApi{
      .key = ApiKey::kFetch, .name = "FetchResponse", .versions = {4, 18}, .flexible_from = 12};

  /// Where the log of the one who asks departs from this one, in its largest epoch that both have.
  struct EpochEndOffset {
    int32_t epoch = -1;
    Offset end_offset = kNoOffset;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("epoch", self.epoch, since(12));
      walk("end_offset", self.end_offset, since(12));
    }
    bool operator==(const EpochEndOffset&) const = default;
  };

  /// With NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH: who leads.
  struct Leader {
    BrokerId leader_id = kNoBroker;
    int32_t leader_epoch = -1;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("leader_id", self.leader_id, since(12));
      walk("leader_epoch", self.leader_epoch, since(12));
    }
    bool operator==(const Leader&) const = default;
  };

  /// To be fetched first, where the log no longer reaches back far enough.
  struct SnapshotId {
    Offset end_offset = kNoOffset;
    int32_t epoch = -1;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("end_offset", self.end_offset);
      walk("epoch", self.epoch);
    }
    bool operator==(const SnapshotId&) const = default;
  };

  /// Records of that producer from first_offset up to its next abort marker are to be skipped.
  struct AbortedTransaction {
    ProducerId producer_id = kNoProducer;
    Offset first_offset{0};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("producer_id", self.producer_id);
      walk("first_offset", self.first_offset);
    }
    bool operator==(const AbortedTransaction&) const = default;
  };

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    Offset high_watermark{0};  ///< One past the last offset that consumers may see.
    /// One past the last that read_committed consumers may see.
    Offset last_stable_offset = kNoOffset;
    Offset log_start_offset = kNoOffset;
    EpochEndOffset diverging_epoch = {};
    Leader current_leader = {};
    SnapshotId snapshot_id = {};
    /// By first offset; null under read_uncommitted.
    std::optional<std::vector<AbortedTransaction>> aborted_transactions = {};
    BrokerId preferred_read_replica = kNoBroker;  ///< Where to read instead; kNoBroker: here.
    /// Empty, never null, also beside an error: clients look at it first.
    Records records = Slice();
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("error_code", self.error_code);
      walk("high_watermark", self.high_watermark);
      walk("last_stable_offset", self.last_stable_offset);
      walk("log_start_offset", self.log_start_offset, since(5).ignorable());
      walk("diverging_epoch", self.diverging_epoch, since(12).tag(0));
      walk("current_leader", self.current_leader, since(12).tag(1));
      walk("snapshot_id", self.snapshot_id, since(12).tag(2));
      walk("aborted_transactions", self.aborted_transactions);
      walk("preferred_read_replica", self.preferred_read_replica, since(11));
      walk("records", self.records);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string topic = {};
    TopicId topic_id = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic, until(12).ignorable());
      walk("topic_id", self.topic_id, since(13).ignorable());
      walk("partitions", self.partitions);
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
      walk("node_id", self.node_id, since(16));
      walk("host", self.host, since(16));
      walk("port", self.port, since(16));
      walk("rack", self.rack, since(16));
    }
    bool operator==(const Node&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;  ///< Of the request as a whole, from v7 on.
  int32_t session_id = 0;                   ///< 0: no session, ask for everything again next time.
  std::vector<Topic> responses = {};
  std::vector<Node> node_endpoints = {};  ///< Of the leaders named above.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code, since(7).ignorable());
    walk("session_id", self.session_id, since(7));
    walk("responses", self.responses);
    walk("node_endpoints", self.node_endpoints, since(16).tag(0));
  }
  bool operator==(const FetchResponse&) const = default;
};

}  // namespace taffrail::protocol
