#include "partition/producers.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"

namespace taffrail {
namespace {

constexpr uint16_t kFormat = 1;

ProducerBatch remembered(const BatchView& batch, EntryId entry) {
  return {batch.base_sequence(), batch.last_sequence(), entry, batch.base_offset(), batch.max_timestamp()};
}

}  // namespace

void ProducerState::add(ProducerEpoch batch_epoch, const ProducerBatch& batch) {
  if (batch_epoch != epoch) count_ = 0;
  epoch = batch_epoch;
  if (count_ == kRemembered) {
    std::rotate(batches_.begin(), batches_.begin() + 1, batches_.end());
    --count_;
  }
  batches_[count_++] = batch;
}

const ProducerBatch* ProducerState::find(Sequence first, Sequence last) const {
  for (size_t i = 0; i < count_; ++i)
    if (batches_[i].first == first && batches_[i].last == last) return &batches_[i];
  return nullptr;
}

const ProducerState* ProducerTable::current(ProducerId id) const {
  if (const auto it = pending_.find(id); it != pending_.end()) return &it->second;
  if (const auto it = applied_.find(id); it != applied_.end()) return &it->second;
  return nullptr;
}

ProducerVerdict ProducerTable::check(const BatchView& batch) const {
  using Kind = ProducerVerdict::Kind;
  const ProducerState* state = current(batch.producer_id());
  // A producer that nobody remembers may start anywhere: its state expired, or the log was trimmed.
  if (state == nullptr) return {};
  if (batch.producer_epoch() < state->epoch)
    return {Kind::kStaleEpoch, {}, fmt::format("producer {} has epoch {}, the batch has {}",
                                               batch.producer_id().value, state->epoch.value,
                                               batch.producer_epoch().value)};
  if (batch.producer_epoch() > state->epoch) {
    if (batch.base_sequence() == Sequence(0)) return {};
    return {Kind::kOutOfOrder, {}, fmt::format("the first batch of producer {} epoch {} has sequence {}, not 0",
                                               batch.producer_id().value, batch.producer_epoch().value,
                                               batch.base_sequence().value)};
  }
  if (const ProducerBatch* original = state->find(batch.base_sequence(), batch.last_sequence())) {
    if (PLANT("T24")) {  // A duplicate answered with another place than its original's.
      ProducerBatch wrong = *original;
      wrong.base_offset = Offset(0);
      return {Kind::kDuplicate, wrong, {}};
    }
    return {Kind::kDuplicate, *original, {}};
  }
  const Sequence expected = PLANT("T14") && state->newest().last.value == INT32_MAX
                                ? Sequence(INT32_MAX)  // The wrap to 0 forgotten.
                                : increment(state->newest().last, 1);
  if (batch.base_sequence() == expected) return {};
  if (PLANT("T13")) return {};  // A gap goes through.
  return {Kind::kOutOfOrder, {}, fmt::format("producer {} epoch {}: sequence {} comes, {} is next",
                                             batch.producer_id().value, state->epoch.value,
                                             batch.base_sequence().value, expected.value)};
}

void ProducerTable::speculate(const BatchView& batch, EntryId entry) {
  if (!batch.has_producer()) return;
  auto it = pending_.find(batch.producer_id());
  if (it == pending_.end()) {
    const auto known = applied_.find(batch.producer_id());
    it = pending_.emplace(batch.producer_id(), known == applied_.end() ? ProducerState{} : known->second).first;
  }
  it->second.add(batch.producer_epoch(), remembered(batch, entry));
}

void ProducerTable::apply(const BatchView& batch, EntryId entry) {
  if (!batch.has_producer() || batch.is_control()) return;
  applied_[batch.producer_id()].add(batch.producer_epoch(), remembered(batch, entry));
  // Once applied state has caught up with what was speculated, the two are the same.
  const auto it = pending_.find(batch.producer_id());
  if (it != pending_.end() && it->second.newest().entry.index <= entry.index) pending_.erase(it);
}

void ProducerTable::apply_expiry(ProducerId producer, EntryId newest) {
  const auto it = applied_.find(producer);
  if (it != applied_.end() && it->second.newest().entry == newest) applied_.erase(it);
}

Slice ProducerTable::encode() const {
  ByteWriter out;
  out.u16(kFormat);
  out.u32(static_cast<uint32_t>(applied_.size()));
  for (const auto& [id, state] : applied_) {
    out.i64(id.value);
    out.i16(state.epoch.value);
    out.u8(static_cast<uint8_t>(state.count()));
    for (size_t i = 0; i < state.count(); ++i) {
      const ProducerBatch& b = state.at(i);
      out.i32(b.first.value);
      out.i32(b.last.value);
      out.i64(b.entry.index.value);
      out.i64(b.entry.term.value);
      out.i64(b.base_offset.value);
      out.i64(b.timestamp);
    }
  }
  return Slice(out.view());
}

Result<> ProducerTable::decode(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); in.ok() && format != kFormat)
    return fail(Errc::kUnsupported, fmt::format("producer snapshot has format {}, this version reads {}", format, kFormat));
  std::map<ProducerId, ProducerState> table;
  for (uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    const ProducerId id(in.i64());
    const ProducerEpoch epoch(in.i16());
    const uint8_t count = in.u8();
    if (count == 0 || count > ProducerState::kRemembered) return fail(Errc::kCorrupt, "producer snapshot: batches of a producer");
    ProducerState& state = table[id];
    for (uint8_t i = 0; i < count; ++i) {
      ProducerBatch b;
      b.first = Sequence(in.i32());
      b.last = Sequence(in.i32());
      b.entry.index = LogIndex(in.i64());
      b.entry.term = Term(in.i64());
      b.base_offset = Offset(in.i64());
      b.timestamp = in.i64();
      state.add(epoch, b);
    }
  }
  if (!in.done()) return fail(Errc::kCorrupt, "producer snapshot: cut short or too long");
  applied_ = std::move(table);
  pending_.clear();
  return {};
}

}  // namespace taffrail
