#include "broker/shard.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "broker/internal_topics.h"
#include "broker/kafka_handler.h"
#include "broker/retiring.h"
#include "broker/shard_count.h"
#include "controller/setting_keys.h"
#include "group/service.h"

namespace taffrail {

BrokerShard::BrokerShard(Runtime& runtime, const NodeConfig& config, PeerChannel& peers)
    : runtime_(runtime), config_(config), peers_(peers), request_memory_(runtime, config.server.memory / runtime.shard_count()),
      guests_(runtime),
      fetch_sessions_(runtime.random(), {.sessions = std::max<size_t>(1, 1000 / runtime.shard_count())}) {}
BrokerShard::~BrokerShard() = default;

Result<> BrokerShard::open(Task& task, const NodeIdentity& identity, Look look) {
  identity_ = identity;
  const StoreOptions options = store_options(config_, identity_, runtime_.shard());
  // Who the cluster is stands in the first directory: without that there is no broker.
  const bool needed = runtime_.directory() == 0 || PLANT("M57");
  auto opened = needed ? Store::open(task, runtime_, options)
                       : Store::open(task, runtime_, options, [this](const Error& why) { go_without_directory(why); });
  if (!opened && !needed && opened.error().code == Errc::kIo) {
    go_without_directory(opened.error());
    return {};
  }
  store_ = TRY(std::move(opened));
  for (const Damage& damage : store_->recovery().damage)
    runtime_.log().error("storage", "damage found at start: {}. It is kept, not served, and repaired from the "
                         "other replicas where they have it", damage.text());

  DriverOptions raft;
  raft.heartbeat_interval = config_.raft.heartbeat;
  raft.election_timeout_min = config_.raft.election_min;
  raft.election_timeout_max = config_.raft.election_max;
  raft.unclean = config_.unclean;
  raft.append_entries_max = config_.raft.append_entries_max;
  driver_ = std::make_unique<RaftDriver>(runtime_, *store_, peers_, identity_.replica, raft);
  driver_->on_quarantine = [this](const PartitionKey& key, const std::string& invariant) {
    quarantines_.push_back({key, invariant});
  };
  driver_->on_step = std::move(look);
  driver_->start();
  return {};
}

void BrokerShard::go_without_directory(const Error& why) {
  if (!directory_failure_.empty()) return;
  directory_failure_ = why.text();
  runtime_.log().error("node", "data directory {} ({}) has failed: {}. Its replicas stop here, the broker goes on with those of its other "
                       "directories. Repair or replace the disk, and start the broker again", runtime_.directory() + 1,
                       runtime_.directory() < config_.data_dirs.size() ? config_.data_dirs[runtime_.directory()] : std::string(), directory_failure_);
  reconcile_wanted_ = true;
  reconcile_wake_.notify_all();
}

// Nothing more becomes durable here, and what is not is acknowledged by nobody: others lead on. The log stays as it is.
void BrokerShard::let_go_of_replicas(Task& task) {
  if (driver_) driver_->stop(task);
  while (!partitions_.empty()) {
    const auto it = partitions_.begin();
    const PartitionKey key = it->first;
    if (group::Service* groups = find_groups(key)) groups->stop(task);
    it->second->stop(task);
    on_leadership(*it->second);
    partitions_.erase(key);
    groups_.erase(key);
  }
}

void BrokerShard::join(const ClusterId& id, ClusterView& cluster, std::function<std::vector<BrokerId>()> alive,
                       std::vector<Remote<BrokerShard>> shards) {
  identity_.cluster = id;
  cluster_ = &cluster;
  image_topics_.set(cluster);
  alive_ = std::move(alive);
  shards_ = std::move(shards);
  handler_ = make_kafka_handler(*this);
  runtime_.spawn(scope_, "node/reconciler", [this](Task& t) { run_reconciler(t); });
  runtime_.spawn(scope_, "node/announcer", [this](Task& t) { run_announcer(t); });
  runtime_.spawn(scope_, "node/movers", [this](Task& t) { run_movers(t); });
}

Result<BrokerShard::Endpoints> BrokerShard::bind(Task& task, const Endpoints& bound) {
  Endpoints got;
  const uint32_t shards = runtime_.shard_count();
  ServerOptions options;
  options.frame_size_max = static_cast<uint32_t>(config_.server.request_bytes_max);
  options.connections_max = (config_.server.connections_max + shards - 1) / shards;
  options.idle_max = config_.server.idle_max;
  options.memory = &request_memory_;
  for (const auto& [name, listener] : config_.listeners) {
    auto server = std::make_unique<Server>(runtime_, name, *handler_, options);
    Endpoint at = listener.bind;
    if (const auto known = bound.find(name); known != bound.end()) at.port = known->second.port;
    TRY(server->bind(task, at));
    got[name] = server->local();
    servers_[name] = std::move(server);
  }
  return got;
}

void BrokerShard::set_registered() {
  registered_ = true;
  for (const auto& [id, topic] : cluster_->image().topics()) old_topics_.insert(id);
  on_applied();
}

void BrokerShard::accept_clients() {
  for (auto& [name, server] : servers_) server->accept_clients();
}

void BrokerShard::stop_serving(Task& task) {
  for (auto& [name, server] : servers_) server->stop(task);
  servers_.clear();
}

void BrokerShard::stop_partitions(Task& task) {
  stopping_ = true;
  guests_.stop(task);
  scope_.cancel();
  scope_.join(task);
  for (auto& [key, groups] : groups_) groups->stop(task);
  for (auto& [key, partition] : partitions_) partition->stop(task);
  partitions_.clear();
  groups_.clear();
}

void BrokerShard::stop_raft(Task& task) {
  if (driver_) driver_->stop(task);
}

void BrokerShard::close(Task& task) {
  driver_.reset();
  handler_.reset();
  if (store_) store_->close(task);
  store_.reset();
}

void BrokerShard::on_applied() {
  image_topics_.on_applied();
  reconcile_wanted_ = true;
  reconcile_wake_.notify_all();
  movers_wake_.notify_all();
}

void BrokerShard::on_link(BrokerId node, bool up) {
  if (driver_) driver_->on_link(node, up);
}

void BrokerShard::on_sender_gone(BrokerId node) {
  if (driver_) driver_->on_sender_gone(node);
}

void BrokerShard::on_message(const PeerIdentity& from, PeerKind kind, Slice body) {
  if (driver_) driver_->on_message(from, kind, std::move(body));
}

void BrokerShard::learn_leaders(std::span<const Leaders::Update> updates) {
  for (const auto& [key, leadership] : updates) {
    if (!leaders_.update(key, leadership) || leadership.leader != config_.id || !is_mine(key) || PLANT("M66")) continue;
    // Of the process that was here before this one: whoever still takes it for the leader would for as long as nobody else is.
    leader_versions_[key] = leadership.version + 1;
    announce(key, {leadership.epoch, kNoBroker, leader_versions_[key], leadership.in_sync});
  }
}

Endpoint BrokerShard::listener(const std::string& name) const {
  const auto it = servers_.find(name);
  return it == servers_.end() ? Endpoint{} : it->second->local();
}

size_t BrokerShard::connection_count() const {
  size_t count = 0;
  for (const auto& [name, server] : servers_) count += server->connection_count();
  return count;
}

std::vector<Partition*> BrokerShard::partitions() const {
  std::vector<Partition*> out;
  for (const auto& [key, partition] : partitions_) out.push_back(partition.get());
  return out;
}

void BrokerShard::run(std::string name, std::function<void(Task&)> body) {
  if (!stopping_) runtime_.spawn(scope_, std::move(name), std::move(body));
}

Partition* BrokerShard::find_partition(const PartitionKey& key) {
  const auto it = partitions_.find(key);
  return it == partitions_.end() ? nullptr : it->second.get();
}

group::Service* BrokerShard::find_groups(const PartitionKey& key) {
  const auto it = groups_.find(key);
  return it == groups_.end() ? nullptr : it->second.get();
}

std::vector<group::Service*> BrokerShard::groups() {
  std::vector<group::Service*> out;
  for (const auto& [key, groups] : groups_) out.push_back(groups.get());
  return out;
}

Result<ProducerId> BrokerShard::new_producer_id(Task& task, Instant deadline) {
  const Mutex::Lock held = TRY(producer_ids_.lock(task, deadline));
  if (producer_ids_left_ == 0) {
    const ControllerReply reply = TRY(cluster_->submit(task, AllocateProducerIdsCommand{config_.id}, deadline));
    if (reply.producer_id_count <= 0) return fail(Errc::kUnavailable, "no producer ids were given");
    next_producer_id_ = reply.first_producer_id;
    producer_ids_left_ = reply.producer_id_count;
  }
  --producer_ids_left_;
  return ProducerId(next_producer_id_++);
}

Result<> BrokerShard::hand_over(Task& task, const PartitionKey& key, BrokerId leader, BrokerId to, Instant deadline) {
  return ask_replica(task, "transfer", key, leader, RaftDriver::transfer_question(key, to), deadline);
}

Result<> BrokerShard::give_up_doubts(Task& task, const PartitionKey& key, BrokerId on, Instant deadline) {
  return ask_replica(task, "give-up", key, on, RaftDriver::give_up_question(key, alive_()), deadline);
}

// One of RaftDriver::kServices that answers with nothing.
Result<> BrokerShard::ask_replica(Task& task, const char* service, const PartitionKey& key, BrokerId on, const Slice& body, Instant deadline) {
  if (on != config_.id) {
    TRY(peers_.call(task, on, service, {body}, deadline));
    return {};
  }
  Question<Result<Chain>> question(runtime_);
  shards_.at(shard_of(key, runtime_.shape()).value).post(runtime_, [service, body, answer = question.answer()](BrokerShard& s) {
    s.serve_replica(service, body, answer);
  });
  const Result<Chain> done = TRY(question.wait(task, deadline));
  if (!done) return std::unexpected(done.error());
  return {};
}

void BrokerShard::serve_replica(const char* service, Slice body, Question<Result<Chain>>::Answer answer) {
  if (stopping_) return answer.give(runtime_, fail(Errc::kUnavailable, "this broker is stopping"));
  runtime_.spawn(scope_, "node/replica", [this, service, body = std::move(body), answer = std::move(answer)](Task& task) {
    Result<Chain> made = fail(Errc::kUnavailable, "this shard's data directory has failed");
    if (driver_) made = driver_->serve(task, service, body);
    answer.give(runtime_, std::move(made));
  });
}

bool BrokerShard::is_mine(const PartitionKey& key) const {
  return shard_of(key, runtime_.shape()) == runtime_.shard();
}

TopicConfig BrokerShard::effective_config(const TopicRecord& topic) const {
  return TopicConfig::from(with_cluster_defaults(topic.configs, acting_configs(cluster_->image(), config_.id)));
}

void BrokerShard::run_reconciler(Task& task) {
  while (!task.cancelled()) {
    if (!reconcile_wanted_) {
      if (!reconcile_wake_.wait(task)) return;
      continue;
    }
    reconcile_wanted_ = false;
    tell_new_brokers();
    const Result<> done = reconcile(task);
    if (done || task.cancelled()) continue;
    runtime_.log().error("node", "what group 0 asks for could not be done here: {}; it is tried again", done.error().text());
    reconcile_wanted_ = true;
    if (!runtime_.sleep_for(task, 500_ms)) return;
  }
}

// An image only goes forward: what was in it and is not any more was deleted.
void BrokerShard::forget_deleted_topics() {
  const auto& topics = cluster_->image().topics();
  for (const auto& [id, name] : topics_seen_)
    if (!topics.contains(id))
      for (const auto& [key, groups] : groups_) groups->forget_topic(name, id);
  std::erase_if(topics_seen_, [&](const auto& seen) { return !topics.contains(seen.first); });
  for (const auto& [id, topic] : topics) topics_seen_.try_emplace(id, topic.name);
}

// It has moved away by the image; but its log, which hears of the partition's leader and not of group 0's, tells of a later
// assignment that brought it back. Its leader counts on what it holds.
bool BrokerShard::comes_back(const PartitionKey& key, const Partition& partition) const {
  const PartitionRecord* record = cluster_->image().find_partition(key);
  if (record == nullptr || partition.group() == nullptr) return false;
  const Configuration& members = partition.group()->configuration();
  return members.revision > record->revision && members.is_member(identity_.replica);
}

// The image may change during every wait, so what is to be done is collected first and looked up again.
Result<> BrokerShard::reconcile(Task& task) {
  forget_deleted_topics();
  if (!directory_failure_.empty() && !(store_ && PLANT("M58"))) {
    let_go_of_replicas(task);
    return {};
  }
  std::set<PartitionKey> wanted;
  std::vector<std::pair<TopicId, int32_t>> to_open;
  for (const auto& [id, topic] : cluster_->image().topics()) {
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      const PartitionKey key{id, static_cast<int32_t>(p)};
      if (!is_mine(key)) continue;
      if (!is_assigned_here(topic.partitions[p])) continue;
      wanted.insert(key);
      const auto open = partitions_.find(key);
      if (open == partitions_.end()) {
        // What has no log here may have moved away since: an image from before that would bring it back, without its
        // memory and with its old name. Once this start's registration is applied, the image is younger than that.
        if (registered_ || store_->find_log(key) != nullptr) to_open.push_back({id, key.partition});
      } else {
        open->second->set_config(effective_config(topic));
      }
    }
  }
  for (const auto& [id, partition] : to_open) {
    const TopicRecord* topic = cluster_->image().find_topic(id);
    if (topic == nullptr) continue;
    TRY(open_partition(task, *topic, partition));
  }
  std::vector<PartitionKey> to_close;
  for (const auto& [key, partition] : partitions_)
    if (!wanted.contains(key) && !(comes_back(key, *partition) && !PLANT("M63"))) to_close.push_back(key);
  for (const PartitionKey& key : to_close) {
    close_partition(task, key);
    if (cluster_->image().find_topic(key.topic) == nullptr) leaders_.forget_topic(key.topic);
  }
  // A log is made by a record of group 0 and goes by one: its absence from an image that may be older than
  // the log proves nothing. Once this start's registration is applied, the image is younger than every log.
  if (!registered_ && !PLANT("M02")) return {};
  std::vector<PartitionKey> gone;
  for (Log* log : store_->logs())
    if (log->key() != kMetadataPartition && !partitions_.contains(log->key())) gone.push_back(log->key());
  for (const PartitionKey& key : gone) {
    const PartitionRecord* record = cluster_->image().find_partition(key);
    // It is to come back: the next look opens it.
    if (record != nullptr && is_assigned_here(*record)) continue;
    runtime_.log().info("node", "{}: {}; the data goes", key.text(),
                        record == nullptr ? "its topic was deleted" : "it has moved to other brokers");
    TRY(store_->remove_log(task, key));
  }
  return {};
}

