// ConsumerGroupDescribe: consumer groups, their members, and what these have and are to have (KIP-848). Kafka protocol
// guide, "ConsumerGroupDescribe".
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

struct ConsumerGroupDescribeResponse;

/// v1 tells members of the classic protocol from others.
struct ConsumerGroupDescribeRequest {
  static constexpr Api kApi{.key = ApiKey::kConsumerGroupDescribe,
                            .name = "ConsumerGroupDescribeRequest",
                            .versions = {0, 1},
                            .flexible_from = 0};
  using Response = ConsumerGroupDescribeResponse;

  std::vector<std::string> group_ids = {};
  bool include_authorized_operations = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_ids", self.group_ids);
    walk("include_authorized_operations", self.include_authorized_operations);
  }
  bool operator==(const ConsumerGroupDescribeRequest&) const = default;
};

struct ConsumerGroupDescribeResponse {
  static constexpr Api kApi{.key = ApiKey::kConsumerGroupDescribe,
                            .name = "ConsumerGroupDescribeResponse",
                            .versions = {0, 1},
                            .flexible_from = 0};

  struct TopicPartitions {
    TopicId topic_id = {};
    std::string topic_name = {};
    std::vector<int32_t> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic_id", self.topic_id);
      walk("topic_name", self.topic_name);
      walk("partitions", self.partitions);
    }
    bool operator==(const TopicPartitions&) const = default;
  };

  struct Assignment {
    std::vector<TopicPartitions> topic_partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) { walk("topic_partitions", self.topic_partitions); }
    bool operator==(const Assignment&) const = default;
  };

  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    std::optional<std::string> rack_id = {};
    int32_t member_epoch = 0;
    std::string client_id = {};
    std::string client_host = {};
    std::vector<std::string> subscribed_topic_names = {};
    std::optional<std::string> subscribed_topic_regex = {};
    Assignment assignment = {};
    Assignment target_assignment = {};
    int8_t member_type = -1;  ///< 0: classic, 1: consumer, -1: unknown.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id);
      walk("instance_id", self.instance_id);
      walk("rack_id", self.rack_id);
      walk("member_epoch", self.member_epoch);
      walk("client_id", self.client_id);
      walk("client_host", self.client_host);
      walk("subscribed_topic_names", self.subscribed_topic_names);
      walk("subscribed_topic_regex", self.subscribed_topic_regex);
      walk("assignment", self.assignment);
      walk("target_assignment", self.target_assignment);
      walk("member_type", self.member_type, since(1).ignorable());
    }
    bool operator==(const Member&) const = default;
  };

  struct DescribedGroup {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    std::string group_id = {};
    std::string group_state = {};  ///< "Stable"; empty with an error.
    int32_t group_epoch = 0;
    int32_t assignment_epoch = 0;
    std::string assignor_name = {};
    std::vector<Member> members = {};
    int32_t authorized_operations = kNoAuthorizedOperations;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("group_id", self.group_id);
      walk("group_state", self.group_state);
      walk("group_epoch", self.group_epoch);
      walk("assignment_epoch", self.assignment_epoch);
      walk("assignor_name", self.assignor_name);
      walk("members", self.members);
      walk("authorized_operations", self.authorized_operations);
    }
    bool operator==(const DescribedGroup&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<DescribedGroup> groups = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("groups", self.groups);
  }
  bool operator==(const ConsumerGroupDescribeResponse&) const = default;
};

}  // namespace taffrail::protocol
