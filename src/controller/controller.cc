#include "controller/controller.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/plant.h"
#include "controller/controller_state.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr std::string_view kService = "controller";
constexpr uint8_t kFormat = 1;
// After a leader that would not, before the next try: a fraction of what an election takes.
constexpr Duration kPause = 20_ms;
// How long one that may lead, or be dead, is given.
constexpr Duration kStrangerPatience = 1_s;
// A member that is told for so long by nobody who leads may not be one any more, and not know it.
constexpr Duration kForgottenAfter = 3_s;

// Worth another try, perhaps with another leader. After a broken link the first try may have taken
// effect: the same holds for every client of Kafka's controllers, which try again likewise.
bool is_passing(Errc code) {
  return code == Errc::kNotLeader || code == Errc::kClosed || code == Errc::kUnavailable ||
         code == Errc::kNotFound || code == Errc::kRefused || code == Errc::kBusy || code == Errc::kTimedOut;
}

}  // namespace

Controller::Controller(Runtime& runtime, RaftDriver& driver, Log& log, Peers& peers, ControllerOptions options)
    : state_(std::make_unique<State>(*this, runtime, driver, log, peers, options)) {}

Controller::~Controller() {
  if (state_->door) *state_->door = nullptr;
}

Result<> Controller::start(Task& task, const Configuration& voters) {
  State& s = *state_;
  CHECK(s.group == nullptr && !s.stopping, "a controller starts once");
  TRY(s.load(task, voters));
  const bool founding = s.log.last_index() == LogIndex(0);
  s.group = TRY(s.driver.add(task, kMetadataPartition, s.log, voters, s));
  s.group->stand_by(s.image_missing);
  s.committed = s.group->commit();
  // What this disk knows to be committed is applied before anybody looks. If it cannot be read, the
  // applier goes on trying: others may repair it.
  if (const Result<> replayed = s.apply_committed(task); !replayed) {
    if (replayed.error().code == Errc::kCancelled) {
      s.driver.remove(kMetadataPartition);
      s.group = nullptr;
      return replayed;
    }
    s.runtime.log().error("controller", "the metadata log cannot be read: {}", replayed.error().text());
  }

  TRY(s.look_ahead(task));

  s.door = std::make_shared<State*>(&s);
  s.peers.serve(std::string(kService), [door = s.door](Task& t, const PeerIdentity&, Slice body) -> Result<Chain> {
    if (*door == nullptr || (*door)->stopping) return fail(Errc::kUnavailable, "this broker is stopping");
    return (*door)->serve(t, body);
  });
  s.runtime.spawn(s.scope, "controller/applier", [&s](Task& t) { s.run_applier(t); });
  s.runtime.spawn(s.scope, "controller/scrub", [&s](Task& t) { s.run_scrub(t); });
  if (s.image_missing) s.runtime.spawn(s.scope, "controller/image", [&s, voters](Task& t) { s.fetch_image(t, voters); });
  // The first leader of a new cluster need not wait for a timeout to run out.
  if (founding && s.group != nullptr && !voters.voters.empty() && voters.voters.front() == s.group->raft().self())
    s.group->campaign_soon();
  return {};
}

void Controller::stop(Task& task) {
  State& s = *state_;
  s.stopping = true;
  if (s.door) *s.door = nullptr;
  s.scope.cancel();
  s.scope.join(task);
  s.changed.notify_all();
  while (s.visitors > 0) s.last_left.wait_through(task);
  if (s.group != nullptr) s.driver.remove(kMetadataPartition);
  s.group = nullptr;
}

const ClusterImage& Controller::image() const { return state_->image; }
LogIndex Controller::applied() const { return state_->applied.index; }
std::map<BrokerId, Endpoint> Controller::addresses() const {
  std::map<BrokerId, Endpoint> all = state_->ahead;
  for (const auto& [id, broker] : state_->image.brokers()) all[id] = broker.internal;
  return all;
}

