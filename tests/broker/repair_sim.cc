// Goal: damage that nobody reads is found by the scrub, and repaired from the other replicas. Method: records that lie in
// segments of three brokers; a page of one of them rots, or can no longer be read, and no client comes near it.
#include <gtest/gtest.h>

#include "broker/shard.h"
#include "broker/support/broker_world.h"
#include "consensus/driver.h"
#include "partition/partition.h"

namespace taffrail::test {
namespace {

struct Repair : testing::Test {
  static NodeConfig busy_config() {
    NodeConfig config = small_config();
    config.housekeeping_interval = 200_ms;
    config.scrub_round = 2_s;
    config.snapshot_entries = 20;
    config.metadata_snapshot_entries = 2;
    config.storage.flush_bytes = 4_KiB;
    config.storage.wal_segments_kept = 1;
    config.storage.wal_segment_bytes = 64_KiB;
    config.storage.segment_bytes = 128_KiB;
    return config;
  }
  Repair() : w(81, 3, busy_config()) {
    w.create_topic("t", 1, 3);
    leader = w.leader_of("t");
    w.run([&](Wire& wire) {
      for (int i = 0; i < 60; ++i) wire.produce("t", batch_of({std::string(8'000, static_cast<char>('a' + i % 26))}));
    }, leader);
    w.world.run_for(3_s);
  }
  uint64_t repaired(uint32_t broker) {
    uint64_t out = 0;
    for (BrokerShard* shard : w.cluster.node(broker)->shards()) out += shard->driver()->repaired();
    return out;
  }
  /// The largest segment file of a partition on that broker.
  sim::InodeRef segment_of(uint32_t broker) {
    sim::InodeRef best;
    for (const auto& [path, file] : w.world.disk(w.cluster.broker(broker)).image().files())
      if (path.ends_with(".log") && (best == nullptr || sim::DiskImage::pages_at_rest(*file).size() > sim::DiskImage::pages_at_rest(*best).size()))
        best = file;
    return best;
  }

  BrokerWorld w;
  uint32_t leader = 0;
};

TEST_F(Repair, RotThatNobodyReadsIsFoundAndRepaired) {
  const uint32_t victim = (leader + 1) % 3;
  const sim::InodeRef file = segment_of(victim);
  ASSERT_NE(file, nullptr);
  const auto pages = sim::DiskImage::pages_at_rest(*file);
  ASSERT_GT(pages.size(), 4u) << "the records were to lie in segments";
  sim::DiskImage::rot(*file, pages[pages.size() / 2], 3, w.world.stream(sim::StreamKind::kTest));
  w.world.run_for(10_s);
  EXPECT_GE(repaired(victim), 1u);
  EXPECT_TRUE(w.replica(victim, "t")->log().holes().empty());
  EXPECT_GE(w.log_lines("damage found in stored records").size(), 1u);
}

// Of a partition's producers, and of the metadata: both are in memory, and written again from there.
TEST_F(Repair, ASnapshotThatNobodyReadsIsFoundAndWrittenAgain) {
  const uint32_t victim = (leader + 1) % 3;
  size_t rotten = 0;
  for (const auto& [path, file] : w.world.disk(w.cluster.broker(victim)).image().files()) {
    if (!path.ends_with("/snapshot")) continue;
    sim::DiskImage::rot(*file, 0, 30, w.world.stream(sim::StreamKind::kTest));
    ++rotten;
  }
  ASSERT_GE(rotten, 2u);
  w.world.run_for(10_s);
  EXPECT_EQ(w.log_lines("it is written again").size(), rotten);
  w.run([&](Wire&) {});
  size_t whole = 0;
  w.world.run_fiber(w.cluster.broker(victim), [&](Task& task, Runtime&) {
    for (BrokerShard* shard : w.cluster.node(victim)->shards())
      for (Log* log : shard->store()->logs()) whole += log->snapshot_id() && log->read_snapshot(task) ? 1 : 0;
  });
  EXPECT_GE(whole, rotten);
}

TEST_F(Repair, AndOfTheLeaderToo) {
  const sim::InodeRef file = segment_of(leader);
  ASSERT_NE(file, nullptr);
  const auto pages = sim::DiskImage::pages_at_rest(*file);
  ASSERT_GT(pages.size(), 4u);
  sim::DiskImage::rot(*file, pages[pages.size() / 2], 3, w.world.stream(sim::StreamKind::kTest));
  w.world.run_for(10_s);
  EXPECT_GE(repaired(leader), 1u);
  EXPECT_TRUE(w.replica(leader, "t")->log().holes().empty());
}

// A broker that was away comes back without entries that nobody has any more: the others' log begins behind them. Its own
// begins there then, with what the partition was by then. Seed 492 with a group waited for them without end.
TEST_F(Repair, WhatIsGoneEverywhereIsNotWaitedFor) {
  const uint32_t victim = (leader + 1) % 3;
  w.world.kill(w.cluster.broker(victim));
  w.run([&](Wire& wire) {
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = 20'000;
    request.topics.push_back({"t", {{0, Offset(50), {}}}, {}});
    EXPECT_EQ(wire.ask(request, 2).topics.at(0).partitions.at(0).error_code, protocol::ErrorCode::kNone);
  }, leader);
  w.world.run_for(3_s);
  ASSERT_GT(w.replica(leader, "t")->log().first_index(), LogIndex(1));
  // The first page of each segment: without its header nothing of it is known.
  for (const auto& [path, file] : w.world.disk(w.cluster.broker(victim)).image().files()) {
    if (!path.ends_with(".log")) continue;
    const auto pages = sim::DiskImage::pages_at_rest(*file);
    if (pages.size() < 4) continue;
    sim::DiskImage::rot(*file, pages[0], 2000, w.world.stream(sim::StreamKind::kTest));
  }
  w.world.restart(w.cluster.broker(victim));
  w.world.run_for(10_s);
  const Partition* there = w.replica(victim, "t");
  ASSERT_NE(there, nullptr);
  EXPECT_GE(w.log_lines("is gone at broker").size(), 1u);
  EXPECT_TRUE(there->log().holes().empty());
  EXPECT_EQ(there->applied(), w.replica(leader, "t")->applied());
  EXPECT_EQ(there->view().log_start, w.replica(leader, "t")->view().log_start);
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"more"})).error_code, protocol::ErrorCode::kNone); }, leader);
  w.world.run_for(1_s);
  EXPECT_EQ(there->view().log_end, w.replica(leader, "t")->view().log_end);
}

