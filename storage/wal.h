// The write-ahead log of one disk and shard, under all Raft logs that live there: group commit without
// a timer, segments that are zero-written once and recycled, and failure that is final.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "storage/types.h"

namespace taffrail {

enum class FrameKind : uint8_t {
  kEntry = 1,      ///< An entry of a log: appended, or copied forward under its original sequence.
  kTruncate = 2,   ///< Entries from `meta.index` on are gone.
  kHardState = 3,  ///< A term and a vote; payload: encode_hard_state().
  kState = 4,      ///< All that is known of a log but its entries; payload: encode_log_state().
  kDelete = 5,     ///< The log is gone, with all that came before.
};

/// A piece of a log's life on its way to the disk.
struct WalFrame {
  FrameKind kind = FrameKind::kEntry;
  PartitionKey key;
  EntryMeta meta;        ///< Of an entry; of a truncation the index alone.
  Slice payload;
  uint32_t payload_crc = 0;
  /// Zero: its own. An entry copied forward keeps the sequence that it had at first, so that recovery
  /// knows it for the same entry.
  WalSequence original;
  uint32_t slot = 0;     ///< The store's number for the log, so that on_placed finds it at once.
  WalSequence sequence;  ///< Filled by append().
};

/// Where a frame's bytes begin.
struct WalPosition {
  uint64_t segment = 0;  ///< 0: nowhere yet.
  uint64_t offset = 0;
  constexpr auto operator<=>(const WalPosition&) const = default;
};

/// One file of the write-ahead log. Whoever reads holds it: a segment in use is not recycled.
struct WalFile {
  uint64_t number = 0;
  std::string path;
  std::unique_ptr<File> file;
  uint64_t capacity = 0;    ///< Bytes that were written once and may be overwritten cheaply.
  uint64_t end = 0;         ///< Where the next group goes.
  WalSequence first;        ///< Of its first group; 0 while it has none.
};

/// Exact costs, for tests that count instead of measuring.
struct WalStats {
  uint64_t groups = 0;
  uint64_t frames = 0;
  uint64_t marks = 0;
  uint64_t writes = 0;
  uint64_t syncs = 0;
  uint64_t bytes = 0;
  uint64_t segments_made = 0;
  uint64_t segments_recycled = 0;
};

/// Appending never waits; one fiber writes. Frames that are queued while a sync runs share the next one.
///
///     append() --> queue --> [one group in flight: write, sync] --> durable() moves, on_durable called
///                                      |
///                                      +-- error: failed() for good, on_failed called once
///
/// What a crash may leave of the group in flight, and how it is told from damage: docs/formats.md,
/// "Write-ahead log"; wal_scan.h reads it back.
class Wal {
 public:
  /// Told where frames went, and of what became durable. Called from the writing fiber; must not wait.
  class Listener {
   public:
    virtual ~Listener() = default;
    /// The frame's bytes can be read at `at` from now on. Comes before the sync that covers it.
    virtual void on_placed(const WalFrame& frame, WalPosition at) = 0;
    /// Everything up to `sequence` survives a power cut.
    virtual void on_durable(WalSequence sequence) = 0;
    /// What the next group should do because segments are behind with what was written before: wait so long, and then take no
    /// more than that. Asked again after moved_on().
    struct Pace {
      Duration wait;
      ByteCount group_max = UINT64_MAX;
    };
    virtual Pace pace() const { return {}; }
    /// Nothing that was not durable by now will be. Called once.
    virtual void on_failed(const Error& error) = 0;
  };

  /// A log that continues at sequence `next` in segments numbered from `next_segment`; nothing is written
  /// until start(). `durable` and `floor` go into the first headers as they stand: recovery, which writes
  /// what it read into fresh segments, keeps the old marks until all of it is durable (set_floor()).
  Wal(Runtime& runtime, const StoreOptions& options, Listener& listener, WalSequence next,
      uint64_t next_segment, WalSequence mark, WalSequence floor);
  ~Wal();

  /// Makes the first segment and starts the fibers. Errors: kIo, kNoSpace.
  Result<> start(Task& task);

  /// Queues `frames` (moved from) in order and returns the sequence of the last one. Never waits, never
  /// fails: after a failure the frames go nowhere, and their sequence never becomes durable.
  WalSequence append(std::span<WalFrame> frames);
  WalSequence append(WalFrame frame) { return append(std::span(&frame, 1)); }

