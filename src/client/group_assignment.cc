#include "client/group_assignment.h"

#include <algorithm>
#include <tuple>

namespace taffrail::client {
namespace {

void put_text(ByteWriter& out, const std::string& text) {
  out.i16(static_cast<int16_t>(text.size()));
  out.bytes(as_bytes(text));
}

std::string take_text(ByteReader& in) {
  const int16_t size = in.i16();
  return size < 0 ? std::string() : std::string(as_text(in.bytes(static_cast<size_t>(size))));
}

}  // namespace

Slice encode_subscription(const std::vector<std::string>& topics) {
  ByteWriter out;
  out.i16(0);
  out.i32(static_cast<int32_t>(topics.size()));
  for (const std::string& topic : topics) put_text(out, topic);
  out.i32(-1);  // User data.
  return Slice(out.view());
}

Result<std::vector<std::string>> decode_subscription(ByteView bytes) {
  ByteReader in(bytes);
  (void)in.i16();
  std::vector<std::string> topics;
  for (int32_t left = in.i32(); left > 0 && in.ok(); --left) topics.push_back(take_text(in));
  if (!in.ok()) return fail(Errc::kCorrupt, "a subscription ends early");
  return topics;
}

Slice encode_assignment(const std::vector<TopicPartition>& partitions) {
  std::map<std::string, std::vector<int32_t>> by_topic;
  for (const TopicPartition& at : partitions) by_topic[at.topic].push_back(at.partition);
  ByteWriter out;
  out.i16(0);
  out.i32(static_cast<int32_t>(by_topic.size()));
  for (const auto& [topic, list] : by_topic) {
    put_text(out, topic);
    out.i32(static_cast<int32_t>(list.size()));
    for (const int32_t p : list) out.i32(p);
  }
  out.i32(-1);
  return Slice(out.view());
}

Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes) {
  std::vector<TopicPartition> out;
  if (bytes.empty()) return out;
  ByteReader in(bytes);
  (void)in.i16();
  for (int32_t topics = in.i32(); topics > 0 && in.ok(); --topics) {
    const std::string topic = take_text(in);
    for (int32_t left = in.i32(); left > 0 && in.ok(); --left) out.push_back({topic, in.i32()});
  }
  if (!in.ok()) return fail(Errc::kCorrupt, "an assignment ends early");
  return out;
}

std::map<std::string, std::vector<TopicPartition>> assign_range(std::vector<GroupMemberView> members,
                                                                const std::map<std::string, int32_t>& partition_counts) {
  std::sort(members.begin(), members.end(), [](const GroupMemberView& a, const GroupMemberView& b) {
    return std::tuple(!a.instance, a.instance.value_or(a.id)) < std::tuple(!b.instance, b.instance.value_or(b.id));
  });
  std::map<std::string, std::vector<TopicPartition>> out;
  for (const GroupMemberView& member : members) out[member.id];
  for (const auto& [topic, count] : partition_counts) {
    std::vector<const GroupMemberView*> subscribers;
    for (const GroupMemberView& member : members)
      if (std::find(member.topics.begin(), member.topics.end(), topic) != member.topics.end()) subscribers.push_back(&member);
    if (subscribers.empty()) continue;
    const auto each = count / static_cast<int32_t>(subscribers.size());
    const auto more = count % static_cast<int32_t>(subscribers.size());
    int32_t next = 0;
    for (size_t i = 0; i < subscribers.size(); ++i)
      for (int32_t n = each + (static_cast<int32_t>(i) < more ? 1 : 0); n > 0; --n) out[subscribers[i]->id].push_back({topic, next++});
  }
  return out;
}

}  // namespace taffrail::client
