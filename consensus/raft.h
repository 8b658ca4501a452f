// Raft: a pure step function. Inputs in, effects out; no clock, no socket, no disk.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/units.h"
#include "consensus/effects.h"
#include "consensus/log_view.h"
#include "consensus/progress.h"

namespace taffrail {

/// One replica of one group: elections, replication, commitment and membership (Raft, Ongaro's
/// thesis), with pre-vote (9.6), check-quorum and leader protection (4.2.3), leadership transfer
/// (3.10), learners (4.2.1) and joint consensus (4.3); the leader replicates before its own disk is
/// done (10.2.1).
///
///                       deadline, quorum of             quorum of
///                     .--pre-votes------>. .---------.--votes-----.
///     kFollower ----> kPreCandidate ---> kCandidate ---> kLeader
///         ^ ^--------------'-------------------'            |
///         '-- a higher term, a leader of this term, no quorum heard of, voted out --'
///
/// Every input takes `now`, which never falls, and `out`, to which it adds. The driver carries
/// effects out in order before the next input, AppendOwn included: it appends the entry and calls
/// append() with effects of its own. Raft trusts its driver and itself (CHECK), and nobody else: a
/// message that contradicts what is known is reported by Effects::quarantine and ignored.
///
/// Log bytes are pulled, not pushed: WantAppend says that next_append() has work; the driver reads
/// those entries, perhaps waiting for the disk, and make_append() turns them into a request, or
/// into nothing if the world moved on meanwhile.
///
/// Cost: the memory of a follower is its runs of terms and its memberships. No input looks at more
/// than the members, a few runs, and the entries of its own message.
class Raft {
 public:
  struct Options {
    ReplicaId self;
    /// A replica that has not heard of a leader for a time drawn from here, anew for each role and
    /// term, campaigns. No vote is given while a leader was heard of within the minimum; a leader
    /// that has not heard of a quorum for the maximum steps down.
    Duration election_timeout_min = Duration::from_ms(1000);
    Duration election_timeout_max = Duration::from_ms(2000);
    /// A request that is unanswered for so long is taken for lost, and the replica probed.
    Duration append_timeout = Duration::from_ms(2000);
    size_t max_in_flight = 16;  ///< Unanswered requests to one replica.
    bool pre_vote = true;
    bool check_quorum = true;
    /// The revision of the assignment that brought this replica to a group that was there before; 0: it was founded
    /// with the group. It neither votes nor campaigns before its log has a membership of that revision, or later.
    int64_t joined = 0;
  };

  /// A replica that starts, as a follower: `hard` and `log` are durable, and `commit` is known to
  /// be committed (the log start, or an applied snapshot). `seed` is for election jitter, and
  /// differs between replicas and between starts.
  Raft(const Options& options, HardState hard, LogView log, LogIndex commit, uint64_t seed,
       Instant now);

  // Inputs: the network.

  /// A message for this replica. `from` is what the connection has proved. Messages may come late,
  /// twice, or in any order.
  void step(ReplicaId from, const Message& message, Instant now, Effects& out);
  /// The connection to `node` broke: what was under way on it is lost. Also when a new one stands:
  /// both make Raft probe again. WantAppend follows; a driver without a connection lets it be.
  void link_reset(BrokerId node, Instant now, Effects& out);
  /// The connection by which `node` sends to this one ended, and it has no other: its process died, most
  /// likely. A follower of it then asks for pre-votes at once, without waiting for the rest of its timeout.
  /// A leader that lives is in no danger: it refuses, and so does everyone who still hears it.
  void sender_gone(BrokerId node, Instant now);
  /// `node`'s heartbeat, heard at `heard`, lists this group as led by its replica `from` in `term`.
  /// `heard` may lie before now: a driver of many groups may tell just before tick().
  void leader_contact(ReplicaId from, Term term, Instant heard, Instant now, Effects& out);
  /// `replica` answered a heartbeat that listed this group, at `heard`. Likewise lazily.
  /// Not if the answer refused this group.
  void peer_contact(const ReplicaId& replica, Instant heard);

  // Inputs: time.