void Controller::hear_of(BrokerId id, const Endpoint& at) { state_->ahead[id] = at; }

bool Controller::is_leader() const { return state_->leads(); }
BrokerId Controller::leader() const { return state_->group == nullptr ? kNoBroker : state_->group->leader(); }

Result<ControllerReply> Controller::submit(Task& task, const ControllerCommand& command, Instant deadline) {
  const Visit visit(*state_);
  return state_->submit(task, command, deadline);
}

Result<ControllerReply> Controller::submit_and_go(Task& task, const ControllerCommand& command, Instant deadline) {
  const Visit visit(*state_);
  return state_->submit(task, command, deadline, /*and_see=*/false);
}

bool Controller::State::leads() const {
  return group != nullptr && group->quarantine().empty() && group->role() == Role::kLeader;
}

void Controller::State::on_role(Role role, Term term, BrokerId) {
  // What was speculated in another term rests on entries that may be cut off.
  if (role != Role::kLeader || term != speculative_term) speculative.reset();
  changed.notify_all();
}

Result<ControllerReply> Controller::State::submit(Task& task, const ControllerCommand& command, Instant deadline,
                                                  bool and_see) {
  const auto timed_out = [&] {
    return leads() || (group != nullptr && group->leader() != kNoBroker)
               ? fail(Errc::kTimedOut, "the controller did not answer in time")
               : fail(Errc::kUnavailable, "no leader of the cluster's metadata is known");
  };
  const Instant forgotten = runtime.now() + kForgottenAfter;
  for (;;) {
    if (stopping || group == nullptr) return fail(Errc::kUnavailable, "this broker takes no part in the metadata");
    if (runtime.now() >= deadline) return timed_out();
    BrokerId leader = group->leader();
    // A broker that is no member yet is told by nobody who leads: it asks those that it knows of, one after the other.
    const bool no_way = leader == kNoBroker || (leader != group->raft().self().node && !peers.connected(leader));
    const bool is_member = group->configuration().is_member(group->raft().self());
    const bool stranger = no_way && (!is_member || runtime.now() >= forgotten);
    if (stranger) leader = next_to_ask();
    if (!leads() && (leader == kNoBroker || leader == group->raft().self().node)) {
      const Result<> waited = changed.wait(task, stranger ? deadline : std::min(deadline, forgotten));
      if (!waited && waited.error().code == Errc::kCancelled) return fail(Errc::kCancelled);
      continue;
    }
    Result<ControllerReply> reply;
    if (leads()) {
      Result<Decided> decided = decide_here(task, command, deadline);
      if (decided) return std::move(decided->reply);
      reply = std::unexpected(std::move(decided).error());
    } else {
      reply = ask(task, leader, command, stranger ? std::min(deadline, runtime.now() + kStrangerPatience) : deadline, and_see);
      if (reply) return reply;
    }
    if (!is_passing(reply.error().code)) return reply;
    if (runtime.now() >= deadline) return timed_out();
    TRY(runtime.sleep_until(task, std::min(deadline, runtime.now() + kPause)));
  }
}

BrokerId Controller::State::next_to_ask() {
  std::set<BrokerId> known;
  for (const auto& [id, at] : self.addresses()) known.insert(id);
  for (const ReplicaId& member : group->configuration().members()) known.insert(member.node);
  known.erase(group->raft().self().node);
  if (known.empty()) return kNoBroker;
  return *std::next(known.begin(), static_cast<std::ptrdiff_t>(asked_strangers++ % known.size()));
}

