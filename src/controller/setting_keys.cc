#include "controller/setting_keys.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace taffrail {
namespace {

using enum ConfigType;

constexpr int64_t kLongMax = INT64_MAX;

constexpr std::array<TopicConfigKey, 5> kBrokerKeys = {{
    {"follower.replication.throttled.rate", kLong, "9223372036854775807", "", false,
     "Bytes a second that moves may bring to this broker.", 0, kLongMax},
    {"leader.replication.throttled.rate", kLong, "9223372036854775807", "", false,
     "Bytes a second that moves may take from this broker.", 0, kLongMax},
    {"replica.alter.log.dirs.io.max.bytes.per.second", kLong, "9223372036854775807", "", false,
     "Bytes a second between two directories of one broker.", 0, kLongMax},
    {"replica.selector.class", kString, "", "", true,
     "Whether consumers may read from a replica in their own rack, and are sent to it (KIP-392).", INT64_MIN, kLongMax,
     "org.apache.kafka.common.replica.RackAwareReplicaSelector"},
    {"taffrail.retire", kString, "none", "", true,
     "What leaves this broker: its leaders, or all of its replicas; then it is unregistered.", INT64_MIN, kLongMax,
     "none,leaders,replicas"},
}};
static_assert(kBrokerKeys.back().name == kRetireConfig);

constexpr std::array<TopicConfigKey, 3> kGroupKeys = {{
    {"consumer.assignment.interval.ms", kInt, "1000", "group.consumer.assignment.interval.ms", true,
     "Between two assignments of this group, at least.", 0, 15'000},
    {"consumer.heartbeat.interval.ms", kInt, "5000", "group.consumer.heartbeat.interval.ms", true,
     "What members of this group are told.", 5'000, 15'000},
    {"consumer.session.timeout.ms", kInt, "45000", "group.consumer.session.timeout.ms", true,
     "After which a silent member of this group is out.", 45'000, 60'000},
}};

Result<> check_all(std::span<const TopicConfigKey> keys, const ConfigMap& set) {
  for (const auto& [name, value] : set)
    if (const TopicConfigKey* key = find_setting(keys, name)) TRY(check_config(*key, value));
  return {};
}

std::optional<Duration> duration_of(const ConfigMap& set, std::string_view name) {
  const auto it = set.find(name);
  if (it == set.end()) return std::nullopt;
  return Duration::from_ms(config_number(it->second));
}

}  // namespace

std::span<const TopicConfigKey> broker_config_keys() { return kBrokerKeys; }
std::span<const TopicConfigKey> group_config_keys() { return kGroupKeys; }

const TopicConfigKey* find_setting(std::span<const TopicConfigKey> keys, std::string_view name) {
  const auto it = std::ranges::find(keys, name, &TopicConfigKey::name);
  return it == keys.end() ? nullptr : &*it;
}

Result<> check_broker_configs(const ConfigMap& set) { return check_all(kBrokerKeys, set); }

Result<> check_group_configs(const ConfigMap& set) { return check_all(kGroupKeys, set); }

ConfigMap acting_configs(const ClusterImage& image, BrokerId broker) {
  ConfigMap acting = image.settings().configs_of(broker);
  acting.insert(image.cluster_configs().begin(), image.cluster_configs().end());
  return acting;
}

Retirement retirement_of(const ClusterImage& image, BrokerId broker) {
  const ConfigMap& configs = image.settings().configs_of(broker);
  const auto it = configs.find(kRetireConfig);
  if (it == configs.end()) return Retirement::kNone;
  const std::vector<std::string_view> value = config_list(it->second);  // Blanks around it count for nothing.
  if (value.size() != 1 || value[0] == "none") return Retirement::kNone;
  return value[0] == "replicas" ? Retirement::kReplicas : Retirement::kLeaders;
}

bool takes_replicas(const ClusterImage& image, BrokerId broker) {
  return retirement_of(image, broker) == Retirement::kNone;
}

GroupSettings group_settings(const ClusterImage& image, std::string_view group) {
  const ConfigMap& set = image.settings().configs_of_group(group);
  if (set.empty()) return {};
  return {duration_of(set, "consumer.session.timeout.ms"), duration_of(set, "consumer.heartbeat.interval.ms"),
          duration_of(set, "consumer.assignment.interval.ms")};
}

}  // namespace taffrail
