// Goal: whoever is asked about the cluster's members, features and configs answers as the leader of group 0 would, and
// what is changed there acts everywhere. Method: simulated clusters, asked over Kafka's protocol.
#include <algorithm>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

protocol::DescribeQuorumRequest about_metadata() {
  protocol::DescribeQuorumRequest request;
  request.topics.push_back({"__cluster_metadata", {{0, {}}}, {}});
  return request;
}

std::vector<int32_t> voters_of(const protocol::DescribeQuorumResponse& answer) {
  std::vector<int32_t> out;
  if (answer.topics.empty()) return out;
  for (const auto& voter : answer.topics[0].partitions[0].current_voters) out.push_back(voter.replica_id.value);
  return out;
}

TEST(Quorum, EveryBrokerTellsOfTheSameVotersAndHowFarTheyAre) {
  BrokerWorld w(1, 4, small_config(), {}, 3);
  w.world.run_for(3_s);
  for (uint32_t broker = 0; broker < 4; ++broker)
    w.run([&](Wire& wire) {
      for (int16_t version = 0; version <= 2; ++version) {
        const auto answer = wire.ask(about_metadata(), version);
        ASSERT_EQ(answer.error_code, ErrorCode::kNone);
        ASSERT_EQ(answer.topics.size(), 1u);
        const auto& partition = answer.topics[0].partitions[0];
        EXPECT_EQ(voters_of(answer), (std::vector<int32_t>{1, 2, 3}));
        ASSERT_EQ(partition.observers.size(), 1u);
        EXPECT_EQ(partition.observers[0].replica_id, BrokerId(4));
        EXPECT_GT(partition.leader_epoch, 0);
        for (const auto& voter : partition.current_voters) {
          EXPECT_EQ(voter.log_end_offset, partition.high_watermark) << "it is quiet";
          EXPECT_EQ(version >= 2, !voter.replica_directory_id.is_zero());
          if (version >= 1) { EXPECT_GT(voter.last_caught_up_timestamp, 0); }
        }
        EXPECT_EQ(answer.nodes.size(), version >= 2 ? 3u : 0u);
      }
      protocol::DescribeQuorumRequest other;
      other.topics.push_back({"t", {{0, {}}}, {}});
      EXPECT_EQ(wire.ask(other, 2).topics[0].partitions[0].error_code, ErrorCode::kUnknownTopicOrPartition);
    }, broker);
}

TEST(Quorum, VotesAreTakenAndGivenByHand) {
  BrokerWorld w(2, 4, small_config(), {}, 3);
  w.world.run_for(3_s);
  const auto disk_of = [&](int32_t id) { return w.cluster.node(0)->context().controller().image().find_broker(BrokerId(id))->replica.disk; };
  w.run([&](Wire& wire) {
    protocol::RemoveRaftVoterRequest remove{{}, BrokerId(1), disk_of(1), {}};
    EXPECT_EQ(wire.ask(remove, 0).error_code, ErrorCode::kNone);
    // The cluster goes on with three, of which the fourth broker is one now.
    EXPECT_EQ(voters_of(wire.ask(about_metadata(), 2)), (std::vector<int32_t>{2, 3, 4}));
    EXPECT_EQ(wire.ask(remove, 0).error_code, ErrorCode::kVoterNotFound);
    protocol::AddRaftVoterRequest add;
    add.cluster_id = "elsewhere";
    add.timeout_ms = 20'000;
    add.voter_id = BrokerId(1);
    add.voter_directory_id = disk_of(1);
    add.listeners.push_back({"CONTROLLER", "host", 9092, {}});
    EXPECT_EQ(wire.ask(add, 1).error_code, ErrorCode::kInconsistentClusterId);
    add.cluster_id.reset();
    EXPECT_EQ(wire.ask(add, 1).error_code, ErrorCode::kNone);
    EXPECT_EQ(voters_of(wire.ask(about_metadata(), 2)), (std::vector<int32_t>{1, 2, 3, 4})) << "as it was told";
    EXPECT_EQ(wire.ask(add, 0).error_code, ErrorCode::kDuplicateVoter);
  }, 2);
}

