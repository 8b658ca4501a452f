// Segments: the committed part of a log, in chunks that clients are served from. Never cut at the end.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/disk.h"
#include "storage/types.h"

namespace taffrail {

/// Size of the header of a segment's file, of a chunk's fixed part and of one envelope.
inline constexpr size_t kSegmentHeaderSize = 64;
inline constexpr size_t kChunkHeaderSize = 80;
inline constexpr size_t kEnvelopeSize = 48;
/// What a chunk may hold at most. Anything larger in a header is not a chunk of ours.
inline constexpr uint32_t kChunkEntriesMax = 1u << 20;
/// A note is what the owner of a log wants to find at the next start, beside the newest chunk that has one.
inline constexpr size_t kNoteBytesMax = 65535;

/// One entry of a chunk: its meta data, and where its payload lies.
struct Envelope {
  EntryMeta meta;
  uint32_t size = 0;
  uint32_t crc = 0;
  uint64_t position = 0;  ///< Of the payload in the file; derived, not stored.
};

/// A chunk's header, parsed and verified: which entries it holds, and where.
struct ChunkDirectory {
  uint64_t position = 0;     ///< Of the header in the file.
  uint64_t data_position = 0;
  uint64_t end = 0;          ///< One past the chunk.
  LogIndex first_index;
  LogIndex next_index;       ///< One past the last index that the chunk speaks for.
  Offset base_offset;
  Offset next_offset;
  std::vector<Envelope> envelopes;  ///< Ascending by index.
  Slice header;              ///< With the payloads that clients never see.
  Slice note;                ///< Of its bytes; empty if there is none.
};

/// What the sparse index keeps of a chunk.
struct ChunkRef {
  LogIndex first_index;
  LogIndex next_index;
  Offset base_offset;
  Offset next_offset;
  uint64_t position = 0;
  uint32_t header_bytes = 0;
  uint32_t data_bytes = 0;
  int64_t max_timestamp = -1;
  bool operator==(const ChunkRef&) const = default;
};

/// A chunk ready to be written: `header`, then the payloads of `data`, back to back.
struct EncodedChunk {
  std::string header;
  std::vector<Slice> data;
  ChunkRef ref;
};

/// Encodes `entries` (ascending, with the CRC-32C of each payload) for `position` of a segment of `key`.
EncodedChunk encode_chunk(const PartitionKey& key, uint64_t position, std::span<const Entry> entries,
                          std::span<const uint32_t> crcs, ByteView note = {});
/// Size of a chunk's header with its envelopes and side data, from its first kChunkHeaderSize bytes, which
/// must be those of a chunk of `key` at `position`. Errors: kCorrupt, kUnsupported.
Result<uint32_t> chunk_header_bytes(const PartitionKey& key, uint64_t position, ByteView fixed);
/// Parses and verifies a whole header. Errors: kCorrupt.
Result<ChunkDirectory> parse_chunk(const PartitionKey& key, uint64_t position, Slice header);

std::string encode_segment_header(const PartitionKey& key, LogIndex first, Offset base);
struct SegmentHeader {
  uint16_t version = 0;
  PartitionKey key;
  LogIndex first;
  Offset base;
  /// Chunks as they are written now have no place behind it.
  bool is_old() const;
};
/// Errors: kCorrupt; kUnsupported for a newer format. `file` is named in the message.
Result<SegmentHeader> parse_segment_header(ByteView bytes, std::string_view file);

/// Every chunk of a segment's file that can be read, and what lies between them that cannot.
struct SegmentScan {
  std::vector<ChunkDirectory> chunks;
  std::vector<Damage> damage;  ///< `file` is left to the caller.
};
/// Scans from a chunk at byte `from` up to byte `end` (at most the file's end). Errors: kIo, kUnsupported.
Result<SegmentScan> scan_segment(Task& task, File& file, const PartitionKey& key, uint64_t end = UINT64_MAX,
                                 uint64_t from = kSegmentHeaderSize);

/// One segment of a log, open as long as it lives. Written by one fiber at a time, read by any.
class Segment {
 public:
  /// Where a term begins within this segment.
  struct TermStart {
    LogIndex first;
    Term term;
    Offset start;
    bool operator==(const TermStart&) const = default;
  };

  /// A new file `directory`/NAME.log, or NAME.patch for what fills a hole of another. Its name is not
  /// durable until sync() of the segment.
  static Result<std::unique_ptr<Segment>> create(Task& task, Disk& disk, const PartitionKey& key,
                                                 std::string_view directory, LogIndex first, Offset base,
                                                 bool patch = false);
  /// An old file, known to hold chunks up to byte `end` (0: as far as the file reaches). Reads the index
  /// beside it if that fits, and scans the headers of chunks behind it. Damage found goes to `damage`, and leaves a
  /// hole. Errors: kUnsupported, kIo; kCorrupt if the file's own header is not one of ours.
  static Result<std::unique_ptr<Segment>> open(Task& task, Disk& disk, const PartitionKey& key,
                                               std::string_view directory, LogIndex first, uint64_t end,
                                               std::vector<Damage>& damage, bool patch = false);
  ~Segment();

