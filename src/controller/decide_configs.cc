// Incremental changes of configs: of a topic, of a broker, of what all brokers share, or of a group.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "controller/decide.h"
#include "controller/setting_keys.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using Change = AlterConfigsCommand::Change;
using Op = AlterConfigsCommand::Op;

// Kafka's numbers of resource types (DescribeConfigs and its kin).
constexpr int8_t kTopicResource = 2;
constexpr int8_t kBrokerResource = 4;
constexpr int8_t kGroupResource = 32;

struct Refusal {
  ErrorCode error;
  std::string message;
};

std::string_view op_name(Op op) {
  switch (op) {
    case Op::kSet: return "SET";
    case Op::kDelete: return "DELETE";
    case Op::kAppend: return "APPEND";
    case Op::kSubtract: return "SUBTRACT";
    case Op::kDeleteAll: return "DELETE ALL";
  }
  return "UNKNOWN";
}

// The list `before` with the elements of `value` appended (those it lacks) or taken out.
std::string changed_list(std::string_view before, std::string_view value, Op op) {
  std::vector<std::string_view> elements = config_list(before);
  for (const std::string_view element : config_list(value)) {
    const auto at = std::find(elements.begin(), elements.end(), element);
    if (op == Op::kAppend && at == elements.end()) elements.push_back(element);
    if (op == Op::kSubtract && at != elements.end()) elements.erase(at);
  }
  std::string out;
  for (const std::string_view element : elements) {
    if (!out.empty()) out += ',';
    out += element;
  }
  return out;
}

// One resource's configs by the names that its kind uses.
struct Kind {
  enum Of : uint8_t { kTopic, kAllBrokers, kOneBroker, kGroup };
  Of of;
  const ConfigMap& cluster;

  const TopicConfigKey* key(std::string_view name) const {
    if (of == kTopic) return find_topic_config_key(name);
    if (of == kGroup) return find_setting(group_config_keys(), name);
    if (const TopicConfigKey* topic = find_topic_config_by_synonym(name)) return topic;
    return of == kAllBrokers && name == kRetireConfig ? nullptr : find_setting(broker_config_keys(), name);
  }
  // What a value that is not set is taken to be, for appending to it.
  std::string_view inherited(const TopicConfigKey& found) const {
    if ((of == kTopic || of == kOneBroker) && !found.broker_synonym.empty())
      if (const auto it = cluster.find(found.broker_synonym); it != cluster.end()) return it->second;
    return found.default_value;
  }
};

std::optional<Refusal> apply_change(ConfigMap& configs, const Change& change, const Kind& kind) {
  if (change.op == Op::kDeleteAll) {
    configs.clear();
    return std::nullopt;
  }
  if (change.op == Op::kDelete) {
    if (const auto it = configs.find(change.name); it != configs.end()) configs.erase(it);
    return std::nullopt;
  }
  if (!change.value)
    return Refusal{ErrorCode::kInvalidRequest,
                   fmt::format("Null value not supported for {}:{}", op_name(change.op), change.name)};
  if (kind.of == Kind::kTopic && is_retired_topic_config(change.name)) return std::nullopt;
  const TopicConfigKey* key = kind.key(change.name);
  if (key == nullptr) {
    if (kind.of == Kind::kTopic)
      return Refusal{ErrorCode::kInvalidConfig, fmt::format("Unknown topic config name: {}", change.name)};
    if (kind.of == Kind::kGroup)
      return Refusal{ErrorCode::kInvalidConfig, fmt::format("Unknown group config name: {}", change.name)};
    return Refusal{ErrorCode::kInvalidRequest,
                   fmt::format("Cannot update these configs dynamically: {}. What may be set while brokers run are the "
                               "defaults of topic configs, and what DescribeConfigs does not show as read only.", change.name)};
  }
  std::string value = *change.value;
  if (change.op != Op::kSet) {
    if (key->type != ConfigType::kList)
      return Refusal{ErrorCode::kInvalidConfig, fmt::format("Can't {} to key {} because its type is not LIST.",
                                                            op_name(change.op), change.name)};
    const auto it = configs.find(change.name);
    value = changed_list(it == configs.end() ? kind.inherited(*key) : std::string_view(it->second), value, change.op);
  }
  configs.insert_or_assign(change.name, std::move(value));
  return std::nullopt;
}

// The whole set, under the names of topic configs and with what is inherited: pairs are checked as they act.
Result<> check(const ConfigMap& configs, const Kind& kind, const TopicConfigLimits& limits) {
  if (kind.of == Kind::kGroup) return check_group_configs(configs);
  if (kind.of == Kind::kTopic) return check_topic_configs(with_cluster_defaults(configs, kind.cluster), limits);
  ConfigMap acting = configs;
  if (kind.of == Kind::kOneBroker) acting.insert(kind.cluster.begin(), kind.cluster.end());
  TRY(check_broker_configs(acting));
  return check_topic_configs(with_cluster_defaults({}, acting), limits);
}

