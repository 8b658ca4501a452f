// Goal: of a replica whose disk may have lost the end of its log, everybody is told the truth: it is not in sync before it
// is refilled, nobody is named as leader who leads no more, and where nobody is left who could refill it, an operator is told
// so, and can go on without. Method: three brokers; a record rots in one write-ahead log while its broker is down.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"
#include "consensus/driver.h"
#include "partition/partition.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

constexpr std::string_view kNeedle = "this record is going to rot";

struct Doubt : testing::Test {
  Doubt() : w(91, 3) {
    topic = w.create_topic("t", 1, 3);
    leader = w.leader_of("t");
    follower = (leader + 1) % 3;
    other = (leader + 2) % 3;
    w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"first"})).error_code, ErrorCode::kNone); }, leader);
    w.world.run_for(2_s);
  }
  sim::NodeId node(uint32_t broker) const { return w.cluster.broker(broker); }
  void cut(uint32_t a, uint32_t b) {
    w.world.block(node(a), node(b));
    w.world.block(node(b), node(a));
  }
  void join(uint32_t a, uint32_t b) {
    w.world.unblock(node(a), node(b));
    w.world.unblock(node(b), node(a));
  }
  void produce_needle() {
    w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({std::string(kNeedle)})).error_code, ErrorCode::kNone); }, leader);
  }
  void rot_needle(uint32_t broker) {
    size_t found = 0;
    for (const auto& [path, file] : w.world.disk(node(broker)).image().files()) {
      if (!path.ends_with(".wal")) continue;
      const std::string bytes = file->read_durable(0, file->size());
      for (size_t at = bytes.find(kNeedle); at != std::string::npos; at = bytes.find(kNeedle, at + 1), ++found)
        sim::DiskImage::rot(*file, at / sim::kPageBytes, 3, w.world.stream(sim::StreamKind::kTest), at % sim::kPageBytes, 8);
    }
    ASSERT_GE(found, 1u) << "the record was to lie in the write-ahead log";
  }
  const Raft* raft(uint32_t broker) {
    Partition* partition = w.replica(broker, "t");
    return partition == nullptr || partition->group() == nullptr ? nullptr : &partition->group()->raft();
  }
  BrokerId named_by(uint32_t broker) {
    BrokerId named = kNoBroker;
    w.run([&](Wire& wire) {
      protocol::MetadataRequest request;
      request.topics.emplace().push_back({{}, "t", {}});
      const auto answer = wire.ask(request, 12);
      named = answer.topics.at(0).partitions.at(0).leader_id;
    }, broker);
    return named;
  }
  std::string trouble_on(uint32_t broker) {
    std::string what;
    w.run([&](Wire& wire) {
      protocol::DescribeLogDirsRequest request;
      request.topics.emplace();
      for (const auto& directory : wire.ask(request, 4).results)
        for (const auto& trouble : directory.troubles)
          if (trouble.topic == "t") what = trouble.what;
    }, broker);
    return what;
  }
  ErrorCode elect_unclean(uint32_t broker) {
    ErrorCode error = ErrorCode::kNone;
    w.run([&](Wire& wire) {
      protocol::ElectLeadersRequest request;
      request.election_type = 1;
      request.timeout_ms = 30'000;
      request.topic_partitions.emplace().push_back({"t", {0}, {}});
      error = wire.ask(request, 2).replica_election_results.at(0).partition_result.at(0).error_code;
    }, broker);
    return error;
  }

  BrokerWorld w;
  TopicId topic;
  uint32_t leader = 0;
  uint32_t follower = 0;
  uint32_t other = 0;
};

// What lag it may have does not count for it: it held everything a moment ago, and holds less now.
TEST_F(Doubt, WhoLostTheEndOfItsLogIsNotInSyncBeforeItIsRefilled) {
  produce_needle();
  w.world.kill(node(follower));
  rot_needle(follower);
  ASSERT_EQ(w.replica(leader, "t")->in_sync().size(), 3u);
  w.world.restart(node(follower));
  EXPECT_TRUE(w.world.run_until([&] { return w.replica(leader, "t")->in_sync().size() == 2; }, 3_s));
  EXPECT_TRUE(w.world.run_until([&] { return w.replica(leader, "t")->in_sync().size() == 3; }, 3_s));
  ASSERT_EQ(w.cluster.await_settled(10_s), std::nullopt);
  EXPECT_FALSE(raft(follower)->possibly_longer());
  EXPECT_EQ(trouble_on(follower), "");
}

