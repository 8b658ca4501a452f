// Features whose level a cluster agrees on (KIP-584): ApiVersions tells them, UpdateFeatures changes them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "controller/cluster_image.h"

namespace taffrail {

struct Feature {
  std::string_view name;
  int16_t min;
  int16_t max;
  int16_t at_first;  ///< The level of a cluster in which nobody has changed it.
};

/// What this program can run, sorted by name.
std::span<const Feature> known_features();
const Feature* find_feature(std::string_view name);
/// What the cluster runs; 0, which is not at all, for a feature that nobody knows.
int16_t feature_level(const ClusterImage& image, std::string_view name);

/// Consumer groups whose assignments the coordinator makes (KIP-848), from 1 on.
inline constexpr std::string_view kGroupVersion = "group.version";

}  // namespace taffrail
