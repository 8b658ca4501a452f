// Goal: a partition that moves forgets nobody before its group has done without him, can be turned round at any moment,
// and is refused in Kafka's words. Method: decisions and records on a small image, by hand.
#include <algorithm>

#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using Disks = std::vector<ReplicaId>;

Disks disks(std::initializer_list<int32_t> brokers) {
  Disks all;
  for (const int32_t id : brokers) all.push_back(broker_record(id).replica);
  return all;
}

std::vector<BrokerId> ids(std::initializer_list<int32_t> brokers) {
  std::vector<BrokerId> all;
  for (const int32_t id : brokers) all.push_back(BrokerId(id));
  return all;
}

struct Moves : testing::Test {
  Moves() : cluster(5) {
    CreateTopicsCommand command;
    NewTopic topic;
    topic.name = "t";
    topic.assignments.push_back({0, ids({1, 2, 3})});
    command.topics.push_back(topic);
    EXPECT_EQ(cluster.run(command).items[0].error, ErrorCode::kNone);
  }
  ItemReply move(std::optional<std::vector<BrokerId>> to, int32_t partition = 0, bool may_change_count = true) {
    MovePartitionsCommand command;
    command.may_change_count = may_change_count;
    command.partitions.push_back({"t", partition, std::move(to)});
    return cluster.run(command).items[0];
  }
  ItemReply finish(int64_t revision) {
    return cluster.run(FinishMoveCommand{cluster.image.find_topic(std::string_view("t"))->id, 0, revision}).items[0];
  }
  const PartitionRecord& record() { return cluster.image.find_topic(std::string_view("t"))->partitions[0]; }

  SmallCluster cluster;
};

TEST_F(Moves, AMoveKeepsWhoeverWasThereUntilItIsDone) {
  EXPECT_EQ(move(ids({4, 2, 3})).error, ErrorCode::kNone);
  EXPECT_EQ(record().replicas, disks({4, 2, 3}));
  EXPECT_EQ(record().leaving, disks({1}));
  EXPECT_EQ(record().original, disks({1, 2, 3}));
  EXPECT_EQ(record().first_members(), disks({1, 2, 3}));
  EXPECT_EQ(record().joined_at(disks({4})[0]), record().revision);
  EXPECT_EQ(record().joined_at(disks({2})[0]), 0) << "it was there from the beginning";
  EXPECT_EQ(finish(record().revision).error, ErrorCode::kNone);
  EXPECT_FALSE(record().moving());
  EXPECT_EQ(record().everywhere(), disks({4, 2, 3}));
  EXPECT_EQ(record().first_members(), disks({1, 2, 3})) << "what was before the first entry stays so";
}

TEST_F(Moves, OneThatIsTurnedRoundForgetsNobodyEither) {
  move(ids({1, 2, 4}));
  const int64_t first = record().revision;
  move(ids({1, 2, 5}));
  EXPECT_EQ(record().leaving, disks({3, 4})) << "the group may be on its way to the first of them";
  EXPECT_EQ(finish(first).error, ErrorCode::kNoReassignmentInProgress) << "of a move that another one has replaced";
  EXPECT_TRUE(record().moving());
  EXPECT_EQ(move(std::nullopt).error, ErrorCode::kNone);
  EXPECT_EQ(record().replicas, disks({1, 2, 3}));
  EXPECT_EQ(record().leaving, disks({4, 5}));
  EXPECT_EQ(record().joined_at(disks({3})[0]), 0) << "it never went";
  EXPECT_EQ(finish(record().revision).error, ErrorCode::kNone);
  EXPECT_TRUE(record().joined.empty());
}

TEST_F(Moves, OneThatComesBackIsNotTheOneThatWent) {
  move(ids({2, 3, 4}));
  finish(record().revision);
  move(ids({1, 2, 3}));
  EXPECT_EQ(record().joined_at(disks({1})[0]), record().revision);
}

TEST_F(Moves, AnotherOrderIsAMoveThatIsSoonDone) {
  EXPECT_EQ(move(ids({3, 1, 2})).error, ErrorCode::kNone);
  EXPECT_EQ(record().replicas.front(), disks({3})[0]);
  EXPECT_TRUE(record().leaving.empty());
  const int64_t revision = record().revision;
  EXPECT_EQ(move(ids({3, 1, 2})).error, ErrorCode::kNone);
  EXPECT_EQ(record().revision, revision) << "it is so already";
}

TEST_F(Moves, WhatCannotBeIsRefusedAsKafkaDoes) {
  EXPECT_EQ(move(ids({})).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(move(ids({1, 1, 2})).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(move(ids({1, 2, 77})).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(move(ids({1, 2, -1})).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(move(ids({1, 2, 3}), 7).error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(move(std::nullopt).error, ErrorCode::kNoReassignmentInProgress);
  EXPECT_EQ(move(ids({1, 2}), 0, /*may_change_count=*/false).error, ErrorCode::kInvalidReplicationFactor);
  EXPECT_FALSE(record().moving());
}

TEST_F(Moves, ADiskThatIsReplacedLosesItsPlaceInEveryPartition) {
  BrokerRecord fresh = broker_record(2);
  fresh.replica.disk = DiskId{9, 9};
  EXPECT_EQ(cluster.run(RegisterBrokerCommand{fresh}).items[0].error, ErrorCode::kNone);
  EXPECT_EQ(record().replicas, (Disks{broker_record(1).replica, fresh.replica, broker_record(3).replica}));
  EXPECT_EQ(record().leaving, disks({2}));
  EXPECT_EQ(record().joined_at(fresh.replica), record().revision);
}

TEST_F(Moves, ADiskThatIsAliveIsNotReplaced) {
  BrokerRecord fresh = broker_record(2);
  fresh.replica.disk = DiskId{9, 9};
  const Decision decision = decide(cluster.image, RegisterBrokerCommand{fresh},
                                   {cluster.alive, cluster.last_index + 1, 1, &cluster.random, {}, disks({1, 2, 3})});
  EXPECT_EQ(decision.reply.items[0].error, ErrorCode::kDuplicateBrokerRegistration);
  EXPECT_TRUE(decision.records.empty());
}

}  // namespace
}  // namespace taffrail
