// Goal: where the cluster says so, a consumer reads from a replica in its own rack, and is told there what it would be
// told by the leader, only later (KIP-392). Method: simulated clusters whose brokers stand in racks; raw connections.
#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

constexpr const char* kSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

struct Racks : testing::Test {
  /// Three brokers in racks "r1" to "r3", and a topic with a replica on each.
  void start(uint64_t seed, bool selects = true) {
    w = std::make_unique<BrokerWorld>(seed, 3);
    for (uint32_t i = 0; i < 3; ++i) {
      RegisterBrokerCommand command{*image(i).find_broker(BrokerId(static_cast<int32_t>(i) + 1))};
      command.broker.rack = "r" + std::to_string(i + 1);
      w->world.run_fiber(w->cluster.broker(i), [&](Task& task, Runtime& runtime) {
        const auto reply = w->cluster.node(i)->context().controller().submit(task, command, runtime.now() + 10_s);
        EXPECT_TRUE(reply.has_value());
      });
    }
    if (selects)
      w->run([&](Wire& wire) {
        protocol::IncrementalAlterConfigsRequest request;
        request.resources.push_back({protocol::ConfigResourceType::kBroker, "",
                                     {{"replica.selector.class", protocol::AlterConfigOp::kSet, kSelector, {}}}, {}});
        EXPECT_EQ(wire.ask(request, 1).responses[0].error_code, ErrorCode::kNone);
      });
    w->create_topic("t", 1, 3);
    w->world.run_for(2_s);
    leader = w->leader_of("t");
    follower = leader == 0 ? 1 : 0;
    w->run([&](Wire& wire) {
      for (int i = 0; i < 3; ++i) EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone);
    }, leader);
    w->world.run_for(1_s);
  }
  const ClusterImage& image(uint32_t broker) { return w->cluster.node(broker)->context().controller().image(); }
  static std::string rack_of(uint32_t broker) { return "r" + std::to_string(broker + 1); }
  protocol::FetchResponse::Partition fetch(uint32_t from, const std::string& rack, int64_t offset, int16_t version = 12,
                                           int32_t wait_ms = 500) {
    protocol::FetchResponse::Partition out;
    w->run([&](Wire& wire) {
      auto request = fetch_request("t", 0, offset);
      request.rack_id = rack;
      request.max_wait_ms = wait_ms;
      const auto answer = wire.ask(request, version);
      ASSERT_EQ(answer.responses.size(), 1u);
      out = answer.responses[0].partitions[0];
    }, from);
    return out;
  }

  std::unique_ptr<BrokerWorld> w;
  uint32_t leader = 0;
  uint32_t follower = 0;
};

TEST_F(Racks, AConsumerIsSentToItsOwnRackAndServedThere) {
  start(1);
  const auto sent = fetch(leader, rack_of(follower), 0);
  EXPECT_EQ(sent.error_code, ErrorCode::kNone);
  EXPECT_EQ(sent.preferred_read_replica, BrokerId(static_cast<int32_t>(follower) + 1));
  EXPECT_EQ(sent.records.size_bytes(), 0u);
  EXPECT_EQ(sent.high_watermark, Offset(3));
  const auto served = fetch(follower, rack_of(follower), 0);
  EXPECT_EQ(served.error_code, ErrorCode::kNone);
  EXPECT_EQ(served.high_watermark, Offset(3));
  EXPECT_EQ(served.preferred_read_replica, kNoBroker);
  EXPECT_EQ(served.records, fetch(leader, "", 0).records);
  // Whoever stands beside the leader, nowhere, or where nobody is, stays with the leader.
  for (const std::string& rack : {rack_of(leader), std::string(), std::string("r9")}) {
    const auto here = fetch(leader, rack, 0);
    EXPECT_EQ(here.preferred_read_replica, kNoBroker) << rack;
    EXPECT_GT(here.records.size_bytes(), 0u);
  }
  EXPECT_EQ(fetch(leader, rack_of(follower), 0, 10).preferred_read_replica, kNoBroker) << "older versions cannot be told";
  EXPECT_EQ(fetch(follower, rack_of(follower), 0, 10).error_code, ErrorCode::kNotLeaderOrFollower);
}

TEST_F(Racks, OnlyWhereTheClusterSaysSo) {
  start(2, /*selects=*/false);
  EXPECT_EQ(fetch(leader, rack_of(follower), 0).preferred_read_replica, kNoBroker);
  EXPECT_EQ(fetch(follower, rack_of(follower), 0).error_code, ErrorCode::kNotLeaderOrFollower);
}

TEST_F(Racks, AReplicaThatIsBehindMakesItsReadersWait) {
  start(3);
  // The client has heard of more than the follower has.
  const Instant before = w->world.now();
  EXPECT_EQ(fetch(follower, rack_of(follower), 7).error_code, ErrorCode::kOffsetNotAvailable);
  EXPECT_GE(w->world.now() - before, 500_ms) << "it might have come meanwhile";
  EXPECT_EQ(fetch(leader, "", 7).error_code, ErrorCode::kOffsetOutOfRange);
  // A long poll there ends when the record comes, as at the leader.
  const uint32_t at = follower;
  w->run([&](Wire& wire) {
    auto request = fetch_request("t", 0, 3);
    request.rack_id = rack_of(at);
    request.max_wait_ms = 20'000;
    Wire there = w->connect(wire, at);
    there.send(there.frame_of(request, 12));
    EXPECT_EQ(wire.produce("t", batch_of({"new"})).error_code, ErrorCode::kNone);
    const auto frame = there.receive(5_s);
    ASSERT_TRUE(frame.has_value());
    const auto answer = there.read<protocol::FetchResponse>(*frame, 12);
    EXPECT_GT(answer->responses[0].partitions[0].records.size_bytes(), 0u);
  }, leader);
}

TEST_F(Racks, AReplicaWithoutALeaderSendsItsReadersAway) {
  start(4);
  // Cut off, it does not notice at once; it then stops answering for the others.
  w->world.isolate(w->cluster.broker(leader));
  const uint32_t third = 3 - leader - follower;
  w->world.kill(w->cluster.broker(third));
  w->world.run_for(3_s);
  EXPECT_EQ(fetch(follower, rack_of(follower), 0).error_code, ErrorCode::kNotLeaderOrFollower);
}

}  // namespace
}  // namespace taffrail::test
