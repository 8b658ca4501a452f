// Partitions on three brokers of a simulated world, asked directly: no sockets of clients, no requests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "partition/partition.h"
#include "record/builder.h"
#include "sim/cluster.h"

namespace taffrail::test {

class PartitionWorld {
 public:
  explicit PartitionWorld(uint64_t seed, const ConfigMap& configs = {}, uint64_t snapshot_entries = 10'000, ByteCount wal_segment = 64_KiB)
      : world(seed),
        cluster((world.trace().keep_time_line(true), world), {.brokers = 3, .clients = 0, .config = config(snapshot_entries, wal_segment)}) {
    EXPECT_TRUE(cluster.await_serving(30_s));
    on(0, [&](Task& task, Runtime& runtime) {
      CreateTopicsCommand command;
      NewTopic topic;
      topic.name = "t";
      topic.partition_count = 1;
      topic.replication_factor = 3;
      topic.configs = configs;
      command.topics.push_back(topic);
      const auto made = cluster.node(0)->context().controller().submit(task, command, runtime.now() + 10_s);
      ASSERT_TRUE(made.has_value()) << made.error().text();
      ASSERT_EQ(made->items[0].error, protocol::ErrorCode::kNone) << made->items[0].message;
    });
    settle();
  }

  static NodeConfig config(uint64_t snapshot_entries, ByteCount wal_segment) {
    NodeConfig c;
    c.storage.wal_segment_bytes = wal_segment;
    c.storage.flush_bytes = 2_KiB;
    c.storage.segment_bytes = 8_KiB;
    c.storage.memory = 1_MiB;
    c.housekeeping_interval = 500_ms;
    c.replica_lag_max = 2_s;
    c.snapshot_entries = snapshot_entries;
    return c;
  }
  /// In a fiber of that broker's process.
  void on(uint32_t broker, const std::function<void(Task&, Runtime&)>& body) {
    EXPECT_TRUE(world.run_fiber(cluster.broker(broker), body, 120_s));
  }
  void settle() {
    const auto why = cluster.await_settled(60_s);
    EXPECT_FALSE(why.has_value()) << *why;
  }
  Partition* replica(uint32_t broker) {
    if (!cluster.serving(broker)) return nullptr;
    const TopicRecord* topic = cluster.node(broker)->context().controller().image().find_topic(std::string_view("t"));
    return topic == nullptr ? nullptr : cluster.node(broker)->context().find_partition({topic->id, 0});
  }
  std::optional<uint32_t> leader() {
    std::optional<uint32_t> best;
    for (uint32_t i = 0; i < 3; ++i) {
      Partition* p = replica(i);
      if (p != nullptr && p->is_leader() && (!best || p->epoch() > replica(*best)->epoch())) best = i;
    }
    return best;
  }
  /// Another than `not_this` leads.
  uint32_t await_leader_but(uint32_t not_this) {
    EXPECT_TRUE(world.run_until([&] { return leader() && *leader() != not_this; }, 60_s));
    return leader().value_or(0);
  }
  /// Appends and waits; what came of it.
  std::optional<Fault> write(uint32_t broker, Slice batch, Offset* at = nullptr, Duration limit = 5_s) {
    std::optional<Fault> fault = Fault{PartitionFault::kTimedOut, "not asked", {}};
    on(broker, [&](Task& task, Runtime& runtime) {
      Partition* p = replica(broker);
      auto appended = p->append(std::move(batch), Acks::kAll, true);
      if (!appended) {
        fault = appended.error();
        return;
      }
      if (at != nullptr) *at = appended->base_offset;
      fault = p->wait_acknowledged(task, *appended, Acks::kAll, runtime.now() + limit);
    });
    return fault;
  }

  sim::World world;
  sim::SimCluster cluster;
};

inline Slice producer_batch(int64_t producer, int16_t epoch, int32_t sequence, size_t size = 1) {
  BatchBuilder builder({.producer_id = ProducerId(producer), .producer_epoch = ProducerEpoch(epoch),
                        .base_sequence = Sequence(sequence)});
  builder.add(-1, "k", std::string(size, 'v'));
  return builder.finish();
}

}  // namespace taffrail::test
