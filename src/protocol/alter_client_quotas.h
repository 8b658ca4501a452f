// AlterClientQuotas: sets and removes quotas of entities (KIP-546).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct AlterClientQuotasResponse;

struct AlterClientQuotasRequest {
  static constexpr Api kApi{.key = ApiKey::kAlterClientQuotas,
                            .name = "AlterClientQuotasRequest",
                            .versions = {0, 1},
                            .flexible_from = 1};
  using Response = AlterClientQuotasResponse;

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

  struct Op {
    std::string key = {};
    double value = 0;
    bool remove = false;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("key", self.key);
      walk("value", self.value);
      walk("remove", self.remove);
    }
    bool operator==(const Op&) const = default;
  };

  struct Entry {
    std::vector<Entity> entity = {};
    std::vector<Op> ops = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("entity", self.entity);
      walk("ops", self.ops);
    }
    bool operator==(const Entry&) const = default;
  };

  std::vector<Entry> entries = {};
  bool validate_only = false;  ///< Answer what would be, and do nothing.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("entries", self.entries);
    walk("validate_only", self.validate_only);
  }
  bool operator==(const AlterClientQuotasRequest&) const = default;
};

struct AlterClientQuotasResponse {
  static constexpr Api kApi{.key = ApiKey::kAlterClientQuotas,
                            .name = "AlterClientQuotasResponse",
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

  struct Entry {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    std::vector<Entity> entity = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("entity", self.entity);
    }
    bool operator==(const Entry&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  std::vector<Entry> entries = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("entries", self.entries);
  }
  bool operator==(const AlterClientQuotasResponse&) const = default;
};

}  // namespace taffrail::protocol