// Asks another broker, for as long as nobody else is heard to lead. A dead host answers nothing and breaks nothing: it is the
// election of its successor that tells.
Result<ControllerReply> Controller::State::ask(Task& task, BrokerId leader, const ControllerCommand& command,
                                               Instant deadline, bool and_see) {
  ByteWriter question;
  question.u8(kFormat);
  // An Instant means nothing to another node; what is left of the time does.
  question.i64((deadline - runtime.now()).ms());
  question.sized(encode_command(command).view());

  const BrokerId known = group->leader();
  std::optional<Result<Slice>> answer;
  Scope asking;
  runtime.spawn(asking, "controller/ask", [&](Task& t) {
    answer = peers.call(t, leader, kService, {Slice(question.view())}, deadline);
    changed.notify_all();
  });
  while (!answer && !stopping && group != nullptr && group->leader() == known) {
    const Result<> waited = changed.wait(task, deadline);
    if (!waited) break;
  }
  asking.cancel();
  asking.join(task);
  if (task.cancelled()) return fail(Errc::kCancelled);
  if (!answer || (!*answer && answer->error().code == Errc::kCancelled))
    return fail(Errc::kNotLeader, fmt::format("broker {} leads the metadata no more", leader.value));
  if (!*answer) return std::unexpected(answer->error());

  ByteReader in(**answer);
  TRY(read_format(in, kFormat, "controller answer"));
  const LogIndex index(in.i64());
  ControllerReply reply = TRY(decode_reply(in.bytes(in.left())));
  // It is true there; the caller goes on to look at this broker's own image.
  if (and_see) TRY(wait_applied(task, index, deadline));
  return reply;
}

Result<Chain> Controller::State::serve(Task& task, ByteView body) {
  const Visit visit(*this);
  ByteReader in(body);
  TRY(read_format(in, kFormat, "controller question"));
  const int64_t left_ms = in.i64();
  const ByteView encoded = in.sized();
  if (!in.done()) return fail(Errc::kCorrupt, "a question to the controller is cut short or too long");
  const ControllerCommand command = TRY(decode_command(encoded));
  if (!leads()) return fail(Errc::kNotLeader);
  Decided decided = TRY(decide_here(task, command, runtime.now() + Duration::from_ms(std::max<int64_t>(left_ms, 0))));
  ByteWriter head;
  head.u8(kFormat);
  head.i64(decided.index.value);
  return Chain{Slice(head.view()), encode_reply(decided.reply)};
}

// Decides, appends, and waits until what the reply depends on is committed. Errors: kNotLeader (nothing
// took effect), kUnavailable, kTimedOut (it may have), kCancelled.
Result<Decided> Controller::State::decide_here(Task& task, const ControllerCommand& command, Instant deadline) {
  TRY(prepare(task, deadline));
  // From here to propose() nothing waits: index, image and term belong together.
  if (log.uncommitted_bytes() > options.uncommitted_max)
    return fail(Errc::kUnavailable, "too much of the metadata log waits to be committed");
  DecisionContext context;
  if (self.alive) {
    context.alive = self.alive();
  } else {
    for (const auto& [id, broker] : speculative->brokers()) context.alive.push_back(id);
  }
  std::sort(context.alive.begin(), context.alive.end());
  if (self.alive_disks) context.alive_disks = self.alive_disks();
  context.next_index = log.last_index() + (PLANT("M33") ? 2 : 1);
  context.default_partitions = options.default_partitions;
  context.random = &runtime.random();
  context.limits = options.limits;
  context.quorum = quorum();
  Decision decision = decide(*speculative, command, context);

  // A reply without records, a refusal say, rests on all that was speculated so far: if that is cut off,
  // so is the reason for refusing. The leader's own no-op, at the least, stands there.
  EntryId rests_on = log.last();
  if (!decision.records.empty()) {
    Entry entry;
    entry.meta.kind = EntryKind::kCommand;
    entry.meta.base_offset = log.next_offset();
    entry.payload = encode_records(decision.records);
    rests_on = TRY(group->propose(std::span(&entry, 1)));
    // A group of one may have moved its role while it took the entry; the entry's fate tells then.
    if (speculative) {
      CHECK(rests_on.index == context.next_index, "I-M1 decided for the place where it stands");
      for (const MetadataRecord& record : decision.records)
        if (!PLANT("M32")) CHECK(speculative->apply(record, rests_on.index), "I-M2 what is decided applies");
    }
  }

  TRY(wait_applied(task, rests_on.index, deadline));
  const std::optional<Term> term = applied_term(rests_on.index);
  // Another leader's entry stands there: ours was never committed and never will be (Raft paper, 5.3).
  if (term && *term != rests_on.term) return fail(Errc::kNotLeader, "another leader's history won");
  if (!term) return fail(Errc::kUnavailable, "the outcome is hidden in a snapshot");
  warn_of_weak_topics(decision.records);
  return Decided{rests_on.index, std::move(decision.reply)};
}

