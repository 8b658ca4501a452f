// All that one shard keeps on one disk: a write-ahead log, and the logs above it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "storage/log.h"
#include "storage/types.h"
#include "storage/wal.h"

namespace taffrail {

class Checkpointer;

/// Opening recovers: what the write-ahead log holds is read, judged (recovery()), written into fresh
/// segments and synced, before open() returns. Nothing that open() reports can be lost by the next crash.
class Store final : private Wal::Listener {
 public:
  /// `runtime` outlives the store. The caller holds the lock of the data directory.
  /// Errors: kIo, kNoSpace; kUnsupported for files of a newer format, by name; kCorrupt for files that
  /// belong to another disk. Damage is not an error: see recovery().
  /// `on_failed` is called once when a write or sync failed, perhaps within this call already; must not wait. Without
  /// it the node stops (Runtime::stop_node).
  static Result<std::unique_ptr<Store>> open(Task& task, Runtime& runtime, StoreOptions options,
                                             std::move_only_function<void(const Error&)> on_failed = nullptr);
  /// After close(), or after a crash unwound the fibers.
  ~Store() override;

  const RecoveryReport& recovery() const { return recovery_; }
  const StoreOptions& options() const { return options_; }

  /// Whether a log may have existed before this start; see create_log().
  enum class Past : uint8_t { kNone, kPossible };
  /// An empty log. If it may have existed, and damage may have taken it, what it promised is not known: it
  /// begins possibly_longer() and with a doubtful hard state. Errors: kExists. Survives once
  /// wal().wait_durable(log.last_sequence()) returned.
  /// `joined`: Log::joined().
  Result<Log*> create_log(const PartitionKey& key, Past past = Past::kNone, int64_t joined = 0);
  /// Null if it does not exist. The log lives until remove_log() or the store ends.
  Log* find_log(const PartitionKey& key);
  /// Returns when neither a crash nor a restart brings it back. No reader of it may be waiting. Errors:
  /// kNotFound; kIo.
  Result<> remove_log(Task& task, const PartitionKey& key);
  /// Ascending by key.
  std::vector<Log*> logs();

  Wal& wal() { return *wal_; }

  /// Called from the writing fiber after every sync, with what is durable now. Must not wait. One hook.
  void on_durable(std::move_only_function<void(WalSequence)> hook) { durable_hook_ = std::move(hook); }
  /// Called when a read met damage in a segment: Log::holes() has grown. Must not wait. One hook.
  void on_hole(std::move_only_function<void(const PartitionKey&)> hook) { hole_hook_ = std::move(hook); }

  /// Moves everything committed to segments, syncs them, and lets go of all of the write-ahead log that
  /// is not needed any more. Runs by itself in the background; here for shutdown and for tests.
  Result<> checkpoint(Task& task);
  /// Ends the fibers in order; everything queued is durable afterwards unless the log has failed.
  void close(Task& task);

  ByteCount cached_bytes() const { return cached_bytes_; }
  bool failed() const { return wal_->failed(); }

 private:
  friend class Log;
  friend class Checkpointer;
  friend class Recovery;
  Store(Runtime& runtime, StoreOptions options);

  void on_placed(const WalFrame& frame, WalPosition at) override;
  void on_durable(WalSequence sequence) override;
  Pace pace() const override;
  void on_failed(const Error& error) override;

  Log& add_log(const PartitionKey& key);
  // The arena: a count of what the logs' tails hold, and the order in which it goes.
  void cache(const Log& log, LogIndex index, WalSequence sequence, ByteCount size);
  void uncache(ByteCount size);
  void evict();
  void want_flush(const Log& log);
  void want_unlink(const Log& log);

  struct Cached {
    uint32_t slot;
    LogIndex index;
    WalSequence sequence;
  };

  Runtime& runtime_;
  StoreOptions options_;
  RecoveryReport recovery_;
  std::map<PartitionKey, std::unique_ptr<Log>> logs_;
  std::vector<Log*> slots_;  ///< By slot; null where a log was removed.
  bool logs_lost_ = false;  ///< Damage, now or earlier, may have taken whole logs.
  std::deque<Cached> cached_;  ///< Oldest first; entries that went otherwise leave a stale one.
  ByteCount cached_bytes_ = 0;
  size_t cached_live_ = 0;   ///< Of cached_, those whose entry is still in memory.
  std::move_only_function<void(WalSequence)> durable_hook_;
  std::move_only_function<void(const Error&)> failed_hook_;
  std::move_only_function<void(const PartitionKey&)> hole_hook_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

}  // namespace taffrail
