// Which brokers a new partition's replicas go to. Pure, and the same for the same random numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/random.h"

namespace taffrail {

struct PlacementBroker {
  BrokerId id;
  std::optional<std::string> rack;
};

/// Replicas for `partitions` partitions, the preferred leader first.
///
/// Brokers take turns, beginning with a random one, so that leaders differ by at most one between two
/// brokers; followers stand at a distance that grows with every round, so that the load of a broker that
/// fails spreads over all others. If every broker names its rack, each follower goes to a rack that holds
/// the fewest replicas of its partition so far: no two share a rack while racks suffice.
/// `replicas` is 1 to brokers.size(); `brokers` are sorted by id.
std::vector<std::vector<BrokerId>> place_replicas(const std::vector<PlacementBroker>& brokers, int32_t partitions,
                                                  int16_t replicas, Random& random);

}  // namespace taffrail
