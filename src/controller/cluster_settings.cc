#include "controller/cluster_settings.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "controller/encoding.h"

namespace taffrail {
namespace {

// The least that each element takes, for read_count().
constexpr size_t kFeatureBytes = 4 + 2;
constexpr size_t kBrokerConfigsBytes = 4 + 4;
constexpr size_t kGroupConfigsBytes = 4 + 4;
constexpr size_t kVoteBytes = 4 + 1;
constexpr size_t kEntityBytes = 4 + 1;
constexpr size_t kValueBytes = 4 + 8;
constexpr size_t kQuotaBytes = 4 + 4;

// Every list ascends strictly: one value, one spelling.
template <class Map, class Key>
bool ascends(const Map& map, const Key& key) {
  return map.empty() || map.rbegin()->first < key;
}

const ConfigMap kNoConfigs;

}  // namespace

const ConfigMap& ClusterSettings::configs_of(BrokerId broker) const {
  const auto it = brokers.find(broker);
  return it == brokers.end() ? kNoConfigs : it->second;
}

const ConfigMap& ClusterSettings::configs_of_group(std::string_view group) const {
  const auto it = groups.find(group);
  return it == groups.end() ? kNoConfigs : it->second;
}

bool well_formed(const QuotaEntity& entity) {
  if (entity.empty() || (entity.contains("ip") && entity.size() > 1)) return false;
  return std::all_of(entity.begin(), entity.end(), [](const auto& part) {
    const bool known = part.first == "user" || part.first == "client-id" || part.first == "ip";
    return known && (!part.second || !part.second->empty());
  });
}

void write_quota(ByteWriter& out, const QuotaEntity& entity, const QuotaValues& values) {
  out.u32(static_cast<uint32_t>(entity.size()));
  for (const auto& [type, name] : entity) {
    out.sized(type);
    write_optional_text(out, name);
  }
  out.u32(static_cast<uint32_t>(values.size()));
  for (const auto& [key, value] : values) {
    out.sized(key);
    out.u64(std::bit_cast<uint64_t>(value));
  }
}

std::pair<QuotaEntity, QuotaValues> read_quota(ByteReader& in) {
  std::pair<QuotaEntity, QuotaValues> quota;
  auto& [entity, values] = quota;
  const uint32_t parts = read_count(in, kEntityBytes);
  for (uint32_t i = 0; i < parts && in.ok(); ++i) {
    std::string type = in.sized_text();
    std::optional<std::string> name = read_optional_text(in);
    if (!ascends(entity, type)) spoil(in);
    entity.emplace(std::move(type), std::move(name));
  }
  const uint32_t count = read_count(in, kValueBytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string key = in.sized_text();
    const auto value = std::bit_cast<double>(in.u64());
    if (!ascends(values, key) || !std::isfinite(value)) spoil(in);
    values.emplace(std::move(key), value);
  }
  return quota;
}

void write_settings(ByteWriter& out, const ClusterSettings& settings) {
  out.u32(static_cast<uint32_t>(settings.features.size()));
  for (const auto& [name, level] : settings.features) {
    out.sized(name);
    out.i16(level);
  }
  out.i64(settings.features_revision);
  out.u32(static_cast<uint32_t>(settings.brokers.size()));
  for (const auto& [id, configs] : settings.brokers) {
    out.i32(id.value);
    write_configs(out, configs);
  }
  out.u32(static_cast<uint32_t>(settings.groups.size()));
  for (const auto& [name, configs] : settings.groups) {
    out.sized(name);
    write_configs(out, configs);
  }
  out.u32(static_cast<uint32_t>(settings.votes.size()));
  for (const auto& [id, vote] : settings.votes) {
    out.i32(id.value);
    write_flag(out, vote);
  }
  out.u32(static_cast<uint32_t>(settings.unregistered.size()));
  for (const BrokerId id : settings.unregistered) out.i32(id.value);
  out.u32(static_cast<uint32_t>(settings.quotas.size()));
  for (const auto& [entity, values] : settings.quotas) write_quota(out, entity, values);
  out.i64(settings.quotas_revision);
}

ClusterSettings read_settings(ByteReader& in) {
  ClusterSettings settings;
  const uint32_t features = read_count(in, kFeatureBytes);
  for (uint32_t i = 0; i < features && in.ok(); ++i) {
    std::string name = in.sized_text();
    const int16_t level = in.i16();
    if (!ascends(settings.features, name) || name.empty() || level < 0) spoil(in);
    settings.features.emplace(std::move(name), level);
  }
  settings.features_revision = in.i64();
  const uint32_t brokers = read_count(in, kBrokerConfigsBytes);
  for (uint32_t i = 0; i < brokers && in.ok(); ++i) {
    const BrokerId id(in.i32());
    ConfigMap configs = read_configs(in);
    if (!ascends(settings.brokers, id) || configs.empty()) spoil(in);
    settings.brokers.emplace(id, std::move(configs));
  }
  const uint32_t groups = read_count(in, kGroupConfigsBytes);
  for (uint32_t i = 0; i < groups && in.ok(); ++i) {
    std::string name = in.sized_text();
    ConfigMap configs = read_configs(in);
    if (!ascends(settings.groups, name) || name.empty() || configs.empty()) spoil(in);
    settings.groups.emplace(std::move(name), std::move(configs));
  }
  const uint32_t votes = read_count(in, kVoteBytes);
  for (uint32_t i = 0; i < votes && in.ok(); ++i) {
    const BrokerId id(in.i32());
    const bool vote = read_flag(in);
    if (!ascends(settings.votes, id)) spoil(in);
    settings.votes.emplace(id, vote);
  }
  const uint32_t unregistered = read_count(in, 4);
  for (uint32_t i = 0; i < unregistered && in.ok(); ++i) {
    const BrokerId id(in.i32());
    if (!settings.unregistered.empty() && id <= *settings.unregistered.rbegin()) spoil(in);
    settings.unregistered.insert(id);
  }
  const uint32_t quotas = read_count(in, kQuotaBytes);
  for (uint32_t i = 0; i < quotas && in.ok(); ++i) {
    auto [entity, values] = read_quota(in);
    if (!ascends(settings.quotas, entity) || !well_formed(entity) || values.empty()) spoil(in);
    settings.quotas.emplace(std::move(entity), std::move(values));
  }
  settings.quotas_revision = in.i64();
  if (settings.features_revision < 0 || settings.quotas_revision < 0) spoil(in);
  return settings;
}

}  // namespace taffrail