  /// Does what is due. Early calls are harmless.
  void tick(Instant now, Effects& out);
  /// When tick() next has something to do; Instant::never() if only other inputs can bring that
  /// about.
  Instant next_deadline() const;

  // Inputs: the local log.

  /// Of a log that was open before: it holds more than is durable, which is `durable`. At once behind the constructor,
  /// which takes all of the log for durable; a persist mark tells of the rest.
  void set_durable(LogIndex durable);
  /// True if this replica leads, its term's first entry is in the log, and no transfer is under
  /// way.
  bool accepts_appends() const;
  /// The leader's driver appended these to the local log: indices continue, terms are term(). For
  /// the entry of an AppendOwn the configuration comes along. Precondition: accepts_appends(), or
  /// it is AppendOwn's.
  void append(std::span<const EntryMeta> entries, Instant now, Effects& out,
              const Configuration* configuration = nullptr);

  /// How far the log had got when something was handed to the disk. `cuts` tells apart two entries
  /// of equal index and term between which the log was cut.
  struct PersistMark {
    EntryId last;
    uint64_t cuts = 0;
    bool operator==(const PersistMark&) const = default;
  };
  /// Taken when the driver hands effects, or own appends, to the disk; given back when they are
  /// durable.
  PersistMark persist_mark() const { return {log_.last(), cuts_}; }
  /// Everything up to `mark` is durable. Ignored where the log has been cut since: the mark may
  /// speak of entries that are no longer the log's (a later mark covers what came instead).
  void on_persisted(PersistMark mark, Instant now, Effects& out);
  /// Everything up to `index`, which is committed, was removed from the front of the local log. Whoever still needed
  /// some of it is given a snapshot.
  void on_prefix_dropped(LogIndex index, Effects& out);
  /// The log as it reads after its holes were filled: log(), with the terms and memberships that were hidden.
  void on_repaired(LogView log, Instant now);
  /// A snapshot up to `last` was made durable in place of the log up to there. Ignored if the
  /// commit index is not below it: an older snapshot never replaces a newer state. True if it was
  /// taken; the log behind `last` then remains exactly if the log held `last`.
  bool on_snapshot_installed(EntryId last, const Configuration& configuration, Instant now,
                             Effects& out);
  /// The driver gave up on the snapshot it was sending, or sent it: the replica is probed again.
  void snapshot_sent(ReplicaId to, Instant now, Effects& out);
  /// Whether the end of the log may be lost to damage. While set, the replica does not campaign,
  /// and does not vote but for a log that surely holds what was lost; it asks the others
  /// (TailQuery) until their answers rule out that a committed entry is missing, and says
  /// TailSettled then.
  void set_possibly_longer(bool possibly, Instant now, Effects& out);
  /// The term or the vote that the disk remembers may be older than what this replica last promised.
  /// It neither votes nor campaigns until every voter has told its term: whoever it may have voted
  /// for had made that term durable before it asked. It then spends its vote of the highest of them
  /// on itself, so that nobody gets a second one. TailSettled says that both doubts are over.
  void set_vote_doubtful(Instant now, Effects& out);
  /// While set, this replica votes and follows, and does not campaign: it could not do a leader's work.
  void set_standby(bool standby) { standby_ = standby; }
  /// The node of a voter came up with another disk: what the voter held and promised is gone with the
  /// old one. It counts as having answered, with nothing.
  void voter_lost(ReplicaId voter, Instant now, Effects& out);

  // Inputs: the operator.

  /// What this replica may have lost is given up: it votes and campaigns again with what it holds, and what only it and
  /// those that are gone had is lost. Errors: kInvalid: it is in no doubt; kBusy while a voter that `may_answer` has not
  /// said what it holds.
  Result<> give_up_doubts(const std::function<bool(BrokerId)>& may_answer, Instant now, Effects& out);

  /// Campaigns without waiting for a timeout, unless a leader is known: the first leader of a new
  /// group.
  void campaign(Instant now, Effects& out);

