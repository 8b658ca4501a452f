#include "client/produce_batch.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace taffrail::client {

size_t Delivery::Batch::record_bytes(const Record& record) {
  // Length, attributes, two deltas and three counts as varints of at most 5, 1, 10 and 5 bytes.
  size_t bytes = 36;
  if (record.key) bytes += record.key->size();
  if (record.value) bytes += record.value->size();
  for (const Header& h : record.headers)
    bytes += 10 + h.key.size() + (h.value ? h.value->size() : 0);
  return bytes;
}

void Delivery::Batch::add(const Record& record, int64_t timestamp_ms, uint64_t id,
                          size_t record_bytes) {
  std::vector<RecordHeader> headers;
  for (const Header& h : record.headers)
    headers.push_back({as_bytes(h.key), h.value ? std::optional(as_bytes(*h.value)) : std::nullopt});
  builder.add(timestamp_ms, record.key ? std::optional(as_bytes(*record.key)) : std::nullopt,
              record.value ? std::optional(as_bytes(*record.value)) : std::nullopt, headers);
  ids.push_back(id);
  buffered += record_bytes;
}

void Delivery::Batch::finish(ProducerId producer, ProducerEpoch epoch, Sequence first) {
  state = kWaiting;
  if (bytes.empty()) bytes = builder.finish();
  if (producer == kNoProducer) return;
  ByteWriter numbers;
  numbers.i64(producer.value);
  numbers.i16(epoch.value);
  numbers.i32(first.value);
  bytes = Slice::make(bytes.size(), [&](MutableBytes to_fill) {
    std::copy_n(bytes.data(), bytes.size(), to_fill.data());
    std::memcpy(to_fill.data() + BatchLayout::kProducerId, numbers.view().data(), numbers.size());
    ByteWriter crc;
    crc.u32(crc32c(to_fill.subspan(BatchLayout::kAttributes)));
    std::memcpy(to_fill.data() + BatchLayout::kCrc, crc.view().data(), crc.size());
  });
}

Result<Offset> Delivery::wait(Task& task, Instant deadline) const {
  TRY(batch_->done.wait(task, deadline));
  if (!batch_->base) return std::unexpected(batch_->base.error());
  const Offset first = *batch_->base;
  return first == kNoOffset ? kNoOffset : first + index_;
}

bool Delivery::settled() const { return batch_->done.is_set(); }
const TopicPartition& Delivery::to() const { return batch_->to; }
bool Delivery::may_be_in_log() const { return batch_->may_be_in_log; }

}  // namespace taffrail::client
