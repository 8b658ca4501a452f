// Creating, deleting and widening topics. Each item of a request stands alone: what one may not do does
// not keep the next from being done. Errors and their order are those of Kafka's controller, whose
// texts people search for.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/check.h"
#include "base/plant.h"
#include "controller/decide.h"
#include "controller/placement.h"
#include "controller/setting_keys.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;

// A version 4 UUID, as Kafka's topic ids are. Ids that mean something (zero, group 0) cannot come out.
TopicId new_topic_id(const ClusterImage& image, Random& random) {
  for (;;) {
    TopicId id;
    id.high = random.next();
    id.low = random.next();
    id.high = (id.high & ~uint64_t{0xf000}) | 0x4000;
    id.low = (id.low & ~(uint64_t{3} << 62)) | (uint64_t{1} << 63);
    if (image.find_topic(id) == nullptr) return id;
  }
}

// '.' and '_' make the same metric name, so Kafka lets only one of "a.b" and "a_b" exist.
bool may_collide(std::string_view name) { return name.find_first_of("._") != std::string_view::npos; }
std::string unified(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

struct Refusal {
  ErrorCode error;
  std::string message;
};
template <class T>
using OrRefusal = std::expected<T, Refusal>;

std::unexpected<Refusal> refuse(ErrorCode error, std::string message) {
  return std::unexpected(Refusal{error, std::move(message)});
}
void set_refusal(ItemReply& reply, Refusal refusal) {
  reply.error = refusal.error;
  reply.message = std::move(refusal.message);
}

bool is_alive(const DecisionContext& context, BrokerId id) {
  return std::binary_search(context.alive.begin(), context.alive.end(), id);
}

PartitionRecord partition_on(const std::vector<BrokerId>& brokers, const DecisionContext& context) {
  PartitionRecord partition;
  partition.revision = context.next_index.value;
  partition.replicas.reserve(brokers.size());
  for (const BrokerId id : brokers) partition.replicas.push_back({id, {}});
  return partition;
}

// Where each of its brokers keeps a partition hangs on its topic's id and its number: `partitions` are those from `first` on.
void put_on_disks(const ClusterImage& image, const TopicId& topic, size_t first, std::vector<PartitionRecord>& partitions) {
  for (size_t i = 0; i < partitions.size(); ++i) {
    for (ReplicaId& replica : partitions[i].replicas) {
      const BrokerRecord* broker = image.find_broker(replica.node);
      CHECK(broker != nullptr);
      replica = broker->replica_of({topic, static_cast<int32_t>(first + i)});
    }
  }
}

// Founders that are still starting.
std::ptrdiff_t founders_to_come(const ClusterImage& image, const QuorumView& quorum) {
  return std::count_if(quorum.members.begin(), quorum.members.end(), [&](const QuorumView::Member& member) {
    const BrokerId id = member.replica.node;
    return member.voter && image.find_broker(id) == nullptr && !image.settings().unregistered.contains(id);
  });
}

// Replicas on brokers of our choice.
OrRefusal<std::vector<PartitionRecord>> place(const ClusterImage& image, int32_t count, int16_t replicas,
                                              const DecisionContext& context) {
  std::vector<PlacementBroker> brokers;
  for (const BrokerId id : context.alive)
    if (const BrokerRecord* broker = image.find_broker(id); broker != nullptr && takes_replicas(image, id))
      brokers.push_back({id, broker->rack});
  if (brokers.empty() || static_cast<size_t>(replicas) > brokers.size()) {
    const std::ptrdiff_t to_come = founders_to_come(image, context.quorum);
    return refuse(ErrorCode::kInvalidReplicationFactor,
                  fmt::format("Unable to replicate the partition {} time(s): {} of {} registered broker(s) are alive and take new ones{}.",
                              replicas, brokers.size(), image.brokers().size(),
                              to_come > 0 ? fmt::format("; {} more are still starting", to_come) : ""));
  }
  std::vector<PartitionRecord> out;
  out.reserve(static_cast<size_t>(count));
  for (const auto& chosen : place_replicas(brokers, count, replicas, *context.random))
    out.push_back(partition_on(chosen, context));
  return out;
}

// Replicas on brokers that a person named. `replicas` is what every partition has to have; 0: what the
// first one has.
OrRefusal<std::vector<PartitionRecord>> place_by_hand(const ClusterImage& image,
                                                      std::span<const std::vector<BrokerId>> by_partition,
                                                      size_t replicas, const DecisionContext& context) {
  constexpr auto kError = ErrorCode::kInvalidReplicaAssignment;
  std::vector<PartitionRecord> out;
  for (size_t p = 0; p < by_partition.size(); ++p) {
    const std::vector<BrokerId>& brokers = by_partition[p];
    if (brokers.empty())
      return refuse(kError, "The manual partition assignment includes an empty replica list.");
    std::set<BrokerId> seen;
    for (const BrokerId id : brokers) {
      if (!seen.insert(id).second)
        return refuse(kError, fmt::format("The manual partition assignment includes the broker {} more than once.",
                                          id.value));
      if (image.find_broker(id) == nullptr)
        return refuse(kError, fmt::format("The manual partition assignment includes broker {}, but no such broker "
                                          "is registered.", id.value));
    }
    if (replicas == 0) replicas = brokers.size();
    if (brokers.size() != replicas)
      return refuse(kError, fmt::format("The manual partition assignment includes a partition with {} replica(s), "
                                        "but this is not consistent with previous partitions, which have {} "
                                        "replica(s).", brokers.size(), replicas));
    if (std::none_of(brokers.begin(), brokers.end(), [&](BrokerId id) { return is_alive(context, id); }))
      return refuse(kError, fmt::format("None of the brokers specified in the manual partition assignment for "
                                        "partition {} is alive.", p));
    out.push_back(partition_on(brokers, context));
  }
  return out;
}

OrRefusal<std::vector<PartitionRecord>> partitions_of(const ClusterImage& image, const NewTopic& topic,
                                                      const DecisionContext& context, int64_t budget) {
  constexpr std::string_view kExcessive = "Excessively large number of partitions per request.";
  if (!topic.assignments.empty()) {
    if (topic.replication_factor != -1)
      return refuse(ErrorCode::kInvalidRequest, "A manual partition assignment was specified, but replication "
                                                "factor was not set to -1.");
    if (topic.partition_count != -1)
      return refuse(ErrorCode::kInvalidRequest, "A manual partition assignment was specified, but numPartitions "
                                                "was not set to -1.");
    if (static_cast<int64_t>(topic.assignments.size()) > budget)
      return refuse(ErrorCode::kPolicyViolation, std::string(kExcessive));
    std::vector<std::vector<BrokerId>> by_partition(topic.assignments.size());
    std::set<int32_t> given;
    for (const auto& [partition, brokers] : topic.assignments) {
      if (!given.insert(partition).second)
        return refuse(ErrorCode::kInvalidReplicaAssignment,
                      fmt::format("Found multiple manual partition assignments for partition {}", partition));
      if (partition < 0 || static_cast<size_t>(partition) >= by_partition.size())
        return refuse(ErrorCode::kInvalidReplicaAssignment,
                      "partitions should be a consecutive 0-based integer sequence");
      by_partition[static_cast<size_t>(partition)] = brokers;
    }
    return place_by_hand(image, by_partition, 0, context);
  }

  if (topic.replication_factor < -1 || topic.replication_factor == 0)
    return refuse(ErrorCode::kInvalidReplicationFactor,
                  "Replication factor must be larger than 0, or -1 to use the default value.");
  if (topic.partition_count < -1 || topic.partition_count == 0)
    return refuse(ErrorCode::kInvalidPartitions, "Number of partitions was set to an invalid non-positive value.");
  const int32_t count = topic.partition_count == -1 ? context.default_partitions : topic.partition_count;
  if (count > budget) return refuse(ErrorCode::kPolicyViolation, std::string(kExcessive));
  // Of registered brokers, not of those alive: a topic that is made while a broker restarts would have a
  // copy less for as long as it lives, and nobody would notice.
  // Nor only of those: the first broker of a new cluster serves before the others of its founders have registered.
  const auto staying = std::count_if(image.brokers().begin(), image.brokers().end(),
                                     [&](const auto& broker) { return takes_replicas(image, broker.first); }) +
                       (PLANT("M56") ? 0 : founders_to_come(image, context.quorum));
  const auto replicas = topic.replication_factor == -1
                            ? static_cast<int16_t>(std::clamp<std::ptrdiff_t>(staying, 1, 3))
                            : topic.replication_factor;
  return place(image, count, replicas, context);
}

// Names as the image will have them, for collisions: made only when a name asks for it.
class Names {
 public:
  explicit Names(const ClusterImage& image) : image_(image) {}
  /// The topic that `name` collides with; nothing if it does not.
  std::optional<std::string> colliding(const std::string& name) {
    if (!may_collide(name)) return std::nullopt;
    if (!loaded_) {
      for (const auto& [existing, id] : image_.names())
        if (may_collide(existing)) by_unified_.emplace(unified(existing), existing);
      for (const std::string& added : added_) by_unified_.emplace(unified(added), added);
      loaded_ = true;
    }
    const auto it = by_unified_.find(unified(name));
    if (it == by_unified_.end()) return std::nullopt;
    return it->second;
  }
  void add(const std::string& name) {
    if (!may_collide(name)) return;
    if (loaded_) by_unified_.emplace(unified(name), name);
    else added_.push_back(name);
  }

 private:
  const ClusterImage& image_;
  bool loaded_ = false;
  std::vector<std::string> added_;
  std::map<std::string, std::string> by_unified_;
};

OrRefusal<TopicRecord> create_one(const ClusterImage& image, const NewTopic& topic, Names& names,
                                  const DecisionContext& context, int64_t budget) {
  if (const auto why = bad_topic_name(topic.name)) return refuse(ErrorCode::kInvalidTopicException, *why);
  if (image.find_topic(topic.name) != nullptr)
    return refuse(ErrorCode::kTopicAlreadyExists, fmt::format("Topic '{}' already exists.", topic.name));
  if (const auto other = names.colliding(topic.name))
    return refuse(ErrorCode::kInvalidTopicException,
                  fmt::format("Topic '{}' collides with existing topic: {}", topic.name, *other));

  TopicRecord record;
  record.name = topic.name;
  for (const auto& [name, value] : topic.configs)
    if (!is_retired_topic_config(name)) record.configs.emplace(name, value);
  if (const Result<> checked = check_topic_configs(record.configs, context.limits); !checked)
    return refuse(ErrorCode::kInvalidConfig, checked.error().message);
  auto partitions = partitions_of(image, topic, context, budget);
  if (!partitions) return std::unexpected(std::move(partitions).error());
  record.partitions = std::move(*partitions);
  return record;
}

}  // namespace

