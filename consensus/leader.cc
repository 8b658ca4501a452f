// The sending side of replication: what each replica has, what it is sent next, what is committed.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "consensus/quorum.h"
#include "consensus/raft.h"

namespace taffrail {

const Progress* Raft::find_progress(ReplicaId replica) const {
  const auto at =
      std::lower_bound(progress_.begin(), progress_.end(), replica,
                       [](const Progress& p, const ReplicaId& r) { return p.replica < r; });
  return at != progress_.end() && at->replica == replica ? &*at : nullptr;
}

Progress* Raft::find_progress(ReplicaId replica) {
  return const_cast<Progress*>(std::as_const(*this).find_progress(replica));
}

// One Progress for each other member of the membership in force; those that stay keep theirs.
void Raft::rebuild_progress(Instant now) {
  std::vector<Progress> next;
  for (const ReplicaId& member : configuration().members()) {
    if (member == options_.self) continue;
    if (Progress* known = find_progress(member)) {
      next.push_back(std::move(*known));
      continue;
    }
    Progress fresh;
    fresh.replica = member;
    fresh.next = log_.last().index + 1;
    fresh.first_serial = serials_used_;
    fresh.next_serial = fresh.stream_serial = std::max<uint64_t>(serials_used_, 1);
    fresh.contact = now;  // A full timeout to be heard of.
    next.push_back(std::move(fresh));
  }
  for (const Progress& known : progress_) serials_used_ = std::max(serials_used_, known.next_serial);
  progress_ = std::move(next);
}

bool Raft::accepts_appends() const {
  return role_ == Role::kLeader && term_start_ > LogIndex{} && (!transfer_to_ || PLANT("R41"));
}

void Raft::append(std::span<const EntryMeta> entries, Instant now, Effects& out,
                  const Configuration* configuration) {
  CHECK(role_ == Role::kLeader, "only a leader appends to its log");
  for (const EntryMeta& entry : entries) {
    CHECK(entry.term == term_, "I-R2 a leader appends in its own term");
    if (term_start_ == LogIndex{}) {
      CHECK(entry.kind == EntryKind::kNoop, "a term opens with a no-op");
      term_start_ = entry.index;
    }
    if (entry.kind == EntryKind::kConfig) {
      CHECK(configuration != nullptr, "a membership entry comes with its membership");
      log_.append(entry.id(), *configuration);
      configuring_ = false;
      rebuild_progress(now);
    } else {
      log_.append(entry.id());
    }
  }
  for (Progress& progress : progress_) want(progress, out);
}

bool Raft::has_work(const Progress& progress) const {
  if (progress.state == Progress::State::kSnapshot) return false;
  // What a hole hides is not sent before it is filled.
  if (progress.next <= log_.known_from()) return false;
  if (progress.state == Progress::State::kProbe) return progress.in_flight.empty();
  return progress.next <= log_.last().index && progress.in_flight.size() < options_.max_in_flight;
}

void Raft::want(Progress& progress, Effects& out) {
  if (progress.state == Progress::State::kSnapshot) return;
  if (progress.next <= log_.prefix().index && !PLANT("R08")) {
    progress.state = Progress::State::kSnapshot;
    progress.offered.reset();
    progress.in_flight.clear();
    return out.want_snapshot(progress.replica);
  }
  if (has_work(progress)) out.want_append(progress.replica);
}

std::optional<Raft::AppendPlan> Raft::next_append(ReplicaId to) const {
  if (role_ != Role::kLeader || term_start_ == LogIndex{}) return std::nullopt;
  const Progress* progress = find_progress(to);
  if (!progress || !has_work(*progress)) return std::nullopt;
  // A probe takes one entry along: enough to be of use if it is welcome, and no loss if it is not.
  const bool probe = progress->state == Progress::State::kProbe;
  const LogIndex last = probe ? std::min(progress->next, log_.last().index) : log_.last().index;
  return AppendPlan{.to = to,
                    .term = term_,
                    .serial = progress->next_serial,
                    .prev = PLANT("R08") && progress->next <= log_.prefix().index ? EntryId{progress->next - 1, Term(0)} : log_.at(progress->next - 1),
                    .first = progress->next,
                    .last = last,
                    .probe = probe};
}

std::optional<AppendRequest> Raft::make_append(const AppendPlan& plan,
                                               std::span<const EntryMeta> entries, Instant now) {
  const std::optional<AppendPlan> valid = next_append(plan.to);
  if (!valid || valid->term != plan.term || valid->serial != plan.serial ||
      valid->first != plan.first || valid->prev != plan.prev) {
    return std::nullopt;
  }
  if (entries.empty() && !valid->probe) return std::nullopt;
  LogIndex expected = valid->first;
  for (const EntryMeta& entry : entries) {
    // They come from a disk: what does not fit is not sent, and what reads it will have to say why.
    if (entry.index != expected || expected > valid->last || !log_.contains(entry.id())) {
      return std::nullopt;
    }
    ++expected;
  }
  AppendRequest request{.term = term_,
                        .serial = plan.serial,
                        .prev = plan.prev,
                        .commit = commit_,
                        .entries = {entries.begin(), entries.end()},
                        .configurations = {}};
  Progress& progress = *find_progress(plan.to);
  ++progress.next_serial;
  progress.in_flight.push_back({plan.serial, request.last(), now});
  if (progress.state == Progress::State::kStream) progress.next = request.last() + 1;
  progress.commit_told = std::max(progress.commit_told, std::min(commit_, request.last()));
  return request;
}

std::optional<SnapshotOffer> Raft::snapshot_offer(ReplicaId to, EntryId last,
                                                  const Configuration& configuration) const {
  const Progress* progress = find_progress(to);
  if (role_ != Role::kLeader || !progress || progress->state != Progress::State::kSnapshot) {
    return std::nullopt;
  }
  SnapshotOffer offer{.term = term_, .last = last, .configuration = configuration};
  if (PLANT("R19")) offer.configuration.old_voters.clear();
  return offer;
}

void Raft::on_append_reply(ReplicaId from, const AppendReply& reply, Instant now, Effects& out) {
  // A removed replica, or one that was never asked, may still answer: nobody counts it.
  Progress* progress = find_progress(from);
  if (role_ != Role::kLeader && !PLANT("R11")) return;
  if (!progress) return;
  if (reply.serial < progress->first_serial) return;
  progress->contact = std::max(progress->contact, now);
  if (reply.serial >= progress->next_serial || (reply.ok && reply.match > log_.last().index)) {
    return out.quarantine("I-R6 match bound", from,
                          fmt::format("match {} of a log that ends at {}", reply.match.value,
                                      log_.last().index.value));
  }
  if (reply.ok) {
    // Answers come in order: whatever was sent before is not coming any more.
    auto& flying = progress->in_flight;
    while (!flying.empty() && flying.front().serial <= reply.serial) flying.pop_front();
    if (progress->state == Progress::State::kProbe && reply.serial >= progress->stream_serial) {
      progress->state = Progress::State::kStream;
    }
    return on_match(from, reply.match, now, out);
  }
  // Of a stream that was given up: several requests are refused for one reason.
  if (reply.serial < progress->stream_serial) return;
  const std::optional<LogIndex> shared = log_.shared_below(reply.hint);
  // An index below the prefix: want() turns it into a snapshot.
  const LogIndex agreed = shared.value_or(log_.prefix().index - 1);
  fell_back(*progress, agreed, out);
}

// Its log is this one's up to `agreed` at most. Where it had acknowledged more, its disk went back on its word: what it
// lost no longer counts.
void Raft::fell_back(Progress& progress, LogIndex agreed, Effects& out) {
  if (agreed < progress.match) progress.refilled_at = std::max(progress.refilled_at, progress.match);
  progress.match = std::min(progress.match, std::max(agreed, LogIndex{}));
  progress.probe_from(std::max(agreed, LogIndex{-1}) + 1);
  want(progress, out);
}

void Raft::on_snapshot_reply(ReplicaId from, const SnapshotReply& reply, Instant now,
                             Effects& out) {
  Progress* progress = find_progress(from);
  if (role_ != Role::kLeader || !progress) return;
  progress->contact = std::max(progress->contact, now);
  if (reply.match > log_.last().index) {
    return out.quarantine("I-R6 match bound", from, "a snapshot ends behind this log");
  }
  if (progress->state == Progress::State::kSnapshot) {
    progress->probe_from(std::max(reply.match, log_.prefix().index) + 1);
  }
  on_match(from, reply.match, now, out);
}

// `from` holds this log up to `match`, durably.
void Raft::on_match(ReplicaId from, LogIndex match, Instant now, Effects& out) {
  Progress* progress = find_progress(from);
  progress->match = std::max(progress->match, match);
  progress->next = std::max(progress->next, progress->match + 1);
  if (progress->state == Progress::State::kSnapshot && progress->next > log_.prefix().index) {
    progress->probe_from(progress->next);
  }
  lead_commit(now, out);
  // That may have ended the leadership, or the membership of `from`.
  progress = find_progress(from);
  if (role_ != Role::kLeader || !progress) return;
  want(*progress, out);
  tell_commit(*progress, out);
  if (transfer_to_ == from && progress->match == log_.last().index)
    out.send(from, TimeoutNow{term_});
}

void Raft::lead_commit(Instant now, Effects& out) {
  const auto match = [this](const ReplicaId& voter) {
    if (voter == options_.self) return durable_;
    const Progress* progress = find_progress(voter);
    return progress ? progress->match : LogIndex{};
  };
  LogIndex reached = quorum_value<LogIndex>(configuration(), LogIndex{}, match);
  if (PLANT("R17")) {
    const Configuration all{.voters = configuration().members()};
    reached = std::max(reached, quorum_value<LogIndex>(all, LogIndex{}, match));
  }
  if (PLANT("R18") && !configuration().is_voter(options_.self)) {
    Configuration with_self = configuration();
    with_self.voters.push_back(options_.self);
    reached = std::max(reached, quorum_value<LogIndex>(with_self, LogIndex{}, match));
  }
  if (reached <= commit_) return;
  // Figure 8 of the Raft paper: an entry of an earlier term may be on a majority and still be
  // overwritten. It commits with the first entry of this term behind it.
  if (log_.term_at(reached) != term_ && !PLANT("R01")) return;
  advance_commit(reached, out);
  if (role_ != Role::kLeader) return;
  for (Progress& progress : progress_) tell_commit(progress, out);
  finish_configuration(now, out);
}

void Raft::tell_commit(Progress& progress, Effects& out) {
  // Whoever lacks entries hears of the commit with them, whoever is probed with the probe, and
  // whoever is not known to hold the entry when its acknowledgement comes.
  if (progress.state != Progress::State::kStream || progress.next <= log_.last().index) return;
  if (progress.match < commit_ || progress.commit_told >= commit_) return;
  progress.commit_told = commit_;
  out.send(progress.replica, CommitNotice{.term = term_, .commit = log_.at(commit_)});
}

bool Raft::members_settled() const {
  return role_ == Role::kLeader && !configuring_ && commit_ >= log_.configuration_index() && !configuration().joint();
}

Result<> Raft::propose_configuration(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners,
                                     Instant, Effects& out, int64_t revision) {
  if (role_ != Role::kLeader) return fail(Errc::kNotLeader, "this replica does not lead");
  if (!members_settled() && !PLANT("R15")) return fail(Errc::kBusy, "an earlier change of members is not yet committed");
  if (transfer_to_) return fail(Errc::kBusy, "the leadership is being handed over");
  if (revision < configuration().revision) return fail(Errc::kInvalid, "the members follow a later assignment already");
  if ((term_start_ == LogIndex{} || commit_ < term_start_) && !PLANT("R15")) {
    return fail(Errc::kBusy, "nothing of this term is committed yet");
  }
  Configuration next{.voters = sorted_replicas(std::move(voters)),
                     .old_voters = {},
                     .learners = sorted_replicas(std::move(learners)),
                     .revision = revision};
  if (!well_formed(next)) return fail(Errc::kInvalid, "no voters, or a learner that votes");
  if (next.voters != configuration().voters) next.old_voters = configuration().voters;
  configuring_ = true;
  out.append_configuration(std::move(next));
  return {};
}

// What follows from the commit of the membership in force.
void Raft::finish_configuration(Instant now, Effects& out) {
  if (configuring_ || commit_ < log_.configuration_index()) return;
  if (configuration().joint()) {
    configuring_ = true;
    return out.append_configuration(
        {.voters = configuration().voters,
         .old_voters = {},
         .learners = configuration().learners,
         .revision = configuration().revision});
  }
  if (configuration().is_voter(options_.self)) return;
  // Voted out, and that is committed: somebody who has it all goes on, the sooner the better.
  for (const Progress& progress : progress_) {
    if (progress.match == log_.last().index && configuration().is_voter(progress.replica)) {
      out.send(progress.replica, TimeoutNow{term_});
      break;
    }
  }
  become_follower(term_, std::nullopt, now, out);
}

// What was under way to it is lost.
void Raft::reprobe(Progress& progress, Effects& out) {
  using State = Progress::State;
  switch (progress.state) {
    case State::kStream:
      progress.probe_from(progress.match + 1);
      break;
    case State::kProbe:
      progress.probe_from(progress.next);
      break;
    case State::kSnapshot:
      progress.probe_from(log_.prefix().index + 1);
      break;
  }
  progress.commit_told = LogIndex{};
  want(progress, out);
}

void Raft::link_reset(BrokerId node, Instant, Effects& out) {
  // A voter that was away, or whose link was, is asked now: waiting for the next round of the election costs its timeout.
  if (role_ == Role::kPreCandidate || role_ == Role::kCandidate) {
    const bool pre = role_ == Role::kPreCandidate;
    const VoteRequest request{.term = pre ? term_ + 1 : term_, .last = log_.last(), .pre = pre};
    for (const ReplicaId& member : configuration().members()) {
      if (member.node != node || member == options_.self || !configuration().is_voter(member)) continue;
      pre ? out.send(member, request) : out.send_once_durable(member, request);
    }
    return;
  }
  if (role_ != Role::kLeader || term_start_ == LogIndex{}) return;
  for (Progress& progress : progress_) {
    if (progress.replica.node == node) reprobe(progress, out);
  }
}

void Raft::snapshot_sent(ReplicaId to, Instant, Effects& out) {
  Progress* progress = find_progress(to);
  if (role_ != Role::kLeader || !progress) return;
  if (progress->state == Progress::State::kSnapshot) reprobe(*progress, out);
}

void Raft::retry_lost(Instant now, Effects& out) {
  for (Progress& progress : progress_) {
    const auto& flying = progress.in_flight;
    if (!flying.empty() && now >= flying.front().sent + options_.append_timeout) {
      reprobe(progress, out);
    } else if (progress.state == Progress::State::kSnapshot) {
      // An offer may be lost too: a node that starts again hears it before it has opened the group. Asking
      // where the logs agree leads to another offer; one that is being fetched is not fetched twice.
      if (!progress.offered) {
        progress.offered = now;
      } else if (now >= *progress.offered + options_.append_timeout) {
        reprobe(progress, out);
      }
    }
  }
}

}  // namespace taffrail
