// A consumer group in a scenario: members that read what the writers write, commit, leave, hang, die and come back. What
// they are told goes into a GroupHistory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/group_history.h"
#include "sim/cluster.h"

namespace taffrail::sim {

/// What members speak: the classic protocol, the newer one (KIP-848), or each its own.
enum class GroupProtocol : uint8_t { kClassic, kConsumer, kMixed };

struct GroupWorkloadOptions {
  std::string group = "readers";
  std::string topic = "orders";
  int32_t partitions = 3;
  uint32_t members = 3;
  GroupProtocol protocol = GroupProtocol::kClassic;
  std::function<bool()> ready = {};  ///< Members start when it says so: the topic has to be there.
  Duration trouble = 9_s;  ///< From the start: until then members leave, hang and die.
  Duration retention{};    ///< Of offsets; 0: for ever. Where they expire, everybody is away for a while.
  Duration retention_check{};
  int32_t min_insync = 1;  ///< Of the offsets topic: with less, commits are refused.
};

/// One per scenario; lives on the cluster's client machines.
class GroupWorkload {
 public:
  GroupWorkload(SimCluster& cluster, GroupWorkloadOptions options);
  ~GroupWorkload();

  void start();
  /// False where the offsets topic was not made before a broker went for good: it takes `replicas` to make it.
  bool can_finish(size_t brokers, int16_t replicas) const;
  /// After everything has healed: waits until every partition is owned by one member, then stops the members, and asks what is
  /// committed. The reason if that does not come within `limit`.
  std::optional<std::string> finish(Duration limit);
  /// After that, where offsets expire: waits for as long as they may be kept on clocks that are `spread` apart at most, and
  /// says what is still there.
  std::optional<std::string> await_expiry(Duration spread);
  /// Before the history is checked, with the same `spread`.
  void expect_expiry(Duration spread);

  const GroupHistory& history() const { return history_; }
  /// What a broker told of the counter that was not so; "" if nothing.
  const std::string& false_count() const;
  /// How often one was told.
  uint64_t counts_told() const;

 private:
  struct Progress;
  class Recorder;
  void run_monitor(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress);
  void run_passer_by(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress, BrokerId broker);
  void run_counter(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress);
  template <class Member>
  static void run_member(Task& task, Runtime& runtime, GroupWorkload& self, std::shared_ptr<Progress> progress, uint32_t number);
  bool all_owned() const;
  /// What the group's coordinator says of it, for people.
  std::string told();

  SimCluster& cluster_;
  GroupWorkloadOptions options_;
  GroupHistory history_;
  std::shared_ptr<Progress> progress_;
  std::pair<Instant, Instant> away_;  ///< From when until when no member is there.
};

struct GroupReplicas {
  std::vector<std::string> violations;  ///< By name.
  uint64_t expired = 0;                 ///< Offsets that the log lets go.
};

/// I-G5 in a settled cluster: the groups of every replica are what a replay of its log gives, and the same on all that
/// have applied as much. I-G1 and I-G6 at each entry of each log: nobody holds what another has, and where offsets expire,
/// after `retention`, those that go had their time. Workloads that delete offsets otherwise are none of these.
GroupReplicas check_group_replicas(SimCluster& cluster, Duration retention);

}  // namespace taffrail::sim