QuorumView Controller::State::quorum() const {
  QuorumView view;
  view.leader = group->raft().self().node;
  view.epoch = group->term().value;
  view.committed_end = group->commit().value + 1;
  const Instant now = runtime.now();
  const int64_t wall_ms = runtime.wall_now().ms;
  for (const RaftGroup::MemberView& member : group->members()) {
    QuorumView::Member& out = view.members.emplace_back();
    out.replica = member.replica;
    out.voter = member.voter;
    out.end = member.match.value + 1;
    out.contact_ms = wall_ms - (now - member.last_contact).ms();
    if (member.match >= log.last_index()) out.caught_up_ms = out.contact_ms;
  }
  std::sort(view.members.begin(), view.members.end(),
            [](const auto& a, const auto& b) { return a.replica < b.replica; });
  return view;
}

// Makes sure that `speculative` holds the image plus all that the log holds beyond it, in this term.
Result<> Controller::State::prepare(Task& task, Instant deadline) {
  // Held while the log is read: what two fibers read at once would be applied twice.
  const Mutex::Lock lock = TRY(preparing.lock(task, deadline));
  if (!leads()) return fail(Errc::kNotLeader);
  const Term term = group->term();
  if (speculative && speculative_term == term) return {};

  ClusterImage next = image;
  LogIndex reached = applied.index;
  while (reached < log.last_index()) {
    const Result<std::vector<Entry>> entries = log.read_entries(task, reached + 1, 1_MiB, 1024);
    if (!entries) {
      if (entries.error().code == Errc::kCancelled) return fail(Errc::kCancelled);
      return fail(Errc::kUnavailable, fmt::format("the end of the metadata log cannot be read: {}",
                                                  entries.error().text()));
    }
    if (!leads() || group->term() != term) return fail(Errc::kNotLeader);
    for (const Entry& entry : *entries) {
      reached = entry.meta.index;
      if (entry.meta.kind != EntryKind::kCommand) continue;
      // Another leader's records: if they do not fit, the applier will find the same, once they are
      // committed, and say so.
      const Result<std::vector<MetadataRecord>> records = decode_records(entry.payload);
      const bool fits = records && std::all_of(records->begin(), records->end(), [&](const MetadataRecord& record) {
                          return next.apply(record, reached);
                        });
      if (!fits)
        return fail(Errc::kUnavailable, fmt::format("entry {} does not fit the metadata before it", reached.value));
    }
  }
  speculative = std::move(next);
  speculative_term = term;
  return {};
}

Result<> Controller::State::wait_applied(Task& task, LogIndex index, Instant deadline) {
  while (applied.index < index) {
    if (stopping || group == nullptr) return fail(Errc::kUnavailable, "this broker takes no part in the metadata");
    TRY(changed.wait(task, deadline));
  }
  return {};
}

// Promise 2 has a price, and whoever creates such a topic should hear of it before its first loss.
void Controller::State::warn_of_weak_topics(const std::vector<MetadataRecord>& records) {
  for (const MetadataRecord& record : records) {
    const auto* created = std::get_if<CreateTopic>(&record);
    if (created == nullptr || created->topic.partitions.front().replicas.size() != 2) continue;
    runtime.log().warn("controller", "topic {} has 2 replicas: it takes no writes while either of them is away; 3 "
                       "survive the loss of one", escaped(created->topic.name));
  }
}

}  // namespace taffrail
