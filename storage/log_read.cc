// Reading a log, wherever its entries lie.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "storage/log.h"
#include "storage/store.h"

namespace taffrail {

std::shared_ptr<Segment> Log::segment_of(LogIndex index) const {
  if (auto patch = patch_of(index)) return patch;
  const auto after = std::upper_bound(segments_.begin(), segments_.end(), index,
                                      [](LogIndex i, const auto& segment) { return i < segment->first(); });
  if (after == segments_.begin() || index >= (*std::prev(after))->next()) return nullptr;
  return *std::prev(after);
}

// Takes what `pick` wants from `from` on. Everything is looked up again after each wait: meanwhile the
// tail may have been evicted, flushed and dropped, and segments removed.
Result<bool> Log::read_run(Task& task, LogIndex from, const Picker& pick, std::vector<Entry>& out) {
  const uint64_t cuts = cuts_;
  LogIndex index = from;
  while (index <= last_.index) {
    const Tail* t = tail_at(index);
    if (t != nullptr && (t->in_memory || t->size == 0 || index > flushed_.last.index)) {
      const EntryMeta meta = t->meta;
      const Pick picked = pick(meta, t->size);
      if (picked == Pick::kStop) return true;
      ++index;
      if (picked == Pick::kSkip) continue;
      if (t->in_memory || t->size == 0) {
        out.push_back({meta, t->payload});
        continue;
      }
      Result<Slice> payload = read_tail_payload(task, meta.index);
      if (cuts_ != cuts) return false;
      out.push_back({meta, TRY(std::move(payload))});
      continue;
    }

    const std::shared_ptr<Segment> segment = segment_of(index);
    Result<std::shared_ptr<const ChunkDirectory>> directory =
        fail(Errc::kCorrupt, fmt::format("{}: entry {} of {} lies in a hole: a segment is missing", directory_,
                                         index.value, key_.text()));
    if (segment) directory = segment->read_directory(task, index);
    if (cuts_ != cuts) return false;
    if (segment && !directory && directory.error().code == Errc::kCorrupt) note_damage(*segment, index);
    // What was found before a hole is served; whoever comes back for the hole hears of it.
    if (!directory && directory.error().code == Errc::kCorrupt && !out.empty()) return true;
    const auto chunk = TRY(std::move(directory));
    const auto& envelopes = chunk->envelopes;
    size_t at = static_cast<size_t>(
        std::lower_bound(envelopes.begin(), envelopes.end(), index,
                         [](const Envelope& e, LogIndex i) { return e.meta.index < i; }) -
        envelopes.begin());
    bool stop = false;
    while (at < envelopes.size() && !stop) {
      // A run of entries that are all wanted is one read.
      const size_t begin = at;
      Pick picked = Pick::kTake;
      while (at < envelopes.size() && picked == Pick::kTake) {
        picked = pick(envelopes[at].meta, envelopes[at].size);
        if (picked == Pick::kTake) ++at;
      }
      if (begin < at) {
        Result<std::vector<Entry>> read = segment->read_payloads(task, *chunk, begin, at);
        if (cuts_ != cuts) return false;
        if (!read && read.error().code == Errc::kCorrupt) note_damage(*segment, index);
        if (!read && read.error().code == Errc::kCorrupt && !out.empty()) return true;
        const std::vector<Entry> entries = TRY(std::move(read));
        out.insert(out.end(), entries.begin(), entries.end());
        if (entries.size() < at - begin) return true;
      }
      stop = picked == Pick::kStop;
      if (picked == Pick::kSkip) ++at;
    }
    if (stop) return true;
    index = chunk->next_index;
  }
  return true;
}

Result<Slice> Log::read_tail_payload(Task& task, LogIndex index) {
  for (;;) {
    const Tail* t = tail_at(index);
    if (t == nullptr) return fail(Errc::kOutOfRange, "the entry was cut while it was read");
    if (t->in_memory || t->size == 0) return t->payload;
    const Tail seen = *t;
    CHECK(seen.at.segment != 0, "what is not written yet is in memory");
    if (index <= flushed_.last.index) {
      // Flushed meanwhile: its segment has it.
      const std::shared_ptr<Segment> segment = segment_of(index);
      if (!segment) return fail(Errc::kOutOfRange, "the entry fell off the log while it was read");
      const auto chunk = TRY(segment->read_directory(task, index));
      for (size_t i = 0; i < chunk->envelopes.size(); ++i) {
        if (chunk->envelopes[i].meta.index != index) continue;
        return TRY(segment->read_payloads(task, *chunk, i, i + 1)).front().payload;
      }
      return fail(Errc::kCorrupt, fmt::format("{} does not hold entry {}", segment->path(), index.value));
    }
    Result<Slice> read = store_.wal().read_payload(task, seen.at, key_, index, seen.sequence, seen.size, seen.crc);
    if (!read && read.error().code == Errc::kCorrupt) {
      // A write-ahead log that no longer reads: recovery sets it aside, and asks the others for the rest.
      store_.wal().fail_for_good(read.error());
      return read;
    }
    if (read || read.error().code != Errc::kNotFound) return read;
    // The write-ahead segment was let go during the read: the entry was copied forward, or flushed.
    t = tail_at(index);
    if (t != nullptr && t->at == seen.at && index > flushed_.last.index)
      return fail(Errc::kCorrupt, fmt::format("{}: entry {} is not where it was written: {}", key_.text(),
                                              index.value, read.error().message));
  }
}

Result<std::vector<Entry>> Log::read_entries(Task& task, LogIndex from, ByteCount max_bytes,
                                             size_t max_entries) {
  std::vector<Entry> out;
  for (;;) {
    if (from < first_index() || from > last_.index + 1)
      return fail(Errc::kOutOfRange, fmt::format("{} holds entries {} to {}, asked for {}", key_.text(),
                                                 first_index().value, last_.index.value, from.value));
    out.clear();
    ByteCount bytes = 0;
    size_t taken = 0;
    const bool whole = TRY(read_run(task, from, [&](const EntryMeta&, uint32_t size) {
      if (taken > 0 && (taken >= max_entries || bytes + size > max_bytes)) return Pick::kStop;
      ++taken;
      bytes += size;
      return Pick::kTake;
    }, out));
    if (whole) return out;
  }
}

LogIndex Log::find_index(Offset offset) const {
  // The tail first: consumers mostly read near the end.
  if (!tail_.empty() && tail_.front().meta.base_offset <= offset) {
    const auto found = std::partition_point(tail_.begin(), tail_.end(),
                                            [&](const Tail& t) { return t.meta.next_offset() <= offset; });
    return found == tail_.end() ? last_.index + 1 : found->meta.index;
  }
  for (const auto& patch : patches_) {
    if (offset < patch->base() || patch->next_offset() <= offset || patch->next() <= first_index()) continue;
    const auto chunk = std::partition_point(patch->chunks().begin(), patch->chunks().end(),
                                            [&](const ChunkRef& c) { return c.next_offset <= offset; });
    return chunk->first_index;
  }
  const auto segment = std::partition_point(segments_.begin(), segments_.end(),
                                            [&](const auto& s) { return s->next_offset() <= offset; });
  // Before what comes next, and behind what came before, lies a hole; reading there says so.
  if (segment == segments_.end()) return tail_.empty() ? last_.index + 1 : tail_.front().meta.index - 1;
  const auto& chunks = (*segment)->chunks();
  const auto chunk = std::partition_point(chunks.begin(), chunks.end(),
                                          [&](const ChunkRef& c) { return c.next_offset <= offset; });
  if (chunk == chunks.end()) return (*segment)->next() - 1;  // A hole at the segment's end.
  if (chunk->base_offset > offset) return chunk->first_index - 1;
  return chunk->first_index;
}

Result<std::vector<Slice>> Log::read_batches(Task& task, Offset from, Offset end, ByteCount max) {
  std::vector<Entry> entries;
  for (;;) {
    if (from < start_offset_ || from > next_offset_)
      return fail(Errc::kOutOfRange, fmt::format("{} holds offsets {} to {}, asked for {}", key_.text(),
                                                 start_offset_.value, next_offset_.value, from.value));
    entries.clear();
    ByteCount bytes = 0;
    const LogIndex begin = std::max(find_index(from), first_index());
    const bool whole = TRY(read_run(task, begin, [&](const EntryMeta& meta, uint32_t size) {
      if (meta.kind != EntryKind::kBatch || meta.next_offset() <= from)
        return meta.base_offset >= end ? Pick::kStop : Pick::kSkip;
      if (meta.base_offset >= end || meta.next_offset() > end) return Pick::kStop;
      if (bytes > 0 && bytes + size > max) return Pick::kStop;
      bytes += size;
      return Pick::kTake;
    }, entries));
    if (!whole) continue;
    std::vector<Slice> batches;
    batches.reserve(entries.size());
    for (Entry& entry : entries) batches.push_back(std::move(entry.payload));
    return batches;
  }
}

Result<std::optional<BatchByTime>> Log::find_batch_by_time(Task& task, int64_t timestamp_ms, Offset end) {
  for (;;) {
    // Chunks whose newest batch is older are passed by without reading them.
    std::optional<LogIndex> begin;
    const auto search = [&](const std::vector<std::shared_ptr<Segment>>& files) {
      for (const auto& segment : files) {
        if (segment->max_timestamp() < timestamp_ms || segment->next_offset() <= start_offset_) continue;
        for (const ChunkRef& chunk : segment->chunks()) {
          if (chunk.max_timestamp < timestamp_ms + (PLANT("S32") ? 1 : 0) || chunk.next_offset <= start_offset_) continue;
          begin = begin ? std::min(*begin, chunk.first_index) : chunk.first_index;
          return;
        }
      }
    };
    search(segments_);
    search(patches_);
    if (!begin)
      for (const Tail& t : tail_) {
        if (t.meta.kind != EntryKind::kBatch || t.meta.max_timestamp < timestamp_ms) continue;
        begin = t.meta.index;
        break;
      }
    if (!begin) return std::nullopt;
    std::vector<Entry> found;
    bool taken = false;
    const bool whole = TRY(read_run(task, std::max(*begin, first_index()), [&](const EntryMeta& meta, uint32_t) {
      if (taken || meta.base_offset >= end) return Pick::kStop;
      taken = meta.kind == EntryKind::kBatch && meta.max_timestamp >= timestamp_ms &&
              meta.next_offset() > start_offset_ && meta.next_offset() <= end;
      return taken ? Pick::kTake : Pick::kSkip;
    }, found));
    if (!whole) continue;
    if (found.empty()) return std::nullopt;
    return BatchByTime{found.front().meta, found.front().payload};
  }
}

// Each chunk is looked up anew: segments come and go meanwhile.
Result<Log::Scrubbed> Log::scrub(Task& task, LogIndex from, ByteCount bytes) {
  Scrubbed out{.next = std::max(from, first_index())};
  while (out.bytes < bytes) {
    std::shared_ptr<Segment> segment;
    ChunkRef chunk;
    const auto look_in = [&](const std::vector<std::shared_ptr<Segment>>& files) {
      for (const auto& file : files) {
        if (file->next() <= out.next) continue;
        auto at = std::partition_point(file->chunks().begin(), file->chunks().end(),
                                       [&](const ChunkRef& c) { return c.first_index < out.next; });
        const auto known_bad = [&](const ChunkRef& c) {
          return std::ranges::any_of(file->holes(), [&](const auto& hole) { return hole.first <= c.first_index && c.first_index < hole.second; });
        };
        while (at != file->chunks().end() && known_bad(*at)) ++at;
        if (at == file->chunks().end() || (segment && at->first_index >= chunk.first_index)) continue;
        segment = file;
        chunk = *at;
      }
    };
    look_in(segments_);
    look_in(patches_);
    if (!segment) {
      out.next = first_index();
      return out;
    }
    const Result<> good = segment->check_chunk(task, chunk.first_index);
    if (!good && good.error().code != Errc::kCorrupt) return std::unexpected(good.error());
    if (!good) {
      ++out.bad;
      if (!PLANT("S63")) note_damage(*segment, chunk.first_index);
    }
    out.bytes += uint64_t{chunk.header_bytes} + chunk.data_bytes;
    out.next = chunk.first_index + 1;
  }
  return out;
}

Result<EntryMeta> Log::read_meta(Task& task, LogIndex index) {
  for (;;) {
    if (index < first_index() || index > last_.index)
      return fail(Errc::kOutOfRange, fmt::format("{} holds entries {} to {}, asked for {}", key_.text(),
                                                 first_index().value, last_.index.value, index.value));
    std::optional<EntryMeta> found;
    std::vector<Entry> none;
    const bool whole = TRY(read_run(task, index, [&](const EntryMeta& meta, uint32_t) {
      if (meta.index == index) found = meta;
      return Pick::kStop;
    }, none));
    if (!whole) continue;
    if (!found) return fail(Errc::kNotFound, fmt::format("entry {} of {} was compacted away", index.value, key_.text()));
    return *found;
  }
}

}  // namespace taffrail
