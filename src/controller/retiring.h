// Which replicas leave the brokers that are to be emptied next, and where they go. Pure.
#pragma once

#include <vector>

#include "controller/commands.h"

namespace taffrail {

/// Moves that are under way at once: each reads a whole partition from its leader's disk.
inline constexpr size_t kRetiringMovesMax = 8;

struct RetiringStep {
  MovePartitionsCommand moves;
  /// Partitions that have no place to go: no other broker is alive, stays, and has none of their replicas.
  size_t stuck = 0;
};

/// Of every partition with a replica on a broker that retires with its replicas (controller/setting_keys.h), as many as
/// may move now: to a broker of `alive` (sorted) in a rack that the partition is not in yet, if there is one, and of
/// those to the one with the fewest replicas.
RetiringStep next_retiring_step(const ClusterImage& image, const std::vector<BrokerId>& alive);

}  // namespace taffrail
