// The way from one membership to another: new voters learn first, then all change at once, jointly.
#pragma once

#include <span>
#include <vector>

#include "consensus/configuration.h"

namespace taffrail {

/// A member as its leader sees it.
struct MemberProgress {
  ReplicaId replica;
  LogIndex match;      ///< Durable there.
  bool heard = false;  ///< A short while ago.
};

struct MembershipStep {
  enum class Kind : uint8_t { kDone, kWait, kChange };
  Kind kind = Kind::kWait;
  std::vector<ReplicaId> voters{};  ///< kChange: what to propose.
  std::vector<ReplicaId> learners{};
};

/// How far behind the commit index a learner may be when it gets its vote. Until it holds the rest, the new majority may
/// have to wait for it: that many entries are on their way in any busy group.
inline constexpr int64_t kLearnerLagMax = 100;

/// The next step from `now` to `voters` and `learners`; pure. Nobody gets a vote before it holds what is committed, so
/// no step makes a group wait for a replica that is still empty, and nobody before it holds the entry of `now`, at `since`:
/// until its log reaches what made it a learner it does not vote (Raft::Options::joined). Nor does anybody lose its vote
/// while most of those who would be left are silent: they could not so much as commit that. Those who are the members already
/// are so by `revision` only when `now` says that: a leader that knows an older assignment would still follow that one.
/// `settled`: Raft::members_settled.
MembershipStep next_membership_step(const Configuration& now, LogIndex since, bool settled, LogIndex commit,
                                    std::span<const MemberProgress> members, std::vector<ReplicaId> voters,
                                    std::vector<ReplicaId> learners, int64_t revision);

}  // namespace taffrail
