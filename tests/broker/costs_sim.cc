// Goal: what an acknowledged record costs is known exactly, and a change that makes it cost more fails here, without
// a clock. Method: three brokers; messages per link and syncs per disk are counted around
// single requests. Heartbeats and signs of life are seconds apart and may fall among them: each is measured five
// times, and the cheapest counts.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;

sim::Knobs exact_knobs() {
  sim::Knobs knobs;
  knobs.net.latency = {200_us, {}};
  knobs.disk.sync = {20_ms, {}};
  return knobs;
}

NodeConfig exact_config() {
  NodeConfig config = small_config();
  config.storage.wal_segment_bytes = 16_MiB;  // No checkpoint comes between.
  config.storage.memory = 64_MiB;
  config.storage.flush_bytes = 16_MiB;
  config.raft.heartbeat = 10_s;
  config.raft.election_min = 40_s;
  config.raft.election_max = 80_s;
  config.housekeeping_interval = 1000_s;
  config.groups.offsets_partitions = 1;
  return config;
}

struct Costs {
  uint64_t messages[4][4] = {};  ///< Brokers 0 to 2, and 3: the client.
  uint64_t syncs[3] = {};
  uint64_t writes[3] = {};

  Costs operator-(const Costs& o) const {
    Costs out;
    for (int i = 0; i < 4; ++i)
      for (int k = 0; k < 4; ++k) out.messages[i][k] = messages[i][k] - o.messages[i][k];
    for (int i = 0; i < 3; ++i) {
      out.syncs[i] = syncs[i] - o.syncs[i];
      out.writes[i] = writes[i] - o.writes[i];
    }
    return out;
  }
  uint64_t between_brokers() const {
    uint64_t sum = 0;
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k < 3; ++k) sum += messages[i][k];
    return sum;
  }
};

struct CostsOf : testing::Test {
  CostsOf() : w(1, 3, exact_config(), exact_knobs()) {
    w.create_topic("t", 1, 3);
    leader = w.leader_of("t");
  }
  Costs now() {
    Costs c;
    for (uint32_t i = 0; i < 4; ++i)
      for (uint32_t k = 0; k < 4; ++k) c.messages[i][k] = w.world.net().writes(machine(i).value, machine(k).value);
    for (uint32_t i = 0; i < 3; ++i) {
      c.syncs[i] = w.world.disk(machine(i)).stats().syncs;
      c.writes[i] = w.world.disk(machine(i)).stats().writes;
    }
    return c;
  }
  sim::NodeId machine(uint32_t i) const { return i < 3 ? w.cluster.broker(i) : w.cluster.client(0); }
  /// What `body` costs, of a client at the leader, in a cluster that was quiet before: closing marks are written.
  Costs of(const std::function<void(Wire&)>& body) {
    std::optional<Costs> least;
    w.run([&](Wire& wire) {
      for (int i = 0; i < 5; ++i) {
        wire.produce("t", batch_of({"first"}));  // Connections and memory are there.
        (void)wire.runtime().sleep_for(wire.task(), 3_s + 731_ms * i);
        const Costs before = now();
        body(wire);
        // A follower's part that the answer did not wait for; neither the closing mark, which comes after a second
        // of silence, nor the word that all is committed, which the next records bring if they come soon.
        (void)wire.runtime().sleep_for(wire.task(), 15_ms);
        const Costs cost = now() - before;
        if (!least || cost.between_brokers() < least->between_brokers()) least = cost;
      }
    }, leader);
    return *least;
  }

  BrokerWorld w;
  uint32_t leader = 0;
};

TEST_F(CostsOf, ARecordUnderAcksAllIsOneRoundTripToTheFollowersAndOneSyncOnEach) {
  Duration taken;
  const Costs c = of([&](Wire& wire) {
    const Instant before = wire.runtime().now();
    EXPECT_EQ(wire.produce("t", batch_of({"a"})).error_code, ErrorCode::kNone);
    taken = wire.runtime().now() - before;
  });
  EXPECT_EQ(c.messages[3][leader], 1u);
  EXPECT_EQ(c.messages[leader][3], 1u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(c.syncs[i], 1u) << "broker " << i;
    EXPECT_EQ(c.writes[i], 1u) << "broker " << i;
    if (i == leader) continue;
    EXPECT_EQ(c.messages[leader][i], 1u) << "to broker " << i;
    EXPECT_EQ(c.messages[i][leader], 1u) << "from broker " << i;
  }
  EXPECT_EQ(c.between_brokers(), 4u);
  // The client's round trip, the followers', and one sync: the leader's own runs beside theirs.
  EXPECT_GE(taken, 800_us + 20_ms);
  EXPECT_LT(taken, 800_us + 20_ms + 500_us);
}

