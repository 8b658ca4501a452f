// The records inside a batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch.h"

namespace taffrail {

/// A key may be empty, and repeat; a value may be null.
struct RecordHeader {
  ByteView key;
  std::optional<ByteView> value;
};

/// The headers of one record, in their order: `while (auto h = headers.next()) ...`
class HeaderWalk {
 public:
  HeaderWalk() = default;
  HeaderWalk(ByteView bytes, int32_t count) : reader_(bytes), left_(count) {}
  /// The bytes were checked when the record was read: this cannot fail.
  std::optional<RecordHeader> next();
  int32_t left() const { return left_; }

 private:
  ByteReader reader_{ByteView()};
  int32_t left_ = 0;
};

/// One record. Points into the walk that gave it, or into the batch if that is not compressed.
struct RecordView {
  Offset offset;
  int64_t timestamp = -1;  ///< In ms; -1: none. The batch's own with LogAppendTime.
  std::optional<ByteView> key;
  std::optional<ByteView> value;  ///< Null: a tombstone.
  HeaderWalk headers;

  int32_t length = 0;  ///< As stored: bytes after the length itself.
  int8_t attributes = 0;
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
};

/// Whether an uncompressed batch holds the records that its header speaks of: as many, end to end, at offsets without
/// holes. Looks at lengths and offset deltas only, a few nanoseconds a record. Errors: kCorrupt.
Result<> check_record_lengths(const BatchView& batch);

/// Reads the records of one batch, one by one:
///
///   RecordWalk records = TRY(RecordWalk::open(batch));
///   while (auto record = TRY(records.next())) ...
///
/// A compressed batch is decompressed by open(), within limits; next() makes their pauses as well. Does not check the CRC.
class RecordWalk {
 public:
  /// `batch` must outlive the walk. Errors: as decompress(); kUnsupported for an unknown codec;
  /// kCorrupt if there cannot be as many records as the header says.
  static Result<RecordWalk> open(const BatchView& batch, const CodecLimits& limits = {},
                                 CodecScratch* scratch = nullptr);

  /// The next record, or nothing after the last. Errors: kCorrupt; also when records are left over,
  /// or bytes are, and when offsets do not rise or lie outside the batch.
  Result<std::optional<RecordView>> next();

  /// All records as one run of bytes, decompressed.
  ByteView payload() const { return payload_; }

 private:
  RecordWalk(const BatchView& batch, Slice owned, std::function<bool()> keep_going);
  Result<RecordView> read_record(ByteReader& body);

  BatchView batch_;
  Slice owned_;  ///< Of a compressed batch; empty otherwise.
  ByteView payload_;
  ByteReader reader_;
  std::function<bool()> keep_going_;
  size_t rested_at_ = 0;  ///< What was left to read then.
  int32_t read_ = 0;
  int32_t last_delta_ = -1;
};

struct TimestampedOffset {
  Offset offset;
  int64_t timestamp = -1;
  bool operator==(const TimestampedOffset&) const = default;
};

/// The first record at `from` or later whose timestamp is `timestamp_ms` or later: ListOffsets by
/// time, within one batch. Looks into the records only if the batch's header leaves it open.
Result<std::optional<TimestampedOffset>> find_by_timestamp(const BatchView& batch,
                                                           int64_t timestamp_ms, Offset from,
                                                           const CodecLimits& limits = {});

/// The first of the records that have the largest timestamp; nothing if there are no records.
Result<std::optional<TimestampedOffset>> find_max_timestamp(const BatchView& batch,
                                                            const CodecLimits& limits = {});

}  // namespace taffrail
