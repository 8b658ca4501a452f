// A registered cluster and its image, for tests of single decisions.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "controller/commands.h"

namespace taffrail {

inline BrokerRecord broker_record(int32_t id) {
  BrokerRecord out;
  out.replica = {BrokerId(id), DiskId{1, static_cast<uint64_t>(id)}};
  out.internal = {"node", static_cast<uint16_t>(9000 + id)};
  out.listeners["PLAINTEXT"] = {"node", static_cast<uint16_t>(9092 + id)};
  return out;
}

/// Brokers 1 to count, all alive.
struct SmallCluster {
  explicit SmallCluster(int32_t count) {
    for (int32_t id = 1; id <= count; ++id) {
      run(RegisterBrokerCommand{broker_record(id)});
      alive.push_back(BrokerId(id));
    }
  }

  /// Decides and applies.
  ControllerReply run(const ControllerCommand& command) {
    Decision decision = decide(image, command, {alive, last_index + 1, default_partitions, &random, limits, {}, quorum});
    if (!decision.records.empty()) ++last_index;
    for (const MetadataRecord& record : decision.records) EXPECT_TRUE(image.apply(record, last_index));
    records = std::move(decision.records);
    return std::move(decision.reply);
  }

  ClusterImage image;
  std::vector<BrokerId> alive;
  LogIndex last_index;
  int32_t default_partitions = 1;
  TopicConfigLimits limits;
  CounterRandom random{42};
  QuorumView quorum;  ///< As its leader would tell.
  std::vector<MetadataRecord> records;  ///< Of the last decision.
};

}  // namespace taffrail
