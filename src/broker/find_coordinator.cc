// FindCoordinator: the leader of the group's partition of the offsets topic, which the first question creates. Nobody
// looks after transactions here, and the answer says that.
#include "broker/group_requests.h"
#include "broker/internal_topics.h"

namespace taffrail::handlers {

using protocol::CoordinatorType;
using protocol::ErrorCode;
using protocol::FindCoordinatorRequest;
using protocol::FindCoordinatorResponse;

namespace {

using Coordinator = FindCoordinatorResponse::Coordinator;

Coordinator refused(const std::string& key, ErrorCode why, const char* message) {
  Coordinator out;
  out.key = key;
  out.port = -1;
  out.error_code = why;
  out.error_message = message;
  return out;
}

Coordinator find(BrokerContext& broker, const std::string& listener, CoordinatorType type, const std::string& key) {
  if (type < CoordinatorType::kGroup || type > CoordinatorType::kShare)
    return refused(key, ErrorCode::kInvalidRequest, "there is no such type of coordinator");
  // Clients with assigned partitions pass over this error and ask again later; others would stop them.
  if (type != CoordinatorType::kGroup)
    return refused(key, ErrorCode::kCoordinatorNotAvailable, "this cluster has no coordinators of transactions or share groups");
  const auto partition = coordinator_of(broker, key);
  if (!partition) return refused(key, ErrorCode::kCoordinatorNotAvailable, "the offsets topic does not exist yet");
  const BrokerId leader = leader_of(broker, *partition).first;
  const auto address = leader == kNoBroker ? std::nullopt : address_of(broker, leader, listener);
  if (!address) return refused(key, ErrorCode::kCoordinatorNotAvailable, "the group's partition has no leader that can be reached");
  Coordinator out;
  out.key = key;
  out.node_id = leader;
  out.host = address->host;
  out.port = address->port;
  return out;
}

FindCoordinatorResponse find_all(BrokerContext& broker, const std::string& listener, int16_t version,
                                 const FindCoordinatorRequest& message) {
  FindCoordinatorResponse response;
  if (version < 4) {
    const Coordinator found = find(broker, listener, message.key_type, message.key);
    response.error_code = found.error_code;
    response.error_message = found.error_message;
    response.node_id = found.node_id;
    response.host = found.host;
    response.port = found.port;
    return response;
  }
  for (const std::string& key : message.coordinator_keys) response.coordinators.push_back(find(broker, listener, message.key_type, key));
  return response;
}

bool is_settled(const FindCoordinatorResponse& response) {
  if (response.error_code != ErrorCode::kNone) return false;
  for (const Coordinator& c : response.coordinators)
    if (c.error_code != ErrorCode::kNone) return false;
  return true;
}

}  // namespace

Outcome<FindCoordinatorResponse> find_coordinator(const Request& request, FindCoordinatorRequest message) {
  BrokerContext& broker = request.broker;
  FindCoordinatorResponse response = find_all(broker, request.connection.listener, request.version, message);
  const bool missing = message.key_type == CoordinatorType::kGroup && broker.controller().image().find_topic(kOffsetsTopic) == nullptr;
  if (!missing) return response;
  return Outcome<FindCoordinatorResponse>::later(
      [&broker, listener = request.connection.listener, version = request.version, message = std::move(message)](Task& task) {
        const Instant deadline = broker.runtime().now() + 5_s;
        ensure_offsets_topic(task, broker, deadline);
        // A moment for the first leaders: who is told that there is none waits longer than that.
        FindCoordinatorResponse found = find_all(broker, listener, version, message);
        const Instant until = std::min(deadline, broker.runtime().now() + 1_s);
        while (!is_settled(found) && broker.runtime().now() < until && broker.runtime().sleep_for(task, 10_ms))
          found = find_all(broker, listener, version, message);
        return found;
      });
}

}  // namespace taffrail::handlers
