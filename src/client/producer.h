// Sends records. With idempotence (the default) each record that is acknowledged is in its partition's log
// once, in the order of send(), however often connections break and leaders change.
//
// One fiber per partition collects records into batches and sends them, up to five on their way at a time.
// A batch keeps its producer id, epoch and sequence for all its attempts. After a failed attempt nothing
// new is sent to the partition until all that is on its way has been answered or given up; then what is
// unsettled goes out again in its old order. When a batch is given up, the sequence has a hole: the
// partition goes on under the next epoch, from sequence 0, so that a late copy of what was given up is
// fenced and never doubles or overtakes what follows.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "client/metadata.h"
#include "client/observer.h"
#include "client/record.h"
#include "record/builder.h"
#include "record/compression.h"
#include "runtime/sync.h"

namespace taffrail::protocol {
struct ProduceResponse;
}

namespace taffrail::client {

struct ProducerOptions {
  int16_t acks = -1;  ///< -1: all; 1: the leader; 0: no answer at all.
  bool idempotent = true;  ///< Needs acks -1.
  Codec codec = Codec::kNone;
  Duration linger = 5_ms;  ///< How long a batch that is not full waits for company.
  ByteCount batch_bytes = 64_KiB;
  ByteCount buffer_bytes = 32_MiB;   ///< Of records not yet settled; past it send() waits.
  uint32_t in_flight_max = 5;        ///< Batches of one partition on their way; at most 5 if idempotent.
  Duration request_timeout = 30_s;   ///< Of one attempt.
  Duration delivery_timeout = 120_s; ///< Of all attempts together; past it a batch is given up.
  Sequence first_sequence{0};        ///< Of each partition: brokers that know nothing of a producer let it begin anywhere.
  bool create_topics = true;         ///< Ask the broker to create a topic that does not exist.
};

class Producer;

/// What becomes of one record. Cheap to copy; may outlive the producer.
class Delivery {
 public:
  /// The record's offset, kNoOffset if nobody knows it (acks=0).
  /// Errors: kTimedOut at `deadline` (the record is still on its way), kCancelled, or why it failed.
  Result<Offset> wait(Task& task, Instant deadline = Instant::never()) const;
  bool settled() const;
  const TopicPartition& to() const;
  /// After a failure: whether the record may be in the log all the same.
  bool may_be_in_log() const;

 private:
  friend class Producer;
  struct Batch;
  std::shared_ptr<Batch> batch_;
  int32_t index_ = 0;
};

class Producer {
 public:
  /// `cluster` and `observer` outlive it. Not acks=-1 with idempotence: CHECK.
  Producer(Cluster& cluster, ProducerOptions options, ClientObserver* observer = nullptr);
  /// close() first.
  ~Producer();

  /// Takes a record for `topic`. Without a partition the key decides, as in Kafka's Java client, and
  /// without a key batches take turns. Waits for the topic's metadata the first time, and while the
  /// buffer is full. `id` is for the observer.
  /// Errors: kNotFound, kInvalid (no such topic or partition), kTooLarge, kTimedOut, kCancelled; kClosed
  /// after close(). After an error the record was not taken, and the observer was not told of it.
  Result<Delivery> send(Task& task, const std::string& topic, std::optional<int32_t> partition,
                        Record record, uint64_t id = 0, Instant deadline = Instant::never());

  /// Sends what lingers, and waits until everything taken so far is settled, well or badly.
  /// Errors: kTimedOut, kCancelled.
  Result<> flush(Task& task, Instant deadline = Instant::never());
  /// Gives up what is not settled (as unknown, or failed if it was never sent) and ends its fibers.
  void close(Task& task);

  /// What has happened so far, in records.
  struct Counts {
    uint64_t sent = 0;
    uint64_t acked = 0;
    uint64_t failed = 0;
    uint64_t unknown = 0;
    uint64_t requests = 0;
    uint64_t retries = 0;
    uint64_t epochs = 0;  ///< Times that a partition had to start a new producer epoch.
  };
  const Counts& counts() const { return counts_; }

 private:
  using Batch = Delivery::Batch;
  struct Partition;

  Partition& partition_of(const TopicPartition& to);
  int32_t choose_partition(const std::string& topic, const Record& record, int32_t count);
  std::shared_ptr<Batch> batch_for(Partition& p, size_t record_bytes);

  // The partition's own fiber: the only one that sends.
  void run_partition(Task& task, Partition& p);
  Result<> send_ready(Task& task, Partition& p);
  Result<> find_leader(Task& task, Partition& p, Instant deadline);
  Result<> identify(Task& task, Partition& p, Instant deadline);
  void transmit(Partition& p, const std::shared_ptr<Batch>& batch);
  void give_up_expired(Partition& p);
  void close_hole(Partition& p);
  uint32_t window(const Partition& p) const;
  Instant next_event(const Partition& p) const;

  // What answers do; none of these waits.
  void on_answer(Partition& p, const std::shared_ptr<Batch>& batch,
                 const Result<protocol::ProduceResponse>& answer);
  void on_refused(Partition& p, const std::shared_ptr<Batch>& batch, protocol::ErrorCode code,
                  std::string_view message);
  void retry(Partition& p, const std::shared_ptr<Batch>& batch, Error why);
  void give_up(Partition& p, std::shared_ptr<Batch> batch, const Error& why);
  void acknowledge(Partition& p, const std::shared_ptr<Batch>& batch, Offset base);
  void settle(Partition& p, const std::shared_ptr<Batch>& batch);

  Cluster& cluster_;
  Runtime& runtime_;
  ProducerOptions options_;
  ClientObserver* observer_;
  std::map<TopicPartition, std::unique_ptr<Partition>> partitions_;
  std::map<std::string, int32_t> sticky_;  ///< Where records without a key go until their batch is full.
  std::optional<std::pair<ProducerId, ProducerEpoch>> identity_;
  Mutex identifying_;  ///< Held across InitProducerId: all partitions share one producer id.
  ByteCount buffered_ = 0;
  WaitQueue room_;  ///< For send(), when bytes were settled.
  bool closed_ = false;
  Counts counts_;
  CodecScratch scratch_;
  Scope scope_;
};

}  // namespace taffrail::client
