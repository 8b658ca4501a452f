// What only the simulator can see: Raft's properties, watermarks, logs and state of every replica at once.
// docs/invariants.md names each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consensus/invariants.h"
#include "sim/cluster.h"

namespace taffrail::sim {

class WhiteBox {
 public:
  /// Looks after every step of Raft from now on. `prompt`: no fault makes a broker or a link slow.
  WhiteBox(SimCluster& cluster, bool prompt);
  ~WhiteBox();

  /// Whether nothing but a clock has troubled the brokers lately: groups keep their leaders then (I-K1).
  std::function<bool(const PartitionKey&, Instant)> calm;

  /// Cheap checks, for many moments of a run. The first violation, by name.
  std::optional<std::string> check_now();
  /// Everything, when the cluster has settled: reads every log of every replica. By broker, whether faults
  /// have damaged its disk: what such a one cannot read it gets 30 s to have repaired.
  /// One that refuses to start since is left out.
  std::vector<std::string> check_settled(const std::vector<bool>& damaged, const std::function<bool(uint32_t)>& refuses);

  /// When every stored record has been read by a scrub since the last fault: what is damaged is known to whoever has it
  /// (I-S12). By broker, whether it is looked at. The first violation.
  std::optional<std::string> check_scrubbed(const std::vector<bool>& of);

  /// Once every client has closed what it opened: nothing of theirs is left at the brokers. The first violation.
  std::optional<std::string> check_left_behind();

  /// Pieces of logs that were repaired from other replicas.
  uint64_t repairs() const { return repairs_; }
  /// A replica came back without what it had promised, on a disk that lied about a sync: what follows from that is nobody's fault.
  bool lied_unnoticed() const { return lied_unnoticed_; }
  uint64_t elections() const { return elections_; }
  uint64_t truncations() const { return truncations_; }

 private:
  struct Group {
    GroupChecker checker;
    std::map<ReplicaId, std::pair<uint64_t, EntryId>> claimed;  ///< Incarnation and durable end when last seen.
    std::map<ReplicaId, std::pair<uint64_t, EntryId>> on_medium;  ///< Incarnation, and the entry that was looked at last.
    std::map<EntryId, uint32_t> payloads;  ///< Checksums of entries that were looked at on some medium.
    std::map<ReplicaId, HardState> promised;  ///< The latest term, and vote in it, that a message told of.
    std::map<ReplicaId, int64_t> joined;   ///< Which stay of a replica in the group the above is about.
    std::map<Term, BrokerId> leaders;
    std::map<BrokerId, std::pair<uint64_t, EntryId>> last;  ///< By broker: incarnation and log end when last seen.
  };
  void look(const PartitionKey& key, const RaftSent* sent);
  std::optional<std::string> check_claims(Group& group, const PartitionKey& key);
  std::optional<std::string> check_placed(Group& group, const PartitionKey& key, const ReplicaView& view);
  std::optional<std::string> check_restarted(Group& group, const PartitionKey& key, const ReplicaView& view, EntryId claimed);
  std::optional<std::string> check_sent(Group& group, const PartitionKey& key, const RaftSent& sent);
  bool is_durable(uint32_t broker, const RaftGroup& replica, LogIndex index, Group& group);
  bool is_durable(uint32_t broker, const RaftGroup& replica, const HardState& state) const;
  std::optional<std::string> check_partition(uint32_t broker, Partition& partition);
  std::optional<std::string> check_recovery(uint32_t broker);
  std::optional<std::string> check_lonely(uint32_t broker);
  std::optional<std::string> check_names(uint32_t broker);
  std::optional<std::string> check_directories(uint32_t broker);
  std::ptrdiff_t successors(uint32_t broker, const Partition& partition) const;
  std::optional<std::string> check_bad_disk(uint32_t broker, const Partition& partition);
  SimDisk& disk_of(uint32_t broker, const PartitionKey& key) const;
  WalOwner owner_of(uint32_t broker, const RaftGroup& replica) const;
  std::optional<std::string> check_places(uint32_t broker) const;
  std::optional<std::string> check_identity(uint32_t broker) const;
  struct Stored {
    EntryMeta meta;
    uint32_t crc = 0;
    uint32_t broker = 0;
  };
  /// What was applied up to an entry, as bytes, and by whom.
  using States = std::map<std::pair<PartitionKey, LogIndex>, std::pair<uint32_t, Slice>>;
  void compare_state(States& states, const PartitionKey& key, LogIndex at, uint32_t broker, Slice state, std::vector<std::string>& out) const;
  void check_image(Task& task, uint32_t broker, States& states, std::vector<std::string>& out);
  using Logs = std::map<PartitionKey, std::map<LogIndex, Stored>>;
  bool read_logs(uint32_t broker, Logs& logs, States& states, std::vector<std::string>& out, std::string& unreadable);

  SimCluster& cluster_;
  bool prompt_;
  bool lied_unnoticed_ = false;
  std::map<uint32_t, std::pair<uint64_t, Instant>> cut_off_;  ///< By broker that reaches no quorum: incarnation, since when.
  std::map<std::pair<uint32_t, uint32_t>, Instant> failing_;  ///< By broker and shard whose directory failed, with replicas: since when.
  size_t stops_seen_ = 0;
  std::map<uint32_t, std::pair<uint64_t, std::set<BrokerId>>> registered_;  ///< By broker: incarnation, whom it has known to be.
  struct BadDisk {
    uint64_t incarnation = 0;
    Term term;
    bool full = false;
    Instant since;
    Offset end;                    ///< Of the log, then.
    uint32_t grew = 0;             ///< Looks that found more, though full.
    std::optional<Instant> takes;  ///< Since when it has taken more, and somebody could take over.
  };
  std::map<std::pair<uint32_t, PartitionKey>, BadDisk> bad_disks_;  ///< Of leaders, while it lasts.
  std::map<PartitionKey, Group> groups_;
  std::optional<std::string> seen_;  ///< What look() found first.
  std::vector<ReplicaView> views_;
  uint64_t elections_ = 0;
  uint64_t truncations_ = 0;
  uint64_t repairs_ = 0;
  std::map<uint32_t, std::pair<uint64_t, uint64_t>> repairs_seen_;  ///< By broker: incarnation and its count.
};

}  // namespace taffrail::sim
