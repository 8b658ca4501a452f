// Goal: partitions go where they are sent, under load, without losing what was acknowledged; leaders go where they are
// preferred; a broker that lost its disk gets its replicas back unasked. Method: simulated clusters, asked over Kafka's
// protocol.
#include <algorithm>

#include "broker/shard.h"
#include "broker/support/broker_world.h"
#include "consensus/driver.h"
#include "consensus/wire.h"
#include "storage/store.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

std::vector<BrokerId> ids(std::initializer_list<int32_t> brokers) {
  std::vector<BrokerId> all;
  for (const int32_t id : brokers) all.push_back(BrokerId(id));
  return all;
}

struct Moves : testing::Test {
  /// One that serves.
  uint32_t any() const {
    uint32_t broker = 0;
    while (!w->cluster.serving(broker)) ++broker;
    return broker;
  }
  ErrorCode move(const std::string& topic, std::optional<std::vector<BrokerId>> to, int32_t partition = 0) {
    ErrorCode error = ErrorCode::kUnknownServerError;
    w->run([&](Wire& wire) {
      protocol::AlterPartitionReassignmentsRequest request;
      request.topics.push_back({topic, {{partition, to, {}}}, {}});
      const auto answer = wire.ask(request, 1);
      ASSERT_EQ(answer.error_code, ErrorCode::kNone) << answer.error_message.value_or("");
      error = answer.responses[0].partitions[0].error_code;
    }, any());
    return error;
  }
  PartitionRecord record(const std::string& topic) {
    return w->cluster.node(any())->context().controller().image().find_topic(std::string_view(topic))->partitions[0];
  }
  /// Reads from the first record on: how many there are.
  int64_t read(const std::string& topic) {
    int64_t end = 0;
    w->run([&](Wire& wire) {
      for (int64_t offset = 0;;) {
        const Slice bytes = wire.fetch(topic, offset).records.flat();
        BatchWalk walk(bytes);
        const int64_t before = offset;
        while (const auto batch = *walk.next()) offset = batch->last_offset().value + 1;
        if (offset == before) return;
        end = offset;
      }
    }, w->leader_of(topic));
    return end;
  }
  void settle() {
    const auto why = w->cluster.await_settled(60_s);
    EXPECT_FALSE(why.has_value()) << *why;
  }

  std::unique_ptr<BrokerWorld> w;
};

TEST_F(Moves, APartitionGoesWhereItIsSentAndKeepsItsRecords) {
  w = std::make_unique<BrokerWorld>(1, 5);
  const TopicId id = w->create_topic("t", 1, 3);
  const uint32_t leader = w->leader_of("t");
  std::vector<BrokerId> others;
  for (int32_t i = 1; i <= 5; ++i)
    if (w->replica(static_cast<uint32_t>(i) - 1, "t") == nullptr) others.push_back(BrokerId(i));
  ASSERT_EQ(others.size(), 2u);
  w->run([&](Wire& wire) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone);
  }, leader);
  // Away from where it is led, too.
  std::vector<BrokerId> to = others;
  for (uint32_t i = 0; i < 5 && to.size() < 3; ++i)
    if (w->replica(i, "t") != nullptr && i != leader) to.push_back(BrokerId(static_cast<int32_t>(i) + 1));
  EXPECT_EQ(move("t", to), ErrorCode::kNone);
  w->run([&](Wire& wire) {
    const auto answer = wire.ask(protocol::ListPartitionReassignmentsRequest{}, 0);
    if (!answer.topics.empty()) { EXPECT_EQ(answer.topics[0].partitions[0].adding_replicas.size(), 2u); }
  });
  settle();
  EXPECT_FALSE(record("t").moving());
  for (int32_t i = 1; i <= 5; ++i) {
    const bool there = std::find(to.begin(), to.end(), BrokerId(i)) != to.end();
    const auto broker = static_cast<uint32_t>(i) - 1;
    ASSERT_TRUE(w->world.run_until([&] { return (w->replica(broker, "t") != nullptr) == there; }, 10_s)) << i;
    const auto has_a_log = [&] {
      for (BrokerShard* shard : w->cluster.node(broker)->shards())
        if (shard->store()->find_log({id, 0}) != nullptr) return true;
      return false;
    };
    ASSERT_TRUE(w->world.run_until([&] { return has_a_log() == there; }, 10_s))
        << "broker " << i << " keeps a log that nobody asks for";
  }
  EXPECT_EQ(read("t"), 50);
  // Quiet, it stays led and in sync: those that came say so without having anything to acknowledge.
  const uint32_t led_by = w->leader_of("t");
  const Term epoch = w->replica(led_by, "t")->epoch();
  w->world.run_for(60_s);
  EXPECT_EQ(w->replica(led_by, "t")->epoch(), epoch);
  EXPECT_EQ(w->replica(led_by, "t")->in_sync().size(), 3u);
}

