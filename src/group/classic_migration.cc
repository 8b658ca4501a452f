// A classic group on its way to become a consumer group.
#include <algorithm>

#include "group/classic_group.h"
#include "group/consumer_protocol.h"

namespace taffrail::group {

void ClassicGroup::send_back(protocol::ErrorCode why, Effects& out) {
  for (auto& [id, member] : members_) drop_parked(member, id, why, out);
}

// All are where they are, in an epoch with the number of their generation: members of the classic protocol keep what they
// have until they are asked to join again.
std::optional<ConsumerState> ClassicGroup::as_consumers(const Topics& topics) const {
  if (protocol_type_ != "consumer") return std::nullopt;
  const int32_t epoch = std::max(generation_, 1);
  ConsumerState out;
  out.epoch = protocol::ConsumerGroupMetadataValue{epoch, 0, {}};
  out.target_epoch = protocol::ConsumerGroupTargetAssignmentMetadataValue{epoch, 0, {}};
  for (const auto& [id, member] : members_) {
    const Slice metadata = protocol_.empty() ? member.protocols.front().second : metadata_of(member);
    const auto subscription = parse_subscription(metadata.view());
    auto given = parse_assignment(member.assignment.view());
    if (!subscription || !given) return std::nullopt;
    // Between two assignments members of cooperative assignors have what they say they have.
    if (member.assignment.empty()) given = subscription->owned;
    PartitionSet partitions;
    for (auto& [name, list] : *given) {
      const auto topic = topics.find(name);
      if (!topic) continue;
      for (const int32_t p : list)
        if (p >= 0 && p < topic->partitions) partitions[topic->id].push_back(p);
    }
    auto& m = out.members[id];
    auto& meta = m.meta.emplace();
    meta.instance_id = member.instance;
    meta.rack_id = subscription->rack;
    meta.client_id = member.client_id;
    meta.client_host = member.client_host;
    const std::set<std::string> names(subscription->topics.begin(), subscription->topics.end());
    meta.subscribed_topic_names.assign(names.begin(), names.end());
    meta.subscribed_topic_regex.reset();
    meta.rebalance_timeout_ms = static_cast<int32_t>(member.rebalance_timeout.ms());
    meta.server_assignor.reset();
    auto& classic = *(meta.classic_member_metadata = protocol::ConsumerGroupMemberMetadataValue::ClassicMemberMetadata());
    classic.session_timeout_ms = static_cast<int32_t>(member.session_timeout.ms());
    for (const auto& [name, bytes] : member.protocols) classic.supported_protocols.push_back({name, bytes, {}});
    auto& target = m.target.emplace();
    auto& current = m.current.emplace();
    current.member_epoch = current.previous_member_epoch = epoch;
    for (auto& [topic, list] : partitions) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
      target.topic_partitions.push_back({topic, list, {}});
      current.assigned_partitions.push_back({topic, list, std::vector<int32_t>(list.size(), epoch), {}});
    }
  }
  return out;
}

}  // namespace taffrail::group
