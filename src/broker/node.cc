#include "broker/node.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "base/plant.h"
#include "broker/founding.h"
#include "broker/identity.h"
#include "broker/node_part.h"
#include "broker/retiring.h"
#include "broker/shard.h"
#include "broker/shard_count.h"
#include "controller/metadata_members.h"
#include "runtime/sync.h"

namespace taffrail {

namespace {
// Brokers that were away when there was room for another voter come back, and nobody says so.
constexpr Duration kMembersLook = 2_s;
}  // namespace

// On shard 0: what a node has once (its identity, the links to other brokers, group 0), its first shard, and the ways
// to the parts on the others.
struct Node::State {
  State(Runtime& r, NodeConfig c, std::shared_ptr<NodeShards> s)
      : runtime_(r), config_(std::move(c)), shards_(std::move(s)), peers_(r, PeerOptions{}),
        home_(r, peers_, shards_->home), shard_(r, config_, peers_) {}

  Result<> start(Task& task);
  void stop(Task& task);
  Endpoint advertised(const ListenerConfig& listener, const Endpoint& bound) const;
  Result<> prepare_directories(Task& task);
  Result<> open_shards(Task& task);
  Result<> keep_cluster(Task& task);
  Result<> start_peers(Task& task);
  Result<> start_group_zero(Task& task);
  Result<> register_self(Task& task);
  void accept_clients();

  // The parts on the other shards.
  bool alone() const { return runtime_.shard_count() == 1; }
  bool all_arrived() const { return shards_->parts.size() + 1 == runtime_.shard_count(); }
  Result<> on_parts(Task& task, const std::function<Result<>(Task&, NodePart&)>& what);
  template <class F>
  void tell_parts(const F& what) {
    for (const auto& [id, arrived] : shards_->parts) arrived.part.post(runtime_, what);
  }
  void join_shards();
  void run_alive(Task& task);
  void run_members(Task& task);
  void stop_parts(Task& task);

  std::vector<BrokerId> alive_brokers();
  std::vector<BrokerId> brokers_for_clients();
  std::vector<ReplicaId> alive_disks();
  void on_applied(const Entry* entry);
  void learn_addresses();
  void learn_address(BrokerId id, const Endpoint& at);
  void run_introductions(Task& task);
  void on_link(BrokerId node, bool up);
  void on_peer_message(const PeerIdentity& from, PeerKind kind, Slice body);
  Result<Chain> serve_log(Task& task, std::string_view service, Slice body);

