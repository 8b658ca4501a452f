// Goal: groups over the wire: whoever asks finds the coordinator, members get their generation and their assignment,
// and what was committed outlives the broker that said so. Method: simulated brokers and raw connections; one story on
// several shards, one with a killed coordinator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/group_requests.h"
#include "broker/internal_topics.h"
#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;

NodeConfig with_groups(uint32_t shards = 1) {
  NodeConfig config = small_config();
  config.shards = shards;
  config.groups.offsets_partitions = 4;
  config.groups.initial_rebalance_delay = 100_ms;
  config.groups.session_timeout_min = 1_s;
  return config;
}

/// The broker that coordinates `group`, by its place in the cluster.
uint32_t coordinator_of(Wire& wire, const std::string& group) {
  FindCoordinatorRequest request;
  request.coordinator_keys = {group};
  for (int i = 0; i < 100; ++i) {
    const auto found = wire.ask(request, 6).coordinators.at(0);
    if (found.error_code == ErrorCode::kNone) return static_cast<uint32_t>(found.node_id.value - 1);
    EXPECT_EQ(found.error_code, ErrorCode::kCoordinatorNotAvailable);
    (void)wire.runtime().sleep_for(wire.task(), 100_ms);
  }
  ADD_FAILURE() << "no coordinator of " << group;
  return 0;
}

JoinGroupRequest joining(const std::string& group, const std::string& member) {
  JoinGroupRequest request;
  request.group_id = group;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 10'000;
  request.member_id = member;
  request.protocol_type = "consumer";
  request.protocols.push_back({"range", Slice("subscription"), {}});
  return request;
}

/// Asks again as clients do while a coordinator begins.
template <class Request>
typename Request::Response ask(Wire& wire, const Request& request, int16_t version) {
  for (int i = 0; i < 100; ++i) {
    auto response = wire.ask(request, version);
    if (response.error_code != ErrorCode::kCoordinatorLoadInProgress) return response;
    (void)wire.runtime().sleep_for(wire.task(), 20_ms);
  }
  ADD_FAILURE() << "the coordinator does not begin";
  return {};
}

OffsetCommitRequest committing(const std::string& group, const std::string& member, int32_t generation, int64_t offset) {
  OffsetCommitRequest request;
  request.group_id = group;
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  request.topics.push_back({"t", {}, {{0, Offset(offset), 1, "note", {}}}, {}});
  return request;
}

ErrorCode commit(Wire& wire, const OffsetCommitRequest& request) {
  for (int i = 0; i < 100; ++i) {
    const ErrorCode code = wire.ask(request, 9).topics.at(0).partitions.at(0).error_code;
    if (code != ErrorCode::kCoordinatorLoadInProgress) return code;
    (void)wire.runtime().sleep_for(wire.task(), 20_ms);
  }
  return ErrorCode::kCoordinatorLoadInProgress;
}

Offset committed(Wire& wire, const std::string& group) {
  OffsetFetchRequest request;
  request.groups.push_back({group, {}, -1, {{{"t", {}, {0}, {}}}}, {}});
  for (int i = 0; i < 100; ++i) {
    const auto answer = wire.ask(request, 9).groups.at(0);
    if (answer.error_code == ErrorCode::kNone) return answer.topics.at(0).partitions.at(0).committed_offset;
    (void)wire.runtime().sleep_for(wire.task(), 20_ms);
  }
  return Offset(-2);
}

struct Joined {
  std::string member;
  int32_t generation = -1;
};

/// One member, alone in its group.
Joined settle(Wire& wire, const std::string& group) {
  const auto told = ask(wire, joining(group, ""), 9);
  EXPECT_EQ(told.error_code, ErrorCode::kMemberIdRequired);
  const auto joined = ask(wire, joining(group, told.member_id), 9);
  EXPECT_EQ(joined.error_code, ErrorCode::kNone);
  EXPECT_EQ(joined.leader, joined.member_id);
  SyncGroupRequest sync;
  sync.group_id = group;
  sync.member_id = joined.member_id;
  sync.generation_id = joined.generation_id;
  sync.assignments.push_back({joined.member_id, Slice("yours"), {}});
  const auto synced = ask(wire, sync, 5);
  EXPECT_EQ(synced.error_code, ErrorCode::kNone);
  EXPECT_EQ(as_text(synced.assignment), "yours");
  return {joined.member_id, joined.generation_id};
}

// Computed with Kafka's own classes.
TEST(Groups, BelongToPartitionsAsKafkaCountsThem) {
  EXPECT_EQ(handlers::group_partition("test", 50), 48);
  EXPECT_EQ(handlers::group_partition("my-group", 50), 12);
  EXPECT_EQ(handlers::group_partition("polygenelubricants", 50), 0) << "the smallest integer, which has no opposite";
  EXPECT_EQ(handlers::group_partition("\xf0\x9f\x98\x80", 50), 49);
  for (const char* bad : {"\xff", "\xf0", "\xe2\x82", "\x80\x80\x80"}) {
    EXPECT_GE(handlers::group_partition(bad, 50), 0);
    EXPECT_LT(handlers::group_partition(bad, 50), 50);
  }
}

