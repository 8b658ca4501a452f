// A coordinator with a log that the test commits, holds back, refuses or loses at will, and a clock of its own.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "group/coordinator.h"

namespace taffrail::group::test {

using namespace protocol;

/// A `consumer`'s metadata that names these topics.
inline Slice subscription(const std::vector<std::string>& topics) {
  ByteWriter out;
  out.i16(0);
  out.i32(static_cast<int32_t>(topics.size()));
  for (const std::string& topic : topics) {
    out.i16(static_cast<int16_t>(topic.size()));
    out.bytes(as_bytes(topic));
  }
  out.i32(-1);
  return Slice(out.view());
}

inline Options quick_options() {
  Options options;
  options.initial_rebalance_delay = 100_ms;
  options.session_timeout_min = 1_s;
  return options;
}

/// Topics as a test makes them.
class TestTopics final : public Topics {
 public:
  void set(const std::string& name, int32_t partitions, std::vector<std::vector<std::string>> racks = {}, TopicId id = {}) {
    Entry& entry = all_[name];
    if (!id.is_zero()) entry.topic.id = id;
    if (entry.topic.id.is_zero()) entry.topic.id = Uuid{7, ++last_};
    entry.topic.name = name;
    entry.topic.partitions = partitions;
    racks.resize(static_cast<size_t>(partitions));
    entry.racks = std::move(racks);
    ++version_;
  }
  void drop(const std::string& name) {
    all_.erase(name);
    ++version_;
  }
  TopicId id(const std::string& name) const { return all_.at(name).topic.id; }
  int64_t version() const override { return version_; }
  std::optional<Topic> find(std::string_view name) const override {
    const auto it = all_.find(name);
    return it == all_.end() ? std::nullopt : std::optional(it->second.topic);
  }
  std::optional<Topic> find(const TopicId& id) const override {
    for (const auto& [name, entry] : all_)
      if (entry.topic.id == id) return entry.topic;
    return std::nullopt;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, entry] : all_) out.push_back(name);
    return out;
  }
  std::vector<std::vector<std::string>> racks(const TopicId& id) const override {
    for (const auto& [name, entry] : all_)
      if (entry.topic.id == id) return entry.racks;
    return {};
  }
  Settings settings_of(std::string_view group) const override {
    const auto it = settings_.find(group);
    return it == settings_.end() ? Settings() : it->second;
  }
  void set_settings(const std::string& group, Settings settings) { settings_[group] = settings; }

 private:
  std::map<std::string, Settings, std::less<>> settings_;
  struct Entry {
    Topic topic;
    std::vector<std::vector<std::string>> racks;
  };
  std::map<std::string, Entry, std::less<>> all_;
  uint64_t last_ = 0;
  int64_t version_ = 0;
};

class Bench {
 public:
  explicit Bench(uint64_t seed = 1, Options o = quick_options()) : options(o), random_(seed) { lead(); }

  // Requests. Each gives the token under which the answer comes, if it comes.
  Token join(JoinGroupRequest request, int16_t version = 9, const std::string& client = "c") {
    return carry([&](const Call& call) { return coordinator->join(call, request, client, "/10.0.0.1"); }, version);
  }
  Token sync(const SyncGroupRequest& request) {
    return carry([&](const Call& call) { return coordinator->sync(call, request); }, 5);
  }
  Token heartbeat(const std::string& group, const std::string& member, int32_t generation,
                  std::optional<std::string> instance = {}) {
    const HeartbeatRequest request{group, generation, member, std::move(instance), {}};
    return carry([&](const Call& call) { return coordinator->heartbeat(call, request); }, 4);
  }
  Token leave(const LeaveGroupRequest& request, int16_t version = 5) {
    return carry([&](const Call& call) { return coordinator->leave(call, request); }, version);
  }
  Token commit(const CommitRequest& request, int16_t version = 9) {
    return carry([&](const Call& call) { return coordinator->commit(call, request); }, version);
  }
  Token fetch(const std::string& group, std::optional<std::vector<TopicPartition>> wanted) {
    return carry([&](const Call& call) { return coordinator->fetch(call, {group, wanted}); }, 9);
  }
  Token beat(const ConsumerGroupHeartbeatRequest& request, int16_t version = 1) {
    return carry([&](const Call& call) { return coordinator->consumer_heartbeat(call, request, "c", "/10.0.0.1"); }, version);
  }
  ConsumerGroupDescribeResponse::DescribedGroup consumer_describe(const std::string& group) {
    const Token token = carry([&](const Call& call) { return coordinator->consumer_describe(call, group); }, 1);
    commit_all();
    return get<ConsumerGroupDescribeResponse::DescribedGroup>(token);
  }
  Token remove(const std::string& group) {
    return carry([&](const Call& call) { return coordinator->remove(call, group); }, 2);
  }
  Token forget(const ForgetRequest& request) {
    return carry([&](const Call& call) { return coordinator->forget(call, request); }, 0);
  }
  DescribeGroupsResponse::Group describe(const std::string& group, int16_t version = 6) {
    const Token token = carry([&](const Call& call) { return coordinator->describe(call, group); }, version);
    commit_all();
    return get<DescribeGroupsResponse::Group>(token);
  }

  // Answers.
  bool answered(Token token) const { return answers.contains(token); }
  template <class A>
  A get(Token token) const {
    const auto it = answers.find(token);
    return it == answers.end() ? A{} : std::get<A>(it->second);
  }

