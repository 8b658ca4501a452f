// Goal: a broker of several shards is one broker to its clients: whichever shard accepted a connection, every
// partition is reached by it, in order, and long polls and closed connections behave as on one shard; and it may come back
// with another number of them.
// Method: simulated brokers of two and more shards, raw connections; which shard accepts each of them is drawn, so
// that every story is told on several connections, and both shards are seen to have some.
#include <gtest/gtest.h>

#include "broker/identity.h"
#include "broker/shard.h"
#include "broker/support/broker_world.h"
#include "sim/workload.h"
#include "storage/store.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

constexpr int32_t kPartitions = 4;

NodeConfig sharded(uint32_t shards) {
  NodeConfig config = small_config();
  config.shards = shards;
  return config;
}

/// One request for all partitions; partition p of round r holds a value of its own.
protocol::ProduceRequest produce_all(const std::string& topic, int round) {
  auto request = produce_request(topic, 0, batch_of({std::to_string(round) + "/0"}));
  for (int32_t p = 1; p < kPartitions; ++p)
    request.topic_data[0].partition_data.push_back({p, batch_of({std::to_string(round) + "/" + std::to_string(p)}), {}});
  return request;
}

protocol::FetchRequest fetch_all(const std::string& topic, const std::vector<int64_t>& offsets, int32_t max_wait_ms) {
  auto request = fetch_request(topic, 0, offsets[0]);
  request.max_wait_ms = max_wait_ms;
  for (int32_t p = 1; p < kPartitions; ++p) {
    auto next = request.topics[0].partitions[0];
    next.partition = p;
    next.fetch_offset = Offset(offsets[static_cast<size_t>(p)]);
    request.topics[0].partitions.push_back(next);
  }
  return request;
}

size_t guests_of(BrokerWorld& brokers) {
  size_t count = 0;
  for (BrokerShard* shard : brokers.cluster.node(0)->shards()) count += shard->guests().count();
  return count;
}

TEST(Shards, EveryConnectionReachesThePartitionsOfEveryShard) {
  BrokerWorld brokers(1, 1, sharded(2));
  const TopicId id = brokers.create_topic("orders", kPartitions);
  const auto shards = brokers.cluster.node(0)->shards();
  ASSERT_EQ(shards.size(), 2u);
  for (BrokerShard* shard : shards) EXPECT_EQ(shard->partitions().size(), kPartitions / 2u);
  brokers.run([&](Wire& first) {
    std::vector<Wire> wires;
    for (int i = 0; i < 10; ++i) wires.push_back(brokers.connect(first));
    for (int round = 0; round < 10; ++round) {
      Wire& wire = wires[static_cast<size_t>(round)];
      const auto made = wire.ask(produce_all("orders", round), 8);
      ASSERT_EQ(made.responses.size(), 1u);
      ASSERT_EQ(made.responses[0].name, "orders");
      ASSERT_EQ(made.responses[0].partition_responses.size(), static_cast<size_t>(kPartitions));
      for (int32_t p = 0; p < kPartitions; ++p) {
        const auto& out = made.responses[0].partition_responses[static_cast<size_t>(p)];
        EXPECT_EQ(out.index, p);
        EXPECT_EQ(out.error_code, ErrorCode::kNone);
        EXPECT_EQ(out.base_offset, Offset(round));
      }
      const auto got = wire.ask(fetch_all("orders", std::vector<int64_t>(kPartitions, round), 1000), 12);
      ASSERT_EQ(got.responses.size(), 1u);
      ASSERT_EQ(got.responses[0].partitions.size(), static_cast<size_t>(kPartitions));
      for (int32_t p = 0; p < kPartitions; ++p) {
        const auto& out = got.responses[0].partitions[static_cast<size_t>(p)];
        EXPECT_EQ(out.partition_index, p);
        EXPECT_EQ(out.high_watermark, Offset(round + 1));
        const std::string value = std::to_string(round) + "/" + std::to_string(p);
        EXPECT_NE(as_text(out.records.flat()).find(value), std::string_view::npos) << value;
      }
      protocol::ListOffsetsRequest ends;
      protocol::OffsetForLeaderEpochRequest epochs;
      ends.topics.push_back({"orders", {}, {}});
      epochs.topics.push_back({"orders", {}, {}});
      for (int32_t p = kPartitions; p-- > 0;) {
        ends.topics[0].partitions.push_back({p, -1, protocol::ListOffsetsTimestamp::kLatest, {}});
        epochs.topics[0].partitions.push_back({p, -1, 1, {}});
      }
      const auto offsets = wire.ask(ends, 7);
      const auto epoch_ends = wire.ask(epochs, 4);
      for (size_t i = 0; i < kPartitions; ++i) {
        EXPECT_EQ(offsets.topics[0].partitions[i].partition_index, kPartitions - 1 - static_cast<int32_t>(i));
        EXPECT_EQ(offsets.topics[0].partitions[i].offset, Offset(round + 1));
        EXPECT_EQ(epoch_ends.topics[0].partitions[i].partition, kPartitions - 1 - static_cast<int32_t>(i));
        EXPECT_EQ(epoch_ends.topics[0].partitions[i].error_code, ErrorCode::kNone);
      }
      protocol::MetadataRequest metadata;
      metadata.topics.emplace().push_back({{}, "orders", {}});
      const auto known = wire.ask(metadata, 12);
      ASSERT_EQ(known.topics.size(), 1u);
      EXPECT_EQ(known.topics[0].topic_id, id);
      for (const auto& partition : known.topics[0].partitions) EXPECT_EQ(partition.leader_id, BrokerId(1));
      EXPECT_EQ(known.brokers.size(), 1u);
    }
    for (BrokerShard* shard : shards) EXPECT_GE(shard->connection_count(), 2u);
  });
}

