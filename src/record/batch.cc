#include "record/batch.h"

#include <fmt/core.h>

#include "base/check.h"
#include "base/crc32c.h"

namespace taffrail {
namespace {

// Shortest body that a length may claim: what the format has before its first payload byte.
constexpr int32_t kMinLengthV0 = 14;
constexpr int32_t kMinLengthV2 = BatchLayout::kHeaderSize - BatchLayout::kLogOverhead;

uint32_t crc_of(ByteView batch) { return crc32c(batch.subspan(BatchLayout::kAttributes)); }

template <class T>
void put(MutableBytes batch, size_t at, T v) {
  CHECK(batch.size() >= BatchLayout::kHeaderSize);
  if constexpr (sizeof(T) == 2) v = static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(v)));
  if constexpr (sizeof(T) == 4) v = static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(v)));
  if constexpr (sizeof(T) == 8) v = static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(v)));
  std::memcpy(batch.data() + at, &v, sizeof(T));
}

}  // namespace

std::string_view timestamp_type_name(TimestampType type) {
  return type == TimestampType::kCreateTime ? "CreateTime" : "LogAppendTime";
}

Result<BatchView> BatchView::parse(ByteView bytes) {
  if (bytes.size() < BatchLayout::kLogOverhead)
    return fail(Errc::kOutOfRange, fmt::format("{} bytes of a batch", bytes.size()));
  const BatchView view(bytes);
  const int32_t length = view.get<int32_t>(BatchLayout::kLength);
  if (length < kMinLengthV0) return fail(Errc::kCorrupt, fmt::format("batch length {}", length));

  // All three formats have their magic here, and the length before it says that it is part of it.
  const size_t size = BatchLayout::kLogOverhead + static_cast<size_t>(length);
  if (bytes.size() > BatchLayout::kMagic) {
    const int8_t magic = view.get<int8_t>(BatchLayout::kMagic);
    if (magic == 0 || magic == 1)
      return fail(Errc::kUnsupported, fmt::format("message format v{}", magic));
    if (magic != 2) return fail(Errc::kCorrupt, fmt::format("batch magic {}", magic));
    if (length < kMinLengthV2) return fail(Errc::kCorrupt, fmt::format("batch length {}", length));
  }
  if (bytes.size() < size)
    return fail(Errc::kOutOfRange, fmt::format("{} of a batch's {} bytes", bytes.size(), size));

  const int32_t delta = view.last_offset_delta();
  int64_t next = 0;
  if (delta < 0 || __builtin_add_overflow(view.base_offset().value, int64_t{delta} + 1, &next))
    return fail(Errc::kCorrupt,
                fmt::format("batch of offsets {} + {}", view.base_offset().value, delta));
  if (view.record_count() < 0)
    return fail(Errc::kCorrupt, fmt::format("batch of {} records", view.record_count()));
  return BatchView(bytes.first(size));
}

BatchHeader BatchView::header() const {
  return {.base_offset = base_offset().value,
          .length = get<int32_t>(BatchLayout::kLength),
          .leader_epoch = leader_epoch(),
          .magic = get<int8_t>(BatchLayout::kMagic),
          .crc = crc(),
          .attributes = attributes(),
          .last_offset_delta = last_offset_delta(),
          .base_timestamp = base_timestamp(),
          .max_timestamp = max_timestamp(),
          .producer_id = producer_id().value,
          .producer_epoch = producer_epoch().value,
          .base_sequence = base_sequence().value,
          .record_count = record_count()};
}

bool BatchView::check_crc() const { return crc() == crc_of(bytes_); }

std::optional<Codec> BatchView::codec() const {
  const int number = attributes() & BatchAttributes::kCodecMask;
  if (number > static_cast<int>(Codec::kZstd)) return {};
  return static_cast<Codec>(number);
}

std::optional<int64_t> BatchView::delete_horizon_ms() const {
  if (!has(BatchAttributes::kDeleteHorizon)) return {};
  return base_timestamp();
}

Sequence BatchView::last_sequence() const {
  const Sequence base = base_sequence();
  return base.value < 0 ? kNoSequence : increment(base, last_offset_delta());
}

Result<std::optional<BatchView>> BatchWalk::next() {
  auto batch = BatchView::parse(rest_);
  if (!batch) {
    if (batch.error().code == Errc::kOutOfRange) return std::nullopt;
    return fail(batch.error(), fmt::format("at byte {}", position_));
  }
  position_ += batch->size_bytes();
  rest_ = rest_.subspan(batch->size_bytes());
  return *batch;
}

void set_base_offset(MutableBytes batch, Offset offset) {
  put(batch, BatchLayout::kBaseOffset, offset.value);
}

void set_leader_epoch(MutableBytes batch, int32_t epoch) {
  put(batch, BatchLayout::kLeaderEpoch, epoch);
}

void set_log_append_time(MutableBytes batch, int64_t timestamp_ms) {
  const auto view = BatchView::parse(batch);
  CHECK(view.has_value() && view->size_bytes() == batch.size(), "one whole batch");
  const auto attributes =
      static_cast<uint16_t>(view->attributes() | BatchAttributes::kLogAppendTime);
  put(batch, BatchLayout::kAttributes, attributes);
  put(batch, BatchLayout::kMaxTimestamp, timestamp_ms);
  put(batch, BatchLayout::kCrc, crc_of(batch));
}

}  // namespace taffrail
