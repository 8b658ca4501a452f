#include "record/builder.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/varint.h"

namespace taffrail {
namespace {

size_t nullable_size(const std::optional<ByteView>& bytes) {
  return bytes ? varint_size(static_cast<int64_t>(bytes->size())) + bytes->size() : varint_size(-1);
}

void write_nullable(ByteWriter& out, const std::optional<ByteView>& bytes) {
  write_varint(out, bytes ? static_cast<int64_t>(bytes->size()) : -1);
  if (bytes) out.bytes(*bytes);
}

int64_t wrapping_sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

}  // namespace

void BatchBuilder::add(int64_t timestamp_ms, std::optional<ByteView> key,
                       std::optional<ByteView> value, std::span<const RecordHeader> headers) {
  add_at(last_delta_ + 1, timestamp_ms, key, value, headers);
}

void BatchBuilder::add_at(int32_t offset_delta, int64_t timestamp_ms, std::optional<ByteView> key,
                          std::optional<ByteView> value, std::span<const RecordHeader> headers) {
  CHECK(offset_delta > last_delta_, "offsets rise within a batch");
  if (record_count_ == 0) {
    base_timestamp_ = options_.delete_horizon_ms.value_or(timestamp_ms);
    max_timestamp_ = timestamp_ms;
  }
  max_timestamp_ = std::max(max_timestamp_, timestamp_ms);
  last_delta_ = offset_delta;
  ++record_count_;

  const int64_t timestamp_delta = wrapping_sub(timestamp_ms, base_timestamp_);
  const auto header_count = static_cast<int64_t>(headers.size());
  size_t size = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) + nullable_size(key) +
                nullable_size(value) + varint_size(header_count);
  for (const RecordHeader& h : headers) size += nullable_size(h.key) + nullable_size(h.value);
  CHECK(size <= INT32_MAX - records_.size(), "a batch has less than 2 GiB");

  write_varint(records_, static_cast<int64_t>(size));
  records_.u8(0);  // Record attributes: none are defined.
  write_varint(records_, timestamp_delta);
  write_varint(records_, offset_delta);
  write_nullable(records_, key);
  write_nullable(records_, value);
  write_varint(records_, header_count);
  for (const RecordHeader& h : headers) {
    write_nullable(records_, h.key);
    write_nullable(records_, h.value);
  }
}

Slice BatchBuilder::finish() {
  const BatchOptions& o = options_;
  CHECK(!o.control || o.codec == Codec::kNone, "control batches are never compressed");
  const int32_t last_delta = o.last_offset_delta.value_or(std::max(last_delta_, 0));
  CHECK(last_delta >= last_delta_, "the last offset is not before the last record");
  const bool append_time = o.timestamp_type == TimestampType::kLogAppendTime;
  CHECK(!append_time || o.max_timestamp_ms, "LogAppendTime is a time");
  Slice compressed;
  ByteView payload = records_.view();
  Codec codec = o.codec;
  if (codec != Codec::kNone && record_count_ != 0) {
    compressed = compress(codec, payload, o.compression_level, o.scratch);
    if (o.only_if_smaller && compressed.size() >= payload.size()) codec = Codec::kNone;
    else payload = compressed;
  }
  const uint16_t attributes = static_cast<uint16_t>(
      static_cast<uint16_t>(codec) | (append_time ? BatchAttributes::kLogAppendTime : 0) |
      (o.transactional ? BatchAttributes::kTransactional : 0) |
      (o.control ? BatchAttributes::kControl : 0) |
      (o.delete_horizon_ms ? BatchAttributes::kDeleteHorizon : 0));
  const size_t size = BatchLayout::kHeaderSize + payload.size();
  CHECK(size <= INT32_MAX, "a batch has less than 2 GiB");

  ByteWriter out;
  out.reserve(BatchLayout::kHeaderSize);
  out.i64(o.base_offset.value);
  out.i32(static_cast<int32_t>(size - BatchLayout::kLogOverhead));
  out.i32(o.leader_epoch);
  out.i8(2);
  out.u32(0);  // The CRC, once what it covers stands.
  out.u16(attributes);
  out.i32(last_delta);
  out.i64(record_count_ == 0 ? o.delete_horizon_ms.value_or(-1) : base_timestamp_);
  out.i64(o.max_timestamp_ms.value_or(max_timestamp_));
  out.i64(o.producer_id.value);
  out.i16(o.producer_epoch.value);
  out.i32(o.base_sequence.value);
  out.i32(record_count_);
  CHECK(out.size() == BatchLayout::kHeaderSize);

  const uint32_t crc = crc32c(payload, crc32c(out.view().subspan(BatchLayout::kAttributes)));
  out.patch_u32(BatchLayout::kCrc, crc);
  return Slice::make(size, [&](MutableBytes to) {
    std::memcpy(to.data(), out.view().data(), out.size());
    if (!payload.empty()) std::memcpy(to.data() + out.size(), payload.data(), payload.size());
  });
}

}  // namespace taffrail
