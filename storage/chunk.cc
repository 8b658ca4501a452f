// Chunks and segment headers, to and from bytes. Pure; the tables are in docs/formats.md, "Segments".
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/key_bytes.h"
#include "base/plant.h"
#include "storage/segment.h"

namespace taffrail {

namespace {

constexpr uint32_t kSegmentMagic = 0x54465347;  // "TFSG"
constexpr uint32_t kChunkMagic = 0x5446434b;    // "TFCK"
constexpr uint16_t kVersion = 2;  // 1 had no notes.
constexpr uint32_t kHeaderBytesMax = 1u << 30;

struct Fixed {
  uint32_t entry_count = 0;
  PartitionKey key;
  uint64_t position = 0;
  LogIndex first_index;
  uint32_t side_bytes = 0;
  uint16_t note_bytes = 0;
  uint32_t data_bytes = 0;
  Offset base_offset;
  Offset next_offset;
  uint32_t index_span = 0;
  uint32_t crc = 0;
};

Result<Fixed> parse_fixed(const PartitionKey& key, uint64_t position, ByteView bytes) {
  ByteReader in(bytes);
  if (in.u32() != kChunkMagic) return fail(Errc::kCorrupt, "there is no chunk here");
  const uint16_t version = in.u16();
  Fixed fixed;
  fixed.note_bytes = in.u16();
  fixed.entry_count = in.u32();
  fixed.key.partition = in.i32();
  fixed.key.topic.high = in.u64();
  fixed.key.topic.low = in.u64();
  fixed.position = in.u64();
  fixed.first_index = LogIndex(in.i64());
  fixed.side_bytes = in.u32();
  fixed.data_bytes = in.u32();
  fixed.base_offset = Offset(in.i64());
  fixed.next_offset = Offset(in.i64());
  fixed.index_span = in.u32();
  fixed.crc = in.u32();
  if (!in.ok()) return fail(Errc::kCorrupt, "the file ends inside a chunk's header");
  // No file has chunks of a later format than its own: here it is a byte that has changed.
  if (version == 0 || version > kVersion)
    return fail(PLANT("S78") ? Errc::kUnsupported : Errc::kCorrupt, fmt::format("a chunk of format {} in a file of {}", version, kVersion));
  // A chunk of another log, or of another place in this one, is a write that went astray.
  if ((fixed.key != key || fixed.position != position) && !PLANT("S20"))
    return fail(Errc::kCorrupt, fmt::format("a chunk of {} for position {}", fixed.key.text(), fixed.position));
  if (fixed.entry_count == 0 || fixed.entry_count > kChunkEntriesMax ||
      fixed.index_span < fixed.entry_count || fixed.first_index.value < 0 ||
      fixed.first_index.value > INT64_MAX / 2 || fixed.base_offset.value < 0 ||
      fixed.next_offset < fixed.base_offset || fixed.next_offset.value > INT64_MAX / 2 ||
      fixed.note_bytes > fixed.side_bytes ||
      uint64_t{fixed.entry_count} * kEnvelopeSize + fixed.side_bytes > kHeaderBytesMax)
    return fail(Errc::kCorrupt, "a chunk's header makes no sense");
  return fixed;
}

}  // namespace

EncodedChunk encode_chunk(const PartitionKey& key, uint64_t position, std::span<const Entry> entries,
                          std::span<const uint32_t> crcs, ByteView note) {
  CHECK(!entries.empty() && entries.size() == crcs.size() && entries.size() <= kChunkEntriesMax);
  CHECK(note.size() <= kNoteBytesMax);
  EncodedChunk chunk;
  ByteWriter envelopes;
  ByteWriter side;
  ChunkRef& ref = chunk.ref;
  for (size_t i = 0; i < entries.size(); ++i) {
    const EntryMeta& meta = entries[i].meta;
    envelopes.i64(meta.index.value);
    envelopes.i64(meta.term.value);
    envelopes.i64(meta.base_offset.value);
    envelopes.i32(meta.offset_count);
    envelopes.u32(static_cast<uint32_t>(entries[i].payload.size()));
    envelopes.i64(meta.max_timestamp);
    envelopes.u32(crcs[i]);
    envelopes.u8(static_cast<uint8_t>(meta.kind));
    envelopes.u8(0);
    envelopes.u16(0);
    if (meta.kind == EntryKind::kBatch) {
      chunk.data.push_back(entries[i].payload);
      ref.data_bytes += static_cast<uint32_t>(entries[i].payload.size());
      ref.max_timestamp = std::max(ref.max_timestamp, meta.max_timestamp);
    } else {
      side.bytes(entries[i].payload.view());
    }
  }
  side.bytes(note);
  static_assert(kEnvelopeSize == 3 * 8 + 2 * 4 + 8 + 4 + 4);
  const EntryMeta& front = entries.front().meta;
  const EntryMeta& back = entries.back().meta;
  ref.first_index = front.index;
  ref.next_index = back.index + 1;
  ref.base_offset = front.base_offset;
  ref.next_offset = back.next_offset();
  ref.position = position;

  ByteWriter out;
  out.u32(kChunkMagic);
  out.u16(kVersion);
  out.u16(static_cast<uint16_t>(note.size()));
  out.u32(static_cast<uint32_t>(entries.size()));
  out.i32(key.partition);
  out.u64(key.topic.high);
  out.u64(key.topic.low);
  out.u64(position);
  out.i64(front.index.value);
  out.u32(static_cast<uint32_t>(side.size()));
  out.u32(ref.data_bytes);
  out.i64(ref.base_offset.value);
  out.i64(ref.next_offset.value);
  out.u32(static_cast<uint32_t>(ref.next_index - ref.first_index));
  const uint32_t crc = crc32c(side.view(), crc32c(envelopes.view(), crc32c(out.view())));
  out.u32(crc);
  CHECK(out.size() == kChunkHeaderSize);
  out.bytes(envelopes.view());
  out.bytes(side.view());
  chunk.header = out.take();
  ref.header_bytes = static_cast<uint32_t>(chunk.header.size());
  return chunk;
}

Result<uint32_t> chunk_header_bytes(const PartitionKey& key, uint64_t position, ByteView bytes) {
  const Fixed fixed = TRY(parse_fixed(key, position, bytes));
  return static_cast<uint32_t>(kChunkHeaderSize + fixed.entry_count * kEnvelopeSize + fixed.side_bytes);
}

Result<ChunkDirectory> parse_chunk(const PartitionKey& key, uint64_t position, Slice header) {
  const Fixed fixed = TRY(parse_fixed(key, position, header.view()));
  const size_t size = kChunkHeaderSize + fixed.entry_count * kEnvelopeSize + fixed.side_bytes;
  if (header.size() != size) return fail(Errc::kCorrupt, "the file ends inside a chunk's header");
  const ByteView rest = header.view().subspan(kChunkHeaderSize);
  if (crc32c(rest, crc32c(header.view().first(kChunkHeaderSize - 4))) != fixed.crc)
    return fail(Errc::kCorrupt, "the checksum of a chunk's header does not match");

  ChunkDirectory chunk;
  chunk.position = position;
  chunk.data_position = position + size;
  chunk.end = chunk.data_position + fixed.data_bytes;
  chunk.first_index = fixed.first_index;
  chunk.next_index = fixed.first_index + fixed.index_span;
  chunk.base_offset = fixed.base_offset;
  chunk.next_offset = fixed.next_offset;
  chunk.envelopes.reserve(fixed.entry_count);
  ByteReader in(rest);
  uint64_t side = position + kChunkHeaderSize + fixed.entry_count * kEnvelopeSize;
  uint64_t data = chunk.data_position;
  for (uint32_t i = 0; i < fixed.entry_count; ++i) {
    Envelope e;
    e.meta.index = LogIndex(in.i64());
    e.meta.term = Term(in.i64());
    e.meta.base_offset = Offset(in.i64());
    e.meta.offset_count = in.i32();
    e.size = in.u32();
    e.meta.max_timestamp = in.i64();
    e.crc = in.u32();
    const uint8_t kind = in.u8();
    in.u8();
    in.u16();
    if (kind < 1 || kind > static_cast<uint8_t>(EntryKind::kCommand))
      return fail(Errc::kCorrupt, "an entry of an unknown kind");
    e.meta.kind = static_cast<EntryKind>(kind);
    uint64_t& at = e.meta.kind == EntryKind::kBatch ? data : side;
    e.position = at;
    at += e.size;
    const LogIndex lowest = i == 0 ? fixed.first_index : chunk.envelopes.back().meta.index + 1;
    if (e.meta.index < lowest || e.meta.index >= chunk.next_index || e.meta.offset_count < 0)
      return fail(Errc::kCorrupt, "a chunk's entries are out of order");
    chunk.envelopes.push_back(e);
  }
  if (side + fixed.note_bytes != chunk.data_position || data != chunk.end)
    return fail(Errc::kCorrupt, "a chunk's entries and its size do not fit together");
  chunk.note = header.sub(header.size() - fixed.note_bytes, fixed.note_bytes);
  chunk.header = std::move(header);
  return chunk;
}

bool SegmentHeader::is_old() const { return version < kVersion; }

std::string encode_segment_header(const PartitionKey& key, LogIndex first, Offset base) {
  ByteWriter out;
  out.u32(kSegmentMagic);
  out.u16(kVersion);
  out.u16(0);
  write_key(out, key);
  out.u32(0);
  out.i64(first.value);
  out.i64(base.value);
  out.u64(0);
  out.u32(0);
  out.u32(crc32c(out.view()));
  CHECK(out.size() == kSegmentHeaderSize);
  return out.take();
}

Result<SegmentHeader> parse_segment_header(ByteView bytes, std::string_view file) {
  ByteReader in(bytes);
  if (in.u32() != kSegmentMagic) return fail(Errc::kCorrupt, fmt::format("{} is not a segment", file));
  SegmentHeader header;
  header.version = in.u16();
  in.u16();
  header.key = read_key(in);
  in.u32();
  header.first = LogIndex(in.i64());
  header.base = Offset(in.i64());
  in.u64();
  in.u32();
  const uint32_t crc = in.u32();
  if (!in.ok() || crc != crc32c(bytes.first(kSegmentHeaderSize - 4)))
    return fail(Errc::kCorrupt, fmt::format("{}: the checksum of its header does not match", file));
  if (header.version == 0 || header.version > kVersion)
    return fail(Errc::kUnsupported,
                fmt::format("{} has format {}, this program reads up to {}: start the version that wrote "
                            "it, or a newer one", file, header.version, kVersion));
  return header;
}

}  // namespace taffrail
