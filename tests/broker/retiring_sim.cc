// Goal: a broker that is to be emptied is emptied by the cluster, whoever looks and whatever restarts meanwhile, and what
// it held is held by others before it goes. Method: simulated clusters, asked over Kafka's protocol.
#include <algorithm>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

struct Retiring : testing::Test {
  /// By config, as `taffrail cluster drain` does.
  void retire(uint32_t broker, std::optional<std::string> what, uint32_t by) {
    w->run([&](Wire& wire) {
      protocol::IncrementalAlterConfigsRequest request;
      using Op = protocol::AlterConfigOp;
      request.resources.push_back({protocol::ConfigResourceType::kBroker, std::to_string(broker + 1),
                                   {{"taffrail.retire", what ? Op::kSet : Op::kDelete, what, {}}}, {}});
      const auto answer = wire.ask(request, 1);
      EXPECT_EQ(answer.responses[0].error_code, ErrorCode::kNone) << answer.responses[0].error_message.value_or("");
    }, by);
  }
  const ClusterImage& image(uint32_t broker) { return w->cluster.node(broker)->context().controller().image(); }
  int led_by(uint32_t broker) {
    int count = 0;
    for (Partition* partition : w->cluster.node(broker)->partitions()) count += partition->is_leader() ? 1 : 0;
    return count;
  }
  void produce(const std::string& topic, int count) {
    w->run([&](Wire& wire) {
      for (int i = 0; i < count; ++i) EXPECT_EQ(wire.produce(topic, batch_of({"v"})).error_code, ErrorCode::kNone);
    }, await_leader(topic));
  }
  int64_t end_of(const std::string& topic) {
    int64_t end = -1;
    w->run([&](Wire& wire) { end = wire.offset_at(topic, -1).offset.value; }, await_leader(topic));
    return end;
  }
  /// Hand-overs take a moment.
  uint32_t await_leader(const std::string& topic) {
    EXPECT_TRUE(w->world.run_until([&] {
      for (uint32_t i = 0; i < w->cluster.broker_count(); ++i)
        if (Partition* partition = w->replica(i, topic); partition != nullptr && partition->is_leader()) return true;
      return false;
    }, 10_s));
    return w->leader_of(topic);
  }
  bool stopped(uint32_t broker) { return !w->world.up(w->cluster.broker(broker)); }

  std::unique_ptr<BrokerWorld> w;
};

TEST_F(Retiring, LeadersLeaveABrokerAndStayAwayOverRestarts) {
  w = std::make_unique<BrokerWorld>(1, 3);
  w->create_topic("t", 9, 3);
  const auto led = [&] { return led_by(1); };
  ASSERT_GT(led(), 0);
  retire(1, "leaders", 0);
  ASSERT_TRUE(w->world.run_until([&] { return led() == 0; }, 10_s));
  // Group 0 is led elsewhere, too.
  ASSERT_TRUE(w->world.run_until([&] { return w->cluster.node(1)->find_group(kMetadataPartition)->role() != Role::kLeader; }, 10_s));
  for (uint32_t i = 0; i < 3; ++i) w->world.kill(w->cluster.broker(i));
  for (uint32_t i = 0; i < 3; ++i) w->world.restart(w->cluster.broker(i));
  ASSERT_TRUE(w->cluster.await_serving(60_s));
  ASSERT_FALSE(w->cluster.await_settled(60_s).has_value());
  ASSERT_TRUE(w->world.run_until([&] { return led() == 0; }, 10_s));
  // Nobody makes it lead by asking.
  w->run([&](Wire& wire) {
    const TopicRecord& topic = *image(0).find_topic(std::string_view("t"));
    for (const auto& of : wire.ask(protocol::ElectLeadersRequest{}, 2).replica_election_results)
      for (const auto& result : of.partition_result)
        if (topic.partitions[static_cast<size_t>(result.partition_id)].replicas.front().node == BrokerId(2)) {
          EXPECT_EQ(result.error_code, ErrorCode::kPreferredLeaderNotAvailable);
        }
  });
  EXPECT_EQ(led(), 0);
  retire(1, std::nullopt, 0);
  w->run([&](Wire& wire) { (void)wire.ask(protocol::ElectLeadersRequest{}, 2); });
  EXPECT_TRUE(w->world.run_until([&] { return led() > 0; }, 10_s)) << "it leads again what it is preferred for";
}