  Runtime& runtime_;
  const NodeConfig config_;
  const std::shared_ptr<NodeShards> shards_;
  NodeIdentity identity_;
  uint64_t incarnation_ = 0;
  std::unique_ptr<DirectoryLock> lock_;
  Peers peers_;
  NodeHome home_;
  BrokerShard shard_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<Retiring> retiring_;
  BrokerShard::Look look_;
  std::map<uint32_t, std::string> failed_directories_;  ///< When the node started, and why.
  /// Directories but the first, by what their own identities say of the cluster: none, if the disk is new.
  std::map<uint32_t, ClusterId> directory_clusters_;
  bool known_cluster_ = false;  ///< The identity named a cluster before this start: group 0 was here.
  bool joined_ = false;   ///< The parts have an image, and are told what changes.
  bool registered_ = false;
  std::set<BrokerId> known_;  ///< Whose address peers_ was given.
  bool stopped_ = false;
  WaitQueue members_wake_;
  Scope scope_;
};

Node::Node(Runtime& runtime, NodeConfig config, std::shared_ptr<NodeShards> shards)
    : state_(std::make_unique<State>(runtime, std::move(config), shards ? std::move(shards) : std::make_shared<NodeShards>())) {
  CHECK(runtime.shard() == ShardId(0), "a node lives on shard 0, and a part of it on each of the others");
}
Node::~Node() = default;

Result<> Node::start(Task& task) {
  const Result<> started = state_->start(task);
  if (!started) state_->stop(task);
  return started;
}
void Node::stop(Task& task) { state_->stop(task); }
void Node::observe(RaftLook look) { state_->look_ = std::move(look); }
BrokerContext& Node::context() { return state_->shard_; }
Endpoint Node::internal() const { return state_->peers_.local(); }
Endpoint Node::listener(std::string_view name) const { return state_->shard_.listener(std::string(name)); }

const Controller* Node::controller() const { return state_->controller_.get(); }

std::vector<BrokerShard*> Node::shards() {
  std::vector<BrokerShard*> out{&state_->shard_};
  for (const auto& [id, arrived] : state_->shards_->parts)
    if (BrokerShard* shard = arrived.shard.here()) out.push_back(shard);
  return out;
}

Store* Node::store() { return state_->shard_.store(); }

std::vector<Partition*> Node::partitions() {
  std::vector<Partition*> out;
  for (BrokerShard* shard : shards())
    for (Partition* partition : shard->partitions()) out.push_back(partition);
  return out;
}

Partition* Node::find_partition(const PartitionKey& key) {
  for (BrokerShard* shard : shards())
    if (Partition* found = shard->find_partition(key)) return found;
  return nullptr;
}

RaftGroup* Node::find_group(const PartitionKey& key) {
  const auto look = [&](BrokerShard* shard) -> RaftGroup* {
    return shard == nullptr || shard->driver() == nullptr ? nullptr : shard->driver()->find(key);
  };
  if (RaftGroup* found = look(&state_->shard_)) return found;
  for (const auto& [id, arrived] : state_->shards_->parts)
    if (RaftGroup* found = look(arrived.shard.here())) return found;
  return nullptr;
}

std::vector<std::pair<PartitionKey, std::string>> Node::quarantines() {
  std::vector<std::pair<PartitionKey, std::string>> out;
  for (BrokerShard* shard : shards()) out.insert(out.end(), shard->quarantines().begin(), shard->quarantines().end());
  return out;
}

Endpoint Node::State::advertised(const ListenerConfig& listener, const Endpoint& bound) const {
  Endpoint out = listener.advertised;
  if (out.host.empty()) out.host = listener.bind.host;
  if (out.port == 0) out.port = bound.port;
  return out;
}

Result<> Node::State::start(Task& task) {
  incarnation_ = runtime_.random().next();
  auto lock = runtime_.disk().lock(task, "lock");
  if (!lock) return fail(lock.error(), "the data directory is in use by another process");
  lock_ = *std::move(lock);
  identity_ = TRY(load_identity(task, runtime_, config_.id));
  TRY(match_shards(task, runtime_, identity_, store_options(config_, identity_, ShardId(0))));
  known_cluster_ = !identity_.cluster.is_zero();
  while (!all_arrived()) TRY(shards_->changed.wait(task));
  TRY(prepare_directories(task));
  TRY(open_shards(task));
  TRY(start_peers(task));
  TRY(keep_cluster(task));
  TRY(start_group_zero(task));
  TRY(register_self(task));
  accept_clients();
  return {};
}

// Each directory but the first is looked after by its first shard. What it is called the first directory remembers, so that
// the cluster is told of the same disks while one of them fails.
Result<> Node::State::prepare_directories(Task& task) {
  const uint32_t count = runtime_.directory_count();
  if (count == 1) return {};
  CHECK(count <= runtime_.shard_count(), "each data directory has a shard");
  std::vector<Question<Result<NodeIdentity>>> questions;
  for (uint32_t i = 1; i < count; ++i) {
    const auto answer = questions.emplace_back(runtime_).answer();
    shards_->parts.at(ShardId(i)).part.post(runtime_, [cluster = identity_.cluster, answer](NodePart& part) {
      part.run<NodeIdentity>([cluster](Task& t, NodePart& p) { return p.prepare_directory(t, cluster); }, answer);
    });
  }
  std::vector<Result<NodeIdentity>> found;
  for (auto& question : questions) found.push_back(question.wait_through(task));
  std::vector<DiskId> disks;
  for (uint32_t i = 1; i < count; ++i) {
    Result<NodeIdentity>& one = found[i - 1];
    const std::string where = fmt::format("data directory {}{}", i + 1, i < config_.data_dirs.size() ? " (" + config_.data_dirs[i] + ")" : "");
    if (one) {
      disks.push_back(one->replica.disk);
      directory_clusters_[i] = one->cluster;
      continue;
    }
    if (one.error().code != Errc::kIo || i > identity_.more_disks.size()) return fail(one.error(), where);
    failed_directories_[i] = one.error().message;
    disks.push_back(identity_.more_disks[i - 1]);
  }
  if (disks == identity_.more_disks) return {};
  for (uint32_t i = 1; i < count; ++i)
    if (i <= identity_.more_disks.size() && identity_.more_disks[i - 1] != disks[i - 1])
      runtime_.log().warn("node", "data directory {} is another disk than before: its replicas are brought from other brokers", i + 1);
  identity_.more_disks = std::move(disks);
  return save_identity(task, runtime_, identity_);
}

Result<> Node::State::open_shards(Task& task) {
  TRY(shard_.open(task, identity_, look_));
  return on_parts(task, [identity = identity_, failed = failed_directories_, clusters = directory_clusters_, look = look_](Task& t, NodePart& part) {
    const uint32_t directory = part.shard().runtime().directory();
    NodeIdentity own = identity;
    if (directory > 0) {
      own.replica.disk = identity.more_disks[directory - 1];
      const auto cluster = clusters.find(directory);
      own.cluster = cluster == clusters.end() ? ClusterId{} : cluster->second;
    }
    const auto why = failed.find(directory);
    return part.open(t, own, why == failed.end() ? std::string() : why->second, look);
  });
}

Result<> Node::State::keep_cluster(Task& task) {
  if (runtime_.directory_count() == 1) return {};
  return on_parts(task, [cluster = identity_.cluster](Task& t, NodePart& part) -> Result<> {
    BrokerShard& shard = part.shard();
    if (!shard.runtime().is_first_of_directory() || !shard.directory_failure().empty()) return {};
    const Result<> kept = part.keep_cluster(t, cluster);
    if (!kept && kept.error().code == Errc::kIo) shard.go_without_directory(kept.error());
    else if (!kept) return kept;
    return {};
  });
}

Result<> Node::State::start_peers(Task& task) {
  peers_.on_message = [this](const PeerIdentity& from, PeerKind kind, Slice body) {
    on_peer_message(from, kind, std::move(body));
  };
  peers_.on_link = [this](BrokerId node, bool up) { on_link(node, up); };
  peers_.on_sender_gone = [this](BrokerId node) {
    shard_.on_sender_gone(node);
    tell_parts([node](NodePart& part) { part.shard().on_sender_gone(node); });
  };
  for (const std::string_view service : RaftDriver::kServices)
    peers_.serve(std::string(service), [this, service](Task& t, const PeerIdentity&, Slice body) {
      return serve_log(t, service, std::move(body));
    });
  peers_.serve("brokers", [this](Task&, const PeerIdentity&, Slice) -> Result<Chain> {
    if (!controller_ || stopped_) return fail(Errc::kUnavailable, "this broker is starting or stopping");
    return Chain{encode_addresses(controller_->addresses())};
  });
  const auto greeting = [this] {
    return PeerIdentity{identity_.cluster, identity_.replica, incarnation_, runtime_.shard_count(), identity_.more_disks};
  };
  TRY(peers_.start(task, config_.internal.bind, greeting()));
  const Endpoint internal = advertised(config_.internal, peers_.local());
  if (identity_.cluster.is_zero()) {
    identity_ = TRY(join_or_found(task, runtime_, peers_, identity_, internal, config_.seeds));
    peers_.set_identity(greeting());
  } else {
    const Slice answer = encode_discover({identity_, internal, config_.seeds});
    peers_.serve("discover", [answer](Task&, const PeerIdentity&, Slice) { return Result<Chain>(Chain{answer}); });
  }
  return {};
}

Result<> Node::State::start_group_zero(Task& task) {
  Store& store = *shard_.store();
  Log* log = store.find_log(kMetadataPartition);
  if (log == nullptr) log = TRY(store.create_log(kMetadataPartition, known_cluster_ ? Store::Past::kPossible : Store::Past::kNone));
  Configuration voters;
  for (const FoundingVoter& v : identity_.voters) {
    voters.voters.push_back(v.replica);
    learn_address(v.replica.node, v.internal);
  }
  voters.voters = sorted_replicas(std::move(voters.voters));
  ControllerOptions controller;
  controller.snapshot_every = config_.metadata_snapshot_entries;
  controller.scrub_round = config_.scrub_round;
  controller.default_partitions = config_.default_partitions;
  controller_ = std::make_unique<Controller>(runtime_, *shard_.driver(), *log, peers_, controller);
  controller_->alive = [this] { return alive_brokers(); };
  controller_->alive_disks = [this] { return alive_disks(); };
  controller_->on_applied = [this](const Entry* entry) { on_applied(entry); };
  TRY(controller_->start(task, voters));
  home_.controller = controller_.get();
  learn_addresses();
  join_shards();
  retiring_ = std::make_unique<Retiring>(runtime_, *controller_, *shard_.driver(), identity_.replica,
                                         [this] { return alive_brokers(); });
  runtime_.spawn(scope_, "node/members", [this](Task& t) { run_members(t); });
  runtime_.spawn(scope_, "node/retiring", [this](Task& t) { retiring_->run_moves(t); });
  runtime_.spawn(scope_, "node/introductions", [this](Task& t) { run_introductions(t); });
  return {};
}

// Every shard starts with the image as it is now; what is applied from here on follows it.
void Node::State::join_shards() {
  std::vector<Remote<BrokerShard>> all{shard_.remote()};
  for (const auto& [id, arrived] : shards_->parts) all.push_back(arrived.shard);
  if (!alone()) {
    tell_parts([cluster = identity_.cluster, image = controller_->image(), all](NodePart& part) {
      part.join(cluster, image, all);
    });
    runtime_.spawn(scope_, "node/alive", [this](Task& t) { run_alive(t); });
  }
  joined_ = true;
  shard_.join(identity_.cluster, *controller_, [this] { return brokers_for_clients(); }, std::move(all));
}

Result<> Node::State::register_self(Task& task) {
  // Ports are bound before the cluster is told of them; nobody is answered before accept_clients.
  RegisterBrokerCommand command;
  command.broker.replica = identity_.replica;
  command.broker.incarnation = incarnation_;
  command.broker.internal = advertised(config_.internal, peers_.local());
  command.broker.rack = config_.rack;
  command.broker.more_disks = identity_.more_disks;
  const BrokerShard::Endpoints bound = TRY(shard_.bind(task, {}));
  TRY(on_parts(task, [bound](Task& t, NodePart& part) -> Result<> {
    TRY(part.shard().bind(t, bound));
    return {};
  }));
  for (const auto& [name, listener] : config_.listeners)
    command.broker.listeners[name] = advertised(listener, bound.at(name));
  std::string said;
  for (;;) {
    const Result<ControllerReply> reply = controller_->submit(task, command, runtime_.now() + 5_s);
    if (task.cancelled()) return fail(Errc::kCancelled);
    const protocol::ErrorCode refused = reply && !reply->items.empty() ? reply->items.front().error : protocol::ErrorCode::kNone;
    // What this disk replaces is forgotten once nothing was heard of it for a while.
    const bool wait = refused == protocol::ErrorCode::kDuplicateBrokerRegistration;
    if (refused != protocol::ErrorCode::kNone && !wait)
      return fail(Errc::kInvalid, fmt::format("the cluster does not take this broker: {}", reply->items.front().message));
    if (reply && !wait) break;
    const std::string why = wait ? "the other one to stop: " + reply->items.front().message
                                 : fmt::format("a leader of group 0 ({})", reply.error().text());
    if (why != said) runtime_.log().info("node", "waiting for {}", why);
    said = why;
    TRY(runtime_.sleep_for(task, 50_ms));
  }
  shard_.set_registered();
  tell_parts([](NodePart& part) { part.shard().set_registered(); });
  registered_ = true;
  runtime_.spawn(scope_, "node/leaving", [this](Task& t) { retiring_->run_leaving(t); });
  return {};
}

void Node::State::accept_clients() {
  shard_.accept_clients();
  tell_parts([](NodePart& part) { part.shard().accept_clients(); });
  for (const auto& [name, listener] : config_.listeners)
    runtime_.log().info("node", "broker {} serves {} on {}", config_.id.value, name, shard_.listener(name).text());
}

void Node::State::stop(Task& task) {
  if (stopped_) return;
  stopped_ = true;
  // Clients first, on every shard: what they still wait for on another one ends with them.
  shard_.stop_serving(task);
  while (!all_arrived()) shards_->changed.wait_through(task);
  (void)on_parts(task, [](Task& t, NodePart& part) -> Result<> {
    part.shard().stop_serving(t);
    return {};
  });
  scope_.cancel();
  scope_.join(task);
  stop_parts(task);
  home_.controller = nullptr;
  home_.guests.stop(task);
  shard_.stop_partitions(task);
  if (controller_) controller_->stop(task);
  shard_.stop_raft(task);
  peers_.stop(task);
  retiring_.reset();
  controller_.reset();
  shard_.close(task);
  tell_parts([](NodePart& part) { part.release(); });
  lock_.reset();
}

// Asks every part at once, and waits for all, whatever becomes of the asker: they are at work. The first error.
Result<> Node::State::on_parts(Task& task, const std::function<Result<>(Task&, NodePart&)>& what) {
  std::vector<Question<Result<>>> questions;
  for (const auto& [id, arrived] : shards_->parts) {
    const auto answer = questions.emplace_back(runtime_).answer();
    arrived.part.post(runtime_, [what, answer](NodePart& part) { part.run(what, answer); });
  }
  Result<> all;
  for (auto& question : questions) {
    const Result<> one = question.wait_through(task);
    if (all && !one) all = one;
  }
  return all;
}

void Node::State::stop_parts(Task& task) {
  std::vector<Question<Result<>>> questions;
  for (const auto& [id, arrived] : shards_->parts) {
    const auto answer = questions.emplace_back(runtime_).answer();
    arrived.part.post(runtime_, [answer](NodePart& part) { part.stop(answer); });
  }
  for (auto& question : questions) (void)question.wait_through(task);
}

// Who is alive is a question of time: asked often, told when it has changed.
void Node::State::run_alive(Task& task) {
  std::vector<BrokerId> told;
  BrokerId told_leader = kNoBroker;
  for (;;) {
    std::vector<BrokerId> alive = brokers_for_clients();
    const BrokerId leader = controller_->leader();
    if (alive != told || leader != told_leader) {
      tell_parts([alive, leader](NodePart& part) { part.set_alive(alive, leader); });
      told = std::move(alive);
      told_leader = leader;
    }
    if (!runtime_.sleep_for(task, config_.raft.heartbeat / 2)) return;
  }
}

// On the leader of group 0: registered brokers become members, and voters as there is room.
void Node::State::run_members(Task& task) {
  for (;;) {
    bool under_way = false;
    RaftGroup* group = shard_.driver()->find(kMetadataPartition);
    if (group != nullptr && group->commit_is_current() && retiring_->pass_on_group_zero()) {
      under_way = true;
    } else if (group != nullptr && group->commit_is_current()) {
      MetadataMembers wanted = wanted_metadata_members(controller_->image(), group->configuration(), alive_brokers());
      const Result<bool> done = group->step_to_members(std::move(wanted.voters), std::move(wanted.learners), 0);
      under_way = !done || !*done;
    }
    const Instant next = runtime_.now() + (under_way ? config_.raft.heartbeat : kMembersLook);
    const Result<> woken = members_wake_.wait(task, next);
    if (!woken && woken.error().code == Errc::kCancelled) return;
    // What is under way is not hurried by each of its entries.
    if (under_way && !runtime_.sleep_until(task, next)) return;
  }
}

std::vector<BrokerId> Node::State::alive_brokers() {
  std::vector<BrokerId> out;
  const Instant now = runtime_.now();
  for (const auto& [id, broker] : controller_->image().brokers()) {
    const auto heard = shard_.driver()->last_heard(id);
    if (id == config_.id || (heard && now - *heard < config_.raft.election_max)) out.push_back(id);
  }
  return out;
}

// Who hears so few of the others is itself the one that is cut off: what it last knew of them is worth more to clients
// than that it hears nobody.
std::vector<BrokerId> Node::State::brokers_for_clients() {
  std::vector<BrokerId> alive = alive_brokers();
  const auto& registered = controller_->image().brokers();
  if (alive.size() * 2 > registered.size() || PLANT("R65")) return alive;
  alive.clear();
  for (const auto& [id, broker] : registered) alive.push_back(id);
  return alive;
}

std::vector<ReplicaId> Node::State::alive_disks() {
  std::vector<ReplicaId> out;
  const Instant now = runtime_.now();
  for (const auto& [id, broker] : controller_->image().brokers()) {
    const auto heard = shard_.driver()->last_heard(broker.replica);
    if (broker.replica == identity_.replica || (heard && now - *heard < config_.raft.election_max)) out.push_back(broker.replica);
  }
  return out;
}

void Node::State::on_applied(const Entry* entry) {
  if (!joined_) return;
  members_wake_.notify_all();
  retiring_->on_applied();
  const BrokerRecord* self = controller_->image().find_broker(config_.id);
  if (registered_ && self != nullptr && self->replica != identity_.replica)
    return runtime_.stop_node(fmt::format("broker {} has another disk now, {}: this one, {}, was replaced", config_.id.value,
                                          self->replica.disk.text(), identity_.replica.disk.text()));
  learn_addresses();
  shard_.on_applied();
  if (alone()) return;
  if (entry == nullptr) {
    tell_parts([image = controller_->image()](NodePart& part) { part.set_image(image); });
  } else if (entry->meta.kind == EntryKind::kCommand) {
    tell_parts([records = entry->payload, index = entry->meta.index](NodePart& part) { part.apply(records, index); });
  }
}

void Node::State::learn_addresses() {
  for (const auto& [id, at] : controller_->addresses()) learn_address(id, at);
}

void Node::State::learn_address(BrokerId id, const Endpoint& at) {
  if (id == config_.id) return;
  known_.insert(id);
  peers_.set_address(id, at);
}

// A broker that is no member yet, or was away while members came, or whose disk has lost them, may not know the way to whoever
// leads group 0, and its acknowledgements could not get there: it asks those that it does know.
void Node::State::run_introductions(Task& task) {
  const auto all_known = [this](const RaftGroup& group) {
    const std::vector<ReplicaId> members = group.configuration().members();
    const BrokerId leader = group.leader();
    if (leader != kNoBroker && leader != config_.id && !known_.contains(leader) && !PLANT("M60")) return false;
    return group.configuration().is_member(identity_.replica) &&
           std::all_of(members.begin(), members.end(), [this](const ReplicaId& member) {
             return member.node == config_.id || known_.contains(member.node);
           });
  };
  while (!registered_) {
    const RaftGroup* group = shard_.driver()->find(kMetadataPartition);
    if (group != nullptr && !all_known(*group)) {
      const std::set<BrokerId> asked = known_;
      for (const BrokerId id : asked) {
        if (!peers_.connected(id)) continue;
        const Result<Slice> answer = peers_.call(task, id, "brokers", {}, runtime_.now() + 1_s);
        if (task.cancelled()) return;
        const auto told = answer ? decode_addresses(*answer) : fail(answer.error().code, "not told");
        if (!told) continue;
        // What is registered counts for more than what somebody heard.
        for (const auto& [other, at] : *told) {
          if (known_.contains(other) || other == config_.id) continue;
          learn_address(other, at);
          controller_->hear_of(other, at);
        }
      }
    }
    if (!runtime_.sleep_for(task, config_.raft.heartbeat)) return;
  }
}

void Node::State::on_link(BrokerId node, bool up) {
  shard_.on_link(node, up);
  tell_parts([node, up, shape = peers_.shape_of(node)](NodePart& part) { part.on_link(node, up, shape); });
  if (up) peers_.send(node, PeerKind::kLeaders, {Leaders::encode(shard_.leaders().all())});
}

void Node::State::on_peer_message(const PeerIdentity& from, PeerKind kind, Slice body) {
  const auto dropped = [&](const Error& error) {
    runtime_.log().warn("node", "a message from broker {} was dropped: {}", from.replica.node.value, error.text());
  };
  if (kind == PeerKind::kLeaders) {
    const auto updates = Leaders::decode(body);
    if (!updates) return dropped(updates.error());
    shard_.learn_leaders(*updates);
    if (alone()) return;
    return tell_parts([updates = *updates](NodePart& part) { part.shard().learn_leaders(updates); });
  }
  if (alone()) return shard_.on_message(from, kind, std::move(body));
  const Result<ShardId> to = RaftDriver::shard_for(kind, body, runtime_.shape());
  if (!to) return dropped(to.error());
  if (*to == ShardId(0)) return shard_.on_message(from, kind, std::move(body));
  shards_->parts.at(*to).shard.post(runtime_, [from, kind, body = std::move(body)](BrokerShard& s) mutable {
    s.on_message(from, kind, std::move(body));
  });
}

Result<Chain> Node::State::serve_log(Task& task, std::string_view service, Slice body) {
  const ShardId owner = TRY(RaftDriver::shard_for_call(body, runtime_.shape()));
  if (owner == ShardId(0)) return shard_.driver()->serve(task, service, std::move(body));
  Question<Result<Chain>> question(runtime_);
  shards_->parts.at(owner).part.post(runtime_, [service, body, answer = question.answer()](NodePart& part) {
    part.serve_log(service, body, answer);
  });
  return TRY(question.wait(task));
}

}  // namespace taffrail
