// A seed instead of a world: machines, disks, links and clocks in one thread, and every open decision
// drawn from the tape. Same seed and same code: same history, same trace hash, everywhere.
//
//   World world(seed);
//   const NodeId a = world.add_node();                 // "n1"
//   world.start(a, [](Runtime& rt) { return std::make_shared<Broker>(rt); });
//   world.run_until([&] { return ...; }, 20_s);
//   world.power_cut(a);
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "runtime/runtime.h"
#include "sim/engine.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"

namespace taffrail::sim {

/// A machine of the world; the first is 0 and is called "n1".
using NodeId = Id<struct NodeIdTag, uint32_t>;

struct NodeOptions {
  std::string name = {};  ///< Resolves on the network; "" is "n<number + 1>".
  uint32_t shards = 1;
  uint32_t disks = 1;     ///< Data directories; not more than it ever has shards.
  std::optional<DiskKnobs> disk = {};  ///< Unlike the others'.
  bool errors_fail = false;  ///< What it logs as an error ends the run: a client that was answered nonsense.
};

/// A process that called Runtime::stop_node.
struct Stop {
  NodeId node;
  Instant at;  ///< World time.
  std::string why;
};

class World {
 public:
  /// `stacks`: for the fibers of all its nodes, so that worlds that follow one another reuse them.
  explicit World(uint64_t seed, const Knobs& knobs = {}, std::shared_ptr<StackPool> stacks = nullptr);
  /// Knobs drawn from the seed.
  static std::unique_ptr<World> drawn(uint64_t seed, std::shared_ptr<StackPool> stacks = nullptr);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Time. Nothing happens but in these calls. Each stops early on failure().

  Instant now() const { return engine_.now(); }
  void run_for(Duration duration) { run_to(now() + duration); }
  void run_to(Instant at);
  /// Until `done` holds, asked after every event, or `limit` has passed; gives what it said last.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// A fiber on a node that is up, until it ends; false if that took longer than `limit`, or it died.
  bool run_fiber(NodeId node, std::function<void(Task&, Runtime&)> body, Duration limit = 60_s);
  /// The same, left to run.
  void spawn(NodeId node, std::string name, std::function<void(Task&, Runtime&)> body);
  /// Outside any fiber, at that moment of the world; the only way for a fiber to reach the calls below.
  void at(Instant when, std::function<void()> what);
  void after(Duration delay, std::function<void()> what) { at(now() + delay, std::move(what)); }

  // Machines. Called from inside a fiber, these take effect once it waits.

  NodeId add_node(NodeOptions options = {});
  uint32_t node_count() const { return static_cast<uint32_t>(nodes_.size()); }
  const std::string& name(NodeId node) const { return nodes_[node.value]->name; }
  /// A new process. With a null main, a machine for spawn() and run_fiber().
  void start(NodeId node, NodeMain main = nullptr);
  /// From its next start on it has so many shards.
  void set_shards(NodeId node, uint32_t count) { nodes_[node.value]->next_shard_count = count == 0 ? 1 : count; }
  /// Again, with the main it had; kills it first if it runs.
  void restart(NodeId node);
  /// kill -9: fibers unwind, the page cache stays, the kernel closes the sockets.
  void kill(NodeId node);
  /// The machine loses power: only the durable image stays, and nobody is told.
  void power_cut(NodeId node);
  void power_cut_all();
  /// Power goes and the disks come back empty; with `disk` only that one.
  void wipe(NodeId node, std::optional<uint32_t> disk = {});
  void pause(NodeId node);
  void resume(NodeId node);
  /// Every turn of a fiber takes `factor` times as long; 1 is normal.
  void slow(NodeId node, uint32_t factor);
  bool up(NodeId node) const { return nodes_[node.value]->state != NodeState::kDown; }
  bool paused(NodeId node) const { return nodes_[node.value]->state == NodeState::kPaused; }
  /// Counts the starts of the node.
  uint64_t incarnation(NodeId node) const { return nodes_[node.value]->incarnation; }
  void jump_clock(NodeId node, Duration by);
  void set_clock_drift(NodeId node, int32_t ppm);

  // Links, by whole machines. Blocks nest.

  void block(NodeId from, NodeId to);
  void unblock(NodeId from, NodeId to);
  /// Both ways between that node and every other.
  void isolate(NodeId node);
  /// Every link carries again, every disk works again, every clock runs straight, every paused node
  /// goes on. What is damaged, down or lost stays so.
  void heal();

  // Looking. None of these changes what happens.

  Runtime& runtime(NodeId node, uint32_t shard = 0) { return nodes_[node.value]->runtime(shard); }
  SimDisk& disk(NodeId node, uint32_t number = 0) { return *nodes_[node.value]->disks[number]; }
  uint32_t disk_count(NodeId node) const { return static_cast<uint32_t>(nodes_[node.value]->disks.size()); }
  SimNet& net() { return net_; }
  Tape& tape() { return engine_.tape; }
  Trace& trace() { return engine_.trace; }
  Engine& engine() { return engine_; }
  const Knobs& knobs() const { return knobs_; }
  /// The world's own knobs for what is not on a machine: workloads and tests draw here.
  Stream& stream(StreamKind kind, uint32_t a = 0, uint32_t b = 0) {
    return engine_.tape.stream({.kind = kind, .a = a, .b = b});
  }
  Hash128 hash() const { return engine_.trace.hash(); }
  uint64_t events() const { return engine_.events(); }
  uint64_t seed() const { return engine_.tape.seed(); }
  const std::vector<Stop>& stops() const { return stops_; }
  /// Called, outside any fiber, after a process has stopped itself: whoever supervises it may restart it.
  void on_stop(std::function<void(NodeId)> call) { on_stop_ = std::move(call); }
  /// Why the world stopped by itself: a livelock, too many events. Or what fail_run() was told.
  const std::optional<std::string>& failure() const { return failure_; }
  /// Ends the run: a checker found something. The first reason stays.
  void fail_run(std::string why);
  /// How often each fault point said yes.
  const std::map<std::string, uint64_t, std::less<>>& fault_points_fired() const { return fired_; }
  /// What a failing CHECK prints behind its message, to run this again; "seed <n>" unless set.
  void set_replay_token(std::string token) { replay_token_ = std::move(token); }
  const std::string& replay_token() const { return replay_token_; }

 private:
  friend class Machine;
  class Calls;
  class Running;

  bool step();
  void settle();
  bool defer(std::function<void()> call);
  bool fault_point(std::string_view name);

  std::shared_ptr<StackPool> stacks_;
  Engine engine_;
  Knobs knobs_;
  SimNet net_;
  std::vector<std::unique_ptr<Machine>> nodes_;
  std::unique_ptr<Calls> calls_;
  bool in_slice_ = false;
  bool stop_pending_ = false;
  std::vector<Stop> stops_;
  std::function<void(NodeId)> on_stop_;
  std::optional<std::string> failure_;
  struct FaultPoint {
    Stream* draws;
    bool enabled;
  };
  std::map<std::string, FaultPoint, std::less<>> points_;
  std::map<std::string, uint64_t, std::less<>> fired_;
  std::string replay_token_;
};

}  // namespace taffrail::sim
