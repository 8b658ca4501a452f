#include "client/cluster_admin.h"

#include "client/admin_calls.h"
#include "protocol/delete_records.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/describe_quorum.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/unregister_broker.h"

namespace taffrail::client {

using protocol::ErrorCode;
using calls::again;
using calls::timeout_ms;
using calls::until_settled;
using calls::verdict;

namespace {

// For one that counts as alive and may yet not answer.
constexpr Duration kBrokerPatience = 2_s;

std::string name_of(std::optional<BrokerId> broker) { return broker ? std::to_string(broker->value) : std::string(); }

std::string shown(std::optional<BrokerId> broker) { return broker ? fmt::format("broker {}", broker->value) : "the cluster"; }

}  // namespace

Result<std::vector<BrokerHealth>> ClusterAdmin::brokers(Task& task, Instant deadline) {
  std::vector<BrokerHealth> all = TRY(until_settled(task, cluster_, deadline, [&]() -> Result<std::vector<BrokerHealth>> {
    protocol::DescribeClusterRequest request;
    request.include_fenced_brokers = true;
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    const auto answer = TRY(connection->call(task, request, deadline));
    TRY(verdict(answer, "DescribeCluster"));
    std::vector<BrokerHealth> found;
    for (const auto& b : answer.brokers)
      found.push_back({{b.broker_id, {b.host, static_cast<uint16_t>(b.port)}, b.rack}, !b.is_fenced, "none", {}, {}});
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.broker.id < b.broker.id; });
    return found;
  }));
  // Only a broker itself can say; of one that is away nobody knows.
  for (BrokerHealth& health : all) {
    if (!health.alive) continue;
    cluster_.learn_broker(health.broker.id, health.broker.at, health.broker.rack);
    const Instant patience = std::min(deadline, cluster_.runtime().now() + kBrokerPatience);
    const auto set = configs(task, health.broker.id, patience);
    (void)look_at_disks(task, health, patience);
    if (task.cancelled()) return fail(Errc::kCancelled);
    if (!set) continue;
    for (const ConfigEntry& config : *set)
      if (config.name == "taffrail.retire" && config.value) health.retire = *config.value;
  }
  return all;
}

Result<MetadataQuorum> ClusterAdmin::quorum(Task& task, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<MetadataQuorum> {
    protocol::DescribeQuorumRequest request;
    request.topics.push_back({kMetadataTopic, {{0, {}}}, {}});
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    const auto answer = TRY(connection->call(task, request, deadline));
    TRY(verdict(answer, "the cluster's metadata"));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
      return fail(Errc::kCorrupt, "DescribeQuorum answers something else");
    const auto& partition = answer.topics[0].partitions[0];
    TRY(verdict(partition, "the cluster's metadata"));
    MetadataQuorum quorum{partition.leader_id, partition.leader_epoch, {}};
    const auto add = [&](const auto& replicas, bool voter) {
      for (const auto& r : replicas)
        quorum.members.push_back({r.replica_id, r.replica_directory_id, voter, r.log_end_offset,
                                  std::max<int64_t>(0, partition.high_watermark - r.log_end_offset),
                                  r.last_caught_up_timestamp >= 0});
    };
    add(partition.current_voters, true);
    add(partition.observers, false);
    return quorum;
  });
}

Result<std::vector<ConfigEntry>> ClusterAdmin::configs(Task& task, std::optional<BrokerId> broker, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<std::vector<ConfigEntry>> {
    protocol::DescribeConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = protocol::ConfigResourceType::kBroker;
    resource.resource_name = name_of(broker);
    if (broker && !cluster_.brokers().contains(*broker)) TRY(cluster_.refresh(task, {}, deadline));
    const auto connection =
        TRY(broker ? cluster_.connect(task, *broker, deadline) : cluster_.connect_any(task, deadline));
    const auto answer = TRY(connection->call(task, request, deadline));
    if (answer.results.size() != 1) return fail(Errc::kCorrupt, "DescribeConfigs answers something else");
    TRY(verdict(answer.results[0], shown(broker)));
    std::vector<ConfigEntry> entries;
    for (const auto& c : answer.results[0].configs)
      entries.push_back({c.name, c.value, c.config_source, c.read_only, c.is_sensitive});
    std::sort(entries.begin(), entries.end(), [](const ConfigEntry& a, const ConfigEntry& b) { return a.name < b.name; });
    return entries;
  });
}

