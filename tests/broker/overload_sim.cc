// Goal: I-L7, when overload ends, so does its effect; and while it lasts, memory stays within its bounds and what is
// small is still answered. Method: more connections push more than the simulated disk can take, for ten seconds; the
// time of a single record before, meanwhile and after is compared.
#include <gtest/gtest.h>

#include "broker/shard.h"
#include "broker/support/broker_world.h"
#include "storage/store.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

constexpr size_t kBatch = 50'000;

struct Overload : testing::Test {
  static sim::Knobs slow_knobs() {
    sim::Knobs knobs;
    knobs.disk.bytes_per_second = 2'000'000;
    return knobs;
  }
  static NodeConfig narrow_config() {
    NodeConfig config = small_config();
    config.storage.wal_segment_bytes = 16_MiB;
    config.storage.memory = 16_MiB;
    config.server.memory = 2_MiB;
    return config;
  }
  Overload() : w(71, 1, narrow_config(), slow_knobs()) { w.create_topic("t"); }

  Duration time_of_one(Wire& wire) {
    const Instant before = wire.runtime().now();
    EXPECT_EQ(wire.produce("t", batch_of({"one"})).error_code, ErrorCode::kNone);
    return wire.runtime().now() - before;
  }
  BrokerWorld w;
};

TEST_F(Overload, PassesWithItsCauseAndStaysWithinMemory) {
  uint64_t answered = 0;
  bool stop = false;
  Scope scope;
  w.run([&](Wire& wire) {
    // A new broker prepares a segment of its write-ahead log, which takes this disk eight seconds.
    (void)wire.runtime().sleep_for(wire.task(), 20_s);
    const Duration calm = time_of_one(wire);
    std::vector<Wire> pushers;
    for (int i = 0; i < 20; ++i) pushers.push_back(w.connect(wire));
    const Slice batch = batch_of({std::string(kBatch, 'x')});
    for (Wire& pusher : pushers) {
      // As fast as the connection takes it, and nobody waits for an answer before the next.
      wire.runtime().spawn(scope, "push", [&](Task& task) {
        int32_t correlation = 0;
        while (!stop) {
          const auto chain = protocol::encode_request<protocol::ProduceRequest>(++correlation, "push", produce_request("t", 0, batch), 8);
          const std::vector<Slice> parts{chain->flat()};
          if (!pusher.socket().write(task, parts, wire.runtime().now() + 60_s)) return;
        }
      });
      wire.runtime().spawn(scope, "take", [&](Task& task) {
        uint8_t piece[1000];
        for (;;) {
          const auto count = pusher.socket().read(task, piece, wire.runtime().now() + 60_s);
          if (!count || *count == 0) return;
          answered += *count;
        }
      });
    }
    ByteCount most = 0;
    const uint64_t before = answered;
    for (int i = 0; i < 100; ++i) {
      (void)wire.runtime().sleep_for(wire.task(), 100_ms);
      most = std::max(most, w.cluster.node(0)->store()->wal().queued_bytes());
    }
    EXPECT_LE(most, 4_MiB) << "twenty connections could have left a hundred requests each";
    Duration under_load;
    for (int i = 0; i < 10; ++i) under_load = std::max(under_load, time_of_one(wire));
    EXPECT_GT(under_load, calm * 10) << "or this was no overload";
    stop = true;
    const Instant ended = wire.runtime().now();
    while (time_of_one(wire) > calm * 2)
      if (wire.runtime().now() > ended + 10_s) break;
    EXPECT_LE(wire.runtime().now(), ended + 10_s);
    EXPECT_LE(time_of_one(wire), calm * 2);
    // Ten seconds of what the disk takes, nearly all of it acknowledged records.
    EXPECT_GE(w.replica(0, "t")->view().high_watermark, Offset(10 * 2'000'000 * 9 / 10 / static_cast<int64_t>(kBatch)));
    EXPECT_GT(answered, before);
    scope.cancel();
    scope.join(wire.task());
  }, 0, 300_s);
  EXPECT_TRUE(w.world.stops().empty());
}

// Records that lie on the disk alone, and more readers than there is memory for who ask for a MiB each and read nothing.
struct Deaf : testing::Test {
  static NodeConfig config() {
    NodeConfig config = small_config();
    config.storage.memory = 1_MiB;
    config.server.memory = 4_MiB;
    return config;
  }
  Deaf() : w(72, 1, config()) {
    w.create_topic("t");
    w.create_topic("small");
  }

