#include "controller/metadata_members.h"

#include <algorithm>

namespace taffrail {

MetadataMembers wanted_metadata_members(const ClusterImage& image, const Configuration& now,
                                        const std::vector<BrokerId>& alive) {
  MetadataMembers wanted;
  for (const ReplicaId& voter : now.voters) {
    const BrokerRecord* broker = image.find_broker(voter.node);
    // One that never registered is a founder that is still starting.
    wanted.voters.push_back(broker == nullptr ? voter : broker->replica);
  }
  std::vector<ReplicaId> others;
  for (const auto& [id, broker] : image.brokers())
    if (std::find(wanted.voters.begin(), wanted.voters.end(), broker.replica) == wanted.voters.end())
      others.push_back(broker.replica);

  const size_t most = std::min(kMetadataVotersMax, wanted.voters.size() + others.size());
  const auto is_alive = [&](const ReplicaId& replica) {
    return std::binary_search(alive.begin(), alive.end(), replica.node);
  };
  std::vector<ReplicaId> more;
  std::copy_if(others.begin(), others.end(), std::back_inserter(more), is_alive);
  size_t added = std::min(more.size(), most - std::min(most, wanted.voters.size()));
  if ((wanted.voters.size() + added) % 2 == 0 && added > 0) --added;
  wanted.voters.insert(wanted.voters.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(added));

  wanted.voters = sorted_replicas(std::move(wanted.voters));
  for (const ReplicaId& other : others)
    if (!std::binary_search(wanted.voters.begin(), wanted.voters.end(), other)) wanted.learners.push_back(other);
  return wanted;
}

}  // namespace taffrail
