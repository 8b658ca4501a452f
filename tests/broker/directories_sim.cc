// Goal: a broker of several data directories spreads its partitions over them; one that fails stops its own replicas and
// nobody else's, whether it fails while the broker runs or before it starts; one that comes back empty is a new disk, whose
// replicas are brought back unasked; and directories that are not the node's own, or in another order, are refused.
// Method: simulated clusters whose machines have several disks, asked over Kafka's protocol.
#include <gmock/gmock.h>

#include <algorithm>

#include "broker/identity.h"
#include "broker/shard.h"
#include "broker/support/broker_world.h"
#include "client/cluster_admin.h"
#include "sim/workload.h"
#include "storage/store.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

NodeConfig with_directories(uint32_t count, uint32_t shards = 1) {
  NodeConfig config = small_config();
  config.shards = shards;
  for (uint32_t i = 1; i <= count; ++i) config.data_dirs.push_back("/disk-" + std::to_string(i));
  return config;
}

struct Directories : testing::Test {
  sim::NodeId machine(uint32_t broker) const { return w->cluster.broker(broker); }
  /// Which of the topic's partitions a broker has in that directory.
  std::vector<int32_t> partitions_in(uint32_t broker, uint32_t directory) const {
    std::vector<int32_t> out;
    for (BrokerShard* shard : w->cluster.node(broker)->shards())
      for (const Partition* partition : shard->partitions())
        if (shard->runtime().directory() == directory) out.push_back(partition->key().partition);
    std::sort(out.begin(), out.end());
    return out;
  }
  void settle() {
    const auto why = w->cluster.await_settled(60_s);
    EXPECT_FALSE(why.has_value()) << *why;
  }
  /// A write of every directory's log fails next.
  void fail_writes_of(uint32_t broker, uint32_t directory) { w->world.disk(machine(broker), directory).fail_syncs(1); }
  /// Writes once to every partition, by whoever leads it.
  void write_everywhere(const std::string& topic, int32_t partitions) {
    for (int32_t p = 0; p < partitions; ++p)
      w->run([&](Wire& wire) { EXPECT_EQ(wire.produce(topic, batch_of({"v"}), -1, 8, p).error_code, ErrorCode::kNone) << p; },
             w->leader_of(topic, p));
  }

  std::unique_ptr<BrokerWorld> w;
};

TEST_F(Directories, PartitionsAreSpreadOverThemAndStay) {
  w = std::make_unique<BrokerWorld>(1, 1, with_directories(2, 3));
  const TopicId id = w->create_topic("t", 6);
  write_everywhere("t", 6);
  EXPECT_EQ(partitions_in(0, 0).size(), 3u);
  EXPECT_EQ(partitions_in(0, 1).size(), 3u);
  const auto second = partitions_in(0, 1);
  for (const uint32_t shards : {2u, 5u, 1u}) {  // One is too few: each directory has a shard.
    w->world.power_cut(machine(0));
    w->cluster.set_shards(0, shards);
    w->world.restart(machine(0));
    ASSERT_TRUE(w->cluster.await_serving(30_s));
    settle();
    EXPECT_EQ(w->cluster.node(0)->shards().size(), std::max(2u, shards));
    EXPECT_EQ(partitions_in(0, 1), second) << "with another number of shards they stay in their directory";
    for (const int32_t p : second) EXPECT_EQ(directory_of({id, p}, 2), 1u);
    write_everywhere("t", 6);
  }
  for (int32_t p = 0; p < 6; ++p)
    w->run([&](Wire& wire) { EXPECT_EQ(wire.fetch("t", 3, p).high_watermark, Offset(4)) << p; }, 0);
}

