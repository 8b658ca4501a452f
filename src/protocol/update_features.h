// UpdateFeatures: finalises levels of features for the whole cluster (KIP-584).
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

struct UpdateFeaturesResponse;

struct UpdateFeaturesRequest {
  static constexpr Api kApi{.key = ApiKey::kUpdateFeatures,
                            .name = "UpdateFeaturesRequest",
                            .versions = {0, 2},
                            .flexible_from = 0};
  using Response = UpdateFeaturesResponse;

  struct Update {
    std::string feature = {};
    int16_t max_version_level = 0;
    bool allow_downgrade = false;
    FeatureUpgradeType upgrade_type = FeatureUpgradeType::kUpgrade;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("feature", self.feature);
      walk("max_version_level", self.max_version_level);
      walk("allow_downgrade", self.allow_downgrade, until(0));
      walk("upgrade_type", self.upgrade_type, since(1));
    }
    bool operator==(const Update&) const = default;
  };

  int32_t timeout_ms = 60000;
  std::vector<Update> feature_updates = {};
  bool validate_only = false;  ///< Answer what would be, and do nothing.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("timeout_ms", self.timeout_ms);
    walk("feature_updates", self.feature_updates);
    walk("validate_only", self.validate_only, since(1));
  }
  bool operator==(const UpdateFeaturesRequest&) const = default;
};

struct UpdateFeaturesResponse {
  static constexpr Api kApi{.key = ApiKey::kUpdateFeatures,
                            .name = "UpdateFeaturesResponse",
                            .versions = {0, 2},
                            .flexible_from = 0};

  struct Result {
    std::string feature = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("feature", self.feature);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
    }
    bool operator==(const Result&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Result> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("results", self.results, until(1).ignorable());
  }
  bool operator==(const UpdateFeaturesResponse&) const = default;
};

}  // namespace taffrail::protocol
