// One shard of a broker: the partitions that live on it, their write-ahead log and Raft, and the clients that it
// accepted. Everything a request handler may use is here; what only shard 0 has (the links to other brokers, group 0)
// is reached through `peers` and `cluster`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/context.h"
#include "broker/guests.h"
#include "broker/identity.h"
#include "broker/image_topics.h"
#include "broker/quotas.h"
#include "consensus/driver.h"
#include "net/peer_channel.h"
#include "net/server.h"
#include "runtime/sync.h"
#include "storage/store.h"

namespace taffrail {

class BrokerShard final : public BrokerContext {
 public:
  using Look = RaftLook;
  using Endpoints = std::map<std::string, Endpoint>;

  /// All references outlive it.
  BrokerShard(Runtime& runtime, const NodeConfig& config, PeerChannel& peers);
  ~BrokerShard() override;

  // BrokerContext.
  Runtime& runtime() override { return runtime_; }
  const NodeConfig& config() const override { return config_; }
  BrokerId id() const override { return config_.id; }
  const ClusterId& cluster() const override { return identity_.cluster; }
  ClusterView& controller() override { return *cluster_; }
  const Leaders& leaders() const override { return leaders_; }
  MemoryBudget& memory() override { return request_memory_; }
  Partition* find_partition(const PartitionKey& key) override;
  group::Service* find_groups(const PartitionKey& key) override;
  std::vector<group::Service*> groups() override;
  std::vector<BrokerId> alive_brokers() override { return alive_(); }
  Result<ProducerId> new_producer_id(Task& task, Instant deadline) override;
  Result<> hand_over(Task& task, const PartitionKey& key, BrokerId leader, BrokerId to, Instant deadline) override;
  Result<> give_up_doubts(Task& task, const PartitionKey& key, BrokerId on, Instant deadline) override;
  const Remote<BrokerShard>& shard(ShardId shard) override { return shards_.at(shard.value); }
  Guests& guests() override { return guests_; }
  FetchSessions& fetch_sessions() override { return fetch_sessions_; }
  Quotas& quotas() override { return quotas_; }
  uint64_t next_guest() override { return next_guest_++; }

  // Its life, in this order.

  /// Recovers the log and starts Raft. `look`: Node::observe. Errors: as Store::open, but where the disk fails, now or
  /// later, and it is not that of the first data directory: then only this shard's replicas stop (directory_failure()).
  Result<> open(Task& task, const NodeIdentity& identity, Look look);
  /// Instead of open(): its data directory cannot be used.
  void go_without_directory(const Error& why);
  /// From here on it keeps true what `cluster` says. `alive` answers alive_brokers(). `shards`: of this node, by
  /// number.
  void join(const ClusterId& id, ClusterView& cluster, std::function<std::vector<BrokerId>()> alive,
            std::vector<Remote<BrokerShard>> shards);
  /// Binds every listener of the configuration, at `bound` where that knows it by name: what shard 0 got. Returns what
  /// was bound. Errors: as Net::listen.
  Result<Endpoints> bind(Task& task, const Endpoints& bound);
  /// This start's registration is applied: the image is not older than this disk's logs.
  void set_registered();
  void accept_clients();
  /// The first half of an end: clients are cut off.
  void stop_serving(Task& task);
  void stop_partitions(Task& task);
  void stop_raft(Task& task);
  void close(Task& task);

  // What it is told. None of these waits.

  void on_applied();
  void on_link(BrokerId node, bool up);
  void on_sender_gone(BrokerId node);
  void on_message(const PeerIdentity& from, PeerKind kind, Slice body);
  void learn_leaders(std::span<const Leaders::Update> updates);

  Endpoint listener(const std::string& name) const;
  /// Of clients, on all listeners of this shard.
  size_t connection_count() const;
  Store* store() { return store_.get(); }
  RaftDriver* driver() { return driver_.get(); }
  std::vector<Partition*> partitions() const;
  const std::vector<std::pair<PartitionKey, std::string>>& quarantines() const { return quarantines_; }
  /// Why it keeps no replicas; empty while it does.
  const std::string& directory_failure() const { return directory_failure_; }
  /// A fiber of this shard, for what another one asked for; not at all while it stops.
  void run(std::string name, std::function<void(Task&)> body);
  Remote<BrokerShard> remote() const { return door_.from(runtime_.shard()); }

 private:
  // Keeping what group 0 says true here.
  bool is_mine(const PartitionKey& key) const;
  bool is_assigned_here(const PartitionRecord& record) const;
  bool comes_back(const PartitionKey& key, const Partition& partition) const;
  void run_reconciler(Task& task);
  Result<> reconcile(Task& task);
  void let_go_of_replicas(Task& task);
  void forget_deleted_topics();
  void tell_new_brokers();
  Result<> open_partition(Task& task, const TopicRecord& topic, int32_t partition);
  void close_partition(Task& task, const PartitionKey& key);
  TopicConfig effective_config(const TopicRecord& topic) const;

  // Moving what group 0 has assigned to other replicas.
  void run_movers(Task& task);
  Result<> ask_replica(Task& task, const char* service, const PartitionKey& key, BrokerId on, const Slice& body, Instant deadline);
  void serve_replica(const char* service, Slice body, Question<Result<Chain>>::Answer answer);

  // Telling who leads.
  void on_leadership(Partition& partition);
  void announce(const PartitionKey& key, Leadership leadership);
  void run_announcer(Task& task);

  Runtime& runtime_;
  const NodeConfig& config_;
  PeerChannel& peers_;
  NodeIdentity identity_;
  ClusterView* cluster_ = nullptr;
  std::function<std::vector<BrokerId>()> alive_;
  std::vector<Remote<BrokerShard>> shards_;
  std::string directory_failure_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<RaftDriver> driver_;
  Mutex heavy_;  ///< PartitionOptions::heavy.
  std::map<PartitionKey, std::unique_ptr<Partition>> partitions_;
  ImageTopics image_topics_;
  std::map<PartitionKey, std::unique_ptr<group::Service>> groups_;  ///< Of those partitions that are of the offsets topic.
  std::unique_ptr<RequestHandler> handler_;
  MemoryBudget request_memory_;
  std::map<std::string, std::unique_ptr<Server>> servers_;
  Leaders leaders_;  ///< Of all partitions, wherever they live.
  std::map<PartitionKey, uint64_t> leader_versions_;
  std::set<PartitionKey> announce_;
  WaitQueue announce_wake_;
  WaitQueue reconcile_wake_;
  WaitQueue movers_wake_;
  bool stopping_ = false;
  bool reconcile_wanted_ = true;
  std::map<TopicId, std::string> topics_seen_;  ///< When group 0 was last looked at.
  std::set<BrokerId> brokers_seen_;             ///< Registered, and told who leads.
  std::set<TopicId> old_topics_;  ///< Those of the image when this start's registration was applied.
  bool registered_ = false;
  std::vector<std::pair<PartitionKey, std::string>> quarantines_;
  Mutex producer_ids_;  ///< Held while a block is asked for, so that one is asked for at a time.
  int64_t next_producer_id_ = 0;
  int64_t producer_ids_left_ = 0;
  Guests guests_;
  FetchSessions fetch_sessions_;
  Quotas quotas_;
  uint64_t next_guest_ = 0;
  Door<BrokerShard> door_{*this};
  Scope scope_;
};

}  // namespace taffrail
