// Goal: a group with members moves between the two protocols without anybody losing what it reads (KIP-848, "Migration").
// Method: members of both protocols and a coordinator whose log the test commits.
#include <gtest/gtest.h>

#include "group/consumer_protocol.h"
#include "group/support/consumer.h"

namespace taffrail::group::test {
namespace {

/// A member of the classic protocol that joins, syncs and heartbeats as consumers do; it leads where it is asked to.
struct Classic {
  std::string id = {};
  std::optional<std::string> instance = {};
  int32_t generation = -1;
  NamedPartitions owned = {};

  JoinGroupResponse join(Bench& bench) {
    JoinGroupRequest request;
    request.group_id = "g";
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 20'000;
    request.group_instance_id = instance;
    request.protocol_type = "consumer";
    request.protocols.push_back({"range", subscription({"t"}), {}});
    JoinGroupResponse answer;
    for (int i = 0; i < 3; ++i) {
      request.member_id = id;
      const Token token = bench.join(request);
      if (!bench.answered(token)) bench.pass(1_s);
      answer = bench.get<JoinGroupResponse>(token);
      id = answer.member_id;
      generation = answer.generation_id;
      if (answer.error_code != ErrorCode::kMemberIdRequired) break;
    }
    return answer;
  }
  /// A leader gives everybody in `shares` its own.
  ErrorCode sync(Bench& bench, const std::map<std::string, NamedPartitions>& shares = {}) {
    SyncGroupRequest request;
    request.group_id = "g";
    request.generation_id = generation;
    request.member_id = id;
    request.group_instance_id = instance;
    for (const auto& [member, partitions] : shares) request.assignments.push_back({member, make_assignment(0, partitions), {}});
    const auto answer = bench.get<SyncGroupResponse>(bench.sync(request));
    if (answer.error_code == ErrorCode::kNone) owned = parse_assignment(answer.assignment.view()).value_or(NamedPartitions());
    return answer.error_code;
  }
  ErrorCode beat(Bench& bench) const {
    return bench.get<HeartbeatResponse>(bench.heartbeat("g", id, generation, instance)).error_code;
  }
  /// Heartbeats, and joins again where it is told to.
  void live(Bench& bench) {
    if (beat(bench) != ErrorCode::kRebalanceInProgress) return;
    owned.clear();
    if (join(bench).error_code == ErrorCode::kNone) (void)sync(bench);
  }
};

Options options_with(Migration policy) {
  Options options = consumer_options();
  options.consumer_migration = policy;
  return options;
}

struct World : Bench {
  explicit World(Migration policy = Migration::kBidirectional) : Bench(1, options_with(policy)) { topics.set("t", 4); }
  /// A classic group of one, which has everything.
  void found(Classic& a) {
    ASSERT_EQ(a.join(*this).error_code, ErrorCode::kNone);
    ASSERT_EQ(a.sync(*this, {{a.id, {{"t", {0, 1, 2, 3}}}}}), ErrorCode::kNone);
    ASSERT_EQ(a.owned.at("t").size(), 4u);
  }
  std::string type() const { return coordinator->list().at(0).group_type; }
  const StoredGroup& stored() const { return *table.find("g"); }
};

TEST(Migration, AConsumerJoinsAClassicGroupAndBothShare) {
  World w;
  Classic a;
  w.found(a);
  (void)w.commit(committing("g", a.id, a.generation, 7));
  Consumer b{.id = "b"};
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(w.type(), "consumer");
  EXPECT_FALSE(w.stored().state.has_value());
  EXPECT_EQ(b.text(w), "");
  // The classic member keeps what it has until it has joined again.
  EXPECT_EQ(a.beat(w), ErrorCode::kRebalanceInProgress);
  for (int i = 0; i < 4; ++i) {
    a.live(w);
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
  }
  EXPECT_EQ(b.text(w), "t2 t3");
  EXPECT_EQ(a.owned, (NamedPartitions{{"t", {0, 1}}}));
  EXPECT_EQ(w.consumer_describe("g").group_state, "Stable");
  const auto commit = [&](const std::string& member, int32_t epoch) {
    return w.get<OffsetsReply>(w.commit(committing("g", member, epoch, 8), 8)).error;
  };
  EXPECT_EQ(commit(a.id, a.generation), ErrorCode::kNone);
  EXPECT_EQ(commit(a.id, a.generation - 1), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(w.stored().offsets.size(), 1u);
}

TEST(Migration, WhenTheLastConsumerLeavesTheGroupIsClassicAgain) {
  World w;
  Classic a;
  w.found(a);
  Consumer b{.id = "b"};
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
    a.live(w);
  }
  const int32_t epoch = w.stored().consumers.epoch->epoch;
  EXPECT_EQ(b.leave(w), ErrorCode::kNone);
  EXPECT_EQ(w.type(), "classic");
  EXPECT_TRUE(w.stored().consumers.empty());
  // The next generation is above every epoch that was told.
  EXPECT_NE(a.beat(w), ErrorCode::kNone);
  ASSERT_EQ(a.join(w).error_code, ErrorCode::kNone);
  EXPECT_GT(a.generation, epoch);
  EXPECT_EQ(a.sync(w, {{a.id, {{"t", {0, 1, 2, 3}}}}}), ErrorCode::kNone);
  EXPECT_EQ(w.stored().state->members.size(), 1u);
}

TEST(Migration, AConsumerThatIsLostIsNoReasonToStay) {
  World w;
  Classic a;
  w.found(a);
  Consumer b{.id = "b"};
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
    a.live(w);
  }
  for (int i = 0; i < 10 && w.type() == "consumer"; ++i) {
    w.pass(5_s);
    a.live(w);
  }
  EXPECT_EQ(w.type(), "classic");
}

void leave(World& w, const std::string& member) {
  LeaveGroupRequest request;
  request.group_id = "g";
  request.members = {{member, {}, {}, {}}};
  EXPECT_EQ(w.get<LeaveGroupResponse>(w.leave(request)).members.at(0).error_code, ErrorCode::kNone);
}

TEST(Migration, WhereItIsNotAllowedAClassicGroupWithMembersStaysClassic) {
  for (const Migration policy : {Migration::kDisabled, Migration::kDowngrade}) {
    World w(policy);
    Classic a;
    w.found(a);
    Consumer b{.id = "b"};
    EXPECT_EQ(b.beat(w), ErrorCode::kGroupIdNotFound);
    EXPECT_EQ(w.type(), "classic");
    EXPECT_EQ(a.beat(w), ErrorCode::kNone);
    // One without members is anybody's.
    leave(w, a.id);
    ASSERT_TRUE(settle(w, {&b}));
    EXPECT_EQ(w.type(), "consumer");
    EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
  }
}

TEST(Migration, WhereItIsNotAllowedAGroupOfClassicMembersStaysAConsumerGroup) {
  for (const Migration policy : {Migration::kDisabled, Migration::kUpgrade}) {
    World w(policy);
    Consumer b{.id = "b"};
    ASSERT_TRUE(settle(w, {&b}));
    Classic a;
    ASSERT_EQ(a.join(w).error_code, ErrorCode::kNone);
    ASSERT_EQ(a.sync(w), ErrorCode::kNone);
    EXPECT_EQ(b.leave(w), ErrorCode::kNone);
    EXPECT_EQ(w.type(), "consumer");
    for (int i = 0; i < 4; ++i) a.live(w);
    EXPECT_EQ(a.owned, (NamedPartitions{{"t", {0, 1, 2, 3}}}));
    w.fail_over();
    EXPECT_EQ(a.beat(w), ErrorCode::kNone);
    EXPECT_EQ(w.type(), "consumer");
    leave(w, a.id);
    Classic c;
    EXPECT_EQ(c.join(w).error_code, ErrorCode::kNone);
    EXPECT_EQ(w.type(), "classic") << "without members it is anybody's";
  }
}

TEST(Migration, EachPolicyHasKafkasNameAndAllowsItsOwnWay) {
  const auto is = [](std::string_view name, bool up, bool down) {
    const auto policy = find_migration(name);
    ASSERT_TRUE(policy.has_value()) << name;
    EXPECT_EQ(migration_name(*policy), name);
    EXPECT_EQ(allows_upgrade(*policy), up) << name;
    EXPECT_EQ(allows_downgrade(*policy), down) << name;
    World w(*policy);
    Classic a;
    w.found(a);
    Consumer b{.id = "b"};
    EXPECT_EQ(b.beat(w) == ErrorCode::kNone, up) << name;
  };
  is("disabled", false, false);
  is("upgrade", true, false);
  is("downgrade", false, true);
  is("bidirectional", true, true);
  EXPECT_FALSE(find_migration("UPGRADE").has_value());
  EXPECT_EQ(Options().consumer_migration, Migration::kBidirectional);
}

TEST(Migration, AStaticMemberChangesItsProtocolInPlace) {
  World w;
  Classic a{.instance = "i"};
  w.found(a);
  Consumer b{.id = "b", .instance = "i"};
  ASSERT_EQ(b.beat(w), ErrorCode::kNone);
  ASSERT_TRUE(settle(w, {&b}));
  EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
  EXPECT_EQ(w.stored().consumers.members.size(), 1u);
  EXPECT_EQ(a.beat(w), ErrorCode::kFencedInstanceId);
  // And back: it was the only one of the newer protocol.
  Classic c{.instance = "i"};
  EXPECT_EQ(c.join(w).error_code, ErrorCode::kNone);
  EXPECT_EQ(w.type(), "classic");
}

TEST(Migration, GroupsThatAreNotUnderstoodStayClassic) {
  World w;
  Member m;  // What it gives is no assignment.
  m.join(w);
  w.pass(1_s);
  ASSERT_EQ(m.joined(w), ErrorCode::kNone);
  m.sync(w);
  Consumer b{.id = "b"};
  EXPECT_EQ(b.beat(w), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(w.type(), "classic");
  EXPECT_EQ(w.get<HeartbeatResponse>(w.heartbeat("g", m.id, m.generation)).error_code, ErrorCode::kNone);
}

// Numbers are told once, whatever they are called.
TEST(Migration, NumbersGoOnThroughEmptyGroups) {
  World w;
  Consumer b{.id = "b"};
  ASSERT_TRUE(settle(w, {&b}));
  (void)b.leave(w);
  const int32_t epoch = w.stored().consumers.epoch->epoch;
  Classic a;
  ASSERT_EQ(a.join(w).error_code, ErrorCode::kNone);
  EXPECT_GT(a.generation, epoch);
  EXPECT_EQ(a.sync(w, {{a.id, {{"t", {0, 1, 2, 3}}}}}), ErrorCode::kNone);
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{a.id, {}, {}, {}}};
  (void)w.leave(leave);
  const int32_t generation = w.stored().state->generation;
  Consumer c{.id = "c"};
  ASSERT_TRUE(settle(w, {&c}));
  EXPECT_GT(c.epoch, generation);
}

TEST(Migration, AClassicMemberJoinsAConsumerGroup) {
  World w;
  Consumer b{.id = "b"};
  ASSERT_TRUE(settle(w, {&b}));
  Classic a;
  const auto joined = a.join(w);
  EXPECT_EQ(joined.error_code, ErrorCode::kNone);
  EXPECT_EQ(joined.leader, "");
  EXPECT_EQ(joined.protocol_name, "range");
  EXPECT_TRUE(joined.members.empty());
  EXPECT_EQ(a.sync(w), ErrorCode::kNone);
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
    a.live(w);
  }
  EXPECT_EQ(a.owned.at("t").size() + b.owned.begin()->second.size(), 4u);
  Classic stranger;
  JoinGroupRequest other;
  other.group_id = "g";
  other.session_timeout_ms = 10'000;
  other.protocol_type = "connect";
  other.protocols.push_back({"x", Slice("?"), {}});
  EXPECT_EQ(w.get<JoinGroupResponse>(w.join(other)).error_code, ErrorCode::kInconsistentGroupProtocol);
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{a.id, {}, {}, {}}, {"b", {}, {}, {}}};
  const auto left = w.get<LeaveGroupResponse>(w.leave(leave));
  EXPECT_EQ(left.members[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(left.members[1].error_code, ErrorCode::kUnknownMemberId);
  ASSERT_TRUE(settle(w, {&b}));
  EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
}

TEST(Migration, AClassicMemberThatDoesNotComeBackIsOut) {
  World w;
  Classic a;
  w.found(a);
  Consumer b{.id = "b"};
  ASSERT_EQ(b.beat(w), ErrorCode::kNone);
  for (int i = 0; i < 5; ++i) {
    w.pass(5_s);
    (void)a.beat(w);  // It is there, and does not join.
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
  }
  EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
  EXPECT_EQ(a.beat(w), ErrorCode::kUnknownMemberId);
}

TEST(Migration, AMoveThatCouldNotBeAppendedDidNotHappen) {
  World w;
  Classic a;
  w.found(a);
  w.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  Consumer b{.id = "b"};
  EXPECT_EQ(b.beat(w), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(w.type(), "classic");
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  w.refuse_appends = ErrorCode::kNone;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
    a.live(w);
  }
  w.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(b.leave(w), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(w.type(), "consumer");
  w.refuse_appends = ErrorCode::kNone;
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
}

TEST(Migration, AFailoverInTheMiddleGoesOn) {
  World w;
  Classic a;
  w.found(a);
  Consumer b{.id = "b"};
  ASSERT_EQ(b.beat(w), ErrorCode::kNone);
  w.fail_over();
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(b.beat(w), ErrorCode::kNone);
    a.live(w);
  }
  EXPECT_EQ(b.text(w), "t2 t3");
  (void)b.leave(w);
  w.fail_over();
  ASSERT_EQ(a.join(w).error_code, ErrorCode::kNone);
  EXPECT_EQ(w.type(), "classic");
}

}  // namespace
}  // namespace taffrail::group::test
