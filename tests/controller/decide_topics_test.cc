// Goal: topics are created, deleted and widened as Kafka would, and refused with its error codes.
// Method: one small cluster, one question per claim; the decision's records and replies are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using testing::HasSubstr;

ItemReply create(SmallCluster& cluster, NewTopic topic) {
  return cluster.run(CreateTopicsCommand{{std::move(topic)}, false}).items.at(0);
}

TEST(CreateTopics, PlacesAndNamesATopic) {
  SmallCluster cluster(3);
  const ItemReply reply = create(cluster, {.name = "orders", .partition_count = 6, .replication_factor = 3,
                                           .assignments = {}, .configs = {{"retention.ms", "5"}}});
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.partition_count, 6);
  EXPECT_EQ(reply.replication_factor, 3);
  const TopicRecord* topic = cluster.image.find_topic("orders");
  ASSERT_NE(topic, nullptr);
  EXPECT_EQ(topic->id, reply.topic);
  EXPECT_EQ(topic->configs, (ConfigMap{{"retention.ms", "5"}}));
  ASSERT_EQ(topic->partitions.size(), 6u);
  for (const PartitionRecord& partition : topic->partitions) {
    EXPECT_EQ(partition.replicas.size(), 3u);
    EXPECT_EQ(partition.revision, cluster.last_index.value);
  }
}

TEST(CreateTopics, FillsInTheDefaults) {
  SmallCluster five(5);
  five.default_partitions = 4;
  const ItemReply reply = create(five, {.name = "t"});
  EXPECT_EQ(reply.partition_count, 4);
  EXPECT_EQ(reply.replication_factor, 3);
  SmallCluster one(1);
  EXPECT_EQ(create(one, {.name = "t"}).replication_factor, 1);
}

TEST(CreateTopics, TheDefaultFactorCountsBrokersThatAreDown) {
  SmallCluster cluster(3);
  cluster.alive = {BrokerId(1), BrokerId(2)};
  const ItemReply reply = create(cluster, {.name = "t"});
  EXPECT_EQ(reply.error, ErrorCode::kInvalidReplicationFactor);
  EXPECT_EQ(create(cluster, {.name = "t", .replication_factor = 2}).error, ErrorCode::kNone);
}

// Of a new cluster's three founders two have not registered yet. One that was taken out since does not count.
TEST(CreateTopics, TheDefaultFactorCountsFoundersThatAreStillStarting) {
  SmallCluster cluster(1);
  const auto founder = [](int32_t id) { return QuorumView::Member{broker_record(id).replica, true, 1, 1, 1}; };
  cluster.quorum.members = {founder(1), founder(2), founder(3)};
  const ItemReply early = create(cluster, {.name = "t"});
  EXPECT_EQ(early.error, ErrorCode::kInvalidReplicationFactor);
  EXPECT_THAT(early.message, HasSubstr("2 more are still starting"));
  EXPECT_EQ(create(cluster, {.name = "alone", .replication_factor = 1}).error, ErrorCode::kNone);
  for (const int32_t id : {2, 3}) {
    cluster.run(RegisterBrokerCommand{broker_record(id)});
    cluster.alive.push_back(BrokerId(id));
  }
  EXPECT_EQ(create(cluster, {.name = "t"}).replication_factor, 3);
}

TEST(CreateTopics, RefusesWhatExists) {
  SmallCluster cluster(1);
  create(cluster, {.name = "t"});
  const ItemReply reply = create(cluster, {.name = "t"});
  EXPECT_EQ(reply.error, ErrorCode::kTopicAlreadyExists);
  EXPECT_EQ(reply.message, "Topic 't' already exists.");
  // As validate_only has it too.
  EXPECT_EQ(cluster.run(CreateTopicsCommand{{{.name = "t"}}, true}).items[0].error, ErrorCode::kTopicAlreadyExists);
}

