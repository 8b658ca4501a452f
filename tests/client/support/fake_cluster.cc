#include "client/support/fake_cluster.h"

#include <gtest/gtest.h>

#include "broker/fetch_sessions.h"
#include "protocol/api_versions.h"
#include "protocol/create_topics.h"
#include "protocol/frame.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/produce.h"
#include "record/batch.h"
#include "record/records.h"

namespace taffrail::client::test {

using protocol::ApiKey;
using protocol::ErrorCode;

class FakeBroker final : public RequestHandler {
 public:
  FakeBroker(Runtime& runtime, FakeCluster& cluster, BrokerId id)
      : runtime_(runtime), cluster_(cluster), id_(id), server_(runtime, "PLAINTEXT", *this, {}) {
    runtime.spawn(scope_, "fake/start", [this](Task& task) {
      EXPECT_TRUE(server_.start(task, {"n" + std::to_string(id_.value), kPort}));
    });
  }

  Begun begin(Task&, ConnectionInfo&, Slice frame) override {
    const auto request = protocol::decode_request_header(frame);
    if (!request) return Begun::close("bad header");
    const ApiKey key = request->api->key;
    ++cluster_.asked[key];
    std::optional<Script> script;
    if (cluster_.script) script = cluster_.script(key);
    auto& queue = cluster_.next_[key];
    if (!script && !queue.empty()) {
      script = queue.front();
      queue.pop_front();
    }
    if (script && script->kind == Script::kDropFirst) return Begun::close("told so");
    const ErrorCode refusal = script && script->kind == Script::kRefuse ? script->error : ErrorCode::kNone;
    Begun done = act(key, *request, refusal);
    if (script && script->kind == Script::kActAndDrop) return Begun::close("told so");
    if (script && script->kind == Script::kNeverAnswer)
      return Begun::later([this](Task& task) {
        (void)runtime_.sleep_until(task, Instant::never());
        return Chain();
      });
    return done;
  }

 private:
  template <class Response>
  static Begun answer(const protocol::RequestFrame& request, const Response& response) {
    auto chain = protocol::encode_response(request.header.correlation_id, response,
                                           request.header.request_api_version);
    EXPECT_TRUE(chain) << chain.error().text();
    return Begun::now(std::move(chain->pieces));
  }
  template <class Request>
  static Request read(const protocol::RequestFrame& request) {
    auto body = protocol::decode<Request>(request.body, request.header.request_api_version);
    EXPECT_TRUE(body) << body.error().text();
    return *std::move(body);
  }

  Begun act(ApiKey key, const protocol::RequestFrame& request, ErrorCode refusal) {
    switch (key) {
      case ApiKey::kApiVersions: return versions(request);
      case ApiKey::kMetadata: return metadata(request);
      case ApiKey::kInitProducerId: return init_producer_id(request, refusal);
      case ApiKey::kProduce: return produce(request, refusal);
      case ApiKey::kFetch: return fetch(request, refusal);
      case ApiKey::kListOffsets: return list_offsets(request, refusal);
      case ApiKey::kOffsetForLeaderEpoch: return epoch_end(request, refusal);
      case ApiKey::kCreateTopics: return create_topics(request, refusal);
      default: return Begun::close("not served");
    }
  }

  Begun versions(const protocol::RequestFrame& request) {
    protocol::ApiVersionsResponse response;
    for (const ApiKey key : {ApiKey::kProduce, ApiKey::kFetch, ApiKey::kListOffsets, ApiKey::kMetadata,
                             ApiKey::kApiVersions, ApiKey::kInitProducerId, ApiKey::kOffsetForLeaderEpoch,
                             ApiKey::kCreateTopics}) {
      const auto limit = cluster_.version_max.find(key);
      const auto& advertised = protocol::api_of(key).advertised;
      auto& range = response.api_keys.emplace_back();
      range.api_key = static_cast<int16_t>(key);
      range.min_version = advertised.min;
      range.max_version = limit == cluster_.version_max.end() ? advertised.max : limit->second;
      if (key == ApiKey::kApiVersions && request.header.request_api_version > range.max_version)
        response.error_code = ErrorCode::kUnsupportedVersion;
    }
    if (response.error_code == ErrorCode::kNone) return answer(request, response);
    auto chain = protocol::encode_response(request.header.correlation_id, response, int16_t{0});
    return Begun::now(std::move(chain->pieces));
  }

