// Goal: messages are read and written as the Kafka protocol guide says, versions keep apart, errors
// say where, and nobody's lengths are believed. Method: small messages by hand.
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include "base/varint.h"
#include "protocol/api.h"
#include "protocol/api_versions.h"
#include "protocol/errors.h"
#include "protocol/fetch.h"
#include "protocol/frame.h"
#include "protocol/heartbeat.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"
#include "record/builder.h"

namespace taffrail::protocol {
namespace {

Slice bytes_of(std::string_view hex) { return Slice(as_bytes(from_hex(hex))); }

MetadataRequest asking_for(std::string topic) {
  MetadataRequest request;
  request.topics.emplace().push_back({.name = std::move(topic)});
  return request;
}

TEST(Decode, ReadsBothStyles) {
  // v8: int32 count, int16 length. v9: count + 1, length + 1, tag buffers.
  const MetadataRequest want = asking_for("abc");
  EXPECT_EQ(*decode<MetadataRequest>(bytes_of("00000001"
                                              "0003616263"
                                              "01"
                                              "00"
                                              "00"),
                                     8),
            want);
  EXPECT_EQ(*decode<MetadataRequest>(bytes_of("02"
                                              "04616263"
                                              "00"
                                              "01"
                                              "00"
                                              "00"
                                              "00"),
                                     9),
            want);
}

TEST(Decode, ErrorsSayWhichFieldAndWhere) {
  const auto error = [](std::string_view hex, int16_t version) {
    return decode<MetadataRequest>(bytes_of(hex), version).error().text();
  };
  EXPECT_EQ(error("00000002"
                  "0003616263"
                  "0009616263000000",
                  8),
            "corrupt: MetadataRequest v8: topics[1].name: 9 bytes wanted, 6 left, at byte 11");
  EXPECT_EQ(error("00000001"
                  "ffff"
                  "010000",
                  8),
            "corrupt: MetadataRequest v8: topics[0].name: is null, at byte 6");
  EXPECT_EQ(error("", 99), "unsupported: MetadataRequest has no version 99");
}

TEST(Decode, WhatIsLeftOverIsAnErrorBehindAResponseAndNothingBehindARequest) {
  // What librdkafka 2.16 sends for all topics: a null array in one byte, and room for a length of four.
  const auto all = decode<MetadataRequest>(bytes_of("00000000"
                                                    "010000"),
                                           13);
  ASSERT_TRUE(all.has_value());
  EXPECT_FALSE(all->topics.has_value());
  EXPECT_EQ(decode<HeartbeatResponse>(bytes_of("0000"
                                               "00"),
                                      0)
                .error()
                .text(),
            "corrupt: HeartbeatResponse v0: 1 bytes left over, at byte 2");
}

TEST(Decode, NullAndEmptyAreNotTheSame) {
  EXPECT_FALSE(decode<MetadataRequest>(bytes_of("ffffffff"
                                                "010000"),
                                       8)
                   ->topics.has_value());
  EXPECT_TRUE(decode<MetadataRequest>(bytes_of("00000000"
                                               "010000"),
                                      8)
                  ->topics->empty());
  // v0 has no null: an empty list stands for all.
  EXPECT_EQ(decode<MetadataRequest>(bytes_of("ffffffff"), 0).error().code, Errc::kCorrupt);
}

TEST(Decode, CountsAreHeldAgainstTheBytesThatAreLeft) {
  EXPECT_EQ(decode<MetadataRequest>(bytes_of("7fffffff"
                                             "0003616263"
                                             "010000"),
                                    8)
                .error()
                .code,
            Errc::kCorrupt);
  EXPECT_EQ(decode<MetadataRequest>(bytes_of("ffffffff0f"
                                             "04616263"),
                                    9)
                .error()
                .code,
            Errc::kCorrupt);
}

TEST(Decode, TakesNoMoreMemoryThanItsBudget) {
  // Topics of empty names: two bytes each in the frame, some forty times that in memory.
  const size_t count = 4 << 20;
  ByteWriter frame;
  write_uvarint(frame, count + 1);
  frame.bytes(as_bytes(std::string(count * 2, '\1')));
  const auto refused = decode<MetadataRequest>(Slice(frame.view()), 9);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge) << refused.error().text();
}

TEST(Decode, RecordsArePiecesOfTheFrame) {
  BatchBuilder builder;
  builder.add(1, "k", "v");
  const Slice batch = builder.finish();
  ProduceRequest request;
  request.acks = -1;
  request.topic_data.push_back({.name = "t", .partition_data = {{.index = 3, .records = batch}}});
  const Slice body = encode(request, 9)->flat();
  const ProduceRequest read = *decode<ProduceRequest>(body, 9);
  EXPECT_EQ(read, request);
  const Slice records = read.topic_data[0].partition_data[0].records.flat();
  EXPECT_GE(records.data(), body.data());
  EXPECT_LT(records.data(), body.data() + body.size());
}

TEST(Encode, LargeRecordsAreSplicedIn) {
  const Slice first(std::string(5000, 'a'));
  const Slice second(std::string(3000, 'b'));
  Records records;
  records.add(first);
  records.add(second);
  FetchResponse response;
  response.responses.push_back({.topic = "t", .partitions = {{.records = records}, {}}});
  const Chain chain = *encode_response(77, response, 12);

  size_t sum = 0;
  int spliced = 0;
  for (const Slice& piece : chain.pieces) {
    sum += piece.size();
    spliced += piece.data() == first.data() || piece.data() == second.data();
  }
  EXPECT_EQ(spliced, 2);
  EXPECT_EQ(sum, chain.size_bytes);
  const Slice flat = chain.flat();
  ByteReader reader(flat);
  EXPECT_EQ(reader.u32(), flat.size() - 4);
  const ResponseFrame frame =
      *decode_response_header(flat.sub(4, flat.size() - 4), ApiKey::kFetch, 12);
  EXPECT_EQ(frame.correlation_id, 77);
  EXPECT_EQ(*decode<FetchResponse>(frame.body, 12), response);
  EXPECT_EQ(*encoded_size(response, 12), frame.body.size());
}

TEST(Encode, WhatAVersionCannotSayIsAnErrorUnlessItMayBeDropped) {
  MetadataRequest request = asking_for("t");
  request.allow_auto_topic_creation = false;
  EXPECT_EQ(
      encode(request, 3).error().text(),
      "unsupported: MetadataRequest v3: allow_auto_topic_creation is set, which version 3 does "
      "not have");
  EXPECT_TRUE(encode(request, 4).has_value());

  FetchRequest fetch;
  fetch.rack_id = "near";
  EXPECT_TRUE(encode(fetch, 10).has_value()) << "a rack may be dropped";

  EXPECT_EQ(encode(MetadataRequest{}, 0).error().code, Errc::kInvalid) << "null topics in v0";
}

TEST(Encode, StringsHaveALimit) {
  EXPECT_TRUE(encode(asking_for(std::string(32767, 'x')), 9).has_value());
  EXPECT_EQ(encode(asking_for(std::string(32768, 'x')), 9).error().code, Errc::kTooLarge);
}

TEST(Tags, UnknownOnesComeBackInOrderWithTheKnown) {
  // Partition-level tags of a v18 request: 1 is known (high_watermark), 0 and 5 bracket it.
  FetchRequest request;
  FetchRequest::Partition partition;
  partition.high_watermark = Offset(9);
  partition.unknown_tags.add(5, "five");
  partition.unknown_tags.add(70000, "far");
  partition.replica_directory_id = DiskId{1, 2};
  request.topics.push_back({.partitions = {partition}});
  const Slice body = encode(request, 18)->flat();
  EXPECT_EQ(*decode<FetchRequest>(body, 18), request);
  EXPECT_NE(to_hex(body).find("04"
                              "0010"
                              "00000000000000010000000000000002"
                              "0108"
                              "0000000000000009"
                              "0504"
                              "66697665"),
            std::string::npos);
}

TEST(Tags, TwiceIsCorruptAndSoIsOneOfAnotherVersion) {
  const std::string empty = to_hex(encode(FetchRequest{}, 15)->flat());
  const std::string head = empty.substr(0, empty.size() - 2);
  const auto code = [](const std::string& hex, int16_t version) {
    return decode<FetchRequest>(bytes_of(hex), version).error().code;
  };
  EXPECT_TRUE(decode<FetchRequest>(bytes_of(head + "01"
                                                   "09"
                                                   "01"
                                                   "aa"),
                                   15)
                  .has_value());
  EXPECT_EQ(code(head + "02"
                        "09"
                        "01"
                        "aa"
                        "09"
                        "01"
                        "aa",
                 15),
            Errc::kCorrupt);
  EXPECT_EQ(code(head + "02"
                        "00"
                        "01"
                        "00"
                        "00"
                        "01"
                        "00",
                 15),
            Errc::kCorrupt);
  EXPECT_EQ(code(head + "01"
                        "00"
                        "02"
                        "00"
                        "00",
                 15),
            Errc::kCorrupt)
      << "bytes left in a tag";
  EXPECT_EQ(code(head + "7f"
                        "00",
                 15),
            Errc::kCorrupt)
      << "more tags than bytes";
  const std::string v12 = to_hex(encode(FetchRequest{}, 12)->flat());
  EXPECT_EQ(code(v12.substr(0, v12.size() - 2) + "01"
                                                 "01"
                                                 "01"
                                                 "00",
                 12),
            Errc::kCorrupt)
      << "replica_state came with v15";
}

TEST(Print, UsesKafkasNames) {
  EXPECT_EQ(print(asking_for("a\"\x01"), 4).json,
            R"({"topics":[{"name":"a\"\u0001"}],"allowAutoTopicCreation":true})");
}

