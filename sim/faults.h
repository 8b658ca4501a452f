// Faults as a list: drawn from a profile before a run, then executed as written. A failing run is
// therefore a scenario that people can read, edit, shrink and keep (docs/simulation.md, "Scenario files").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "sim/tape.h"

namespace taffrail::sim {

enum class FaultKind : uint8_t {
  kKill,          ///< kill -9 of nodes[0]; again after `duration`.
  kPowerCut,      ///< Power loss of nodes[0]; again after `duration`.
  kPowerCutAll,   ///< Of every broker at once.
  kRestartStorm,  ///< nodes[0] is killed `amount` times, `duration` apart.
  kPause,         ///< nodes[0] stands still for `duration`; its kernel does not.
  kSlowCpu,       ///< Turns of nodes[0] take `amount` times as long.
  kWipe,          ///< nodes[0] loses power and its disk; again after `duration`, empty.
  kIsolate,       ///< nodes[0] from everybody; amount 1: from the other brokers, clients still reach it.
  kSplit,         ///< nodes from everybody else.
  kOneWay,        ///< nodes[0] is not heard by nodes[1], who is heard.
  kBridge,        ///< nodes[1...] and the rest see each other only through nodes[0].
  kLinkSlow,      ///< Between nodes[0] and nodes[1], `amount` times.
  kConnReset,     ///< Connections between nodes[0] and nodes[1] end.
  kHalfOpen,      ///< They carry nothing any more, and nobody is told.
  kDiskSlow,      ///< nodes[0], `amount` times.
  kStuckSync,     ///< Syncs of nodes[0] take until `duration` is over.
  kSyncFail,      ///< The next `amount` syncs of nodes[0] fail, their pages count as clean.
  kReadError,     ///< The next `amount` reads.
  kWriteError,    ///< The next `amount` writes.
  kBadPage,       ///< Drawn pages of nodes[0] cannot be read until they are written.
  kDiskFull,      ///< `amount` bytes are left on nodes[0].
  kBitRot,        ///< `amount` bits flip within each of some pages at rest.
  kMisdirected,   ///< Of the next syncs `amount` pages land elsewhere.
  kLostWrite,     ///< Of the next syncs `amount` pages land nowhere.
  kClockJump,     ///< The wall clock of nodes[0] moves by `amount` ms.
  kClockDrift,    ///< The clocks of nodes[0] run `amount` ppm fast.
  kHeal,          ///< Everything that can heal does, every broker runs.
  kHealCore,      ///< Only `nodes` and what is between them; amount: 0 the others heal too, 1 they lose
                  ///< power for good, 2 they are cut off for good.
  // Not faults, but what an operator does while there are some.
  kMove,          ///< Partition `amount` of the workload's topic moves to nodes.
  kElect,         ///< It gets its preferred leader.
  kRetire,        ///< nodes[0] is to give up its leaderships (amount 1), or its replicas too, and to leave (2); or to stay (0).
  // What becomes of files behind a broker's back: nodes[0] is killed; again after `duration`.
  kTruncate,      ///< One of its files is shorter then.
  kDelete,        ///< One is gone.
};
inline constexpr size_t kFaultKinds = static_cast<size_t>(FaultKind::kDelete) + 1;

/// "power_cut".
std::string_view fault_kind_name(FaultKind kind);

struct Fault {
  uint32_t id = 0;  ///< Names its stream: taking other faults away changes nothing for this one.
  FaultKind kind = FaultKind::kKill;
  Instant at{};
  Duration duration{};           ///< 0: at once over, or, for a node that goes down, for good.
  std::vector<uint32_t> nodes{}; ///< Machines: brokers from 0, clients behind them.
  int64_t amount = 0;

  bool operator==(const Fault&) const = default;
  /// "fault 7 one_way nodes=1,3 at=1500ms for=2s amount=0"; machines count from 1, as their names do.
  std::string text() const;
};

/// One line each. Errors of parse_faults: kInvalid with the line. Empty lines and "#..." are skipped.
std::string print_faults(const std::vector<Fault>& faults);
Result<std::vector<Fault>> parse_faults(std::string_view text);

enum class RunKind : uint8_t {
  kSurvivable,  ///< Of no log are more than a minority of the replicas ever damaged or wiped.
  kAny,         ///< As many faults as it gives, anywhere; only safety can be asked for.
  kLiveness,    ///< Survivable, and at `heal_at` a random majority heals and must make progress.
};
std::string_view run_kind_name(RunKind kind);

struct Profile {
  RunKind run = RunKind::kSurvivable;
  uint32_t brokers = 3;
  uint32_t replicas = 3;              ///< Of whatever has the fewest: survivable damage leaves a majority of them.
  uint32_t clients = 0;
  Instant from{};                     ///< No fault before.
  Instant heal_at = Instant{} + 10_s; ///< None begins after.
  uint32_t faults_max = 20;
  bool damage = true;                 ///< Disks may be damaged at all.

  /// Whether `kind` damages a disk, and therefore counts against the budget.
  static bool damages(FaultKind kind);
};

/// The faults of one run: by swarm (each kind is absent from about half of all runs), within the
/// profile's budget, sorted by time, the last one a heal. One in three begins soon after another ended: what
/// recovers is hit while it recovers.
std::vector<Fault> expand(const Profile& profile, Tape& tape);

/// What an operator does in the meantime with a topic of so many partitions and profile.replicas replicas, and, of more
/// brokers than that, with one of them; put among `faults` by time. Drawn from streams of its own: the faults stay what
/// they were, but some strike when a change has just begun.
void add_changes(const Profile& profile, uint32_t partitions, Tape& tape, std::vector<Fault>& faults);

}  // namespace taffrail::sim
