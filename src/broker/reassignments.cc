// AlterPartitionReassignments and ListPartitionReassignments: to the controller and back, and from the image.
#include <algorithm>

#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

std::vector<BrokerId> nodes_of(const std::vector<ReplicaId>& replicas) {
  std::vector<BrokerId> nodes;
  for (const ReplicaId& replica : replicas)
    if (std::find(nodes.begin(), nodes.end(), replica.node) == nodes.end()) nodes.push_back(replica.node);
  return nodes;
}

// A broker whose disk was replaced is on both sides: the old one goes, the new one comes.
protocol::ListPartitionReassignmentsResponse::Partition describe(int32_t index, const PartitionRecord& record) {
  protocol::ListPartitionReassignmentsResponse::Partition out;
  out.partition_index = index;
  out.replicas = nodes_of(record.everywhere());
  std::vector<ReplicaId> adding;
  for (const ReplicaId& replica : record.replicas)
    if (std::find(record.original.begin(), record.original.end(), replica) == record.original.end()) adding.push_back(replica);
  out.adding_replicas = nodes_of(adding);
  out.removing_replicas = nodes_of(record.leaving);
  return out;
}

}  // namespace

Outcome<protocol::AlterPartitionReassignmentsResponse> alter_partition_reassignments(
    const Request& request, protocol::AlterPartitionReassignmentsRequest message) {
  MovePartitionsCommand command;
  command.may_change_count = message.allow_replication_factor_change;
  for (const auto& topic : message.topics)
    for (const auto& partition : topic.partitions)
      command.partitions.push_back({topic.name, partition.partition_index, partition.replicas});
  return Outcome<protocol::AlterPartitionReassignmentsResponse>::later(
      [&broker = request.broker, command = std::move(command), message = std::move(message)](Task& task) {
        protocol::AlterPartitionReassignmentsResponse response;
        response.allow_replication_factor_change = message.allow_replication_factor_change;
        const Result<ControllerReply> reply =
            broker.controller().submit(task, command, deadline_in(broker.runtime(), message.timeout_ms));
        if (!reply || reply->items.size() != command.partitions.size()) {
          response.error_code = reply ? ErrorCode::kUnknownServerError : error_of_submit(reply.error());
          response.error_message = reply ? "the controller's answer does not fit the request" : reply.error().message;
          return response;
        }
        size_t next = 0;
        for (const auto& topic : message.topics) {
          auto& topic_out = response.responses.emplace_back();
          topic_out.name = topic.name;
          for (const auto& partition : topic.partitions) {
            const ItemReply& item = reply->items[next++];
            auto& out = topic_out.partitions.emplace_back();
            out.partition_index = partition.partition_index;
            out.error_code = item.error;
            if (item.error != ErrorCode::kNone) out.error_message = item.message;
          }
        }
        return response;
      });
}

Outcome<protocol::ListPartitionReassignmentsResponse> list_partition_reassignments(
    const Request& request, const protocol::ListPartitionReassignmentsRequest& message) {
  const ClusterImage& image = request.broker.controller().image();
  protocol::ListPartitionReassignmentsResponse response;
  const auto add = [&](const TopicRecord& topic, const std::vector<int32_t>* only) {
    protocol::ListPartitionReassignmentsResponse::Topic out;
    out.name = topic.name;
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      const auto index = static_cast<int32_t>(p);
      if (!topic.partitions[p].moving()) continue;
      if (only != nullptr && std::find(only->begin(), only->end(), index) == only->end()) continue;
      out.partitions.push_back(describe(index, topic.partitions[p]));
    }
    if (!out.partitions.empty()) response.topics.push_back(std::move(out));
  };
  if (message.topics) {
    for (const auto& asked : *message.topics)
      if (const TopicRecord* topic = image.find_topic(std::string_view(asked.name))) add(*topic, &asked.partition_indexes);
  } else {
    for (const auto& [name, id] : image.names()) add(*image.find_topic(id), nullptr);
  }
  return response;
}

}  // namespace taffrail::handlers
