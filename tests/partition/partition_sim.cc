// Goal: what a leader decides on is what its log will hold; what was never committed decides nothing; and what
// retention takes away it takes away everywhere alike, but not the memory of producers. Method: three replicas in a
// simulated world, asked directly, while leaders are cut off and brokers start again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/support/partition_world.h"

namespace taffrail::test {
namespace {

void expect_tables_agree(PartitionWorld& w) {
  const ProducerTable& first = w.replica(0)->producer_table();
  for (uint32_t i = 1; i < 3; ++i) EXPECT_EQ(w.replica(i)->producer_table().applied(), first.applied()) << "broker " << i + 1;
}

TEST(Partition, WhatALeaderSpeculatedIsForgottenWhenItStepsDown) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PartitionWorld w(seed);
    const uint32_t old = *w.leader();
    ASSERT_FALSE(w.write(old, producer_batch(1, 0, 0)).has_value());
    w.world.isolate(w.cluster.broker(old));
    // Appended, never committed: sequences 1 and 2 of one producer, the first of another.
    std::optional<Fault> lonely;
    w.on(old, [&](Task& task, Runtime& runtime) {
      Partition* p = w.replica(old);
      ASSERT_TRUE(p->append(producer_batch(1, 0, 1), Acks::kAll, true).has_value());
      ASSERT_TRUE(p->append(producer_batch(2, 0, 40), Acks::kAll, true).has_value());
      const auto last = p->append(producer_batch(1, 0, 2), Acks::kAll, true);
      ASSERT_TRUE(last.has_value());
      // Sent again it is the same batch, and waits for the same commit.
      const auto again = p->append(producer_batch(1, 0, 2), Acks::kAll, true);
      ASSERT_TRUE(again.has_value());
      EXPECT_EQ(again->entry, last->entry);
      lonely = p->wait_acknowledged(task, *again, Acks::kAll, runtime.now() + 60_s);
    });
    ASSERT_TRUE(lonely.has_value()) << "acknowledged without a majority";
    EXPECT_EQ(lonely->what, PartitionFault::kNotLeader);
    EXPECT_EQ(w.replica(old)->view().high_watermark, Offset(1));

    // For the new leader none of it was ever sent.
    const uint32_t fresh = w.await_leader_but(old);
    Offset at;
    ASSERT_FALSE(w.write(fresh, producer_batch(1, 0, 1), &at).has_value());
    EXPECT_EQ(at, Offset(1));
    ASSERT_FALSE(w.write(fresh, producer_batch(2, 0, 7), &at).has_value()) << "40 was never its sequence";
    w.world.heal();
    w.settle();
    expect_tables_agree(w);
    EXPECT_EQ(w.replica(old)->view().log_end, Offset(3));
    const auto& table = w.replica(old)->producer_table().applied();
    EXPECT_EQ(table.at(ProducerId(1)).newest().last, Sequence(1));
    EXPECT_EQ(table.at(ProducerId(2)).newest().last, Sequence(7));
  }
}

TEST(Partition, WhatIsDeletedIsGoneBeforeTheLogHasBeenTold) {
  PartitionWorld w(6);
  const uint32_t leader = *w.leader();
  const uint32_t full = (leader + 1) % 3;
  for (int32_t i = 0; i < 60; ++i) ASSERT_FALSE(w.write(leader, producer_batch(7, 0, i, 500)).has_value()) << i;
  w.settle();
  // The producers are saved before the log's start moves; here there is no room for them.
  w.world.disk(w.cluster.broker(full)).limit_space(0);
  w.on(leader, [&](Task& task, Runtime& runtime) {
    const auto start = w.replica(leader)->delete_records(task, Offset(40), runtime.now() + 10_s);
    ASSERT_TRUE(start.has_value()) << start.error().message;
  });
  EXPECT_TRUE(w.world.run_until([&] { return w.replica(full)->view().log_start == Offset(40); }, 5_s)) << w.replica(full)->view().log_start.value;
  EXPECT_LT(w.replica(full)->log().start_offset(), Offset(40)) << "the test is about one that cannot move it";
  w.world.disk(w.cluster.broker(full)).unlimit_space();
  EXPECT_TRUE(w.world.run_until([&] { return w.replica(full)->log().start_offset() == Offset(40); }, 5_s));
}