TEST_F(CostsOf, ACommitOfAGroupIsOneRoundTripAndOneSharedSync) {
  w.run([&](Wire& wire) {
    FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    (void)wire.ask(find, 4);
  });
  ASSERT_FALSE(w.cluster.await_settled(300_s).has_value());
  leader = w.leader_of("__consumer_offsets");
  OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.topics.push_back({"t", {}, {{0, Offset(1), -1, "", {}}}, {}});
  Duration taken;
  const Costs c = of([&](Wire& wire) {
    const Instant before = wire.runtime().now();
    EXPECT_EQ(wire.ask(commit, 9).topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    taken = wire.runtime().now() - before;
  });
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(c.syncs[i], 1u) << "broker " << i;
  EXPECT_EQ(c.between_brokers(), 4u);
  EXPECT_GE(taken, 800_us + 20_ms);
  EXPECT_LT(taken, 800_us + 20_ms + 500_us);
}

TEST_F(CostsOf, RecordsOneAfterAnotherTellTheFollowersWhatIsCommitted) {
  const Costs c = of([&](Wire& wire) {
    for (int i = 0; i < 10; ++i) wire.produce("t", batch_of({"a"}));
    // Silence: then the last of them is told on its own, once.
    (void)wire.runtime().sleep_for(wire.task(), 50_ms);
  });
  EXPECT_EQ(c.between_brokers(), 10u * 4 + 2);
  EXPECT_EQ(w.replica((leader + 1) % 3, "t")->view().high_watermark, w.replica(leader, "t")->view().high_watermark);
}

TEST_F(CostsOf, AThousandRecordsInOneBatchCostWhatOneDoes) {
  const Costs c = of([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", batch_of(std::vector<std::string>(1000, "value"))).error_code, ErrorCode::kNone);
  });
  EXPECT_EQ(c.between_brokers(), 4u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(c.syncs[i], 1u);
}

TEST_F(CostsOf, AThousandRecordsThatArriveDuringASyncShareTheNext) {
  const Costs c = of([&](Wire& wire) {
    std::vector<Wire> others;
    for (int i = 0; i < 20; ++i) others.push_back(w.connect(wire, leader));
    // One record starts a sync of 20 ms; meanwhile twenty clients send fifty requests each.
    wire.send(wire.frame_of(produce_request("t", 0, batch_of({"first"})), 8));
    (void)wire.runtime().sleep_for(wire.task(), 1_ms);
    for (Wire& other : others) {
      std::string requests;
      for (int i = 0; i < 50; ++i) requests += as_text(other.frame_of(produce_request("t", 0, batch_of({"x"})), 8));
      other.send(as_bytes(requests));
    }
    EXPECT_TRUE(wire.receive().has_value());
    int64_t most = 0;
    for (Wire& other : others)
      for (int i = 0; i < 50; ++i) {
        const auto frame = other.receive();
        ASSERT_TRUE(frame.has_value());
        const auto header = decode_response_header(*frame, ApiKey::kProduce, 8);
        const auto answer = decode<ProduceResponse>(header->body, 8);
        EXPECT_EQ(answer->responses[0].partition_responses[0].error_code, ErrorCode::kNone);
        most = std::max(most, answer->responses[0].partition_responses[0].base_offset.value);
      }
    EXPECT_EQ(most % 1002, 1001) << "a record before them, and nothing else between";
  });
  EXPECT_EQ(c.syncs[leader], 2u) << "the first record's, and that of the thousand";
  for (uint32_t i = 0; i < 3; ++i) {
    if (i == leader) continue;
    EXPECT_LE(c.syncs[i], 3u) << "broker " << i;
  }
}

TEST_F(CostsOf, AcksOneWaitsForOneDiskAndAcksZeroForNone) {
  Duration one;
  const Costs c = of([&](Wire& wire) {
    const Instant before = wire.runtime().now();
    wire.produce("t", batch_of({"a"}), 1);
    one = wire.runtime().now() - before;
  });
  EXPECT_EQ(c.between_brokers(), 4u);
  EXPECT_LT(one, 400_us + 20_ms + 500_us);
  const Costs none = of([&](Wire& wire) {
    wire.send(wire.frame_of(produce_request("t", 0, batch_of({"a"}), 0), 8));
    (void)wire.runtime().sleep_for(wire.task(), 25_ms);
  });
  EXPECT_EQ(none.messages[leader][3], 0u);
  EXPECT_EQ(none.between_brokers(), 4u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(none.syncs[i], 1u);
}

TEST_F(CostsOf, AReadAndADuplicateCostTheOthersNothing) {
  const Costs read = of([&](Wire& wire) { EXPECT_GT(wire.fetch("t", 0).records.size_bytes(), 0u); });
  EXPECT_EQ(read.between_brokers(), 0u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(read.syncs[i] + read.writes[i], 0u);
  w.run([&](Wire& wire) { wire.produce("t", batch_from(1, 0, 0)); }, leader);
  const Costs again = of([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_from(1, 0, 0)).error_code, ErrorCode::kNone); });
  EXPECT_EQ(again.between_brokers(), 0u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(again.syncs[i] + again.writes[i], 0u);
}

// I-L4: a cluster that nobody asks anything of says that it is alive, and nothing else.
TEST(CostsOfNothing, AreHeartbeatsAndNoBytesOnAnyDisk) {
  NodeConfig config = exact_config();
  config.raft.heartbeat = 100_ms;
  config.raft.election_min = 1_s;
  config.raft.election_max = 2_s;
  config.housekeeping_interval = 1_s;
  BrokerWorld w(2, 3, config, exact_knobs());
  w.create_topic("t", 30, 3);
  w.world.run_for(10_s);  // Closing marks are written.
  uint64_t written[3];
  uint64_t sent[3][3];
  const auto links = [&](const auto& call) {
    for (uint32_t i = 0; i < 3; ++i)
      for (uint32_t k = 0; k < 3; ++k)
        if (i != k) call(i, k, w.world.net().writes(w.cluster.broker(i).value, w.cluster.broker(k).value));
  };
  for (uint32_t i = 0; i < 3; ++i) written[i] = w.world.disk(w.cluster.broker(i)).stats().writes;
  links([&](uint32_t i, uint32_t k, uint64_t count) { sent[i][k] = count; });
  w.world.run_for(60_s);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(w.world.disk(w.cluster.broker(i)).stats().writes, written[i]) << "broker " << i;
  links([&](uint32_t i, uint32_t k, uint64_t count) {
    // Its own heartbeat and the answer to the other's, each ten times a second, whatever the number of partitions;
    // and now and then a sign of life of the link.
    EXPECT_LE(count - sent[i][k], 60u * 20 + 60) << "from broker " << i << " to broker " << k;
  });
}

}  // namespace
}  // namespace taffrail::test
