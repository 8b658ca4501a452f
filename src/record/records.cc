#include "record/records.h"

#include <fmt/core.h>

#include "base/varint.h"

namespace taffrail {
namespace {

// The smallest record: a length of 6, then attributes, two deltas, two null lengths, no headers.
constexpr size_t kMinRecordSize = 7;

// Null is -1; any other negative length is damage.
std::optional<ByteView> read_nullable(ByteReader& in, bool& ok) {
  const int32_t size = read_varint32(in);
  if (size == -1) return {};
  if (size < 0) {
    ok = false;
    return {};
  }
  return in.bytes(static_cast<size_t>(size));
}

RecordHeader read_header(ByteReader& in, bool& ok) {
  const int32_t key_size = read_varint32(in);
  if (key_size < 0) ok = false;
  const ByteView key = in.bytes(ok ? static_cast<size_t>(key_size) : 0);
  return {key, read_nullable(in, ok)};
}

// Counts and timestamps come from outside: sums that leave 64 bits wrap instead of being undefined.
int64_t wrapping_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace

std::optional<RecordHeader> HeaderWalk::next() {
  if (left_ == 0) return {};
  --left_;
  bool ok = true;
  return read_header(reader_, ok);
}

RecordWalk::RecordWalk(const BatchView& batch, Slice owned, std::function<bool()> keep_going)
    : batch_(batch),
      owned_(std::move(owned)),
      payload_(batch.codec() == Codec::kNone ? batch.payload() : owned_.view()),
      reader_(payload_),
      keep_going_(std::move(keep_going)),
      rested_at_(payload_.size()) {}

Result<RecordWalk> RecordWalk::open(const BatchView& batch, const CodecLimits& limits, CodecScratch* scratch) {
  const std::optional<Codec> codec = batch.codec();
  if (!codec) return fail(Errc::kUnsupported, fmt::format("attributes {}", batch.attributes()));
  Slice owned;
  // Compaction leaves batches without any record, whose payload is empty rather than a stream.
  const bool empty = batch.record_count() == 0 && batch.payload().empty();
  if (*codec != Codec::kNone && !empty) owned = TRY(decompress(*codec, batch.payload(), limits, scratch));
  RecordWalk walk(batch, std::move(owned), limits.keep_going);
  if (static_cast<size_t>(batch.record_count()) > walk.payload_.size() / kMinRecordSize)
    return fail(Errc::kCorrupt,
                fmt::format("{} records in {} bytes", batch.record_count(), walk.payload_.size()));
  return walk;
}

Result<std::optional<RecordView>> RecordWalk::next() {
  if (read_ == batch_.record_count()) {
    if (reader_.left() != 0)
      return fail(Errc::kCorrupt, fmt::format("{} bytes after record {}", reader_.left(), read_));
    return std::nullopt;
  }
  if (keep_going_ && reader_.left() + kCodecPiece < rested_at_) {
    rested_at_ = reader_.left();
    if (!keep_going_()) return fail(Errc::kCancelled);
  }
  const int32_t length = read_varint32(reader_);
  if (!reader_.ok() || length < 0 || static_cast<size_t>(length) > reader_.left())
    return fail(Errc::kCorrupt, fmt::format("record {}: length {}", read_, length));
  ByteReader body(reader_.bytes(static_cast<size_t>(length)));
  auto record = read_record(body);
  if (!record) return fail(record.error(), fmt::format("record {}", read_));
  record->length = length;
  ++read_;
  return *record;
}

Result<RecordView> RecordWalk::read_record(ByteReader& body) {
  RecordView r;
  r.attributes = body.i8();
  r.timestamp_delta = read_varint64(body);
  r.offset_delta = read_varint32(body);
  bool ok = true;
  r.key = read_nullable(body, ok);
  r.value = read_nullable(body, ok);
  const int32_t header_count = read_varint32(body);
  if (!ok || !body.ok() || header_count < 0) return fail(Errc::kCorrupt, "does not decode");

  // Walked once here so that whoever walks them later cannot meet an error.
  const size_t headers_size = body.left();
  const ByteView headers = ByteReader(body).bytes(headers_size);
  for (int32_t i = 0; i < header_count && ok && body.ok(); ++i) read_header(body, ok);
  if (!ok || !body.done()) return fail(Errc::kCorrupt, "headers do not fill it");
  r.headers = HeaderWalk(headers, header_count);

  if (r.offset_delta <= last_delta_ || r.offset_delta > batch_.last_offset_delta())
    return fail(Errc::kCorrupt,
                fmt::format("offset delta {} after {}, of at most {}", r.offset_delta, last_delta_,
                            batch_.last_offset_delta()));
  last_delta_ = r.offset_delta;
  r.offset = batch_.base_offset() + r.offset_delta;
  r.timestamp = batch_.timestamp_type() == TimestampType::kLogAppendTime
                    ? batch_.max_timestamp()
                    : wrapping_add(batch_.base_timestamp(), r.timestamp_delta);
  return r;
}

Result<> check_record_lengths(const BatchView& batch) {
  ByteReader in(batch.payload());
  const int32_t count = batch.record_count();
  for (int32_t i = 0; i < count; ++i) {
    const int32_t length = read_varint32(in);
    if (!in.ok() || length < 0 || static_cast<size_t>(length) > in.left())
      return fail(Errc::kCorrupt, fmt::format("record {}: length {} with {} bytes left", i, length, in.left()));
    ByteReader body(in.bytes(static_cast<size_t>(length)));
    body.i8();
    read_varint64(body);
    const int32_t offset_delta = read_varint32(body);
    if (!body.ok() || offset_delta != i)
      return fail(Errc::kCorrupt, fmt::format("record {}: offset delta {}", i, offset_delta));
  }
  if (in.left() != 0) return fail(Errc::kCorrupt, fmt::format("{} bytes after record {}", in.left(), count));
  return {};
}

Result<std::optional<TimestampedOffset>> find_by_timestamp(const BatchView& batch,
                                                           int64_t timestamp_ms, Offset from,
                                                           const CodecLimits& limits) {
  if (batch.max_timestamp() < timestamp_ms || batch.last_offset() < from) return std::nullopt;
  RecordWalk records = TRY(RecordWalk::open(batch, limits));
  while (const auto record = TRY(records.next())) {
    if (record->timestamp >= timestamp_ms && record->offset >= from)
      return TimestampedOffset{record->offset, record->timestamp};
  }
  return std::nullopt;
}

Result<std::optional<TimestampedOffset>> find_max_timestamp(const BatchView& batch,
                                                            const CodecLimits& limits) {
  std::optional<TimestampedOffset> best;
  RecordWalk records = TRY(RecordWalk::open(batch, limits));
  while (const auto record = TRY(records.next())) {
    if (!best || record->timestamp > best->timestamp)
      best = TimestampedOffset{record->offset, record->timestamp};
  }
  return best;
}

}  // namespace taffrail