TEST_F(Directories, OneThatFailsStopsItsReplicasAndNoOthers) {
  w = std::make_unique<BrokerWorld>(2, 3, with_directories(2));
  w->create_topic("t", 6, 3, {{"min.insync.replicas", "2"}});
  write_everywhere("t", 6);
  const auto first = partitions_in(0, 0);
  const auto second = partitions_in(0, 1);
  ASSERT_EQ(second.size(), 3u);
  fail_writes_of(0, 1);
  // Whoever leads: the second directory of broker 1 has a replica of all these, and has to write it.
  for (const int32_t p : second)
    w->run([&](Wire& wire) { (void)wire.produce("t", batch_of({"v"}), -1, 8, p); }, w->leader_of("t", p));
  ASSERT_TRUE(w->world.run_until([&] { return w->cluster.failed_directory(0).has_value(); }, 10_s));
  ASSERT_TRUE(w->world.run_until([&] { return partitions_in(0, 1).empty(); }, 5_s));
  EXPECT_TRUE(w->cluster.serving(0));
  EXPECT_TRUE(w->world.stops().empty());
  EXPECT_EQ(partitions_in(0, 0), first);
  // The others lead on, and are enough.
  const auto led_elsewhere = [&] {
    for (const int32_t p : second) {
      bool led = false;
      for (const uint32_t i : {1u, 2u})
        if (Partition* replica = w->replica(i, "t", p)) led = led || replica->is_leader();
      if (!led) return false;
    }
    return true;
  };
  ASSERT_TRUE(w->world.run_until(led_elsewhere, 10_s));
  write_everywhere("t", 6);
  w->run([&](Wire& wire) {
    const auto answer = wire.ask(protocol::DescribeLogDirsRequest{}, 4);
    ASSERT_EQ(answer.results.size(), 2u);
    EXPECT_EQ(answer.results[0].log_dir, "/disk-1");
    EXPECT_EQ(answer.results[0].error_code, ErrorCode::kNone);
    EXPECT_EQ(answer.results[0].topics.at(0).partitions.size(), first.size());
    EXPECT_EQ(answer.results[1].error_code, ErrorCode::kKafkaStorageError);
    EXPECT_TRUE(answer.results[1].topics.empty());
    client::Cluster cluster(wire.runtime(), w->cluster.bootstrap());
    const auto brokers = client::ClusterAdmin(cluster).brokers(wire.task(), wire.runtime().now() + 20_s);
    ASSERT_TRUE(brokers.has_value());
    EXPECT_THAT(brokers->at(0).failed_directories, testing::ElementsAre("/disk-2"));
    EXPECT_TRUE(brokers->at(1).failed_directories.empty());
    cluster.close(wire.task());
  }, 0);
  // Its operator has seen to the disk.
  w->world.restart(machine(0));
  ASSERT_TRUE(w->cluster.await_serving(30_s));
  settle();
  EXPECT_EQ(partitions_in(0, 1), second);
  EXPECT_EQ(w->cluster.failed_directory(0), std::nullopt);
}

TEST_F(Directories, ABrokerStartsWithoutOneThatCannotBeRead) {
  w = std::make_unique<BrokerWorld>(3, 3, with_directories(3));
  w->create_topic("t", 6, 3);
  write_everywhere("t", 6);
  const auto third = partitions_in(0, 2);
  w->world.kill(machine(0));
  w->world.disk(machine(0), 2).fail_reads(1'000'000);
  w->world.restart(machine(0));
  ASSERT_TRUE(w->cluster.await_serving(30_s));
  EXPECT_EQ(w->cluster.failed_directory(0), 2u);
  EXPECT_TRUE(partitions_in(0, 2).empty());
  ASSERT_TRUE(w->world.run_until([&] { return partitions_in(0, 0).size() + partitions_in(0, 1).size() == 6 - third.size(); }, 10_s));
  // Nothing of it was given up: group 0 knows it by the disk that it was.
  w->world.disk(machine(0), 2).heal();
  w->world.restart(machine(0));
  ASSERT_TRUE(w->cluster.await_serving(30_s));
  settle();
  EXPECT_EQ(partitions_in(0, 2), third);
}

TEST_F(Directories, AnEmptyOneIsANewDiskAndGetsItsReplicasBack) {
  w = std::make_unique<BrokerWorld>(4, 3, with_directories(2));
  const TopicId id = w->create_topic("t", 6, 3);
  write_everywhere("t", 6);
  const auto second = partitions_in(0, 1);
  const auto replicas_on = [&](int32_t p) {
    const PartitionRecord* record = w->cluster.node(0)->context().controller().image().find_partition({id, p});
    for (const ReplicaId& replica : record->replicas)
      if (replica.node == BrokerId(1)) return replica;
    return ReplicaId{};
  };
  std::map<int32_t, ReplicaId> before;
  for (int32_t p = 0; p < 6; ++p) before[p] = replicas_on(p);
  w->world.wipe(machine(0), 1);
  w->world.restart(machine(0));
  ASSERT_TRUE(w->cluster.await_serving(30_s));
  settle();
  EXPECT_EQ(partitions_in(0, 1), second);
  for (int32_t p = 0; p < 6; ++p) {
    const bool wiped = std::find(second.begin(), second.end(), p) != second.end();
    EXPECT_EQ(replicas_on(p) != before[p], wiped) << p;
    EXPECT_EQ(w->replica(0, "t", p)->view().high_watermark, Offset(1)) << p;
  }
}

