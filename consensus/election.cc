// Elections: asking for votes, giving them, losing the leadership, handing it over.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "consensus/quorum.h"
#include "consensus/raft.h"

namespace taffrail {

namespace {

bool holds(const std::vector<ReplicaId>& sorted, const ReplicaId& replica) {
  return std::binary_search(sorted.begin(), sorted.end(), replica);
}

void insert(std::vector<ReplicaId>& sorted, const ReplicaId& replica) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), replica);
  if (at == sorted.end() || *at != replica) sorted.insert(at, replica);
}

// Of both halves, while joint. Sorted.
std::vector<ReplicaId> all_voters_of(const Configuration& configuration) {
  std::vector<ReplicaId> all = configuration.voters;
  for (const ReplicaId& voter : configuration.old_voters) insert(all, voter);
  return all;
}

// Raft paper, 5.4.1: the later last term wins; of equal ones, the longer log.
bool reaches(EntryId log, EntryId at_least) {
  return log.term > at_least.term || (log.term == at_least.term && log.index >= at_least.index);
}

}  // namespace

void Raft::campaign_if_allowed(Instant now, Effects& out) {
  // Whoever led has not been heard of for long enough, whether or not this replica may do something
  // about it.
  if (!may_campaign()) {
    draw_timeout(now);
    return set_role(Role::kFollower, std::nullopt, out);
  }
  options_.pre_vote ? start_pre_vote(now, out) : start_election(false, now, out);
}

void Raft::campaign(Instant now, Effects& out) {
  if (role_ == Role::kFollower && !leader_) campaign_if_allowed(now, out);
}

// A replica that its last membership leaves out still campaigns while that membership may be
// uncommitted (thesis, 4.2.2): it may be the only one whose log is long enough to win. Without its
// own vote it then commits the membership, and steps down.
bool Raft::may_campaign() const {
  return has_joined() && !standby_ && !possibly_longer_ && !vote_doubtful_ && log_.is_voter_since(commit_, options_.self);
}

void Raft::start_pre_vote(Instant now, Effects& out) {
  draw_timeout(now);
  set_role(Role::kPreCandidate, std::nullopt, out);
  granted_ = {options_.self};
  const auto yes = [this](const ReplicaId& voter) { return holds(granted_, voter); };
  if (quorum_of(configuration(), yes)) return start_election(false, now, out);
  for (const ReplicaId& member : configuration().members()) {
    if (member == options_.self || !configuration().is_voter(member)) continue;
    out.send(member, VoteRequest{.term = term_ + 1, .last = log_.last(), .pre = true});
  }
}

void Raft::start_election(bool transfer, Instant now, Effects& out) {
  draw_timeout(now);
  // R05: a vote for itself that the disk remembers is taken up again, as if nothing had been led with it.
  if (!(PLANT("R05") && vote_ == options_.self && role_ != Role::kCandidate))
    set_term(term_ + 1, PLANT("R04") && vote_ ? vote_ : options_.self, out);
  set_role(Role::kCandidate, std::nullopt, out);
  if (!PLANT("R29")) granted_.clear();
  // Its own vote is one like any other: it counts when it is durable. A group of one that led
  // before would lead the same term twice, with two histories, after a crash at the wrong moment.
  out.send_once_durable(options_.self, VoteReply{.term = term_, .granted = true});
  for (const ReplicaId& member : configuration().members()) {
    if (member == options_.self || !configuration().is_voter(member)) continue;
    out.send_once_durable(member,
                          VoteRequest{.term = term_, .last = log_.last(), .transfer = transfer});
  }
}

bool Raft::protects_leader(Instant now) const {
  if (!options_.check_quorum) return false;
  if (role_ == Role::kLeader) return true;  // It steps down by itself once it hears of no quorum.
  return leader_ && now < leader_heard_ + options_.election_timeout_min;
}

