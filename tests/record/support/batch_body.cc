#include "record/support/batch_body.h"

#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "record/batch.h"
#include "record/records.h"
#include "record/validate.h"

namespace taffrail {
namespace {

const CodecLimits kLimits{.max_bytes = 1 << 20};

// Returns how many records could be read; -1 after an error.
int32_t read_all(const BatchView& batch) {
  auto walk = RecordWalk::open(batch, kLimits);
  if (!walk) return -1;
  CHECK(batch.codec() == Codec::kNone || walk->payload().size() <= kLimits.max_bytes);
  int32_t count = 0;
  while (true) {
    auto record = walk->next();
    if (!record) return -1;
    if (!record->has_value()) break;
    RecordView& r = **record;
    CHECK(r.offset >= batch.base_offset() && r.offset <= batch.last_offset());
    int32_t headers = 0;
    const int32_t promised = r.headers.left();
    while (r.headers.next()) ++headers;
    CHECK(headers == promised);
    ++count;
  }
  CHECK(count == batch.record_count());
  return count;
}

void exercise_one(const BatchView& batch) {
  CHECK(batch.next_offset() > batch.base_offset());
  CHECK(batch.header().length + BatchLayout::kLogOverhead == batch.size_bytes());
  (void)batch.last_sequence();
  read_all(batch);
  const auto found = find_by_timestamp(batch, batch.max_timestamp(), batch.base_offset(), kLimits);
  if (found && *found) CHECK((*found)->timestamp >= batch.max_timestamp());
}

void put_crc_right(std::vector<uint8_t>& bytes) {
  const auto batch = BatchView::parse(bytes);
  if (!batch) return;
  const uint32_t crc = crc32c(batch->bytes().subspan(BatchLayout::kAttributes));
  for (size_t i = 0; i < 4; ++i)
    bytes[BatchLayout::kCrc + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
}

}  // namespace

void exercise_batch(ByteView bytes) {
  BatchWalk walk(bytes);
  while (true) {
    const auto batch = walk.next();
    if (!batch || !batch->has_value()) break;
    exercise_one(**batch);
  }
  CHECK(walk.position() + walk.rest().size() == bytes.size());

  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  put_crc_right(copy);
  ValidateOptions options;
  options.check_records = true;
  options.limits = kLimits;
  const auto accepted = validate_produced(copy, options);
  if (!accepted) return;
  // What the broker takes, every consumer can read, also after the broker filled in its part.
  CHECK(accepted->check_crc());
  CHECK(read_all(*accepted) == accepted->last_offset_delta() + 1);
  set_base_offset(copy, Offset(1000));
  set_leader_epoch(copy, 7);
  set_log_append_time(copy, 123);
  CHECK(accepted->check_crc() && accepted->base_offset() == Offset(1000));
  CHECK(accepted->leader_epoch() == 7 && accepted->max_timestamp() == 123);
  CHECK(read_all(*accepted) == accepted->record_count());
}

}  // namespace taffrail
