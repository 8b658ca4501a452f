// Goal: a consumer group (KIP-848) does what Kafka's does: who is let in and who is fenced, when epochs rise, what each
// heartbeat is answered, and that nobody gets a partition before its holder let go of it. Method: members and a coordinator
// whose log the test commits; the steps and codes are those of Apache Kafka 4.3.
#include <gtest/gtest.h>

#include "group/metadata_hash.h"
#include "group/support/consumer.h"

namespace taffrail::group::test {
namespace {

using Request = ConsumerGroupHeartbeatRequest;
using Response = ConsumerGroupHeartbeatResponse;

struct World : Bench {
  World() : Bench(1, consumer_options()) { topics.set("t", 4); }
  explicit World(const Options& o) : Bench(1, o) { topics.set("t", 4); }
  Response ask(const Request& request, int16_t version = 1) { return get<Response>(beat(request, version)); }
  const ConsumerState& state() const { return table.find("g")->consumers; }
};

TEST(ConsumerGroup, TheFirstMemberGetsEverythingInEpochTwo) {
  World w;
  Consumer a{.id = "a"};
  const Response answer = w.ask(a.full());
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.member_id, "a");
  EXPECT_EQ(answer.member_epoch, 2);
  EXPECT_EQ(answer.heartbeat_interval_ms, 5000);
  ASSERT_TRUE(answer.assignment.has_value());
  ASSERT_EQ(answer.assignment->topic_partitions.size(), 1u);
  EXPECT_EQ(answer.assignment->topic_partitions[0].topic_id, w.topics.id("t"));
  EXPECT_EQ(answer.assignment->topic_partitions[0].partitions, (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(w.consumer_describe("g").group_state, "Stable");
  EXPECT_EQ(w.state().epoch->epoch, 2);
  EXPECT_EQ(w.state().target_epoch->assignment_epoch, 2);
}

TEST(ConsumerGroup, AHeartbeatThatChangesNothingWritesNothing) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  const size_t records = w.log.size();
  const Response answer = w.ask(a.brief());
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_FALSE(answer.assignment.has_value());
  EXPECT_EQ(w.log.size(), records);
}

// A request that was sent before comes late and is answered to nobody: what it was told is told again.
TEST(ConsumerGroup, AnAssignmentIsToldUntilItsMemberSaysThatItOwnsIt) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_FALSE(w.ask(a.brief()).assignment.has_value());
  const Consumer late{.id = "a"};
  ASSERT_TRUE(w.ask(late.full()).assignment.has_value());
  const Response answer = w.ask(a.brief());
  ASSERT_TRUE(answer.assignment.has_value());
  EXPECT_EQ(answer.assignment->topic_partitions[0].partitions, (std::vector<int32_t>{0, 1, 2, 3}));
  // It owns that already, and has nothing to say.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_FALSE(w.ask(a.brief()).assignment.has_value());
}

// What a member loses is first given up by it, and then given on.
TEST(ConsumerGroup, APartitionIsGivenOnOnceItsHolderLetGo) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(b.text(w), "");
  EXPECT_EQ(b.epoch, 3);
  EXPECT_EQ(w.consumer_describe("g").group_state, "Reconciling");
  // Told to give up two of four, it keeps its epoch until it has.
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.text(w), "t0 t1");
  EXPECT_EQ(a.epoch, 2);
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(b.text(w), "");
  a.tells = false;  // It is at work on it still, and says nothing about what it owns.
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.epoch, 2);
  a.tells = true;
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.epoch, 3);
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(b.text(w), "t2 t3");
  EXPECT_EQ(w.consumer_describe("g").group_state, "Stable");
}

