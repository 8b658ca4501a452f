// Goal: a disk without room costs nothing that is there, is told to producers by the protocol's own error, and is over
// when there is room again; one that takes too long over everything does not lead. Method: brokers whose simulated disk
// is left with a few bytes, or is slowed down, while somebody writes.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"
#include "partition/partition.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

Slice large_batch() { return batch_of({std::string(40'000, 'x')}); }

// Writes until something else than success is answered; what it was, and how many were acknowledged before.
std::pair<ErrorCode, int> write_until_refused(Wire& wire, int at_most = 100) {
  for (int i = 0; i < at_most; ++i)
    if (const auto answer = wire.produce("t", large_batch()); answer.error_code != ErrorCode::kNone) return {answer.error_code, i};
  return {ErrorCode::kNone, at_most};
}

TEST(FullDisk, RefusesProduceKeepsReadsAndGoesOnWhenThereIsRoom) {
  BrokerWorld w(51);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(0));
    w.world.disk(w.cluster.broker(0)).limit_space(0);
    const auto [code, written] = write_until_refused(wire);
    EXPECT_EQ(code, ErrorCode::kKafkaStorageError);
    EXPECT_GT(written, 0) << "what was prepared before is used up first";
    // All that was acknowledged is there, and is served.
    EXPECT_EQ(wire.offset_at("t", protocol::ListOffsetsTimestamp::kLatest).offset, Offset(1 + written));
    EXPECT_EQ(wire.fetch("t", written).error_code, ErrorCode::kNone);
    w.world.disk(w.cluster.broker(0)).unlimit_space();
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 2_s).has_value());
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(1 + written));
  });
  EXPECT_EQ(w.log_lines("takes no more records").size(), 1u) << "said once, not with every attempt";
  EXPECT_EQ(w.log_lines("there is room again").size(), 1u);
}

// Two attempts a second, each of which left an empty segment of the write-ahead log.
TEST(FullDisk, WhatFindsNoRoomLeavesNothingBehind) {
  BrokerWorld w(54);
  w.create_topic("t");
  const auto files = [&] {
    size_t count = 0;
    w.world.run_fiber(w.cluster.broker(0), [&](Task& task, Runtime& runtime) { count = runtime.disk().list(task, "shard-0/wal")->size(); });
    return count;
  };
  w.run([&](Wire& wire) {
    w.world.disk(w.cluster.broker(0)).limit_space(0);
    EXPECT_EQ(write_until_refused(wire).first, ErrorCode::kKafkaStorageError);
  });
  const size_t before = files();
  w.world.run_for(20_s);
  EXPECT_LE(files(), before + 1);
}

TEST(FullDisk, ABatchLargerThanASegmentOfTheLogWaitsForRoom) {
  NodeConfig config = small_config();
  config.storage.wal_segment_bytes = 16_KiB;
  BrokerWorld w(52, 1, config);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(0));
    w.world.disk(w.cluster.broker(0)).limit_space(0);
    w.world.after(3_s, [&w] { w.world.disk(w.cluster.broker(0)).unlimit_space(); });
    const Instant before = wire.runtime().now();
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(1));
    EXPECT_GE(wire.runtime().now(), before + 2_s);
  });
  EXPECT_TRUE(w.world.stops().empty()) << w.world.stops().front().why;
}

TEST(FullDisk, ALeaderWithoutRoomHandsItsPartitionsOver) {
  BrokerWorld w(53, 3);
  w.create_topic("t", 1, 3);
  const uint32_t full = w.leader_of("t");
  int written = 0;
  w.run([&](Wire& wire) {
    w.world.disk(w.cluster.broker(full)).limit_space(0);
    ErrorCode code;
    std::tie(code, written) = write_until_refused(wire);
    EXPECT_EQ(code, ErrorCode::kKafkaStorageError);
  }, full);
  w.world.run_for(3_s);
  const uint32_t next = w.leader_of("t");
  ASSERT_NE(next, full);
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(written));
    EXPECT_EQ(wire.produce("t", large_batch()).base_offset, Offset(written + 1));
  }, next);
  EXPECT_TRUE(w.world.stops().empty());
}

TEST(SlowDisk, LosesItsLeaderships) {
  BrokerWorld w(54, 3);
  w.create_topic("t", 1, 3);
  const uint32_t slow = w.leader_of("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", batch_of({"before"})).error_code, ErrorCode::kNone);
    w.world.disk(w.cluster.broker(slow)).slow_down(100'000, Instant::never());
    EXPECT_EQ(wire.produce("t", batch_of({"the others have it"})).error_code, ErrorCode::kNone);
    (void)wire.runtime().sleep_for(wire.task(), 4_s);
    EXPECT_EQ(w.leader_of("t"), slow) << "who does nothing here is not looked at";
    // Its own disk is not waited for; that it takes so long is noticed by the next that comes.
    (void)wire.produce("t", batch_of({"too long"}));
  }, slow);
  w.world.run_for(3_s);
  const uint32_t next = w.leader_of("t");
  ASSERT_NE(next, slow);
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"after"})).error_code, ErrorCode::kNone); }, next);
  EXPECT_GE(w.log_lines("the disk is slow here").size(), 1u);
  EXPECT_TRUE(w.world.stops().empty());
}

TEST(SlowDisk, LosesItsLeadershipsAlsoIfTheFirstThatShallLeadDoesNotHear) {
  BrokerWorld w(55, 3);
  w.create_topic("t", 1, 3);
  const uint32_t slow = w.leader_of("t");
  const uint32_t first = slow == 0 ? 1 : 0;  // Of two that are equally far.
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", batch_of({"before"})).error_code, ErrorCode::kNone);
    w.world.disk(w.cluster.broker(slow)).slow_down(100'000, Instant::never());
    EXPECT_EQ(wire.produce("t", batch_of({"the others have it"})).error_code, ErrorCode::kNone);
    (void)wire.runtime().sleep_for(wire.task(), 4_s);
    w.world.pause(w.cluster.broker(first));
    for (int i = 0; i < 10; ++i) {
      (void)wire.produce("t", batch_of({"too long"}));
      (void)wire.runtime().sleep_for(wire.task(), 500_ms);
    }
  }, slow);
  const auto lines = w.log_lines("the disk is slow here");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find(fmt::format("broker {} shall lead", first + 1)), std::string::npos) << lines[0];
  w.world.resume(w.cluster.broker(first));
  w.world.run_for(3_s);
  const uint32_t next = w.leader_of("t");
  ASSERT_NE(next, slow);
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"after"})).error_code, ErrorCode::kNone); }, next);
}

}  // namespace
}  // namespace taffrail::test
