// Everything a broker may ask of the outside world, and the only way to ask it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/disk.h"
#include "runtime/log.h"
#include "runtime/net.h"
#include "runtime/scheduler.h"

namespace taffrail {

/// One shard of a node: one loop, its fibers, and its way to the world.
///
/// Two implementations: posix/ (epoll, files) and sim/ (one seed, no kernel). Code above this line
/// cannot tell which one it runs on, and there is deliberately no call that would let it.
/// Single-threaded: only the loop's own thread may call, but for post().
class Runtime {
 public:
  explicit Runtime(Scheduler& scheduler) : scheduler_(scheduler) {}
  virtual ~Runtime() = default;
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Monotonic within one run of a node; means nothing to another node.
  virtual Instant now() const = 0;
  /// The same clock read anew: within a turn of a fiber it goes on, where now() may stand. For what work takes
  /// (runtime/work_meter.h), not for deadlines.
  virtual Instant fine_now() = 0;
  /// What a wall clock would say. May jump either way: for timestamps, never for timeouts.
  virtual WallTime wall_now() const = 0;
  /// The only source of randomness. Same seed, same schedule: same numbers.
  virtual Random& random() = 0;
  /// The data directory of this shard (NodeShape).
  virtual Disk& disk() = 0;
  virtual Net& net() = 0;
  virtual Logger& log() = 0;

  /// This shard, and how many the node has. Shards share nothing.
  virtual ShardId shard() const = 0;
  virtual uint32_t shard_count() const = 0;
  /// How many data directories the shards share out among themselves.
  virtual uint32_t directory_count() const { return 1; }
  NodeShape shape() const { return {shard_count(), directory_count()}; }
  uint32_t directory() const { return shape().directory_of(shard()); }
  bool is_first_of_directory() const { return shape().is_first_of_directory(shard()); }
  /// Runs `message` on another shard's loop (or this one's, later), outside any fiber: it must not
  /// wait. Messages between the same two shards keep their order. The only call for any thread.
  virtual void post(ShardId to, std::move_only_function<void()> message) = 0;

  /// Ends this node, as a failed sync demands: nothing is acknowledged or sent after this call. The
  /// caller returns its error; the process, or the simulated node, is gone soon after.
  virtual void stop_node(std::string_view why) = 0;
  /// A named place where a rare but legal thing may be made to happen ("partition.flush_early").
  /// False in production, drawn by the simulator.
  virtual bool fault_point(std::string_view name) = 0;

  /// Starts a fiber owned by `scope`; its body first runs after this call has returned.
  /// `name` appears in logs, stall reports and traces: "partition/orders-3/fetcher".
  void spawn(Scope& scope, std::string name, std::function<void(Task&)> body) {
    scheduler_.spawn(scope, std::move(name), std::move(body));
  }
  /// Waits until `deadline`, or not at all if it has passed. Errors: kCancelled.
  Result<> sleep_until(Task& task, Instant deadline) { return scheduler_.sleep_until(task, deadline); }
  Result<> sleep_for(Task& task, Duration duration) { return sleep_until(task, now() + duration); }
  Scheduler& scheduler() { return scheduler_; }

 private:
  Scheduler& scheduler_;
};

}  // namespace taffrail