TEST(Partition, ANewLeaderKnowsWhatTheOldOneAppendedAndDidNotCommit) {
  for (uint64_t seed = 11; seed <= 15; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PartitionWorld w(seed);
    const uint32_t old = *w.leader();
    ASSERT_FALSE(w.write(old, producer_batch(1, 0, 0)).has_value());
    // Power goes while the batch is on its way: some of the others have it, and some do not.
    w.on(old, [&](Task&, Runtime&) { ASSERT_TRUE(w.replica(old)->append(producer_batch(1, 0, 1), Acks::kAll, true).has_value()); });
    w.world.run_for(Duration::from_ms(static_cast<int64_t>(seed % 5)));
    w.world.power_cut(w.cluster.broker(old));
    const uint32_t fresh = w.await_leader_but(old);
    // Whatever became of it, the client sends it again, and it is there once.
    Offset at;
    ASSERT_FALSE(w.write(fresh, producer_batch(1, 0, 1), &at).has_value());
    EXPECT_EQ(at, Offset(1));
    ASSERT_FALSE(w.write(fresh, producer_batch(1, 0, 2), &at).has_value());
    EXPECT_EQ(at, Offset(2));
    w.world.restart(w.cluster.broker(old));
    w.settle();
    expect_tables_agree(w);
    for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(w.replica(i)->view().log_end, Offset(3));
  }
}

TEST(Partition, TheHighWatermarkFollowsTheMajorityAndNeverFalls) {
  PartitionWorld w(21);
  const uint32_t leader = *w.leader();
  ASSERT_FALSE(w.write(leader, producer_batch(1, 0, 0)).has_value());
  for (uint32_t i = 1; i < 3; ++i) w.world.pause(w.cluster.broker((leader + i) % 3));
  w.on(leader, [&](Task& task, Runtime& runtime) {
    Partition* p = w.replica(leader);
    const auto appended = p->append(producer_batch(1, 0, 1), Acks::kLeader, true);
    ASSERT_TRUE(appended.has_value());
    EXPECT_FALSE(p->wait_acknowledged(task, *appended, Acks::kLeader, runtime.now() + 300_ms).has_value());
    const ReadView view = p->view();
    EXPECT_EQ(view.log_end, Offset(2));
    EXPECT_EQ(view.high_watermark, Offset(1));
    EXPECT_EQ(view.last_stable, Offset(1));
    const auto read = p->read(task, Offset(1), view, 1_MiB, true);
    ASSERT_TRUE(read.has_value());
    EXPECT_TRUE(read->empty());
    const auto beyond = p->read(task, Offset(3), view, 1_MiB, true);
    ASSERT_FALSE(beyond.has_value());
    EXPECT_EQ(beyond.error().what, PartitionFault::kOutOfRange);
    const auto waited = p->wait_acknowledged(task, *appended, Acks::kAll, runtime.now() + 100_ms);
    ASSERT_TRUE(waited.has_value());
    EXPECT_EQ(waited->what, PartitionFault::kTimedOut);
  });
  w.world.heal();
  w.settle();
  for (uint32_t i = 0; i < 3; ++i) EXPECT_GE(w.replica(i)->view().high_watermark, Offset(1));
}

void retention_moves_the_start(uint64_t seed, uint64_t snapshot_entries) {
  PartitionWorld w(seed, {{"retention.bytes", "20000"}, {"segment.bytes", "1048576"}}, snapshot_entries);
  const uint32_t leader = *w.leader();
  // The first batch is a producer's only one; those behind it push it out.
  ASSERT_FALSE(w.write(leader, producer_batch(7, 3, 100)).has_value());
  for (int32_t i = 0; i < 150; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i, 500)).has_value()) << i;
  ASSERT_TRUE(w.world.run_until([&] {
    for (uint32_t i = 0; i < 3; ++i)
      if (w.replica(i)->view().log_start == Offset(0)) return false;
    return true;
  }, 120_s)) << "retention took nothing";
  w.settle();
  const Offset start = w.replica(leader)->view().log_start;
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(w.replica(i)->view().log_start, start) << "broker " << i + 1;
  }
  expect_tables_agree(w);
  // A batch that is gone is still a batch that was sent; after a start of everything, too.
  for (int round = 0; round < 2; ++round) {
    const uint32_t now = *w.leader();
    Offset at;
    EXPECT_FALSE(w.write(now, producer_batch(7, 3, 100), &at).has_value());
    EXPECT_EQ(at, Offset(0)) << "appended a second time";
    const auto stale = w.write(now, producer_batch(7, 2, 101));
    ASSERT_TRUE(stale.has_value());
    EXPECT_EQ(stale->what, PartitionFault::kInvalidProducerEpoch);
    w.on(now, [&](Task& task, Runtime&) {
      Partition* p = w.replica(now);
      const auto gone = p->read(task, Offset(0), p->view(), 1_MiB, true);
      ASSERT_FALSE(gone.has_value());
      EXPECT_EQ(gone.error().what, PartitionFault::kOutOfRange);
    });
    w.world.power_cut_all();
    for (uint32_t i = 0; i < 3; ++i) w.world.restart(w.cluster.broker(i));
    ASSERT_TRUE(w.cluster.await_serving(60_s));
    w.settle();
    // The power went between a follower's snapshot and the move of its start: the move is made up for.
    EXPECT_TRUE(w.world.run_until([&] {
      for (uint32_t i = 0; i < 3; ++i)
        if (w.replica(i)->view().log_start < start || w.replica(i)->size_bytes() > 60'000) return false;
      return true;
    }, 30_s)) << "a start fell back, or what lies before it is kept";
  }
}