  /// Hands the leadership to a voter once it holds the whole log; given up after an election
  /// timeout. Errors: kNotLeader; kInvalid if `to` is not another voter; kBusy during another
  /// transfer.
  Result<> transfer_leadership(ReplicaId to, Instant now, Effects& out);
  /// Moves the group to new members: jointly, if voters change; the second half follows by itself.
  /// Errors: kNotLeader; kInvalid, also for a `revision` below that of the membership in force (who
  /// asks has an older assignment); kBusy during a transfer, and while an earlier one, or this term's
  /// first entry, is not yet committed (a change that overlaps an unknown one could make two majorities).
  Result<> propose_configuration(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners,
                                 Instant now, Effects& out, int64_t revision = 0);
  /// Leader only: the membership in force is committed, and no other one is under way.
  bool members_settled() const;

  // Sending the log, leader only.

  /// What to read for the next request to `to`.
  struct AppendPlan {
    ReplicaId to;
    Term term;
    uint64_t serial = 0;
    EntryId prev;
    LogIndex first;      ///< prev.index + 1.
    LogIndex last;       ///< The most that may be sent; below `first`: a request without entries.
    bool probe = false;  ///< It asks where the logs agree: one entry at most, and none will do.
  };
  /// Nothing if there is nothing to send, the window is full, or a snapshot is due.
  std::optional<AppendPlan> next_append(ReplicaId to) const;
  /// The request for the entries that the driver read: a prefix of plan.first to plan.last, at
  /// least one if the plan has any and is no probe. Nothing if the plan is out of date, or if what
  /// was read is not what the log holds. Afterwards it counts as sent; ask next_append() for more.
  std::optional<AppendRequest> make_append(const AppendPlan& plan,
                                           std::span<const EntryMeta> entries, Instant now);
  /// The header to send before a snapshot that covers up to `last`; nothing if no longer wanted.
  std::optional<SnapshotOffer> snapshot_offer(ReplicaId to, EntryId last,
                                              const Configuration& configuration) const;

  // What is known.

  const Options& options() const { return options_; }
  ReplicaId self() const { return options_.self; }
  /// Whose answers a replica in doubt waits for, itself excepted: all voters that it knows, and those it was told of.
  std::vector<ReplicaId> asked_in_doubt() const;
  /// Of those, who has said nothing yet; none without a doubt.
  std::vector<ReplicaId> silent_in_doubt() const;
  /// While possibly_longer(): the furthest end that another replica told.
  EntryId furthest_told() const { return vote_floor_; }
  Role role() const { return role_; }
  Term term() const { return term_; }
  /// Of a follower: when its leader was last heard of, and when it campaigns unless it hears of it again.
  Instant leader_heard() const { return leader_heard_; }
  Instant campaigns_at() const { return deadline_; }
  std::optional<ReplicaId> vote() const { return vote_; }
  std::optional<ReplicaId> leader() const { return leader_; }
  LogIndex commit() const { return commit_; }
  /// The log is durable up to here. On a leader it may lie above commit, and below.
  LogIndex durable() const { return durable_; }
  const LogView& log() const { return log_; }
  const Configuration& configuration() const { return log_.configuration(); }
  bool possibly_longer() const { return possibly_longer_; }
  bool vote_doubtful() const { return vote_doubtful_; }
  std::optional<ReplicaId> transferring_to() const { return transfer_to_; }
  /// On a leader, every other member, sorted; otherwise empty.
  std::span<const Progress> progress() const { return progress_; }

 private:
  // raft.cc: the frame, terms, time.
  void handle(ReplicaId from, const Message& message, Instant now, Effects& out);
  void answer_stale(ReplicaId from, const Message& message, Effects& out);
  void set_term(Term term, std::optional<ReplicaId> vote, Effects& out);
  void become_follower(Term term, std::optional<ReplicaId> leader, Instant now, Effects& out);
  void set_role(Role role, std::optional<ReplicaId> leader, Effects& out);
  void heard_leader(Instant heard);
  void draw_timeout(Instant now);