TEST(Quorum, ABrokerThatWillNotComeBackIsForgotten) {
  BrokerWorld w(3, 4, small_config(), {}, 3);
  w.world.run_for(3_s);
  w.world.kill(w.cluster.broker(3));
  w.world.run_for(3_s);
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.ask(protocol::UnregisterBrokerRequest{BrokerId(2), {}}, 0).error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(wire.ask(protocol::UnregisterBrokerRequest{BrokerId(9), {}}, 0).error_code, ErrorCode::kBrokerIdNotRegistered);
    EXPECT_EQ(wire.ask(protocol::UnregisterBrokerRequest{BrokerId(4), {}}, 0).error_code, ErrorCode::kNone);
    protocol::DescribeClusterRequest all;
    all.include_fenced_brokers = true;
    EXPECT_EQ(wire.ask(all, 2).brokers.size(), 3u);
  });
  w.world.run_for(5_s);
  w.run([&](Wire& wire) { EXPECT_TRUE(wire.ask(about_metadata(), 2).topics[0].partitions[0].observers.empty()); });
  // It was not meant to come back; should it do so, it joins as any other.
  w.world.restart(w.cluster.broker(3));
  EXPECT_TRUE(w.world.run_until([&] { return w.cluster.serving(3); }, 30_s));
}

TEST(Features, ALevelThatIsTakenBackActsOnEveryBroker) {
  BrokerWorld w(4, 3);
  const auto level = [](const protocol::ApiVersionsResponse& answer) {
    return answer.finalized_features.empty() ? 0 : answer.finalized_features[0].max_version_level;
  };
  const auto update = [](int16_t to, protocol::FeatureUpgradeType type) {
    protocol::UpdateFeaturesRequest request;
    request.feature_updates.push_back({"group.version", to, false, type, {}});
    return request;
  };
  protocol::ApiVersionsRequest versions;
  versions.client_software_name = "test";
  versions.client_software_version = "1";
  int64_t epoch = 0;
  w.run([&](Wire& wire) {
    EXPECT_EQ(level(wire.ask(versions, 3)), 1);
    EXPECT_EQ(wire.ask(update(0, protocol::FeatureUpgradeType::kUpgrade), 2).error_code, ErrorCode::kInvalidUpdateVersion);
    EXPECT_EQ(wire.ask(update(0, static_cast<protocol::FeatureUpgradeType>(9)), 2).error_code, ErrorCode::kInvalidUpdateVersion);
    const auto done = wire.ask(update(0, protocol::FeatureUpgradeType::kSafeDowngrade), 1);
    EXPECT_EQ(done.error_code, ErrorCode::kNone);
    ASSERT_EQ(done.results.size(), 1u);
    const auto after = wire.ask(versions, 3);
    EXPECT_EQ(level(after), 0);
    epoch = after.finalized_features_epoch;
  });
  w.world.run_for(1_s);
  w.run([&](Wire& wire) {
    protocol::ConsumerGroupHeartbeatRequest beat;
    beat.group_id = "g";
    EXPECT_EQ(wire.ask(beat, 1).error_code, ErrorCode::kUnsupportedVersion);
    EXPECT_EQ(wire.ask(update(1, protocol::FeatureUpgradeType::kUpgrade), 2).error_code, ErrorCode::kNone);
    const auto after = wire.ask(versions, 3);
    EXPECT_EQ(level(after), 1);
    EXPECT_GT(after.finalized_features_epoch, epoch);
  }, 1);
}

