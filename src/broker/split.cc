// Requests whose partitions live on several shards: split by shard, answered there by the very same handlers, and
// joined again in the order of the question.
//
//   connection's shard          other shards
//     split ----- message ----->  handler, ordered part     (in the order of the connection's requests)
//     own part                    the rest in a fiber there: a guest
//     join <----- message ------  its answer
//
// A fetch is enough when any of its parts is: the first answer hurries the others. Bytes travel as they are: a slice
// is counted across shards, and a produced batch is written to only by the shard of its partition.
#include <algorithm>
#include <map>
#include <type_traits>

#include "base/plant.h"
#include "broker/guests.h"
#include "broker/handlers.h"
#include "broker/part.h"
#include "broker/shard.h"

namespace taffrail::handlers {
namespace {

using protocol::DeleteRecordsRequest;
using protocol::DeleteRecordsResponse;
using protocol::DescribeProducersRequest;
using protocol::DescribeProducersResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;
using protocol::OffsetForLeaderEpochRequest;
using protocol::OffsetForLeaderEpochResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

// Where the messages keep what they have in common.
auto& topics_of(ProduceRequest& m) { return m.topic_data; }
auto& topics_of(ProduceResponse& m) { return m.responses; }
auto& topics_of(FetchResponse& m) { return m.responses; }
auto& topics_of(auto& m) { return m.topics; }

auto& partitions_of(ProduceRequest::Topic& t) { return t.partition_data; }
auto& partitions_of(ProduceResponse::Topic& t) { return t.partition_responses; }
auto& partitions_of(DescribeProducersRequest::Topic& t) { return t.partition_indexes; }
auto& partitions_of(auto& topic) { return topic.partitions; }

int32_t index_of(const ProduceRequest::Partition& p) { return p.index; }
int32_t index_of(const FetchRequest::Partition& p) { return p.partition; }
int32_t index_of(const ListOffsetsRequest::Partition& p) { return p.partition_index; }
int32_t index_of(const OffsetForLeaderEpochRequest::Partition& p) { return p.partition; }
int32_t index_of(const DeleteRecordsRequest::Partition& p) { return p.partition_index; }
int32_t index_of(int32_t partition) { return partition; }

const std::string& name_of(const auto& topic) {
  if constexpr (requires { topic.name; }) return topic.name;
  else return topic.topic;
}
TopicId id_of(const auto& topic) {
  if constexpr (requires { topic.topic_id; }) return topic.topic_id;
  else return {};
}
template <class Message>
bool is_by_id(int16_t version) {
  return (std::is_same_v<Message, ProduceRequest> || std::is_same_v<Message, FetchRequest>) && version >= 13;
}
/// A topic of an answer, but for its partitions.
template <class Topic>
Topic head_of(const auto& asked) {
  Topic topic;
  if constexpr (requires { topic.name; }) topic.name = name_of(asked);
  else topic.topic = name_of(asked);
  if constexpr (requires { topic.topic_id; }) topic.topic_id = id_of(asked);
  return topic;
}

// What a partition that nobody knows gets is the same everywhere: here is nearest.
template <class Message>
ShardId home_of(const Request& request, const auto& topic, int32_t partition) {
  BrokerContext& broker = request.broker;
  const TopicRecord* record = resolve_topic(broker, name_of(topic), id_of(topic), is_by_id<Message>(request.version));
  const bool exists = record != nullptr && partition >= 0 && static_cast<size_t>(partition) < record->partitions.size();
  if (!exists) return broker.runtime().shard();
  return shard_of({record->id, partition}, broker.runtime().shape());
}

/// Where a partition of a part stood in the question.
struct Place {
  size_t topic = 0;
  size_t partition = 0;
};
template <class Message>
struct Part {
  Message message;
  std::vector<Place> places;
  std::optional<size_t> last_topic;
};

template <class Message>
std::map<ShardId, Part<Message>> split(const Request& request, Message& message, typename Message::Response& skeleton) {
  using Topic = std::remove_cvref_t<decltype(topics_of(skeleton)[0])>;
  auto topics = std::move(topics_of(message));
  topics_of(message).clear();
  std::map<ShardId, Part<Message>> parts;
  for (size_t t = 0; t < topics.size(); ++t) {
    auto partitions = std::move(partitions_of(topics[t]));
    partitions_of(topics[t]).clear();
    topics_of(skeleton).push_back(head_of<Topic>(topics[t]));
    partitions_of(topics_of(skeleton).back()).resize(partitions.size());
    for (size_t p = 0; p < partitions.size(); ++p) {
      const ShardId shard = home_of<Message>(request, topics[t], index_of(partitions[p]));
      auto [it, fresh] = parts.try_emplace(shard);
      Part<Message>& part = it->second;
      if (fresh) part.message = message;
      if (part.last_topic != t) topics_of(part.message).push_back(topics[t]);
      part.last_topic = t;
      partitions_of(topics_of(part.message).back()).push_back(std::move(partitions[p]));
      part.places.push_back({t, p});
    }
  }
  return parts;
}

template <class Response>
void join(Response&& part, const std::vector<Place>& places, Response& whole) {
  size_t next = 0;
  for (auto& topic : topics_of(part))
    for (auto& partition : partitions_of(topic)) {
      const Place& place = places[next++];
      partitions_of(topics_of(whole)[place.topic])[place.partition] = std::move(partition);
    }
  if constexpr (requires { whole.throttle_time_ms; }) whole.throttle_time_ms = std::max(whole.throttle_time_ms, part.throttle_time_ms);
  if constexpr (requires { whole.node_endpoints; })
    for (auto& node : part.node_endpoints) {
      const auto same = [&](const auto& other) { return other.node_id == node.node_id; };
      if (std::none_of(whole.node_endpoints.begin(), whole.node_endpoints.end(), same))
        whole.node_endpoints.push_back(std::move(node));
    }
}

/// All parts of one request. Lives on the connection's shard for as long as the request does: answers that come later
/// find nobody.
template <class Message>
struct Parts {
  using Response = typename Message::Response;
  struct Away {
    ShardId shard;
    GuestId guest;
    std::vector<Place> places;
    std::optional<PartAnswer<Response>> answer;
  };

