#include "storage/checkpointer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/plant.h"
#include "runtime/at_once.h"
#include "storage/store.h"
#include "storage/wal_format.h"

namespace taffrail {

void Checkpointer::start() {
  limit_ = store_.options_.wal_segments_kept;
  running_ = true;
  runtime_.spawn(scope_, "storage/checkpoint", [this](Task& task) { run(task); });
}

void Checkpointer::stop(Task& task) {
  running_ = false;
  scope_.cancel();
  scope_.join(task);
}

void Checkpointer::want_flush(uint32_t slot) {
  if (flush_.insert(slot).second) poke();
}

void Checkpointer::want_unlink(uint32_t slot) { unlink_.insert(slot); }

size_t Checkpointer::segments_max() const {
  return std::max<size_t>(limit_, 2 * store_.options_.wal_segments_kept);
}

bool Checkpointer::has_work() const {
  if (!flush_.empty() || store_.wal_->segments_held() > limit_) return true;
  return std::any_of(unlink_.begin(), unlink_.end(), [&](uint32_t slot) {
    const Log* log = store_.slots_[slot];
    return log == nullptr || log->start_sequence_ <= store_.wal_->durable() || PLANT("S33");
  });
}

void Checkpointer::run(Task& task) {
  bool full = false;
  while (!task.cancelled() && !store_.wal_->failed()) {
    if (!has_work()) {
      if (!work_.wait(task)) return;
      continue;
    }
    const Result<> done = round(task);
    if (done) {
      full = false;
      continue;
    }
    const Errc code = done.error().code;
    if (code == Errc::kCancelled || code == Errc::kClosed) return;
    if (code != Errc::kNoSpace) {
      // A failed sync, or a write-ahead log that no longer reads: what this disk holds is unknown now.
      store_.wal_->fail_for_good(done.error());
      return;
    }
    // Nothing is lost: what did not fit is still in the write-ahead log.
    if (!std::exchange(full, true))
      runtime_.log().warn("storage", "records stay in the write-ahead log until there is room for segments: {}", done.error().text());
    if (!runtime_.sleep_for(task, store_.options_.full_disk_retry)) return;
  }
}

Result<> Checkpointer::round(Task& task) {
  // Each once: under load there is always one that has more, and the oldest segment has its turn, too. At once if there are
  // too many.
  const bool is_long = store_.wal_->segments_held() > segments_max();
  const std::set<uint32_t> flush_now = is_long ? std::set<uint32_t>{} : flush_;
  for (const uint32_t slot : flush_now) {
    TRY(flush(task, slot, std::nullopt));
    const Log* log = store_.slots_[slot];
    if (log == nullptr || log->committed_unflushed_bytes_ < store_.options_.chunk_bytes) flush_.erase(slot);
  }
  const std::set<uint32_t> unlink = unlink_;
  for (const uint32_t slot : unlink) {
    const auto may_go = [&] { return store_.slots_[slot] == nullptr || store_.slots_[slot]->start_sequence_ <= store_.wal_->durable(); };
    const bool chosen = PLANT("S33") || (PLANT("S13") && may_go());
    const auto lock = TRY(lock_files(task));
    if (!may_go() && !chosen) continue;
    Log* log = store_.slots_[slot];
    if (log != nullptr) TRY(log->unlink_below_start(task));
    // Another start may have come meanwhile.
    if (store_.slots_[slot] == nullptr || !store_.slots_[slot]->has_unlinkable()) unlink_.erase(slot);
  }
  if (store_.wal_->segments_held() > limit_) {
    copied_bytes_ = 0;
    // As many as there are too many: one group may be longer than a segment, and each time lets another one through.
    const size_t too_many = is_long && !PLANT("S87") ? store_.wal_->segments_held() - segments_max() : 1;
    const Wal::Oldest oldest = store_.wal_->oldest(too_many);
    TRY(release(task, oldest));
    // Not by the segments held: what others wrote meanwhile is among them. A group takes whole blocks, and so does its mark.
    limit_ = 2 * (copied_bytes_ + 4 * kWalBlock) <= oldest.bytes ? store_.options_.wal_segments_kept : store_.wal_->segments_held() + 1;
  }
  return {};
}

// Chunks that are worth it; or all that stands below `up_to`, and with it.
Result<> Checkpointer::flush(Task& task, uint32_t slot, std::optional<LogIndex> up_to) {
  // What is committed meanwhile comes next time: there may be no end to it.
  std::optional<LogIndex> goal = up_to;
  for (;;) {
    const auto lock = TRY(lock_files(task));
    Log* log = store_.slots_[slot];
    if (log == nullptr) return {};
    if (!goal) goal = log->committed_;
    if (std::min(*goal, log->committed_) <= std::max(log->flushed_.last, log->prefix_).index) return {};
    if (!up_to && log->committed_unflushed_bytes_ < store_.options_.chunk_bytes) return {};
    TRY(log->flush_chunk(task, log->committed_));
    store_.wal_->moved_on();
    limit_ = store_.options_.wal_segments_kept;
  }
}

// What stands in the oldest write-ahead segments and is still needed moves: to segments if it is committed
// and worth a chunk, or was moved before; else forward in the write-ahead log, under its old sequence.
Result<> Checkpointer::release(Task& task, const Wal::Oldest& oldest) {
  const size_t slots = store_.slots_.size();

  for (uint32_t slot = 0; slot < slots; ++slot) {
    const Log* log = store_.slots_[slot];
    if (log == nullptr) continue;
    const LogIndex flushed = std::max(log->flushed_.last, log->prefix_).index;
    std::optional<LogIndex> here;
    bool copied = false;
    for (const Log::Tail& t : log->tail_) {
      if (t.meta.index <= flushed || t.meta.index > log->committed_ || t.at.segment == 0) continue;
      if (t.at.segment <= oldest.segment) here = t.meta.index;
      copied = copied || (t.copied && t.at.segment <= oldest.segment);
    }
    if (here && (copied || log->committed_unflushed_bytes_ >= store_.options_.quiet_bytes))
      TRY(flush(task, slot, here));
  }
  const auto lock = TRY(lock_files(task));
  TRY(sync_all(task));
  store_.wal_->begin_release();
  const Result<> released = release_below(task, oldest);
  store_.wal_->end_release();
  return released;
}

// Many at once: file systems put what they have to note of each into one entry of their journal.
Result<> Checkpointer::sync_all(Task& task) {
  constexpr size_t kAtOnce = 16;
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < store_.slots_.size(); ++slot)
    if (const Log* log = store_.slots_[slot]; log != nullptr && log->unsynced()) slots.push_back(slot);
  return for_each_at_once(task, runtime_, "storage/sync", std::span(slots), kAtOnce, [this](Task& one, uint32_t slot) {
    Log* log = store_.slots_[slot];
    return log == nullptr ? Result<>() : log->sync_segments(one);
  });
}

