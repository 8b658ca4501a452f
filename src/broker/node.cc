#include "broker/node.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "broker/founding.h"
#include "broker/identity.h"
#include "broker/kafka_handler.h"
#include "consensus/driver.h"
#include "net/server.h"
#include "runtime/sync.h"
#include "storage/store.h"

namespace taffrail {

struct Node::State final : BrokerContext {
  State(Runtime& r, NodeConfig c) : runtime_(r), config_(std::move(c)), peers_(r, PeerOptions{}) {}

  // BrokerContext.
  Runtime& runtime() override { return runtime_; }
  const NodeConfig& config() const override { return config_; }
  BrokerId id() const override { return config_.id; }
  const ClusterId& cluster() const override { return identity_.cluster; }
  Controller& controller() override { return *controller_; }
  const Leaders& leaders() const override { return leaders_; }
  Partition* find_partition(const PartitionKey& key) override;
  std::vector<BrokerId> alive_brokers() override;
  Result<ProducerId> new_producer_id(Task& task, Instant deadline) override;

  Result<> start(Task& task);
  void stop(Task& task);
  Endpoint advertised(const ListenerConfig& listener, const Endpoint& bound) const;
  Result<> open_store(Task& task);
  Result<> start_group_zero(Task& task);
  Result<> register_self(Task& task);
  Result<> serve_clients(Task& task);

  // Keeping what group 0 says true here.
  void run_reconciler(Task& task);
  Result<> reconcile(Task& task);
  Result<> open_partition(Task& task, const TopicRecord& topic, int32_t partition);
  void close_partition(Task& task, const PartitionKey& key);
  TopicConfig effective_config(const TopicRecord& topic) const {
    return TopicConfig::from(with_cluster_defaults(topic.configs, controller_->image().cluster_configs()));
  }
  void learn_addresses();

  // Telling who leads.
  void on_leadership(Partition& partition);
  void run_announcer(Task& task);
  void on_peer_message(const PeerIdentity& from, PeerKind kind, Slice body);

