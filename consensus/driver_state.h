// The insides of driver.h, shared by its three sources: driver.cc (inputs and effects), driver_send.cc
// (reading the log for others, snapshots) and driver_time.cc (ticks and heartbeats).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <variant>

#include "consensus/driver.h"
#include "consensus/heartbeat.h"
#include "consensus/wire.h"
#include "runtime/sync.h"
#include "storage/store.h"

namespace taffrail {

/// Fibers of the driver that wait inside a group's log or events, which outlive them: RaftDriver::remove().
struct GroupUses {
  size_t count = 0;
  WaitQueue none;
};

class GroupUse {
 public:
  explicit GroupUse(std::shared_ptr<GroupUses> of) : of_(std::move(of)) { ++of_->count; }
  ~GroupUse() { if (--of_->count == 0) of_->none.notify_all(); }
  GroupUse(const GroupUse&) = delete;
  GroupUse& operator=(const GroupUse&) = delete;

 private:
  const std::shared_ptr<GroupUses> of_;
};

struct RaftGroup::State {
  State(DriverState& d, const PartitionKey& k, Log& l, Raft r, GroupEvents& e)
      : driver(d), key(k), log(l), raft(std::move(r)), events(e) {}

  DriverState& driver;
  PartitionKey key;
  uint64_t incarnation = 0;  ///< Tells this group from an earlier one of the same key.
  Log& log;
  Raft raft;
  GroupEvents& events;
  Configuration bootstrap;            ///< The membership before the log's first entry.
  std::deque<EntryMeta> uncommitted;  ///< Of the entries above raft.commit().
  Offset commit_offset;
  Term opened_term;                   ///< Leader: the term whose first entry is committed,
  LogIndex opened_at;                 ///< and where that stands.
  WalSequence marked;                 ///< The log's sequence at the last persist mark.
  std::string quarantine;
  Instant deadline = Instant::never();  ///< As it stands in DriverState::deadlines.
  bool fetching_snapshot = false;
  bool installing_snapshot = false;  ///< The log may be the new one already, while Raft knows the old one.
  std::set<ReplicaId> sending_snapshot;
  LogIndex noted_durable;
  /// The group itself may be gone before the last of them.
  const std::shared_ptr<GroupUses> uses = std::make_shared<GroupUses>();
  std::optional<ReplicaId> asked_to_lead;  ///< The last one (RaftGroup::hand_over).
  Instant ask_next;
};

/// Something that waits for the disk, in the order of the write-ahead log.
struct PendingDurable {
  WalSequence sequence;
  PartitionKey key;
  uint64_t incarnation = 0;
  Term term;  ///< Raft's when it was promised; a promise of a term that is over is dropped.
  std::variant<Raft::PersistMark, effect::SendOnceDurable> what;
};

/// Reads logs for the replicas on one other node, one after the other.
struct NodeSender {
  std::deque<std::pair<PartitionKey, ReplicaId>> work;
  std::set<std::pair<PartitionKey, ReplicaId>> queued;
  WaitQueue wake;
};

/// One shard of another node.
struct PeerShard {
  BrokerId node;
  ShardId shard;
  auto operator<=>(const PeerShard&) const = default;
};

/// Raft's view of the log: terms and memberships from what storage keeps in memory, no payloads.
Result<LogView> view_of(const Log& log, const Configuration& bootstrap);

struct DriverState {
  DriverState(Runtime& r, Store& s, PeerChannel& p, ReplicaId me, DriverOptions o)
      : runtime(r), store(s), peers(p), self(me), options(o) {}

  // driver.cc
  RaftGroup::State* find(const PartitionKey& key, uint64_t incarnation = 0);
  std::unique_ptr<RaftGroup> take_out(const PartitionKey& key);
  void carry_out(RaftGroup::State& g, Effects& effects, const AppendRequest* request,
                 std::span<const Slice> payloads);
  void carry_out_one(RaftGroup::State& g, const Effect& e, const AppendRequest* request,
                     std::span<const Slice> payloads);
  void append_own(RaftGroup::State& g, const effect::AppendOwn& own);
  void commit(RaftGroup::State& g, LogIndex index);
  void mark_persist(RaftGroup::State& g);
  void durable(WalSequence sequence);
  void put_in_quarantine(RaftGroup::State& g, std::string_view invariant, const std::string& detail);
  void learn_disks(const PeerIdentity& from);
  void hear(const ReplicaId& replica);
  void raft_message(const PeerIdentity& from, const Slice& body);
  void update_deadline(RaftGroup::State& g);

