// One replica of one partition: what its leader decides, what its log holds, and what clients may see.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "consensus/driver.h"
#include "partition/producers.h"
#include "partition/state_machine.h"
#include "partition/topic_config.h"
#include "record/validate.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "storage/log.h"

namespace taffrail {

/// Why a partition would not, in Kafka's own distinctions; the broker turns each into its error code.
enum class PartitionFault : uint8_t {
  kNotLeader,              ///< 6: another replica leads, or nobody does yet.
  kFencedEpoch,            ///< 74: the client's leader epoch is over.
  kUnknownEpoch,           ///< 75: the client knows a newer leader epoch than this replica.
  kNotEnoughReplicas,      ///< 19: fewer in sync than min.insync.replicas; nothing was appended.
  kNotEnoughAfterAppend,   ///< 20: appended, but its copies fell short. May survive or not.
  kTimedOut,               ///< 7: appended; not acknowledged in time. May survive or not.
  kOutOfRange,             ///< 1: the offset is outside the log.
  kOffsetNotAvailable,     ///< 78: a new leader does not know its high watermark yet.
  kOutOfOrderSequence,     ///< 45.
  kInvalidProducerEpoch,   ///< 47.
  kNoTransaction,          ///< 48: a transactional batch, and no transaction.
  kBatch,                  ///< The batch itself: see `batch`.
  kStorage,                ///< 56: the disk failed or what is stored is damaged here.
  kOverloaded,             ///< 19 too: too much is uncommitted; the producer retries.
  kDeleted,                ///< 3: the topic is being removed.
};

struct Fault {
  PartitionFault what;
  std::string message;      ///< For the client's error_message; names no path.
  BatchRefusal batch{};     ///< With kBatch.
};
template <class T>
using Faulty = std::expected<T, Fault>;

/// What every part of one request reads: captured once, so that no two parts of an answer disagree.
struct ReadView {
  Offset log_start;
  Offset last_stable;     ///< Equal to high_watermark until transactions come.
  Offset high_watermark;
  Offset log_end;
  Term epoch;
};

enum class Acks : int8_t { kAll = -1, kNone = 0, kLeader = 1 };

/// A batch that has its offset but not yet its acknowledgement.
struct Appended {
  EntryId entry;
  Offset base_offset;
  Offset log_start;
  int64_t append_time_ms = -1;  ///< With LogAppendTime; else -1.
};

/// What becomes of a batch that waits for its turn to be appended.
struct PendingAppend {
  Event done;
  std::optional<Faulty<Appended>> result;  ///< Once it is done.
};

/// Woken when a partition that a long poll looks at may have more to show, or lost its leadership.
class FetchWatch {
 public:
  /// Errors: kTimedOut, kCancelled. Returns at once if something happened since the last wait.
  Result<> wait(Task& task, Instant deadline);
  void wake() { woken_ = true; queue_.notify_all(); }

 private:
  bool woken_ = false;
  WaitQueue queue_;
};

struct PartitionOptions {
  Duration replica_lag_max = 30_s;          ///< replica.lag.time.max.ms.
  ByteCount uncommitted_max = 32_MiB;       ///< Past it appends are refused (kOverloaded).
  Duration producer_expiration = 86'400_s;  ///< producer.id.expiration.ms.
  Duration housekeeping_interval = 30_s;    ///< How often the leader looks at retention.
  Duration scrub_round = 604'800_s;         ///< In which all that is stored is read once and checked.
  /// The table of producers is saved after so many entries, or bytes of them: a restart replays no more,
  /// however long the log is.
  uint64_t snapshot_entries = 10'000;
  ByteCount snapshot_bytes = 64_MiB;
  /// Of the shard, held by who unpacks records, or replays what lies in segments: both take memory. Null: each partition for
  /// itself.
  Mutex* heavy = nullptr;
};

class Partition {
 public:
  Partition(Runtime& runtime, RaftDriver& driver, Log& log, PartitionKey key, std::string topic_name,
            TopicConfig config, PartitionOptions options);
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  /// Who applies this partition's batches beside the partition itself; before start(), and outlives stop().
  void set_machine(StateMachine* machine);
  /// Replays what is committed and joins the group. Call once.
  Result<> start(Task& task, const Configuration& bootstrap);
  /// As long as what it returns lives, stop() waits: for who reads the log itself, across waits.
  std::shared_ptr<void> hold();
  /// Answers every waiting request with kNotLeader or kDeleted and ends every fiber.
  void stop(Task& task);

