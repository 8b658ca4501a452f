#include "partition/partition.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "partition/partition_state.h"

namespace taffrail {

Result<> FetchWatch::wait(Task& task, Instant deadline) {
  while (!woken_) TRY(queue_.wait(task, deadline));
  woken_ = false;
  return {};
}

Partition::Partition(Runtime& runtime, RaftDriver& driver, Log& log, PartitionKey key, std::string topic_name,
                     TopicConfig config, PartitionOptions options)
    : state_(std::make_unique<State>(*this, runtime, driver, log, key, std::move(topic_name), config, options)) {}

Partition::~Partition() = default;

Result<> Partition::start(Task& task, const Configuration& bootstrap) {
  State& s = *state_;
  s.applied = s.log.prefix();
  if (s.log.snapshot_id()) {
    const Result<Snapshot> snapshot = s.log.read_snapshot(task);
    // A snapshot is a shortcut as long as the log reaches back to its beginning.
    const bool needed = s.log.prefix().index > LogIndex(0);
    if (!snapshot && snapshot.error().code != Errc::kCorrupt) return std::unexpected(snapshot.error());
    if (snapshot) {
      TRY(s.load_snapshot(snapshot->state));
    } else if (needed) {
      // What was before the start is in it and nowhere else here; the others know it, too.
      const auto theirs = s.driver.ask_for_snapshot(task, s.key, s.log, bootstrap);
      if (!theirs) return fail(theirs.error().code, fmt::format("{}; {}", snapshot.error().text(), theirs.error().text()));
      TRY(s.load_snapshot(theirs->second.view()));
      s.entries_unsaved = s.options.snapshot_entries;  // To be saved again.
      s.runtime.log().error("partition", "{}-{}: {}; it was replaced by the leader's", s.topic_name, s.key.partition,
                            snapshot.error().text());
    } else {
      s.runtime.log().error("partition", "{}-{}: {}; the log is replayed from its start", s.topic_name, s.key.partition,
                            snapshot.error().text());
    }
  }
  TRY(s.load_note(task));
  // What the table has in it is not read again.
  const LogIndex known = std::min(s.table_reaches.index, s.log.committed());
  const auto term = s.log.term_at(known);
  if (known > s.applied.index && term) s.applied = {known, *term};
  // What this disk proves to be committed is applied by the applier, and the rest as the group says so: a
  // leader waits for all of it before it serves, and a follower need not.
  s.committed.raise(s.log.committed());
  s.replays_to = s.log.committed();
  s.group = TRY(s.driver.add(task, s.key, s.log, bootstrap, s));
  s.runtime.spawn(s.scope, "partition/applier", [&s](Task& t) { s.run_applier(t); });
  s.runtime.spawn(s.scope, "partition/housekeeping", [&s](Task& t) { s.run_housekeeping(t); });
  return {};
}

std::shared_ptr<void> Partition::hold() { return std::make_shared<State::Use>(*state_); }

void Partition::stop(Task& task) {
  State& s = *state_;
  s.stopping = true;
  s.serving = Term{};
  s.committed.fail_all();
  s.durable.fail_all();
  s.progress.notify_all();
  s.wake_watches();
  s.log.set_note_source(nullptr);
  if (s.machine != nullptr) s.machine->on_leadership();
  s.scope.cancel();
  s.scope.join(task);
  while (s.uses > 0) s.unused.wait_through(task);
  s.driver.remove(task, s.key);
  s.group = nullptr;
}

void Partition::set_machine(StateMachine* machine) { state_->machine = machine; }
const PartitionKey& Partition::key() const { return state_->key; }
const std::string& Partition::topic_name() const { return state_->topic_name; }
const TopicConfig& Partition::config() const { return state_->config; }
void Partition::set_config(const TopicConfig& config) { state_->config = config; }
bool Partition::is_leader() const { return state_->serving == state_->term && state_->role == Role::kLeader; }
BrokerId Partition::leader() const { return state_->leader; }
Term Partition::epoch() const { return state_->term; }
std::vector<BrokerId> Partition::in_sync() const { return state_->in_sync; }
ByteCount Partition::size_bytes() const { return state_->log.size_bytes(); }
RaftGroup* Partition::group() const { return state_->group; }
Log& Partition::log() const { return state_->log; }
const ProducerTable& Partition::producer_table() const { return state_->producers; }
uint64_t Partition::entries_unsaved() const { return state_->entries_unsaved; }
EntryId Partition::applied() const {
  return std::max(state_->applied, state_->table_reaches, [](EntryId a, EntryId b) { return a.index < b.index; });
}

ReadView Partition::view() const {
  const State& s = *state_;
  const Offset high = s.group == nullptr ? s.log.start_offset() : std::max(s.group->commit_offset(), s.log.start_offset());
  return {s.reading_starts(), PLANT("T07") ? s.log.next_offset() : high, high, s.log.next_offset(), s.term};
}

std::optional<Fault> Partition::check_leader(int32_t client_epoch) const {
  const State& s = *state_;
  if (s.stopping) return Fault{PartitionFault::kDeleted, {}, {}};
  if (client_epoch >= 0 && client_epoch < s.term.value)
    return Fault{PartitionFault::kFencedEpoch, fmt::format("epoch {} is over, {} is now", client_epoch, s.term.value), {}};
  if (client_epoch >= 0 && client_epoch > s.term.value)
    return Fault{PartitionFault::kUnknownEpoch, fmt::format("epoch {} is not known here yet", client_epoch), {}};
  if (!is_leader()) return s.not_leader();
  return std::nullopt;
}

Faulty<Offset> Partition::delete_records(Task& task, Offset before, Instant deadline) {
  return state_->delete_records(task, before, deadline);
}

Faulty<Appended> Partition::append(Slice batch, Acks acks, bool allow_zstd) {
  return state_->append(std::move(batch), acks, allow_zstd);
}

std::variant<Faulty<Appended>, std::shared_ptr<PendingAppend>> Partition::begin_append(Slice batch, Acks acks, bool allow_zstd) {
  return state_->begin_append(std::move(batch), acks, allow_zstd);
}

std::optional<Fault> Partition::wait_acknowledged(Task& task, const Appended& appended, Acks acks, Instant deadline) {
  return state_->wait(task, appended, acks, deadline);
}

bool Partition::high_watermark_is_current() const {
  return state_->group != nullptr && state_->group->commit_is_current();
}

bool Partition::log_start_is_current() const {
  return high_watermark_is_current() && state_->applied.index >= state_->group->opened_at();
}

std::optional<Fault> Partition::confirm_leads(Task& task, Instant deadline) {
  State& s = *state_;
  const State::Use use(s);
  // In short waits: whoever stops this partition waits for them.
  constexpr Duration kStep = 100_ms;
  const Instant asked = s.runtime.now();
  for (;;) {
    if (s.stopping || s.group == nullptr) return Fault{PartitionFault::kDeleted, {}, {}};
    const Result<> confirmed = s.group->confirm_leads(task, asked, std::min(deadline, s.runtime.now() + kStep));
    if (confirmed) return std::nullopt;
    if (confirmed.error().code != Errc::kTimedOut) return s.not_leader();
    if (s.runtime.now() >= deadline) return Fault{PartitionFault::kTimedOut, {}, {}};
  }
}

// Once an entry of this epoch is committed, so is all before it.
bool Partition::leads_with_all_applied() const {
  return is_leader() && high_watermark_is_current() && state_->applied.index >= state_->group->commit();
}

void Partition::watch(FetchWatch& watch) { state_->watches.push_back(&watch); }
void Partition::unwatch(FetchWatch& watch) { std::erase(state_->watches, &watch); }

void Partition::State::wake_watches() {
  for (FetchWatch* watch : watches) watch->wake();
  start_moved.notify_all();
}

// In sync, as clients see it: a voter that a short while ago was heard of and held everything committed. One
// that is silent counts for no longer than one that is behind: nobody can tell the two apart.
std::vector<BrokerId> Partition::State::compute_in_sync() const {
  std::vector<BrokerId> out;
  if (role != Role::kLeader || group == nullptr) return out;
  const Instant now = runtime.now();
  const std::vector<RaftGroup::MemberView> members = group->members();
  out.reserve(members.size());
  for (const RaftGroup::MemberView& member : members) {
    if (!member.voter || member.replaced) continue;
    if (member.refilling && !PLANT("R76")) continue;
    const auto it = caught_up.find(member.replica);
    const bool recent = it != caught_up.end() && now - it->second <= options.replica_lag_max;
    const bool holds_all = member.match >= group->commit() && now - member.last_contact <= options.replica_lag_max;
    if (holds_all || recent) out.push_back(member.replica.node);
  }
  std::sort(out.begin(), out.end());
  // A broker's old disk and its new one may both be members for a while.
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void Partition::State::leadership_changed() {
  if (owner.on_leadership) owner.on_leadership(owner);
  if (machine != nullptr) machine->on_leadership();
  wake_watches();
}

void Partition::State::on_role(Role new_role, Term new_term, BrokerId new_leader) {
  const bool was_leader = role == Role::kLeader;
  const bool same = role == new_role && term == new_term && leader == new_leader;
  if (same) return;
  role = new_role;
  leader = new_leader;
  if (was_leader || new_role == Role::kLeader) {
    // Whatever was decided on top of uncommitted entries belongs to the term that is over.
    if (term != new_term || new_role != Role::kLeader) {
      serving = Term{};
      producers.drop_speculation();
      producer_seen.clear();
      caught_up.clear();
      in_sync.clear();
      committed.fail_all();
      durable.fail_all();
      progress.notify_all();
    }
  }
  term = new_term;
  if (role == Role::kLeader && !stopping) {
    // Every member gets the time of one lag to prove itself before the in-sync set shrinks.
    for (const ReplicaId& voter : group == nullptr ? std::vector<ReplicaId>{} : group->configuration().voters)
      caught_up[voter] = runtime.now();
    in_sync = compute_in_sync();
    runtime.spawn(scope, "partition/opener", [this, opened = new_term](Task& task) { run_opener(task, opened); });
    return;  // Announced once the tail is replayed.
  }
  leadership_changed();
}

void Partition::State::on_commit(LogIndex index, Offset) {
  committed.raise(index);
  apply_wake.notify_all();
  wake_watches();
}

void Partition::State::on_durable(LogIndex index) { durable.raise(index); }

void Partition::State::on_truncate(LogIndex from) {
  durable.lower(from - 1);
}

void Partition::State::on_appended(LogIndex) {}

void Partition::State::on_progress() {
  progress.notify_all();
  if (role != Role::kLeader || group == nullptr) return;
  for (const RaftGroup::MemberView& member : group->members()) {
    if (!member.voter || member.match < group->commit()) continue;
    Instant& since = caught_up[member.replica];
    since = std::max(since, member.last_contact);
  }
  std::vector<BrokerId> current = compute_in_sync();
  if (current == in_sync) return;
  in_sync = std::move(current);
  if (serving == term) leadership_changed();
}

}  // namespace taffrail
