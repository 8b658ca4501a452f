// What an operator sets about groups; the names are those of Kafka's broker configs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/units.h"

namespace taffrail::group {

/// group.consumer.migration.policy: which groups that have members become groups of the other protocol.
enum class Migration : uint8_t { kDisabled = 0, kUpgrade = 1, kDowngrade = 2, kBidirectional = 3 };
/// A classic one, when somebody joins by the newer protocol.
constexpr bool allows_upgrade(Migration m) { return m == Migration::kUpgrade || m == Migration::kBidirectional; }
/// A consumer group, when the last that speaks the newer protocol is gone.
constexpr bool allows_downgrade(Migration m) { return m == Migration::kDowngrade || m == Migration::kBidirectional; }
/// As the config has it: "bidirectional".
std::string_view migration_name(Migration m);
std::optional<Migration> find_migration(std::string_view name);

struct Options {
  Duration initial_rebalance_delay = 3_s;   ///< group.initial.rebalance.delay.ms.
  Duration session_timeout_min = 6_s;       ///< group.min.session.timeout.ms.
  Duration session_timeout_max = 1800_s;    ///< group.max.session.timeout.ms.
  int32_t size_max = INT32_MAX;             ///< group.max.size.
  int32_t offset_metadata_max = 4096;       ///< offset.metadata.max.bytes, in UTF-16 units as Kafka counts.
  Duration offsets_retention = 604'800_s;   ///< offsets.retention.minutes.
  Duration retention_check = 600_s;         ///< offsets.retention.check.interval.ms.
  Duration commit_timeout = 5_s;            ///< offsets.commit.timeout.ms.
  int32_t offsets_partitions = 50;          ///< offsets.topic.num.partitions.
  int16_t offsets_replicas = 3;             ///< offsets.topic.replication.factor; fewer while fewer brokers live.

  // Of consumer groups (KIP-848): group.consumer.*.
  Duration consumer_session_timeout = 45_s;     ///< session.timeout.ms.
  Duration consumer_heartbeat_interval = 5_s;   ///< heartbeat.interval.ms: what members are told.
  Duration consumer_assignment_interval = 1_s;  ///< assignment.interval.ms: between two assignments of a group, at least.
  int32_t consumer_size_max = INT32_MAX;        ///< max.size.
  Migration consumer_migration = Migration::kBidirectional;  ///< migration.policy.
  Duration consumer_regex_interval = 10_s;      ///< Between two looks for topics that are new to an expression, at least.
  bool operator==(const Options&) const = default;
};

}  // namespace taffrail::group
