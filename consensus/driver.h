// All of Raft's I/O on one shard: persists, sends, applies; acknowledges only what is durable.
//
//   network --> on_message --\                     /--> Log (append, truncate, hard state)
//   loop    --> tick ---------> Raft (pure step) --> --> Peers, at once or once durable
//   WAL     --> on_durable --/    one per group    \--> GroupEvents (commit, role, truncation)
//
// One driver carries every group of its shard: one sync makes all of them durable, one link per node
// carries all their messages, one heartbeat per node keeps all their leaders alive. Between nodes of
// several shards that is one for each pair of shards that share groups; with as many shards on both,
// a shard shares groups with one shard only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "base/units.h"
#include "consensus/raft.h"
#include "net/peer_channel.h"
#include "runtime/runtime.h"
#include "storage/log.h"

namespace taffrail {

class Store;
/// A message that leaves a replica.
struct RaftSent {
  ReplicaId from;
  ReplicaId to;
  const Message& message;
};
/// For checkers: after every step of a group, and, with what is sent, before a message leaves. Looks, and
/// changes nothing.
using RaftLook = std::function<void(const PartitionKey&, const RaftSent*)>;

class RaftDriver;

struct DriverOptions {
  Duration heartbeat_interval = 100_ms;
  Duration election_timeout_min = 500_ms;
  Duration election_timeout_max = 1000_ms;
  ByteCount append_bytes_max = 1_MiB;      ///< Of one AppendRequest's payloads; at least one entry goes.
  uint32_t append_entries_max = 1024;
  /// How long a follower that holds everything may not know that the last of it is committed: entries that come
  /// meanwhile tell it, and what is left then goes to a node in one message for all groups. Group 0 waits for
  /// nothing: what brokers tell their clients hangs on it.
  Duration commit_notice_delay = 20_ms;
  /// By an operator's word, replicas go on without what they may have lost and nobody who is there can tell of, ten
  /// seconds after the start (Raft::give_up_doubts). Otherwise they wait, and the log says so.
  bool unclean = false;
};

/// What a group tells the one that built on it. Called from within the driver: must not wait, and must
/// not propose; wake a fiber for that.
class GroupEvents {
 public:
  virtual ~GroupEvents() = default;
  /// Entries up to `index` are committed, and may be read from the log; `next_offset` is the Kafka offset
  /// behind the last of them. Said again when what could not be read has been repaired.
  virtual void on_commit(LogIndex index, Offset next_offset) = 0;
  /// This replica's own disk holds everything up to `index`.
  virtual void on_durable(LogIndex index) = 0;
  virtual void on_role(Role role, Term term, BrokerId leader) = 0;
  /// Entries from `from` on were cut off: another leader's history won. None of them was committed.
  virtual void on_truncate(LogIndex from) = 0;
  /// A follower took the leader's entries up to `last`: not committed yet.
  virtual void on_appended(LogIndex last) = 0;
  /// Leader only: a member's durable position moved.
  virtual void on_progress() = 0;
  /// Replaces the state by a snapshot that the leader sent; the log begins behind `last`, where `members` is in force.
  virtual Result<> on_snapshot(Task& task, EntryId last, const Configuration& members, Slice state) = 0;
  /// What a member that is behind the log's start is given. Errors: kUnavailable if there is none.
  virtual Result<std::pair<EntryId, Slice>> make_snapshot(Task& task) = 0;
};

/// One replica's membership of one group.
class RaftGroup {
 public:
  ~RaftGroup();
  const PartitionKey& key() const;
  Role role() const;
  Term term() const;
  /// kNoBroker while unknown.
  BrokerId leader() const;
  LogIndex commit() const;
  /// The Kafka offset behind the last committed entry: the high watermark.
  Offset commit_offset() const;
  /// Leader only: an entry of its own term is committed, so commit() is the group's, not a past one.
  bool commit_is_current() const;
  /// Where that entry stands.
  LogIndex opened_at() const;
  const Configuration& configuration() const;
  /// Not taking part any more, by name of the invariant that a message or entry broke; empty if healthy.
  const std::string& quarantine() const;
  /// What is wrong with this replica and what is done about it, in words; empty if nothing is.
  std::string trouble() const;

  /// Leader only: gives `entries` their index and term, queues them for this disk and for the followers,
  /// and returns the last one's place. Does not wait. Errors: kNotLeader.
  Result<EntryId> propose(std::span<Entry> entries);

