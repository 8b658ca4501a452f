// What DescribeConfigs and CreateTopics answers say of configs: the value, where it comes from, and what
// would stand in for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/context.h"
#include "protocol/describe_configs.h"

namespace taffrail::handlers {

/// Every topic config in force on a topic with `set`, by name.
std::vector<protocol::DescribeConfigsResponse::Config> topic_configs(BrokerContext& broker, const ConfigMap& set);
/// Every config of a group that can be set for it alone.
std::vector<protocol::DescribeConfigsResponse::Config> group_configs(BrokerContext& broker, const std::string& group);
/// Of this broker, `cluster_wide` only what was set for all brokers.
std::vector<protocol::DescribeConfigsResponse::Config> broker_configs(BrokerContext& broker, bool cluster_wide);

}  // namespace taffrail::handlers
