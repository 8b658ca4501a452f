#include "group/coordinator.h"

#include <algorithm>

#include "base/plant.h"
#include "base/utf16.h"
#include "group/regex.h"

namespace taffrail::group {

using protocol::ErrorCode;

namespace {

Effects effects_of(const std::string& group) {
  Effects out;
  out.group = group;
  return out;
}

template <class Response>
Effects answer_error(const Call& call, const std::string& group, ErrorCode why) {
  Effects out = effects_of(group);
  Response response;
  response.error_code = why;
  out.replies.push_back({call.token, std::move(response)});
  return out;
}

}  // namespace

Coordinator::Coordinator(const Table& table, const Options& options, const Topics& topics, Random& random, Instant now)
    : table_(table), options_(options), topics_(topics), random_(random) {
  for (const auto& [id, stored] : table_.groups()) {
    const bool classic = stored.state && !stored.state->members.empty();
    if (classic || !stored.consumers.members.empty()) schedule(id, find_or_make(id, now));
  }
}

Coordinator::Live* Coordinator::find(const std::string& group) {
  const auto it = groups_.find(group);
  if (it != groups_.end()) return exists(group, it->second) ? &it->second : nullptr;
  return table_.find(group) == nullptr ? nullptr : &find_or_make(group);
}

// Members that the table knows are taken over at the start: a group that is made later has none, and needs no clock.
Coordinator::Live& Coordinator::find_or_make(const std::string& group, Instant now) {
  const auto [it, fresh] = groups_.try_emplace(group);
  Live& live = it->second;
  if (!fresh) return live;
  const StoredGroup* stored = table_.find(group);
  live.stored = stored != nullptr && stored->state.has_value();
  live.classic = std::make_unique<ClassicGroup>(group, options_, live.stored ? &*stored->state : nullptr, now);
  if (stored != nullptr && !stored->consumers.empty())
    live.consumer = std::make_unique<ConsumerGroup>(group, options_, topics_, stored->consumers, now);
  return live;
}

bool Coordinator::exists(const std::string& group, const Live& live) const {
  if (live.stored || live.consumers() != nullptr || !live.classic->is_idle()) return true;
  for (const auto& [at, pending] : live.offsets)
    if (pending.value) return true;
  const StoredGroup* stored = table_.find(group);
  if (stored == nullptr) return false;
  return std::any_of(stored->offsets.begin(), stored->offsets.end(),
                     [&](const auto& offset) { return !live.offsets.contains(offset.first); });
}

std::map<TopicPartition, protocol::OffsetCommitValue> Coordinator::offsets(const std::string& group, const Live& live) const {
  std::map<TopicPartition, protocol::OffsetCommitValue> out;
  if (const StoredGroup* stored = table_.find(group)) out = stored->offsets;
  for (const auto& [at, pending] : live.offsets) {
    if (pending.value) out[at] = *pending.value;
    else out.erase(at);
  }
  return out;
}

const protocol::OffsetCommitValue* Coordinator::find_offset(const std::string& group, const Live& live,
                                                            const TopicPartition& at) const {
  if (const auto it = live.offsets.find(at); it != live.offsets.end()) return it->second.value ? &*it->second.value : nullptr;
  const StoredGroup* stored = table_.find(group);
  if (stored == nullptr) return nullptr;
  const auto it = stored->offsets.find(at);
  return it == stored->offsets.end() ? nullptr : &it->second;
}

// Its last member went, and the log refused to say so.
bool Coordinator::is_unwritten(const std::string& group, const Live& live) const {
  const StoredGroup* stored = table_.find(group);
  return stored != nullptr && stored->state && !stored->state->members.empty() && live.is_idle() && !PLANT("G22");
}

void Coordinator::schedule(const std::string& group, Live& live) {
  Instant next = live.classic->next_deadline();
  if (live.consumer != nullptr) next = std::min(next, live.consumer->next_deadline());
  if (next == live.look) return;
  if (live.look != Instant::never()) deadlines_.erase({live.look, group});
  live.look = next;
  if (next != Instant::never()) deadlines_.insert({next, group});
}

void Coordinator::settle(const std::string& group, const Effects& decided) {
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  Live& live = it->second;
  schedule(group, live);
  // What was decided, and does not stand in the log yet, is known here alone.
  if (!decided.records.empty() || live.until > applied_) return;
  if (!live.is_idle() || !live.offsets.empty() || is_unwritten(group, live)) return;
  if (live.look != Instant::never()) deadlines_.erase({live.look, group});
  groups_.erase(it);
}

Instant Coordinator::next_deadline() const { return deadlines_.empty() ? Instant::never() : deadlines_.begin()->first; }

Effects Coordinator::join(const Call& call, const protocol::JoinGroupRequest& request, const std::string& client_id,
                          const std::string& client_host) {
  const auto error = [&](ErrorCode why) {
    Effects out = answer_error<protocol::JoinGroupResponse>(call, request.group_id, why);
    std::get<protocol::JoinGroupResponse>(out.replies[0].answer).member_id = request.member_id;
    return out;
  };
  if (request.group_id.empty()) return error(ErrorCode::kInvalidGroupId);
  const Duration session = Duration::from_ms(request.session_timeout_ms);
  if (session < options_.session_timeout_min || session > options_.session_timeout_max)
    return error(ErrorCode::kInvalidSessionTimeout);
  if (!request.member_id.empty() && find(request.group_id) == nullptr) return error(ErrorCode::kUnknownMemberId);
  Live& live = find_or_make(request.group_id);
  Effects out = effects_of(request.group_id);
  if (live.consumers() != nullptr && live.consumer->size() > 0) {
    live.consumer->join({call, request, client_id, client_host, random_}, out);
    downgrade_if_due(request.group_id, live, call.now, call.wall, out);
    settle(request.group_id, out);
    return out;
  }
  if (live.consumers() != nullptr) {
    // Numbers go on from where they were: whoever was in an epoch is not taken for somebody of a generation.
    protocol::GroupMetadataValue empty;
    empty.protocol_type = "consumer";
    empty.generation = live.consumer->state().epoch->epoch;
    empty.current_state_timestamp = call.wall.ms;
    empty.protocol.reset();
    empty.leader.reset();
    live.consumer->remove(out);
    live.classic = std::make_unique<ClassicGroup>(request.group_id, options_, &empty, call.now);
    out.records.push_back(StateRecord{request.group_id, std::move(empty)});
  }
  live.classic->join({call, request, client_id, client_host, random_}, out);
  settle(request.group_id, out);
  return out;
}

Effects Coordinator::sync(const Call& call, const protocol::SyncGroupRequest& request) {
  if (request.group_id.empty()) return answer_error<protocol::SyncGroupResponse>(call, request.group_id, ErrorCode::kInvalidGroupId);
  Live* live = find(request.group_id);
  if (live == nullptr) return answer_error<protocol::SyncGroupResponse>(call, request.group_id, ErrorCode::kUnknownMemberId);
  Effects out = effects_of(request.group_id);
  if (live->consumers() != nullptr) live->consumer->sync(call, request, out);
  else live->classic->sync(call, request, out);
  settle(request.group_id, out);
  return out;
}

Effects Coordinator::heartbeat(const Call& call, const protocol::HeartbeatRequest& request) {
  using Response = protocol::HeartbeatResponse;
  if (request.group_id.empty()) return answer_error<Response>(call, request.group_id, ErrorCode::kInvalidGroupId);
  // Of members only, and those are here: nothing is made, and no deadline comes nearer.
  const auto it = groups_.find(request.group_id);
  if (it == groups_.end()) return answer_error<Response>(call, request.group_id, ErrorCode::kUnknownMemberId);
  Effects out = effects_of(request.group_id);
  if (it->second.consumers() == nullptr) {
    it->second.classic->heartbeat(call, request, out);
  } else {
    it->second.consumer->heartbeat(call, request, out);
    schedule(request.group_id, it->second);
  }
  return out;
}

Effects Coordinator::leave(const Call& call, const protocol::LeaveGroupRequest& request) {
  using Response = protocol::LeaveGroupResponse;
  if (request.group_id.empty()) return answer_error<Response>(call, request.group_id, ErrorCode::kInvalidGroupId);
  std::vector<protocol::LeaveGroupRequest::Member> going = request.members;
  if (call.version < 3) going = {{request.member_id, {}, {}, {}}};
  Effects out = effects_of(request.group_id);
  std::vector<ErrorCode> codes(going.size(), ErrorCode::kUnknownMemberId);
  if (Live* live = find(request.group_id)) {
    if (live->consumers() != nullptr) {
      codes = live->consumer->leave(call, going, out);
      downgrade_if_due(request.group_id, *live, call.now, call.wall, out);
    } else {
      codes = live->classic->leave(call, going, out);
    }
    settle(request.group_id, out);
  }
  Response response;
  if (call.version < 3) {
    response.error_code = codes[0];
  } else {
    for (size_t i = 0; i < going.size(); ++i)
      response.members.push_back({going[i].member_id, going[i].group_instance_id, codes[i], {}});
  }
  out.replies.push_back({call.token, std::move(response)});
  return out;
}

Effects Coordinator::commit(const Call& call, const CommitRequest& request) {
  Effects out = effects_of(request.group);
  OffsetsReply reply;
  Live* live = find(request.group);
  if (live != nullptr && live->consumers() != nullptr) {
    std::vector<TopicPartition> of;
    for (const CommitRequest::Item& item : request.items) of.push_back(item.at);
    reply.error = live->consumer->check_commit(call.version, request.generation, request.member, of);
  } else if (live != nullptr) {
    reply.error = live->classic->check_commit(call.now, request.generation, request.member, request.instance);
  }
  if (live == nullptr && request.generation >= 0) reply.error = call.version >= 9 ? ErrorCode::kGroupIdNotFound : ErrorCode::kIllegalGeneration;
  for (const CommitRequest::Item& item : request.items) {
    ErrorCode& code = reply.items.emplace_back(item.error);
    if (reply.error != ErrorCode::kNone) code = reply.error;
    if (code != ErrorCode::kNone) continue;
    const std::string& metadata = item.value.metadata;
    if (metadata.size() > INT16_MAX || utf16_units(metadata) > static_cast<size_t>(options_.offset_metadata_max)) {
      code = ErrorCode::kOffsetMetadataTooLarge;
      continue;
    }
    protocol::OffsetCommitValue value = item.value;
    value.commit_timestamp = call.wall.ms;
    if (request.retention_ms >= 0 && request.retention_ms <= INT64_MAX - call.wall.ms)
      value.expire_timestamp = call.wall.ms + request.retention_ms;
    out.records.push_back(OffsetRecord{request.group, item.at, std::move(value)});
  }
  out.replies.push_back({call.token, std::move(reply)});
  settle(request.group, out);
  return out;
}

Effects Coordinator::fetch(const Call& call, const FetchRequest& request) {
  const std::string& group = request.group;
  const auto& wanted = request.wanted;
  Effects out = effects_of(group);
  FetchReply reply;
  static const Live kNothing;
  if (request.epoch >= 0 || request.member) {
    const Live* known = find(group);
    if (known != nullptr && known->consumers() != nullptr) reply.error = known->consumer->check_fetch(request.member, request.epoch);
    if (reply.error != ErrorCode::kNone) {
      out.replies.push_back({call.token, std::move(reply)});
      return out;
    }
  }
  const auto it = groups_.find(group);
  const Live& live = it == groups_.end() ? kNothing : it->second;
  if (wanted) {
    for (const TopicPartition& at : *wanted) {
      const protocol::OffsetCommitValue* value = find_offset(group, live, at);
      reply.items.push_back({at, value == nullptr ? std::nullopt : std::optional(*value)});
    }
  } else {
    for (auto& [at, value] : offsets(group, live)) reply.items.push_back({at, std::move(value)});
  }
  out.replies.push_back({call.token, std::move(reply)});
  return out;
}

Effects Coordinator::describe(const Call& call, const std::string& group) {
  Effects out = effects_of(group);
  const Live* live = find(group);
  if (live != nullptr && live->consumers() == nullptr) {
    out.replies.push_back({call.token, live->classic->describe()});
    settle(group, out);
    return out;
  }
  protocol::DescribeGroupsResponse::Group dead;
  dead.group_id = group;
  dead.group_state = "Dead";
  if (call.version >= 6) {
    dead.error_code = ErrorCode::kGroupIdNotFound;
    dead.error_message = "Group " + group + (live == nullptr ? " not found." : " is not a classic group.");
  }
  out.replies.push_back({call.token, std::move(dead)});
  return out;
}

// What Kafka's members and tools get wrong would change the group: it is refused before that.
ErrorCode Coordinator::check(const Call& call, const protocol::ConsumerGroupHeartbeatRequest& request) {
  using Request = protocol::ConsumerGroupHeartbeatRequest;
  const auto is_blank = [](const std::string& text) { return text.find_first_not_of(" \t\r\n\f\v") == std::string::npos; };
  const int32_t epoch = request.member_epoch;
  const bool joins = epoch == Request::kJoin;
  if (is_blank(request.group_id)) return ErrorCode::kInvalidRequest;
  if (request.instance_id && is_blank(*request.instance_id)) return ErrorCode::kInvalidRequest;
  if (request.rack_id && is_blank(*request.rack_id)) return ErrorCode::kInvalidRequest;
  if (request.member_id.empty() && (call.version >= 1 || !joins)) return ErrorCode::kInvalidRequest;
  if (epoch < Request::kLeaveForAWhile) return ErrorCode::kInvalidRequest;
  if (epoch == Request::kLeaveForAWhile && !request.instance_id) return ErrorCode::kInvalidRequest;
  const bool reads = request.subscribed_topic_names || request.subscribed_topic_regex;
  const bool owns_nothing = request.topic_partitions && request.topic_partitions->empty();
  if (joins && (request.rebalance_timeout_ms < 0 || !reads || !owns_nothing)) return ErrorCode::kInvalidRequest;
  const std::string expression = request.subscribed_topic_regex.value_or("");
  if (!expression.empty() && !matching(expression, {})) return ErrorCode::kInvalidRegularExpression;
  const bool known = !request.server_assignor || std::find(std::begin(kAssignors), std::end(kAssignors), *request.server_assignor) != std::end(kAssignors);
  return known ? ErrorCode::kNone : ErrorCode::kUnsupportedAssignor;
}

Effects Coordinator::consumer_heartbeat(const Call& call, protocol::ConsumerGroupHeartbeatRequest request, const std::string& client_id,
                                        const std::string& client_host) {
  const std::string group = request.group_id;
  const auto error = [&](ErrorCode why) {
    Effects out = answer_error<protocol::ConsumerGroupHeartbeatResponse>(call, group, why);
    std::get<protocol::ConsumerGroupHeartbeatResponse>(out.replies[0].answer).member_id = request.member_id;
    return out;
  };
  if (const ErrorCode why = check(call, request); why != ErrorCode::kNone) return error(why);
  const bool joins = request.member_epoch == protocol::ConsumerGroupHeartbeatRequest::kJoin;
  const Live* known = find(group);
  if (known == nullptr && !joins) return error(ErrorCode::kGroupIdNotFound);
  const bool converts = known != nullptr && known->consumers() == nullptr;
  if (converts && !joins) return error(ErrorCode::kGroupIdNotFound);
  std::optional<ConsumerState> adopted;
  if (converts && !known->classic->is_idle()) {
    // They go on as members of the newer group, if that is allowed and all that they tell each other is understood.
    const bool allowed = allows_upgrade(options_.consumer_migration);
    if (allowed && known->classic->size() < static_cast<size_t>(options_.consumer_size_max)) adopted = known->classic->as_consumers(topics_);
    if (!adopted) return error(ErrorCode::kGroupIdNotFound);
  } else if (converts && known->classic->generation() > 0) {
    adopted.emplace();
    adopted->epoch = protocol::ConsumerGroupMetadataValue{known->classic->generation(), 0, {}};
    adopted->target_epoch = protocol::ConsumerGroupTargetAssignmentMetadataValue{known->classic->generation(), 0, {}};
  }
  if (request.member_id.empty()) {
    const uint64_t high = random_.next();
    const uint64_t low = random_.next();
    request.member_id = Uuid{high, low}.text();
  }
  Live& live = find_or_make(group);
  if (live.consumers() == nullptr)
    live.consumer = std::make_unique<ConsumerGroup>(group, options_, topics_, ConsumerState(), call.now);
  Effects out = effects_of(group);
  if (adopted) {
    live.classic->send_back(ErrorCode::kRebalanceInProgress, out);
    live.former = std::exchange(live.classic, std::make_unique<ClassicGroup>(group, options_, nullptr, call.now));
    live.consumer->adopt(*adopted, call.now, out);
  }
  live.consumer->heartbeat(ConsumerGroup::Beat{call, request, client_id, client_host}, out);
  if (converts && live.stored && live.consumers() != nullptr) out.records.insert(out.records.begin(), StateRecord{group, {}});
  downgrade_if_due(group, live, call.now, call.wall, out);
  if (!out.records.empty() || live.consumers() == nullptr) settle(group, out);
  return out;
}

void Coordinator::downgrade_if_due(const std::string& group, Live& live, Instant now, WallTime wall, Effects& out) {
  if (live.consumers() == nullptr || !allows_downgrade(options_.consumer_migration)) return;
  const auto value = live.consumer->as_classic(wall);
  if (!value) return;
  live.consumer->remove(out);
  out.records.push_back(StateRecord{group, *value});
  live.classic = std::make_unique<ClassicGroup>(group, options_, &*value, now);
}

Effects Coordinator::consumer_describe(const Call& call, const std::string& group) {
  Effects out = effects_of(group);
  const Live* live = find(group);
  if (live != nullptr && live->consumers() != nullptr) {
    out.replies.push_back({call.token, live->consumer->describe()});
    settle(group, out);
    return out;
  }
  protocol::ConsumerGroupDescribeResponse::DescribedGroup dead;
  dead.group_id = group;
  dead.error_code = ErrorCode::kGroupIdNotFound;
  dead.error_message = "Group " + group + (live == nullptr ? " not found." : " is not a consumer group.");
  out.replies.push_back({call.token, std::move(dead)});
  return out;
}

std::vector<protocol::ListGroupsResponse::Group> Coordinator::list() const {
  std::vector<protocol::ListGroupsResponse::Group> out;
  const auto add_classic = [&](const std::string& id, std::string_view type, std::string_view state) {
    out.push_back({id, std::string(type), std::string(state), "classic", {}});
  };
  const auto add_consumer = [&](const std::string& id, std::string_view state) {
    out.push_back({id, "consumer", std::string(state), "consumer", {}});
  };
  for (const auto& [id, live] : groups_) {
    if (live.consumers() != nullptr) add_consumer(id, live.consumer->state_name());
    else if (exists(id, live)) add_classic(id, live.classic->protocol_type(), live.classic->state_name());
  }
  for (const auto& [id, stored] : table_.groups()) {
    if (groups_.contains(id)) continue;
    if (stored.consumers.epoch) add_consumer(id, "Empty");
    else add_classic(id, stored.state ? stored.state->protocol_type : "", "Empty");
  }
  return out;
}

Effects Coordinator::remove(const Call& call, const std::string& group) {
  Effects out = effects_of(group);
  protocol::DeleteGroupsResponse::Deleted deleted;
  deleted.group_id = group;
  const Live* live = find(group);
  if (live == nullptr) {
    deleted.error_code = ErrorCode::kGroupIdNotFound;
  } else if (live->classic->state() != ClassicGroup::State::kEmpty || live->members() > 0) {
    deleted.error_code = ErrorCode::kNonEmptyGroup;
  } else {
    for (const auto& [at, value] : offsets(group, *live)) out.records.push_back(OffsetRecord{group, at, {}});
    if (live->consumers() != nullptr) live->consumer->remove(out);
    if (live->stored) out.records.push_back(StateRecord{group, {}});
  }
  out.replies.push_back({call.token, std::move(deleted)});
  settle(group, out);
  return out;
}

Effects Coordinator::forget(const Call& call, const ForgetRequest& request) {
  Effects out = effects_of(request.group);
  OffsetsReply reply;
  const Live* live = find(request.group);
  std::optional<std::set<std::string>> subscribed;
  if (live == nullptr) {
    reply.error = ErrorCode::kGroupIdNotFound;
  } else if (live->consumers() != nullptr) {
    subscribed = live->consumer->subscribed_topics();
  } else if (live->classic->state() != ClassicGroup::State::kEmpty) {
    // Offsets of topics that nobody reads any more may go; of a group that is not understood, none.
    if (live->classic->protocol_type() != "consumer") reply.error = ErrorCode::kNonEmptyGroup;
    subscribed = live->classic->subscribed_topics();
    if (!subscribed && reply.error == ErrorCode::kNone) {
      subscribed.emplace();
      for (const auto& [at, error] : request.items) subscribed->insert(at.topic);
    }
  }
  for (const auto& [at, error] : request.items) {
    ErrorCode& code = reply.items.emplace_back(reply.error == ErrorCode::kNone ? error : reply.error);
    if (code != ErrorCode::kNone) continue;
    if (subscribed && subscribed->contains(at.topic)) code = ErrorCode::kGroupSubscribedToTopic;
    else if (find_offset(request.group, *live, at) != nullptr) out.records.push_back(OffsetRecord{request.group, at, {}});
  }
  out.replies.push_back({call.token, std::move(reply)});
  settle(request.group, out);
  return out;
}

std::vector<Effects> Coordinator::on_time(Instant now, WallTime wall) {
  std::vector<std::string> due;
  for (const auto& [at, group] : deadlines_) {
    if (at > now) break;
    due.push_back(group);
  }
  std::vector<Effects> all;
  for (const std::string& group : due) {
    Effects out = effects_of(group);
    Live& live = groups_.at(group);
    live.classic->on_time(now, wall, out);
    if (live.consumer != nullptr) live.consumer->on_time(now, wall, out);
    downgrade_if_due(group, live, now, wall, out);
    settle(group, out);
    if (!out.records.empty() || !out.replies.empty()) all.push_back(std::move(out));
  }
  return all;
}

// Which offsets count from when is Kafka's (KIP-211): from the last commit where nobody is subscribed, from the moment
// that the last member left where there were members, and never while a group is busy with itself.
std::vector<TopicPartition> Coordinator::expired(const StoredGroup& stored, const Live* live, WallTime wall) const {
  using State = ClassicGroup::State;
  const State state = live == nullptr ? State::kEmpty : live->classic->state();
  const bool simple = !stored.state || stored.state->protocol_type.empty();
  int64_t empty_since = -1;
  std::optional<std::set<std::string>> subscribed;
  if (!simple && state == State::kEmpty && !PLANT("G19")) empty_since = stored.state->current_state_timestamp;
  if (state == State::kStable) subscribed = live->classic->subscribed_topics();
  if (live != nullptr && live->consumers() != nullptr) subscribed = live->consumer->subscribed_topics();
  if (state != State::kEmpty && !subscribed && !PLANT("G09")) return {};
  std::vector<TopicPartition> out;
  for (const auto& [at, value] : stored.offsets) {
    if (subscribed && subscribed->contains(at.topic)) continue;
    const int64_t base = empty_since >= 0 ? empty_since : value.commit_timestamp;
    const bool over = value.expire_timestamp >= 0 ? wall.ms >= value.expire_timestamp
                                                  : wall.ms - base >= options_.offsets_retention.ms();
    if (over) out.push_back(at);
  }
  return out;
}

std::vector<Effects> Coordinator::expire(WallTime wall) {
  std::vector<Effects> all;
  for (const auto& [id, stored] : table_.groups()) {
    const auto it = groups_.find(id);
    const Live* live = it == groups_.end() ? nullptr : &it->second;
    // What is on its way may change the picture: the next round looks again.
    if (live != nullptr && live->until > applied_) continue;
    Effects out = effects_of(id);
    // Nothing is over before it is known since when.
    if (live != nullptr && is_unwritten(id, *live)) {
      out.records.push_back(StateRecord{id, live->classic->value()});
      all.push_back(std::move(out));
      continue;
    }
    for (TopicPartition& at : expired(stored, live, wall)) out.records.push_back(OffsetRecord{id, std::move(at), {}});
    const bool nothing_left = out.records.size() == stored.offsets.size();
    const bool idle = live == nullptr || live->is_idle();
    if (nothing_left && idle && stored.state) out.records.push_back(StateRecord{id, {}});
    if (nothing_left && idle && !stored.consumers.empty()) find_or_make(id).consumer->remove(out);
    if (!out.records.empty()) all.push_back(std::move(out));
  }
  return all;
}

std::vector<Effects> Coordinator::forget_topic(const std::string& name, const TopicId& id) {
  std::set<std::string> with_offsets;
  for (const auto& [group, stored] : table_.groups()) with_offsets.insert(group);
  for (const auto& [group, live] : groups_) with_offsets.insert(group);
  static const Live kNothing;
  std::vector<Effects> all;
  for (const std::string& group : with_offsets) {
    const auto it = groups_.find(group);
    Effects out = effects_of(group);
    for (const auto& [at, value] : offsets(group, it == groups_.end() ? kNothing : it->second))
      if (at.topic == name && (value.topic_id.is_zero() || value.topic_id == id)) out.records.push_back(OffsetRecord{group, at, {}});
    if (!out.records.empty()) all.push_back(std::move(out));
  }
  return all;
}

void Coordinator::appended(const Effects& effects, LogIndex index) {
  if (effects.records.empty()) return;
  Live& live = find_or_make(effects.group);
  for (const Record& record : effects.records) {
    if (const auto* offset = std::get_if<OffsetRecord>(&record)) {
      live.offsets[offset->at] = {offset->value, index};
      continue;
    }
    const auto* state = std::get_if<StateRecord>(&record);
    if (state == nullptr) continue;
    live.stored = state->value.has_value();
    live.former.reset();
    if (live.stored) continue;
    // A group of that name that comes now is another one.
    live.classic = std::make_unique<ClassicGroup>(effects.group, options_, nullptr, Instant{});
    schedule(effects.group, live);
  }
  live.until = index;
  written_.push_back({index, effects.group});
}

Effects Coordinator::refused(const Effects& effects, Instant now, WallTime wall) {
  Effects out = effects_of(effects.group);
  if (PLANT("G14")) appended(effects, applied_);
  const auto it = groups_.find(effects.group);
  if (it == groups_.end()) return out;
  Live& live = it->second;
  if (live.consumer != nullptr) live.consumer->undo(effects.undo, now);
  if (live.former != nullptr) {
    live.classic = std::move(live.former);
  } else if (live.consumers() != nullptr && !live.classic->is_idle()) {
    // It was to be a classic group, and is not.
    live.classic->send_back(ErrorCode::kCoordinatorNotAvailable, out);
    live.classic = std::make_unique<ClassicGroup>(effects.group, options_, nullptr, now);
  }
  if (effects.step != Effects::Step::kNone) it->second.classic->step_failed(effects.step, now, wall, out);
  settle(effects.group, out);
  return out;
}

void Coordinator::applied(LogIndex index) {
  applied_ = index;
  while (!written_.empty() && written_.front().first <= index) {
    const std::string group = std::move(written_.front().second);
    written_.pop_front();
    const auto it = groups_.find(group);
    if (it == groups_.end()) continue;
    std::erase_if(it->second.offsets, [&](const auto& offset) { return offset.second.index <= index; });
    settle(group, {});
  }
}

LogIndex Coordinator::depends_on(const std::string& group) const {
  const auto it = groups_.find(group);
  return it == groups_.end() ? LogIndex{} : it->second.until;
}

}  // namespace taffrail::group
