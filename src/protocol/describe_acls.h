// DescribeAcls: who may do what (KIP-140). Nobody is told here, for no rules are kept; who asks wants to know that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeAclsResponse;

struct DescribeAclsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeAcls,
                            .name = "DescribeAclsRequest",
                            .versions = {1, 3},
                            .flexible_from = 2};
  using Response = DescribeAclsResponse;

  int8_t resource_type_filter = 0;
  std::optional<std::string> resource_name_filter = {};  ///< Null: any.
  int8_t pattern_type_filter = 3;
  std::optional<std::string> principal_filter = {};
  std::optional<std::string> host_filter = {};
  int8_t operation = 0;
  int8_t permission_type = 0;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("resource_type_filter", self.resource_type_filter);
    walk("resource_name_filter", self.resource_name_filter);
    walk("pattern_type_filter", self.pattern_type_filter);
    walk("principal_filter", self.principal_filter);
    walk("host_filter", self.host_filter);
    walk("operation", self.operation);
    walk("permission_type", self.permission_type);
  }
  bool operator==(const DescribeAclsRequest&) const = default;
};

struct DescribeAclsResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeAcls,
                            .name = "DescribeAclsResponse",
                            .versions = {1, 3},
                            .flexible_from = 2};

  struct Acl {
    std::string principal;
    std::string host;
    int8_t operation = 0;
    int8_t permission_type = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("principal", self.principal);
      walk("host", self.host);
      walk("operation", self.operation);
      walk("permission_type", self.permission_type);
    }
    bool operator==(const Acl&) const = default;
  };

  struct Resource {
    int8_t resource_type = 0;
    std::string resource_name;
    int8_t pattern_type = 3;
    std::vector<Acl> acls = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("resource_type", self.resource_type);
      walk("resource_name", self.resource_name);
      walk("pattern_type", self.pattern_type);
      walk("acls", self.acls);
    }
    bool operator==(const Resource&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Resource> resources = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("resources", self.resources);
  }
  bool operator==(const DescribeAclsResponse&) const = default;
};

}  // namespace taffrail::protocol
