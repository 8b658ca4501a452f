#include "storage/segment.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "storage/read_damaged.h"

namespace taffrail {

namespace {

constexpr uint32_t kChunkMagicBytes = 0x5446434b;
constexpr size_t kSearchWindow = 1u << 20;

// True if there was one: the directory has to be synced before anybody relies on the segment.
Result<bool> remove_index(Task& task, Disk& disk, const std::string& path) {
  const Result<> gone = disk.remove(task, path);
  if (!gone && gone.error().code != Errc::kNotFound) return std::unexpected(gone.error());
  return gone.has_value();
}

}  // namespace

Segment::Segment(Disk& disk, PartitionKey key, std::string directory, LogIndex first, bool patch)
    : disk_(disk), key_(key), directory_(std::move(directory)),
      path_(directory_ + "/" + file_name(first, patch)), first_(first), next_(first) {}

Segment::~Segment() = default;

std::string Segment::file_name(LogIndex first, bool patch) {
  return fmt::format("{:020}{}", first.value, patch ? ".patch" : ".log");
}

std::optional<LogIndex> Segment::parse_file_name(std::string_view name, bool patch) {
  if (name.size() < 24 || name.substr(20) != (patch ? ".patch" : ".log")) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 20, value);
  if (error != std::errc{} || end != name.data() + 20 || value < 0) return std::nullopt;
  return LogIndex(value);
}

Result<std::unique_ptr<Segment>> Segment::create(Task& task, Disk& disk, const PartitionKey& key,
                                                 std::string_view directory, LogIndex first, Offset base, bool patch) {
  auto segment = std::unique_ptr<Segment>(new Segment(disk, key, std::string(directory), first, patch));
  segment->base_ = segment->next_offset_ = base;
  // A file of that name is what a crash, or a full disk, left of an earlier attempt: nothing refers to it. Its index could
  // pass for this one's. A new segment is not relied on before its directory is synced.
  if (!PLANT("S74")) TRY(remove_index(task, disk, segment->index_path()));
  segment->file_ = TRY(disk.open(task, segment->path_, OpenMode::kOpenOrCreate));
  TRY(segment->file_->truncate(task, 0));
  const std::string header = encode_segment_header(key, first, base);
  if (const Result<> written = segment->file_->write_at(task, 0, as_bytes(header)); !written) {
    // The log may go on behind a start that has moved meanwhile, in a segment of another name: a start would find this one
    // among those that it relies on.
    segment->file_.reset();
    (void)disk.remove(task, segment->path_);
    return std::unexpected(written.error());
  }
  segment->end_ = kSegmentHeaderSize;
  return segment;
}

Result<std::unique_ptr<Segment>> Segment::open(Task& task, Disk& disk, const PartitionKey& key,
                                               std::string_view directory, LogIndex first, uint64_t end,
                                               std::vector<Damage>& damage, bool patch) {
  auto segment = std::unique_ptr<Segment>(new Segment(disk, key, std::string(directory), first, patch));
  segment->file_ = TRY(disk.open(task, segment->path_, OpenMode::kWrite));
  const Slice head = TRY(read_damaged(task, *segment->file_, 0, kSegmentHeaderSize));
  const SegmentHeader header = TRY(parse_segment_header(head.view(), segment->path_));
  if ((header.key != key || header.first != first) && !PLANT("S20"))
    return fail(Errc::kCorrupt, fmt::format("{} is a segment of {} from index {}", segment->path_,
                                            header.key.text(), header.first.value));
  segment->base_ = segment->next_offset_ = header.base;
  segment->name_synced_ = true;
  segment->old_ = header.is_old();

  const uint64_t size = TRY(segment->file_->size(task));
  if (end != 0 && size > end) {
    // Chunks that no checkpoint vouches for: their entries are still in the write-ahead log, and what
    // the page cache shows of them may not be on the disk.
    TRY(segment->file_->truncate(task, end));
  }
  const uint64_t wanted = end == 0 ? size : end;
  segment->end_ = kSegmentHeaderSize;
  // What is written behind `end` from now on may come to the same length as what an index speaks of that was written
  // before the start, in other chunks.
  if (!TRY(segment->load_index(task, wanted)) && end != 0 && !PLANT("S79"))
    segment->name_synced_ = !TRY(remove_index(task, disk, segment->index_path()));
  if (segment->end_ < wanted) TRY(segment->scan(task, wanted, damage));
  segment->end_ = segment->synced_end_ = wanted;
  return segment;
}

