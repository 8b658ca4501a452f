// Goal: a scenario with a group does what it is there for, and is the same again. Method: a few seeds, calm and not.
#include <gtest/gtest.h>

#include "sim/scenario.h"

namespace taffrail::sim {
namespace {

TEST(GroupScenario, MembersReadCommitAndBeginAnew) {
  uint64_t generations = 0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Scenario scenario = Scenario::with_group(seed);
    const RunReport report = run_scenario(scenario);
    EXPECT_EQ(report.violation, "") << seed;
    // Where anything may be lost, members may be waiting for a broker that is gone until the end.
    if (scenario.run != RunKind::kAny) { EXPECT_GT(report.commits, 0u) << seed; }
    generations += report.generations;
  }
  EXPECT_GT(generations, 10u);
}

TEST(GroupScenario, ATokenAndAFileGiveTheSameRunAgain) {
  const Scenario scenario = Scenario::with_group(3);
  const Hash128 hash = run_scenario(scenario).hash;
  const auto from_token = Scenario::from_token(scenario.token());
  ASSERT_TRUE(from_token.has_value());
  EXPECT_EQ(from_token->members, scenario.members);
  EXPECT_EQ(run_scenario(*from_token).hash, hash);
  const auto from_file = Scenario::parse(scenario.print());
  ASSERT_TRUE(from_file.has_value());
  EXPECT_EQ(run_scenario(*from_file).hash, hash);
}

TEST(Scenario, StretchedItIsTheSameStoryOverALongerTime) {
  const Scenario scenario = Scenario::from_seed(6);
  const Scenario hour = scenario.stretched(360);
  EXPECT_EQ(hour.length, 3600_s);
  ASSERT_EQ(hour.faults.size(), scenario.faults.size());
  EXPECT_EQ(hour.faults.front().at.ns, scenario.faults.front().at.ns * 360);
  EXPECT_EQ(hour.token(), scenario.token() + "x360");
  const Scenario minute = scenario.stretched(6);
  const RunReport report = run_scenario(minute);
  EXPECT_EQ(report.violation, "");
  EXPECT_GE(report.simulated, minute.length);
  const auto again = Scenario::from_token(minute.token());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(run_scenario(*again).hash, report.hash);
  EXPECT_EQ(scenario.stretched(1).token(), scenario.token());
  for (const char* bad : {"TF1-6x", "TF1-6x0", "TF1-6x99999", "TF1-x6", "TF1-6xg"}) EXPECT_FALSE(Scenario::from_token(bad).has_value()) << bad;
}

TEST(GroupScenario, WhereOffsetsExpireTheyDo) {
  int with = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) with += Scenario::with_group(seed).retention > Duration{} ? 1 : 0;
  EXPECT_GT(with, 110);
  EXPECT_LT(with, 190);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Scenario scenario = Scenario::with_group(seed);
    scenario.retention = 2_s;
    scenario.drawn_world = false;
    scenario.run = RunKind::kSurvivable;
    std::erase_if(scenario.faults, [](const Fault& f) { return f.kind == FaultKind::kClockJump; });
    const auto again = Scenario::parse(scenario.print());
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->retention, scenario.retention);
    const RunReport report = run_scenario(*again);
    EXPECT_EQ(report.violation, "") << seed;
    EXPECT_GT(report.expired, 0u) << seed;
  }
}

TEST(GroupScenario, OneSeedInTenHasAGroupByItself) {
  int with = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) with += Scenario::from_seed(seed).members > 0 ? 1 : 0;
  EXPECT_GT(with, 20);
  EXPECT_LT(with, 60);
}

}  // namespace
}  // namespace taffrail::sim
