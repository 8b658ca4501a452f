#include "controller/retiring.h"

#include <algorithm>
#include <map>
#include <set>

#include "controller/setting_keys.h"

namespace taffrail {
namespace {

const std::optional<std::string>& rack_of(const ClusterImage& image, BrokerId id) {
  static const std::optional<std::string> kNone;
  const BrokerRecord* broker = image.find_broker(id);
  return broker == nullptr ? kNone : broker->rack;
}

using Load = std::map<BrokerId, size_t>;

// Who takes the place of `from` among `brokers`; kNoBroker if nobody can.
BrokerId heir_of(const ClusterImage& image, const Load& load, const std::vector<BrokerId>& brokers, BrokerId from) {
  std::set<std::string> racks;
  for (const BrokerId id : brokers)
    if (id != from && rack_of(image, id)) racks.insert(*rack_of(image, id));
  BrokerId best = kNoBroker;
  std::pair<bool, size_t> best_rank;
  for (const auto& [id, count] : load) {
    if (std::find(brokers.begin(), brokers.end(), id) != brokers.end()) continue;
    const std::pair<bool, size_t> rank{rack_of(image, id) && racks.contains(*rack_of(image, id)), count};
    if (best == kNoBroker || rank < best_rank) {
      best = id;
      best_rank = rank;
    }
  }
  return best;
}

}  // namespace

RetiringStep next_retiring_step(const ClusterImage& image, const std::vector<BrokerId>& alive) {
  RetiringStep step;
  std::set<BrokerId> leaving;
  for (const auto& [id, configs] : image.settings().brokers)
    if (retirement_of(image, id) == Retirement::kReplicas) leaving.insert(id);
  if (leaving.empty()) return step;

  Load load;
  for (const BrokerId id : alive)
    if (takes_replicas(image, id)) load[id] = 0;
  size_t moving = 0;
  for (const auto& [id, topic] : image.topics())
    for (const PartitionRecord& partition : topic.partitions) {
      moving += partition.moving() ? 1 : 0;
      for (const ReplicaId& replica : partition.replicas)
        if (const auto at = load.find(replica.node); at != load.end()) ++at->second;
    }
  for (const auto& [name, topic_id] : image.names()) {
    const TopicRecord& topic = *image.find_topic(topic_id);
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      std::vector<BrokerId> brokers;
      for (const ReplicaId& replica : topic.partitions[p].replicas) brokers.push_back(replica.node);
      bool moves = false;
      bool stuck = false;
      for (BrokerId& at : brokers) {
        if (!leaving.contains(at)) continue;
        const BrokerId heir = heir_of(image, load, brokers, at);
        stuck = stuck || heir == kNoBroker;
        if (heir == kNoBroker) continue;
        ++load[heir];
        at = heir;
        moves = true;
      }
      step.stuck += stuck ? 1 : 0;
      // One that is under way already, to a broker that is to leave, is turned around at once.
      if (!moves || (!topic.partitions[p].moving() && moving >= kRetiringMovesMax)) continue;
      moving += topic.partitions[p].moving() ? 0 : 1;
      step.moves.partitions.push_back({name, static_cast<int32_t>(p), std::move(brokers)});
    }
  }
  return step;
}

}  // namespace taffrail
