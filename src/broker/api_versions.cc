// ApiVersions: what this broker serves, and the features that clients look for.
#include <cctype>

#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

// KIP-511: letters and digits, with '-' and '.' between them.
bool valid_software(const std::string& text) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (text.empty() || !alnum(text.front()) || !alnum(text.back())) return false;
  for (const char c : text)
    if (!alnum(c) && c != '-' && c != '.') return false;
  return true;
}

}  // namespace

Outcome<protocol::ApiVersionsResponse> api_versions(const Request& request, const protocol::ApiVersionsRequest& message) {
  protocol::ApiVersionsResponse response;
  if (request.version >= 3 &&
      (!valid_software(message.client_software_name) || !valid_software(message.client_software_version))) {
    response.error_code = ErrorCode::kInvalidRequest;
    return response;
  }
  // KIP-1242: the client believes to be somewhere else; it starts over from its bootstrap addresses.
  const bool other_cluster = message.cluster_id && *message.cluster_id != request.broker.cluster().text();
  const bool other_node = message.node_id >= 0 && BrokerId(message.node_id) != request.broker.id();
  if (request.version >= 5 && (other_cluster || other_node)) {
    response.error_code = ErrorCode::kRebootstrapRequired;
    return response;
  }
  request.connection.software_name = message.client_software_name;
  request.connection.software_version = message.client_software_version;
  for (const protocol::ApiKey key : served_apis()) {
    const protocol::ApiInfo& api = protocol::api_of(key);
    response.api_keys.push_back({static_cast<int16_t>(key), api.advertised.min, api.advertised.max, {}});
  }
  // Consumer groups are served by every version of this program that says so: there is nothing to finalise first.
  response.supported_features.push_back({"group.version", 0, 1, {}});
  response.finalized_features_epoch = 1;
  response.finalized_features.push_back({"group.version", 1, 1, {}});
  return response;
}

}  // namespace taffrail::handlers
