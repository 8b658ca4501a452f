// DescribeProducers: who has written to a partition, as its leader remembers (KIP-664).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeProducersResponse;

struct DescribeProducersRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeProducers,
                            .name = "DescribeProducersRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = DescribeProducersResponse;

  struct Topic {
    std::string name = {};
    std::vector<int32_t> partition_indexes = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("name", self.name);
      walk("partition_indexes", self.partition_indexes);
    }
    bool operator==(const Topic&) const = default;
  };

  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topics", self.topics);
  }
  bool operator==(const DescribeProducersRequest&) const = default;
};

struct DescribeProducersResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeProducers,
                            .name = "DescribeProducersResponse",
                            .versions = {0, 0},
                            .flexible_from = 0};

  struct Producer {
    ProducerId producer_id = kNoProducer;
    int32_t producer_epoch = 0;
    int32_t last_sequence = -1;
    int64_t last_timestamp = -1;  ///< Of its newest record, ms; -1: unknown.
    int32_t coordinator_epoch = 0;  ///< -1: no transaction was ever ended.
    Offset current_txn_start_offset = kNoOffset;  ///< -1: no transaction is open.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("producer_id", self.producer_id);
      walk("producer_epoch", self.producer_epoch);
      walk("last_sequence", self.last_sequence);
      walk("last_timestamp", self.last_timestamp);
      walk("coordinator_epoch", self.coordinator_epoch);
      walk("current_txn_start_offset", self.current_txn_start_offset);
    }
    bool operator==(const Producer&) const = default;
  };

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    std::vector<Producer> active_producers = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("partition_index", self.partition_index);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("active_producers", self.active_producers);
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

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Topic> topics = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("topics", self.topics);
  }
  bool operator==(const DescribeProducersResponse&) const = default;
};

}  // namespace taffrail::protocol
