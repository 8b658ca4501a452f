// DescribeClientQuotas and AlterClientQuotas: from the image, and to the controller and back. DescribeAcls and
// DescribeUserScramCredentials: there are none.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::DescribeClientQuotasRequest;
using protocol::DescribeClientQuotasResponse;
using protocol::ErrorCode;
using protocol::QuotaMatch;

namespace {

using Component = DescribeClientQuotasRequest::Component;

/// Why a filter cannot be; nothing if it can.
std::optional<std::pair<ErrorCode, std::string>> bad_filter(const DescribeClientQuotasRequest& message) {
  using Refusal = std::pair<ErrorCode, std::string>;
  std::set<std::string_view> types;
  for (const Component& component : message.components) {
    const std::string& type = component.entity_type;
    if (type.empty()) return Refusal{ErrorCode::kInvalidRequest, "Unexpected empty filter component entity type"};
    if (type != "user" && type != "client-id" && type != "ip")
      return Refusal{ErrorCode::kUnsupportedVersion, fmt::format("Custom entity type '{}' not supported", type)};
    if (!types.insert(type).second)
      return Refusal{ErrorCode::kInvalidRequest, fmt::format("Duplicate filter component entity type '{}'", type)};
    if (component.match_type < QuotaMatch::kExact || component.match_type > QuotaMatch::kAny)
      return Refusal{ErrorCode::kInvalidRequest, fmt::format("Unexpected match type {}", static_cast<int>(component.match_type))};
    if ((component.match_type == QuotaMatch::kExact) != component.match.has_value())
      return Refusal{ErrorCode::kInvalidRequest, "A match goes with an exact match type, and with no other"};
  }
  if (types.contains("ip") && types.size() > 1)
    return Refusal{ErrorCode::kInvalidRequest, "Invalid entity filter component combination, IP filter component should not be "
                                               "used with user or clientId filter component."};
  return std::nullopt;
}

bool matches(const DescribeClientQuotasRequest& message, const QuotaEntity& entity) {
  if (message.strict && entity.size() != message.components.size()) return false;
  return std::all_of(message.components.begin(), message.components.end(), [&](const Component& component) {
    const auto part = entity.find(component.entity_type);
    if (part == entity.end()) return false;
    if (component.match_type == QuotaMatch::kAny) return true;
    return part->second == component.match;  // The default one has no name.
  });
}

}  // namespace

Outcome<DescribeClientQuotasResponse> describe_client_quotas(const Request& request, const DescribeClientQuotasRequest& message) {
  DescribeClientQuotasResponse response;
  if (const auto bad = bad_filter(message)) {
    response.error_code = bad->first;
    response.error_message = bad->second;
    response.entries.reset();
    return response;
  }
  for (const auto& [entity, values] : request.broker.controller().image().settings().quotas) {
    if (!matches(message, entity)) continue;
    auto& entry = response.entries->emplace_back();
    for (const auto& [type, name] : entity) entry.entity.push_back({type, name, {}});
    for (const auto& [key, value] : values) entry.values.push_back({key, value, {}});
  }
  return response;
}

// Tools that mirror clusters and consoles ask for them, and go on without where they hear this.
Outcome<protocol::DescribeAclsResponse> describe_acls(const Request&, const protocol::DescribeAclsRequest&) {
  protocol::DescribeAclsResponse response;
  response.error_code = ErrorCode::kSecurityDisabled;
  response.error_message = "No Authorizer is configured.";
  return response;
}

Outcome<protocol::DescribeUserScramCredentialsResponse> describe_user_scram_credentials(
    const Request&, const protocol::DescribeUserScramCredentialsRequest& message) {
  protocol::DescribeUserScramCredentialsResponse response;
  if (!message.users) return response;
  std::map<std::string, int> mentions;
  for (const auto& user : *message.users) ++mentions[user.name];
  for (const auto& [name, times] : mentions) {
    auto& out = response.results.emplace_back();
    out.user = name;
    out.error_code = times == 1 ? ErrorCode::kResourceNotFound : ErrorCode::kDuplicateResource;
    out.error_message = times == 1 ? fmt::format("Attempt to describe a user credential that does not exist: {}", name)
                                   : fmt::format("Cannot describe SCRAM credentials for the same user twice in a single request: {}", name);
  }
  return response;
}

Outcome<protocol::AlterClientQuotasResponse> alter_client_quotas(const Request& request, protocol::AlterClientQuotasRequest message) {
  AlterQuotasCommand command;
  command.validate_only = message.validate_only;
  for (const auto& entry : message.entries) {
    auto& out = command.entries.emplace_back();
    for (const auto& part : entry.entity) out.entity.push_back({part.entity_type, part.entity_name});
    for (const auto& op : entry.ops) out.changes.push_back({op.key, op.value, op.remove});
  }
  return Outcome<protocol::AlterClientQuotasResponse>::later(
      [&broker = request.broker, command = std::move(command)](Task& task) {
        protocol::AlterClientQuotasResponse response;
        const auto items = items_of(broker.controller().submit(task, command, broker.runtime().now() + 30_s), command.entries.size());
        for (size_t i = 0; i < items.size(); ++i) {
          auto& out = response.entries.emplace_back();
          out.error_code = items[i].error;
          out.error_message = message_of(items[i]);
          for (const auto& [type, name] : command.entries[i].entity) out.entity.push_back({type, name, {}});
        }
        return response;
      });
}

}  // namespace taffrail::handlers