struct Altered {
  std::optional<MetadataRecord> record;  ///< Nothing if the changes change nothing.
  std::optional<Refusal> refusal;
  TopicId topic;
};

/// What a resource's name stands for, and what is set of it now.
struct Target {
  Kind::Of of = Kind::kTopic;
  TopicId topic;
  BrokerId broker = kNoBroker;
  const ConfigMap* before = nullptr;
};

std::expected<Target, Refusal> target_of(const ClusterImage& image, const AlterConfigsCommand::Resource& resource) {
  const auto refused = [](ErrorCode error, std::string message) {
    return std::unexpected(Refusal{error, std::move(message)});
  };
  Target target;
  if (resource.type == kTopicResource) {
    if (resource.name.empty()) return refused(ErrorCode::kInvalidRequest, "Default topic resources are not allowed.");
    const TopicRecord* topic = image.find_topic(resource.name);
    if (topic == nullptr) {
      if (const auto why = bad_topic_name(resource.name)) return refused(ErrorCode::kInvalidTopicException, *why);
      return refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("The topic '{}' does not exist.", resource.name));
    }
    target.topic = topic->id;
    target.before = &topic->configs;
  } else if (resource.type == kGroupResource) {
    if (resource.name.empty()) return refused(ErrorCode::kInvalidRequest, "Default group resources are not allowed.");
    target.of = Kind::kGroup;
    target.before = &image.settings().configs_of_group(resource.name);
  } else if (resource.type != kBrokerResource) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("Unexpected resource type {}.", resource.type));
  } else if (resource.name.empty()) {
    target.of = Kind::kAllBrokers;
    target.before = &image.cluster_configs();
  } else {
    const char* end = resource.name.data() + resource.name.size();
    const auto [stopped, error] = std::from_chars(resource.name.data(), end, target.broker.value);
    if (error != std::errc{} || stopped != end)
      return refused(ErrorCode::kInvalidRequest, "Invalid broker name: it is no number.");
    if (image.find_broker(target.broker) == nullptr)
      return refused(ErrorCode::kBrokerIdNotRegistered, fmt::format("No broker with id {} found.", target.broker.value));
    target.of = Kind::kOneBroker;
    target.before = &image.settings().configs_of(target.broker);
  }
  return target;
}

Altered alter_one(const ClusterImage& image, const AlterConfigsCommand::Resource& resource,
                  const DecisionContext& context) {
  const auto refused = [](ErrorCode error, std::string message) {
    return Altered{std::nullopt, Refusal{error, std::move(message)}, {}};
  };
  std::set<std::string_view> names;
  for (const Change& change : resource.changes)
    if (change.op != Op::kDeleteAll && !names.insert(change.name).second)
      return refused(ErrorCode::kInvalidRequest, fmt::format("Error due to duplicate config keys: {}", change.name));
  const auto target = target_of(image, resource);
  if (!target) return refused(target.error().error, target.error().message);

  const Kind kind{target->of, image.cluster_configs()};
  ConfigMap configs = *target->before;
  for (const Change& change : resource.changes)
    if (auto refusal = apply_change(configs, change, kind))
      return refused(refusal->error, std::move(refusal->message));
  if (configs == *target->before) return Altered{std::nullopt, std::nullopt, target->topic};
  if (const Result<> checked = check(configs, kind, context.limits); !checked) {
    const bool of_brokers = kind.of == Kind::kAllBrokers || kind.of == Kind::kOneBroker;
    return refused(of_brokers ? ErrorCode::kInvalidRequest : ErrorCode::kInvalidConfig, checked.error().message);
  }
  Altered altered{std::nullopt, std::nullopt, target->topic};
  if (target->of == Kind::kOneBroker) altered.record = SetBrokerConfigs{target->broker, std::move(configs)};
  else if (target->of == Kind::kGroup) altered.record = SetGroupConfigs{resource.name, std::move(configs)};
  else altered.record = SetConfigs{target->topic, std::move(configs)};
  return altered;
}

}  // namespace

Decision decide_alter_configs(const ClusterImage& image, const AlterConfigsCommand& command,
                              const DecisionContext& context) {
  std::map<std::pair<int8_t, std::string_view>, int> mentions;
  for (const auto& resource : command.resources) ++mentions[{resource.type, resource.name}];

  Decision out;
  for (const auto& resource : command.resources) {
    ItemReply& reply = out.reply.items.emplace_back();
    reply.name = resource.name;
    if (mentions[{resource.type, resource.name}] > 1) {
      reply.error = ErrorCode::kInvalidRequest;
      reply.message = "Each resource must appear at most once.";
      continue;
    }
    Altered altered = alter_one(image, resource, context);
    reply.topic = altered.topic;
    if (altered.refusal) {
      reply.error = altered.refusal->error;
      reply.message = std::move(altered.refusal->message);
    } else if (altered.record && !command.validate_only) {
      out.records.push_back(std::move(*altered.record));
    }
  }
  return out;
}

}  // namespace taffrail
