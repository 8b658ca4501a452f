#include "group/consumer_group.h"

#include <algorithm>

#include "base/plant.h"

namespace taffrail::group {

using protocol::ErrorCode;

namespace {

bool is_subset(const PartitionSet& some, const PartitionSet& all) {
  for (const auto& [topic, partitions] : some) {
    const auto it = all.find(topic);
    if (it == all.end() || !std::includes(it->second.begin(), it->second.end(), partitions.begin(), partitions.end())) return false;
  }
  return true;
}

}  // namespace

ConsumerGroup::ConsumerGroup(std::string id, const Options& options, const Topics& topics, ConsumerState stored, Instant now)
    : id_(std::move(id)), options_(options), topics_(topics), matched_(now) {
  for (const Record& record : stored.records(id_)) apply(record);
  for (const auto& [member, m] : state_.members) {
    restart_session(member, now);
    if (current_of(member).state == kUnrevoked)
      revocation_ends_[member] = {current_of(member).member_epoch, now + Duration::from_ms(meta_of(member).rebalance_timeout_ms)};
  }
}

void ConsumerGroup::emit(Record record, Effects& out) {
  out.undo.insert(out.undo.begin(), state_.before(record));
  apply(record);
  out.records.push_back(std::move(record));
}

void ConsumerGroup::hold(const std::string& member, const HeldList& list, bool held) {
  for (const auto& topic : list) {
    for (const int32_t partition : topic.partitions) {
      const std::pair key{topic.topic_id, partition};
      if (held) {
        holders_[key] = member;
      } else if (const auto it = holders_.find(key); it != holders_.end() && it->second == member) {
        holders_.erase(it);
      }
    }
  }
}

void ConsumerGroup::apply(const Record& record) {
  if (const auto* current = std::get_if<CurrentRecord>(&record)) {
    const Current& old = current_of(current->name);
    hold(current->name, old.assigned_partitions, false);
    hold(current->name, old.partitions_pending_revocation, false);
    if (current->value) {
      hold(current->name, current->value->assigned_partitions, true);
      hold(current->name, current->value->partitions_pending_revocation, true);
      // What was to be given up, and is its own again after all.
      if (PLANT("G01")) hold(current->name, old.partitions_pending_revocation, false);
    }
  }
  if (const auto* member = std::get_if<MemberRecord>(&record)) {
    const Meta& old = meta_of(member->name);
    if (old.instance_id) {
      const auto it = instances_.find(*old.instance_id);
      if (it != instances_.end() && it->second == member->name) instances_.erase(it);
    }
    if (member->value && member->value->instance_id) instances_[*member->value->instance_id] = member->name;
    if (!member->value) {
      session_ends_.erase(member->name);
      revocation_ends_.erase(member->name);
      rejoin_ends_.erase(member->name);
      unconfirmed_.erase(member->name);
    }
  }
  state_.apply(record);
}

void ConsumerGroup::undo(const std::vector<Record>& undo, Instant now) {
  for (const Record& record : undo) apply(record);
  for (const auto& [member, m] : state_.members)
    if (!session_ends_.contains(member)) restart_session(member, now);
  seen_version_ = -1;
}

// References to these outlive any call: what is missing is nobody's.
const ConsumerGroup::Meta& ConsumerGroup::meta_of(const std::string& member) const {
  static const Meta kNone = [] {
    Meta m;
    m.instance_id.reset();
    m.rack_id.reset();
    m.subscribed_topic_regex.reset();
    m.server_assignor.reset();
    return m;
  }();
  const auto it = state_.members.find(member);
  return it == state_.members.end() || !it->second.meta ? kNone : *it->second.meta;
}

const ConsumerGroup::Current& ConsumerGroup::current_of(const std::string& member) const {
  static const Current kNone = [] {
    Current c;
    c.previous_member_epoch = -1;
    return c;
  }();
  const auto it = state_.members.find(member);
  return it == state_.members.end() || !it->second.current ? kNone : *it->second.current;
}

const std::string* ConsumerGroup::holder_of(const TopicId& topic, int32_t partition) const {
  const auto it = holders_.find({topic, partition});
  return it == holders_.end() ? nullptr : &it->second;
}

void ConsumerGroup::restart_session(const std::string& member, Instant now) {
  const auto& classic = meta_of(member).classic_member_metadata;
  session_ends_[member] = now + (classic ? Duration::from_ms(std::max(classic->session_timeout_ms, 1)) : topics_.settings_of(id_).session_timeout.value_or(options_.consumer_session_timeout));
}

// Who speaks, and whether it may (I-G4). `replaced`: the static member whose place this one takes.
ErrorCode ConsumerGroup::identify(const Beat& beat, std::string& replaced) const {
  const Request& request = beat.request;
  const bool joins = request.member_epoch == Request::kJoin;
  const bool known = state_.members.contains(request.member_id);
  if (request.instance_id) {
    const auto holder = instances_.find(*request.instance_id);
    if (!joins && holder == instances_.end()) return ErrorCode::kUnknownMemberId;
    if (holder != instances_.end() && holder->second != request.member_id) {
      if (!joins) return ErrorCode::kFencedInstanceId;
      if (current_of(holder->second).member_epoch != Request::kLeaveForAWhile && !is_classic(holder->second))
        return ErrorCode::kUnreleasedInstanceId;
      replaced = holder->second;
    }
  }
  if (!joins && !known) return ErrorCode::kUnknownMemberId;
  if (joins && !known && replaced.empty() && size() >= static_cast<size_t>(options_.consumer_size_max))
    return ErrorCode::kGroupMaxSizeReached;
  return request.member_epoch < 0 || joins ? ErrorCode::kNone : check_epoch(request);
}

ErrorCode ConsumerGroup::check_epoch(const Request& request) const {
  const Current& current = current_of(request.member_id);
  if (request.member_epoch > current.member_epoch) return ErrorCode::kFencedMemberEpoch;
  // A state that only a newer version knows: it starts over.
  if (current.state < kStable || current.state > kUnreleased)
    return request.topic_partitions && request.topic_partitions->empty() ? ErrorCode::kNone : ErrorCode::kFencedMemberEpoch;
  if (request.member_epoch == current.member_epoch) return ErrorCode::kNone;
  // The answer with the new epoch was lost: it may go on from the old one, if it has nothing that it should not.
  if (PLANT("G02")) return ErrorCode::kNone;
  const bool lost = !PLANT("G16") && request.member_epoch == current.previous_member_epoch && request.topic_partitions &&
                    is_subset(set_of(*request.topic_partitions), set_of(held_of(current.assigned_partitions, 0)));
  return lost ? ErrorCode::kNone : ErrorCode::kFencedMemberEpoch;
}

void ConsumerGroup::heartbeat(const Beat& beat, Effects& out) {
  const Request& request = beat.request;
  const std::string& id = request.member_id;
  Response response;
  response.member_id = id;
  response.member_epoch = request.member_epoch;
  const auto refused = [&](ErrorCode why) {
    response.error_code = why;
    out.replies.push_back({beat.token, response});
  };
  std::string replaced;
  if (const ErrorCode why = identify(beat, replaced); why != ErrorCode::kNone) return refused(why);
  if (request.member_epoch < 0) return leave(beat, out);
  const std::string expression = request.subscribed_topic_regex.value_or("");
  const bool first = !exists();
  const bool joins = request.member_epoch == Request::kJoin;
  if (!replaced.empty()) replace(replaced, id, out);
  const PartitionSet had = set_of(held_of(current_of(id).assigned_partitions, 0));
  const Meta old = meta_of(id);
  Meta meta = old;
  if (request.instance_id) meta.instance_id = request.instance_id;
  if (request.rack_id) meta.rack_id = request.rack_id;
  if (request.rebalance_timeout_ms >= 0) meta.rebalance_timeout_ms = request.rebalance_timeout_ms;
  if (request.server_assignor) meta.server_assignor = request.server_assignor;
  if (request.subscribed_topic_names) {
    const std::set<std::string> names(request.subscribed_topic_names->begin(), request.subscribed_topic_names->end());
    meta.subscribed_topic_names.assign(names.begin(), names.end());
  }
  if (request.subscribed_topic_regex) meta.subscribed_topic_regex = request.subscribed_topic_regex;
  meta.classic_member_metadata.reset();
  meta.client_id = beat.client_id;
  meta.client_host = beat.client_host;
  const bool names_differ = meta.subscribed_topic_names != old.subscribed_topic_names;
  const bool regex_differs = meta.subscribed_topic_regex.value_or("") != old.subscribed_topic_regex.value_or("");
  if (meta != old || !state_.members.contains(id)) emit(MemberRecord{id_, id, meta}, out);
  if (regex_differs) {
    drop_unused(old.subscribed_topic_regex.value_or(""), out);
    if (!state_.regexes.contains(expression)) resolve(expression, beat.wall, out);
  }
  const bool resubscribed = names_differ || regex_differs;
  if (first || resubscribed || seen_version_ != topics_.version()) refresh(resubscribed, beat.now, beat.wall, out);
  assign_if_due(beat.wall, out);
  std::optional<PartitionSet> owned;
  if (request.topic_partitions) owned = set_of(*request.topic_partitions);
  reconcile(id, owned, resubscribed, beat.now, out);
  restart_session(id, beat.now);
  rejoin_ends_.erase(id);

  const Current& now = current_of(id);
  response.member_epoch = now.member_epoch;
  response.heartbeat_interval_ms = static_cast<int32_t>(topics_.settings_of(id_).heartbeat_interval.value_or(options_.consumer_heartbeat_interval).ms());
  const bool full = request.rebalance_timeout_ms >= 0 && request.topic_partitions &&
                    (request.subscribed_topic_names || request.subscribed_topic_regex);
  const PartitionSet has = set_of(held_of(now.assigned_partitions, 0));
  // Whoever was told that, and has not said since that it owns it, may not have heard: an old request that came late, by a
  // connection that nobody reads any more, was answered last. Whoever owned it already says nothing.
  constexpr int kTold = 3;
  const bool news = joins || full || has != had;
  if (owned && *owned == has) unconfirmed_.erase(id);
  else if (news || owned) unconfirmed_[id] = kTold;
  const auto unconfirmed = unconfirmed_.find(id);
  const bool again = unconfirmed != unconfirmed_.end() && !PLANT("G21");
  if (again && --unconfirmed->second == 0) unconfirmed_.erase(unconfirmed);
  if (news || again) response.assignment = {list_of(has), {}};
  out.replies.push_back({beat.token, std::move(response)});
}

void ConsumerGroup::leave(const Beat& beat, Effects& out) {
  const std::string& id = beat.request.member_id;
  if (beat.request.member_epoch == Request::kLeaveForAWhile) {
    // It keeps what it had, for whoever comes next under its name; its session goes on meanwhile.
    Current current = current_of(id);
    current.previous_member_epoch = current.member_epoch;
    current.member_epoch = Request::kLeaveForAWhile;
    current.state = kStable;
    current.partitions_pending_revocation.clear();
    for (auto& topic : current.assigned_partitions) topic.assignment_epochs.emplace(topic.partitions.size(), 0);
    emit(CurrentRecord{id_, id, std::move(current)}, out);
    revocation_ends_.erase(id);
  } else {
    remove_members({id}, beat.wall, out);
  }
  Response response;
  response.member_id = id;
  response.member_epoch = beat.request.member_epoch;
  out.replies.push_back({beat.token, std::move(response)});
}

// Another process under the same instance: what was subscribed, assigned and held is its own now.
void ConsumerGroup::replace(const std::string& old_id, const std::string& id, Effects& out) {
  const ConsumerState::Member old = state_.members.at(old_id);
  emit(CurrentRecord{id_, old_id, {}}, out);
  emit(TargetRecord{id_, old_id, {}}, out);
  emit(MemberRecord{id_, old_id, {}}, out);
  emit(MemberRecord{id_, id, old.meta}, out);
  if (old.target) emit(TargetRecord{id_, id, old.target}, out);
  if (!old.current) return;
  Current current = *old.current;
  current.member_epoch = 0;
  current.previous_member_epoch = 0;
  emit(CurrentRecord{id_, id, std::move(current)}, out);
}

void ConsumerGroup::remove_members(const std::vector<std::string>& ids, WallTime wall, Effects& out) {
  std::set<std::string> expressions;
  for (const std::string& id : ids) {
    const ConsumerState::Member& member = state_.members.at(id);
    const bool has_target = member.target.has_value();
    if (member.meta) expressions.insert(member.meta->subscribed_topic_regex.value_or(""));
    if (member.current) emit(CurrentRecord{id_, id, {}}, out);
    if (has_target) emit(TargetRecord{id_, id, {}}, out);
    emit(MemberRecord{id_, id, {}}, out);
  }
  for (const std::string& expression : expressions) drop_unused(expression, out);
  refresh(true, matched_, wall, out);
}

void ConsumerGroup::on_time(Instant now, WallTime wall, Effects& out) {
  std::set<std::string> lost;
  for (const auto& [id, end] : session_ends_)
    if (end <= now) lost.insert(id);
  for (const auto& [id, end] : revocation_ends_)
    if (end.second <= now && current_of(id).state == kUnrevoked && current_of(id).member_epoch == end.first) lost.insert(id);
  for (const auto& [id, end] : rejoin_ends_)
    if (end <= now) lost.insert(id);
  std::erase_if(revocation_ends_, [&](const auto& end) { return end.second.second <= now; });
  if (!lost.empty()) remove_members({lost.begin(), lost.end()}, wall, out);
}

Instant ConsumerGroup::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [id, end] : session_ends_) next = std::min(next, end);
  for (const auto& [id, end] : revocation_ends_) next = std::min(next, end.second);
  for (const auto& [id, end] : rejoin_ends_) next = std::min(next, end);
  return next;
}

