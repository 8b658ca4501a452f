// Kafka's record batch, version 2 ("magic 2"): the unit that producers send, logs store and
// consumers get, byte for byte the same. Kafka documentation, "Record Batch"; KIP-98.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "record/compression.h"
#include "record/sequence.h"

namespace taffrail {

enum class TimestampType : uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

/// "CreateTime", "LogAppendTime": the words of `message.timestamp.type`.
std::string_view timestamp_type_name(TimestampType type);

/// Where the fields of a batch lie. Base offset and leader epoch stand before the CRC and outside
/// of it, so that a broker can fill them in without another pass over the bytes.
struct BatchLayout {
  static constexpr size_t kBaseOffset = 0;
  static constexpr size_t kLength = 8;  ///< Counts the bytes after itself.
  static constexpr size_t kLeaderEpoch = 12;
  static constexpr size_t kMagic = 16;  ///< At the same place in all three message formats.
  static constexpr size_t kCrc = 17;
  static constexpr size_t kAttributes = 21;  ///< The CRC-32C covers from here to the end.
  static constexpr size_t kLastOffsetDelta = 23;
  static constexpr size_t kBaseTimestamp = 27;
  static constexpr size_t kMaxTimestamp = 35;
  static constexpr size_t kProducerId = 43;
  static constexpr size_t kProducerEpoch = 51;
  static constexpr size_t kBaseSequence = 53;
  static constexpr size_t kRecordCount = 57;
  static constexpr size_t kRecords = 61;

  /// Base offset and length: what stands before the bytes that the length counts.
  static constexpr size_t kLogOverhead = 12;
  static constexpr size_t kHeaderSize = kRecords;
};
static_assert(BatchLayout::kLength == BatchLayout::kBaseOffset + 8);
static_assert(BatchLayout::kLeaderEpoch == BatchLayout::kLength + 4);
static_assert(BatchLayout::kMagic == BatchLayout::kLeaderEpoch + 4);
static_assert(BatchLayout::kCrc == BatchLayout::kMagic + 1);
static_assert(BatchLayout::kAttributes == BatchLayout::kCrc + 4);
static_assert(BatchLayout::kLastOffsetDelta == BatchLayout::kAttributes + 2);
static_assert(BatchLayout::kBaseTimestamp == BatchLayout::kLastOffsetDelta + 4);
static_assert(BatchLayout::kMaxTimestamp == BatchLayout::kBaseTimestamp + 8);
static_assert(BatchLayout::kProducerId == BatchLayout::kMaxTimestamp + 8);
static_assert(BatchLayout::kProducerEpoch == BatchLayout::kProducerId + 8);
static_assert(BatchLayout::kBaseSequence == BatchLayout::kProducerEpoch + 2);
static_assert(BatchLayout::kRecordCount == BatchLayout::kBaseSequence + 4);
static_assert(BatchLayout::kRecords == BatchLayout::kRecordCount + 4);

struct BatchAttributes {
  static constexpr uint16_t kCodecMask = 0x07;
  static constexpr uint16_t kLogAppendTime = 1 << 3;
  static constexpr uint16_t kTransactional = 1 << 4;
  static constexpr uint16_t kControl = 1 << 5;
  static constexpr uint16_t kDeleteHorizon = 1 << 6;
};

/// Every field of the 61 bytes before the records, as numbers.
struct BatchHeader {
  int64_t base_offset = 0;
  int32_t length = 0;
  int32_t leader_epoch = -1;
  int8_t magic = 2;
  uint32_t crc = 0;
  uint16_t attributes = 0;
  int32_t last_offset_delta = 0;
  int64_t base_timestamp = -1;
  int64_t max_timestamp = -1;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;
  int32_t record_count = 0;

  bool operator==(const BatchHeader&) const = default;
};

/// One whole batch in somebody else's bytes. Fields are read where they lie, so a view sees what
/// was filled in place after it was made. Copying is copying a span.
class BatchView {
 public:
  /// The batch at the start of `bytes`; more may follow it.
  ///
  /// Looks at lengths, magic, and that offsets and counts do not run backwards or past 2^63. Looks
  /// neither at the CRC nor into the records.
  /// Errors: kCorrupt; kUnsupported for message formats v0 and v1; kOutOfRange if `bytes` end
  /// before the batch does, which at the end of a fetched range is no damage.
  static Result<BatchView> parse(ByteView bytes);

