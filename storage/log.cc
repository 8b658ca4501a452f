#include "storage/log.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "storage/store.h"
#include "storage/wal_format.h"

namespace taffrail {

Log::Log(Store& store, PartitionKey key, uint32_t slot)
    : store_(store), key_(key), slot_(slot),
      directory_(fmt::format("{}/logs/{}", store.options().directory, key.text())) {}

Log::~Log() = default;

const Log::Tail* Log::tail_at(LogIndex index) const {
  if (tail_.empty() || index < tail_.front().meta.index || index > tail_.back().meta.index) return nullptr;
  return &tail_[static_cast<size_t>(index - tail_.front().meta.index)];
}

Log::Tail* Log::tail_at(LogIndex index) { return const_cast<Tail*>(std::as_const(*this).tail_at(index)); }

// --- Writing. ---

void Log::note_entry(const EntryMeta& meta, const Slice& payload) {
  if (terms_.empty() || terms_.back().term != meta.term) terms_.push_back({meta.index, meta.term, meta.base_offset});
  if (meta.kind == EntryKind::kConfig) configs_.push_back({meta, payload});
  last_ = meta.id();
  next_offset_ = meta.next_offset();
}

void Log::push_tail(Entry entry, WalSequence original, uint32_t crc) {
  const EntryMeta meta = entry.meta;
  const uint32_t size = static_cast<uint32_t>(entry.payload.size());
  note_entry(meta, entry.payload);
  if (meta.kind == EntryKind::kBatch) tail_max_timestamp_ = std::max(tail_max_timestamp_, meta.max_timestamp);
  tail_.push_back({.meta = meta, .payload = std::move(entry.payload), .sequence = original, .at = {},
                   .size = size, .crc = crc});
  uncommitted_bytes_ += size;
  store_.cache(*this, meta.index, original, size);
}

WalSequence Log::append(std::span<const Entry> entries) {
  if (entries.empty()) return last_sequence_;
  std::vector<WalFrame> frames;
  frames.reserve(entries.size());
  WalSequence sequence = store_.wal().last();
  for (const Entry& entry : entries) {
    const EntryMeta& meta = entry.meta;
    CHECK(meta.index == last_.index + 1, "I-S2 entries continue the log");
    CHECK(meta.base_offset == next_offset_ && meta.offset_count >= 0, "I-S2 offsets continue the log");
    CHECK(meta.term >= last_.term, "terms never fall along a log");
    CHECK(meta.kind == EntryKind::kBatch || meta.offset_count == 0, "only batches take offsets");
    const uint32_t crc = crc32c(entry.payload.view());
    ++sequence;
    push_tail(entry, sequence, crc);
    frames.push_back({.kind = FrameKind::kEntry, .key = key_, .meta = meta, .payload = entry.payload,
                      .payload_crc = crc, .original = {}, .slot = slot_, .sequence = {}});
  }
  last_sequence_ = store_.wal().append(frames);
  CHECK(last_sequence_ == sequence, "sequences are given out in order");
  store_.evict();
  return last_sequence_;
}

void Log::pop_back_tail() {
  Tail& back = tail_.back();
  if (back.in_memory) store_.uncache(back.size);
  uncommitted_bytes_ -= back.size;
  tail_.pop_back();
}

Result<WalSequence> Log::truncate_from(LogIndex from) {
  if (from <= committed_ || from <= prefix_.index)
    return fail(Errc::kInvalid, fmt::format("I-R4 committed stays: {} is asked to cut {}, and {} is committed",
                                            key_.text(), from.value, std::max(committed_, prefix_.index).value));
  if (from > last_.index) return last_sequence_;
  next_offset_ = tail_at(from)->meta.base_offset;
  while (!tail_.empty() && tail_.back().meta.index >= from) pop_back_tail();
  while (!terms_.empty() && terms_.back().first >= from) terms_.pop_back();
  while (!configs_.empty() && configs_.back().meta.index >= from) configs_.pop_back();
  last_ = {from - 1, from - 1 == prefix_.index ? prefix_.term : terms_.back().term};
  ++cuts_;
  if (PLANT("S04")) return last_sequence_;
  // It stands before whatever is appended next, so that no crash brings a cut entry back beside it.
  WalFrame frame{.kind = FrameKind::kTruncate, .key = key_, .meta = {}, .payload = {}, .payload_crc = 0,
                 .original = {}, .slot = slot_, .sequence = {}};
  frame.meta.index = from;
  last_sequence_ = store_.wal().append(std::move(frame));
  return last_sequence_;
}

WalSequence Log::save_hard_state(const LogHardState& state) {
  hard_ = state;
  const Slice payload(std::string_view(encode_hard_state(state)));
  last_sequence_ = store_.wal().append(WalFrame{.kind = FrameKind::kHardState, .key = key_, .meta = {},
                                                .payload = payload, .payload_crc = crc32c(payload.view()),
                                                .original = {}, .slot = slot_, .sequence = {}});
  hard_sequence_ = last_sequence_;
  hard_at_ = {};
  return last_sequence_;
}

std::optional<Log::Place> Log::place_of(LogIndex index) const {
  const Tail* t = tail_at(index);
  // While a copy is on its way forward, the frame that it was made of still counts.
  if (t == nullptr || index <= flushed_.last.index || t->copied) return std::nullopt;
  return place(t->at);
}

Log::Place Log::place(WalPosition at) const {
  return {fmt::format("{}/wal/{:016x}.wal", store_.options().directory, at.segment), at.segment, at.offset};
}

WalSequence Log::settle() {
  if (!possibly_longer_ && !hard_state_doubtful_) return last_sequence_;
  possibly_longer_ = false;
  hard_state_doubtful_ = false;
  return push_state(false);
}

WalSequence Log::push_state(bool reset) {
  const Slice payload(std::string_view(encode_log_state(state(reset))));
  last_sequence_ = store_.wal().append(WalFrame{.kind = FrameKind::kState, .key = key_, .meta = {},
                                                .payload = payload, .payload_crc = crc32c(payload.view()),
                                                .original = {}, .slot = slot_, .sequence = {}});
  stated_ = synced_.last;
  return last_sequence_;
}

LogState Log::state(bool reset) const {
  LogState s;
  s.possibly_longer = possibly_longer_;
  s.hard_state_doubtful = hard_state_doubtful_;
  s.reset = reset;
  s.hard = hard_;
  s.prefix = prefix_;
  s.prefix_offset = prefix_offset_;
  s.start_offset = start_offset_;
  s.flushed = synced_.last.index < prefix_.index ? prefix_ : synced_.last;
  s.flushed_offset = synced_.last.index < prefix_.index ? prefix_offset_ : synced_.next_offset;
  s.last_segment = synced_.segment;
  s.last_segment_end = synced_.segment_end;
  s.snapshot = snapshot_id_;
  s.joined = joined_;
  for (const LogIndex at : {prefix_.index, PLANT("S77") ? prefix_.index : s.flushed.index}) {
    const auto behind = std::upper_bound(configs_.begin(), configs_.end(), at,
                                         [](LogIndex i, const Entry& config) { return i < config.meta.index; });
    if (behind == configs_.begin()) continue;
    const Entry& in_force = *std::prev(behind);
    if (s.configs.empty() || s.configs.back().meta.index < in_force.meta.index) s.configs.push_back(in_force);
  }
  return s;
}

LogIndex Log::durable_index() const {
  const WalSequence durable = store_.wal_->durable();
  const auto after = std::partition_point(tail_.begin(), tail_.end(),
                                          [&](const Tail& t) { return t.sequence <= durable; });
  if (after == tail_.end()) return last_.index;
  return after->meta.index - 1;
}

void Log::set_committed(LogIndex index) {
  index = std::min(index, last_.index);
  for (; committed_ < index; ++committed_) {
    const Tail* t = tail_at(committed_ + 1);
    if (t == nullptr || t->meta.index <= flushed_.last.index) continue;
    uncommitted_bytes_ -= t->size;
    committed_unflushed_bytes_ += t->size;
  }
  if (committed_unflushed_bytes_ >= store_.options().chunk_bytes) store_.want_flush(*this);
}

Offset Log::offset_after(LogIndex index) const {
  if (index == last_.index) return next_offset_;
  if (const Tail* next = tail_at(index + 1)) return next->meta.base_offset;
  return kNoOffset;
}

Offset Log::committed_offset() const {
  if (committed_ == prefix_.index) return prefix_offset_;
  return committed_ == flushed_.last.index ? flushed_.next_offset : offset_after(committed_);
}

Result<WalSequence> Log::set_log_start(Offset start, LogIndex first, std::optional<Offset> first_offset) {
  if (first > committed_ + 1 || start > next_offset_)
    return fail(Errc::kInvalid, fmt::format("{} cannot start at offset {}, entry {}: {} is committed, offset {} is next",
                                            key_.text(), start.value, first.value, committed_.value, next_offset_.value));
  if (first <= first_index()) return begin_at(start, prefix_, first_offset);
  const std::optional<Term> term = term_at(first - 1);
  // Its neighbours bound it, yet who compares it would see another history.
  if (!term && !PLANT("S86"))
    return fail(Errc::kCorrupt, fmt::format("{} cannot start at entry {}: the one before does not read, and its term is not known",
                                            key_.text(), first.value));
  return begin_at(start, {first - 1, term.value_or(prefix_.term)}, first_offset);
}

WalSequence Log::begin_at(Offset start, EntryId before, std::optional<Offset> first_offset) {
  if (start <= start_offset_ && before.index <= prefix_.index) return last_sequence_;
  start_offset_ = std::max(start_offset_, start);
  if (before.index > prefix_.index) {
    const Offset after = offset_after(before.index);
    prefix_offset_ = after == kNoOffset ? first_offset.value_or(start_offset_) : after;
    prefix_ = before;
    prune_below_prefix();
  }
  start_sequence_ = push_state(false);
  store_.want_unlink(*this);
  return start_sequence_;
}

void Log::prune_below_prefix() {
  while (!tail_.empty() && tail_.front().meta.index <= prefix_.index) pop_front_tail();
  size_t keep = 0;
  while (keep + 1 < terms_.size() && terms_[keep + 1].first <= first_index()) ++keep;
  if (!terms_.empty() && last_.index <= prefix_.index) keep = terms_.size();
  terms_.erase(terms_.begin(), terms_.begin() + static_cast<std::ptrdiff_t>(keep));
  keep = 0;
  while (keep + 1 < configs_.size() && configs_[keep + 1].meta.index <= prefix_.index) ++keep;
  configs_.erase(configs_.begin(), configs_.begin() + static_cast<std::ptrdiff_t>(keep));
}

void Log::pop_front_tail() {
  const Tail& front = tail_.front();
  if (front.in_memory) store_.uncache(front.size);
  if (front.meta.index > flushed_.last.index) {
    (front.meta.index <= committed_ ? committed_unflushed_bytes_ : uncommitted_bytes_) -= front.size;
  }
  tail_.pop_front();
}

void Log::drop_flushed_front() {
  while (!tail_.empty() && !tail_.front().in_memory && tail_.front().meta.index <= flushed_.last.index)
    tail_.pop_front();
}

void Log::reset_memory() {
  while (!tail_.empty()) pop_front_tail();
  terms_.clear();
  configs_.clear();
  lost_.clear();
  uncommitted_bytes_ = 0;
  committed_unflushed_bytes_ = 0;
  tail_max_timestamp_ = -1;
  ++cuts_;
}

void Log::seal_older_than(int64_t timestamp_ms) {
  if (!segments_.empty() && segments_.back()->max_timestamp() >= 0 &&
      segments_.back()->max_timestamp() < timestamp_ms)
    seal_next_ = true;
}

// --- What is known without waiting. ---

bool Log::in_hole(LogIndex index) const {
  if (patch_of(index)) return false;
  const auto within = [index](const auto& hole) { return hole.first <= index && index < hole.second; };
  if (std::any_of(lost_.begin(), lost_.end(), within)) return true;
  const std::shared_ptr<Segment> segment = tail_at(index) ? nullptr : segment_of(index);
  return segment && std::any_of(segment->holes().begin(), segment->holes().end(), within);
}

std::optional<Term> Log::term_at(LogIndex index) const {
  if (index == prefix_.index) return prefix_.term;
  if (index == last_.index) return last_.term;
  if (index < prefix_.index || index > last_.index || in_hole(index)) return std::nullopt;
  const auto after = std::upper_bound(terms_.begin(), terms_.end(), index,
                                      [](LogIndex i, const TermRun& run) { return i < run.first; });
  if (after == terms_.begin()) return std::nullopt;
  return std::prev(after)->term;
}

std::optional<std::pair<Term, Offset>> Log::epoch_end_offset(Term term) const {
  for (size_t i = terms_.size(); i-- > 0;) {
    if (terms_[i].term > term) continue;
    if (PLANT("P02") && terms_[i].term != term) return std::pair(terms_[i].term, next_offset_);
    return std::pair(terms_[i].term, i + 1 < terms_.size() ? terms_[i + 1].start : next_offset_);
  }
  return std::nullopt;
}

bool Log::disk_full() const { return store_.wal().disk_full(); }
bool Log::disk_slow() const { return store_.wal().slow(); }

int64_t Log::max_timestamp() const {
  int64_t newest = tail_max_timestamp_;
  for (const auto& segment : segments_) newest = std::max(newest, segment->max_timestamp());
  return newest;
}

ByteCount Log::size_bytes() const {
  ByteCount size = uncommitted_bytes_ + committed_unflushed_bytes_;
  for (const auto& segment : segments_) size += segment->payload_bytes();
  return size;
}

std::vector<SegmentInfo> Log::segments() const {
  std::vector<SegmentInfo> infos;
  infos.reserve(segments_.size());
  for (const auto& s : segments_)
    infos.push_back({.first_index = s->first(), .next_index = s->next(), .base_offset = s->base(),
                     .next_offset = s->next_offset(), .size_bytes = s->payload_bytes(),
                     .max_timestamp = s->max_timestamp()});
  return infos;
}

std::vector<std::pair<LogIndex, LogIndex>> Log::holes() const {
  std::vector<std::pair<LogIndex, LogIndex>> all = lost_;
  for (const auto& segment : segments_) all.insert(all.end(), segment->holes().begin(), segment->holes().end());
  std::sort(all.begin(), all.end());
  // Less what lies below the start, and what was filled: patches cover holes from their beginning on.
  std::vector<std::pair<LogIndex, LogIndex>> open;
  for (auto& [first, end] : all) {
    LogIndex from = std::max(first, first_index());
    for (const auto& patch : patches_)
      if (patch->first() <= from && from < patch->next()) from = patch->next();
    if (from < end) open.emplace_back(from, end);
  }
  return open;
}

}  // namespace taffrail
