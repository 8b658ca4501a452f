// What a partition remembers of each idempotent producer (KIP-98): which batches it has, so that a
// batch that is sent again is answered and not appended again (I-T5, I-T9).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "record/batch.h"
#include "record/sequence.h"

namespace taffrail {

/// One remembered batch.
struct ProducerBatch {
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;
  EntryId entry;
  Offset base_offset;
  int64_t timestamp = -1;
  bool operator==(const ProducerBatch&) const = default;
};

/// The last batches of one producer in its current epoch; never empty.
class ProducerState {
 public:
  static constexpr size_t kRemembered = 5;  ///< As many as a client may have in flight (KIP-98).

  ProducerEpoch epoch;
  size_t count() const { return count_; }
  const ProducerBatch& at(size_t i) const { return batches_[i]; }
  const ProducerBatch& newest() const { return batches_[count_ - 1]; }
  /// Adds a batch; a newer epoch forgets the batches of the older.
  void add(ProducerEpoch batch_epoch, const ProducerBatch& batch);
  /// The remembered batch with exactly these sequences.
  const ProducerBatch* find(Sequence first, Sequence last) const;
  /// What is remembered; not what stands behind it of batches that are forgotten.
  bool operator==(const ProducerState& o) const {
    return epoch == o.epoch && std::equal(batches_.begin(), batches_.begin() + count_, o.batches_.begin(), o.batches_.begin() + o.count_);
  }

 private:
  std::array<ProducerBatch, kRemembered> batches_{};
  size_t count_ = 0;
};

/// What becomes of a batch.
struct ProducerVerdict {
  enum class Kind : uint8_t { kAppend, kDuplicate, kOutOfOrder, kStaleEpoch };
  Kind kind = Kind::kAppend;
  ProducerBatch original;  ///< With kDuplicate.
  std::string message;     ///< With the refusals.
};

/// All producers of one partition. The applied state is a function of the committed log alone: every
/// replica has the same, and a replay gives it again. On top of it a leader keeps what its own
/// uncommitted entries will make of it, and decides on that
/// (docs/decisions/012-decide-append-apply-reply.md).
class ProducerTable {
 public:
  /// Decides on a batch that passed validate_produced and has a producer.
  ProducerVerdict check(const BatchView& batch) const;

  /// Leader: `batch` stands at `entry`, uncommitted.
  void speculate(const BatchView& batch, EntryId entry);
  /// The leader's uncommitted entries are not ours to reckon with any more.
  void drop_speculation() { pending_.clear(); }

  /// `batch` at `entry` is committed. Batches without a producer change nothing.
  void apply(const BatchView& batch, EntryId entry);
  /// The command of that name is committed: forgets each producer whose newest batch still stands there.
  void apply_expiry(ProducerId producer, EntryId newest);

  const std::map<ProducerId, ProducerState>& applied() const { return applied_; }
  size_t size() const { return applied_.size(); }

  /// The applied state, and back. Errors: kCorrupt, kUnsupported.
  Slice encode() const;
  Result<> decode(ByteView bytes);

 private:
  const ProducerState* current(ProducerId id) const;
  std::map<ProducerId, ProducerState> applied_;
  std::map<ProducerId, ProducerState> pending_;
};

}  // namespace taffrail