// What a replica of this name held and promised before it was sent away is gone: until its log reaches the membership
// that brought it back, its vote could elect somebody who lacks what that one had acknowledged.
bool Raft::has_joined() const {
  return options_.joined == 0 || PLANT("R57") || configuration().revision >= options_.joined;
}

std::vector<ReplicaId> Raft::asked_in_doubt() const {
  std::vector<ReplicaId> asked = all_voters_of(configuration());
  for (const ReplicaId& voter : told_voters_) insert(asked, voter);
  std::erase(asked, options_.self);
  return asked;
}

bool Raft::may_vote_for(EntryId last) const {
  if (!has_joined()) return false;
  // In doubt about the end of this log: not before everybody has said where theirs end, and then
  // only for one that reaches as far as the furthest of them.
  if (possibly_longer_) {
    if (!std::ranges::includes(tail_answered_, asked_in_doubt())) return false;
    if (!reaches(last, vote_floor_)) return false;
  }
  return reaches(last, log_.last());
}

void Raft::on_vote_request(ReplicaId from, const VoteRequest& request, Instant now, Effects& out) {
  if (request.pre) {
    const bool granted =
        request.term > term_ && !protects_leader(now) && may_vote_for(request.last);
    if (granted && PLANT("R28")) draw_timeout(now);
    // Neither the term nor the timer moves: a pre-vote promises nothing. A refusal tells this
    // replica's term, so that one who is behind asks for a later term the next time.
    return out.send(
        from, VoteReply{.term = granted ? request.term : term_, .pre = true, .granted = granted});
  }
  // `leader_`: this term has its leader already, and an election that came late is of no use.
  const bool granted = role_ == Role::kFollower && !leader_ && (!vote_ || *vote_ == from) && !vote_doubtful_ &&
                       may_vote_for(request.last);
  const bool planted = PLANT("R04") && vote_ && *vote_ == from && may_vote_for(request.last);
  if (!granted && !planted) return out.send(from, VoteReply{.term = term_});
  if (!vote_) {
    vote_ = from;
    out.persist({term_, vote_});
  }
  // The candidate gets the time it needs; it would otherwise be interrupted by those who chose it.
  draw_timeout(now);
  // Asked twice, this waits too: the first answer may still be waiting for the disk.
  const VoteReply reply{.term = term_, .granted = true};
  PLANT("R02") ? out.send(from, reply) : out.send_once_durable(from, reply);
}

void Raft::on_vote_reply(ReplicaId from, const VoteReply& reply, Instant now, Effects& out) {
  if (!reply.granted) return;
  // A grant of another term, or of the other kind, says nothing about this campaign.
  if (reply.pre ? role_ != Role::kPreCandidate || reply.term != term_ + 1
                : role_ != Role::kCandidate || reply.term != term_) {
    return;
  }
  insert(granted_, from);
  const auto yes = [this](const ReplicaId& voter) { return holds(granted_, voter); };
  if (!quorum_of(configuration(), yes)) return;
  reply.pre ? start_election(false, now, out) : become_leader(now, out);
}

void Raft::become_leader(Instant now, Effects& out) {
  granted_.clear();
  progress_.clear();
  set_role(Role::kLeader, options_.self, out);
  term_start_ = LogIndex{};
  configuring_ = false;
  serials_used_ = 0;
  transfer_to_.reset();
  rebuild_progress(now);
  // Nothing of earlier terms commits by counting (Raft paper, 5.4.2): an entry of this term must
  // come.
  out.append_noop();
}

Instant Raft::quorum_contact() const {
  return quorum_value<Instant>(configuration(), Instant{}, [this](const ReplicaId& voter) {
    if (voter == options_.self) return Instant::never();
    const Progress* progress = find_progress(voter);
    return progress ? progress->contact : Instant{};
  });
}

void Raft::check_quorum(Instant now, Effects& out) {
  if (!options_.check_quorum) return;
  if (now < quorum_contact() + options_.election_timeout_max) return;
  become_follower(term_, std::nullopt, now, out);
}

