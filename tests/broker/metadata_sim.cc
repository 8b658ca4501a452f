// Goal: clients find brokers, topics and leaders, by name and by id, and topics come to be when they are asked for.
// Method: one or three brokers, every question by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

MetadataRequest asking(std::vector<std::string> names, bool create = false) {
  MetadataRequest request;
  request.topics.emplace();
  for (const std::string& name : names) request.topics->push_back({{}, name, {}});
  request.allow_auto_topic_creation = create;
  return request;
}
MetadataRequest asking_by_id(TopicId id, std::optional<std::string> name = std::nullopt) {
  MetadataRequest request = asking({});
  request.topics->push_back({id, std::move(name), {}});
  return request;
}

TEST(Metadata, BrokersLeadersAndReplicas) {
  BrokerWorld w(1, 3);
  const TopicId id = w.create_topic("t", 3, 3);
  for (uint32_t broker = 0; broker < 3; ++broker)
    w.run([&](Wire& wire) {
      const auto answer = wire.ask(asking({"t"}), 12);
      ASSERT_EQ(answer.brokers.size(), 3u);
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(answer.brokers[i].node_id, BrokerId(static_cast<int32_t>(i) + 1));
        EXPECT_EQ(answer.brokers[i].host, w.world.name(w.cluster.broker(static_cast<uint32_t>(i))));
        EXPECT_EQ(answer.brokers[i].port, sim::SimCluster::kKafkaPort);
      }
      EXPECT_EQ(answer.cluster_id, w.cluster.node(0)->context().cluster().text());
      EXPECT_THAT(answer.controller_id.value, testing::AllOf(testing::Ge(1), testing::Le(3)));
      ASSERT_EQ(answer.topics.size(), 1u);
      EXPECT_EQ(answer.topics[0].topic_id, id);
      EXPECT_EQ(answer.topics[0].topic_authorized_operations, kNoAuthorizedOperations);
      ASSERT_EQ(answer.topics[0].partitions.size(), 3u);
      for (int32_t p = 0; p < 3; ++p) {
        const auto& partition = answer.topics[0].partitions[static_cast<size_t>(p)];
        EXPECT_EQ(partition.leader_id, BrokerId(static_cast<int32_t>(w.leader_of("t", p)) + 1)) << "as broker " << broker;
        EXPECT_GT(partition.leader_epoch, 0);
        EXPECT_THAT(partition.replica_nodes, UnorderedElementsAre(BrokerId(1), BrokerId(2), BrokerId(3)));
        EXPECT_THAT(partition.isr_nodes, UnorderedElementsAre(BrokerId(1), BrokerId(2), BrokerId(3)));
        EXPECT_TRUE(partition.offline_replicas.empty());
      }
    }, broker);
}

TEST(Metadata, AllTopicsOrNoneByVersion) {
  BrokerWorld w(2);
  w.create_topic("b");
  w.create_topic("a");
  w.run([&](Wire& wire) {
    const auto names = [&](const MetadataRequest& request, int16_t version) {
      std::vector<std::string> out;
      for (const auto& topic : wire.ask(request, version).topics) out.push_back(topic.name.value_or("null"));
      return out;
    };
    EXPECT_THAT(names(asking({}, true), 0), ElementsAre("a", "b")) << "v0 has no null: empty is all";
    MetadataRequest all;
    for (int16_t version = 1; version <= 13; ++version) {
      EXPECT_THAT(names(asking({}, true), version), ElementsAre()) << version;
      EXPECT_THAT(names(all, version), ElementsAre("a", "b")) << version;
    }
  });
}

