// taffrail topic move, cluster drain and cluster decommission: where replicas are, and who leads. Exit status kUnhealthy:
// what was asked for is on its way, and was not there in time.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "cli/commands.h"
#include "client/admin.h"

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

// Its replicas stay, and go on voting: only nobody prefers it any more, and whoever is preferred leads now.
Result<ExitCode> cluster_drain(Task& task, Session& session, const int32_t& broker) {
  const BrokerId id(broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::Admin admin(cluster);
    for (const Placed& p : TRY(all_partitions(task, cluster, deadline))) {
      if (p.replicas.size() < 2 || !has(p.replicas, id)) continue;
      if (p.replicas.front() == id) {
        std::vector<BrokerId> to = p.replicas;
        std::rotate(to.begin(), to.begin() + 1, to.end());
        TRY(admin.move_partition(task, p.at, to, deadline));
      }
      // One that cannot take over now may a moment later: it is looked at again below.
      if (p.leader == id) (void)admin.elect_preferred(task, p.at, deadline);
      if (task.cancelled()) return fail(Errc::kCancelled);
    }
    const int64_t left = TRY(wait_for_all(task, cluster, deadline, [&](const Placed& p) {
      return p.leader == id && p.replicas.size() > 1;
    }));
    return settled(task, session, left, fmt::format("broker {} leads nothing that another could lead", broker));
  });
}

Result<ExitCode> cluster_decommission(Task& task, Session& session, const int32_t& broker) {
  const BrokerId id(broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::Admin admin(cluster);
    const std::vector<Placed> all = TRY(all_partitions(task, cluster, deadline));
    std::map<BrokerId, int64_t> load;
    for (const auto& other : TRY(admin.describe_cluster(task, deadline)).brokers) load[other.id] = 0;
    load.erase(id);
    for (const Placed& p : all)
      for (const BrokerId replica : p.replicas)
        if (const auto at = load.find(replica); at != load.end()) ++at->second;
    for (const Placed& p : all) {
      if (!has(p.replicas, id)) continue;
      auto heir = load.end();
      for (auto it = load.begin(); it != load.end(); ++it)
        if (!has(p.replicas, it->first) && (heir == load.end() || it->second < heir->second)) heir = it;
      if (heir == load.end())
        return fail(Errc::kInvalid, fmt::format("{} has {} replicas, and no other broker is alive to take the one of "
                                                "broker {}", p.at.text(), p.replicas.size(), broker));
      std::vector<BrokerId> to = p.replicas;
      std::replace(to.begin(), to.end(), id, heir->first);
      TRY(admin.move_partition(task, p.at, to, deadline));
      ++heir->second;
    }
    const int64_t left = TRY(wait_for_all(task, cluster, deadline, [&](const Placed& p) { return has(p.replicas, id); }));
    return settled(task, session, left, fmt::format("nothing is left on broker {}: it can be stopped", broker));
  });
}

}  // namespace taffrail::cli
