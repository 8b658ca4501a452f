// Who leads which partition, as far as this broker has heard. Leaders push (partition, epoch, leader,
// in-sync set) to all brokers in batches; the highest epoch wins; a link starts with all that is known.
// No Metadata answer waits for a controller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace taffrail {

struct Leadership {
  Term epoch;
  BrokerId leader = kNoBroker;
  uint64_t version = 0;  ///< Counted by the leader within its epoch, for changes of the in-sync set.
  std::vector<BrokerId> in_sync;
  bool operator==(const Leadership&) const = default;
};

class Leaders {
 public:
  using Update = std::pair<PartitionKey, Leadership>;

  /// Takes an update that is newer than what is known; false if it is not.
  bool update(const PartitionKey& key, Leadership leadership);
  /// Null if nobody ever said.
  const Leadership* find(const PartitionKey& key) const;
  void forget_topic(const TopicId& topic);
  /// Everything known, for a new link.
  std::vector<Update> all() const;

  /// The body of a kLeaders message. Errors of decode: kCorrupt, kUnsupported.
  static Slice encode(std::span<const Update> updates);
  static Result<std::vector<Update>> decode(ByteView bytes);

 private:
  std::map<PartitionKey, Leadership> known_;
};

}  // namespace taffrail
