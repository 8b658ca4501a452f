// Goal: a client learns what the broker speaks, whatever it believes at first, and nothing outside of that is
// answered as if it were known. Method: one broker, every API key and every version at the edges of its range.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/handlers.h"
#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;
using testing::HasSubstr;

/// A request of that key and version whose body is `body`, with the header that goes with it.
Slice raw_request(int16_t key, int16_t version, int32_t correlation, std::string_view body = {}) {
  ByteWriter out;
  out.i16(key);
  out.i16(version);
  out.i32(correlation);
  out.i16(-1);  // No client id.
  const ApiInfo* api = find_api(key);
  if (api != nullptr && api->request_header_version(version) >= 2) out.u8(0);
  out.bytes(as_bytes(body));
  return Slice(out.view());
}

TEST(Versions, WhatIsAdvertisedIsWhatIsServed) {
  BrokerWorld w(1);
  w.run([&](Wire& wire) {
    ApiVersionsRequest request;
    request.client_software_name = "test";
    request.client_software_version = "1.0";
    for (int16_t version = 0; version <= 5; ++version) {
      const auto answer = wire.ask(request, version);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone) << version;
      std::vector<int16_t> keys;
      for (const auto& range : answer.api_keys) keys.push_back(range.api_key);
      std::vector<int16_t> served;
      for (const ApiKey key : handlers::served_apis()) served.push_back(static_cast<int16_t>(key));
      EXPECT_EQ(keys, served);
      // librdkafka takes a broker without Produce v0 for one without any (KAFKA-18659), and the others'
      // lowest versions for features.
      for (const auto& range : answer.api_keys) {
        if (range.api_key == static_cast<int16_t>(ApiKey::kProduce)) {
          EXPECT_EQ(range.min_version, 0);
        } else if (range.api_key == static_cast<int16_t>(ApiKey::kFetch)) {
          EXPECT_EQ(range.min_version, 4);
        } else if (range.api_key == static_cast<int16_t>(ApiKey::kInitProducerId)) {
          EXPECT_EQ(range.max_version, 5) << "v6 is unstable";
        }
      }
    }
  });
}

TEST(Versions, AnUnknownVersionOfApiVersionsIsAnsweredInVersionZero) {
  BrokerWorld w(2);
  w.run([&](Wire& wire) {
    for (const int version : {6, 7, 1000, 32767}) {
      // What a newer client puts behind the header is not looked at.
      wire.send_frame(raw_request(18, static_cast<int16_t>(version), 77, "whatever"));
      const auto frame = wire.receive();
      ASSERT_TRUE(frame.has_value()) << version;
      const auto header = decode_response_header(*frame, ApiKey::kApiVersions, 0);
      ASSERT_TRUE(header.has_value());
      EXPECT_EQ(header->correlation_id, 77);
      const auto answer = decode<ApiVersionsResponse>(header->body, 0);
      ASSERT_TRUE(answer.has_value()) << answer.error().text();
      EXPECT_EQ(answer->error_code, ErrorCode::kUnsupportedVersion);
      EXPECT_EQ(answer->api_keys.size(), handlers::served_apis().size());
    }
    // The connection goes on.
    EXPECT_EQ(wire.ask(ApiVersionsRequest{}, 0).error_code, ErrorCode::kNone);
  });
}

TEST(Versions, TheNameOfASoftwareIsChecked) {
  BrokerWorld w(3);
  w.run([&](Wire& wire) {
    for (const char* bad : {"", "-a", "a-", "a b", "a\nb", "ä"}) {
      ApiVersionsRequest request;
      request.client_software_name = bad;
      request.client_software_version = "1";
      EXPECT_EQ(wire.ask(request, 3).error_code, ErrorCode::kInvalidRequest) << bad;
    }
    ApiVersionsRequest good;
    good.client_software_name = "apache-kafka-java";
    good.client_software_version = "4.0.0";
    EXPECT_EQ(wire.ask(good, 3).error_code, ErrorCode::kNone);
    // KIP-1242: who believes to be elsewhere starts over.
    good.node_id = 99;
    EXPECT_EQ(wire.ask(good, 5).error_code, ErrorCode::kRebootstrapRequired);
    good.node_id = 1;
    good.cluster_id = "somewhere";
    EXPECT_EQ(wire.ask(good, 5).error_code, ErrorCode::kRebootstrapRequired);
    good.cluster_id = w.cluster.node(0)->context().cluster().text();
    EXPECT_EQ(wire.ask(good, 5).error_code, ErrorCode::kNone);
  });
}