Result<> Checkpointer::release_below(Task& task, const Wal::Oldest& oldest) {
  const size_t slots = store_.slots_.size();
  for (uint32_t slot = 0; slot < slots; ++slot) TRY(copy_forward(task, slot, oldest.segment));
  TRY(store_.wal_->wait_durable(task, store_.wal_->last()));
  return store_.wal_->release_below(task, oldest.floor);
}

Result<> Checkpointer::copy_forward(Task& task, uint32_t slot, uint64_t segment) {
  Log* log = store_.slots_[slot];
  if (log == nullptr) return {};
  std::vector<LogIndex> wanted;
  for (const Log::Tail& t : log->tail_)
    if (t.meta.index > log->synced_.last.index && t.at.segment != 0 && t.at.segment <= segment)
      wanted.push_back(t.meta.index);
  for (const LogIndex index : wanted) {
    const Log::Tail* t = log->tail_at(index);
    if (t == nullptr || t->at.segment > segment) continue;  // Cut, or dropped, while an earlier one was read.
    const WalSequence sequence = t->sequence;
    Result<Slice> payload = t->in_memory || t->size == 0 ? Result<Slice>(t->payload)
                                                         : log->read_tail_payload(task, index);
    t = log->tail_at(index);
    if (t == nullptr || t->sequence != sequence) continue;
    WalFrame frame{.kind = FrameKind::kEntry, .key = log->key_, .meta = t->meta, .payload = TRY(std::move(payload)),
                   .payload_crc = t->crc, .original = sequence, .slot = slot, .sequence = {}};
    copied_bytes_ += frame.payload.size() + kWalFrameHeaderSize;
    log->last_sequence_ = store_.wal_->append(std::move(frame));
  }
  if (log->state_segment_ <= segment || log->stated_ != log->synced_.last) {
    const ByteCount queued = store_.wal_->queued_bytes();
    log->push_state(false);
    copied_bytes_ += store_.wal_->queued_bytes() - queued;
  }
  return {};
}

Result<> Checkpointer::checkpoint(Task& task) {
  const size_t slots = store_.slots_.size();
  for (uint32_t slot = 0; slot < slots; ++slot) TRY(flush(task, slot, LogIndex(INT64_MAX)));
  {
    const auto lock = TRY(lock_files(task));
    TRY(sync_all(task));
    for (uint32_t slot = 0; slot < slots; ++slot) {
      Log* log = store_.slots_[slot];
      if (log != nullptr && log->stated_ != log->synced_.last) log->push_state(false);
    }
    TRY(store_.wal_->wait_durable(task, store_.wal_->last()));
  }
  const uint64_t current = store_.wal_->current_segment();
  while (store_.wal_->oldest_segment() < current) TRY(release(task, store_.wal_->oldest(1)));
  return {};
}

}  // namespace taffrail
