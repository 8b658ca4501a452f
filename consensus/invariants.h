// What must hold across all replicas of a group, at every moment and over the whole history. Looks
// on from outside: nothing here is known to a replica. docs/invariants.md lists them by name.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "consensus/raft.h"

namespace taffrail {

/// A replica as the checker sees it.
struct ReplicaView {
  ReplicaId id;
  uint64_t incarnation = 0;    ///< Counts the starts of the replica.
  const Raft* raft = nullptr;  ///< Null while it is down.
  /// What a power cut at this moment would leave; null if that is not known. The checks that need
  /// it (I-R9, and half of I-R1, I-R6 and I-R7) are left out then, and I-R8 takes the replicas' word.
  const HardState* durable_hard = nullptr;
  const LogView* durable_log = nullptr;
};

/// Watches one group: call check() after every step of any replica, on_sent() for every message
/// that leaves one. Both give the first violation, "I-R4 committed stays: ...", or nothing. Keeps
/// the ghost state: who led, who voted, what was committed.
class GroupChecker {
 public:
  std::optional<std::string> check(std::span<const ReplicaView> replicas);
  std::optional<std::string> on_sent(ReplicaId from, ReplicaId to, const Message& message,
                                     std::span<const ReplicaView> replicas);

  /// Up to where the group has ever committed, by what was seen.
  LogIndex committed() const { return committed_.last().index; }
  /// The terms of what was committed.
  const LogView& committed_log() const { return committed_; }

  /// The replica of that name left the group and forgot all: another one may come by its name.
  void forget(const ReplicaId& replica);

 private:
  using Violation = std::optional<std::string>;
  struct Seen {
    uint64_t incarnation = 0;
    Term term;
    std::optional<ReplicaId> vote;
    LogIndex commit;
    std::optional<HardState> durable;
    EntryId claim;  ///< The last entry that it said is on its disk.
    std::optional<std::pair<Term, ReplicaId>> hands_over;  ///< In this term, to this one.
    std::optional<std::pair<Term, ReplicaId>> follows;     ///< Likewise.
    Instant leader_heard;
    Instant campaigns_at;
    LogIndex last;
    std::vector<LogView::Membership> memberships;  ///< Found to overlap; not looked at again.
    uint64_t look = 0;  ///< A digest of all that is looked at; 0 before the first look, and while disks are known.
  };
  Violation check_replica(const ReplicaView& replica, std::span<const ReplicaView> replicas);
  Violation check_leader(const ReplicaView& replica, std::span<const ReplicaView> replicas,
                         LogIndex commit_before);
  Violation check_durables(const ReplicaView& replica, Seen& seen);
  Violation check_hand_over(const ReplicaView& replica, Seen& seen);
  Violation check_patience(const ReplicaView& replica, Seen& seen);
  Violation check_memberships(const ReplicaView& replica, Seen& seen);
  Violation extend_committed(const ReplicaView& replica, std::span<const ReplicaView> replicas);
  const LogView::Membership* membership_at(LogIndex index) const;
  Violation check_claimed(const Raft& leader, std::span<const ReplicaView> replicas) const;
  Violation on_acknowledged(const ReplicaView& follower, const AppendReply& reply,
                            std::span<const ReplicaView> replicas);

  std::map<Term, std::pair<ReplicaId, uint64_t>> leaders_;
  std::map<std::pair<ReplicaId, Term>, ReplicaId> votes_;
  std::map<ReplicaId, Seen> seen_;
  LogView committed_;
  std::vector<LogView::Membership> memberships_;  ///< That were committed; ascending.
  bool started_ = false;
  /// Up to which index things were committed by the end of which term; both ascending.
  std::vector<std::pair<Term, LogIndex>> committed_by_;
};

/// Up to where `a` and `b` are known to be the same: the end of the shorter one, or what comes
/// before the first difference.
LogIndex agreed_up_to(const LogView& a, const LogView& b);

/// True if a quorum of one is bound to meet a quorum of the other, counting halves while joint.
/// Tries all subsets: for groups of up to about ten.
bool quorums_meet(const Configuration& a, const Configuration& b);

}  // namespace taffrail
