// Consumer groups with many members, many groups, many connections: what they cost one broker, and how long a group of
// a thousand takes until everybody knows that one has left.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "crowd.h"
#include "protocol/consumer_group_heartbeat.h"
#include "protocol/find_coordinator.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/offset_commit.h"
#include "protocol/sync_group.h"
#include "workloads.h"

namespace taffrail::bench {
namespace {

using protocol::ErrorCode;

constexpr size_t kMembers = 1000;
constexpr double kPatience = 180;
constexpr double kMiB = 1 << 20;
constexpr double kKiB = 1 << 10;
/// A coordinator that is being elected, or has just come to be.
constexpr double kRetry = 0.1;
const std::string kGroup = "many";

bool is_passing(ErrorCode code) {
  return code == ErrorCode::kNotCoordinator || code == ErrorCode::kCoordinatorLoadInProgress ||
         code == ErrorCode::kCoordinatorNotAvailable;
}

/// Makes the topic `many`, and returns the port of the group's coordinator once there is one.
uint16_t coordinator(const Cluster& cluster, int32_t partitions) {
  create_topic(cluster.ports(), "many", partitions, 1);
  for (const double until = now() + 60; now() < until; sleep_until(now() + kRetry)) {
    Wire wire(cluster.ports().front());
    protocol::FindCoordinatorRequest request;
    request.coordinator_keys = {kGroup};
    const auto answer = wire.ask(request, 4);
    if (answer && answer->coordinators.size() == 1 && answer->coordinators[0].error_code == ErrorCode::kNone)
      return static_cast<uint16_t>(answer->coordinators[0].port);
  }
  die("no coordinator within a minute");
}

/// When each member is to speak next. They do it at different times, as members of different processes do.
class Phases {
 public:
  void set(size_t member, double at) {
    clear(member);
    at_[member] = at;
    due_.emplace(at, member);
  }
  void clear(size_t member) {
    if (const auto it = at_.find(member); it != at_.end()) {
      due_.erase({it->second, member});
      at_.erase(it);
    }
  }
  double next() const { return due_.empty() ? now() + 1 : due_.begin()->first; }
  std::optional<size_t> take() {
    if (due_.empty() || due_.begin()->first > now()) return std::nullopt;
    const size_t member = due_.begin()->second;
    clear(member);
    return member;
  }

 private:
  std::map<size_t, double> at_;
  std::set<std::pair<double, size_t>> due_;
};

/// A group of KIP-848, as many partitions as members.
class NewerGroup {
 public:
  explicit NewerGroup(Cluster cluster)
      : cluster_(std::move(cluster)), crowd_(coordinator(cluster_, kMembers), kMembers), members_(kMembers) {
    for (size_t i = 0; i < kMembers; ++i) {
      members_[i].id = fmt::format("00000000-0000-0000-0000-{:012}", i);
      phases_.set(i, now() + static_cast<double>(i) * 0.005);  // All of them within the interval that they keep later.
    }
  }

  Values run() {
    const double begin = now();
    settle("join");
    const double joined = now() - begin;
    const double cpu = cluster_.cpu();
    const double quiet = now();
    while (now() < quiet + interval_) step();
    const double beating = (cluster_.cpu() - cpu) / (now() - quiet);

    const double left = now();
    leave(0);
    settle("know that one has left");
    const double settled = now() - left;
    return {{"settled after one left, in heartbeat intervals", "", settled / interval_},
            {"settled after one left", "s", settled},
            {"heartbeat interval", "s", interval_},
            {"settled after all came", "s", joined},
            {"CPU of heartbeats", "% of a core", beating * 100},
            {"memory", "MiB", cluster_.rss() / kMiB}};
  }

 private:
  using Request = protocol::ConsumerGroupHeartbeatRequest;
  using Response = protocol::ConsumerGroupHeartbeatResponse;
  struct Member {
    std::string id;
    int32_t epoch = 0;
    std::vector<protocol::AssignedTopic> owned;
    bool changed = true;
    bool gone = false;
  };

