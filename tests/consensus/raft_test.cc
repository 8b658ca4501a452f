// Goal: single steps of Raft do what its header says, and contradictory messages reach no
// assertion. Method: one Raft, fed by hand; its effects are compared. The interplay is in
// scenarios/ and raft_prop.cc.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/plant.h"
#include "consensus/support/describe.h"
#include "consensus/support/test_node.h"

namespace taffrail {
namespace {

using testing::describe;
using testing::replica;

constexpr Instant kStart{1'000'000'000};

Configuration three() { return {.voters = {replica(1), replica(2), replica(3)}}; }

// A log of entries of the given terms.
LogView log_of(std::initializer_list<int64_t> terms) {
  LogView log({}, three());
  for (const int64_t term : terms) log.append({log.last().index + 1, Term(term)});
  return log;
}

struct Replica {
  explicit Replica(LogView log = log_of({}), int64_t term = 0, int64_t commit = 0)
      : raft({.self = replica(1)}, {Term(term), std::nullopt}, std::move(log), LogIndex(commit), 1,
             kStart) {}

  std::vector<std::string> step(int from, const Message& message) {
    Effects out;
    raft.step(replica(from), message, now, out);
    return lines(out);
  }
  static std::vector<std::string> lines(const Effects& out) {
    std::vector<std::string> all;
    for (const Effect& effect : out.list()) all.push_back(describe(effect));
    return all;
  }
  void persisted() {
    Effects out;
    raft.on_persisted(raft.persist_mark(), now, out);
  }
  /// Wins an election with the vote of 2, and writes its no-op.
  void lead() {
    Effects out;
    now = std::max(now, raft.next_deadline());
    raft.tick(now, out);
    raft.step(replica(2), VoteReply{raft.term() + 1, true, true}, now, out);
    raft.step(replica(1), VoteReply{raft.term(), false, true}, now, out);
    raft.step(replica(2), VoteReply{raft.term(), false, true}, now, out);
    ASSERT_EQ(raft.role(), Role::kLeader);
    append(EntryKind::kNoop);
  }
  /// Leads with four entries, which 2 acknowledged before its link broke; it is back now.
  void lead_with_four_acknowledged() {
    lead();
    for (int i = 0; i < 3; ++i) append(EntryKind::kBatch);
    EntryMeta noop;
    noop.index = LogIndex(1);
    noop.term = Term(1);
    ASSERT_TRUE(raft.make_append(*raft.next_append(replica(2)), {&noop, 1}, now));
    step(2, AppendReply{.term = Term(1), .serial = 1, .ok = true, .match = LogIndex(4)});
    Effects out;
    raft.link_reset(BrokerId(2), now, out);
  }
  void append(EntryKind kind) {
    EntryMeta meta;
    meta.index = raft.log().last().index + 1;
    meta.term = raft.term();
    meta.kind = kind;
    Effects out;
    raft.append({&meta, 1}, now, out);
  }

  Raft raft;
  Instant now = kStart;
};

AppendRequest request(int64_t term, EntryId prev, std::initializer_list<int64_t> terms,
                      int64_t commit = 0) {
  AppendRequest append{.term = Term(term), .serial = 1, .prev = prev, .commit = LogIndex(commit)};
  for (const int64_t t : terms) {
    EntryMeta meta;
    meta.index = append.last() + 1;
    meta.term = Term(t);
    meta.kind = EntryKind::kBatch;
    append.entries.push_back(meta);
  }
  return append;
}

EntryId id(int64_t index, int64_t term) { return {LogIndex(index), Term(term)}; }

bool quarantined(const std::vector<std::string>& effects, const std::string& invariant) {
  return effects.size() >= 1 && effects.back().starts_with("quarantine " + invariant);
}

using Lines = std::vector<std::string>;

TEST(Raft, AnOldAppendThatComesAgainCutsNothing) {
  Replica r;
  r.step(2, request(1, {}, {1, 1, 1}));
  const Lines again = r.step(2, request(1, {}, {1}));
  EXPECT_EQ(again, (Lines{"once durable 2: appended to 1 term 1"}));
  EXPECT_EQ(r.raft.log().last(), id(3, 1));
}

TEST(Raft, AnAcknowledgementSpeaksOfWhatTheLeaderSentOnly) {
  // Entries 2 and 3 of term 1 are of an earlier leader's; the one of term 2 has only asked about
  // entry 1.
  Replica r(log_of({1, 1, 1}), 1);
  const Lines effects = r.step(2, request(2, id(1, 1), {}));
  EXPECT_EQ(effects.back(), "once durable 2: appended to 1 term 2");
}

TEST(Raft, ACommitReachesNoFurtherThanWhatIsKnownToBeShared) {
  Replica r(log_of({1, 1, 1}), 1);
  r.step(2, request(2, id(1, 1), {}, 3));
  EXPECT_EQ(r.raft.commit(), LogIndex(1));
  r.step(2, CommitNotice{Term(2), id(3, 2)});
  EXPECT_EQ(r.raft.commit(), LogIndex(1)) << "a notice about an entry that is not held";
  r.step(2, CommitNotice{Term(2), id(2, 1)});
  EXPECT_EQ(r.raft.commit(), LogIndex(2));
}

TEST(Raft, APreVoteMovesNeitherTermNorTimer) {
  Replica r;
  const Instant before = r.raft.next_deadline();
  r.now = kStart + 500_ms;
  EXPECT_EQ(r.step(2, VoteRequest{Term(1), {}, true}), (Lines{"send 2: pre-vote yes term 1"}));
  EXPECT_EQ(r.raft.term(), Term(0));
  EXPECT_EQ(r.raft.next_deadline(), before)
      << "I-L1: whoever asks in vain must not keep others quiet";
}

TEST(Raft, AVoterWhoseLinkComesUpIsAskedAtOnce) {
  Replica r;
  Effects ignored;
  r.now = r.raft.next_deadline();
  r.raft.tick(r.now, ignored);
  ASSERT_EQ(r.raft.role(), Role::kPreCandidate);
  Effects up;
  r.raft.link_reset(BrokerId(2), r.now, up);
  const Lines first = Replica::lines(ignored), now = Replica::lines(up);
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(std::count(first.begin(), first.end(), now[0]), 1) << "the same question";
  r.raft.step(replica(3), VoteReply{r.raft.term() + 1, true, true}, r.now, ignored);
  ASSERT_EQ(r.raft.role(), Role::kCandidate);
  Effects again;
  r.raft.link_reset(BrokerId(2), r.now, again);
  ASSERT_EQ(again.list().size(), 1u);
  EXPECT_TRUE(std::holds_alternative<effect::SendOnceDurable>(again.list()[0]));
}

TEST(Raft, AVoteIsGivenOnceATermAndOnceDurable) {
  Replica r(log_of({1, 2}), 2);
  EXPECT_EQ(r.step(2, VoteRequest{Term(3), id(2, 2)}).back(), "once durable 2: vote yes term 3");
  EXPECT_EQ(r.step(3, VoteRequest{Term(3), id(9, 2)}).back(), "send 3: vote no term 3");
  EXPECT_EQ(r.step(2, VoteRequest{Term(3), id(2, 2)}).back(), "once durable 2: vote yes term 3")
      << "the same candidate again";
}

TEST(Raft, NoVoteForALogThatEndsEarlier) {
  Replica r(log_of({1, 2}), 2);
  EXPECT_EQ(r.step(2, VoteRequest{Term(3), id(1, 2)}).back(), "send 2: vote no term 3");
  EXPECT_EQ(r.step(3, VoteRequest{Term(3), id(9, 1)}).back(), "send 3: vote no term 3");
}

TEST(Raft, ALivingLeaderIsProtectedButNotFromItsOwnTransfer) {
  Replica r;
  r.step(2, request(1, {}, {1}));
  EXPECT_EQ(r.step(3, VoteRequest{Term(9), id(5, 5)}), (Lines{"send 3: vote no term 1"}));
  EXPECT_EQ(r.raft.term(), Term(1));
  EXPECT_EQ(r.step(3, VoteRequest{Term(2), id(5, 1), false, true}).back(),
            "once durable 3: vote yes term 2");
}

TEST(Raft, AHeartbeatHeardEarlierCountsFromWhenItWasHeard) {
  Replica r;
  Effects out;
  r.raft.leader_contact(replica(2), Term(1), kStart, kStart, out);
  const Instant first = r.raft.next_deadline();
  r.raft.leader_contact(replica(2), Term(1), kStart + 300_ms, kStart + 900_ms, out);
  EXPECT_EQ(r.raft.next_deadline(), first + 300_ms);
}

TEST(Raft, ALeaderOfAnEarlierTermIsTold) {
  Replica r(log_of({}), 5);
  Effects out;
  r.raft.leader_contact(replica(2), Term(3), kStart, kStart, out);
  EXPECT_EQ(Replica::lines(out), (Lines{"send 2: refused term 5 hint 0@0"}));
  EXPECT_EQ(r.step(2, request(3, {}, {1})), (Lines{"send 2: refused term 5 hint 0@0"}));
}

TEST(Raft, CompletionsOfBeforeACutAreNotBelieved) {
  // R12. The write of entries 2 and 3 of term 1 was under way when they were cut and replaced.
  Replica r(log_of({1}), 1);
  r.step(2, request(1, id(1, 1), {1, 1}));
  const Raft::PersistMark before = r.raft.persist_mark();
  r.step(3, request(2, id(1, 1), {2}));
  Effects out;
  r.raft.on_persisted(before, kStart, out);
  EXPECT_EQ(r.raft.durable(), LogIndex(1));
  r.persisted();
  EXPECT_EQ(r.raft.durable(), LogIndex(2));
}

TEST(Raft, ALogThatWasOpenBeforeIsDurableAsFarAsItIsSaid) {
  Replica r(log_of({1, 1, 1}), 1);
  EXPECT_EQ(r.raft.durable(), LogIndex(3));
  r.raft.set_durable(LogIndex(1));
  EXPECT_EQ(r.raft.durable(), LogIndex(1));
  r.persisted();
  EXPECT_EQ(r.raft.durable(), LogIndex(3));
}

TEST(Raft, ALeadersOwnCopyCountsWhenItIsDurable) {
  Replica r;
  r.lead();
  r.step(2, AppendReply{.term = Term(1), .serial = 0, .ok = true, .match = LogIndex(1)});
  EXPECT_EQ(r.raft.commit(), LogIndex(0));
  r.persisted();
  EXPECT_EQ(r.raft.commit(), LogIndex(1));
}

TEST(Raft, OnlyMembersAreCounted) {
  Replica r;
  r.lead();
  r.persisted();
  r.step(4, AppendReply{.term = Term(1), .ok = true, .match = LogIndex(1)});
  EXPECT_EQ(r.raft.commit(), LogIndex(0));
}

TEST(Raft, APlanIsVoidOnceTheWorldHasMovedOn) {
  Replica r;
  r.lead();
  const auto plan = r.raft.next_append(replica(2));
  ASSERT_TRUE(plan.has_value());
  EntryMeta noop;
  noop.index = LogIndex(1);
  noop.term = Term(1);
  EntryMeta wrong = noop;
  wrong.term = Term(7);
  EXPECT_FALSE(r.raft.make_append(*plan, {&wrong, 1}, r.now).has_value())
      << "not what the log holds";
  EXPECT_TRUE(r.raft.make_append(*plan, {&noop, 1}, r.now).has_value());
  EXPECT_FALSE(r.raft.make_append(*plan, {&noop, 1}, r.now).has_value()) << "sent already";
  const auto other = r.raft.next_append(replica(3));
  r.step(3, VoteReply{Term(9)});
  EXPECT_FALSE(r.raft.make_append(*other, {&noop, 1}, r.now).has_value()) << "a term that is over";
}

TEST(Raft, TheWindowIsBounded) {
  Replica r;
  r.lead();
  EntryMeta noop;
  noop.index = LogIndex(1);
  noop.term = Term(1);
  ASSERT_TRUE(r.raft.make_append(*r.raft.next_append(replica(2)), {&noop, 1}, r.now));
  EXPECT_FALSE(r.raft.next_append(replica(2)).has_value()) << "one probe at a time";
  r.step(2, AppendReply{.term = Term(1), .serial = 1, .ok = true, .match = LogIndex(1)});
  size_t sent = 0;
  for (; sent < 100; ++sent) {
    r.append(EntryKind::kBatch);
    const auto plan = r.raft.next_append(replica(2));
    if (!plan) break;
    EntryMeta batch;
    batch.index = plan->first;
    batch.term = Term(1);
    batch.kind = EntryKind::kBatch;
    ASSERT_TRUE(r.raft.make_append(*plan, {&batch, 1}, r.now));
  }
  EXPECT_EQ(sent, r.raft.options().max_in_flight);
  // An unanswered request is taken for lost in the end, and the replica asked where it stands.
  r.raft.peer_contact(replica(2), r.now + 1900_ms);
  Effects out;
  r.now = r.now + 2000_ms;
  r.raft.tick(r.now, out);
  ASSERT_TRUE(r.raft.next_append(replica(2)).has_value());
  EXPECT_TRUE(r.raft.next_append(replica(2))->probe);
}

TEST(Raft, AnOlderSnapshotNeverReplacesANewerState) {
  Replica r(log_of({1, 1, 1}), 1, 2);
  Effects out;
  EXPECT_FALSE(r.raft.on_snapshot_installed(id(2, 1), three(), kStart, out));
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(r.raft.on_snapshot_installed(id(9, 1), three(), kStart, out));
  EXPECT_EQ(r.raft.commit(), LogIndex(9));
  EXPECT_EQ(r.raft.log().last(), id(9, 1));
  EXPECT_FALSE(r.raft.on_snapshot_installed(id(5, 1), three(), kStart, out));
  EXPECT_EQ(r.raft.log().last(), id(9, 1));
}

TEST(Raft, ALogThatHoldsASnapshotsLastEntryKeepsWhatFollows) {
  Replica r(log_of({1, 1, 1, 1}), 1);
  Effects out;
  EXPECT_TRUE(r.raft.on_snapshot_installed(id(2, 1), three(), kStart, out));
  EXPECT_EQ(r.raft.log().first(), LogIndex(3));
  EXPECT_EQ(r.raft.log().last(), id(4, 1));
}

TEST(Raft, AReplicaInDoubtVotesForNobodyUntilItKnowsWhoReachesFurthest) {
  Replica r(log_of({1}), 1);
  Effects out;
  r.raft.set_possibly_longer(true, kStart, out);
  EXPECT_EQ(Replica::lines(out), (Lines{"send 2: tail? beyond 1@1", "send 3: tail? beyond 1@1"}));
  EXPECT_EQ(r.step(3, VoteRequest{Term(2), id(1, 1)}).back(), "send 3: vote no term 2");
  // 2 holds more: 1 may have helped to commit that. 3 is known to lack it.
  r.step(2, TailAnswer{Term(1), id(1, 1), id(3, 1)});
  r.step(3, TailAnswer{Term(1), id(1, 1), id(1, 1)});
  EXPECT_TRUE(r.raft.possibly_longer());
  EXPECT_EQ(r.step(3, VoteRequest{Term(3), id(1, 1)}).back(), "send 3: vote no term 3");
  EXPECT_EQ(r.step(2, VoteRequest{Term(4), id(3, 1)}).back(), "once durable 2: vote yes term 4");
  // Refilled by a leader that was elected without it, it is whole again.
  EXPECT_EQ(r.step(2, request(4, id(1, 1), {1, 1, 4})),
            (Lines{"follower of term 4, leader 2", "accept 2 to 4", "tail settled",
                   "once durable 2: appended to 4 term 4"}));
}

TEST(Raft, AReplicaInDoubtNeverCampaigns) {
  Replica r(log_of({1}), 1);
  Effects out;
  r.raft.set_possibly_longer(true, kStart, out);
  for (int i = 0; i < 10; ++i) {
    r.now = std::max(r.now, r.raft.next_deadline());
    r.raft.tick(r.now, out);
  }
  EXPECT_EQ(r.raft.role(), Role::kFollower);
}

TEST(Raft, AVoteThatMayBeLostIsNotGivenTwice) {
  Replica r(log_of({1}), 1);
  Effects out;
  r.raft.set_vote_doubtful(kStart, out);
  EXPECT_EQ(Replica::lines(out), (Lines{"send 2: tail? beyond 1@1", "send 3: tail? beyond 1@1"}));
  // It may have voted for 3 in term 2 before its disk lost that.
  EXPECT_EQ(r.step(2, VoteRequest{Term(2), id(1, 1)}).back(), "send 2: vote no term 2");
  r.step(2, TailAnswer{Term(2), id(1, 1), id(1, 1)});
  EXPECT_TRUE(r.raft.vote_doubtful());
  const Lines settled = r.step(3, TailAnswer{Term(4), id(1, 1), id(1, 1)});
  EXPECT_FALSE(r.raft.vote_doubtful());
  EXPECT_EQ(settled.back(), "tail settled");
  EXPECT_EQ(r.raft.term(), Term(4));
  // Whoever asked in term 4 may have had that vote; from term 5 on it is free.
  EXPECT_EQ(r.step(2, VoteRequest{Term(4), id(1, 1)}).back(), "send 2: vote no term 4");
  EXPECT_EQ(r.step(2, VoteRequest{Term(5), id(1, 1)}).back(), "once durable 2: vote yes term 5");
}

TEST(Raft, AVoterWhoseDiskIsGoneIsNotWaitedFor) {
  Replica r(log_of({1}), 1);
  Effects out;
  r.raft.set_possibly_longer(true, kStart, out);
  r.raft.set_vote_doubtful(kStart, out);
  r.step(2, TailAnswer{Term(1), id(1, 1), id(1, 1)});
  EXPECT_TRUE(r.raft.possibly_longer());
  r.raft.voter_lost(replica(3), kStart, out);
  EXPECT_FALSE(r.raft.possibly_longer());
  EXPECT_FALSE(r.raft.vote_doubtful());
}

// What it lost may have changed who votes: 4 came for 3's sake, and has what this one helped to commit.
TEST(Raft, WhoLostTheEndOfItsLogAsksTheVotersThatOthersKnow) {
  Replica r(log_of({1}), 1);
  Effects out;
  r.raft.set_possibly_longer(true, kStart, out);
  r.step(2, TailAnswer{Term(1), id(1, 1), id(1, 1), false, {}});
  EXPECT_EQ(r.step(3, TailAnswer{Term(1), id(1, 1), id(3, 1), false, {replica(1), replica(2), replica(3), replica(4)}}),
            (Lines{"send 4: tail? beyond 1@1"}));
  EXPECT_EQ(r.step(3, VoteRequest{Term(2), id(3, 1)}).back(), "send 3: vote no term 2");
  r.step(4, TailAnswer{Term(1), id(1, 1), id(4, 1), false, {}});
  EXPECT_EQ(r.step(3, VoteRequest{Term(3), id(3, 1)}).back(), "send 3: vote no term 3");
  EXPECT_EQ(r.step(4, VoteRequest{Term(4), id(4, 1)}).back(), "once durable 4: vote yes term 4");
}

TEST(Raft, AnEmptyLogInDoubtIsNoDiskThatIsGone) {
  Raft raft({.self = replica(1)}, {}, LogView({}, {.voters = {replica(1), replica(2), replica(3)}}), {}, 1, kStart);
  Effects out;
  raft.set_possibly_longer(true, kStart, out);
  Effects answers;
  raft.step(replica(2), TailQuery{.term = {}, .last = {}}, kStart, answers);
  EXPECT_EQ(Replica::lines(answers).size(), 1u);
  bool answered = false;
  for (const Effect& effect : answers.list())
    if (const auto* send = std::get_if<effect::Send>(&effect)) {
      const auto* answer = std::get_if<TailAnswer>(&send->message);
      ASSERT_NE(answer, nullptr);
      EXPECT_TRUE(answer->doubtful);
      EXPECT_NE(*answer, answer_for_old_disk());
      answered = true;
    }
  EXPECT_TRUE(answered);
}

TEST(Raft, ADiskThatIsGoneSaysNothingOfWhatItHeld) {
  LogView log({}, {.voters = {replica(1), replica(2), replica(3), replica(4), replica(5)}});
  log.append(id(1, 1));
  Replica r(std::move(log), 1);
  Effects out;
  r.raft.set_possibly_longer(true, kStart, out);
  r.step(2, TailAnswer{Term(1), id(1, 1), id(1, 1)});
  r.raft.voter_lost(replica(4), kStart, out);
  r.raft.voter_lost(replica(5), kStart, out);
  EXPECT_TRUE(r.raft.possibly_longer()) << "with 4 and 5 this one may have made a majority, and 3 may have it";
  r.step(3, TailAnswer{Term(1), id(1, 1), id(1, 1)});
  EXPECT_FALSE(r.raft.possibly_longer());
}

TEST(Raft, AGroupOfOneIsItsOwnMajorityOnceItsVoteIsDurable) {
  LogView log({}, Configuration{.voters = {replica(1)}});
  Raft raft({.self = replica(1)}, {}, std::move(log), {}, 1, kStart);
  Effects out;
  EXPECT_EQ(raft.next_deadline(), kStart) << "nobody's silence has to be heard first";
  EXPECT_GT(Replica().raft.next_deadline(), kStart);
  raft.tick(kStart, out);
  EXPECT_EQ(raft.role(), Role::kCandidate) << "its vote is not durable yet";
  raft.step(replica(1), VoteReply{Term(1), false, true}, kStart, out);
  EXPECT_EQ(raft.role(), Role::kLeader);
  EXPECT_EQ(raft.next_deadline(), Instant::never()) << "it has nobody to lose";
}

TEST(Raft, TwoLeadersOfOneTermAreAQuarantine) {
  Replica r;
  r.step(2, request(1, {}, {1}));
  EXPECT_TRUE(quarantined(r.step(3, request(1, {}, {1})), "I-R1"));
  Replica leader;
  leader.lead();
  EXPECT_TRUE(quarantined(leader.step(3, request(1, {}, {1})), "I-R1"));
}

TEST(Raft, AnotherHistoryOfWhatIsCommittedIsAQuarantine) {
  Replica r(log_of({1, 1, 1}), 1, 2);
  EXPECT_TRUE(quarantined(r.step(2, request(2, id(1, 1), {2})), "I-R4"));
  EXPECT_TRUE(quarantined(r.step(2, request(2, id(2, 2), {})), "I-R4"));
  EXPECT_EQ(r.raft.log().last(), id(3, 1)) << "this replica keeps its own";
}

TEST(Raft, AcknowledgingWhatWasNeverSentIsAQuarantine) {
  Replica r;
  r.lead();
  EXPECT_TRUE(quarantined(
      r.step(2, AppendReply{.term = Term(1), .serial = 0, .ok = true, .match = LogIndex(50)}),
      "I-R6"));
  EXPECT_TRUE(quarantined(
      r.step(2, AppendReply{.term = Term(1), .serial = 99, .ok = true, .match = LogIndex(1)}),
      "I-R6"));
  EXPECT_TRUE(quarantined(r.step(2, SnapshotReply{Term(1), LogIndex(50)}), "I-R6"));
}

TEST(Raft, TermsThatAHoleHidesAreComparedWithNothing) {
  // On the others 1 is of term 1, and 2 and 3 of term 2; here a hole hides where that began.
  LogView log = log_of({2, 2, 2});
  log.hide_terms_below(LogIndex(3));
  Replica r(std::move(log), 2, 3);
  EXPECT_EQ(r.step(2, request(2, id(1, 1), {2, 2, 2})).back(), "once durable 2: appended to 4 term 2")
      << "entries that are committed are not another history";
  EXPECT_EQ(r.raft.log().last(), id(4, 2));
}

TEST(Raft, WhatAHoleHidesIsSentWhenItIsFilled) {
  LogView log = log_of({2, 2, 2});
  log.hide_terms_below(LogIndex(3));
  Replica r(std::move(log), 2, 3);
  r.lead();
  r.append(EntryKind::kBatch);
  // 2 has everything; 3 has lost all, and is to have it again from the first entry on.
  EXPECT_TRUE(r.raft.next_append(replica(2)).has_value());
  const auto probe = r.raft.next_append(replica(3));
  ASSERT_TRUE(probe.has_value());
  EntryMeta noop;
  noop.index = LogIndex(4);
  noop.term = Term(3);
  ASSERT_TRUE(r.raft.make_append(*probe, {&noop, 1}, r.now));
  r.step(3, AppendReply{.term = Term(3), .serial = probe->serial, .hint = id(0, 0)});
  r.step(3, SnapshotReply{Term(3), LogIndex(0)});
  EXPECT_FALSE(r.raft.next_append(replica(3)).has_value()) << "nobody knows the term of what comes before";

  LogView whole = log_of({1, 2, 2, 3, 3});
  r.raft.on_repaired(std::move(whole), kStart);
  const auto plan = r.raft.next_append(replica(3));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->first, LogIndex(1));
}

TEST(Raft, EntriesThatDoNotContinueAreAQuarantine) {
  Replica r;
  AppendRequest gap = request(1, {}, {1, 1});
  gap.entries[1].index = LogIndex(7);
  EXPECT_TRUE(quarantined(r.step(2, gap), "I-R3"));
  AppendRequest members = request(1, {}, {1});
  members.entries[0].kind = EntryKind::kConfig;  // And no membership came along.
  EXPECT_TRUE(quarantined(r.step(2, members), "I-R3"));
}

TEST(Raft, AFollowerThatLostWhatItAcknowledgedIsRefilled) {
  Replica r;
  r.lead_with_four_acknowledged();
  const auto plan = r.raft.next_append(replica(2));
  ASSERT_TRUE(plan.has_value());
  ASSERT_TRUE(r.raft.make_append(*plan, {}, r.now));
  r.step(2, AppendReply{.term = Term(1), .serial = plan->serial, .hint = id(2, 1)});
  EXPECT_EQ(r.raft.progress()[0].match, LogIndex(2)) << "what it lost no longer counts";
  EXPECT_EQ(r.raft.next_append(replica(2))->first, LogIndex(3));
}

// It says so by asking: what it was sent before it could hear is lost, too, and the leader need not wait to find out.
TEST(Raft, AFollowerInDoubtIsRefilledAsSoonAsItAsks) {
  Replica r;
  r.lead_with_four_acknowledged();
  ASSERT_TRUE(r.raft.make_append(*r.raft.next_append(replica(2)), {}, r.now));
  ASSERT_FALSE(r.raft.next_append(replica(2)).has_value());
  const Lines answered = r.step(2, TailQuery{Term(1), id(2, 1)});
  EXPECT_EQ(answered.front(), "send 2: tail ends at 4@1");
  const Progress& progress = r.raft.progress()[0];
  EXPECT_EQ(progress.match, LogIndex(2));
  EXPECT_LT(progress.match, progress.refilled_at);
  const auto plan = r.raft.next_append(replica(2));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->first, LogIndex(3));
  // As long as it does not hold again what there was, it counts for less.
  EntryMeta third;
  third.index = LogIndex(3);
  third.term = Term(1);
  ASSERT_TRUE(r.raft.make_append(*plan, {&third, 1}, r.now));
  r.step(2, AppendReply{.term = Term(1), .serial = plan->serial, .ok = true, .match = LogIndex(3)});
  EXPECT_LT(progress.match, progress.refilled_at);
  r.step(2, AppendReply{.term = Term(1), .serial = plan->serial, .ok = true, .match = LogIndex(4)});
  EXPECT_GE(progress.match, progress.refilled_at);
}

// Somebody held more, and is gone with it: nobody who is left would ever have this replica's vote.
TEST(Raft, WhatMayBeLostIsGivenUpByAnOperatorsWord) {
  Replica r(log_of({1}), 1);
  Effects out;
  EXPECT_EQ(r.raft.give_up_doubts([](BrokerId) { return true; }, kStart, out).error().code, Errc::kInvalid);
  r.raft.set_possibly_longer(true, kStart, out);
  r.raft.set_vote_doubtful(kStart, out);
  EXPECT_EQ(r.raft.silent_in_doubt().size(), 2u);
  r.step(3, TailAnswer{Term(1), id(1, 1), id(5, 1)});
  const auto alive = [](BrokerId id) { return id == BrokerId(2); };
  EXPECT_EQ(r.raft.give_up_doubts(alive, kStart, out).error().code, Errc::kBusy) << "2 may know better";
  r.step(2, TailAnswer{Term(1), id(1, 1), id(1, 1)});
  EXPECT_TRUE(r.raft.silent_in_doubt().empty());
  EXPECT_EQ(r.raft.furthest_told(), id(5, 1));
  EXPECT_EQ(r.step(2, VoteRequest{Term(2), id(1, 1)}).back(), "send 2: vote no term 2");
  out.clear();
  ASSERT_TRUE(r.raft.give_up_doubts(alive, kStart, out).has_value());
  EXPECT_EQ(Replica::lines(out).back(), "tail settled");
  EXPECT_FALSE(r.raft.possibly_longer());
  EXPECT_FALSE(r.raft.vote_doubtful());
  EXPECT_EQ(r.step(2, VoteRequest{Term(3), id(1, 1)}).back(), "once durable 2: vote yes term 3");
}

TEST(Raft, AMembershipChangeKeepsToItsRules) {
  Replica r;
  Effects out;
  EXPECT_EQ(r.raft.propose_configuration({replica(1)}, {}, r.now, out).error().code,
            Errc::kNotLeader);
  r.lead();
  EXPECT_EQ(r.raft.propose_configuration({replica(1)}, {}, r.now, out).error().code, Errc::kBusy);
  r.persisted();
  r.step(2, AppendReply{.term = Term(1), .ok = true, .match = LogIndex(1)});
  EXPECT_EQ(r.raft.propose_configuration({}, {replica(2)}, r.now, out).error().code, Errc::kInvalid)
      << "nobody would be left to agree on anything";
  EXPECT_EQ(r.raft.propose_configuration({replica(1)}, {replica(1)}, r.now, out).error().code,
            Errc::kInvalid);
  out.clear();
  EXPECT_TRUE(r.raft.propose_configuration(three().voters, {replica(4)}, r.now, out).has_value());
  EXPECT_EQ(Replica::lines(out), (Lines{"append members 1,2,3 learners 4"}))
      << "learners alone need no joint step";
  EXPECT_EQ(r.raft.propose_configuration({replica(1)}, {}, r.now, out).error().code, Errc::kBusy)
      << "the first is not even in the log yet";
}

TEST(Raft, AMembershipOfAnOlderAssignmentIsRefused) {
  Replica r;
  r.lead();
  r.persisted();
  r.step(2, AppendReply{.term = Term(1), .ok = true, .match = LogIndex(1)});
  Effects out;
  ASSERT_TRUE(r.raft.propose_configuration(three().voters, {replica(4)}, r.now, out, 20).has_value());
  const auto& own = std::get<effect::AppendOwn>(out.list().front());
  EntryMeta meta;
  meta.index = LogIndex(2);
  meta.term = Term(1);
  meta.kind = EntryKind::kConfig;
  Effects appended;
  r.raft.append({&meta, 1}, r.now, appended, &own.configuration);
  r.persisted();
  r.step(2, AppendReply{.term = Term(1), .ok = true, .match = LogIndex(2)});
  ASSERT_TRUE(r.raft.members_settled());
  EXPECT_EQ(r.raft.propose_configuration({replica(1)}, {}, r.now, out, 10).error().code, Errc::kInvalid);
  EXPECT_TRUE(r.raft.propose_configuration(three().voters, {}, r.now, out, 20).has_value());
}

TEST(Raft, OneThatCameBackVotesOnceItsLogSaysSo) {
  // An earlier replica of its name acknowledged entries that it does not hold: until its log reaches the membership
  // that brought it back, it could elect somebody who lacks them.
  Replica r;
  r.raft = Raft({.self = replica(1), .joined = 7}, {}, log_of({1}), LogIndex(0), 1, kStart);
  EXPECT_EQ(r.step(2, VoteRequest{Term(2), id(9, 1), true}), (Lines{"send 2: pre-vote no term 1"}));
  r.step(2, VoteRequest{Term(2), id(9, 1)});
  EXPECT_FALSE(r.raft.vote().has_value());
  Effects out;
  r.now = r.raft.next_deadline();
  r.raft.tick(r.now, out);
  EXPECT_EQ(r.raft.role(), Role::kFollower) << "nor does it campaign";

  AppendRequest append = request(3, id(1, 1), {3});
  append.entries[0].kind = EntryKind::kConfig;
  append.configurations = {{.voters = three().voters, .learners = {}, .revision = 7}};
  r.step(2, append);
  r.now = r.now + 10_s;
  r.step(3, VoteRequest{Term(4), id(9, 3)});
  EXPECT_EQ(r.raft.vote(), replica(3));
}

TEST(Raft, AStartThatPassesAReaderSendsASnapshot) {
  // Seed 12000251: the log's start moved while a request to a follower was being read. Nobody looked at that follower
  // again: nothing was under way to it that could have been answered, or be late.
  Replica r(log_of({1, 1, 1, 1, 1, 1}), 1, 6);
  r.lead();
  r.persisted();
  EntryMeta noop;
  noop.index = LogIndex(7);
  noop.term = Term(2);
  ASSERT_TRUE(r.raft.make_append(*r.raft.next_append(replica(2)), {&noop, 1}, r.now));
  r.step(2, AppendReply{.term = Term(2), .serial = 1, .hint = id(2, 1)});
  ASSERT_EQ(r.raft.next_append(replica(2))->first, LogIndex(3));
  Effects out;
  r.raft.on_prefix_dropped(LogIndex(4), out);
  EXPECT_EQ(Replica::lines(out), (Lines{"want snapshot 2"}));
}

TEST(Raft, AnAnswerOfWhoWasAMemberBeforeIsNotThatOfWhoIsNow) {
  Replica r;
  r.lead();
  r.persisted();
  EntryMeta noop;
  noop.index = LogIndex(1);
  noop.term = Term(1);
  ASSERT_TRUE(r.raft.make_append(*r.raft.next_append(replica(3)), {&noop, 1}, r.now));
  r.step(2, AppendReply{.term = Term(1), .ok = true, .match = LogIndex(1)});
  // 3 goes, and comes back as a learner.
  const Configuration without{.voters = {replica(1), replica(2)}, .revision = 1};
  const Configuration with{.voters = without.voters, .learners = {replica(3)}, .revision = 2};
  for (const Configuration& members : {without, with}) {
    EntryMeta meta;
    meta.index = r.raft.log().last().index + 1;
    meta.term = Term(1);
    meta.kind = EntryKind::kConfig;
    Effects out;
    r.raft.append({&meta, 1}, r.now, out, &members);
  }
  const Lines late = r.step(3, AppendReply{.term = Term(1), .serial = 1, .ok = true, .match = LogIndex(1)});
  EXPECT_TRUE(late.empty());
  EXPECT_EQ(r.raft.progress()[1].replica, replica(3));
  EXPECT_EQ(r.raft.progress()[1].match, LogIndex(0)) << "what the one before held is gone";
}

#ifdef TAFFRAIL_PLANTS

TEST(PlantedBug, R19IsSeenInTheOffer) {
  // A snapshot in the middle of a joint change is rare in raft_prop.cc, and an election between the halves rarer.
  select_plant("R19");
  Replica r(log_of({1, 1, 1, 1}), 1, 4);
  r.lead();
  r.persisted();
  EntryMeta noop;
  noop.index = LogIndex(5);
  noop.term = Term(2);
  ASSERT_TRUE(r.raft.make_append(*r.raft.next_append(replica(2)), {&noop, 1}, r.now));
  r.step(2, AppendReply{.term = Term(2), .serial = 1, .hint = id(0, 0)});
  Effects out;
  r.raft.on_prefix_dropped(LogIndex(4), out);
  const Configuration joint{.voters = {replica(1), replica(2)}, .old_voters = three().voters};
  const auto offer = r.raft.snapshot_offer(replica(2), id(4, 1), joint);
  select_plant("");
  ASSERT_TRUE(offer.has_value());
  EXPECT_FALSE(offer->configuration.joint());
}

TEST(PlantedBug, R28IsSeenAtTheTimer) {
  // No schedule of raft_prop.cc stalls for it: with randomised timeouts somebody soon campaigns
  // anyway.
  select_plant("R28");
  Replica r;
  r.now = kStart + 900_ms;
  r.step(2, VoteRequest{Term(1), {}, true});
  select_plant("");
  EXPECT_GE(r.raft.next_deadline(), r.now + r.raft.options().election_timeout_min);
}

#endif

}  // namespace
}  // namespace taffrail
