// What a client did and saw, told as it happens: the histories that the simulator's checkers judge, and
// what a benchmark counts. A client without an observer does exactly the same.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "client/record.h"

namespace taffrail::client {

/// Calls come from the client's own fibers, in the order in which things happened to this client, and
/// must not wait. References are good during the call only.
///
/// Each record that on_send names is settled exactly once, by on_ack, on_fail or on_unknown, unless the
/// client is destroyed first (a crash): then it is unknown without a word.
class ClientObserver {
 public:
  virtual ~ClientObserver() = default;

  /// The producer took the record. From now on it may appear in the log.
  /// `id` is what the caller gave to Producer::send: unique there if the caller wants it to be.
  virtual void on_send(uint64_t id, const TopicPartition& to, const Record& record) {
    (void)id, (void)to, (void)record;
  }
  /// The broker said that the record is in the log, at `offset`; kNoOffset if the broker knew that it
  /// is there but not where any more (DUPLICATE_SEQUENCE_NUMBER).
  virtual void on_ack(uint64_t id, const TopicPartition& to, Offset offset) {
    (void)id, (void)to, (void)offset;
  }
  /// The record is not in the log and will not be: no request that carried it can have been taken.
  virtual void on_fail(uint64_t id, const TopicPartition& to, const Error& why) {
    (void)id, (void)to, (void)why;
  }
  /// The record may be in the log or may still get there: an answer was lost, or none was asked for
  /// (acks=0).
  virtual void on_unknown(uint64_t id, const TopicPartition& to, const Error& why) {
    (void)id, (void)to, (void)why;
  }

  /// A part of one fetch answer: everything that a reader sees in [from, next). `records` are in order
  /// of offset; offsets may be missing where markers, aborted or compacted records lie.
  /// `high_watermark` and `log_start` are the answer's own.
  virtual void on_poll(const TopicPartition& at, Offset from, Offset next,
                       std::span<const ConsumedRecord> records, Offset high_watermark,
                       Offset log_start) {
    (void)at, (void)from, (void)next, (void)records, (void)high_watermark, (void)log_start;
  }
  /// The consumer's position was moved by something else than reading on: the broker no longer has, or
  /// never had, what stands at `from`.
  virtual void on_reset(const TopicPartition& at, Offset from, Offset to, const Error& why) {
    (void)at, (void)from, (void)to, (void)why;
  }
};

}  // namespace taffrail::client
