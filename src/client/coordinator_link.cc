#include "client/coordinator_link.h"

#include "protocol/find_coordinator.h"

namespace taffrail::client {

using protocol::ErrorCode;

Result<FoundCoordinator> find_coordinator(Task& task, Cluster& cluster, const std::string& group, Instant deadline) {
  const auto any = TRY(cluster.connect_any(task, deadline));
  protocol::FindCoordinatorRequest request;
  const int16_t version = TRY(any->version_of(protocol::ApiKey::kFindCoordinator));
  if (version >= 4) request.coordinator_keys = {group};
  else request.key = group;
  const auto answer = TRY(any->call(task, request, deadline, version));
  protocol::FindCoordinatorResponse::Coordinator found;
  if (version >= 4) {
    if (answer.coordinators.size() != 1) return fail(Errc::kCorrupt, "FindCoordinator answers something else");
    found = answer.coordinators[0];
  } else {
    found.node_id = answer.node_id;
    found.host = answer.host;
    found.port = answer.port;
    found.error_code = answer.error_code;
  }
  if (found.error_code != ErrorCode::kNone) return FoundCoordinator{found.error_code, {}, {}};
  if (found.port <= 0 || found.port > UINT16_MAX) return fail(Errc::kCorrupt, "FindCoordinator names no port");
  return FoundCoordinator{ErrorCode::kNone, found.node_id, Endpoint{found.host, static_cast<uint16_t>(found.port)}};
}

void CoordinatorLink::close(Task& task) {
  if (connection_) connection_->close(task);
  connection_.reset();
}

Result<std::shared_ptr<KafkaConnection>> CoordinatorLink::connect(Task& task, Instant deadline) {
  const Mutex::Lock held = TRY(dialing_.lock(task, deadline));
  if (connection_ && connection_->is_open()) return connection_;
  if (connection_) {
    const std::shared_ptr<KafkaConnection> old = std::move(connection_);
    old->close(task);
  }
  const FoundCoordinator found = TRY(find_coordinator(task, cluster_, group_, deadline));
  if (found.error != ErrorCode::kNone) return fail(Errc::kUnavailable, kafka_error(found.error, group_).message);
  connection_ = TRY(KafkaConnection::dial(task, cluster_.runtime(), found.at, cluster_.options().connection, deadline));
  ++dialled_;
  return connection_;
}

bool CoordinatorLink::moved(ErrorCode code) {
  if (code == ErrorCode::kCoordinatorLoadInProgress) return true;
  if (code != ErrorCode::kNotCoordinator && code != ErrorCode::kCoordinatorNotAvailable) return false;
  if (connection_) connection_->shut({Errc::kClosed, "another broker coordinates"});
  return true;
}

}  // namespace taffrail::client