Result<> Raft::transfer_leadership(ReplicaId to, Instant now, Effects& out) {
  if (role_ != Role::kLeader) return fail(Errc::kNotLeader, "this replica does not lead");
  if (to == options_.self || !configuration().is_voter(to)) {
    return fail(Errc::kInvalid, "the leadership goes to another voter only");
  }
  if (transfer_to_ && *transfer_to_ != to)
    return fail(Errc::kBusy, "another transfer is under way");
  transfer_to_ = to;
  transfer_deadline_ = now + options_.election_timeout_max;
  const Progress* progress = find_progress(to);
  if (progress->match == log_.last().index) out.send(to, TimeoutNow{term_});
  return {};
}

void Raft::on_timeout_now(ReplicaId from, const TimeoutNow&, Instant now, Effects& out) {
  if (!follow(from, now, now, out)) return;
  if (may_campaign()) start_election(true, now, out);
}

// The end of this log may be lost. What settles the doubt: whatever was committed is held by a
// quorum, so it is enough to hear of so many logs that do not reach beyond this one that the rest,
// this one included, is no quorum. If some do reach further, this replica waits for a leader to
// refill it.

void Raft::set_possibly_longer(bool possibly, Instant now, Effects& out) {
  possibly_longer_ = possibly;
  vote_floor_ = {};
  tail_answered_.clear();
  tail_not_beyond_.clear();
  if (!possibly) return;
  ask_for_tail(now, out);
}

void Raft::set_vote_doubtful(Instant now, Effects& out) {
  if (PLANT("R51")) return;
  vote_doubtful_ = true;
  vote_seen_ = {};
  vote_answered_.clear();
  ask_for_tail(now, out);
  settle_vote_if_answered(now, out);
}

void Raft::settle_vote_if_answered(Instant now, Effects& out) {
  if (!vote_doubtful_ || configuration().empty()) return;
  if (!std::ranges::includes(vote_answered_, asked_in_doubt())) return;
  settle_vote(now, out);
}

void Raft::settle_vote(Instant now, Effects& out) {
  if (vote_seen_ > term_) become_follower(vote_seen_, std::nullopt, now, out);
  if (!vote_) {
    vote_ = options_.self;
    out.persist({term_, vote_});
  }
  vote_doubtful_ = false;
  vote_answered_.clear();
  end_doubts(out);
}

// Of the two doubts the last one is over.
void Raft::end_doubts(Effects& out) {
  if (possibly_longer_ || vote_doubtful_) return;
  told_voters_.clear();
  out.tail_settled();
}

void Raft::ask_for_tail(Instant now, Effects& out) {
  tail_retry_ = now + options_.election_timeout_min;
  for (const ReplicaId& voter : asked_in_doubt()) out.send(voter, TailQuery{.term = term_, .last = log_.last()});
  if (possibly_longer_) settle_tail_if_answered(out);
}

void Raft::on_tail_query(ReplicaId from, const TailQuery& query, Effects& out) {
  out.send(
      from,
      TailAnswer{
          .term = term_, .asked = query.last, .last = log_.last(), .doubtful = possibly_longer_ || !has_joined(),
          .voters = log_.last() == query.last ? std::vector<ReplicaId>() : all_voters_of(configuration())});
  // What this leader sent it before it could hear is lost, and some of what it had acknowledged may be: waiting for it to
  // refuse the next request would take a timeout.
  Progress* progress = role_ == Role::kLeader && term_start_ > LogIndex{} ? find_progress(from) : nullptr;
  if (progress == nullptr || PLANT("R75")) return;
  const LogIndex agreed = log_.shared_below(query.last).value_or(log_.prefix().index - 1);
  if (agreed >= progress->match && progress->state == Progress::State::kStream) return;
  progress->refilled_at = log_.last().index;
  if (progress->state != Progress::State::kSnapshot) fell_back(*progress, agreed, out);
}

TailAnswer answer_for_old_disk() {
  TailAnswer answer;
  if (!PLANT("R67")) answer.asked.index = LogIndex(1);
  answer.doubtful = true;
  return answer;
}