bool BrokerShard::is_assigned_here(const PartitionRecord& record) const {
  const std::vector<ReplicaId> everywhere = record.everywhere();
  return std::find(everywhere.begin(), everywhere.end(), identity_.replica) != everywhere.end();
}

// Of what is led here: takes each group that is not where group 0 wants it a step further, and says when it is there. On
// a broker that retires it hands over what another one can lead; whoever cannot take over now may a moment later.
void BrokerShard::run_movers(Task& task) {
  while (!task.cancelled()) {
    bool under_way = false;
    std::vector<FinishMoveCommand> there;
    const bool retires = !takes_replicas(cluster_->image(), config_.id) && !PLANT("M52");
    const std::vector<BrokerId> alive = retires ? alive_() : std::vector<BrokerId>();
    for (const auto& [key, partition] : partitions_) {
      const PartitionRecord* record = cluster_->image().find_partition(key);
      if (retires && partition->is_leader() && partition->group() != nullptr) {
        under_way = under_way || record == nullptr || record->replicas.size() > 1;
        (void)pass_on(*partition->group(), cluster_->image(), alive);
      }
      if (record == nullptr || !record->moving() || !partition->is_leader() || partition->group() == nullptr) continue;
      under_way = true;
      const Result<bool> arrived = partition->group()->step_to_members(record->replicas, {}, record->revision);
      if (arrived && *arrived) there.push_back({key.topic, key.partition, record->revision});
    }
    // An answer that does not come is asked for again: it is decided once.
    for (const FinishMoveCommand& command : there) {
      (void)cluster_->submit(task, command, runtime_.now() + 5_s);
      if (task.cancelled()) return;
    }
    if (under_way ? !runtime_.sleep_for(task, config_.raft.heartbeat) : !movers_wake_.wait(task)) return;
  }
}