TEST(Frame, HeadersGoWithTheVersion) {
  const Chain old = *encode_request(5, "me", asking_for("t"), 8);
  const Chain flexible = *encode_request(5, "me", asking_for("t"), 9);
  for (const auto& [chain, version] : {std::pair{old, 8}, std::pair{flexible, 9}}) {
    const Slice flat = chain.flat();
    const RequestFrame frame = *decode_request_header(flat.sub(4, flat.size() - 4));
    EXPECT_EQ(frame.api->key, ApiKey::kMetadata);
    EXPECT_EQ(frame.header.request_api_version, version);
    EXPECT_EQ(frame.header.correlation_id, 5);
    EXPECT_EQ(frame.header.client_id, "me");
    EXPECT_EQ(*decode<MetadataRequest>(frame.body, static_cast<int16_t>(version)), asking_for("t"));
  }
}

TEST(Frame, ApiVersionsIsAnsweredUnderTheOldestHeader) {
  const ApiVersionsResponse response{.api_keys = {{.api_key = 18, .max_version = 4}}};
  const Slice flat = encode_response(1, response, 3)->flat();
  EXPECT_EQ(to_hex(flat.view().subspan(4, 7)),
            "00000001"
            "0000"
            "02")
      << "no tags in between";
}

TEST(Frame, ApiVersionsOfAFutureVersionStillHasAHeaderToRead) {
  const auto frame =
      decode_request_header(bytes_of("0012"
                                     "0063"
                                     "00000007"
                                     "ffff"
                                     "00"
                                     "aabb"));
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->header.correlation_id, 7);
  EXPECT_EQ(frame->header.client_id, std::nullopt);
  EXPECT_FALSE(frame->api->defined.contains(frame->header.request_api_version));
}

