// What an operator sets about groups; the names are those of Kafka's broker configs.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace taffrail::group {

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
  bool operator==(const Options&) const = default;
};

}  // namespace taffrail::group