TEST(Metadata, ByIdFromVersionTwelveAndNeverBefore) {
  BrokerWorld w(3);
  const TopicId id = w.create_topic("t");
  w.run([&](Wire& wire) {
    // With a null name, and with an empty one as the Java admin client sends it.
    for (const auto& name : {std::optional<std::string>(), std::optional<std::string>("")}) {
      const auto known = wire.ask(asking_by_id(id, name), 12).topics.at(0);
      EXPECT_EQ(known.error_code, ErrorCode::kNone);
      EXPECT_EQ(known.name, "t");
      const auto unknown = wire.ask(asking_by_id({3, 4}, name), 12).topics.at(0);
      EXPECT_EQ(unknown.error_code, ErrorCode::kUnknownTopicId);
      EXPECT_EQ(unknown.name, std::nullopt);
      EXPECT_EQ(unknown.topic_id, (TopicId{3, 4}));
    }
    EXPECT_EQ(wire.ask(asking_by_id({}), 12).topics.at(0).error_code, ErrorCode::kUnknownTopicId);
    // KIP-516: these two carry ids, and must not be asked by them.
    for (const int16_t version : {int16_t{10}, int16_t{11}})
      EXPECT_EQ(wire.ask(asking_by_id(id, "t"), version).topics.at(0).error_code, ErrorCode::kInvalidRequest);
  });
}

TEST(Metadata, TopicsAreMadeOnFirstUseWhereTheClientAsksForIt) {
  BrokerWorld w(4, 3);
  w.run([&](Wire& wire) {
    const auto code = [&](const MetadataRequest& request, int16_t version = 9) { return wire.ask(request, version).topics.at(0).error_code; };
    EXPECT_EQ(code(asking({"no"}, false)), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(code(asking({"no"}, false)), ErrorCode::kUnknownTopicOrPartition) << "it was made all the same";
    const auto made = wire.ask(asking({"yes"}, true), 9).topics.at(0);
    EXPECT_EQ(made.error_code, ErrorCode::kNone);
    ASSERT_EQ(made.partitions.size(), 1u);
    EXPECT_NE(made.partitions[0].leader_id, kNoBroker) << "some clients give up on a topic that begins without a leader";
    EXPECT_EQ(made.partitions[0].replica_nodes.size(), 3u);
    // Before v4 nobody can say no.
    EXPECT_EQ(code(asking({"old"}, true), 3), ErrorCode::kNone);
    for (const char* bad : {"", ".", "..", "a/b", "a b", "a\nb", "\xc3\xa4"})
      EXPECT_EQ(code(asking({bad}, true)), ErrorCode::kInvalidTopicException) << bad;
    EXPECT_EQ(code(asking({std::string(250, 'a')}, true)), ErrorCode::kInvalidTopicException);
    EXPECT_EQ(code(asking({std::string(249, 'a')}, true)), ErrorCode::kNone);
    // One that exists under another dot is not made, and not there.
    EXPECT_EQ(code(asking({"x.y"}, true)), ErrorCode::kNone);
    EXPECT_NE(code(asking({"x_y"}, true)), ErrorCode::kNone);
    // Twice in one request.
    EXPECT_EQ(wire.ask(asking({"twice", "twice"}, true), 9).topics.size(), 1u);
    EXPECT_EQ(code(asking({"twice"}, false)), ErrorCode::kNone);
  });
}

TEST(Metadata, UntilSomebodyLeadsAPartitionItsFirstReplicaIsNamed) {
  sim::Knobs knobs;
  knobs.disk.bytes_per_second = 1'000'000;  // An election takes its time.
  BrokerWorld w(7, 3, small_config(), knobs);
  w.run([&](Wire& wire) {
    protocol::CreateTopicsRequest create;
    create.timeout_ms = 1;  // Nobody waits for the leaders of this one.
    create.topics.push_back({.name = "t", .num_partitions = 30, .replication_factor = 3});
    wire.ask(create, 5);
    MetadataResponse::Topic topic;
    for (int left = 100'000; left > 0 && topic.partitions.empty(); --left) topic = wire.ask(asking({"t"}), 9).topics.at(0);
    ASSERT_EQ(topic.partitions.size(), 30u);
    int early = 0;
    for (const auto& partition : topic.partitions) {
      EXPECT_EQ(partition.error_code, ErrorCode::kNone);
      EXPECT_NE(partition.leader_id, kNoBroker);
      if (partition.leader_epoch != -1) continue;
      ++early;
      EXPECT_EQ(partition.leader_id, partition.replica_nodes.at(0));
    }
    EXPECT_GT(early, 0) << "nothing was tested: all of them had leaders already";
  });
}

TEST(Metadata, WhoCreatesATopicFindsItsLeaders) {
  BrokerWorld w(8, 3);
  w.run([&](Wire& wire) {
    protocol::CreateTopicsRequest create;
    create.timeout_ms = 10'000;
    create.topics.push_back({.name = "t", .num_partitions = 30, .replication_factor = 3});
    ASSERT_EQ(wire.ask(create, 5).topics.at(0).error_code, ErrorCode::kNone);
    for (const auto& partition : wire.ask(asking({"t"}), 9).topics.at(0).partitions) EXPECT_GT(partition.leader_epoch, 0);
  });
}

TEST(Metadata, NoTopicIsMadeWhereTheBrokerForbidsIt) {
  NodeConfig config = small_config();
  config.auto_create_topics = false;
  BrokerWorld w(5, 1, config);
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.ask(asking({"t"}, true), 9).topics.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(wire.ask(asking({"t"}, true), 0).topics.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  });
}

TEST(Metadata, WhoIsGoneIsOfflineAndNoLeader) {
  NodeConfig config = small_config();
  config.replica_lag_max = 2_s;
  BrokerWorld w(6, 3, config);
  w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t");
  const uint32_t stays = (leader + 1) % 3;
  const BrokerId gone(static_cast<int32_t>(leader) + 1);
  w.world.kill(w.cluster.broker(leader));
  w.run([&](Wire& wire) {
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 10_s));
    const auto answer = wire.ask(asking({"t"}), 9);
    EXPECT_EQ(answer.brokers.size(), 2u);
    const auto& partition = answer.topics.at(0).partitions.at(0);
    EXPECT_NE(partition.leader_id, gone);
    EXPECT_NE(partition.leader_id, kNoBroker);
    EXPECT_THAT(partition.offline_replicas, ElementsAre(gone));
    EXPECT_THAT(partition.replica_nodes, testing::Contains(gone));
    EXPECT_THAT(partition.isr_nodes, testing::Not(testing::Contains(gone))) << "nothing was written since it died";

    DescribeClusterRequest describe;
    EXPECT_EQ(wire.ask(describe, 2).brokers.size(), 2u);
    describe.include_fenced_brokers = true;
    const auto all = wire.ask(describe, 2).brokers;
    ASSERT_EQ(all.size(), 3u);
    for (const auto& broker : all) EXPECT_EQ(broker.is_fenced, broker.broker_id == gone);
  }, stays);
}

