// Goal: what is durable already is told. What went wrong (seed 974 of an earlier build): a follower's log had written on its own account, so that what the
// driver then noted as "to be told once durable" was durable already. No sync would come to say so, and every promise
// behind it waited too: answers to a leader that asks where the logs agree were never sent, and all stood still.
// Method: two followers in that state, and a leader that has to ask, its links having been lost.
#include <gtest/gtest.h>

#include "controller/support/controller_group.h"

namespace taffrail {
namespace {

TEST(Regression, AMarkThatIsDurableBeforeItIsQueuedHoldsNothingUp) {
  sim::World world(1);
  // Elections and repeated questions are far away: nothing but the answers themselves moves this cluster on.
  DriverOptions driver;
  driver.election_timeout_min = 60_s;
  driver.election_timeout_max = 120_s;
  ControllerGroup group(world, 3, {}, driver);
  ASSERT_TRUE(world.run_until([&] { return group.leader().has_value(); }, 600_s));
  const uint32_t leader = *group.leader();
  ASSERT_NO_FATAL_FAILURE(group.register_all());
  // Quiet, closing marks and all.
  world.run_for(3_s);
  for (uint32_t n = 0; n < 3; ++n) {
    if (n == leader) continue;
    ASSERT_TRUE(world.run_fiber(ControllerGroup::node(n), [&](Task& task, Runtime&) {
      Store& store = *group.process(n)->store;
      Log* log = store.find_log(kMetadataPartition);
      ASSERT_TRUE(store.wal().wait_durable(task, log->save_hard_state(log->hard_state())).has_value());
    }));
  }
  world.run_for(3_s);
  // Each loss of the links makes the leader ask again; the first answer queued the mark, the next ones met it.
  for (int round = 0; round < 3; ++round) {
    for (uint32_t n = 0; n < 3; ++n)
      if (n != leader)
        world.net().reset_connections(leader, n, world.stream(sim::StreamKind::kTest));
    world.run_for(2_s);
  }
  CreateTopicsCommand command;
  command.topics.push_back({.name = "t", .partition_count = 1, .replication_factor = 3});
  const auto reply = group.ask(leader, command, 5_s);
  ASSERT_TRUE(reply.has_value()) << reply.error().text();
  EXPECT_EQ(reply->items[0].error, protocol::ErrorCode::kNone);
}

}  // namespace
}  // namespace taffrail
