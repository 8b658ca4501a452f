// What members of the classic protocol tell each other in a group of type `consumer`: topics wanted, and partitions given.
// A coordinator looks into it only where such members are to live in one group with those of the newer protocol.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace taffrail::group {

using NamedPartitions = std::map<std::string, std::vector<int32_t>>;

struct Subscription {
  int16_t version = 0;
  std::vector<std::string> topics;
  NamedPartitions owned;  ///< From version 1 on.
  std::optional<std::string> rack;
};

/// Of later versions, too: they only append. Nothing if it is none.
std::optional<Subscription> parse_subscription(ByteView bytes);
/// Empty bytes are no partitions. Nothing if it is none, or if an assignor keeps something of its own in it.
std::optional<NamedPartitions> parse_assignment(ByteView bytes);
/// `version`: of the subscription that it answers.
Slice make_assignment(int16_t version, const NamedPartitions& partitions);

}  // namespace taffrail::group
