// How many shards a data directory is for, and how many the node has: a start with another number moves the logs.
#pragma once

#include "base/result.h"
#include "broker/identity.h"
#include "broker/node_config.h"
#include "runtime/runtime.h"
#include "storage/types.h"

namespace taffrail {

/// Of the store of one shard.
StoreOptions store_options(const NodeConfig& config, const NodeIdentity& identity, ShardId shard);

/// Brings the directory to as many shards as `runtime` has, and `identity`, which was read from it, along (storage/reshard.h).
/// A crash at any step leaves what the next start, with whatever number of shards, goes on from. `options`: of any of the
/// shards. The caller holds the directory's lock, and no shard is open.
/// Errors: of storage; the message says what the node can be started with.
Result<> match_shards(Task& task, Runtime& runtime, NodeIdentity& identity, const StoreOptions& options);

}  // namespace taffrail