  Runtime& runtime_;
  NodeConfig config_;
  NodeIdentity identity_;
  uint64_t incarnation_ = 0;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<Store> store_;
  Peers peers_;
  std::unique_ptr<RaftDriver> driver_;
  std::unique_ptr<Controller> controller_;
  std::map<PartitionKey, std::unique_ptr<Partition>> partitions_;
  std::map<std::string, std::unique_ptr<Server>> servers_;
  std::unique_ptr<RequestHandler> handler_;
  Leaders leaders_;
  std::map<PartitionKey, uint64_t> leader_versions_;
  std::set<PartitionKey> announce_;
  WaitQueue announce_wake_;
  WaitQueue reconcile_wake_;
  bool reconcile_wanted_ = true;
  bool registered_ = false;  ///< This start's registration is applied: the image is not older than this disk's logs.
  std::vector<std::pair<PartitionKey, std::string>> quarantines_;
  std::function<void(const PartitionKey&)> look_;
  Mutex producer_ids_;       ///< Held while a block is asked for, so that one is asked for at a time.
  int64_t next_producer_id_ = 0;
  int64_t producer_ids_left_ = 0;
  Scope scope_;
};

Node::Node(Runtime& runtime, NodeConfig config)
    : state_(std::make_unique<State>(runtime, std::move(config))) {}
Node::~Node() = default;

Result<> Node::start(Task& task) {
  const Result<> started = state_->start(task);
  if (!started) state_->stop(task);
  return started;
}
void Node::stop(Task& task) { state_->stop(task); }
void Node::observe(std::function<void(const PartitionKey&)> look) { state_->look_ = std::move(look); }
BrokerContext& Node::context() { return *state_; }
Store* Node::store() { return state_->store_.get(); }
RaftDriver* Node::driver() { return state_->driver_.get(); }
Endpoint Node::internal() const { return state_->peers_.local(); }

Endpoint Node::listener(std::string_view name) const {
  const auto it = state_->servers_.find(std::string(name));
  return it == state_->servers_.end() ? Endpoint{} : it->second->local();
}

const std::vector<std::pair<PartitionKey, std::string>>& Node::quarantines() const { return state_->quarantines_; }

std::vector<Partition*> Node::partitions() {
  std::vector<Partition*> out;
  for (auto& [key, partition] : state_->partitions_) out.push_back(partition.get());
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
  TRY(open_store(task));

  peers_.on_message = [this](const PeerIdentity& from, PeerKind kind, Slice body) {
    on_peer_message(from, kind, std::move(body));
  };
  peers_.on_link = [this](BrokerId node, bool up) {
    if (driver_ != nullptr) driver_->on_link(node, up);
    if (up) peers_.send(node, PeerKind::kLeaders, {Leaders::encode(leaders_.all())});
  };
  peers_.on_sender_gone = [this](BrokerId node) {
    if (driver_ != nullptr) driver_->on_sender_gone(node);
  };
  const auto greeting = [this] { return PeerIdentity{identity_.cluster, identity_.replica, incarnation_}; };
  TRY(peers_.start(task, config_.internal.bind, greeting()));
  const Endpoint internal = advertised(config_.internal, peers_.local());
  if (identity_.cluster.is_zero()) {
    identity_ = TRY(join_or_found(task, runtime_, peers_, identity_, internal, config_.seeds));
    peers_.set_identity(greeting());
  } else {
    const Slice answer = encode_discover({identity_, internal, config_.seeds});
    peers_.serve("discover", [answer](Task&, const PeerIdentity&, Slice) { return Result<Chain>(Chain{answer}); });
  }
  TRY(start_group_zero(task));
  TRY(register_self(task));
  return serve_clients(task);
}

Result<> Node::State::open_store(Task& task) {
  StoreOptions options;
  options.directory = "shard-0";
  options.disk = identity_.replica.disk;
  options.wal_segment_bytes = config_.storage.wal_segment_bytes;
  options.wal_first_segment_bytes = std::min<ByteCount>(options.wal_first_segment_bytes, options.wal_segment_bytes);
  options.arena_bytes = config_.storage.memory;
  options.chunk_bytes = config_.storage.flush_bytes;
  options.segment_bytes = config_.storage.segment_bytes;
  store_ = TRY(Store::open(task, runtime_, options));
  for (const Damage& damage : store_->recovery().damage)
    runtime_.log().error("storage", "damage found at start: {}. It is kept, not served, and repaired from the "
                         "other replicas where they have it", damage.text());
  return {};
}

Result<> Node::State::start_group_zero(Task& task) {
  DriverOptions options;
  options.heartbeat_interval = config_.raft.heartbeat;
  options.election_timeout_min = config_.raft.election_min;
  options.election_timeout_max = config_.raft.election_max;
  driver_ = std::make_unique<RaftDriver>(runtime_, *store_, peers_, identity_.replica, options);
  driver_->on_quarantine = [this](const PartitionKey& key, const std::string& invariant) {
    quarantines_.push_back({key, invariant});
  };
  driver_->on_step = look_;
  driver_->start();

  Log* log = store_->find_log(kMetadataPartition);
  if (log == nullptr) log = TRY(store_->create_log(kMetadataPartition));
  Configuration voters;
  for (const FoundingVoter& v : identity_.voters) {
    voters.voters.push_back(v.replica);
    if (v.replica != identity_.replica) peers_.set_address(v.replica.node, v.internal);
  }
  voters.voters = sorted_replicas(std::move(voters.voters));
  ControllerOptions controller;
  controller.default_partitions = config_.default_partitions;
  controller_ = std::make_unique<Controller>(runtime_, *driver_, *log, peers_, controller);
  controller_->alive = [this] { return alive_brokers(); };
  controller_->on_applied = [this] {
    reconcile_wanted_ = true;
    reconcile_wake_.notify_all();
  };
  TRY(controller_->start(task, voters));
  runtime_.spawn(scope_, "node/reconciler", [this](Task& t) { run_reconciler(t); });
  runtime_.spawn(scope_, "node/announcer", [this](Task& t) { run_announcer(t); });
  return {};
}

Result<> Node::State::register_self(Task& task) {
  // Ports are bound before the cluster is told of them; nobody is answered before serve_clients.
  handler_ = make_kafka_handler(*this);
  RegisterBrokerCommand command;
  command.broker.replica = identity_.replica;
  command.broker.incarnation = incarnation_;
  command.broker.internal = advertised(config_.internal, peers_.local());
  command.broker.rack = config_.rack;
  ServerOptions options;
  options.frame_size_max = static_cast<uint32_t>(config_.server.request_bytes_max);
  options.connections_max = config_.server.connections_max;
  options.idle_max = config_.server.idle_max;
  for (const auto& [name, listener] : config_.listeners) {
    auto server = std::make_unique<Server>(runtime_, name, *handler_, options);
    TRY(server->bind(task, listener.bind));
    command.broker.listeners[name] = advertised(listener, server->local());
    servers_[name] = std::move(server);
  }
  std::string said;
  for (;;) {
    const Result<ControllerReply> reply = controller_->submit(task, command, runtime_.now() + 5_s);
    if (task.cancelled()) return fail(Errc::kCancelled);
    if (reply && !reply->items.empty() && reply->items.front().error != protocol::ErrorCode::kNone)
      return fail(Errc::kInvalid, fmt::format("the cluster does not take this broker: {}", reply->items.front().message));
    if (reply) break;
    const std::string why = reply.error().text();
    if (why != said) runtime_.log().info("node", "waiting for a leader of group 0 ({})", why);
    said = why;
    TRY(runtime_.sleep_for(task, 50_ms));
  }
  registered_ = true;
  reconcile_wanted_ = true;
  reconcile_wake_.notify_all();
  return {};
}

Result<> Node::State::serve_clients(Task& task) {
  (void)task;
  for (auto& [name, server] : servers_) {
    server->accept_clients();
    runtime_.log().info("node", "broker {} serves {} on {}", config_.id.value, name, server->local().text());
  }
  return {};
}

void Node::State::stop(Task& task) {
  for (auto& [name, server] : servers_) server->stop(task);
  servers_.clear();
  scope_.cancel();
  scope_.join(task);
  for (auto& [key, partition] : partitions_) partition->stop(task);
  partitions_.clear();
  if (controller_) controller_->stop(task);
  if (driver_) driver_->stop(task);
  peers_.stop(task);
  controller_.reset();
  driver_.reset();
  handler_.reset();
  if (store_) store_->close(task);
  store_.reset();
  lock_.reset();
}

Partition* Node::State::find_partition(const PartitionKey& key) {
  const auto it = partitions_.find(key);
  return it == partitions_.end() ? nullptr : it->second.get();
}

std::vector<BrokerId> Node::State::alive_brokers() {
  std::vector<BrokerId> out;
  const Instant now = runtime_.now();
  for (const auto& [id, broker] : controller_->image().brokers()) {
    const auto heard = driver_->last_heard(id);
    if (id == config_.id || (heard && now - *heard < config_.raft.election_max)) out.push_back(id);
  }
  return out;
}

Result<ProducerId> Node::State::new_producer_id(Task& task, Instant deadline) {
  const Mutex::Lock held = TRY(producer_ids_.lock(task, deadline));
  if (producer_ids_left_ == 0) {
    const ControllerReply reply = TRY(controller_->submit(task, AllocateProducerIdsCommand{config_.id}, deadline));
    if (reply.producer_id_count <= 0) return fail(Errc::kUnavailable, "no producer ids were given");
    next_producer_id_ = reply.first_producer_id;
    producer_ids_left_ = reply.producer_id_count;
  }
  --producer_ids_left_;
  return ProducerId(next_producer_id_++);
}

void Node::State::learn_addresses() {
  for (const auto& [id, broker] : controller_->image().brokers())
    if (id != config_.id) peers_.set_address(id, broker.internal);
}

void Node::State::run_reconciler(Task& task) {
  while (!task.cancelled()) {
    if (!reconcile_wanted_) {
      if (!reconcile_wake_.wait(task)) return;
      continue;
    }
    reconcile_wanted_ = false;
    const Result<> done = reconcile(task);
    if (done || task.cancelled()) continue;
    runtime_.log().error("node", "what group 0 asks for could not be done here: {}; it is tried again", done.error().text());
    reconcile_wanted_ = true;
    if (!runtime_.sleep_for(task, 500_ms)) return;
  }
}

// The image may change during every wait, so what is to be done is collected first and looked up again.
Result<> Node::State::reconcile(Task& task) {
  learn_addresses();
  std::set<PartitionKey> wanted;
  std::vector<std::pair<TopicId, int32_t>> to_open;
  for (const auto& [id, topic] : controller_->image().topics()) {
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      const auto& replicas = topic.partitions[p].replicas;
      if (std::find(replicas.begin(), replicas.end(), identity_.replica) == replicas.end()) continue;
      const PartitionKey key{id, static_cast<int32_t>(p)};
      wanted.insert(key);
      const auto open = partitions_.find(key);
      if (open == partitions_.end()) {
        to_open.push_back({id, key.partition});
      } else {
        open->second->set_config(effective_config(topic));
      }
    }
  }
  for (const auto& [id, partition] : to_open) {
    const TopicRecord* topic = controller_->image().find_topic(id);
    if (topic == nullptr) continue;
    TRY(open_partition(task, *topic, partition));
  }
  std::vector<PartitionKey> to_close;
  for (const auto& [key, partition] : partitions_)
    if (!wanted.contains(key)) to_close.push_back(key);
  for (const PartitionKey& key : to_close) {
    close_partition(task, key);
    leaders_.forget_topic(key.topic);
  }
  // A log is made by a record of group 0 and goes by one: its absence from an image that may be older than
  // the log proves nothing. Once this start's registration is applied, the image is younger than every log.
  if (!registered_) return {};
  std::vector<PartitionKey> gone;
  for (Log* log : store_->logs())
    if (log->key() != kMetadataPartition && !partitions_.contains(log->key())) {
      const TopicRecord* topic = controller_->image().find_topic(log->key().topic);
      if (topic == nullptr) gone.push_back(log->key());
    }
  for (const PartitionKey& key : gone) {
    runtime_.log().info("node", "{}: its topic was deleted; the data goes", key.text());
    TRY(store_->remove_log(task, key));
  }
  return {};
}