  ByteView bytes() const { return bytes_; }
  size_t size_bytes() const { return bytes_.size(); }
  /// The records as stored, which may be compressed.
  ByteView payload() const { return bytes_.subspan(BatchLayout::kRecords); }

  BatchHeader header() const;
  /// True if the stored CRC-32C is that of the bytes it covers.
  bool check_crc() const;

  Offset base_offset() const { return Offset(get<int64_t>(BatchLayout::kBaseOffset)); }
  /// Of the batch, which compaction keeps when it removes the last record.
  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  Offset next_offset() const { return last_offset() + 1; }
  int32_t leader_epoch() const { return get<int32_t>(BatchLayout::kLeaderEpoch); }
  uint32_t crc() const { return get<uint32_t>(BatchLayout::kCrc); }

  uint16_t attributes() const { return get<uint16_t>(BatchLayout::kAttributes); }
  /// Empty for the three numbers that no codec has.
  std::optional<Codec> codec() const;
  TimestampType timestamp_type() const {
    return has(BatchAttributes::kLogAppendTime) ? TimestampType::kLogAppendTime
                                                : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return has(BatchAttributes::kTransactional); }
  bool is_control() const { return has(BatchAttributes::kControl); }
  /// Set by compaction: until then (ms since 1970) the batch's tombstones stay (KIP-534).
  std::optional<int64_t> delete_horizon_ms() const;

  int32_t last_offset_delta() const { return get<int32_t>(BatchLayout::kLastOffsetDelta); }
  /// What the records' timestamps count from: the first record's, or the delete horizon.
  int64_t base_timestamp() const { return get<int64_t>(BatchLayout::kBaseTimestamp); }
  int64_t max_timestamp() const { return get<int64_t>(BatchLayout::kMaxTimestamp); }

  bool has_producer() const { return producer_id() != kNoProducer; }
  ProducerId producer_id() const { return ProducerId(get<int64_t>(BatchLayout::kProducerId)); }
  ProducerEpoch producer_epoch() const {
    return ProducerEpoch(get<int16_t>(BatchLayout::kProducerEpoch));
  }
  Sequence base_sequence() const { return Sequence(get<int32_t>(BatchLayout::kBaseSequence)); }
  /// Of the last offset, kNoSequence if there is no base sequence.
  Sequence last_sequence() const;
  /// 0 for a batch that compaction emptied and kept for its producer's sake.
  int32_t record_count() const { return get<int32_t>(BatchLayout::kRecordCount); }

 private:
  explicit BatchView(ByteView bytes) : bytes_(bytes) {}
  bool has(uint16_t bit) const { return (attributes() & bit) != 0; }
  template <class T>
  T get(size_t at) const {
    T v;
    std::memcpy(&v, bytes_.data() + at, sizeof(T));
    if constexpr (sizeof(T) == 2)
      return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(v)));
    if constexpr (sizeof(T) == 4)
      return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(v)));
    if constexpr (sizeof(T) == 8)
      return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(v)));
    return v;
  }
  ByteView bytes_;
};

/// Batches one after the other, as a segment or a fetch answer holds them:
///
///   BatchWalk walk(bytes);
///   while (auto batch = TRY(walk.next())) ...
class BatchWalk {
 public:
  explicit BatchWalk(ByteView bytes) : rest_(bytes) {}
  /// The next batch; nothing at the end, or where only a part of one is left: a fetch answer may be
  /// cut anywhere. Errors: as BatchView::parse(), less kOutOfRange. The walk stays where it failed.
  Result<std::optional<BatchView>> next();
  /// Bytes of the whole batches so far.
  size_t position() const { return position_; }
  /// What is left: after the end, the part of a batch that was cut off.
  ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
  size_t position_ = 0;
};

/// In-place fills, for the one who owns the bytes before anybody else sees them. Each takes a batch
/// that BatchView::parse() took.
void set_base_offset(MutableBytes batch, Offset offset);
void set_leader_epoch(MutableBytes batch, int32_t epoch);
/// Makes it a LogAppendTime batch of that moment, and computes the CRC anew. Stored timestamp
/// deltas stay; readers ignore them.
void set_log_append_time(MutableBytes batch, int64_t timestamp_ms);

}  // namespace taffrail