// A file that was cut short lacks one chunk after another, and the next one is only missed when the one before it is there.
// A broker spent a second on each: a partition of which it led could not change its members for a minute.
TEST(RepairOfMuch, TakesNoLongerThanToAskForIt) {
  NodeConfig config = Repair::busy_config();
  config.scrub_round = 3600_s;
  config.snapshot_entries = 1000;
  config.storage.segment_bytes = 16_MiB;
  BrokerWorld w(82, 3, config);
  w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t"), victim = (leader + 1) % 3;
  w.run([&](Wire& wire) {
    for (int i = 0; i < 60; ++i) wire.produce("t", batch_of({std::string(8'000, static_cast<char>('a' + i % 26))}));
  }, leader);
  w.world.run_for(3_s);
  w.world.kill(w.cluster.broker(victim));
  for (const auto& [path, file] : w.world.disk(w.cluster.broker(victim)).image().files()) {
    if (!path.ends_with(".log")) continue;
    const auto pages = sim::DiskImage::pages_at_rest(*file);
    for (size_t i = 1; i < pages.size(); ++i) sim::DiskImage::rot(*file, pages[i], 100, w.world.stream(sim::StreamKind::kTest));
  }
  w.world.restart(w.cluster.broker(victim));
  const Instant began = w.world.now();
  const auto caught_up = [&] {
    const Partition* there = w.replica(victim, "t");
    return there != nullptr && there->applied() == w.replica(leader, "t")->applied();
  };
  EXPECT_TRUE(w.world.run_until(caught_up, 120_s));
  EXPECT_LE(w.world.now() - began, 5_s);
  EXPECT_GE(w.log_lines("were repaired from broker").size(), 10u) << "or little of it was missing";
}

TEST_F(Repair, WhatIsSoundIsNotCalledDamaged) {
  w.world.run_for(20_s);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(repaired(i), 0u);
  EXPECT_TRUE(w.log_lines("damage found").empty());
}

}  // namespace
}  // namespace taffrail::test
