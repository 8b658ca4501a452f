// CreateTopics, DeleteTopics and CreatePartitions: to the controller and back.
#include <algorithm>
#include <map>

#include "broker/configs.h"
#include "broker/first_leaders.h"
#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

/// The reply's items, one for each of `count` things asked; a call that did not get through fails them all.
std::vector<ItemReply> items_of(const Result<ControllerReply>& reply, size_t count) {
  if (reply && reply->items.size() == count) return reply->items;
  ItemReply failed;
  failed.error = reply ? ErrorCode::kUnknownServerError : error_of_submit(reply.error());
  failed.message = reply ? "the controller's answer does not fit the request" : reply.error().message;
  return std::vector<ItemReply>(count, failed);
}

std::optional<std::string> message_of(const ItemReply& item) {
  return item.error == ErrorCode::kNone || item.message.empty() ? std::nullopt : std::optional(item.message);
}

}  // namespace

Outcome<protocol::CreateTopicsResponse> create_topics(const Request& request, protocol::CreateTopicsRequest message) {
  CreateTopicsCommand command;
  command.validate_only = message.validate_only;
  std::vector<std::optional<ItemReply>> refused(message.topics.size());  // The others, in their order, are the command's.
  for (size_t i = 0; i < message.topics.size(); ++i) {
    const auto& topic = message.topics[i];
    NewTopic fresh;
    fresh.name = topic.name;
    fresh.partition_count = topic.num_partitions;
    fresh.replication_factor = topic.replication_factor;
    for (const auto& assignment : topic.assignments)
      fresh.assignments.push_back({assignment.partition_index, assignment.broker_ids});
    for (const auto& config : topic.configs) {
      if (config.value) {
        fresh.configs[config.name] = *config.value;
      } else if (!refused[i]) {
        refused[i] = ItemReply{.error = ErrorCode::kInvalidConfig,
                               .message = "Null value not supported for topic configs: " + config.name, .name = {}, .topic = {}};
      }
    }
    if (!refused[i]) command.topics.push_back(std::move(fresh));
  }
  return Outcome<protocol::CreateTopicsResponse>::later(
      [&broker = request.broker, command = std::move(command), message = std::move(message),
       refused = std::move(refused)](Task& task) {
        std::vector<ItemReply> items;
        const Instant deadline = deadline_in(broker.runtime(), message.timeout_ms);
        if (!command.topics.empty()) items = items_of(broker.controller().submit(task, command, deadline), command.topics.size());
        std::vector<std::string> made;
        for (size_t i = 0; i < items.size(); ++i)
          if (items[i].error == ErrorCode::kNone && !command.validate_only) made.push_back(command.topics[i].name);
        // Elections take longer than this only where replicas are away.
        await_first_leaders(task, broker, made, std::min(deadline - broker.runtime().now(), Duration(1_s)));
        protocol::CreateTopicsResponse response;
        size_t next = 0;
        for (size_t i = 0; i < refused.size(); ++i) {
          auto& out = response.topics.emplace_back();
          out.name = message.topics[i].name;
          const ItemReply& item = refused[i] ? *refused[i] : items[next];
          out.error_code = item.error;
          out.error_message = message_of(item);
          if (refused[i]) continue;
          const ConfigMap& configs = command.topics[next++].configs;
          if (item.error != ErrorCode::kNone) continue;
          out.topic_id = item.topic;
          out.num_partitions = item.partition_count;
          out.replication_factor = item.replication_factor;
          out.configs.emplace();
          for (const auto& config : topic_configs(broker, configs))
            out.configs->push_back({config.name, config.value, config.read_only, config.config_source, config.is_sensitive, {}});
        }
        return response;
      });
}

Outcome<protocol::DeleteTopicsResponse> delete_topics(const Request& request, protocol::DeleteTopicsRequest message) {
  DeleteTopicsCommand command;
  for (const auto& topic : message.topics) command.topics.push_back({topic.name, topic.topic_id});
  for (const std::string& name : message.topic_names) command.topics.push_back({name, {}});
  return Outcome<protocol::DeleteTopicsResponse>::later(
      [&broker = request.broker, command = std::move(command), timeout_ms = message.timeout_ms](Task& task) {
        const auto items = items_of(broker.controller().submit(task, command, deadline_in(broker.runtime(), timeout_ms)),
                                    command.topics.size());
        protocol::DeleteTopicsResponse response;
        for (size_t i = 0; i < items.size(); ++i) {
          auto& out = response.responses.emplace_back();
          out.name = command.topics[i].name;
          if (!out.name && !items[i].name.empty()) out.name = items[i].name;
          out.topic_id = items[i].topic.is_zero() ? command.topics[i].id : items[i].topic;
          out.error_code = items[i].error;
          out.error_message = message_of(items[i]);
        }
        return response;
      });
}

Outcome<protocol::CreatePartitionsResponse> create_partitions(const Request& request, protocol::CreatePartitionsRequest message) {
  CreatePartitionsCommand command;
  command.validate_only = message.validate_only;
  for (const auto& topic : message.topics) {
    auto& out = command.topics.emplace_back();
    out.name = topic.name;
    out.count = topic.count;
    if (!topic.assignments) continue;
    out.assignments.emplace();
    for (const auto& assignment : *topic.assignments) out.assignments->push_back(assignment.broker_ids);
  }
  return Outcome<protocol::CreatePartitionsResponse>::later(
      [&broker = request.broker, command = std::move(command), timeout_ms = message.timeout_ms](Task& task) {
        const auto items = items_of(broker.controller().submit(task, command, deadline_in(broker.runtime(), timeout_ms)),
                                    command.topics.size());
        protocol::CreatePartitionsResponse response;
        for (size_t i = 0; i < items.size(); ++i)
          response.results.push_back({command.topics[i].name, items[i].error, message_of(items[i]), {}});
        return response;
      });
}

}  // namespace taffrail::handlers