TEST(Partition, RetentionMovesTheStartEverywhereAndForgetsNoProducer) { retention_moves_the_start(31, 10'000); }

TEST(Partition, RetentionDoesSoWhereTablesAreSavedAllTheTime) {
  for (uint64_t seed = 61; seed <= 64; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    retention_moves_the_start(seed, 2);
  }
}

TEST(Partition, ARestartStartsFromTheLastSavedTable) {
  for (uint64_t seed = 41; seed <= 43; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PartitionWorld w(seed, {}, 20);
    const uint32_t leader = *w.leader();
    ASSERT_FALSE(w.write(leader, producer_batch(9, 0, 7)).has_value());
    for (int32_t i = 0; i < 110; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i)).has_value()) << i;
    w.settle();
    w.world.run_for(1_s);
    for (uint32_t i = 0; i < 3; ++i) {
      const auto saved = w.replica(i)->log().snapshot_id();
      ASSERT_TRUE(saved.has_value());
      EXPECT_GE(saved->index, LogIndex(90)) << "a restart would replay more than it need";
    }
    w.world.power_cut_all();
    for (uint32_t i = 0; i < 3; ++i) w.world.restart(w.cluster.broker(i));
    ASSERT_TRUE(w.cluster.await_serving(60_s));
    w.settle();
    expect_tables_agree(w);
    Offset at;
    EXPECT_FALSE(w.write(*w.leader(), producer_batch(9, 0, 7), &at).has_value());
    EXPECT_EQ(at, Offset(0)) << "its only batch lies before the saved table's end";
    EXPECT_FALSE(w.write(*w.leader(), producer_batch(1, 0, 110), &at).has_value());
    EXPECT_EQ(at, Offset(111));
  }
}

// However large the log is, and although no snapshot was worth it yet.
TEST(Partition, ARestartFindsTheProducersBesideTheNewestRecords) {
  PartitionWorld w(44, {}, 10'000, 8_KiB);
  const uint32_t leader = *w.leader();
  ASSERT_FALSE(w.write(leader, producer_batch(9, 0, 7)).has_value());
  for (int32_t i = 0; i < 400; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i, 500)).has_value()) << i;
  w.settle();
  w.world.run_for(1_s);
  w.world.power_cut_all();
  for (uint32_t i = 0; i < 3; ++i) w.world.restart(w.cluster.broker(i));
  ASSERT_TRUE(w.cluster.await_serving(60_s));
  w.settle();
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(w.replica(i)->log().snapshot_id().has_value());
    EXPECT_LE(w.replica(i)->entries_unsaved(), 150u) << "of 402 and more: what was in the write-ahead log";
    const auto producers = w.replica(i)->producers();
    ASSERT_EQ(producers.size(), 2u);
    EXPECT_EQ(producers[0].last_sequence, Sequence(399));
  }
  expect_tables_agree(w);
  Offset at;
  EXPECT_FALSE(w.write(*w.leader(), producer_batch(9, 0, 7), &at).has_value());
  EXPECT_EQ(at, Offset(0));
  EXPECT_FALSE(w.write(*w.leader(), producer_batch(1, 0, 400, 500), &at).has_value());
  EXPECT_EQ(at, Offset(401));
}

TEST(Partition, AFollowerBehindTheStartIsGivenTheProducersToo) {
  PartitionWorld w(41, {{"retention.bytes", "20000"}});
  const uint32_t leader = *w.leader();
  const uint32_t away = (leader + 1) % 3;
  w.world.kill(w.cluster.broker(away));
  ASSERT_FALSE(w.write(leader, producer_batch(7, 3, 100)).has_value());
  for (int32_t i = 0; i < 150; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i, 500)).has_value()) << i;
  ASSERT_TRUE(w.world.run_until([&] { return w.replica(leader)->log().first_index() > LogIndex(20); }, 120_s));
  w.world.restart(w.cluster.broker(away));
  w.settle();
  EXPECT_EQ(w.replica(away)->view().log_start, w.replica(leader)->view().log_start);
  expect_tables_agree(w);
  EXPECT_TRUE(w.replica(away)->producer_table().applied().contains(ProducerId(7)));
}

