// Goal: a replica that comes to a partition whose log no longer begins at its beginning ends up like the others: start,
// records, producers, members; and remembers over a restart that it came late. Method: a partition loses a replica and
// its oldest records, and gets the replica back.
#include "partition/support/partition_world.h"

namespace taffrail::test {
namespace {

struct PartitionMoves : testing::Test {
  void move(const std::vector<BrokerId>& to) {
    w.on(0, [&](Task& task, Runtime& runtime) {
      MovePartitionsCommand command;
      command.partitions.push_back({"t", 0, to});
      const auto reply = w.cluster.node(0)->context().controller().submit(task, command, runtime.now() + 10_s);
      ASSERT_TRUE(reply.has_value()) << reply.error().text();
      ASSERT_EQ(reply->items[0].error, protocol::ErrorCode::kNone) << reply->items[0].message;
    });
    w.settle();
  }
  static BrokerId id_of(uint32_t broker) { return BrokerId(static_cast<int32_t>(broker) + 1); }
  void expect_like(uint32_t broker, uint32_t leader) {
    Partition* fresh = w.replica(broker);
    Partition* old = w.replica(leader);
    ASSERT_TRUE(fresh != nullptr && old != nullptr);
    EXPECT_GT(fresh->log().prefix().index, LogIndex(0)) << "it came by a snapshot";
    EXPECT_EQ(fresh->view().log_start, old->view().log_start);
    EXPECT_EQ(fresh->view().high_watermark, old->view().high_watermark);
    EXPECT_EQ(fresh->group()->configuration(), old->group()->configuration());
    EXPECT_TRUE(fresh->group()->configuration().is_voter(fresh->group()->raft().self()));
    EXPECT_GT(fresh->group()->raft().options().joined, 0);
    const auto producers = fresh->producers();
    ASSERT_EQ(producers.size(), 1u);
    EXPECT_EQ(producers[0].last_sequence, old->producers().at(0).last_sequence);
  }

  PartitionWorld w{1};
};

TEST_F(PartitionMoves, OneThatComesBackBehindTheStartIsLikeTheOthers) {
  const uint32_t leader = w.leader().value();
  const uint32_t gone = (leader + 1) % 3;
  const uint32_t other = (leader + 2) % 3;
  move({id_of(leader), id_of(other)});
  ASSERT_TRUE(w.world.run_until([&] { return w.replica(gone) == nullptr; }, 10_s));
  for (int32_t i = 0; i < 60; ++i) ASSERT_FALSE(w.write(leader, producer_batch(7, 0, i, 500)).has_value()) << i;
  w.world.run_for(3_s);
  w.on(leader, [&](Task& task, Runtime& runtime) {
    const auto start = w.replica(leader)->delete_records(task, Offset(40), runtime.now() + 10_s);
    ASSERT_TRUE(start.has_value()) << start.error().message;
  });
  ASSERT_GT(w.replica(leader)->log().prefix().index, LogIndex(0)) << "the test is about a log without its front";
  move({id_of(leader), id_of(other), id_of(gone)});
  expect_like(gone, leader);

  w.world.kill(w.cluster.broker(gone));
  w.world.run_for(1_s);
  w.world.restart(w.cluster.broker(gone));
  ASSERT_TRUE(w.world.run_until([&] { return w.cluster.serving(gone); }, 30_s));
  w.settle();
  expect_like(gone, w.leader().value());
  // It counts: with another one gone there is still a majority.
  const uint32_t now_leads = w.leader().value();
  const uint32_t third = 3 - gone - now_leads;
  if (now_leads != gone) {
    w.world.kill(w.cluster.broker(third));
    w.world.run_for(3_s);
    EXPECT_FALSE(w.write(w.leader().value(), producer_batch(7, 0, 60)).has_value());
  }
}

}  // namespace
}  // namespace taffrail::test
