// Goal: whatever bytes arrive, their sender gets its protocol error or a closed connection and one line in the log,
// the broker holds no more memory than it was sent bytes for, and nobody else notices anything. Method: one broker,
// hostile connections beside one that goes on writing and reading.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "broker/handlers.h"
#include "broker/support/broker_world.h"
#include "broker/support/hostile.h"

namespace taffrail::test {
namespace {

using namespace protocol;
using testing::HasSubstr;

/// Bytes that this process holds now. Sanitizers count their own way and give nothing.
size_t held_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct BadInput : testing::Test {
  explicit BadInput() : w(1) { w.create_topic("good"); }

  /// What a client that does nothing wrong sees, beside the others.
  void expect_others_do_not_notice(Wire& bystander) {
    EXPECT_EQ(bystander.produce("good", batch_of({"v" + std::to_string(written)})).base_offset, Offset(written));
    EXPECT_EQ(bystander.fetch("good", written).high_watermark, Offset(written + 1));
    ++written;
  }
  /// Sends `bytes` over a connection of their own, and expects that one to be closed, with one line.
  void expect_closed(Wire& bystander, ByteView bytes, std::string_view reason) {
    const size_t lines = w.log_lines("closed the connection").size();
    Wire hostile = w.connect(bystander);
    const std::string peer = hostile.socket().local().text();
    hostile.send(bytes);
    EXPECT_TRUE(hostile.is_closed()) << reason;
    const auto now = w.log_lines("closed the connection");
    ASSERT_EQ(now.size(), lines + 1) << reason;
    EXPECT_THAT(now.back(), HasSubstr(peer));
    EXPECT_THAT(now.back(), HasSubstr(reason));
    for (const char c : now.back()) EXPECT_TRUE(c >= ' ' && c < 127) << "a client's bytes in the log";
    expect_others_do_not_notice(bystander);
  }

  BrokerWorld w;
  int64_t written = 0;
};

Slice with_length(uint32_t length, std::string_view rest = {}) {
  ByteWriter out;
  out.u32(length);
  out.bytes(as_bytes(rest));
  return Slice(out.view());
}

TEST_F(BadInput, FramesWhoseLengthIsNone) {
  w.run([&](Wire& wire) {
    expect_closed(wire, with_length(0xffffffff), "announces -1 bytes");
    expect_closed(wire, with_length(0x80000000), "announces -2147483648 bytes");
    expect_closed(wire, with_length(0x7fffffff), "the limit is");
    expect_closed(wire, with_length(104'857'601), "the limit is");
    // Not Kafka at all.
    expect_closed(wire, as_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "the limit is");
    expect_closed(wire, as_bytes(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01", 8)), "the limit is");
    // Too short for a header.
    for (const size_t size : {0u, 1u, 3u}) expect_closed(wire, with_length(static_cast<uint32_t>(size), std::string(size, '\0')), "header");
  });
}

TEST_F(BadInput, HeadersThatDoNotDecode) {
  w.run([&](Wire& wire) {
    const auto request = [](int16_t key, int16_t version, std::string_view rest) {
      ByteWriter body;
      body.i16(key);
      body.i16(version);
      body.bytes(as_bytes(rest));
      ByteWriter out;
      out.sized(body.view());
      return Slice(out.view());
    };
    expect_closed(wire, request(3, 9, ""), "header");
    expect_closed(wire, request(3, 9, std::string_view("\0\0\0\1", 4)), "header");
    expect_closed(wire, request(3, 9, std::string_view("\0\0\0\1\x7f\xff", 6)), "header");           // A client id that is not there.
    expect_closed(wire, request(3, 9, std::string_view("\0\0\0\1\xff\xff\xff\xff\xff\xff\x0f", 11)), "header");  // As many tags.
    // A client id with everything that a terminal or a log would take for its own.
    expect_closed(wire, request(3, 99, std::string_view("\0\0\0\1\0\x0c" "a\n\x1b[31m\0\xff\"\r" "\0", 19)), "not served");
    EXPECT_THAT(w.log_lines("closed the connection").back(), HasSubstr("x1b[31m")) << "escaped, and readable";
  });
}

// Every four bytes and every byte of a well-formed request, taken for a length and made to lie.
TEST_F(BadInput, LengthsThatLieInEveryPlaceOfEveryRequest) {
  size_t closed = 0;
  size_t answered = 0;
  w.run([&](Wire& wire) {
    size_t most = 0;
    for (const ApiKey key : handlers::served_apis()) {
      const ApiInfo& api = api_of(key);
      for (int16_t version = api.defined.min; version <= api.advertised.max; ++version) {
        const std::string body = hostile_body(key, version);
        std::vector<std::string> lies;
        for (size_t at = 0; at < body.size(); ++at) {
          for (const char byte : {'\xff', '\x7f', '\0'}) lies.push_back(body.substr(0, at) + byte + body.substr(at + 1));
          if (at + 4 > body.size()) continue;
          for (const std::string_view length : {std::string_view("\x7f\xff\xff\xff", 4), std::string_view("\xff\xff\xff\xfe", 4),
                                                std::string_view("\x00\x10\x00\x00", 4), std::string_view("\xff\xff\xff\xff", 4)})
            lies.push_back(body.substr(0, at) + std::string(length) + body.substr(at + 4));
          lies.push_back(body.substr(0, at) + "\xff\xff\xff\xff\x0f" + body.substr(std::min(body.size(), at + 5)));
          lies.push_back(body.substr(0, at));
        }
        const size_t before = held_bytes();
        std::optional<Wire> hostile;
        for (const std::string& lie : lies) {
          if (!hostile) hostile.emplace(w.connect(wire));
          hostile->send_frame(hostile_frame(key, version, lie));
          if (still_answers(*hostile)) {
            ++answered;
          } else {
            ++closed;
            hostile.reset();
          }
        }
        const size_t after = held_bytes();
        most = std::max(most, after > before ? after - before : 0);
      }
      expect_others_do_not_notice(wire);
    }
    // What stays is what they made (topics, log lines), and nothing that they announced.
    EXPECT_LT(most, 32u << 20);
  }, 0, 3600_s);
  EXPECT_GT(closed, 1000u);
  EXPECT_GT(answered, 1000u);
}

TEST_F(BadInput, MemoryFollowsWhatWasReceivedAndNotWhatWasAnnounced) {
  w.run([&](Wire& wire) {
    constexpr size_t kPeers = 200;
    std::vector<Wire> peers;
    for (size_t i = 0; i < kPeers; ++i) peers.push_back(w.connect(wire));
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 100_ms));
    const size_t before = held_bytes();
    // Each announces the most that is allowed, and a hundred million topics, and sends the beginning of it.
    const Slice start = with_length(104'857'600, hostile_frame_start(ApiKey::kMetadata, 1, "\x05\xf5\xe1\x00topics"));
    for (Wire& peer : peers) peer.send(start);
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s));
    const size_t after = held_bytes();
    EXPECT_LT(after > before ? after - before : 0, kPeers * (8u << 10)) << "per peer, of 20 bytes received";
    expect_others_do_not_notice(wire);
    // One sends on: what is held grows with it, twice as much at most.
    const std::string piece(100'000, '\0');
    for (int i = 0; i < 10; ++i) peers[0].send(as_bytes(piece));
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s));
    const size_t grown = held_bytes();
    EXPECT_LT(grown > after ? grown - after : 0, 3u << 20);
  });
}

