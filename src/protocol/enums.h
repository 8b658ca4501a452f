// The enumerations that Kafka's messages carry as plain integers. A number without a name stays
// itself: what a peer sent is not ours to change.
#pragma once

#include <cstdint>

namespace taffrail::protocol {

enum class IsolationLevel : int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

enum class ConfigResourceType : int8_t {
  kUnknown = 0,
  kTopic = 2,
  kBroker = 4,
  kBrokerLogger = 8,
  kClientMetrics = 16,
  kGroup = 32,
};

/// Where a config value comes from.
enum class ConfigSource : int8_t {
  kUnknown = 0,
  kTopicConfig = 1,
  kDynamicBrokerConfig = 2,
  kDynamicDefaultBrokerConfig = 3,
  kStaticBrokerConfig = 4,
  kDefaultConfig = 5,
  kDynamicBrokerLoggerConfig = 6,
  kClientMetricsConfig = 7,
  kGroupConfig = 8,
};

enum class ConfigType : int8_t {
  kUnknown = 0,
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kShort = 4,
  kLong = 5,
  kDouble = 6,
  kList = 7,
  kClass = 8,
  kPassword = 9,
};

/// kAppend and kSubtract are for lists (KIP-339).
enum class AlterConfigOp : int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

/// UpdateFeatures (KIP-584); kUnsafeDowngrade may lose what only the newer level can say.
enum class FeatureUpgradeType : int8_t { kUnknown = 0, kUpgrade = 1, kSafeDowngrade = 2, kUnsafeDowngrade = 3 };

/// How a component of DescribeClientQuotas is compared: by name, the default entity, or any that names one.
enum class QuotaMatch : int8_t { kExact = 0, kDefault = 1, kAny = 2 };

enum class CoordinatorType : int8_t { kGroup = 0, kTransaction = 1, kShare = 2 };

enum class EndpointType : int8_t { kUnknown = 0, kBroker = 1, kController = 2 };

/// Timestamps of ListOffsets that ask for a place instead of a time.
struct ListOffsetsTimestamp {
  static constexpr int64_t kLatest = -1;
  static constexpr int64_t kEarliest = -2;
  static constexpr int64_t kMaxTimestamp = -3;           ///< From v7.
  static constexpr int64_t kEarliestLocal = -4;          ///< From v8.
  static constexpr int64_t kLatestTiered = -5;           ///< From v9.
  static constexpr int64_t kEarliestPendingUpload = -6;  ///< From v11.
};

/// "Nobody asked", or "this broker does not tell", in place of a bit set of ACL operations.
inline constexpr int32_t kNoAuthorizedOperations = INT32_MIN;

}  // namespace taffrail::protocol
