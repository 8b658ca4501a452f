// Goal: the checker of a group says so when something is wrong that no schedule of raft_prop.cc brings about, because
// the code under test does not let it. Method: replicas and memberships made by hand.
#include "consensus/invariants.h"

#include <gtest/gtest.h>

#include "consensus/support/test_node.h"

namespace taffrail {
namespace {

using testing::replica;

constexpr Instant kStart{1'000'000'000};

Configuration voters(std::vector<ReplicaId> list) { return {.voters = std::move(list)}; }

Raft raft_of(LogView log, HardState hard = {}, LogIndex commit = {}) {
  return Raft({.self = replica(1)}, hard, std::move(log), commit, 1, kStart);
}

std::string found(const Raft& raft, ReplicaId as = replica(1)) {
  GroupChecker checker;
  const ReplicaView view{as, 1, &raft, nullptr, nullptr};
  return checker.check({&view, 1}).value_or("");
}

void campaign(Raft& raft) {
  Effects out;
  raft.tick(raft.next_deadline(), out);
  ASSERT_EQ(raft.role(), Role::kPreCandidate);
}

TEST(GroupChecker, NothingIsWrongWithAGroupThatIsWell) {
  LogView log({}, voters({replica(1), replica(2), replica(3)}));
  log.append({LogIndex(1), Term(1)});
  log.append({LogIndex(2), Term(1)}, voters({replica(1), replica(2), replica(3), replica(4)}));
  Raft raft = raft_of(std::move(log), {Term(1), std::nullopt}, LogIndex(1));
  campaign(raft);
  EXPECT_EQ(found(raft), "");
}

TEST(GroupChecker, MembershipsThatCanMissEachOther) {
  LogView log({}, voters({replica(1), replica(2), replica(3)}));
  log.append({LogIndex(1), Term(1)}, voters({replica(1), replica(4), replica(5)}));
  EXPECT_TRUE(found(raft_of(std::move(log))).starts_with("I-R10"));
}

TEST(GroupChecker, TwoChangesUnderWayAtOnce) {
  LogView log({}, voters({replica(1)}));
  log.append({LogIndex(1), Term(1)}, voters({replica(1), replica(2)}));
  log.append({LogIndex(2), Term(1)}, voters({replica(1), replica(2), replica(3)}));
  Raft raft = raft_of(std::move(log));
  Effects out;
  raft.tick(raft.next_deadline(), out);
  raft.step(replica(2), VoteReply{Term(2), true, true}, kStart, out);
  raft.step(replica(1), VoteReply{Term(2), false, true}, kStart, out);
  raft.step(replica(2), VoteReply{Term(2), false, true}, kStart, out);
  ASSERT_EQ(raft.role(), Role::kLeader);
  EXPECT_TRUE(found(raft).starts_with("I-R10"));
}

// Entry 2 is a membership, as one sees it who commits it; the other leads a later term, and may not know what entry 2 is.
std::string leads_afterwards(bool knows) {
  GroupChecker checker;
  std::vector<Raft> replicas;
  for (const bool other : {false, true}) {
    LogView log({}, voters({replica(1)}));
    log.append({LogIndex(1), Term(1)});
    if (!other || knows) log.append({LogIndex(2), Term(1)}, voters({replica(1), replica(2)}));
    else log.append({LogIndex(2), Term(1)});
    replicas.push_back(raft_of(std::move(log), {Term(1), std::nullopt}, LogIndex(2)));
  }
  const ReplicaView first{replica(1), 1, &replicas[0], nullptr, nullptr};
  EXPECT_EQ(checker.check({&first, 1}), std::nullopt);
  Effects out;
  Raft& second = replicas[1];
  second.tick(second.next_deadline(), out);
  for (const bool pre : {true, false}) {
    second.step(replica(1), VoteReply{Term(2), pre, true}, kStart, out);
    second.step(replica(2), VoteReply{Term(2), pre, true}, kStart, out);
  }
  EXPECT_EQ(second.role(), Role::kLeader);
  const ReplicaView leader{replica(1), 2, &second, nullptr, nullptr};
  return checker.check({&leader, 1}).value_or("");
}

TEST(GroupChecker, ALeaderThatHandsOverTakesNothing) {
  Raft raft = raft_of(LogView({}, voters({replica(1), replica(2)})), {}, {});
  Effects out;
  raft.tick(raft.next_deadline(), out);
  for (const bool pre : {true, false})
    for (const uint32_t voter : {1, 2}) raft.step(replica(voter), VoteReply{Term(1), pre, true}, kStart, out);
  ASSERT_EQ(raft.role(), Role::kLeader);
  GroupChecker checker;
  const ReplicaView leader{replica(1), 1, &raft, nullptr, nullptr};
  const auto append = [&](int64_t index, EntryKind kind) {
    EntryMeta meta;
    meta.index = LogIndex(index);
    meta.term = Term(1);
    meta.kind = kind;
    raft.append({&meta, 1}, kStart, out);
    return checker.check({&leader, 1}).value_or("");
  };
  EXPECT_EQ(append(1, EntryKind::kNoop), "");
  EXPECT_EQ(append(2, EntryKind::kBatch), "");
  ASSERT_TRUE(raft.transfer_leadership(replica(2), kStart, out));
  EXPECT_EQ(checker.check({&leader, 1}), std::nullopt);
  EXPECT_TRUE(append(3, EntryKind::kBatch).starts_with("I-R15"));
}

TEST(GroupChecker, AnElectionIsPutOffByALeaderThatIsHeardOf) {
  const auto heard_at = [](Instant heard, uint64_t seed) {
    Raft raft({.self = replica(1)}, {Term(1), std::nullopt}, LogView({}, voters({replica(1), replica(2), replica(3)})), {}, seed, kStart);
    Effects out;
    raft.leader_contact(replica(2), Term(1), heard, heard, out);
    return raft;
  };
  // Of the same moment, with another timeout: as if it had been drawn anew.
  const Raft before = heard_at(kStart, 1), heard = heard_at(kStart + 10_s, 1);
  uint64_t seed = 2;
  while (heard_at(kStart, seed).campaigns_at() <= before.campaigns_at()) ++seed;
  const Raft drawn = heard_at(kStart, seed);
  for (const Raft* after : {&heard, &drawn}) {
    GroupChecker checker;
    const ReplicaView first{replica(1), 1, &before, nullptr, nullptr};
    const ReplicaView second{replica(1), 1, after, nullptr, nullptr};
    EXPECT_EQ(checker.check({&first, 1}), std::nullopt);
    EXPECT_EQ(checker.check({&second, 1}).value_or("").starts_with("I-L1"), after == &drawn);
  }
}

TEST(GroupChecker, ALeaderThatDoesNotKnowWhoVotes) {
  EXPECT_EQ(leads_afterwards(true), "");
  EXPECT_TRUE(leads_afterwards(false).starts_with("I-R10"));
}

TEST(GroupChecker, MembershipsThatDamageTookLieBetween) {
  const std::vector<Configuration> follow = {voters({replica(1)}), voters({replica(1), replica(2)}),
                                             voters({replica(1), replica(2), replica(3)})};
  ASSERT_FALSE(quorums_meet(follow[0], follow[2]));
  for (const bool seen : {true, false}) {
    GroupChecker checker;
    LogView whole({}, follow[0]), holed({}, follow[0]);
    whole.append({LogIndex(1), Term(1)}, follow[1]);
    holed.append({LogIndex(1), Term(1)});
    for (LogView* log : {&whole, &holed}) log->append({LogIndex(2), Term(1)}, follow[2]);
    const Raft sound = raft_of(std::move(whole), {Term(1), std::nullopt}, LogIndex(2));
    const Raft damaged = raft_of(std::move(holed), {Term(1), std::nullopt}, LogIndex(2));
    const ReplicaView first{replica(1), 1, &sound, nullptr, nullptr};
    const ReplicaView second{replica(1), 2, &damaged, nullptr, nullptr};
    if (seen) { EXPECT_EQ(checker.check({&first, 1}), std::nullopt); }
    EXPECT_EQ(checker.check({&second, 1}).value_or("").starts_with("I-R10"), !seen);
  }
}

TEST(GroupChecker, ACandidateWithoutAVote) {
  Raft raft = raft_of(LogView({}, voters({replica(1), replica(2), replica(3)})));
  campaign(raft);
  // As if the one that campaigns were the learner 9.
  EXPECT_TRUE(found(raft, replica(9)).starts_with("I-R11"));
}

// A vote for replica 2 in term 1, by one that stood in that term before: if damage took that, and it never led, it is
// no second vote.
std::string second_vote(bool damaged, bool led) {
  const auto fresh = [] { return raft_of(LogView({}, voters({replica(1), replica(2), replica(3)}))); };
  GroupChecker checker;
  Raft before = fresh();
  campaign(before);
  Effects out;
  before.step(replica(2), VoteReply{Term(1), true, true}, kStart, out);
  if (led) {
    before.step(replica(1), VoteReply{Term(1), false, true}, kStart, out);
    before.step(replica(2), VoteReply{Term(1), false, true}, kStart, out);
  }
  EXPECT_EQ(before.role(), led ? Role::kLeader : Role::kCandidate);
  const ReplicaView first{replica(1), 1, &before, nullptr, nullptr};
  EXPECT_EQ(checker.check({&first, 1}), std::nullopt);
  EXPECT_EQ(checker.on_sent(replica(1), replica(3), VoteRequest{.term = Term(1), .last = {}}, {&first, 1}), std::nullopt);
  Raft after = fresh();
  if (damaged) after.set_vote_doubtful(kStart, out);
  const ReplicaView second{replica(1), 2, &after, nullptr, nullptr};
  EXPECT_EQ(checker.check({&second, 1}), std::nullopt);
  return checker.on_sent(replica(1), replica(2), VoteReply{.term = Term(1), .granted = true}, {&second, 1}).value_or("");
}

TEST(GroupChecker, AVoteForItselfThatDamageTookCountsOnlyIfItLed) {
  EXPECT_EQ(second_vote(/*damaged=*/true, /*led=*/false), "");
  EXPECT_TRUE(second_vote(true, true).starts_with("I-R1"));
  EXPECT_TRUE(second_vote(false, false).starts_with("I-R1"));
}

// Replica 1 leads term 1 and commits entries 1 and 2; replica 2 has said that it holds the first of them, or both.
std::string commits_two(LogIndex said_by_other) {
  GroupChecker checker;
  const Configuration two = voters({replica(1), replica(2)});
  std::vector<Raft> replicas;
  replicas.push_back(raft_of(LogView({}, two)));
  replicas.emplace_back(Raft::Options{.self = replica(2)}, HardState{}, LogView({}, two), LogIndex{}, 1, kStart);
  const std::vector<ReplicaView> views = {{replica(1), 1, &replicas[0], nullptr, nullptr}, {replica(2), 1, &replicas[1], nullptr, nullptr}};
  EXPECT_EQ(checker.check(views), std::nullopt);
  Effects out;
  Raft& leader = replicas[0];
  campaign(leader);
  for (const bool pre : {true, false}) {
    leader.step(replica(1), VoteReply{Term(1), pre, true}, kStart, out);
    leader.step(replica(2), VoteReply{Term(1), pre, true}, kStart, out);
  }
  const auto meta = [](int64_t index, EntryKind kind) {
    EntryMeta of;
    of.index = LogIndex(index);
    of.term = Term(1);
    of.kind = kind;
    return of;
  };
  const std::vector<EntryMeta> entries = {meta(1, EntryKind::kNoop), meta(2, EntryKind::kBatch)};
  leader.append(entries, kStart, out);
  leader.set_durable(LogIndex(2));
  EXPECT_EQ(checker.check(views), std::nullopt);
  Raft& follower = replicas[1];
  follower.step(replica(1), AppendRequest{.term = Term(1), .serial = 1, .prev = {}, .commit = {}, .entries = entries, .configurations = {}}, kStart, out);
  follower.set_durable(said_by_other);
  EXPECT_EQ(checker.check(views), std::nullopt);
  const auto plan = leader.next_append(replica(2));
  EXPECT_TRUE(plan && leader.make_append(*plan, {entries.data(), 1}, kStart));
  leader.step(replica(2), AppendReply{.term = Term(1), .serial = plan->serial, .ok = true, .match = LogIndex(2)}, kStart, out);
  EXPECT_EQ(leader.commit(), LogIndex(2));
  return checker.check(views).value_or("");
}

TEST(GroupChecker, ACommitThatNoQuorumSaidItHolds) {
  EXPECT_EQ(commits_two(LogIndex(2)), "");
  EXPECT_TRUE(commits_two(LogIndex(1)).starts_with("I-R8"));
}

// Entry 2 changes the members; a snapshot that covers it says who they are behind it.
std::string begins_behind(const Configuration& told) {
  GroupChecker checker;
  LogView whole({}, voters({replica(1)}));
  whole.append({LogIndex(1), Term(1)});
  whole.append({LogIndex(2), Term(1)}, voters({replica(1), replica(2)}));
  const Raft first = raft_of(std::move(whole), {Term(1), std::nullopt}, LogIndex(2));
  const ReplicaView before{replica(1), 1, &first, nullptr, nullptr};
  EXPECT_EQ(checker.check({&before, 1}), std::nullopt);
  const Raft second = raft_of(LogView({LogIndex(2), Term(1)}, told), {Term(1), std::nullopt}, LogIndex(2));
  const ReplicaView after{replica(2), 1, &second, nullptr, nullptr};
  return checker.check({&after, 1}).value_or("");
}

TEST(GroupChecker, ASnapshotThatSaysSomethingElseOfTheMembers) {
  EXPECT_EQ(begins_behind(voters({replica(1), replica(2)})), "");
  EXPECT_TRUE(begins_behind(voters({replica(1)})).starts_with("I-R12"));
}

TEST(GroupCheckerDeathTest, DroppingWhatIsNotCommitted) {
  LogView log({}, voters({replica(1), replica(2), replica(3)}));
  for (int64_t i = 1; i <= 3; ++i) log.append({LogIndex(i), Term(1)});
  Raft raft = raft_of(std::move(log), {Term(1), std::nullopt}, LogIndex(2));
  Effects dropped;
  raft.on_prefix_dropped(LogIndex(2), dropped);
  EXPECT_DEATH(raft.on_prefix_dropped(LogIndex(3), dropped), "I-R12");
}

}  // namespace
}  // namespace taffrail
