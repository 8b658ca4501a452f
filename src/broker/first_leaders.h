// In Kafka a topic has its leaders from the start, and there are clients that give up on one that has none, or look
// again only after seconds. Here replicas elect them; who has just created a topic waits a moment for that.
#pragma once

#include <span>
#include <string>

#include "broker/context.h"

namespace taffrail::handlers {

/// Until every partition of these topics has a leader that this broker has heard of, or `at_most` is over.
void await_first_leaders(Task& task, BrokerContext& broker, std::span<const std::string> topics, Duration at_most);

}  // namespace taffrail::handlers
