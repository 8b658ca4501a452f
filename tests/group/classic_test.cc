// Goal: a classic group does what Kafka's does, call by call. Method: a coordinator with a log and a clock in the test's
// hands (support/bench.h); every rule of the protocol that clients rely on is told as a short story.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group/support/bench.h"

namespace taffrail::group::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

/// `members`, new or known, into one stable generation.
void settle(Bench& bench, std::vector<Member*> members) {
  for (Member* m : members) m->join(bench);
  bench.pass(bench.options.initial_rebalance_delay * 2);
  for (Member* m : members) ASSERT_EQ(m->joined(bench), ErrorCode::kNone);
  for (Member* m : members) m->sync(bench);
  for (Member* m : members) ASSERT_EQ(m->synced(bench).error_code, ErrorCode::kNone);
}

ErrorCode beat(Bench& bench, const Member& m) {
  return bench.get<HeartbeatResponse>(bench.heartbeat("g", m.id, m.generation, m.instance)).error_code;
}

ErrorCode commit(Bench& bench, const CommitRequest& request, int16_t version = 9) {
  const auto reply = bench.get<OffsetsReply>(bench.commit(request, version));
  return reply.items.empty() ? reply.error : reply.items[0];
}

int64_t committed(Bench& bench, const std::string& group = "g", int32_t partition = 0) {
  const auto reply = bench.get<FetchReply>(bench.fetch(group, std::vector<TopicPartition>{{"t", partition}}));
  return reply.items.empty() || !reply.items[0].value ? -1 : reply.items[0].value->offset.value;
}

TEST(ClassicGroup, AMemberIsToldItsIdFirst) {
  Bench bench;
  Member m;
  const Token first = bench.join(m.joining());
  const auto told = bench.get<JoinGroupResponse>(first);
  EXPECT_EQ(told.error_code, ErrorCode::kMemberIdRequired);
  EXPECT_TRUE(told.member_id.starts_with("c-")) << told.member_id;
  EXPECT_EQ(told.member_id.size(), 2u + 36u);
  EXPECT_THAT(bench.log, IsEmpty()) << "and nothing is left behind by a join whose answer got lost";
  // Before v4 it is a member at once.
  const Token old = bench.join(m.joining(), 3);
  bench.pass(1_s);
  EXPECT_EQ(bench.get<JoinGroupResponse>(old).error_code, ErrorCode::kNone);
}

