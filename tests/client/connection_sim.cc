// Goal: a connection agrees on versions, keeps many requests on their way, and ends when it cannot go on.
// Method: scripted brokers on the simulated network.
#include <gtest/gtest.h>

#include "client/admin.h"
#include "client/support/fake_cluster.h"
#include "protocol/metadata.h"

namespace taffrail::client::test {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

TEST(Connection, ABrokerThatKnowsOnlyOldVersionsIsSpokenToInThem) {
  sim::World world(1);
  FakeCluster brokers(world, 1);
  brokers.add_topic("t", 1);
  brokers.version_max[ApiKey::kApiVersions] = 0;
  brokers.version_max[ApiKey::kMetadata] = 4;
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    const auto connection = cluster.connect_any(task, runtime.now() + 5_s);
    ASSERT_TRUE(connection) << connection.error().text();
    EXPECT_EQ((*connection)->version_of(ApiKey::kMetadata), 4);
    EXPECT_EQ((*connection)->version_of(ApiKey::kMetadata, 2), 2);
    const auto unknown = (*connection)->version_of(ApiKey::kJoinGroup);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::kUnsupported);
    const auto topic = cluster.topic(task, "t", runtime.now() + 5_s);
    ASSERT_TRUE(topic) << topic.error().text();
    EXPECT_EQ(topic->partitions.size(), 1u);
  });
  EXPECT_EQ(brokers.asked[ApiKey::kApiVersions], 2);
}

TEST(Connection, ManyRequestsAreOnTheirWayAtOnceAndEachGetsItsOwnAnswer) {
  sim::World world(2);
  FakeCluster brokers(world, 1);
  for (int i = 0; i < 20; ++i) brokers.add_topic("t" + std::to_string(i), 1);
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    const auto connection = *cluster.connect_any(task, runtime.now() + 5_s);
    std::vector<std::shared_ptr<PendingAnswer>> pending;
    for (int i = 0; i < 20; ++i) {
      protocol::MetadataRequest request;
      request.topics.emplace().emplace_back().name = "t" + std::to_string(i);
      pending.push_back(*connection->submit(request, *connection->version_of(ApiKey::kMetadata)));
    }
    // In any order of asking for them.
    for (int i = 19; i >= 0; --i) {
      const auto answer = connection->receive<protocol::MetadataResponse>(
          task, *pending[static_cast<size_t>(i)], runtime.now() + 5_s);
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->topics.at(0).name, "t" + std::to_string(i));
    }
  });
}

TEST(Connection, ABrokerThatFallsSilentEndsTheConnectionAtTheDeadline) {
  sim::World world(3);
  FakeCluster brokers(world, 1);
  brokers.next(ApiKey::kMetadata, {Script::kNeverAnswer});
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    const auto connection = *cluster.connect_any(task, runtime.now() + 5_s);
    const auto answer = connection->call(task, protocol::MetadataRequest(), runtime.now() + 2_s);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::kTimedOut);
    EXPECT_FALSE(connection->is_open());
    EXPECT_EQ(connection->call(task, protocol::MetadataRequest(), runtime.now() + 2_s).error().code,
              Errc::kClosed);
    // The next one is dialled anew.
    EXPECT_TRUE(cluster.list_topics(task, runtime.now() + 5_s));
  });
}

TEST(Cluster, SaysWhenNobodyIsThere) {
  sim::World world(4);
  FakeCluster brokers(world, 1);
  world.kill(sim::NodeId(0));
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    const auto connection = cluster.connect_any(task, runtime.now() + 3_s);
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().code, Errc::kUnavailable);
  });
}

// Whoever comes first: a machine that is gone answers nothing, not even that it refuses.
TEST(Cluster, BrokersThatAreGoneLeaveTimeForTheOthers) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    sim::World world(seed);
    FakeCluster brokers(world, 4);
    for (const uint32_t gone : {0u, 1u, 2u}) world.power_cut(sim::NodeId(gone));
    run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster&) {
      ClusterOptions options = brokers.options();
      for (const uint16_t i : {2, 3, 4}) options.bootstrap.push_back({"n" + std::to_string(i), options.bootstrap[0].port});
      Cluster all(runtime, options);
      const auto connection = all.connect_any(task, runtime.now() + 20_s);
      EXPECT_TRUE(connection) << connection.error().text();
      all.close(task);
    });
  }
}

TEST(Cluster, AnOldAnswerDoesNotBringBackAnOldLeader) {
  sim::World world(5);
  FakeCluster brokers(world, 2);
  brokers.add_topic("t", 1);
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    brokers.move_leader("t", 0, BrokerId(2));
    ASSERT_EQ(cluster.leader(task, {"t", 0}, runtime.now() + 5_s)->broker, BrokerId(2));
    // A broker that has not heard of it yet.
    brokers.log("t").leader = BrokerId(1);
    brokers.log("t").epoch = 0;
    cluster.forget_leader({"t", 0}, 1);
    const auto leader = cluster.leader(task, {"t", 0}, runtime.now() + 5_s);
    ASSERT_TRUE(leader);
    EXPECT_EQ(leader->broker, BrokerId(2));
    EXPECT_EQ(leader->epoch, 1);
  });
}

TEST(Admin, CreatesATopicOnceAndWaitsOutABrokerThatIsNotReady) {
  sim::World world(6);
  FakeCluster brokers(world, 1);
  brokers.next(ApiKey::kCreateTopics, {Script::kRefuse, ErrorCode::kNotController}, 2);
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    Admin admin(cluster);
    const auto made = admin.create_topic(task, {.name = "t", .partitions = 3, .replication_factor = 1},
                                         runtime.now() + 10_s);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(made->partitions, 3);
    const auto again = admin.create_topic(task, {.name = "t", .partitions = 3}, runtime.now() + 10_s);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::kExists);
    const auto range = admin.offsets(task, {"t", 2}, runtime.now() + 10_s);
    ASSERT_TRUE(range) << range.error().text();
    EXPECT_EQ(range->begin, Offset(0));
    EXPECT_EQ(range->end, Offset(0));
  });
}

}  // namespace
}  // namespace taffrail::client::test
