// The way to the coordinator of one group: looked for when it is needed, and again when somebody else coordinates.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "client/metadata.h"
#include "protocol/errors.h"
#include "runtime/sync.h"

namespace taffrail::client {

/// What one broker says about who coordinates a group.
struct FoundCoordinator {
  protocol::ErrorCode error{};  ///< kNone: the rest holds.
  BrokerId node;
  Endpoint at;
};
/// Asks any broker, in whichever version it speaks. Errors: kCorrupt for another answer than was asked for; as
/// KafkaConnection::call.
Result<FoundCoordinator> find_coordinator(Task& task, Cluster& cluster, const std::string& group, Instant deadline);

class CoordinatorLink {
 public:
  /// How long a coordinator is looked for at a time.
  static constexpr Duration kLookup = 2_s;

  /// `cluster` outlives it.
  CoordinatorLink(Cluster& cluster, std::string group) : cluster_(cluster), group_(std::move(group)) {}

  /// Errors: kUnavailable while nobody coordinates; as KafkaConnection::call.
  template <class Request>
  Result<typename Request::Response> ask(Task& task, const Request& request, Instant deadline, int16_t version_max = INT16_MAX) {
    const auto connection = TRY(connect(task, std::min(deadline, cluster_.runtime().now() + kLookup)));
    return connection->call(task, request, deadline, version_max);
  }
  /// After an answer that says that somebody else coordinates, or nobody yet. False: it says something else.
  bool moved(protocol::ErrorCode code);
  /// How often a coordinator was dialled: the number of the connection that is asked now.
  uint64_t dialled() const { return dialled_; }
  void close(Task& task);

 private:
  Result<std::shared_ptr<KafkaConnection>> connect(Task& task, Instant deadline);

  Cluster& cluster_;
  std::string group_;
  std::shared_ptr<KafkaConnection> connection_;  ///< The group's own: a join that waits would hold up fetches.
  uint64_t dialled_ = 0;
  Mutex dialing_;  ///< Held while the coordinator is looked for: by whoever asks, and by heartbeats.
};

}  // namespace taffrail::client
