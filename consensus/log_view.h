// What Raft keeps in memory of its log: where terms change and who the members are. No payloads.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/entry.h"
#include "consensus/configuration.h"

namespace taffrail {

/// A log as Raft sees it. Terms never fall along a log, so a log of millions of entries is a
/// handful of runs of one term each; every look-up is a binary search among those.
///
///     prefix()    the last entry known by its id only: a snapshot or the log start covers it
///     first()..   the entries that are held
///     last()      the last of them, or prefix() if there are none
class LogView {
 public:
  /// An empty log behind `prefix`, with the membership in force there.
  explicit LogView(EntryId prefix = {}, Configuration at_prefix = {});

  EntryId prefix() const { return prefix_; }
  LogIndex first() const { return prefix_.index + 1; }
  EntryId last() const;

  /// The term at `index`; nothing if the log does not reach there or the entry's term was
  /// forgotten. Never zero in place of "unknown": a leader that sent it as a previous term would be
  /// believed (R08).
  std::optional<Term> term_at(LogIndex index) const;
  bool contains(EntryId id) const { return term_at(id.index) == id.term; }
  /// The id at `index`, which the log must know.
  EntryId at(LogIndex index) const;

  /// Adds an entry. `id.index` follows the last one; `id.term` is not below the last one's.
  void append(EntryId id);
  /// Adds an entry that holds a membership.
  void append(EntryId id, Configuration configuration);
  /// Cuts `from` and all behind it, memberships included. `from` lies above prefix().
  void truncate_from(LogIndex from);
  /// Forgets everything up to `index`, which must be held or be the prefix itself.
  void drop_prefix(LogIndex index);
  /// Forgets everything: the log is empty behind `prefix`.
  void reset(EntryId prefix, Configuration at_prefix);

  /// The terms below `index` are not known: a hole in the log hides where they begin. What lies there is
  /// committed, so nothing has to be compared with it; term_at() says nothing, and at() is not to be asked.
  void hide_terms_below(LogIndex index);
  /// The first entry from which on terms are known: prefix(), unless some are hidden.
  LogIndex known_from() const { return std::max(prefix_.index, hidden_below_); }

  /// For a request whose previous entry is not here: the last entry at or below it whose term is
  /// not above its term, so that the other side can skip whole terms at a time. Never below
  /// `floor`, or below prefix(), both of which are known to be shared.
  EntryId hint_for(EntryId missing, LogIndex floor) const;
  /// The highest index, not above `hint.index`, that may be shared with a log for which `hint` is
  /// as in hint_for(); nothing if that place was dropped from this log.
  std::optional<LogIndex> shared_below(EntryId hint) const;

  /// The membership in force: the last one in the log, or that of the prefix.
  const Configuration& configuration() const { return configurations_.back().value; }
  /// Where it stands; at or below prefix() if it came from there.
  LogIndex configuration_index() const { return configurations_.back().index; }
  /// True if `replica` votes in the membership in force at `index`, or in any later one of this
  /// log.
  bool is_voter_since(LogIndex index, const ReplicaId& replica) const;
  /// The membership in force at `index`, which lies at or above prefix().
  const Configuration& configuration_at(LogIndex index) const;

  struct Run {
    LogIndex first;
    Term term;
    bool operator==(const Run&) const = default;
  };
  struct Membership {
    LogIndex index;
    Configuration value;
    bool operator==(const Membership&) const = default;
  };
  /// Ascending; the first starts at first().
  std::span<const Run> runs() const { return runs_; }
  /// Ascending; the first is the one in force at the prefix.
  std::span<const Membership> memberships() const { return configurations_; }

  bool operator==(const LogView&) const = default;

 private:
  Term run_at(LogIndex index) const;

  EntryId prefix_;
  LogIndex last_;
  LogIndex hidden_below_;
  std::vector<Run> runs_;
  std::vector<Membership> configurations_;
};

/// The lowest index up to which both logs know terms and differ; nothing if they agree wherever
/// both know. Cost: the runs of both.
std::optional<LogIndex> first_difference(const LogView& a, const LogView& b);

}  // namespace taffrail