  struct MemberView {
    ReplicaId replica;
    LogIndex match;          ///< Durable there, as far as its acknowledgements tell.
    Instant last_contact;
    bool voter = false;
    bool replaced = false;   ///< Its node was heard of with another disk: this one comes no more.
    bool refilling = false;  ///< It is being given back what its disk lost, or may have lost.
  };
  /// Leader only, itself included; empty elsewhere.
  std::vector<MemberView> members() const;
  /// Returns once a quorum is known to have followed this leader at some time after `asked`: what others were told to be
  /// committed before that was committed here (thesis, 6.4, with heartbeats for a round). The group outlives the call. Errors:
  /// kNotLeader, also of another term than at the call; kTimedOut, kCancelled.
  Result<> confirm_leads(Task& task, Instant asked, Instant deadline);
  /// Campaign at the next chance, without waiting for a timeout: for the first leader of a new group.
  void campaign_soon();
  /// Raft::set_standby.
  void stand_by(bool standby);
  void transfer_leadership(const ReplicaId& to);
  /// Leader only: asks another voter whose node is `fit` to lead: one that was heard of within an election timeout, not
  /// the one that did not take it the last time if there is another, the furthest of them. Whom; nothing if there is
  /// nobody, or it has asked lately: nothing is appended while one is asked, and has to be in between.
  std::optional<ReplicaId> hand_over(const std::function<bool(BrokerId)>& fit);
  /// Leader only: takes the next step to these members, if it is time for one (consensus/membership.h). True once they
  /// are the members by that revision or a later one, and that is committed: ask again until then. Does not wait. Errors: Raft::propose_configuration.
  Result<bool> step_to_members(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners, int64_t revision);
  /// For checkers and `cluster health`: what Raft itself knows.
  const Raft& raft() const;
  const Log& log() const;

 private:
  friend class RaftDriver;
  struct State;
  friend struct DriverState;
  explicit RaftGroup(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct DriverState;

class RaftDriver {
 public:
  RaftDriver(Runtime& runtime, Store& store, PeerChannel& peers, ReplicaId self, DriverOptions options);
  ~RaftDriver();

  void start();
  void stop(Task& task);

  const ReplicaId& self() const;
  /// Joins `log`'s group with what the log holds; what log.committed() says is known to be committed.
  /// `bootstrap` is the membership before the log's first entry. `events` outlives the group, and hears
  /// nothing before this returns. The group lives until remove(). Errors: as Log::read_entries, for the
  /// log's uncommitted end.
  Result<RaftGroup*> add(Task& task, const PartitionKey& key, Log& log, const Configuration& bootstrap,
                         GroupEvents& events);
  /// What the group's leader gives to a member that is behind its log's start, and up to where: for one whose own
  /// snapshot is damaged. `bootstrap` as for add(). Errors: kUnavailable while nobody is asked who leads.
  Result<std::pair<EntryId, Slice>> ask_for_snapshot(Task& task, const PartitionKey& key, const Log& log,
                                                     const Configuration& bootstrap);
  /// The group is forgotten; its log and its events may be waited in for a while.
  void remove(const PartitionKey& key);
  /// Likewise, and waits until nobody does: both are the caller's to remove then.
  void remove(Task& task, const PartitionKey& key);
  RaftGroup* find(const PartitionKey& key);
  /// The front of the group's log, up to `index`, is gone.
  void dropped_prefix(const PartitionKey& key, LogIndex index);

  /// Which shard of a node a kRaft or kHeartbeat message is for. Errors: kCorrupt.
  static Result<ShardId> shard_for(PeerKind kind, ByteView body, NodeShape shape);
  /// From Peers, for the kRaft and kHeartbeat messages of this shard.
  void on_message(const PeerIdentity& from, PeerKind kind, Slice body);
  void on_link(BrokerId node, bool up);
  /// From Peers: the node sends nothing until it dials again. last_heard() forgets it.
  void on_sender_gone(BrokerId node);
  /// Answers the calls of other drivers, each on the shard of its group: kServices.
  static constexpr std::array<std::string_view, 4> kServices{"snapshot", "entries", "transfer", "give-up"};
  static Result<ShardId> shard_for_call(ByteView body, NodeShape shape);
  /// What to ask the service "transfer" of a leader's node: that it hands the leadership to its replica on `to`. The
  /// answer comes when it leads no more. Errors there: kNotLeader; kInvalid (no voter there); kTimedOut.
  static Slice transfer_question(const PartitionKey& key, BrokerId to);
  /// What to ask the service "give-up" of a replica's node: Raft::give_up_doubts, by an operator's word. `alive`: who may
  /// still say what it holds. Errors there: as of that; kNotFound.
  static Slice give_up_question(const PartitionKey& key, const std::vector<BrokerId>& alive);
  Result<Chain> serve(Task& task, std::string_view service, Slice body);
  /// Pieces of holes that were filled, and damaged ends of logs that were made good, from other replicas
  /// since the start.
  uint64_t repaired() const;
  /// When this shard last heard from `node`, whatever its disk; nothing if never.
  std::optional<Instant> last_heard(BrokerId node) const;
  /// Likewise of one disk.
  std::optional<Instant> last_heard(const ReplicaId& replica) const;

  /// Told after every step of a group, in the middle of everything: for checkers, which only look.
  RaftLook on_step;
  /// Told of every quarantine: key and invariant.
  std::function<void(const PartitionKey&, const std::string&)> on_quarantine;

 private:
  std::unique_ptr<DriverState> state_;
};

}  // namespace taffrail
