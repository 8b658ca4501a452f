// What every client saw, and what must never be seen together: the anomalies of Jepsen's Kafka analysis
// that need no transactions (jepsen.io, tests/kafka; docs/invariants.md names each). Offsets are told by
// the broker, so version order is known and every check is a walk.
//
// The same checker judges simulated histories and those of real processes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"

namespace taffrail {

/// How a producer sent: what may be expected of its records follows from it.
struct WriterPromise {
  bool acks_all = true;     ///< Acknowledged records are never lost.
  bool idempotent = true;   ///< No record is there twice, and order is kept.
};

/// One topic-partition, as clients name it.
using HistoryKey = std::pair<std::string, int32_t>;

/// A record's id is unique over the whole history.
class History {
 public:
  enum class Outcome : uint8_t { kPending, kAcked, kFailed, kUnknown };
  struct Send {
    uint32_t writer = 0;
    HistoryKey to;
    uint64_t order = 0;      ///< Of this writer to this partition, from 0.
    Outcome outcome = Outcome::kPending;
    Offset offset = kNoOffset;  ///< As acknowledged; kNoOffset if the broker did not know.
    Instant acked_at{};
  };
  struct Seen {
    Offset offset;
    uint64_t id = 0;
  };
  struct Poll {
    uint32_t reader = 0;
    HistoryKey at;
    Offset from;
    Offset next;
    std::vector<Seen> records;
    Offset high_watermark;
    Offset log_start;
    Instant when{};
  };

  void writer(uint32_t writer, WriterPromise promise) { promises_[writer] = promise; }
  void sent(uint64_t id, uint32_t writer, const HistoryKey& to);
  void settled(uint64_t id, Outcome outcome, Offset offset, Instant at);
  /// Its batch was refused with OUT_OF_ORDER_SEQUENCE_NUMBER, and all before it had been answered.
  void out_of_order(uint64_t id) { out_of_order_.push_back(id); }
  /// What lies before `before` was deleted, and that was acknowledged.
  void deleted(const HistoryKey& at, Offset before) { deleted_[at] = std::max(deleted_[at], before); }
  void polled(Poll poll) { polls_.push_back(std::move(poll)); }
  /// Reading went on somewhere else: the next poll of that reader starts anew. `lost`: because it was told that
  /// the log does not hold that offset.
  void reset(uint32_t reader, const HistoryKey& at, Offset lost = kNoOffset) {
    polls_.push_back({reader, at, kNoOffset, lost, {}, kNoOffset, kNoOffset, {}});
  }
  /// What a last reader found of a partition, from its start to its end, after everything had healed.
  void final_read(const HistoryKey& at, std::vector<Seen> records, Offset log_start, Offset end);

  const std::map<uint64_t, Send>& sends() const { return sends_; }
  const std::vector<Poll>& polls() const { return polls_; }
  size_t count(Outcome outcome) const;

  /// Every violation, each one line that begins with its name: "lost-write: ...". Empty: nothing wrong.
  /// `complete`: final reads were possible; without them only what clients saw among themselves counts.
  std::vector<std::string> check(bool complete) const;

 private:
  struct Final {
    std::vector<Seen> records;
    Offset log_start;
    Offset end;
  };
  void check_offsets(std::vector<std::string>& out) const;
  void check_reads(std::vector<std::string>& out) const;
  void check_final(std::vector<std::string>& out) const;
  void check_order(std::vector<std::string>& out) const;
  WriterPromise promise_of(uint64_t id) const;
  /// Everybody's word on what stands at an offset.
  std::map<HistoryKey, std::map<Offset, std::set<uint64_t>>> all_claims() const;

  std::map<uint32_t, WriterPromise> promises_;
  std::map<uint64_t, Send> sends_;
  std::map<std::pair<uint32_t, HistoryKey>, uint64_t> next_order_;
  std::vector<Poll> polls_;
  std::map<HistoryKey, Final> finals_;
  std::vector<uint64_t> out_of_order_;
  std::map<HistoryKey, Offset> deleted_;
};

}  // namespace taffrail
