// One simulated machine and the process on it: shards, their loops, their messages, their clocks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "sim/clock.h"
#include "sim/engine.h"
#include "sim/knobs.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"

namespace taffrail::sim {

class World;

/// What a process does first on each of its shards, outside any fiber: builds its objects and spawns
/// fibers into scopes of theirs. What it returns lives until the process ends, and is destroyed after
/// all fibers are unwound, shard 0 last. May be null.
using NodeMain = std::function<std::shared_ptr<void>(Runtime&)>;

enum class NodeState : uint8_t { kDown, kUp, kPaused };

/// Internal to World, which has the calls that people use.
class Machine final : public EventSink {
 public:
  Machine(World& world, uint32_t number, std::string name, uint32_t shards, uint32_t disks, const DiskKnobs& disk);
  ~Machine() override;

  void start();
  enum class Death : uint8_t { kProcess, kPower };
  void die(Death how);
  void pause();
  void resume();
  void post(uint32_t from, uint32_t to, std::move_only_function<void()> message);
  void request_stop(std::string_view why);
  void set_drift(int32_t ppm);
  /// A fiber of shard `shard` in the process's own scope. The process is up.
  void spawn(uint32_t shard, std::string name, std::function<void(Task&, Runtime&)> body);
  Runtime& runtime(uint32_t shard);

  void on_event(uint64_t a, uint64_t b) override;

  World& world;
  const uint32_t number;
  const std::string name;
  uint32_t shard_count;       ///< Of the process that runs.
  uint32_t next_shard_count;  ///< Of the next one.
  MachineClock clock;
  std::vector<std::unique_ptr<SimDisk>> disks;  ///< Each is a data directory; shard i has disk i % size (NodeShape).
  NodeMain main;
  NodeState state = NodeState::kDown;
  uint64_t incarnation = 0;
  uint32_t slow_factor = 1;
  uint64_t slices = 0;
  bool stop_requested = false;
  std::string stop_reason;
  bool errors_fail = false;  ///< NodeOptions.

 private:
  class NodeScheduler;
  class NodeRuntime;
  class NodeLogger;
  struct Shard;
  enum class What : uint8_t { kStep = 1, kTimer, kMail };

  void push(Instant at, What what, uint32_t shard, uint64_t arg);
  /// The shard has something to do from `at` on; a loop that is busy comes to it later.
  void wake(Shard& shard, Instant at);
  void wake_for_timers(Shard& shard);
  void run_slice(Shard& shard);

  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<NodeLogger> logger_;
};

}  // namespace taffrail::sim