TEST(CreateTopics, RefusesBadNames) {
  SmallCluster cluster(1);
  const std::string longest(249, 'x');
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a b"),
                                  std::string("a/b"), std::string("\xc3\xa9"), longest + "x"})
    EXPECT_EQ(create(cluster, {.name = name}).error, ErrorCode::kInvalidTopicException) << name;
  EXPECT_EQ(create(cluster, {.name = longest}).error, ErrorCode::kNone);
  EXPECT_EQ(create(cluster, {.name = "a.B-9"}).error, ErrorCode::kNone);
}

TEST(CreateTopics, RefusesNamesThatDifferInDotsAndUnderscoresOnly) {
  SmallCluster cluster(1);
  create(cluster, {.name = "a.b"});
  const ItemReply reply = create(cluster, {.name = "a_b"});
  EXPECT_EQ(reply.error, ErrorCode::kInvalidTopicException);
  EXPECT_EQ(reply.message, "Topic 'a_b' collides with existing topic: a.b");
  // Within one request the first one wins.
  const ControllerReply both = cluster.run(CreateTopicsCommand{{{.name = "c_d"}, {.name = "c.d"}}, false});
  EXPECT_EQ(both.items[0].error, ErrorCode::kNone);
  EXPECT_EQ(both.items[1].error, ErrorCode::kInvalidTopicException);
}

