// Goal: on its way to other members a group never depends on a replica that is still empty, and what is asked twice is
// done once. Method: the next step is asked for by hand, from memberships and positions that are written down.
#include "consensus/membership.h"

#include <gtest/gtest.h>

#include "consensus/support/test_node.h"

namespace taffrail {
namespace {

using testing::replica;
using Kind = MembershipStep::Kind;

std::vector<ReplicaId> replicas(std::initializer_list<int> nodes) {
  std::vector<ReplicaId> all;
  for (const int node : nodes) all.push_back(replica(node));
  return all;
}

struct Group {
  Configuration now{.voters = replicas({1, 2, 3})};
  LogIndex commit{1000};
  LogIndex since{900};
  std::vector<MemberProgress> members{};
  bool settled = true;
  int64_t revision = 0;

  void at(int node, int64_t match, bool heard = true) { members.push_back({replica(node), LogIndex(match), heard}); }
  MembershipStep towards(std::initializer_list<int> voters, std::initializer_list<int> learners = {}) const {
    return next_membership_step(now, since, settled, commit, members, replicas(voters), replicas(learners), revision);
  }
};

TEST(MembershipStep, NewVotersLearnFirst) {
  const MembershipStep step = Group().towards({2, 3, 4});
  EXPECT_EQ(step.kind, Kind::kChange);
  EXPECT_EQ(step.voters, replicas({1, 2, 3})) << "nobody loses its vote before there is somebody to take it";
  EXPECT_EQ(step.learners, replicas({4}));
}

TEST(MembershipStep, ALearnerThatIsBehindOrSilentIsWaitedFor) {
  Group group{.now = {.voters = replicas({1, 2, 3}), .learners = replicas({4})}};
  group.at(2, 1000);
  group.at(3, 1000);
  EXPECT_EQ(group.towards({2, 3, 4}).kind, Kind::kWait) << "nothing is known of it";
  group.at(4, 1000 - kLearnerLagMax - 1);
  EXPECT_EQ(group.towards({2, 3, 4}).kind, Kind::kWait) << "behind";
  group.members.pop_back();
  group.at(4, 1000, /*heard=*/false);
  EXPECT_EQ(group.towards({2, 3, 4}).kind, Kind::kWait) << "silent";
  group.members.pop_back();
  group.at(4, 1000);
  const MembershipStep step = group.towards({2, 3, 4});
  EXPECT_EQ(step.kind, Kind::kChange);
  EXPECT_EQ(step.voters, replicas({2, 3, 4}));
  EXPECT_TRUE(step.learners.empty());
}

TEST(MembershipStep, AnEmptyReplicaOfAShortLogIsNotCaughtUp) {
  Group group{.now = {.voters = replicas({1}), .learners = replicas({2})}, .commit = LogIndex(3), .since = LogIndex(2)};
  group.at(1, 3);
  group.at(2, 0);
  EXPECT_EQ(group.towards({1, 2}).kind, Kind::kWait);
  group.members.pop_back();
  group.at(2, 1);
  EXPECT_EQ(group.towards({1, 2}).kind, Kind::kWait) << "it does not hold yet what made it a learner: it would not vote";
  group.members.pop_back();
  group.at(2, 2);
  EXPECT_EQ(group.towards({1, 2}).kind, Kind::kChange);
}

TEST(MembershipStep, OneLearnerOfTwoDoesNotGoAhead) {
  Group group{.now = {.voters = replicas({1, 2, 3}), .learners = replicas({4, 5})}};
  group.at(4, 1000);
  group.at(5, 10);
  EXPECT_EQ(group.towards({1, 4, 5}).kind, Kind::kWait);
}

TEST(MembershipStep, LeavingNeedsNobodyToLearn) {
  Group group;
  group.at(1, 1000);
  group.at(2, 10);
  const MembershipStep step = group.towards({1, 2});
  EXPECT_EQ(step.kind, Kind::kChange);
  EXPECT_EQ(step.voters, replicas({1, 2}));
}

TEST(MembershipStep, NobodyLeavesWhileMostOfTheOthersAreSilent) {
  Group group;
  group.at(1, 1000);
  group.at(2, 1000);
  group.at(3, 1000, /*heard=*/false);
  EXPECT_EQ(group.towards({1, 3}).kind, Kind::kWait) << "one of two decides nothing";
  group.members[2] = {replica(3), LogIndex(0), true};
  EXPECT_EQ(group.towards({1, 3}).kind, Kind::kWait) << "that has not said anything since this leader began";
  EXPECT_EQ(group.towards({1, 2}).kind, Kind::kChange) << "who is silent may go";
  EXPECT_EQ(group.towards({1}).kind, Kind::kChange);
}

TEST(MembershipStep, WhatIsSoAlreadyIsDone) {
  EXPECT_EQ(Group().towards({3, 2, 1}).kind, Kind::kDone);
  EXPECT_EQ(Group().towards({1, 2, 3}, {4}).kind, Kind::kChange);
}

TEST(MembershipStep, WhatIsSoAlreadyIsWrittenDownForALaterAssignment) {
  Group group{.now = {.voters = replicas({1, 2, 3}), .revision = 14}, .revision = 20};
  const MembershipStep step = group.towards({1, 2, 3});
  EXPECT_EQ(step.kind, Kind::kChange) << "who leads next may know no assignment but that of 17, and follow it";
  EXPECT_EQ(step.voters, replicas({1, 2, 3}));
  group.now.revision = 20;
  EXPECT_EQ(group.towards({1, 2, 3}).kind, Kind::kDone);
}

TEST(MembershipStep, NothingIsProposedBeforeTheLastChangeIsCommitted) {
  Group group{.settled = false};
  EXPECT_EQ(group.towards({1, 2, 3}).kind, Kind::kWait) << "not even done: it may yet be cut off";
  EXPECT_EQ(group.towards({1, 2, 4}).kind, Kind::kWait);
}

TEST(MembershipStep, WhatIsTakenBackIsForgotten) {
  Group group{.now = {.voters = replicas({1, 2, 3}), .learners = replicas({4})}};
  const MembershipStep step = group.towards({1, 2, 3});
  EXPECT_EQ(step.kind, Kind::kChange);
  EXPECT_EQ(step.voters, replicas({1, 2, 3}));
  EXPECT_TRUE(step.learners.empty());
}

TEST(MembershipStep, AVoterThatShallOnlyLearnKeepsItsVoteUntilTheOthersHaveLearnt) {
  const MembershipStep step = Group().towards({1, 2, 4}, {3});
  EXPECT_EQ(step.voters, replicas({1, 2, 3}));
  EXPECT_EQ(step.learners, replicas({4}));
}

}  // namespace
}  // namespace taffrail
