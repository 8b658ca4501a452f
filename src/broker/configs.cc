#include "broker/configs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "broker/handlers.h"
#include "controller/setting_keys.h"

namespace taffrail::handlers {

using protocol::ConfigResourceType;
using protocol::ConfigSource;
using protocol::ErrorCode;
using Config = protocol::DescribeConfigsResponse::Config;
using Synonym = protocol::DescribeConfigsResponse::Synonym;

namespace {

protocol::ConfigType wire_type(ConfigType type) { return static_cast<protocol::ConfigType>(type); }

/// A broker's own settings, which need a restart to change.
struct StaticConfig {
  std::string name;
  std::string value;
  ConfigType type;
  const char* doc;
};

std::vector<StaticConfig> static_configs(BrokerContext& broker) {
  const NodeConfig& node = broker.config();
  std::string binds, advertised, protocols;
  for (const auto& [name, listener] : node.listeners) {
    const char* comma = binds.empty() ? "" : ",";
    binds += fmt::format("{}{}://{}", comma, name, listener.bind.text());
    const auto address = address_of(broker, broker.id(), name);
    advertised += fmt::format("{}{}://{}", comma, name, (address ? *address : listener.bind).text());
    protocols += fmt::format("{}{}:PLAINTEXT", comma, name);
  }
  // Between which a group's own may lie.
  const auto least = [](std::string_view key) { return std::to_string(find_setting(group_config_keys(), key)->min); };
  const auto most = [](std::string_view key) { return std::to_string(find_setting(group_config_keys(), key)->max); };
  const auto flag = [](bool b) { return std::string(b ? "true" : "false"); };
  return {
      {"advertised.listeners", advertised, ConfigType::kString, "What clients are told to dial."},
      {"authorizer.class.name", "", ConfigType::kString, "Empty: every client may do everything."},
      {"auto.create.topics.enable", flag(node.auto_create_topics), ConfigType::kBoolean, "Topics are created on first use."},
      {"broker.id", std::to_string(node.id.value), ConfigType::kInt, "The id of this broker."},
      {"broker.rack", node.rack.value_or(""), ConfigType::kString, "Where this broker stands."},
      {"connections.max.idle.ms", std::to_string(node.server.idle_max.ms()), ConfigType::kLong, "A silent connection is closed after this."},
      {"default.replication.factor", std::to_string(node.default_replication_factor), ConfigType::kInt, "Fewer in a cluster of fewer brokers."},
      {"delete.topic.enable", "true", ConfigType::kBoolean, "Topics can be deleted."},
      {"group.consumer.assignment.interval.ms", std::to_string(node.groups.consumer_assignment_interval.ms()), ConfigType::kInt, "Between two assignments of a consumer group, at least."},
      {"group.consumer.assignors", "uniform,range", ConfigType::kList, "What consumer groups may be assigned by; the first is what they get."},
      {"group.consumer.heartbeat.interval.ms", std::to_string(node.groups.consumer_heartbeat_interval.ms()), ConfigType::kInt, "What members of consumer groups are told."},
      {"group.consumer.max.assignment.interval.ms", most("consumer.assignment.interval.ms"), ConfigType::kInt, "What may be set for one group, at most."},
      {"group.consumer.max.heartbeat.interval.ms", most("consumer.heartbeat.interval.ms"), ConfigType::kInt, "What may be set for one group, at most."},
      {"group.consumer.max.session.timeout.ms", most("consumer.session.timeout.ms"), ConfigType::kInt, "What may be set for one group, at most."},
      {"group.consumer.max.size", std::to_string(node.groups.consumer_size_max), ConfigType::kInt, "Members of one consumer group."},
      {"group.consumer.migration.policy", std::string(group::migration_name(node.groups.consumer_migration)), ConfigType::kString, "Which groups with members turn to the other protocol: classic ones (upgrade), consumer groups (downgrade), both or none."},
      {"group.consumer.min.assignment.interval.ms", least("consumer.assignment.interval.ms"), ConfigType::kInt, "What may be set for one group, at least."},
      {"group.consumer.min.heartbeat.interval.ms", least("consumer.heartbeat.interval.ms"), ConfigType::kInt, "What may be set for one group, at least."},
      {"group.consumer.min.session.timeout.ms", least("consumer.session.timeout.ms"), ConfigType::kInt, "What may be set for one group, at least."},
      {"group.consumer.session.timeout.ms", std::to_string(node.groups.consumer_session_timeout.ms()), ConfigType::kInt, "After which a silent member of a consumer group is out."},
      {"group.initial.rebalance.delay.ms", std::to_string(node.groups.initial_rebalance_delay.ms()), ConfigType::kInt, "How long a new group waits for more members."},
      {"group.max.session.timeout.ms", std::to_string(node.groups.session_timeout_max.ms()), ConfigType::kInt, "The longest session that a member may ask for."},
      {"group.max.size", std::to_string(node.groups.size_max), ConfigType::kInt, "Members of one group."},
      {"group.min.session.timeout.ms", std::to_string(node.groups.session_timeout_min.ms()), ConfigType::kInt, "The shortest session that a member may ask for."},
      {"listener.security.protocol.map", protocols, ConfigType::kString, "Protocol of each listener."},
      {"listeners", binds, ConfigType::kString, "Where this broker listens."},
      {"log.dirs", fmt::format("{}", fmt::join(node.data_dirs, ",")), ConfigType::kString, "The data directories."},
      {"node.id", std::to_string(node.id.value), ConfigType::kInt, "The id of this broker."},
      {"num.partitions", std::to_string(node.default_partitions), ConfigType::kInt, "Of a topic that does not say."},
      {"offset.metadata.max.bytes", std::to_string(node.groups.offset_metadata_max), ConfigType::kInt, "Of the note that comes with a committed offset."},
      {"offsets.commit.timeout.ms", std::to_string(node.groups.commit_timeout.ms()), ConfigType::kInt, "A commit that took longer is answered with an error."},
      {"offsets.retention.check.interval.ms", std::to_string(node.groups.retention_check.ms()), ConfigType::kLong, "Between two looks for offsets that are too old."},
      {"offsets.retention.minutes", std::to_string(node.groups.offsets_retention.ms() / 60'000), ConfigType::kInt, "How long offsets of a group without members are kept."},
      {"offsets.topic.num.partitions", std::to_string(node.groups.offsets_partitions), ConfigType::kInt, "Of the offsets topic, when it is made."},
      {"offsets.topic.replication.factor", std::to_string(node.groups.offsets_replicas), ConfigType::kShort, "Likewise; fewer while fewer brokers have registered."},
      {"queued.max.request.bytes", std::to_string(node.server.memory), ConfigType::kLong, "What requests and answers of all clients may take."},
      {"replica.lag.time.max.ms", std::to_string(node.replica_lag_max.ms()), ConfigType::kLong, "A replica behind for longer is not in sync."},
      {"socket.request.max.bytes", std::to_string(node.server.request_bytes_max), ConfigType::kInt, "A larger request closes the connection."},
  };
}

std::string doc_of(const TopicConfigKey& key) {
  return std::string(key.doc) + (key.acts ? "" : " Kept and described; nothing follows from it yet.");
}

/// What was set of a broker config: for this broker, and for all.
void add_broker_synonyms(BrokerContext& broker, std::string_view name, bool cluster_wide, Config& config) {
  const ClusterImage& image = broker.controller().image();
  const ConfigMap& own = image.settings().configs_of(broker.id());
  if (const auto it = own.find(name); it != own.end() && !cluster_wide)
    config.synonyms.push_back({it->first, it->second, ConfigSource::kDynamicBrokerConfig, {}});
  if (const auto it = image.cluster_configs().find(name); it != image.cluster_configs().end())
    config.synonyms.push_back({it->first, it->second, ConfigSource::kDynamicDefaultBrokerConfig, {}});
}

void take_first_synonym(Config& config) {
  config.value = config.synonyms.front().value;
  config.config_source = config.synonyms.front().source;
}

}  // namespace

std::vector<Config> topic_configs(BrokerContext& broker, const ConfigMap& set) {
  std::vector<Config> out;
  for (const TopicConfigKey& key : topic_config_keys()) {
    Config config;
    config.name = key.name;
    config.config_type = wire_type(key.type);
    config.documentation = doc_of(key);
    if (const auto it = set.find(key.name); it != set.end())
      config.synonyms.push_back({std::string(key.name), it->second, ConfigSource::kTopicConfig, {}});
    if (!key.broker_synonym.empty()) add_broker_synonyms(broker, key.broker_synonym, /*cluster_wide=*/false, config);
    config.synonyms.push_back({std::string(key.broker_synonym.empty() ? key.name : key.broker_synonym),
                               std::string(key.default_value), ConfigSource::kDefaultConfig, {}});
    take_first_synonym(config);
    out.push_back(std::move(config));
  }
  return out;
}

std::vector<Config> group_configs(BrokerContext& broker, const std::string& group) {
  const ConfigMap& set = broker.controller().image().settings().configs_of_group(group);
  std::vector<Config> out;
  for (const TopicConfigKey& key : group_config_keys()) {
    Config config;
    config.name = key.name;
    config.config_type = wire_type(key.type);
    config.documentation = doc_of(key);
    if (const auto it = set.find(key.name); it != set.end())
      config.synonyms.push_back({std::string(key.name), it->second, ConfigSource::kGroupConfig, {}});
    for (StaticConfig& of_broker : static_configs(broker))
      if (of_broker.name == key.broker_synonym)
        config.synonyms.push_back({of_broker.name, std::move(of_broker.value), ConfigSource::kStaticBrokerConfig, {}});
    take_first_synonym(config);
    out.push_back(std::move(config));
  }
  return out;
}

std::vector<Config> broker_configs(BrokerContext& broker, bool cluster_wide) {
  std::vector<Config> out;
  const auto add = [&](const TopicConfigKey& key, std::string_view name) {
    Config config;
    config.name = name;
    add_broker_synonyms(broker, name, cluster_wide, config);
    if (cluster_wide && config.synonyms.empty()) return;
    config.config_type = wire_type(key.type);
    config.documentation = doc_of(key);
    config.synonyms.push_back({config.name, std::string(key.default_value), ConfigSource::kDefaultConfig, {}});
    take_first_synonym(config);
    out.push_back(std::move(config));
  };
  for (const TopicConfigKey& key : topic_config_keys())
    if (!key.broker_synonym.empty()) add(key, key.broker_synonym);
  for (const TopicConfigKey& key : broker_config_keys()) add(key, key.name);
  if (!cluster_wide) {
    for (StaticConfig& config : static_configs(broker)) {
      Config described;
      described.name = config.name;
      described.value = config.value;
      described.read_only = true;
      described.config_source = ConfigSource::kStaticBrokerConfig;
      described.config_type = wire_type(config.type);
      described.documentation = config.doc;
      described.synonyms.push_back({config.name, config.value, ConfigSource::kStaticBrokerConfig, {}});
      out.push_back(std::move(described));
    }
  }
  std::sort(out.begin(), out.end(), [](const Config& a, const Config& b) { return a.name < b.name; });
  out.erase(std::unique(out.begin(), out.end(), [](const Config& a, const Config& b) { return a.name == b.name; }), out.end());
  return out;
}

Outcome<protocol::DescribeConfigsResponse> describe_configs(const Request& request,
                                                            protocol::DescribeConfigsRequest message) {
  BrokerContext& broker = request.broker;
  drop_repeated(message.resources, [](const auto& resource) { return std::pair(resource.resource_type, resource.resource_name); });
  protocol::DescribeConfigsResponse response;
  for (const auto& resource : message.resources) {
    auto& out = response.results.emplace_back();
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    const auto refuse = [&](ErrorCode code, std::string why) {
      out.error_code = code;
      out.error_message = std::move(why);
    };
    if (resource.resource_type == ConfigResourceType::kTopic) {
      const TopicRecord* topic = broker.controller().image().find_topic(std::string_view(resource.resource_name));
      if (topic == nullptr) {
        if (const auto bad = bad_topic_name(resource.resource_name)) {
          refuse(ErrorCode::kInvalidTopicException, *bad);
        } else {
          refuse(ErrorCode::kUnknownTopicOrPartition, "there is no such topic");
        }
        continue;
      }
      out.configs = topic_configs(broker, topic->configs);
    } else if (resource.resource_type == ConfigResourceType::kBroker) {
      const bool cluster_wide = resource.resource_name.empty();
      if (!cluster_wide && resource.resource_name != std::to_string(broker.id().value)) {
        refuse(ErrorCode::kInvalidRequest, fmt::format("broker {} describes itself and the cluster; ask broker \"{}\" itself",
                                                       broker.id().value, resource.resource_name));
        continue;
      }
      out.configs = broker_configs(broker, cluster_wide);
    } else if (resource.resource_type == ConfigResourceType::kGroup) {
      if (resource.resource_name.empty()) {
        refuse(ErrorCode::kInvalidRequest, "Default group resources are not allowed.");
        continue;
      }
      out.configs = group_configs(broker, resource.resource_name);
    } else {
      refuse(ErrorCode::kInvalidRequest, "this kind of resource has no configs here");
      continue;
    }
    if (resource.configuration_keys)
      std::erase_if(out.configs, [&](const Config& c) {
        return std::find(resource.configuration_keys->begin(), resource.configuration_keys->end(), c.name) ==
               resource.configuration_keys->end();
      });
    for (Config& config : out.configs) {
      if (!message.include_synonyms) config.synonyms.clear();
      if (!message.include_documentation) config.documentation.reset();
    }
  }
  return response;
}

Outcome<protocol::ListConfigResourcesResponse> list_config_resources(const Request& request,
                                                                     const protocol::ListConfigResourcesRequest& message) {
  using Type = ConfigResourceType;
  const ClusterImage& image = request.broker.controller().image();
  protocol::ListConfigResourcesResponse response;
  std::vector<Type> types = message.resource_types;
  if (types.empty()) types = {Type::kClientMetrics};
  if (request.version >= 1 && message.resource_types.empty())
    types = {Type::kTopic, Type::kBroker, Type::kBrokerLogger, Type::kClientMetrics, Type::kGroup};
  // A kind that is asked for twice is answered once.
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  for (const Type type : types) {
    const auto add = [&](std::string name) { response.config_resources.push_back({std::move(name), type, {}}); };
    switch (type) {
      case Type::kTopic:
        for (const auto& [name, id] : image.names()) add(name);
        break;
      case Type::kBroker:
      case Type::kBrokerLogger:
        for (const auto& [id, broker] : image.brokers()) add(std::to_string(id.value));
        break;
      case Type::kGroup:
        for (const auto& [name, configs] : image.settings().groups) add(name);
        break;
      case Type::kClientMetrics: break;  // Nobody subscribes to any.
      default:
        response.config_resources.clear();
        response.error_code = ErrorCode::kUnsupportedVersion;
        return response;
    }
  }
  return response;
}

namespace {

/// What became of one resource that was to be altered.
template <class Resource, class Response>
void tell(const Resource& resource, const ItemReply& item, Response& response) {
  auto& out = response.responses.emplace_back();
  out.resource_type = resource.resource_type;
  out.resource_name = resource.resource_name;
  out.error_code = item.error;
  out.error_message = message_of(item);
}

}  // namespace

// Replaces everything that was set: the change of each resource begins by forgetting it.
Outcome<protocol::AlterConfigsResponse> alter_configs(const Request& request, protocol::AlterConfigsRequest message) {
  AlterConfigsCommand command;
  command.validate_only = message.validate_only;
  for (const auto& resource : message.resources) {
    auto& out = command.resources.emplace_back();
    out.type = static_cast<int8_t>(resource.resource_type);
    out.name = resource.resource_name;
    out.changes.push_back({{}, AlterConfigsCommand::Op::kDeleteAll, {}});
    for (const auto& config : resource.configs)
      out.changes.push_back({config.name, AlterConfigsCommand::Op::kSet, config.value});
  }
  return Outcome<protocol::AlterConfigsResponse>::later(
      [&broker = request.broker, command = std::move(command), message = std::move(message)](Task& task) {
        protocol::AlterConfigsResponse response;
        const auto items = items_of(broker.controller().submit(task, command, broker.runtime().now() + 30_s), command.resources.size());
        for (size_t i = 0; i < message.resources.size(); ++i) tell(message.resources[i], items[i], response);
        return response;
      });
}

Outcome<protocol::IncrementalAlterConfigsResponse> incremental_alter_configs(
    const Request& request, protocol::IncrementalAlterConfigsRequest message) {
  AlterConfigsCommand command;
  command.validate_only = message.validate_only;
  // A number that is no operation cannot be told to another broker; its resource is refused here.
  std::vector<bool> sent;
  for (const auto& resource : message.resources) {
    using Op = protocol::AlterConfigOp;
    const bool known = std::all_of(resource.configs.begin(), resource.configs.end(), [](const auto& config) {
      return config.config_operation >= Op::kSet && config.config_operation <= Op::kSubtract;
    });
    sent.push_back(known);
    if (!known) continue;
    auto& out = command.resources.emplace_back();
    out.type = static_cast<int8_t>(resource.resource_type);
    out.name = resource.resource_name;
    for (const auto& config : resource.configs)
      out.changes.push_back({config.name, static_cast<AlterConfigsCommand::Op>(config.config_operation), config.value});
  }
  return Outcome<protocol::IncrementalAlterConfigsResponse>::later(
      [&broker = request.broker, command = std::move(command), message = std::move(message), sent = std::move(sent)](Task& task) {
        protocol::IncrementalAlterConfigsResponse response;
        std::vector<ItemReply> items;
        if (!command.resources.empty())
          items = items_of(broker.controller().submit(task, command, broker.runtime().now() + 30_s), command.resources.size());
        const ItemReply unknown{.error = ErrorCode::kInvalidRequest, .message = "Unknown operation type.", .name = {}, .topic = {}};
        size_t next = 0;
        for (size_t i = 0; i < message.resources.size(); ++i)
          tell(message.resources[i], sent[i] ? items[next++] : unknown, response);
        return response;
      });
}

}  // namespace taffrail::handlers