TEST_F(Directories, TheFirstTakesTheBrokerAlong) {
  w = std::make_unique<BrokerWorld>(5, 3, with_directories(2));
  w->create_topic("t", 6, 3);
  const auto first = partitions_in(0, 0);
  ASSERT_FALSE(first.empty());
  fail_writes_of(0, 0);
  for (const int32_t p : first)
    if (w->world.stops().empty()) w->run([&](Wire& wire) { (void)wire.produce("t", batch_of({"v"}), -1, 8, p); }, w->leader_of("t", p));
  ASSERT_TRUE(w->world.run_until([&] { return !w->world.stops().empty(); }, 10_s));
  EXPECT_EQ(w->world.stops().front().node, machine(0));
}

// What a start says of directories that are not as they were.
TEST_F(Directories, ThoseOfAnotherNodeOrOrderAreRefused) {
  const auto refused_with = [&](const std::function<void(NodeIdentity&)>& change) {
    w = std::make_unique<BrokerWorld>(6, 1, with_directories(2));
    EXPECT_TRUE(w->world.run_fiber(machine(0), [&](Task& task, Runtime&) {
      sim::SimDisk& disk = w->world.disk(machine(0), 1);
      for (const std::string_view file : {kIdentityFile, kIdentityCopyFile}) {
        const auto text = read_file(task, disk, file, 64_KiB);
        ASSERT_TRUE(text.has_value()) << text.error().text();
        auto identity = NodeIdentity::decode(*text);
        ASSERT_TRUE(identity.has_value()) << identity.error().text();
        change(*identity);
        ASSERT_TRUE(replace_file(task, disk, file, as_bytes(identity->encode())));
      }
    }));
    w->world.restart(machine(0));
    w->world.run_for(5_s);
    EXPECT_FALSE(w->cluster.serving(0));
    return w->world.stops().empty() ? std::string("it starts") : w->world.stops().front().why;
  };
  using testing::HasSubstr;
  EXPECT_THAT(refused_with([](NodeIdentity& i) { i.directories = 3; }), HasSubstr("directory 2 (/disk-2)"));
  EXPECT_THAT(refused_with([](NodeIdentity& i) { i.directories = 3; }), HasSubstr("2 of 3 of its node, and the node was started with 2"));
  EXPECT_THAT(refused_with([](NodeIdentity& i) { i.directory = 0; }), HasSubstr("data directory 1 of its node, given as number 2"));
  EXPECT_THAT(refused_with([](NodeIdentity& i) { i.replica.node = BrokerId(7); }), HasSubstr("belongs to node 7"));
  EXPECT_THAT(refused_with([](NodeIdentity& i) { i.cluster = ClusterId{5, 5}; }), HasSubstr("belongs to cluster"));
}

TEST_F(Directories, TheIdentityOfEachSaysWhichItIs) {
  NodeIdentity identity;
  identity.replica = {BrokerId(1), DiskId{1, 2}};
  identity.shards = 3;
  identity.directories = 3;
  identity.more_disks = {DiskId{3, 4}, DiskId{5, 6}};
  const std::string text = identity.encode();
  EXPECT_TRUE(text.starts_with("taffrail node, format 3\n")) << "who does not know of several must not open one of them";
  const auto read = NodeIdentity::decode(text);
  ASSERT_TRUE(read.has_value()) << read.error().text();
  EXPECT_EQ(*read, identity);
  identity.more_disks.push_back(DiskId{7, 8});
  EXPECT_FALSE(NodeIdentity::decode(identity.encode()).has_value()) << "three directories have two others";
}

}  // namespace
}  // namespace taffrail::test
