// How a node comes to a cluster: founds it with the other seeds, or joins the one that it finds.
//
// Founding needs *all* listed seeds to answer, empty and with an identical list. The one with the lowest
// id then draws the cluster's id and makes itself a member, durably; the others find a member that counts
// them among the voters, and follow. A wiped seed has a new disk id: it is in nobody's list of voters, so it never founds while
// another has data, and never votes with a memory that it lost.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "broker/identity.h"
#include "net/peers.h"
#include "runtime/runtime.h"

namespace taffrail {

/// What a node answers to "discover".
struct DiscoverAnswer {
  NodeIdentity identity;
  Endpoint internal;           ///< As advertised.
  std::vector<Endpoint> seeds; ///< As configured there; sorted.
};
Slice encode_discover(const DiscoverAnswer& answer);
Result<DiscoverAnswer> decode_discover(ByteView bytes);

/// What a node answers to "brokers": where it would look for the others.
Slice encode_addresses(const std::map<BrokerId, Endpoint>& addresses);
Result<std::map<BrokerId, Endpoint>> decode_addresses(ByteView bytes);

/// What one round of asking the seeds comes to. Pure.
struct FoundingDecision {
  enum class Kind : uint8_t { kWait, kFound, kFollow, kJoin };
  Kind kind = Kind::kWait;
  NodeIdentity identity;  ///< kFound: voters to be; kFollow, kJoin: the cluster's.
  std::string waiting_for;  ///< kWait: for a person.
};
struct SeedAnswer {
  Endpoint seed;
  Result<DiscoverAnswer> answer;
};
FoundingDecision decide_founding(const NodeIdentity& self, const Endpoint& internal, const std::vector<Endpoint>& seeds,
                                 const std::vector<SeedAnswer>& answers);

/// Asks until the node is in a cluster, and makes that durable. Logs what it waits for. Errors: kCancelled,
/// kIo.
Result<NodeIdentity> join_or_found(Task& task, Runtime& runtime, Peers& peers, NodeIdentity self,
                                   const Endpoint& internal, std::vector<Endpoint> seeds);

}  // namespace taffrail
