// One batch of a producer, from its first record until it is settled. Inside the client only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/producer.h"
#include "record/builder.h"
#include "record/sequence.h"
#include "runtime/sync.h"

namespace taffrail::client {

struct Delivery::Batch {
  enum State : uint8_t {
    kOpen,      ///< Takes records.
    kWaiting,   ///< To be sent, or sent again.
    kInFlight,  ///< On its way; its fiber settles it or puts it back to kWaiting.
    kSettled,
  };

  Batch(TopicPartition t, Codec codec, CodecScratch* scratch)
      : to(std::move(t)), builder(BatchOptions{.codec = codec, .only_if_smaller = true, .scratch = scratch}) {}

  /// About what the record takes in a batch; never less.
  static size_t record_bytes(const Record& record);
  void add(const Record& record, int64_t timestamp_ms, uint64_t id, size_t record_bytes);
  /// Makes `bytes`, or makes them again for other numbers: in a copy, as the old ones may still be
  /// queued behind a connection that died.
  void finish(ProducerId producer, ProducerEpoch epoch, Sequence first);
  int32_t count() const { return static_cast<int32_t>(ids.size()); }

  TopicPartition to;
  BatchBuilder builder;
  State state = kOpen;
  std::vector<uint64_t> ids;  ///< One per record, as send() was given them.
  size_t buffered = 0;        ///< What it takes of the producer's buffer.
  Instant send_at;
  Instant expires;
  Slice bytes;
  Sequence sequence = kNoSequence;
  uint32_t attempts = 0;
  bool may_be_in_log = false;  ///< Some attempt ended without a word on what became of it.
  std::optional<Error> last_error;

  Event done;
  Result<Offset> base = kNoOffset;
};

}  // namespace taffrail::client