TEST(CreateTopics, RefusesBadCounts) {
  SmallCluster cluster(2);
  EXPECT_EQ(create(cluster, {.name = "t", .partition_count = 0}).error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(create(cluster, {.name = "t", .partition_count = -2}).error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(create(cluster, {.name = "t", .replication_factor = 0}).error, ErrorCode::kInvalidReplicationFactor);
  EXPECT_EQ(create(cluster, {.name = "t", .replication_factor = -2}).error, ErrorCode::kInvalidReplicationFactor);
  const ItemReply three = create(cluster, {.name = "t", .replication_factor = 3});
  EXPECT_EQ(three.error, ErrorCode::kInvalidReplicationFactor);
  EXPECT_EQ(three.message, "Unable to replicate the partition 3 time(s): 2 of 2 registered broker(s) are alive and take new ones.");
  EXPECT_EQ(create(cluster, {.name = "t", .partition_count = INT32_MAX}).error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(cluster.image.topics().size(), 0u);
}

TEST(CreateTopics, CountsPartitionsOverTheWholeRequest) {
  SmallCluster cluster(1);
  const ControllerReply reply = cluster.run(CreateTopicsCommand{
      {{.name = "a", .partition_count = 9'999}, {.name = "b", .partition_count = 2}, {.name = "c", .partition_count = 1}},
      false});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kNone);
  EXPECT_EQ(reply.items[1].error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(reply.items[2].error, ErrorCode::kNone);
}

TEST(CreateTopics, RefusesWithoutAnyBrokerAlive) {
  SmallCluster cluster(1);
  cluster.alive = {};
  EXPECT_EQ(create(cluster, {.name = "t"}).error, ErrorCode::kInvalidReplicationFactor);
}

NewTopic by_hand(std::vector<std::pair<int32_t, std::vector<BrokerId>>> assignments) {
  return {.name = "t", .assignments = std::move(assignments)};
}

TEST(CreateTopics, TakesAssignmentsByHand) {
  SmallCluster cluster(3);
  const ItemReply reply =
      create(cluster, by_hand({{1, {BrokerId(3), BrokerId(1)}}, {0, {BrokerId(2), BrokerId(3)}}}));
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.partition_count, 2);
  EXPECT_EQ(reply.replication_factor, 2);
  const auto& partitions = cluster.image.find_topic("t")->partitions;
  EXPECT_EQ(partitions[0].replicas[0].node, BrokerId(2));
  EXPECT_EQ(partitions[1].replicas[0].node, BrokerId(3));
}

TEST(CreateTopics, RefusesAssignmentsThatContradictThemselvesOrTheCluster) {
  SmallCluster cluster(3);
  cluster.alive = {BrokerId(1), BrokerId(2)};
  const BrokerId one(1), two(2), three(3), nine(9);
  const auto refused = [&](NewTopic topic, ErrorCode error, const char* why) {
    const ItemReply reply = create(cluster, std::move(topic));
    EXPECT_EQ(reply.error, error) << why;
    EXPECT_THAT(reply.message, HasSubstr(why));
  };
  constexpr auto kAssignment = ErrorCode::kInvalidReplicaAssignment;
  refused(by_hand({{0, {}}}), kAssignment, "empty replica list");
  refused(by_hand({{0, {one, one}}}), kAssignment, "the broker 1 more than once");
  refused(by_hand({{0, {nine}}}), kAssignment, "broker 9, but no such broker is registered");
  refused(by_hand({{0, {one}}, {0, {two}}}), kAssignment, "multiple manual partition assignments for partition 0");
  refused(by_hand({{0, {one}}, {2, {two}}}), kAssignment, "consecutive 0-based");
  refused(by_hand({{-1, {one}}}), kAssignment, "consecutive 0-based");
  refused(by_hand({{0, {one}}, {1, {one, two}}}), kAssignment, "not consistent with previous partitions");
  refused(by_hand({{0, {three}}}), kAssignment, "is alive");
  NewTopic counted = by_hand({{0, {one}}});
  counted.partition_count = 1;
  refused(counted, ErrorCode::kInvalidRequest, "numPartitions was not set to -1");
  NewTopic factored = by_hand({{0, {one}}});
  factored.replication_factor = 1;
  refused(factored, ErrorCode::kInvalidRequest, "replication factor was not set to -1");
  // A broker that is down may hold copies, as long as one holder is up.
  EXPECT_EQ(create(cluster, by_hand({{0, {three, one}}})).error, ErrorCode::kNone);
}

TEST(CreateTopics, RefusesBadConfigsAndDropsRetiredOnes) {
  SmallCluster cluster(1);
  const ItemReply bad = create(cluster, {.name = "t", .configs = {{"retention.ms", "soon"}}});
  EXPECT_EQ(bad.error, ErrorCode::kInvalidConfig);
  EXPECT_EQ(bad.message, "retention.ms: \"soon\" is not a whole number");
  EXPECT_EQ(create(cluster, {.name = "t", .configs = {{"no.such", "1"}}}).error, ErrorCode::kInvalidConfig);
  EXPECT_EQ(create(cluster, {.name = "t", .configs = {{"segment.bytes", "4096"}}}).error, ErrorCode::kInvalidConfig);
  EXPECT_EQ(create(cluster, {.name = "t", .configs = {{"message.format.version", "2.8"}}}).error, ErrorCode::kNone);
  EXPECT_TRUE(cluster.image.find_topic("t")->configs.empty());
  cluster.limits.segment_bytes_min = 4096;
  EXPECT_EQ(create(cluster, {.name = "u", .configs = {{"segment.bytes", "4096"}}}).error, ErrorCode::kNone);
}

TEST(CreateTopics, AnswersEachItemAloneAndInOrder) {
  SmallCluster cluster(1);
  const ControllerReply reply =
      cluster.run(CreateTopicsCommand{{{.name = "a"}, {.name = "?"}, {.name = "twice"}, {.name = "twice"}, {.name = "b"}}, false});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kNone);
  EXPECT_EQ(reply.items[1].error, ErrorCode::kInvalidTopicException);
  EXPECT_EQ(reply.items[2].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(reply.items[3].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(reply.items[4].error, ErrorCode::kNone);
  EXPECT_EQ(cluster.image.topics().size(), 2u);
}

TEST(CreateTopics, ValidateOnlySaysWhatWouldBe) {
  SmallCluster cluster(3);
  const ControllerReply reply =
      cluster.run(CreateTopicsCommand{{{.name = "a", .partition_count = 7, .replication_factor = 2}}, true});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kNone);
  EXPECT_EQ(reply.items[0].partition_count, 7);
  EXPECT_EQ(reply.items[0].replication_factor, 2);
  EXPECT_TRUE(cluster.image.topics().empty());
}

TEST(DeleteTopics, ByNameAndById) {
  SmallCluster cluster(1);
  create(cluster, {.name = "a"});
  const TopicId b = create(cluster, {.name = "b"}).topic;
  const ControllerReply reply = cluster.run(DeleteTopicsCommand{{{"a", {}}, {std::nullopt, b}}});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kNone);
  EXPECT_EQ(reply.items[1].error, ErrorCode::kNone);
  EXPECT_EQ(reply.items[1].name, "b");
  EXPECT_TRUE(cluster.image.topics().empty());
  // The name is free again, and the new topic is another one.
  EXPECT_NE(create(cluster, {.name = "b"}).topic, b);
}

TEST(DeleteTopics, RefusesWhatIsNotThereOrNotClear) {
  SmallCluster cluster(1);
  const TopicId a = create(cluster, {.name = "a"}).topic;
  const TopicId nobody{1, 2};
  const ControllerReply reply = cluster.run(DeleteTopicsCommand{
      {{"x", {}}, {std::nullopt, nobody}, {"y", nobody}, {std::nullopt, {}}, {"a", {}}, {std::nullopt, a}}});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(reply.items[1].error, ErrorCode::kUnknownTopicId);
  EXPECT_EQ(reply.items[2].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(reply.items[3].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(reply.items[4].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(reply.items[5].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(cluster.image.topics().size(), 1u);
}

ItemReply widen(SmallCluster& cluster, int32_t count,
                std::optional<std::vector<std::vector<BrokerId>>> assignments = std::nullopt) {
  return cluster.run(CreatePartitionsCommand{{{"t", count, std::move(assignments)}}, false}).items.at(0);
}

TEST(CreatePartitions, AddsWithAsManyCopiesAsTheTopicHas) {
  SmallCluster cluster(3);
  create(cluster, {.name = "t", .partition_count = 2, .replication_factor = 2});
  EXPECT_EQ(widen(cluster, 5).error, ErrorCode::kNone);
  const auto& partitions = cluster.image.find_topic("t")->partitions;
  ASSERT_EQ(partitions.size(), 5u);
  EXPECT_LT(partitions[1].revision, partitions[2].revision);
  EXPECT_EQ(partitions[4].replicas.size(), 2u);
  EXPECT_EQ(widen(cluster, 6, {{{BrokerId(3), BrokerId(2)}}}).error, ErrorCode::kNone);
  EXPECT_EQ(cluster.image.find_topic("t")->partitions[5].replicas[0].node, BrokerId(3));
}

TEST(CreatePartitions, RefusesAsKafkaDoes) {
  SmallCluster cluster(2);
  EXPECT_EQ(widen(cluster, 5).error, ErrorCode::kUnknownTopicOrPartition);
  create(cluster, {.name = "t", .partition_count = 3, .replication_factor = 2});
  const ItemReply same = widen(cluster, 3);
  EXPECT_EQ(same.error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(same.message, "Topic already has 3 partition(s).");
  const ItemReply fewer = widen(cluster, 1);
  EXPECT_EQ(fewer.error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(fewer.message, "The topic t currently has 3 partition(s); 1 would not be an increase.");
  EXPECT_EQ(widen(cluster, -1).error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(widen(cluster, INT32_MAX).error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(widen(cluster, 5, {{{BrokerId(1), BrokerId(2)}}}).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(widen(cluster, 4, {{{BrokerId(1)}}}).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(widen(cluster, 4, {{{BrokerId(1), BrokerId(9)}}}).error, ErrorCode::kInvalidReplicaAssignment);
  cluster.alive = {BrokerId(1)};
  EXPECT_EQ(widen(cluster, 4).error, ErrorCode::kInvalidReplicationFactor);
  const ControllerReply twice = cluster.run(CreatePartitionsCommand{{{"t", 4, {}}, {"t", 5, {}}}, false});
  EXPECT_EQ(twice.items[0].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(cluster.image.find_topic("t")->partitions.size(), 3u);
}

TEST(CreatePartitions, ValidateOnlyAddsNothing) {
  SmallCluster cluster(1);
  create(cluster, {.name = "t", .partition_count = 1});
  EXPECT_EQ(cluster.run(CreatePartitionsCommand{{{"t", 4, {}}}, true}).items[0].error, ErrorCode::kNone);
  EXPECT_EQ(cluster.image.find_topic("t")->partitions.size(), 1u);
}

}  // namespace
}  // namespace taffrail