Result<> Segment::append(Task& task, std::span<const Entry> entries, std::span<const uint32_t> crcs, ByteView note) {
  EncodedChunk chunk = encode_chunk(key_, end_, entries, crcs, note);
  std::vector<ByteView> parts;
  parts.reserve(chunk.data.size() + 1);
  parts.push_back(as_bytes(chunk.header));
  for (const Slice& batch : chunk.data)
    if (!batch.empty()) parts.push_back(batch.view());
  const Result<> written = file_->write_at(task, end_, parts);
  if (!written && !(PLANT("S18") && written.error().code == Errc::kNoSpace)) return written;
  end_ += chunk.ref.header_bytes + chunk.ref.data_bytes;

  ChunkDirectory directory = TRY(parse_chunk(key_, chunk.ref.position, Slice(std::string_view(chunk.header))));
  note_chunk(chunk.ref, directory);
  return {};
}

void Segment::note_chunk(const ChunkRef& ref, const ChunkDirectory& chunk) {
  chunks_.push_back(ref);
  next_ = ref.next_index;
  next_offset_ = ref.next_offset;
  max_timestamp_ = std::max(max_timestamp_, ref.max_timestamp);
  for (const Envelope& e : chunk.envelopes) {
    payload_bytes_ += e.size;
    if (terms_.empty() || terms_.back().term != e.meta.term)
      terms_.push_back({e.meta.index, e.meta.term, e.meta.base_offset});
    if (e.meta.kind == EntryKind::kConfig)
      configs_.push_back({e.meta, chunk.header.sub(e.position - chunk.position, e.size)});
  }
}

Result<> Segment::sync(Task& task) {
  const uint64_t end = end_;
  TRY(file_->sync(task));
  if (!name_synced_) TRY(disk_.sync_directory(task, directory_));
  name_synced_ = true;
  synced_end_ = end;
  return {};
}

// --- Scanning: without an index, chunk by chunk. ---

namespace {

// `end` is at most the file's.
Result<ChunkDirectory> read_chunk_at(Task& task, File& file, const PartitionKey& key, uint64_t position, uint64_t end) {
  // One look is enough for most headers.
  constexpr uint64_t kLook = 4096;
  const Slice look = TRY(read_damaged(task, file, position, std::min(kLook, end - position)));
  const uint32_t size = TRY(chunk_header_bytes(key, position, look.view()));
  // Allocation follows what is there, not what a header claims.
  if (size > end - position) return fail(Errc::kCorrupt, "the file ends inside a chunk's header");
  const Slice whole = size <= look.size() ? Slice(look.view().first(size)) : TRY(read_damaged(task, file, position, size));
  return parse_chunk(key, position, whole);
}

// The length of a bad chunk cannot be believed: what comes behind it is found by looking.
Result<uint64_t> find_chunk(Task& task, File& file, const PartitionKey& key, LogIndex least, uint64_t from,
                            uint64_t end) {
  for (uint64_t window = from; window < end; window += kSearchWindow) {
    // Three bytes more, for a magic number that lies across two windows.
    const size_t size = std::min<uint64_t>(kSearchWindow + 3, end - window);
    const Slice bytes = TRY(read_damaged(task, file, window, size));
    for (size_t i = 0; i + 4 <= bytes.size() && i < kSearchWindow; ++i) {
      if (ByteReader(bytes.view().subspan(i, 4)).u32() != kChunkMagicBytes) continue;
      const Result<ChunkDirectory> chunk = read_chunk_at(task, file, key, window + i, end);
      if (chunk && chunk->end <= end && chunk->first_index >= least) return window + i;
      if (!chunk && chunk.error().code != Errc::kCorrupt) return std::unexpected(chunk.error());
    }
  }
  return end;
}

}  // namespace

