// Reading a write-ahead log back, and telling a clean end, a torn group and damage apart.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "storage/types.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace taffrail {

/// A good frame, and where it stands.
struct ScannedFrame {
  WalFrame frame;
  WalPosition at;
  uint32_t payload_size = 0;
  bool left_there = false;  ///< An entry that, by a later state of its log, lies in segments: its payload was not kept.
};

/// A header that was found good.
struct ScannedGroup {
  WalGroupHeader header;
  std::string file;
};

/// A stretch of a segment that does not read as what was written.
struct BadStretch {
  std::string file;
  uint64_t position = 0;
  ByteCount size_bytes = 0;
  std::string what;
  /// Sequences that it would hold: half-open; empty if its header is gone.
  std::optional<std::pair<WalSequence, WalSequence>> sequences;
  WalSequence group_next;  ///< Of the group that it lies in, if its header is there.
  /// Whose frames it holds; empty if that is not known.
  std::optional<std::vector<PartitionKey>> logs;
  /// No good header follows it anywhere.
  bool last = false;
  bool counted = false;  ///< Among the torn bytes.
  /// What stood there was durable, or nothing: a file that was in use ends before its capacity, or is somebody else's now.
  bool was_whole = false;
};

/// One file, seen alone.
struct WalFileScan {
  std::string file;
  uint64_t number = 0;
  uint64_t size = 0;
  std::optional<WalOwner> other;           ///< Whose it is by its header and its groups, if not whose it should be.
  std::optional<WalSegmentHeader> header;  ///< Empty if the first block is bad, or somebody else's over groups that are not.
  std::vector<ScannedGroup> groups;
  std::vector<ScannedFrame> frames;
  std::vector<BadStretch> bad;
};

/// Reads one segment. `number` is that of its name; `owner` empty: taken from its first block (for looking
/// at files of any disk). Payloads are not kept. Never fails for what the bytes are, but for kUnsupported. Errors: kIo, kNotFound too.
Result<WalFileScan> scan_wal_file(Task& task, Disk& disk, const std::string& path, uint64_t number,
                                  std::optional<WalOwner> owner);

/// What all segments together say.
struct WalScan {
  std::vector<ScannedFrame> frames;   ///< Good and needed, in order of sequence.
  WalSequence floor;                  ///< Below it nothing counts.
  WalSequence mark;                   ///< The highest that a surviving header calls durable.
  WalSequence next;                   ///< Above every sequence that was ever given out here.
  uint64_t next_segment = 1;
  std::vector<std::string> files;     ///< All segments' paths, ascending.
  std::set<std::string> damaged_files;
  std::vector<Damage> damage;         ///< Bad below a mark: was once durable.
  ByteCount torn_bytes = 0;           ///< Bad above every mark: a crash, or rarely rot after a sync.
  /// Logs that may have acknowledged more than was read; and whether that is all logs of the store.
  std::set<PartitionKey> possibly_longer;
  bool all_possibly_longer = false;
  /// The same for damage, where a term or vote may be lost as well.
  std::set<PartitionKey> damaged;
  bool all_damaged = false;
  uint64_t groups = 0;
};

/// The payload of a frame that was left there. Errors: kIo; kCorrupt if it no longer reads as it did.
Result<Slice> read_scanned(Task& task, Disk& disk, const std::string& directory, const ScannedFrame& frame);

/// Reads every segment below `directory`/wal and judges (docs/formats.md, "Reading it back"). Writes nothing. Errors: those
/// of one segment; kCorrupt if what reads there belongs to another disk or shard.
Result<WalScan> scan_wal(Task& task, Runtime& runtime, const std::string& directory, const WalOwner& owner);

/// The number in a segment's file name; nothing if it is not one.
std::optional<uint64_t> parse_wal_file_name(std::string_view name);

}  // namespace taffrail
