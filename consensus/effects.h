// What Raft wants done: the whole of its influence on the world.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "consensus/messages.h"

namespace taffrail {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
/// "follower", "pre-candidate", "candidate", "leader".
std::string_view role_name(Role role);

/// The effects of one input, in the order in which they were decided and are to be carried out.
///
/// "Durable" below is about this group only, and covers all PersistHardState, TruncateFrom, Accept
/// and local appends that came before.
namespace effect {

/// Send at once; may be lost.
struct Send {
  ReplicaId to;
  Message message;
  bool operator==(const Send&) const = default;
};

/// Send once everything before it is durable: votes and acknowledgements are promises. If Raft's
/// term is no longer term_of(message) by then, *drop it*: a promise of a term that is over must not
/// leave (an acknowledgement of entries that a later leader has cut off since would be a lie). `to`
/// may be this replica itself: its own vote counts when it is durable, like any other; hand it to
/// step() then.
struct SendOnceDurable {
  ReplicaId to;
  Message message;
  bool operator==(const SendOnceDurable&) const = default;
};

/// Make durable, replacing what was there.
struct PersistHardState {
  HardState state;
  bool operator==(const PersistHardState&) const = default;
};

/// Cut the log from `from` on, and make that durable.
struct TruncateFrom {
  LogIndex from;
  bool operator==(const TruncateFrom&) const = default;
};

/// Append the entries `first` to `last`, both included, of the AppendRequest being stepped, and
/// make them durable. They continue the log.
struct Accept {
  LogIndex first;
  LogIndex last;
  bool operator==(const Accept&) const = default;
};

/// Append one entry of the leader's own (kNoop or kConfig) to the log, then call Raft::append with
/// it.
struct AppendOwn {
  EntryKind kind = EntryKind::kNoop;
  Configuration configuration;  ///< Of a kConfig entry; its payload is encode_configuration of it.
  bool operator==(const AppendOwn&) const = default;
};

/// Everything up to `commit` is committed. Never falls.
struct CommitAdvanced {
  LogIndex commit;
  bool operator==(const CommitAdvanced&) const = default;
};

/// Role, term or known leader changed. A leader hands out its own term's AppendOwn right after.
struct RoleChanged {
  Role role = Role::kFollower;
  Term term;
  std::optional<ReplicaId> leader;
  bool operator==(const RoleChanged&) const = default;
};

/// Another replica contradicts what this one knows. The message that did had no other effect;
/// whether the replica stops is for the driver to decide.
struct Quarantine {
  std::string_view invariant;  ///< "I-R4 committed stays"
  ReplicaId from;
  std::string detail;
  bool operator==(const Quarantine&) const = default;
};

/// Raft::next_append(to) has something: kick whoever reads the log for that replica.
struct WantAppend {
  ReplicaId to;
  bool operator==(const WantAppend&) const = default;
};

/// The leader's log no longer reaches back to what `to` needs: send a snapshot that covers at least
/// prefix(), by Raft::snapshot_offer.
struct WantSnapshot {
  ReplicaId to;
  bool operator==(const WantSnapshot&) const = default;
};

/// Fetch the state that goes with `offer` from `from`, make it durable, call on_snapshot_installed.
struct FetchSnapshot {
  ReplicaId from;
  SnapshotOffer offer;
  bool operator==(const FetchSnapshot&) const = default;
};

/// The doubt of set_possibly_longer is over: nothing that was committed is missing, once everything
/// before this is durable. Only then may the disk forget the doubt.
struct TailSettled {
  bool operator==(const TailSettled&) const = default;
};

}  // namespace effect

using Effect =
    std::variant<effect::Send, effect::SendOnceDurable, effect::PersistHardState,
                 effect::TruncateFrom, effect::Accept, effect::AppendOwn, effect::CommitAdvanced,
                 effect::RoleChanged, effect::Quarantine, effect::WantAppend, effect::WantSnapshot,
                 effect::FetchSnapshot, effect::TailSettled>;

/// A list of effects, with a word for each. Reused from input to input: clear() keeps the memory.
class Effects {
 public:
  void send(ReplicaId to, Message m) { add(effect::Send{to, std::move(m)}); }
  void send_once_durable(ReplicaId to, Message m) {
    add(effect::SendOnceDurable{to, std::move(m)});
  }
  void persist(HardState state) { add(effect::PersistHardState{state}); }
  void truncate_from(LogIndex from) { add(effect::TruncateFrom{from}); }
  void accept(LogIndex first, LogIndex last) { add(effect::Accept{first, last}); }
  void append_noop() { add(effect::AppendOwn{}); }
  void append_configuration(Configuration configuration) {
    add(effect::AppendOwn{EntryKind::kConfig, std::move(configuration)});
  }
  void commit_advanced(LogIndex commit) { add(effect::CommitAdvanced{commit}); }
  void role_changed(Role role, Term term, std::optional<ReplicaId> leader) {
    add(effect::RoleChanged{role, term, leader});
  }
  /// `invariant` outlives the effects: a literal.
  void quarantine(std::string_view invariant, ReplicaId from, std::string detail) {
    add(effect::Quarantine{invariant, from, std::move(detail)});
  }
  void want_append(ReplicaId to) { add(effect::WantAppend{to}); }
  void want_snapshot(ReplicaId to) { add(effect::WantSnapshot{to}); }
  void fetch_snapshot(ReplicaId from, SnapshotOffer offer) {
    add(effect::FetchSnapshot{from, std::move(offer)});
  }
  void tail_settled() { add(effect::TailSettled{}); }

  const std::vector<Effect>& list() const { return list_; }
  std::vector<Effect> take() { return std::exchange(list_, {}); }
  bool empty() const { return list_.empty(); }
  void clear() { list_.clear(); }

 private:
  void add(Effect effect) {
    if (list_.capacity() == 0) list_.reserve(4);
    list_.push_back(std::move(effect));
  }
  std::vector<Effect> list_;
};

}  // namespace taffrail
