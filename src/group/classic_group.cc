#include "group/classic_group.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/plant.h"

namespace taffrail::group {

using protocol::ErrorCode;

void refuse(Answer& answer, ErrorCode error) {
  std::visit([error]<class A>(A& a) {
    if constexpr (requires { a.error_code; }) {
      A fresh;
      fresh.error_code = error;
      if constexpr (requires { fresh.member_id; }) fresh.member_id = a.member_id;
      if constexpr (requires { fresh.group_id; }) fresh.group_id = a.group_id;
      a = std::move(fresh);
    } else {
      a = A{};
      a.error = error;
    }
  }, answer);
}

ClassicGroup::ClassicGroup(std::string id, const Options& options, const protocol::GroupMetadataValue* stored, Instant now)
    : id_(std::move(id)), options_(options) {
  if (stored == nullptr) return;
  generation_ = stored->generation;
  protocol_type_ = stored->protocol_type;
  state_since_ms_ = stored->current_state_timestamp;
  if (stored->members.empty()) return;
  protocol_ = stored->protocol.value_or("");
  leader_ = stored->leader.value_or("");
  for (const auto& m : stored->members) {
    Member& member = members_[m.member_id];
    member.instance = m.group_instance_id;
    member.client_id = m.client_id;
    member.client_host = m.client_host;
    // Not zero, whoever wrote it: a session that is always over would keep its clock busy.
    member.session_timeout = Duration::from_ms(std::max(m.session_timeout, 1));
    member.rebalance_timeout = Duration::from_ms(m.rebalance_timeout < 0 ? m.session_timeout : m.rebalance_timeout);
    member.protocols.push_back({protocol_, m.subscription});
    member.assignment = m.assignment;
    member.synced = true;
    restart_session(member, now);
  }
  state_ = State::kStable;
  // A generation that was given out and never assigned, or one that a smaller limit does not allow.
  const bool open = leader_.empty();
  if (!open && members_.size() <= static_cast<size_t>(options_.size_max)) return;
  state_ = State::kPreparing;
  join_end_ = now + rebalance_timeout();
}

std::string_view ClassicGroup::state_name() const {
  switch (state_) {
    case State::kEmpty: return "Empty";
    case State::kPreparing: return "PreparingRebalance";
    case State::kCompleting: return "CompletingRebalance";
    case State::kStable: return "Stable";
  }
  return "Dead";
}

void ClassicGroup::set_state(State state, WallTime wall) {
  state_ = state;
  state_since_ms_ = wall.ms;
}

ClassicGroup::Members::iterator ClassicGroup::find_instance(const std::string& instance) {
  return std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m.second.instance == instance; });
}

// The order of Kafka's checks: the instance, the member, the generation (I-G3, I-G4).
ErrorCode ClassicGroup::check_member(const std::string& id, const std::optional<std::string>& instance, int32_t generation) {
  if (instance) {
    const auto holder = find_instance(*instance);
    if (holder == members_.end()) return ErrorCode::kUnknownMemberId;
    if (holder->first != id) return ErrorCode::kFencedInstanceId;
  } else if (!members_.contains(id)) {
    return ErrorCode::kUnknownMemberId;
  }
  return generation == generation_ ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
}