TEST_F(BadInput, AFrameThatNeverEndsIsGivenUp) {
  NodeConfig config = small_config();
  config.server.idle_max = 5_s;
  BrokerWorld other(2, 1, config);
  other.run([&](Wire& wire) {
    Wire dribbler = other.connect(wire);
    dribbler.send(with_length(1000));
    // A byte now and then is no request, and does not keep the connection.
    for (int i = 0; i < 8; ++i) {
      dribbler.send(as_bytes("x"));
      ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s));
      EXPECT_EQ(wire.ask(ApiVersionsRequest{}, 0).error_code, ErrorCode::kNone);
    }
    EXPECT_TRUE(dribbler.is_closed());
    EXPECT_EQ(other.log_lines("idle for 5000 ms").size(), 1u);
  });
}

TEST_F(BadInput, BatchesAreRefusedAsKafkaDoes) {
  w.run([&](Wire& wire) {
    struct Case {
      const char* what;
      std::string bytes;
      ErrorCode code;
    };
    const Slice good = batch_of({"a", "b", "c"});
    const std::string plain(as_text(good));
    const auto flip = [&](size_t at, char value) {
      std::string bytes = plain;
      bytes[at] = value;
      return bytes;
    };
    const auto resealed = [&](const Slice& batch, const std::function<void(std::string&)>& change) {
      return std::string(as_text(changed_batch(batch, change)));
    };
    const auto counted = [&](const Slice& batch, char count) {
      return resealed(batch, [count](std::string& b) {
        b[BatchLayout::kRecordCount + 3] = count;
        b[BatchLayout::kLastOffsetDelta + 3] = static_cast<char>(count - 1);
      });
    };
    const Slice lz4 = batch_of({"a", "b", "c"}, {.codec = Codec::kLz4});
    std::vector<Case> cases = {
        {"nothing", "", ErrorCode::kInvalidRecord},
        {"two", plain + plain, ErrorCode::kInvalidRecord},
        {"one, and a byte", plain + "x", ErrorCode::kInvalidRecord},
        {"cut short", plain.substr(0, 70), ErrorCode::kInvalidRecord},
        {"cut in its length", plain.substr(0, 10), ErrorCode::kInvalidRecord},
        {"wrong CRC", flip(BatchLayout::kCrc, plain[BatchLayout::kCrc] ^ 1), ErrorCode::kCorruptMessage},
        {"a flipped record", flip(plain.size() - 1, 'x'), ErrorCode::kCorruptMessage},
        {"magic 0", flip(BatchLayout::kMagic, 0), ErrorCode::kInvalidRecord},
        {"magic 1", flip(BatchLayout::kMagic, 1), ErrorCode::kInvalidRecord},
        {"magic 3", flip(BatchLayout::kMagic, 3), ErrorCode::kCorruptMessage},
        {"magic -1", flip(BatchLayout::kMagic, -1), ErrorCode::kCorruptMessage},
        {"a negative length", flip(BatchLayout::kLength, '\xff'), ErrorCode::kCorruptMessage},
        {"a length too small", std::string(as_text(good)).replace(BatchLayout::kLength, 4, std::string("\0\0\0\x01", 4)), ErrorCode::kCorruptMessage},
        {"a length too large", flip(BatchLayout::kLength + 2, 1), ErrorCode::kInvalidRecord},
        {"codec 7", resealed(good, [](std::string& b) { b[BatchLayout::kAttributes + 1] = 7; }), ErrorCode::kUnsupportedCompressionType},
        {"a base offset", resealed(good, [](std::string& b) { b[7] = 5; }), ErrorCode::kInvalidRecord},
        {"one record too many", counted(good, 4), ErrorCode::kInvalidRecord},
        {"one record too few", counted(good, 2), ErrorCode::kInvalidRecord},
        {"2^31-1 records", resealed(good, [](std::string& b) {
           b.replace(BatchLayout::kRecordCount, 4, "\x7f\xff\xff\xff");
           b.replace(BatchLayout::kLastOffsetDelta, 4, "\x7f\xff\xff\xfe");
         }), ErrorCode::kInvalidRecord},
        {"-1 records", resealed(good, [](std::string& b) { b.replace(BatchLayout::kRecordCount, 4, "\xff\xff\xff\xff"); }), ErrorCode::kCorruptMessage},
        {"a negative delta", resealed(good, [](std::string& b) { b[BatchLayout::kLastOffsetDelta] = '\x80'; }), ErrorCode::kCorruptMessage},
        {"a control batch", std::string(as_text(batch_of({"a"}, {.control = true}))), ErrorCode::kInvalidRecord},
        {"linked LZ4 blocks", resealed(lz4, [](std::string& b) { b[BatchLayout::kRecords + 4] &= ~0x20; }), ErrorCode::kInvalidRecord},
        {"LZ4 that is none", resealed(lz4, [](std::string& b) { b[BatchLayout::kRecords] = 'x'; }), ErrorCode::kInvalidRecord},
    };
    for (const Case& c : cases) {
      Slice bytes(c.bytes);
      const auto answer = wire.produce("good", bytes);
      EXPECT_EQ(answer.error_code, c.code) << c.what << ": " << answer.error_message.value_or("");
      EXPECT_EQ(answer.base_offset, kNoOffset) << c.what;
      EXPECT_TRUE(answer.error_message.has_value()) << c.what;
    }
    // A records field that is null.
    auto request = produce_request("good", 0, {});
    request.topic_data[0].partition_data[0].records = Records();
    EXPECT_EQ(wire.ask(request, 8).responses.at(0).partition_responses.at(0).error_code, ErrorCode::kInvalidRecord);
    expect_others_do_not_notice(wire);
  });
}