// groups.md's worked example: epoch 5 owns 0 1 2, target 6 is 0 and 3, and 3 is held elsewhere.
TEST(ConsumerGroup, EachStepIsRecordedAsKafkaRecordsIt) {
  World w;
  w.topics.set("t", 4);
  const TopicId t = w.topics.id("t");
  const auto put = [&](const Record& record) { w.table.apply(record); };
  const auto meta = [](const std::string& topic) {
    ConsumerGroupMemberMetadataValue m;
    m.instance_id.reset();
    m.rack_id.reset();
    m.subscribed_topic_regex.reset();
    m.server_assignor.reset();
    m.client_id = "c";
    m.client_host = "/10.0.0.1";
    m.rebalance_timeout_ms = 30'000;
    m.subscribed_topic_names = {topic};
    return m;
  };
  using Current = ConsumerGroupCurrentMemberAssignmentValue;
  put(EpochRecord{"g", ConsumerGroupMetadataValue{6, metadata_hash({"t"}, w.topics), {}}});
  put(MemberRecord{"g", "m", meta("t")});
  put(MemberRecord{"g", "other", meta("t")});
  put(TargetRecord{"g", "m", ConsumerGroupTargetAssignmentMemberValue{{{t, {0, 3}, {}}}, {}}});
  put(TargetRecord{"g", "other", ConsumerGroupTargetAssignmentMemberValue{{{t, {1, 2}, {}}}, {}}});
  put(TargetEpochRecord{"g", ConsumerGroupTargetAssignmentMetadataValue{6, 1, {}}});
  put(CurrentRecord{"g", "m", Current{5, 4, 0, {{t, {0, 1, 2}, std::vector<int32_t>{5, 5, 5}, {}}}, {}, {}}});
  put(CurrentRecord{"g", "other", Current{5, 4, 0, {{t, {3}, std::vector<int32_t>{5}, {}}}, {}, {}}});
  w.fail_over();

  Request beat;
  beat.group_id = "g";
  beat.member_id = "m";
  beat.member_epoch = 5;
  const auto current = [&] { return *w.state().members.at("m").current; };
  EXPECT_EQ(w.ask(beat).error_code, ErrorCode::kNone);
  EXPECT_EQ(current(), (Current{5, 5, 1, {{t, {0}, std::vector<int32_t>{5}, {}}}, {{t, {1, 2}, std::vector<int32_t>{5, 5}, {}}}, {}}));
  beat.topic_partitions = {{{t, {0}, {}}}};
  EXPECT_EQ(w.ask(beat).member_epoch, 6);
  EXPECT_EQ(current(), (Current{6, 5, 2, {{t, {0}, std::vector<int32_t>{5}, {}}}, {}, {}}));
  // The other one lets go of 3.
  Request other = beat;
  other.member_id = "other";
  other.topic_partitions = {std::vector<AssignedTopic>{}};
  EXPECT_EQ(w.ask(other).error_code, ErrorCode::kNone);
  beat.member_epoch = 6;
  EXPECT_EQ(w.ask(beat).member_epoch, 6);
  EXPECT_EQ(current(), (Current{6, 6, 0, {{t, {0, 3}, std::vector<int32_t>{5, 6}, {}}}, {}, {}}));
}

