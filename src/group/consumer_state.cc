#include "group/consumer_state.h"

#include <algorithm>
#include <utility>

namespace taffrail::group {
namespace {

template <class R, class Values>
R record_of(const R& like, Values value) {
  R out = like;
  out.value = std::move(value);
  return out;
}

/// The place of a member's record.
template <class M>
auto& slot(M& m, const MemberRecord&) { return m.meta; }
template <class M>
auto& slot(M& m, const TargetRecord&) { return m.target; }
template <class M>
auto& slot(M& m, const CurrentRecord&) { return m.current; }

template <class R>
concept OfMember = std::same_as<R, MemberRecord> || std::same_as<R, TargetRecord> || std::same_as<R, CurrentRecord>;

}  // namespace

void ConsumerState::apply(const Record& record) {
  std::visit([this]<class R>(const R& r) {
    if constexpr (std::same_as<R, EpochRecord>) {
      epoch = r.value;
    } else if constexpr (std::same_as<R, TargetEpochRecord>) {
      target_epoch = r.value;
    } else if constexpr (std::same_as<R, RegexRecord>) {
      if (r.value) regexes[r.name] = *r.value;
      else regexes.erase(r.name);
    } else if constexpr (OfMember<R>) {
      if (!r.value && !members.contains(r.name)) return;
      Member& member = members[r.name];
      slot(member, r) = r.value;
      if (!member.meta && !member.target && !member.current) members.erase(r.name);
    }
  }, record);
}

Record ConsumerState::before(const Record& record) const {
  return std::visit([this]<class R>(const R& r) -> Record {
    if constexpr (std::same_as<R, EpochRecord>) {
      return record_of(r, epoch);
    } else if constexpr (std::same_as<R, TargetEpochRecord>) {
      return record_of(r, target_epoch);
    } else if constexpr (std::same_as<R, RegexRecord>) {
      const auto it = regexes.find(r.name);
      return record_of(r, it == regexes.end() ? decltype(r.value)() : decltype(r.value)(it->second));
    } else if constexpr (OfMember<R>) {
      const auto it = members.find(r.name);
      if (it == members.end()) return record_of(r, decltype(r.value)());
      return record_of(r, slot(it->second, r));
    } else {
      return r;
    }
  }, record);
}

std::vector<Record> ConsumerState::records(const std::string& group) const {
  std::vector<Record> out;
  if (epoch) out.push_back(EpochRecord{group, epoch});
  for (const auto& [id, member] : members)
    if (member.meta) out.push_back(MemberRecord{group, id, member.meta});
  for (const auto& [expression, value] : regexes) out.push_back(RegexRecord{group, expression, value});
  for (const auto& [id, member] : members)
    if (member.target) out.push_back(TargetRecord{group, id, member.target});
  if (target_epoch) out.push_back(TargetEpochRecord{group, target_epoch});
  for (const auto& [id, member] : members)
    if (member.current) out.push_back(CurrentRecord{group, id, member.current});
  return out;
}

std::vector<Record> ConsumerState::tombstones(const std::string& group) const {
  std::vector<Record> out;
  for (const auto& [id, member] : members)
    if (member.current) out.push_back(CurrentRecord{group, id, {}});
  for (const auto& [id, member] : members)
    if (member.target) out.push_back(TargetRecord{group, id, {}});
  if (target_epoch) out.push_back(TargetEpochRecord{group, {}});
  for (const auto& [id, member] : members)
    if (member.meta) out.push_back(MemberRecord{group, id, {}});
  for (const auto& [expression, value] : regexes) out.push_back(RegexRecord{group, expression, {}});
  if (epoch) out.push_back(EpochRecord{group, {}});
  return out;
}

PartitionSet set_of(const std::vector<protocol::AssignedTopic>& list) {
  PartitionSet out;
  for (const auto& topic : list) {
    if (topic.partitions.empty()) continue;
    auto& partitions = out[topic.topic_id];
    partitions.insert(partitions.end(), topic.partitions.begin(), topic.partitions.end());
    std::sort(partitions.begin(), partitions.end());
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  }
  return out;
}

std::vector<protocol::AssignedTopic> list_of(const PartitionSet& set) {
  std::vector<protocol::AssignedTopic> out;
  for (const auto& [topic, partitions] : set) out.push_back({topic, partitions, {}});
  return out;
}

Held held_of(const HeldList& list, int32_t unknown) {
  Held out;
  for (const auto& topic : list) {
    const bool known = topic.assignment_epochs && topic.assignment_epochs->size() == topic.partitions.size();
    for (size_t i = 0; i < topic.partitions.size(); ++i)
      out[topic.topic_id][topic.partitions[i]] = known ? (*topic.assignment_epochs)[i] : unknown;
  }
  return out;
}

HeldList list_of(const Held& held) {
  HeldList out;
  for (const auto& [topic, partitions] : held) {
    auto& to = out.emplace_back();
    to.topic_id = topic;
    to.assignment_epochs.emplace();
    for (const auto& [partition, epoch] : partitions) {
      to.partitions.push_back(partition);
      to.assignment_epochs->push_back(epoch);
    }
  }
  return out;
}

PartitionSet set_of(const Held& held) {
  PartitionSet out;
  for (const auto& [topic, partitions] : held)
    for (const auto& [partition, epoch] : partitions) out[topic].push_back(partition);
  return out;
}

}  // namespace taffrail::group