// Seed 1405: the leader met the damage while it sent to a follower, had the hole filled by another, and never sent again.
TEST(Partition, WhatALeaderHadRepairedGoesOnToWhoWaitedForIt) {
  PartitionWorld w(43);
  const uint32_t leader = *w.leader();
  const uint32_t away = (leader + 1) % 3;
  w.world.kill(w.cluster.broker(away));
  // More than is kept in memory: what comes first is read from its segment.
  for (int32_t i = 0; i < 100; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i, 20'000)).has_value()) << i;
  ASSERT_EQ(*w.leader(), leader);
  sim::InodeRef segment;
  for (const auto& [name, file] : w.world.disk(w.cluster.broker(leader)).image().files())
    if (!segment && name.find(w.replica(leader)->key().text()) != std::string::npos && name.ends_with(".log")) segment = file;
  ASSERT_TRUE(segment);
  sim::DiskImage::rot(*segment, 1, 16, w.world.stream(sim::StreamKind::kWorkload, 9));
  ASSERT_TRUE(w.replica(leader)->log().holes().empty());
  w.world.restart(w.cluster.broker(away));
  w.settle();
  EXPECT_EQ(w.replica(away)->log().last_index(), w.replica(leader)->log().last_index());
  EXPECT_FALSE(w.world.trace().story().find("were repaired from broker") == std::string::npos) << "nothing was damaged";
}

TEST(Partition, ATableThatRottedBehindTheStartIsTheLeadersInstead) {
  PartitionWorld w(42, {{"retention.bytes", "20000"}});
  const uint32_t leader = *w.leader();
  const uint32_t rotten = (leader + 1) % 3;
  ASSERT_FALSE(w.write(leader, producer_batch(7, 3, 100)).has_value());
  for (int32_t i = 0; i < 150; ++i) ASSERT_FALSE(w.write(leader, producer_batch(1, 0, i, 500)).has_value()) << i;
  ASSERT_TRUE(w.world.run_until([&] { return w.replica(rotten)->log().first_index() > LogIndex(20); }, 120_s));
  w.settle();
  std::string path;
  for (const auto& [name, file] : w.world.disk(w.cluster.broker(rotten)).image().files())
    if (name.find(w.replica(rotten)->key().text() + "/snapshot") != std::string::npos) path = name;
  ASSERT_NE(path, "");
  w.world.kill(w.cluster.broker(rotten));
  sim::DiskImage& image = w.world.disk(w.cluster.broker(rotten)).image();
  sim::DiskImage::rot(**image.find(path), 0, 16, w.world.stream(sim::StreamKind::kWorkload, 9));
  // Twice: what it was given it has saved.
  for (int round = 0; round < 2; ++round) {
    w.world.restart(w.cluster.broker(rotten));
    w.settle();
    expect_tables_agree(w);
    EXPECT_TRUE(w.replica(rotten)->producer_table().applied().contains(ProducerId(7)));
    w.world.run_for(10_s);
    w.world.kill(w.cluster.broker(rotten));
  }
}

TEST(Partition, FewerInSyncThanAskedForIsSaidBeforeTheAppend) {
  PartitionWorld w(51, {{"min.insync.replicas", "3"}});
  const uint32_t leader = *w.leader();
  ASSERT_FALSE(w.write(leader, producer_batch(1, 0, 0)).has_value());
  w.world.kill(w.cluster.broker((leader + 1) % 3));
  w.world.run_for(10_s);
  EXPECT_EQ(w.replica(leader)->in_sync().size(), 2u);
  const LogIndex before = w.replica(leader)->log().last_index();
  const auto refused = w.write(leader, producer_batch(1, 0, 1));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->what, PartitionFault::kNotEnoughReplicas);
  EXPECT_EQ(w.replica(leader)->log().last_index(), before);
  // It was not remembered either: once they are back, the same sequence is the next.
  w.world.restart(w.cluster.broker((leader + 1) % 3));
  w.settle();
  ASSERT_TRUE(w.world.run_until([&] { return w.leader() && w.replica(*w.leader())->in_sync().size() == 3; }, 30_s));
  Offset at;
  EXPECT_FALSE(w.write(*w.leader(), producer_batch(1, 0, 1), &at).has_value());
  EXPECT_EQ(at, Offset(1));
}

}  // namespace
}  // namespace taffrail::test
