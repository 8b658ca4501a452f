// The real world, as one shard of a node sees it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "posix/counters.h"
#include "posix/disk.h"
#include "posix/disk_queue.h"
#include "posix/logger.h"
#include "posix/loop.h"
#include "posix/net.h"
#include "runtime/runtime.h"

namespace taffrail::posix {

/// What the shards of a node have in common. Filled before the first shard runs.
struct NodeShared {
  explicit NodeShared(LogSink& sink) : log(sink) {}
  LogSink& log;
  ListenerGroups listeners;
  std::vector<Loop*> loops;  ///< By shard.
};

class PosixRuntime final : public Runtime {
 public:
  struct Options {
    ShardId shard;
    uint32_t shard_count = 1;
    uint32_t directory_count = 1;
    int data_dir = -1;  ///< An open directory, which outlives the runtime; -1: there is none, and every call fails.
    uint32_t disk_threads = 4;
    std::string congestion;
  };
  /// `loop` and `node` outlive this.
  PosixRuntime(Loop& loop, NodeShared& node, const Options& options);

  Instant now() const override { return loop_.now(); }
  Instant fine_now() override { return monotonic_now(); }
  WallTime wall_now() const override;
  Random& random() override { return random_; }
  Disk& disk() override { return disk_; }
  Net& net() override { return net_; }
  Logger& log() override { return log_; }
  ShardId shard() const override { return options_.shard; }
  uint32_t shard_count() const override { return options_.shard_count; }
  uint32_t directory_count() const override { return options_.directory_count; }
  void post(ShardId to, std::move_only_function<void()> message) override;
  /// Writes `why` to the log and ends the process with status 70 (EX_SOFTWARE) before it returns:
  /// no destructor, no other thread gets to say anything more to anybody.
  void stop_node(std::string_view why) override;
  bool fault_point(std::string_view) override { return false; }

  const Counters& counters() const { return loop_.counters(); }
  Loop& loop() { return loop_; }
  /// For what only a process has and may block (runtime/host.h).
  DiskQueue& blocking_calls() { return queue_; }

 private:
  Loop& loop_;
  NodeShared& node_;
  const Options options_;
  ShardLogger log_;
  CounterRandom random_;
  ThreadDiskQueue queue_;
  PosixDisk disk_;
  PosixNet net_;
};

}  // namespace taffrail::posix
