#include "sim/cluster.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "broker/node_part.h"
#include "broker/shard.h"
#include "consensus/driver.h"
#include "controller/setting_keys.h"

namespace taffrail::sim {

struct SimCluster::Process {
  Process(Runtime& runtime, NodeConfig config) : node(runtime, std::move(config), shards) {}
  std::shared_ptr<NodeShards> shards = std::make_shared<NodeShards>();
  taffrail::Node node;
  bool serving = false;
  Scope scope;
};

SimCluster::SimCluster(World& world, ClusterOptions options) : world_(world), options_(std::move(options)) {
  processes_.resize(options_.brokers);
  for (uint32_t i = 0; i < options_.brokers; ++i)
    shards_.push_back(std::max(directories(), options_.shards.empty() ? options_.config.shards : options_.shards[i % options_.shards.size()]));
  for (uint32_t i = 0; i < options_.brokers; ++i) brokers_.push_back(world_.add_node({.shards = shards_of(i), .disks = directories()}));
  unclean_.resize(options_.brokers);
  for (uint32_t i = 0; i < options_.clients; ++i) clients_.push_back(world_.add_node({.errors_fail = true}));
  std::vector<Endpoint> seeds;
  const uint32_t founders = options_.seeds == 0 ? options_.brokers : options_.seeds;
  for (uint32_t i = 0; i < founders; ++i) seeds.push_back({world_.name(brokers_[i]), kInternalPort});
  for (uint32_t i = 0; i < options_.brokers; ++i) {
    NodeConfig config = options_.config;
    const std::string& name = world_.name(brokers_[i]);
    config.id = BrokerId(static_cast<int32_t>(i) + 1);
    config.listeners["PLAINTEXT"] = {{name, kKafkaPort}, {name, kKafkaPort}};
    config.internal = {{name, kInternalPort}, {name, kInternalPort}};
    config.seeds = seeds;
    NodeMain main = [this, i, config](Runtime& runtime) mutable -> std::shared_ptr<void> {
      config.shards = runtime.shard_count();
      config.unclean = unclean_[i];
      if (runtime.shard() != ShardId(0)) return std::make_shared<NodePart>(runtime, config, processes_[i].lock()->shards);
      auto process = std::make_shared<Process>(runtime, config);
      processes_[i] = process;
      Process* p = process.get();
      p->node.observe([this](const PartitionKey& key, const RaftSent* sent) {
        if (on_step) on_step(key, sent);
      });
      runtime.spawn(p->scope, "main", [p, &runtime](Task& task) {
        const Result<> started = p->node.start(task);
        if (started) {
          p->serving = true;
        } else if (started.error().code != Errc::kCancelled) {
          // As a process would: it says why, and exits; whoever supervises it starts it again.
          runtime.stop_node("the node did not start: " + started.error().text());
        }
      });
      return process;
    };
    if (i >= options_.starts.size()) world_.start(brokers_[i], std::move(main));
    else world_.after(options_.starts[i], [this, i, m = std::move(main)] { world_.start(brokers_[i], m); });
  }
  for (const NodeId id : clients_) world_.start(id);
}

void SimCluster::set_shards(uint32_t i, uint32_t count) {
  shards_[i] = std::max(count, directories());
  world_.set_shards(brokers_[i], shards_[i]);
}

std::vector<NodeId> SimCluster::machines() const {
  std::vector<NodeId> all = brokers_;
  all.insert(all.end(), clients_.begin(), clients_.end());
  return all;
}

taffrail::Node* SimCluster::node(uint32_t i) const {
  const auto process = processes_[i].lock();
  return process ? &process->node : nullptr;
}

std::optional<uint32_t> SimCluster::failed_directory(uint32_t i) const {
  taffrail::Node* it = node(i);
  if (it == nullptr) return std::nullopt;
  for (BrokerShard* shard : it->shards())
    if (!shard->directory_failure().empty()) return shard->runtime().directory();
  return std::nullopt;
}

bool SimCluster::left(uint32_t i) const {
  return std::ranges::any_of(world_.stops(), [&](const Stop& stop) { return stop.node == brokers_[i] && left(stop); });
}

bool SimCluster::serving(uint32_t i) const {
  const auto process = processes_[i].lock();
  return process && process->serving;
}

client::ClusterOptions SimCluster::bootstrap() const {
  client::ClusterOptions options;
  for (const NodeId id : brokers_) options.bootstrap.push_back({world_.name(id), kKafkaPort});
  return options;
}

bool SimCluster::await_serving(Duration limit) {
  return world_.run_until([this] {
    for (uint32_t i = 0; i < options_.brokers; ++i)
      if (!serving(i)) return false;
    return true;
  }, limit);
}

std::string SimCluster::unsettled(const std::vector<bool>& counts) const {
  const ClusterImage* image = nullptr;
  for (uint32_t i = 0; i < options_.brokers; ++i) {
    if (!counts[i] || left(i)) continue;
    if (!serving(i)) return fmt::format("broker {} does not serve", i + 1);
    const ClusterImage& mine = node(i)->context().controller().image();
    if (image != nullptr && !(mine == *image)) {
      std::string commits;
      for (uint32_t b = 0; b < options_.brokers; ++b)
        if (counts[b] && serving(b))
          commits += fmt::format(" broker {} has committed {};", b + 1, node(b)->find_group(kMetadataPartition)->commit().value);
      return "the brokers' images of group 0 differ:" + commits;
    }
    image = &mine;
  }
  for (uint32_t i = 0; i < options_.brokers; ++i) {
    const BrokerId id(static_cast<int32_t>(i) + 1);
    if (left(i) && image->find_broker(id) != nullptr) return fmt::format("broker {} has left, and is still registered", id.value);
    if (counts[i] && !left(i) && retirement_of(*image, id) == Retirement::kReplicas) return fmt::format("broker {} is to leave, and has not", id.value);
  }
  for (const auto& [id, topic] : image->topics()) {
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      const PartitionKey key{id, static_cast<int32_t>(p)};
      Partition* leader = nullptr;
      for (uint32_t i = 0; i < options_.brokers; ++i) {
        if (!serving(i)) continue;  // A leader may be anybody; one that is cut off has an older epoch.
        Partition* replica = node(i)->find_partition(key);
        if (replica != nullptr && replica->is_leader() && (leader == nullptr || replica->epoch() > leader->epoch()))
          leader = replica;
      }
      if (leader == nullptr || !leader->high_watermark_is_current()) return fmt::format("{}-{} has no leader", topic.name, p);
      const auto takes_over = [&](const ReplicaId& r) { return counts.at(static_cast<size_t>(r.node.value) - 1) && takes_replicas(*image, r.node); };
      if (const BrokerId on = leader->group()->raft().self().node;
          !takes_replicas(*image, on) && std::ranges::any_of(topic.partitions[p].replicas, takes_over))
        return fmt::format("broker {} is to give up its leaderships, and leads {}-{}", on.value, topic.name, p);
      for (uint32_t i = 0; i < options_.brokers; ++i) {
        if (!counts[i] || left(i)) continue;
        for (BrokerShard* shard : node(i)->shards())
          if (const Leadership* known = shard->leaders().find(key);
              known == nullptr || known->epoch != leader->epoch() || known->leader != leader->group()->raft().self().node)
            return fmt::format("shard {} of broker {} does not know who leads {}-{}", shard->runtime().shard().value, i + 1, topic.name, p);
      }
      // It arrives where all that it moves to are there, and a majority of where it comes from.
      const PartitionRecord& record = topic.partitions[p];
      const auto there = [&](const ReplicaId& r) { return counts.at(static_cast<size_t>(r.node.value) - 1); };
      if (record.moving() && std::all_of(record.replicas.begin(), record.replicas.end(), there))
        return fmt::format("{}-{} still moves: the members are {}", topic.name, p, leader->group()->configuration().text());
      for (const ReplicaId& replica : record.replicas) {
        const auto i = static_cast<uint32_t>(replica.node.value) - 1;
        if (i < options_.brokers && !counts[i]) continue;
        Partition* other = i < options_.brokers ? node(i)->find_partition(key) : nullptr;
        if (other == nullptr) return fmt::format("broker {} has no replica of {}-{}", i + 1, topic.name, p);
        if (other->group() == nullptr || other->group()->leader() != leader->group()->raft().self().node)
          return fmt::format("broker {} does not follow the leader of {}-{}, whose members are {}", i + 1, topic.name, p,
                             leader->group()->configuration().text());
        if (other->epoch() != leader->epoch() || other->view().high_watermark != leader->view().log_end)
          return fmt::format("broker {} is behind on {}-{}: {} of {}", i + 1, topic.name, p,
                             other->view().high_watermark.value, leader->view().log_end.value);
      }
    }
  }
  return {};
}

std::optional<std::string> SimCluster::await_settled(Duration limit, const std::vector<NodeId>& who) {
  std::vector<bool> counts(options_.brokers, who.empty());
  for (uint32_t i = 0; i < options_.brokers; ++i)
    if (std::find(who.begin(), who.end(), brokers_[i]) != who.end()) counts[i] = true;
  // Asked at intervals: the question itself walks all partitions.
  const Instant end = world_.now() + limit;
  for (;;) {
    std::string why = unsettled(counts);
    if (why.empty()) return std::nullopt;
    if (world_.now() >= end || world_.failure()) return why;
    world_.run_for(50_ms);
  }
}

}  // namespace taffrail::sim