std::optional<std::string> bad_topic_name(std::string_view name) {
  constexpr size_t kNameMax = 249;
  if (name.empty()) return "Topic name is invalid: the empty string is not allowed";
  if (name == "." || name == "..")
    return fmt::format("Topic name is invalid: '{}' is not allowed", name);
  if (name.size() > kNameMax)
    return fmt::format("Topic name is invalid: the length of the name, {}, is longer than the max allowed length {}",
                       name.size(), kNameMax);
  const bool legal = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (legal) return std::nullopt;
  return "Topic name is invalid: it contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
}

Decision decide_create_topics(const ClusterImage& image, const CreateTopicsCommand& command,
                              const DecisionContext& context) {
  CHECK(context.random != nullptr && context.default_partitions >= 1);
  std::map<std::string_view, int> mentions;
  for (const NewTopic& topic : command.topics) ++mentions[topic.name];

  Decision out;
  Names names(image);
  int64_t budget = kNewPartitionsMax;
  for (const NewTopic& topic : command.topics) {
    ItemReply& reply = out.reply.items.emplace_back();
    reply.name = topic.name;
    if (mentions[topic.name] > 1) {
      set_refusal(reply, {ErrorCode::kInvalidRequest, "Found multiple entries for this topic."});
      continue;
    }
    OrRefusal<TopicRecord> made = create_one(image, topic, names, context, budget);
    if (!made) {
      set_refusal(reply, std::move(made).error());
      continue;
    }
    budget -= static_cast<int64_t>(made->partitions.size());
    names.add(topic.name);
    reply.partition_count = static_cast<int32_t>(made->partitions.size());
    reply.replication_factor = static_cast<int16_t>(made->partitions.front().replicas.size());
    if (command.validate_only) continue;
    made->id = new_topic_id(image, *context.random);
    put_on_disks(image, made->id, 0, made->partitions);
    reply.topic = made->id;
    out.records.push_back(CreateTopic{std::move(*made)});
  }
  return out;
}