  explicit Parts(BrokerContext& b) : broker(b) {}
  void arrive(size_t which, PartAnswer<Response> answer);
  void hurry_all();
  void cancel_all();

  BrokerContext& broker;
  Response whole;
  std::vector<Away> away;
  size_t missing = 0;
  bool hurried = false;
  WaitQueue arrived;
  Hurry own_hurry;
  std::vector<Place> own_places;
  typename Outcome<Response>::Later own_later;
  std::optional<PartAnswer<Response>> own;
  Door<Parts> door{*this};
};

template <class Message>
void Parts<Message>::arrive(size_t which, PartAnswer<Response> answer) {
  if (away[which].answer || (PLANT("N31") && hurried)) return;
  away[which].answer.emplace(std::move(answer));
  --missing;
  hurry_all();
  arrived.notify_all();
}

template <class Message>
void Parts<Message>::hurry_all() {
  if (!std::is_same_v<Message, FetchRequest> || std::exchange(hurried, true)) return;
  own_hurry.now();
  for (const Away& part : away)
    if (!part.answer)
      broker.shard(part.shard).post(broker.runtime(), [id = part.guest](BrokerShard& s) { s.guests().hurry(id); });
}

template <class Message>
void Parts<Message>::cancel_all() {
  for (const Away& part : away)
    if (!part.answer)
      broker.shard(part.shard).post(broker.runtime(), [id = part.guest](BrokerShard& s) { s.guests().cancel(id); });
}

template <class Message>
void send_part(Parts<Message>& parts, const Request& request, ShardId shard, Message message,
               std::vector<Place> places, Handler<Message> handler) {
  using Response = typename Message::Response;
  BrokerContext& broker = request.broker;
  const GuestId id{broker.runtime().shard(), broker.next_guest()};
  const size_t which = parts.away.size();
  parts.away.push_back({shard, id, std::move(places), {}});
  ++parts.missing;
  const auto reply = [to = parts.door.from(broker.runtime().shard()), which](Runtime& there, PartAnswer<Response> answer) {
    to.post(there, [which, answer = std::move(answer)](Parts<Message>& p) mutable { p.arrive(which, std::move(answer)); });
  };
  auto ask = [id, connection = request.connection, version = request.version, message = std::move(message), handler,
              reply](BrokerShard& s) mutable {
    answer_part<Message>(s, id, std::move(connection), version, std::move(message), handler, reply);
  };
  if (PLANT("N30") && id.second % 5 == 0) {  // By a detour, on which the next one may overtake it.
    const auto detour = [to = broker.shard(shard), &runtime = broker.runtime(), ask](BrokerShard&) { to.post(runtime, ask); };
    return broker.shard(broker.runtime().shard()).post(broker.runtime(), detour);
  }
  broker.shard(shard).post(broker.runtime(), std::move(ask));
}

/// The answer as it goes to the client; nothing if none is due.
template <class Message>
std::optional<typename Message::Response> join_all(Parts<Message>& parts, ConnectionInfo& connection) {
  std::string close_because;
  bool due = true;
  const auto take = [&](PartAnswer<typename Message::Response>& answer, const std::vector<Place>& places) {
    if (close_because.empty()) close_because = answer.close_because;
    connection.worked_elsewhere = connection.worked_elsewhere + answer.worked;
    if (!answer.response) due = false;
    else join(std::move(*answer.response), places, parts.whole);
  };
  if (parts.own) take(*parts.own, parts.own_places);
  for (auto& part : parts.away) take(*part.answer, part.places);
  if (!close_because.empty()) connection.close_because = close_because;
  if (!due) return std::nullopt;
  return std::move(parts.whole);
}

template <class Message>
Outcome<typename Message::Response> on_shards(const Request& request, Message message, Handler<Message> handler) {
  using Response = typename Message::Response;
  BrokerContext& broker = request.broker;
  const ShardId here = broker.runtime().shard();
  bool all_here = true;
  for (auto& topic : topics_of(message))
    for (auto& partition : partitions_of(topic)) all_here = all_here && home_of<Message>(request, topic, index_of(partition)) == here;
  if (all_here) return handler(request, std::move(message));

  auto parts = std::make_unique<Parts<Message>>(broker);
  std::map<ShardId, Part<Message>> by_shard = split(request, message, parts->whole);
  if constexpr (std::is_same_v<Message, FetchRequest>) {
    // With its share of the bytes for each: when all together have enough, then one of them has.
    const auto count = static_cast<int64_t>(by_shard.size());
    const auto share = [&](int64_t whole) { return static_cast<int32_t>((whole + count - 1) / count); };
    for (auto& [shard, part] : by_shard) {
      part.message.min_bytes = share(std::max(part.message.min_bytes, 0));
      part.message.max_bytes = share(std::clamp<int64_t>(part.message.max_bytes, 0, static_cast<int64_t>(kFetchAnswerMax)));
    }
  }
  for (auto& [shard, part] : by_shard)
    if (shard != here) send_part<Message>(*parts, request, shard, std::move(part.message), std::move(part.places), handler);
  if (const auto own = by_shard.find(here); own != by_shard.end()) {
    parts->own_places = std::move(own->second.places);
    Request mine = request;
    mine.hurry = &parts->own_hurry;
    Outcome<Response> outcome = handler(mine, std::move(own->second.message));
    if (!outcome.close_because.empty()) return outcome;
    if (auto* later = std::get_if<typename Outcome<Response>::Later>(&outcome.value)) {
      parts->own_later = std::move(*later);
    } else {
      parts->own.emplace();
      if (auto* now = std::get_if<Response>(&outcome.value)) parts->own->response = std::move(*now);
    }
  }
  return Outcome<Response>::later([parts = std::move(parts), &connection = request.connection](Task& task) -> std::optional<Response> {
    if (parts->own_later) {
      parts->own = PartAnswer<Response>{parts->own_later(task), {}, {}};
      parts->own_later = nullptr;
    }
    if (parts->own) parts->hurry_all();
    while (parts->missing > 0) {
      if (parts->arrived.wait(task)) continue;
      parts->cancel_all();
      return std::nullopt;
    }
    return join_all(*parts, connection);
  });
}

}  // namespace

Outcome<ProduceResponse> produce_on_shards(const Request& request, ProduceRequest message) {
  if (request.broker.runtime().shard_count() == 1) return produce(request, std::move(message));
  return on_shards<ProduceRequest>(request, std::move(message), produce);
}

Outcome<FetchResponse> fetch_on_shards(const Request& request, FetchRequest message) {
  if (request.broker.runtime().shard_count() == 1) return fetch(request, std::move(message));
  return on_shards<FetchRequest>(request, std::move(message), fetch);
}

Outcome<ListOffsetsResponse> list_offsets_on_shards(const Request& request, ListOffsetsRequest message) {
  if (request.broker.runtime().shard_count() == 1) return list_offsets(request, std::move(message));
  return on_shards<ListOffsetsRequest>(request, std::move(message), list_offsets);
}

Outcome<DeleteRecordsResponse> delete_records_on_shards(const Request& request, DeleteRecordsRequest message) {
  if (request.broker.runtime().shard_count() == 1) return delete_records(request, std::move(message));
  return on_shards<DeleteRecordsRequest>(request, std::move(message), delete_records);
}

Outcome<DescribeProducersResponse> describe_producers_on_shards(const Request& request, DescribeProducersRequest message) {
  drop_repeated(message.topics, [](const auto& topic) { return topic.name; });
  for (auto& topic : message.topics) drop_repeated(topic.partition_indexes, std::identity{});
  if (request.broker.runtime().shard_count() == 1) return describe_producers(request, std::move(message));
  return on_shards<DescribeProducersRequest>(request, std::move(message), describe_producers);
}

Outcome<OffsetForLeaderEpochResponse> offset_for_leader_epoch_on_shards(const Request& request, OffsetForLeaderEpochRequest message) {
  if (request.broker.runtime().shard_count() == 1) return offset_for_leader_epoch(request, message);
  constexpr auto kHandler = [](const Request& r, OffsetForLeaderEpochRequest m) { return offset_for_leader_epoch(r, m); };
  return on_shards<OffsetForLeaderEpochRequest>(request, std::move(message), kHandler);
}

}  // namespace taffrail::handlers
