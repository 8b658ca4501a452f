// What stands in __consumer_offsets: keys and values of the records, in Kafka's own formats. A stored key begins with
// its type, a stored value with its version, two bytes each; src/group/records.h puts them there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

/// Type 1; type 0 is an older spelling of the same.
struct OffsetCommitKey {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "OffsetCommitKey", .versions = {0, 0}, .flexible_from = Api::kNever};

  std::string group = {};
  std::string topic = {};
  int32_t partition = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group", self.group);
    walk("topic", self.topic);
    walk("partition", self.partition);
  }
  bool operator==(const OffsetCommitKey&) const = default;
};

/// v1 alone has an expire time; v3 has leader epochs; v4 is flexible and has topic ids.
struct OffsetCommitValue {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "OffsetCommitValue", .versions = {0, 4}, .flexible_from = 4};

  Offset offset = Offset(0);
  int32_t leader_epoch = -1;
  std::string metadata = {};
  int64_t commit_timestamp = 0;
  int64_t expire_timestamp = -1;
  TopicId topic_id = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("offset", self.offset);
    walk("leader_epoch", self.leader_epoch, since(3).ignorable());
    walk("metadata", self.metadata);
    walk("commit_timestamp", self.commit_timestamp);
    walk("expire_timestamp", self.expire_timestamp, between(1, 1).ignorable());
    walk("topic_id", self.topic_id, since(4).tag(0).ignorable());
  }
  bool operator==(const OffsetCommitValue&) const = default;
};

/// Type 2.
struct GroupMetadataKey {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "GroupMetadataKey", .versions = {0, 0}, .flexible_from = Api::kNever};

  std::string group = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) { walk("group", self.group); }
  bool operator==(const GroupMetadataKey&) const = default;
};

/// A classic group: written whenever a generation begins, is assigned, or ends.
struct GroupMetadataValue {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "GroupMetadataValue", .versions = {0, 4}, .flexible_from = 4};

  struct Member {
    std::string member_id = {};
    std::optional<std::string> group_instance_id = {};
    std::string client_id = {};
    std::string client_host = {};
    int32_t rebalance_timeout = -1;
    int32_t session_timeout = 0;
    Slice subscription = {};
    Slice assignment = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("member_id", self.member_id);
      walk("group_instance_id", self.group_instance_id, since(3).null_since(3).ignorable());
      walk("client_id", self.client_id);
      walk("client_host", self.client_host);
      walk("rebalance_timeout", self.rebalance_timeout, since(1).ignorable());
      walk("session_timeout", self.session_timeout);
      walk("subscription", self.subscription);
      walk("assignment", self.assignment);
    }
    bool operator==(const Member&) const = default;
  };

  std::string protocol_type = {};
  int32_t generation = 0;
  std::optional<std::string> protocol = std::string();
  std::optional<std::string> leader = std::string();
  int64_t current_state_timestamp = -1;
  std::vector<Member> members = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("protocol_type", self.protocol_type);
    walk("generation", self.generation);
    walk("protocol", self.protocol);
    walk("leader", self.leader);
    walk("current_state_timestamp", self.current_state_timestamp, since(2).ignorable());
    walk("members", self.members);
  }
  bool operator==(const GroupMetadataValue&) const = default;
};

}  // namespace taffrail::protocol