TEST(ConsumerGroup, WhatKafkaCallsInvalidIsRefusedAndLeavesNoGroup) {
  World w;
  const Consumer a{.id = "a"};
  const auto code = [&](auto change, int16_t version = 1) {
    Request r = a.full();
    change(r);
    return w.ask(r, version).error_code;
  };
  EXPECT_EQ(code([](Request& r) { r.group_id = " "; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.member_id = ""; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.instance_id = ""; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.rack_id = "\t"; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.rebalance_timeout_ms = -1; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.topic_partitions.reset(); }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.topic_partitions = {{{Uuid{1, 1}, {0}, {}}}}; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.subscribed_topic_names.reset(); }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.member_epoch = -2; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.member_epoch = -3; }), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([](Request& r) { r.server_assignor = "sticky"; }), ErrorCode::kUnsupportedAssignor);
  EXPECT_EQ(code([](Request& r) { r.subscribed_topic_regex = "("; }), ErrorCode::kInvalidRegularExpression);
  EXPECT_EQ(code([](Request& r) { r.member_epoch = 1; }), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(code([](Request& r) { r.member_epoch = -1; }), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(w.table.find("g"), nullptr);
  EXPECT_TRUE(w.coordinator->list().empty());
  // Before v1 the coordinator makes the id.
  const Response made = w.ask([&] { Request r = a.full(); r.member_id = ""; return r; }(), 0);
  EXPECT_EQ(made.error_code, ErrorCode::kNone);
  EXPECT_EQ(made.member_id.value_or("").size(), 22u);
}

TEST(ConsumerGroup, EpochsTellWhoMissedSomething) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  ASSERT_TRUE(settle(w, {&a, &b}));
  ASSERT_EQ(a.epoch, 3);
  Request r = a.brief();
  r.member_epoch = 4;
  EXPECT_EQ(w.ask(r).error_code, ErrorCode::kFencedMemberEpoch);
  r.member_epoch = 1;
  EXPECT_EQ(w.ask(r).error_code, ErrorCode::kFencedMemberEpoch);
  r.member_id = "c";
  EXPECT_EQ(w.ask(r).error_code, ErrorCode::kUnknownMemberId);
}

// The answer with the new epoch is lost, and the member asks again from the old one.
TEST(ConsumerGroup, ALostAnswerIsNoReasonToStartOver) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  w.topics.set("t", 6);
  Consumer deaf = a;
  EXPECT_EQ(deaf.beat(w), ErrorCode::kNone);
  EXPECT_EQ(deaf.epoch, 3);
  // Without what it owns, nothing is proven.
  a.tells = false;
  EXPECT_EQ(w.ask(a.brief()).error_code, ErrorCode::kFencedMemberEpoch);
  a.tells = true;
  const Response again = w.ask(a.brief());
  EXPECT_EQ(again.error_code, ErrorCode::kNone);
  EXPECT_EQ(again.member_epoch, 3);
  // Of two epochs ago, or with more than it has, it is not heard.
  Request r = a.brief();
  r.topic_partitions = {{{Uuid{9, 9}, {0}, {}}}};
  EXPECT_EQ(w.ask(r).error_code, ErrorCode::kFencedMemberEpoch);
}

TEST(ConsumerGroup, ASilentMemberIsOutAndItsPartitionsGoOn) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  ASSERT_TRUE(settle(w, {&a, &b}));
  for (int i = 0; i < 5; ++i) {
    w.pass(10_s);
    EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  }
  EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
  EXPECT_EQ(a.beat(w), ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, WhoDoesNotGiveUpInTimeIsOut) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  (void)b.beat(w);
  (void)a.beat(w);
  for (int i = 0; i < 4; ++i) {
    w.pass(9_s);
    a.tells = false;
    (void)a.beat(w);
    (void)b.beat(w);
  }
  EXPECT_EQ(b.text(w), "t0 t1 t2 t3");
  EXPECT_EQ(w.state().members.size(), a.epoch == 0 ? 1u : 2u);
}

TEST(ConsumerGroup, LeavingRaisesTheEpochAndTheLastOneLeavesAnEmptyGroup) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(a.leave(w), ErrorCode::kNone);
  EXPECT_EQ(w.get<Response>(a.token).member_epoch, -1);
  EXPECT_EQ(w.consumer_describe("g").group_state, "Empty");
  EXPECT_EQ(w.state().epoch->epoch, 3);
  EXPECT_EQ(a.leave(w), ErrorCode::kUnknownMemberId);
  a.epoch = 0;
  a.owned.clear();
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.epoch, 4);
}

