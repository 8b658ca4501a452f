#include "consensus/invariants.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/random.h"
#include "consensus/quorum.h"

namespace taffrail {

namespace {

std::string at_node(const ReplicaId& replica) { return fmt::format("node {}", replica.node.value); }

const ReplicaView* find_view(std::span<const ReplicaView> replicas, const ReplicaId& id) {
  for (const ReplicaView& view : replicas) {
    if (view.id == id) return &view;
  }
  return nullptr;
}

// All of a replica that check_replica() looks at, as a number: most steps change one replica, or none. 0: always to
// be looked at.
uint64_t look_of(const ReplicaView& replica) {
  if (!replica.raft || replica.durable_hard || replica.durable_log) return 0;
  const Raft& raft = *replica.raft;
  const LogView& log = raft.log();
  uint64_t look = mix64(replica.incarnation, static_cast<uint64_t>(raft.role()));
  const auto fold = [&](auto value) { look = std::rotl((look ^ static_cast<uint64_t>(value.value)) * 0x9e3779b97f4a7c15, 29); };
  fold(raft.term());
  fold(raft.commit());
  fold(raft.durable());
  if (const auto to = raft.transferring_to()) fold(to->node);
  fold(log.prefix().index);
  fold(log.prefix().term);
  fold(log.last().index);
  for (const LogView::Run& run : log.runs()) {
    fold(run.first);
    fold(run.term);
  }
  for (const LogView::Membership& membership : log.memberships()) fold(membership.index);
  return std::max<uint64_t>(look, 1);
}

// Log matching: past their first difference two logs never have the same term at the same index
// again.
std::optional<LogIndex> meets_again(const LogView& a, const LogView& b) {
  const std::optional<LogIndex> apart = first_difference(a, b);
  if (!apart) return std::nullopt;
  const LogIndex end = std::min(a.last().index, b.last().index);
  const auto candidates = [&](const LogView& log) -> std::optional<LogIndex> {
    for (const LogView::Run& run : log.runs()) {
      const LogIndex index = std::max(run.first, *apart);
      if (index <= end && a.term_at(index) == b.term_at(index)) return index;
    }
    return std::nullopt;
  };
  // Both are constant between the places where either starts a run.
  if (const auto index = candidates(a)) return index;
  return candidates(b);
}

}  // namespace

LogIndex agreed_up_to(const LogView& a, const LogView& b) {
  if (const auto apart = first_difference(a, b)) return *apart - 1;
  return std::min(a.last().index, b.last().index);
}

bool quorums_meet(const Configuration& a, const Configuration& b) {
  std::vector<ReplicaId> all = a.members();
  const std::vector<ReplicaId> others = b.members();
  all.insert(all.end(), others.begin(), others.end());
  all = sorted_replicas(std::move(all));
  // If some set is a quorum of one while the rest is a quorum of the other, they can miss each
  // other.
  for (uint64_t subset = 0; subset < uint64_t{1} << all.size(); ++subset) {
    const auto in = [&](const ReplicaId& replica) {
      const auto at = std::lower_bound(all.begin(), all.end(), replica) - all.begin();
      return (subset >> at & 1) != 0;
    };
    const auto out = [&](const ReplicaId& replica) { return !in(replica); };
    if (quorum_of(a, in) && quorum_of(b, out)) return false;
  }
  return true;
}

std::optional<std::string> GroupChecker::check(std::span<const ReplicaView> replicas) {
  CHECK(replicas.size() <= 64, "a bit for each replica");
  uint64_t changed = 0;
  for (size_t i = 0; i < replicas.size(); ++i) {
    Seen& seen = seen_[replicas[i].id];
    if (auto wrong = check_patience(replicas[i], seen)) return wrong;
    const uint64_t look = look_of(replicas[i]);
    if (look != 0 && look == seen.look) continue;
    seen.look = look;
    changed |= uint64_t{1} << i;
    if (auto wrong = check_replica(replicas[i], replicas)) return wrong;
  }
  for (size_t i = 0; i < replicas.size(); ++i) {
    for (size_t j = i + 1; j < replicas.size(); ++j) {
      if (!replicas[i].raft || !replicas[j].raft) continue;
      if (((changed >> i | changed >> j) & 1) == 0) continue;
      if (const auto index = meets_again(replicas[i].raft->log(), replicas[j].raft->log())) {
        return fmt::format("I-R3 log matching: {} and {} agree at {} and differ below",
                           at_node(replicas[i].id), at_node(replicas[j].id), index->value);
      }
    }
  }
  started_ = true;
  return std::nullopt;
}

std::optional<std::string> GroupChecker::check_replica(const ReplicaView& replica,
                                                       std::span<const ReplicaView> replicas) {
  Seen& seen = seen_[replica.id];
  if (auto wrong = check_durables(replica, seen)) return wrong;
  if (!replica.raft) return std::nullopt;
  const Raft& raft = *replica.raft;

  const bool restarted = seen.incarnation != replica.incarnation;
  // Damage took what it had voted. A vote for itself that it did not win with died with the process that cast it, and
  // nobody else can tell of that term: another vote there elects no second leader. Whom else it voted for tells.
  if (restarted && raft.vote_doubtful()) {
    std::erase_if(votes_, [&](const auto& cast) {
      const auto& [by, term] = cast.first;
      const auto led = leaders_.find(term);
      return by == replica.id && cast.second == replica.id && (led == leaders_.end() || led->second.first != replica.id);
    });
  }
  const LogIndex commit_before = restarted ? LogIndex{} : seen.commit;
  if (!restarted && raft.term() < seen.term) {
    return fmt::format("I-R7 monotonic durables: the term of {} falls from {} to {}",
                       at_node(replica.id), seen.term.value, raft.term().value);
  }
  // Its own memory of the vote counts, too: nothing but that keeps it from voting again.
  if (!restarted && raft.term() == seen.term && seen.vote && raft.vote() != seen.vote) {
    return fmt::format("I-R7 monotonic durables: {} changes its vote in term {}",
                       at_node(replica.id), raft.term().value);
  }
  const bool stands = raft.role() == Role::kCandidate || raft.role() == Role::kLeader;
  if (stands && raft.vote() != replica.id) {
    return fmt::format("I-R1 election safety: {} stands in term {} without a vote of its own",
                       at_node(replica.id), raft.term().value);
  }
  if (raft.commit() < commit_before) {
    return fmt::format("I-R7 monotonic durables: the commit of {} falls from {} to {}",
                       at_node(replica.id), commit_before.value, raft.commit().value);
  }
  if (auto wrong = check_hand_over(replica, seen)) return wrong;
  seen.incarnation = replica.incarnation;
  seen.term = raft.term();
  seen.vote = raft.vote();
  seen.commit = raft.commit();
  // Of a later term is later, though it may stand where others were cut away.
  const LogIndex durable = std::min(raft.durable(), raft.log().last().index);
  if (const auto term = raft.log().term_at(durable); term && std::pair(*term, durable) > std::pair(seen.claim.term, seen.claim.index))
    seen.claim = {durable, *term};

  if (raft.log().prefix().index > raft.commit()) {
    return fmt::format("I-R12 snapshots: {} dropped entries that are not committed",
                       at_node(replica.id));
  }
  if (const auto* there = membership_at(raft.log().prefix().index); there && raft.log().memberships().front().value != there->value) {
    return fmt::format("I-R12 snapshots: {} begins behind entry {} with the membership \"{}\", there it was \"{}\"", at_node(replica.id),
                       raft.log().prefix().index.value, raft.log().memberships().front().value.text(), there->value.text());
  }
  if (raft.role() == Role::kLeader) {
    if (auto wrong = check_leader(replica, replicas, commit_before)) return wrong;
  } else if (raft.role() != Role::kFollower &&
             !raft.log().is_voter_since(raft.commit(), replica.id)) {
    return fmt::format("I-R11 voters only: {} campaigns and has no vote", at_node(replica.id));
  }
  if (auto wrong = check_memberships(replica, seen)) return wrong;
  return extend_committed(replica, replicas);
}

// The last one that was committed up to there.
const LogView::Membership* GroupChecker::membership_at(LogIndex index) const {
  const auto behind = std::ranges::upper_bound(memberships_, index, {}, &LogView::Membership::index);
  return behind == memberships_.begin() ? nullptr : &*std::prev(behind);
}

void GroupChecker::forget(const ReplicaId& replica) {
  seen_.erase(replica);
  std::erase_if(votes_, [&](const auto& cast) { return cast.first.first == replica; });
}

std::optional<std::string> GroupChecker::check_durables(const ReplicaView& replica, Seen& seen) {
  if (replica.durable_hard) {
    const HardState& now = *replica.durable_hard;
    if (seen.durable) {
      const HardState& before = *seen.durable;
      if (now.term < before.term) {
        return fmt::format("I-R7 monotonic durables: the durable term of {} falls from {} to {}",
                           at_node(replica.id), before.term.value, now.term.value);
      }
      if (now.term == before.term && before.vote && now.vote != before.vote) {
        return fmt::format("I-R7 monotonic durables: {} changes its vote in term {}",
                           at_node(replica.id), now.term.value);
      }
    }
    seen.durable = now;
  }
  if (replica.raft && replica.durable_log) {
    const LogIndex durable = agreed_up_to(replica.raft->log(), *replica.durable_log);
    if (replica.raft->durable() > durable) {
      return fmt::format("I-R9 durability watermark: {} claims {}, its disk holds {}",
                         at_node(replica.id), replica.raft->durable().value, durable.value);
    }
  }
  return std::nullopt;
}

// A membership's second half follows its first whatever else is under way.
std::optional<std::string> GroupChecker::check_hand_over(const ReplicaView& replica, Seen& seen) {
  const Raft& raft = *replica.raft;
  std::optional<std::pair<Term, ReplicaId>> now;
  if (const auto to = raft.transferring_to()) now.emplace(raft.term(), *to);
  const LogIndex before = std::exchange(seen.last, raft.log().last().index);
  const bool goes_on = now && std::exchange(seen.hands_over, now) == now;
  if (!now) seen.hands_over.reset();
  if (!goes_on || seen.last <= before || raft.log().configuration_index() == seen.last) return std::nullopt;
  return fmt::format("I-R15 hand-over: {} takes entry {} while it hands term {} over", at_node(replica.id), seen.last.value, raft.term().value);
}

// Only a leader that is heard of puts an election off; else a candidate that cannot win keeps those waiting who could.
std::optional<std::string> GroupChecker::check_patience(const ReplicaView& replica, Seen& seen) {
  if (!replica.raft) return std::nullopt;
  const Raft& raft = *replica.raft;
  std::optional<std::pair<Term, ReplicaId>> now;
  if (raft.role() == Role::kFollower && raft.leader()) now.emplace(raft.term(), *raft.leader());
  const bool same = std::exchange(seen.follows, now) == now && now && seen.incarnation == replica.incarnation;
  const Instant heard = std::exchange(seen.leader_heard, raft.leader_heard());
  const Instant before = std::exchange(seen.campaigns_at, raft.campaigns_at());
  if (!same || raft.leader_heard() > heard || raft.campaigns_at() <= before) return std::nullopt;
  return fmt::format("I-L1 a leader: {} puts its election off by {} ms, and has not heard of its leader", at_node(replica.id),
                     (raft.campaigns_at() - before).ms());
}

std::optional<std::string> GroupChecker::check_leader(const ReplicaView& replica,
                                                      std::span<const ReplicaView> replicas,
                                                      LogIndex commit_before) {
  const Raft& raft = *replica.raft;
  const Term term = raft.term();
  const std::pair me(replica.id, replica.incarnation);
  const auto [at, first_seen] = leaders_.emplace(term, me);
  if (at->second != me) {
    return fmt::format("I-R1 election safety: {} and {} lead term {}", at_node(at->second.first),
                       at_node(replica.id), term.value);
  }
  if (first_seen) {
    // What had been committed when this term began. Later commits of earlier terms there are none.
    LogIndex must;
    for (const auto& [in_term, up_to] : committed_by_) {
      if (in_term < term) must = up_to;
    }
    if (agreed_up_to(raft.log(), committed_) < must) {
      return fmt::format(
          "I-R4 leader completeness: {} leads term {} and lacks what is committed up to {}",
          at_node(replica.id), term.value, must.value);
    }
    // Holding the entry is not enough: one that does not know who votes counts the wrong quorums.
    const LogView::Membership* known = membership_at(must);
    if (known && raft.log().configuration_index() < known->index) {
      return fmt::format("I-R10 config safety: {} leads term {} and does not know the membership of entry {}",
                         at_node(replica.id), term.value, known->index.value);
    }
  }
  if (raft.commit() <= commit_before || raft.commit() <= committed_.last().index) {
    return std::nullopt;
  }
  if (started_ && raft.log().term_at(raft.commit()) != term) {
    return fmt::format("I-R8 commit rule: {} commits entry {} of another term than its own, {}",
                       at_node(replica.id), raft.commit().value, term.value);
  }
  bool known = true;
  const bool quorum = quorum_of(raft.configuration(), [&](const ReplicaId& voter) {
    const ReplicaView* view = find_view(replicas, voter);
    if (!view || !view->durable_log) known = false;
    return view && view->durable_log &&
           agreed_up_to(*view->durable_log, raft.log()) >= raft.commit();
  });
  if (started_ && known && !quorum) {
    return fmt::format("I-R8 commit rule: {} commits {} without a quorum that holds it",
                       at_node(replica.id), raft.commit().value);
  }
  return std::nullopt;
}

std::optional<std::string> GroupChecker::check_memberships(const ReplicaView& replica, Seen& seen) {
  const Raft& raft = *replica.raft;
  const auto memberships = raft.log().memberships();
  const bool unchanged = std::ranges::equal(memberships, seen.memberships);
  size_t uncommitted = 0;
  for (size_t i = 1; i < memberships.size(); ++i) {
    // A new leader may not know yet how much of what it holds is committed.
    if (memberships[i].index > std::max(raft.commit(), committed_.last().index)) ++uncommitted;
    if (unchanged || memberships[i - 1].value.empty()) continue;
    // Damage may hide some of them, which were committed, as all that a hole hides: these two do not follow one another.
    if (const auto* before = membership_at(memberships[i].index - 1); before && before->index > memberships[i - 1].index) continue;
    if (!quorums_meet(memberships[i - 1].value, memberships[i].value)) {
      return fmt::format("I-R10 config safety: from \"{}\" to \"{}\" at {}, two majorities",
                         memberships[i - 1].value.text(), memberships[i].value.text(),
                         memberships[i].index.value);
    }
  }
  if (!unchanged) seen.memberships.assign(memberships.begin(), memberships.end());
  if (raft.role() == Role::kLeader && uncommitted > 1) {
    return fmt::format("I-R10 config safety: {} has {} memberships under way", at_node(replica.id),
                       uncommitted);
  }
  return std::nullopt;
}

// Where nobody looks at disks: a quorum of what leads to a commit has said that it holds the entry.
std::optional<std::string> GroupChecker::check_claimed(const Raft& leader, std::span<const ReplicaView> replicas) const {
  const LogView& log = leader.log();
  const LogIndex commit = leader.commit();
  bool known = true;
  const bool quorum = quorum_of(leader.configuration(), [&](const ReplicaId& voter) {
    const ReplicaView* view = find_view(replicas, voter);
    if (view && view->raft && std::min(view->raft->durable(), agreed_up_to(view->raft->log(), log)) >= commit) return true;
    // It may have lost it since, or be down.
    const auto seen = seen_.find(voter);
    if (seen == seen_.end()) return false;
    const EntryId claim = seen->second.claim;
    if (claim.index >= commit && !log.contains(claim)) known = false;
    return claim.index >= commit;
  });
  if (quorum || !known) return std::nullopt;
  return fmt::format("I-R8 commit rule: {} commits {}, and no quorum of \"{}\" says that it holds it",
                     at_node(leader.options().self), commit.value, leader.configuration().text());
}

std::optional<std::string> GroupChecker::extend_committed(const ReplicaView& replica, std::span<const ReplicaView> replicas) {
  const Raft& raft = *replica.raft;
  const LogView& log = raft.log();
  const LogIndex shared = std::min(raft.commit(), committed_.last().index);
  if (const auto apart = first_difference(log, committed_); apart && *apart <= shared) {
    return fmt::format("I-R4 committed stays: {} committed {} with another term than others did",
                       at_node(replica.id), apart->value);
  }
  if (raft.commit() <= committed_.last().index) return std::nullopt;
  // A leader that commits its own removal has stepped down by the time it is looked at.
  const auto leader = leaders_.find(raft.term());
  const bool led = leader != leaders_.end() && leader->second.first == replica.id;
  if (started_ && !led) {
    return fmt::format("I-R8 commit rule: {} commits {} before any leader did", at_node(replica.id),
                       raft.commit().value);
  }
  if (started_ && !replica.durable_log)
    if (auto wrong = check_claimed(raft, replicas)) return wrong;
  for (const LogView::Membership& membership : log.memberships())
    if (membership.index > committed_.last().index && membership.index > log.prefix().index && membership.index <= raft.commit())
      memberships_.push_back(membership);
  if (log.prefix().index > committed_.last().index) committed_.reset(log.prefix(), {});
  for (LogIndex i = committed_.last().index + 1; i <= raft.commit(); ++i)
    committed_.append(log.at(i));
  if (committed_by_.empty() || committed_by_.back().first < raft.term()) {
    committed_by_.emplace_back(raft.term(), raft.commit());
  } else {
    committed_by_.back().second = raft.commit();
  }
  return std::nullopt;
}

std::optional<std::string> GroupChecker::on_sent(ReplicaId from, ReplicaId to,
                                                 const Message& message,
                                                 std::span<const ReplicaView> replicas) {
  const ReplicaView* sender = find_view(replicas, from);
  if (!sender) return std::nullopt;
  if (const auto* reply = std::get_if<VoteReply>(&message);
      reply && reply->granted && !reply->pre) {
    const auto [at, fresh] = votes_.emplace(std::pair(from, reply->term), to);
    if (at->second != to) {
      return fmt::format("I-R1 election safety: {} votes twice in term {}", at_node(from),
                         reply->term.value);
    }
    if (sender->durable_hard && *sender->durable_hard != HardState{reply->term, to}) {
      return fmt::format(
          "I-R1 election safety: the vote of {} in term {} left before it was durable",
          at_node(from), reply->term.value);
    }
  }
  if (const auto* request = std::get_if<VoteRequest>(&message); request && !request->pre) {
    // Whoever asks has voted for itself.
    const auto [at, fresh] = votes_.emplace(std::pair(from, request->term), from);
    if (at->second != from) {
      return fmt::format("I-R1 election safety: {} voted for another and stands in term {}",
                         at_node(from), request->term.value);
    }
  }
  if (const auto* reply = std::get_if<AppendReply>(&message); reply && reply->ok) {
    return on_acknowledged(*sender, *reply, replicas);
  }
  return std::nullopt;
}

std::optional<std::string> GroupChecker::on_acknowledged(const ReplicaView& follower,
                                                         const AppendReply& reply,
                                                         std::span<const ReplicaView> replicas) {
  if (!follower.durable_log && !follower.raft) return std::nullopt;
  const LogView& held = follower.durable_log ? *follower.durable_log : follower.raft->log();
  if (follower.durable_log && reply.match > held.last().index) {
    return fmt::format("I-R9 durability watermark: {} acknowledges {}, its disk ends at {}",
                       at_node(follower.id), reply.match.value,
                       held.last().index.value);
  }
  for (const ReplicaView& view : replicas) {
    if (!view.raft || view.raft->role() != Role::kLeader || view.raft->term() != reply.term)
      continue;
    const LogIndex agreed = agreed_up_to(view.raft->log(), held);
    if (reply.match > agreed) {
      return fmt::format("I-R6 match bound: {} acknowledges {}, shares {} with its leader",
                         at_node(follower.id), reply.match.value, agreed.value);
    }
  }
  return std::nullopt;
}

}  // namespace taffrail
