#include "controller/metadata_members.h"

#include <algorithm>
#include <optional>

#include "base/plant.h"
#include "controller/setting_keys.h"

namespace taffrail {

namespace {

// What an operator, or the end of a broker, says about its vote; nothing: it is the cluster's to choose.
std::optional<bool> told(const ClusterImage& image, BrokerId id) {
  const ClusterSettings& settings = image.settings();
  if (settings.unregistered.contains(id)) return false;
  if (retirement_of(image, id) == Retirement::kReplicas) return false;
  const auto vote = settings.votes.find(id);
  return vote == settings.votes.end() ? std::nullopt : std::optional(vote->second);
}

bool holds(const std::vector<ReplicaId>& replicas, const ReplicaId& replica) {
  return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

}  // namespace

MetadataMembers wanted_metadata_members(const ClusterImage& image, const Configuration& now,
                                        const std::vector<BrokerId>& alive) {
  MetadataMembers wanted;
  std::vector<ReplicaId> leaving;
  for (const ReplicaId& voter : now.voters) {
    const BrokerRecord* broker = image.find_broker(voter.node);
    if (told(image, voter.node) == false && !PLANT("M51")) {
      if (broker != nullptr && image.settings().votes.count(voter.node) == 0) leaving.push_back(broker->replica);
      continue;
    }
    // One that never registered is a founder that is still starting.
    wanted.voters.push_back(broker == nullptr ? voter : broker->replica);
  }
  std::vector<ReplicaId> more;
  size_t away = 0;
  for (const auto& [id, broker] : image.brokers()) {
    if (holds(wanted.voters, broker.replica)) continue;
    const std::optional<bool> vote = told(image, id);
    if (vote == true) wanted.voters.push_back(broker.replica);
    else if (!vote && std::binary_search(alive.begin(), alive.end(), id)) more.push_back(broker.replica);
    else if (!vote) ++away;
  }
  size_t added = std::min(more.size(), kMetadataVotersMax - std::min(kMetadataVotersMax, wanted.voters.size()));
  if ((wanted.voters.size() + added) % 2 == 0 && added > 0) --added;
  wanted.voters.insert(wanted.voters.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(added));
  if (!PLANT("M65"))
    for (const ReplicaId& voter : leaving)
      if (away > 0 && wanted.voters.size() < now.voters.size()) {
        wanted.voters.push_back(voter);
        --away;
      }
  // A group without voters decides nothing, not even who votes next.
  if (wanted.voters.empty()) wanted.voters = now.voters;

  wanted.voters = sorted_replicas(std::move(wanted.voters));
  for (const auto& [id, broker] : image.brokers())
    if (!holds(wanted.voters, broker.replica)) wanted.learners.push_back(broker.replica);
  return wanted;
}

}  // namespace taffrail