TEST(ConsumerGroup, AStaticMemberComesBackToWhatItHad) {
  World w;
  Consumer a{.id = "a", .instance = "i"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  ASSERT_TRUE(settle(w, {&a, &b}));
  const PartitionSet had = a.owned;
  // Another process under its name has to wait until it is gone.
  Consumer again{.id = "a2", .instance = "i"};
  EXPECT_EQ(again.beat(w), ErrorCode::kUnreleasedInstanceId);
  EXPECT_EQ(a.leave(w, Request::kLeaveForAWhile), ErrorCode::kNone);
  EXPECT_EQ(w.get<Response>(a.token).member_epoch, -2);
  const int32_t epoch = w.state().epoch->epoch;
  EXPECT_EQ(again.beat(w), ErrorCode::kNone);
  EXPECT_EQ(again.owned, had);
  EXPECT_EQ(w.state().epoch->epoch, epoch);
  EXPECT_FALSE(w.state().members.contains("a"));
  // Who held the name before is fenced.
  a.epoch = epoch;
  EXPECT_EQ(w.ask(a.brief()).error_code, ErrorCode::kFencedInstanceId);
  Request stranger = a.brief();
  stranger.instance_id = "j";
  EXPECT_EQ(w.ask(stranger).error_code, ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, WhatIsSetForOneGroupActsOnThatGroup) {
  World w;
  w.topics.set_settings("g", {.session_timeout = 60_s, .heartbeat_interval = 7_s});
  Consumer a{.id = "a"};
  EXPECT_EQ(w.ask(a.full()).heartbeat_interval_ms, 7000);
  w.pass(50_s);
  EXPECT_EQ(w.state().members.size(), 1u) << "the brokers' 45 seconds are over";
  w.pass(11_s);
  EXPECT_TRUE(w.table.find("g") == nullptr || w.state().members.empty());
}

TEST(ConsumerGroup, AStaticMemberThatStaysAwayIsOutWhenItsSessionEnds) {
  World w;
  Consumer a{.id = "a", .instance = "i"};
  ASSERT_TRUE(settle(w, {&a}));
  (void)a.leave(w, Request::kLeaveForAWhile);
  w.pass(46_s);
  EXPECT_TRUE(w.state().members.empty());
}

TEST(ConsumerGroup, NewPartitionsAndTopicsAreAssignedAtTheNextHeartbeat) {
  World w;
  Consumer a{.id = "a", .topics = {"t", "later"}};
  ASSERT_TRUE(settle(w, {&a}));
  w.topics.set("t", 6);
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.text(w), "t0 t1 t2 t3 t4 t5");
  w.topics.set("later", 1);
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.text(w), "t0 t1 t2 t3 t4 t5 later0");
  w.topics.drop("t");
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(a.text(w), "later0");
  // What nobody reads changes nothing.
  const int32_t epoch = w.state().epoch->epoch;
  w.topics.set("other", 3);
  (void)a.beat(w);
  EXPECT_EQ(w.state().epoch->epoch, epoch);
}

TEST(ConsumerGroup, AnotherSubscriptionTakesEffectAtOnce) {
  World w;
  w.topics.set("u", 2);
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  a.topics = {"u"};
  a.token = w.beat(a.full());
  EXPECT_EQ(a.hear(w), ErrorCode::kNone);
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(a.text(w), "u0 u1");
}