// The first of the other members is a disk that is gone: its node is alive, with another one, and waits to be taken in.
TEST_F(Retiring, LeadersGoPastAMemberWhoseDiskIsGone) {
  w = std::make_unique<BrokerWorld>(7, 3);
  w->create_topic("t", 3, 3);
  produce("t", 5);
  const uint32_t leaves = 2;
  const auto wiped = w->cluster.broker(0);
  w->world.wipe(wiped);
  retire(leaves, "leaders", 1);
  w->world.restart(wiped);
  EXPECT_TRUE(w->world.run_until([&] { return led_by(leaves) == 0; }, 10_s));
  const auto replaced = [&] {
    for (const auto& [id, topic] : image(1).topics())
      for (int32_t p = 0; p < static_cast<int32_t>(topic.partitions.size()); ++p)
        if (Partition* replica = w->cluster.node(0) == nullptr ? nullptr : w->cluster.node(0)->find_partition({id, p});
            replica == nullptr || replica->group()->raft().leader() == std::nullopt)
          return false;
    return true;
  };
  EXPECT_TRUE(w->world.run_until(replaced, 20_s)) << "the new disk gets its replicas meanwhile";
}

TEST_F(Retiring, ABrokerIsEmptiedUnderLoadAndLeaves) {
  w = std::make_unique<BrokerWorld>(2, 4, small_config(), sim::Knobs{}, 3);
  w->create_topic("t", 1, 3);
  w->create_topic("many", 12, 3);
  produce("t", 20);
  // The one that leads "t", and for good measure its log goes where it was not before.
  const uint32_t leaving = w->leader_of("t");
  const uint32_t other = leaving == 0 ? 1 : 0;
  retire(leaving, "replicas", other);
  for (int i = 0; i < 10; ++i) {
    w->world.run_for(300_ms);
    w->run([&](Wire& wire) { (void)wire.produce("t", batch_of({"v"})); }, await_leader("t"));
  }
  ASSERT_TRUE(w->world.run_until([&] { return image(other).find_broker(BrokerId(static_cast<int32_t>(leaving) + 1)) == nullptr; }, 60_s));
  ASSERT_TRUE(w->world.run_until([&] { return stopped(leaving); }, 10_s)) << "it has nothing to do here any more";
  EXPECT_FALSE(image(other).has_replicas_on(BrokerId(static_cast<int32_t>(leaving) + 1)));
  for (const auto& [id, topic] : image(other).topics())
    for (const PartitionRecord& partition : topic.partitions) EXPECT_EQ(partition.replicas.size(), 3u) << topic.name;
  EXPECT_GE(end_of("t"), 20);
  // Three are left, and all of them vote.
  ASSERT_TRUE(w->world.run_until([&] {
    const Configuration& now = w->cluster.node(other)->find_group(kMetadataPartition)->configuration();
    return !now.joint() && now.voters.size() == 3 && now.learners.empty();
  }, 30_s));
}

TEST_F(Retiring, OneOfTwoLeavesAndTheOtherGoesOnAlone) {
  w = std::make_unique<BrokerWorld>(3, 2);
  w->create_topic("t", 2, 1);
  retire(1, "replicas", 0);
  ASSERT_TRUE(w->world.run_until([&] { return stopped(1); }, 60_s));
  w->world.run_for(10_s);
  w->run([&](Wire& wire) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "u";
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    EXPECT_EQ(wire.ask(request, 7).topics[0].error_code, ErrorCode::kNone) << "it is a majority by itself";
  });
  EXPECT_EQ(image(0).brokers().size(), 1u);
}

TEST_F(Retiring, WithoutAnyPlaceToGoNothingIsLostAndTheBrokerStays) {
  w = std::make_unique<BrokerWorld>(4, 3);
  w->create_topic("t", 3, 3);
  produce("t", 5);
  retire(2, "replicas", 0);
  w->world.run_for(20_s);
  EXPECT_FALSE(stopped(2));
  EXPECT_TRUE(image(0).has_replicas_on(BrokerId(3)));
  EXPECT_EQ(w->log_lines("cannot leave the brokers that retire").size(), 1u) << "said once";
  retire(2, std::nullopt, 0);
  ASSERT_FALSE(w->cluster.await_settled(60_s).has_value());
  EXPECT_EQ(end_of("t"), 5);
}

TEST_F(Retiring, OneThatIsGoneIsEmptiedWithoutItsHelp) {
  w = std::make_unique<BrokerWorld>(5, 4, small_config(), sim::Knobs{}, 3);
  w->create_topic("t", 4, 3);
  produce("t", 5);
  w->world.kill(w->cluster.broker(3));
  retire(3, "replicas", 0);
  ASSERT_TRUE(w->world.run_until([&] { return !image(0).has_replicas_on(BrokerId(4)); }, 60_s));
  w->run([&](Wire& wire) { EXPECT_EQ(wire.ask(protocol::UnregisterBrokerRequest{BrokerId(4), {}}, 0).error_code, ErrorCode::kNone); });
  EXPECT_EQ(image(0).find_broker(BrokerId(4)), nullptr);
  EXPECT_EQ(end_of("t"), 5);
}

}  // namespace
}  // namespace taffrail::test
