// The insides of controller.h, shared by its two sources: controller.cc (asking and deciding) and
// controller_apply.cc (replaying, applying, snapshots).
//
//     submit --> decide on `speculative` --> propose --> [Raft] --> applier --> `image` --> reply
//
// `image` is what is committed and applied. `speculative` exists on a leader only: the image plus what
// its own log holds beyond. It dies with the term.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "controller/controller.h"
#include "runtime/sync.h"

namespace taffrail {

/// A decision's reply, and the place whose commitment makes it true.
struct Decided {
  LogIndex index;
  ControllerReply reply;
};

struct Controller::State final : GroupEvents {
  State(Controller& s, Runtime& r, RaftDriver& d, Log& l, Peers& p, ControllerOptions o)
      : self(s), runtime(r), driver(d), log(l), peers(p), options(o) {}

  // controller.cc
  Result<ControllerReply> submit(Task& task, const ControllerCommand& command, Instant deadline, bool and_see = true);
  Result<ControllerReply> ask(Task& task, BrokerId leader, const ControllerCommand& command, Instant deadline, bool and_see);
  BrokerId next_to_ask();
  Result<Decided> decide_here(Task& task, const ControllerCommand& command, Instant deadline);
  Result<> prepare(Task& task, Instant deadline);
  QuorumView quorum() const;
  Result<> wait_applied(Task& task, LogIndex index, Instant deadline);
  Result<Chain> serve(Task& task, ByteView body);
  void warn_of_weak_topics(const std::vector<MetadataRecord>& records);
  bool leads() const;

  // controller_apply.cc
  Result<> load(Task& task, const Configuration& voters);
  void fetch_image(Task& task, const Configuration& voters);
  void take_image(ClusterImage theirs, EntryId last);
  Result<> look_ahead(Task& task);
  void run_applier(Task& task);
  Result<> apply_committed(Task& task);
  bool apply(const Entry& entry);
  void note_applied(EntryId id);
  /// The term in which the entry at `index` was committed; nothing if a snapshot swallowed it.
  std::optional<Term> applied_term(LogIndex index) const;
  void put_in_quarantine(const std::string& why);
  Result<> take_snapshot(Task& task);
  void run_scrub(Task& task);

  // GroupEvents
  void on_commit(LogIndex index, Offset next_offset) override;
  void on_durable(LogIndex) override {}
  void on_role(Role role, Term term, BrokerId leader) override;
  void on_truncate(LogIndex) override {}
  void on_appended(LogIndex) override {}
  void on_progress() override {}
  Result<> on_snapshot(Task& task, EntryId last, const Configuration& members, Slice state) override;
  Result<std::pair<EntryId, Slice>> make_snapshot(Task& task) override;

  Controller& self;
  Runtime& runtime;
  RaftDriver& driver;
  Log& log;
  Peers& peers;
  ControllerOptions options;
  RaftGroup* group = nullptr;  ///< Null before start, after stop, and in quarantine.

  ClusterImage image;
  /// The snapshot is damaged, and the log does not reach back to its beginning: nothing is applied before the leader has
  /// told its image, and until then this broker does not lead.
  bool image_missing = false;
  std::map<BrokerId, Endpoint> ahead;  ///< Addresses from the end of the log as it was at start, and from others.
  EntryId applied;
  LogIndex committed;
  struct TermRun {
    LogIndex first;
    LogIndex last;
    Term term;
  };
  std::deque<TermRun> applied_runs;

  std::optional<ClusterImage> speculative;
  Term speculative_term;

  size_t asked_strangers = 0;

  WaitQueue commit_moved;   ///< The applier waits here.
  WaitQueue changed;        ///< Applied, role or leader moved, or the end is near.
  Mutex preparing;          ///< One reading of the log's tail at a time.
  Mutex snapshotting;       ///< The log keeps one snapshot, and writes one at a time.

  /// Fibers of others that are in here: they leave before stop() returns.
  size_t visitors = 0;
  bool stopping = false;
  WaitQueue last_left;
  /// What the service registered with Peers, which cannot be taken back, holds instead of `this`.
  std::shared_ptr<State*> door;
  Scope scope;
};

/// Counts a fiber in for as long as it is in a State.
class Visit {
 public:
  template <class S>
  explicit Visit(S& state) : count_(state.visitors), left_(state.last_left) { ++count_; }
  ~Visit() {
    if (--count_ == 0) left_.notify_all();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  size_t& count_;
  WaitQueue& left_;
};

}  // namespace taffrail
