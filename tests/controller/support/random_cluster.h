// Random metadata from a small world of names and numbers, so that things clash: for laws.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "controller/commands.h"

namespace taffrail {

class RandomCluster {
 public:
  explicit RandomCluster(uint64_t key) : random_(key) {}
  Random& random() { return random_; }
  uint64_t below(uint64_t bound) { return random_.below(bound); }
  bool chance(uint64_t percent) { return random_.chance(percent, 100); }

  /// Of a second data directory.
  static DiskId other_disk(int node) { return DiskId{8, static_cast<uint64_t>(node) + 1}; }
  static DiskId disk(int node) { return DiskId{7, static_cast<uint64_t>(node) + 1}; }

  BrokerRecord broker() {
    BrokerRecord broker;
    const int node = static_cast<int>(below(5));
    broker.replica = {BrokerId(node), disk(chance(95) ? node : node + 10)};
    broker.incarnation = below(3);
    broker.internal = {"n" + std::to_string(node), static_cast<uint16_t>(below(65536))};
    if (chance(70)) broker.listeners["PLAINTEXT"] = {"h", static_cast<uint16_t>(below(65536))};
    if (chance(30)) broker.listeners["INSIDE"] = {"", 1};
    if (chance(60)) broker.rack = "r" + std::to_string(below(3));
    if (chance(20)) broker.more_disks.push_back(other_disk(node));
    return broker;
  }

  std::string topic_name() {
    static constexpr const char* kNames[] = {"a", "b", "a.b", "a_b", "orders", "x.y", "x_y", "bad name", "", ".."};
    return kNames[below(std::size(kNames))];
  }

  TopicId topic_id(const ClusterImage& image) {
    if (image.topics().empty() || chance(10)) return TopicId{below(3), below(4)};
    auto it = image.topics().begin();
    std::advance(it, static_cast<int64_t>(below(image.topics().size())));
    return it->first;
  }

  ConfigMap configs() {
    ConfigMap out;
    if (chance(40)) out["retention.ms"] = std::to_string(static_cast<int64_t>(below(100)) - 3);
    if (chance(20)) out["cleanup.policy"] = chance(80) ? "compact" : "paint";
    if (chance(10)) out["message.format.version"] = "2.8";
    if (chance(10)) out["no.such.key"] = "1";
    return out;
  }

  std::vector<BrokerId> broker_ids() {
    std::vector<BrokerId> out;
    const uint64_t count = below(4);
    for (uint64_t i = 0; i < count; ++i) out.push_back(BrokerId(static_cast<int32_t>(below(6))));
    return out;
  }

  std::vector<PartitionRecord> partitions() {
    std::vector<PartitionRecord> out(below(4));
    for (PartitionRecord& partition : out) {
      for (const BrokerId id : broker_ids()) partition.replicas.push_back({id, chance(85) ? disk(id.value) : other_disk(id.value)});
      partition.revision = static_cast<int64_t>(below(9));
    }
    return out;
  }

  BrokerId broker_id() { return BrokerId(static_cast<int32_t>(below(6))); }

  QuotaEntity quota_entity() {
    QuotaEntity out;
    for (const char* type : {"user", "client-id", "ip", "planet"}) {
      if (!chance(type[0] == 'p' || type[0] == 'i' ? 10 : 50)) continue;
      out[type] = chance(30) ? std::nullopt : std::optional<std::string>(chance(90) ? "someone" : "");
    }
    return out;
  }

  QuotaValues quota_values() {
    QuotaValues out;
    if (chance(60)) out["producer_byte_rate"] = static_cast<double>(below(1000)) / 4;
    if (chance(40)) out["request_percentage"] = 12.5;
    return out;
  }

  ConfigMap broker_configs() {
    static constexpr const char* kRetire[] = {"none", "leaders", "replicas", "all"};
    ConfigMap out;
    if (chance(50)) out["taffrail.retire"] = kRetire[below(4)];
    if (chance(30)) out["log.retention.ms"] = "7";
    return out;
  }

