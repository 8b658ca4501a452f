// taffrail topic create | ls | show | rm | alter | grow | trim.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "cli/commands.h"
#include "client/cluster_admin.h"

namespace taffrail::cli {
namespace {

std::vector<int64_t> ids_of(const std::vector<BrokerId>& brokers) {
  std::vector<int64_t> ids;
  for (const BrokerId b : brokers) ids.push_back(b.value);
  return ids;
}

Result<int64_t> whole_number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is no offset: a number, @MILLISECONDS or end", text));
  return number;
}

Value leader_of(const client::PartitionView& p) {
  return p.leader == kNoBroker ? Value() : Value(int64_t{p.leader.value});
}

}  // namespace

Result<ExitCode> topic_create(Task& task, Session& session, const TopicCreate& options) {
  client::NewTopic topic{.name = options.name,
                         .partitions = options.partitions,
                         .replication_factor = options.replication_factor};
  for (const std::string& pair : options.configs) {
    auto [key, value] = TRY(split_pair(pair));
    topic.configs[std::move(key)] = std::move(value);
  }
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const auto made = TRY(client::Admin(cluster).create_topic(task, topic, deadline));
    TRY(session.out.fields(task, {{"topic", options.name},
                                  {"id", made.id.is_zero() ? Value() : Value(made.id.text())},
                                  {"partitions", int64_t{made.partitions}},
                                  {"replication factor", int64_t{made.replication_factor}}}));
    // A majority of two is both: with either gone, the topic takes no writes.
    if (made.replication_factor == 2)
      TRY(session.out.note(task, "note: with 2 replicas no write succeeds while either is away; 3 survive "
                                 "the loss of one"));
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_ls(Task& task, Session& session, bool internal) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    Table table{{"TOPIC", "PARTITIONS", "REPLICAS", "WITHOUT LEADER"}, {}};
    for (const client::TopicView& topic : TRY(cluster.list_topics(task, deadline))) {
      if (topic.internal && !internal) continue;
      int64_t without = 0;
      size_t replicas = 0;
      for (const auto& p : topic.partitions) {
        if (p.leader == kNoBroker) ++without;
        replicas = std::max(replicas, p.replicas.size());
      }
      table.rows.push_back({topic.name, static_cast<int64_t>(topic.partitions.size()),
                            static_cast<int64_t>(replicas), without});
    }
    if (table.rows.empty())
      TRY(session.out.note(task, "no topics yet; make one with `taffrail topic create NAME`"));
    if (!table.rows.empty() || session.out.json()) TRY(session.out.table(task, table));
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_show(Task& task, Session& session, const std::string& name) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::Admin admin(cluster);
    const client::TopicView topic = TRY(cluster.topic(task, name, deadline));
    Table table{{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "BEGIN", "END"}, {}};
    for (const auto& p : topic.partitions) {
      client::OffsetRange range;
      if (p.leader != kNoBroker) {
        auto asked = admin.offsets(task, {name, p.index}, deadline);
        if (asked) range = *asked;
        else if (asked.error().code == Errc::kCancelled) return std::unexpected(asked.error());
      }
      const auto shown = [](Offset o) { return o == kNoOffset ? Value() : Value(o.value); };
      table.rows.push_back({int64_t{p.index}, leader_of(p), int64_t{p.leader_epoch},
                            ids_of(p.replicas), ids_of(p.in_sync), shown(range.begin),
                            shown(range.end)});
    }
    TRY(session.out.say(task, fmt::format("topic {}  id {}", printable(name),
                                          topic.id.is_zero() ? "-" : topic.id.text())));
    TRY(session.out.table(task, table));
    if (session.out.json()) return ExitCode::kOk;
    const auto configs = admin.describe_topic(task, name, deadline);
    // A broker may not let us see them, and the rest is worth showing.
    if (!configs) {
      TRY(session.out.note(task, "note: no configs: " + configs.error().text()));
      return ExitCode::kOk;
    }
    for (const auto& config : *configs) {
      if (config.is_set())
        TRY(session.out.say(task, fmt::format("  {}={}", config.name, printable(config.value.value_or("")))));
    }
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_rm(Task& task, Session& session, const std::vector<std::string>& names) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    for (const std::string& name : names) {
      TRY(client::Admin(cluster).delete_topic(task, name, deadline));
      TRY(session.out.fields(task, {{"removed", name}}));
    }
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_alter(Task& task, Session& session, const TopicAlter& options) {
  std::map<std::string, std::optional<std::string>> changes;
  for (const std::string& pair : options.set) {
    auto [key, value] = TRY(split_pair(pair));
    changes[std::move(key)] = std::move(value);
  }
  for (const std::string& key : options.remove) changes[key] = std::nullopt;
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::Admin admin(cluster);
    if (!changes.empty()) TRY(admin.alter_topic(task, options.name, changes, deadline));
    if (options.partitions > 0)
      TRY(admin.grow_topic(task, options.name, options.partitions, deadline));
    TRY(session.out.fields(task, {{"changed", options.name}}));
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_grow(Task& task, Session& session, const TopicGrow& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    TRY(client::Admin(cluster).grow_topic(task, options.name, options.partitions, deadline));
    TRY(session.out.fields(task, {{"topic", options.name}, {"partitions", int64_t{options.partitions}}}));
    TRY(session.out.note(task, "note: records with keys go to other partitions from here on"));
    return ExitCode::kOk;
  });
}

Result<ExitCode> topic_trim(Task& task, Session& session, const TopicTrim& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const client::TopicView topic = TRY(cluster.topic(task, options.name, deadline));
    if (options.partition && topic.find(*options.partition) == nullptr)
      return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}", options.name, *options.partition));
    Table table{{"PARTITION", "BEGIN"}, {}};
    for (const auto& p : topic.partitions) {
      if (options.partition && p.index != *options.partition) continue;
      const client::TopicPartition at{options.name, p.index};
      Offset before(-1);  // The end.
      if (options.before.starts_with('@'))
        before = TRY(client::Admin(cluster).offset_at(task, at, WallTime{TRY(whole_number(options.before.substr(1)))}, deadline));
      else if (options.before != "end")
        before = Offset(TRY(whole_number(options.before)));
      const Offset begin = TRY(client::ClusterAdmin(cluster).trim(task, at, before, deadline));
      table.rows.push_back({int64_t{p.index}, begin.value});
    }
    TRY(session.out.table(task, table));
    return ExitCode::kOk;
  });
}

}  // namespace taffrail::cli
