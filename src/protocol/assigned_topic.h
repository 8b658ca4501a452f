// Partitions of one topic, as assignments name them on the wire and in __consumer_offsets (KIP-848).
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct AssignedTopic {
  TopicId topic_id = {};
  std::vector<int32_t> partitions = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("topic_id", self.topic_id);
    walk("partitions", self.partitions);
  }
  bool operator==(const AssignedTopic&) const = default;
};

}  // namespace taffrail::protocol