TEST(Shards, PipelinedBatchesOfOneProducerArriveInOrderOnEveryShard) {
  BrokerWorld brokers(2, 1, sharded(3));
  brokers.create_topic("orders", kPartitions);
  brokers.run([&](Wire& wire) {
    constexpr int kBatches = 30;
    for (int i = 0; i < kBatches; ++i)
      for (int32_t p = 0; p < kPartitions; ++p)
        wire.send(wire.frame_of(produce_request("orders", p, batch_from(7, 0, i)), 8));
    for (int i = 0; i < kBatches * kPartitions; ++i) {
      const auto frame = wire.receive();
      ASSERT_TRUE(frame.has_value());
      const auto header = protocol::decode_response_header(*frame, protocol::ApiKey::kProduce, 8);
      ASSERT_TRUE(header.has_value());
      EXPECT_EQ(header->correlation_id, wire.last_correlation() - kBatches * kPartitions + 1 + i);
      const auto answer = protocol::decode<protocol::ProduceResponse>(header->body, 8);
      ASSERT_TRUE(answer.has_value());
      const auto& out = answer->responses[0].partition_responses[0];
      EXPECT_EQ(out.error_code, ErrorCode::kNone);
      EXPECT_EQ(out.base_offset, Offset(i / kPartitions));
    }
  });
}

