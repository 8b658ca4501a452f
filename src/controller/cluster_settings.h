// What operators set in a cluster beside its topics: part of the image (controller/cluster_image.h), and likewise a
// function of group 0's records.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "partition/topic_config.h"

namespace taffrail {

/// Whom a quota is for, by type ("user", "client-id", "ip"); no name: whoever has none of its own (KIP-546).
using QuotaEntity = std::map<std::string, std::optional<std::string>, std::less<>>;
/// By key ("producer_byte_rate"). Finite.
using QuotaValues = std::map<std::string, double, std::less<>>;

struct ClusterSettings {
  /// Finalised levels, of features whose level was ever set; the others are at what this program begins with.
  std::map<std::string, int16_t, std::less<>> features;
  int64_t features_revision = 0;            ///< Index of the record that last changed them.
  std::map<BrokerId, ConfigMap> brokers;    ///< Configs of one broker; never empty ones.
  std::map<std::string, ConfigMap, std::less<>> groups;  ///< Likewise of one group.
  /// Brokers that shall, or shall not, vote in group 0, whatever the cluster would choose by itself.
  std::map<BrokerId, bool> votes;
  /// Brokers that were registered, and are not any more: who of group 0's voters is among them leaves it. One that is
  /// in neither list is a founder that is still starting.
  std::set<BrokerId> unregistered;
  std::map<QuotaEntity, QuotaValues> quotas;  ///< Never empty values.
  int64_t quotas_revision = 0;              ///< Index of the record that last changed them.

  const ConfigMap& configs_of(BrokerId broker) const;
  const ConfigMap& configs_of_group(std::string_view group) const;
  /// Nothing was ever set.
  bool empty() const { return *this == ClusterSettings(); }
  bool operator==(const ClusterSettings&) const = default;
};

void write_settings(ByteWriter& out, const ClusterSettings& settings);
/// What is wrong leaves `in` not ok().
ClusterSettings read_settings(ByteReader& in);
void write_quota(ByteWriter& out, const QuotaEntity& entity, const QuotaValues& values);
std::pair<QuotaEntity, QuotaValues> read_quota(ByteReader& in);
/// At least one type, each of those that Kafka knows, with a name that is not empty; an address only alone.
bool well_formed(const QuotaEntity& entity);

}  // namespace taffrail
