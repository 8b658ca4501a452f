// taffrail group ls | show | lag | seek | rm.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "cli/commands.h"
#include "client/admin.h"
#include "client/group_admin.h"

namespace taffrail::cli {
namespace {

/// "orders 0 1, payments 2".
std::string text_of(const std::vector<client::TopicPartition>& partitions) {
  std::string out;
  const std::string* topic = nullptr;
  for (const auto& at : partitions) {
    if (topic == nullptr || *topic != at.topic) out += fmt::format("{}{}", out.empty() ? "" : ", ", at.topic);
    topic = &at.topic;
    out += fmt::format(" {}", at.partition);
  }
  return out;
}

/// Where --to points to in one partition.
Result<Offset> place_of(Task& task, client::Admin& admin, const client::TopicPartition& at, const std::string& to, Instant deadline) {
  if (to.starts_with('@') || (!to.empty() && to.find_first_not_of("0123456789") == std::string::npos)) {
    int64_t value = 0;
    const std::string_view digits = std::string_view(to).substr(to.starts_with('@') ? 1 : 0);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty()) {
      if (to.starts_with('@')) return admin.offset_at(task, at, WallTime{value}, deadline);
      // As Kafka's own tool: a place outside the log is moved to its nearer end.
      const client::OffsetRange range = TRY(admin.offsets(task, at, deadline));
      return std::clamp(Offset(value), range.begin, range.end);
    }
  }
  if (to != "start" && to != "end")
    return fail(Errc::kInvalid, fmt::format("--to is start, end, OFFSET or @MILLISECONDS, not \"{}\"", to));
  const client::OffsetRange range = TRY(admin.offsets(task, at, deadline));
  return to == "start" ? range.begin : range.end;
}

Value number_of(Offset offset) { return offset == kNoOffset ? Value() : Value(offset.value); }

}  // namespace

Result<ExitCode> group_ls(Task& task, Session& session) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    Table table{{"GROUP", "TYPE", "STATE", "PROTOCOL", "COORDINATOR"}, {}};
    for (const client::GroupListing& g : TRY(client::GroupAdmin(cluster).list(task, deadline)))
      table.rows.push_back({g.group, g.type, g.state, g.protocol_type, int64_t{g.coordinator.value}});
    if (table.rows.empty()) TRY(session.out.note(task, "no groups yet; `taffrail consume TOPIC --group NAME` makes one"));
    if (!table.rows.empty() || session.out.json()) TRY(session.out.table(task, table));
    return ExitCode::kOk;
  });
}

Result<ExitCode> group_show(Task& task, Session& session, const std::string& name) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const client::GroupDescription group = TRY(client::GroupAdmin(cluster).describe(task, name, deadline));
    Table table{{"MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"}, {}};
    for (const auto& m : group.members)
      table.rows.push_back({m.id, m.instance ? Value(*m.instance) : Value(), m.client, m.host, text_of(m.partitions)});
    TRY(session.out.say(task, fmt::format("group {}  type {}  state {}  protocol {}  coordinator {}", printable(name), group.type, group.state,
                                          group.protocol.empty() ? "-" : printable(group.protocol), group.coordinator.value)));
    if (!table.rows.empty() || session.out.json()) TRY(session.out.table(task, table));
    return ExitCode::kOk;
  });
}

Result<ExitCode> group_lag(Task& task, Session& session, const std::string& name) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::GroupAdmin groups(cluster);
    client::Admin admin(cluster);
    const client::GroupDescription group = TRY(groups.describe(task, name, deadline));
    std::map<client::TopicPartition, std::string> owners;
    for (const auto& m : group.members)
      for (const auto& at : m.partitions) owners[at] = m.id;
    const auto committed = TRY(groups.committed(task, name, deadline));
    for (const auto& [at, offset] : committed) owners.emplace(at, "");
    Table table{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"}, {}};
    int64_t total = 0;
    for (const auto& [at, owner] : owners) {
      const auto range = admin.offsets(task, at, deadline);
      if (!range && range.error().code == Errc::kCancelled) return std::unexpected(range.error());
      const auto found = committed.find(at);
      const Offset read = found == committed.end() ? kNoOffset : found->second.offset;
      Value lag;
      if (range) {
        // Who has committed nothing has all of it before it; what was deleted is not.
        const int64_t behind = std::max<int64_t>(range->end - std::max(read, range->begin), 0);
        total += behind;
        lag = behind;
      }
      table.rows.push_back({at.topic, int64_t{at.partition}, number_of(read), range ? number_of(range->end) : Value(), lag,
                            owner.empty() ? Value() : Value(owner)});
    }
    if (!table.rows.empty() || session.out.json()) TRY(session.out.table(task, table));
    TRY(session.out.say(task, fmt::format("{} records behind in all", total)));
    return ExitCode::kOk;
  });
}

Result<ExitCode> group_seek(Task& task, Session& session, const GroupSeek& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::GroupAdmin groups(cluster);
    client::Admin admin(cluster);
    const auto group = groups.describe(task, options.group, deadline);
    if (!group && group.error().code != Errc::kNotFound) return std::unexpected(group.error());
    if (group && !group->members.empty())
      return fail(Errc::kBusy, fmt::format("group {} has members, which know better where they are; stop them first", options.group));
    const auto committed = TRY(groups.committed(task, options.group, deadline));
    std::vector<client::TopicPartition> wanted;
    for (const std::string& name : options.topics) {
      const client::TopicView topic = TRY(cluster.topic(task, name, deadline));
      if (options.partition && topic.find(*options.partition) == nullptr)
        return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}", name, *options.partition));
      for (const auto& p : topic.partitions)
        if (!options.partition || p.index == *options.partition) wanted.push_back({name, p.index});
    }
    if (options.topics.empty())
      for (const auto& [at, offset] : committed) wanted.push_back(at);
    Table table{{"TOPIC", "PARTITION", "FROM", "TO"}, {}};
    std::map<client::TopicPartition, Offset> offsets;
    for (const auto& at : wanted) {
      const Offset to = TRY(place_of(task, admin, at, options.to, deadline));
      const auto from = committed.find(at);
      offsets[at] = to;
      table.rows.push_back({at.topic, int64_t{at.partition}, from == committed.end() ? Value() : Value(from->second.offset.value), to.value});
    }
    if (offsets.empty()) return fail(Errc::kNotFound, fmt::format("group {} has committed nothing; name topics with --topic", options.group));
    if (!options.dry_run) TRY(groups.set_offsets(task, options.group, offsets, deadline));
    TRY(session.out.table(task, table));
    if (options.dry_run) TRY(session.out.note(task, "nothing was changed: --dry-run"));
    return ExitCode::kOk;
  });
}

Result<ExitCode> group_rm(Task& task, Session& session, const std::vector<std::string>& names) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    for (const std::string& name : names) {
      TRY(client::GroupAdmin(cluster).remove(task, name, deadline));
      TRY(session.out.fields(task, {{"removed", name}}));
    }
    return ExitCode::kOk;
  });
}

}  // namespace taffrail::cli
