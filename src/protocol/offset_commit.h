// OffsetCommit: how far a group has read. Kafka protocol guide, "OffsetCommit".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct OffsetCommitResponse;

/// v7 has static members; v10 names topics by id.
struct OffsetCommitRequest {
  static constexpr Api kApi{.key = ApiKey::kOffsetCommit,
                            .name = "OffsetCommitRequest",
                            .versions = {2, 10},
                            .flexible_from = 8};
  using Response = OffsetCommitResponse;

  struct Topic {
    struct Partition {
      int32_t partition_index = 0;
      Offset committed_offset = Offset(0);
      int32_t committed_leader_epoch = -1;
      /// At most offset.metadata.max.bytes.
      std::optional<std::string> committed_metadata = std::string();
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("partition_index", self.partition_index);
        walk("committed_offset", self.committed_offset);
        walk("committed_leader_epoch", self.committed_leader_epoch, since(6).ignorable());
        walk("committed_metadata", self.committed_metadata);
      }
      bool operator==(const Partition&) const = default;
    };

    std::string name = {};
    TopicId topic_id = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(9).ignorable());
      walk("topic_id", self.topic_id, since(10).ignorable());
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  std::string group_id = {};
  /// -1: no member; a group that assigns by itself.
  int32_t generation_id_or_member_epoch = -1;
  std::string member_id = {};
  std::optional<std::string> group_instance_id = {};
  int64_t retention_time_ms = -1;
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id);
    walk("generation_id_or_member_epoch", self.generation_id_or_member_epoch,
         since(1).ignorable());
    walk("member_id", self.member_id, since(1).ignorable());
    walk("group_instance_id", self.group_instance_id, since(7).null_since(7));
    walk("retention_time_ms", self.retention_time_ms, between(2, 4).ignorable());
    walk("topics", self.topics);
  }
  bool operator==(const OffsetCommitRequest&) const = default;
};

struct OffsetCommitResponse {
  static constexpr Api kApi{.key = ApiKey::kOffsetCommit,
                            .name = "OffsetCommitResponse",
                            .versions = {2, 10},
                            .flexible_from = 8};

  struct Topic {
    struct Partition {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("partition_index", self.partition_index);
        walk("error_code", self.error_code);
      }
      bool operator==(const Partition&) const = default;
    };

    std::string name = {};
    TopicId topic_id = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(9).ignorable());
      walk("topic_id", self.topic_id, since(10).ignorable());
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(3).ignorable());
    walk("topics", self.topics);
  }
  bool operator==(const OffsetCommitResponse&) const = default;
};

}  // namespace taffrail::protocol