Duration ClassicGroup::rebalance_timeout() const {
  Duration longest{};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

bool ClassicGroup::all_synced() const {
  return std::all_of(members_.begin(), members_.end(), [](const auto& m) { return m.second.synced; });
}

Slice ClassicGroup::metadata_of(const Member& member) const {
  for (const auto& [name, metadata] : member.protocols)
    if (name == protocol_) return metadata;
  return {};
}

void ClassicGroup::sync(const Call& call, const protocol::SyncGroupRequest& request, Effects& out) {
  const auto answer_error = [&](ErrorCode why) {
    protocol::SyncGroupResponse response;
    response.error_code = why;
    out.replies.push_back({call.token, std::move(response)});
  };
  if (const ErrorCode why = check_member(request.member_id, request.group_instance_id, request.generation_id);
      why != ErrorCode::kNone)
    return answer_error(why);
  const bool other_type = request.protocol_type && *request.protocol_type != protocol_type_;
  const bool other_name = request.protocol_name && *request.protocol_name != protocol_;
  if (other_type || other_name) return answer_error(ErrorCode::kInconsistentGroupProtocol);
  if (state_ == State::kPreparing) return answer_error(ErrorCode::kRebalanceInProgress);

  Member& member = members_.at(request.member_id);
  restart_session(member, call.now);
  if (state_ == State::kStable) {
    member.synced = true;
    if (all_synced()) sync_end_ = Instant::never();
    out.replies.push_back({call.token, synced(member)});
    return;
  }
  drop_parked(member, request.member_id, ErrorCode::kRebalanceInProgress, out);
  member.sync = call.token;
  member.synced = true;
  if (request.member_id != leader_) return;

  // Whom the leader leaves out gets nothing; what it gives to strangers is passed over.
  for (auto& [id, m] : members_) m.assignment = {};
  for (const auto& given : request.assignments)
    if (const auto it = members_.find(given.member_id); it != members_.end()) it->second.assignment = Slice(given.assignment.view());
  set_state(State::kStable, call.wall);
  for (auto& [id, m] : members_) {
    if (!m.sync) continue;
    out.replies.push_back({*m.sync, synced(m)});
    m.sync.reset();
    restart_session(m, call.now);
  }
  if (all_synced()) sync_end_ = Instant::never();
  record(true, Effects::Step::kAssignment, out);
}

protocol::SyncGroupResponse ClassicGroup::synced(const Member& member) const {
  protocol::SyncGroupResponse response;
  response.protocol_type = protocol_type_;
  response.protocol_name = protocol_;
  response.assignment = member.assignment;
  return response;
}

void ClassicGroup::heartbeat(const Call& call, const protocol::HeartbeatRequest& request, Effects& out) {
  protocol::HeartbeatResponse response;
  response.error_code = check_member(request.member_id, request.group_instance_id, request.generation_id);
  if (response.error_code == ErrorCode::kNone) {
    restart_session(members_.at(request.member_id), call.now);
    if (state_ == State::kPreparing) response.error_code = ErrorCode::kRebalanceInProgress;
  }
  out.replies.push_back({call.token, response});
}

ErrorCode ClassicGroup::check_commit(Instant now, int32_t generation, const std::string& member,
                                     const std::optional<std::string>& instance) {
  if (PLANT("G03")) return ErrorCode::kNone;
  if (generation < 0 && state_ == State::kEmpty) return ErrorCode::kNone;
  if (generation < 0 && member.empty() && !instance) return ErrorCode::kUnknownMemberId;
  if (const ErrorCode why = check_member(member, instance, generation); why != ErrorCode::kNone) return why;
  if (state_ == State::kCompleting) return ErrorCode::kRebalanceInProgress;
  restart_session(members_.at(member), now);
  return ErrorCode::kNone;
}

std::vector<ErrorCode> ClassicGroup::leave(const Call& call, const std::vector<protocol::LeaveGroupRequest::Member>& members,
                                           Effects& out) {
  std::vector<ErrorCode> codes;
  bool some = false;
  for (const auto& going : members) {
    ErrorCode why = ErrorCode::kNone;
    auto it = members_.end();
    if (going.group_instance_id) {
      it = find_instance(*going.group_instance_id);
      if (it == members_.end()) why = ErrorCode::kUnknownMemberId;
      // Without a member's id an administrator speaks: whoever holds the instance goes.
      else if (!going.member_id.empty() && it->first != going.member_id) why = ErrorCode::kFencedInstanceId;
    } else if (pending_.erase(going.member_id) > 0) {
      some = true;
    } else {
      it = members_.find(going.member_id);
      if (it == members_.end()) why = ErrorCode::kUnknownMemberId;
    }
    if (why == ErrorCode::kNone && it != members_.end()) {
      remove(it, out);
      some = true;
    }
    codes.push_back(why);
  }
  if (some) removed_some(call.now, call.wall, out);
  return codes;
}

void ClassicGroup::drop_parked(Member& member, const std::string& id, ErrorCode why, Effects& out) {
  if (member.join) out.replies.push_back({*member.join, refused(id, why)});
  if (member.sync) {
    protocol::SyncGroupResponse response;
    response.error_code = why;
    out.replies.push_back({*member.sync, std::move(response)});
  }
  member.join.reset();
  member.sync.reset();
}

void ClassicGroup::remove(Members::iterator member, Effects& out) {
  drop_parked(member->second, member->first, ErrorCode::kUnknownMemberId, out);
  const bool led = member->first == leader_;
  members_.erase(member);
  if (led) leader_ = members_.empty() ? std::string() : members_.begin()->first;
}

void ClassicGroup::removed_some(Instant now, WallTime wall, Effects& out) {
  if (state_ == State::kStable || state_ == State::kCompleting) prepare(now, wall, out);
  else if (state_ == State::kPreparing && !first_join_) complete_if_all_joined(now, wall, out);
}

void ClassicGroup::on_time(Instant now, WallTime wall, Effects& out) {
  bool some = std::erase_if(pending_, [&](const auto& p) { return p.second <= now; }) > 0;
  for (auto it = members_.begin(); it != members_.end();) {
    const auto next = std::next(it);
    if (it->second.session_end <= now) {
      if (it->second.is_waiting()) {
        restart_session(it->second, now);
      } else {
        remove(it, out);
        some = true;
      }
    }
    it = next;
  }
  if (sync_end_ <= now) {
    sync_end_ = Instant::never();
    for (auto it = members_.begin(); it != members_.end();) {
      const auto next = std::next(it);
      if (!it->second.synced) {
        remove(it, out);
        some = true;
      }
      it = next;
    }
  }
  if (some) removed_some(now, wall, out);
  if (state_ != State::kPreparing || join_end_ > now) return;
  if (first_join_ && late_comer_ && wait_left_ > Duration{}) {
    late_comer_ = false;
    const Duration next = std::min(options_.initial_rebalance_delay, wait_left_);
    wait_left_ = std::max(wait_left_ - wait_, Duration{});
    wait_ = next;
    join_end_ = now + wait_;
    return;
  }
  complete_join(now, wall, out);
}

Instant ClassicGroup::next_deadline() const {
  Instant next = state_ == State::kPreparing ? std::min(join_end_, sync_end_) : sync_end_;
  for (const auto& [id, until] : pending_) next = std::min(next, until);
  for (const auto& [id, member] : members_) next = std::min(next, member.session_end);
  return next;
}

void ClassicGroup::step_failed(Effects::Step step, Instant now, WallTime wall, Effects& out) {
  if (step == Effects::Step::kAssignment)
    for (auto& [id, member] : members_) member.assignment = {};
  if (state_ == State::kStable || state_ == State::kCompleting) prepare(now, wall, out);
}

protocol::GroupMetadataValue ClassicGroup::value() const {
  protocol::GroupMetadataValue value;
  value.protocol_type = protocol_type_;
  value.generation = generation_;
  value.current_state_timestamp = state_since_ms_;
  value.protocol.reset();
  value.leader.reset();
  if (members_.empty()) return value;
  value.protocol = protocol_;
  if (state_ == State::kStable) value.leader = leader_;
  for (const auto& [id, member] : members_) {
    auto& out = value.members.emplace_back();
    out.member_id = id;
    out.group_instance_id = member.instance;
    out.client_id = member.client_id;
    out.client_host = member.client_host;
    out.rebalance_timeout = static_cast<int32_t>(member.rebalance_timeout.ms());
    out.session_timeout = static_cast<int32_t>(member.session_timeout.ms());
    out.subscription = metadata_of(member);
    if (state_ == State::kStable) out.assignment = member.assignment;
  }
  return value;
}

void ClassicGroup::record(bool assigned, Effects::Step step, Effects& out) const {
  if (PLANT("G18") && !assigned && !members_.empty()) return;
  out.records.push_back(StateRecord{id_, value()});
  out.step = step;
}

protocol::DescribeGroupsResponse::Group ClassicGroup::describe() const {
  protocol::DescribeGroupsResponse::Group out;
  out.group_id = id_;
  out.group_state = state_name();
  out.protocol_type = protocol_type_;
  const bool stable = state_ == State::kStable;
  if (stable) out.protocol_data = protocol_;
  for (const auto& [id, member] : members_) {
    auto& m = out.members.emplace_back();
    m.member_id = id;
    m.group_instance_id = member.instance;
    m.client_id = member.client_id;
    m.client_host = member.client_host;
    if (stable) m.member_metadata = metadata_of(member);
    if (stable) m.member_assignment = member.assignment;
  }
  return out;
}

// The consumer's embedded protocol: a version, then topics, which every later version begins with.
std::optional<std::set<std::string>> ClassicGroup::subscribed_topics() const {
  if (protocol_type_ != "consumer") return std::nullopt;
  std::set<std::string> topics;
  for (const auto& [id, member] : members_) {
    const Slice metadata = metadata_of(member);
    ByteReader in(metadata.view());
    (void)in.i16();
    const int32_t count = in.i32();
    if (!in.ok() || count < 0) return std::nullopt;
    for (int32_t i = 0; i < count && in.ok(); ++i) {
      const int16_t size = in.i16();
      if (size < 0) return std::nullopt;
      topics.insert(std::string(as_text(in.bytes(static_cast<size_t>(size)))));
    }
    if (!in.ok()) return std::nullopt;
  }
  return topics;
}

}  // namespace taffrail::group
