// Goal: group 0 has as many voters as help, all registered brokers as members, and a disk that was replaced loses its
// place to the new one. Method: members are worked out by hand from small images.
#include "controller/metadata_members.h"

#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

std::vector<ReplicaId> disks(std::initializer_list<int32_t> brokers) {
  std::vector<ReplicaId> all;
  for (const int32_t id : brokers) all.push_back(broker_record(id).replica);
  return all;
}

std::vector<BrokerId> ids(std::initializer_list<int32_t> brokers) {
  std::vector<BrokerId> all;
  for (const int32_t id : brokers) all.push_back(BrokerId(id));
  return all;
}

TEST(MetadataMembers, AnEvenNumberOfVotersIsNotSought) {
  const SmallCluster cluster(4);
  const MetadataMembers wanted = wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3, 4}));
  EXPECT_EQ(wanted.voters, disks({1, 2, 3})) << "four survive the loss of one, as three do";
  EXPECT_EQ(wanted.learners, disks({4}));
}

TEST(MetadataMembers, UpToFiveVote) {
  const SmallCluster cluster(7);
  const MetadataMembers wanted =
      wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(wanted.voters, disks({1, 2, 3, 4, 5}));
  EXPECT_EQ(wanted.learners, disks({6, 7}));
}

TEST(MetadataMembers, OneThatIsAwayIsNotGivenAVote) {
  const SmallCluster cluster(7);
  const MetadataMembers wanted =
      wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3, 6, 7}));
  EXPECT_EQ(wanted.voters, disks({1, 2, 3, 6, 7}));
  EXPECT_EQ(wanted.learners, disks({4, 5}));
  EXPECT_EQ(wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3, 6})).voters,
            disks({1, 2, 3})) << "not one alone";
}

TEST(MetadataMembers, VotersStayWhoeverIsAway) {
  const SmallCluster cluster(5);
  EXPECT_EQ(wanted_metadata_members(cluster.image, {.voters = disks({3, 4, 5})}, ids({1})).voters, disks({3, 4, 5}));
}

TEST(MetadataMembers, AFounderThatIsNotRegisteredYetStays) {
  const SmallCluster cluster(1);
  const MetadataMembers wanted = wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1}));
  EXPECT_EQ(wanted.voters, disks({1, 2, 3}));
  EXPECT_TRUE(wanted.learners.empty());
}

TEST(MetadataMembers, OneVoterAloneIsJoinedByTwoAtOnce) {
  const SmallCluster cluster(3);
  EXPECT_EQ(wanted_metadata_members(cluster.image, {.voters = disks({1})}, ids({1, 2, 3})).voters, disks({1, 2, 3}));
  const SmallCluster two(2);
  EXPECT_EQ(wanted_metadata_members(two.image, {.voters = disks({1})}, ids({1, 2})).voters, disks({1}));
}

TEST(MetadataMembers, OneThatWasToldNotToVoteIsReplaced) {
  SmallCluster cluster(4);
  ASSERT_TRUE(cluster.image.apply(SetMetadataVote{BrokerId(2), false}, LogIndex(9)));
  const MetadataMembers wanted = wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3, 4}));
  EXPECT_EQ(wanted.voters, disks({1, 3, 4}));
  EXPECT_EQ(wanted.learners, disks({2})) << "it still learns";
  ASSERT_TRUE(cluster.image.apply(SetMetadataVote{BrokerId(2), true}, LogIndex(10)));
  EXPECT_EQ(wanted_metadata_members(cluster.image, {.voters = disks({1, 3, 4})}, ids({1, 3, 4})).voters, disks({1, 2, 3, 4}))
      << "however many that makes, and whether it is there or not";
}

TEST(MetadataMembers, OneThatLeavesVotesNoMoreAndOneThatIsGoneIsNoMember) {
  SmallCluster cluster(3);
  ASSERT_TRUE(cluster.image.apply(SetBrokerConfigs{BrokerId(3), {{"taffrail.retire", "replicas"}}}, LogIndex(9)));
  MetadataMembers wanted = wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2, 3}));
  EXPECT_EQ(wanted.voters, disks({1, 2}));
  EXPECT_EQ(wanted.learners, disks({3}));
  ASSERT_TRUE(cluster.image.apply(UnregisterBroker{BrokerId(3)}, LogIndex(10)));
  wanted = wanted_metadata_members(cluster.image, {.voters = disks({1, 2, 3})}, ids({1, 2}));
  EXPECT_EQ(wanted.voters, disks({1, 2}));
  EXPECT_TRUE(wanted.learners.empty());
}

TEST(MetadataMembers, OneThatLeavesVotesUntilOneThatIsAwayCanHaveItsVote) {
  SmallCluster cluster(4);
  ASSERT_TRUE(cluster.image.apply(SetBrokerConfigs{BrokerId(1), {{"taffrail.retire", "replicas"}}}, LogIndex(9)));
  const Configuration now{.voters = disks({1, 2, 3})};
  EXPECT_EQ(wanted_metadata_members(cluster.image, now, ids({1, 2, 3})).voters, disks({1, 2, 3})) << "of two none may be lost";
  EXPECT_EQ(wanted_metadata_members(cluster.image, now, ids({1, 2, 3, 4})).voters, disks({2, 3, 4}));
  ASSERT_TRUE(cluster.image.apply(SetMetadataVote{BrokerId(1), false}, LogIndex(10)));
  EXPECT_EQ(wanted_metadata_members(cluster.image, now, ids({1, 2, 3})).voters, disks({2, 3})) << "it was told so";
}

TEST(MetadataMembers, SomebodyAlwaysVotes) {
  SmallCluster cluster(1);
  ASSERT_TRUE(cluster.image.apply(SetMetadataVote{BrokerId(1), false}, LogIndex(9)));
  EXPECT_EQ(wanted_metadata_members(cluster.image, {.voters = disks({1})}, ids({1})).voters, disks({1}));
}

}  // namespace
}  // namespace taffrail
