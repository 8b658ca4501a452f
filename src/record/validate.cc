#include "record/validate.h"

#include <fmt/core.h>

#include "record/records.h"

namespace taffrail {
namespace {

using Refused = std::unexpected<BatchRefusal>;

Refused refuse(BatchFault fault, std::string message) {
  return Refused(BatchRefusal{fault, std::move(message), {}});
}

// Timestamps are a client's: a difference may not fit, and then it is certainly too far.
bool is_before(int64_t timestamp, const ValidateOptions& o) {
  int64_t age = 0;
  return __builtin_sub_overflow(o.now_ms, timestamp, &age) ? timestamp < o.now_ms
                                                           : age > o.before_max_ms;
}
bool is_after(int64_t timestamp, const ValidateOptions& o) {
  int64_t lead = 0;
  return __builtin_sub_overflow(timestamp, o.now_ms, &lead) ? timestamp > o.now_ms
                                                            : lead > o.after_max_ms;
}

std::expected<BatchView, BatchRefusal> one_batch(ByteView records) {
  if (records.empty()) return refuse(BatchFault::kInvalidRecord, "no record batch");
  auto batch = BatchView::parse(records);
  if (!batch) {
    const Error& error = batch.error();
    if (error.code == Errc::kUnsupported)
      return refuse(BatchFault::kInvalidRecord, error.message + " is not accepted");
    // Whole frames arrived, so it was sent like this, and sending it again would not help.
    if (error.code == Errc::kOutOfRange) return refuse(BatchFault::kInvalidRecord, error.message);
    return refuse(BatchFault::kCorrupt, error.message);
  }
  if (batch->size_bytes() != records.size())
    return refuse(BatchFault::kInvalidRecord,
                  fmt::format("{} bytes after the batch: exactly one per partition is allowed",
                              records.size() - batch->size_bytes()));
  return *batch;
}

std::expected<void, BatchRefusal> check_header(const BatchView& batch) {
  if (batch.base_offset() != Offset(0))
    return refuse(BatchFault::kInvalidRecord,
                  fmt::format("base offset is {}, a producer's is 0", batch.base_offset().value));
  if (batch.record_count() == 0) return refuse(BatchFault::kInvalidRecord, "no records");
  if (int64_t{batch.last_offset_delta()} + 1 != batch.record_count())
    return refuse(BatchFault::kInvalidRecord,
                  fmt::format("{} records, last offset delta {}", batch.record_count(),
                              batch.last_offset_delta()));
  if (batch.is_control())
    return refuse(BatchFault::kInvalidRecord, "a control batch from a client");
  if (batch.delete_horizon_ms())
    return refuse(BatchFault::kInvalidRecord, "a delete horizon from a client");
  if (batch.timestamp_type() == TimestampType::kLogAppendTime)
    return refuse(BatchFault::kInvalidTimestamp, "LogAppendTime is the broker's to set");
  if (batch.has_producer() && batch.base_sequence().value < 0)
    return refuse(BatchFault::kInvalidRecord,
                  fmt::format("producer {} with base sequence {}", batch.producer_id().value,
                              batch.base_sequence().value));
  if (batch.is_transactional() && !batch.has_producer())
    return refuse(BatchFault::kInvalidRecord, "transactional, without a producer id");
  return {};
}

// Collects per-record faults, so that a producer learns of all of them at once.
class RecordFaults {
 public:
  void add(BatchFault fault, int32_t index, std::string message) {
    if (refusal_.records.empty()) {
      refusal_.fault = fault;
      refusal_.message = message;
    }
    if (refusal_.records.size() < BatchRefusal::kMaxRecords)
      refusal_.records.push_back({index, std::move(message)});
  }
  bool any() const { return !refusal_.records.empty(); }
  BatchRefusal take() { return std::move(refusal_); }

 private:
  BatchRefusal refusal_;
};

std::expected<void, BatchRefusal> check_records(const BatchView& batch,
                                                const ValidateOptions& options) {
  auto walk = RecordWalk::open(batch, options.limits);
  if (!walk) return refuse(BatchFault::kInvalidRecord, walk.error().message);
  const bool check_times = options.timestamp_type == TimestampType::kCreateTime;
  RecordFaults faults;
  for (int32_t index = 0;; ++index) {
    const auto record = walk->next();
    if (!record) return refuse(BatchFault::kInvalidRecord, record.error().message);
    if (!record->has_value()) break;
    const RecordView& r = **record;
    if (options.require_keys && !r.key)
      faults.add(BatchFault::kInvalidRecord, index, "a record without a key in a compacted topic");
    if (check_times && r.timestamp != -1 &&
        (is_before(r.timestamp, options) || is_after(r.timestamp, options)))
      faults.add(BatchFault::kInvalidTimestamp, index,
                 fmt::format("timestamp {} is too far from {}", r.timestamp, options.now_ms));
  }
  if (faults.any()) return Refused(faults.take());
  return {};
}

}  // namespace

std::string_view batch_fault_name(BatchFault fault) {
  switch (fault) {
    case BatchFault::kCorrupt:
      return "corrupt";
    case BatchFault::kTooLarge:
      return "too_large";
    case BatchFault::kInvalidRecord:
      return "invalid_record";
    case BatchFault::kInvalidTimestamp:
      return "invalid_timestamp";
    case BatchFault::kUnsupportedCompression:
      return "unsupported_compression";
  }
  return "unknown";
}

std::expected<BatchView, BatchRefusal> validate_produced(ByteView records,
                                                         const ValidateOptions& options) {
  const auto parsed = one_batch(records);
  if (!parsed) return parsed;
  const BatchView batch = *parsed;

  const std::optional<Codec> codec = batch.codec();
  if (!codec || (*codec == Codec::kZstd && !options.allow_zstd))
    return refuse(BatchFault::kUnsupportedCompression,
                  codec ? "zstd needs Produce v7 or later"
                        : fmt::format("attributes {} name no codec", batch.attributes()));
  if (batch.size_bytes() > options.max_size_bytes)
    return refuse(BatchFault::kTooLarge, fmt::format("{} bytes, at most {} are allowed",
                                                     batch.size_bytes(), options.max_size_bytes));
  // Nothing beyond the lengths is worth naming before the checksum has vouched for it.
  if (!batch.check_crc()) return refuse(BatchFault::kCorrupt, "the CRC does not match");
  if (auto ok = check_header(batch); !ok) return Refused(std::move(ok).error());

  const bool create_time = options.timestamp_type == TimestampType::kCreateTime;
  // A batch says nothing of its smallest timestamp, so a lower bound has to look at every record.
  const bool bounded_below = create_time && options.before_max_ms != INT64_MAX;
  if (options.require_keys || bounded_below || options.check_records) {
    if (auto ok = check_records(batch, options); !ok) return Refused(std::move(ok).error());
  } else {
    const Result<> shape = *codec == Codec::kNone ? check_record_lengths(batch) : check_stream_start(*codec, batch.payload());
    if (!shape) return refuse(BatchFault::kInvalidRecord, shape.error().message);
  }
  if (create_time && batch.max_timestamp() != -1 && is_after(batch.max_timestamp(), options))
    return refuse(BatchFault::kInvalidTimestamp,
                  fmt::format("timestamp {} is more than {} ms after {}", batch.max_timestamp(),
                              options.after_max_ms, options.now_ms));
  return batch;
}

}  // namespace taffrail
