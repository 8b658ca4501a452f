#include "client/group_offsets.h"

#include "protocol/offset_commit.h"

namespace taffrail::client {

using protocol::ErrorCode;

bool is_passing(Errc code) {
  return code == Errc::kUnavailable || code == Errc::kTimedOut || code == Errc::kClosed || code == Errc::kRefused ||
         code == Errc::kNotLeader || code == Errc::kCorrupt;
}

void take_committed(const protocol::OffsetFetchResponse& answer, CoordinatorLink& link, int64_t mark, GroupObserver& observer,
                    std::map<TopicPartition, Offset>& committed) {
  if (answer.groups.size() != 1) return;
  if (answer.groups[0].error_code != ErrorCode::kNone) {
    (void)link.moved(answer.groups[0].error_code);
    return;
  }
  for (const auto& topic : answer.groups[0].topics)
    for (const auto& p : topic.partitions) {
      if (p.error_code != ErrorCode::kNone) continue;
      committed[{topic.name, p.partition_index}] = p.committed_offset;
      observer.on_committed(mark, {topic.name, p.partition_index}, p.committed_offset);
    }
}

void assign_from(Consumer& consumer, const ConsumerOptions& options, const TopicPartition& at, Offset committed) {
  if (committed != kNoOffset) consumer.assign(at, StartAt::offset(committed));
  else consumer.assign(at, options.reset == ResetTo::kEnd ? StartAt::end() : StartAt::start());
}

Result<ErrorCode> store_offsets(Task& task, CoordinatorLink& link, const std::string& group, const GroupPlace& place,
                                const std::map<TopicPartition, Offset>& offsets, GroupObserver& observer, Instant deadline) {
  protocol::OffsetCommitRequest request;
  request.group_id = group;
  request.generation_id_or_member_epoch = place.generation;
  request.member_id = place.member;
  request.group_instance_id = place.instance;
  for (const auto& [at, offset] : offsets) {
    if (request.topics.empty() || request.topics.back().name != at.topic) request.topics.emplace_back().name = at.topic;
    auto& p = request.topics.back().partitions.emplace_back();
    p.partition_index = at.partition;
    p.committed_offset = offset;
  }
  const int64_t asked = observer.mark();
  const auto answer = link.ask(task, request, deadline, 9);
  if (!answer) {
    for (const auto& [at, offset] : offsets) observer.on_commit(asked, place, at, offset, std::nullopt);
    return std::unexpected(answer.error());
  }
  ErrorCode worst = ErrorCode::kNone;
  for (const auto& topic : answer->topics)
    for (const auto& p : topic.partitions) {
      const TopicPartition at{topic.name, p.partition_index};
      const auto asked_of = offsets.find(at);
      if (asked_of != offsets.end()) observer.on_commit(asked, place, at, asked_of->second, p.error_code);
      if (p.error_code != ErrorCode::kNone) worst = p.error_code;
    }
  return worst;
}

}  // namespace taffrail::client
