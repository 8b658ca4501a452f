// Writing record batches: for the client, the coordinators, compaction and tests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "record/batch.h"
#include "record/compression.h"
#include "record/records.h"

namespace taffrail {

/// All of a batch but its records.
struct BatchOptions {
  Codec codec = Codec::kNone;
  std::optional<int> compression_level = {};
  bool only_if_smaller = false;  ///< Records that the codec makes no smaller stay as they are, as librdkafka has it.
  TimestampType timestamp_type = TimestampType::kCreateTime;
  /// The append time of a LogAppendTime batch, which must be given; or a larger one than the
  /// records have, where compaction took away the latest. Else the largest of the records.
  std::optional<int64_t> max_timestamp_ms = {};
  Offset base_offset{0};
  int32_t leader_epoch = -1;
  ProducerId producer_id = kNoProducer;
  ProducerEpoch producer_epoch{-1};
  Sequence base_sequence = kNoSequence;
  bool transactional = false;
  bool control = false;
  std::optional<int64_t> delete_horizon_ms = {};
  /// Where compaction took away the last records; the last record's delta if absent.
  std::optional<int32_t> last_offset_delta = {};
  CodecScratch* scratch = nullptr;  ///< Outlives the builder; may be shared by many.
};

/// Collects records, then writes one batch:
///
///   BatchBuilder builder({.codec = Codec::kZstd});
///   builder.add(now_ms, "key", "value");
///   Slice batch = builder.finish();
class BatchBuilder {
 public:
  explicit BatchBuilder(BatchOptions options = {}) : options_(options) {}

  /// A record at the next offset. `timestamp_ms` -1: none. The bytes are copied.
  void add(int64_t timestamp_ms, std::optional<ByteView> key, std::optional<ByteView> value,
           std::span<const RecordHeader> headers = {});
  void add(int64_t timestamp_ms, std::string_view key, std::string_view value) {
    add(timestamp_ms, as_bytes(key), as_bytes(value));
  }
  /// A record at `offset_delta`, which must be greater than the last one's: compaction leaves
  /// holes.
  void add_at(int32_t offset_delta, int64_t timestamp_ms, std::optional<ByteView> key,
              std::optional<ByteView> value, std::span<const RecordHeader> headers = {});

  int32_t record_count() const { return record_count_; }
  bool empty() const { return record_count_ == 0; }
  /// Of the batch, were it not compressed.
  size_t size_bytes() const { return BatchLayout::kHeaderSize + records_.size(); }

  /// The batch, CRC and all. Without records: the header alone. The builder is spent.
  Slice finish();

 private:
  BatchOptions options_;
  ByteWriter records_;
  int32_t record_count_ = 0;
  int32_t last_delta_ = -1;
  int64_t base_timestamp_ = -1;
  int64_t max_timestamp_ = -1;
};

}  // namespace taffrail
