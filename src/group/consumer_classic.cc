// Members of the classic protocol in a consumer group, and the way back to a classic group: each of their requests is
// turned into a step of the newer protocol, and they are told to join again whenever there is a step to take.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "group/consumer_group.h"
#include "group/consumer_protocol.h"

namespace taffrail::group {

using protocol::ErrorCode;

namespace {

ConsumerGroup::Meta meta_of(const ClassicGroup::JoinCall& call, const Subscription& subscription) {
  const protocol::JoinGroupRequest& request = call.request;
  ConsumerGroup::Meta meta;
  meta.instance_id = request.group_instance_id;
  meta.rack_id = subscription.rack;
  meta.client_id = call.client_id;
  meta.client_host = call.client_host;
  const std::set<std::string> names(subscription.topics.begin(), subscription.topics.end());
  meta.subscribed_topic_names.assign(names.begin(), names.end());
  meta.subscribed_topic_regex.reset();
  meta.rebalance_timeout_ms = request.rebalance_timeout_ms < 0 ? request.session_timeout_ms : request.rebalance_timeout_ms;
  meta.server_assignor.reset();
  auto& classic = *(meta.classic_member_metadata = ConsumerGroup::Meta::ClassicMemberMetadata());
  classic.session_timeout_ms = request.session_timeout_ms;
  // Copied: the request's buffer does not live as long as the member.
  for (const auto& p : request.protocols) classic.supported_protocols.push_back({p.name, Slice(p.metadata.view()), {}});
  return meta;
}

}  // namespace

bool ConsumerGroup::is_classic(const std::string& member) const { return meta_of(member).classic_member_metadata.has_value(); }

// Members of the classic protocol have to have a protocol in common, should the group be theirs alone again.
std::set<std::string> ConsumerGroup::common_protocols(const std::string& without) const {
  std::optional<std::set<std::string>> common;
  for (const auto& [id, member] : state_.members) {
    const auto& classic = meta_of(id).classic_member_metadata;
    if (!classic || id == without) continue;
    std::set<std::string> names;
    for (const auto& p : classic->supported_protocols)
      if (!common || common->contains(p.name)) names.insert(p.name);
    common = std::move(names);
  }
  return common.value_or(std::set<std::string>());
}

bool ConsumerGroup::has_classic(const std::string& besides) const {
  return std::any_of(state_.members.begin(), state_.members.end(), [&](const auto& m) { return m.first != besides && is_classic(m.first); });
}

void ConsumerGroup::join(const ClassicGroup::JoinCall& call, Effects& out) {
  const protocol::JoinGroupRequest& request = call.request;
  std::string id = request.member_id;
  const auto refused = [&](ErrorCode why) {
    protocol::JoinGroupResponse response;
    response.error_code = why;
    response.member_id = id;
    out.replies.push_back({call.token, std::move(response)});
  };
  const auto holder = request.group_instance_id ? instances_.find(*request.group_instance_id) : instances_.end();
  const bool has_place = holder != instances_.end() || state_.members.contains(id);
  if (!has_place && size() >= static_cast<size_t>(options_.consumer_size_max)) return refused(ErrorCode::kGroupMaxSizeReached);
  if (request.protocol_type != "consumer" || request.protocols.empty()) return refused(ErrorCode::kInconsistentGroupProtocol);
  if (has_classic(id)) {
    const std::set<std::string> common = common_protocols(id);
    if (std::none_of(request.protocols.begin(), request.protocols.end(), [&](const auto& p) { return common.contains(p.name); }))
      return refused(ErrorCode::kInconsistentGroupProtocol);
  }
  const auto subscription = parse_subscription(request.protocols[0].metadata.view());
  if (!subscription) return refused(ErrorCode::kInconsistentGroupProtocol);
  if (id.empty()) {
    const uint64_t high = call.random.next();
    const uint64_t low = call.random.next();
    id = Uuid{high, low}.text();
    // It is told its id first: a join whose answer got lost leaves no member behind (KIP-394).
    if (call.version >= 4 && !request.group_instance_id) return refused(ErrorCode::kMemberIdRequired);
  } else if (request.group_instance_id) {
    if (holder == instances_.end()) return refused(ErrorCode::kUnknownMemberId);
    if (holder->second != id) return refused(ErrorCode::kFencedInstanceId);
  }
  if (holder != instances_.end() && holder->second != id) replace(std::string(holder->second), id, out);

  const Meta old = meta_of(id);
  const Meta meta = group::meta_of(call, *subscription);
  const std::string expression = old.subscribed_topic_regex.value_or("");
  const bool resubscribed = meta.subscribed_topic_names != old.subscribed_topic_names || !expression.empty();
  if (meta != old || !state_.members.contains(id)) emit(MemberRecord{id_, id, meta}, out);
  drop_unused(expression, out);
  if (resubscribed || seen_version_ != topics_.version()) refresh(resubscribed, call.now, call.wall, out);
  assign_if_due(call.wall, out);
  // Who says nothing about what it owns is of an eager assignor, and has given up everything.
  PartitionSet owned;
  for (const auto& [name, partitions] : subscription->owned)
    if (const auto topic = topics_.find(name)) {
      auto& list = owned[topic->id];
      list = partitions;
      std::sort(list.begin(), list.end());
    }
  reconcile(id, owned, resubscribed, call.now, out);
  restart_session(id, call.now);
  rejoin_ends_[id] = call.now + Duration::from_ms(meta.rebalance_timeout_ms);

  protocol::JoinGroupResponse response;
  response.member_id = id;
  response.generation_id = current_of(id).member_epoch;
  response.protocol_type = "consumer";
  response.protocol_name = request.protocols[0].name;
  out.replies.push_back({call.token, std::move(response)});
}

ErrorCode ConsumerGroup::check_classic(const std::string& member, const std::optional<std::string>& instance, int32_t generation) const {
  if (instance) {
    const auto holder = instances_.find(*instance);
    if (holder == instances_.end()) return ErrorCode::kUnknownMemberId;
    if (holder->second != member) return ErrorCode::kFencedInstanceId;
  }
  if (!state_.members.contains(member) || !is_classic(member)) return ErrorCode::kUnknownMemberId;
  return generation == current_of(member).member_epoch ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
}

void ConsumerGroup::ask_to_rejoin(const std::string& member, Instant now) {
  rejoin_ends_.try_emplace(member, now + Duration::from_ms(meta_of(member).rebalance_timeout_ms));
}

void ConsumerGroup::sync(const Call& call, const protocol::SyncGroupRequest& request, Effects& out) {
  protocol::SyncGroupResponse response;
  const auto answer = [&](ErrorCode why) {
    response.error_code = why;
    out.replies.push_back({call.token, response});
  };
  const std::string& id = request.member_id;
  if (const ErrorCode why = check_classic(id, request.group_instance_id, request.generation_id); why != ErrorCode::kNone) return answer(why);
  const auto& protocols = meta_of(id).classic_member_metadata->supported_protocols;
  if (protocols.empty()) return answer(ErrorCode::kInconsistentGroupProtocol);
  const bool other_type = request.protocol_type && *request.protocol_type != "consumer";
  const bool other_name = request.protocol_name && *request.protocol_name != protocols[0].name;
  if (other_type || other_name) return answer(ErrorCode::kInconsistentGroupProtocol);
  const Current& current = current_of(id);
  if (current.member_epoch < target_epoch() && current.state != kUnrevoked) {
    ask_to_rejoin(id, call.now);
    return answer(ErrorCode::kRebalanceInProgress);
  }
  NamedPartitions given;
  for (const auto& topic : current.assigned_partitions)
    if (const auto found = topics_.find(topic.topic_id)) given[found->name] = topic.partitions;
  const auto subscription = parse_subscription(protocols[0].metadata.view());
  response.assignment = make_assignment(subscription ? subscription->version : int16_t{0}, given);
  response.protocol_type = "consumer";
  response.protocol_name = protocols[0].name;
  rejoin_ends_.erase(id);
  restart_session(id, call.now);
  answer(ErrorCode::kNone);
}

void ConsumerGroup::heartbeat(const Call& call, const protocol::HeartbeatRequest& request, Effects& out) {
  protocol::HeartbeatResponse response;
  const std::string& id = request.member_id;
  response.error_code = check_classic(id, request.group_instance_id, request.generation_id);
  if (response.error_code == ErrorCode::kNone) {
    restart_session(id, call.now);
    const Current& current = current_of(id);
    const bool may_go_on = current.state == kUnreleased && next_of(id, PartitionSet()).state == kStable;
    if (current.member_epoch < epoch() || current.state == kUnrevoked || may_go_on) {
      response.error_code = ErrorCode::kRebalanceInProgress;
      ask_to_rejoin(id, call.now);
    }
  }
  out.replies.push_back({call.token, response});
}

std::vector<ErrorCode> ConsumerGroup::leave(const Call& call, const std::vector<protocol::LeaveGroupRequest::Member>& members, Effects& out) {
  std::vector<ErrorCode> codes;
  std::vector<std::string> gone;
  for (const auto& going : members) {
    ErrorCode why = ErrorCode::kNone;
    std::string id = going.member_id;
    if (going.group_instance_id) {
      const auto holder = instances_.find(*going.group_instance_id);
      if (holder == instances_.end()) why = ErrorCode::kUnknownMemberId;
      // Without a member's id an administrator speaks: whoever holds the instance goes.
      else if (!id.empty() && holder->second != id) why = ErrorCode::kFencedInstanceId;
      else id = holder->second;
    } else if (!state_.members.contains(id) || !is_classic(id)) {
      why = ErrorCode::kUnknownMemberId;
    }
    if (why == ErrorCode::kNone && std::find(gone.begin(), gone.end(), id) != gone.end()) why = ErrorCode::kUnknownMemberId;
    if (why == ErrorCode::kNone) gone.push_back(id);
    codes.push_back(why);
  }
  if (!gone.empty()) remove_members(gone, call.wall, out);
  return codes;
}

void ConsumerGroup::adopt(const ConsumerState& state, Instant now, Effects& out) {
  CHECK(state_.empty(), "I-G5 a group is of one kind");
  for (Record& record : state.records(id_)) emit(std::move(record), out);
  for (const auto& [id, member] : state_.members) restart_session(id, now);
}

std::optional<protocol::GroupMetadataValue> ConsumerGroup::as_classic(WallTime wall) const {
  if (state_.members.empty() || size() > static_cast<size_t>(options_.size_max)) return std::nullopt;
  // Asked after every heartbeat: of most groups, the first member says no.
  if (std::any_of(state_.members.begin(), state_.members.end(), [&](const auto& m) { return !is_classic(m.first); })) return std::nullopt;
  protocol::GroupMetadataValue value;
  value.protocol_type = "consumer";
  value.generation = epoch();
  value.current_state_timestamp = wall.ms;
  // Of a generation that nobody leads yet: whoever reads it has the members join again.
  value.leader.reset();
  const std::set<std::string> common = common_protocols("");
  for (const auto& [id, member] : state_.members) {
    const Meta& meta = meta_of(id);
    if (common.empty()) return std::nullopt;
    value.protocol = *common.begin();
    auto& m = value.members.emplace_back();
    m.member_id = id;
    m.group_instance_id = meta.instance_id;
    m.client_id = meta.client_id;
    m.client_host = meta.client_host;
    m.rebalance_timeout = meta.rebalance_timeout_ms;
    m.session_timeout = meta.classic_member_metadata->session_timeout_ms;
    for (const auto& p : meta.classic_member_metadata->supported_protocols)
      if (p.name == *common.begin()) m.subscription = p.metadata;
    NamedPartitions given;
    for (const auto& topic : member.target ? member.target->topic_partitions : std::vector<protocol::AssignedTopic>())
      if (const auto found = topics_.find(topic.topic_id)) given[found->name] = topic.partitions;
    m.assignment = make_assignment(0, given);
  }
  return value;
}

}  // namespace taffrail::group
