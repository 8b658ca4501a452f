#include "sim/group_workload.h"

#include <fmt/core.h>

#include <deque>
#include <map>
#include <set>

#include "broker/internal_topics.h"
#include "broker/shard.h"
#include "client/admin.h"
#include "client/consumer_member.h"
#include "client/group_admin.h"
#include "client/group_member.h"
#include "group/service.h"
#include "protocol/offset_fetch.h"

namespace taffrail::sim {

using client::ConsumerMember;
using client::GroupMember;
using client::GroupMemberOptions;
using client::GroupPlace;
using Heartbeat = protocol::ConsumerGroupHeartbeatRequest;

namespace {

struct Counter {
  uint64_t number = 0;  ///< Of its group: one was begun anew after each answer that did not come.
  int64_t sent = 0;
  int64_t told = 0;     ///< The largest that somebody was told.

  std::string group() const { return fmt::format("counter-{}", number); }
};

/// What brokers say of it.
struct Counts {
  Counter counter;
  uint64_t heard = 0;
  std::string wrong = {};

  /// A broker was asked when the counter was as `asked`. `expires`: nothing may be there any more.
  void hear(BrokerId broker, const protocol::OffsetFetchResponse& answer, const Counter& asked, bool expires);
};

void Counts::hear(BrokerId broker, const protocol::OffsetFetchResponse& answer, const Counter& asked, bool expires) {
  if (answer.groups.size() != 1 || answer.groups[0].error_code != protocol::ErrorCode::kNone) return;
  int64_t found = 0;
  for (const auto& topic : answer.groups[0].topics)
    for (const auto& p : topic.partitions)
      if (p.error_code == protocol::ErrorCode::kNone) found = std::max(found, p.committed_offset.value);
  if (found > 0) ++heard;
  const bool same = counter.number == asked.number;
  const bool gone = found == 0 && expires;
  if (wrong.empty() && ((found < asked.told && !gone) || (same && found > counter.sent)))
    wrong = fmt::format("I-R13 linearizable reads: broker {} says that {} of {} is committed, {} was known to be before it was asked",
                        broker.value, found, asked.group(), asked.told);
  if (same) counter.told = std::max(counter.told, found);
}

}  // namespace

// Shared with the members' fibers, which may outlive the workload in a world that is torn down.
struct GroupWorkload::Progress {
  uint32_t running = 0;
  bool calm = false;  ///< Nobody leaves, hangs or dies any more.
  bool stop = false;
  std::map<uint32_t, std::set<int32_t>> owned;
  uint64_t processes = 0;
  Counts counts;
};

/// Writes down what one member is told, in the world's own time.
class GroupWorkload::Recorder final : public client::GroupObserver {
 public:
  explicit Recorder(GroupWorkload& workload)
      : history_(workload.history_), world_(workload.cluster_.world()), process_(++workload.progress_->processes) {}

  int64_t mark() override { return world_.now().ns; }
  void on_joined(int64_t asked, const GroupPlace& place, const std::string& leader) override {
    history_.joined(since(asked), who(place), leader == place.member);
  }
  void on_assigned(const GroupPlace& place, const std::vector<client::TopicPartition>& given) override {
    std::vector<int32_t> partitions;
    for (const auto& at : given) partitions.push_back(at.partition);
    history_.assigned(who(place), std::move(partitions), world_.now());
  }
  void on_commit(int64_t asked, const GroupPlace& place, const client::TopicPartition& at, Offset offset,
                 std::optional<protocol::ErrorCode> code) override {
    using protocol::ErrorCode;
    // What timed out on its way to a majority may be there or not.
    const bool unknown = !code || *code == ErrorCode::kCoordinatorNotAvailable || *code == ErrorCode::kNotCoordinator ||
                         *code == ErrorCode::kRequestTimedOut;
    history_.commit(since(asked), who(place), at.partition, offset,
                    unknown ? GroupHistory::Outcome::kUnknown
                            : *code == ErrorCode::kNone ? GroupHistory::Outcome::kStored : GroupHistory::Outcome::kRefused);
  }
  void on_committed(int64_t asked, const client::TopicPartition& at, Offset offset) override {
    history_.found(since(asked), at.partition, offset);
  }
  void on_beat(int64_t asked, const Heartbeat& said, uint64_t link, std::optional<protocol::ErrorCode> code, int32_t epoch) override {
    told(asked, said, link, code, epoch, /*again=*/false);
    if (said.member_epoch <= 0) said_.clear();
    else if (said.topic_partitions && (said_.empty() || said_.back().member_epoch != said.member_epoch)) said_.push_back(said);
    if (code != protocol::ErrorCode::kNone) return;
    if (said.member_epoch <= 0) epochs_.clear();
    epochs_.insert(epoch);
  }

