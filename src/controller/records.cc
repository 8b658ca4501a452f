// Metadata records as bytes: a format byte, a count, and each record as a kind, a length and a body.
#include <fmt/core.h>

#include <algorithm>

#include "consensus/configuration.h"
#include "controller/cluster_image.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr uint8_t kFormat = 1;
// Of lists with a kind that kFormat does not have.
constexpr uint8_t kFormatOfMoves = 2;
constexpr uint8_t kFormatOfSettings = 3;
constexpr uint8_t kFormatOfDirectories = 4;
constexpr size_t kReplicaBytes = 4 + 16;
constexpr size_t kRecordBytes = 1 + 4;

// On disk: never renumbered. docs/formats.md, "Metadata records".
enum class Kind : uint8_t {
  kRegisterBroker = 1,
  kCreateTopic = 2,
  kDeleteTopic = 3,
  kAddPartitions = 4,
  kSetConfigs = 5,
  kAllocateProducerIds = 6,
  kMovePartition = 7,
  kFinishMove = 8,
  kUnregisterBroker = 9,
  kSetMetadataVote = 10,
  kSetFeature = 11,
  kSetBrokerConfigs = 12,
  kSetGroupConfigs = 13,
  kSetQuotas = 14,
  kRegisterBrokerOfDirectories = 15,
};

constexpr uint8_t format_of(Kind kind) {
  if (kind < Kind::kMovePartition) return kFormat;
  if (kind < Kind::kUnregisterBroker) return kFormatOfMoves;
  return kind < Kind::kRegisterBrokerOfDirectories ? kFormatOfSettings : kFormatOfDirectories;
}

Kind write_body(ByteWriter& out, const RegisterBroker& record) {
  write_broker(out, record.broker);
  if (record.broker.more_disks.empty()) return Kind::kRegisterBroker;
  write_disks(out, record.broker.more_disks);
  return Kind::kRegisterBrokerOfDirectories;
}
Kind write_body(ByteWriter& out, const CreateTopic& record) {
  write_topic(out, record.topic);
  return Kind::kCreateTopic;
}
Kind write_body(ByteWriter& out, const DeleteTopic& record) {
  write_uuid(out, record.topic);
  return Kind::kDeleteTopic;
}
Kind write_body(ByteWriter& out, const AddPartitions& record) {
  write_uuid(out, record.topic);
  write_partitions(out, record.partitions);
  return Kind::kAddPartitions;
}
Kind write_body(ByteWriter& out, const SetConfigs& record) {
  write_uuid(out, record.topic);
  write_configs(out, record.configs);
  return Kind::kSetConfigs;
}
Kind write_body(ByteWriter& out, const AllocateProducerIds& record) {
  out.i32(record.broker.value);
  out.i64(record.count);
  return Kind::kAllocateProducerIds;
}

Kind write_body(ByteWriter& out, const MovePartition& record) {
  write_uuid(out, record.topic);
  out.i32(record.partition);
  out.u32(static_cast<uint32_t>(record.replicas.size()));
  for (const ReplicaId& replica : record.replicas) write_replica(out, replica);
  return Kind::kMovePartition;
}
Kind write_body(ByteWriter& out, const FinishMove& record) {
  write_uuid(out, record.topic);
  out.i32(record.partition);
  out.i64(record.revision);
  return Kind::kFinishMove;
}
Kind write_body(ByteWriter& out, const UnregisterBroker& record) {
  out.i32(record.broker.value);
  return Kind::kUnregisterBroker;
}
Kind write_body(ByteWriter& out, const SetMetadataVote& record) {
  out.i32(record.broker.value);
  write_flag(out, record.vote.has_value());
  if (record.vote) write_flag(out, *record.vote);
  return Kind::kSetMetadataVote;
}
Kind write_body(ByteWriter& out, const SetFeature& record) {
  out.sized(record.name);
  out.i16(record.level);
  return Kind::kSetFeature;
}
Kind write_body(ByteWriter& out, const SetBrokerConfigs& record) {
  out.i32(record.broker.value);
  write_configs(out, record.configs);
  return Kind::kSetBrokerConfigs;
}
Kind write_body(ByteWriter& out, const SetGroupConfigs& record) {
  out.sized(record.group);
  write_configs(out, record.configs);
  return Kind::kSetGroupConfigs;
}
Kind write_body(ByteWriter& out, const SetQuotas& record) {
  write_quota(out, record.entity, record.values);
  return Kind::kSetQuotas;
}

