#include "consensus/membership.h"

#include <algorithm>

#include "base/plant.h"

namespace taffrail {

MembershipStep next_membership_step(const Configuration& now, LogIndex since, bool settled, LogIndex commit,
                                    std::span<const MemberProgress> members, std::vector<ReplicaId> voters,
                                    std::vector<ReplicaId> learners, int64_t revision) {
  using Kind = MembershipStep::Kind;
  voters = sorted_replicas(std::move(voters));
  learners = sorted_replicas(std::move(learners));
  if (!settled && !PLANT("R15")) return {Kind::kWait};
  if (now.voters == voters && now.learners == learners) {
    if (now.revision >= revision || PLANT("R73")) return {Kind::kDone};
    return {Kind::kChange, std::move(voters), std::move(learners)};
  }

  const auto votes = [&](const ReplicaId& replica) {
    return std::binary_search(now.voters.begin(), now.voters.end(), replica);
  };
  // Somebody who just began to lead takes all for heard: who holds something has said so.
  const auto there = [&](const ReplicaId& replica) {
    const auto at = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.replica == replica; });
    return at != members.end() && at->heard && at->match > LogIndex(0) ? &*at : nullptr;
  };
  const auto caught_up = [&](const ReplicaId& replica) {
    const MemberProgress* at = there(replica);
    return at != nullptr && at->match >= since && commit - at->match <= kLearnerLagMax;
  };
  if (std::all_of(voters.begin(), voters.end(), [&](const auto& v) { return votes(v) || caught_up(v); })) {
    // Who leaves may be one of the last that are there.
    const auto stay = static_cast<size_t>(std::count_if(voters.begin(), voters.end(), there));
    if (voters != now.voters && stay <= voters.size() / 2 && !PLANT("R71")) return {Kind::kWait};
    return {Kind::kChange, std::move(voters), std::move(learners)};
  }

  std::vector<ReplicaId> learning;
  for (const auto* wanted : {&voters, &learners})
    std::copy_if(wanted->begin(), wanted->end(), std::back_inserter(learning), [&](const auto& r) { return !votes(r); });
  learning = sorted_replicas(std::move(learning));
  if (learning == now.learners) return {Kind::kWait};
  return {Kind::kChange, now.voters, std::move(learning)};
}

}  // namespace taffrail
