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

  // Of consumer groups (KIP-848): group.consumer.*.
  Duration consumer_session_timeout = 45_s;     ///< session.timeout.ms.
  Duration consumer_heartbeat_interval = 5_s;   ///< heartbeat.interval.ms: what members are told.
  Duration consumer_assignment_interval = 1_s;  ///< assignment.interval.ms: between two assignments of a group, at least.
  int32_t consumer_size_max = INT32_MAX;        ///< max.size.
  Duration consumer_regex_interval = 10_s;      ///< Between two looks for topics that are new to an expression, at least.
  bool operator==(const Options&) const = default;
};

}  // namespace taffrail::group
