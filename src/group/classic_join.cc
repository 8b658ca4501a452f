// Joining a classic group, and how the phase ends in which its members join.
#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "group/classic_group.h"

namespace taffrail::group {

using protocol::ErrorCode;

namespace {

/// How long a first join may wait: nobody heartbeats for a member that was not told its id.
constexpr Duration kFirstJoinMax = 300_s;
/// Of what a client calls itself, in the member ids that are made of it.
constexpr size_t kIdPrefixMax = 255;

std::string new_member_id(const ClassicGroup::JoinCall& call) {
  const std::string& prefix = call.request.group_instance_id ? *call.request.group_instance_id : call.client_id;
  const uint64_t high = call.random.next();
  const uint64_t low = call.random.next();
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", prefix.substr(0, kIdPrefixMax), high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffff'ffff'ffff);
}

std::vector<std::pair<std::string, Slice>> protocols_of(const protocol::JoinGroupRequest& request) {
  std::vector<std::pair<std::string, Slice>> out;
  // Copied: the request's buffer does not live as long as the member.
  for (const auto& p : request.protocols) out.push_back({p.name, Slice(p.metadata.view())});
  return out;
}

}  // namespace

protocol::JoinGroupResponse ClassicGroup::refused(const std::string& id, ErrorCode why) {
  protocol::JoinGroupResponse response;
  response.error_code = why;
  response.member_id = id;
  return response;
}

void ClassicGroup::join(const JoinCall& call, Effects& out) {
  const protocol::JoinGroupRequest& request = call.request;
  if (!has_room_for(request.member_id)) {
    if (const auto it = members_.find(request.member_id); it != members_.end()) {
      remove(it, out);
      removed_some(call.now, call.wall, out);
    }
    out.replies.push_back({call.token, refused({}, ErrorCode::kGroupMaxSizeReached)});
  } else if (const ErrorCode why = check_protocols(request); why != ErrorCode::kNone) {
    out.replies.push_back({call.token, refused(request.member_id, why)});
  } else if (request.member_id.empty()) {
    join_new(call, out);
  } else {
    join_known(call, out);
  }
}

bool ClassicGroup::has_room_for(const std::string& member) const {
  const auto it = members_.find(member);
  const auto limit = static_cast<size_t>(options_.size_max);
  if (state_ == State::kEmpty) return true;
  if (state_ != State::kPreparing) return it != members_.end() || members_.size() < limit;
  const auto parked = std::count_if(members_.begin(), members_.end(), [](const auto& m) { return m.second.join.has_value(); });
  return (it != members_.end() && it->second.join) || static_cast<size_t>(parked) < limit;
}

ErrorCode ClassicGroup::check_protocols(const protocol::JoinGroupRequest& request) const {
  if (request.protocol_type.empty() || request.protocols.empty()) return ErrorCode::kInconsistentGroupProtocol;
  if (members_.empty()) return ErrorCode::kNone;
  const std::set<std::string> common = common_protocols();
  const bool fits = std::any_of(request.protocols.begin(), request.protocols.end(),
                                [&](const auto& p) { return common.contains(p.name); });
  return fits && request.protocol_type == protocol_type_ ? ErrorCode::kNone : ErrorCode::kInconsistentGroupProtocol;
}

std::set<std::string> ClassicGroup::common_protocols() const {
  std::map<std::string, size_t> count;
  for (const auto& [id, member] : members_) {
    std::set<std::string> names;  // Named twice by one member is named once.
    for (const auto& [name, metadata] : member.protocols) names.insert(name);
    for (const std::string& name : names) ++count[name];
  }
  std::set<std::string> common;
  for (const auto& [name, n] : count)
    if (n == members_.size()) common.insert(name);
  return common;
}

// Each member votes for what it likes best among what all can do.
std::string ClassicGroup::select_protocol() const {
  const std::set<std::string> common = common_protocols();
  std::map<std::string, size_t> votes;
  for (const auto& [id, member] : members_) {
    const auto best = std::find_if(member.protocols.begin(), member.protocols.end(),
                                   [&](const auto& p) { return common.contains(p.first); });
    if (best != member.protocols.end()) ++votes[best->first];
  }
  std::string selected;
  size_t most = 0;
  for (const auto& [name, n] : votes) {
    if (n <= most) continue;
    selected = name;
    most = n;
  }
  return selected;
}

void ClassicGroup::join_new(const JoinCall& call, Effects& out) {
  if (call.request.group_instance_id) {
    const auto holder = find_instance(*call.request.group_instance_id);
    if (holder == members_.end()) return add(call, new_member_id(call), out);
    return replace_static(call, holder->first, out);
  }
  std::string id = new_member_id(call);
  // From v4 on a member is told its id first: a join whose answer got lost leaves no member behind (KIP-394).
  if (call.version < 4) return add(call, std::move(id), out);
  pending_[id] = call.now + Duration::from_ms(call.request.session_timeout_ms);
  out.replies.push_back({call.token, refused(id, ErrorCode::kMemberIdRequired)});
}

void ClassicGroup::join_known(const JoinCall& call, Effects& out) {
  const protocol::JoinGroupRequest& request = call.request;
  const auto answer = [&](protocol::JoinGroupResponse response) { out.replies.push_back({call.token, std::move(response)}); };
  if (!request.group_instance_id && pending_.contains(request.member_id)) return add(call, request.member_id, out);
  if (const ErrorCode why = check_member(request.member_id, request.group_instance_id, generation_); why != ErrorCode::kNone)
    return answer(refused(request.member_id, why));
  const auto it = members_.find(request.member_id);
  const bool same = it->second.protocols == protocols_of(request);
  const bool leads = request.member_id == leader_;
  // Its answer was lost, or a follower only looks again: nothing has changed that others should know.
  if ((state_ == State::kCompleting && same) || (state_ == State::kStable && same && !leads)) {
    drop_parked(it->second, it->first, ErrorCode::kRebalanceInProgress, out);
    restart_session(it->second, call.now);
    return answer(joined(request.member_id));
  }
  rejoin(call, it, out);
}

void ClassicGroup::describe_to(const JoinCall& call, Member& member) {
  const protocol::JoinGroupRequest& request = call.request;
  member.client_id = call.client_id;
  member.client_host = call.client_host;
  member.session_timeout = Duration::from_ms(request.session_timeout_ms);
  // Before v1 there is one for both.
  member.rebalance_timeout =
      Duration::from_ms(request.rebalance_timeout_ms < 0 ? request.session_timeout_ms : request.rebalance_timeout_ms);
  member.protocols = protocols_of(request);
}

void ClassicGroup::add(const JoinCall& call, std::string id, Effects& out) {
  if (members_.empty()) protocol_type_ = call.request.protocol_type;
  if (leader_.empty()) leader_ = id;
  pending_.erase(id);
  Member& member = members_[id];
  member.instance = call.request.group_instance_id;
  member.fresh = true;
  member.session_end = call.now + kFirstJoinMax;
  describe_to(call, member);
  member.join = call.token;
  if (state_ == State::kPreparing && first_join_) late_comer_ = true;
  prepare_or_complete(call.now, call.wall, out);
}

void ClassicGroup::rejoin(const JoinCall& call, Members::iterator it, Effects& out) {
  Member& member = it->second;
  drop_parked(member, it->first, ErrorCode::kRebalanceInProgress, out);
  describe_to(call, member);
  if (!member.fresh) restart_session(member, call.now);
  member.join = call.token;
  prepare_or_complete(call.now, call.wall, out);
}

// Another process with the same instance id: it takes the place, and whoever held it is fenced (I-G4).
void ClassicGroup::replace_static(const JoinCall& call, const std::string& old_id, Effects& out) {
  const std::string old = old_id;
  std::string id = new_member_id(call);
  if (PLANT("G04")) id = old;
  drop_parked(members_.at(old), old, ErrorCode::kFencedInstanceId, out);
  auto node = members_.extract(old);
  node.key() = id;
  const auto it = members_.insert(std::move(node)).position;
  const bool leads = leader_ == old;
  if (leads) leader_ = id;
  Member& member = it->second;
  describe_to(call, member);
  if (state_ != State::kStable || select_protocol() != protocol_) return rejoin(call, it, out);

  restart_session(member, call.now);
  protocol::JoinGroupResponse response = joined(id);
  // The assignment stands. A leader is not to make another one: from v9 on it can be told so, before that it must not
  // know that it leads.
  if (call.version >= 9) {
    response.skip_assignment = leads;
  } else if (leads) {
    response.leader = old;
    response.members.clear();
  }
  out.replies.push_back({call.token, std::move(response)});
  record(true, Effects::Step::kNone, out);
}

void ClassicGroup::prepare_or_complete(Instant now, WallTime wall, Effects& out) {
  if (state_ != State::kPreparing) prepare(now, wall, out);
  else if (!first_join_) complete_if_all_joined(now, wall, out);
}

void ClassicGroup::prepare(Instant now, WallTime wall, Effects& out) {
  first_join_ = state_ == State::kEmpty;
  for (auto& [id, member] : members_) {
    if (!member.sync) continue;
    protocol::SyncGroupResponse response;
    response.error_code = ErrorCode::kRebalanceInProgress;
    out.replies.push_back({*member.sync, std::move(response)});
    member.sync.reset();
    restart_session(member, now);
  }
  sync_end_ = Instant::never();
  set_state(State::kPreparing, wall);
  if (!first_join_) {
    join_end_ = now + rebalance_timeout();
    return complete_if_all_joined(now, wall, out);
  }
  // Members that start together are to end up in one generation.
  late_comer_ = false;
  wait_ = options_.initial_rebalance_delay;
  wait_left_ = std::max(rebalance_timeout() - wait_, Duration{});
  join_end_ = now + wait_;
}

void ClassicGroup::complete_if_all_joined(Instant now, WallTime wall, Effects& out) {
  if (!pending_.empty()) return;
  for (const auto& [id, member] : members_)
    if (!member.join) return;
  complete_join(now, wall, out);
}

void ClassicGroup::complete_join(Instant now, WallTime wall, Effects& out) {
  const auto joined_now = [](const auto& m) { return m.second.join.has_value(); };
  // Static members stay until their sessions end; the others who did not come are out.
  for (auto it = members_.begin(); it != members_.end();) {
    const auto next = std::next(it);
    if (!joined_now(*it) && !it->second.instance) remove(it, out);
    it = next;
  }
  const auto first = std::find_if(members_.begin(), members_.end(), joined_now);
  if (first == members_.end() && !members_.empty()) {
    join_end_ = now + std::max(rebalance_timeout(), 1_s);
    return;
  }
  join_end_ = Instant::never();
  first_join_ = false;
  ++generation_;
  for (auto& [id, member] : members_) {
    member.assignment = {};
    member.synced = false;
  }
  if (members_.empty()) {
    protocol_.clear();
    leader_.clear();
    set_state(State::kEmpty, wall);
    return record(false, Effects::Step::kGeneration, out);
  }
  if (const auto led = members_.find(leader_); led == members_.end() || !led->second.join) leader_ = first->first;
  protocol_ = select_protocol();
  set_state(State::kCompleting, wall);
  sync_end_ = now + rebalance_timeout();
  for (auto& [id, member] : members_) {
    if (!member.join) continue;
    out.replies.push_back({*member.join, joined(id)});
    member.join.reset();
    member.fresh = false;
    restart_session(member, now);
  }
  record(false, Effects::Step::kGeneration, out);
}

protocol::JoinGroupResponse ClassicGroup::joined(const std::string& id) const {
  protocol::JoinGroupResponse response;
  response.generation_id = generation_;
  response.protocol_type = protocol_type_;
  response.protocol_name = protocol_;
  response.leader = leader_;
  response.member_id = id;
  if (id != leader_) return response;
  for (const auto& [other, member] : members_) response.members.push_back({other, member.instance, metadata_of(member), {}});
  return response;
}

}  // namespace taffrail::group