  /// Writes one chunk behind the last. Not durable until sync(). After an error nothing has changed, and
  /// the next chunk goes to the same place. Errors: kIo, kNoSpace.
  Result<> append(Task& task, std::span<const Entry> entries, std::span<const uint32_t> crcs, ByteView note = {});
  /// Errors: kIo; never retried by the caller.
  Result<> sync(Task& task);
  bool synced() const { return synced_end_ == end_; }
  uint64_t end() const { return end_; }
  uint64_t synced_end() const { return synced_end_; }
  /// Writes the index beside the file. It is derived: a crash may lose it.
  Result<> write_index(Task& task, bool durably = true);
  /// Of one that still grows, for a start after a mere kill: now and then, and not durably, once all of it is synced.
  Result<> note_index(Task& task);

  /// The header of the chunk that holds `index`. Errors: kCorrupt inside a hole or for a bad header.
  Result<std::shared_ptr<const ChunkDirectory>> read_directory(Task& task, LogIndex index);
  /// Payloads of envelopes [from, to) of a chunk, each verified: fewer if a later one is bad. One read for
  /// the batches among them. Errors: kCorrupt if the first one is bad; kIo.
  Result<std::vector<Entry>> read_payloads(Task& task, const ChunkDirectory& chunk, size_t from, size_t to);

  /// The newest note of its last few chunks; empty if they have none, or it cannot be read. Errors: kIo, kCancelled.
  Result<Slice> read_note(Task& task);
  /// Made by an earlier version: takes no more chunks.
  bool is_old() const { return old_; }

  LogIndex first() const { return first_; }
  /// One past the last entry.
  LogIndex next() const { return next_; }
  Offset base() const { return base_; }
  Offset next_offset() const { return next_offset_; }
  int64_t max_timestamp() const { return max_timestamp_; }
  ByteCount payload_bytes() const { return payload_bytes_; }
  const std::string& path() const { return path_; }
  const std::vector<ChunkRef>& chunks() const { return chunks_; }
  const std::vector<TermStart>& terms() const { return terms_; }
  /// kConfig entries within.
  const std::vector<Entry>& configs() const { return configs_; }
  const std::vector<std::pair<LogIndex, LogIndex>>& holes() const { return holes_; }
  /// What is known to lie up to `next`, with offsets up to `next_offset`, but was not found: one hole more.
  void add_hole_to(LogIndex next, Offset next_offset);
  /// What was read of the chunk that holds `index` was bad: all of it is a hole from now on. False if it
  /// was one already.
  bool add_hole_at(LogIndex index);

  /// Reads and verifies every byte of one chunk, from the disk. Errors: kCorrupt, kIo, kCancelled.
  Result<> check_chunk(Task& task, LogIndex first);
  /// The same of all chunks. Errors are returned as damage, except kCancelled.
  Result<std::vector<Damage>> scrub(Task& task);
  /// Removes the file and its index. Readers that hold the segment's file may finish.
  Result<> remove(Task& task);

  /// "00000000000000000042.log" for index 42, and back; nothing if it is not such a name. Patches end in
  /// ".patch" instead.
  static std::string file_name(LogIndex first, bool patch = false);
  static std::optional<LogIndex> parse_file_name(std::string_view name, bool patch = false);

 private:
  Segment(Disk& disk, PartitionKey key, std::string directory, LogIndex first, bool patch);
  Result<> scan(Task& task, uint64_t end, std::vector<Damage>& damage);
  Result<bool> load_index(Task& task, uint64_t end);
  void note_chunk(const ChunkRef& ref, const ChunkDirectory& chunk);
  std::string index_path() const;

  Disk& disk_;
  PartitionKey key_;
  std::string directory_;
  std::string path_;
  std::shared_ptr<File> file_;
  LogIndex first_;
  LogIndex next_;
  Offset base_;
  Offset next_offset_;
  uint64_t end_ = 0;
  uint64_t synced_end_ = 0;
  bool name_synced_ = false;
  bool old_ = false;
  size_t indexed_ = 0;  ///< Chunks in the index beside it.
  int64_t max_timestamp_ = -1;
  ByteCount payload_bytes_ = 0;
  std::vector<ChunkRef> chunks_;
  std::vector<TermStart> terms_;
  std::vector<Entry> configs_;
  std::vector<std::pair<LogIndex, LogIndex>> holes_;
  std::shared_ptr<const ChunkDirectory> last_directory_;  ///< Sequential readers come back to it.
};

}  // namespace taffrail
