#include "consensus/driver.h"

#include <fmt/core.h>

#include <tuple>

#include "base/check.h"
#include "base/plant.h"
#include "consensus/driver_state.h"
#include "consensus/membership.h"
#include "consensus/quorum.h"

namespace taffrail {

RaftGroup::RaftGroup(std::unique_ptr<State> state) : state_(std::move(state)) {}
RaftGroup::~RaftGroup() = default;
const PartitionKey& RaftGroup::key() const { return state_->key; }
Role RaftGroup::role() const { return state_->raft.role(); }
Term RaftGroup::term() const { return state_->raft.term(); }
LogIndex RaftGroup::commit() const { return state_->raft.commit(); }
Offset RaftGroup::commit_offset() const { return state_->commit_offset; }
const Configuration& RaftGroup::configuration() const { return state_->raft.configuration(); }
const std::string& RaftGroup::quarantine() const { return state_->quarantine; }
const Raft& RaftGroup::raft() const { return state_->raft; }

std::string RaftGroup::trouble() const {
  const State& g = *state_;
  if (!g.quarantine.empty())
    return fmt::format("it has stopped, for what it was given breaks an invariant ({}): restart its broker, and report this", g.quarantine);
  if (g.raft.possibly_longer() || g.raft.vote_doubtful()) {
    const std::string lost = "a crash or damage may have taken the end of its log";
    if (const std::vector<ReplicaId> silent = g.raft.silent_in_doubt(); !silent.empty()) {
      std::string names;
      for (const ReplicaId& voter : silent) names += fmt::format("{}{}", names.empty() ? "" : ", ", voter.node.value);
      return fmt::format("{}: it waits for broker {} to say what it holds, and neither votes nor leads", lost, names);
    }
    if (g.raft.leader()) return fmt::format("{}: broker {} sends it what is missing", lost, g.raft.leader()->node.value);
    return fmt::format("{}: it ends at entry {}, entries up to {} are known to have been, and only who holds those gets its vote",
                       lost, g.raft.log().last().index.value, std::max(g.raft.log().last().index, g.raft.furthest_told().index).value);
  }
  const std::vector<std::pair<LogIndex, LogIndex>> holes = g.log.holes();
  if (holes.empty()) return {};
  return fmt::format("entries {} to {}{} are damaged or missing: they are not served, and fetched from the other replicas", holes.front().first.value,
                     holes.front().second.value - 1, holes.size() > 1 ? fmt::format(" and {} more pieces", holes.size() - 1) : "");
}

const Log& RaftGroup::log() const { return state_->log; }

BrokerId RaftGroup::leader() const {
  const auto leader = state_->raft.leader();
  return leader && state_->quarantine.empty() ? leader->node : kNoBroker;
}

bool RaftGroup::commit_is_current() const {
  return state_->raft.role() == Role::kLeader && state_->opened_term == state_->raft.term();
}

LogIndex RaftGroup::opened_at() const { return state_->opened_at; }

Result<EntryId> RaftGroup::propose(std::span<Entry> entries) {
  State& g = *state_;
  if (!g.quarantine.empty() || !g.raft.accepts_appends()) return fail(Errc::kNotLeader);
  CHECK(!entries.empty());
  LogIndex index = g.log.last_index();
  std::vector<EntryMeta> metas;
  metas.reserve(entries.size());
  for (Entry& e : entries) {
    e.meta.index = ++index;
    e.meta.term = g.raft.term();
    metas.push_back(e.meta);
    g.uncommitted.push_back(e.meta);
  }
  g.log.append(entries);
  Effects effects;
  g.raft.append(metas, g.driver.runtime.now(), effects);
  g.driver.carry_out(g, effects, nullptr, {});
  return metas.back().id();
}

std::vector<RaftGroup::MemberView> RaftGroup::members() const {
  const Raft& raft = state_->raft;
  std::vector<MemberView> out;
  if (raft.role() != Role::kLeader) return out;
  const Configuration& configuration = raft.configuration();
  out.reserve(raft.progress().size() + 1);
  out.push_back({raft.self(), raft.durable(), state_->driver.runtime.now(), configuration.is_voter(raft.self()), false, false});
  // Raft is told of answered heartbeats only when it would act on their absence; who asks here wants the latest.
  DriverState& d = state_->driver;
  for (const Progress& p : raft.progress()) {
    Instant contact = p.contact;
    if (const auto* answer = d.answer_of(state_->key, p.replica)) contact = std::max(contact, answer->sent);
    out.push_back({p.replica, p.match, contact, configuration.is_voter(p.replica), d.is_replaced(p.replica), p.match < p.refilled_at});
  }
  return out;
}

Result<> RaftGroup::confirm_leads(Task& task, Instant asked, Instant deadline) {
  State& g = *state_;
  DriverState& d = g.driver;
  const Term term = g.raft.term();
  const auto follows = [&](const ReplicaId& voter) {
    if (voter == g.raft.self()) return true;
    const auto* answer = d.answer_of(g.key, voter);
    return answer != nullptr && answer->whole && (answer->sent >= asked || PLANT("R26"));
  };
  for (bool first = true;; first = false) {
    if (!g.quarantine.empty() || g.raft.role() != Role::kLeader || g.raft.term() != term) return fail(Errc::kNotLeader);
    if (quorum_of(g.raft.configuration(), follows)) return {};
    if (first) {
      d.heartbeat_due = true;
      d.heartbeat_wake.notify_all();
    }
    TRY(d.answers_came.wait(task, deadline));
  }
}

bool DriverState::is_replaced(const ReplicaId& replica) const {
  if (PLANT("R64")) return false;
  const auto said = disks.find(replica.node);
  return said != disks.end() && std::find(said->second.begin(), said->second.end(), replica.disk) == said->second.end();
}

void RaftGroup::campaign_soon() {
  State& g = *state_;
  if (!g.quarantine.empty()) return;
  Effects effects;
  g.raft.campaign(g.driver.runtime.now(), effects);
  g.driver.carry_out(g, effects, nullptr, {});
}

void RaftGroup::stand_by(bool standby) { state_->raft.set_standby(standby); }

Result<bool> RaftGroup::step_to_members(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners, int64_t revision) {
  State& g = *state_;
  if (!g.quarantine.empty() || g.raft.role() != Role::kLeader) return fail(Errc::kNotLeader);
  const Instant now = g.driver.runtime.now();
  std::vector<MemberProgress> progress;
  for (const MemberView& member : members())
    progress.push_back({member.replica, member.match, now - member.last_contact <= g.driver.options.election_timeout_max});
  MembershipStep step = next_membership_step(g.raft.configuration(), g.raft.log().configuration_index(),
                                             g.raft.members_settled(), g.raft.commit(), progress, std::move(voters),
                                             std::move(learners), revision);
  if (step.kind != MembershipStep::Kind::kChange) return step.kind == MembershipStep::Kind::kDone;
  Effects effects;
  TRY(g.raft.propose_configuration(std::move(step.voters), std::move(step.learners), now, effects, revision));
  g.driver.carry_out(g, effects, nullptr, {});
  return false;
}

void RaftGroup::transfer_leadership(const ReplicaId& to) {
  State& g = *state_;
  Effects effects;
  if (g.raft.transfer_leadership(to, g.driver.runtime.now(), effects).has_value())
    g.driver.carry_out(g, effects, nullptr, {});
}

std::optional<ReplicaId> RaftGroup::hand_over(const std::function<bool(BrokerId)>& fit) {
  State& g = *state_;
  const Instant now = g.driver.runtime.now();
  const Duration timeout = g.raft.options().election_timeout_max;
  if (g.raft.transferring_to() || (now < g.ask_next && !PLANT("M62"))) return std::nullopt;
  const auto rank = [&g](const MemberView& member) { return std::pair(PLANT("M62") || member.replica != g.asked_to_lead, member.match); };
  std::optional<MemberView> best;
  for (const MemberView& member : members()) {
    if (!member.voter || member.replica == g.raft.self()) continue;
    if ((member.replaced || member.last_contact + timeout < now) && !PLANT("M62")) continue;
    if (fit(member.replica.node) && (!best || rank(*best) < rank(member))) best = member;
  }
  if (!best) return std::nullopt;
  g.asked_to_lead = best->replica;
  g.ask_next = now + timeout * 4;
  transfer_leadership(best->replica);
  return best->replica;
}

RaftDriver::RaftDriver(Runtime& runtime, Store& store, PeerChannel& peers, ReplicaId self, DriverOptions options)
    : state_(std::make_unique<DriverState>(runtime, store, peers, self, options)) {
  state_->owner = this;
}

RaftDriver::~RaftDriver() = default;

const ReplicaId& RaftDriver::self() const { return state_->self; }

void RaftDriver::start() {
  DriverState& d = *state_;
  d.store.on_durable([&d](WalSequence sequence) { d.durable(sequence); });
  d.store.on_hole([&d](const PartitionKey& key) {
    d.holed.insert(key);
    d.repair_wake.notify_all();
  });
  d.runtime.spawn(d.scope, "raft/repairs", [&d](Task& task) { d.run_repairs(task); });
  d.runtime.spawn(d.scope, "raft/doubts", [&d](Task& task) { d.run_doubts(task); });
  d.runtime.spawn(d.scope, "raft/ticker", [&d](Task& task) { d.run_ticker(task); });
  d.runtime.spawn(d.scope, "raft/notices", [&d](Task& task) { d.run_notices(task); });
  d.runtime.spawn(d.scope, "raft/heartbeats", [&d](Task& task) { d.run_heartbeats(task); });
}

void RaftDriver::stop(Task& task) {
  state_->stopping = true;
  state_->store.on_durable([](WalSequence) {});
  state_->store.on_hole([](const PartitionKey&) {});
  state_->scope.cancel();
  state_->scope.join(task);
}

Result<RaftGroup*> RaftDriver::add(Task& task, const PartitionKey& key, Log& log,
                                   const Configuration& bootstrap, GroupEvents& events) {
  DriverState& d = *state_;
  CHECK(!d.groups.contains(key), "a replica joins its group once");

  LogView view = TRY(view_of(log, bootstrap));
  Offset commit_offset = std::max(log.committed_offset(), log.start_offset());
  std::deque<EntryMeta> uncommitted;
  for (LogIndex next = std::max(log.committed() + 1, log.first_index()); next <= log.last_index();) {
    for (const Entry& entry : TRY(log.read_entries(task, next, 1_MiB, 4096))) uncommitted.push_back(entry.meta);
    next = uncommitted.back().index + 1;
  }
  const Instant now = d.runtime.now();
  Raft::Options options;
  options.self = d.self;
  options.election_timeout_min = d.options.election_timeout_min;
  options.election_timeout_max = d.options.election_timeout_max;
  options.append_timeout = d.options.election_timeout_max;
  options.joined = log.joined();
  const uint64_t seed = d.runtime.random().next();
  Raft raft(options, log.hard_state(), std::move(view), std::max(log.committed(), log.prefix().index), seed, now);
  // A replica that went and came back within one process finds its log as it left it, writes under way and all.
  const bool durable = log.durable_index() >= log.last_index() || PLANT("R68");
  if (!durable) raft.set_durable(log.durable_index());

  auto state = std::make_unique<RaftGroup::State>(d, key, log, std::move(raft), events);
  state->bootstrap = bootstrap;
  state->incarnation = d.next_incarnation++;
  state->uncommitted = std::move(uncommitted);
  state->commit_offset = commit_offset;
  if (durable) state->marked = log.last_sequence();
  RaftGroup::State& g = *state;
  RaftGroup* group = d.groups.emplace(key, std::unique_ptr<RaftGroup>(new RaftGroup(std::move(state)))).first->second.get();
  if (log.possibly_longer() || log.hard_state_doubtful()) {
    d.doubtful.insert(key);
    d.doubts_wake.notify_all();
    d.runtime.log().warn("raft", "{}: a crash or damage may have taken the end of its log; until the other replicas say what "
                         "they hold it neither leads nor votes", key.text());
  }
  // Whoever listed the group before it was here was told so, and would be told so for as long as its list stays the same.
  for (auto& [place, receiver] : d.heartbeat_from) receiver.follow(key);
  Effects effects;
  if (log.possibly_longer()) g.raft.set_possibly_longer(true, now, effects);
  if (log.hard_state_doubtful()) g.raft.set_vote_doubtful(now, effects);
  d.carry_out(g, effects, nullptr, {});
  if (!log.holes().empty()) {
    d.holed.insert(key);
    d.repair_wake.notify_all();
  }
  d.update_deadline(g);
  return group;
}

std::unique_ptr<RaftGroup> DriverState::take_out(const PartitionKey& key) {
  const auto it = groups.find(key);
  if (it == groups.end()) return nullptr;
  std::unique_ptr<RaftGroup> gone = std::move(it->second);
  deadlines.erase({gone->state_->deadline, key});
  groups.erase(it);
  doubtful.erase(key);
  relist.insert(key);
  heartbeat_due = true;
  heartbeat_wake.notify_all();
  return gone;
}

void RaftDriver::remove(const PartitionKey& key) { (void)state_->take_out(key); }

void RaftDriver::remove(Task& task, const PartitionKey& key) {
  const std::unique_ptr<RaftGroup> gone = state_->take_out(key);
  if (gone == nullptr) return;
  const GroupUses& uses = *gone->state_->uses;
  while (uses.count > 0 && !PLANT("R72")) gone->state_->uses->none.wait_through(task);
  CHECK(uses.count == 0, "I-N4 a log and its events outlive whoever is in them");
}

RaftGroup* RaftDriver::find(const PartitionKey& key) {
  const auto it = state_->groups.find(key);
  return it == state_->groups.end() ? nullptr : it->second.get();
}

void RaftDriver::dropped_prefix(const PartitionKey& key, LogIndex index) {
  RaftGroup::State* g = state_->find(key);
  if (g == nullptr) return;
  Effects effects;
  g->raft.on_prefix_dropped(index, effects);
  if (!effects.empty()) state_->carry_out(*g, effects, nullptr, {});
}

Result<ShardId> RaftDriver::shard_for(PeerKind kind, ByteView body, NodeShape shape) {
  ByteReader in(body);
  if (kind == PeerKind::kHeartbeat) {
    in.u8();
    in.u16();
    const ShardId to(in.u16());
    if (!in.ok() || to.value >= shape.shards) return fail(Errc::kCorrupt, "a heartbeat to a shard that is not there");
    return to;
  }
  in.u32();
  in.u16();
  const PartitionKey group = read_key(in);
  if (!in.ok()) return fail(Errc::kCorrupt, "raft message: cut short");
  return shard_of(group, shape);
}

Result<ShardId> RaftDriver::shard_for_call(ByteView body, NodeShape shape) {
  ByteReader in(body);
  const PartitionKey key = read_key(in);
  if (!in.ok()) return fail(Errc::kCorrupt, "a question about no log");
  return shard_of(key, shape);
}

Result<Chain> RaftDriver::serve(Task& task, std::string_view service, Slice body) {
  if (state_->stopping) return fail(Errc::kUnavailable, "this broker is stopping");
  if (service == "entries") return state_->serve_entries(task, std::move(body));
  if (service == "transfer") return state_->serve_transfer(task, std::move(body));
  if (service == "give-up") return state_->serve_give_up(std::move(body));
  return state_->serve_snapshot(task, std::move(body));
}

void DriverState::learn_disks(const PeerIdentity& from) {
  std::vector<DiskId>& known = disks[from.replica.node];
  const std::vector<DiskId>& more = from.more_disks;
  if (known.size() == 1 + more.size() && known.front() == from.replica.disk && std::equal(more.begin(), more.end(), known.begin() + 1)) return;
  known = {from.replica.disk};
  known.insert(known.end(), more.begin(), more.end());
}

// Perhaps a new disk: the old one in its place is nobody's any more.
void DriverState::hear(const ReplicaId& replica) {
  const auto [known, fresh] = heard.insert_or_assign(replica, runtime.now());
  if (!fresh) return;
  for (const auto& [key, group] : groups)
    if (group->raft().role() == Role::kLeader && group->state_->quarantine.empty()) group->state_->events.on_progress();
}

void RaftDriver::on_message(const PeerIdentity& from, PeerKind kind, Slice body) {
  if (state_->stopping) return;
  state_->learn_shape(from.replica.node, from.shape());
  state_->learn_disks(from);
  if (kind == PeerKind::kRaft) state_->raft_message(from, body);
  if (kind == PeerKind::kHeartbeat) state_->heartbeat(from, body);
}

void RaftDriver::on_link(BrokerId node, bool up) {
  DriverState& d = *state_;
  if (d.stopping) return;
  if (up) {
    if (PLANT("R55")) return;
    d.learn_shape(node, d.peers.shape_of(node));
    // Between the first shards, also when they share no group: a node that says nothing is not alive.
    if (d.runtime.shard() == ShardId(0)) d.heartbeat_to.try_emplace({node, ShardId(0)});
    // Another process may be there by now, and count its heartbeats anew: an old answer would vouch for the wrong one.
    std::erase_if(d.answers_due, [&](const auto& item) { return item.first.node == node; });
    // The other side may have forgotten what it was told: it gets the whole list first.
    for (auto it = d.heartbeat_to.lower_bound({node, ShardId(0)}); it != d.heartbeat_to.end() && it->first.node == node; ++it)
      it->second.on_link_reset();
    d.heartbeat_due = true;
    d.heartbeat_wake.notify_all();
  }
  for (auto& [key, group] : d.groups) {
    RaftGroup::State& g = *group->state_;
    if (g.raft.role() != Role::kLeader) continue;
    Effects effects;
    g.raft.link_reset(node, d.runtime.now(), effects);
    d.carry_out(g, effects, nullptr, {});
  }
}

void RaftDriver::on_sender_gone(BrokerId node) {
  DriverState& d = *state_;
  if (d.stopping) return;
  std::erase_if(d.heard, [&](const auto& item) { return item.first.node == node; });
  d.disks.erase(node);
  // What it listed would count as heard of it when a timer runs out. It lists everything anew when it is back.
  std::erase_if(d.heartbeat_from, [&](const auto& item) { return item.first.node == node; });
  for (auto& [key, group] : d.groups) {
    group->state_->raft.sender_gone(node, d.runtime.now());
    d.update_deadline(*group->state_);
  }
}

uint64_t RaftDriver::repaired() const { return state_->repaired; }

std::optional<Instant> RaftDriver::last_heard(BrokerId node) const {
  std::optional<Instant> last;
  for (auto it = state_->heard.lower_bound({node, {}}); it != state_->heard.end() && it->first.node == node; ++it)
    last = std::max(last.value_or(it->second), it->second);
  return last;
}

std::optional<Instant> RaftDriver::last_heard(const ReplicaId& replica) const {
  const auto it = state_->heard.find(replica);
  if (it == state_->heard.end()) return std::nullopt;
  return it->second;
}

RaftGroup::State* DriverState::find(const PartitionKey& key, uint64_t incarnation) {
  const auto it = groups.find(key);
  if (it == groups.end()) return nullptr;
  RaftGroup::State* g = it->second->state_.get();
  return incarnation == 0 || g->incarnation == incarnation ? g : nullptr;
}

void DriverState::raft_message(const PeerIdentity& from, const Slice& body) {
  const auto dropped = [&](const Error& error) {
    runtime.log().warn("raft", "a message from broker {} was dropped: {}", from.replica.node.value, error.text());
  };
  ByteReader in(body);
  const ByteView head = in.sized();
  if (!in.ok()) return dropped({Errc::kCorrupt, "its envelope is cut short"});
  Result<RaftEnvelope> envelope = decode_envelope(head);
  if (!envelope) return dropped(envelope.error());
  if (envelope->from != from.replica_on(shard_of(envelope->group, from.shape())))
    return dropped({Errc::kInvalid, fmt::format("it is in the name of broker {}, disk {}", envelope->from.node.value, envelope->from.disk.text())});
  hear(envelope->from);
  // Meant for the disk that was here before: it is gone, and whoever is in doubt need not wait for it.
  if (envelope->to.node == self.node && envelope->to.disk != self.disk) {
    if (std::holds_alternative<TailQuery>(envelope->message))
      send(envelope->group, envelope->from, answer_for_old_disk(), {});
    return;
  }
  RaftGroup::State* g = find(envelope->group);
  // Not here (yet, or any more), or meant for what this disk's place held before (I-R14).
  if (g == nullptr || !g->quarantine.empty() || envelope->to != self) return;
  if (const auto* answer = std::get_if<TailAnswer>(&envelope->message)) {
    Effects lost;
    const std::vector<ReplicaId> asked = g->raft.asked_in_doubt();
    for (const ReplicaId& member : asked)
      if (member.node == envelope->from.node && member != envelope->from) g->raft.voter_lost(member, runtime.now(), lost);
    carry_out(*g, lost, nullptr, {});
    // The new disk may be a voter too, and then answers for itself when it is asked.
    if (!g->quarantine.empty() || *answer == answer_for_old_disk() || std::ranges::count(asked, envelope->from) == 0) return;
  }
  std::vector<Slice> payloads;
  auto* request = std::get_if<AppendRequest>(&envelope->message);
  if (request != nullptr) {
    Result<std::vector<Slice>> split = split_payloads(*envelope, body.sub(body.size() - in.left(), in.left()));
    if (!split) return dropped(split.error());
    payloads = *std::move(split);
    if (Result<> filled = fill_configurations(*request, payloads); !filled) return dropped(filled.error());
  }
  const Instant now = runtime.now();
  // Who is asked for its vote answers by when it last heard of a leader: heartbeats are told it first.
  if (std::holds_alternative<VoteRequest>(envelope->message)) tell_contacts(*g, now);
  if (!g->quarantine.empty()) return;
  // What continues the old log must not be appended to the new one. The leader asks again.
  if (request != nullptr && g->installing_snapshot && !PLANT("R69")) return;
  Effects effects;
  // Whoever answers what this replica sent has heard it. What a node says unasked tells only that one direction works,
  // and a leader whom nobody hears has to step down.
  if (std::holds_alternative<AppendReply>(envelope->message) || std::holds_alternative<SnapshotReply>(envelope->message))
    g->raft.peer_contact(envelope->from, now);
  g->raft.step(envelope->from, envelope->message, now, effects);
  carry_out(*g, effects, request, payloads);
}

void DriverState::carry_out(RaftGroup::State& g, Effects& effects, const AppendRequest* request,
                            std::span<const Slice> payloads) {
  const std::vector<Effect> list = effects.take();
  for (const Effect& e : list) {
    if (!g.quarantine.empty()) break;
    carry_out_one(g, e, request, payloads);
  }
  mark_persist(g);
  update_deadline(g);
  if (owner->on_step) owner->on_step(g.key, nullptr);
  if (g.raft.role() == Role::kLeader && g.quarantine.empty()) g.events.on_progress();
}

void DriverState::carry_out_one(RaftGroup::State& g, const Effect& e, const AppendRequest* request,
                                std::span<const Slice> payloads) {
  if (const auto* s = std::get_if<effect::Send>(&e)) {
    const auto* notice = std::get_if<CommitNotice>(&s->message);
    if (notice != nullptr && g.key != kMetadataPartition) {
      send_by_and_by(g, s->to, *notice);
    } else {
      send(g.key, s->to, s->message, {});
    }
  } else if (const auto* once = std::get_if<effect::SendOnceDurable>(&e)) {
    pending.push_back({g.log.last_sequence(), g.key, g.incarnation, g.raft.term(), *once});
    if (pending.front().sequence <= store.wal().durable()) durable(store.wal().durable());
  } else if (const auto* hard = std::get_if<effect::PersistHardState>(&e)) {
    g.log.save_hard_state(hard->state);
  } else if (const auto* cut = std::get_if<effect::TruncateFrom>(&e)) {
    const Result<WalSequence> done = g.log.truncate_from(cut->from);
    if (!done) return put_in_quarantine(g, "I-R4 committed stays", done.error().text());
    while (!g.uncommitted.empty() && g.uncommitted.back().index >= cut->from) g.uncommitted.pop_back();
    g.noted_durable = std::min(g.noted_durable, cut->from - 1);
    g.events.on_truncate(cut->from);
  } else if (const auto* accept = std::get_if<effect::Accept>(&e)) {
    CHECK(request != nullptr, "only an AppendRequest brings entries");
    std::vector<Entry> entries;
    for (LogIndex index = accept->first; index <= accept->last; ++index) {
      const auto at = static_cast<size_t>(index - request->prev.index - 1);
      // R54: of a request whose beginning is here already, payloads are counted from its first.
      const size_t of = PLANT("R54") ? static_cast<size_t>(index - accept->first) : at;
      entries.push_back({request->entries[at], payloads[of]});
      // Offsets are dense at append: an entry that says otherwise comes from a history that is not ours.
      const Offset expected = g.uncommitted.empty() ? g.log.next_offset() : g.uncommitted.back().next_offset();
      if (entries.back().meta.base_offset != expected)
        return put_in_quarantine(g, "I-S2 dense offsets",
                                 fmt::format("entry {} begins at offset {}, the log ends at {}", index.value,
                                             entries.back().meta.base_offset.value, expected.value));
      g.uncommitted.push_back(entries.back().meta);
    }
    g.log.append(entries);
    g.events.on_appended(accept->last);
  } else if (const auto* own = std::get_if<effect::AppendOwn>(&e)) {
    append_own(g, *own);
  } else if (const auto* advanced = std::get_if<effect::CommitAdvanced>(&e)) {
    commit(g, advanced->commit);
  } else if (const auto* role = std::get_if<effect::RoleChanged>(&e)) {
    runtime.log().debug("raft", "{}: {} in term {}, leader {}", g.key.text(), role_name(role->role),
                        role->term.value, role->leader ? role->leader->node.value : -1);
    relist.insert(g.key);
    heartbeat_due = true;
    heartbeat_wake.notify_all();
    answers_came.notify_all();
    // Whoever leads an earlier term still lists the group, and is not told otherwise by answers to a list that has not changed.
    for (auto& [place, receiver] : heartbeat_from)
      if (const Listing* listing = receiver.find(g.key); listing != nullptr && listing->term < role->term) receiver.refuse(g.key);
    g.events.on_role(role->role, role->term, role->leader ? role->leader->node : kNoBroker);
  } else if (const auto* q = std::get_if<effect::Quarantine>(&e)) {
    put_in_quarantine(g, q->invariant, fmt::format("from broker {}: {}", q->from.node.value, q->detail));
  } else if (const auto* want = std::get_if<effect::WantAppend>(&e)) {
    want_append(g.key, want->to);
  } else if (const auto* snapshot = std::get_if<effect::WantSnapshot>(&e)) {
    offer_snapshot(g.key, snapshot->to);
  } else if (const auto* fetch = std::get_if<effect::FetchSnapshot>(&e)) {
    fetch_snapshot(g.key, *fetch);
  } else if (std::holds_alternative<effect::TailSettled>(e)) {
    doubtful.erase(g.key);
    g.log.settle();
    // After a mere power cut nothing was lost, most likely; after damage the others have made it good.
    if (!store.recovery().damage.empty()) ++repaired;
    runtime.log().info("raft", "{}: nothing that was committed is missing here; it votes again", g.key.text());
  }
}

void DriverState::append_own(RaftGroup::State& g, const effect::AppendOwn& own) {
  Entry entry;
  entry.meta.index = g.log.last_index() + 1;
  entry.meta.term = g.raft.term();
  entry.meta.kind = own.kind;
  entry.meta.base_offset = g.log.next_offset();
  if (own.kind == EntryKind::kConfig) entry.payload = encode_configuration(own.configuration);
  g.uncommitted.push_back(entry.meta);
  g.log.append(std::span(&entry, 1));
  Effects effects;
  g.raft.append(std::span(&entry.meta, 1), runtime.now(), effects,
                own.kind == EntryKind::kConfig ? &own.configuration : nullptr);
  if (own.kind == EntryKind::kConfig) {
    runtime.log().info("raft", "{}: members become {}", g.key.text(), own.configuration.text());
    // New members are told who leads, those that leave are not told any more.
    relist.insert(g.key);
    heartbeat_due = true;
    heartbeat_wake.notify_all();
  }
  carry_out(g, effects, nullptr, {});
}

void DriverState::commit(RaftGroup::State& g, LogIndex index) {
  while (!g.uncommitted.empty() && g.uncommitted.front().index <= index) {
    const EntryMeta& meta = g.uncommitted.front();
    g.commit_offset = meta.next_offset();
    if (meta.term == g.raft.term() && g.opened_term != meta.term) std::tie(g.opened_term, g.opened_at) = std::pair(meta.term, meta.index);
    g.uncommitted.pop_front();
  }
  g.log.set_committed(index);
  g.events.on_commit(index, g.commit_offset);
}

void DriverState::mark_persist(RaftGroup::State& g) {
  if (g.log.last_sequence() == g.marked) return;
  g.marked = g.log.last_sequence();
  pending.push_back({g.marked, g.key, g.incarnation, g.raft.term(), g.raft.persist_mark()});
  // The log writes on its own account too: by now the sequence may be durable, and no later sync would
  // come to say so. Seed 974 of an earlier build stood still behind such a mark.
  if (pending.front().sequence <= store.wal().durable()) durable(store.wal().durable());
}

void DriverState::durable(WalSequence sequence) {
  // What is carried out below may come back here; what it adds is for the loop that runs already. A thousand groups that
  // elect themselves by one sync would otherwise stand on each other's shoulders, and on one fiber's stack.
  if (settling) return;
  settling = true;
  while (!pending.empty() && pending.front().sequence <= sequence) {
    const PendingDurable item = std::move(pending.front());
    pending.pop_front();
    RaftGroup::State* g = find(item.key, item.incarnation);
    if (g == nullptr || !g->quarantine.empty()) continue;
    Effects effects;
    if (const auto* mark = std::get_if<Raft::PersistMark>(&item.what)) {
      g->raft.on_persisted(*mark, runtime.now(), effects);
      carry_out(*g, effects, nullptr, {});
      if (g->raft.durable() > g->noted_durable) {
        g->noted_durable = g->raft.durable();
        g->events.on_durable(g->noted_durable);
      }
      continue;
    }
    // A promise of a term that is over must not leave: what it speaks of may be cut off by now.
    const auto& promise = std::get<effect::SendOnceDurable>(item.what);
    if (item.term != g->raft.term()) continue;
    if (promise.to == self) {
      g->raft.step(self, promise.message, runtime.now(), effects);
      carry_out(*g, effects, nullptr, {});
    } else {
      send(g->key, promise.to, promise.message, {});
    }
  }
  settling = false;
}

void DriverState::put_in_quarantine(RaftGroup::State& g, std::string_view invariant, const std::string& detail) {
  g.quarantine = invariant;
  runtime.log().error("raft", "{} is in quarantine here: {}; {}. The replica neither votes nor serves; "
                      "the others go on without it", g.key.text(), invariant, detail);
  update_deadline(g);
  relist.insert(g.key);
  heartbeat_due = true;
  heartbeat_wake.notify_all();
  g.events.on_role(Role::kFollower, g.raft.term(), kNoBroker);
  if (owner->on_quarantine) owner->on_quarantine(g.key, g.quarantine);
}

// A deadline that moved back stays in the table until it is looked at: followers' deadlines move with
// every message, and almost never pass.
void DriverState::update_deadline(RaftGroup::State& g) {
  const Instant next = g.quarantine.empty() ? g.raft.next_deadline() : Instant::never();
  if (next >= g.deadline) return;
  const Instant first = deadlines.empty() ? Instant::never() : deadlines.begin()->first;
  deadlines.erase({g.deadline, g.key});
  g.deadline = next;
  deadlines.insert({next, g.key});
  if (next < first) deadline_moved.notify_all();
}

}  // namespace taffrail
