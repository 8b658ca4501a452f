// Who this node is: one small file at the root of each of its data directories, written before anything else and
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
  uint32_t directory = 0;             ///< Which of the node's data directories this is,
  uint32_t directories = 1;           ///< and how many it was made with.
  std::vector<DiskId> more_disks = {};  ///< In the first: of the others, as they were last known.
  ClusterId cluster;                  ///< Zero until founded or joined.
  std::vector<FoundingVoter> voters;  ///< Of group 0 when it was founded; sorted. Empty until then, and in all but the first.
  uint32_t shards = 1;                ///< Of the node, when its logs came to be where they are in this directory.
  uint32_t moving = 0;                ///< From so many shards its logs are being moved to `shards`; 0: they are there.
  bool operator==(const NodeIdentity&) const = default;

  std::string encode() const;
  /// Errors: kCorrupt, kUnsupported (a newer format); the message says what to do.
  static Result<NodeIdentity> decode(std::string_view text);
};

inline constexpr std::string_view kIdentityFile = "node.identity";
/// The same once more, read where the first does not read.
inline constexpr std::string_view kIdentityCopyFile = "node.identity.copy";

/// Reads the identity of the calling shard's data directory, or draws and writes a new one if that is empty, with as many
/// shards and directories as the node has. Errors: kInvalid if the directory is another node's, or another one of this
/// node's, or of a node with another number of them; kCorrupt or kIo if neither file reads, or both are missing from a directory that is
/// not empty.
Result<NodeIdentity> load_identity(Task& task, Runtime& runtime, BrokerId id);
Result<> save_identity(Task& task, Runtime& runtime, const NodeIdentity& identity);

}  // namespace taffrail