TEST(Groups, TheFirstQuestionCreatesTheOffsetsTopic) {
  BrokerWorld w(1, 3, with_groups());
  w.run([&](Wire& wire) {
    (void)coordinator_of(wire, "g");
    MetadataRequest request;
    request.topics.emplace().push_back({{}, std::string(kOffsetsTopic), {}});
    const auto topic = wire.ask(request, 12).topics.at(0);
    EXPECT_TRUE(topic.is_internal);
    EXPECT_EQ(topic.partitions.size(), 4u);
    EXPECT_EQ(topic.partitions.at(0).replica_nodes.size(), 3u);
    EXPECT_EQ(wire.config_of(std::string(kOffsetsTopic), "cleanup.policy"), "compact");
    EXPECT_EQ(wire.produce(std::string(kOffsetsTopic), batch_of({"a"})).error_code, ErrorCode::kInvalidTopicException);
  });
}

TEST(Groups, AMemberJoinsCommitsLeavesAndTheGroupIsDeleted) {
  for (const uint32_t shards : {1u, 3u}) {
    BrokerWorld w(2, 1, with_groups(shards));
    w.create_topic("t");
    w.run([&](Wire& wire) {
      for (const std::string group : {"a", "b", "c", "d", "e"}) {
        EXPECT_EQ(coordinator_of(wire, group), 0u);
        const Joined m = settle(wire, group);
        HeartbeatRequest beat{group, m.generation, m.member, {}, {}};
        EXPECT_EQ(wire.ask(beat, 4).error_code, ErrorCode::kNone);
        EXPECT_EQ(commit(wire, committing(group, m.member, m.generation, 7)), ErrorCode::kNone);
        EXPECT_EQ(commit(wire, committing(group, m.member, m.generation + 1, 8)), ErrorCode::kIllegalGeneration);
        EXPECT_EQ(committed(wire, group), Offset(7));
        DescribeGroupsRequest describe;
        describe.groups = {group, "none"};
        const auto described = wire.ask(describe, 5);
        ASSERT_EQ(described.groups.size(), 2u);
        for (const auto& g : described.groups) EXPECT_EQ(g.group_state, g.group_id == group ? "Stable" : "Dead");
        LeaveGroupRequest leave;
        leave.group_id = group;
        leave.members.push_back({m.member, {}, {}, {}});
        EXPECT_EQ(wire.ask(leave, 5).members.at(0).error_code, ErrorCode::kNone);
      }
      OffsetFetchRequest many;
      for (const std::string group : {"a", "b", "c", "d", "e"}) many.groups.push_back({group, {}, -1, std::nullopt, {}});
      const auto fetched = wire.ask(many, 9);
      ASSERT_EQ(fetched.groups.size(), 5u);
      for (const auto& g : fetched.groups) {
        ASSERT_EQ(g.topics.size(), 1u);
        EXPECT_EQ(g.topics[0].partitions.at(0).committed_offset, Offset(7));
        EXPECT_EQ(g.topics[0].partitions.at(0).metadata, "note");
      }
      OffsetFetchRequest old;
      old.group_id = "a";
      old.topics->push_back({"t", {0, 9}, {}});
      for (int16_t v = 1; v <= 7; ++v) {
        const auto answer = wire.ask(old, v);
        EXPECT_EQ(answer.topics.at(0).partitions.at(0).committed_offset, Offset(7)) << v;
        EXPECT_EQ(answer.topics.at(0).partitions.at(1).committed_offset, kNoOffset) << v;
      }
      EXPECT_EQ(wire.ask(ListGroupsRequest{}, 5).groups.size(), 5u);
      ListGroupsRequest stable;
      stable.states_filter = {"STABLE"};
      EXPECT_EQ(wire.ask(stable, 5).groups.size(), 0u);
      stable.states_filter = {"empty"};
      stable.types_filter = {"Classic"};
      EXPECT_EQ(wire.ask(stable, 5).groups.size(), 5u);
      OffsetDeleteRequest forget;
      forget.group_id = "a";
      forget.topics.push_back({"t", {{0, {}}, {7, {}}}, {}});
      const auto forgotten = wire.ask(forget, 0);
      EXPECT_EQ(forgotten.error_code, ErrorCode::kNone);
      EXPECT_EQ(forgotten.topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
      EXPECT_EQ(forgotten.topics.at(0).partitions.at(1).error_code, ErrorCode::kUnknownTopicOrPartition);
      EXPECT_EQ(committed(wire, "a"), kNoOffset);
      DeleteGroupsRequest remove;
      remove.groups_names = {"a", "b", "none"};
      for (const auto& result : wire.ask(remove, 2).results)
        EXPECT_EQ(result.error_code, result.group_id == "none" ? ErrorCode::kGroupIdNotFound : ErrorCode::kNone);
      EXPECT_EQ(wire.ask(ListGroupsRequest{}, 5).groups.size(), 3u);
    });
  }
}

TEST(Groups, TopicsAreNamedByIdFromSomeVersionOn) {
  BrokerWorld w(3, 1, with_groups());
  const TopicId id = w.create_topic("t");
  w.run([&](Wire& wire) {
    (void)coordinator_of(wire, "g");
    auto request = committing("g", "", -1, 5);
    request.topics[0].name.clear();
    request.topics[0].topic_id = id;
    request.topics.push_back({"", {7, 7}, {{0, Offset(1), -1, "", {}}}, {}});
    EXPECT_EQ(commit(wire, committing("g", "", -1, 4)), ErrorCode::kNone);
    const auto answer = wire.ask(request, 10);
    EXPECT_EQ(answer.topics.at(0).topic_id, id);
    EXPECT_EQ(answer.topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(answer.topics.at(1).partitions.at(0).error_code, ErrorCode::kUnknownTopicId);
    EXPECT_EQ(committed(wire, "g"), Offset(5));
    OffsetFetchRequest fetch;
    fetch.groups.push_back({"g", {}, -1, {{{"", id, {0}, {}}, {"", {7, 7}, {0}, {}}}}, {}});
    const auto fetched = wire.ask(fetch, 10).groups.at(0);
    EXPECT_EQ(fetched.topics.at(0).partitions.at(0).committed_offset, Offset(5));
    EXPECT_EQ(fetched.topics.at(1).partitions.at(0).error_code, ErrorCode::kUnknownTopicId);
    auto elsewhere = committing("g", "", -1, 9);
    elsewhere.topics[0].partitions[0].partition_index = 3;
    EXPECT_EQ(commit(wire, elsewhere), ErrorCode::kUnknownTopicOrPartition);
  });
}

TEST(Groups, ForgetATopicThatIsDeleted) {
  for (const uint32_t shards : {1u, 2u}) {
    BrokerWorld w(7, 1, with_groups(shards));
    w.create_topic("t");
    w.run([&](Wire& wire) {
      (void)coordinator_of(wire, "g");
      EXPECT_EQ(commit(wire, committing("g", "", -1, 5)), ErrorCode::kNone);
      DeleteTopicsRequest remove;
      remove.topic_names = {"t"};
      remove.timeout_ms = 5000;
      EXPECT_EQ(wire.ask(remove, 4).responses.at(0).error_code, ErrorCode::kNone);
      (void)wire.runtime().sleep_for(wire.task(), 500_ms);
      EXPECT_EQ(committed(wire, "g"), kNoOffset);
      EXPECT_TRUE(wire.ask(ListGroupsRequest{}, 5).groups.empty());
    });
  }
}

// I-G2, I-G7: a killed coordinator takes nothing with it, and its members go on under the next one.
TEST(Groups, OutliveTheirCoordinator) {
  BrokerWorld w(4, 3, with_groups());
  w.create_topic("t", 1, 3);
  uint32_t first = 0;
  w.run([&](Wire& wire) { first = coordinator_of(wire, "g"); });
  Joined m;
  w.run([&](Wire& wire) {
    m = settle(wire, "g");
    EXPECT_EQ(commit(wire, committing("g", m.member, m.generation, 41)), ErrorCode::kNone);
    EXPECT_EQ(commit(wire, committing("g", m.member, m.generation, 42)), ErrorCode::kNone);
  }, first);
  w.world.kill(w.cluster.broker(first));
  const Instant killed = w.world.now();
  uint32_t next = first;
  w.run([&](Wire& wire) {
    for (int i = 0; i < 300 && next == first; ++i) {
      next = coordinator_of(wire, "g");
      (void)wire.runtime().sleep_for(wire.task(), 10_ms);
    }
    ASSERT_NE(next, first);
    Wire there = w.connect(wire, next);
    EXPECT_EQ(commit(there, committing("g", m.member, m.generation, 43)), ErrorCode::kNone);
    EXPECT_LT(w.world.now() - killed, 2_s);
    EXPECT_EQ(committed(there, "g"), Offset(43));
    EXPECT_EQ(there.ask(HeartbeatRequest{"g", m.generation, m.member, {}, {}}, 4).error_code, ErrorCode::kNone);
    // Somebody else is not asked for nothing.
    Wire other = w.connect(wire, 3 - first - next);
    EXPECT_EQ(other.ask(HeartbeatRequest{"g", m.generation, m.member, {}, {}}, 4).error_code, ErrorCode::kNotCoordinator);
    EXPECT_EQ(other.ask(joining("g", ""), 9).error_code, ErrorCode::kNotCoordinator);
  }, first == 0 ? 1 : 0);
}

// A coordinator that hands over and hears nothing more still believes that it coordinates: a read there must not tell what was
// committed last by then.
TEST(Groups, WhoWasCutOffTellsNoOldOffsets) {
  BrokerWorld w(6, 3, with_groups());
  w.create_topic("t", 1, 3);
  uint32_t first = 0;
  w.run([&](Wire& wire) { first = coordinator_of(wire, "g"); });
  const uint32_t next = (first + 1) % 3;
  Joined m;
  w.run([&](Wire& wire) {
    m = settle(wire, "g");
    EXPECT_EQ(commit(wire, committing("g", m.member, m.generation, 41)), ErrorCode::kNone);
  }, first);
  const auto parts = w.cluster.node(first)->context().controller().image().find_topic(std::string_view("__consumer_offsets"))->partitions.size();
  std::vector<int32_t> handed;
  w.run([&](Wire&) {
    for (int32_t p = 0; p < static_cast<int32_t>(parts); ++p) {
      Partition* here = w.replica(first, "__consumer_offsets", p);
      if (!here->is_leader()) continue;
      for (const auto& member : here->group()->members())
        if (member.replica.node == w.cluster.node(next)->context().id()) here->group()->transfer_leadership(member.replica);
      handed.push_back(p);
    }
  }, first);
  for (uint32_t i = 1; i < 3; ++i) w.world.block(w.cluster.broker((first + i) % 3), w.cluster.broker(first));
  const auto leads = [&](uint32_t broker) {
    return std::all_of(handed.begin(), handed.end(), [&](int32_t p) { return w.replica(broker, "__consumer_offsets", p)->is_leader(); });
  };
  ASSERT_TRUE(w.world.run_until([&] { return leads(next); }, 1_s));
  ASSERT_TRUE(leads(first)) << "it was to hear nothing of that";
  w.run([&](Wire& wire) { EXPECT_EQ(commit(wire, committing("g", m.member, m.generation, 42)), ErrorCode::kNone); }, next);
  ASSERT_TRUE(leads(first));
  w.run([&](Wire& wire) { EXPECT_NE(committed(wire, "g"), Offset(41)); }, first);
  w.world.unblock(w.cluster.broker((first + 1) % 3), w.cluster.broker(first));
  w.world.unblock(w.cluster.broker((first + 2) % 3), w.cluster.broker(first));
}

TEST(Groups, AreThereAfterARestartOfEverything) {
  NodeConfig config = with_groups();
  config.snapshot_entries = 8;  // A table is saved on the way, and the rest replayed.
  BrokerWorld w(5, 1, config);
  w.create_topic("t");
  Joined m;
  w.run([&](Wire& wire) {
    (void)coordinator_of(wire, "g");
    m = settle(wire, "g");
    for (int i = 1; i <= 21; ++i) EXPECT_EQ(commit(wire, committing("g", m.member, m.generation, i)), ErrorCode::kNone);
  });
  w.world.kill(w.cluster.broker(0));
  w.world.restart(w.cluster.broker(0));
  ASSERT_TRUE(w.cluster.await_serving(60_s));
  w.run([&](Wire& wire) {
    (void)coordinator_of(wire, "g");
    EXPECT_EQ(committed(wire, "g"), Offset(21));
    EXPECT_EQ(wire.ask(HeartbeatRequest{"g", m.generation, m.member, {}, {}}, 4).error_code, ErrorCode::kNone);
  });
}

TEST(Groups, AJoinThatNobodyWaitsForAnyMoreHoldsNothingUp) {
  BrokerWorld w(6, 1, with_groups(2));
  w.create_topic("t");
  w.run([&](Wire& wire) {
    (void)coordinator_of(wire, "g");
    const Joined m = settle(wire, "g");
    {
      Wire other = w.connect(wire);
      auto request = joining("g", "");
      request.session_timeout_ms = 1000;
      other.send(other.frame_of(request, 3));  // Before v4: a member at once.
      (void)wire.runtime().sleep_for(wire.task(), 100_ms);
      other.socket().close();
    }
    EXPECT_EQ(wire.ask(HeartbeatRequest{"g", m.generation, m.member, {}, {}}, 4).error_code, ErrorCode::kRebalanceInProgress);
    const auto joined = wire.ask(joining("g", m.member), 9);
    EXPECT_EQ(joined.error_code, ErrorCode::kNone);
    EXPECT_EQ(joined.generation_id, m.generation + 1);
  });
}

}  // namespace
}  // namespace taffrail::test