  // driver_send.cc
  void send(const PartitionKey& group, const ReplicaId& to, const Message& message,
            std::span<const Entry> entries);
  void want_append(const PartitionKey& key, const ReplicaId& to);
  void run_sender(Task& task, BrokerId node, NodeSender& sender);
  bool send_next(Task& task, const PartitionKey& key, const ReplicaId& to);
  void offer_snapshot(const PartitionKey& key, const ReplicaId& to);
  void fetch_snapshot(const PartitionKey& key, const effect::FetchSnapshot& fetch);
  /// What `node` gives if it leads the group: up to which entry, and its state. Errors: PeerChannel::call, kCorrupt.
  Result<std::pair<EntryId, Slice>> call_for_snapshot(Task& task, BrokerId node, const PartitionKey& key, Duration wait);
  Result<Chain> serve_snapshot(Task& task, Slice body);
  Result<Chain> serve_transfer(Task& task, Slice body);
  Result<> give_up_doubts(RaftGroup::State& g, const std::function<bool(BrokerId)>& may_answer);
  Result<Chain> serve_give_up(Slice body);
  void run_doubts(Task& task);
  void send_by_and_by(const RaftGroup::State& g, const ReplicaId& to, const CommitNotice& notice);
  void run_notices(Task& task);

  // driver_repair.cc
  void run_repairs(Task& task);
  bool repair(Task& task, const PartitionKey& key);
  bool skip_to_start(Task& task, RaftGroup::State& asked, const ReplicaId& leader);
  void learn_what_was_hidden(RaftGroup::State& g);
  Result<Chain> serve_entries(Task& task, Slice body);

  // driver_time.cc
  void run_ticker(Task& task);
  void tell_contacts(RaftGroup::State& g, Instant now);
  void look_for_leader(RaftGroup::State& g, Instant now);
  void run_heartbeats(Task& task);
  void send_heartbeats();
  void send_heartbeat_body(uint8_t type, const PeerShard& to, std::string_view body);
  void learn_shape(BrokerId node, NodeShape shape);
  PeerShard place_of(const PartitionKey& key, BrokerId node) const;
  void heartbeat(const PeerIdentity& from, const Slice& body);
  void heartbeat_answered(const PeerShard& place, const ReplicaId& by, const HeartbeatAnswer& answer);
  bool is_replaced(const ReplicaId& replica) const;

  Runtime& runtime;
  Store& store;
  PeerChannel& peers;
  ReplicaId self;
  DriverOptions options;
  RaftDriver* owner = nullptr;

  std::map<PartitionKey, std::unique_ptr<RaftGroup>> groups;
  uint64_t next_incarnation = 1;
  std::deque<PendingDurable> pending;
  bool settling = false;  ///< durable() is at it.
  std::map<BrokerId, NodeSender> senders;
  std::map<std::pair<ReplicaId, PartitionKey>, CommitNotice> notices;  ///< Held back for a moment.
  WaitQueue notices_wake;
  std::set<std::pair<Instant, PartitionKey>> deadlines;
  WaitQueue deadline_moved;
  std::map<BrokerId, NodeShape> shapes;  ///< As the nodes last said.
  std::map<PeerShard, HeartbeatSender> heartbeat_to;
  std::map<PeerShard, HeartbeatReceiver> heartbeat_from;
  std::map<PeerShard, std::string> answers_due;  ///< They go with the next heartbeat there.
  std::map<ReplicaId, Instant> heard;
  std::map<BrokerId, std::vector<DiskId>> disks;  ///< Of the nodes that were heard, as they last said: by data directory.
  struct Answered {
    Instant sent;   ///< When the heartbeat was sent that was answered last.
    ReplicaId by;   ///< A node's new disk does not speak for its old one.
    bool whole = false;  ///< By who knew what is led here, as of that heartbeat.
  };
  /// The newest answer of `replica`'s disk that did not say that it does not follow in that group; null if there is none.
  const Answered* answer_of(const PartitionKey& group, const ReplicaId& replica) const;
  std::map<PeerShard, Answered> answered;
  WaitQueue answers_came;
  std::map<PeerShard, std::set<PartitionKey>> refused;
  std::map<PeerShard, uint64_t> incarnations;
  std::set<PartitionKey> relist;  ///< Groups whose leadership or members changed since the last heartbeat.
  bool heartbeat_due = false;  ///< What this node leads has changed: tell before the interval is over.
  WaitQueue heartbeat_wake;
  std::set<PartitionKey> doubtful;  ///< Groups whose logs may have lost their ends, as far as is known.
  WaitQueue doubts_wake;
  std::set<PartitionKey> holed;  ///< Groups whose logs have holes, as far as is known.
  WaitQueue repair_wake;
  uint64_t repaired = 0;         ///< See RaftDriver::repaired().
  bool stopping = false;
  Scope scope;
};

}  // namespace taffrail
