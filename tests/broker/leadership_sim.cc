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

}  // namespace
}  // namespace taffrail::test