  void beat(size_t i) {
    Member& m = members_[i];
    Request request;
    request.group_id = kGroup;
    request.member_id = m.id;
    request.member_epoch = m.epoch;
    if (m.epoch == 0) {
      request.rebalance_timeout_ms = 60'000;
      request.subscribed_topic_names.emplace().push_back("many");
    }
    if (m.changed) request.topic_partitions = m.owned;
    m.changed = false;
    crowd_.ask(i, request, 1);
  }

  // Sends what is due, takes what has come.
  void step() {
    while (const auto due = phases_.take()) beat(*due);
    for (const auto& answer : crowd_.wait(phases_.next())) {
      const auto response = answer.as<Response>(1);
      Member& m = members_[answer.client];
      if (m.gone) continue;
      if (is_passing(response.error_code)) {
        m.changed = true;
        phases_.set(answer.client, now() + kRetry);
        continue;
      }
      if (response.error_code != ErrorCode::kNone) die("a heartbeat was refused: " + response.error_message.value_or("?"));
      m.epoch = response.member_epoch;
      interval_ = response.heartbeat_interval_ms / 1e3;
      if (response.assignment) {
        m.owned = response.assignment->topic_partitions;
        m.changed = true;
      }
      // What was given or taken is confirmed at once.
      phases_.set(answer.client, m.changed ? now() : now() + interval_);
    }
  }

  bool is_settled() const {
    size_t owned = 0;
    std::set<int32_t> epochs;
    for (const Member& m : members_) {
      if (m.gone) continue;
      epochs.insert(m.epoch);
      if (m.changed) return false;
      for (const auto& topic : m.owned) owned += topic.partitions.size();
    }
    return owned == kMembers && epochs.size() == 1 && *epochs.begin() >= least_;
  }
  void settle(const std::string& what) {
    const double until = now() + kPatience;
    while (!is_settled()) {
      if (now() > until) die("the members did not all " + what + " in time");
      step();
    }
    least_ = members_.back().epoch + 1;
  }
  void leave(size_t i) {
    while (crowd_.waits(i)) step();
    phases_.clear(i);
    members_[i].gone = true;
    Request request;
    request.group_id = kGroup;
    request.member_id = members_[i].id;
    request.member_epoch = Request::kLeave;
    crowd_.ask(i, request, 1);
  }

  Cluster cluster_;
  Crowd crowd_;
  std::vector<Member> members_;
  Phases phases_;
  double interval_ = 5;
  int32_t least_ = 1;
};

/// A group of the classic protocol. What members say and are given is opaque to the coordinator.
class ClassicGroup {
 public:
  ClassicGroup(Cluster cluster, double interval)
      : cluster_(std::move(cluster)), interval_(interval), crowd_(coordinator(cluster_, 1), kMembers), members_(kMembers) {}

  Values run() {
    const double begin = now();
    for (size_t i = 0; i < kMembers; ++i) join(i);
    settle();
    const double joined = now() - begin;
    const double cpu = cluster_.cpu();
    const double quiet = now();
    while (now() < quiet + 2 * interval_) step();
    const double beating = (cluster_.cpu() - cpu) / (now() - quiet);

    const double left = now();
    leave(0);
    settle();
    const double settled = now() - left;
    return {{"settled after one left", "s", settled},
            {"until the last one asked", "s", last_join_ - left},
            {"settled after all came", "s", joined},
            {"CPU of heartbeats", "% of a core", beating * 100},
            {"memory", "MiB", cluster_.rss() / kMiB}};
  }

 private:
  enum class Asked : uint8_t { kNothing, kJoin, kSync, kHeartbeat, kLeave };
  struct Member {
    std::string id;
    int32_t generation = -1;
    Asked asked = Asked::kNothing;
    bool synced = false;
    bool gone = false;
  };