TEST_F(Moves, OneThatIsTakenBackLeavesNothingBehind) {
  w = std::make_unique<BrokerWorld>(2, 4);
  w->create_topic("t", 1, 3);
  uint32_t outside = 0;
  while (w->replica(outside, "t") != nullptr) ++outside;
  const std::vector<ReplicaId> before = record("t").replicas;
  std::vector<BrokerId> to;
  for (const ReplicaId& replica : before) to.push_back(replica.node);
  to[0] = BrokerId(static_cast<int32_t>(outside) + 1);
  // It cannot get there: who it moves to is down.
  w->world.kill(w->cluster.broker(outside));
  EXPECT_EQ(move("t", to), ErrorCode::kNone);
  w->world.run_for(3_s);
  EXPECT_TRUE(record("t").moving());
  EXPECT_EQ(move("t", std::nullopt), ErrorCode::kNone);
  ASSERT_TRUE(w->world.run_until([&] { return !record("t").moving(); }, 30_s));
  w->world.restart(w->cluster.broker(outside));
  settle();
  EXPECT_EQ(record("t").replicas, before);
  EXPECT_EQ(w->replica(outside, "t"), nullptr);
  EXPECT_EQ(move("t", std::nullopt), ErrorCode::kNoReassignmentInProgress);
}

TEST_F(Moves, ThereAndBackAgain) {
  w = std::make_unique<BrokerWorld>(3, 4);
  w->create_topic("t", 1, 3);
  const std::vector<ReplicaId> before = record("t").replicas;
  std::vector<BrokerId> home;
  for (const ReplicaId& replica : before) home.push_back(replica.node);
  std::vector<BrokerId> away = home;
  for (int32_t i = 1; i <= 4; ++i)
    if (std::find(home.begin(), home.end(), BrokerId(i)) == home.end()) away[1] = BrokerId(i);
  for (int round = 0; round < 3; ++round) {
    for (const auto& to : {away, home}) {
      w->run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone); }, w->leader_of("t"));
      EXPECT_EQ(move("t", to), ErrorCode::kNone);
      settle();
    }
  }
  EXPECT_EQ(read("t"), 6);
}

// Group 0 does not reach a replica that leaves and comes back, its partition's leader does. Then a snapshot tells it of a
// time at which it was away.
TEST_F(Moves, ThereAndBackAgainBehindTheImage) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    NodeConfig config = small_config();
    config.metadata_snapshot_entries = 4;
    w = std::make_unique<BrokerWorld>(seed, 5, config);
    uint32_t controller = 0;
    while (w->cluster.node(controller)->find_group(kMetadataPartition)->role() != Role::kLeader) ++controller;
    const auto id = [&](uint32_t nth) { return BrokerId(static_cast<int32_t>((controller + nth) % 5) + 1); };
    w->create_topic("t", 1, 3);
    const std::vector<BrokerId> home{id(1), id(2), id(3)};
    EXPECT_EQ(move("t", home), ErrorCode::kNone);
    settle();
    if (w->leader_of("t") == (controller + 3) % 5) continue;  // Who leads is not cut off from its followers' news.
    w->run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone); }, w->leader_of("t"));
    const auto behind = w->cluster.broker((controller + 3) % 5);
    w->world.block(behind, w->cluster.broker(controller));
    w->world.run_for(3_s);
    const auto members_are = [&](const std::vector<BrokerId>& wanted) {
      return w->world.run_until([&] {
        std::vector<BrokerId> now;
        const uint32_t leader = w->leader_of("t");
        for (const ReplicaId& voter : w->replica(leader, "t")->group()->configuration().voters) now.push_back(voter.node);
        return std::ranges::is_permutation(now, wanted) && w->replica(leader, "t")->group()->raft().members_settled();
      }, 20_s);
    };
    const std::vector<BrokerId> away{id(1), id(2), id(4)};
    EXPECT_EQ(move("t", away), ErrorCode::kNone);
    ASSERT_TRUE(members_are(away));
    w->world.run_for(3_s);
    w->run([&](Wire& wire) {
      for (uint64_t i = 0; i < seed; ++i) {
        protocol::IncrementalAlterConfigsRequest request;
        const std::string value = std::to_string(100'000 + i);
        request.resources.push_back({protocol::ConfigResourceType::kTopic, "t", {{"retention.ms", protocol::AlterConfigOp::kSet, value, {}}}, {}});
        EXPECT_EQ(wire.ask(request, 1).responses[0].error_code, ErrorCode::kNone);
      }
    }, controller);
    EXPECT_EQ(move("t", home), ErrorCode::kNone);
    ASSERT_TRUE(members_are(home));
    w->world.unblock(behind, w->cluster.broker(controller));
    settle();
  }
}

