// DescribeClientQuotas: what users, client ids and addresses may use (KIP-546).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/enums.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeClientQuotasResponse;

struct DescribeClientQuotasRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeClientQuotas,
                            .name = "DescribeClientQuotasRequest",
                            .versions = {0, 1},
                            .flexible_from = 1};
  using Response = DescribeClientQuotasResponse;

  struct Component {
    std::string entity_type = {};  ///< "user", "client-id" or "ip".
    QuotaMatch match_type = QuotaMatch::kExact;
    std::optional<std::string> match = {};  ///< What to match exactly; null otherwise.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("entity_type", self.entity_type);
      walk("match_type", self.match_type);
      walk("match", self.match);
    }
    bool operator==(const Component&) const = default;
  };

  std::vector<Component> components = {};
  bool strict = false;  ///< Only entities of no other types.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("components", self.components);
    walk("strict", self.strict);
  }
  bool operator==(const DescribeClientQuotasRequest&) const = default;
};

struct DescribeClientQuotasResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeClientQuotas,
                            .name = "DescribeClientQuotasResponse",
                            .versions = {0, 1},
                            .flexible_from = 1};

  struct Entity {
    std::string entity_type = {};
    std::optional<std::string> entity_name = {};  ///< Null: whoever has no quota by name.
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("entity_type", self.entity_type);
      walk("entity_name", self.entity_name);
    }
    bool operator==(const Entity&) const = default;
  };

  struct Value {
    std::string key = {};
    double value = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("key", self.key);
      walk("value", self.value);
    }
    bool operator==(const Value&) const = default;
  };

  struct Entry {
    std::vector<Entity> entity = {};
    std::vector<Value> values = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("entity", self.entity);
      walk("values", self.values);
    }
    bool operator==(const Entry&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::optional<std::vector<Entry>> entries = std::vector<Entry>{};  ///< Null after an error.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("entries", self.entries);
  }
  bool operator==(const DescribeClientQuotasResponse&) const = default;
};

}  // namespace taffrail::protocol
