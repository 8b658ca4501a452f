// Goal: configs change incrementally, for a topic or for all brokers, and are refused as Kafka does.
// Also: brokers register, and get producer ids that nobody else gets.
// Method: one small cluster, one question per claim.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using testing::HasSubstr;
using Op = AlterConfigsCommand::Op;
using Change = AlterConfigsCommand::Change;
using Resource = AlterConfigsCommand::Resource;

constexpr int8_t kTopic = 2;
constexpr int8_t kBroker = 4;

struct Configs : testing::Test {
  Configs() { cluster.run(CreateTopicsCommand{{{.name = "t"}}, false}); }
  ItemReply alter(int8_t type, std::string name, std::vector<Change> changes) {
    return cluster.run(AlterConfigsCommand{{Resource{type, std::move(name), std::move(changes)}}, false}).items.at(0);
  }
  ItemReply alter(std::vector<Change> changes) { return alter(kTopic, "t", std::move(changes)); }
  const ConfigMap& topic() { return cluster.image.find_topic("t")->configs; }
  SmallCluster cluster{1};
};

TEST_F(Configs, SetReplacesAndDeleteRemoves) {
  EXPECT_EQ(alter({{"retention.ms", Op::kSet, "5"}, {"segment.ms", Op::kSet, "7"}}).error, ErrorCode::kNone);
  EXPECT_EQ(topic(), (ConfigMap{{"retention.ms", "5"}, {"segment.ms", "7"}}));
  EXPECT_EQ(alter({{"retention.ms", Op::kSet, "6"}, {"segment.ms", Op::kDelete, std::nullopt}}).error, ErrorCode::kNone);
  EXPECT_EQ(topic(), (ConfigMap{{"retention.ms", "6"}}));
}

TEST_F(Configs, WhatChangesNothingAppendsNothing) {
  alter({{"retention.ms", Op::kSet, "5"}});
  EXPECT_EQ(alter({{"retention.ms", Op::kSet, "5"}, {"flush.ms", Op::kDelete, std::nullopt}}).error, ErrorCode::kNone);
  EXPECT_TRUE(cluster.records.empty());
  // A key that no longer exists can still be removed.
  EXPECT_EQ(alter({{"gone.since.long", Op::kDelete, std::nullopt}}).error, ErrorCode::kNone);
}

TEST_F(Configs, AppendAndSubtractStartFromWhatActs) {
  EXPECT_EQ(alter({{"cleanup.policy", Op::kAppend, "compact"}}).error, ErrorCode::kNone);
  EXPECT_EQ(topic().at("cleanup.policy"), "delete,compact");
  alter({{"cleanup.policy", Op::kAppend, " compact , delete "}});
  EXPECT_EQ(topic().at("cleanup.policy"), "delete,compact");
  alter({{"cleanup.policy", Op::kSubtract, "delete"}});
  EXPECT_EQ(topic().at("cleanup.policy"), "compact");
  alter({{"cleanup.policy", Op::kSubtract, "compact"}});
  EXPECT_EQ(topic().at("cleanup.policy"), "");

  alter(kBroker, "", {{"log.cleanup.policy", Op::kSet, "compact"}});
  alter({{"cleanup.policy", Op::kDelete, std::nullopt}});
  alter({{"cleanup.policy", Op::kAppend, "delete"}});
  EXPECT_EQ(topic().at("cleanup.policy"), "compact,delete");
}

TEST_F(Configs, RefusesWhatKafkaRefuses) {
  const auto refused = [&](std::vector<Change> changes, ErrorCode error, const char* why) {
    const ItemReply reply = alter(std::move(changes));
    EXPECT_EQ(reply.error, error) << why;
    EXPECT_THAT(reply.message, HasSubstr(why));
    EXPECT_TRUE(cluster.records.empty());
  };
  refused({{"retention.ms", Op::kSet, "x"}}, ErrorCode::kInvalidConfig, "not a whole number");
  refused({{"no.such", Op::kSet, "x"}}, ErrorCode::kInvalidConfig, "Unknown topic config name: no.such");
  refused({{"retention.ms", Op::kAppend, "5"}}, ErrorCode::kInvalidConfig, "its type is not LIST");
  refused({{"cleanup.policy", Op::kAppend, "paint"}}, ErrorCode::kInvalidConfig, "is none of");
  refused({{"retention.ms", Op::kSet, std::nullopt}}, ErrorCode::kInvalidRequest, "Null value not supported for SET");
  refused({{"retention.ms", Op::kSet, "5"}, {"retention.ms", Op::kDelete, std::nullopt}}, ErrorCode::kInvalidRequest,
          "duplicate config keys");
  refused({{"min.compaction.lag.ms", Op::kSet, "9"}, {"max.compaction.lag.ms", Op::kSet, "8"}},
          ErrorCode::kInvalidConfig, "is more than max.compaction.lag.ms");
  // One bad change, and none of the resource's changes happen.
  refused({{"segment.ms", Op::kSet, "9"}, {"retention.ms", Op::kSet, "x"}}, ErrorCode::kInvalidConfig, "retention.ms");
  EXPECT_TRUE(topic().empty());
}

TEST_F(Configs, RetiredKeysAreTakenAndForgotten) {
  EXPECT_EQ(alter({{"message.format.version", Op::kSet, "2.8"}, {"retention.ms", Op::kSet, "5"}}).error,
            ErrorCode::kNone);
  EXPECT_EQ(topic(), (ConfigMap{{"retention.ms", "5"}}));
}

