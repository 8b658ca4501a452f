// Goal: replicas are spread, over brokers and over racks. Method: laws over clusters of every size.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "controller/placement.h"

namespace taffrail {
namespace {

std::vector<PlacementBroker> brokers_without_racks(int32_t count) {
  std::vector<PlacementBroker> out;
  for (int32_t i = 0; i < count; ++i) out.push_back({BrokerId(i * 10), std::nullopt});
  return out;
}

struct Load {
  size_t leaders = 0;
  size_t replicas = 0;
};
std::map<BrokerId, Load> load_of(const std::vector<PlacementBroker>& brokers,
                                 const std::vector<std::vector<BrokerId>>& placed) {
  std::map<BrokerId, Load> out;
  for (const PlacementBroker& broker : brokers) out[broker.id];
  for (const auto& partition : placed) {
    ++out[partition.front()].leaders;
    for (const BrokerId id : partition) ++out[id].replicas;
  }
  return out;
}

// For every number of brokers, partitions and copies: each partition has that many different brokers, and
// two brokers differ by at most one in leaders, and by at most the last round in replicas.
RC_GTEST_PROP(Placement, SpreadsLeadersAndReplicas, (uint64_t key)) {
  const auto count = *rc::gen::inRange<int32_t>(1, 12);
  const auto replicas = static_cast<int16_t>(*rc::gen::inRange<int32_t>(1, count + 1));
  const auto partitions = *rc::gen::inRange<int32_t>(0, 60);
  CounterRandom random(key);
  const auto brokers = brokers_without_racks(count);
  const auto placed = place_replicas(brokers, partitions, replicas, random);
  RC_ASSERT(placed.size() == static_cast<size_t>(partitions));
  for (const auto& partition : placed) {
    RC_ASSERT(partition.size() == static_cast<size_t>(replicas));
    RC_ASSERT(std::set<BrokerId>(partition.begin(), partition.end()).size() == partition.size());
  }
  const auto load = load_of(brokers, placed);
  size_t leaders_min = SIZE_MAX, leaders_max = 0, replicas_min = SIZE_MAX, replicas_max = 0;
  for (const auto& [id, l] : load) {
    leaders_min = std::min(leaders_min, l.leaders);
    leaders_max = std::max(leaders_max, l.leaders);
    replicas_min = std::min(replicas_min, l.replicas);
    replicas_max = std::max(replicas_max, l.replicas);
  }
  RC_ASSERT(leaders_max - leaders_min <= 1u);
  RC_ASSERT(replicas_max - replicas_min <= static_cast<size_t>(replicas));
}

// For every layout of racks: a rack holds two replicas of a partition only if each rack that has a broker
// left holds as many but one.
RC_GTEST_PROP(Placement, UsesEveryRackBeforeItUsesOneTwice, (uint64_t key)) {
  const auto count = *rc::gen::inRange<int32_t>(1, 12);
  const auto racks = *rc::gen::inRange<int32_t>(1, 5);
  const auto replicas = static_cast<int16_t>(*rc::gen::inRange<int32_t>(1, count + 1));
  CounterRandom random(key);
  std::vector<PlacementBroker> brokers = brokers_without_racks(count);
  std::map<BrokerId, std::string> rack_of;
  std::map<std::string, size_t> size;
  for (PlacementBroker& broker : brokers) {
    broker.rack = "r" + std::to_string(random.below(static_cast<uint64_t>(racks)));
    rack_of[broker.id] = *broker.rack;
    ++size[*broker.rack];
  }
  for (const auto& partition : place_replicas(brokers, 20, replicas, random)) {
    std::map<std::string, size_t> used;
    for (const BrokerId id : partition) ++used[rack_of[id]];
    for (const auto& [rack, in_rack] : used)
      for (const auto& [other, brokers_there] : size)
        RC_ASSERT(in_rack <= used[other] + 1 || used[other] == brokers_there);
  }
}

TEST(Placement, ThreeRacksHoldOneCopyEach) {
  CounterRandom random(1);
  const std::vector<PlacementBroker> brokers = {{BrokerId(1), "a"}, {BrokerId(2), "a"}, {BrokerId(3), "b"},
                                                {BrokerId(4), "b"}, {BrokerId(5), "c"}, {BrokerId(6), "c"}};
  for (const auto& partition : place_replicas(brokers, 100, 3, random)) {
    std::set<int> racks;
    for (const BrokerId id : partition) racks.insert((id.value - 1) / 2);
    EXPECT_EQ(racks.size(), 3u);
  }
}

TEST(Placement, OneBrokerWithoutARackMeansRacksDoNotCount) {
  CounterRandom random(2);
  const std::vector<PlacementBroker> brokers = {{BrokerId(1), "a"}, {BrokerId(2), "a"}, {BrokerId(3), std::nullopt}};
  const auto load = load_of(brokers, place_replicas(brokers, 30, 2, random));
  for (const auto& [id, l] : load) EXPECT_EQ(l.replicas, 20u);
}

TEST(Placement, AFailedBrokersLeadershipsMoveToDifferentOthers) {
  CounterRandom random(3);
  std::set<BrokerId> seconds;
  for (const auto& partition : place_replicas(brokers_without_racks(5), 50, 3, random))
    if (partition[0] == BrokerId(0)) seconds.insert(partition[1]);
  EXPECT_EQ(seconds.size(), 4u);
}

}  // namespace
}  // namespace taffrail