// The record was acknowledged by the leader's disk, which is gone, and by the follower's, where it rotted. The third
// replica is whole and lacks it.
TEST_F(Doubt, WhatNobodyHoldsAnyMoreIsToldAndGivenUpByAnOperatorsWord) {
  cut(leader, other);
  cut(follower, other);
  produce_needle();
  w.world.kill(node(follower));
  rot_needle(follower);
  ASSERT_TRUE(w.world.run_until([&] { return raft(leader)->role() != Role::kLeader; }, 10_s));
  w.world.restart(node(follower));
  // It hears how far the other log goes, and gets nothing: that one needs its vote to lead.
  ASSERT_TRUE(w.world.run_until([&] { return raft(follower) != nullptr && raft(follower)->possibly_longer(); }, 10_s));
  ASSERT_TRUE(w.world.run_until([&] { return raft(follower)->furthest_told() > raft(follower)->log().last(); }, 10_s));
  EXPECT_NE(trouble_on(follower).find(std::to_string(other + 1)), std::string::npos) << trouble_on(follower);
  w.world.kill(node(leader));
  w.world.wipe(node(leader));
  join(leader, other);
  join(follower, other);
  w.world.restart(node(leader));
  w.world.run_for(15_s);
  EXPECT_TRUE(raft(follower)->possibly_longer());
  EXPECT_EQ(named_by(follower), kNoBroker);
  EXPECT_EQ(named_by(other), kNoBroker) << "the old disk led, and the new one is alive";
  EXPECT_NE(trouble_on(follower).find("entries up to"), std::string::npos) << trouble_on(follower);
  EXPECT_EQ(trouble_on(other), "");

  EXPECT_EQ(elect_unclean(other), ErrorCode::kNone);
  const BrokerId now = named_by(other);
  ASSERT_NE(now, kNoBroker);
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"goes on"})).error_code, ErrorCode::kNone); },
        static_cast<uint32_t>(now.value) - 1);
  EXPECT_EQ(elect_unclean(other), ErrorCode::kElectionNotNeeded);
  EXPECT_EQ(w.cluster.await_settled(60_s), std::nullopt);
  EXPECT_EQ(trouble_on(follower), "");
}

// Without group 0 no broker serves, and nobody can be asked for anything but at a start.
TEST_F(Doubt, WhatGroup0MayHaveLostIsGivenUpAtAStart) {
  const Log& metadata = w.cluster.node(follower)->find_group(kMetadataPartition)->log();
  const auto end = metadata.place_of(metadata.last_index());
  ASSERT_TRUE(end.has_value() && end->segment != 0);
  for (uint32_t i = 0; i < 3; ++i) w.world.power_cut(node(i));
  ASSERT_TRUE(w.world.disk(node(follower)).rot_at(end->file, end->offset, 40, 3, w.world.stream(sim::StreamKind::kTest)));
  w.world.restart(node(follower));
  w.world.restart(node(leader));
  w.world.run_for(30_s);
  EXPECT_FALSE(w.cluster.serving(leader));
  EXPECT_EQ(w.log_lines("start this broker with --unclean").size(), 1u);
  w.cluster.set_unclean(follower, true);
  w.world.kill(node(follower));
  w.world.restart(node(follower));
  EXPECT_EQ(w.cluster.await_settled(60_s, {node(follower), node(leader)}), std::nullopt);
}

// An operator's word is not needed as long as somebody may still say what is missing.
TEST_F(Doubt, NothingIsGivenUpWhileSomebodyMayStillKnow) {
  w.world.kill(node(follower));
  w.world.kill(node(other));
  ASSERT_TRUE(w.world.run_until([&] { return raft(leader)->role() != Role::kLeader; }, 10_s));
  EXPECT_EQ(elect_unclean(leader), ErrorCode::kEligibleLeadersNotAvailable);
  w.world.restart(node(follower));
  w.world.restart(node(other));
  EXPECT_EQ(w.cluster.await_settled(60_s), std::nullopt);
}

// The broker is back and leads nothing: those that it once told so do not go on naming it, and those that are as new as it
// do not guess.
void come_back_without_followers(bool all_at_once) {
  BrokerWorld w(92, 3);
  w.create_topic("t", 3, 2);
  for (int32_t p = 0; p < 3; ++p) {
    const uint32_t leader = w.leader_of("t", p);
    uint32_t follower = (leader + 1) % 3;
    if (w.replica(follower, "t", p) == nullptr) follower = (leader + 2) % 3;
    const uint32_t outside = 3 - leader - follower;
    w.world.kill(w.cluster.broker(follower));
    w.world.kill(w.cluster.broker(leader));
    if (all_at_once) {
      w.world.kill(w.cluster.broker(outside));
      w.world.restart(w.cluster.broker(outside));
    }
    w.world.restart(w.cluster.broker(leader));
    w.world.run_for(10_s);
    w.run([&](Wire& wire) {
      protocol::MetadataRequest request;
      request.topics.emplace().push_back({{}, "t", {}});
      EXPECT_EQ(wire.ask(request, 12).topics.at(0).partitions.at(static_cast<size_t>(p)).leader_id, kNoBroker) << p;
    }, outside);
    w.world.restart(w.cluster.broker(follower));
    ASSERT_EQ(w.cluster.await_settled(60_s), std::nullopt);
  }
}

TEST(Leaders, WhoCameBackWithoutItsFollowersIsNotNamed) { come_back_without_followers(false); }

TEST(Leaders, NobodyIsGuessedToLeadWhatWasLedBefore) { come_back_without_followers(true); }

}  // namespace
}  // namespace taffrail::test
