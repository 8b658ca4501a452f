// Producing: checks, offsets, and when a batch counts as acknowledged.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/plant.h"
#include "partition/partition_state.h"
#include "record/builder.h"
#include "record/recompress.h"

namespace taffrail {

Result<bool> IndexGate::wait(Task& task, LogIndex index, Instant deadline) {
  if (index <= reached_) return true;
  Waiter waiter;
  struct Registration {
    std::multimap<LogIndex, Waiter*>& map;
    std::multimap<LogIndex, Waiter*>::iterator at;
    Waiter& waiter;
    ~Registration() { if (!waiter.done) map.erase(at); }
  } registration{waiters_, waiters_.emplace(index, &waiter), waiter};
  while (!waiter.done) TRY(waiter.queue.wait(task, deadline));
  return !waiter.failed;
}

void IndexGate::raise(LogIndex reached) {
  if (reached <= reached_) return;
  reached_ = reached;
  while (!waiters_.empty() && waiters_.begin()->first <= reached) {
    Waiter* waiter = waiters_.begin()->second;
    waiters_.erase(waiters_.begin());
    waiter->done = true;
    waiter->queue.notify_all();
  }
}

void IndexGate::fail_all() {
  for (auto& [index, waiter] : waiters_) {
    waiter->done = waiter->failed = true;
    waiter->queue.notify_all();
  }
  waiters_.clear();
}

Fault Partition::State::not_leader() const {
  return {PartitionFault::kNotLeader, leader == kNoBroker ? "no leader is known here"
                                                          : fmt::format("broker {} leads", leader.value), {}};
}

CodecLimits while_others_run(Task& task, size_t max_bytes) {
  CodecLimits limits;
  limits.max_bytes = max_bytes;
  limits.keep_going = [&task] {
    task.scheduler().yield(task);
    return !task.cancelled();
  };
  return limits;
}

std::optional<Fault> Partition::State::refuse_all() {
  if (stopping) return Fault{PartitionFault::kDeleted, {}, {}};
  if (serving != term || role != Role::kLeader) return not_leader();
  if (log.disk_full() && !PLANT("S60")) {
    hand_over("is full");
    return Fault{PartitionFault::kStorage, "the leader's disk is full", {}};
  }
  if (!log.disk_slow()) handed_over.reset();
  else if (!PLANT("S61")) hand_over("is slow");
  return std::nullopt;
}

namespace {

CodecLimits unpacking_limits(size_t max_bytes, Task* task) {
  if (task != nullptr) return while_others_run(*task, max_bytes);
  CodecLimits limits;
  limits.max_bytes = max_bytes;
  return limits;
}

}  // namespace

// What can be said of a batch without appending it.
std::optional<Faulty<Appended>> Partition::State::settle(const BatchView& batch, Acks acks) const {
  const auto fault = [](PartitionFault what, std::string why) { return Faulty<Appended>(std::unexpected(Fault{what, std::move(why), {}})); };
  if (batch.has_producer()) {
    const ProducerVerdict verdict = producers.check(batch);
    switch (verdict.kind) {
      case ProducerVerdict::Kind::kAppend: break;
      case ProducerVerdict::Kind::kDuplicate:
        // Not appended; the answer waits for the original like the original's own: what is not committed
        // may be cut off, and the batch with it.
        return Appended{verdict.original.entry, verdict.original.base_offset, reading_starts(),
                        config.timestamp_type == TimestampType::kLogAppendTime ? verdict.original.timestamp : -1};
      case ProducerVerdict::Kind::kOutOfOrder: return fault(PartitionFault::kOutOfOrderSequence, verdict.message);
      case ProducerVerdict::Kind::kStaleEpoch: return fault(PartitionFault::kInvalidProducerEpoch, verdict.message);
    }
  }
  if (acks == Acks::kAll && in_sync.size() < static_cast<size_t>(config.min_insync_replicas))
    return fault(PartitionFault::kNotEnoughReplicas,
                 fmt::format("{} of min.insync.replicas={} are in sync", in_sync.size(), config.min_insync_replicas));
  if (log.uncommitted_bytes() + batch.size_bytes() > options.uncommitted_max)
    return fault(PartitionFault::kOverloaded, fmt::format("{} bytes wait for a majority here", log.uncommitted_bytes()));
  return std::nullopt;
}

Faulty<Appended> Partition::State::append(Slice batch, Acks acks, bool allow_zstd, Task* task) {
  if (auto refused = refuse_all()) return std::unexpected(*std::move(refused));

  ValidateOptions check;
  check.max_size_bytes = static_cast<size_t>(config.max_message_bytes);
  check.allow_zstd = allow_zstd;
  check.require_keys = config.compacted;
  check.timestamp_type = config.timestamp_type;
  check.now_ms = runtime.wall_now().ms;
  check.before_max_ms = config.timestamp_before_max_ms;
  check.after_max_ms = config.timestamp_after_max_ms;
  const size_t unpacked = unpacked_max();
  check.limits = unpacking_limits(unpacked, task);
  auto valid = validate_produced(batch, check);
  if (!valid) {
    std::string message = valid.error().message;
    return std::unexpected(Fault{PartitionFault::kBatch, std::move(message), std::move(valid.error())});
  }

  // Without a coordinator nobody would ever write the marker that ends the transaction.
  if (valid->is_transactional())
    return std::unexpected(Fault{PartitionFault::kNoTransaction, "this broker does not serve transactions", {}});
  if (auto settled = settle(*valid, acks)) return *std::move(settled);

  Appended appended;
  // A forced compression.type re-encodes, and LogAppendTime re-checksums: once, before the append.
  if (config.compression >= 0 && valid->codec() != static_cast<Codec>(config.compression)) {
    const auto codec = static_cast<Codec>(config.compression);
    const CodecLimits limits = unpacking_limits(codec == Codec::kNone ? check.max_size_bytes : unpacked, task);
    Result<Slice> again = recompress(*valid, codec, limits);
    // Its checksum is right, so it will not decompress the next time either.
    if (!again) return std::unexpected(Fault{PartitionFault::kBatch, again.error().message,
                                             BatchRefusal{again.error().code == Errc::kTooLarge ? BatchFault::kTooLarge
                                                                                                : BatchFault::kInvalidRecord,
                                                          again.error().message, {}}});
    if (again->size() > check.max_size_bytes) {
      std::string why = fmt::format("{} bytes as they would be stored, at most {} are allowed", again->size(), check.max_size_bytes);
      return std::unexpected(Fault{PartitionFault::kBatch, why, BatchRefusal{BatchFault::kTooLarge, why, {}}});
    }
    batch = *std::move(again);
  }
  if (task != nullptr) {
    // Much may have changed meanwhile.
    if (auto refused = refuse_all()) return std::unexpected(*std::move(refused));
    if (auto settled = settle(*BatchView::parse(batch), acks)) return *std::move(settled);
  }
  if (config.timestamp_type == TimestampType::kLogAppendTime) {
    appended.append_time_ms = check.now_ms;
    set_log_append_time(batch.mutable_view(), check.now_ms);
  }
  set_base_offset(batch.mutable_view(), log.next_offset());
  set_leader_epoch(batch.mutable_view(), static_cast<int32_t>(group->term().value));

  const Result<BatchView> view = BatchView::parse(batch);
  CHECK(view.has_value(), "a batch that was just checked parses");
  Entry entry;
  entry.meta.kind = EntryKind::kBatch;
  entry.meta.base_offset = PLANT("S17") && log.next_offset() > Offset(0) ? log.next_offset() - 1 : log.next_offset();
  entry.meta.offset_count = view->last_offset_delta() + 1;
  entry.meta.max_timestamp = view->max_timestamp();
  entry.payload = batch;
  const Offset base = entry.meta.base_offset;
  // Raft refuses while it hands its leadership on; should nobody take it, appends go on here.
  const Result<EntryId> proposed = group->propose(std::span(&entry, 1));
  if (!proposed) return std::unexpected(not_leader());
  // Nothing waits in between: what is committed already is applied by a fiber that runs later.
  const EntryId place = *proposed;
  producers.speculate(*view, place);
  if (view->has_producer()) producer_seen[view->producer_id()] = runtime.now();
  appended.entry = place;
  appended.base_offset = base;
  appended.log_start = reading_starts();
  return appended;
}

bool Partition::State::has_to_unpack(ByteView batch) const {
  const bool by_record = config.compacted || config.timestamp_before_max_ms != INT64_MAX;
  if (!by_record && config.compression < 0) return false;
  const Result<BatchView> view = BatchView::parse(batch);
  const std::optional<Codec> codec = view ? view->codec() : std::nullopt;
  if (!codec) return false;
  return (by_record && *codec != Codec::kNone) || (config.compression >= 0 && *codec != static_cast<Codec>(config.compression));
}

std::variant<Faulty<Appended>, std::shared_ptr<PendingAppend>> Partition::State::begin_append(Slice batch, Acks acks,
                                                                                               bool allow_zstd) {
  if (stopping || ((waiting.empty() || PLANT("P40")) && !has_to_unpack(batch))) return append(std::move(batch), acks, allow_zstd);
  if (waiting_bytes + batch.size() > options.uncommitted_max)
    return std::unexpected(Fault{PartitionFault::kOverloaded, fmt::format("{} bytes wait to be unpacked here", waiting_bytes), {}});
  waiting_bytes += batch.size();
  auto pending = std::make_shared<PendingAppend>();
  waiting.push_back({std::move(batch), acks, allow_zstd, pending});
  if (waiting.size() == 1) runtime.spawn(scope, "partition/unpack", [this](Task& task) { run_unpacker(task); });
  return pending;
}

void Partition::State::run_unpacker(Task& task) {
  const Patience patience(task);
  while (!waiting.empty()) {
    Waiting& next = waiting.front();
    Result<Mutex::Lock> turn;
    if (options.heavy != nullptr) turn = options.heavy->lock(task);
    const size_t size = next.batch.size();
    next.pending->result = append(std::move(next.batch), next.acks, next.allow_zstd, &task);
    // Whatever it was that did not go on.
    if (task.cancelled() && !*next.pending->result) next.pending->result = std::unexpected(Fault{PartitionFault::kDeleted, {}, {}});
    next.pending->done.set();
    waiting_bytes -= size;
    waiting.pop_front();
  }
}

// Once for each time that the disk fills or becomes slow, for where all are the leadership would go round; but if nobody
// took it, again.
void Partition::State::hand_over(std::string_view why) {
  if (handed_over && *handed_over != term) return;
  const auto to = group->hand_over([this](BrokerId node) { return std::find(in_sync.begin(), in_sync.end(), node) != in_sync.end(); });
  if (!to) return;
  handed_over = term;
  runtime.log().warn("partition", "{}-{}: the disk {} here, broker {} shall lead", topic_name, key.partition, why, to->node.value);
}

size_t Partition::State::copies_of(LogIndex index) const {
  size_t copies = 0;
  for (const RaftGroup::MemberView& member : group->members())
    if (member.voter && member.match >= index) ++copies;
  return copies;
}

std::optional<Fault> Partition::State::wait(Task& task, const Appended& appended, Acks acks, Instant deadline) {
  if (acks == Acks::kNone) return std::nullopt;
  const Use use(*this);
  const auto lost = [&](const Error& error) {
    if (error.code == Errc::kTimedOut) return Fault{PartitionFault::kTimedOut, "not acknowledged in time", {}};
    return not_leader();
  };
  // Other fibers run during the waits below, and one may lose the leadership. The index may then be
  // reached by another leader's entry: only the term tells (R09).
  const auto still_ours = [&] {
    return !stopping && log.term_at(appended.entry.index) == appended.entry.term;
  };
  IndexGate& gate = acks == Acks::kAll ? committed : durable;
  const Result<bool> reached = gate.wait(task, appended.entry.index, deadline);
  if (!reached) return lost(reached.error());
  if (!*reached && !(PLANT("R09") && log.term_at(appended.entry.index) == appended.entry.term)) return not_leader();
  // Below the log start the entry is gone, and it was committed before it went.
  if (appended.entry.index < log.first_index()) return std::nullopt;
  if (!still_ours()) return not_leader();
  if (acks == Acks::kLeader) return std::nullopt;

  // Committed is on a majority; min.insync.replicas may ask for more.
  const size_t needed = static_cast<size_t>(std::max(config.min_insync_replicas, 1));
  const size_t majority = group->configuration().voters.size() / 2 + 1;
  while (needed > majority && role == Role::kLeader && copies_of(appended.entry.index) < needed) {
    if (Result<> moved = progress.wait(task, deadline); !moved) {
      if (moved.error().code == Errc::kTimedOut && in_sync.size() < needed)
        return Fault{PartitionFault::kNotEnoughAfterAppend, "fewer copies than min.insync.replicas", {}};
      return lost(moved.error());
    }
  }
  if (needed > majority && role != Role::kLeader) return not_leader();
  return std::nullopt;
}

}  // namespace taffrail
