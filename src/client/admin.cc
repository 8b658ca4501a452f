#include "client/admin.h"

#include <algorithm>

#include "client/admin_calls.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/elect_leaders.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/list_offsets.h"

namespace taffrail::client {

using protocol::ErrorCode;
using calls::again;
using calls::timeout_ms;
using calls::until_settled;
using calls::verdict;

template <class Request>
Result<typename Request::Response> Admin::ask(Task& task, const Request& request, Instant deadline) {
  const auto connection = TRY(cluster_.connect_any(task, deadline));
  return connection->call(task, request, deadline);
}

Result<> Admin::move_partition(Task& task, const TopicPartition& of, const std::optional<std::vector<BrokerId>>& to,
                               Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    protocol::AlterPartitionReassignmentsRequest request;
    request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
    request.topics.push_back({of.topic, {{of.partition, to, {}}}, {}});
    const auto answer = TRY(ask(task, request, deadline));
    TRY(verdict(answer, of.text()));
    if (answer.responses.size() != 1 || answer.responses[0].partitions.size() != 1)
      return fail(Errc::kCorrupt, "AlterPartitionReassignments answers something else");
    return verdict(answer.responses[0].partitions[0], of.text());
  });
}

Result<> Admin::elect_preferred(Task& task, const TopicPartition& of, Instant deadline) { return elect(task, of, 0, deadline); }

Result<> Admin::elect_unclean(Task& task, const TopicPartition& of, Instant deadline) { return elect(task, of, 1, deadline); }

// `type`: of ElectLeadersRequest (KIP-460).
Result<> Admin::elect(Task& task, const TopicPartition& of, int8_t type, Instant deadline) {
  protocol::ElectLeadersRequest request;
  request.election_type = type;
  request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
  request.topic_partitions.emplace().push_back({of.topic, {of.partition}, {}});
  const auto answer = TRY(ask(task, request, deadline));
  if (answer.replica_election_results.size() != 1 || answer.replica_election_results[0].partition_result.size() != 1)
    return fail(Errc::kCorrupt, "ElectLeaders answers something else");
  const auto& result = answer.replica_election_results[0].partition_result[0];
  if (result.error_code == ErrorCode::kElectionNotNeeded) return {};
  return verdict(result, of.text());
}

Result<CreatedTopic> Admin::create_topic(Task& task, const NewTopic& topic, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<CreatedTopic> {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
    request.validate_only = topic.validate_only;
    auto& t = request.topics.emplace_back();
    t.name = topic.name;
    t.num_partitions = topic.partitions;
    t.replication_factor = topic.replication_factor;
    for (const auto& [name, value] : topic.configs) {
      auto& config = t.configs.emplace_back();
      config.name = name;
      config.value = value;
    }
    const auto answer = TRY(ask(task, request, deadline));
    if (answer.topics.size() != 1) return fail(Errc::kCorrupt, "CreateTopics answers something else");
    TRY(verdict(answer.topics[0], "topic " + topic.name));
    const auto& made = answer.topics[0];
    return CreatedTopic{made.topic_id, made.num_partitions, made.replication_factor};
  });
}

Result<> Admin::delete_topic(Task& task, const std::string& name, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    const int16_t version = TRY(connection->version_of(protocol::ApiKey::kDeleteTopics));
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
    if (version >= 6) request.topics.emplace_back().name = name;
    else request.topic_names.push_back(name);
    const auto answer = TRY(connection->call(task, request, deadline, version));
    if (answer.responses.size() != 1) return fail(Errc::kCorrupt, "DeleteTopics answers something else");
    return verdict(answer.responses[0], "topic " + name);
  });
}

Result<> Admin::grow_topic(Task& task, const std::string& name, int32_t count, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    protocol::CreatePartitionsRequest request;
    request.timeout_ms = timeout_ms(cluster_.runtime(), deadline);
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.count = count;
    const auto answer = TRY(ask(task, request, deadline));
    if (answer.results.size() != 1) return fail(Errc::kCorrupt, "CreatePartitions answers something else");
    return verdict(answer.results[0], "topic " + name);
  });
}

