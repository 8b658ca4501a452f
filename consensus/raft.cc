// The frame of Raft: terms, roles, time, and the sorting of messages. Elections are in election.cc,
// the receiving side of replication in follower.cc, the sending side in leader.cc.
#include "consensus/raft.h"

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"

namespace taffrail {

namespace {

template <class M>
const M* as(const Message& message) {
  return std::get_if<M>(&message);
}

// Only a leader of its term sends these: they name it.
bool is_from_leader(const Message& message) {
  return as<AppendRequest>(message) || as<CommitNotice>(message) || as<SnapshotOffer>(message) ||
         as<TimeoutNow>(message);
}

}  // namespace

Raft::Raft(const Options& options, HardState hard, LogView log, LogIndex commit, uint64_t seed,
           Instant now)
    : options_(options), random_(seed), term_(hard.term), vote_(hard.vote), log_(std::move(log)) {
  CHECK(options_.election_timeout_min <= options_.election_timeout_max);
  CHECK(options_.max_in_flight > 0);
  if (PLANT("R56")) options_.check_quorum = false;
  // A disk that lost its hard state but not its log: the log's term is a lower bound.
  if (log_.last().term > term_) {
    term_ = log_.last().term;
    vote_.reset();
  }
  commit_ = std::clamp(commit, log_.prefix().index, log_.last().index);
  CHECK(log_.known_from() <= commit_, "what a hole hides is committed");
  durable_ = log_.last().index;
  announced_term_ = term_;
  draw_timeout(now);
  // Alone there is nobody whose silence would have to be heard first.
  const Configuration& members = configuration();
  if (!members.joint() && members.voters == std::vector{options_.self}) deadline_ = now;
}

void Raft::step(ReplicaId from, const Message& message, Instant now, Effects& out) {
  if (from == options_.self) {
    // This replica's own vote, durable now. Nothing else that claims to come from here is believed.
    const auto* reply = as<VoteReply>(message);
    if (reply && !reply->pre && reply->term == term_) on_vote_reply(from, *reply, now, out);
    return;
  }
  if (const auto* query = as<TailQuery>(message)) return on_tail_query(from, *query, out);
  if (const auto* answer = as<TailAnswer>(message)) return on_tail_answer(from, *answer, now, out);

  const Term term = term_of(message);
  if (const auto* request = as<VoteRequest>(message)) {
    // A question about a term that does not exist yet: it must not bring that term about.
    if (request->pre) return on_vote_request(from, *request, now, out);
    // Thesis, 4.2.3: a replica that was cut off, or voted out, must not unseat a leader that works.
    if (term > term_ && !request->transfer && protects_leader(now)) {
      return out.send(from, VoteReply{.term = term_});
    }
  }
  if (const auto* reply = as<VoteReply>(message); reply && reply->pre && reply->granted) {
    return on_vote_reply(from, *reply, now, out);
  }

  if (term < term_) {
    if (PLANT("R11") && as<AppendReply>(message)) return handle(from, message, now, out);
    if (!(PLANT("R31") && as<AppendRequest>(message))) return answer_stale(from, message, out);
    term_ = term;
    out.persist({term_, vote_});
  }
  if (term > term_) {
    become_follower(term, is_from_leader(message) ? std::optional(from) : std::nullopt, now, out);
  }
  handle(from, message, now, out);
}

void Raft::handle(ReplicaId from, const Message& message, Instant now, Effects& out) {
  if (const auto* m = as<AppendRequest>(message)) return on_append(from, *m, now, out);
  if (const auto* m = as<AppendReply>(message)) return on_append_reply(from, *m, now, out);
  if (const auto* m = as<CommitNotice>(message)) return on_commit_notice(from, *m, now, out);
  if (const auto* m = as<VoteRequest>(message)) return on_vote_request(from, *m, now, out);
  if (const auto* m = as<VoteReply>(message)) return on_vote_reply(from, *m, now, out);
  if (const auto* m = as<TimeoutNow>(message)) return on_timeout_now(from, *m, now, out);
  if (const auto* m = as<SnapshotOffer>(message)) return on_snapshot_offer(from, *m, now, out);
  if (const auto* m = as<SnapshotReply>(message)) return on_snapshot_reply(from, *m, now, out);
}

void Raft::answer_stale(ReplicaId from, const Message& message, Effects& out) {
  // Whoever believes to lead, or asks for votes, in a term that is over learns of it. The rest are
  // late answers, which nobody waits for. Serial 0: not an answer to that request. Its sender may
  // lead this very term by the time it hears, and would take the refusal for one of its new
  // requests.
  if (as<AppendRequest>(message) || as<SnapshotOffer>(message) || as<CommitNotice>(message)) {
    out.send(from, AppendReply{.term = term_});
  } else if (as<VoteRequest>(message)) {
    out.send(from, VoteReply{.term = term_});
  }
}

void Raft::leader_contact(ReplicaId from, Term term, Instant heard, Instant now, Effects& out) {
  if (term < term_) return out.send(from, AppendReply{.term = term_});
  if (term > term_) become_follower(term, from, now, out);
  follow(from, heard, now, out);
}

void Raft::peer_contact(const ReplicaId& replica, Instant heard) {
  for (Progress& progress : progress_) {
    if (progress.replica == replica) progress.contact = std::max(progress.contact, heard);
  }
}

void Raft::sender_gone(BrokerId node, Instant now) {
  // What keeps a leader that lives in office is pre-vote, and check-quorum's refusals.
  if (!options_.pre_vote || !options_.check_quorum) return;
  if (role_ != Role::kFollower || !leader_ || leader_->node != node) return;
  leader_heard_ = Instant{};
  // Drawn, for all its followers learn of it in the same moment, and equal candidates split the votes.
  const int64_t ns = random_.between(0, options_.election_timeout_min.ns / 4);
  deadline_ = std::min(deadline_, now + Duration{ns});
}

void Raft::tick(Instant now, Effects& out) {
  if ((possibly_longer_ || vote_doubtful_) && now >= tail_retry_) ask_for_tail(now, out);
  if (role_ == Role::kLeader) {
    check_quorum(now, out);
    if (role_ != Role::kLeader) return;
    if (transfer_to_ && now >= transfer_deadline_) transfer_to_.reset();
    retry_lost(now, out);
  } else if (now >= deadline_) {
    campaign_if_allowed(now, out);
  }
}

Instant Raft::next_deadline() const {
  Instant next = possibly_longer_ || vote_doubtful_ ? tail_retry_ : Instant::never();
  if (role_ != Role::kLeader) return std::min(next, deadline_);
  if (options_.check_quorum) {
    next = std::min(next, quorum_contact() + options_.election_timeout_max);
  }
  if (transfer_to_) next = std::min(next, transfer_deadline_);
  for (const Progress& progress : progress_) {
    if (progress.in_flight.empty()) continue;
    next = std::min(next, progress.in_flight.front().sent + options_.append_timeout);
  }
  return next;
}

void Raft::on_persisted(PersistMark mark, Instant now, Effects& out) {
  if (PLANT("R12")) {
    durable_ = std::max(durable_, std::min(mark.last.index, log_.last().index));
  } else {
    // The completion of a write that was under way when the log was cut: the entry of that index
    // may be another one by now, and not durable at all.
    if (mark.cuts != cuts_) return;
    durable_ = std::max(durable_, mark.last.index);
  }
  if (role_ == Role::kLeader) lead_commit(now, out);
}

void Raft::set_durable(LogIndex durable) {
  CHECK(durable <= log_.last().index, "only what is held is durable");
  durable_ = durable;
}

void Raft::on_prefix_dropped(LogIndex index, Effects& out) {
  CHECK(index <= commit_, "I-R12 only what is committed is dropped");
  CHECK(index <= durable_, "I-R12 only what is durable is dropped");
  log_.drop_prefix(index);
  // A request may be in the middle of reading what is gone: nothing else would look at that replica again.
  for (Progress& progress : progress_)
    if (progress.next <= log_.prefix().index) want(progress, out);
}

void Raft::on_repaired(LogView log, Instant now) {
  CHECK(log.last() == log_.last(), "a repair changes nothing that is known");
  log_ = std::move(log);
  // A state of format 2 does not tell the newest membership: it may have been among what was missing.
  if (role_ == Role::kLeader) rebuild_progress(now);
}

void Raft::set_term(Term term, std::optional<ReplicaId> vote, Effects& out) {
  CHECK(term > term_, "I-R7 terms only rise");
  term_ = term;
  vote_ = vote;
  out.persist({term_, vote_});
}

void Raft::become_follower(Term term, std::optional<ReplicaId> leader, Instant now, Effects& out) {
  const bool new_term = term > term_;
  if (new_term) set_term(term, std::nullopt, out);
  if (PLANT("R03") && !new_term && role_ != Role::kFollower) {
    vote_.reset();
    out.persist({term_, vote_});
  }
  if (new_term || role_ != Role::kFollower) draw_timeout(now);
  if (!PLANT("R11")) progress_.clear();
  term_start_ = LogIndex{};
  configuring_ = false;
  transfer_to_.reset();
  granted_.clear();
  set_role(Role::kFollower, leader, out);
}

void Raft::set_role(Role role, std::optional<ReplicaId> leader, Effects& out) {
  if (role == role_ && leader == leader_ && term_ == announced_term_) return;
  role_ = role;
  leader_ = leader;
  announced_term_ = term_;
  out.role_changed(role_, term_, leader_);
}

void Raft::heard_leader(Instant heard) {
  leader_heard_ = std::max(leader_heard_, heard);
  deadline_ = std::max(deadline_, heard + timeout_);
}

void Raft::draw_timeout(Instant now) {
  const int64_t ns =
      random_.between(options_.election_timeout_min.ns, options_.election_timeout_max.ns);
  timeout_ = Duration{ns};
  deadline_ = now + timeout_;
}

}  // namespace taffrail