TEST(Frame, WhatCannotBeAHeaderIsAnError) {
  EXPECT_EQ(decode_request_header(bytes_of("0012")).error().code, Errc::kCorrupt);
  EXPECT_EQ(decode_request_header(bytes_of("7fff0000")).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_request_header(bytes_of("ffff0000")).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_request_header(bytes_of("00040000")).error().code, Errc::kUnsupported)
      << "withdrawn with ZooKeeper";
  EXPECT_EQ(decode_request_header(bytes_of("0003000100000001"
                                           "0009"
                                           "61"))
                .error()
                .code,
            Errc::kCorrupt);
}

TEST(Api, ProduceIsAdvertisedFromZero) {
  EXPECT_EQ(api_of(ApiKey::kProduce).advertised, (VersionRange{0, 13}));
  EXPECT_EQ(api_of(ApiKey::kProduce).defined, (VersionRange{3, 13}));
  EXPECT_EQ(api_of(ApiKey::kInitProducerId).advertised, (VersionRange{0, 5}));
  EXPECT_EQ(find_api(4), nullptr);
  EXPECT_EQ(api_name(1), "Fetch");
  EXPECT_EQ(api_name(-5), "unknown");
}

TEST(ErrorCodes, HaveKafkasNames) {
  EXPECT_EQ(error_name(ErrorCode::kNotLeaderOrFollower), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(error_name(ErrorCode::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(error_name(static_cast<ErrorCode>(9999)), "UNKNOWN");
  EXPECT_TRUE(is_retriable(ErrorCode::kNotEnoughReplicas));
  EXPECT_FALSE(is_retriable(ErrorCode::kMessageTooLarge));
  EXPECT_EQ(error_code(BatchFault::kCorrupt), ErrorCode::kCorruptMessage);
}

}  // namespace
}  // namespace taffrail::protocol
