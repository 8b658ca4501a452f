// taffrail topic move, topic elect, cluster drain and cluster decommission: where replicas are, and who leads. Exit status kUnhealthy:
// what was asked for is on its way, and was not there in time.
#include <fmt/core.h>

#include <algorithm>

#include "cli/commands.h"
#include "client/cluster_admin.h"

namespace taffrail::cli {
namespace {

constexpr Duration kLook = 100_ms;

struct Placed {
  client::TopicPartition at;
  std::vector<BrokerId> replicas;
  BrokerId leader = kNoBroker;
};

Result<std::vector<Placed>> all_partitions(Task& task, client::Cluster& cluster, Instant deadline) {
  std::vector<Placed> all;
  for (const client::TopicView& topic : TRY(cluster.list_topics(task, deadline)))
    for (const auto& p : topic.partitions) all.push_back({{topic.name, p.index}, p.replicas, p.leader});
  return all;
}

bool has(const std::vector<BrokerId>& brokers, BrokerId id) {
  return std::find(brokers.begin(), brokers.end(), id) != brokers.end();
}

/// Looks again and again until no partition is `left` any more. How many are, at the deadline.
template <class Left>
Result<int64_t> wait_for_all(Task& task, client::Cluster& cluster, Instant deadline, Left left) {
  for (;;) {
    const std::vector<Placed> all = TRY(all_partitions(task, cluster, deadline));
    const auto count = std::count_if(all.begin(), all.end(), left);
    if (count == 0 || cluster.runtime().now() + kLook >= deadline) return static_cast<int64_t>(count);
    TRY(cluster.runtime().sleep_for(task, kLook));
  }
}

Result<ExitCode> settled(Task& task, Session& session, int64_t left, const std::string& done) {
  if (left == 0) {
    TRY(session.out.note(task, done));
    return ExitCode::kOk;
  }
  TRY(session.out.note(task, fmt::format("{} partitions are still on their way; the cluster goes on with them", left)));
  return ExitCode::kUnhealthy;
}

}  // namespace

Result<ExitCode> topic_move(Task& task, Session& session, const TopicMove& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const client::TopicPartition at{options.name, options.partition};
    std::optional<std::vector<BrokerId>> to;
    if (!options.back) {
      to.emplace();
      for (const int32_t id : options.brokers) to->push_back(BrokerId(id));
    }
    TRY(client::Admin(cluster).move_partition(task, at, to, deadline));
    if (options.back) {
      TRY(session.out.note(task, fmt::format("{} goes back to where it was", at.text())));
      return ExitCode::kOk;
    }
    const int64_t left = TRY(wait_for_all(task, cluster, deadline, [&](const Placed& p) {
      return p.at.topic == at.topic && p.at.partition == at.partition && p.replicas != *to;
    }));
    return settled(task, session, left, fmt::format("{} has moved", at.text()));
  });
}

Result<ExitCode> topic_elect(Task& task, Session& session, const TopicElect& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const client::TopicPartition at{options.name, options.partition};
    client::Admin admin(cluster);
    TRY(options.unclean ? admin.elect_unclean(task, at, deadline) : admin.elect_preferred(task, at, deadline));
    const std::vector<Placed> all = TRY(all_partitions(task, cluster, deadline));
    for (const Placed& p : all)
      if (p.at == at) TRY(session.out.note(task, fmt::format("{} is led by broker {}", at.text(), p.leader.value)));
    return ExitCode::kOk;
  });
}

namespace {

Result<> retire(Task& task, client::Cluster& cluster, const Retire& options, const std::string& what, Instant deadline) {
  std::optional<std::string> value;
  if (!options.undo) value = what;
  return client::ClusterAdmin(cluster).alter_configs(task, BrokerId(options.broker), {{"taffrail.retire", value}}, deadline);
}

Result<ExitCode> stays(Task& task, Session& session, int32_t broker) {
  TRY(session.out.note(task, fmt::format("broker {} stays, and takes part again", broker)));
  return ExitCode::kOk;
}

/// What is said of a broker that others know; nothing once the cluster has forgotten it.
Result<std::optional<client::BrokerHealth>> health_of(Task& task, client::Cluster& cluster, BrokerId id, Instant deadline) {
  for (const auto& health : TRY(client::ClusterAdmin(cluster).brokers(task, deadline)))
    if (health.broker.id == id) return std::optional(health);
  return std::optional<client::BrokerHealth>();
}

}  // namespace

// The cluster does it, and goes on with it when nobody looks (controller/setting_keys.h); here is asked for it, and looked.
Result<ExitCode> cluster_drain(Task& task, Session& session, const Retire& options) {
  const BrokerId id(options.broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    TRY(retire(task, cluster, options, "leaders", deadline));
    if (options.undo) return stays(task, session, options.broker);
    const int64_t left = TRY(wait_for_all(task, cluster, deadline, [&](const Placed& p) {
      return p.leader == id && p.replicas.size() > 1;
    }));
    return settled(task, session, left, fmt::format("broker {} leads nothing that another could lead", options.broker));
  });
}

Result<ExitCode> cluster_decommission(Task& task, Session& session, const Retire& options) {
  const BrokerId id(options.broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    TRY(retire(task, cluster, options, "replicas", deadline));
    if (options.undo) return stays(task, session, options.broker);
    const int64_t left = TRY(wait_for_all(task, cluster, deadline, [&](const Placed& p) { return has(p.replicas, id); }));
    if (left > 0) return settled(task, session, left, {});
    for (;;) {
      const auto health = TRY(health_of(task, cluster, id, deadline));
      if (!health) break;
      // A broker that is gone cannot see to its own end.
      if (!health->alive) (void)client::ClusterAdmin(cluster).unregister(task, id, deadline);
      if (task.cancelled()) return fail(Errc::kCancelled);
      if (cluster.runtime().now() + kLook >= deadline) {
        TRY(session.out.note(task, fmt::format("broker {} is empty, and has not left the cluster yet", options.broker)));
        return ExitCode::kUnhealthy;
      }
      TRY(cluster.runtime().sleep_for(task, kLook));
    }
    TRY(session.out.note(task, fmt::format("broker {} has left the cluster: nothing is left on it", options.broker)));
    return ExitCode::kOk;
  });
}

}  // namespace taffrail::cli
