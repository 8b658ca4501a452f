#include "client/fetch_session.h"

#include <utility>
#include <vector>

namespace taffrail::client {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

constexpr int16_t kSessionsFrom = 7;
constexpr int16_t kByIdFrom = 13;

}  // namespace

FetchSession::Key FetchSession::key_of(const std::string& topic, const TopicId& id, int32_t partition) const {
  return version_ >= kByIdFrom ? Key{{}, id, partition} : Key{topic, {}, partition};
}

void FetchSession::shorten(FetchRequest& request, int16_t version) {
  if (version < kSessionsFrom) {
    *this = {};
    return;
  }
  // A session is by name or by id, to its end. And what an older version could not say would stay unsaid.
  if (std::exchange(version_, version) != version) next_ = 0;
  request.session_id = id_;
  request.session_epoch = asked_ = std::exchange(next_, 0);
  if (asked_ == 0) told_.clear();
  ++request_;
  for (auto& topic : request.topics)
    std::erase_if(topic.partitions, [&](const FetchRequest::Partition& partition) {
      const auto [place, fresh] = told_.try_emplace(key_of(topic.topic, topic.topic_id, partition.partition));
      Told& told = place->second;
      told.request = request_;
      if (!fresh && told.id == topic.topic_id && told.asked == partition) return true;
      told.id = topic.topic_id;
      told.asked = partition;
      return false;
    });
  std::erase_if(request.topics, [](const auto& topic) { return topic.partitions.empty(); });
  // By name a topic that was made again is named anew only: Kafka would forget last what it was just told. By id it is
  // another one.
  std::erase_if(told_, [&](const auto& entry) {
    if (entry.second.request == request_) return false;
    const auto& [name, id, partition] = entry.first;
    auto& forgotten = request.forgotten_topics_data;
    if (forgotten.empty() || forgotten.back().topic != name || forgotten.back().topic_id != id)
      forgotten.push_back({name, id, {}, {}});
    forgotten.back().partitions.push_back(partition);
    return true;
  });
}

void FetchSession::hear(const FetchResponse& answer) {
  if (answer.error_code != ErrorCode::kNone) {
    if (answer.error_code == ErrorCode::kFetchSessionIdNotFound) id_ = 0;
    return;
  }
  bool fits = asked_ == 0 || answer.session_id == id_;
  size_t named = 0;
  for (const auto& topic : answer.responses)
    for (const auto& partition : topic.partitions) {
      const auto told = told_.find(key_of(topic.topic, topic.topic_id, partition.partition_index));
      if (told == told_.end()) {
        fits = false;
        continue;
      }
      ++named;
      told->second.high_watermark = partition.error_code == ErrorCode::kNone ? partition.high_watermark : kNoOffset;
    }
  // One that opens with less than was asked for, or tells of what was not, cannot be relied on for what it leaves out.
  if (asked_ == 0 && named != told_.size()) fits = false;
  id_ = answer.session_id;
  if (fits && id_ != 0) next_ = epoch_after(asked_);
}

Offset FetchSession::high_watermark(const std::string& topic, const TopicId& id, int32_t partition) const {
  const auto told = told_.find(key_of(topic, id, partition));
  return told == told_.end() ? kNoOffset : told->second.high_watermark;
}

}  // namespace taffrail::client