  static constexpr ByteCount kMost = 2_MiB + 2 * 1_MiB + 100_KiB;  // Half of it, and an answer or two beyond.
  ByteCount used() { return w.cluster.node(0)->shards().front()->memory().used(); }
  static protocol::FetchRequest a_mib(int64_t offset) {
    protocol::FetchRequest request = fetch_request("t", 0, offset);
    request.max_bytes = request.topics[0].partitions[0].partition_max_bytes = 1 << 20;
    request.max_wait_ms = 0;
    return request;
  }
  BrokerWorld w;
};

TEST_F(Deaf, ReadersLeaveRoomForThoseWhoRead) {
  w.run([&](Wire& wire) {
    for (int i = 0; i < 100; ++i) ASSERT_EQ(wire.produce("t", batch_of({std::string(kBatch, 'x')})).error_code, ErrorCode::kNone);
    std::vector<Wire> deaf;
    for (int i = 0; i < 60; ++i) {
      deaf.push_back(w.connect(wire));
      for (int k = 0; k < 8; ++k) deaf.back().send(deaf.back().frame_of(a_mib(i), 8));
    }
    // A small client does not notice.
    ByteCount most = 0;
    for (int i = 0; i < 100; ++i) {
      const Instant before = wire.runtime().now();
      EXPECT_EQ(wire.produce("t", batch_of({"one"})).error_code, ErrorCode::kNone);
      EXPECT_LE(wire.runtime().now() - before, 1_s);
      most = std::max(most, used());
      (void)wire.runtime().sleep_for(wire.task(), 10_ms);
    }
    EXPECT_GE(most, 1_MiB) << "or nobody asked for anything";
    EXPECT_LE(most, kMost);

    // Nor does who asks for little.
    EXPECT_EQ(wire.produce("small", batch_of({"one"})).error_code, ErrorCode::kNone);
    EXPECT_GT(wire.fetch("small", 0).records.size_bytes(), 0u);
    // Who asks for more is told to come back, and gets it when those have been cut off who read nothing.
    bool came = false;
    int told = 0;
    const Instant began = wire.runtime().now();
    while (!came && wire.runtime().now() < began + 60_s) {
      const auto answer = wire.ask(a_mib(0), 8);
      came = answer.responses[0].partitions[0].records.size_bytes() > 0;
      told += answer.throttle_time_ms > 0 ? 1 : 0;
      most = std::max(most, used());
    }
    EXPECT_TRUE(came);
    EXPECT_GT(told, 0);
    EXPECT_LE(most, kMost);
  }, 0, 300_s);
  EXPECT_FALSE(w.log_lines("others need the memory").empty());
}

// The same of what tells of the cluster: a few bytes ask for it, and it is as large as the cluster is.
TEST_F(Deaf, WhatTellsOfTheClusterHasItsRoom) {
  protocol::MetadataRequest wide;
  wide.topics.emplace();
  for (int i = 0; i < 10; ++i) {
    w.create_topic("wide" + std::to_string(i), 300);
    wide.topics->push_back({.name = "wide" + std::to_string(i)});
  }
  w.run([&](Wire& wire) {
    std::vector<Wire> deaf;
    for (int i = 0; i < 60; ++i) {
      deaf.push_back(w.connect(wire));
      for (int k = 0; k < 8; ++k) deaf.back().send(deaf.back().frame_of(wide, 9));
    }
    ByteCount most = 0;
    int told = 0;
    const Instant began = wire.runtime().now();
    // Somebody new has to know where the partitions are; those who took nothing make room for it.
    while (told < 3 && wire.runtime().now() < began + 60_s) {
      Wire one = w.connect(wire);
      const auto answer = one.try_ask(wide, 9);
      EXPECT_TRUE(!answer || answer->topics.size() == 10);
      if (answer) told += answer->topics[0].partitions.size() == 300 ? 1 : 0;
      most = std::max(most, used());
      (void)wire.runtime().sleep_for(wire.task(), 10_ms);
    }
    EXPECT_EQ(told, 3);
    EXPECT_GE(most, 1_MiB) << "or nobody asked for anything";
    EXPECT_LE(most, 3_MiB + 500_KiB) << "three quarters, and an answer or two beyond";
  }, 0, 300_s);
}

}  // namespace
}  // namespace taffrail::test