struct Deaf : GroupEvents {
  void on_commit(LogIndex, Offset) override {}
  void on_durable(LogIndex) override {}
  void on_role(Role, Term, BrokerId) override {}
  void on_truncate(LogIndex) override {}
  void on_appended(LogIndex) override {}
  void on_progress() override {}
  Result<> on_snapshot(Task&, EntryId, const Configuration&, Slice) override { return fail(Errc::kUnavailable); }
  Result<std::pair<EntryId, Slice>> make_snapshot(Task&) override { return fail(Errc::kUnavailable); }
};

// Sent away and called back, a replica finds its log open, and what was being written goes on being written.
TEST(Replica, ThatComesBackCountsWhatIsBeingWrittenOnlyWhenItIs) {
  BrokerWorld w(1);
  w.world.run_for(3_s);  // Until then a broker that starts looks for logs that nobody knows of.
  Deaf events;
  w.world.run_fiber(w.cluster.broker(0), [&](Task& task, Runtime& runtime) {
    BrokerShard& shard = *w.cluster.node(0)->shards().front();
    RaftDriver& driver = *shard.driver();
    const PartitionKey key{Uuid{7, 7}, 0};
    const Configuration alone{.voters = {driver.find(kMetadataPartition)->raft().self()}};
    Log& log = **shard.store()->create_log(key);
    RaftGroup* group = *driver.add(task, key, log, alone, events);
    while (!group->commit_is_current()) ASSERT_TRUE(runtime.sleep_for(task, 10_ms));
    w.world.disk(w.cluster.broker(0)).stick_syncs(w.world.now() + 1_s);
    Entry entry;
    entry.meta.kind = EntryKind::kCommand;
    ASSERT_TRUE(group->propose(std::span(&entry, 1)));
    ASSERT_TRUE(runtime.sleep_for(task, 50_ms));
    ASSERT_LT(log.durable_index(), log.last_index());
    driver.remove(key);
    group = *driver.add(task, key, log, alone, events);
    EXPECT_EQ(group->raft().durable(), log.durable_index());
    ASSERT_TRUE(runtime.sleep_for(task, 5_s));
    EXPECT_TRUE(group->commit_is_current());
    EXPECT_EQ(group->raft().durable(), log.last_index());
    driver.remove(task, key);
    ASSERT_TRUE(shard.store()->remove_log(task, key));
  });
}

// Whose log is replaced by what its leader gives: it takes its time, as on a slow disk.
struct Given : Deaf {
  Log* log = nullptr;
  Runtime* runtime = nullptr;
  EntryId last;
  Configuration members;
  bool installing = false;
  Result<> on_snapshot(Task& task, EntryId upto, const Configuration& configuration, Slice state) override {
    Entry membership;
    membership.meta = {upto.index, upto.term, EntryKind::kConfig, log->start_offset()};
    membership.payload = encode_configuration(configuration);
    const Result<> done = log->install_snapshot(task, {upto, log->start_offset(), std::move(state)}, log->start_offset(), membership);
    EXPECT_FALSE(std::exchange(installing, true)) << "one at a time";
    (void)runtime->sleep_for(task, 2_s);
    installing = false;
    return done;
  }
  Result<std::pair<EntryId, Slice>> make_snapshot(Task&) override { return std::pair{last, Slice(std::string("state"))}; }
};