  /// Any record, fitting or not.
  MetadataRecord record(const ClusterImage& image) {
    switch (below(14)) {
      case 8: return UnregisterBroker{broker_id()};
      case 9: {
        SetMetadataVote out{broker_id(), {}};
        if (chance(70)) out.vote = chance(50);
        return out;
      }
      case 10: return SetFeature{chance(90) ? "group.version" : "", static_cast<int16_t>(static_cast<int>(below(3)) - (chance(10) ? 1 : 0))};
      case 11: {
        SetBrokerConfigs out{broker_id(), {}};
        out.configs = broker_configs();
        return out;
      }
      case 12: {
        SetGroupConfigs out{chance(90) ? "g" : "", {}};
        if (chance(70)) out.configs["consumer.session.timeout.ms"] = "50000";
        return out;
      }
      case 13: {
        SetQuotas out{quota_entity(), {}};
        out.values = quota_values();
        return out;
      }
      case 0: return RegisterBroker{broker()};
      case 1: {
        CreateTopic out;
        out.topic.id = TopicId{below(3), below(4)};
        out.topic.name = topic_name();
        out.topic.partitions = partitions();
        out.topic.configs = configs();
        return out;
      }
      case 2: return DeleteTopic{topic_id(image)};
      case 3: {
        AddPartitions out;
        out.topic = topic_id(image);
        out.partitions = partitions();
        return out;
      }
      case 4: {
        SetConfigs out;
        out.topic = chance(30) ? TopicId{} : topic_id(image);
        out.configs = configs();
        return out;
      }
      case 5: {
        MovePartition out;
        out.topic = topic_id(image);
        out.partition = static_cast<int32_t>(below(3));
        for (const BrokerId id : broker_ids())
          if (const BrokerRecord* broker = image.find_broker(id)) out.replicas.push_back(chance(95) ? broker->replica_of({out.topic, out.partition}) : broker->replica);
        return out;
      }
      case 6: {
        FinishMove out;
        out.topic = topic_id(image);
        out.partition = static_cast<int32_t>(below(3));
        const PartitionRecord* partition = image.find_partition({out.topic, out.partition});
        out.revision = partition != nullptr && chance(80) ? partition->revision : static_cast<int64_t>(below(90));
        return out;
      }
      default: {
        AllocateProducerIds out;
        out.broker = BrokerId(static_cast<int32_t>(below(6)));
        out.count = chance(5) ? INT64_MAX : static_cast<int64_t>(below(3000)) - 10;
        return out;
      }
    }
  }

  NewTopic new_topic() {
    NewTopic out;
    out.name = topic_name();
    out.partition_count = static_cast<int32_t>(below(8)) - 2;
    out.replication_factor = static_cast<int16_t>(static_cast<int>(below(6)) - 2);
    if (chance(25)) {
      out.partition_count = chance(90) ? -1 : 1;
      out.replication_factor = chance(90) ? -1 : 1;
      const uint64_t count = below(4);
      for (uint64_t i = 0; i < count; ++i)
        out.assignments.emplace_back(static_cast<int32_t>(chance(90) ? i : below(4)), broker_ids());
    }
    out.configs = configs();
    return out;
  }

  ReplicaId replica_of(const ClusterImage& image) {
    const BrokerId id = broker_id();
    const BrokerRecord* broker = image.find_broker(id);
    return broker != nullptr && chance(80) ? broker->replica : ReplicaId{id, disk(id.value)};
  }

  /// Group 0 with some of the registered, as its leader may see it.
  QuorumView quorum(const ClusterImage& image) {
    QuorumView out;
    for (const auto& [id, broker] : image.brokers()) out.members.push_back({broker.replica, chance(60), 5, 5, 5});
    return out;
  }

