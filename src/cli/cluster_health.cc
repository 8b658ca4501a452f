// taffrail cluster health | safe-to-restart | config. Exit status kUnhealthy: something is wrong, or would be.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "cli/commands.h"
#include "client/cluster_admin.h"

namespace taffrail::cli {
namespace {

using client::BrokerHealth;
using client::MetadataQuorum;
using client::PartitionView;

/// What is found, each thing with its reason.
struct Findings {
  Table table{{"WHAT", "WHERE", "WHY"}, {}};
  size_t wrong = 0;

  /// Something that is missing, or soon may be.
  void bad(std::string what, std::string where, std::string why) {
    ++wrong;
    table.rows.push_back({std::move(what), std::move(where), std::move(why)});
  }
  /// Something that goes on.
  void note(std::string what, std::string where, std::string why) {
    table.rows.push_back({std::move(what), std::move(where), std::move(why)});
  }
};

std::string broker_name(BrokerId id) { return fmt::format("broker {}", id.value); }

std::string partition_name(const std::string& topic, const PartitionView& p) { return fmt::format("{}-{}", printable(topic), p.index); }

std::string list_of(const std::vector<BrokerId>& brokers) {
  std::string out;
  for (const BrokerId id : brokers) out += fmt::format("{}{}", out.empty() ? "" : ", ", id.value);
  return out.empty() ? "none" : out;
}

bool has(const std::vector<BrokerId>& brokers, BrokerId id) { return std::find(brokers.begin(), brokers.end(), id) != brokers.end(); }

void look_at_brokers(const std::vector<BrokerHealth>& brokers, Findings& findings) {
  for (const BrokerHealth& health : brokers) {
    const std::string name = broker_name(health.broker.id);
    if (!health.alive) findings.bad("broker away", name, "nothing was heard of it lately: start it, or decommission it");
    for (const client::ReplicaTrouble& trouble : health.troubles)
      findings.bad("replica damaged", fmt::format("{} on {}", trouble.of.text(), name), trouble.what);
    for (const std::string& directory : health.failed_directories)
      findings.bad("directory failed", fmt::format("{} {}", name, printable(directory)),
                   "its replicas have stopped: repair or replace the disk, and start the broker again");
    if (health.retire == "leaders") findings.note("draining", name, "it is given nothing new; `cluster drain --undo` ends that");
    if (health.retire == "replicas") findings.note("leaving", name, "its replicas move to other brokers, then it leaves the cluster");
  }
}

void look_at_quorum(const MetadataQuorum& quorum, Findings& findings) {
  size_t voters = 0;
  size_t well = 0;
  for (const auto& member : quorum.members) {
    if (!member.voter) continue;
    ++voters;
    if (member.caught_up) ++well;
    else findings.bad("metadata voter behind", broker_name(member.broker), fmt::format("it lacks {} committed entries or more", member.lag));
  }
  if (well <= voters / 2 + 1 && well < voters)
    findings.bad("metadata at risk", "group 0", fmt::format("{} of {} voters are up to date, and {} have to be", well, voters, voters / 2 + 1));
}

void look_at_partition(const std::string& topic, const PartitionView& p, const std::set<BrokerId>& alive, bool damaged, Findings& findings) {
  const std::string name = partition_name(topic, p);
  const size_t majority = p.replicas.size() / 2 + 1;
  const auto living = static_cast<size_t>(std::count_if(p.replicas.begin(), p.replicas.end(), [&](BrokerId id) { return alive.contains(id); }));
  if (living < majority) {
    findings.bad("no majority", name, fmt::format("{} of its replicas ({}) are alive, and {} have to be", living, list_of(p.replicas), majority));
  } else if (p.leader == kNoBroker) {
    findings.bad("no leader", name,
                 damaged ? fmt::format("a replica is damaged, and whoever held more is not there: start that broker; if it is gone for good, `topic elect "
                                       "{} {} --unclean` goes on without its records", printable(topic), p.index)
                         : "a majority of its replicas is alive: an election is under way");
  } else if (p.in_sync.size() < p.replicas.size()) {
    std::vector<BrokerId> behind;
    for (const BrokerId id : p.replicas)
      if (!has(p.in_sync, id)) behind.push_back(id);
    findings.bad("not all in sync", name, fmt::format("behind, away or still coming: {}", list_of(behind)));
  }
}

}  // namespace

Result<ExitCode> cluster_health(Task& task, Session& session) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::ClusterAdmin admin(cluster);
    Findings findings;
    const std::vector<BrokerHealth> brokers = TRY(admin.brokers(task, deadline));
    look_at_brokers(brokers, findings);
    std::set<BrokerId> alive;
    std::set<client::TopicPartition> damaged;
    for (const BrokerHealth& health : brokers) {
      if (health.alive) alive.insert(health.broker.id);
      for (const client::ReplicaTrouble& trouble : health.troubles) damaged.insert(trouble.of);
    }
    // Half of the time: without a leader of the metadata there is more to tell.
    const Instant patience = cluster.runtime().now() + (deadline - cluster.runtime().now()) / 2;
    const Result<MetadataQuorum> quorum = admin.quorum(task, patience);
    if (task.cancelled()) return fail(Errc::kCancelled);
    if (quorum) look_at_quorum(*quorum, findings);
    else if (damaged.contains({kMetadataTopic, 0}))
      findings.bad("no controller", "group 0", fmt::format("a replica is damaged, and whoever held more is not there: start that broker; if it is gone for good, "
                                                           "`topic elect {} 0 --unclean` goes on without what it held", kMetadataTopic));
    else findings.bad("no controller", "group 0", "most of the brokers that vote on the cluster's metadata are away");
    size_t partitions = 0;
    for (const client::TopicView& topic : TRY(cluster.list_topics(task, deadline)))
      for (const PartitionView& p : topic.partitions) {
        ++partitions;
        look_at_partition(topic.name, p, alive, damaged.contains({topic.name, p.index}), findings);
      }
    if (!findings.table.rows.empty() || session.out.json()) TRY(session.out.table(task, findings.table));
    if (findings.wrong > 0) {
      TRY(session.out.note(task, findings.wrong == 1 ? "1 thing is wrong" : fmt::format("{} things are wrong", findings.wrong)));
      return ExitCode::kUnhealthy;
    }
    TRY(session.out.say(task, fmt::format("healthy: {} brokers, {} partitions", brokers.size(), partitions)));
    return ExitCode::kOk;
  });
}

