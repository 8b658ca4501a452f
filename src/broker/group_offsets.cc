// OffsetCommit, OffsetFetch and OffsetDelete: how far groups have read.
#include <algorithm>

#include "base/plant.h"
#include "broker/group_requests.h"

namespace taffrail::handlers {
namespace {

using protocol::ErrorCode;
using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;
using protocol::OffsetFetchRequest;
using protocol::OffsetFetchResponse;

bool has_partition(const TopicRecord* topic, int32_t partition) {
  return topic != nullptr && partition >= 0 && static_cast<size_t>(partition) < topic->partitions.size();
}

Outcome<OffsetCommitResponse> commit_here(const Request& request, OffsetCommitRequest message) {
  const bool by_id = request.version >= 10;
  group::CommitRequest commit;
  commit.group = message.group_id;
  commit.generation = message.generation_id_or_member_epoch;
  commit.member = message.member_id;
  commit.instance = message.group_instance_id;
  commit.retention_ms = message.retention_time_ms;
  OffsetCommitResponse response;
  for (auto& topic : message.topics) {
    const TopicRecord* record = resolve_topic(request.broker, topic.name, topic.topic_id, by_id);
    auto& topic_out = response.topics.emplace_back();
    topic_out.name = topic.name;
    topic_out.topic_id = topic.topic_id;
    for (auto& partition : topic.partitions) {
      topic_out.partitions.push_back({partition.partition_index, ErrorCode::kNone, {}});
      auto& item = commit.items.emplace_back();
      item.at = {record == nullptr ? topic.name : record->name, partition.partition_index};
      if (!has_partition(record, partition.partition_index))
        item.error = record == nullptr ? unknown_topic(by_id) : ErrorCode::kUnknownTopicOrPartition;
      else
        item.value.topic_id = record->id;
      item.value.offset = partition.committed_offset;
      item.value.leader_epoch = partition.committed_leader_epoch;
      item.value.metadata = std::move(partition.committed_metadata).value_or("");
    }
  }
  auto finish = [response = std::move(response)](const group::OffsetsReply& reply) mutable {
    size_t next = 0;
    for (auto& topic : response.topics)
      for (auto& partition : topic.partitions) {
        partition.error_code = next < reply.items.size() ? reply.items[next] : reply.error;
        ++next;
      }
    return std::move(response);
  };
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) return finish(group::OffsetsReply{ErrorCode::kNotCoordinator, {}});
  return when_answered<OffsetCommitResponse>(groups->commit(request.version, commit), [finish = std::move(finish)](group::Answer& answer) mutable {
    return finish(std::get<group::OffsetsReply>(answer));
  });
}

/// What is asked about one group, and the places of the answer.
struct FetchCall {
  OffsetFetchRequest::Group asked;
  std::shared_ptr<group::Asked> answer;  ///< Null: no coordinator here.
};

OffsetFetchResponse::Group fetched(BrokerContext& broker, int16_t version, FetchCall& call) {
  OffsetFetchResponse::Group out;
  out.group_id = call.asked.group_id;
  group::FetchReply reply;
  reply.error = ErrorCode::kNotCoordinator;
  if (call.answer != nullptr) reply = std::move(std::get<group::FetchReply>(call.answer->answer));
  out.error_code = reply.error;
  if (reply.error != ErrorCode::kNone) return out;
  const bool by_id = version >= 10;
  const auto partition = [](const group::FetchReply::Item& item) {
    OffsetFetchResponse::Group::Topic::Partition p;
    p.partition_index = item.at.partition;
    p.committed_offset = kNoOffset;
    if (!item.value) return p;
    p.committed_offset = item.value->offset;
    p.committed_leader_epoch = item.value->leader_epoch;
    p.metadata = item.value->metadata;
    return p;
  };
  if (!call.asked.topics) {
    for (const auto& item : reply.items) {
      const TopicRecord* record = broker.controller().image().find_topic(std::string_view(item.at.topic));
      if (by_id && record == nullptr) continue;
      if (out.topics.empty() || out.topics.back().name != item.at.topic)
        out.topics.push_back({item.at.topic, record == nullptr ? TopicId{} : record->id, {}, {}});
      out.topics.back().partitions.push_back(partition(item));
    }
    return out;
  }
  size_t next = 0;
  for (const auto& topic : *call.asked.topics) {
    auto& topic_out = out.topics.emplace_back();
    topic_out.name = topic.name;
    topic_out.topic_id = topic.topic_id;
    const bool unknown = by_id && broker.controller().image().find_topic(topic.topic_id) == nullptr;
    for (const int32_t index : topic.partition_indexes) {
      group::FetchReply::Item item{{topic.name, index}, {}};
      if (next < reply.items.size()) item = reply.items[next];
      ++next;
      // Of another topic that had the same name.
      if (by_id && item.value && !item.value->topic_id.is_zero() && item.value->topic_id != topic.topic_id) item.value.reset();
      auto& p = topic_out.partitions.emplace_back(partition(item));
      p.partition_index = index;
      if (unknown) p.error_code = ErrorCode::kUnknownTopicId;
    }
  }
  return out;
}

FetchCall begin_fetch(const Request& request, OffsetFetchRequest::Group asked) {
  group::FetchRequest fetch;
  fetch.group = asked.group_id;
  fetch.member = asked.member_id;
  fetch.epoch = asked.member_epoch;
  auto& wanted = fetch.wanted;
  if (asked.topics) {
    wanted.emplace();
    for (const auto& topic : *asked.topics) {
      const TopicRecord* record = request.version >= 10 ? request.broker.controller().image().find_topic(topic.topic_id) : nullptr;
      for (const int32_t index : topic.partition_indexes) wanted->push_back({record == nullptr ? topic.name : record->name, index});
    }
  }
  FetchCall call{std::move(asked), nullptr};
  if (group::Service* groups = find_groups(request.broker, call.asked.group_id))
    call.answer = groups->fetch(request.version, fetch);
  return call;
}

/// From v8 on; older requests are turned into one of these and back.
Outcome<OffsetFetchResponse> fetch_here(const Request& request, OffsetFetchRequest message) {
  std::vector<FetchCall> calls;
  for (auto& asked : message.groups) calls.push_back(begin_fetch(request, std::move(asked)));
  return Outcome<OffsetFetchResponse>::later([calls = std::move(calls), &broker = request.broker,
                                              version = request.version](Task& task) mutable -> std::optional<OffsetFetchResponse> {
    for (FetchCall& call : calls)
      if (call.answer != nullptr && !call.answer->done.wait(task)) return std::nullopt;
    OffsetFetchResponse response;
    const Instant deadline = broker.runtime().now() + 5_s;
    for (FetchCall& call : calls) {
      // A coordinator that was cut off may not have heard yet that another one coordinates.
      group::Service* groups = call.answer == nullptr ? nullptr : find_groups(broker, call.asked.group_id);
      if (!PLANT("G20") && (groups == nullptr || !groups->confirm(task, deadline))) call.answer = nullptr;
      if (task.cancelled()) return std::nullopt;
      response.groups.push_back(fetched(broker, version, call));
    }
    return response;
  });
}

OffsetFetchResponse as_one_group(OffsetFetchResponse response) {
  OffsetFetchResponse::Group group = std::move(response.groups.at(0));
  response.groups.clear();
  response.error_code = group.error_code;
  for (auto& topic : group.topics) {
    auto& topic_out = response.topics.emplace_back();
    topic_out.name = std::move(topic.name);
    for (auto& p : topic.partitions)
      topic_out.partitions.push_back({p.partition_index, p.committed_offset, p.committed_leader_epoch, std::move(p.metadata),
                                      p.error_code, {}});
  }
  return response;
}

Outcome<protocol::OffsetDeleteResponse> delete_here(const Request& request, protocol::OffsetDeleteRequest message) {
  protocol::OffsetDeleteResponse response;
  if (message.group_id.empty()) {
    response.error_code = ErrorCode::kInvalidGroupId;
    return response;
  }
  group::ForgetRequest forget;
  forget.group = message.group_id;
  for (const auto& topic : message.topics) {
    const TopicRecord* record = resolve_topic(request.broker, topic.name, {}, false);
    auto& topic_out = response.topics.emplace_back();
    topic_out.name = topic.name;
    for (const auto& partition : topic.partitions) {
      topic_out.partitions.push_back({partition.partition_index, ErrorCode::kNone, {}});
      const bool exists = has_partition(record, partition.partition_index);
      forget.items.push_back({{topic.name, partition.partition_index},
                              exists ? ErrorCode::kNone : ErrorCode::kUnknownTopicOrPartition});
    }
  }
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) {
    protocol::OffsetDeleteResponse refused;
    refused.error_code = ErrorCode::kNotCoordinator;
    return refused;
  }
  return when_answered<protocol::OffsetDeleteResponse>(
      groups->forget(request.version, forget), [response = std::move(response)](group::Answer& answer) mutable {
        const auto& reply = std::get<group::OffsetsReply>(answer);
        response.error_code = reply.error;
        if (reply.error != ErrorCode::kNone) response.topics.clear();
        size_t next = 0;
        for (auto& topic : response.topics)
          for (auto& partition : topic.partitions) partition.error_code = reply.items.at(next++);
        return std::move(response);
      });
}

}  // namespace

