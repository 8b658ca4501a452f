// Executes a list of faults in a world, and counts which of them somebody really felt.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/world.h"

namespace taffrail::sim {

class Nemesis {
 public:
  struct Options {
    uint32_t brokers = 0;  ///< The first so many machines; 0: all. Only these are started again.
    /// A process that stopped itself is started again after so long, as an init system would.
    Delay restart_stopped{500_ms, 2_s};
    bool restarts_stopped = true;
    /// A broker of which a data directory failed is started again after so long, by its operator.
    Delay repair_directory{500_ms, 2_s};
  };
  /// `machines` are what the faults' numbers mean. Takes World::on_stop. Outlives the run; `world` too.
  Nemesis(World& world, std::vector<NodeId> machines, std::vector<Fault> faults, Options options);
  Nemesis(const Nemesis&) = delete;
  Nemesis& operator=(const Nemesis&) = delete;

  /// Told of each broker that is about to be started again.
  std::function<void(uint32_t)> on_start;
  /// Asked to do what an operator does (kMove, kElect, kRetire), and to say took() when it worked. Without it nothing is done.
  std::function<void(const Fault&)> on_change;
  void took(FaultKind kind) { count(kind, true); }
  /// The operator looks for brokers of which a data directory has failed, by number: `failed` outlives the run.
  void repair_directories(const std::function<bool(uint32_t)>& failed);

  /// Puts the faults into the world's future. Once.
  void release();
  const std::vector<Fault>& faults() const { return faults_; }
  /// How often faults of that kind took effect: a node that was down cannot be killed, and a failing
  /// sync that nobody asked for has not failed.
  uint64_t took_effect(FaultKind kind) const;
  /// "kill 3, isolate 1, ..."; kinds that never took effect are left out.
  std::string summary() const;
  bool healed() const { return healed_; }
  /// Whether a broker that stopped for that reason is not started again. Without it all are.
  std::function<bool(const Stop&)> leaves;
  /// After kHealCore: who must make progress. After kHeal everybody. Without who has left for good.
  const std::vector<NodeId>& core() const { return core_; }

 private:
  void begin(const Fault& fault);
  void end_later(const Fault& fault, std::function<void()> undo);
  void take_down(const Fault& fault, size_t machine);
  std::optional<uint32_t> which_wiped(const Fault& fault, NodeId node);
  void storm(size_t machine, int64_t left, Duration apart);
  void bring_up(size_t machine);
  void block_between(const Fault& fault, const std::vector<std::pair<uint32_t, uint32_t>>& links);
  void begin_partition(const Fault& fault);
  void begin_disk(const Fault& fault, Stream& draws);
  void heal(const Fault& fault);
  void count(FaultKind kind, bool felt) { felt_[static_cast<size_t>(kind)] += felt ? 1 : 0; }
  bool is_up(size_t machine) const { return world_.up(machines_[machine]); }

  World& world_;
  std::vector<NodeId> machines_;
  std::vector<Fault> faults_;
  Options options_;
  std::vector<uint32_t> down_;     // By machine: how many faults keep it down.
  std::vector<uint32_t> stopped_;  // Faults that keep it paused.
  std::array<uint64_t, kFaultKinds> felt_{};
  std::set<uint32_t> repairing_;
  uint64_t age_ = 0;               // Grows with each heal: what was to end then has ended.
  bool healed_ = false;
  std::vector<NodeId> core_;
  std::vector<bool> gone_;         // Down for good.
  std::vector<bool> left_;         // And nobody misses it.
};

}  // namespace taffrail::sim
