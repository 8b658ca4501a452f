// Goal: a cluster is more than those that founded it: brokers that come later learn the metadata, serve, are given
// replicas, and vote where there is room. Method: simulated clusters of which some brokers are no seeds.
#include "broker/support/broker_world.h"
#include "consensus/driver.h"

namespace taffrail::test {
namespace {

struct Members : testing::Test {
  static const Configuration& metadata(BrokerWorld& w, uint32_t broker) {
    return w.cluster.node(broker)->find_group(kMetadataPartition)->configuration();
  }
  /// All that are up agree on so many voters and learners of group 0.
  static bool has(BrokerWorld& w, size_t voters, size_t learners) {
    for (uint32_t i = 0; i < w.cluster.broker_count(); ++i) {
      if (!w.cluster.serving(i)) continue;
      const Configuration& known = metadata(w, i);
      if (known.joint() || known.voters.size() != voters || known.learners.size() != learners) return false;
    }
    return true;
  }
  /// A topic "t" with three replicas, whoever is up.
  static void create(BrokerWorld& w, uint32_t by) {
    w.run([&](Wire& wire) {
      protocol::CreateTopicsRequest request;
      auto& topic = request.topics.emplace_back();
      topic.name = "t";
      topic.num_partitions = 1;
      topic.replication_factor = 3;
      const auto answer = wire.ask(request, 7);
      ASSERT_EQ(answer.topics.size(), 1u);
      EXPECT_EQ(answer.topics[0].error_code, protocol::ErrorCode::kNone) << answer.topics[0].error_message.value_or("");
    }, by);
  }
};

TEST_F(Members, BrokersBeyondTheSeedsGetAVote) {
  BrokerWorld w(1, 5, small_config(), {}, 3);
  ASSERT_TRUE(w.world.run_until([&] { return has(w, 5, 0); }, 30_s));
  // Two of the founders may go now: three of five are left.
  w.world.kill(w.cluster.broker(0));
  w.world.kill(w.cluster.broker(1));
  w.world.run_for(3_s);
  create(w, /*by=*/4);
}

TEST_F(Members, AFourthBrokerLearnsAndServes) {
  BrokerWorld w(2, 4, small_config(), {}, 3);
  ASSERT_TRUE(w.world.run_until([&] { return has(w, 3, 1); }, 30_s));
  w.create_topic("t", 4, 4);
  EXPECT_TRUE(metadata(w, 3).is_learner(w.cluster.node(3)->find_group(kMetadataPartition)->raft().self()));
  bool led = false;
  for (int32_t p = 0; p < 4; ++p) led = led || w.leader_of("t", p) == 3;
  EXPECT_TRUE(led) << "the preferred leader of one partition in four";
  w.run([&](Wire& wire) {
    protocol::MetadataRequest request;
    EXPECT_EQ(wire.ask(request, 8).brokers.size(), 4u);
  }, 3);
}

TEST_F(Members, ALearnerComesBackAndCatchesUp) {
  BrokerWorld w(3, 4, small_config(), {}, 3);
  ASSERT_TRUE(w.world.run_until([&] { return has(w, 3, 1); }, 30_s));
  w.world.kill(w.cluster.broker(3));
  w.world.run_for(3_s);
  create(w, /*by=*/0);
  w.world.restart(w.cluster.broker(3));
  ASSERT_TRUE(w.world.run_until([&] { return w.cluster.serving(3); }, 30_s));
  EXPECT_NE(w.cluster.node(3)->context().controller().image().find_topic(std::string_view("t")), nullptr);
}

}  // namespace
}  // namespace taffrail::test