void ConsumerGroup::remove(Effects& out) {
  for (Record& record : state_.tombstones(id_)) emit(std::move(record), out);
}

ErrorCode ConsumerGroup::check_commit(int16_t version, int32_t epoch, const std::string& member,
                                      const std::vector<TopicPartition>& of) const {
  if (PLANT("G03")) return ErrorCode::kNone;
  if (epoch < 0 && state_.members.empty()) return ErrorCode::kNone;
  if (!state_.members.contains(member)) return ErrorCode::kUnknownMemberId;
  const bool classic = is_classic(member);
  if (version < 9 && !classic) return ErrorCode::kUnsupportedVersion;
  const Current& current = current_of(member);
  if (epoch == current.member_epoch) return ErrorCode::kNone;
  if (classic) return ErrorCode::kIllegalGeneration;
  if (epoch > current.member_epoch) return ErrorCode::kStaleMemberEpoch;
  // It has not heard of its new epoch yet, but nobody else had these partitions since the one that it knows.
  Held held = held_of(current.assigned_partitions, std::max(current.member_epoch, 0));
  for (auto& [topic, partitions] : held_of(current.partitions_pending_revocation, std::max(current.member_epoch, 0)))
    held[topic].insert(partitions.begin(), partitions.end());
  for (const TopicPartition& at : of) {
    const auto topic = topics_.find(at.topic);
    const auto has = topic ? held.find(topic->id) : held.end();
    if (has == held.end()) return ErrorCode::kStaleMemberEpoch;
    const auto since = has->second.find(at.partition);
    if (since == has->second.end() || epoch < since->second) return ErrorCode::kStaleMemberEpoch;
  }
  return ErrorCode::kNone;
}

