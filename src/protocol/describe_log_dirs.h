// DescribeLogDirs: what lies in the directories of the broker that is asked, and how large it is (KIP-113).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeLogDirsResponse;

/// v3 adds the error, v4 the sizes of the disk (KIP-827), v5 cordoned directories. v2 is flexible.
struct DescribeLogDirsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeLogDirs,
                            .name = "DescribeLogDirsRequest",
                            .versions = {1, 5},
                            .flexible_from = 2};
  using Response = DescribeLogDirsResponse;

  struct Topic {
    std::string topic = {};
    std::vector<int32_t> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  std::optional<std::vector<Topic>> topics = {};  ///< Null: all.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
  }
  bool operator==(const DescribeLogDirsRequest&) const = default;
};

struct DescribeLogDirsResponse {
  /// Far from those that Kafka gives out, which other clients know; they pass over this one.
  static constexpr int16_t kTroublesTag = 10'000;

  static constexpr Api kApi{.key = ApiKey::kDescribeLogDirs,
                            .name = "DescribeLogDirsResponse",
                            .versions = {1, 5},
                            .flexible_from = 2};

  struct Partition {
    int32_t partition_index = 0;
    int64_t partition_size = 0;  ///< Bytes.
    int64_t offset_lag = 0;  ///< How far the replica is behind the high watermark.
    bool is_future_key = false;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("partition_size", self.partition_size);
      walk("offset_lag", self.offset_lag);
      walk("is_future_key", self.is_future_key);
    }
    bool operator==(const Partition&) const = default;
  };

  struct Topic {
    std::string name = {};
    std::vector<Partition> partitions = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partitions", self.partitions);
    }
    bool operator==(const Topic&) const = default;
  };

  /// Taffrail's own: what is wrong with a replica and what is done about it, in words. Of all topics, whichever were
  /// asked for.
  struct Trouble {
    std::string topic = {};
    int32_t partition_index = 0;
    std::string what = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("topic", self.topic);
      walk("partition_index", self.partition_index);
      walk("what", self.what);
    }
    bool operator==(const Trouble&) const = default;
  };

  struct Directory {
    ErrorCode error_code = ErrorCode::kNone;
    std::string log_dir = {};
    std::vector<Topic> topics = {};
    int64_t total_bytes = -1;  ///< Of the disk; -1: unknown.
    int64_t usable_bytes = -1;
    bool is_cordoned = false;
    std::vector<Trouble> troubles = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("log_dir", self.log_dir);
      walk("topics", self.topics);
      walk("total_bytes", self.total_bytes, since(4).ignorable());
      walk("usable_bytes", self.usable_bytes, since(4).ignorable());
      walk("is_cordoned", self.is_cordoned, since(5).ignorable());
      walk("troubles", self.troubles, since(2).tag(kTroublesTag).ignorable());
    }
    bool operator==(const Directory&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Directory> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code, since(3).ignorable());
    walk("results", self.results);
  }
  bool operator==(const DescribeLogDirsResponse&) const = default;
};

}  // namespace taffrail::protocol
