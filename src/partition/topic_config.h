// Topic configs: one table of keys, from which defaults, checks, DescribeConfigs and the docs all come.
// Names, defaults and ranges are Kafka's (research: topic configs of Kafka 4.x, KIP-1030 floors).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "record/batch.h"

namespace taffrail {

enum class ConfigType : uint8_t {  // Kafka's numbers (DescribeConfigs v3+).
  kBoolean = 1, kString = 2, kInt = 3, kShort = 4, kLong = 5, kDouble = 6, kList = 7,
};

struct TopicConfigKey {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;
  std::string_view broker_synonym;  ///< The cluster-wide key whose value stands in ("log.retention.ms").
  bool acts;                        ///< False: checked, kept and described, but nothing follows from it yet.
  std::string_view doc;             ///< One sentence.
  int64_t min = INT64_MIN;          ///< Of numbers; both ends are allowed.
  int64_t max = INT64_MAX;
  std::string_view choices = {};    ///< What a string, or each element of a list, may be: "a,b"; empty: anything.
  /// "at least -1", "delete, compact"; empty if everything of the type goes. For people.
  std::string range() const;
};

/// "boolean", "int", ...: as Kafka's documentation names them.
std::string_view config_type_name(ConfigType type);

/// Floors that a test world sets lower than Kafka has them, to see many small segments.
struct TopicConfigLimits {
  int64_t segment_bytes_min = 1'048'576;
};

/// Of one key, by itself. Errors: as check_topic_config.
Result<> check_config(const TopicConfigKey& key, std::string_view value);
/// What a number says that check_config let pass: for "5" 5.
int64_t config_number(std::string_view value);

/// Every key that CreateTopics and IncrementalAlterConfigs accept, sorted by name.
std::span<const TopicConfigKey> topic_config_keys();
const TopicConfigKey* find_topic_config_key(std::string_view name);
/// Keys that Kafka no longer defines but tools still send; accepted and dropped.
bool is_retired_topic_config(std::string_view name);
/// Errors: kInvalid with the reason, as a person may read it ("retention.ms: \"x\" is not a whole number").
Result<> check_topic_config(std::string_view name, std::string_view value,
                            const TopicConfigLimits& limits = {});

/// What was set on a topic, by key; absent keys have their default.
using ConfigMap = std::map<std::string, std::string, std::less<>>;

/// Every value by itself, and those that depend on each other. Errors: as check_topic_config.
Result<> check_topic_configs(const ConfigMap& set, const TopicConfigLimits& limits = {});

/// The topic key whose cluster-wide default is the broker config `name` ("log.retention.ms"); null if none.
const TopicConfigKey* find_topic_config_by_synonym(std::string_view name);
/// What acts on a topic: its own values, and under them the cluster's, by topic key. `cluster` is by
/// broker key ("log.retention.ms"), as the cluster's image has it.
ConfigMap with_cluster_defaults(const ConfigMap& topic, const ConfigMap& cluster);

/// The elements of a list value, blanks around them dropped; none for an empty value.
std::vector<std::string_view> config_list(std::string_view value);

/// The values that act, typed. Made from a ConfigMap that check_topic_config let pass; a value that it
/// would not have let pass counts as absent. A negative retention is "for ever", as Kafka has it.
struct TopicConfig {
  int64_t retention_ms = 604'800'000;        ///< -1: for ever.
  int64_t retention_bytes = -1;
  int64_t segment_bytes = 1'073'741'824;
  int64_t segment_ms = 604'800'000;
  int32_t max_message_bytes = 1'048'588;
  int32_t min_insync_replicas = 1;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  int64_t timestamp_before_max_ms = INT64_MAX;
  int64_t timestamp_after_max_ms = 3'600'000;
  int8_t compression = -1;                   ///< -1: producer; else a codec number (0 uncompressed ... 4 zstd).
  bool compacted = false;                    ///< cleanup.policy names compact: keyless records are refused.
  bool deleted = true;                       ///< cleanup.policy names delete: retention acts.

  static TopicConfig from(const ConfigMap& set);
};

}  // namespace taffrail
