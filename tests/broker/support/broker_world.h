// Brokers in a simulated world, and raw Kafka connections to them: what goes in and comes out is bytes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/messages.h"
#include "record/builder.h"
#include "sim/cluster.h"
#include "sim/world.h"

namespace taffrail::test {

/// Segments and logs small enough for a test to fill.
NodeConfig small_config();

/// A batch with these values, at timestamp `at_ms` each (-1: none).
Slice batch_of(const std::vector<std::string>& values, BatchOptions options = {}, int64_t at_ms = -1);
/// An idempotent producer's.
Slice batch_from(int64_t producer, int16_t epoch, int32_t sequence, size_t records = 1);
/// `batch` after `change`, with a length and a CRC that are right for it.
Slice changed_batch(const Slice& batch, const std::function<void(std::string&)>& change);

/// One partition's produce request, by name; by id from v13 on.
protocol::ProduceRequest produce_request(const std::string& topic, int32_t partition, Slice batch, int16_t acks = -1,
                                         TopicId id = {});
protocol::FetchRequest fetch_request(const std::string& topic, int32_t partition, int64_t offset, TopicId id = {});

/// A socket to one broker, in the hands of a test's fiber.
class Wire {
 public:
  Wire(Task& task, Runtime& runtime, std::unique_ptr<Connection> socket)
      : task_(task), runtime_(runtime), socket_(std::move(socket)) {}

  Task& task() { return task_; }
  Runtime& runtime() { return runtime_; }
  Connection& socket() { return *socket_; }

  void send(ByteView bytes);
  /// With its length before it.
  void send_frame(ByteView frame);
  /// The next answer without its length; nothing if the connection ended first, or `limit` passed.
  std::optional<Slice> receive(Duration limit = 20_s);
  /// Whether the broker ends the connection within `limit`, with nothing more to say.
  bool is_closed(Duration limit = 5_s);

  template <class Request>
  Slice frame_of(const Request& request, int16_t version) {
    const auto chain = protocol::encode_request<Request>(++correlation_, "test", request, version);
    EXPECT_TRUE(chain.has_value()) << chain.error().text();
    return chain ? chain->flat() : Slice();
  }
  template <class Response>
  std::optional<Response> read(const Slice& frame, int16_t version) {
    const auto header = protocol::decode_response_header(frame, Response::kApi.key, version);
    EXPECT_TRUE(header.has_value());
    if (!header) return std::nullopt;
    EXPECT_EQ(header->correlation_id, correlation_);
    auto body = protocol::decode<Response>(header->body, version);
    EXPECT_TRUE(body.has_value()) << body.error().text();
    if (!body) return std::nullopt;
    return *std::move(body);
  }
  /// The answer; nothing if the broker closed instead.
  template <class Request>
  std::optional<typename Request::Response> try_ask(const Request& request, int16_t version) {
    send(frame_of(request, version));
    const auto frame = receive();
    if (!frame) return std::nullopt;
    return read<typename Request::Response>(*frame, version);
  }
  /// The answer; a default one, and a failure, if there is none.
  template <class Request>
  typename Request::Response ask(const Request& request, int16_t version) {
    auto answer = try_ask(request, version);
    EXPECT_TRUE(answer.has_value()) << "the broker closed the connection";
    return answer ? *std::move(answer) : typename Request::Response{};
  }
  protocol::ProduceResponse::Partition produce(const std::string& topic, Slice batch, int16_t acks = -1,
                                               int16_t version = 8, int32_t partition = 0);
  protocol::FetchResponse::Partition fetch(const std::string& topic, int64_t offset, int32_t partition = 0);
  /// One ListOffsets question.
  protocol::ListOffsetsResponse::Partition offset_at(const std::string& topic, int64_t timestamp, int16_t version = 7);
  /// One DescribeConfigs value of a topic.
  std::string config_of(const std::string& topic, const std::string& key);

  int32_t last_correlation() const { return correlation_; }

 private:
  bool fill(MutableBytes into, Instant deadline);

  Task& task_;
  Runtime& runtime_;
  std::unique_ptr<Connection> socket_;
  int32_t correlation_ = 0;
};

class BrokerWorld {
 public:
  /// Ready to be asked; its log lines are kept.
  explicit BrokerWorld(uint64_t seed, uint32_t brokers = 1, const NodeConfig& config = small_config(),
                       const sim::Knobs& knobs = {}, uint32_t seeds = 0);

  /// `body` in a fiber of a client's machine, connected to a broker; until it ends.
  void run(const std::function<void(Wire&)>& body, uint32_t broker = 0, Duration limit = 120_s);
  /// The same from inside such a fiber: another connection.
  Wire connect(Wire& from, uint32_t broker = 0);
  /// By hand of CreateTopics, and until every replica knows its leader.
  TopicId create_topic(const std::string& name, int32_t partitions = 1, int16_t replicas = 1,
                       const std::map<std::string, std::string>& configs = {});
  /// Which broker leads; fails the test if none does.
  uint32_t leader_of(const std::string& topic, int32_t partition = 0);
  Partition* replica(uint32_t broker, const std::string& topic, int32_t partition = 0);
  /// What the brokers logged so far that contains `text`.
  std::vector<std::string> log_lines(std::string_view text);

  sim::World world;
  sim::SimCluster cluster;
};

}  // namespace taffrail::test