namespace {

/// min.insync.replicas of a topic; 1 if the brokers do not tell.
Result<size_t> least_in_sync(Task& task, client::Cluster& cluster, const std::string& topic, Instant deadline) {
  size_t least = 1;
  for (const auto& config : TRY(client::Admin(cluster).describe_topic(task, topic, deadline)))
    if (config.name == "min.insync.replicas" && config.value)
      std::from_chars(config.value->data(), config.value->data() + config.value->size(), least);
  return least;
}

void look_without(const MetadataQuorum& quorum, BrokerId away, Findings& findings) {
  size_t voters = 0;
  size_t left = 0;
  for (const auto& member : quorum.members) {
    if (!member.voter) continue;
    ++voters;
    if (member.caught_up && member.broker != away) ++left;
  }
  if (left < voters / 2 + 1)
    findings.bad("metadata", "group 0", fmt::format("{} of {} voters would be left that are up to date, and {} have to be", left, voters, voters / 2 + 1));
}

}  // namespace

Result<ExitCode> cluster_safe_to_restart(Task& task, Session& session, const int32_t& broker) {
  const BrokerId id(broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::ClusterAdmin admin(cluster);
    const std::vector<BrokerHealth> brokers = TRY(admin.brokers(task, deadline));
    if (std::none_of(brokers.begin(), brokers.end(), [&](const auto& health) { return health.broker.id == id; }))
      return fail(Errc::kNotFound, fmt::format("broker {} is not registered", broker));
    Findings findings;
    look_without(TRY(admin.quorum(task, deadline)), id, findings);
    for (const client::TopicView& topic : TRY(cluster.list_topics(task, deadline))) {
      std::optional<size_t> least;
      for (const PartitionView& p : topic.partitions) {
        if (!has(p.replicas, id)) continue;
        const std::string name = partition_name(topic.name, p);
        if (p.replicas.size() == 1) {
          findings.bad("only replica", name, "nobody else has it: it could be neither read nor written");
          continue;
        }
        if (!least) least = TRY(least_in_sync(task, cluster, topic.name, deadline));
        const size_t needed = std::max(p.replicas.size() / 2 + 1, *least);
        const auto left = static_cast<size_t>(std::count_if(p.in_sync.begin(), p.in_sync.end(), [&](BrokerId other) { return other != id; }));
        if (left < needed)
          findings.bad("no writes", name, fmt::format("{} of {} replicas would be in sync, and acks=all needs {}", left, p.replicas.size(), needed));
      }
    }
    if (!findings.table.rows.empty() || session.out.json()) TRY(session.out.table(task, findings.table));
    if (findings.wrong > 0) {
      TRY(session.out.note(task, fmt::format("not now: broker {} is needed", broker)));
      return ExitCode::kUnhealthy;
    }
    TRY(session.out.say(task, fmt::format("broker {} can be restarted: the others hold everything that it holds, and are enough", broker)));
    return ExitCode::kOk;
  });
}

namespace {

std::string_view source_name(protocol::ConfigSource source) {
  using protocol::ConfigSource;
  switch (source) {
    case ConfigSource::kDynamicBrokerConfig: return "set for this broker";
    case ConfigSource::kDynamicDefaultBrokerConfig: return "set for all brokers";
    case ConfigSource::kStaticBrokerConfig: return "its configuration";
    default: return "default";
  }
}

}  // namespace

Result<ExitCode> cluster_config(Task& task, Session& session, const ClusterConfig& options) {
  std::map<std::string, std::optional<std::string>> changes;
  for (const std::string& pair : options.set) {
    auto [key, value] = TRY(split_pair(pair));
    changes[std::move(key)] = std::move(value);
  }
  for (const std::string& key : options.remove) changes[key] = std::nullopt;
  std::optional<BrokerId> broker;
  if (options.broker) broker = BrokerId(*options.broker);
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::ClusterAdmin admin(cluster);
    if (!changes.empty()) TRY(admin.alter_configs(task, broker, changes, deadline));
    Table table{{"CONFIG", "VALUE", "FROM"}, {}};
    for (const auto& config : TRY(admin.configs(task, broker, deadline))) {
      const bool set = config.source == protocol::ConfigSource::kDynamicBrokerConfig ||
                       config.source == protocol::ConfigSource::kDynamicDefaultBrokerConfig;
      if (!set && !options.all) continue;
      table.rows.push_back({config.name, config.value ? Value(printable(*config.value)) : Value(), std::string(source_name(config.source))});
    }
    if (table.rows.empty() && !session.out.json()) {
      TRY(session.out.note(task, "nothing is set; --all shows what acts"));
      return ExitCode::kOk;
    }
    TRY(session.out.table(task, table));
    return ExitCode::kOk;
  });
}

}  // namespace taffrail::cli