  /// The last sequence given out.
  WalSequence last() const { return next_ - 1; }
  /// Everything up to here survives a power cut.
  WalSequence durable() const { return durable_; }
  /// Returns when durable() has reached `sequence`. Errors: the failure of the log; kClosed; kCancelled.
  Result<> wait_durable(Task& task, WalSequence sequence);
  bool failed() const { return failed_.has_value(); }
  /// No room for the next segment, so what is appended may wait for long. Whoever can refuse work does: what is left of
  /// the segment in use then serves terms, votes, and the retention that makes room. Ends by itself.
  bool disk_full() const { return disk_full_; }
  /// The last group took longer than StoreOptions::slow_disk_after, or the one in flight does already. Ends with the
  /// first group that takes less than half of that.
  bool slow() const { return slow_ || runtime_.now() - began_ > options_.slow_disk_after; }
  void moved_on() { moved_on_.notify_all(); }
  /// Between the two no group waits: the oldest segment is being let go.
  void begin_release() { releasing_ = true; moved_on(); }
  void end_release() { releasing_ = false; }
  /// Ends it for good, as a failed write does: for a file that stands above it and lost its sync.
  void fail_for_good(Error error);
  /// Bytes queued and not yet written: what bounds are put on.
  ByteCount queued_bytes() const { return queued_bytes_; }

  /// Reads the payload of a frame back. `crc` and `original` say which frame it has to be. The segment is
  /// held meanwhile. Errors: kNotFound if the segment was let go (look the entry up again); kCorrupt.
  Result<Slice> read_payload(Task& task, WalPosition at, const PartitionKey& key, LogIndex index,
                             WalSequence original, uint32_t size, uint32_t crc);

  /// Number of the oldest segment that is held, and of the one that is written to.
  uint64_t oldest_segment() const;
  uint64_t current_segment() const;
  size_t segments_held() const { return files_.size(); }
  /// The oldest segments, `count` of them, but never the one that is written to.
  struct Oldest {
    uint64_t segment = 0;  ///< Number of the last of them.
    WalSequence floor;     ///< What lies below may go when they go.
    ByteCount bytes = 0;   ///< How much has been written to them.
  };
  Oldest oldest(size_t count) const;

  /// Declares what lies below `floor` dead, durably (one group if nothing else is queued), and then lets
  /// go of the segments that hold nothing else. The caller has made the live part durable elsewhere.
  Result<> release_below(Task& task, WalSequence floor);

  /// Writes what is queued and a closing mark, then ends the fibers. After a failure ends them only.
  void close(Task& task);

  const WalStats& stats() const { return stats_; }

 private:
  void run_writer(Task& task);
  void run_preparer(Task& task);
  Result<> write_group(Task& task, bool mark, ByteCount most);
  ByteCount keep_pace(Task& task);
  Result<std::shared_ptr<WalFile>> file_for(Task& task, uint64_t size);
  Result<std::shared_ptr<WalFile>> make_file(Task& task, ByteCount capacity);
  Result<std::shared_ptr<WalFile>> recycle(Task& task, std::shared_ptr<WalFile> old);
  Result<> prepare(Task& task);
  Result<> make_room(Task& task, WalFile& file, uint64_t size);
  Result<> hand_over(Task& task, WalFile& full, uint64_t next);
  void note_disk_full(const Error& error);
  void note_time(Duration taken);
  void note_room();
  void end_writer();

  Runtime& runtime_;
  const StoreOptions& options_;
  Listener& listener_;
  std::string directory_;

  std::deque<WalFrame> queue_;
  ByteCount queued_bytes_ = 0;
  WalSequence next_;      ///< Given to the next frame.
  WalSequence written_;   ///< Next to be written: first of the queue.
  WalSequence durable_;
  WalSequence mark_;      ///< What headers name as durable: durable_, but for recovery's rewriting.
  WalSequence floor_;
  bool rewriting_ = true; ///< Until the first release_below(): the old segments still count.
  bool in_flight_ = false;
  bool started_ = false;
  bool writer_ended_ = false;
  bool mark_wanted_ = false;
  bool marked_ = true;    ///< Nothing came since the last mark.
  bool closing_ = false;
  bool disk_full_ = false;
  bool releasing_ = false;
  bool slow_ = false;
  Instant began_ = Instant::never();  ///< When the group in flight was handed to the disk; never(): there is none.
  WalSequence floor_durable_;
  std::optional<Error> failed_;

  std::deque<std::shared_ptr<WalFile>> files_;   ///< Oldest first; the last is written to.
  std::shared_ptr<WalFile> spare_;               ///< Prepared, for the next rotation.
  std::deque<std::shared_ptr<WalFile>> retired_; ///< Let go; to be recycled or removed.
  uint64_t next_segment_;
  WalStats stats_;

  WaitQueue work_;      ///< The writer waits for frames.
  WaitQueue prepare_;   ///< The preparer waits for something to prepare.
  WaitQueue prepared_;  ///< The writer waits for a spare.
  WaitQueue done_;      ///< Waiters for durability.
  WaitQueue moved_on_;  ///< The writer waits for segments to take what it wrote before.
  Scope scope_;
};

/// The path of segment `number` of the write-ahead log in `directory`.
std::string wal_segment_path(std::string_view directory, uint64_t number);

}  // namespace taffrail
