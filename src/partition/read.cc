// Consuming: batches by offset, offsets by time, epochs by number.
#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "partition/partition_state.h"

namespace taffrail {
namespace {

Fault storage_fault(const Error& error) {
  if (error.code == Errc::kOutOfRange) return {PartitionFault::kOutOfRange, error.message, {}};
  return {PartitionFault::kStorage, "what is stored here cannot be read", {}};
}

}  // namespace

Faulty<std::vector<Slice>> Partition::read(Task& task, Offset from, const ReadView& view, ByteCount max,
                                           bool at_least_one) {
  State& s = *state_;
  if (from < view.log_start || from > view.log_end)
    return std::unexpected(Fault{PartitionFault::kOutOfRange,
                                 fmt::format("offset {} is outside [{}, {}]", from.value, view.log_start.value,
                                             view.log_end.value), {}});
  const State::Use use(s);
  if (from >= view.high_watermark || (max == 0 && !at_least_one)) return std::vector<Slice>{};
  Result<std::vector<Slice>> batches = s.log.read_batches(task, from, view.high_watermark, max);
  if (!batches) {
    s.runtime.log().error("partition", "{}-{}: read at {}: {}", s.topic_name, s.key.partition, from.value,
                          batches.error().text());
    return std::unexpected(storage_fault(batches.error()));
  }
  // While it was read, this replica may have lost its leadership and the log its end; what was committed
  // then still is, so what was read below the view's watermark stays true.
  if (!at_least_one && batches->size() == 1 && batches->front().size() > max) return std::vector<Slice>{};
  return *std::move(batches);
}

ByteCount Partition::readable_bytes(Offset from) const {
  const State& s = *state_;
  const ReadView now = view();
  if (from >= now.high_watermark || from < now.log_start) return 0;
  // Everything committed that is not measured exactly counts by its share of offsets: enough to decide
  // whether a long poll has waited for its min_bytes.
  const ByteCount committed = s.log.size_bytes() - s.log.uncommitted_bytes();
  const int64_t all = std::max<int64_t>(now.high_watermark - now.log_start, 1);
  const int64_t wanted = now.high_watermark - from;
  return std::max<ByteCount>(1, static_cast<ByteCount>(static_cast<unsigned __int128>(committed) *
                                                       static_cast<uint64_t>(wanted) / static_cast<uint64_t>(all)));
}

Term Partition::epoch_at(Offset offset) const {
  Term found;
  for (const Log::TermRun& run : state_->log.term_runs()) {
    if (run.start > offset) break;
    found = run.term;
  }
  return found;
}

Partition::EpochEnd Partition::epoch_end(int32_t epoch) const {
  const State& s = *state_;
  if (epoch < 0 || epoch > s.term.value) return {};
  const auto end = s.log.epoch_end_offset(Term(epoch));
  if (!end) {
    // Everything of that epoch has gone with the log's start, and what is left begins where it ended, or later: asked
    // like that, a reader at the very end of what has gone reads on (KIP-320).
    const auto& runs = s.log.term_runs();
    return {epoch, runs.empty() ? s.log.next_offset() : std::max(runs.front().start, s.log.start_offset())};
  }
  return {static_cast<int32_t>(end->first.value), std::max(end->second, s.log.start_offset())};
}

// The records of one batch, looked at by one fiber of the shard at a time: unpacked, they take memory.
template <typename Find>
Result<std::optional<TimestampedOffset>> Partition::State::look_into(Task& task, const BatchView& batch, Find find) const {
  const Patience patience(task);
  Result<Mutex::Lock> turn;
  if (batch.codec() != Codec::kNone && options.heavy != nullptr && !PLANT("N64")) turn = TRY(options.heavy->lock(task));
  return find(while_others_run(task, unpacked_max()));
}

Faulty<Partition::TimedOffset> Partition::find_by_time(Task& task, int64_t timestamp) {
  State& s = *state_;
  const State::Use use(s);
  const ReadView now = view();
  const auto found = s.log.find_batch_by_time(task, timestamp, now.high_watermark);
  if (!found) return std::unexpected(storage_fault(found.error()));
  if (!found->has_value()) return TimedOffset{};
  const Result<BatchView> batch = BatchView::parse((*found)->batch);
  if (!batch) return std::unexpected(storage_fault(batch.error()));
  const auto record = s.look_into(task, *batch, [&](const CodecLimits& limits) {
    return find_by_timestamp(*batch, timestamp, now.log_start, limits);
  });
  if (!record) return std::unexpected(storage_fault(record.error()));
  if (!record->has_value()) return TimedOffset{};
  return TimedOffset{(*record)->offset, (*record)->timestamp, (*found)->meta.term};
}

Faulty<Partition::TimedOffset> Partition::find_max_timestamp(Task& task) {
  State& s = *state_;
  const State::Use use(s);
  // The stored maximum may be too high after a truncation, and may belong to what is not committed yet:
  // the largest that is really there is what the search settles on.
  const ReadView now = view();
  TimedOffset best;
  int64_t at_least = 0;
  for (;;) {
    const auto found = s.log.find_batch_by_time(task, at_least, now.high_watermark);
    if (!found) return std::unexpected(storage_fault(found.error()));
    if (!found->has_value()) return best;
    const Result<BatchView> batch = BatchView::parse((*found)->batch);
    if (!batch) return std::unexpected(storage_fault(batch.error()));
    const auto record = s.look_into(task, *batch, [&](const CodecLimits& limits) {
      return taffrail::find_max_timestamp(*batch, limits);
    });
    if (!record) return std::unexpected(storage_fault(record.error()));
    if (!record->has_value() || (*record)->timestamp < at_least) return best;
    best = {(*record)->offset, (*record)->timestamp, (*found)->meta.term};
    at_least = best.timestamp + 1;
  }
}

std::vector<Partition::ProducerView> Partition::producers() const {
  std::vector<ProducerView> out;
  for (const auto& [id, state] : state_->producers.applied())
    out.push_back({id, state.epoch, state.newest().last, state.newest().timestamp});
  return out;
}

}  // namespace taffrail