Result<SegmentScan> scan_segment(Task& task, File& file, const PartitionKey& key, uint64_t end, uint64_t from) {
  SegmentScan scan;
  LogIndex least;
  end = std::min(end, TRY(file.size(task)));
  for (uint64_t at = from; at < end;) {
    Result<ChunkDirectory> chunk = read_chunk_at(task, file, key, at, end);
    if (!chunk && chunk.error().code != Errc::kCorrupt) return std::unexpected(chunk.error());
    if (chunk && chunk->end > end) chunk = fail(Errc::kCorrupt, "the file ends inside a chunk");
    if (chunk && chunk->first_index < least) chunk = fail(Errc::kCorrupt, "a chunk repeats entries before it");
    if (chunk) {
      at = chunk->end;
      least = chunk->next_index;
      scan.chunks.push_back(*std::move(chunk));
      continue;
    }
    const uint64_t next = TRY(find_chunk(task, file, key, least, at + 1, end));
    scan.damage.push_back({.file = {}, .position = at, .size_bytes = next - at, .log = key,
                           .what = chunk.error().message});
    at = next;
  }
  return scan;
}

Result<> Segment::scan(Task& task, uint64_t end, std::vector<Damage>& damage) {
  Result<SegmentScan> scanned = scan_segment(task, *file_, key_, end, end_);
  if (!scanned) return fail(scanned.error(), path_);
  for (const ChunkDirectory& chunk : scanned->chunks) {
    if (chunk.first_index < next_) continue;
    if (chunk.first_index > next_) holes_.emplace_back(next_, chunk.first_index);
    ChunkRef ref{.first_index = chunk.first_index, .next_index = chunk.next_index,
                 .base_offset = chunk.base_offset, .next_offset = chunk.next_offset,
                 .position = chunk.position, .header_bytes = static_cast<uint32_t>(chunk.header.size()),
                 .data_bytes = static_cast<uint32_t>(chunk.end - chunk.data_position), .max_timestamp = -1};
    for (const Envelope& e : chunk.envelopes)
      if (e.meta.kind == EntryKind::kBatch) ref.max_timestamp = std::max(ref.max_timestamp, e.meta.max_timestamp);
    note_chunk(ref, chunk);
  }
  for (Damage& d : scanned->damage) {
    d.file = path_;
    damage.push_back(std::move(d));
  }
  const uint64_t size = TRY(file_->size(task));
  if (size < end)
    damage.push_back({.file = path_, .position = size, .size_bytes = end - size, .log = key_,
                      .what = "the file is shorter than what was synced"});
  return {};
}

void Segment::add_hole_to(LogIndex next, Offset next_offset) {
  if (next <= next_) return;
  holes_.emplace_back(next_, next);
  next_ = next;
  next_offset_ = std::max(next_offset_, next_offset);
}

bool Segment::add_hole_at(LogIndex index) {
  const auto within = [index](const auto& hole) { return hole.first <= index && index < hole.second; };
  if (std::any_of(holes_.begin(), holes_.end(), within)) return false;
  const auto after = std::upper_bound(chunks_.begin(), chunks_.end(), index,
                                      [](LogIndex i, const ChunkRef& ref) { return i < ref.first_index; });
  if (after == chunks_.begin() || index >= std::prev(after)->next_index) return false;
  holes_.emplace_back(std::prev(after)->first_index, std::prev(after)->next_index);
  std::sort(holes_.begin(), holes_.end());
  last_directory_.reset();
  return true;
}

Result<std::shared_ptr<const ChunkDirectory>> Segment::read_directory(Task& task, LogIndex index) {
  const auto after = std::upper_bound(chunks_.begin(), chunks_.end(), index,
                                      [](LogIndex i, const ChunkRef& ref) { return i < ref.first_index; });
  if (after == chunks_.begin() || index >= std::prev(after)->next_index)
    return fail(Errc::kCorrupt, fmt::format("{}: entry {} of {} lies in a hole", path_, index.value, key_.text()));
  const ChunkRef ref = *std::prev(after);
  if (last_directory_ && last_directory_->position == ref.position) return last_directory_;
  const Slice header = TRY(read_damaged(task, *file_, ref.position, ref.header_bytes));
  Result<ChunkDirectory> chunk = parse_chunk(key_, ref.position, header);
  if (chunk && (chunk->first_index != ref.first_index || chunk->next_index != ref.next_index))
    chunk = fail(Errc::kCorrupt, "a chunk of other entries");
  if (!chunk) return fail(chunk.error(), fmt::format("{} at {}", path_, ref.position));
  last_directory_ = std::make_shared<const ChunkDirectory>(*std::move(chunk));
  return last_directory_;
}

