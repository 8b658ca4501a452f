#include "controller/features.h"

#include <algorithm>
#include <array>

namespace taffrail {
namespace {

constexpr std::array<Feature, 1> kFeatures = {{{kGroupVersion, 0, 1, 1}}};

}  // namespace

std::span<const Feature> known_features() { return kFeatures; }

const Feature* find_feature(std::string_view name) {
  const auto it = std::ranges::find(kFeatures, name, &Feature::name);
  return it == kFeatures.end() ? nullptr : &*it;
}

int16_t feature_level(const ClusterImage& image, std::string_view name) {
  const auto& set = image.settings().features;
  if (const auto it = set.find(name); it != set.end()) return it->second;
  const Feature* feature = find_feature(name);
  return feature == nullptr ? int16_t{0} : feature->at_first;
}

}  // namespace taffrail
