#include "broker/shard_count.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "storage/reshard.h"

namespace taffrail {

StoreOptions store_options(const NodeConfig& config, const NodeIdentity& identity, ShardId shard) {
  StoreOptions options;
  options.directory = shard_directory(shard.value);
  options.owner = {identity.replica.disk, shard.value};
  // A directory is told its cluster when all its stores have been opened.
  options.used_before = !identity.cluster.is_zero();
  options.wal_segment_bytes = config.storage.wal_segment_bytes;
  options.wal_segments_kept = config.storage.wal_segments_kept;
  options.wal_first_segment_bytes = std::min<ByteCount>(options.wal_first_segment_bytes, options.wal_segment_bytes);
  options.arena_bytes = config.storage.memory;
  options.chunk_bytes = config.storage.flush_bytes;
  options.segment_bytes = config.storage.segment_bytes;
  options.slow_disk_after = config.slow_disk_after;
  return options;
}

namespace {

// Behind the point of no return: now, or where an earlier start was cut short.
Result<> finish(Task& task, Runtime& runtime, NodeIdentity& identity) {
  const Result<> finished = finish_reshard(task, runtime, identity.moving, identity.shards);
  if (!finished)
    return fail(finished.error(), fmt::format("the logs are half-way from {} shard(s) to {}; nothing is lost, and every start, with "
                                              "whatever node.shards, goes on from here", identity.moving, identity.shards));
  identity.moving = 0;
  return save_identity(task, runtime, identity);
}

}  // namespace

Result<> match_shards(Task& task, Runtime& runtime, NodeIdentity& identity, const StoreOptions& options) {
  Disk& disk = runtime.disk();
  if (identity.moving != 0) {
    TRY(finish(task, runtime, identity));
  } else if (TRY(reshard_left_behind(task, disk))) {
    TRY(discard_reshard(task, disk));
  }
  const uint32_t wanted = runtime.shard_count();
  if (identity.shards == wanted) return {};

  NodeIdentity next = identity;
  next.shards = wanted;
  next.moving = identity.shards;
  if (PLANT("S71")) TRY(save_identity(task, runtime, next));
  if (const Result<> prepared = prepare_reshard(task, runtime, options, identity.shards, wanted); !prepared) {
    // The room, if that is what was missing. What cannot be removed now goes at the next start.
    if (!task.cancelled()) (void)discard_reshard(task, disk);
    return fail(prepared.error(), fmt::format("the logs of {0} shard(s) could not be moved to {1}. All is as it was: set that right, "
                                              "or start the node with {0} again (node.shards)", identity.shards, wanted));
  }
  TRY(save_identity(task, runtime, next));
  identity = next;
  return finish(task, runtime, identity);
}

}  // namespace taffrail