Decision decide_delete_topics(const ClusterImage& image, const DeleteTopicsCommand& command) {
  // Twice the same topic, whether by name, by id or once by each: nobody can say which answer is whose.
  std::map<TopicId, int> mentions;
  const auto find = [&](const DeleteTopicsCommand::Which& which) {
    return which.name ? image.find_topic(*which.name) : image.find_topic(which.id);
  };
  for (const auto& which : command.topics)
    if (const TopicRecord* topic = find(which)) ++mentions[topic->id];

  Decision out;
  for (const auto& which : command.topics) {
    ItemReply& reply = out.reply.items.emplace_back();
    reply.name = which.name.value_or("");
    reply.topic = which.id;
    if (which.name && !which.id.is_zero()) {
      set_refusal(reply, {ErrorCode::kInvalidRequest, "You may not specify both topic name and topic id."});
      continue;
    }
    if (!which.name && which.id.is_zero()) {
      set_refusal(reply, {ErrorCode::kInvalidRequest, "Neither topic name nor id were specified."});
      continue;
    }
    const TopicRecord* topic = find(which);
    if (topic == nullptr) {
      set_refusal(reply, which.name ? Refusal{ErrorCode::kUnknownTopicOrPartition,
                                              "This server does not host this topic-partition."}
                                    : Refusal{ErrorCode::kUnknownTopicId, "This server does not host this topic ID."});
      continue;
    }
    if (mentions[topic->id] > 1) {
      set_refusal(reply, {ErrorCode::kInvalidRequest, which.name ? "Duplicate topic name." : "Duplicate topic id."});
      continue;
    }
    reply.name = topic->name;
    reply.topic = topic->id;
    out.records.push_back(DeleteTopic{topic->id});
  }
  return out;
}