  ControllerCommand command(const ClusterImage& image) {
    switch (below(14)) {
      case 9: return DescribeQuorumCommand{};
      case 10: return UnregisterBrokerCommand{broker_id(), chance(50)};
      case 11: {
        UpdateFeaturesCommand out;
        const uint64_t count = 1 + below(2);
        for (uint64_t i = 0; i < count; ++i) {
          UpdateFeaturesCommand::Update update;
          update.name = chance(80) ? "group.version" : "metadata.version";
          update.level = static_cast<int16_t>(static_cast<int>(below(4)) - 1);
          update.type = static_cast<UpdateFeaturesCommand::Type>(1 + below(3));
          out.updates.push_back(std::move(update));
        }
        out.validate_only = chance(10);
        return out;
      }
      case 12: {
        const ReplicaId replica = replica_of(image);
        return ChangeVoterCommand{replica, chance(50)};
      }
      case 13: {
        AlterQuotasCommand out;
        const uint64_t count = below(3);
        for (uint64_t i = 0; i < count; ++i) {
          AlterQuotasCommand::Entry entry;
          for (const auto& [type, name] : quota_entity()) entry.entity.emplace_back(type, name);
          for (const auto& [key, value] : quota_values()) entry.changes.push_back({key, value, false});
          if (chance(20)) entry.changes.push_back({"consumer_byte_rate", 0, chance(80)});
          out.entries.push_back(std::move(entry));
        }
        out.validate_only = chance(10);
        return out;
      }
      case 0:
      case 1: {
        CreateTopicsCommand out;
        const uint64_t count = below(4);
        for (uint64_t i = 0; i < count; ++i) out.topics.push_back(new_topic());
        out.validate_only = chance(10);
        return out;
      }
      case 2: {
        DeleteTopicsCommand out;
        const uint64_t count = below(3);
        for (uint64_t i = 0; i < count; ++i) {
          DeleteTopicsCommand::Which which;
          if (chance(50)) which.name = topic_name();
          if (!which.name || chance(5)) which.id = topic_id(image);
          out.topics.push_back(std::move(which));
        }
        return out;
      }
      case 3: {
        CreatePartitionsCommand out;
        const uint64_t count = below(3);
        for (uint64_t i = 0; i < count; ++i) {
          CreatePartitionsCommand::Topic topic;
          topic.name = topic_name();
          topic.count = static_cast<int32_t>(below(12)) - 1;
          if (chance(30)) topic.assignments = std::vector<std::vector<BrokerId>>{broker_ids()};
          out.topics.push_back(std::move(topic));
        }
        out.validate_only = chance(10);
        return out;
      }
      case 4: return alter_configs();
      case 5: return RegisterBrokerCommand{broker()};
      case 6: {
        MovePartitionsCommand out;
        const uint64_t count = below(3);
        for (uint64_t i = 0; i < count; ++i) {
          MovePartitionsCommand::Partition partition;
          partition.topic = topic_name();
          partition.partition = static_cast<int32_t>(below(4)) - 1;
          if (chance(80)) partition.replicas = broker_ids();
          out.partitions.push_back(std::move(partition));
        }
        out.may_change_count = chance(70);
        return out;
      }
      case 7: {
        FinishMoveCommand out;
        out.topic = topic_id(image);
        out.partition = static_cast<int32_t>(below(3));
        const PartitionRecord* partition = image.find_partition({out.topic, out.partition});
        out.revision = partition != nullptr && chance(80) ? partition->revision : static_cast<int64_t>(below(90));
        return out;
      }
      default: return AllocateProducerIdsCommand{BrokerId(static_cast<int32_t>(below(6)))};
    }
  }

  AlterConfigsCommand alter_configs() {
    static constexpr const char* kKeys[] = {"retention.ms", "cleanup.policy", "log.retention.ms", "nonsense",
                                            "message.format.version", "taffrail.retire", "consumer.session.timeout.ms"};
    static constexpr const char* kValues[] = {"5", "delete", "compact,delete", "x", "", "leaders", "replicas", "45000"};
    AlterConfigsCommand out;
    const uint64_t count = below(3);
    for (uint64_t i = 0; i < count; ++i) {
      AlterConfigsCommand::Resource resource;
      static constexpr int8_t kTypes[] = {2, 2, 4, 4, 8, 32};
      resource.type = kTypes[below(std::size(kTypes))];
      resource.name = resource.type == 2 || chance(10) ? topic_name() : "";
      if (resource.type == 4 && chance(50)) resource.name = std::to_string(below(6));
      if (resource.type == 32 && chance(90)) resource.name = "g";
      const uint64_t changes = below(3);
      for (uint64_t k = 0; k < changes; ++k) {
        AlterConfigsCommand::Change change;
        change.name = kKeys[below(std::size(kKeys))];
        change.op = static_cast<AlterConfigsCommand::Op>(below(4));
        if (chance(90)) change.value = kValues[below(std::size(kValues))];
        resource.changes.push_back(std::move(change));
      }
      out.resources.push_back(std::move(resource));
    }
    out.validate_only = chance(10);
    return out;
  }

  std::vector<BrokerId> alive(const ClusterImage& image) {
    std::vector<BrokerId> out;
    for (const auto& [id, broker] : image.brokers())
      if (chance(85)) out.push_back(id);
    return out;
  }

 private:
  CounterRandom random_;
};

}  // namespace taffrail
