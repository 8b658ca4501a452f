// The bytes of the write-ahead log, to and from structs. Pure; every byte table is in docs/formats.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "storage/types.h"
#include "storage/wal.h"

namespace taffrail {

/// Groups begin at multiples of this: a disk tears no finer, so that a short header is there or is not.
inline constexpr uint64_t kWalBlock = 512;
inline constexpr uint64_t kWalGroupHeaderSize = 88;
inline constexpr uint64_t kWalLogSize = 20;     ///< One name in a group's list of logs.
inline constexpr uint64_t kWalFrameHeaderSize = 104;
inline constexpr uint16_t kWalVersion = 1;
/// Of segments whose shard is not 0. Version 1 may be of any: which one it did not say.
inline constexpr uint16_t kWalVersionOfShards = 2;

constexpr uint64_t wal_round_up(uint64_t n) { return (n + kWalBlock - 1) / kWalBlock * kWalBlock; }

/// First block of a segment's file.
struct WalSegmentHeader {
  uint64_t number = 0;
  WalOwner owner;
  uint64_t capacity = 0;
  bool operator==(const WalSegmentHeader&) const = default;
};
std::string encode_wal_segment_header(const WalSegmentHeader& header);
/// Errors: kCorrupt, kUnsupported; `file` is named in the message.
Result<WalSegmentHeader> parse_wal_segment_header(ByteView block, std::string_view file);

struct WalGroupHeader {
  uint64_t segment = 0;
  uint64_t position = 0;
  WalSequence first;
  WalSequence next;
  WalSequence durable;   ///< What was durable before this group was written.
  WalSequence floor;     ///< Below it nothing is needed any more.
  uint32_t frame_count = 0;
  uint32_t log_count = 0;
  uint64_t frames_size = 0;
  uint32_t list_crc = 0;
  /// Of the mark that ends a full segment: the number of the one where the log goes on. 0 in any other group.
  uint64_t followed_by = 0;

  bool is_mark() const { return frame_count == 0; }
  /// Of header and list; where the frames begin, from the header's start.
  uint64_t frames_at() const { return kWalGroupHeaderSize + log_count * kWalLogSize; }
  uint64_t size() const { return frames_at() + frames_size; }
  bool operator==(const WalGroupHeader&) const = default;
};
std::string encode_wal_group_header(const WalOwner& owner, const WalGroupHeader& header);
/// Nothing unless `bytes` begins with a header that was written to this very place.
std::optional<WalGroupHeader> parse_wal_group_header(const WalOwner& owner, uint64_t segment,
                                                     uint64_t position, ByteView bytes);
/// True if `bytes` begins with a good header of an earlier use of this file at this place.
bool is_older_wal_group(const WalOwner& owner, uint64_t segment, uint64_t position, ByteView bytes);

std::string encode_wal_logs(const std::vector<PartitionKey>& logs);
/// Nothing if the checksum does not match.
std::optional<std::vector<PartitionKey>> parse_wal_logs(const WalGroupHeader& header, ByteView bytes);

void encode_wal_frame_header(ByteWriter& out, const WalOwner& owner, uint64_t segment, const WalFrame& frame);
/// A frame header, and the payload's size. `frame.payload` is left empty; `frame.payload_crc` is as stored.
struct WalFrameHeader {
  WalFrame frame;
  uint32_t payload_size = 0;
};
/// Nothing unless `bytes` begins with a good header of segment `segment`.
std::optional<WalFrameHeader> parse_wal_frame_header(const WalOwner& owner, uint64_t segment, ByteView bytes);

std::string encode_hard_state(const LogHardState& state);
Result<LogHardState> decode_hard_state(ByteView bytes);

/// What a state frame says of a log: all but its entries.
struct LogState {
  bool possibly_longer = false;
  bool hard_state_doubtful = false;
  bool reset = false;          ///< Entries before this frame are void.
  LogHardState hard;
  EntryId prefix;
  Offset start_offset;
  Offset prefix_offset;        ///< The Kafka offset behind the prefix.
  EntryId flushed;             ///< Last entry that lies, synced, in segments.
  Offset flushed_offset;       ///< The Kafka offset behind it.
  LogIndex last_segment;       ///< First index of the segment that holds it; 0: there is none.
  uint64_t last_segment_end = 0;
  std::optional<EntryId> snapshot;
  /// The memberships in force at the prefix and at `flushed`, ascending, one if they are the same: segments may be lost,
  /// and who votes must be known all the same.
  std::vector<Entry> configs;
  int64_t joined = 0;          ///< See Log::joined().
};
std::string encode_log_state(const LogState& state);
Result<LogState> decode_log_state(ByteView bytes);

}  // namespace taffrail
