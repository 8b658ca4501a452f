// DescribeGroups, ConsumerGroupDescribe, ListGroups and DeleteGroups.
#include <algorithm>
#include <cctype>

#include "broker/group_requests.h"

namespace taffrail::handlers {
namespace {

using protocol::ConsumerGroupDescribeRequest;
using protocol::ConsumerGroupDescribeResponse;
using protocol::DeleteGroupsRequest;
using protocol::DeleteGroupsResponse;
using protocol::DescribeGroupsRequest;
using protocol::DescribeGroupsResponse;
using protocol::ErrorCode;
using protocol::ListGroupsRequest;
using protocol::ListGroupsResponse;

/// Asked about one group, or refused at once.
template <class Part>
struct OneGroup {
  std::shared_ptr<group::Asked> asked;
  Part refused;
};

template <class Response, class Part>
Outcome<Response> gather(std::vector<OneGroup<Part>> all, std::vector<Part> Response::* list) {
  const auto finish = [list](std::vector<OneGroup<Part>>& parts) {
    Response response;
    for (auto& part : parts)
      (response.*list).push_back(part.asked == nullptr ? std::move(part.refused) : std::move(std::get<Part>(part.asked->answer)));
    return response;
  };
  const bool done = std::all_of(all.begin(), all.end(), [](const auto& p) { return p.asked == nullptr || p.asked->done.is_set(); });
  if (done) return finish(all);
  return Outcome<Response>::later([all = std::move(all), finish](Task& task) mutable -> std::optional<Response> {
    for (auto& part : all)
      if (part.asked != nullptr && !part.asked->done.wait(task)) return std::nullopt;
    return finish(all);
  });
}

Outcome<DescribeGroupsResponse> describe_here(const Request& request, DescribeGroupsRequest message) {
  std::vector<OneGroup<DescribeGroupsResponse::Group>> all;
  for (const std::string& id : message.groups) {
    auto& one = all.emplace_back();
    if (group::Service* groups = find_groups(request.broker, id)) {
      one.asked = groups->describe(request.version, id);
    } else {
      one.refused.group_id = id;
      one.refused.error_code = ErrorCode::kNotCoordinator;
    }
  }
  return gather<DescribeGroupsResponse>(std::move(all), &DescribeGroupsResponse::groups);
}

Outcome<ConsumerGroupDescribeResponse> consumer_describe_here(const Request& request, ConsumerGroupDescribeRequest message) {
  std::vector<OneGroup<ConsumerGroupDescribeResponse::DescribedGroup>> all;
  for (const std::string& id : message.group_ids) {
    auto& one = all.emplace_back();
    if (group::Service* groups = find_groups(request.broker, id)) {
      one.asked = groups->consumer_describe(request.version, id);
    } else {
      one.refused.group_id = id;
      one.refused.error_code = ErrorCode::kNotCoordinator;
    }
  }
  return gather<ConsumerGroupDescribeResponse>(std::move(all), &ConsumerGroupDescribeResponse::groups);
}

Outcome<DeleteGroupsResponse> delete_here(const Request& request, DeleteGroupsRequest message) {
  std::vector<OneGroup<DeleteGroupsResponse::Deleted>> all;
  for (const std::string& id : message.groups_names) {
    auto& one = all.emplace_back();
    if (group::Service* groups = find_groups(request.broker, id)) {
      one.asked = groups->remove(request.version, id);
    } else {
      one.refused.group_id = id;
      one.refused.error_code = ErrorCode::kNotCoordinator;
    }
  }
  return gather<DeleteGroupsResponse>(std::move(all), &DeleteGroupsResponse::results);
}

bool holds(const std::vector<std::string>& filter, const std::string& word) {
  const auto same = [&](const std::string& other) {
    return std::equal(word.begin(), word.end(), other.begin(), other.end(), [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    });
  };
  return filter.empty() || std::any_of(filter.begin(), filter.end(), same);
}

Outcome<ListGroupsResponse> list_here(const Request& request, ListGroupsRequest message) {
  ListGroupsResponse response;
  for (group::Service* groups : request.broker.groups()) {
    if (groups->is_opening()) {
      response.groups.clear();
      response.error_code = ErrorCode::kCoordinatorLoadInProgress;
      return response;
    }
    for (auto& group : groups->list().value_or(std::vector<ListGroupsResponse::Group>()))
      if (holds(message.states_filter, group.group_state) && holds(message.types_filter, group.group_type))
        response.groups.push_back(std::move(group));
  }
  return response;
}

}  // namespace

Outcome<DescribeGroupsResponse> describe_groups(const Request& request, DescribeGroupsRequest message) {
  drop_repeated(message.groups, std::identity{});
  std::map<ShardId, DescribeGroupsRequest> parts;
  for (std::string& id : message.groups) parts[shard_of_group(request.broker, id)].groups.push_back(std::move(id));
  if (parts.empty()) return DescribeGroupsResponse{};
  return on_shards_of_groups<DescribeGroupsRequest>(
      request, std::move(parts), &describe_here, [](DescribeGroupsResponse& whole, DescribeGroupsResponse part) {
        std::move(part.groups.begin(), part.groups.end(), std::back_inserter(whole.groups));
      });
}

Outcome<ConsumerGroupDescribeResponse> consumer_group_describe(const Request& request, ConsumerGroupDescribeRequest message) {
  if (!serves_consumer_groups(request.broker)) {
    ConsumerGroupDescribeResponse response;
    for (std::string& id : message.group_ids) {
      auto& group = response.groups.emplace_back();
      group.group_id = std::move(id);
      group.error_code = ErrorCode::kUnsupportedVersion;
    }
    return response;
  }
  drop_repeated(message.group_ids, std::identity{});
  std::map<ShardId, ConsumerGroupDescribeRequest> parts;
  for (std::string& id : message.group_ids) parts[shard_of_group(request.broker, id)].group_ids.push_back(std::move(id));
  if (parts.empty()) return ConsumerGroupDescribeResponse{};
  return on_shards_of_groups<ConsumerGroupDescribeRequest>(
      request, std::move(parts), &consumer_describe_here, [](ConsumerGroupDescribeResponse& whole, ConsumerGroupDescribeResponse part) {
        std::move(part.groups.begin(), part.groups.end(), std::back_inserter(whole.groups));
      });
}

Outcome<DeleteGroupsResponse> delete_groups(const Request& request, DeleteGroupsRequest message) {
  std::map<ShardId, DeleteGroupsRequest> parts;
  for (std::string& id : message.groups_names) parts[shard_of_group(request.broker, id)].groups_names.push_back(std::move(id));
  if (parts.empty()) return DeleteGroupsResponse{};
  return on_shards_of_groups<DeleteGroupsRequest>(
      request, std::move(parts), &delete_here, [](DeleteGroupsResponse& whole, DeleteGroupsResponse part) {
        std::move(part.results.begin(), part.results.end(), std::back_inserter(whole.results));
      });
}

Outcome<ListGroupsResponse> list_groups(const Request& request, ListGroupsRequest message) {
  std::map<ShardId, ListGroupsRequest> parts;
  for (uint32_t shard = 0; shard < request.broker.runtime().shard_count(); ++shard) parts[ShardId(shard)] = message;
  return on_shards_of_groups<ListGroupsRequest>(
      request, std::move(parts), &list_here, [](ListGroupsResponse& whole, ListGroupsResponse part) {
        if (part.error_code != ErrorCode::kNone) whole.error_code = part.error_code;
        if (whole.error_code != ErrorCode::kNone) whole.groups.clear();
        else std::move(part.groups.begin(), part.groups.end(), std::back_inserter(whole.groups));
      });
}

}  // namespace taffrail::handlers
