// CreateTopics, DeleteTopics and CreatePartitions: to the controller and back.
#include <algorithm>

#include "broker/configs.h"
#include "broker/first_leaders.h"
#include "broker/handlers.h"
#include "broker/quotas.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

/// Partitions that one request makes and deletes, under the quota of its client (KIP-599). Newer versions are refused
/// what is beyond it, item by item; older ones are granted everything, and made to wait.
class Mutations {
 public:
  Mutations(BrokerContext& broker, const ConnectionInfo& connection, bool strictly)
      : broker_(broker), strictly_(strictly),
        limit_(find_quota(broker.controller().image().settings(), QuotaKind::kMutation, connection.client_id)) {}

  /// How many of the items, from the first on, may be done.
  size_t take(Task& task, std::vector<int64_t> partitions) {
    amounts_ = std::move(partitions);
    if (!limit_) return amounts_.size();
    const Quotas::Taken taken = take_quota(task, broker_, *limit_, amounts_, strictly_);
    throttle_ = taken.throttle;
    return taken.count;
  }
  /// What was refused for other reasons, or was only asked, costs nothing.
  void give_back(Task& task, const std::vector<ItemReply>& items, bool all) {
    if (!limit_) return;
    int64_t unused = 0;
    for (size_t i = 0; i < items.size() && i < amounts_.size(); ++i)
      if (all || items[i].error != ErrorCode::kNone) unused += amounts_[i];
    if (unused > 0) throttle_ = take_quota(task, broker_, *limit_, {-unused}).throttle;
  }
  int32_t throttle_ms() const { return static_cast<int32_t>(std::min<int64_t>(throttle_.ms(), INT32_MAX)); }
  static ItemReply refusal(std::string name) {
    return {.error = ErrorCode::kThrottlingQuotaExceeded, .message = "The throttling quota has been exceeded.",
            .name = std::move(name), .topic = {}};
  }

 private:
  BrokerContext& broker_;
  const bool strictly_;
  const std::optional<QuotaLimit> limit_;
  std::vector<int64_t> amounts_;
  Duration throttle_;
};

// Asks for those items of a command that the quota allows; the others are refused.
template <class Command, class Items>
std::vector<ItemReply> submit_within(Task& task, BrokerContext& broker, Mutations& mutations, Command command, Items items,
                                     std::vector<int64_t> partitions, bool only_asked, Instant deadline) {
  auto& list = command.*items;
  const size_t all = list.size();
  const size_t granted = mutations.take(task, std::move(partitions));
  std::vector<ItemReply> out;
  std::vector<std::string> names;
  for (size_t i = granted; i < all; ++i) {
    if constexpr (requires { list[i].id; }) names.push_back(list[i].name.value_or(""));
    else names.push_back(list[i].name);
  }
  list.resize(granted);
  if (granted > 0) out = items_of(broker.controller().submit(task, command, deadline), granted);
  mutations.give_back(task, out, only_asked);
  for (std::string& name : names) out.push_back(Mutations::refusal(std::move(name)));
  return out;
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
      [&broker = request.broker, &connection = request.connection, version = request.version, command = std::move(command),
       message = std::move(message), refused = std::move(refused)](Task& task) {
        const Instant deadline = deadline_in(broker.runtime(), message.timeout_ms);
        Mutations mutations(broker, connection, version >= 6);
        std::vector<int64_t> partitions;
        for (const NewTopic& topic : command.topics) {
          const int32_t asked = topic.partition_count == -1 ? broker.config().default_partitions : topic.partition_count;
          partitions.push_back(topic.assignments.empty() ? std::max<int64_t>(asked, 0) : static_cast<int64_t>(topic.assignments.size()));
        }
        const std::vector<ItemReply> items =
            submit_within(task, broker, mutations, command, &CreateTopicsCommand::topics, std::move(partitions),
                          command.validate_only, deadline);
        std::vector<std::string> made;
        for (size_t i = 0; i < items.size(); ++i)
          if (items[i].error == ErrorCode::kNone && !command.validate_only) made.push_back(command.topics[i].name);
        // Elections take longer than this only where replicas are away.
        await_first_leaders(task, broker, made, std::min(deadline - broker.runtime().now(), Duration(1_s)));
        protocol::CreateTopicsResponse response;
        response.throttle_time_ms = mutations.throttle_ms();
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
      [&broker = request.broker, &connection = request.connection, version = request.version, command = std::move(command),
       timeout_ms = message.timeout_ms](Task& task) {
        Mutations mutations(broker, connection, version >= 5);
        std::vector<int64_t> partitions;
        const ClusterImage& image = broker.controller().image();
        for (const auto& which : command.topics) {
          const TopicRecord* topic = which.name ? image.find_topic(std::string_view(*which.name)) : image.find_topic(which.id);
          partitions.push_back(topic == nullptr ? 0 : static_cast<int64_t>(topic->partitions.size()));
        }
        const auto items = submit_within(task, broker, mutations, command, &DeleteTopicsCommand::topics, std::move(partitions),
                                         /*only_asked=*/false, deadline_in(broker.runtime(), timeout_ms));
        protocol::DeleteTopicsResponse response;
        response.throttle_time_ms = mutations.throttle_ms();
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
      [&broker = request.broker, &connection = request.connection, version = request.version, command = std::move(command),
       timeout_ms = message.timeout_ms](Task& task) {
        Mutations mutations(broker, connection, version >= 3);
        std::vector<int64_t> partitions;
        for (const auto& wanted : command.topics) {
          const TopicRecord* topic = broker.controller().image().find_topic(std::string_view(wanted.name));
          const auto present = topic == nullptr ? wanted.count : static_cast<int32_t>(topic->partitions.size());
          partitions.push_back(std::max<int64_t>(0, int64_t{wanted.count} - present));
        }
        const auto items = submit_within(task, broker, mutations, command, &CreatePartitionsCommand::topics, std::move(partitions),
                                         command.validate_only, deadline_in(broker.runtime(), timeout_ms));
        protocol::CreatePartitionsResponse response;
        response.throttle_time_ms = mutations.throttle_ms();
        for (size_t i = 0; i < items.size(); ++i)
          response.results.push_back({command.topics[i].name, items[i].error, message_of(items[i]), {}});
        return response;
      });
}

}  // namespace taffrail::handlers