TEST(DescribeCluster, NamesTheClusterAndRefusesToBeAController) {
  BrokerWorld w(7, 3);
  w.run([&](Wire& wire) {
    DescribeClusterRequest request;
    const auto answer = wire.ask(request, 1);
    EXPECT_EQ(answer.cluster_id, w.cluster.node(0)->context().cluster().text());
    EXPECT_EQ(answer.brokers.size(), 3u);
    EXPECT_NE(answer.controller_id, kNoBroker);
    request.endpoint_type = EndpointType::kController;
    EXPECT_EQ(wire.ask(request, 1).error_code, ErrorCode::kMismatchedEndpointType);
    request.endpoint_type = static_cast<EndpointType>(9);
    EXPECT_EQ(wire.ask(request, 1).error_code, ErrorCode::kUnsupportedEndpointType);
  });
}

TEST(DescribeTopicPartitions, PagesInOrderWithEmptyLists) {
  BrokerWorld w(8);
  w.create_topic("b", 3);
  w.create_topic("a", 2);
  w.run([&](Wire& wire) {
    DescribeTopicPartitionsRequest request;
    const auto whole = wire.ask(request, 0);
    EXPECT_FALSE(whole.next_cursor.has_value());
    ASSERT_EQ(whole.topics.size(), 2u);
    EXPECT_EQ(whole.topics[0].name, "a");
    ASSERT_EQ(whole.topics[1].partitions.size(), 3u);
    // Empty lists, not null: the Java admin client throws on null.
    EXPECT_TRUE(whole.topics[1].partitions[0].eligible_leader_replicas.has_value());
    EXPECT_TRUE(whole.topics[1].partitions[0].last_known_elr.has_value());
    EXPECT_EQ(whole.topics[1].partitions[0].leader_id, BrokerId(1));

    // Two partitions a page, by the cursor that each page ends with.
    request.response_partition_limit = 2;
    std::vector<std::string> seen;
    for (int page = 0; page < 10; ++page) {
      const auto answer = wire.ask(request, 0);
      for (const auto& topic : answer.topics)
        for (const auto& partition : topic.partitions) seen.push_back(*topic.name + std::to_string(partition.partition_index));
      request.cursor = answer.next_cursor;
      if (!answer.next_cursor) break;
    }
    EXPECT_THAT(seen, ElementsAre("a0", "a1", "b0", "b1", "b2"));

    // What is not there, twice the same, limits and cursors that make no sense.
    request = {};
    request.topics = {{"nobody", {}}, {"b", {}}, {"b", {}}, {"..", {}}};
    const auto some = wire.ask(request, 0);
    ASSERT_EQ(some.topics.size(), 3u);
    EXPECT_EQ(some.topics[0].error_code, ErrorCode::kInvalidTopicException);
    EXPECT_EQ(some.topics[1].error_code, ErrorCode::kNone);
    EXPECT_EQ(some.topics[2].error_code, ErrorCode::kUnknownTopicOrPartition);
    for (const int32_t limit : {0, -1, INT32_MIN}) {
      request = {};
      request.response_partition_limit = limit;
      EXPECT_TRUE(wire.try_ask(request, 0).has_value()) << limit;
    }
    for (const int32_t from : {-1, 3, INT32_MAX, INT32_MIN}) {
      request = {};
      request.cursor = TopicPartitionsCursor{"b", from, {}};
      const auto answer = wire.ask(request, 0);
      if (from < 0) {
        EXPECT_TRUE(answer.topics.empty()) << from;
        continue;
      }
      ASSERT_EQ(answer.topics.size(), 1u) << from;
      EXPECT_TRUE(answer.topics[0].partitions.empty());
    }
  });
}