TEST(Shards, ALongPollIsAnsweredByWhateverShardHasSomething) {
  BrokerWorld brokers(3, 1, sharded(2));
  brokers.create_topic("orders", kPartitions);
  brokers.run([&](Wire& wire) {
    std::vector<int64_t> next(kPartitions, 0);
    for (int round = 0; round < 12; ++round) {
      const int32_t p = round % kPartitions;
      Wire poller = brokers.connect(wire);
      poller.send(poller.frame_of(fetch_all("orders", next, 600'000), 12));
      ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s).has_value());
      EXPECT_EQ(wire.produce("orders", batch_of({"x"}), -1, 8, p).error_code, ErrorCode::kNone);
      const Instant from = wire.runtime().now();
      const auto frame = poller.receive(30_s);
      ASSERT_TRUE(frame.has_value()) << "round " << round;
      EXPECT_LT(wire.runtime().now(), from + 1_s);
      const auto answer = poller.read<protocol::FetchResponse>(*frame, 12);
      for (size_t i = 0; i < kPartitions; ++i)
        EXPECT_EQ(answer->responses[0].partitions[i].records.size_bytes() > 0, i == static_cast<size_t>(p)) << i;
      ++next[static_cast<size_t>(p)];
    }
  });
  brokers.world.run_for(1_s);
  EXPECT_EQ(guests_of(brokers), 0u);
}

TEST(Shards, AnUnansweredBatchThatIsBadClosesTheConnectionFromEveryShard) {
  BrokerWorld brokers(4, 1, sharded(2));
  brokers.create_topic("orders", kPartitions);
  brokers.run([&](Wire& wire) {
    std::string bad(as_text(batch_of({"x"})));
    bad.back() = static_cast<char>(bad.back() ^ 1);
    for (int round = 0; round < 8; ++round) {
      Wire producer = brokers.connect(wire);
      const auto good = produce_request("orders", round % kPartitions, batch_of({"y"}), 0);
      producer.send(producer.frame_of(good, 8));
      EXPECT_FALSE(producer.is_closed(200_ms));
      producer.send(producer.frame_of(produce_request("orders", round % kPartitions, Slice(bad), 0), 8));
      EXPECT_TRUE(producer.is_closed());
    }
  });
}

TEST(Shards, AConnectionThatEndsCallsOffWhatWaitsElsewhere) {
  BrokerWorld brokers(5, 1, sharded(2));
  brokers.create_topic("orders", kPartitions);
  brokers.run([&](Wire& wire) {
    {
      std::vector<Wire> pollers;
      for (int i = 0; i < 8; ++i) {
        pollers.push_back(brokers.connect(wire));
        pollers.back().send(pollers.back().frame_of(fetch_all("orders", std::vector<int64_t>(kPartitions, 0), 80'000'000), 12));
      }
      ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s).has_value());
      EXPECT_EQ(guests_of(brokers), 8u);
    }
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s).has_value());
    EXPECT_EQ(guests_of(brokers), 0u);
  });
}

// Each broker places its replicas by its own number of shards, and speaks with the shards of the others.
TEST(Shards, BrokersOfDifferentNumbersOfShardsReplicateAndRecover) {
  sim::World world(6);
  sim::SimCluster cluster(world, {.brokers = 3, .clients = 1, .config = small_config(), .shards = {2, 1, 3}});
  ASSERT_TRUE(cluster.await_serving(30_s));
  const auto ask = [&](const std::function<void(Wire&)>& body, uint32_t broker) {
    EXPECT_TRUE(world.run_fiber(cluster.client(0), [&](Task& task, Runtime& runtime) {
      auto socket = runtime.net().connect(task, cluster.bootstrap().bootstrap[broker], runtime.now() + 10_s);
      ASSERT_TRUE(socket.has_value());
      Wire wire(task, runtime, *std::move(socket));
      body(wire);
    }));
  };
  ask([](Wire& wire) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "orders";
    topic.num_partitions = 6;
    topic.replication_factor = 3;
    EXPECT_EQ(wire.ask(request, 7).topics[0].error_code, ErrorCode::kNone);
  }, 2);
  EXPECT_FALSE(cluster.await_settled(30_s).has_value());
  const auto fill = [&](int64_t expected) {
    for (int32_t p = 0; p < 6; ++p)
      for (uint32_t i = 0; i < 3; ++i) {
        const TopicRecord* record = cluster.node(i)->context().controller().image().find_topic(std::string_view("orders"));
        Partition* replica = cluster.node(i)->find_partition({record->id, p});
        if (replica == nullptr || !replica->is_leader()) continue;
        ask([&](Wire& wire) {
          const auto out = wire.produce("orders", batch_of({"x"}), -1, 8, p);
          EXPECT_EQ(out.error_code, ErrorCode::kNone);
          EXPECT_EQ(out.base_offset, Offset(expected));
        }, i);
      }
  };
  fill(0);
  // Every broker in turn goes down and comes back with its shards' own logs.
  for (uint32_t i = 0; i < 3; ++i) {
    world.kill(cluster.broker(i));
    world.run_for(3_s);
    world.restart(cluster.broker(i));
    ASSERT_TRUE(cluster.await_serving(30_s));
    const auto unsettled = cluster.await_settled(60_s);
    ASSERT_FALSE(unsettled.has_value()) << *unsettled;
    fill(i + 1);
  }
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(cluster.node(i)->shards().size(), cluster.shards_of(i));
    EXPECT_EQ(cluster.node(i)->partitions().size(), 6u);
    EXPECT_TRUE(cluster.node(i)->quarantines().empty());
  }
}