TEST(ConsumerGroup, ExpressionsAreMatchedAsAWholeAndAgainWhenTopicsCome) {
  World w;
  w.topics.set("t2", 1);
  w.topics.set("xt", 1);
  Consumer a{.id = "a", .topics = {}, .regex = "t.*"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(a.text(w), "t0 t1 t2 t3 t20");
  w.topics.set("t3", 1);
  w.pass(11_s);
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(a.text(w), "t0 t1 t2 t3 t20 t30");
  ASSERT_EQ(w.state().regexes.size(), 1u);
  EXPECT_EQ(w.state().regexes.at("t.*").topics, (std::vector<std::string>{"t", "t2", "t3"}));
  (void)a.leave(w);
  EXPECT_TRUE(w.state().regexes.empty());
}

TEST(ConsumerGroup, TheAssignorIsWhatMostMembersWant) {
  World w;
  w.topics.set("u", 1);
  Consumer a{.id = "a", .topics = {"t", "u"}, .assignor = "range"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(w.consumer_describe("g").assignor_name, "range");
  Consumer b{.id = "b", .topics = {"t", "u"}, .assignor = "uniform"}, c{.id = "c", .topics = {"t", "u"}, .assignor = "uniform"};
  ASSERT_TRUE(settle(w, {&a, &b, &c}));
  EXPECT_EQ(w.consumer_describe("g").assignor_name, "uniform");
}

TEST(ConsumerGroup, MembersThatComeShortlyAfterEachOtherWaitForOneAssignment) {
  Options options = consumer_options();
  options.consumer_assignment_interval = 1_s;
  World w(options);
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  w.pass(100_ms);
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(b.epoch, 2);
  EXPECT_EQ(w.consumer_describe("g").group_state, "Assigning");
  w.pass(900_ms);
  EXPECT_EQ(b.beat(w), ErrorCode::kNone);
  EXPECT_EQ(b.epoch, 3);
}

TEST(ConsumerGroup, AFullGroupTakesNobodyElse) {
  Options options = consumer_options();
  options.consumer_size_max = 1;
  World w(options);
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(b.beat(w), ErrorCode::kGroupMaxSizeReached);
}

TEST(ConsumerGroup, CommitsAreFencedByEpochs) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  EXPECT_EQ(w.get<OffsetsReply>(w.commit(committing("g", "", -1, 1))).error, ErrorCode::kNone);
  ASSERT_TRUE(settle(w, {&a}));
  const auto code = [&](const std::string& member, int32_t epoch, int32_t partition, int16_t version = 9) {
    return w.get<OffsetsReply>(w.commit(committing("g", member, epoch, 1, partition), version)).error;
  };
  EXPECT_EQ(code("a", 2, 0), ErrorCode::kNone);
  EXPECT_EQ(code("a", 3, 0), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(code("a", 2, 0, 8), ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(code("", -1, 0), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(code("x", 2, 0), ErrorCode::kUnknownMemberId);
  ASSERT_TRUE(settle(w, {&a, &b}));
  // It had 0 and 1 since epoch 2, and 2 and 3 are somebody else's now.
  EXPECT_EQ(a.epoch, 3);
  EXPECT_EQ(code("a", 2, 0), ErrorCode::kNone);
  EXPECT_EQ(code("a", 2, 2), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(code("a", 1, 0), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(code("b", 2, 2), ErrorCode::kStaleMemberEpoch);
}

TEST(ConsumerGroup, FetchesAreFencedWhereMembersSayWhoTheyAre) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  const auto code = [&](std::optional<std::string> member, int32_t epoch) {
    return std::get<FetchReply>(w.coordinator->fetch({1, 9, w.now, w.wall}, {"g", {}, member, epoch}).replies[0].answer).error;
  };
  EXPECT_EQ(code({}, -1), ErrorCode::kNone);
  EXPECT_EQ(code("a", 2), ErrorCode::kNone);
  EXPECT_EQ(code("a", 1), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(code("x", 2), ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, WhoAsksTheOtherWayIsToldThatThereIsNone) {
  World w;
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(w.describe("g").error_code, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(w.describe("g", 5).group_state, "Dead");
  ASSERT_EQ(w.coordinator->list().size(), 1u);
  EXPECT_EQ(w.coordinator->list()[0].group_type, "consumer");
  EXPECT_EQ(w.coordinator->list()[0].group_state, "Stable");
  EXPECT_EQ(w.consumer_describe("none").error_code, ErrorCode::kGroupIdNotFound);
}

TEST(ConsumerGroup, AnEmptyGroupIsDeletedWithAllThatItLeft) {
  World w;
  Consumer a{.id = "a", .topics = {}, .regex = "t"};
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_EQ(w.get<OffsetsReply>(w.commit(committing("g", "a", a.epoch, 5))).error, ErrorCode::kNone);
  EXPECT_EQ(w.get<DeleteGroupsResponse::Deleted>(w.remove("g")).error_code, ErrorCode::kNonEmptyGroup);
  (void)a.leave(w);
  EXPECT_EQ(w.get<DeleteGroupsResponse::Deleted>(w.remove("g")).error_code, ErrorCode::kNone);
  EXPECT_EQ(w.table.find("g"), nullptr);
  EXPECT_TRUE(w.coordinator->list().empty());
}

TEST(ConsumerGroup, OffsetsOfAnEmptyGroupExpireAndTheGroupWithThem) {
  Options options = consumer_options();
  options.offsets_retention = 1_s;
  World w(options);
  Consumer a{.id = "a"};
  ASSERT_TRUE(settle(w, {&a}));
  (void)w.commit(committing("g", "a", a.epoch, 5));
  w.pass(5_s);
  w.expire();
  EXPECT_EQ(w.table.find("g")->offsets.size(), 1u);
  (void)a.leave(w);
  w.pass(5_s);
  w.expire();
  EXPECT_EQ(w.table.find("g"), nullptr);
}

TEST(ConsumerGroup, WhatCouldNotBeAppendedDidNotHappen) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  w.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(a.beat(w), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_TRUE(w.coordinator->list().empty());
  w.refuse_appends = ErrorCode::kNone;
  ASSERT_TRUE(settle(w, {&a}));
  w.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(b.beat(w), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(a.leave(w), ErrorCode::kCoordinatorNotAvailable);
  w.pass(46_s);
  w.refuse_appends = ErrorCode::kNone;
  EXPECT_EQ(w.consumer_describe("g").members.size(), 1u);
  EXPECT_EQ(a.beat(w), ErrorCode::kNone);
  EXPECT_EQ(a.epoch, 2);
}

TEST(ConsumerGroup, AFailoverForgetsNothingThatWasAnswered) {
  World w;
  Consumer a{.id = "a"}, b{.id = "b"};
  ASSERT_TRUE(settle(w, {&a}));
  (void)b.beat(w);
  (void)a.beat(w);
  w.fail_over();
  ASSERT_TRUE(settle(w, {&a, &b}));
  EXPECT_EQ(a.text(w), "t0 t1");
  EXPECT_EQ(b.text(w), "t2 t3");
}

TEST(ConsumerGroup, AnEmptyClassicGroupBecomesAConsumerGroupAndBack) {
  World w;
  Member classic;
  classic.join(w);
  w.pass(1_s);
  ASSERT_EQ(classic.joined(w), ErrorCode::kNone);
  classic.sync(w);
  (void)w.commit(committing("g", classic.id, classic.generation, 5));
  Consumer a{.id = "a"};
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{classic.id, {}, {}, {}}};
  (void)w.leave(leave);
  ASSERT_TRUE(settle(w, {&a}));
  EXPECT_FALSE(w.table.find("g")->state.has_value());
  EXPECT_EQ(w.table.find("g")->offsets.size(), 1u);
  (void)a.leave(w);
  Member back;
  back.join(w);
  w.pass(1_s);
  ASSERT_EQ(back.joined(w), ErrorCode::kNone);
  EXPECT_TRUE(w.table.find("g")->consumers.empty());
  EXPECT_EQ(w.table.find("g")->offsets.size(), 1u);
  EXPECT_EQ(w.coordinator->list()[0].group_type, "classic");
}

TEST(MetadataHash, IsKafkas) {
  TestTopics topics;
  topics.set("foo", 2, {{"a", "b"}, {}}, Uuid{0x0102030405060708, 0x1112131415161718});
  EXPECT_EQ(static_cast<uint64_t>(metadata_hash({"foo", "none"}, topics)), 0xf0d97604ea55349cU);
  EXPECT_EQ(metadata_hash({"none"}, topics), 0);
}

}  // namespace
}  // namespace taffrail::group::test
