// Goal: what a wall clock does is nobody's business but that of timestamps (I-K1). Method: an idle cluster; the clocks
// of its brokers jump by an hour either way, one after the other; whoever led before leads in the same term.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

TEST(Clocks, NoStepOfAWallClockChangesAnElection) {
  BrokerWorld w(3, 3, small_config());
  w.create_topic("t", 6, 3);
  w.world.run_for(5_s);
  const auto terms = [&] {
    std::vector<std::pair<BrokerId, Term>> all;
    for (int32_t p = 0; p < 6; ++p) {
      const RaftGroup* group = w.replica(w.leader_of("t", p), "t", p)->group();
      all.emplace_back(group->leader(), group->term());
    }
    return all;
  };
  const auto before = terms();
  for (const int64_t hours : {-1, 1, 1, -1}) {
    for (uint32_t i = 0; i < 3; ++i) {
      w.world.jump_clock(w.cluster.broker(i), Duration::from_ms(hours * 3'600'000));
      w.world.run_for(5_s);
      ASSERT_EQ(terms(), before) << "after broker " << i + 1 << "'s clock moved by " << hours << " h";
    }
  }
}

}  // namespace
}  // namespace taffrail::test
