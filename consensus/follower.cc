// The receiving side of replication.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "consensus/raft.h"

namespace taffrail {

namespace {

// Indices continue, terms never fall nor exceed the sender's, and each membership came decoded.
bool well_formed(const AppendRequest& request) {
  EntryId before = request.prev;
  size_t configurations = 0;
  if (before.index.value < 0 || before.term > request.term) return false;
  for (const EntryMeta& entry : request.entries) {
    if (entry.index != before.index + 1 || entry.term < before.term) return false;
    if (entry.term > request.term) return false;
    configurations += entry.kind == EntryKind::kConfig ? 1 : 0;
    before = entry.id();
  }
  return configurations == request.configurations.size();
}

}  // namespace

// A sign of life of `from` as the leader of the current term. False if that cannot be.
bool Raft::follow(ReplicaId from, Instant heard, Instant now, Effects& out) {
  if (role_ == Role::kLeader || (leader_ && *leader_ != from)) {
    out.quarantine("I-R1 one leader per term", from,
                   fmt::format("term {} is led by node {}, node {} says it leads", term_.value,
                               leader_->node.value, from.node.value));
    return false;
  }
  if (role_ != Role::kFollower || !leader_) become_follower(term_, from, now, out);
  heard_leader(heard);
  return true;
}

// AppendEntries: Raft paper (extended version), figure 2, receiver rules 2 to 5. Rule 1, stale
// terms, is settled in step() for every message, so no handler can forget it.
void Raft::on_append(ReplicaId from, const AppendRequest& request, Instant now, Effects& out) {
  if (!follow(from, now, now, out)) return;
  if (!well_formed(request)) {
    return out.quarantine("I-R3 log matching", from, "entries do not continue one another");
  }
  // Rule 2. What lies below the prefix, or where a hole hides it, is committed, hence shared, whatever
  // its term was.
  if (request.prev.index >= log_.known_from() && !log_.contains(request.prev)) {
    if (request.prev.index <= commit_) {
      return out.quarantine("I-R4 committed stays", from,
                            fmt::format("entry {} is committed with another term than {}",
                                        request.prev.index.value, request.prev.term.value));
    }
    return out.send(from, AppendReply{.term = term_,
                                      .serial = request.serial,
                                      .hint = log_.hint_for(request.prev, commit_)});
  }
  if (PLANT("P05")) advance_commit(std::min(request.commit, log_.last().index), out);  // Of a tail that is about to be cut.
  if (!accept_entries(from, request, out)) return;

  const LogIndex last_new = request.last();
  advance_commit(std::min(request.commit, last_new), out);  // Rule 5.
  // Not the end of this log: behind last_new there may be entries of an earlier leader's, which
  // this one has never seen.
  const AppendReply reply{.term = term_,
                          .serial = request.serial,
                          .ok = true,
                          .match = PLANT("R07") ? log_.last().index : last_new};
  PLANT("R06") ? out.send(from, reply) : out.send_once_durable(from, reply);
}

// Rules 3 and 4. Only a real conflict cuts the log: the network may deliver an old request after a
// newer one, and cutting for it would drop entries this replica has promised to keep.
bool Raft::accept_entries(ReplicaId from, const AppendRequest& request, Effects& out) {
  const std::vector<EntryMeta>& entries = request.entries;
  size_t skip = 0;
  size_t configurations = 0;
  for (; skip < entries.size(); ++skip) {
    const EntryMeta& entry = entries[skip];
    if (entry.index >= log_.known_from() && !log_.contains(entry.id())) break;
    configurations += entry.kind == EntryKind::kConfig ? 1 : 0;
  }
  if (skip == entries.size()) return true;

  const LogIndex fresh = entries[skip].index;
  if (fresh <= commit_) {
    // Two histories of what is committed: one of us was restored from elsewhere. This replica keeps
    // its own.
    out.quarantine("I-R4 committed stays", from,
                   fmt::format("entry {} is committed, and another one was sent", fresh.value));
    return false;
  }
  if (fresh <= log_.last().index) {
    log_.truncate_from(fresh);
    ++cuts_;
    durable_ = std::min(durable_, fresh - 1);
    out.truncate_from(fresh);
  }
  for (size_t i = skip; i < entries.size(); ++i) {
    if (entries[i].kind == EntryKind::kConfig) {
      log_.append(entries[i].id(), request.configurations[configurations++]);
    } else {
      log_.append(entries[i].id());
    }
  }
  out.accept(fresh, entries.back().index);
  // The leader's log up to its own term's first entry held everything that was committed; so does
  // this one now, whatever its end may have lost.
  if (possibly_longer_ && log_.last().term == term_) settle_tail(out);
  return true;
}

void Raft::advance_commit(LogIndex to, Effects& out) {
  if (to <= commit_) return;
  CHECK(to <= log_.last().index, "only what is held is committed");
  commit_ = to;
  out.commit_advanced(commit_);
}

void Raft::on_commit_notice(ReplicaId from, const CommitNotice& notice, Instant now, Effects& out) {
  if (!follow(from, now, now, out)) return;
  // Holding that very entry means holding the leader's log up to it (log matching). Otherwise
  // entries are on their way, and bring the commit index along.
  if (log_.contains(notice.commit)) advance_commit(notice.commit.index, out);
}

void Raft::on_snapshot_offer(ReplicaId from, const SnapshotOffer& offer, Instant now,
                             Effects& out) {
  if (!follow(from, now, now, out)) return;
  // A leader offers what it has applied, so a log that reaches there needs to be told of the commit
  // only.
  if (log_.contains(offer.last)) advance_commit(offer.last.index, out);
  if (offer.last.index > commit_) return out.fetch_snapshot(from, offer);
  out.send_once_durable(from, SnapshotReply{.term = term_, .match = commit_});
}

bool Raft::on_snapshot_installed(EntryId last, const Configuration& configuration, Instant now,
                                 Effects& out) {
  // A download that took so long that the log overtook it.
  if (last.index <= commit_ && !PLANT("R21")) return false;
  if (log_.contains(last)) {
    log_.drop_prefix(last.index);
    durable_ = std::max(durable_, last.index);
  } else {
    // Begun in an earlier term, and this replica leads by now: its own log is the truth.
    if (role_ == Role::kLeader) return false;
    log_.reset(last, configuration);
    ++cuts_;
    durable_ = last.index;
  }
  commit_ = last.index;
  out.commit_advanced(commit_);
  if (role_ == Role::kLeader) {
    lead_commit(now, out);
  } else if (leader_) {
    out.send_once_durable(*leader_, SnapshotReply{.term = term_, .match = last.index});
  }
  return true;
}

}  // namespace taffrail