Outcome<OffsetCommitResponse> offset_commit(const Request& request, OffsetCommitRequest message) {
  return on_shard_of_group(request, std::move(message), &commit_here);
}

Outcome<OffsetFetchResponse> offset_fetch(const Request& request, OffsetFetchRequest message) {
  const bool one = request.version < 8;
  if (one) {
    auto& group = message.groups.emplace_back();
    group.group_id = std::move(message.group_id);
    group.topics.reset();
    // v0 and v1 have no null; an empty list there means none.
    if (message.topics) {
      group.topics.emplace();
      for (auto& topic : *message.topics) group.topics->push_back({std::move(topic.name), {}, std::move(topic.partition_indexes), {}});
    }
    message.group_id.clear();
    message.topics.emplace();
  }
  drop_repeated(message.groups, [](const auto& group) { return group.group_id; });
  for (auto& group : message.groups) {
    if (!group.topics) continue;
    drop_repeated(*group.topics, [](const auto& topic) { return std::pair(topic.name, topic.topic_id); });
    for (auto& topic : *group.topics) drop_repeated(topic.partition_indexes, std::identity{});
  }
  std::map<ShardId, OffsetFetchRequest> parts;
  for (auto& group : message.groups)
    parts[shard_of_group(request.broker, group.group_id)].groups.push_back(std::move(group));
  if (parts.empty()) return OffsetFetchResponse{};
  auto outcome = on_shards_of_groups<OffsetFetchRequest>(
      request, std::move(parts), &fetch_here, [](OffsetFetchResponse& whole, OffsetFetchResponse part) {
        std::move(part.groups.begin(), part.groups.end(), std::back_inserter(whole.groups));
      });
  if (!one) return outcome;
  using Later = Outcome<OffsetFetchResponse>::Later;
  if (auto* now = std::get_if<OffsetFetchResponse>(&outcome.value)) return as_one_group(std::move(*now));
  return Outcome<OffsetFetchResponse>::later(
      [later = std::move(std::get<Later>(outcome.value))](Task& task) mutable -> std::optional<OffsetFetchResponse> {
        std::optional<OffsetFetchResponse> response = later(task);
        if (!response) return std::nullopt;
        return as_one_group(std::move(*response));
      });
}

Outcome<protocol::OffsetDeleteResponse> offset_delete(const Request& request, protocol::OffsetDeleteRequest message) {
  return on_shard_of_group(request, std::move(message), &delete_here);
}

}  // namespace taffrail::handlers
