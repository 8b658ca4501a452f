#include "client/group_admin.h"

#include <fmt/core.h>

#include <algorithm>

#include "client/coordinator_link.h"
#include "protocol/consumer_group_describe.h"
#include "protocol/delete_groups.h"
#include "protocol/describe_groups.h"
#include "protocol/list_groups.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_fetch.h"

namespace taffrail::client {

using protocol::ErrorCode;

namespace {

/// What to do about an answer: nothing, ask the next coordinator, or give up.
Result<> verdict(ErrorCode code, const std::string& group) {
  switch (code) {
    case ErrorCode::kNone: return {};
    case ErrorCode::kCoordinatorLoadInProgress:
    case ErrorCode::kCoordinatorNotAvailable:
    case ErrorCode::kNotCoordinator: return fail(Errc::kUnavailable, kafka_error(code, "group " + group).message);
    case ErrorCode::kGroupIdNotFound: return fail(Errc::kNotFound, fmt::format("there is no group {}", group));
    case ErrorCode::kNonEmptyGroup:
    case ErrorCode::kUnknownMemberId: return fail(Errc::kBusy, fmt::format("group {} has members; stop them first", group));
    default: return std::unexpected(kafka_error(code, "group " + group));
  }
}

Result<GroupDescription> describe_consumers(Task& task, KafkaConnection& connection, const std::string& group, BrokerId coordinator,
                                            Instant deadline) {
  protocol::ConsumerGroupDescribeRequest request;
  request.group_ids = {group};
  const auto answer = TRY(connection.call(task, request, deadline));
  if (answer.groups.size() != 1) return fail(Errc::kCorrupt, "ConsumerGroupDescribe answers something else");
  const auto& found = answer.groups[0];
  TRY(verdict(found.error_code, group));
  GroupDescription out{"consumer", found.group_state, "consumer", found.assignor_name, coordinator, {}};
  for (const auto& m : found.members) {
    auto& member = out.members.emplace_back();
    member.id = m.member_id;
    member.instance = m.instance_id;
    member.client = m.client_id;
    member.host = m.client_host;
    for (const auto& topic : m.assignment.topic_partitions)
      for (const int32_t partition : topic.partitions) member.partitions.push_back({topic.topic_name, partition});
  }
  return out;
}

bool is_passing(Errc code) {
  return code == Errc::kUnavailable || code == Errc::kTimedOut || code == Errc::kClosed || code == Errc::kRefused;
}

}  // namespace

Result<BrokerId> GroupAdmin::find(Task& task, const std::string& group, Instant deadline) {
  const FoundCoordinator found = TRY(find_coordinator(task, cluster_, group, deadline));
  TRY(verdict(found.error, group));
  cluster_.learn_broker(found.node, found.at, std::nullopt);
  return found.node;
}

// Coordinators move, and begin: both are waited out.
template <class Attempt>
auto GroupAdmin::at_coordinator(Task& task, const std::string& group, Instant deadline, Attempt attempt)
    -> decltype(attempt(std::declval<KafkaConnection&>(), BrokerId{})) {
  Backoff pause = cluster_.backoff();
  for (;;) {
    const auto once = [&]() -> decltype(attempt(std::declval<KafkaConnection&>(), BrokerId{})) {
      const BrokerId coordinator = TRY(find(task, group, deadline));
      const auto connection = TRY(cluster_.connect(task, coordinator, deadline));
      return attempt(*connection, coordinator);
    };
    auto result = once();
    if (result) return result;
    const Instant next = cluster_.runtime().now() + pause.next();
    if (!is_passing(result.error().code) || next >= deadline) return result;
    TRY(cluster_.runtime().sleep_until(task, next));
  }
}

Result<std::vector<GroupListing>> GroupAdmin::list(Task& task, Instant deadline) {
  TRY(cluster_.refresh(task, {}, deadline));
  std::vector<BrokerId> brokers;
  for (const auto& [id, view] : cluster_.brokers()) brokers.push_back(id);
  std::vector<GroupListing> all;
  for (const BrokerId broker : brokers) {
    Backoff pause = cluster_.backoff();
    for (;;) {
      const auto asked = [&]() -> Result<protocol::ListGroupsResponse> {
        const auto connection = TRY(cluster_.connect(task, broker, deadline));
        auto answer = TRY(connection->call(task, protocol::ListGroupsRequest(), deadline));
        TRY(verdict(answer.error_code, fmt::format("list of broker {}", broker.value)));
        return answer;
      }();
      if (asked) {
        for (const auto& g : asked->groups) all.push_back({g.group_id, g.protocol_type, g.group_state, g.group_type, broker});
        break;
      }
      const Instant next = cluster_.runtime().now() + pause.next();
      if (!is_passing(asked.error().code) || next >= deadline) return std::unexpected(asked.error());
      TRY(cluster_.runtime().sleep_until(task, next));
    }
  }
  std::sort(all.begin(), all.end(), [](const GroupListing& a, const GroupListing& b) { return a.group < b.group; });
  return all;
}

Result<GroupDescription> GroupAdmin::describe(Task& task, const std::string& group, Instant deadline) {
  return at_coordinator(task, group, deadline, [&](KafkaConnection& connection, BrokerId coordinator) -> Result<GroupDescription> {
    protocol::DescribeGroupsRequest request;
    request.groups = {group};
    const auto answer = TRY(connection.call(task, request, deadline));
    if (answer.groups.size() != 1) return fail(Errc::kCorrupt, "DescribeGroups answers something else");
    const auto& found = answer.groups[0];
    const bool none = found.error_code == ErrorCode::kGroupIdNotFound || found.group_state == "Dead";
    // To this question groups of the other kind are none.
    if (none && connection.version_of(protocol::ApiKey::kConsumerGroupDescribe))
      return describe_consumers(task, connection, group, coordinator, deadline);
    TRY(verdict(found.error_code, group));
    if (found.group_state == "Dead") return fail(Errc::kNotFound, fmt::format("there is no group {}", group));
    GroupDescription out{"classic", found.group_state, found.protocol_type, found.protocol_data, coordinator, {}};
    for (const auto& m : found.members) {
      std::vector<TopicPartition> partitions;
      // What others put there is theirs to understand.
      if (found.protocol_type == "consumer") partitions = decode_assignment(m.member_assignment).value_or(std::vector<TopicPartition>());
      out.members.push_back({m.member_id, m.group_instance_id, m.client_id, m.client_host, std::move(partitions)});
    }
    return out;
  });
}

Result<std::map<TopicPartition, CommittedOffset>> GroupAdmin::committed(Task& task, const std::string& group, Instant deadline) {
  using All = std::map<TopicPartition, CommittedOffset>;
  return at_coordinator(task, group, deadline, [&](KafkaConnection& connection, BrokerId) -> Result<All> {
    const int16_t version = TRY(connection.version_of(protocol::ApiKey::kOffsetFetch, 9));
    All all;
    const auto add = [&](const std::string& topic, const auto& p) {
      if (p.error_code == ErrorCode::kNone && p.committed_offset != kNoOffset)
        all[{topic, p.partition_index}] = {p.committed_offset, p.metadata.value_or("")};
    };
    protocol::OffsetFetchRequest request;
    if (version < 8) {
      request.group_id = group;
      request.topics.reset();
      const auto answer = TRY(connection.call(task, request, deadline, version));
      TRY(verdict(answer.error_code, group));
      for (const auto& topic : answer.topics)
        for (const auto& p : topic.partitions) add(topic.name, p);
      return all;
    }
    request.groups.push_back({group, {}, -1, std::nullopt, {}});
    const auto answer = TRY(connection.call(task, request, deadline, version));
    if (answer.groups.size() != 1) return fail(Errc::kCorrupt, "OffsetFetch answers something else");
    TRY(verdict(answer.groups[0].error_code, group));
    for (const auto& topic : answer.groups[0].topics)
      for (const auto& p : topic.partitions) add(topic.name, p);
    return all;
  });
}

Result<> GroupAdmin::set_offsets(Task& task, const std::string& group, const std::map<TopicPartition, Offset>& offsets,
                                 Instant deadline) {
  return at_coordinator(task, group, deadline, [&](KafkaConnection& connection, BrokerId) -> Result<> {
    protocol::OffsetCommitRequest request;
    request.group_id = group;
    for (const auto& [at, offset] : offsets) {
      if (request.topics.empty() || request.topics.back().name != at.topic) request.topics.emplace_back().name = at.topic;
      auto& p = request.topics.back().partitions.emplace_back();
      p.partition_index = at.partition;
      p.committed_offset = offset;
    }
    const auto answer = TRY(connection.call(task, request, deadline, 9));
    for (const auto& topic : answer.topics)
      for (const auto& p : topic.partitions) TRY(verdict(p.error_code, group));
    return {};
  });
}

Result<> GroupAdmin::remove(Task& task, const std::string& group, Instant deadline) {
  return at_coordinator(task, group, deadline, [&](KafkaConnection& connection, BrokerId) -> Result<> {
    protocol::DeleteGroupsRequest request;
    request.groups_names = {group};
    const auto answer = TRY(connection.call(task, request, deadline));
    if (answer.results.size() != 1) return fail(Errc::kCorrupt, "DeleteGroups answers something else");
    return verdict(answer.results[0].error_code, group);
  });
}

}  // namespace taffrail::client
