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

// Its links stand, and what it says does not arrive: the leaders of a topic are told to all that are registered, and it is
// not yet.
TEST_F(Members, OneThatRegistersBehindItsLinksHearsWhoLeads) {
  int late = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    BrokerWorld w(seed, 4, small_config(), {}, 3);
    w.world.run_for(3_s);
    w.world.kill(w.cluster.broker(3));
    w.world.run_for(3_s);
    w.run([&](Wire& wire) {
      EXPECT_EQ(wire.ask(protocol::UnregisterBrokerRequest{BrokerId(4), {}}, 0).error_code, protocol::ErrorCode::kNone);
    });
    const auto links = [&] { return w.log_lines("link to node 4 at").size(); };
    const size_t before = links();
    w.world.restart(w.cluster.broker(3));
    ASSERT_TRUE(w.world.run_until([&] { return links() >= before + 3; }, 30_s));
    for (uint32_t i = 0; i < 3; ++i) w.world.block(w.cluster.broker(3), w.cluster.broker(i));
    create(w, 0);
    w.world.run_for(1_s);
    late += w.cluster.serving(3) ? 0 : 1;
    for (uint32_t i = 0; i < 3; ++i) w.world.unblock(w.cluster.broker(3), w.cluster.broker(i));
    ASSERT_TRUE(w.world.run_until([&] { return w.cluster.serving(3); }, 30_s));
    w.world.run_for(5_s);
    w.run([&](Wire& wire) {
      protocol::MetadataRequest request;
      request.topics.emplace().push_back({{}, "t", {}});
      const auto answer = wire.ask(request, 12);
      ASSERT_EQ(answer.topics.size(), 1u);
      // Whom it would guess to lead a new topic has no epoch yet.
      for (const auto& partition : answer.topics[0].partitions) EXPECT_GE(partition.leader_epoch, 1) << "seed " << seed;
    }, 3);
  }
  EXPECT_GT(late, 0);
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
