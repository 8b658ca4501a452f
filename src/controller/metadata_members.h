// Which brokers vote in group 0.
#pragma once

#include <vector>

#include "consensus/configuration.h"
#include "controller/cluster_image.h"

namespace taffrail {

/// More voters make each change of metadata wait for more disks, and survive more losses: five survive two.
inline constexpr size_t kMetadataVotersMax = 5;

struct MetadataMembers {
  std::vector<ReplicaId> voters;    ///< Sorted.
  std::vector<ReplicaId> learners;  ///< Sorted: every other registered broker.
  bool operator==(const MetadataMembers&) const = default;
};

/// Who shall be a member, by what is registered and who votes now. Pure.
///
/// Voters stay, but for those whose node came back with another disk (its new replica takes the place), and those that
/// were told not to vote, are to lose their replicas, or were unregistered. Of fewer voters fewer may be lost: who is to lose
/// its replicas keeps its vote while one that could have it is away. Who was told to vote does, however many
/// there are. Others are added while there are fewer than kMetadataVotersMax, of those `alive` (sorted), so that the
/// number is odd: of an even number no more may be lost than of one less.
MetadataMembers wanted_metadata_members(const ClusterImage& image, const Configuration& now,
                                        const std::vector<BrokerId>& alive);

}  // namespace taffrail