// A majority of those that this log knows as voters stands behind each membership that came after: one of them at least
// answers, and knows it. Its voters are asked in turn, for what came after that.
void Raft::note_later_voters(const TailAnswer& answer, Effects& out) {
  if (reaches(log_.last(), answer.last) || PLANT("R70")) return;
  const std::vector<ReplicaId> asked = asked_in_doubt();
  for (const ReplicaId& voter : answer.voters) {
    if (voter == options_.self || holds(asked, voter)) continue;
    insert(told_voters_, voter);
    out.send(voter, TailQuery{.term = term_, .last = log_.last()});
  }
}

void Raft::on_tail_answer(ReplicaId from, const TailAnswer& answer, Instant now, Effects& out) {
  if (vote_doubtful_ || possibly_longer_) note_later_voters(answer, out);
  if (vote_doubtful_) {
    insert(vote_answered_, from);
    vote_seen_ = std::max(vote_seen_, answer.term);
    settle_vote_if_answered(now, out);
  }
  // About an end that has moved since: the next query asks about the new one.
  if (!possibly_longer_ || answer.asked != log_.last()) return;
  insert(tail_answered_, from);
  if (reaches(answer.last, vote_floor_)) vote_floor_ = answer.last;
  if (!answer.doubtful && reaches(log_.last(), answer.last)) insert(tail_not_beyond_, from);
  settle_tail_if_answered(out);
}

void Raft::voter_lost(ReplicaId voter, Instant now, Effects& out) {
  if (!holds(asked_in_doubt(), voter) || PLANT("R52")) return;
  if (vote_doubtful_) {
    insert(vote_answered_, voter);
    settle_vote_if_answered(now, out);
  }
  if (!possibly_longer_) return;
  insert(tail_answered_, voter);
  if (PLANT("R53")) insert(tail_not_beyond_, voter);
  settle_tail_if_answered(out);
}

std::vector<ReplicaId> Raft::silent_in_doubt() const {
  std::vector<ReplicaId> silent = asked_in_doubt();
  std::erase_if(silent, [this](const ReplicaId& voter) {
    return (!possibly_longer_ || holds(tail_answered_, voter)) && (!vote_doubtful_ || holds(vote_answered_, voter));
  });
  return silent;
}

Result<> Raft::give_up_doubts(const std::function<bool(BrokerId)>& may_answer, Instant now, Effects& out) {
  if (!possibly_longer_ && !vote_doubtful_) return fail(Errc::kInvalid, "it has lost nothing that it knows of");
  for (const ReplicaId& voter : silent_in_doubt())
    if (may_answer(voter.node) && !PLANT("R77"))
      return fail(Errc::kBusy, fmt::format("broker {} has not said yet what it holds", voter.node.value));
  if (vote_doubtful_) settle_vote(now, out);
  if (possibly_longer_) settle_tail(out);
  return {};
}

void Raft::settle_tail_if_answered(Effects& out) {
  const auto may_hold_more = [this](const ReplicaId& voter) {
    return !holds(tail_not_beyond_, voter);
  };
  if (!configuration().empty() && !quorum_of(configuration(), may_hold_more)) {
    return settle_tail(out);
  }
  const auto silent = [this](const ReplicaId& voter) {
    return voter != options_.self && !holds(tail_answered_, voter);
  };
  const auto& [voters, old_voters, learners, revision] = configuration();
  if (std::any_of(voters.begin(), voters.end(), silent) ||
      std::any_of(old_voters.begin(), old_voters.end(), silent)) {
    return;
  }
  // Everybody has answered, and nobody has more: if it was ever anywhere, it is lost to all.
  if (!configuration().empty() && reaches(log_.last(), vote_floor_)) settle_tail(out);
}

void Raft::settle_tail(Effects& out) {
  possibly_longer_ = false;
  vote_floor_ = {};
  tail_answered_.clear();
  tail_not_beyond_.clear();
  end_doubts(out);
}

}  // namespace taffrail