Result<> Node::State::open_partition(Task& task, const TopicRecord& topic, int32_t partition) {
  const PartitionKey key{topic.id, partition};
  Log* log = store_->find_log(key);
  const bool fresh = log == nullptr;
  if (fresh) log = TRY(store_->create_log(key));
  Configuration bootstrap;
  const std::vector<ReplicaId> replicas = topic.partitions[static_cast<size_t>(partition)].replicas;
  bootstrap.voters = sorted_replicas(replicas);
  PartitionOptions options;
  options.replica_lag_max = config_.replica_lag_max;
  options.housekeeping_interval = config_.housekeeping_interval;
  auto made = std::make_unique<Partition>(runtime_, *driver_, *log, key, topic.name,
                                          effective_config(topic), options);
  made->on_leadership = [this](Partition& p) { on_leadership(p); };
  Partition& opened = *made;
  partitions_[key] = std::move(made);
  if (const Result<> started = opened.start(task, bootstrap); !started) {
    runtime_.log().error("node", "{}-{} cannot be served here: {}", opened.topic_name(), partition, started.error().text());
    opened.stop(task);
    partitions_.erase(key);
    return started;
  }
  // The first of the list is preferred: it need not wait for a timeout to lead a group that is new.
  if (fresh && replicas.front() == identity_.replica) opened.group()->campaign_soon();
  return {};
}