  // The log.
  void commit_all() {
    while (!uncommitted_.empty()) commit_one();
  }
  void commit_one() {
    for (const Record& record : uncommitted_.front()) {
      table.apply(record);
      log.push_back(record);
    }
    uncommitted_.pop_front();
    ++committed_;
    coordinator->applied(committed_);
    while (!due_.empty() && due_.begin()->first <= committed_) {
      answers[due_.begin()->second.to] = due_.begin()->second.answer;
      due_.erase(due_.begin());
    }
  }
  /// Another broker leads: what was not committed is lost.
  void fail_over() {
    uncommitted_.clear();
    due_.clear();
    last_ = committed_;
    lead();
  }

  // Time.
  void pass(Duration duration) {
    const Instant end = now + duration;
    for (;;) {
      const Instant next = std::min(coordinator->next_deadline(), end);
      if (next > now) wall.ms += (next - now).ms();
      now = std::max(next, now);
      if (coordinator->next_deadline() > now) break;
      for (Effects& effects : coordinator->on_time(now, wall)) carry_out(std::move(effects));
      if (commits_at_once) commit_all();
    }
  }
  void expire() {
    for (Effects& effects : coordinator->expire(wall)) carry_out(std::move(effects));
    if (commits_at_once) commit_all();
  }

  const Options options;
  Instant now{1'000'000'000};
  WallTime wall{1'700'000'000'000};
  TestTopics topics;
  Table table;
  std::vector<Record> log;
  std::unique_ptr<Coordinator> coordinator;
  std::map<Token, Answer> answers;
  bool commits_at_once = true;
  ErrorCode refuse_appends = ErrorCode::kNone;

 private:
  void lead() {
    coordinator = std::make_unique<Coordinator>(table, options, topics, random_, now);
    coordinator->applied(committed_);
  }
  Token carry(const std::function<Effects(const Call&)>& decide, int16_t version) {
    const Token token = ++token_;
    carry_out(decide(Call{token, version, now, wall}));
    if (commits_at_once) commit_all();
    return token;
  }
  void carry_out(Effects effects) {
    if (!effects.records.empty() && refuse_appends != ErrorCode::kNone) {
      for (Reply& reply : effects.replies) {
        group::refuse(reply.answer, refuse_appends);
        answers[reply.to] = reply.answer;
      }
      for (Reply& reply : coordinator->refused(effects, now, wall).replies) answers[reply.to] = reply.answer;
      return;
    }
    if (!effects.records.empty()) {
      uncommitted_.push_back(effects.records);
      ++last_;
      coordinator->appended(effects, last_);
    }
    const LogIndex gate = coordinator->depends_on(effects.group);
    for (Reply& reply : effects.replies) {
      if (gate <= committed_) answers[reply.to] = reply.answer;
      else due_.emplace(gate, reply);
    }
  }

  CounterRandom random_;
  Token token_ = 0;
  LogIndex last_;
  LogIndex committed_;
  std::deque<std::vector<Record>> uncommitted_;
  std::multimap<LogIndex, Reply> due_;
};

/// One that does what clients do: joins with the id that it is told, syncs, and keeps what it is given.
struct Member {
  std::string id;
  std::optional<std::string> instance;
  int32_t generation = -1;
  bool leads = false;
  std::vector<std::string> others;  ///< As a leader is told.
  Token token = 0;

  JoinGroupRequest joining(const std::string& group = "g", const std::vector<std::string>& protocols = {"range"}) const {
    JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 20'000;
    request.member_id = id;
    request.group_instance_id = instance;
    request.protocol_type = "consumer";
    for (const std::string& name : protocols) request.protocols.push_back({name, subscription({"t"}), {}});
    return request;
  }
  /// Sends it, twice if an id is given out first.
  void join(Bench& bench, const std::vector<std::string>& protocols = {"range"}) {
    token = bench.join(joining("g", protocols));
    const auto answer = bench.get<JoinGroupResponse>(token);
    if (!bench.answered(token) || answer.error_code != ErrorCode::kMemberIdRequired) return;
    id = answer.member_id;
    token = bench.join(joining("g", protocols));
  }
  ErrorCode joined(const Bench& bench) {
    if (!bench.answered(token)) return ErrorCode::kUnknownServerError;
    const auto answer = bench.get<JoinGroupResponse>(token);
    if (answer.error_code != ErrorCode::kNone) return answer.error_code;
    id = answer.member_id;
    generation = answer.generation_id;
    leads = answer.leader == id;
    others.clear();
    for (const auto& member : answer.members) others.push_back(member.member_id);
    return ErrorCode::kNone;
  }
  SyncGroupRequest syncing(const std::string& group = "g") const {
    SyncGroupRequest request;
    request.group_id = group;
    request.generation_id = generation;
    request.member_id = id;
    request.group_instance_id = instance;
    // Whose it is, and of when: an assignment that comes to somebody else is seen.
    if (leads)
      for (const std::string& other : others) request.assignments.push_back({other, Slice(std::to_string(generation) + "/" + other), {}});
    return request;
  }
  void sync(Bench& bench) { token = bench.sync(syncing()); }
  SyncGroupResponse synced(const Bench& bench) const { return bench.get<SyncGroupResponse>(token); }
};

inline CommitRequest committing(const std::string& group, const std::string& member, int32_t generation, int64_t offset,
                                int32_t partition = 0) {
  CommitRequest request;
  request.group = group;
  request.member = member;
  request.generation = generation;
  auto& item = request.items.emplace_back();
  item.at = {"t", partition};
  item.value.offset = Offset(offset);
  return request;
}

}  // namespace taffrail::group::test
