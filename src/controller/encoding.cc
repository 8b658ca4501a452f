#include "controller/encoding.h"

#include <fmt/core.h>

#include "consensus/configuration.h"

namespace taffrail {
namespace {

// The least that each element takes, for read_count().
constexpr size_t kReplicaBytes = 4 + 16;
constexpr size_t kPartitionBytes = 4 + 8;
constexpr size_t kConfigBytes = 4 + 4;
constexpr size_t kListenerBytes = 4 + 4 + 2;

void write_endpoint(ByteWriter& out, const Endpoint& at) {
  out.sized(at.host);
  out.u16(at.port);
}

Endpoint read_endpoint(ByteReader& in) {
  Endpoint at;
  at.host = in.sized_text();
  at.port = in.u16();
  return at;
}

}  // namespace

uint32_t read_count(ByteReader& in, size_t element_bytes) {
  const uint32_t count = in.u32();
  if (count <= in.left() / element_bytes) return count;
  spoil(in);
  return 0;
}

void write_flag(ByteWriter& out, bool flag) { out.u8(flag ? 1 : 0); }

bool read_flag(ByteReader& in) {
  const uint8_t flag = in.u8();
  if (flag > 1) spoil(in);
  return flag == 1;
}

void write_optional_text(ByteWriter& out, const std::optional<std::string>& text) {
  write_flag(out, text.has_value());
  if (text) out.sized(*text);
}

std::optional<std::string> read_optional_text(ByteReader& in) {
  if (!read_flag(in)) return std::nullopt;
  return in.sized_text();
}

void write_uuid(ByteWriter& out, const Uuid& id) {
  out.u64(id.high);
  out.u64(id.low);
}

Uuid read_uuid(ByteReader& in) {
  Uuid id;
  id.high = in.u64();
  id.low = in.u64();
  return id;
}

void write_configs(ByteWriter& out, const ConfigMap& configs) {
  out.u32(static_cast<uint32_t>(configs.size()));
  for (const auto& [name, value] : configs) {
    out.sized(name);
    out.sized(value);
  }
}

ConfigMap read_configs(ByteReader& in) {
  ConfigMap configs;
  const uint32_t count = read_count(in, kConfigBytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name = in.sized_text();
    std::string value = in.sized_text();
    if (!configs.empty() && name <= configs.rbegin()->first) spoil(in);
    if (in.ok()) configs.emplace_hint(configs.end(), std::move(name), std::move(value));
  }
  return configs;
}

void write_broker(ByteWriter& out, const BrokerRecord& broker) {
  write_replica(out, broker.replica);
  out.u64(broker.incarnation);
  write_endpoint(out, broker.internal);
  out.u32(static_cast<uint32_t>(broker.listeners.size()));
  for (const auto& [name, at] : broker.listeners) {
    out.sized(name);
    write_endpoint(out, at);
  }
  write_optional_text(out, broker.rack);
}

BrokerRecord read_broker(ByteReader& in) {
  BrokerRecord broker;
  broker.replica = read_replica(in);
  broker.incarnation = in.u64();
  broker.internal = read_endpoint(in);
  const uint32_t count = read_count(in, kListenerBytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name = in.sized_text();
    Endpoint at = read_endpoint(in);
    if (!broker.listeners.empty() && name <= broker.listeners.rbegin()->first) spoil(in);
    if (in.ok()) broker.listeners.emplace_hint(broker.listeners.end(), std::move(name), std::move(at));
  }
  broker.rack = read_optional_text(in);
  return broker;
}

void write_disks(ByteWriter& out, const std::vector<DiskId>& disks) {
  out.u8(static_cast<uint8_t>(disks.size()));
  for (const DiskId& disk : disks) write_uuid(out, disk);
}

std::vector<DiskId> read_disks(ByteReader& in) {
  std::vector<DiskId> disks;
  const uint8_t count = in.u8();
  if (count >= kDirectoriesMax) spoil(in);
  for (uint8_t i = 0; i < count && in.ok(); ++i) disks.push_back(read_uuid(in));
  return disks;
}

void write_partitions(ByteWriter& out, const std::vector<PartitionRecord>& partitions) {
  out.u32(static_cast<uint32_t>(partitions.size()));
  for (const PartitionRecord& partition : partitions) {
    out.u32(static_cast<uint32_t>(partition.replicas.size()));
    for (const ReplicaId& replica : partition.replicas) write_replica(out, replica);
    out.i64(partition.revision);
  }
}

std::vector<PartitionRecord> read_partitions(ByteReader& in) {
  std::vector<PartitionRecord> partitions;
  const uint32_t count = read_count(in, kPartitionBytes);
  partitions.reserve(count);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    PartitionRecord& partition = partitions.emplace_back();
    const uint32_t replicas = read_count(in, kReplicaBytes);
    partition.replicas.reserve(replicas);
    for (uint32_t k = 0; k < replicas; ++k) partition.replicas.push_back(read_replica(in));
    partition.revision = in.i64();
  }
  return partitions;
}

void write_topic(ByteWriter& out, const TopicRecord& topic) {
  write_uuid(out, topic.id);
  out.sized(topic.name);
  write_partitions(out, topic.partitions);
  write_configs(out, topic.configs);
}

TopicRecord read_topic(ByteReader& in) {
  TopicRecord topic;
  topic.id = read_uuid(in);
  topic.name = in.sized_text();
  topic.partitions = read_partitions(in);
  topic.configs = read_configs(in);
  return topic;
}

Result<> read_format(ByteReader& in, uint8_t known, std::string_view what) {
  TRY(read_format(in, known, known, what));
  return {};
}

Result<uint8_t> read_format(ByteReader& in, uint8_t known, uint8_t newest, std::string_view what) {
  const uint8_t format = in.u8();
  if (!in.ok()) return fail(Errc::kCorrupt, fmt::format("{}: no bytes at all", what));
  if (known <= format && format <= newest) return format;
  return fail(Errc::kUnsupported, fmt::format("{}: format {}, and this version of taffrail knows {}", what, format,
                                              known == newest ? fmt::format("{} only", known)
                                                              : fmt::format("{} to {}", known, newest)));
}

}  // namespace taffrail
