#include "storage/wal_format.h"

#include <fmt/core.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/key_bytes.h"
#include "base/plant.h"

namespace taffrail {

namespace {

constexpr uint32_t kSegmentMagic = 0x54465753;  // "TFWS"
constexpr uint32_t kGroupMagic = 0x54465747;    // "TFWG"
constexpr uint16_t kStateVersion = 3;
constexpr uint16_t kStateVersionWithoutJoined = 1;

// The owner is part of every checksum without taking space in every frame.
uint32_t identity_crc(const WalOwner& owner) {
  const DiskId& disk = owner.disk;
  // No buffer of its own: this runs once for every frame.
  uint8_t id[18];
  for (size_t i = 0; i < 8; ++i) {
    id[i] = static_cast<uint8_t>(disk.high >> (56 - 8 * i));
    id[8 + i] = static_cast<uint8_t>(disk.low >> (56 - 8 * i));
  }
  id[16] = static_cast<uint8_t>(owner.shard >> 8);
  id[17] = static_cast<uint8_t>(owner.shard);
  return crc32c(ByteView(id, owner.shard == 0 || PLANT("S80") ? 16 : 18));
}

void write_id(ByteWriter& out, const EntryId& id) {
  out.i64(id.index.value);
  out.i64(id.term.value);
}

EntryId read_id(ByteReader& in) {
  EntryId id;
  id.index = LogIndex(in.i64());
  id.term = Term(in.i64());
  return id;
}

void write_hard_state(ByteWriter& out, const LogHardState& state) {
  out.i64(state.term.value);
  out.u8(state.vote.has_value());
  const ReplicaId vote = state.vote.value_or(ReplicaId{});
  out.i32(vote.node.value);
  out.u64(vote.disk.high);
  out.u64(vote.disk.low);
}

LogHardState read_hard_state(ByteReader& in) {
  LogHardState state;
  state.term = Term(in.i64());
  const bool voted = in.u8() != 0;
  ReplicaId vote;
  vote.node = BrokerId(in.i32());
  vote.disk.high = in.u64();
  vote.disk.low = in.u64();
  if (voted) state.vote = vote;
  return state;
}

}  // namespace

std::string encode_wal_segment_header(const WalSegmentHeader& header) {
  ByteWriter out;
  out.u32(kSegmentMagic);
  out.u16(header.owner.shard == 0 ? kWalVersion : kWalVersionOfShards);
  out.u16(static_cast<uint16_t>(header.owner.shard));
  out.u64(header.number);
  out.u64(header.owner.disk.high);
  out.u64(header.owner.disk.low);
  out.u64(header.capacity);
  out.u32(crc32c(out.view()));
  std::string block = out.take();
  block.resize(kWalBlock, '\0');
  return block;
}

Result<WalSegmentHeader> parse_wal_segment_header(ByteView block, std::string_view file) {
  ByteReader in(block);
  if (in.u32() != kSegmentMagic)
    return fail(Errc::kCorrupt, fmt::format("{} is not a segment of a write-ahead log", file));
  const uint16_t version = in.u16();
  WalSegmentHeader header;
  header.owner.shard = in.u16();
  header.number = in.u64();
  header.owner.disk.high = in.u64();
  header.owner.disk.low = in.u64();
  header.capacity = in.u64();
  const uint32_t crc = in.u32();
  if (!in.ok() || crc != crc32c(block.first(40)))
    return fail(Errc::kCorrupt, fmt::format("{}: the checksum of its header does not match", file));
  if (version != kWalVersion && version != kWalVersionOfShards)
    return fail(Errc::kUnsupported,
                fmt::format("{} has format {}, this program reads up to {}: start the version that "
                            "wrote it, or a newer one", file, version, kWalVersionOfShards));
  return header;
}

std::string encode_wal_group_header(const WalOwner& owner, const WalGroupHeader& header) {
  ByteWriter out;
  out.u32(kGroupMagic);
  out.u16(kWalVersion);
  out.u16(0);
  out.u64(header.segment);
  out.u64(header.position);
  out.u64(header.first.value);
  out.u64(header.next.value);
  out.u64(header.durable.value);
  out.u64(header.floor.value);
  out.u32(header.frame_count);
  out.u32(header.log_count);
  out.u64(header.frames_size);
  out.u32(header.list_crc);
  out.u64(header.followed_by);
  out.u32(crc32c(out.view(), identity_crc(owner)));
  static_assert(kWalGroupHeaderSize == 8 + 6 * 8 + 2 * 4 + 8 + 4 + 8 + 4);
  CHECK(out.size() == kWalGroupHeaderSize);
  return out.take();
}

namespace {

std::optional<WalGroupHeader> parse_group(const WalOwner& owner, ByteView bytes) {
  if (bytes.size() < kWalGroupHeaderSize) return std::nullopt;
  ByteReader in(bytes.first(kWalGroupHeaderSize));
  if (in.u32() != kGroupMagic || in.u16() != kWalVersion) return std::nullopt;
  in.u16();
  WalGroupHeader header;
  header.segment = in.u64();
  header.position = in.u64();
  header.first = WalSequence(in.u64());
  header.next = WalSequence(in.u64());
  header.durable = WalSequence(in.u64());
  header.floor = WalSequence(in.u64());
  header.frame_count = in.u32();
  header.log_count = in.u32();
  header.frames_size = in.u64();
  header.list_crc = in.u32();
  header.followed_by = in.u64();
  if (in.u32() != crc32c(bytes.first(kWalGroupHeaderSize - 4), identity_crc(owner))) return std::nullopt;
  return header;
}

}  // namespace

std::optional<WalGroupHeader> parse_wal_group_header(const WalOwner& owner, uint64_t segment,
                                                     uint64_t position, ByteView bytes) {
  const auto header = parse_group(owner, bytes);
  if (!header || ((header->segment != segment || header->position != position) && !PLANT("S20"))) return std::nullopt;
  // One sequence for each frame.
  if (header->next.value - header->first.value != header->frame_count) return std::nullopt;
  return header;
}

bool is_older_wal_group(const WalOwner& owner, uint64_t segment, uint64_t position, ByteView bytes) {
  const auto header = parse_group(owner, bytes);
  return header && header->segment < segment && header->position == position;
}

std::string encode_wal_logs(const std::vector<PartitionKey>& logs) {
  ByteWriter out;
  out.reserve(logs.size() * kWalLogSize);
  for (const PartitionKey& key : logs) write_key(out, key);
  return out.take();
}

std::optional<std::vector<PartitionKey>> parse_wal_logs(const WalGroupHeader& header, ByteView bytes) {
  const uint64_t size = header.log_count * kWalLogSize;
  if (bytes.size() < size || crc32c(bytes.first(size)) != header.list_crc) return std::nullopt;
  ByteReader in(bytes.first(size));
  std::vector<PartitionKey> logs;
  logs.reserve(header.log_count);
  for (uint32_t i = 0; i < header.log_count; ++i) logs.push_back(read_key(in));
  return logs;
}

void encode_wal_frame_header(ByteWriter& out, const WalOwner& owner, uint64_t segment, const WalFrame& frame) {
  const size_t begin = out.size();
  out.u32(static_cast<uint32_t>(frame.payload.size()));
  out.u32(frame.payload_crc);
  out.u8(static_cast<uint8_t>(frame.kind));
  out.u8(static_cast<uint8_t>(frame.meta.kind));
  out.u16(0);
  out.i32(frame.key.partition);
  out.u64(frame.key.topic.high);
  out.u64(frame.key.topic.low);
  out.u64(frame.sequence.value);
  out.u64(frame.original.value);
  out.u64(segment);
  out.i64(frame.meta.index.value);
  out.i64(frame.meta.term.value);
  out.i64(frame.meta.base_offset.value);
  out.i32(frame.meta.offset_count);
  out.u32(0);
  out.i64(frame.meta.max_timestamp);
  out.u32(0);
  out.u32(crc32c(out.view().subspan(begin), identity_crc(owner)));
  CHECK(out.size() - begin == kWalFrameHeaderSize);
}

std::optional<WalFrameHeader> parse_wal_frame_header(const WalOwner& owner, uint64_t segment, ByteView bytes) {
  if (bytes.size() < kWalFrameHeaderSize) return std::nullopt;
  ByteReader in(bytes.first(kWalFrameHeaderSize));
  WalFrameHeader header;
  header.payload_size = in.u32();
  WalFrame& frame = header.frame;
  frame.payload_crc = in.u32();
  const uint8_t kind = in.u8();
  const uint8_t entry_kind = in.u8();
  in.u16();
  frame.key.partition = in.i32();
  frame.key.topic.high = in.u64();
  frame.key.topic.low = in.u64();
  frame.sequence = WalSequence(in.u64());
  frame.original = WalSequence(in.u64());
  const uint64_t written_to = in.u64();
  frame.meta.index = LogIndex(in.i64());
  frame.meta.term = Term(in.i64());
  frame.meta.base_offset = Offset(in.i64());
  frame.meta.offset_count = in.i32();
  in.u32();
  frame.meta.max_timestamp = in.i64();
  in.u32();
  if (in.u32() != crc32c(bytes.first(kWalFrameHeaderSize - 4), identity_crc(owner))) return std::nullopt;
  if (written_to != segment && !PLANT("S20")) return std::nullopt;
  if (kind < 1 || kind > static_cast<uint8_t>(FrameKind::kDelete)) return std::nullopt;
  if (entry_kind < 1 || entry_kind > static_cast<uint8_t>(EntryKind::kCommand)) return std::nullopt;
  if (frame.meta.index.value < 0 || frame.meta.term.value < 0 || frame.meta.offset_count < 0 ||
      frame.meta.base_offset.value < 0 || frame.meta.index.value > INT64_MAX / 2 ||
      frame.meta.base_offset.value > INT64_MAX / 2)
    return std::nullopt;
  frame.kind = static_cast<FrameKind>(kind);
  frame.meta.kind = static_cast<EntryKind>(entry_kind);
  return header;
}

std::string encode_hard_state(const LogHardState& state) {
  ByteWriter out;
  write_hard_state(out, state);
  return out.take();
}

Result<LogHardState> decode_hard_state(ByteView bytes) {
  ByteReader in(bytes);
  const LogHardState state = read_hard_state(in);
  if (!in.done()) return fail(Errc::kCorrupt, "a term and vote of the wrong size");
  return state;
}

namespace {

// At most one at or below the prefix, at most one above it, up to `flushed`.
bool well_placed(const LogState& state) {
  if (state.configs.empty()) return true;
  if (state.configs.size() > 2 || state.configs.back().meta.index > state.flushed.index) return false;
  return state.configs.size() == 1 ||
         (state.configs[0].meta.index <= state.prefix.index && state.prefix.index < state.configs[1].meta.index);
}

}  // namespace

std::string encode_log_state(const LogState& state) {
  ByteWriter out;
  out.u16(kStateVersion);
  out.u8(state.possibly_longer);
  out.u8(state.hard_state_doubtful);
  out.u8(state.reset);
  write_hard_state(out, state.hard);
  write_id(out, state.prefix);
  out.i64(state.start_offset.value);
  out.i64(state.prefix_offset.value);
  write_id(out, state.flushed);
  out.i64(state.flushed_offset.value);
  out.i64(state.last_segment.value);
  out.u64(state.last_segment_end);
  out.u8(state.snapshot.has_value());
  write_id(out, state.snapshot.value_or(EntryId{}));
  out.u8(static_cast<uint8_t>(state.configs.size()));
  for (const Entry& config : state.configs) {
    write_id(out, config.meta.id());
    out.i64(config.meta.base_offset.value);
    out.sized(config.payload.view());
  }
  out.i64(state.joined);
  return out.take();
}

Result<LogState> decode_log_state(ByteView bytes) {
  ByteReader in(bytes);
  const uint16_t version = in.u16();
  if (in.ok() && (version < kStateVersionWithoutJoined || version > kStateVersion))
    return fail(Errc::kUnsupported,
                fmt::format("a log's state has format {}, this program reads {}: start the version that "
                            "wrote it, or a newer one", version, kStateVersion));
  LogState state;
  state.possibly_longer = in.u8() != 0;
  state.hard_state_doubtful = in.u8() != 0;
  state.reset = in.u8() != 0;
  state.hard = read_hard_state(in);
  state.prefix = read_id(in);
  state.start_offset = Offset(in.i64());
  state.prefix_offset = Offset(in.i64());
  state.flushed = read_id(in);
  state.flushed_offset = Offset(in.i64());
  state.last_segment = LogIndex(in.i64());
  state.last_segment_end = in.u64();
  const bool has_snapshot = in.u8() != 0;
  const EntryId snapshot = read_id(in);
  if (has_snapshot) state.snapshot = snapshot;
  // Formats 1 and 2 have the first of them at most.
  const uint8_t configs = in.u8();
  for (uint8_t i = 0; i < configs && in.ok(); ++i) {
    Entry config;
    const EntryId id = read_id(in);
    config.meta.index = id.index;
    config.meta.term = id.term;
    config.meta.kind = EntryKind::kConfig;
    config.meta.base_offset = Offset(in.i64());
    config.payload = Slice(in.sized());
    state.configs.push_back(std::move(config));
  }
  if (version != kStateVersionWithoutJoined) state.joined = in.i64();
  if (!in.done() || state.joined < 0 || state.prefix.index.value < 0 || state.flushed.index < state.prefix.index ||
      state.prefix_offset.value < 0 || state.flushed_offset < state.prefix_offset ||
      state.start_offset.value < 0 || state.flushed.index.value > INT64_MAX / 2 || !well_placed(state))
    return fail(Errc::kCorrupt, "a log's state does not decode");
  return state;
}

}  // namespace taffrail