Result<Slice> Segment::read_note(Task& task) {
  // A few small chunks may have gone without.
  constexpr size_t kLooks = 8;
  for (size_t i = 0; i < std::min(chunks_.size(), kLooks); ++i) {
    const auto chunk = read_directory(task, chunks_[chunks_.size() - 1 - i].first_index);
    if (!chunk && chunk.error().code != Errc::kCorrupt) return std::unexpected(chunk.error());
    if (chunk && !(*chunk)->note.empty()) return Slice((*chunk)->note.view());
  }
  return Slice();
}

Result<std::vector<Entry>> Segment::read_payloads(Task& task, const ChunkDirectory& chunk, size_t from,
                                                  size_t to) {
  const std::span<const Envelope> wanted = std::span(chunk.envelopes).subspan(from, to - from);
  uint64_t begin = UINT64_MAX;
  uint64_t end = 0;
  for (const Envelope& e : wanted) {
    if (e.meta.kind != EntryKind::kBatch) continue;
    begin = std::min(begin, e.position);
    end = std::max(end, e.position + e.size);
  }
  Slice data;
  // The file object outlives this read even if the segment is removed meanwhile.
  const std::shared_ptr<File> file = file_;
  const std::string path = path_;
  const uint64_t base = chunk.position;
  if (begin < end) data = TRY(read_damaged(task, *file, begin, end - begin));
  std::vector<Entry> entries;
  entries.reserve(wanted.size());
  // What stands before a bad entry is served; whoever comes back for the bad one hears of it.
  const auto bad = [&](const Envelope& e, std::string_view what) -> Result<std::vector<Entry>> {
    if (!entries.empty()) return std::move(entries);
    return fail(Errc::kCorrupt, fmt::format("{} at {}: {} entry {}", path, e.position, what, e.meta.index.value));
  };
  for (const Envelope& e : wanted) {
    Slice payload;
    if (e.meta.kind != EntryKind::kBatch) {
      payload = chunk.header.sub(e.position - base, e.size);
    } else if (e.position - begin + e.size <= data.size()) {
      payload = data.sub(e.position - begin, e.size);
    } else {
      return bad(e, "the file ends inside");
    }
    if (crc32c(payload.view()) != e.crc) return bad(e, "the checksum does not match of");
    entries.push_back({e.meta, std::move(payload)});
  }
  return entries;
}

Result<std::vector<Damage>> Segment::scrub(Task& task) {
  std::vector<Damage> damage;
  const std::vector<ChunkRef> chunks = chunks_;
  for (const ChunkRef& ref : chunks) {
    const Result<> good = check_chunk(task, ref.first_index);
    if (good) continue;
    if (good.error().code == Errc::kCancelled) return std::unexpected(good.error());
    damage.push_back({.file = path_, .position = ref.position,
                      .size_bytes = uint64_t{ref.header_bytes} + ref.data_bytes, .log = key_, .what = good.error().message});
  }
  return damage;
}

Result<> Segment::check_chunk(Task& task, LogIndex first) {
  last_directory_.reset();  // From the disk, not from memory.
  const auto chunk = TRY(read_directory(task, first));
  for (size_t at = 0; at < chunk->envelopes.size();)
    at += TRY(read_payloads(task, *chunk, at, chunk->envelopes.size())).size();
  return {};
}

Result<> Segment::remove(Task& task) {
  const Result<> removed = disk_.remove(task, path_);
  if (!removed && removed.error().code != Errc::kNotFound) return removed;
  const Result<> index = disk_.remove(task, index_path());
  if (!index && index.error().code != Errc::kNotFound) return index;
  return {};
}

}  // namespace taffrail