TEST_F(BadInput, ABombGoesOffNowhere) {
  w.create_topic("keyed", 1, 1, {{"cleanup.policy", "compact"}});
  w.create_topic("plain", 1, 1, {{"compression.type", "uncompressed"}});
  w.run([&](Wire& wire) {
    for (const Codec codec : {Codec::kGzip, Codec::kZstd}) {
      // 128 MiB of zeros in some 100 KiB; both topics have to look inside.
      const Slice bomb = changed_batch(batch_of({"a"}, {.codec = codec}), [&](std::string& bytes) {
        const std::string zeros(128 << 20, '\0');
        bytes = bytes.substr(0, BatchLayout::kRecords) + std::string(as_text(compress(codec, as_bytes(zeros))));
      });
      ASSERT_LT(bomb.size(), 1u << 20);
      const size_t before = held_bytes();
      EXPECT_EQ(wire.produce("keyed", bomb).error_code, ErrorCode::kInvalidRecord) << codec_name(codec);
      EXPECT_EQ(wire.produce("plain", Slice(bomb.view())).error_code, ErrorCode::kMessageTooLarge) << codec_name(codec);
      const size_t after = held_bytes();
      EXPECT_LT(after > before ? after - before : 0, 8u << 20);
      expect_others_do_not_notice(wire);
    }
  });
}