namespace {

OrRefusal<AddPartitions> widen_one(const ClusterImage& image, const CreatePartitionsCommand::Topic& wanted,
                                   const DecisionContext& context, int64_t budget) {
  const TopicRecord* topic = image.find_topic(wanted.name);
  if (topic == nullptr)
    return refuse(ErrorCode::kUnknownTopicOrPartition, "This server does not host this topic-partition.");
  const auto present = static_cast<int32_t>(topic->partitions.size());
  if (wanted.count == present)
    return refuse(ErrorCode::kInvalidPartitions, fmt::format("Topic already has {} partition(s).", present));
  if (wanted.count < present)
    return refuse(ErrorCode::kInvalidPartitions,
                  fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.", wanted.name,
                              present, wanted.count));
  const int32_t added = wanted.count - present;
  if (wanted.assignments && wanted.assignments->size() != static_cast<size_t>(added))
    return refuse(ErrorCode::kInvalidReplicaAssignment,
                  fmt::format("Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                              added, wanted.assignments->size()));
  if (added > budget)
    return refuse(ErrorCode::kPolicyViolation, "Excessively large number of partitions per request.");

  // As many copies as the topic has: a partition with fewer would be its weakest, unnoticed.
  const size_t replicas = topic->partitions.front().replicas.size();
  auto placed = wanted.assignments ? place_by_hand(image, *wanted.assignments, replicas, context)
                                   : place(image, added, static_cast<int16_t>(replicas), context);
  if (!placed) return std::unexpected(std::move(placed).error());
  put_on_disks(image, topic->id, static_cast<size_t>(present), *placed);
  return AddPartitions{topic->id, std::move(*placed)};
}

}  // namespace

Decision decide_create_partitions(const ClusterImage& image, const CreatePartitionsCommand& command,
                                  const DecisionContext& context) {
  CHECK(context.random != nullptr);
  std::map<std::string_view, int> mentions;
  for (const auto& wanted : command.topics) ++mentions[wanted.name];

  Decision out;
  int64_t budget = kNewPartitionsMax;
  for (const auto& wanted : command.topics) {
    ItemReply& reply = out.reply.items.emplace_back();
    reply.name = wanted.name;
    if (mentions[wanted.name] > 1) {
      set_refusal(reply, {ErrorCode::kInvalidRequest, "Duplicate topic name."});
      continue;
    }
    OrRefusal<AddPartitions> made = widen_one(image, wanted, context, budget);
    if (!made) {
      set_refusal(reply, std::move(made).error());
      continue;
    }
    budget -= static_cast<int64_t>(made->partitions.size());
    reply.topic = made->topic;
    reply.partition_count = wanted.count;
    if (!command.validate_only) out.records.push_back(std::move(*made));
  }
  return out;
}

}  // namespace taffrail
