#include "client/consumer_member.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "client/group_offsets.h"

namespace taffrail::client {

using protocol::ErrorCode;

ConsumerMember::ConsumerMember(Cluster& cluster, GroupMemberOptions options, GroupObserver* observer, ClientObserver* reads)
    : cluster_(cluster), runtime_(cluster.runtime()), options_(std::move(options)),
      observer_(observer == nullptr ? none_ : *observer), link_(cluster, options_.group), consumer_(cluster, options_.consumer, reads),
      interval_(options_.heartbeat_interval) {
  const uint64_t high = runtime_.random().next();
  const uint64_t low = runtime_.random().next();
  place_ = {Uuid{high, low}.text(), options_.instance, Request::kJoin};
}

ConsumerMember::~ConsumerMember() = default;

void ConsumerMember::close(Task& task) {
  scope_.cancel();
  beat_.notify_all();
  scope_.join(task);
  link_.close(task);
  consumer_.close(task);
}

void ConsumerMember::drop_all() {
  for (const TopicPartition& at : owned_) consumer_.unassign(at);
  owned_.clear();
  given_.reset();
  lost_ = false;
  beat_.notify_all();
}

// Whoever waits to take something looks at it again.
void ConsumerMember::end(Errc what, std::string why) {
  end_ = what;
  end_why_ = std::move(why);
  ++gifts_;
}

Result<std::vector<Polled>> ConsumerMember::poll(Task& task, Instant deadline) {
  if (end_ != Errc::kClosed) return fail(end_, fmt::format("member {} of {} is out: {}", place_.member, options_.group, end_why_));
  if (!beating_) {
    beating_ = true;
    runtime_.spawn(scope_, "client/heartbeats", [this](Task& t) { run_heartbeats(t); });
  }
  if (leaving_) {
    // It comes back after all.
    leaving_ = false;
    tell_ = full_ = true;
    beat_.notify_all();
  }
  if (lost_) drop_all();
  if (given_) TRY(take(task));
  return consumer_.poll(task, deadline);
}

// From what it owns to what it was given. Whatever comes meanwhile is for the next time.
Result<> ConsumerMember::take(Task& task) {
  const uint64_t gift = gifts_;
  const std::set<TopicPartition> target = *given_;
  const bool loses = std::any_of(owned_.begin(), owned_.end(), [&](const auto& at) { return !target.contains(at); });
  if (loses && before_giving_back) before_giving_back(task);
  if (gift != gifts_) return {};
  std::erase_if(owned_, [&](const TopicPartition& at) {
    if (target.contains(at)) return false;
    consumer_.unassign(at);
    return true;
  });
  std::set<TopicPartition> fresh;
  for (const TopicPartition& at : target)
    if (!owned_.contains(at)) fresh.insert(at);
  if (!fresh.empty()) TRY(begin_reading(task, fresh, gift));
  if (gift != gifts_) return {};
  given_.reset();
  tell_ = true;
  beat_.notify_all();
  return {};
}

Result<> ConsumerMember::begin_reading(Task& task, const std::set<TopicPartition>& partitions, uint64_t given) {
  Backoff pause = cluster_.backoff();
  std::map<TopicPartition, Offset> committed;
  while (committed.size() < partitions.size()) {
    protocol::OffsetFetchRequest request = committed_question(options_.group, partitions);
    request.groups[0].member_id = place_.member;
    request.groups[0].member_epoch = place_.generation;
    const int64_t asked = observer_.mark();
    const auto answer = link_.ask(task, request, runtime_.now() + options_.request_timeout, 9);
    if (!answer && !is_passing(answer.error().code)) return std::unexpected(answer.error());
    if (gifts_ != given) return {};
    if (answer) take_committed(*answer, link_, asked, observer_, committed);
    if (committed.size() == partitions.size()) break;
    TRY(runtime_.sleep_for(task, pause.next()));
    if (gifts_ != given) return {};
  }
  for (const auto& [at, from] : committed) {
    assign_from(consumer_, options_.consumer, at, from);
    owned_.insert(at);
  }
  return {};
}

Result<> ConsumerMember::commit(Task& task, const std::map<TopicPartition, Offset>& offsets, Instant deadline) {
  if (offsets.empty()) return {};
  const GroupPlace place = place_;
  if (place.generation <= 0) return fail(Errc::kFenced, fmt::format("not a member of {}", options_.group));
  const ErrorCode worst = TRY(store_offsets(task, link_, options_.group, place, offsets, observer_, deadline));
  if (worst == ErrorCode::kNone) return {};
  if (link_.moved(worst)) return fail(Errc::kUnavailable, kafka_error(worst, options_.group).message);
  const bool out = worst == ErrorCode::kUnknownMemberId || worst == ErrorCode::kStaleMemberEpoch;
  return fail(out ? Errc::kFenced : kafka_error(worst, {}).code, kafka_error(worst, options_.group).message);
}

Result<> ConsumerMember::leave(Task& task, Instant deadline) {
  if (place_.generation <= 0) return {};
  leaving_ = true;
  if (before_giving_back && !owned_.empty()) before_giving_back(task);
  drop_all();
  Request request;
  request.group_id = options_.group;
  request.member_id = place_.member;
  request.instance_id = options_.instance;
  request.member_epoch = options_.instance ? Request::kLeaveForAWhile : Request::kLeave;
  const int64_t asked = observer_.mark();
  const auto answer = link_.ask(task, request, deadline);
  observer_.on_beat(asked, request, link_.dialled(), answer ? std::optional(answer->error_code) : std::nullopt, request.member_epoch);
  if (!answer) return std::unexpected(answer.error());
  if (answer->error_code != ErrorCode::kNone) return std::unexpected(kafka_error(answer->error_code, options_.group));
  place_.generation = Request::kJoin;
  return {};
}

std::vector<protocol::AssignedTopic> ConsumerMember::told() const {
  std::vector<protocol::AssignedTopic> out;
  for (const auto& [id, name] : names_) {
    protocol::AssignedTopic topic;
    topic.topic_id = id;
    for (const TopicPartition& at : owned_)
      if (at.topic == name) topic.partitions.push_back(at.partition);
    if (!topic.partitions.empty()) out.push_back(std::move(topic));
  }
  return out;
}

// Assignments name topics by id. What cannot be named yet is asked for again.
Result<std::set<TopicPartition>> ConsumerMember::named(Task& task, const std::vector<protocol::AssignedTopic>& topics) {
  std::set<TopicPartition> out;
  for (const auto& topic : topics) {
    if (!names_.contains(topic.topic_id))
      for (const std::string& name : options_.topics)
        if (const auto view = cluster_.topic(task, name, runtime_.now() + CoordinatorLink::kLookup)) {
          std::erase_if(names_, [&](const auto& known) { return known.second == name; });
          names_[view->id] = name;
        }
    const auto name = names_.find(topic.topic_id);
    if (name == names_.end()) return fail(Errc::kUnavailable, fmt::format("topic {} has no name yet", topic.topic_id.text()));
    for (const int32_t partition : topic.partitions) out.insert({name->second, partition});
  }
  return out;
}

Result<> ConsumerMember::beat(Task& task) {
  const int32_t epoch = place_.generation;
  const bool joins = epoch == Request::kJoin;
  // A member that is about to take what it was given cannot say what it owns, and so not everything either.
  const bool all = joins || (full_ && !given_);
  const bool tells = all || (tell_ && !given_);
  Request request;
  request.group_id = options_.group;
  request.member_id = place_.member;
  request.member_epoch = epoch;
  request.instance_id = options_.instance;
  if (all) {
    request.rebalance_timeout_ms = static_cast<int32_t>(options_.rebalance_timeout.ms());
    request.subscribed_topic_names = options_.topics;
  }
  if (joins) request.topic_partitions.emplace();
  else if (tells) request.topic_partitions = told();
  const int64_t asked = observer_.mark();
  auto answer = link_.ask(task, request, runtime_.now() + options_.request_timeout);
  if (std::exchange(deaf, false)) answer = fail(Errc::kTimedOut, "the answer was lost");
  // What was said to an earlier self is no news.
  const bool stale = leaving_ || place_.generation != epoch;
  const bool heard = answer && !stale;
  observer_.on_beat(asked, request, link_.dialled(), heard ? std::optional(answer->error_code) : std::nullopt, heard ? answer->member_epoch : -1);
  if (stale) return {};
  if (!answer) {
    // It may have been heard: what was said has to be said again.
    full_ = true;
    return std::unexpected(answer.error());
  }
  switch (answer->error_code) {
    case ErrorCode::kNone: break;
    case ErrorCode::kUnknownMemberId:
    case ErrorCode::kFencedMemberEpoch:
    case ErrorCode::kGroupIdNotFound:
      place_.generation = Request::kJoin;
      full_ = lost_ = true;
      ++gifts_;
      return {};
    case ErrorCode::kUnreleasedInstanceId: return {};
    case ErrorCode::kFencedInstanceId: 
      end(Errc::kFenced, "another process has its instance id");
      return {};
    default:
      full_ = true;
      if (link_.moved(answer->error_code)) return {};
      end(Errc::kInvalid, kafka_error(answer->error_code, options_.group).message);
      return {};
  }
  place_.generation = answer->member_epoch;
  if (answer->heartbeat_interval_ms > 0) interval_ = Duration::from_ms(answer->heartbeat_interval_ms);
  if (joins) observer_.on_joined(asked, place_, {});
  if (tells) tell_ = false;
  if (all) full_ = false;
  if (!answer->assignment) return {};
  const GroupPlace place = place_;
  auto partitions = named(task, answer->assignment->topic_partitions);
  if (!partitions) {
    full_ = true;
    return std::unexpected(partitions.error());
  }
  observer_.on_assigned(place, {partitions->begin(), partitions->end()});
  ++gifts_;
  given_ = std::move(*partitions);
  return {};
}

void ConsumerMember::run_heartbeats(Task& task) {
  Instant next = runtime_.now();
  while (!task.cancelled() && end_ == Errc::kClosed) {
    const Result<> woken = next <= runtime_.now() ? Result<>() : beat_.wait(task, next);
    if (!woken && woken.error().code == Errc::kCancelled) return;
    next = runtime_.now() + interval_;
    // What it has lost has to be let go of before it is given anything.
    if (silent || leaving_ || lost_) continue;
    const Result<> done = beat(task);
    if (!done && done.error().code == Errc::kCancelled) return;
  }
}

}  // namespace taffrail::client
