// Who this node is: one small file at the root of its data directory, written before anything else and
// read before anything is opened. docs/formats.md, "node.identity".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "runtime/net.h"
#include "runtime/runtime.h"

namespace taffrail {

/// A founding voter of group 0, and where it was found then.
struct FoundingVoter {
  ReplicaId replica;
  Endpoint internal;
  bool operator==(const FoundingVoter&) const = default;
};

struct NodeIdentity {
  ReplicaId replica;                  ///< The disk id is drawn when the directory is first used.
  ClusterId cluster;                  ///< Zero until founded or joined.
  std::vector<FoundingVoter> voters;  ///< Of group 0 when it was founded; sorted. Empty until then.
  uint32_t shards = 1;                ///< Whose write-ahead logs the directory holds.
  uint32_t moving = 0;                ///< From so many shards its logs are being moved to `shards`; 0: they are there.
  bool operator==(const NodeIdentity&) const = default;

  std::string encode() const;
  /// Errors: kCorrupt, kUnsupported (a newer format); the message says what to do.
  static Result<NodeIdentity> decode(std::string_view text);
};

inline constexpr std::string_view kIdentityFile = "node.identity";
/// The same once more, read where the first does not read.
inline constexpr std::string_view kIdentityCopyFile = "node.identity.copy";

/// Reads the identity, or draws and writes a new one for an empty directory, with as many shards as the node has. Errors:
/// kInvalid if the directory is another node's; kCorrupt if neither file reads, or both are missing from a directory that is
/// not empty.
Result<NodeIdentity> load_identity(Task& task, Runtime& runtime, BrokerId id);
Result<> save_identity(Task& task, Runtime& runtime, const NodeIdentity& identity);

}  // namespace taffrail