// A topic that keeps its producers' codec takes one as it is. Whoever asks for an offset by time has it unpacked then: one at
// a time, however many ask, and no further than a batch may go.
TEST_F(BadInput, ABombThatIsKeptGoesOffNowhereEither) {
  constexpr int64_t kLater = 10'000'000'000;
  w.create_topic("kept", 2);
  w.run([&](Wire& wire) {
    const Slice bomb = changed_batch(batch_of({"a"}, {.codec = Codec::kZstd}), [&](std::string& bytes) {
      const std::string zeros(128 << 20, '\0');
      bytes = bytes.substr(0, BatchLayout::kRecords) + std::string(as_text(compress(Codec::kZstd, as_bytes(zeros))));
      ByteWriter time;
      time.i64(kLater);
      bytes.replace(BatchLayout::kMaxTimestamp, 8, as_text(time.view()));
    });
    EXPECT_EQ(wire.produce("kept", batch_of({"a", "b"})).base_offset, Offset(0));
    EXPECT_EQ(wire.produce("kept", Slice(bomb.view())).error_code, ErrorCode::kNone);
    EXPECT_EQ(wire.produce("kept", batch_of({"c"})).base_offset, Offset(3));
    std::vector<Wire> seekers;
    for (int i = 0; i < 8; ++i) seekers.push_back(w.connect(wire));
    const size_t before = held_bytes();
    size_t most = before;
    ListOffsetsRequest by_time;
    by_time.topics.push_back({"kept", {{0, -1, kLater - 1, {}}}, {}});
    for (Wire& seeker : seekers) seeker.send(seeker.frame_of(by_time, 7));
    // What they do takes no time here; who watches does so in between.
    for (int i = 0; i < 100'000; ++i) {
      wire.task().scheduler().yield(wire.task());
      most = std::max(most, held_bytes());
      if (i % 100 == 0) wire.runtime().sleep_for(wire.task(), 10_us).value();
    }
    for (Wire& seeker : seekers) {
      const auto frame = seeker.receive();
      ASSERT_TRUE(frame.has_value());
      const auto answer = seeker.read<ListOffsetsResponse>(*frame, 7);
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->topics[0].partitions[0].error_code, ErrorCode::kKafkaStorageError);
    }
    EXPECT_EQ(wire.offset_at("kept", ListOffsetsTimestamp::kMaxTimestamp).error_code, ErrorCode::kKafkaStorageError);
    // Of its unpacking, 32 MiB and the window of a codec.
    EXPECT_LT(most - before, 80u << 20);
    expect_others_do_not_notice(wire);
  });
}