  void repeat(Task& task, client::Cluster& view, const std::string& group);

 private:
  /// What was said two epochs ago, if anything.
  const Heartbeat* stale() const {
    for (const Heartbeat& said : said_)
      if (std::distance(epochs_.upper_bound(said.member_epoch), epochs_.end()) > 1) return &said;
    return nullptr;
  }
  void told(int64_t asked, const Heartbeat& said, uint64_t link, std::optional<protocol::ErrorCode> code, int32_t epoch, bool again) {
    using Heard = GroupHistory::Heard;
    using protocol::ErrorCode;
    const Heard heard = !code ? Heard::kUnknown : *code == ErrorCode::kNone ? Heard::kWell
                        : *code == ErrorCode::kFencedMemberEpoch ? Heard::kFenced : Heard::kRefused;
    history_.beat({since(asked), {said.member_id, said.instance_id, said.member_epoch, process_}, heard == Heard::kWell ? epoch : -1, heard,
                   said.topic_partitions.has_value(), again, link});
  }
  GroupHistory::Who who(const GroupPlace& place) const { return {place.member, place.instance, place.generation, process_}; }
  GroupHistory::Span since(int64_t asked) const { return {Instant{asked}, world_.now()}; }

  GroupHistory& history_;
  World& world_;
  uint64_t process_;
  std::vector<Heartbeat> said_;  ///< One of each epoch, since it joined.
  std::set<int32_t> epochs_;     ///< That it was told since then.
};

GroupWorkload::GroupWorkload(SimCluster& cluster, GroupWorkloadOptions options)
    : cluster_(cluster), options_(std::move(options)), progress_(std::make_shared<Progress>()) {
  if (options_.protocol != GroupProtocol::kClassic) history_.tell_of_epochs();
}
GroupWorkload::~GroupWorkload() = default;

void GroupWorkload::start() {
  progress_->running = options_.members;
  if (options_.retention > Duration{}) {
    // About as long as offsets are kept: now they are there afterwards, and now they are not.
    Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 99);
    const Instant first = cluster_.world().now() + Duration::from_ms(draws.draw_between(2'000, 5'000, "all are away"));
    const Duration time = options_.retention * draws.draw_between(5, 25, "for how long") / 10;
    away_ = {first, std::min(first + time, cluster_.world().now() + options_.trouble)};
  }
  ++progress_->running;
  cluster_.world().spawn(cluster_.client(0), "workload/monitor", [this, progress = progress_](Task& task, Runtime& runtime) {
    run_monitor(task, runtime, progress);
    --progress->running;
  });
  ++progress_->running;
  const auto last = static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count() - 1);
  cluster_.world().spawn(cluster_.client(last), "workload/counter", [this, progress = progress_](Task& task, Runtime& runtime) {
    run_counter(task, runtime, progress);
    --progress->running;
  });
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    ++progress_->running;
    cluster_.world().spawn(cluster_.client(0), fmt::format("workload/passer-by-{}", i), [this, progress = progress_, i](Task& task, Runtime& runtime) {
      run_passer_by(task, runtime, progress, BrokerId(static_cast<int32_t>(i + 1)));
      --progress->running;
    });
  }
  const size_t machines = cluster_.machines().size() - cluster_.broker_count();
  for (uint32_t i = 0; i < options_.members; ++i) {
    const NodeId at = cluster_.client(static_cast<uint32_t>(i % machines));
    bool newer = options_.protocol == GroupProtocol::kConsumer;
    if (options_.protocol == GroupProtocol::kMixed) newer = cluster_.world().stream(StreamKind::kWorkload, 200 + i).hits(1, 2, "newer protocol");
    cluster_.world().spawn(at, fmt::format("workload/member-{}", i), [this, progress = progress_, i, newer](Task& task, Runtime& runtime) {
      bool ready = true;
      while (ready && options_.ready && !options_.ready() && !progress->stop) ready = runtime.sleep_for(task, 20_ms).has_value();
      if (ready && newer) run_member<ConsumerMember>(task, runtime, *this, progress, i);
      else if (ready) run_member<GroupMember>(task, runtime, *this, progress, i);
      progress->owned.erase(i);
      --progress->running;
    });
  }
}

