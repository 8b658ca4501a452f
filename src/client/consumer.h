// Reads partitions that the caller names (no group), each from its own position on.
//
// Between polls one fetch per leader stays on its way, so that a broker with nothing to say does not hold
// back those that have. It names only what has changed since the one before it (fetch_session.h), and what its
// answer leaves out has no news. Every batch is checked against its CRC before any record of it is handed out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/fetch_session.h"
#include "client/metadata.h"
#include "client/observer.h"
#include "client/record.h"
#include "protocol/enums.h"
#include "protocol/fetch.h"
#include "record/compression.h"
#include "runtime/sync.h"

namespace taffrail::client {

/// Where reading begins.
struct StartAt {
  enum Kind : uint8_t { kStart, kEnd, kOffset, kTime };
  Kind kind = kStart;
  int64_t value = 0;  ///< The offset; the time in ms since 1970: first record of that time or later.

  static StartAt start() { return {}; }
  static StartAt end() { return {kEnd, 0}; }
  static StartAt offset(Offset o) { return {kOffset, o.value}; }
  static StartAt time(WallTime t) { return {kTime, t.ms}; }
};

/// What to do when the broker has nothing at the position.
enum class ResetTo : uint8_t { kStart, kEnd, kFail };

struct ConsumerOptions {
  protocol::IsolationLevel isolation = protocol::IsolationLevel::kReadUncommitted;
  Duration wait_max = 500_ms;  ///< Long poll: how long a broker may wait for min_bytes.
  int32_t min_bytes = 1;
  int32_t max_bytes = 50 << 20;            ///< Of one answer.
  int32_t partition_max_bytes = 1 << 20;   ///< Of one partition in it.
  ResetTo reset = ResetTo::kStart;
  Duration request_timeout = 30_s;         ///< On top of wait_max.
};

/// What one answer held of one partition.
struct Polled {
  TopicPartition from;
  std::vector<ConsumedRecord> records;
  Offset high_watermark;  ///< One past the last offset that could be read then.
  Offset position;        ///< Where the next read begins.
};

/// For one fiber at a time.
class Consumer {
 public:
  /// `cluster` and `observer` outlive it.
  Consumer(Cluster& cluster, ConsumerOptions options, ClientObserver* observer = nullptr);
  /// close() first.
  ~Consumer();

  /// Reads `from` too, from `at` on; a partition that is read already moves there. Does not ask anybody.
  void assign(const TopicPartition& from, StartAt at);
  /// Stops reading it.
  void unassign(const TopicPartition& from);
  /// Where the next read begins; kNoOffset while that is not known yet.
  Offset position(const TopicPartition& of) const;
  /// One past the last readable offset when last heard; kNoOffset before.
  Offset high_watermark(const TopicPartition& of) const;

  /// Waits until some partition has records, and returns all that has arrived; empty at `deadline`.
  /// Leader changes, broken connections and brokers that are away are waited out.
  /// Errors: kCancelled; kNotFound (no such topic or partition); kOutOfRange under ResetTo::kFail;
  /// kCorrupt for a batch that is damaged, with its offset: the position stays before it;
  /// kRefused (not allowed). After an error the other partitions can still be polled.
  Result<std::vector<Polled>> poll(Task& task, Instant deadline);

  /// Drops what is on its way and ends its fibers.
  void close(Task& task);

 private:
  struct Partition;
  struct Fetch;

  Result<> prepare(Task& task);
  Result<> find_start(Task& task, Partition& p, const LeaderView& leader, Instant deadline);
  Result<> validate(Task& task, Partition& p, const LeaderView& leader, Instant deadline);
  void start_fetch(const std::shared_ptr<KafkaConnection>& connection, BrokerId broker,
                   const std::vector<Partition*>& partitions);
  Result<> take(const Fetch& fetch, std::vector<Polled>& out);
  Result<> take_partition(Partition& p, Offset asked, int32_t asked_epoch,
                          const protocol::FetchResponse::Partition& part, std::vector<Polled>& out);
  Result<> lose_place(Partition& p, StartAt then, const Error& why);
  void doubt(Partition& p, int32_t epoch);
  Partition* find(const TopicPartition& of) const;

  Cluster& cluster_;
  Runtime& runtime_;
  ConsumerOptions options_;
  ClientObserver* observer_;
  std::map<TopicPartition, std::unique_ptr<Partition>> partitions_;
  std::map<BrokerId, FetchSession> sessions_;
  /// Until their answers are taken: a session goes on from what was heard.
  std::map<BrokerId, std::shared_ptr<Fetch>> on_their_way_;
  std::vector<std::shared_ptr<Fetch>> arrived_;
  std::optional<Error> postponed_;  ///< Found beside good records: the next poll() returns it.
  uint64_t generation_ = 0;
  WaitQueue arrival_;
  CodecScratch scratch_;
  Scope scope_;
};

}  // namespace taffrail::client