ErrorCode ConsumerGroup::check_fetch(const std::optional<std::string>& member, int32_t epoch) const {
  if ((!member || member->empty()) && epoch < 0) return ErrorCode::kNone;
  if (!state_.members.contains(member.value_or(""))) return ErrorCode::kUnknownMemberId;
  if (epoch == current_of(*member).member_epoch) return ErrorCode::kNone;
  return is_classic(*member) ? ErrorCode::kIllegalGeneration : ErrorCode::kStaleMemberEpoch;
}

std::string_view ConsumerGroup::state_name() const {
  if (state_.members.empty()) return "Empty";
  if (epoch() > target_epoch()) return "Assigning";
  for (const auto& [id, member] : state_.members)
    if (current_of(id).state != kStable || current_of(id).member_epoch != target_epoch()) return "Reconciling";
  return "Stable";
}

protocol::ConsumerGroupDescribeResponse::DescribedGroup ConsumerGroup::describe() const {
  using Described = protocol::ConsumerGroupDescribeResponse;
  Described::DescribedGroup out;
  out.group_id = id_;
  out.group_state = state_name();
  out.group_epoch = epoch();
  out.assignment_epoch = target_epoch();
  out.assignor_name = preferred_assignor();
  const auto shown = [&](const PartitionSet& set) {
    Described::Assignment assignment;
    for (const auto& [id, partitions] : set)
      if (const auto topic = topics_.find(id)) assignment.topic_partitions.push_back({id, topic->name, partitions, {}});
    return assignment;
  };
  for (const auto& [id, member] : state_.members) {
    const Meta& meta = meta_of(id);
    auto& m = out.members.emplace_back();
    m.member_id = id;
    m.instance_id = meta.instance_id;
    m.rack_id = meta.rack_id;
    m.member_epoch = current_of(id).member_epoch;
    m.client_id = meta.client_id;
    m.client_host = meta.client_host;
    m.subscribed_topic_names = meta.subscribed_topic_names;
    m.subscribed_topic_regex = meta.subscribed_topic_regex;
    m.assignment = shown(set_of(held_of(current_of(id).assigned_partitions, 0)));
    if (member.target) m.target_assignment = shown(set_of(member.target->topic_partitions));
    m.member_type = meta.classic_member_metadata ? 0 : 1;
  }
  return out;
}

}  // namespace taffrail::group
