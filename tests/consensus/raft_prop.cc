// Goal: whatever the network, the disks and the crashes do, a group of replicas keeps Raft's
// invariants (docs/invariants.md, I-R), and recovers once it is left in peace (I-L). Method: real
// Raft cores over an in-memory disk and network, both driven by one seed; after every single step
// the GroupChecker looks at all replicas and at what their disks would keep. In a build with
// planted bugs, each bug must be found by the same runs, under a name that fits it.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <set>

#include "base/plant.h"
#include "consensus/support/random_group.h"

namespace taffrail {
namespace {

using testing::RandomGroup;
using testing::WorldOptions;

// Every kind of group has its share of the seeds.
WorldOptions world_of(uint64_t seed) {
  WorldOptions options;
  options.nodes = seed % 3 == 0 ? 5 : seed % 3 == 1 ? 3 : 4;
  options.learners = seed % 5 == 0 ? 1 : 0;
  options.membership_changes = seed % 2 == 0;
  options.snapshots = seed % 4 < 2;
  return options;
}

#ifndef TAFFRAIL_PLANTS

constexpr uint64_t kSeeds = 300;

// The same run again, with its story.
std::string story(uint64_t seed, WorldOptions options) {
  options.tracing = true;
  RandomGroup group(seed, options);
  (void)group.run();
  return group.trace();
}

TEST(RaftUnderFaults, KeepsItsInvariantsAndRecovers) {
  std::map<std::string, int> counts;
  uint64_t steps = 0;
  int64_t committed = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RandomGroup group(seed, world_of(seed));
    const auto violation = group.run();
    ASSERT_FALSE(violation.has_value()) << "seed " << seed << "\n" << story(seed, world_of(seed));
    for (const auto& [what, count] : group.counts()) counts[what] += count;
    steps += group.steps();
    committed += group.committed().value;
  }
  // The runs were as rough as they were meant to be, and yet work got done.
  for (const char* what : {"crash", "leader", "truncate", "snapshot", "transfer", "change"}) {
    EXPECT_GT(counts[what], static_cast<int>(kSeeds) / 8) << what;
  }
  EXPECT_GT(committed, static_cast<int64_t>(kSeeds) * 50);
  RecordProperty("steps", static_cast<int>(steps));
}

TEST(RaftUnderFaults, TheSameSeedGivesTheSameHistory) {
  const std::string first = story(42, world_of(42));
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, story(42, world_of(42)));
}

#else

struct Plant {
  const char* id;
  std::set<std::string> names;  ///< The invariants under which it may be found.
  uint64_t seeds;
};

class PlantedBug : public ::testing::TestWithParam<Plant> {};

TEST_P(PlantedBug, IsFoundByName) {
  const Plant& plant = GetParam();
  select_plant(plant.id);
  std::string found;
  uint64_t seed = 1;
  for (; seed <= plant.seeds && found.empty(); ++seed) {
    RandomGroup group(seed, world_of(seed));
    found = group.run().value_or("");
  }
  select_plant("");
  fmt::print("{}: {} seeds: {}\n", plant.id, seed - 1, found);
  ASSERT_FALSE(found.empty()) << plant.id << " was not found in " << plant.seeds << " seeds";
  EXPECT_TRUE(plant.names.contains(found.substr(0, found.find(' ')))) << found;
}

INSTANTIATE_TEST_SUITE_P(
    Raft, PlantedBug,
    ::testing::Values(Plant{"R01", {"I-R4", "I-R8"}, 200}, Plant{"R02", {"I-R1"}, 50},
                      Plant{"R03", {"I-R1", "I-R7"}, 200}, Plant{"R04", {"I-R1", "I-R7"}, 200},
                      Plant{"R06", {"I-R6", "I-R9"}, 50}, Plant{"R07", {"I-R4", "I-R6"}, 400},
                      Plant{"R11", {"I-R4", "I-R6", "I-R8"}, 200}, Plant{"R12", {"I-R9"}, 400},
                      Plant{"R15", {"I-R10"}, 400}, Plant{"R17", {"I-R4", "I-R8"}, 200},
                      Plant{"R31", {"I-R1", "I-R7"}, 50}, Plant{"R05", {"I-R1", "I-R2"}, 50}, Plant{"R08", {"I-L2"}, 50},
                      Plant{"R18", {"I-R8"}, 400}, Plant{"R21", {"I-R4", "I-R7"}, 800}, Plant{"R29", {"I-R1"}, 400},
                      Plant{"P05", {"I-R4"}, 50}, Plant{"R41", {"I-R15"}, 50}),
    [](const auto& tested) { return std::string(tested.param.id); });

TEST(PlantedBug, NoneIsNoneFound) {
  select_plant("");
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    RandomGroup group(seed, world_of(seed));
    const auto violation = group.run();
    ASSERT_FALSE(violation.has_value()) << "seed " << seed << ": " << *violation;
  }
}

#endif

}  // namespace
}  // namespace taffrail
