// Goal: who leads a partition can do what a leader is for. Method: three brokers, and links between them cut by hand.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"
#include "partition/partition.h"

namespace taffrail::test {
namespace {

// A link that works in one direction only: the others campaign, and the leader hears that they live. It must not take
// that for an answer.
TEST(Leadership, WhoIsNotHeardStepsDownThoughItHears) {
  BrokerWorld w(41, 3);
  w.create_topic("t", 1, 3);
  const uint32_t deaf_to = w.leader_of("t");
  for (uint32_t i = 1; i < 3; ++i) w.world.block(w.cluster.broker(deaf_to), w.cluster.broker((deaf_to + i) % 3));
  w.world.run_for(10_s);
  EXPECT_FALSE(w.replica(deaf_to, "t")->is_leader());
  uint32_t leaders = 0;
  for (uint32_t i = 1; i < 3; ++i) leaders += w.replica((deaf_to + i) % 3, "t")->is_leader() ? 1 : 0;
  EXPECT_EQ(leaders, 1u);
}

// The other direction: the leader is heard and hears nobody. Nothing that it says may keep the others from going on.
TEST(Leadership, WhoHearsNobodyIsFollowedByAnotherInTime) {
  BrokerWorld w(42, 3);
  w.create_topic("t", 1, 3);
  const uint32_t deaf = w.leader_of("t");
  for (uint32_t i = 1; i < 3; ++i) w.world.block(w.cluster.broker((deaf + i) % 3), w.cluster.broker(deaf));
  const auto another = [&] {
    for (uint32_t i = 1; i < 3; ++i)
      if (w.replica((deaf + i) % 3, "t")->is_leader()) return true;
    return false;
  };
  EXPECT_TRUE(w.world.run_until(another, 3_s));
}

// A follower that was cut off for a moment and gave its leader up is never told again who leads: that has not changed.
TEST(Leadership, WhoGaveItsLeaderUpFindsItAgain) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    BrokerWorld w(seed, 3);
    w.create_topic("t", 1, 3);
    const uint32_t leader = w.leader_of("t");
    const uint32_t follower = (leader + 1) % 3;
    const auto follows = [&] { return w.replica(follower, "t")->group()->raft().leader().has_value(); };
    w.world.run_for(5_s);  // Until nothing is left to be said of what is committed.
    ASSERT_TRUE(follows());
    w.world.block(w.cluster.broker(leader), w.cluster.broker(follower));
    ASSERT_TRUE(w.world.run_until([&] { return !follows(); }, 10_s));
    w.world.unblock(w.cluster.broker(leader), w.cluster.broker(follower));
    EXPECT_TRUE(w.world.run_until(follows, 10_s)) << "seed " << seed;
  }
}

// A client that asks the broker that is cut off is not misled: it hears who led the rest, and that nobody is known to lead
// what this broker led.
TEST(Leadership, WhoIsCutOffNamesTheOthersAndNotItself) {
  BrokerWorld w(43, 3);
  w.create_topic("t", 6, 3);
  const uint32_t deaf = w.leader_of("t");
  std::map<int32_t, uint32_t> led;
  for (int32_t p = 0; p < 6; ++p) led[p] = w.leader_of("t", p);
  for (uint32_t i = 1; i < 3; ++i) w.world.block(w.cluster.broker((deaf + i) % 3), w.cluster.broker(deaf));
  w.world.run_for(5_s);
  w.run([&](Wire& wire) {
    protocol::MetadataRequest request;
    request.topics.emplace().push_back({{}, "t", {}});
    const auto answer = wire.ask(request, 12);
    EXPECT_EQ(answer.brokers.size(), 3u);
    ASSERT_EQ(answer.topics.size(), 1u);
    for (const auto& partition : answer.topics[0].partitions) {
      const uint32_t before = led.at(partition.partition_index);
      const BrokerId should = before == deaf ? kNoBroker : BrokerId(static_cast<int32_t>(before) + 1);
      EXPECT_EQ(partition.leader_id, should) << partition.partition_index;
    }
  }, deaf);
}

}  // namespace
}  // namespace taffrail::test
