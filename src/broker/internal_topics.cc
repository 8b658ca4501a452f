#include "broker/internal_topics.h"

#include <algorithm>

namespace taffrail {

bool is_internal_topic(std::string_view name) { return name == kOffsetsTopic; }

void ensure_offsets_topic(Task& task, BrokerContext& broker, Instant deadline) {
  if (broker.controller().image().find_topic(kOffsetsTopic) != nullptr) return;
  const group::Options& options = broker.config().groups;
  NewTopic topic;
  topic.name = kOffsetsTopic;
  topic.partition_count = options.offsets_partitions;
  // Of those that are registered: while some of them are away it is not created, rather than with fewer copies.
  const auto brokers = static_cast<int16_t>(std::min<size_t>(broker.controller().image().brokers().size(), INT16_MAX));
  // The controller knows of founders that are still to come.
  topic.replication_factor = options.offsets_replicas <= brokers ? options.offsets_replicas : int16_t{-1};
  topic.configs = {{"cleanup.policy", "compact"}, {"compression.type", "producer"}, {"segment.bytes", "104857600"}};
  CreateTopicsCommand command;
  command.topics.push_back(std::move(topic));
  const Result<ControllerReply> made = broker.controller().submit(task, command, deadline);
  const bool refused = made && !made->items.empty() && made->items[0].error != protocol::ErrorCode::kNone &&
                       made->items[0].error != protocol::ErrorCode::kTopicAlreadyExists;
  if (refused) broker.runtime().log().warn("group", "{} could not be created: {}", kOffsetsTopic, made->items[0].message);
}

}  // namespace taffrail
