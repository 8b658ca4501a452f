// What the replicas of one group tell each other. Each message travels with its group and both
// replicas named outside of it (wire.h); payloads travel beside the metas, in the same order.
#pragma once

#include <variant>
#include <vector>

#include "base/entry.h"
#include "consensus/configuration.h"

namespace taffrail {

/// RequestVote, and with `pre` the question whether asking would be of use (Raft thesis, 9.6).
struct VoteRequest {
  Term term{};     ///< The candidate's; with `pre` the term it would campaign in.
  EntryId last{};  ///< The end of its log.
  bool pre = false;
  bool transfer = false;  ///< The leader asked for this election: do not protect it.
  bool operator==(const VoteRequest&) const = default;
};

struct VoteReply {
  Term term{};  ///< The voter's; of a granted pre-vote, the term that was asked for.
  bool pre = false;
  bool granted = false;
  bool operator==(const VoteReply&) const = default;
};

/// AppendEntries. Without entries it asks whether `prev` is held, and tells the commit index.
struct AppendRequest {
  Term term{};
  uint64_t serial = 0;  ///< Counts the requests of this leader to this replica, from 1 on.
  EntryId prev{};
  LogIndex commit{};
  std::vector<EntryMeta> entries{};  ///< Indexes continue from `prev`.
  /// The decoded payloads of the kConfig entries among `entries`, in order. Not sent twice: the
  /// receiver takes them from the payloads (wire.h, fill_configurations) before it calls Raft.
  std::vector<Configuration> configurations{};
  LogIndex last() const { return prev.index + static_cast<int64_t>(entries.size()); }
  bool operator==(const AppendRequest&) const = default;
};

struct AppendReply {
  Term term{};
  uint64_t serial = 0;  ///< The request's; 0 answers none, and only tells the term.
  bool ok = false;
  LogIndex match{};  ///< If ok: this log equals the leader's up to here, and is durable up to here.
  EntryId hint{};    ///< If not: where the two logs may still agree (LogView::hint_for).
  bool operator==(const AppendReply&) const = default;
};

/// "This entry is committed", when there is nothing else to send. No reply.
struct CommitNotice {
  Term term{};
  EntryId commit{};  ///< A follower that does not hold this very entry ignores the notice.
  bool operator==(const CommitNotice&) const = default;
};

/// "Campaign at once": the end of a leadership transfer (Raft thesis, 3.10).
struct TimeoutNow {
  Term term{};
  bool operator==(const TimeoutNow&) const = default;
};

/// InstallSnapshot: what the leader would send. The state itself is moved by the drivers.
struct SnapshotOffer {
  Term term{};
  EntryId last{};                 ///< The last entry that the snapshot covers.
  Configuration configuration{};  ///< In force there, joint or not.
  bool operator==(const SnapshotOffer&) const = default;
};

struct SnapshotReply {
  Term term{};
  LogIndex match{};  ///< Durable and equal to the leader's log up to here: by the snapshot, or
                     ///< without it.
  bool operator==(const SnapshotReply&) const = default;
};

/// "Does your log reach beyond this?": asked by a replica that may have lost the end of its log to
/// damage, and may not vote for a shorter one before it knows (Raft::set_possibly_longer). Terms on
/// both are told, not adopted.
struct TailQuery {
  Term term{};
  EntryId last{};  ///< Where the asking log ends now.
  bool operator==(const TailQuery&) const = default;
};

struct TailAnswer {
  Term term{};
  EntryId asked{};
  EntryId last{};  ///< Where the answering log ends. Not beyond `asked`: whatever was lost, it is
                   ///< not here.
  bool doubtful = false;  ///< The answering log may have lost its own end: it proves nothing.
  std::vector<ReplicaId> voters{};  ///< As the answering log knows them last: who lost its end may have lost these, too.
  bool operator==(const TailAnswer&) const = default;
};

/// What a node says of a replica on the disk that it had before: gone. It answers for an entry of no term, as nobody asks
/// about one: without that, an empty log that is in doubt would say the same.
TailAnswer answer_for_old_disk();

using Message = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, CommitNotice,
                             TimeoutNow, SnapshotOffer, SnapshotReply, TailQuery, TailAnswer>;

inline Term term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

}  // namespace taffrail
