// The background fiber of a store: moves committed entries to segments, syncs those, lets go of the
// write-ahead log below, and unlinks what lies below the logs' starts.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "base/result.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "storage/wal.h"

namespace taffrail {

class Log;
class Store;

class Checkpointer {
 public:
  Checkpointer(Store& store, Runtime& runtime) : store_(store), runtime_(runtime) {}

  void start();
  /// Ends the fiber; what it was doing is finished or left for the next start.
  void stop(Task& task);

  void want_flush(uint32_t slot);
  void want_unlink(uint32_t slot);
  /// Something became durable, or the write-ahead log grew: there may be work.
  void poke() { work_.notify_one(); }
  bool wants_unlink() const { return !unlink_.empty(); }
  /// Since start(), and before stop().
  bool is_running() const { return running_; }
  /// Beyond so many write-ahead segments it lets the oldest go before it does anything else.
  size_t segments_max() const;

  /// Whoever changes a log's files holds this: it protects the files and segment lists of all logs of the
  /// store against a second writer, across its waits for the disk.
  Result<Mutex::Lock> lock_files(Task& task) { return files_.lock(task); }

  /// Store::checkpoint().
  Result<> checkpoint(Task& task);

 private:
  void run(Task& task);
  bool has_work() const;
  Result<> round(Task& task);
  Result<> flush(Task& task, uint32_t slot, std::optional<LogIndex> up_to);
  Result<> release(Task& task, const Wal::Oldest& oldest);
  Result<> sync_all(Task& task);
  Result<> release_below(Task& task, const Wal::Oldest& oldest);
  Result<> copy_forward(Task& task, uint32_t slot, uint64_t segment);

  Store& store_;
  Runtime& runtime_;
  /// Write-ahead segments that may be held before the oldest is let go. Above the option where letting go
  /// gained little: more than half of it was live and uncommitted, and copying that round and round would not end.
  size_t limit_ = 0;
  ByteCount copied_bytes_ = 0;  ///< Forward, since the oldest segment began to be let go.
  bool running_ = false;
  std::set<uint32_t> flush_;
  std::set<uint32_t> unlink_;
  Mutex files_;
  WaitQueue work_;
  Scope scope_;
};

}  // namespace taffrail