// A copy of what a member said a while ago, from whoever kept it: a proxy, or a machine that was set back.
void GroupWorkload::Recorder::repeat(Task& task, client::Cluster& view, const std::string& group) {
  const Heartbeat* old = stale();
  if (old == nullptr) return;
  const Heartbeat said = *old;
  client::CoordinatorLink link(view, group);
  const int64_t asked = mark();
  const auto answer = link.ask(task, said, view.runtime().now() + 1_s);
  told(asked, said, 0, answer ? std::optional(answer->error_code) : std::nullopt, answer ? answer->member_epoch : -1, /*again=*/true);
  link.close(task);
}

// Whoever watches how far the group is behind. It also has the offsets kept as safely as it was asked to.
void GroupWorkload::run_monitor(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress) {
  Recorder recorder(*this);
  client::Cluster view(runtime, cluster_.bootstrap());
  client::GroupAdmin admin(view);
  client::Admin topics(view);
  while (options_.ready && !options_.ready() && !progress->stop)
    if (!runtime.sleep_for(task, 20_ms)) break;
  bool set = options_.min_insync <= 1;
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, 300_ms)) {
    if (!set) {
      const std::map<std::string, std::optional<std::string>> changes = {{"min.insync.replicas", std::to_string(options_.min_insync)}};
      set = topics.alter_topic(task, std::string(kOffsetsTopic), changes, runtime.now() + 1_s).has_value();
    }
    const int64_t asked = recorder.mark();
    const auto found = admin.committed(task, options_.group, runtime.now() + 1_s);
    if (!found) continue;
    for (int32_t p = 0; p < options_.partitions; ++p) {
      const auto at = found->find({options_.topic, p});
      recorder.on_committed(asked, {options_.topic, p}, at == found->end() ? kNoOffset : at->second.offset);
    }
  }
  view.close(task);
}

// An offset that somebody without a member raises by one at a time, of a group that has nothing else.
void GroupWorkload::run_counter(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress) {
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 97);
  client::Cluster view(runtime, cluster_.bootstrap());
  client::GroupAdmin admin(view);
  while (options_.ready && !options_.ready() && !progress->stop)
    if (!runtime.sleep_for(task, 20_ms)) break;
  Counter& counter = progress->counts.counter;
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(10, 200, "pause")))) {
    const std::map<client::TopicPartition, Offset> next = {{{options_.topic, 0}, Offset(++counter.sent)}};
    if (admin.set_offsets(task, counter.group(), next, runtime.now() + 500_ms)) counter.told = std::max(counter.told, counter.sent);
    // What was not answered may come about at any time, over what comes later: another group begins anew.
    else counter = {.number = counter.number + 1};
  }
  view.close(task);
}

