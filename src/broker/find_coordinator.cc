// FindCoordinator: no broker looks after groups or transactions here, and the answer says that. It is served all the
// same: librdkafka takes this API's presence as the sign of a broker that knows LZ4, and without it sends what it was
// told to compress so without compression.
#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

Outcome<protocol::FindCoordinatorResponse> find_coordinator(const Request& request,
                                                            const protocol::FindCoordinatorRequest& message) {
  // Clients with assigned partitions pass over this error and ask again later; others would stop them.
  constexpr ErrorCode kNobody = ErrorCode::kCoordinatorNotAvailable;
  static constexpr const char* kWhy = "this cluster has no coordinators of groups or transactions";
  protocol::FindCoordinatorResponse response;
  if (request.version < 4) {
    response.error_code = kNobody;
    response.error_message = kWhy;
    return response;
  }
  for (const std::string& key : message.coordinator_keys) {
    auto& coordinator = response.coordinators.emplace_back();
    coordinator.key = key;
    coordinator.error_code = kNobody;
    coordinator.error_message = kWhy;
  }
  return response;
}

}  // namespace taffrail::handlers
