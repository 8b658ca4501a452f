// What the members of a consumer group are to have, and each one's next step towards it.
#include <algorithm>

#include "group/consumer_group.h"
#include "group/metadata_hash.h"
#include "group/regex.h"

namespace taffrail::group {

std::set<std::string> ConsumerGroup::names_of(const Meta& meta) const {
  std::set<std::string> names(meta.subscribed_topic_names.begin(), meta.subscribed_topic_names.end());
  if (const auto it = state_.regexes.find(meta.subscribed_topic_regex.value_or("")); it != state_.regexes.end())
    names.insert(it->second.topics.begin(), it->second.topics.end());
  return names;
}

std::set<TopicId> ConsumerGroup::topics_of(const Meta& meta) const {
  std::set<TopicId> out;
  for (const std::string& name : names_of(meta))
    if (const auto topic = topics_.find(name)) out.insert(topic->id);
  return out;
}

std::set<std::string> ConsumerGroup::subscribed_topics() const {
  std::set<std::string> out;
  for (const auto& [id, member] : state_.members) out.merge(names_of(meta_of(id)));
  return out;
}

bool ConsumerGroup::is_used(const std::string& expression) const {
  return std::any_of(state_.members.begin(), state_.members.end(),
                     [&](const auto& m) { return m.second.meta && m.second.meta->subscribed_topic_regex == expression; });
}

void ConsumerGroup::drop_unused(const std::string& expression, Effects& out) {
  if (state_.regexes.contains(expression) && !is_used(expression)) emit(RegexRecord{id_, expression, {}}, out);
}

// False if nothing is new.
bool ConsumerGroup::resolve(const std::string& expression, WallTime wall, Effects& out) {
  if (expression.empty()) return false;
  const auto it = state_.regexes.find(expression);
  auto topics = matching(expression, topics_.names()).value_or(std::vector<std::string>());
  if (it != state_.regexes.end() && it->second.topics == topics) return false;
  emit(RegexRecord{id_, expression, protocol::ConsumerGroupRegularExpressionValue{std::move(topics), topics_.version(), wall.ms, {}}}, out);
  return true;
}

// The group's epoch tells everything that an assignment is made of: members, what they read, and what that looks like.
void ConsumerGroup::refresh(bool bump, Instant now, WallTime wall, Effects& out) {
  const bool look = matched_version_ < 0 || (matched_version_ != topics_.version() && now >= matched_ + options_.consumer_regex_interval);
  if (look) {
    std::vector<std::string> expressions;
    for (const auto& [expression, found] : state_.regexes) expressions.push_back(expression);
    for (const std::string& expression : expressions) bump = resolve(expression, wall, out) || bump;
    matched_version_ = topics_.version();
    matched_ = now;
  }
  // Topics that are new to an expression are looked for again when that is due.
  if (state_.regexes.empty() || matched_version_ == topics_.version()) seen_version_ = topics_.version();
  const int64_t hash = metadata_hash(subscribed_topics(), topics_);
  if (state_.epoch && !bump && state_.epoch->metadata_hash == hash) return;
  // The first epoch is 1, before anybody reads anything.
  const bool first = !state_.epoch && !bump && hash == 0;
  emit(EpochRecord{id_, protocol::ConsumerGroupMetadataValue{first ? 1 : epoch() + 1, hash, {}}}, out);
}

std::string_view ConsumerGroup::preferred_assignor() const {
  std::map<std::string_view, size_t> votes;
  for (const auto& [id, member] : state_.members)
    if (const auto& wants = meta_of(id).server_assignor) ++votes[*wants];
  std::string_view best = kAssignors[0];
  size_t most = 0;
  for (const std::string_view assignor : kAssignors) {
    const auto it = votes.find(assignor);
    if (it == votes.end() || it->second <= most) continue;
    best = assignor;
    most = it->second;
  }
  return best;
}

void ConsumerGroup::assign_if_due(WallTime wall, Effects& out) {
  if (target_epoch() >= epoch()) return;
  // Members that come one after the other are to cost one assignment, not one each.
  const int64_t last = state_.target_epoch ? state_.target_epoch->assignment_timestamp : 0;
  const int64_t since = wall.ms - last;
  if (last != 0 && since >= 0 && since < topics_.settings_of(id_).assignment_interval.value_or(options_.consumer_assignment_interval).ms()) return;

  // Most members read the same: each subscription is looked up once.
  std::map<std::pair<std::vector<std::string>, std::string>, std::set<TopicId>> subscriptions;
  AssignorMembers members;
  AssignorTopics topics;
  for (const auto& [id, member] : state_.members) {
    const Meta& meta = meta_of(id);
    const auto [it, fresh] = subscriptions.try_emplace({meta.subscribed_topic_names, meta.subscribed_topic_regex.value_or("")});
    if (fresh) it->second = topics_of(meta);
    members[id] = {meta.instance_id, &it->second, member.target ? set_of(member.target->topic_partitions) : PartitionSet()};
  }
  for (const auto& [key, read] : subscriptions)
    for (const TopicId& topic : read)
      if (const auto found = topics_.find(topic)) topics[topic] = found->partitions;
  for (auto& [id, set] : assign(preferred_assignor(), members, topics)) {
    const auto& target = state_.members.at(id).target;
    if (!target || set_of(target->topic_partitions) != set)
      emit(TargetRecord{id_, id, protocol::ConsumerGroupTargetAssignmentMemberValue{list_of(set), {}}}, out);
  }
  emit(TargetEpochRecord{id_, protocol::ConsumerGroupTargetAssignmentMetadataValue{epoch(), wall.ms, {}}}, out);
}

namespace {

/// Whether a member may still have some of these; who does not say may.
bool may_own(const std::optional<PartitionSet>& owned, const Held& some) {
  if (!owned) return !some.empty();
  for (const auto& [topic, partitions] : some) {
    const auto it = owned->find(topic);
    if (it == owned->end()) continue;
    for (const auto& [partition, epoch] : partitions)
      if (std::binary_search(it->second.begin(), it->second.end(), partition)) return true;
  }
  return false;
}

}  // namespace

// Towards the target: what it has to give up first, then what nobody else has any more.
ConsumerGroup::Current ConsumerGroup::next_of(const std::string& member, const std::optional<PartitionSet>& owned) const {
  const Current& old = current_of(member);
  const Held assigned = held_of(old.assigned_partitions, std::max(old.member_epoch, 0));
  const std::set<TopicId> reads = topics_of(meta_of(member));
  const auto& target = state_.members.at(member).target;
  Held wanted;
  for (const auto& topic : target ? target->topic_partitions : std::vector<protocol::AssignedTopic>())
    if (reads.contains(topic.topic_id))
      for (const int32_t partition : topic.partitions) wanted[topic.topic_id][partition] = target_epoch();

  Held keep, revoke;
  for (const auto& [topic, partitions] : assigned) {
    for (const auto& [partition, since] : partitions) {
      const auto it = wanted.find(topic);
      const bool stays = it != wanted.end() && it->second.contains(partition);
      (stays ? keep : revoke)[topic][partition] = since;
    }
  }
  Current next;
  next.previous_member_epoch = old.member_epoch;
  if (!revoke.empty() && may_own(owned, revoke)) {
    next.member_epoch = old.member_epoch;
    next.state = kUnrevoked;
    next.assigned_partitions = list_of(keep);
    next.partitions_pending_revocation = list_of(revoke);
    return next;
  }
  bool unreleased = false;
  for (const auto& [topic, partitions] : wanted) {
    for (const auto& [partition, since] : partitions) {
      if (const auto it = keep.find(topic); it != keep.end() && it->second.contains(partition)) continue;
      const std::string* holder = holder_of(topic, partition);
      if (holder != nullptr && *holder != member) unreleased = true;
      else keep[topic][partition] = since;
    }
  }
  next.member_epoch = target_epoch();
  next.state = unreleased ? kUnreleased : kStable;
  next.assigned_partitions = list_of(keep);
  return next;
}

// The target is still that of an older subscription: only what the member does not read any more goes.
ConsumerGroup::Current ConsumerGroup::without_unsubscribed(const std::string& member, const std::optional<PartitionSet>& owned) const {
  Current next = current_of(member);
  const std::set<TopicId> reads = topics_of(meta_of(member));
  Held keep = held_of(next.assigned_partitions, std::max(next.member_epoch, 0));
  Held revoke;
  std::erase_if(keep, [&](const auto& topic) {
    if (reads.contains(topic.first)) return false;
    revoke.insert(topic);
    return true;
  });
  if (revoke.empty()) return next;
  next.previous_member_epoch = next.member_epoch;
  next.assigned_partitions = list_of(keep);
  if (!may_own(owned, revoke)) return next;
  next.state = kUnrevoked;
  for (const auto& [topic, partitions] : held_of(next.partitions_pending_revocation, 0)) revoke[topic].insert(partitions.begin(), partitions.end());
  next.partitions_pending_revocation = list_of(revoke);
  return next;
}

void ConsumerGroup::reconcile(const std::string& member, const std::optional<PartitionSet>& owned, bool resubscribed, Instant now,
                              Effects& out) {
  const Current& old = current_of(member);
  const bool at_target = old.state == kStable && old.member_epoch == target_epoch();
  const bool revoking = old.state == kUnrevoked && may_own(owned, held_of(old.partitions_pending_revocation, 0));
  if ((at_target || revoking) && !resubscribed) return;
  Current next = at_target || revoking ? without_unsubscribed(member, owned) : next_of(member, owned);
  if (next == old && state_.members.at(member).current) return;
  emit(CurrentRecord{id_, member, next}, out);
  if (next.state == kUnrevoked)
    revocation_ends_[member] = {next.member_epoch, now + Duration::from_ms(meta_of(member).rebalance_timeout_ms)};
  else
    revocation_ends_.erase(member);
}

}  // namespace taffrail::group