// While others write, a broker comes back with other numbers of shards: what was acknowledged is there, on every replica,
// and each of its logs is on the shard that has it.
TEST(Shards, ABrokerComesBackWithAnotherNumberOfShards) {
  for (uint64_t seed = 7; seed < 10; ++seed) {
    sim::World world(seed);
    sim::SimCluster cluster(world, {.brokers = 3, .clients = 2, .config = small_config(), .shards = {1, 2, 1}});
    ASSERT_TRUE(cluster.await_serving(30_s));
    sim::WorkloadOptions load;
    load.partitions = 6;
    load.operations = 400;
    load.spread = 12_s;
    load.min_insync_replicas = 2;
    sim::Workload workload(cluster, load);
    workload.start();
    ASSERT_TRUE(world.run_until([&] { return workload.topic_created(); }, 10_s));
    for (const uint32_t count : {3, 2, 1}) {
      world.run_for(3_s);
      world.power_cut(cluster.broker(0));
      cluster.set_shards(0, count);
      world.restart(cluster.broker(0));
      ASSERT_TRUE(cluster.await_serving(30_s)) << "with " << count << " shards";
      const std::vector<BrokerShard*> shards = cluster.node(0)->shards();
      ASSERT_EQ(shards.size(), count);
      size_t logs = 0;
      for (uint32_t i = 0; i < count; ++i) {
        EXPECT_TRUE(shards[i]->store()->recovery().damage.empty());
        for (const Log* log : shards[i]->store()->logs()) EXPECT_EQ(shard_of(log->key(), count), ShardId(i)) << log->key().text();
        logs += shards[i]->store()->logs().size();
      }
      EXPECT_EQ(logs, 7u) << "of six partitions, and of group 0";
    }
    ASSERT_TRUE(world.run_until([&] { return workload.writers_done(); }, 60_s));
    const auto unsettled = cluster.await_settled(30_s);
    ASSERT_FALSE(unsettled.has_value()) << *unsettled;
    workload.stop_readers();
    const auto unread = workload.read_finally(60_s);
    ASSERT_FALSE(unread.has_value()) << *unread;
    EXPECT_EQ(workload.history().check(true), std::vector<std::string>{});
    EXPECT_GT(workload.history().count(History::Outcome::kAcked), 300u);
  }
}

// What a start may find of a move, as the file says it.
TEST(Shards, TheIdentitySaysThatLogsAreBeingMoved) {
  NodeIdentity identity;
  identity.replica = {BrokerId(1), DiskId{1, 2}};
  identity.shards = 3;
  EXPECT_TRUE(identity.encode().starts_with("taffrail node, format 1\n"));
  identity.moving = 2;
  const std::string text = identity.encode();
  EXPECT_TRUE(text.starts_with("taffrail node, format 2\n")) << "who does not know of moves must not open it";
  const auto read = NodeIdentity::decode(text);
  ASSERT_TRUE(read.has_value()) << read.error().text();
  EXPECT_EQ(*read, identity);
}

}  // namespace
}  // namespace taffrail::test
