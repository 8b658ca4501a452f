// What those who talk with other brokers need of the links, wherever these live: Peers itself, on the shard that
// holds the links, or another shard's way there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "net/server.h"
#include "runtime/runtime.h"

namespace taffrail {

/// What a message between brokers is about; the first byte of its frame.
enum class PeerKind : uint8_t {
  kRaft = 1,        ///< One message of one group (consensus/wire.h).
  kHeartbeat = 2,   ///< consensus/heartbeat.h.
  kLeaders = 3,     ///< Leaderships of partitions, for Metadata (broker/leaders.h).
  kCall = 4,        ///< A question: id, name of the service, body.
  kAnswer = 5,      ///< Its answer, on the connection that the question came on.
};

/// Who a node says it is when it greets another.
struct PeerIdentity {
  ClusterId cluster;  ///< Zero: not yet in one.
  ReplicaId replica;         ///< With the disk of its first data directory.
  uint64_t incarnation = 0;  ///< Drawn at every start of the process.
  uint32_t shards = 1;       ///< How many the node has: which of them a partition lives on there (base/ids.h).
  std::vector<DiskId> more_disks = {};  ///< Of its second data directory, and so on.

  NodeShape shape() const { return {shards, static_cast<uint32_t>(1 + more_disks.size())}; }
  /// Who speaks where that shard does.
  ReplicaId replica_on(ShardId shard) const {
    const uint32_t directory = shape().directory_of(shard);
    return directory == 0 ? replica : ReplicaId{replica.node, more_disks[directory - 1]};
  }
};

/// Services that answer calls. One per name; the names are fixed: "discover", "found", "forward", ...
using PeerService = std::function<Result<Chain>(Task&, const PeerIdentity& from, Slice body)>;

class PeerChannel {
 public:
  virtual ~PeerChannel() = default;

  /// Queues a message; lost without a word when the link is down or breaks. `parts` are not copied, but
  /// for small ones. Messages keep their order while a link lives.
  virtual void send(BrokerId to, PeerKind kind, Chain parts) = 0;
  virtual bool connected(BrokerId node) const = 0;
  /// Of the node at the other end, as it said in its last greeting; one shard while it never greeted.
  virtual NodeShape shape_of(BrokerId node) const = 0;

  /// Asks and waits for the answer. What is asked may be done even if no answer comes. Errors: kClosed
  /// (link down or broken), kTimedOut, kCancelled, kBusy (1024 calls are under way), kTooLarge, kNotFound
  /// (no such service there), and what the service itself answered.
  virtual Result<Slice> call(Task& task, BrokerId to, std::string_view service, Chain body, Instant deadline) = 0;
};

}  // namespace taffrail
