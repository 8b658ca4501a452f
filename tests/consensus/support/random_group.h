// A group of replicas in a hostile world that one seed decides: messages are delayed, lost, doubled
// and overtaken, links cut one way or both, disks slow, nodes crash with part of a write done.
// Every step is looked at by the GroupChecker.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/random.h"
#include "consensus/invariants.h"
#include "consensus/support/test_node.h"

namespace taffrail::testing {

struct WorldOptions {
  int nodes = 3;
  int learners = 0;                             ///< Further nodes, which start as learners.
  Duration troubled = Duration::from_ms(6000);  ///< How long faults go on.
  Duration calm = Duration::from_ms(6000);      ///< How long the group has to recover.
  bool membership_changes = true;
  bool snapshots = true;
  bool transfers = true;
  bool tracing = false;  ///< Keep the last lines of what happened. Half of the time goes there.
};

class RandomGroup {
 public:
  RandomGroup(uint64_t seed, WorldOptions options);

  /// Faults, then peace, then a probe write. The first violation, or nothing.
  std::optional<std::string> run();

  uint64_t steps() const { return steps_; }
  LogIndex committed() const { return checker_.committed(); }
  /// How often something happened: "crash", "truncate", "snapshot"...; to see that it did.
  const std::map<std::string, int>& counts() const { return counts_; }
  /// The last things that happened, a line each.
  std::string trace() const;

 private:
  enum class Kind { kDeliver, kSyncDone, kTick, kBeat, kTrouble, kRestart, kSnapshotDone };
  struct Event {
    Kind kind;
    int node = 0;
    uint64_t incarnation = 0;
    Packet packet{};
    SnapshotOffer offer{};
  };
  void at(Instant when, Event event);
  void handle(const Event& event);
  void deliver(const Packet& packet);
  void start_disk(int node);
  void arm(int node);
  void start(int node);
  void crash(int node);
  void trouble();
  void change_members();
  void heal();
  void send(const TestNode& from, Packet packet);
  void note_effect(const TestNode& node, const Effect& effect);
  void look();
  void complain(std::string violation);
  void settle_check();
  bool cut(const ReplicaId& from, const ReplicaId& to) const;
  TestNode& node_of(const ReplicaId& id) { return *nodes_[static_cast<size_t>(id.node.value - 1)]; }
  const TestNode* leader() const;
  /// `line` gives the text, and is asked only when somebody will read it.
  template <class Line>
  void note(Line&& line) {
    if (options_.tracing) add_to_trace(line());
  }
  void add_to_trace(const std::string& line);
  std::vector<ReplicaView> views() const;

  CounterRandom random_;
  WorldOptions options_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  std::map<std::pair<Instant, uint64_t>, Event> events_;
  uint64_t next_event_ = 0;
  Instant now_;
  bool peaceful_ = false;
  std::set<std::pair<int, int>> cut_;  ///< Links from a node to a node that lose everything.
  uint64_t loss_per_mille_ = 0;
  std::vector<Duration> disk_delay_;
  std::vector<Instant> armed_;
  GroupChecker checker_;
  std::map<EntryId, uint64_t> identity_;  ///< The payload of every entry that a leader ever made.
  uint64_t payloads_ = 0;
  uint64_t steps_ = 0;
  std::optional<std::string> violation_;
  std::deque<std::string> trace_;
  std::map<std::string, int> counts_;
};

}  // namespace taffrail::testing
