// What a broker checks before it appends what a producer sent. The order of the checks, and which
// of them fails how, is Kafka's (ProduceRequest.validateRecords, UnifiedLog, LogValidator).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "record/batch.h"
#include "record/compression.h"

namespace taffrail {

/// Why a batch was refused; protocol/errors.h has the Kafka error code of each.
enum class BatchFault : uint8_t {
  kCorrupt,           ///< Lengths or checksum are wrong: damaged on its way, may be sent again.
  kTooLarge,          ///< Past `max_size_bytes`. Java producers split the batch and try again.
  kInvalidRecord,     ///< Not acceptable, and will not be when it is sent again.
  kInvalidTimestamp,  ///< Too far from the broker's clock.
  kUnsupportedCompression,  ///< No such codec, or not in this version of Produce.
};

/// "corrupt", "too_large", ...
std::string_view batch_fault_name(BatchFault fault);

struct BatchRefusal {
  struct OfRecord {
    int32_t index = 0;  ///< Of the record within its batch.
    std::string message;
    bool operator==(const OfRecord&) const = default;
  };

  BatchFault fault = BatchFault::kInvalidRecord;
  std::string message;
  /// The records at fault, where it is records: Produce v8 names them (KIP-467). At most
  /// kMaxRecords.
  std::vector<OfRecord> records;

  static constexpr size_t kMaxRecords = 100;
};

struct ValidateOptions {
  size_t max_size_bytes = 1048588;  ///< `max.message.bytes`, of the batch as it arrived.
  bool allow_zstd = true;           ///< From Produce v7 on (KIP-110).
  bool require_keys = false;        ///< The topic is compacted.
  /// Of the topic. With LogAppendTime the batch's own timestamps do not matter.
  TimestampType timestamp_type = TimestampType::kCreateTime;
  int64_t now_ms = 0;
  /// `message.timestamp.before.max.ms` and `after.max.ms`.
  int64_t before_max_ms = INT64_MAX;
  int64_t after_max_ms = 3'600'000;
  /// Reads every record even if nothing above asks for it. A batch whose header and CRC are right
  /// but whose records are not is then refused here, instead of at each consumer.
  bool check_records = false;
  CodecLimits limits = {};
};

/// Checks the records field of one partition of a Produce request: exactly one batch, fit to
/// append.
///
/// Decompresses only if `require_keys`, a `before_max_ms` or `check_records` asks for the records;
/// otherwise the cost is one CRC, and of records that are not compressed their lengths and offset
/// deltas (check_record_lengths). Of a compressed payload only its beginning is looked at then
/// (check_stream_start): what lies further in is between the producer and its consumers. The view points into `records`. Does not look at the producer's
/// epoch or sequence beyond whether it has one: that takes state.
std::expected<BatchView, BatchRefusal> validate_produced(ByteView records,
                                                         const ValidateOptions& options);

}  // namespace taffrail
