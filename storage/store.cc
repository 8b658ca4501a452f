#include "storage/store.h"

#include <fmt/core.h>

#include "base/check.h"
#include "base/plant.h"
#include "storage/checkpointer.h"
#include "storage/recovery.h"
#include "storage/wal_format.h"

namespace taffrail {

namespace {
// What an entry costs in memory besides its payload.
constexpr ByteCount kTailOverhead = 128;
}  // namespace

Store::Store(Runtime& runtime, StoreOptions options) : runtime_(runtime), options_(std::move(options)) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(Task& task, Runtime& runtime, StoreOptions options,
                                           std::move_only_function<void(const Error&)> on_failed) {
  options.wal_segments_kept = std::max(options.wal_segments_kept, 1u);
  auto store = std::unique_ptr<Store>(new Store(runtime, std::move(options)));
  store->failed_hook_ = std::move(on_failed);
  store->checkpointer_ = std::make_unique<Checkpointer>(*store, runtime);
  Recovery recovery(*store, runtime);
  if (const Result<> recovered = recovery.run(task); !recovered) {
    // The fibers of a half-open store end before it goes.
    if (store->wal_) store->wal_->close(task);
    return std::unexpected(recovered.error());
  }
  store->checkpointer_->start();
  return store;
}

Log& Store::add_log(const PartitionKey& key) {
  const auto slot = static_cast<uint32_t>(slots_.size());
  auto log = std::make_unique<Log>(*this, key, slot);
  slots_.push_back(log.get());
  return *logs_.emplace(key, std::move(log)).first->second;
}

Result<Log*> Store::create_log(const PartitionKey& key, Past past, int64_t joined) {
  if (logs_.contains(key)) return fail(Errc::kExists, fmt::format("log {}", key.text()));
  Log& log = add_log(key);
  log.possibly_longer_ = log.hard_state_doubtful_ = past == Past::kPossible && logs_lost_;
  log.joined_ = joined;
  log.push_state(true);
  return &log;
}

Log* Store::find_log(const PartitionKey& key) {
  const auto found = logs_.find(key);
  return found == logs_.end() ? nullptr : found->second.get();
}

std::vector<Log*> Store::logs() {
  std::vector<Log*> all;
  all.reserve(logs_.size());
  for (const auto& [key, log] : logs_) all.push_back(log.get());
  return all;
}

Result<> Store::remove_log(Task& task, const PartitionKey& key) {
  // Held to the end: a new log of this name could otherwise lose its files to the old one's removal.
  const auto lock = TRY(checkpointer_->lock_files(task));
  const auto found = logs_.find(key);
  if (found == logs_.end()) return fail(Errc::kNotFound, fmt::format("log {}", key.text()));
  const WalSequence gone = wal_->append(WalFrame{.kind = FrameKind::kDelete, .key = key, .meta = {}, .payload = {},
                                                 .payload_crc = 0, .original = {}, .slot = found->second->slot_,
                                                 .sequence = {}});
  TRY(wal_->wait_durable(task, gone));
  Log& log = *found->second;
  log.reset_memory();
  TRY(log.remove_files(task));
  slots_[log.slot_] = nullptr;
  logs_.erase(key);
  return {};
}

Result<> Store::checkpoint(Task& task) { return checkpointer_->checkpoint(task); }

void Store::close(Task& task) {
  checkpointer_->stop(task);
  wal_->close(task);
}

// --- What the write-ahead log tells. ---

void Store::on_placed(const WalFrame& frame, WalPosition at) {
  Log* log = frame.slot < slots_.size() ? slots_[frame.slot] : nullptr;
  if (log == nullptr || log->key_ != frame.key) return;
  if (frame.kind == FrameKind::kHardState && frame.sequence == log->hard_sequence_) log->hard_at_ = at;
  if (frame.kind == FrameKind::kState) {
    log->state_segment_ = at.segment;
    log->state_at_ = at;
  }
  if (frame.kind != FrameKind::kEntry) return;
  Log::Tail* t = log->tail_at(frame.meta.index);
  // Cut and appended anew meanwhile: another entry stands there.
  if (t == nullptr || t->sequence != frame.original) return;
  t->at = at;
  t->copied = frame.sequence != frame.original;
}

void Store::on_durable(WalSequence sequence) {
  evict();
  if (checkpointer_->wants_unlink() || wal_->segments_held() > options_.wal_segments_kept) checkpointer_->poke();
  if (durable_hook_) durable_hook_(sequence);
}

// A term or a vote may be in a group, so it never waits for long.
Wal::Listener::Pace Store::pace() const {
  if (!checkpointer_->is_running() || PLANT("S81")) return {};
  // A disk must not be filled by what waits to leave the write-ahead log. One more, for it may be letting go of one.
  constexpr Duration kOfALongLog = 200_ms;
  if (wal_->segments_held() > checkpointer_->segments_max() + 1)
    return {kOfALongLog, PLANT("S87") ? UINT64_MAX : options_.wal_segment_bytes / 8};
  // What has left memory before it stands in a segment has to be read again for it.
  constexpr Duration kOfAFullMemory = 20_ms;
  if (cached_.empty() || cached_bytes_ < options_.arena_bytes / 8 * 7) return {};
  const Cached& next = cached_.front();
  const Log* log = slots_[next.slot];
  const bool waits = log != nullptr && next.index > log->flushed_.last.index && next.index <= log->committed_;
  return waits && log->committed_unflushed_bytes_ >= options_.chunk_bytes ? Pace{kOfAFullMemory} : Pace{};
}

void Store::on_failed(const Error& error) {
  runtime_.log().error("storage", "{} has failed: {}", options_.directory, error.text());
  if (failed_hook_) {
    failed_hook_(error);
  } else {
    runtime_.stop_node(fmt::format("storage of {} has failed: {}", options_.directory, error.text()));
  }
}

// --- The arena. ---

void Store::cache(const Log& log, LogIndex index, WalSequence sequence, ByteCount size) {
  cached_bytes_ += size + kTailOverhead;
  ++cached_live_;
  cached_.push_back({log.slot_, index, sequence});
}

void Store::uncache(ByteCount size) {
  cached_bytes_ -= size + kTailOverhead;
  --cached_live_;
}

void Store::evict() {
  const auto live = [this](const Cached& c) -> Log::Tail* {
    Log* log = slots_[c.slot];
    Log::Tail* t = log == nullptr ? nullptr : log->tail_at(c.index);
    return t != nullptr && t->sequence == c.sequence && t->in_memory ? t : nullptr;
  };
  while (!cached_.empty() && cached_bytes_ > options_.arena_bytes) {
    const Cached oldest = cached_.front();
    if (Log::Tail* t = live(oldest)) {
      if (t->at.segment == 0) break;  // Not written yet: nowhere else to read it.
      t->in_memory = false;
      t->payload = Slice();
      uncache(t->size);
      slots_[oldest.slot]->drop_flushed_front();
    }
    cached_.pop_front();
  }
  // Entries that went another way left stale places behind: not to outgrow what is really held.
  if (cached_.size() > 2 * cached_live_ + 1024) std::erase_if(cached_, [&](const Cached& c) { return !live(c); });
}

void Store::want_flush(const Log& log) { checkpointer_->want_flush(log.slot_); }
void Store::want_unlink(const Log& log) { checkpointer_->want_unlink(log.slot_); }

}  // namespace taffrail
