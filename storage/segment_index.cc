// The index beside a segment: derived, and believed only if it accounts for every byte up to where it ends.
#include <algorithm>

#include "base/crc32c.h"
#include "base/key_bytes.h"
#include "storage/segment.h"

namespace taffrail {

namespace {

constexpr uint32_t kIndexMagic = 0x54464958;  // "TFIX"
constexpr uint16_t kVersion = 1;
constexpr ByteCount kIndexSizeMax = 1u << 30;

}  // namespace

std::string Segment::index_path() const {
  return path_.ends_with(".log") ? path_.substr(0, path_.size() - 4) + ".idx" : path_ + ".idx";
}

Result<> Segment::write_index(Task& task, bool durably) {
  // A hole is for the next start to find again: an index over it would hide it.
  if (!holes_.empty()) return {};
  ByteWriter out;
  out.u32(kIndexMagic);
  out.u16(kVersion);
  out.u16(0);
  write_key(out, key_);
  out.i64(first_.value);
  out.u64(end_);
  out.u64(payload_bytes_);
  out.u32(static_cast<uint32_t>(chunks_.size()));
  out.u32(static_cast<uint32_t>(terms_.size()));
  out.u32(static_cast<uint32_t>(configs_.size()));
  for (const ChunkRef& ref : chunks_) {
    out.i64(ref.first_index.value);
    out.i64(ref.next_index.value);
    out.i64(ref.base_offset.value);
    out.i64(ref.next_offset.value);
    out.u64(ref.position);
    out.u32(ref.header_bytes);
    out.u32(ref.data_bytes);
    out.i64(ref.max_timestamp);
  }
  for (const TermStart& run : terms_) {
    out.i64(run.first.value);
    out.i64(run.term.value);
    out.i64(run.start.value);
  }
  for (const Entry& config : configs_) {
    out.i64(config.meta.index.value);
    out.i64(config.meta.term.value);
    out.i64(config.meta.base_offset.value);
    out.sized(config.payload.view());
  }
  out.u32(crc32c(out.view()));
  indexed_ = chunks_.size();
  if (durably) return replace_file(task, disk_, index_path(), out.view());
  const std::string temporary = index_path() + ".new";
  const auto file = TRY(disk_.open(task, temporary, OpenMode::kOpenOrCreate));
  TRY(file->truncate(task, 0));
  TRY(file->write_at(task, 0, out.view()));
  return disk_.rename(task, temporary, index_path());
}

Result<> Segment::note_index(Task& task) {
  constexpr size_t kChunksMin = 16;
  if (synced_end_ != end_ || chunks_.size() < indexed_ + std::max(kChunksMin, indexed_ / 4)) return {};
  const Result<> written = write_index(task, /*durably=*/false);
  if (written || written.error().code != Errc::kNoSpace) return written;
  // Nobody needs it.
  (void)disk_.remove(task, index_path() + ".new");
  return {};
}

Result<bool> Segment::load_index(Task& task, uint64_t end) {
  const Result<std::string> read = read_file(task, disk_, index_path(), kIndexSizeMax);
  if (!read) {
    if (read.error().code == Errc::kCancelled) return std::unexpected(read.error());
    return false;  // Missing or unreadable: the chunks say the same.
  }
  const ByteView bytes = as_bytes(*read);
  if (bytes.size() < 4) return false;
  ByteReader in(bytes.first(bytes.size() - 4));
  if (ByteReader(bytes.last(4)).u32() != crc32c(bytes.first(bytes.size() - 4))) return false;
  if (in.u32() != kIndexMagic || in.u16() != kVersion) return false;
  in.u16();
  const PartitionKey key = read_key(in);
  const LogIndex first(in.i64());
  const uint64_t covered = in.u64();
  // Chunks that a start cut away may be in one that reaches further.
  if (key != key_ || first != first_ || covered > end) return false;
  const uint64_t payload_bytes = in.u64();
  const uint32_t chunk_count = in.u32();
  const uint32_t term_count = in.u32();
  const uint32_t config_count = in.u32();
  // Bounded by what is there before anything is allocated.
  if (chunk_count > in.left() / 56 || term_count > in.left() / 24 || config_count > in.left() / 28) return false;

  std::vector<ChunkRef> chunks;
  chunks.reserve(chunk_count);
  uint64_t at = kSegmentHeaderSize;
  for (uint32_t i = 0; i < chunk_count; ++i) {
    ChunkRef ref;
    ref.first_index = LogIndex(in.i64());
    ref.next_index = LogIndex(in.i64());
    ref.base_offset = Offset(in.i64());
    ref.next_offset = Offset(in.i64());
    ref.position = in.u64();
    ref.header_bytes = in.u32();
    ref.data_bytes = in.u32();
    ref.max_timestamp = in.i64();
    // It must account for every byte of the segment, in order.
    if (ref.position != at || ref.header_bytes < kChunkHeaderSize || ref.next_index <= ref.first_index ||
        ref.first_index < (chunks.empty() ? first_ : chunks.back().next_index) ||
        ref.next_offset < ref.base_offset)
      return false;
    at += uint64_t{ref.header_bytes} + ref.data_bytes;
    chunks.push_back(ref);
  }
  if (at != covered) return false;
  std::vector<TermStart> terms;
  terms.reserve(term_count);
  for (uint32_t i = 0; i < term_count; ++i) {
    TermStart run;
    run.first = LogIndex(in.i64());
    run.term = Term(in.i64());
    run.start = Offset(in.i64());
    terms.push_back(run);
  }
  std::vector<Entry> configs;
  configs.reserve(config_count);
  for (uint32_t i = 0; i < config_count; ++i) {
    Entry config;
    config.meta.index = LogIndex(in.i64());
    config.meta.term = Term(in.i64());
    config.meta.kind = EntryKind::kConfig;
    config.meta.base_offset = Offset(in.i64());
    config.payload = Slice(in.sized());
    configs.push_back(std::move(config));
  }
  if (!in.done()) return false;

  chunks_ = std::move(chunks);
  terms_ = std::move(terms);
  configs_ = std::move(configs);
  payload_bytes_ = payload_bytes;
  end_ = covered;
  indexed_ = chunks_.size();
  for (const ChunkRef& ref : chunks_) {
    next_ = ref.next_index;
    next_offset_ = ref.next_offset;
    max_timestamp_ = std::max(max_timestamp_, ref.max_timestamp);
  }
  return true;
}

}  // namespace taffrail
