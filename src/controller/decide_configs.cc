// Incremental changes of configs: of a topic, or of the defaults that all brokers share.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "controller/decide.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using Change = AlterConfigsCommand::Change;
using Op = AlterConfigsCommand::Op;

// Kafka's numbers of resource types (DescribeConfigs and its kin).
constexpr int8_t kTopicResource = 2;
constexpr int8_t kBrokerResource = 4;

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

// One resource's configs by the names that its kind uses: topic keys, or the brokers' synonyms of them.
struct Kind {
  bool topic;
  const ConfigMap& cluster;

  const TopicConfigKey* key(std::string_view name) const {
    return topic ? find_topic_config_key(name) : find_topic_config_by_synonym(name);
  }
  // What a value that is not set is taken to be, for appending to it.
  std::string_view inherited(const TopicConfigKey& found) const {
    if (topic && !found.broker_synonym.empty())
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
  if (kind.topic && is_retired_topic_config(change.name)) return std::nullopt;
  const TopicConfigKey* key = kind.key(change.name);
  if (key == nullptr) {
    if (kind.topic) return Refusal{ErrorCode::kInvalidConfig, fmt::format("Unknown topic config name: {}", change.name)};
    return Refusal{ErrorCode::kInvalidRequest,
                   fmt::format("Cannot update these configs dynamically: {}. What may be set for all brokers are the "
                               "defaults of topic configs.", change.name)};
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
  const ConfigMap nothing;
  return check_topic_configs(kind.topic ? with_cluster_defaults(configs, kind.cluster)
                                         : with_cluster_defaults(nothing, configs), limits);
}

struct Altered {
  std::optional<SetConfigs> record;  ///< Nothing if the changes change nothing.
  std::optional<Refusal> refusal;
  TopicId topic;
};

Altered alter_one(const ClusterImage& image, const AlterConfigsCommand::Resource& resource,
                  const DecisionContext& context) {
  const auto refused = [](ErrorCode error, std::string message) {
    return Altered{std::nullopt, Refusal{error, std::move(message)}, {}};
  };
  std::set<std::string_view> names;
  for (const Change& change : resource.changes)
    if (!names.insert(change.name).second)
      return refused(ErrorCode::kInvalidRequest, fmt::format("Error due to duplicate config keys: {}", change.name));

  const bool is_topic = resource.type == kTopicResource;
  const TopicRecord* topic = nullptr;
  if (is_topic) {
    topic = image.find_topic(resource.name);
    if (topic == nullptr) {
      if (const auto why = bad_topic_name(resource.name)) return refused(ErrorCode::kInvalidTopicException, *why);
      return refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("The topic '{}' does not exist.", resource.name));
    }
  } else if (resource.type != kBrokerResource) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("Unexpected resource type {}.", resource.type));
  } else if (!resource.name.empty()) {
    // Nothing is set for one broker, so it can be taken away: kafka-reassign-partitions does so with its throttles.
    const auto takes_away = [](const Change& change) { return change.op == Op::kDelete; };
    if (std::all_of(resource.changes.begin(), resource.changes.end(), takes_away)) return {};
    return refused(ErrorCode::kInvalidRequest,
                   fmt::format("Configs of one broker ({}) are set in its file; what may change at run time is set "
                               "for all brokers, with an empty name.", resource.name));
  }

  const ConfigMap& before = is_topic ? topic->configs : image.cluster_configs();
  const Kind kind{is_topic, image.cluster_configs()};
  ConfigMap configs = before;
  for (const Change& change : resource.changes)
    if (auto refusal = apply_change(configs, change, kind))
      return refused(refusal->error, std::move(refusal->message));
  const TopicId id = is_topic ? topic->id : TopicId{};
  if (configs == before) return Altered{std::nullopt, std::nullopt, id};
  if (const Result<> checked = check(configs, kind, context.limits); !checked)
    return refused(ErrorCode::kInvalidConfig, checked.error().message);
  return Altered{SetConfigs{id, std::move(configs)}, std::nullopt, id};
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