TEST_F(BadInput, ManyTopicsAndPartitionsInOneRequest) {
  w.run([&](Wire& wire) {
    // Ten thousand partitions that are not there: answered, each once.
    ProduceRequest request = produce_request("good", 0, {});
    request.topic_data[0].partition_data.clear();
    for (int32_t p = 1; p <= 10'000; ++p) request.topic_data[0].partition_data.push_back({p, Slice(), {}});
    EXPECT_EQ(wire.ask(request, 8).responses.at(0).partition_responses.size(), 10'000u);
    FetchRequest fetch = fetch_request("good", 0, 0);
    for (int32_t p = 1; p < 10'000; ++p) fetch.topics[0].partitions.push_back({.partition = p});
    EXPECT_EQ(wire.ask(fetch, 12).responses.at(0).partitions.size(), 10'000u);
    // The same partition over and over: each is answered, and the answer's limit is that of the request.
    fetch.topics[0].partitions.clear();
    for (int i = 0; i < 1000; ++i) fetch.topics[0].partitions.push_back({.partition = 0, .partition_max_bytes = 1 << 20});
    EXPECT_EQ(wire.ask(fetch, 12).responses.at(0).partitions.size(), 1000u);
    expect_others_do_not_notice(wire);
  });
}

// A few KiB would make an answer of as many times what is told of each.
TEST_F(BadInput, WhatIsAskedForManyTimesIsToldOnce) {
  w.run([&](Wire& wire) {
    MetadataRequest metadata;
    metadata.topics.emplace(1000, MetadataRequest::Topic{.name = "good"});
    metadata.topics->push_back({.name = "none"});
    metadata.topics->push_back({.name = "good"});
    const auto topics = wire.ask(metadata, 9).topics;
    ASSERT_EQ(topics.size(), 2u);
    EXPECT_EQ(topics[0].name, "good");
    EXPECT_EQ(topics[1].name, "none");

    DescribeConfigsRequest configs;
    for (int i = 0; i < 1000; ++i) configs.resources.push_back({.resource_type = ConfigResourceType::kTopic, .resource_name = "good"});
    configs.resources.push_back({.resource_type = ConfigResourceType::kBroker, .resource_name = "1"});
    EXPECT_EQ(wire.ask(configs, 4).results.size(), 2u);

    DescribeProducersRequest producers;
    producers.topics.assign(100, {.name = "good", .partition_indexes = std::vector<int32_t>(100, 0)});
    const auto told = wire.ask(producers, 0).topics;
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].partitions.size(), 1u);

    DescribeGroupsRequest groups;
    groups.groups.assign(1000, "g");
    EXPECT_EQ(wire.ask(groups, 5).groups.size(), 1u);
    ConsumerGroupDescribeRequest consumers;
    consumers.group_ids.assign(1000, "g");
    EXPECT_EQ(wire.ask(consumers, 0).groups.size(), 1u);
    OffsetFetchRequest offsets;
    offsets.groups.resize(10);
    for (auto& group : offsets.groups) {
      group.group_id = "g";
      group.topics.emplace(10, OffsetFetchRequest::Group::Topic{.name = "good", .partition_indexes = std::vector<int32_t>(1000, 0)});
    }
    // The group's coordinator is there once somebody asks for it.
    (void)wire.ask(FindCoordinatorRequest{.coordinator_keys = {"g"}}, 4);
    (void)wire.runtime().sleep_for(wire.task(), 5_s);
    const auto committed = wire.ask(offsets, 9).groups;
    ASSERT_EQ(committed.size(), 1u);
    ASSERT_EQ(committed[0].topics.size(), 1u);
    EXPECT_EQ(committed[0].topics[0].partitions.size(), 1u);
    expect_others_do_not_notice(wire);
  });
}

TEST_F(BadInput, WhoLeavesInTheMiddleLeavesNothingBehind) {
  w.run([&](Wire& wire) {
    FetchRequest poll = fetch_request("good", 0, 0);
    poll.max_wait_ms = 60'000;
    poll.topics[0].partitions[0].fetch_offset = Offset(0);
    for (int i = 0; i < 50; ++i) {
      Wire leaver = w.connect(wire);
      const Slice frame = leaver.frame_of(poll, 12);
      leaver.send(frame);
      leaver.send(frame.sub(0, static_cast<size_t>(i) % frame.size()));
      if (i % 2 == 0) leaver.send(leaver.frame_of(produce_request("nobody", 0, batch_of({"x"})), 8));
    }
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s));
    expect_others_do_not_notice(wire);
  });
  EXPECT_TRUE(w.log_lines("closed the connection").size() <= 50u);
}

}  // namespace
}  // namespace taffrail::test