  void join(size_t i) {
    protocol::JoinGroupRequest request;
    request.group_id = kGroup;
    request.session_timeout_ms = 45'000;
    request.rebalance_timeout_ms = 300'000;
    request.member_id = members_[i].id;
    request.protocol_type = "consumer";
    request.protocols.push_back({.name = "range", .metadata = Slice(std::string_view("what it reads"))});
    members_[i].synced = false;
    ask(i, Asked::kJoin, request, 9);
    last_join_ = now();
  }
  void sync(size_t i, const protocol::JoinGroupResponse& joined) {
    protocol::SyncGroupRequest request;
    request.group_id = kGroup;
    request.generation_id = joined.generation_id;
    request.member_id = members_[i].id;
    request.protocol_type = "consumer";
    request.protocol_name = "range";
    for (const auto& member : joined.members)
      request.assignments.push_back({.member_id = member.member_id, .assignment = Slice(std::string_view("a partition of a topic"))});
    ask(i, Asked::kSync, request, 5);
  }
  void beat(size_t i) {
    protocol::HeartbeatRequest request;
    request.group_id = kGroup;
    request.generation_id = members_[i].generation;
    request.member_id = members_[i].id;
    ask(i, Asked::kHeartbeat, request, 4);
  }
  void leave(size_t i) {
    while (crowd_.waits(i)) step();
    phases_.clear(i);
    members_[i].gone = true;
    protocol::LeaveGroupRequest request;
    request.group_id = kGroup;
    request.members.push_back({.member_id = members_[i].id});
    ask(i, Asked::kLeave, request, 5);
    least_ = members_[i].generation + 1;
  }
  template <class Request>
  void ask(size_t i, Asked what, const Request& request, int16_t version) {
    members_[i].asked = what;
    crowd_.ask(i, request, version);
  }

  void step() {
    while (const auto due = phases_.take()) {
      if (members_[*due].synced) beat(*due);
      else join(*due);
    }
    for (const auto& answer : crowd_.wait(phases_.next())) take(answer);
  }

  void take(const Crowd::Answer& answer) {
    const size_t i = answer.client;
    Member& m = members_[i];
    switch (m.asked) {
      case Asked::kJoin: {
        const auto joined = answer.as<protocol::JoinGroupResponse>(9);
        if (joined.error_code == ErrorCode::kMemberIdRequired) {
          m.id = joined.member_id;
          return join(i);
        }
        if (is_passing(joined.error_code)) return phases_.set(i, now() + kRetry);
        if (joined.error_code != ErrorCode::kNone) die("a join was refused");
        m.generation = joined.generation_id;
        return sync(i, joined);
      }
      case Asked::kSync: {
        const auto synced = answer.as<protocol::SyncGroupResponse>(5);
        if (synced.error_code == ErrorCode::kRebalanceInProgress) return join(i);
        if (synced.error_code != ErrorCode::kNone) die("a sync was refused");
        m.synced = true;
        // Spread over the interval, which is the worst case: all of it passes until the last one asks.
        return phases_.set(i, now() + interval_ * static_cast<double>(i) / kMembers);
      }
      case Asked::kHeartbeat: {
        const auto beaten = answer.as<protocol::HeartbeatResponse>(4);
        if (beaten.error_code == ErrorCode::kRebalanceInProgress) return join(i);
        if (beaten.error_code != ErrorCode::kNone && !is_passing(beaten.error_code)) die("a heartbeat was refused");
        return phases_.set(i, now() + interval_);
      }
      case Asked::kNothing:
      case Asked::kLeave:
        return;
    }
  }

  bool is_settled() const {
    return std::all_of(members_.begin(), members_.end(), [&](const Member& m) {
      return m.gone || (m.synced && m.generation >= least_ && m.generation == members_.back().generation);
    });
  }
  void settle() {
    const double until = now() + kPatience;
    while (!is_settled()) {
      if (now() > until) die("the members did not settle in time");
      step();
    }
  }

