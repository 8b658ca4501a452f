// Who is a member of a Raft group, and in which capacity.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"

namespace taffrail {

/// A membership. Takes effect on a replica as soon as its entry is in that replica's log, committed
/// or not, and ceases to when the entry is cut off again (Raft paper, section 6).
///
/// While `old_voters` is not empty the group is *joint*: it is on its way from `old_voters` to
/// `voters`, and elections and commits need a majority of both. Learners receive the log, and are
/// asked nothing. All three lists are sorted and without doubles; a learner is not among `voters`,
/// but while joint may be among `old_voters`: it votes until the change is done.
struct Configuration {
  std::vector<ReplicaId> voters{};
  std::vector<ReplicaId> old_voters{};
  std::vector<ReplicaId> learners{};
  /// Of the assignment that it carries out; 0: the group's first. Never falls along a log.
  int64_t revision = 0;

  bool joint() const { return !old_voters.empty(); }
  /// A voter of either half.
  bool is_voter(const ReplicaId& replica) const;
  bool is_member(const ReplicaId& replica) const {
    return is_voter(replica) || is_learner(replica);
  }
  /// Receives the log, and has no vote.
  bool is_learner(const ReplicaId& replica) const;
  /// All that are sent the log, sorted, each once.
  std::vector<ReplicaId> members() const;
  bool empty() const { return voters.empty() && learners.empty(); }
  /// "1,2,3 old 1,2,4 learners 5": node ids only, for logs and tests.
  std::string text() const;

  bool operator==(const Configuration&) const = default;
};

/// Sorted and without doubles, as the lists of a Configuration are.
std::vector<ReplicaId> sorted_replicas(std::vector<ReplicaId> replicas);

/// True if the lists keep to what Configuration says of them and there is at least one voter.
bool well_formed(const Configuration& configuration);

/// The payload of a kConfig entry.
Slice encode_configuration(const Configuration& configuration);
/// The inverse, from bytes that cannot be trusted. Errors: kCorrupt; kUnsupported for a newer
/// format.
Result<Configuration> decode_configuration(ByteView bytes);

/// As part of a larger message.
void write_configuration(ByteWriter& out, const Configuration& configuration);
Result<Configuration> read_configuration(ByteReader& in);

void write_replica(ByteWriter& out, const ReplicaId& replica);
ReplicaId read_replica(ByteReader& in);

}  // namespace taffrail