Result<> BrokerShard::open_partition(Task& task, const TopicRecord& topic, int32_t partition) {
  const PartitionKey key{topic.id, partition};
  Log* log = store_->find_log(key);
  const bool fresh = log == nullptr;
  // Only a topic that is older than this start can have lost its log here.
  const bool old = !registered_ || old_topics_.contains(topic.id);
  const PartitionRecord record = topic.partitions[static_cast<size_t>(partition)];
  const int64_t joined = record.joined_at(identity_.replica);
  if (fresh) log = TRY(store_->create_log(key, old ? Store::Past::kPossible : Store::Past::kNone, joined));
  Configuration bootstrap;
  bootstrap.voters = sorted_replicas(record.first_members());
  PartitionOptions options;
  options.replica_lag_max = config_.replica_lag_max;
  options.housekeeping_interval = config_.housekeeping_interval;
  options.scrub_round = config_.scrub_round;
  options.snapshot_entries = config_.snapshot_entries;
  options.heavy = &heavy_;
  auto made = std::make_unique<Partition>(runtime_, *driver_, *log, key, topic.name,
                                          effective_config(topic), options);
  made->on_leadership = [this](Partition& p) { on_leadership(p); };
  Partition& opened = *made;
  partitions_[key] = std::move(made);
  if (topic.name == kOffsetsTopic) {
    auto& groups = groups_[key] = std::make_unique<group::Service>(runtime_, opened, config_.groups, image_topics_);
    opened.set_machine(groups.get());
  }
  if (const Result<> started = opened.start(task, bootstrap); !started) {
    runtime_.log().error("node", "{}-{} cannot be served here: {}", opened.topic_name(), partition, started.error().text());
    if (group::Service* groups = find_groups(key)) groups->stop(task);
    opened.stop(task);
    partitions_.erase(key);
    groups_.erase(key);
    return started;
  }
  // Led before, and by nobody as far as anybody here has heard: it is no new one, whose first leader can be guessed.
  if (const Term term = opened.group()->term(); term > Term{} && leaders_.find(key) == nullptr && !PLANT("M67"))
    announce(key, {term, kNoBroker, 0, {}});
  // The first of the list is preferred: it need not wait for a timeout to lead a group that is new.
  if (fresh && joined == 0 && record.replicas.front() == identity_.replica && takes_replicas(cluster_->image(), config_.id)) opened.group()->campaign_soon();
  return {};
}