TEST(FindCoordinator, SaysThatNobodyLooksAfterTransactions) {
  BrokerWorld w(9);
  w.run([&](Wire& wire) {
    FindCoordinatorRequest one;
    one.key = "transaction";
    one.key_type = CoordinatorType::kTransaction;
    EXPECT_EQ(wire.ask(one, 3).error_code, ErrorCode::kCoordinatorNotAvailable);
    FindCoordinatorRequest many;
    many.key_type = CoordinatorType::kTransaction;
    many.coordinator_keys = {"a", "b"};
    const auto answer = wire.ask(many, 4);
    ASSERT_EQ(answer.coordinators.size(), 2u);
    EXPECT_EQ(answer.coordinators[1].key, "b");
    EXPECT_EQ(answer.coordinators[1].error_code, ErrorCode::kCoordinatorNotAvailable);
  });
}

TEST(InitProducerId, NobodyGetsTheSameTwice) {
  BrokerWorld w(10, 3);
  std::set<int64_t> ids;
  for (int round = 0; round < 2; ++round) {
    for (uint32_t broker = 0; broker < 3; ++broker)
      w.run([&](Wire& wire) {
        for (int i = 0; i < 20; ++i) {
          const auto answer = wire.ask(InitProducerIdRequest{}, 4);
          ASSERT_EQ(answer.error_code, ErrorCode::kNone);
          EXPECT_EQ(answer.producer_epoch, ProducerEpoch(0));
          EXPECT_TRUE(ids.insert(answer.producer_id.value).second) << answer.producer_id.value;
        }
        InitProducerIdRequest transactional;
        transactional.transactional_id = "tx";
        EXPECT_EQ(wire.ask(transactional, 4).error_code, ErrorCode::kCoordinatorNotAvailable);
      }, broker);
    w.world.power_cut_all();
    for (const sim::NodeId machine : w.cluster.machines()) w.world.restart(machine);
    ASSERT_TRUE(w.cluster.await_serving(30_s));
  }
}

}  // namespace
}  // namespace taffrail::test
