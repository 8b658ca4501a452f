// Metadata, DescribeTopicPartitions and DescribeCluster: the image of group 0, with leaders as their
// pushes tell and addresses of the listener that was asked.
#include <fmt/core.h>

#include <algorithm>

#include "broker/first_leaders.h"
#include "broker/handlers.h"
#include "broker/internal_topics.h"

namespace taffrail::handlers {

using protocol::ErrorCode;
using protocol::MetadataRequest;
using protocol::MetadataResponse;

namespace {

struct PartitionState {
  ErrorCode error = ErrorCode::kNone;
  BrokerId leader = kNoBroker;
  int32_t epoch = -1;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> in_sync;
  std::vector<BrokerId> offline;
};

PartitionState describe(BrokerContext& broker, const TopicRecord& topic, size_t partition,
                        const std::vector<BrokerId>& alive, const std::string& listener) {
  PartitionState state;
  for (const ReplicaId& replica : topic.partitions[partition].everywhere()) {
    // The old disk of a broker and its new one.
    if (std::find(state.replicas.begin(), state.replicas.end(), replica.node) != state.replicas.end()) continue;
    state.replicas.push_back(replica.node);
    if (!std::binary_search(alive.begin(), alive.end(), replica.node)) state.offline.push_back(replica.node);
  }
  const PartitionKey key{topic.id, static_cast<int32_t>(partition)};
  std::tie(state.leader, state.epoch) = leader_of(broker, key);
  if (const Leadership* known = broker.leaders().find(key)) {
    state.in_sync = known->in_sync;
  } else if (const BrokerId first = topic.partitions[partition].replicas.front().node;
             std::binary_search(alive.begin(), alive.end(), first)) {
    // Nobody leads it yet, as far as this broker has heard, and its first replica is who campaigns for that
    // (first_leaders.h). Whoever comes before the election is told NOT_LEADER_OR_FOLLOWER, which all clients try again.
    state.leader = first;
  }
  // A leader that this listener's clients cannot reach is none for them (KIP-103).
  if (state.leader != kNoBroker && !address_of(broker, state.leader, listener)) {
    state.leader = kNoBroker;
    state.error = ErrorCode::kListenerNotFound;
  } else if (state.leader == kNoBroker) {
    state.error = ErrorCode::kLeaderNotAvailable;
  }
  return state;
}

// Any live broker forwards to the controller; the same one is named each time if it can be.
BrokerId controller_for_clients(BrokerContext& broker, const std::vector<BrokerId>& alive) {
  const BrokerId leader = broker.controller().leader();
  return std::binary_search(alive.begin(), alive.end(), leader) ? leader : broker.id();
}

MetadataResponse::Topic describe_topic(const Request& request, const TopicRecord& record, const std::vector<BrokerId>& alive,
                                       const std::string& listener) {
  MetadataResponse::Topic out;
  out.name = record.name;
  out.topic_id = record.id;
  out.is_internal = is_internal_topic(record.name);
  for (size_t i = 0; i < record.partitions.size(); ++i) {
    PartitionState state = describe(request.broker, record, i, alive, listener);
    out.partitions.push_back({state.error, static_cast<int32_t>(i), state.leader, state.epoch, std::move(state.replicas),
                              std::move(state.in_sync), std::move(state.offline), {}});
  }
  return out;
}

/// One Metadata request on its way to its answer.
struct MetadataCall {
  BrokerContext& broker;
  std::string listener;
  int16_t version;
  MetadataRequest message;