Result<> ClusterAdmin::look_at_disks(Task& task, BrokerHealth& health, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    protocol::DescribeLogDirsRequest request;
    request.topics.emplace();
    if (!cluster_.brokers().contains(health.broker.id)) TRY(cluster_.refresh(task, {}, deadline));
    const auto connection = TRY(cluster_.connect(task, health.broker.id, deadline));
    const auto answer = TRY(connection->call(task, request, deadline));
    for (const auto& directory : answer.results) {
      if (directory.error_code == ErrorCode::kKafkaStorageError) health.failed_directories.push_back(directory.log_dir);
      for (const auto& trouble : directory.troubles)
        health.troubles.push_back({{trouble.topic, trouble.partition_index}, trouble.what});
    }
    return {};
  });
}

Result<> ClusterAdmin::alter_configs(Task& task, std::optional<BrokerId> broker,
                                     const std::map<std::string, std::optional<std::string>>& changes, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    protocol::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = protocol::ConfigResourceType::kBroker;
    resource.resource_name = name_of(broker);
    for (const auto& [key, value] : changes) {
      auto& config = resource.configs.emplace_back();
      config.name = key;
      config.config_operation = value ? protocol::AlterConfigOp::kSet : protocol::AlterConfigOp::kDelete;
      config.value = value;
    }
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    const auto answer = TRY(connection->call(task, request, deadline));
    if (answer.responses.size() != 1) return fail(Errc::kCorrupt, "IncrementalAlterConfigs answers something else");
    if (answer.responses[0].error_code == ErrorCode::kBrokerIdNotRegistered)
      return fail(Errc::kNotFound, fmt::format("{} is not registered", shown(broker)));
    return verdict(answer.responses[0], shown(broker));
  });
}

Result<> ClusterAdmin::unregister(Task& task, BrokerId broker, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    const auto answer = TRY(connection->call(task, protocol::UnregisterBrokerRequest{broker, {}}, deadline));
    if (answer.error_code == ErrorCode::kBrokerIdNotRegistered)
      return fail(Errc::kNotFound, fmt::format("broker {} is not registered", broker.value));
    return verdict(answer, shown(broker));
  });
}

Result<Offset> ClusterAdmin::trim(Task& task, const TopicPartition& of, Offset before, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<Offset> {
    const LeaderView leader = TRY(cluster_.leader(task, of, deadline));
    const auto connected = cluster_.connect(task, leader.broker, deadline);
    if (!connected) {
      cluster_.forget_leader(of, leader.epoch);
      return fail(again(connected.error().code), connected.error().message);
    }
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
    auto& topic = request.topics.emplace_back();
    topic.name = of.topic;
    topic.partitions.push_back({of.partition, before, {}});
    const auto answer = TRY((*connected)->call(task, request, deadline));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
      return fail(Errc::kCorrupt, "DeleteRecords answers something else");
    const auto& done = answer.topics[0].partitions[0];
    if (done.error_code == ErrorCode::kNone) return done.low_watermark;
    cluster_.forget_leader(of, leader.epoch);
    if (done.error_code == ErrorCode::kOffsetOutOfRange)
      return fail(Errc::kInvalid, fmt::format("{} does not reach to {}", of.text(), before.value));
    const Error why = kafka_error(done.error_code, of.text());
    return fail(protocol::is_retriable(done.error_code) ? Errc::kUnavailable : why.code, why.message);
  });
}

}  // namespace taffrail::client
