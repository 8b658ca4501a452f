#include "broker/fetch_sessions.h"

#include <algorithm>
#include <utility>

#include "base/plant.h"
#include "broker/handlers.h"

namespace taffrail {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

FetchSessions::Key FetchSessions::key_of(const auto& topic, int32_t partition, bool by_id) {
  return by_id ? Key{{}, topic.topic_id, partition} : Key{topic.topic, {}, partition};
}

FetchSessions::Turn FetchSessions::begin(FetchRequest& request, int16_t version, Instant now) {
  if (version < 7) return {};
  const int32_t id = std::exchange(request.session_id, 0);
  const int32_t epoch = std::exchange(request.session_epoch, -1);
  const bool by_id = version >= 13;
  if (epoch <= 0) {
    if (id != 0) end(id);
    return {ErrorCode::kNone, epoch == 0 ? open(request, by_id, now) : 0, false};
  }
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return {ErrorCode::kFetchSessionIdNotFound, 0, false};
  Session& session = it->second;
  if (epoch != session.epoch && !PLANT("N06")) return {ErrorCode::kInvalidFetchSessionEpoch, 0, false};
  if (session.by_id != by_id) return {ErrorCode::kFetchSessionTopicIdError, 0, false};
  session.epoch = epoch == INT32_MAX ? 1 : epoch + 1;
  session.used = now;
  for (const auto& topic : request.forgotten_topics_data)
    for (const int32_t partition : topic.partitions)
      if (const auto place = session.places.find(key_of(topic, partition, by_id)); place != session.places.end()) {
        session.members.erase(place->second);
        session.places.erase(place);
        --partition_count_;
      }
  request.forgotten_topics_data.clear();
  ask_for(session, request);
  // One that asks for nothing is over: the answer says so by its id.
  if (session.members.empty()) {
    end(id);
    return {};
  }
  request.topics.clear();
  for (const Member& member : session.members) {
    const auto& [name, topic_id, partition] = member.key;
    if (request.topics.empty() || request.topics.back().topic != name || request.topics.back().topic_id != topic_id)
      request.topics.push_back({name, topic_id, {}, {}});
    request.topics.back().partitions.push_back(member.asked);
    if (PLANT("P16")) request.topics.back().partitions.back().current_leader_epoch = -1;
  }
  return {ErrorCode::kNone, id, true};
}

void FetchSessions::ask_for(Session& session, const FetchRequest& request) {
  for (const auto& topic : request.topics)
    for (const auto& partition : topic.partitions) {
      const Key key = key_of(topic, partition.partition, session.by_id);
      const auto [place, fresh] = session.places.try_emplace(key);
      if (fresh) {
        place->second = session.members.insert(session.members.end(), {key, {}, Offset(-1), Offset(-1)});
        ++partition_count_;
      }
      place->second->asked = partition;
    }
}

int32_t FetchSessions::open(const FetchRequest& request, bool by_id, Instant now) {
  size_t partitions = 0;
  for (const auto& topic : request.topics) partitions += topic.partitions.size();
  if (partitions == 0 || partition_count_ + partitions > limits_.partitions || !make_room(now)) return 0;
  int32_t id = 0;
  while (id == 0 || sessions_.contains(id)) id = static_cast<int32_t>(random_.below(INT32_MAX));
  Session& session = sessions_[id];
  session.epoch = 1;
  session.by_id = by_id;
  session.used = now;
  ask_for(session, request);
  return id;
}

bool FetchSessions::make_room(Instant now) {
  if (sessions_.size() < limits_.sessions) return true;
  const auto oldest = std::min_element(sessions_.begin(), sessions_.end(),
                                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  if (oldest == sessions_.end() || now - oldest->second.used < limits_.idle) return false;
  end(oldest->first);
  return true;
}

void FetchSessions::end(int32_t id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  partition_count_ -= it->second.places.size();
  sessions_.erase(it);
}

void FetchSessions::finish(const Turn& turn, FetchResponse& answer) {
  const auto it = sessions_.find(turn.session);
  if (it == sessions_.end()) return;  // It went while this was under way; without an id the client opens another.
  Session& session = it->second;
  answer.session_id = turn.session;
  for (auto& topic : answer.responses)
    std::erase_if(topic.partitions, [&](const FetchResponse::Partition& partition) {
      const auto place = session.places.find(key_of(topic, partition.partition_index, session.by_id));
      if (place == session.places.end()) return false;
      Member& member = *place->second;
      const bool has_records = partition.records.size_bytes() > 0;
      const bool failed = partition.error_code != ErrorCode::kNone;
      const bool news = has_records || failed || member.told_high != partition.high_watermark ||
                        member.told_start != partition.log_start_offset || partition.preferred_read_replica != kNoBroker;
      // After an error the next answer says how it is, whatever was told before.
      member.told_high = failed ? Offset(-1) : partition.high_watermark;
      member.told_start = partition.log_start_offset;
      if (has_records && !PLANT("T60")) session.members.splice(session.members.end(), session.members, place->second);
      return turn.incremental && !news;
    });
  if (turn.incremental) std::erase_if(answer.responses, [](const auto& topic) { return topic.partitions.empty(); });
}

namespace handlers {

Outcome<FetchResponse> fetch_in_session(const Request& request, FetchRequest message) {
  FetchSessions& sessions = request.broker.fetch_sessions();
  const FetchSessions::Turn turn = sessions.begin(message, request.version, request.broker.runtime().now());
  if (turn.refused != ErrorCode::kNone) {
    FetchResponse refused;
    refused.error_code = turn.refused;
    return refused;
  }
  Outcome<FetchResponse> outcome = fetch_on_shards(request, std::move(message));
  if (turn.session == 0) return outcome;
  if (auto* now = std::get_if<FetchResponse>(&outcome.value)) sessions.finish(turn, *now);
  auto* later = std::get_if<Outcome<FetchResponse>::Later>(&outcome.value);
  if (later == nullptr) return outcome;
  return Outcome<FetchResponse>::later([&sessions, turn, whole = std::move(*later)](Task& task) mutable {
    std::optional<FetchResponse> answer = whole(task);
    if (answer) sessions.finish(turn, *answer);
    return answer;
  });
}

}  // namespace handlers
}  // namespace taffrail