  Cluster cluster_;
  double interval_;
  Crowd crowd_;
  std::vector<Member> members_;
  Phases phases_;
  int32_t least_ = 1;
  double last_join_ = 0;
};

Values groups_run(Cluster cluster) {
  constexpr size_t kGroups = 10'000;
  const uint16_t port = coordinator(cluster, 1);
  sleep_until(now() + 1);
  const double before = cluster.rss();
  const double begin = now();
  {
    Crowd crowd(port, 64);
    size_t asked = 0, done = 0;
    std::map<size_t, size_t> group_of;
    const auto commit = [&](size_t client, size_t group) {
      protocol::OffsetCommitRequest request;
      request.group_id = fmt::format("group-{}", group);
      request.generation_id_or_member_epoch = -1;
      request.topics.push_back({.name = "many", .partitions = {{.partition_index = 0, .committed_offset = Offset(1)}}});
      group_of[client] = group;
      crowd.ask(client, request, 8);
    };
    for (size_t i = 0; i < crowd.size(); ++i) commit(i, asked++);
    for (const double until = now() + kPatience; done < kGroups;) {
      if (now() > until) die("the groups were not made in time");
      for (const auto& answer : crowd.wait(now() + 1)) {
        const ErrorCode code = answer.as<protocol::OffsetCommitResponse>(8).topics.at(0).partitions.at(0).error_code;
        if (is_passing(code)) {
          commit(answer.client, group_of[answer.client]);
          continue;
        }
        if (code != ErrorCode::kNone) die("a commit was refused");
        ++done;
        if (asked < kGroups) commit(answer.client, asked++);
      }
    }
  }
  const double made = now() - begin;
  sleep_until(now() + 2);
  const double each = (cluster.rss() - before) / kGroups;
  const double cpu = cluster.cpu();
  const double from = now();
  sleep_until(from + 10);
  return {{"idle CPU", "% of a core", (cluster.cpu() - cpu) / (now() - from) * 100},
          {"memory each", "KiB", each / kKiB},
          {"first commit of each, all", "s", made}};
}

Values connections_run(Cluster cluster) {
  constexpr size_t kConnections = 10'000;
  create_topic(cluster.ports(), "first", 1, 1);
  const double before = cluster.rss();
  Crowd crowd(cluster.ports().front(), kConnections);
  for (size_t i = 0; i < kConnections; ++i) {
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({.name = "first"});
    crowd.ask(i, request, 4);
  }
  const double until = now() + kPatience;
  for (size_t answered = 0; answered < kConnections;) {
    if (now() > until) die("the connections were not all answered in time");
    answered += crowd.wait(now() + 1).size();
  }
  sleep_until(now() + 2);
  const double cpu = cluster.cpu();
  const double from = now();
  sleep_until(from + 5);
  return {{"memory of all", "MiB", (cluster.rss() - before) / kMiB},
          {"idle CPU", "% of a core", (cluster.cpu() - cpu) / (now() - from) * 100}};
}

Workload alone(std::string name, std::string what, std::vector<Target> targets, std::function<Values(const Setup&)> run) {
  Workload w;
  w.name = std::move(name);
  w.what = std::move(what);
  w.targets = std::move(targets);
  w.runs_max = 3;
  w.ours = [run = std::move(run)](const Setup& s, double&) { return run(s); };
  return w;
}

}  // namespace

std::vector<Workload> group_workloads() {
  std::vector<Workload> all;
  all.push_back(alone("group-1k", "one group of 1,000 members and 1,000 partitions, KIP-848; one leaves",
                      {{"settled after one left, in heartbeat intervals", false, 1.01, 1.01}},
                      [](const Setup& s) { return NewerGroup(Cluster::taffrail(s, 1)).run(); }));
  all.push_back(alone("group-1k-classic", "one group of 1,000 members, classic, heartbeats every second; one leaves",
                      {{"settled after one left", false, 3, 1.5}},
                      [](const Setup& s) { return ClassicGroup(Cluster::taffrail(s, 1), 1).run(); }));
  all.push_back(alone("groups-10k", "10,000 groups that have committed an offset, then idle", {{"idle CPU", false, 2, 1}},
                      [](const Setup& s) { return groups_run(Cluster::taffrail(s, 1)); }));
  all.push_back(alone("conns-10k", "10,000 connections, each asked once, then idle", {{"memory of all", false, 200, 100}},
                      [](const Setup& s) { return connections_run(Cluster::taffrail(s, 1)); }));
  return all;
}

}  // namespace taffrail::bench