void Node::State::close_partition(Task& task, const PartitionKey& key) {
  const auto it = partitions_.find(key);
  if (it == partitions_.end()) return;
  it->second->stop(task);
  announce_.erase(key);
  partitions_.erase(key);
}

void Node::State::on_leadership(Partition& partition) {
  if (!partition.is_leader()) return;
  const PartitionKey key = partition.key();
  leaders_.update(key, {partition.epoch(), config_.id, ++leader_versions_[key], partition.in_sync()});
  announce_.insert(key);
  announce_wake_.notify_all();
}

void Node::State::run_announcer(Task& task) {
  while (!task.cancelled()) {
    if (announce_.empty()) {
      if (!announce_wake_.wait(task)) return;
      continue;
    }
    std::vector<Leaders::Update> updates;
    for (const PartitionKey& key : announce_)
      if (const Leadership* known = leaders_.find(key)) updates.push_back({key, *known});
    announce_.clear();
    const Slice body = Leaders::encode(updates);
    for (const auto& [id, broker] : controller_->image().brokers())
      if (id != config_.id) peers_.send(id, PeerKind::kLeaders, {body});
    // What changes during the next moment shares one message: ten thousand failovers are not ten thousand.
    if (!runtime_.sleep_for(task, 5_ms)) return;
  }
}

void Node::State::on_peer_message(const PeerIdentity& from, PeerKind kind, Slice body) {
  if (kind != PeerKind::kLeaders) {
    if (driver_ != nullptr) driver_->on_message(from, kind, std::move(body));
    return;
  }
  const auto updates = Leaders::decode(body);
  if (!updates) {
    runtime_.log().warn("node", "leaderships from broker {} were dropped: {}", from.replica.node.value, updates.error().text());
    return;
  }
  for (const auto& [key, leadership] : *updates) leaders_.update(key, leadership);
}

}  // namespace taffrail
