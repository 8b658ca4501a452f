// OffsetFetch: what groups have committed. Kafka protocol guide, "OffsetFetch".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct OffsetFetchResponse;

/// v8 asks for several groups at once; v9 may name the member; v10 names topics by id.
struct OffsetFetchRequest {
  static constexpr Api kApi{.key = ApiKey::kOffsetFetch,
                            .name = "OffsetFetchRequest",
                            .versions = {1, 10},
                            .flexible_from = 6};
  using Response = OffsetFetchResponse;

  struct Topic {
    std::string name = {};
    std::vector<int32_t> partition_indexes = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(7));
      walk("partition_indexes", self.partition_indexes, until(7));
    }
    bool operator==(const Topic&) const = default;
  };

  struct Group {
    struct Topic {
      std::string name = {};
      TopicId topic_id = {};
      std::vector<int32_t> partition_indexes = {};
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("name", self.name, between(8, 9).ignorable());
        walk("topic_id", self.topic_id, since(10).ignorable());
        walk("partition_indexes", self.partition_indexes, since(8));
      }
      bool operator==(const Topic&) const = default;
    };

    std::string group_id = {};
    std::optional<std::string> member_id = {};
    int32_t member_epoch = -1;
    std::optional<std::vector<Topic>> topics = std::vector<Topic>();  ///< Null: all.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("group_id", self.group_id, since(8));
      walk("member_id", self.member_id, since(9).null_since(9).ignorable());
      walk("member_epoch", self.member_epoch, since(9).ignorable());
      walk("topics", self.topics, since(8).null_since(8));
    }
    bool operator==(const Group&) const = default;
  };

  std::string group_id = {};
  std::optional<std::vector<Topic>> topics = std::vector<Topic>();  ///< Null: all.
  std::vector<Group> groups = {};
  bool require_stable = false;  ///< UNSTABLE_OFFSET_COMMIT where a transaction is open.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("group_id", self.group_id, until(7));
    walk("topics", self.topics, until(7).null_since(2));
    walk("groups", self.groups, since(8));
    walk("require_stable", self.require_stable, since(7));
  }
  bool operator==(const OffsetFetchRequest&) const = default;
};

struct OffsetFetchResponse {
  static constexpr Api kApi{.key = ApiKey::kOffsetFetch,
                            .name = "OffsetFetchResponse",
                            .versions = {1, 10},
                            .flexible_from = 6};

  struct Topic {
    struct Partition {
      int32_t partition_index = 0;
      Offset committed_offset = Offset(0);  ///< -1: none.
      int32_t committed_leader_epoch = -1;
      std::optional<std::string> metadata = std::string();
      ErrorCode error_code = ErrorCode::kNone;
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("partition_index", self.partition_index, until(7));
        walk("committed_offset", self.committed_offset, until(7));
        walk("committed_leader_epoch", self.committed_leader_epoch, between(5, 7).ignorable());
        walk("metadata", self.metadata, until(7));
        walk("error_code", self.error_code, until(7));
      }
      bool operator==(const Partition&) const = default;
    };

    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name, until(7));
      walk("partitions", self.partitions, until(7));
    }
    bool operator==(const Topic&) const = default;
  };

  struct Group {
    struct Topic {
      struct Partition {
        int32_t partition_index = 0;
        Offset committed_offset = Offset(0);  ///< -1: none.
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> metadata = std::string();
        ErrorCode error_code = ErrorCode::kNone;
        UnknownTags unknown_tags = {};

        static void fields(auto& self, auto& walk) {
          walk("partition_index", self.partition_index, since(8));
          walk("committed_offset", self.committed_offset, since(8));
          walk("committed_leader_epoch", self.committed_leader_epoch, since(8).ignorable());
          walk("metadata", self.metadata, since(8).null_since(8));
          walk("error_code", self.error_code, since(8));
        }
        bool operator==(const Partition&) const = default;
      };

      std::string name = {};
      TopicId topic_id = {};
      std::vector<Partition> partitions = {};
      UnknownTags unknown_tags = {};

      static void fields(auto& self, auto& walk) {
        walk("name", self.name, between(8, 9).ignorable());
        walk("topic_id", self.topic_id, since(10).ignorable());
        walk("partitions", self.partitions, since(8));
      }
      bool operator==(const Topic&) const = default;
    };

    std::string group_id = {};
    std::vector<Topic> topics = {};
    ErrorCode error_code = ErrorCode::kNone;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("group_id", self.group_id, since(8));
      walk("topics", self.topics, since(8));
      walk("error_code", self.error_code, since(8));
    }
    bool operator==(const Group&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Group> groups = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms, since(3).ignorable());
    walk("topics", self.topics, until(7));
    walk("error_code", self.error_code, between(2, 7).ignorable());
    walk("groups", self.groups, since(8));
  }
  bool operator==(const OffsetFetchResponse&) const = default;
};

}  // namespace taffrail::protocol