TEST(Replica, TakesNoEntriesOfItsOldLogWhileASnapshotReplacesIt) {
  BrokerWorld w(1, 2);
  w.world.run_for(3_s);
  const auto shard = [&](uint32_t i) -> BrokerShard& { return *w.cluster.node(i)->shards().front(); };
  const auto self = [&](uint32_t i) { return shard(i).driver()->self(); };
  const PartitionKey key{Uuid{7, 7}, 0};
  const Configuration members{.voters = {self(0)}, .learners = {self(1)}};
  Given events[2];
  Log* logs[2];
  RaftGroup* groups[2];
  for (uint32_t i = 0; i < 2; ++i)
    w.world.run_fiber(w.cluster.broker(i), [&](Task& task, Runtime& runtime) {
      events[i].runtime = &runtime;
      events[i].log = logs[i] = *shard(i).store()->create_log(key);
      groups[i] = *shard(i).driver()->add(task, key, *logs[i], members, events[i]);
    });
  ASSERT_TRUE(w.world.run_until([&] { return groups[1]->commit() >= LogIndex(1); }, 30_s));
  // The learner is away, and what it would need next goes.
  shard(1).driver()->remove(key);
  w.world.run_fiber(w.cluster.broker(0), [&](Task& task, Runtime& runtime) {
    Entry entry;
    entry.meta.kind = EntryKind::kCommand;
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(groups[0]->propose(std::span(&entry, 1)));
    while (groups[0]->commit() < LogIndex(11)) ASSERT_TRUE(runtime.sleep_for(task, 10_ms));
    events[0].last = groups[0]->raft().log().at(LogIndex(9));
    ASSERT_TRUE(logs[0]->set_log_start(Offset(0), LogIndex(9)));
    shard(0).driver()->dropped_prefix(key, LogIndex(8));
  });
  w.world.run_fiber(w.cluster.broker(1), [&](Task& task, Runtime&) {
    groups[1] = *shard(1).driver()->add(task, key, *logs[1], members, events[1]);
  });
  const EntryId old = groups[1]->raft().log().last();
  ASSERT_LT(old.index, LogIndex(8));
  ASSERT_TRUE(w.world.run_until([&] { return events[1].installing; }, 60_s));
  // What continues the log that it had, and another snapshot: of a leader that does not know better.
  const EntryId later = events[0].last = groups[0]->raft().log().at(LogIndex(10));
  w.world.run_fiber(w.cluster.broker(1), [&](Task&, Runtime&) {
    AppendRequest request{.term = groups[1]->term(), .serial = 99, .prev = old};
    request.entries.push_back({old.index + 1, old.term, EntryKind::kCommand, Offset(0)});
    ByteWriter body;
    body.sized(encode_envelope({key, self(0), self(1), request, {0}}));
    PeerIdentity sender;
    sender.replica = self(0);
    shard(1).driver()->on_message(sender, PeerKind::kRaft, Slice(body.view()));
    ByteWriter offer;
    offer.sized(encode_envelope({key, self(0), self(1), SnapshotOffer{.term = groups[1]->term(), .last = later, .configuration = members}, {}}));
    shard(1).driver()->on_message(sender, PeerKind::kRaft, Slice(offer.view()));
  });
  EXPECT_EQ(logs[1]->last_index(), LogIndex(9));
  ASSERT_TRUE(w.world.run_until([&] { return groups[1]->commit() >= LogIndex(11); }, 60_s));
  EXPECT_EQ(groups[1]->quarantine(), "");
  for (uint32_t i = 0; i < 2; ++i)
    w.world.run_fiber(w.cluster.broker(i), [&](Task& task, Runtime&) {
      shard(i).driver()->remove(task, key);
      ASSERT_TRUE(shard(i).store()->remove_log(task, key));
    });
}

TEST_F(Moves, MoreReplicasAndFewer) {
  w = std::make_unique<BrokerWorld>(4, 3);
  w->create_topic("t", 1, 1);
  EXPECT_EQ(move("t", ids({1, 2, 3})), ErrorCode::kNone);
  settle();
  EXPECT_EQ(w->replica(w->leader_of("t"), "t")->in_sync().size(), 3u);
  EXPECT_EQ(move("t", ids({2})), ErrorCode::kNone);
  settle();
  EXPECT_EQ(w->leader_of("t"), 1u);
}