// Whoever asks one broker what is committed, and not whom the others call the coordinator: one that answers has to know.
// It asks again before it has heard: what stood still meanwhile finds all that was asked, and no coordinator any more.
void GroupWorkload::run_passer_by(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress, BrokerId broker) {
  struct Asked {
    std::shared_ptr<client::PendingAnswer> answer;
    Counter counter;
    Instant at;
  };
  constexpr size_t kUnheardMax = 20;
  constexpr Duration kPatience = 20_s;
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 300 + static_cast<uint32_t>(broker.value));
  client::Cluster view(runtime, cluster_.bootstrap());
  std::shared_ptr<client::KafkaConnection> connection;
  std::deque<Asked> unheard;
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(10, 200, "pause")))) {
    for (; !unheard.empty() && unheard.front().answer->done.is_set(); unheard.pop_front()) {
      const auto answer = connection->receive<protocol::OffsetFetchResponse>(task, *unheard.front().answer, runtime.now());
      if (answer) progress->counts.hear(broker, *answer, unheard.front().counter, options_.retention > Duration{});
    }
    if (!unheard.empty() && runtime.now() > unheard.front().at + kPatience) connection->shut({Errc::kTimedOut, "no answer came"});
    if (connection == nullptr || !connection->is_open()) {
      unheard.clear();
      const bool known = view.brokers().contains(broker) || view.refresh(task, {}, runtime.now() + 1_s);
      const auto made = known ? view.connect(task, broker, runtime.now() + 1_s) : fail(Errc::kNotFound);
      connection = made ? *made : nullptr;
    }
    if (connection == nullptr || unheard.size() >= kUnheardMax) continue;
    protocol::OffsetFetchRequest request;
    request.groups.push_back({progress->counts.counter.group(), {}, -1, std::nullopt, {}});
    const auto asked = connection->submit(request, 9);
    if (asked) unheard.push_back({*asked, progress->counts.counter, runtime.now()});
  }
  view.close(task);
}

const std::string& GroupWorkload::false_count() const { return progress_->counts.wrong; }
uint64_t GroupWorkload::counts_told() const { return progress_->counts.heard; }