  Begun metadata(const protocol::RequestFrame& request) {
    const auto asked = read<protocol::MetadataRequest>(request);
    protocol::MetadataResponse response;
    for (uint32_t i = 1; i <= cluster_.brokers_; ++i) {
      auto& b = response.brokers.emplace_back();
      b.node_id = BrokerId(static_cast<int32_t>(i));
      b.host = "n" + std::to_string(i);
      b.port = kPort;
    }
    response.cluster_id = "fake";
    response.controller_id = BrokerId(1);
    std::vector<std::string> names;
    if (asked.topics) for (const auto& t : *asked.topics) names.push_back(t.name.value_or(""));
    else for (const auto& [name, topic_id] : cluster_.ids_) names.push_back(name);
    for (const std::string& name : names) {
      auto& topic = response.topics.emplace_back();
      topic.name = name;
      if (!cluster_.ids_.contains(name)) {
        topic.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      topic.topic_id = cluster_.ids_.at(name);
      for (const auto& [at, log] : cluster_.logs_) {
        if (at.topic != name) continue;
        auto& p = topic.partitions.emplace_back();
        p.partition_index = at.partition;
        p.leader_id = log.leader;
        p.leader_epoch = log.epoch;
        p.replica_nodes = p.isr_nodes = {log.leader};
      }
    }
    return answer(request, response);
  }

  Begun init_producer_id(const protocol::RequestFrame& request, ErrorCode refusal) {
    protocol::InitProducerIdResponse response;
    response.error_code = refusal;
    response.producer_id = ProducerId(cluster_.next_producer_id_++);
    response.producer_epoch = ProducerEpoch(0);
    return answer(request, response);
  }

  FakeCluster::Log* find(const std::string& name, const TopicId& id, int32_t partition) {
    for (auto& [at, log] : cluster_.logs_)
      if (at.partition == partition && (id.is_zero() ? at.topic == name : cluster_.ids_.at(at.topic) == id))
        return &log;
    return nullptr;
  }

  // The broker's side of idempotence, as kafka-behaviour has it.
  ErrorCode take(FakeCluster::Log& log, const BatchView& batch, const Slice& bytes, Offset& at) {
    if (!batch.check_crc()) return ErrorCode::kCorruptMessage;
    if (!batch.has_producer()) {
      at = log.next;
      cluster_.append(log, bytes);
      return ErrorCode::kNone;
    }
    auto& producer = log.producers[batch.producer_id()];
    if (batch.producer_epoch() < producer.epoch) return ErrorCode::kInvalidProducerEpoch;
    const bool fresh = producer.epoch == ProducerEpoch(-1);
    if (batch.producer_epoch() > producer.epoch) {
      if (!fresh && batch.base_sequence() != Sequence(0)) return ErrorCode::kOutOfOrderSequenceNumber;
      producer.epoch = batch.producer_epoch();
      producer.taken.clear();
    }
    for (const auto& taken : producer.taken) {
      if (taken.first != batch.base_sequence()) continue;
      at = taken.at;
      return ErrorCode::kNone;
    }
    const Sequence wanted = producer.taken.empty() ? batch.base_sequence() : producer.taken.back().next;
    if (batch.base_sequence() != wanted) return ErrorCode::kOutOfOrderSequenceNumber;
    at = log.next;
    producer.taken.push_back({wanted, increment(wanted, batch.record_count()), at});
    if (producer.taken.size() > 5) producer.taken.pop_front();
    cluster_.append(log, bytes);
    return ErrorCode::kNone;
  }

  Begun produce(const protocol::RequestFrame& request, ErrorCode refusal) {
    const auto asked = read<protocol::ProduceRequest>(request);
    protocol::ProduceResponse response;
    for (const auto& t : asked.topic_data) {
      auto& topic = response.responses.emplace_back();
      topic.name = t.name;
      topic.topic_id = t.topic_id;
      for (const auto& p : t.partition_data) {
        auto& part = topic.partition_responses.emplace_back();
        part.index = p.index;
        part.error_code = refusal;
        if (refusal != ErrorCode::kNone) continue;
        FakeCluster::Log* log = find(t.name, t.topic_id, p.index);
        if (log == nullptr) part.error_code = ErrorCode::kUnknownTopicOrPartition;
        else if (log->leader != id_) part.error_code = ErrorCode::kNotLeaderOrFollower;
        else part.error_code = take(*log, *BatchView::parse(p.records.flat()), p.records.flat(), part.base_offset);
      }
    }
    return asked.acks == 0 ? Begun::nothing() : answer(request, response);
  }

  Begun fetch(const protocol::RequestFrame& request, ErrorCode refusal) {
    auto asked = read<protocol::FetchRequest>(request);
    cluster_.fetches.push_back({id_, request.header.request_api_version, asked});
    if (asked.session_epoch == 0 && cluster_.without_session > 0) {
      --cluster_.without_session;
      asked.session_epoch = -1;
    }
    if (!sessions_ || std::exchange(lost_sessions_, cluster_.lost_sessions_) != cluster_.lost_sessions_)
      sessions_ = std::make_unique<FetchSessions>(runtime_.random(), FetchSessions::Limits{});
    protocol::FetchResponse response;
    const auto turn = sessions_->begin(asked, request.header.request_api_version, runtime_.now());
    response.error_code = turn.refused;
    if (turn.refused != ErrorCode::kNone) return answer(request, response);
    bool any = false;
    for (const auto& t : asked.topics) {
      auto& topic = response.responses.emplace_back();
      topic.topic = t.topic;
      topic.topic_id = t.topic_id;
      for (const auto& p : t.partitions) {
        FakeCluster::Log* log = find(t.topic, t.topic_id, p.partition);
        if (cluster_.left_out && log == &cluster_.logs_[*cluster_.left_out]) continue;
        auto& part = topic.partitions.emplace_back();
        part.partition_index = p.partition;
        part.error_code = refusal != ErrorCode::kNone ? refusal : check(log, p.current_leader_epoch);
        if (log != nullptr) part.high_watermark = part.last_stable_offset = log->next;
        if (log != nullptr) part.log_start_offset = log->start;
        if (part.error_code == ErrorCode::kNone && (p.fetch_offset < log->start || p.fetch_offset > log->next))
          part.error_code = ErrorCode::kOffsetOutOfRange;
        any = any || part.error_code != ErrorCode::kNone;
        if (part.error_code != ErrorCode::kNone) continue;
        if (asked.isolation_level == protocol::IsolationLevel::kReadCommitted)
          part.aborted_transactions = log->aborted;
        size_t bytes = 0;
        for (const Slice& batch : log->batches) {
          const auto view = BatchView::parse(batch);
          if (view->next_offset() <= p.fetch_offset) continue;
          if (bytes > 0 && bytes + batch.size() > static_cast<size_t>(p.partition_max_bytes)) break;
          part.records.add(batch);
          bytes += batch.size();
        }
        any = any || bytes > 0;
      }
    }
    sessions_->finish(turn, response);
    if (any) return answer(request, response);
    // An honest long poll, without looking again: the client asks once more.
    auto held = std::make_shared<Begun>(answer(request, response));
    return Begun::later([this, held, wait = asked.max_wait_ms](Task& task) {
      (void)runtime_.sleep_for(task, Duration::from_ms(wait));
      return *std::move(held->answer);
    });
  }

  ErrorCode check(const FakeCluster::Log* log, int32_t epoch) const {
    if (log == nullptr) return ErrorCode::kUnknownTopicOrPartition;
    if (log->leader != id_) return ErrorCode::kNotLeaderOrFollower;
    if (epoch >= 0 && epoch < log->epoch) return ErrorCode::kFencedLeaderEpoch;
    if (epoch > log->epoch) return ErrorCode::kUnknownLeaderEpoch;
    return ErrorCode::kNone;
  }

  Begun list_offsets(const protocol::RequestFrame& request, ErrorCode refusal) {
    const auto asked = read<protocol::ListOffsetsRequest>(request);
    protocol::ListOffsetsResponse response;
    for (const auto& t : asked.topics) {
      auto& topic = response.topics.emplace_back();
      topic.name = t.name;
      for (const auto& p : t.partitions) {
        auto& part = topic.partitions.emplace_back();
        part.partition_index = p.partition_index;
        const FakeCluster::Log* log = find(t.name, {}, p.partition_index);
        part.error_code = refusal != ErrorCode::kNone ? refusal : check(log, p.current_leader_epoch);
        if (part.error_code != ErrorCode::kNone) continue;
        if (p.timestamp == protocol::ListOffsetsTimestamp::kEarliest) part.offset = log->start;
        if (p.timestamp == protocol::ListOffsetsTimestamp::kLatest) part.offset = log->next;
        if (p.timestamp < 0) continue;
        for (const Slice& batch : log->batches) {
          const auto found = find_by_timestamp(*BatchView::parse(batch), p.timestamp, Offset(0));
          if (part.offset != kNoOffset || !found || !*found) continue;
          part.offset = (*found)->offset;
          part.timestamp = (*found)->timestamp;
        }
      }
    }
    return answer(request, response);
  }

  Begun epoch_end(const protocol::RequestFrame& request, ErrorCode refusal) {
    const auto asked = read<protocol::OffsetForLeaderEpochRequest>(request);
    protocol::OffsetForLeaderEpochResponse response;
    for (const auto& t : asked.topics) {
      auto& topic = response.topics.emplace_back();
      topic.topic = t.topic;
      for (const auto& p : t.partitions) {
        auto& part = topic.partitions.emplace_back();
        part.partition = p.partition;
        const FakeCluster::Log* log = find(t.topic, {}, p.partition);
        part.error_code = refusal != ErrorCode::kNone ? refusal : check(log, p.current_leader_epoch);
        if (part.error_code != ErrorCode::kNone) continue;
        for (const Slice& batch : log->batches) {
          const auto view = BatchView::parse(batch);
          if (view->leader_epoch() > p.leader_epoch) continue;
          part.leader_epoch = view->leader_epoch();
          part.end_offset = view->next_offset();
        }
      }
    }
    return answer(request, response);
  }

  Begun create_topics(const protocol::RequestFrame& request, ErrorCode refusal) {
    const auto asked = read<protocol::CreateTopicsRequest>(request);
    protocol::CreateTopicsResponse response;
    for (const auto& t : asked.topics) {
      auto& topic = response.topics.emplace_back();
      topic.name = t.name;
      topic.error_code = refusal;
      if (refusal != ErrorCode::kNone) continue;
      if (cluster_.ids_.contains(t.name)) {
        topic.error_code = ErrorCode::kTopicAlreadyExists;
        topic.error_message = "it is there already";
        continue;
      }
      cluster_.add_topic(t.name, t.num_partitions);
      topic.topic_id = cluster_.ids_.at(t.name);
      topic.num_partitions = t.num_partitions;
      topic.replication_factor = t.replication_factor;
    }
    return answer(request, response);
  }

  Runtime& runtime_;
  FakeCluster& cluster_;
  BrokerId id_;
  std::unique_ptr<FetchSessions> sessions_;  // The real ones.
  uint64_t lost_sessions_ = 0;
  Server server_;
  Scope scope_;
};

FakeCluster::FakeCluster(sim::World& world, uint32_t brokers) : world_(world), brokers_(brokers) {
  for (uint32_t i = 1; i <= brokers; ++i) {
    nodes_.push_back(world.add_node());
    world.start(nodes_.back(), [this, i](Runtime& runtime) -> std::shared_ptr<void> {
      return std::make_shared<FakeBroker>(runtime, *this, BrokerId(static_cast<int32_t>(i)));
    });
  }
  client_ = world.add_node();
  world.start(client_);
}

ClusterOptions FakeCluster::options() const {
  ClusterOptions options;
  options.bootstrap = {{"n1", kPort}};
  return options;
}

size_t FakeCluster::Fetch::named() const {
  size_t count = 0;
  for (const auto& topic : request.topics) count += topic.partitions.size();
  return count;
}

size_t FakeCluster::Fetch::forgotten() const {
  size_t count = 0;
  for (const auto& topic : request.forgotten_topics_data) count += topic.partitions.size();
  return count;
}

void FakeCluster::restart(BrokerId broker) { world_.restart(nodes_.at(static_cast<size_t>(broker.value) - 1)); }

void FakeCluster::make_again(const std::string& name) {
  ids_[name] = TopicId{7, ++last_id_};
  for (auto& [at, log] : logs_) {
    if (at.topic != name) continue;
    const BrokerId leader = log.leader;
    log = {};
    log.leader = leader;
  }
}

void FakeCluster::add_topic(const std::string& name, int32_t partitions, bool has_id) {
  ids_[name] = has_id ? TopicId{7, ++last_id_} : TopicId();
  for (int32_t p = 0; p < partitions; ++p)
    logs_[{name, p}].leader = BrokerId(1 + p % static_cast<int32_t>(brokers_));
}

void FakeCluster::move_leader(const std::string& topic, int32_t partition, BrokerId to) {
  log(topic, partition).leader = to;
  ++log(topic, partition).epoch;
}

void FakeCluster::append(Log& log, const Slice& batch) {
  Slice own(batch.view());
  set_base_offset(own.mutable_view(), log.next);
  set_leader_epoch(own.mutable_view(), log.epoch);
  log.next = BatchView::parse(own)->next_offset();
  log.batches.push_back(std::move(own));
}

std::vector<std::string> FakeCluster::values(const std::string& topic, int32_t partition) const {
  std::vector<std::string> all;
  for (const Slice& batch : logs_.at({topic, partition}).batches) {
    const auto view = BatchView::parse(batch);
    auto walk = RecordWalk::open(*view);
    for (auto record = walk->next(); record && *record; record = walk->next())
      all.emplace_back(as_text((*record)->value.value_or(ByteView())));
  }
  return all;
}

void FakeCluster::next(ApiKey key, Script what, int count) {
  for (int i = 0; i < count; ++i) next_[key].push_back(what);
}

void run_client(sim::World& world, FakeCluster& brokers,
                std::function<void(Task&, Runtime&, Cluster&)> body, Duration limit) {
  const bool ended = world.run_fiber(
      brokers.client_node(),
      [&](Task& task, Runtime& runtime) {
        Cluster cluster(runtime, brokers.options());
        body(task, runtime, cluster);
        cluster.close(task);
      },
      limit);
  EXPECT_TRUE(ended) << "the client did not come to its end";
  EXPECT_FALSE(world.failure()) << *world.failure();
}

}  // namespace taffrail::client::test