  // election.cc
  void campaign_if_allowed(Instant now, Effects& out);
  void start_pre_vote(Instant now, Effects& out);
  void start_election(bool transfer, Instant now, Effects& out);
  void become_leader(Instant now, Effects& out);
  bool protects_leader(Instant now) const;
  bool may_vote_for(EntryId last) const;
  bool may_campaign() const;
  bool has_joined() const;
  void on_vote_request(ReplicaId from, const VoteRequest& request, Instant now, Effects& out);
  void on_vote_reply(ReplicaId from, const VoteReply& reply, Instant now, Effects& out);
  void on_timeout_now(ReplicaId from, const TimeoutNow& message, Instant now, Effects& out);
  void on_tail_query(ReplicaId from, const TailQuery& query, Effects& out);
  void fell_back(Progress& progress, LogIndex agreed, Effects& out);
  void on_tail_answer(ReplicaId from, const TailAnswer& answer, Instant now, Effects& out);
  void settle_vote_if_answered(Instant now, Effects& out);
  void settle_vote(Instant now, Effects& out);
  void note_later_voters(const TailAnswer& answer, Effects& out);
  void end_doubts(Effects& out);
  void ask_for_tail(Instant now, Effects& out);
  void settle_tail_if_answered(Effects& out);
  void settle_tail(Effects& out);
  void check_quorum(Instant now, Effects& out);
  Instant quorum_contact() const;

  // follower.cc
  bool follow(ReplicaId from, Instant heard, Instant now, Effects& out);
  void on_append(ReplicaId from, const AppendRequest& request, Instant now, Effects& out);
  bool accept_entries(ReplicaId from, const AppendRequest& request, Effects& out);
  void on_commit_notice(ReplicaId from, const CommitNotice& notice, Instant now, Effects& out);
  void on_snapshot_offer(ReplicaId from, const SnapshotOffer& offer, Instant now, Effects& out);
  void advance_commit(LogIndex to, Effects& out);

  // leader.cc
  Progress* find_progress(ReplicaId replica);
  const Progress* find_progress(ReplicaId replica) const;
  void rebuild_progress(Instant now);
  void reprobe(Progress& progress, Effects& out);
  void on_append_reply(ReplicaId from, const AppendReply& reply, Instant now, Effects& out);
  void on_snapshot_reply(ReplicaId from, const SnapshotReply& reply, Instant now, Effects& out);
  void on_match(ReplicaId from, LogIndex match, Instant now, Effects& out);
  void lead_commit(Instant now, Effects& out);
  void tell_commit(Progress& progress, Effects& out);
  void want(Progress& progress, Effects& out);
  void finish_configuration(Instant now, Effects& out);
  void retry_lost(Instant now, Effects& out);
  bool has_work(const Progress& progress) const;

  Options options_;
  CounterRandom random_;
  Term term_;
  std::optional<ReplicaId> vote_;
  LogView log_;
  LogIndex commit_;
  LogIndex durable_;
  uint64_t cuts_ = 0;

  Role role_ = Role::kFollower;
  std::optional<ReplicaId> leader_;
  Term announced_term_;             ///< Of the last RoleChanged.
  Instant leader_heard_;            ///< Meaningful while leader_ is set.
  Duration timeout_;                ///< The election timeout drawn for this role and term.
  Instant deadline_;                ///< Followers: campaign. Candidates: campaign again.
  std::vector<ReplicaId> granted_;  ///< Candidates of either kind: who said yes.

  std::vector<Progress> progress_;  ///< Leaders: sorted by replica.
  LogIndex term_start_;             ///< Leaders: the index of this term's first entry; 0 before.
  bool configuring_ = false;        ///< Leaders: an AppendOwn of a membership is on its way.
  uint64_t serials_used_ = 0;       ///< Leaders: of requests to those that are members no more.
  std::optional<ReplicaId> transfer_to_;
  Instant transfer_deadline_;

  bool standby_ = false;
  bool possibly_longer_ = false;
  EntryId vote_floor_;  ///< The longest log heard of while possibly longer.
  std::vector<ReplicaId> tail_answered_;
  std::vector<ReplicaId> tail_not_beyond_;  ///< Those whose logs reach no further than this one.
  Instant tail_retry_;

  bool vote_doubtful_ = false;
  Term vote_seen_;  ///< The highest term told while the vote is in doubt.
  std::vector<ReplicaId> vote_answered_;
  /// Of later memberships than this log knows, as those told who hold more: they may have had this replica's word.
  std::vector<ReplicaId> told_voters_;
};

}  // namespace taffrail