template <class Member>
void GroupWorkload::run_member(Task& task, Runtime& runtime, GroupWorkload& self, std::shared_ptr<Progress> progress, uint32_t number) {
  World& world = self.cluster_.world();
  Stream& draws = world.stream(StreamKind::kWorkload, 100 + number);
  const Instant trouble_ends = world.now() + self.options_.trouble;
  GroupMemberOptions options;
  options.group = self.options_.group;
  options.topics = {self.options_.topic};
  if (draws.hits(1, 3, "static member")) options.instance = fmt::format("instance-{}", number);
  options.session_timeout = 1_s;
  options.rebalance_timeout = 2_s;
  options.heartbeat_interval = 200_ms;
  options.request_timeout = 2_s;
  options.consumer.request_timeout = 2_s;
  client::Cluster view(runtime, self.cluster_.bootstrap());
  std::map<client::TopicPartition, Offset> read;
  while (!progress->stop && !task.cancelled()) {
    Recorder recorder(self);
    Member member(view, options, &recorder);
    member.before_giving_back = [&](Task& t) {
      if (!read.empty()) (void)member.commit(t, read, runtime.now() + 1_s);
      read.clear();
    };
    bool again = false;
    while (!again && !progress->stop && !task.cancelled()) {
      const auto polled = member.poll(task, runtime.now() + 300_ms);
      auto& owned = progress->owned[number];
      owned.clear();
      for (const auto& at : member.owned()) owned.insert(at.partition);
      if (polled)
        for (const client::Polled& part : *polled) read[part.from] = part.position;
      else if (polled.error().code == Errc::kFenced)
        again = true;
      else if (!runtime.sleep_for(task, 50_ms))
        break;
      const bool calm = progress->calm || world.now() >= trouble_ends;
      if (!calm && world.now() >= self.away_.first && world.now() < self.away_.second) {
        (void)member.leave(task, runtime.now() + 1_s);
        owned.clear();
        read.clear();
        if (world.now() < self.away_.second && !runtime.sleep_for(task, self.away_.second - world.now())) break;
        continue;
      }
      const uint64_t what = draws.draw(60, "member");
      if (what < 25 && !read.empty()) {
        if (member.commit(task, read, runtime.now() + 1_s)) read.clear();
      } else if (what == 57 && !calm) {
        (void)member.leave(task, runtime.now() + 1_s);
        if (!runtime.sleep_for(task, Duration::from_ms(draws.draw_between(0, 500, "away")))) break;
      } else if (what == 58 && !calm) {
        // A process that hangs past its session, and then speaks as if nothing were.
        member.silent = true;
        const Instant until = runtime.now() + Duration::from_ms(draws.draw_between(500, 2'500, "hang"));
        if (options.instance && draws.hits(1, 2, "twin")) {
          // Meanwhile its supervisor has started another one under its name.
          Recorder other(self);
          Member twin(view, options, &other);
          while (runtime.now() < until && twin.poll(task, std::min(until, runtime.now() + 200_ms))) {}
          twin.close(task);
        }
        if (!runtime.sleep_until(task, until)) break;
        member.silent = false;
        if (!read.empty()) (void)member.commit(task, read, runtime.now() + 1_s);
      } else if (what >= 55 && what < 57 && !calm) {
        if constexpr (std::is_same_v<Member, ConsumerMember>) {
          if (what == 55) member.deaf = true;
          else recorder.repeat(task, view, self.options_.group);
        }
      } else if (what == 59 && !calm) {
        again = true;  // A process that dies and is started again.
        if (draws.hits(1, 2, "dies late") && !runtime.sleep_for(task, Duration::from_ms(draws.draw_between(0, 1'500, "away")))) break;
      }
    }
    progress->owned[number].clear();
    if (progress->stop) (void)member.leave(task, runtime.now() + 1_s);
    read.clear();
    member.close(task);
  }
  view.close(task);
}

bool GroupWorkload::can_finish(size_t brokers, int16_t replicas) const {
  if (brokers >= static_cast<size_t>(replicas)) return true;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i)
    if (cluster_.serving(i) && cluster_.node(i)->context().controller().image().find_topic(kOffsetsTopic) != nullptr) return true;
  return false;
}

bool GroupWorkload::all_owned() const {
  std::map<int32_t, int> owners;
  for (const auto& [member, partitions] : progress_->owned)
    for (const int32_t p : partitions) ++owners[p];
  if (owners.size() != static_cast<size_t>(options_.partitions)) return false;
  for (const auto& [partition, count] : owners)
    if (count != 1) return false;
  return true;
}

std::string GroupWorkload::told() {
  std::string out = "its coordinator does not say more";
  (void)cluster_.world().run_fiber(cluster_.client(0), [&](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    if (const auto group = client::GroupAdmin(view).describe(task, options_.group, runtime.now() + 5_s)) {
      out = fmt::format("its coordinator, broker {}, says {}", group->coordinator.value, group->state);
      for (const auto& member : group->members) {
        out += fmt::format("; {}{}{}:", member.id, member.instance ? " as " : "", member.instance.value_or(""));
        for (const auto& at : member.partitions) out += fmt::format(" {}", at.partition);
      }
    }
    view.close(task);
  }, 10_s);
  return out;
}

std::optional<std::string> GroupWorkload::finish(Duration limit) {
  World& world = cluster_.world();
  const Instant end = world.now() + limit;
  progress_->calm = true;
  while (!all_owned() && world.now() < end && !world.failure()) world.run_for(100_ms);
  if (!all_owned()) {
    std::string state;
    for (const auto& [member, partitions] : progress_->owned) state += fmt::format(" member {} owns {}", member, partitions.size());
    return fmt::format("the group does not come to own its {} partitions once each:{}; {}", options_.partitions, state, told());
  }
  progress_->stop = true;
  for (int i = 0; i < 200 && progress_->running > 0 && !world.failure(); ++i) world.run_for(100_ms);
  if (progress_->running > 0) return "members of the group do not come to an end";
  std::optional<std::string> problem = "what the group has committed could not be asked for";
  (void)world.run_fiber(cluster_.client(0), [&](Task& task, Runtime& runtime) {
    // Who joins alone gets everything, and is told what is committed.
    Recorder recorder(*this);
    client::Cluster view(runtime, cluster_.bootstrap());
    GroupMemberOptions options;
    options.group = options_.group;
    options.topics = {options_.topic};
    options.session_timeout = 1_s;
    options.rebalance_timeout = 2_s;
    {
      GroupMember member(view, options, &recorder);
      const Instant until = runtime.now() + 20_s;
      while (member.owned().size() != static_cast<size_t>(options_.partitions) && runtime.now() < until)
        if (!member.poll(task, runtime.now() + 100_ms) && !runtime.sleep_for(task, 100_ms)) break;
      if (member.owned().size() == static_cast<size_t>(options_.partitions)) problem.reset();
      (void)member.leave(task, runtime.now() + 2_s);
      member.close(task);
    }
    view.close(task);
  }, 60_s);
  return problem;
}

std::optional<std::string> GroupWorkload::await_expiry(Duration spread) {
  // Half as long again: clocks drift.
  const Duration time = options_.retention + options_.retention_check + spread + 1_s;
  const std::string alone = "alone";
  std::optional<std::string> problem = "offsets of a group without members could not be set";
  (void)cluster_.world().run_fiber(cluster_.client(0), [&](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    client::GroupAdmin admin(view);
    // The first brokers that it asks may be among those that never come back.
    for (const Instant until = runtime.now() + 60_s; problem && runtime.now() < until;) {
      const auto set = admin.set_offsets(task, alone, {{{options_.topic, 0}, Offset(1)}}, runtime.now() + 20_s);
      if (set) problem.reset();
      else problem = fmt::format("offsets of a group without members could not be set: {}", set.error().text());
      if (problem && !runtime.sleep_for(task, 100_ms)) break;
    }
    view.close(task);
  }, 100_s);
  if (problem) return problem;
  cluster_.world().run_for(time + time / 2);
  size_t led = 0;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    if (!cluster_.serving(i)) continue;
    for (BrokerShard* shard : cluster_.node(i)->shards())
      for (const group::Service* service : shard->groups()) {
        if (service->coordinator() == nullptr) continue;
        ++led;
        for (const auto& [id, stored] : service->table().groups())
          return fmt::format("group {} has {} offsets, long after they were to go", id, stored.offsets.size());
      }
  }
  if (led == 0) return "nobody coordinates";
  return std::nullopt;
}

void GroupWorkload::expect_expiry(Duration spread) {
  if (options_.retention > Duration{}) history_.offsets_expire(std::max(options_.retention - spread, Duration{}));
}

namespace {

/// I-G6 as the log has it: of what is gone with an entry nobody was a member, and it was kept for long enough. `now` is when
/// whoever wrote the entry thought that it was.
std::optional<std::string> expired_early(const group::Table& before, const group::Table& after, WallTime now, Duration retention,
                                         uint64_t& expired) {
  for (const auto& [id, had] : before.groups()) {
    const group::StoredGroup* has = after.find(id);
    for (const auto& [at, value] : had.offsets) {
      if (has != nullptr && has->offsets.contains(at)) continue;
      ++expired;
      const size_t members = had.consumers.members.size() + (had.state ? had.state->members.size() : 0);
      if (members > 0) return fmt::format("the offset of partition {} of group {} is gone, which has {} members", at.partition, id, members);
      const bool classic = had.state && !had.state->protocol_type.empty();
      const int64_t since = classic ? had.state->current_state_timestamp : value.commit_timestamp;
      if (now.ms - since < retention.ms())
        return fmt::format("the offset of partition {} of group {} is gone after {} ms, it was to be kept for {}", at.partition, id,
                           now.ms - since, retention.ms());
    }
  }
  return std::nullopt;
}

/// I-G1 as the log has it: what one member of a consumer group has, or is to give up, no other has.
std::optional<std::string> doubly_held(const group::Table& table) {
  for (const auto& [id, stored] : table.groups()) {
    std::map<std::pair<TopicId, int32_t>, std::string> holders;
    for (const auto& [name, member] : stored.consumers.members) {
      if (!member.current) continue;
      for (const auto* list : {&member.current->assigned_partitions, &member.current->partitions_pending_revocation})
        for (const auto& topic : *list)
          for (const int32_t partition : topic.partitions)
            if (const auto [it, fresh] = holders.emplace(std::pair{topic.topic_id, partition}, name); !fresh)
              return fmt::format("partition {} of a topic of {} is held by {} and by {}", partition, id, it->second, name);
    }
  }
  return std::nullopt;
}

}  // namespace

GroupReplicas check_group_replicas(SimCluster& cluster, Duration retention) {
  GroupReplicas result;
  std::vector<std::string>& out = result.violations;
  std::map<PartitionKey, std::map<LogIndex, std::pair<uint32_t, Slice>>> seen;
  for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
    if (!cluster.serving(i)) continue;
    (void)cluster.world().run_fiber(cluster.broker(i), [&](Task& task, Runtime&) {
      taffrail::Node* node = cluster.node(i);
      if (node == nullptr) return;
      for (BrokerShard* shard : node->shards())
        for (group::Service* service : shard->groups()) {
          const PartitionKey key = service->partition().key();
          Log& log = service->partition().log();
          const LogIndex end = service->partition().applied().index;
          const Slice live = service->save();
          group::Table replayed;
          bool whole = log.first_index() <= LogIndex(1);
          for (LogIndex next = log.first_index(); whole && next <= end;) {
            const auto entries = log.read_entries(task, next, 1_MiB, 1000);
            whole = entries && !entries->empty();
            if (!whole) break;
            for (const Entry& entry : *entries) {
              if (entry.meta.index > end) break;
              next = entry.meta.index + 1;
              if (entry.meta.kind != EntryKind::kBatch) continue;
              const auto batch = BatchView::parse(entry.payload);
              std::optional<group::Table> before;
              if (retention > Duration{}) before = replayed;
              if (!batch || !replayed.apply(*batch)) out.push_back(fmt::format("I-G5 replay: broker {} cannot read entry {}", i + 1, entry.meta.index.value));
              if (batch && before)
                if (const auto early = expired_early(*before, replayed, {batch->max_timestamp()}, retention, result.expired))
                  out.push_back(fmt::format("I-G6 expiry: at entry {} of broker {}, {}", entry.meta.index.value, i + 1, *early));
              if (const auto twice = doubly_held(replayed))
                out.push_back(fmt::format("I-G1 one owner: at entry {} of broker {}, {}", entry.meta.index.value, i + 1, *twice));
            }
            if (entries->back().meta.index >= end) break;
          }
          // What happened during the reads is another state.
          if (service->partition().applied().index != end) continue;
          if (whole && replayed.save() != live)
            out.push_back(fmt::format("I-G5 replay: the groups of broker {}, {}-{}, are not what its log says", i + 1,
                                      service->partition().topic_name(), key.partition));
          const auto [it, fresh] = seen[key].try_emplace(end, i, live);
          if (!fresh && it->second.second != live)
            out.push_back(fmt::format("I-G5 replay: brokers {} and {} disagree on the groups of {}-{}", it->second.first + 1, i + 1,
                                      service->partition().topic_name(), key.partition));
        }
    }, 30_s);
  }
  return result;
}

}  // namespace taffrail::sim
