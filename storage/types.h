// Small things that every part of storage speaks of: what was found damaged, and how big things are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/units.h"

namespace taffrail {

/// What Raft must never forget, as it stands in a kHardState frame.
using LogHardState = HardState;

/// Bytes that were once good and are not any more. Damage is reported and kept, never cut away.
struct Damage {
  std::string file;
  uint64_t position = 0;
  ByteCount size_bytes = 0;             ///< 0 if it is not known where the damage ends.
  std::optional<PartitionKey> log;      ///< Empty: it may concern every log of the store.
  std::string what;                     ///< One line for a person.
  /// "shard-0/wal/0000000000000003.wal at 4096: frame checksum is 1, expected 2".
  std::string text() const;
  bool operator==(const Damage&) const = default;
};

/// Whose a write-ahead log is: part of every checksum in it. What a disk wrote to another file than it was told to, or what
/// was copied here, does not read as good.
struct WalOwner {
  DiskId disk;
  uint32_t shard = 0;
  bool operator==(const WalOwner&) const = default;
};

/// Knobs of one store. Every value may be tiny: simulation runs with segments of 4 KiB.
struct StoreOptions {
  std::string directory = "shard-0";  ///< Below the node's data directory; made if missing.
  WalOwner owner;
  /// It has been open before, to its end: without a write-ahead log it is not new, but has lost it.
  bool used_before = false;

  ByteCount wal_first_segment_bytes = 1u << 20;
  ByteCount wal_segment_bytes = 64u << 20;
  /// Segments with content beyond which the oldest is let go (its live content moved first). At least 1.
  uint32_t wal_segments_kept = 4;
  /// A group takes at least one frame, and no more than this if it takes several.
  ByteCount wal_group_bytes_max = 16u << 20;
  /// After this long without a frame, one closing mark is written.
  Duration wal_idle_mark_after{1'000'000'000};

  ByteCount arena_bytes = 256u << 20;  ///< Payloads kept in memory; beyond it the oldest are evicted.
  ByteCount chunk_bytes = 256u << 10;  ///< Committed bytes of a log that are worth a chunk of their own.
  /// Below this, what leaves with a write-ahead segment is copied forward (once) instead of flushed.
  ByteCount quiet_bytes = 16u << 10;
  ByteCount segment_bytes = 1u << 30;  ///< A segment is sealed by the chunk that reaches this.
  /// A group of the write-ahead log that takes longer makes the disk count as slow (Wal::slow).
  Duration slow_disk_after{2'000'000'000};
  /// How long the background fiber waits before it tries again when the disk was full.
  Duration full_disk_retry{500'000'000};
};

/// One log as recovery found it.
struct LogRecovery {
  PartitionKey key;
  EntryId last;  ///< Of what can be read.
  /// This replica may have acknowledged more than it still holds: it neither leads nor votes for a log
  /// that may be shorter. Stays set, across restarts too, until Log::settle().
  bool possibly_longer = false;
  /// A term or vote may be among what was lost.
  bool hard_state_doubtful = false;
  /// Entries behind a hole that are still on the disk (in the files set aside), the last of them.
  std::optional<EntryId> known_last;
  bool operator==(const LogRecovery&) const = default;
};

struct RecoveryReport {
  bool fresh = false;  ///< There was nothing: a new store.
  uint64_t wal_segments = 0;
  uint64_t groups = 0;
  uint64_t frames = 0;
  /// Bytes of a last group that did not arrive whole.
  ByteCount torn_bytes = 0;
  std::vector<Damage> damage;
  std::vector<LogRecovery> logs;  ///< Sorted by key.
  /// Write-ahead segments with damage, kept under these names.
  std::vector<std::string> set_aside;
};

}  // namespace taffrail