Result<> Admin::alter_topic(Task& task, const std::string& name,
                            const std::map<std::string, std::optional<std::string>>& changes,
                            Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<> {
    protocol::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = protocol::ConfigResourceType::kTopic;
    resource.resource_name = name;
    for (const auto& [key, value] : changes) {
      auto& config = resource.configs.emplace_back();
      config.name = key;
      config.config_operation =
          value ? protocol::AlterConfigOp::kSet : protocol::AlterConfigOp::kDelete;
      config.value = value;
    }
    const auto answer = TRY(ask(task, request, deadline));
    if (answer.responses.size() != 1)
      return fail(Errc::kCorrupt, "IncrementalAlterConfigs answers something else");
    return verdict(answer.responses[0], "topic " + name);
  });
}

Result<std::vector<ConfigEntry>> Admin::describe_topic(Task& task, const std::string& name,
                                                       Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<std::vector<ConfigEntry>> {
    protocol::DescribeConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = protocol::ConfigResourceType::kTopic;
    resource.resource_name = name;
    const auto answer = TRY(ask(task, request, deadline));
    if (answer.results.size() != 1) return fail(Errc::kCorrupt, "DescribeConfigs answers something else");
    TRY(verdict(answer.results[0], "topic " + name));
    std::vector<ConfigEntry> entries;
    for (const auto& c : answer.results[0].configs)
      entries.push_back({c.name, c.value, c.config_source, c.read_only, c.is_sensitive});
    std::sort(entries.begin(), entries.end(),
              [](const ConfigEntry& a, const ConfigEntry& b) { return a.name < b.name; });
    return entries;
  });
}

Result<ClusterView> Admin::describe_cluster(Task& task, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<ClusterView> {
    const auto answer = TRY(ask(task, protocol::DescribeClusterRequest(), deadline));
    TRY(verdict(answer, "DescribeCluster"));
    ClusterView view{answer.cluster_id, answer.controller_id, {}};
    for (const auto& b : answer.brokers)
      view.brokers.push_back({b.broker_id, {b.host, static_cast<uint16_t>(b.port)}, b.rack});
    std::sort(view.brokers.begin(), view.brokers.end(),
              [](const BrokerView& a, const BrokerView& b) { return a.id < b.id; });
    return view;
  });
}

// One partition may stand in a request once, so begin and end are two questions.
Result<Offset> Admin::find_offset(Task& task, const TopicPartition& of, int64_t what, Instant deadline) {
  return until_settled(task, cluster_, deadline, [&]() -> Result<Offset> {
    const LeaderView leader = TRY(cluster_.leader(task, of, deadline));
    const auto connected = cluster_.connect(task, leader.broker, deadline);
    // Who cannot be reached may not lead any more: the others know.
    if (!connected) {
      cluster_.forget_leader(of, leader.epoch);
      return fail(again(connected.error().code), connected.error().message);
    }
    protocol::ListOffsetsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = of.topic;
    auto& part = topic.partitions.emplace_back();
    part.partition_index = of.partition;
    part.current_leader_epoch = leader.epoch;
    part.timestamp = what;
    const auto answer = (*connected)->call(task, request, deadline);
    if (!answer) {
      cluster_.forget_leader(of, leader.epoch);
      return fail(again(answer.error().code), answer.error().message);
    }
    if (answer->topics.size() != 1 || answer->topics[0].partitions.size() != 1)
      return fail(Errc::kCorrupt, "ListOffsets answers something else");
    const auto& found = answer->topics[0].partitions[0];
    if (found.error_code == ErrorCode::kNone) return found.offset;
    cluster_.forget_leader(of, leader.epoch);
    const Error why = kafka_error(found.error_code, of.text());
    return fail(protocol::is_retriable(found.error_code) ? Errc::kUnavailable : why.code, why.message);
  });
}

Result<OffsetRange> Admin::offsets(Task& task, const TopicPartition& of, Instant deadline) {
  OffsetRange range;
  range.begin = TRY(find_offset(task, of, protocol::ListOffsetsTimestamp::kEarliest, deadline));
  range.end = TRY(find_offset(task, of, protocol::ListOffsetsTimestamp::kLatest, deadline));
  return range;
}

Result<Offset> Admin::offset_at(Task& task, const TopicPartition& of, WallTime time, Instant deadline) {
  const Offset found = TRY(find_offset(task, of, std::max<int64_t>(time.ms, 0), deadline));
  if (found != kNoOffset) return found;
  return find_offset(task, of, protocol::ListOffsetsTimestamp::kLatest, deadline);
}

}  // namespace taffrail::client
