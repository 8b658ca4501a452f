// A node's life in the real world: its threads, its shards, and the signals that end it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "posix/logger.h"
#include "posix/posix_runtime.h"
#include "runtime/host.h"
#include "runtime/sync.h"

namespace taffrail::posix {

struct NodeOptions {
  /// What Disk calls the root, on each of the shards that share it (NodeShape). Made, with its parents, if it is missing.
  /// Not more than there are shards.
  std::vector<std::string> data_dirs = {"."};
  uint32_t shards = 1;
  LogOptions log;
  std::vector<std::string> arguments;  ///< For Host: what follows the program's name.

  uint32_t disk_threads = 4;         ///< Of each shard: so many of its disk operations run at once.
  std::string congestion = "cubic";  ///< TCP's congestion control; empty: the system's.
  Duration poll_before_sleep{};      ///< See Loop. A few microseconds help where cores are spare.

  /// SIGINT and SIGTERM set every shard's `stop`; a second one ends the process at once, with
  /// status 128 + its number. SIGPIPE is ignored. All as before when run_node returns.
  bool handle_signals = true;
  /// The first signal also cancels every shard's main fiber: for commands that have nothing to wind
  /// down.
  bool cancel_on_signal = false;
};

/// What the main fiber of a shard works with. Belongs to its thread.
struct Shard {
  PosixRuntime& runtime;
  Host& host;
  Event& stop;  ///< Set once the node is asked to end.
};

/// Runs `shard_main` as the first fiber of each shard, shard 0 on the calling thread, and returns
/// when all of them have returned. Each has ended its own fibers by then (Scope). A shard whose
/// main has returned goes on running messages from the others until theirs have, too; what is
/// posted after that is dropped unrun. One call at a time in a process. Errors: kIo, kNoSpace, if
/// the first data directory cannot be had; where another one cannot, every call on it fails.
Result<> run_node(const NodeOptions& options, const std::function<void(Task&, Shard&)>& shard_main);

/// Asks a node that runs in this process to stop, as SIGTERM would. Any thread, and signal
/// handlers. Does nothing if none runs.
void request_stop();

}  // namespace taffrail::posix
