// What members of both protocols ask of their coordinator about offsets.
#pragma once

#include <map>
#include <string>

#include "client/group_member.h"
#include "protocol/offset_fetch.h"

namespace taffrail::client {

/// A member that was told so by its coordinator, or on the way there, asks again.
bool is_passing(Errc code);

/// An OffsetFetch of what `group` has committed of `partitions`, which are ordered by topic.
template <class Partitions>
protocol::OffsetFetchRequest committed_question(const std::string& group, const Partitions& partitions) {
  protocol::OffsetFetchRequest request;
  auto& asked = request.groups.emplace_back();
  asked.group_id = group;
  asked.topics.emplace();
  for (const TopicPartition& at : partitions) {
    if (asked.topics->empty() || asked.topics->back().name != at.topic) asked.topics->emplace_back().name = at.topic;
    asked.topics->back().partition_indexes.push_back(at.partition);
  }
  request.require_stable = true;
  return request;
}
/// What the answer to it tells goes to `committed`; kNoOffset: nothing was. Of another coordinator `link` is told.
/// `mark`: of when it was asked.
void take_committed(const protocol::OffsetFetchResponse& answer, CoordinatorLink& link, int64_t mark, GroupObserver& observer,
                    std::map<TopicPartition, Offset>& committed);
/// Reads `at` from there on, or as the options say where nothing is committed.
void assign_from(Consumer& consumer, const ConsumerOptions& options, const TopicPartition& at, Offset committed);

/// Commits as `place`. The code of a partition that was not stored, or kNone. Errors: as CoordinatorLink::ask; then nobody
/// knows what was stored.
Result<protocol::ErrorCode> store_offsets(Task& task, CoordinatorLink& link, const std::string& group, const GroupPlace& place,
                                          const std::map<TopicPartition, Offset>& offsets, GroupObserver& observer, Instant deadline);

}  // namespace taffrail::client
