#include "client/group_member.h"

#include <fmt/core.h>

#include <algorithm>

#include "client/group_offsets.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/sync_group.h"

namespace taffrail::client {

using protocol::ErrorCode;

namespace {

constexpr std::string_view kProtocol = "range";
/// What a join may take past the time that the group gives its members.
constexpr Duration kJoinGrace = 10_s;

}  // namespace

GroupMember::GroupMember(Cluster& cluster, GroupMemberOptions options, GroupObserver* observer, ClientObserver* reads)
    : cluster_(cluster), runtime_(cluster.runtime()), options_(std::move(options)),
      observer_(observer == nullptr ? none_ : *observer), link_(cluster, options_.group),
      consumer_(cluster, options_.consumer, reads) {
  place_.instance = options_.instance;
}

GroupMember::~GroupMember() = default;

void GroupMember::close(Task& task) {
  scope_.cancel();
  beat_.notify_all();
  scope_.join(task);
  link_.close(task);
  consumer_.close(task);
}

Result<std::vector<Polled>> GroupMember::poll(Task& task, Instant deadline) {
  if (fenced_) return fail(Errc::kFenced, fmt::format("another process is instance {} of {}", *options_.instance, options_.group));
  if (rejoin_) TRY(join(task));
  if (!beating_) {
    beating_ = true;
    runtime_.spawn(scope_, "client/heartbeats", [this](Task& t) { run_heartbeats(t); });
  }
  return consumer_.poll(task, deadline);
}

void GroupMember::give_back(Task& task) {
  if (!owned_.empty() && before_giving_back) before_giving_back(task);
  for (const TopicPartition& at : owned_) consumer_.unassign(at);
  owned_.clear();
}

Result<> GroupMember::join(Task& task) {
  give_back(task);
  joining_ = true;
  struct Done {
    bool& joining;
    ~Done() { joining = false; }
  } done{joining_};
  Backoff pause = cluster_.backoff();
  for (;;) {
    const Result<bool> joined = join_once(task);
    if (joined && *joined) break;
    if (!joined && joined.error().code == Errc::kFenced) fenced_ = true;
    if (!joined && !is_passing(joined.error().code)) return std::unexpected(joined.error());
    TRY(runtime_.sleep_for(task, pause.next()));
  }
  return {};
}

// True once it owns what it was given; false if it has to ask again.
Result<bool> GroupMember::join_once(Task& task) {
  protocol::JoinGroupRequest request;
  request.group_id = options_.group;
  request.session_timeout_ms = static_cast<int32_t>(options_.session_timeout.ms());
  request.rebalance_timeout_ms = static_cast<int32_t>(options_.rebalance_timeout.ms());
  request.member_id = place_.member;
  request.group_instance_id = options_.instance;
  request.protocol_type = "consumer";
  request.protocols.push_back({std::string(kProtocol), encode_subscription(options_.topics), {}});
  const int64_t asked = observer_.mark();
  const auto answer = TRY(link_.ask(task, request, runtime_.now() + options_.rebalance_timeout + kJoinGrace));
  switch (answer.error_code) {
    case ErrorCode::kNone: break;
    case ErrorCode::kMemberIdRequired:
      place_.member = answer.member_id;
      return join_once(task);
    case ErrorCode::kUnknownMemberId:
      place_.member.clear();
      return false;
    case ErrorCode::kRebalanceInProgress: return false;
    case ErrorCode::kFencedInstanceId: return fail(Errc::kFenced, kafka_error(answer.error_code, options_.group).message);
    default:
      if (link_.moved(answer.error_code)) return false;
      return fail(Errc::kInvalid, kafka_error(answer.error_code, options_.group).message);
  }
  place_.member = answer.member_id;
  place_.generation = answer.generation_id;
  observer_.on_joined(asked, place_, answer.leader);
  std::map<std::string, Slice> given;
  if (answer.leader == place_.member && !answer.skip_assignment) {
    std::vector<GroupMemberView> members;
    for (const auto& m : answer.members) members.push_back({m.member_id, m.group_instance_id, TRY(decode_subscription(m.metadata))});
    given = TRY(assign_all(task, members));
  }
  return take_assignment(task, given);
}

Result<std::map<std::string, Slice>> GroupMember::assign_all(Task& task, const std::vector<GroupMemberView>& members) {
  std::map<std::string, int32_t> counts;
  for (const GroupMemberView& member : members)
    for (const std::string& topic : member.topics) counts[topic];
  for (auto& [topic, count] : counts) {
    const auto view = cluster_.topic(task, topic, runtime_.now() + CoordinatorLink::kLookup);
    // Who wants a topic that does not exist gets nothing of it.
    if (!view && view.error().code != Errc::kNotFound) return std::unexpected(view.error());
    if (view) count = static_cast<int32_t>(view->partitions.size());
  }
  std::map<std::string, Slice> given;
  for (const auto& [member, partitions] : assign_range(members, counts)) given[member] = encode_assignment(partitions);
  return given;
}

Result<bool> GroupMember::take_assignment(Task& task, const std::map<std::string, Slice>& given) {
  protocol::SyncGroupRequest request;
  request.group_id = options_.group;
  request.generation_id = place_.generation;
  request.member_id = place_.member;
  request.group_instance_id = options_.instance;
  request.protocol_type = "consumer";
  request.protocol_name = std::string(kProtocol);
  for (const auto& [member, assignment] : given) request.assignments.push_back({member, assignment, {}});
  const auto answer = TRY(link_.ask(task, request, runtime_.now() + options_.rebalance_timeout + kJoinGrace));
  if (answer.error_code == ErrorCode::kUnknownMemberId) place_.member.clear();
  if (answer.error_code == ErrorCode::kFencedInstanceId)
    return fail(Errc::kFenced, kafka_error(answer.error_code, options_.group).message);
  if (answer.error_code != ErrorCode::kNone) {
    (void)link_.moved(answer.error_code);
    return false;
  }
  const std::vector<TopicPartition> partitions = TRY(decode_assignment(answer.assignment));
  observer_.on_assigned(place_, partitions);
  // What comes from here on, heartbeats among it, may already ask for the next generation.
  rejoin_ = false;
  TRY(begin_reading(task, partitions));
  return true;
}

Result<> GroupMember::begin_reading(Task& task, const std::vector<TopicPartition>& partitions) {
  Backoff pause = cluster_.backoff();
  std::map<TopicPartition, Offset> committed;
  while (!partitions.empty()) {
    const protocol::OffsetFetchRequest request = committed_question(options_.group, partitions);
    const int64_t asked = observer_.mark();
    const auto answer = link_.ask(task, request, runtime_.now() + options_.request_timeout, 9);
    if (!answer && !is_passing(answer.error().code)) return std::unexpected(answer.error());
    if (answer) take_committed(*answer, link_, asked, observer_, committed);
    if (committed.size() == partitions.size()) break;
    TRY(runtime_.sleep_for(task, pause.next()));
  }
  for (const TopicPartition& at : partitions) {
    assign_from(consumer_, options_.consumer, at, committed.at(at));
    owned_.insert(at);
  }
  return {};
}

Result<> GroupMember::commit(Task& task, const std::map<TopicPartition, Offset>& offsets, Instant deadline) {
  if (offsets.empty()) return {};
  const GroupPlace place = place_;
  const ErrorCode worst = TRY(store_offsets(task, link_, options_.group, place, offsets, observer_, deadline));
  if (worst == ErrorCode::kNone) return {};
  if (link_.moved(worst)) return fail(Errc::kUnavailable, kafka_error(worst, options_.group).message);
  rejoin_ = true;
  const bool out = worst == ErrorCode::kUnknownMemberId || worst == ErrorCode::kIllegalGeneration ||
                   worst == ErrorCode::kFencedInstanceId || worst == ErrorCode::kRebalanceInProgress;
  if (worst == ErrorCode::kUnknownMemberId && place_.member == place.member) place_.member.clear();
  return fail(out ? Errc::kFenced : kafka_error(worst, {}).code, kafka_error(worst, options_.group).message);
}

Result<> GroupMember::leave(Task& task, Instant deadline) {
  if (place_.member.empty()) return {};
  give_back(task);
  protocol::LeaveGroupRequest request;
  request.group_id = options_.group;
  request.members.push_back({place_.member, options_.instance, {}, {}});
  rejoin_ = true;
  const auto answer = TRY(link_.ask(task, request, deadline));
  place_.member.clear();
  place_.generation = -1;
  if (answer.error_code != ErrorCode::kNone) return std::unexpected(kafka_error(answer.error_code, options_.group));
  return {};
}

void GroupMember::run_heartbeats(Task& task) {
  while (!task.cancelled()) {
    const Result<> woken = beat_.wait(task, runtime_.now() + options_.heartbeat_interval);
    if (!woken && woken.error().code == Errc::kCancelled) return;
    if (joining_ || rejoin_ || silent || place_.member.empty()) continue;
    const GroupPlace place = place_;
    const auto answer = link_.ask(task, protocol::HeartbeatRequest{options_.group, place.generation, place.member, place.instance, {}},
                            runtime_.now() + options_.session_timeout);
    if (!answer) {
      if (answer.error().code == Errc::kCancelled) return;
      continue;
    }
    // What was said of an earlier self is no news.
    if (answer->error_code == ErrorCode::kNone || link_.moved(answer->error_code) || place.generation != place_.generation) continue;
    rejoin_ = true;
    if (answer->error_code == ErrorCode::kUnknownMemberId) place_.member.clear();
    if (answer->error_code == ErrorCode::kFencedInstanceId) fenced_ = true;
  }
}

}  // namespace taffrail::client