TEST(Configs, WhatThereIsToConfigureIsListedByKind) {
  BrokerWorld w(5, 3);
  w.create_topic("t", 1, 3);
  using Type = protocol::ConfigResourceType;
  const auto names = [](const protocol::ListConfigResourcesResponse& answer, Type type) {
    std::vector<std::string> out;
    for (const auto& resource : answer.config_resources)
      if (resource.resource_type == type) out.push_back(resource.resource_name);
    return out;
  };
  w.run([&](Wire& wire) {
    protocol::IncrementalAlterConfigsRequest alter;
    alter.resources.push_back({Type::kGroup, "g", {{"consumer.session.timeout.ms", protocol::AlterConfigOp::kSet, "50000", {}}}, {}});
    alter.resources.push_back({Type::kBroker, "2", {{"log.retention.ms", protocol::AlterConfigOp::kSet, "777", {}}}, {}});
    for (const auto& response : wire.ask(alter, 1).responses) EXPECT_EQ(response.error_code, ErrorCode::kNone) << response.error_message.value_or("");
    const auto all = wire.ask(protocol::ListConfigResourcesRequest{}, 1);
    EXPECT_EQ(names(all, Type::kTopic), std::vector<std::string>{"t"});
    EXPECT_EQ(names(all, Type::kBroker), (std::vector<std::string>{"1", "2", "3"}));
    EXPECT_EQ(names(all, Type::kGroup), std::vector<std::string>{"g"});
    EXPECT_TRUE(wire.ask(protocol::ListConfigResourcesRequest{}, 0).config_resources.empty()) << "no client metrics";
    protocol::ListConfigResourcesRequest odd;
    odd.resource_types.push_back(static_cast<Type>(77));
    EXPECT_EQ(wire.ask(odd, 1).error_code, ErrorCode::kUnsupportedVersion);
  });
  w.world.run_for(1_s);
  // One broker's own config acts there, and is told there with its source.
  w.run([&](Wire& wire) {
    protocol::DescribeConfigsRequest request;
    request.resources.push_back({Type::kBroker, "2", std::vector<std::string>{"log.retention.ms"}, {}});
    request.resources.push_back({Type::kGroup, "g", std::vector<std::string>{"consumer.session.timeout.ms"}, {}});
    const auto answer = wire.ask(request, 4);
    ASSERT_EQ(answer.results[0].configs.size(), 1u);
    EXPECT_EQ(answer.results[0].configs[0].value, "777");
    EXPECT_EQ(answer.results[0].configs[0].config_source, protocol::ConfigSource::kDynamicBrokerConfig);
    ASSERT_EQ(answer.results[1].configs.size(), 1u);
    EXPECT_EQ(answer.results[1].configs[0].value, "50000");
    EXPECT_EQ(answer.results[1].configs[0].config_source, protocol::ConfigSource::kGroupConfig);
  }, 1);
  EXPECT_EQ(w.replica(1, "t")->config().retention_ms, 777);
  EXPECT_EQ(w.replica(0, "t")->config().retention_ms, 604'800'000);
}

// What docs/group-configs.md says is described.
TEST(Configs, OfGroupsAreDescribedByBrokers) {
  NodeConfig config = small_config();
  config.groups.consumer_migration = group::Migration::kUpgrade;
  config.groups.consumer_size_max = 77;
  BrokerWorld w(20, 1, config);
  const std::map<std::string, std::string> expected = {
      {"group.consumer.assignment.interval.ms", "1000"},      {"group.consumer.assignors", "uniform,range"},
      {"group.consumer.heartbeat.interval.ms", "5000"},       {"group.consumer.max.assignment.interval.ms", "15000"},
      {"group.consumer.max.heartbeat.interval.ms", "15000"},  {"group.consumer.max.session.timeout.ms", "60000"},
      {"group.consumer.max.size", "77"},                      {"group.consumer.migration.policy", "upgrade"},
      {"group.consumer.min.assignment.interval.ms", "0"},     {"group.consumer.min.heartbeat.interval.ms", "5000"},
      {"group.consumer.min.session.timeout.ms", "45000"},     {"group.consumer.session.timeout.ms", "45000"},
      {"group.initial.rebalance.delay.ms", "3000"},           {"group.max.session.timeout.ms", "1800000"},
      {"group.max.size", "2147483647"},                       {"group.min.session.timeout.ms", "6000"},
      {"offset.metadata.max.bytes", "4096"},                  {"offsets.commit.timeout.ms", "5000"},
      {"offsets.retention.check.interval.ms", "600000"},      {"offsets.retention.minutes", "10080"},
      {"offsets.topic.num.partitions", "50"},                 {"offsets.topic.replication.factor", "3"},
  };
  w.run([&](Wire& wire) {
    protocol::DescribeConfigsRequest request;
    request.resources.push_back({protocol::ConfigResourceType::kBroker, "1", {}, {}});
    std::map<std::string, std::string> described;
    const auto answer = wire.ask(request, 4);
    for (const auto& c : answer.results.at(0).configs)
      if (c.name.starts_with("group.") || c.name.starts_with("offset")) described[c.name] = c.value.value_or("");
    EXPECT_EQ(described, expected);
  });
}

}  // namespace
}  // namespace taffrail::test