TEST_F(Configs, RefusesResourcesThatCannotBeChanged) {
  EXPECT_EQ(alter(kTopic, "nobody", {}).error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(alter(kTopic, "", {}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(kTopic, "a b", {}).error, ErrorCode::kInvalidTopicException);
  EXPECT_EQ(alter(kBroker, "99", {{"log.retention.ms", Op::kSet, "5"}}).error, ErrorCode::kBrokerIdNotRegistered);
  EXPECT_EQ(alter(8, "1", {}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(kBroker, "", {{"node.id", Op::kSet, "5"}}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(kBroker, "", {{"retention.ms", Op::kSet, "5"}}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(kBroker, "", {{"log.retention.ms", Op::kSet, "x"}}).error, ErrorCode::kInvalidRequest);
  const Resource once{kTopic, "t", {{"retention.ms", Op::kSet, "5"}}};
  const ControllerReply twice = cluster.run(AlterConfigsCommand{{once, once}, false});
  EXPECT_EQ(twice.items[0].error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(twice.items[1].error, ErrorCode::kInvalidRequest);
}

TEST_F(Configs, OfAllBrokersAreKeptUnderTheBrokersNames) {
  EXPECT_EQ(alter(kBroker, "", {{"log.retention.ms", Op::kSet, "5"}}).error, ErrorCode::kNone);
  EXPECT_EQ(cluster.image.cluster_configs(), (ConfigMap{{"log.retention.ms", "5"}}));
  EXPECT_EQ(TopicConfig::from(with_cluster_defaults(topic(), cluster.image.cluster_configs())).retention_ms, 5);
}

TEST_F(Configs, WhatIsNotSetForOneBrokerCanBeTakenAwayFromIt) {
  EXPECT_EQ(alter(kBroker, "1", {{"leader.replication.throttled.rate", Op::kDelete, std::nullopt}}).error, ErrorCode::kNone);
  EXPECT_TRUE(cluster.records.empty());
}

TEST_F(Configs, ValidateOnlyChangesNothing) {
  const Resource set{kTopic, "t", {{"retention.ms", Op::kSet, "5"}}};
  EXPECT_EQ(cluster.run(AlterConfigsCommand{{set}, true}).items[0].error, ErrorCode::kNone);
  EXPECT_TRUE(topic().empty());
  const Resource bad{kTopic, "t", {{"retention.ms", Op::kSet, "x"}}};
  EXPECT_EQ(cluster.run(AlterConfigsCommand{{bad}, true}).items[0].error, ErrorCode::kInvalidConfig);
}

TEST(RegisterBroker, AgainIsNewsOnlyIfSomethingChanged) {
  SmallCluster cluster(1);
  BrokerRecord broker = broker_record(1);
  EXPECT_EQ(cluster.run(RegisterBrokerCommand{broker}).items[0].error, ErrorCode::kNone);
  EXPECT_TRUE(cluster.records.empty());
  broker.internal.port = 1;
  cluster.run(RegisterBrokerCommand{broker});
  EXPECT_EQ(cluster.image.find_broker(BrokerId(1))->internal.port, 1);
}

TEST(RegisterBroker, RefusesAnotherDiskUnderTheSameIdWhileThatOneLives) {
  SmallCluster cluster(1);
  BrokerRecord broker = broker_record(1);
  broker.replica.disk = DiskId{8, 8};
  const Decision decision = decide(cluster.image, RegisterBrokerCommand{broker},
                                   {cluster.alive, cluster.last_index + 1, 1, &cluster.random, {}, {broker_record(1).replica}});
  EXPECT_TRUE(decision.records.empty());
  const ItemReply reply = decision.reply.items[0];
  EXPECT_EQ(reply.error, ErrorCode::kDuplicateBrokerRegistration);
  EXPECT_THAT(reply.message, HasSubstr(broker.replica.disk.text()));
  broker.replica.node = BrokerId(-1);
  EXPECT_EQ(cluster.run(RegisterBrokerCommand{broker}).items[0].error, ErrorCode::kInvalidRegistration);
}

TEST(AllocateProducerIds, NeverGivesAnIdTwice) {
  SmallCluster cluster(2);
  const ControllerReply first = cluster.run(AllocateProducerIdsCommand{BrokerId(1)});
  const ControllerReply second = cluster.run(AllocateProducerIdsCommand{BrokerId(2)});
  EXPECT_EQ(first.first_producer_id, 0);
  EXPECT_EQ(first.producer_id_count, 1000);
  EXPECT_EQ(second.first_producer_id, 1000);
}

TEST(AllocateProducerIds, RefusesStrangersAndTheEndOfNumbers) {
  SmallCluster cluster(1);
  EXPECT_EQ(cluster.run(AllocateProducerIdsCommand{BrokerId(2)}).items[0].error, ErrorCode::kBrokerIdNotRegistered);
  ASSERT_TRUE(cluster.image.apply(AllocateProducerIds{BrokerId(1), INT64_MAX - 999}, LogIndex(9)));
  const ControllerReply reply = cluster.run(AllocateProducerIdsCommand{BrokerId(1)});
  EXPECT_EQ(reply.items[0].error, ErrorCode::kUnknownServerError);
  EXPECT_EQ(reply.first_producer_id, -1);
}

}  // namespace
}  // namespace taffrail
