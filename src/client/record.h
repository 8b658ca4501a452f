// Records as applications have them, before they are in a batch and after they were in one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace taffrail::client {

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
  /// "orders-3".
  std::string text() const;
};

struct Header {
  std::string key;
  std::optional<std::string> value;
  bool operator==(const Header&) const = default;
};

struct Record {
  std::optional<std::string> key;
  std::optional<std::string> value;  ///< Null: a tombstone.
  std::vector<Header> headers = {};
  std::optional<int64_t> timestamp_ms = {};  ///< Absent: the wall clock's at send.
  bool operator==(const Record&) const = default;
};

struct ConsumedRecord {
  Offset offset;
  int64_t timestamp_ms = -1;  ///< -1: none.
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<Header> headers;
  int32_t leader_epoch = -1;  ///< Of the batch it stood in.
  bool operator==(const ConsumedRecord&) const = default;
};

/// Which partition a key belongs to, by the rule of Kafka's Java client: murmur2, sign bit off, modulo.
int32_t partition_of_key(std::string_view key, int32_t partition_count);
/// The hash itself: "kafka" gives d067cf64.
uint32_t murmur2(std::string_view key);

}  // namespace taffrail::client
