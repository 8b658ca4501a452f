// The insides of partition.h, shared by its sources: partition.cc (life and views), append.cc (producing),
// read.cc (consuming) and apply.cc (what follows from committed entries).
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "partition/partition.h"
#include "record/records.h"

namespace taffrail {

/// Fibers waiting for a number to be reached, the lowest first.
class IndexGate {
 public:
  /// True when `reached` has come to `index`; false if the gate was failed meanwhile. Errors: kTimedOut,
  /// kCancelled.
  Result<bool> wait(Task& task, LogIndex index, Instant deadline);
  void raise(LogIndex reached);
  /// What lay behind `reached` is not there any more (a truncation).
  void lower(LogIndex reached) { reached_ = std::min(reached_, reached); }
  LogIndex reached() const { return reached_; }
  /// Every present waiter gets false.
  void fail_all();

 private:
  struct Waiter {
    WaitQueue queue;
    bool done = false;
    bool failed = false;
  };
  LogIndex reached_;
  std::multimap<LogIndex, Waiter*> waiters_;
};

/// What a batch may unpack to where its broker has to look at its records, unless max.message.bytes is more: beyond it is a bomb.
inline constexpr size_t kUnpackedMax = 32u << 20;

/// With pauses in which the other fibers have their turn.
CodecLimits while_others_run(Task& task, size_t max_bytes);

/// What a kCommand entry of a partition's log says.
struct PartitionCommand {
  enum class Kind : uint8_t { kSetLogStart = 1, kExpireProducers = 2 };
  Kind kind = Kind::kSetLogStart;
  Offset start;       ///< kSetLogStart: the first offset that stays,
  LogIndex first;     ///< and the entry that holds it.
  std::vector<std::pair<ProducerId, EntryId>> producers;  ///< kExpireProducers: id and newest batch.

  Slice encode() const;
  static Result<PartitionCommand> decode(ByteView bytes);
};

struct Partition::State final : GroupEvents {
  State(Partition& o, Runtime& r, RaftDriver& d, Log& l, PartitionKey k, std::string name, TopicConfig c,
        PartitionOptions opt)
      : owner(o), runtime(r), driver(d), log(l), key(k), topic_name(std::move(name)), config(c), options(opt) {}

  // GroupEvents.
  void on_commit(LogIndex index, Offset next_offset) override;
  void on_durable(LogIndex index) override;
  void on_role(Role role, Term term, BrokerId leader) override;
  void on_truncate(LogIndex from) override;
  void on_appended(LogIndex last) override;
  void on_progress() override;
  Result<> on_snapshot(Task& task, EntryId last, const Configuration& members, Slice state) override;
  Result<std::pair<EntryId, Slice>> make_snapshot(Task& task) override;

  // append.cc
  /// With a task it may wait: others have their turn while records are unpacked.
  Faulty<Appended> append(Slice batch, Acks acks, bool allow_zstd, Task* task = nullptr);
  std::variant<Faulty<Appended>, std::shared_ptr<PendingAppend>> begin_append(Slice batch, Acks acks, bool allow_zstd);
  bool has_to_unpack(ByteView batch) const;
  void run_unpacker(Task& task);
  std::optional<Fault> refuse_all();
  std::optional<Faulty<Appended>> settle(const BatchView& batch, Acks acks) const;
  size_t unpacked_max() const { return std::max(static_cast<size_t>(config.max_message_bytes), kUnpackedMax); }
  template <typename Find>
  Result<std::optional<TimestampedOffset>> look_into(Task& task, const BatchView& batch, Find find) const;
  std::optional<Fault> wait(Task& task, const Appended& appended, Acks acks, Instant deadline);
  Fault not_leader() const;
  size_t copies_of(LogIndex index) const;
  void hand_over(std::string_view why);

  // apply.cc
  /// What is deleted, by a command that is committed, is gone for whoever asks, though it may take the log a while.
  Offset reading_starts() const;
  void run_applier(Task& task);
  Result<> apply_through(Task& task, LogIndex end);
  /// `beyond_table`: the producers do not reach this entry yet.
  void apply_command(const Entry& entry, bool beyond_table);
  void run_opener(Task& task, Term term);
  void run_housekeeping(Task& task);
  void propose_retention();
  Faulty<Offset> delete_records(Task& task, Offset before, Instant deadline);
  void propose_expiry();
  Result<> propose(const PartitionCommand& command);
  Result<> load_snapshot(ByteView bytes);
  Result<> load_note(Task& task);
  /// `begins`: the offset behind the entry that the log begins behind, for whoever installs it; else of no meaning.
  Slice encode_snapshot(Offset begins) const;
  bool wants_snapshot() const {
    return entries_unsaved >= options.snapshot_entries || bytes_unsaved >= options.snapshot_bytes;
  }
  Result<> save_table(Task& task);
  Result<> move_start(Task& task);

  // partition.cc
  std::vector<BrokerId> compute_in_sync() const;
  void leadership_changed();
  void wake_watches();

  Partition& owner;
  Runtime& runtime;
  RaftDriver& driver;
  Log& log;
  PartitionKey key;
  std::string topic_name;
  TopicConfig config;
  PartitionOptions options;
  RaftGroup* group = nullptr;
  StateMachine* machine = nullptr;

  ProducerTable producers;
  EntryId applied;             ///< Entries up to here were looked at.
  EntryId table_reaches;       ///< The producers are those of the log up to here; ahead of `applied` after a snapshot.
  LogIndex replays_to;           ///< How far segments reached at the start.
  uint64_t entries_unsaved = 0;  ///< Applied since the table was last saved.
  ByteCount bytes_unsaved = 0;
  std::optional<PartitionCommand> pending_start;  ///< Committed; the housekeeper carries it out.
  std::optional<Instant> start_retry;             ///< It could not be saved: when it is tried again.
  std::optional<PartitionCommand> asked_start;    ///< The newest one applied, carried out or not.
  WaitQueue start_wake;
  WaitQueue start_moved;
  WaitQueue apply_wake;
  WaitQueue applied_moved;

  Term serving;                ///< The term that this replica leads with its tail replayed; 0: none.
  Role role = Role::kFollower;
  Term term;
  BrokerId leader = kNoBroker;
  std::map<ReplicaId, Instant> caught_up;  ///< Leader: when each member last held all that is committed.
  std::vector<BrokerId> in_sync;
  void scrub_some(Task& task);
  void scrub_snapshot(Task& task);
  LogIndex scrub_at;
  Instant scrub_due = Instant::never();  ///< never(): not begun.
  std::optional<Term> handed_over;  ///< The term in which that was tried, since the disk filled or became slow.
  std::map<ProducerId, Instant> producer_seen;  ///< Leader, this term: for expiry, on the monotonic clock.

  /// Batches whose records have to be unpacked, and those that came behind them, in order.
  struct Waiting {
    Slice batch;
    Acks acks;
    bool allow_zstd;
    std::shared_ptr<PendingAppend> pending;
  };
  std::deque<Waiting> waiting;
  ByteCount waiting_bytes = 0;

  IndexGate committed;
  IndexGate durable;
  WaitQueue progress;          ///< Somebody's durable position moved.
  std::vector<FetchWatch*> watches;

  /// Held by every call that waits on behalf of a request: the partition outlives its callers.
  struct Use {
    explicit Use(State& s) : state(s) { ++state.uses; }
    ~Use() { if (--state.uses == 0) state.unused.notify_all(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    State& state;
  };
  size_t uses = 0;
  WaitQueue unused;
  bool stopping = false;
  Scope scope;
};

}  // namespace taffrail