void BrokerShard::close_partition(Task& task, const PartitionKey& key) {
  const auto it = partitions_.find(key);
  if (it == partitions_.end()) return;
  if (group::Service* groups = find_groups(key)) groups->stop(task);
  it->second->stop(task);
  announce_.erase(key);
  partitions_.erase(key);
  groups_.erase(key);
}

void BrokerShard::on_leadership(Partition& partition) {
  const PartitionKey key = partition.key();
  if (!partition.is_leader()) {
    // Whoever was told that this broker leads hears that it does no more, also if nobody else does yet.
    const Leadership* known = leaders_.find(key);
    if (known == nullptr || known->leader != config_.id) return;
    announce(key, {known->epoch, kNoBroker, ++leader_versions_[key], known->in_sync});
  } else {
    announce(key, {partition.epoch(), config_.id, ++leader_versions_[key], partition.in_sync()});
  }
  movers_wake_.notify_all();
}

void BrokerShard::announce(const PartitionKey& key, Leadership leadership) {
  leaders_.update(key, std::move(leadership));
  announce_.insert(key);
  announce_wake_.notify_all();
}

// A link begins with all that is known, and what comes later goes to the registered. Whoever registers behind its link
// has missed what came between.
void BrokerShard::tell_new_brokers() {
  const auto& brokers = cluster_->image().brokers();
  std::erase_if(brokers_seen_, [&](BrokerId id) { return !brokers.contains(id); });
  for (const auto& [id, broker] : brokers)
    if (brokers_seen_.insert(id).second && id != config_.id && !PLANT("M40"))
      peers_.send(id, PeerKind::kLeaders, {Leaders::encode(leaders_.all())});
}

void BrokerShard::run_announcer(Task& task) {
  while (!task.cancelled()) {
    if (announce_.empty()) {
      if (!announce_wake_.wait(task)) return;
      continue;
    }
    std::vector<Leaders::Update> updates;
    for (const PartitionKey& key : announce_)
      if (const Leadership* known = leaders_.find(key)) updates.push_back({key, *known});
    announce_.clear();
    // Shard 0 knows before it sends: a link that comes up meanwhile starts with all that shard 0 knows.
    for (const Remote<BrokerShard>& other : shards_)
      if (other.shard() != runtime_.shard()) other.post(runtime_, [updates](BrokerShard& s) { s.learn_leaders(updates); });
    const Slice body = Leaders::encode(updates);
    for (const auto& [id, broker] : cluster_->image().brokers())
      if (id != config_.id) peers_.send(id, PeerKind::kLeaders, {body});
    // What changes during the next moment shares one message: ten thousand failovers are not ten thousand.
    if (!runtime_.sleep_for(task, 5_ms)) return;
  }
}

}  // namespace taffrail
