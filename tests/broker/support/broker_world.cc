#include "broker/support/broker_world.h"

#include "base/crc32c.h"
#include "controller/cluster_image.h"

namespace taffrail::test {

NodeConfig small_config() {
  NodeConfig config;
  config.storage.wal_segment_bytes = 256_KiB;
  config.storage.memory = 4_MiB;
  config.storage.flush_bytes = 16_KiB;
  config.housekeeping_interval = 1_s;
  return config;
}

Slice batch_of(const std::vector<std::string>& values, BatchOptions options, int64_t at_ms) {
  BatchBuilder builder(options);
  for (const std::string& value : values) builder.add(at_ms, "key", value);
  return builder.finish();
}

Slice batch_from(int64_t producer, int16_t epoch, int32_t sequence, size_t records) {
  return batch_of(std::vector<std::string>(records, "v"), {.producer_id = ProducerId(producer),
                                                           .producer_epoch = ProducerEpoch(epoch),
                                                           .base_sequence = Sequence(sequence)});
}

Slice changed_batch(const Slice& batch, const std::function<void(std::string&)>& change) {
  std::string bytes(as_text(batch));
  change(bytes);
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  put(BatchLayout::kLength, static_cast<uint32_t>(bytes.size() - BatchLayout::kLogOverhead));
  put(BatchLayout::kCrc, crc32c(as_bytes(bytes).subspan(BatchLayout::kAttributes)));
  return Slice(bytes);
}

protocol::ProduceRequest produce_request(const std::string& topic, int32_t partition, Slice batch, int16_t acks,
                                         TopicId id) {
  protocol::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 5000;
  auto& t = request.topic_data.emplace_back();
  t.name = topic;
  t.topic_id = id;
  t.partition_data.push_back({partition, std::move(batch), {}});
  return request;
}

protocol::FetchRequest fetch_request(const std::string& topic, int32_t partition, int64_t offset, TopicId id) {
  protocol::FetchRequest request;
  request.max_wait_ms = 100;
  request.min_bytes = 1;
  auto& t = request.topics.emplace_back();
  t.topic = topic;
  t.topic_id = id;
  auto& p = t.partitions.emplace_back();
  p.partition = partition;
  p.fetch_offset = Offset(offset);
  p.partition_max_bytes = 1 << 20;
  return request;
}

void Wire::send(ByteView bytes) {
  if (bytes.empty()) return;
  (void)socket_->write(task_, Slice(bytes), runtime_.now() + 20_s);
}

void Wire::send_frame(ByteView frame) {
  ByteWriter out;
  out.sized(frame);
  send(out.view());
}

bool Wire::fill(MutableBytes into, Instant deadline) {
  while (!into.empty()) {
    const auto count = socket_->read(task_, into, deadline);
    if (!count || *count == 0) return false;
    into = into.subspan(*count);
  }
  return true;
}

std::optional<Slice> Wire::receive(Duration limit) {
  const Instant deadline = runtime_.now() + limit;
  std::array<uint8_t, 4> length{};
  if (!fill(length, deadline)) return std::nullopt;
  bool whole = false;
  Slice frame = Slice::make(ByteReader(length).u32(), [&](MutableBytes into) { whole = fill(into, deadline); });
  if (!whole) return std::nullopt;
  return frame;
}

bool Wire::is_closed(Duration limit) {
  std::array<uint8_t, 1> byte{};
  const auto count = socket_->read(task_, byte, runtime_.now() + limit);
  return count ? *count == 0 : count.error().code == Errc::kClosed;
}

protocol::ProduceResponse::Partition Wire::produce(const std::string& topic, Slice batch, int16_t acks, int16_t version,
                                                   int32_t partition) {
  auto answer = ask(produce_request(topic, partition, std::move(batch), acks), version);
  if (answer.responses.empty() || answer.responses[0].partition_responses.empty()) {
    ADD_FAILURE() << "the answer lacks the partition";
    return {};
  }
  return answer.responses[0].partition_responses[0];
}

protocol::FetchResponse::Partition Wire::fetch(const std::string& topic, int64_t offset, int32_t partition) {
  auto answer = ask(fetch_request(topic, partition, offset), 12);
  if (answer.responses.empty() || answer.responses[0].partitions.empty()) {
    ADD_FAILURE() << "the answer lacks the partition";
    return {};
  }
  return answer.responses[0].partitions[0];
}

protocol::ListOffsetsResponse::Partition Wire::offset_at(const std::string& topic, int64_t timestamp, int16_t version) {
  protocol::ListOffsetsRequest request;
  request.topics.push_back({topic, {{0, -1, timestamp, {}}}, {}});
  auto answer = ask(request, version);
  return answer.topics.empty() ? protocol::ListOffsetsResponse::Partition{} : answer.topics[0].partitions[0];
}

std::string Wire::config_of(const std::string& topic, const std::string& key) {
  protocol::DescribeConfigsRequest request;
  request.resources.push_back({protocol::ConfigResourceType::kTopic, topic, std::vector<std::string>{key}, {}});
  const auto answer = ask(request, 4);
  if (answer.results.empty() || answer.results[0].configs.empty()) return "nothing";
  return answer.results[0].configs[0].value.value_or("null");
}

BrokerWorld::BrokerWorld(uint64_t seed, uint32_t brokers, const NodeConfig& config, const sim::Knobs& knobs, uint32_t seeds)
    : world(seed, knobs), cluster((world.trace().keep_time_line(true), world), {.brokers = brokers, .seeds = seeds, .clients = 2, .config = config}) {
  EXPECT_TRUE(cluster.await_serving(300_s));
}

void BrokerWorld::run(const std::function<void(Wire&)>& body, uint32_t broker, Duration limit) {
  const bool ended = world.run_fiber(cluster.client(0), [&](Task& task, Runtime& runtime) {
    auto socket = runtime.net().connect(task, cluster.bootstrap().bootstrap[broker], runtime.now() + 10_s);
    ASSERT_TRUE(socket.has_value()) << socket.error().text();
    Wire wire(task, runtime, *std::move(socket));
    body(wire);
  }, limit);
  EXPECT_TRUE(ended) << "the fiber did not end";
  EXPECT_FALSE(world.failure().has_value()) << *world.failure();
}

Wire BrokerWorld::connect(Wire& from, uint32_t broker) {
  auto socket = from.runtime().net().connect(from.task(), cluster.bootstrap().bootstrap[broker],
                                             from.runtime().now() + 10_s);
  EXPECT_TRUE(socket.has_value());
  return {from.task(), from.runtime(), socket ? *std::move(socket) : nullptr};
}

TopicId BrokerWorld::create_topic(const std::string& name, int32_t partitions, int16_t replicas,
                                  const std::map<std::string, std::string>& configs) {
  TopicId id;
  run([&](Wire& wire) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = replicas;
    for (const auto& [key, value] : configs) topic.configs.push_back({key, value, {}});
    const auto answer = wire.ask(request, 7);
    ASSERT_EQ(answer.topics.size(), 1u);
    ASSERT_EQ(answer.topics[0].error_code, protocol::ErrorCode::kNone) << answer.topics[0].error_message.value_or("");
    id = answer.topics[0].topic_id;
  });
  const auto unsettled = cluster.await_settled(300_s);
  EXPECT_FALSE(unsettled.has_value()) << *unsettled;
  return id;
}

Partition* BrokerWorld::replica(uint32_t broker, const std::string& topic, int32_t partition) {
  if (!cluster.serving(broker)) return nullptr;
  taffrail::Node& node = *cluster.node(broker);
  const TopicRecord* record = node.context().controller().image().find_topic(std::string_view(topic));
  return record == nullptr ? nullptr : node.find_partition({record->id, partition});
}

uint32_t BrokerWorld::leader_of(const std::string& topic, int32_t partition) {
  std::optional<uint32_t> leader;
  Term epoch;
  for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
    Partition* p = replica(i, topic, partition);
    if (p == nullptr || !p->is_leader() || (leader && p->epoch() < epoch)) continue;
    leader = i;
    epoch = p->epoch();
  }
  EXPECT_TRUE(leader.has_value()) << topic << "-" << partition << " has no leader";
  return leader.value_or(0);
}

std::vector<std::string> BrokerWorld::log_lines(std::string_view text) {
  std::vector<std::string> found;
  for (const auto& moment : world.trace().time_line())
    if (moment.text.find(text) != std::string::npos) found.push_back(moment.text);
  return found;
}

}  // namespace taffrail::test