TEST(Versions, KeysAndVersionsThatAreNotServedCloseTheConnectionWithOneLine) {
  BrokerWorld w(4);
  const auto refused = [&](int16_t key, int16_t version) {
    const size_t lines_before = w.log_lines("closed the connection").size();
    w.run([&](Wire& wire) {
      const std::string peer = wire.socket().local().text();
      wire.send_frame(raw_request(key, version, 1));
      EXPECT_TRUE(wire.is_closed()) << key << " v" << version;
      const auto lines = w.log_lines("closed the connection");
      ASSERT_EQ(lines.size(), lines_before + 1) << key << " v" << version;
      EXPECT_THAT(lines.back(), HasSubstr(peer));
    });
  };
  // Withdrawn, never there, negative, known but not served.
  for (const int key : {4, 7, 95, 1000, -1, 32767, -32768, 11, 17, 24, 52}) refused(static_cast<int16_t>(key), 0);
  for (const ApiKey key : handlers::served_apis()) {
    if (key == ApiKey::kApiVersions) continue;
    const ApiInfo& api = api_of(key);
    refused(static_cast<int16_t>(key), static_cast<int16_t>(api.advertised.max + 1));
    refused(static_cast<int16_t>(key), -1);
    if (api.defined.min > 0) refused(static_cast<int16_t>(key), static_cast<int16_t>(api.defined.min - 1));
  }
  // Produce 0 to 2 are advertised, and not there.
  EXPECT_THAT(w.log_lines("Produce v2 is not served here"), testing::SizeIs(1));
  w.run([&](Wire& wire) { EXPECT_EQ(wire.ask(ApiVersionsRequest{}, 0).error_code, ErrorCode::kNone); });
}

TEST(Versions, EveryServedVersionOfEveryApiAnswers) {
  BrokerWorld w(5);
  const TopicId id = w.create_topic("t");
  w.run([&](Wire& wire) {
    const auto every = [&]<class Request>(const Request& request) {
      const ApiInfo& api = api_of(Request::kApi.key);
      for (int16_t v = api.defined.min; v <= api.advertised.max; ++v)
        EXPECT_TRUE(wire.try_ask(request, v).has_value()) << api.name << " v" << v;
    };
    MetadataRequest metadata;
    metadata.topics.emplace();
    every(metadata);
    every(FindCoordinatorRequest{});
    every(JoinGroupRequest{});
    every(SyncGroupRequest{});
    every(HeartbeatRequest{});
    every(LeaveGroupRequest{});
    every(OffsetCommitRequest{});
    every(OffsetFetchRequest{});
    every(OffsetDeleteRequest{});
    every(DescribeGroupsRequest{});
    every(ListGroupsRequest{});
    every(DeleteGroupsRequest{});
    every(CreateTopicsRequest{});
    every(DeleteTopicsRequest{});
    every(CreatePartitionsRequest{});
    every(InitProducerIdRequest{});
    every(DescribeConfigsRequest{});
    every(IncrementalAlterConfigsRequest{});
    every(DescribeClusterRequest{});
    every(DescribeTopicPartitionsRequest{});
    every(OffsetForLeaderEpochRequest{});
    every(ListOffsetsRequest{});
    for (int16_t v = 3; v <= 13; ++v) {
      const auto produced = wire.ask(produce_request(v < 13 ? "t" : "", 0, batch_of({"a"}), -1, v < 13 ? TopicId{} : id), v);
      ASSERT_EQ(produced.responses.size(), 1u);
      EXPECT_EQ(produced.responses[0].partition_responses[0].error_code, ErrorCode::kNone) << v;
      EXPECT_EQ(produced.responses[0].partition_responses[0].base_offset, Offset(v - 3));
    }
    for (int16_t v = 4; v <= 18; ++v) {
      const auto fetched = wire.ask(fetch_request(v < 13 ? "t" : "", 0, 0, v < 13 ? TopicId{} : id), v);
      ASSERT_EQ(fetched.responses.size(), 1u);
      EXPECT_EQ(fetched.responses[0].partitions[0].error_code, ErrorCode::kNone) << v;
      EXPECT_EQ(fetched.responses[0].partitions[0].high_watermark, Offset(11));
      EXPECT_FALSE(fetched.responses[0].partitions[0].aborted_transactions.has_value());
      EXPECT_GT(fetched.responses[0].partitions[0].records.size_bytes(), 0u);
    }
  });
}

}  // namespace
}  // namespace taffrail::test