TEST(ClassicGroup, MembersThatStartTogetherAreOneGeneration) {
  Bench bench;
  Member a, b;
  a.join(bench);
  bench.pass(60_ms);
  b.join(bench);
  bench.pass(60_ms);
  EXPECT_FALSE(bench.answered(a.token)) << "a late comer makes the others wait once more";
  bench.pass(100_ms);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  ASSERT_EQ(b.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(a.generation, 1);
  EXPECT_EQ(b.generation, 1);
  EXPECT_NE(a.leads, b.leads);
  EXPECT_THAT((a.leads ? a : b).others, UnorderedElementsAre(a.id, b.id));
  EXPECT_THAT((a.leads ? b : a).others, IsEmpty()) << "only the leader is told who there is";
  EXPECT_EQ(bench.describe("g").group_state, "CompletingRebalance");
  a.sync(bench);
  b.sync(bench);
  for (Member* m : {&a, &b}) EXPECT_EQ(as_text(m->synced(bench).assignment), "1/" + m->id);
  EXPECT_EQ(bench.describe("g").group_state, "Stable");
  EXPECT_EQ(beat(bench, a), ErrorCode::kNone);
}

TEST(ClassicGroup, FollowersWaitForTheLeadersAssignment) {
  Bench bench;
  Member a, b;
  a.join(bench);
  b.join(bench);
  bench.pass(1_s);
  (void)a.joined(bench);
  (void)b.joined(bench);
  Member& leader = a.leads ? a : b;
  Member& follower = a.leads ? b : a;
  follower.sync(bench);
  EXPECT_FALSE(bench.answered(follower.token));
  EXPECT_EQ(beat(bench, follower), ErrorCode::kNone) << "while the leader assigns, nothing is wrong";
  // The leader leaves one out.
  auto request = leader.syncing();
  std::erase_if(request.assignments, [&](const auto& given) { return given.member_id == follower.id; });
  request.assignments.push_back({"stranger", Slice("x"), {}});
  EXPECT_EQ(bench.get<SyncGroupResponse>(bench.sync(request)).error_code, ErrorCode::kNone);
  ASSERT_TRUE(bench.answered(follower.token));
  EXPECT_TRUE(follower.synced(bench).assignment.empty());
}

TEST(ClassicGroup, WhoJoinsAStableGroupBringsEverybodyBack) {
  Bench bench;
  Member a, b;
  settle(bench, {&a});
  b.join(bench);
  EXPECT_FALSE(bench.answered(b.token));
  EXPECT_EQ(beat(bench, a), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(commit(bench, committing("g", a.id, a.generation, 5)), ErrorCode::kNone) << "what it has read so far counts";
  a.join(bench);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone) << "everybody is here: nobody waits for a timeout";
  ASSERT_EQ(b.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(a.generation, 2);
  EXPECT_EQ(commit(bench, committing("g", a.id, a.generation, 6)), ErrorCode::kRebalanceInProgress) << "before it has synced";
  EXPECT_EQ(committed(bench), 5);
}

TEST(ClassicGroup, ThoseWhoDoNotComeBackInTimeAreOut) {
  Bench bench;
  Member a, b, c;
  settle(bench, {&a, &b});
  c.join(bench);
  a.join(bench);
  for (int i = 0; i < 5; ++i) {  // b is alive, and does not join.
    bench.pass(3_s);
    EXPECT_EQ(beat(bench, b), ErrorCode::kRebalanceInProgress);
  }
  EXPECT_FALSE(bench.answered(a.token));
  bench.pass(6_s);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  ASSERT_EQ(c.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(beat(bench, b), ErrorCode::kUnknownMemberId);
}

TEST(ClassicGroup, ASilentMemberIsLostAfterItsSession) {
  Bench bench;
  Member a, b;
  settle(bench, {&a, &b});
  for (int i = 0; i < 3; ++i) {
    bench.pass(4_s);
    (void)beat(bench, a);
  }
  EXPECT_EQ(beat(bench, a), ErrorCode::kRebalanceInProgress) << "12 s without a word from b, of 10";
  EXPECT_EQ(beat(bench, b), ErrorCode::kUnknownMemberId);
}

TEST(ClassicGroup, WhoDoesNotSyncInTimeIsOut) {
  Bench bench;
  Member a, b;
  a.join(bench);
  b.join(bench);
  bench.pass(1_s);
  (void)a.joined(bench);
  (void)b.joined(bench);
  Member& leader = a.leads ? a : b;
  Member& follower = a.leads ? b : a;
  leader.sync(bench);
  for (int i = 0; i < 7; ++i) {
    bench.pass(3_s);
    (void)beat(bench, leader);
    (void)beat(bench, follower);
  }
  EXPECT_EQ(beat(bench, follower), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(beat(bench, leader), ErrorCode::kRebalanceInProgress);
}

TEST(ClassicGroup, LeavingIsHeardAtOnce) {
  Bench bench;
  Member a, b;
  settle(bench, {&a, &b});
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{b.id, {}, "bye", {}}, {"stranger", {}, {}, {}}};
  const auto left = bench.get<LeaveGroupResponse>(bench.leave(leave));
  EXPECT_EQ(left.error_code, ErrorCode::kNone);
  ASSERT_THAT(left.members, SizeIs(2));
  EXPECT_EQ(left.members[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(left.members[1].error_code, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(beat(bench, a), ErrorCode::kRebalanceInProgress);
  LeaveGroupRequest old;
  old.group_id = "g";
  old.member_id = a.id;
  EXPECT_EQ(bench.get<LeaveGroupResponse>(bench.leave(old, 2)).error_code, ErrorCode::kNone);
  EXPECT_EQ(bench.describe("g").group_state, "Empty");
  EXPECT_EQ(bench.table.find("g")->state->generation, 2) << "an end is a generation too";
}

TEST(ClassicGroup, ProtocolsAreWhatAllCanDoAndMostLike) {
  Bench bench;
  Member a, b, c, odd;
  a.join(bench, {"x", "range", "sticky"});
  b.join(bench, {"sticky", "range"});
  c.join(bench, {"sticky", "range", "x"});
  odd.join(bench, {"x"});
  EXPECT_EQ(odd.joined(bench), ErrorCode::kInconsistentGroupProtocol);
  auto other_type = odd.joining("g", {"range"});
  other_type.protocol_type = "connect";
  EXPECT_EQ(bench.get<JoinGroupResponse>(bench.join(other_type)).error_code, ErrorCode::kInconsistentGroupProtocol);
  auto none = odd.joining("other", {});
  EXPECT_EQ(bench.get<JoinGroupResponse>(bench.join(none)).error_code, ErrorCode::kInconsistentGroupProtocol);
  bench.pass(1_s);
  EXPECT_EQ(bench.get<JoinGroupResponse>(a.token).protocol_name, "sticky") << "two of three like it best";
  EXPECT_EQ(bench.get<JoinGroupResponse>(a.token).protocol_type, "consumer");
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  auto wrong = a.syncing();
  wrong.protocol_name = "range";
  EXPECT_EQ(bench.get<SyncGroupResponse>(bench.sync(wrong)).error_code, ErrorCode::kInconsistentGroupProtocol);
}

TEST(ClassicGroup, RejoiningAStableGroupTellsAFollowerWhatItKnowsAndALeaderBeginsAnew) {
  Bench bench;
  Member a, b;
  settle(bench, {&a, &b});
  Member& leader = a.leads ? a : b;
  Member& follower = a.leads ? b : a;
  follower.join(bench);
  ASSERT_EQ(follower.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(follower.generation, 1);
  EXPECT_EQ(as_text(bench.get<SyncGroupResponse>(bench.sync(follower.syncing())).assignment), "1/" + follower.id);
  follower.join(bench, {"range", "more"});
  EXPECT_FALSE(bench.answered(follower.token)) << "it wants something else than before";
  leader.join(bench);
  ASSERT_EQ(leader.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(leader.generation, 2);
}

TEST(ClassicGroup, StrangersAndLateComersAreRefused) {
  Bench bench;
  Member a;
  EXPECT_EQ(beat(bench, a), ErrorCode::kUnknownMemberId) << "no group";
  settle(bench, {&a});
  Member stranger;
  stranger.id = "stranger";
  stranger.generation = 1;
  EXPECT_EQ(beat(bench, stranger), ErrorCode::kUnknownMemberId);
  stranger.join(bench);
  EXPECT_EQ(stranger.joined(bench), ErrorCode::kUnknownMemberId);
  Member late = a;
  late.generation = 0;
  EXPECT_EQ(beat(bench, late), ErrorCode::kIllegalGeneration);
  late.sync(bench);
  EXPECT_EQ(late.synced(bench).error_code, ErrorCode::kIllegalGeneration);
  for (const int32_t ms : {0, 999, 1'800'001, -1}) {
    auto request = a.joining("g2");
    request.session_timeout_ms = ms;
    EXPECT_EQ(bench.get<JoinGroupResponse>(bench.join(request)).error_code, ErrorCode::kInvalidSessionTimeout) << ms;
  }
  auto nameless = a.joining("");
  EXPECT_EQ(bench.get<JoinGroupResponse>(bench.join(nameless)).error_code, ErrorCode::kInvalidGroupId);
}

TEST(ClassicGroup, SizeIsLimited) {
  Options options = quick_options();
  options.size_max = 2;
  Bench bench(1, options);
  Member a, b, c;
  settle(bench, {&a, &b});
  c.join(bench);
  EXPECT_EQ(c.joined(bench), ErrorCode::kGroupMaxSizeReached);
  a.join(bench, {"range", "more"});
  b.join(bench);
  EXPECT_EQ(b.joined(bench), ErrorCode::kNone) << "those who are in may come again";
  EXPECT_EQ(a.joined(bench), ErrorCode::kNone);
}

TEST(StaticMembers, ComeBackWithoutARebalanceAndFenceWhoWasThere) {
  Bench bench;
  Member a, b;
  a.instance = "i1";
  settle(bench, {&a, &b});
  const std::string assignment(as_text(bench.get<SyncGroupResponse>(bench.sync(a.syncing())).assignment));
  Member again;
  again.instance = "i1";
  again.join(bench);
  ASSERT_EQ(again.joined(bench), ErrorCode::kNone);
  EXPECT_NE(again.id, a.id);
  EXPECT_TRUE(again.id.starts_with("i1-"));
  EXPECT_EQ(again.generation, 1);
  EXPECT_EQ(bench.get<JoinGroupResponse>(again.token).skip_assignment, again.leads);
  EXPECT_EQ(as_text(bench.get<SyncGroupResponse>(bench.sync([&] {
    auto request = again.syncing();
    request.assignments.clear();
    return request;
  }())).assignment), assignment);
  EXPECT_EQ(beat(bench, b), ErrorCode::kNone);
  EXPECT_EQ(beat(bench, a), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(commit(bench, [&] {
    auto request = committing("g", a.id, a.generation, 9);
    request.instance = "i1";
    return request;
  }()), ErrorCode::kFencedInstanceId);
  a.join(bench);
  EXPECT_EQ(a.joined(bench), ErrorCode::kFencedInstanceId);
  // The log knows: a failover does not bring the old one back.
  bench.fail_over();
  EXPECT_EQ(beat(bench, again), ErrorCode::kNone);
  EXPECT_EQ(beat(bench, a), ErrorCode::kFencedInstanceId);
}

TEST(StaticMembers, BeforeVersion9ALeaderThatComesBackIsNotToldThatItLeads) {
  Bench bench;
  Member a;
  a.instance = "i1";
  settle(bench, {&a});
  ASSERT_TRUE(a.leads);
  Member again;
  again.instance = "i1";
  const auto answer = bench.get<JoinGroupResponse>(bench.join(again.joining(), 8));
  EXPECT_EQ(answer.leader, a.id);
  EXPECT_THAT(answer.members, IsEmpty());
}

TEST(StaticMembers, StayAwayForASessionAndAreSentAwayByName) {
  Bench bench;
  Member a, b;
  a.instance = "i1";
  settle(bench, {&a, &b});
  b.join(bench, {"range", "more"});
  for (int i = 0; i < 3; ++i) {
    bench.pass(3_s);
    (void)beat(bench, a);
  }
  for (int i = 0; i < 4; ++i) {  // Past the rebalance's end: a has not joined, and is not out.
    bench.pass(3_s);
    (void)beat(bench, a);
  }
  ASSERT_EQ(b.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(beat(bench, a), ErrorCode::kIllegalGeneration);
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{"", "i1", {}, {}}, {"", "i2", {}, {}}, {"other", "i1", {}, {}}};
  const auto left = bench.get<LeaveGroupResponse>(bench.leave(leave));
  EXPECT_EQ(left.members[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(left.members[1].error_code, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(left.members[2].error_code, ErrorCode::kUnknownMemberId) << "gone by then";
}

TEST(Failover, AStableGroupGoesOnWithFreshSessions) {
  Bench bench;
  Member a, b;
  settle(bench, {&a, &b});
  bench.pass(9_s);
  bench.fail_over();
  bench.pass(9_s);
  EXPECT_EQ(beat(bench, a), ErrorCode::kNone);
  EXPECT_EQ(as_text(bench.get<SyncGroupResponse>(bench.sync(a.syncing())).assignment), "1/" + a.id);
  bench.pass(2_s);
  EXPECT_EQ(beat(bench, b), ErrorCode::kUnknownMemberId);
}

// I-G7. Between the end of the join phase and the leader's assignment, the number is used already.
TEST(Failover, NoGenerationIsGivenOutTwice) {
  Bench bench;
  Member a;
  a.join(bench);
  bench.pass(1_s);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  ASSERT_EQ(a.generation, 1);
  bench.fail_over();
  EXPECT_EQ(beat(bench, a), ErrorCode::kRebalanceInProgress) << "it is known, and has to join again";
  a.sync(bench);
  EXPECT_EQ(a.synced(bench).error_code, ErrorCode::kRebalanceInProgress);
  a.join(bench);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  EXPECT_EQ(a.generation, 2);
}

TEST(Failover, NobodyIsToldAGenerationThatIsNotCommitted) {
  Bench bench;
  Member a;
  a.join(bench);
  bench.commits_at_once = false;
  bench.pass(1_s);
  EXPECT_FALSE(bench.answered(a.token));
  bench.commit_all();
  EXPECT_TRUE(bench.answered(a.token));
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  a.sync(bench);
  EXPECT_FALSE(bench.answered(a.token));
  bench.commit_all();
  EXPECT_EQ(as_text(a.synced(bench).assignment), "1/" + a.id);
}

TEST(RefusedAppends, MembersAreToldAndJoinAgain) {
  Bench bench;
  Member a;
  a.join(bench);
  bench.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  bench.pass(1_s);
  EXPECT_EQ(a.joined(bench), ErrorCode::kCoordinatorNotAvailable);
  bench.refuse_appends = ErrorCode::kNone;
  a.join(bench);
  ASSERT_EQ(a.joined(bench), ErrorCode::kNone);
  bench.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  a.sync(bench);
  EXPECT_EQ(a.synced(bench).error_code, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(beat(bench, a), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(commit(bench, committing("g", a.id, a.generation, 5)), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(committed(bench), -1) << "what was not appended was never there";
}

TEST(Offsets, AreWhoseTheyAre) {
  Bench bench;
  EXPECT_EQ(commit(bench, committing("g", "", 3, 1)), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(commit(bench, committing("g", "", 3, 1), 8), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(commit(bench, committing("g", "", -1, 4)), ErrorCode::kNone) << "a group that assigns by itself";
  EXPECT_EQ(committed(bench), 4);
  EXPECT_EQ(committed(bench, "g", 1), -1);
  EXPECT_EQ(committed(bench, "nobody"), -1);
  Member a;
  settle(bench, {&a});
  EXPECT_EQ(commit(bench, committing("g", "", -1, 5)), ErrorCode::kUnknownMemberId) << "while it has members, no";
  EXPECT_EQ(commit(bench, committing("g", a.id, a.generation, 6)), ErrorCode::kNone);
  EXPECT_EQ(commit(bench, committing("g", a.id, a.generation - 1, 7)), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(commit(bench, committing("g", "stranger", a.generation, 7)), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(committed(bench), 6);
  const auto all = bench.get<FetchReply>(bench.fetch("g", std::nullopt));
  ASSERT_THAT(all.items, SizeIs(1));
  EXPECT_EQ(all.items[0].at, (TopicPartition{"t", 0}));
}

TEST(Offsets, MetadataHasALimitAsJavaCountsIt) {
  Options options = quick_options();
  options.offset_metadata_max = 4;
  Bench bench(1, options);
  auto request = committing("g", "", -1, 1);
  request.items[0].value.metadata = "12345";
  request.items.push_back(committing("g", "", -1, 2, 1).items[0]);
  request.items[1].value.metadata = "\xf0\x9f\x98\x80\xf0\x9f\x98\x80";  // Two characters of two units each.
  request.items.push_back(committing("g", "", -1, 3, 2).items[0]);
  request.items[2].error = ErrorCode::kUnknownTopicOrPartition;
  const auto reply = bench.get<OffsetsReply>(bench.commit(request));
  EXPECT_EQ(reply.items, (std::vector{ErrorCode::kOffsetMetadataTooLarge, ErrorCode::kNone, ErrorCode::kUnknownTopicOrPartition}));
  EXPECT_EQ(committed(bench, "g", 0), -1);
  EXPECT_EQ(committed(bench, "g", 1), 2);
  EXPECT_EQ(committed(bench, "g", 2), -1);
}

TEST(Offsets, AReadSeesWhatWasAppendedBeforeAndWaitsForIt) {
  Bench bench;
  bench.commits_at_once = false;
  (void)bench.commit(committing("g", "", -1, 4));
  const Token read = bench.fetch("g", std::vector<TopicPartition>{{"t", 0}});
  EXPECT_FALSE(bench.answered(read));
  bench.commit_all();
  EXPECT_EQ(bench.get<FetchReply>(read).items[0].value->offset, Offset(4));
}

TEST(Administration, GroupsAreDescribedListedAndDeleted) {
  Bench bench;
  Member a;
  settle(bench, {&a});
  (void)commit(bench, committing("g", a.id, a.generation, 5));
  (void)commit(bench, committing("simple", "", -1, 5));
  const auto described = bench.describe("g");
  EXPECT_EQ(described.group_state, "Stable");
  EXPECT_EQ(described.protocol_data, "range");
  ASSERT_THAT(described.members, SizeIs(1));
  EXPECT_EQ(described.members[0].client_id, "c");
  EXPECT_EQ(described.members[0].client_host, "/10.0.0.1");
  EXPECT_EQ(as_text(described.members[0].member_assignment), "1/" + a.id);
  EXPECT_EQ(bench.describe("none").error_code, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(bench.describe("none", 5).error_code, ErrorCode::kNone);
  EXPECT_EQ(bench.describe("none", 5).group_state, "Dead");
  const auto listed = bench.coordinator->list();
  ASSERT_THAT(listed, SizeIs(2));
  const auto removed = [&](const std::string& group) {
    return bench.get<DeleteGroupsResponse::Deleted>(bench.remove(group)).error_code;
  };
  EXPECT_EQ(removed("g"), ErrorCode::kNonEmptyGroup);
  EXPECT_EQ(removed("none"), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(removed("simple"), ErrorCode::kNone);
  EXPECT_EQ(removed("simple"), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(bench.table.find("simple"), nullptr);
  bench.pass(15_s);  // The member is lost.
  EXPECT_EQ(removed("g"), ErrorCode::kNone);
  EXPECT_THAT(bench.table.groups(), IsEmpty());
  EXPECT_THAT(bench.coordinator->list(), IsEmpty());
}

TEST(Administration, OffsetsAreForgottenUnlessSomebodyReadsThere) {
  Bench bench;
  Member a;
  settle(bench, {&a});
  auto both = committing("g", a.id, a.generation, 5);
  both.items.push_back(both.items[0]);
  both.items[1].at = {"other", 0};
  (void)bench.commit(both);
  ForgetRequest request{"g", {{{"t", 0}, ErrorCode::kNone}, {{"other", 0}, ErrorCode::kNone},
                              {{"gone", 7}, ErrorCode::kUnknownTopicOrPartition}}};
  EXPECT_EQ(bench.get<OffsetsReply>(bench.forget(request)).items,
            (std::vector{ErrorCode::kGroupSubscribedToTopic, ErrorCode::kNone, ErrorCode::kUnknownTopicOrPartition}));
  EXPECT_EQ(bench.table.find("g")->offsets.size(), 1u);
  request.group = "none";
  EXPECT_EQ(bench.get<OffsetsReply>(bench.forget(request)).error, ErrorCode::kGroupIdNotFound);
}

TEST(Administration, OffsetsOfATopicThatIsGoneGoToo) {
  Bench bench;
  auto request = committing("g", "", -1, 5);
  request.items[0].value.topic_id = Uuid{1, 1};
  request.items.push_back(request.items[0]);
  request.items[1].at = {"other", 0};
  (void)bench.commit(request);
  (void)bench.commit(committing("old", "", -1, 5));  // Of a time when nobody knew ids.
  const auto forget = [&](const Uuid& id) {
    for (Effects& effects : bench.coordinator->forget_topic("t", id)) {
      EXPECT_THAT(effects.records, SizeIs(1));
      bench.table.apply(effects.records[0]);
    }
  };
  forget(Uuid{9, 9});
  EXPECT_EQ(committed(bench), 5) << "another topic of that name";
  EXPECT_EQ(committed(bench, "old"), -1);
  forget(Uuid{1, 1});
  EXPECT_EQ(committed(bench), -1);
  EXPECT_THAT(bench.get<FetchReply>(bench.fetch("g", std::nullopt)).items, SizeIs(1));
}

TEST(Expiry, CountsFromTheMomentWhenTheLastMemberLeft) {
  Options options = quick_options();
  options.offsets_retention = 100_s;
  Bench bench(1, options);
  Member a;
  settle(bench, {&a});
  (void)commit(bench, committing("g", a.id, a.generation, 5));
  for (int i = 0; i < 40; ++i) {
    bench.pass(5_s);
    (void)beat(bench, a);
  }
  bench.expire();
  EXPECT_EQ(committed(bench), 5) << "200 s old, but somebody reads there";
  bench.pass(60_s);  // Lost after 10 s.
  bench.expire();
  EXPECT_EQ(committed(bench), 5);
  bench.pass(60_s);
  bench.expire();
  EXPECT_EQ(committed(bench), -1);
  EXPECT_THAT(bench.table.groups(), IsEmpty()) << "an empty group without offsets goes in the same pass";
}

TEST(Expiry, NeverTouchesAGroupThatIsBusyWithItself) {
  Options options = quick_options();
  options.offsets_retention = 1_s;
  Bench bench(1, options);
  Member a, b;
  settle(bench, {&a});
  (void)commit(bench, committing("g", a.id, a.generation, 5));
  bench.pass(5_s);
  b.join(bench);
  ASSERT_EQ(bench.describe("g").group_state, "PreparingRebalance");
  bench.expire();
  EXPECT_EQ(committed(bench), 5);
}

TEST(Expiry, OfASimpleGroupCountsFromTheCommitAndAnOwnTimeRules) {
  Options options = quick_options();
  options.offsets_retention = 100_s;
  Bench bench(1, options);
  (void)commit(bench, committing("g", "", -1, 5));
  auto own = committing("g", "", -1, 6, 1);
  own.retention_ms = 10'000;
  (void)commit(bench, own);
  bench.pass(20_s);
  bench.expire();
  EXPECT_EQ(committed(bench, "g", 0), 5);
  EXPECT_EQ(committed(bench, "g", 1), -1);
  bench.pass(90_s);
  bench.expire();
  EXPECT_EQ(committed(bench, "g", 0), -1);
}

}  // namespace
}  // namespace taffrail::group::test
