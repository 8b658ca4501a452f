// Configs of brokers and of groups that may change while the cluster runs. Those of topics, and with them the defaults
// that brokers have for topics, are in partition/topic_config.h.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/units.h"
#include "controller/cluster_image.h"
#include "partition/topic_config.h"

namespace taffrail {

/// Of one broker, or of all; sorted by name. `broker_synonym` is empty.
std::span<const TopicConfigKey> broker_config_keys();
/// Of one group (KIP-848, resource type GROUP); sorted. `broker_synonym` names what stands in.
std::span<const TopicConfigKey> group_config_keys();
const TopicConfigKey* find_setting(std::span<const TopicConfigKey> keys, std::string_view name);
/// Of the keys above; others are not looked at. Errors: kInvalid, with the reason.
Result<> check_broker_configs(const ConfigMap& set);
Result<> check_group_configs(const ConfigMap& set);

/// What acts on a broker, by broker config: what was set for it alone, and under that what was set for all.
ConfigMap acting_configs(const ClusterImage& image, BrokerId broker);

/// How far a broker is to be emptied.
enum class Retirement : uint8_t {
  kNone,
  kLeaders,   ///< It leads nothing that another could lead, and is given nothing new; its replicas stay.
  kReplicas,  ///< Its replicas leave as well, then it votes no more in group 0, and then it is unregistered.
};
/// The broker config that says so: what `taffrail cluster drain` and `decommission` set.
inline constexpr std::string_view kRetireConfig = "taffrail.retire";
Retirement retirement_of(const ClusterImage& image, BrokerId broker);
/// Whether the cluster, when it chooses, puts new replicas on a registered broker.
bool takes_replicas(const ClusterImage& image, BrokerId broker);

/// What acts on one group instead of the brokers' options.
struct GroupSettings {
  std::optional<Duration> session_timeout;
  std::optional<Duration> heartbeat_interval;
  std::optional<Duration> assignment_interval;
};
GroupSettings group_settings(const ClusterImage& image, std::string_view group);

}  // namespace taffrail