// Nothing if there is no such kind. What the body lacks shows in `in`.
std::optional<MetadataRecord> read_body(Kind kind, ByteReader& in) {
  switch (kind) {
    case Kind::kRegisterBroker: return RegisterBroker{read_broker(in)};
    case Kind::kRegisterBrokerOfDirectories: {
      RegisterBroker record{read_broker(in)};
      record.broker.more_disks = read_disks(in);
      if (record.broker.more_disks.empty()) spoil(in);
      return record;
    }
    case Kind::kCreateTopic: return CreateTopic{read_topic(in)};
    case Kind::kDeleteTopic: return DeleteTopic{read_uuid(in)};
    case Kind::kAddPartitions: {
      AddPartitions record;
      record.topic = read_uuid(in);
      record.partitions = read_partitions(in);
      return record;
    }
    case Kind::kSetConfigs: {
      SetConfigs record;
      record.topic = read_uuid(in);
      record.configs = read_configs(in);
      return record;
    }
    case Kind::kAllocateProducerIds: {
      AllocateProducerIds record;
      record.broker = BrokerId(in.i32());
      record.count = in.i64();
      return record;
    }
    case Kind::kMovePartition: {
      MovePartition record;
      record.topic = read_uuid(in);
      record.partition = in.i32();
      const uint32_t count = read_count(in, kReplicaBytes);
      for (uint32_t i = 0; i < count; ++i) record.replicas.push_back(read_replica(in));
      return record;
    }
    case Kind::kFinishMove: {
      FinishMove record;
      record.topic = read_uuid(in);
      record.partition = in.i32();
      record.revision = in.i64();
      return record;
    }
    case Kind::kUnregisterBroker: return UnregisterBroker{BrokerId(in.i32())};
    case Kind::kSetMetadataVote: {
      SetMetadataVote record;
      record.broker = BrokerId(in.i32());
      if (read_flag(in)) record.vote = read_flag(in);
      return record;
    }
    case Kind::kSetFeature: {
      SetFeature record;
      record.name = in.sized_text();
      record.level = in.i16();
      return record;
    }
    case Kind::kSetBrokerConfigs: {
      SetBrokerConfigs record;
      record.broker = BrokerId(in.i32());
      record.configs = read_configs(in);
      return record;
    }
    case Kind::kSetGroupConfigs: {
      SetGroupConfigs record;
      record.group = in.sized_text();
      record.configs = read_configs(in);
      return record;
    }
    case Kind::kSetQuotas: {
      auto [entity, values] = read_quota(in);
      return SetQuotas{std::move(entity), std::move(values)};
    }
  }
  return std::nullopt;
}

}  // namespace

Slice encode_records(const std::vector<MetadataRecord>& records) {
  ByteWriter all;
  uint8_t format = kFormat;
  for (const MetadataRecord& record : records) {
    ByteWriter body;
    const Kind kind = std::visit([&](const auto& r) { return write_body(body, r); }, record);
    format = std::max(format, format_of(kind));
    all.u8(static_cast<uint8_t>(kind));
    all.sized(body.view());
  }
  ByteWriter out;
  out.u8(format);
  out.u32(static_cast<uint32_t>(records.size()));
  out.bytes(all.view());
  return Slice(out.view());
}

Result<std::vector<MetadataRecord>> decode_records(ByteView bytes) {
  ByteReader in(bytes);
  const uint8_t format = TRY(read_format(in, kFormat, kFormatOfDirectories, "metadata records"));
  uint8_t needed = kFormat;
  std::vector<MetadataRecord> records;
  const uint32_t count = read_count(in, kRecordBytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const size_t at = bytes.size() - in.left();
    const uint8_t kind = in.u8();
    const ByteView raw = in.sized();
    if (!in.ok()) break;
    ByteReader body(raw);
    std::optional<MetadataRecord> record = read_body(static_cast<Kind>(kind), body);
    if (record) needed = std::max(needed, format_of(static_cast<Kind>(kind)));
    if (!record || !body.done())
      return fail(Errc::kCorrupt,
                  fmt::format("metadata record {} at byte {}: {} {}", i, at,
                              record ? "does not decode as kind" : "there is no kind", kind));
    records.push_back(std::move(*record));
  }
  if (in.done() && needed != format)
    return fail(Errc::kCorrupt, fmt::format("metadata records: format {} with kinds of format {}", format, needed));
  if (!in.done()) return fail(Errc::kCorrupt, fmt::format("metadata records: {} bytes do not hold {} of them, or more",
                                                          bytes.size(), count));
  return records;
}

}  // namespace taffrail
