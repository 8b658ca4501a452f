// What a majority is, once, for votes, for matches and for contact times alike.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "consensus/configuration.h"

namespace taffrail {

/// True if more than half of `voters` satisfy `has`. Nobody is not a majority of nobody: an empty
/// set of voters never agrees on anything.
template <class Has>
bool majority_of(std::span<const ReplicaId> voters, Has&& has) {
  size_t count = 0;
  for (const ReplicaId& voter : voters) count += has(voter) ? 1 : 0;
  return count * 2 > voters.size();
}

/// True if a quorum of `configuration` satisfies `has`; while joint, a majority of either half
/// (Raft paper, section 6). Learners are never asked.
template <class Has>
bool quorum_of(const Configuration& configuration, Has&& has) {
  return majority_of(configuration.voters, has) &&
         (!configuration.joint() || majority_of(configuration.old_voters, has));
}

/// The largest value that a majority of `voters` has reached. Precondition: there are voters.
template <class Value, class Reached>
Value majority_value(std::span<const ReplicaId> voters, Reached&& reached) {
  // Nothing is allocated for as many voters as anybody has.
  std::array<Value, 9> few;
  std::vector<Value> many(voters.size() > few.size() ? voters.size() : 0);
  const std::span<Value> values = std::span(many.empty() ? few.data() : many.data(), voters.size());
  std::ranges::transform(voters, values.begin(), reached);
  // Of 2k+1 values in order, the one at k is reached by k+1 of them; of 2k+2 values, by k+2.
  const auto middle = values.begin() + static_cast<ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The largest value that a quorum has reached, `none` if there are no voters at all.
template <class Value, class Reached>
Value quorum_value(const Configuration& configuration, Value none, Reached&& reached) {
  if (configuration.voters.empty()) return none;
  Value value = majority_value<Value>(configuration.voters, reached);
  if (configuration.joint()) {
    value = std::min(value, majority_value<Value>(configuration.old_voters, reached));
  }
  return value;
}

}  // namespace taffrail
