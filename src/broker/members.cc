// JoinGroup, SyncGroup, Heartbeat and LeaveGroup, and ConsumerGroupHeartbeat: the life of a member. A join is answered when the phase ends in which
// members join, which may take as long as the slowest of them.
#include "broker/group_requests.h"

namespace taffrail::handlers {
namespace {

using protocol::ErrorCode;

template <class Response>
Response not_coordinator() {
  Response response;
  response.error_code = ErrorCode::kNotCoordinator;
  return response;
}

Outcome<protocol::JoinGroupResponse> join_here(const Request& request, protocol::JoinGroupRequest message) {
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) {
    auto response = not_coordinator<protocol::JoinGroupResponse>();
    response.member_id = message.member_id;
    return response;
  }
  // As Java prints an address, which is what tools show.
  const std::string host = "/" + request.connection.peer.host;
  return when_answered<protocol::JoinGroupResponse>(groups->join(request.version, message, request.connection.client_id, host));
}

Outcome<protocol::SyncGroupResponse> sync_here(const Request& request, protocol::SyncGroupRequest message) {
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) return not_coordinator<protocol::SyncGroupResponse>();
  return when_answered<protocol::SyncGroupResponse>(groups->sync(request.version, message));
}

Outcome<protocol::HeartbeatResponse> heartbeat_here(const Request& request, protocol::HeartbeatRequest message) {
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) return not_coordinator<protocol::HeartbeatResponse>();
  return when_answered<protocol::HeartbeatResponse>(groups->heartbeat(request.version, message));
}

Outcome<protocol::LeaveGroupResponse> leave_here(const Request& request, protocol::LeaveGroupRequest message) {
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) return not_coordinator<protocol::LeaveGroupResponse>();
  return when_answered<protocol::LeaveGroupResponse>(groups->leave(request.version, message));
}

Outcome<protocol::ConsumerGroupHeartbeatResponse> beat_here(const Request& request, protocol::ConsumerGroupHeartbeatRequest message) {
  group::Service* groups = find_groups(request.broker, message.group_id);
  if (groups == nullptr) return not_coordinator<protocol::ConsumerGroupHeartbeatResponse>();
  const std::string host = "/" + request.connection.peer.host;
  return when_answered<protocol::ConsumerGroupHeartbeatResponse>(
      groups->consumer_heartbeat(request.version, message, request.connection.client_id, host));
}

}  // namespace

Outcome<protocol::ConsumerGroupHeartbeatResponse> consumer_group_heartbeat(const Request& request,
                                                                           protocol::ConsumerGroupHeartbeatRequest message) {
  if (!serves_consumer_groups(request.broker)) {
    protocol::ConsumerGroupHeartbeatResponse response;
    response.error_code = ErrorCode::kUnsupportedVersion;
    return response;
  }
  return on_shard_of_group(request, std::move(message), &beat_here);
}

Outcome<protocol::JoinGroupResponse> join_group(const Request& request, protocol::JoinGroupRequest message) {
  return on_shard_of_group(request, std::move(message), &join_here);
}

Outcome<protocol::SyncGroupResponse> sync_group(const Request& request, protocol::SyncGroupRequest message) {
  return on_shard_of_group(request, std::move(message), &sync_here);
}

Outcome<protocol::HeartbeatResponse> heartbeat(const Request& request, protocol::HeartbeatRequest message) {
  return on_shard_of_group(request, std::move(message), &heartbeat_here);
}

Outcome<protocol::LeaveGroupResponse> leave_group(const Request& request, protocol::LeaveGroupRequest message) {
  return on_shard_of_group(request, std::move(message), &leave_here);
}

}  // namespace taffrail::handlers