TEST_F(Moves, LeadersGoWhereTheyArePreferred) {
  w = std::make_unique<BrokerWorld>(5, 3);
  w->create_topic("t", 1, 3);
  const uint32_t preferred = w->leader_of("t");
  w->world.kill(w->cluster.broker(preferred));
  ASSERT_TRUE(w->world.run_until([&] {
    for (uint32_t i = 0; i < 3; ++i)
      if (i != preferred && w->replica(i, "t")->is_leader()) return true;
    return false;
  }, 30_s));
  w->world.restart(w->cluster.broker(preferred));
  settle();
  ASSERT_NE(w->leader_of("t"), preferred);
  const auto elect = [&](int8_t type, uint32_t by) {
    ErrorCode error = ErrorCode::kUnknownServerError;
    w->run([&](Wire& wire) {
      protocol::ElectLeadersRequest request;
      request.election_type = type;
      request.topic_partitions.emplace().push_back({"t", {0}, {}});
      const auto answer = wire.ask(request, 2);
      ASSERT_EQ(answer.replica_election_results.size(), 1u);
      error = answer.replica_election_results[0].partition_result[0].error_code;
    }, by);
    return error;
  };
  EXPECT_EQ(elect(1, 0), ErrorCode::kElectionNotNeeded) << "there is a leader";
  // Whoever is asked, also the leader itself.
  EXPECT_EQ(elect(0, w->leader_of("t")), ErrorCode::kNone);
  ASSERT_TRUE(w->world.run_until([&] { return w->replica(preferred, "t")->is_leader(); }, 10_s));
  settle();
  EXPECT_EQ(elect(0, 0), ErrorCode::kElectionNotNeeded);
}

TEST_F(Moves, ABrokerThatLostItsDiskGetsItsReplicasBackUnasked) {
  w = std::make_unique<BrokerWorld>(6, 3);
  w->create_topic("t", 1, 3);
  w->run([&](Wire& wire) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone);
  }, w->leader_of("t"));
  const uint32_t victim = (w->leader_of("t") + 1) % 3;
  const ReplicaId old = w->cluster.node(victim)->find_group(kMetadataPartition)->raft().self();
  w->world.wipe(w->cluster.broker(victim));
  w->world.restart(w->cluster.broker(victim));
  ASSERT_TRUE(w->world.run_until([&] { return w->cluster.serving(victim); }, 60_s));
  settle();
  ASSERT_TRUE(w->world.run_until([&] {
    const Configuration& members = w->cluster.node(victim)->find_group(kMetadataPartition)->configuration();
    return !members.joint() && members.voters.size() == 3 && !members.is_member(old);
  }, 30_s)) << "group 0 goes on with the disk that is gone";
  EXPECT_EQ(w->replica(victim, "t")->view().high_watermark, Offset(50));
  // The new one counts: with another broker gone there is still a majority.
  w->world.kill(w->cluster.broker((victim + 1) % 3));
  w->world.run_for(5_s);
  w->run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"v"})).error_code, ErrorCode::kNone); }, w->leader_of("t"));
}

// A node that is back with an empty disk answers for that one, not for the disk that is gone.
TEST_F(Moves, ANewDiskIsInSyncWhenItHoldsAllAndNotBefore) {
  w = std::make_unique<BrokerWorld>(7, 3);
  w->create_topic("t", 1, 3);
  const uint32_t leader = w->leader_of("t");
  const uint32_t victim = (leader + 1) % 3;
  w->run([&](Wire& wire) {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(wire.produce("t", batch_of({std::string(20'000, 'v')})).error_code, ErrorCode::kNone);
  }, leader);
  const auto listed = [&] {
    return std::ranges::count(w->replica(leader, "t")->in_sync(), BrokerId(static_cast<int32_t>(victim) + 1)) > 0;
  };
  ASSERT_TRUE(listed());
  w->world.wipe(w->cluster.broker(victim));
  w->world.restart(w->cluster.broker(victim));
  ASSERT_TRUE(w->world.run_until([&] { return w->cluster.serving(victim); }, 60_s));
  w->world.run_for(300_ms);  // By now it was heard of.
  bool was_out = false;
  for (int i = 0; i < 2000 && !(was_out && listed()); ++i) {
    w->world.run_for(5_ms);
    was_out = was_out || !listed();
    if (!listed()) continue;
    const Partition* there = w->replica(victim, "t");
    ASSERT_NE(there, nullptr) << "in sync without a replica";
    ASSERT_GE(there->view().log_end, Offset(100)) << "in sync without the records";
  }
  EXPECT_TRUE(was_out);
  EXPECT_TRUE(listed());
}

}  // namespace
}  // namespace taffrail::test