  MetadataResponse answer(Task& task);
  MetadataResponse::Topic answer_topic(const MetadataRequest::Topic& asked, const std::vector<BrokerId>& alive,
                                       const std::vector<std::string>& made);
  std::vector<std::string> create_missing(Task& task);
};

// Topics are created on first use where the client asks for it and the broker allows it. The answer does not wait
// for their leaders for long: clients ask again while there is none.
std::vector<std::string> MetadataCall::create_missing(Task& task) {
  CreateTopicsCommand command;
  if (!broker.config().auto_create_topics || !message.topics || (version >= 4 && !message.allow_auto_topic_creation)) return {};
  for (const auto& topic : *message.topics) {
    if (!topic.name || !topic.topic_id.is_zero() || bad_topic_name(*topic.name) || broker.controller().image().find_topic(std::string_view(*topic.name))) continue;
    if (*topic.name == kOffsetsTopic) {
      ensure_offsets_topic(task, broker, broker.runtime().now() + 5_s);
      continue;
    }
    NewTopic fresh;
    fresh.name = *topic.name;
    command.topics.push_back(std::move(fresh));
  }
  if (command.topics.empty()) return {};
  const Result<ControllerReply> reply = broker.controller().submit(task, command, broker.runtime().now() + 5_s);
  std::vector<std::string> made;
  if (!reply) return made;
  for (const ItemReply& item : reply->items)
    if (item.error == ErrorCode::kNone || item.error == ErrorCode::kTopicAlreadyExists) made.push_back(item.name);
  await_first_leaders(task, broker, made, 500_ms);
  return made;
}

MetadataResponse::Topic MetadataCall::answer_topic(const MetadataRequest::Topic& asked, const std::vector<BrokerId>& alive,
                                                   const std::vector<std::string>& made) {
  MetadataResponse::Topic out;
  out.name = asked.name;
  out.topic_id = asked.topic_id;
  const ClusterImage& image = broker.controller().image();
  // The Java admin client sends an id with an empty name, others with none.
  const bool by_id = !asked.name || !asked.topic_id.is_zero();
  const TopicRecord* record = by_id ? image.find_topic(asked.topic_id) : image.find_topic(std::string_view(*asked.name));
  if (record != nullptr) {
    ConnectionInfo unused;
    return describe_topic({broker, unused, version}, *record, alive, listener);
  }
  if (by_id) {
    out.name.reset();
    out.error_code = ErrorCode::kUnknownTopicId;
  } else if (bad_topic_name(*asked.name)) {
    out.error_code = ErrorCode::kInvalidTopicException;
  } else if (std::find(made.begin(), made.end(), *asked.name) != made.end()) {
    out.error_code = ErrorCode::kLeaderNotAvailable;
  } else {
    out.error_code = ErrorCode::kUnknownTopicOrPartition;
  }
  return out;
}

MetadataResponse MetadataCall::answer(Task& task) {
  MetadataResponse response;
  // v10 and v11 carry ids in their layout, and must not be asked by them (KIP-516).
  if (message.topics && (version == 10 || version == 11))
    for (const auto& topic : *message.topics)
      if (!topic.name || !topic.topic_id.is_zero()) {
        for (const auto& each : *message.topics) {
          MetadataResponse::Topic& out = response.topics.emplace_back();
          out.name = each.name.value_or("");
          out.topic_id = each.topic_id;
          out.error_code = ErrorCode::kInvalidRequest;
        }
        return response;
      }
  if (message.topics)
    drop_repeated(*message.topics, [](const MetadataRequest::Topic& topic) { return std::pair(topic.name, topic.topic_id); });
  const std::vector<std::string> made = create_missing(task);
  const std::vector<BrokerId> alive = broker.alive_brokers();
  for (const BrokerId id : alive)
    if (const auto address = address_of(broker, id, listener))
      response.brokers.push_back({id, address->host, address->port, broker.controller().image().find_broker(id)->rack, {}});
  response.cluster_id = broker.cluster().text();
  response.controller_id = controller_for_clients(broker, alive);
  // v0 has no null: an empty list there means all topics.
  const bool all = !message.topics || (version == 0 && message.topics->empty());
  if (all) {
    ConnectionInfo unused;
    for (const auto& [name, id] : broker.controller().image().names())
      response.topics.push_back(describe_topic({broker, unused, version}, *broker.controller().image().find_topic(id), alive, listener));
  } else {
    for (const auto& topic : *message.topics) response.topics.push_back(answer_topic(topic, alive, made));
  }
  return response;
}

}  // namespace

Outcome<MetadataResponse> metadata(const Request& request, MetadataRequest message) {
  return Outcome<MetadataResponse>::later(
      [call = MetadataCall{request.broker, request.connection.listener, request.version, std::move(message)}](Task& task) mutable {
        return call.answer(task);
      });
}

Outcome<protocol::DescribeClusterResponse> describe_cluster(const Request& request,
                                                            const protocol::DescribeClusterRequest& message) {
  BrokerContext& broker = request.broker;
  protocol::DescribeClusterResponse response;
  response.endpoint_type = message.endpoint_type;
  response.cluster_id = broker.cluster().text();
  if (message.endpoint_type != protocol::EndpointType::kBroker) {
    response.error_code = message.endpoint_type == protocol::EndpointType::kController
                              ? ErrorCode::kMismatchedEndpointType : ErrorCode::kUnsupportedEndpointType;
    response.error_message = "this is a broker's endpoint";
    return response;
  }
  const std::vector<BrokerId> alive = broker.alive_brokers();
  response.controller_id = controller_for_clients(broker, alive);
  for (const auto& [id, record] : broker.controller().image().brokers()) {
    const bool is_alive = std::binary_search(alive.begin(), alive.end(), id);
    if (!is_alive && !message.include_fenced_brokers) continue;
    if (const auto address = address_of(broker, id, request.connection.listener))
      response.brokers.push_back({id, address->host, address->port, record.rack, !is_alive, {}});
  }
  return response;
}

Outcome<protocol::DescribeTopicPartitionsResponse> describe_topic_partitions(
    const Request& request, const protocol::DescribeTopicPartitionsRequest& message) {
  constexpr int32_t kPageMax = 2000;  // max.request.partition.size.limit.
  BrokerContext& broker = request.broker;
  const ClusterImage& image = broker.controller().image();
  protocol::DescribeTopicPartitionsResponse response;
  std::vector<std::string> names;
  for (const auto& topic : message.topics) names.push_back(topic.name);
  if (message.topics.empty())
    for (const auto& [name, id] : image.names()) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  // A place that no page can have ended at.
  const auto& cursor = message.cursor;
  if (cursor && (cursor->partition_index < 0 ||
                 (!message.topics.empty() && !std::binary_search(names.begin(), names.end(), cursor->topic_name)))) {
    for (const auto& topic : message.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      out.error_code = ErrorCode::kInvalidRequest;
    }
    return response;
  }
  int32_t left = std::clamp(message.response_partition_limit, 1, kPageMax);
  const std::vector<BrokerId> alive = broker.alive_brokers();
  for (const std::string& name : names) {
    size_t first = 0;
    if (message.cursor) {
      if (name < message.cursor->topic_name) continue;
      if (name == message.cursor->topic_name) first = static_cast<size_t>(message.cursor->partition_index);
    }
    if (left == 0) {
      response.next_cursor = protocol::TopicPartitionsCursor{name, static_cast<int32_t>(first), {}};
      return response;
    }
    auto& out = response.topics.emplace_back();
    out.name = name;
    const TopicRecord* record = image.find_topic(std::string_view(name));
    if (record == nullptr) {
      out.error_code = bad_topic_name(name) ? ErrorCode::kInvalidTopicException : ErrorCode::kUnknownTopicOrPartition;
      continue;
    }
    out.topic_id = record->id;
    out.is_internal = is_internal_topic(name);
    for (size_t p = first; p < record->partitions.size(); ++p) {
      if (left == 0) {
        response.next_cursor = protocol::TopicPartitionsCursor{name, static_cast<int32_t>(p), {}};
        return response;
      }
      --left;
      PartitionState state = describe(broker, *record, p, alive, request.connection.listener);
      auto& partition = out.partitions.emplace_back();
      partition.error_code = state.error;
      partition.partition_index = static_cast<int32_t>(p);
      partition.leader_id = state.leader;
      partition.leader_epoch = state.epoch;
      partition.replica_nodes = std::move(state.replicas);
      partition.isr_nodes = std::move(state.in_sync);
      // None are kept apart, and null is no way to say so: the Java admin client throws on it.
      partition.eligible_leader_replicas.emplace();
      partition.last_known_elr.emplace();
      partition.offline_replicas = std::move(state.offline);
    }
  }
  return response;
}

}  // namespace taffrail::handlers
