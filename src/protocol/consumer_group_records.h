// What __consumer_offsets says of consumer groups (KIP-848): types 3 and 5 to 8, and 16, in Kafka's own formats. The
// prefixes of keys and values are those of coordinator_records.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/assigned_topic.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

/// Type 3.
struct ConsumerGroupMetadataKey {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ConsumerGroupMetadataKey", .versions = {0, 0}, .flexible_from = Api::kNever};

  std::string group_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) { walk("group_id", self.group_id); }
  bool operator==(const ConsumerGroupMetadataKey&) const = default;
};

struct ConsumerGroupMetadataValue {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ConsumerGroupMetadataValue", .versions = {0, 0}, .flexible_from = 0};

  int32_t epoch = 0;
  int64_t metadata_hash = 0;  ///< Of the topics that the group reads; 0: none.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("epoch", self.epoch);
    walk("metadata_hash", self.metadata_hash, since(0).tag(0));
  }
  bool operator==(const ConsumerGroupMetadataValue&) const = default;
};

/// Type 5.
struct ConsumerGroupMemberMetadataKey {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ConsumerGroupMemberMetadataKey", .versions = {0, 0}, .flexible_from = Api::kNever};

  std::string group_id = {};
  std::string member_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("member_id", self.member_id);
  }
  bool operator==(const ConsumerGroupMemberMetadataKey&) const = default;
};

struct ConsumerGroupMemberMetadataValue {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ConsumerGroupMemberMetadataValue", .versions = {0, 0}, .flexible_from = 0};

  /// Of a member that speaks the classic protocol.
  struct ClassicMemberMetadata {
    struct ClassicProtocol {
      std::string name = {};
      Slice metadata = {};
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("name", self.name);
        walk("metadata", self.metadata);
      }
      bool operator==(const ClassicProtocol&) const = default;
    };

    int32_t session_timeout_ms = 0;
    std::vector<ClassicProtocol> supported_protocols = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("session_timeout_ms", self.session_timeout_ms);
      walk("supported_protocols", self.supported_protocols);
    }
    bool operator==(const ClassicMemberMetadata&) const = default;
  };

  std::optional<std::string> instance_id = std::string();
  std::optional<std::string> rack_id = std::string();
  std::string client_id = {};
  std::string client_host = {};
  std::vector<std::string> subscribed_topic_names = {};
  std::optional<std::string> subscribed_topic_regex = std::string();
  int32_t rebalance_timeout_ms = -1;
  std::optional<std::string> server_assignor = std::string();
  std::optional<ClassicMemberMetadata> classic_member_metadata = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("instance_id", self.instance_id);
    walk("rack_id", self.rack_id);
    walk("client_id", self.client_id);
    walk("client_host", self.client_host);
    walk("subscribed_topic_names", self.subscribed_topic_names);
    walk("subscribed_topic_regex", self.subscribed_topic_regex);
    walk("rebalance_timeout_ms", self.rebalance_timeout_ms);
    walk("server_assignor", self.server_assignor);
    walk("classic_member_metadata", self.classic_member_metadata, since(0).tag(0));
  }
  bool operator==(const ConsumerGroupMemberMetadataValue&) const = default;
};

/// Type 6.
struct ConsumerGroupTargetAssignmentMetadataKey {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupTargetAssignmentMetadataKey",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};

  std::string group_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) { walk("group_id", self.group_id); }
  bool operator==(const ConsumerGroupTargetAssignmentMetadataKey&) const = default;
};

struct ConsumerGroupTargetAssignmentMetadataValue {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupTargetAssignmentMetadataValue",
                            .versions = {0, 0},
                            .flexible_from = 0};

  int32_t assignment_epoch = 0;
  int64_t assignment_timestamp = 0;  ///< 0: unknown.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("assignment_epoch", self.assignment_epoch);
    walk("assignment_timestamp", self.assignment_timestamp, since(0).tag(0).ignorable());
  }
  bool operator==(const ConsumerGroupTargetAssignmentMetadataValue&) const = default;
};

/// Type 7.
struct ConsumerGroupTargetAssignmentMemberKey {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupTargetAssignmentMemberKey",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};

  std::string group_id = {};
  std::string member_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("member_id", self.member_id);
  }
  bool operator==(const ConsumerGroupTargetAssignmentMemberKey&) const = default;
};

struct ConsumerGroupTargetAssignmentMemberValue {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupTargetAssignmentMemberValue",
                            .versions = {0, 0},
                            .flexible_from = 0};

  std::vector<AssignedTopic> topic_partitions = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) { walk("topic_partitions", self.topic_partitions); }
  bool operator==(const ConsumerGroupTargetAssignmentMemberValue&) const = default;
};

/// Type 8.
struct ConsumerGroupCurrentMemberAssignmentKey {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupCurrentMemberAssignmentKey",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};

  std::string group_id = {};
  std::string member_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("member_id", self.member_id);
  }
  bool operator==(const ConsumerGroupCurrentMemberAssignmentKey&) const = default;
};

struct ConsumerGroupCurrentMemberAssignmentValue {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupCurrentMemberAssignmentValue",
                            .versions = {0, 0},
                            .flexible_from = 0};

  struct TopicPartitions {
    TopicId topic_id = {};
    std::vector<int32_t> partitions = {};
    /// In which epoch the member got each; null: unknown.
    std::optional<std::vector<int32_t>> assignment_epochs = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic_id", self.topic_id);
      walk("partitions", self.partitions);
      walk("assignment_epochs", self.assignment_epochs, since(0).tag(0));
    }
    bool operator==(const TopicPartitions&) const = default;
  };

  int32_t member_epoch = 0;
  int32_t previous_member_epoch = 0;
  int8_t state = 0;  ///< 0: stable, 1: has partitions to give up, 2: waits for some that others have.
  std::vector<TopicPartitions> assigned_partitions = {};
  std::vector<TopicPartitions> partitions_pending_revocation = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("member_epoch", self.member_epoch);
    walk("previous_member_epoch", self.previous_member_epoch);
    walk("state", self.state);
    walk("assigned_partitions", self.assigned_partitions);
    walk("partitions_pending_revocation", self.partitions_pending_revocation);
  }
  bool operator==(const ConsumerGroupCurrentMemberAssignmentValue&) const = default;
};

/// Type 16.
struct ConsumerGroupRegularExpressionKey {
  static constexpr Api kApi{.key = ApiKey::kNone,
                            .name = "ConsumerGroupRegularExpressionKey",
                            .versions = {0, 0},
                            .flexible_from = Api::kNever};

  std::string group_id = {};
  std::string regular_expression = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("regular_expression", self.regular_expression);
  }
  bool operator==(const ConsumerGroupRegularExpressionKey&) const = default;
};

struct ConsumerGroupRegularExpressionValue {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ConsumerGroupRegularExpressionValue", .versions = {0, 0}, .flexible_from = 0};

  std::vector<std::string> topics = {};  ///< Those that matched.
  int64_t version = 0;                   ///< Of the cluster's metadata then.
  int64_t timestamp = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
    walk("version", self.version);
    walk("timestamp", self.timestamp);
  }
  bool operator==(const ConsumerGroupRegularExpressionValue&) const = default;
};

}  // namespace taffrail::protocol