  const PartitionKey& key() const;
  const std::string& topic_name() const;
  void set_config(const TopicConfig& config);
  const TopicConfig& config() const;

  bool is_leader() const;
  BrokerId leader() const;       ///< kNoBroker if unknown.
  Term epoch() const;
  std::vector<BrokerId> in_sync() const;  ///< As the leader sees it; empty elsewhere.
  ReadView view() const;
  /// Compares a client's epoch (-1: not given) with ours, and asks for leadership.
  std::optional<Fault> check_leader(int32_t client_epoch) const;

  /// Checks one batch, gives it its offsets and starts its replication; does not wait. The batch's base
  /// offset and leader epoch are filled in place: nobody else may be reading `batch` yet.
  /// `allow_zstd`: the request's version is Produce 7 or later.
  /// A duplicate of one of the producer's last five batches is not appended: it gives the original's
  /// place, to be waited for like the original.
  Faulty<Appended> append(Slice batch, Acks acks, bool allow_zstd);
  /// The same for batches of strangers. One whose records have to be unpacked is appended in a while, so that others
  /// have their turn meanwhile; and so are those that come behind it.
  std::variant<Faulty<Appended>, std::shared_ptr<PendingAppend>> begin_append(Slice batch, Acks acks, bool allow_zstd);
  /// Waits until `appended` is acknowledged as `acks` has it: kLeader after this replica's own sync,
  /// kAll when it is committed and on max(majority, min.insync.replicas) disks. Re-checks the term after
  /// the wait: what another leader committed at the same offset is never acknowledged.
  std::optional<Fault> wait_acknowledged(Task& task, const Appended& appended, Acks acks, Instant deadline);

  /// Whole batches from the one that holds `from`, below view.high_watermark (or last_stable), up to
  /// `max` bytes but at least one if `at_least_one`. Empty at the end.
  Faulty<std::vector<Slice>> read(Task& task, Offset from, const ReadView& view, ByteCount max,
                                  bool at_least_one);
  /// Bytes readable from `from` below the high watermark, as far as is known without reading; for min_bytes.
  ByteCount readable_bytes(Offset from) const;
  void watch(FetchWatch& watch);
  void unwatch(FetchWatch& watch);

  /// Moves the log's start to `before`, or to the high watermark if that is -1: an entry like retention's, committed
  /// and carried out here when this returns. Gives the start, which stays where it is if it lies behind `before`
  /// already. Faults: kOutOfRange past the high watermark; kTimedOut: it may still happen.
  Faulty<Offset> delete_records(Task& task, Offset before, Instant deadline);

  struct TimedOffset {
    Offset offset = kNoOffset;
    int64_t timestamp = -1;
    Term epoch;
  };
  /// First record at or after `timestamp` below the high watermark; offset -1 if there is none.
  Faulty<TimedOffset> find_by_time(Task& task, int64_t timestamp);
  Faulty<TimedOffset> find_max_timestamp(Task& task);
  /// The term at `offset` (for ListOffsets answers).
  Term epoch_at(Offset offset) const;
  struct EpochEnd {
    int32_t epoch = -1;
    Offset end = kNoOffset;
  };
  /// OffsetForLeaderEpoch: the largest epoch not above `epoch`, and where it ends.
  EpochEnd epoch_end(int32_t epoch) const;

  struct ProducerView {
    ProducerId id;
    ProducerEpoch epoch;
    Sequence last_sequence;
    int64_t last_timestamp;
  };
  std::vector<ProducerView> producers() const;
  ByteCount size_bytes() const;
  /// False on a new leader until an entry of its own term is committed: until then the high watermark may
  /// lie below what the last leader showed to clients (KIP-207).
  bool high_watermark_is_current() const;
  /// False on a new leader until such an entry is applied: until then what was deleted may be there.
  bool log_start_is_current() const;

  /// RaftGroup::confirm_leads(), for what was read before the call.
  std::optional<Fault> confirm_leads(Task& task, Instant deadline);

  /// For checkers and `cluster health`.
  RaftGroup* group() const;
  Log& log() const;
  const ProducerTable& producer_table() const;
  EntryId applied() const;
  /// Entries that went into the table of producers since a start found it, or it was last saved as a snapshot.
  uint64_t entries_unsaved() const;
  /// This replica leads, and has applied all that was committed before its epoch: what a machine decides on is whole.
  bool leads_with_all_applied() const;

  /// Called whenever leader, epoch or the in-sync set changed: the node tells the others.
  std::function<void(Partition&)> on_leadership;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
