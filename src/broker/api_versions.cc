// ApiVersions: what this broker serves, and the features that the cluster runs; UpdateFeatures, which changes those.
#include <cctype>

#include "broker/handlers.h"
#include "controller/features.h"

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
  const ClusterImage& image = request.broker.controller().image();
  for (const Feature& feature : known_features())
    response.supported_features.push_back({std::string(feature.name), feature.min, feature.max, {}});
  response.finalized_features_epoch = image.settings().features_revision;
  for (const Feature& feature : known_features())
    if (const int16_t level = feature_level(image, feature.name); level > 0)
      response.finalized_features.push_back({std::string(feature.name), level, level, {}});
  return response;
}

Outcome<protocol::UpdateFeaturesResponse> update_features(const Request& request, const protocol::UpdateFeaturesRequest& message) {
  using Type = protocol::FeatureUpgradeType;
  UpdateFeaturesCommand command;
  command.validate_only = message.validate_only;
  for (const auto& update : message.feature_updates) {
    Type type = update.upgrade_type;
    if (request.version == 0) type = update.allow_downgrade ? Type::kSafeDowngrade : Type::kUpgrade;
    if (type < Type::kUpgrade || type > Type::kUnsafeDowngrade) {
      protocol::UpdateFeaturesResponse response;
      response.error_code = ErrorCode::kInvalidUpdateVersion;
      response.error_message = "The controller does not support the given upgrade type.";
      return response;
    }
    command.updates.push_back({update.feature, update.max_version_level, static_cast<UpdateFeaturesCommand::Type>(type)});
  }
  return Outcome<protocol::UpdateFeaturesResponse>::later(
      [&broker = request.broker, version = request.version, timeout_ms = message.timeout_ms, command = std::move(command)](Task& task) {
        protocol::UpdateFeaturesResponse response;
        const Result<ControllerReply> reply = broker.controller().submit(task, command, deadline_in(broker.runtime(), timeout_ms));
        if (!reply) {
          response.error_code = error_of_submit(reply.error());
          response.error_message = reply.error().message;
          return response;
        }
        for (const ItemReply& item : reply->items) {
          if (item.error != ErrorCode::kNone) {
            response.error_code = item.error;
            response.error_message = message_of(item);
            response.results.clear();
            return response;
          }
          if (version <= 1) response.results.push_back({item.name, ErrorCode::kNone, {}, {}});
        }
        return response;
      });
}

}  // namespace taffrail::handlers
