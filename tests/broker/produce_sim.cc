// Goal: what a producer is told is Kafka's answer, and true. Method: one or three brokers, batches by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;
using testing::HasSubstr;

TEST(Produce, AcksAreZeroOneAllAndNothingElse) {
  BrokerWorld w(1);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", batch_of({"a"}), -1).base_offset, Offset(0));
    EXPECT_EQ(wire.produce("t", batch_of({"b", "c"}), 1).base_offset, Offset(1));
    // No answer, ever: the next one is that of the next request.
    wire.send(wire.frame_of(produce_request("t", 0, batch_of({"d"}), 0), 8));
    EXPECT_EQ(wire.produce("t", batch_of({"e"}), -1).base_offset, Offset(4));
    for (const int acks : {2, -2, 32767, -32768}) {
      const auto answer = wire.produce("t", batch_of({"x"}), static_cast<int16_t>(acks));
      EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRequiredAcks) << acks;
      EXPECT_EQ(answer.base_offset, kNoOffset);
    }
    EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(5)) << "a refused batch left something behind";
  });
}

// Unpacking takes its time, and what comes behind such a batch may need none.
TEST(Produce, WhatHasToBeUnpackedKeepsItsPlace) {
  BrokerWorld w(21);
  w.create_topic("zstd", 1, 1, {{"compression.type", "zstd"}});
  w.run([&](Wire& wire) {
    constexpr int kBatches = 40;
    for (int i = 0; i < kBatches; ++i) {
      BatchBuilder builder({.codec = i % 3 == 0 ? Codec::kGzip : Codec::kZstd, .producer_id = ProducerId(7),
                            .producer_epoch = ProducerEpoch(0), .base_sequence = Sequence(i)});
      builder.add(wire.runtime().wall_now().ms, "k", std::string(i % 3 == 0 ? 300'000 : 10, 'v'));
      wire.send(wire.frame_of(produce_request("zstd", 0, builder.finish()), 8));
    }
    for (int i = 0; i < kBatches; ++i) {
      const auto frame = wire.receive();
      ASSERT_TRUE(frame.has_value());
      const auto header = decode_response_header(*frame, ApiKey::kProduce, 8);
      ASSERT_TRUE(header.has_value());
      const auto answer = decode<ProduceResponse>(header->body, 8);
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->responses[0].partition_responses[0].error_code, ErrorCode::kNone) << i;
      EXPECT_EQ(answer->responses[0].partition_responses[0].base_offset, Offset(i));
    }
  });
}

TEST(Produce, AnErrorUnderAcksZeroClosesTheConnection) {
  BrokerWorld w(2);
  w.create_topic("t");
  const auto closes = [&](const ProduceRequest& request) {
    w.run([&](Wire& wire) {
      wire.send(wire.frame_of(request, 8));
      EXPECT_TRUE(wire.is_closed());
    });
  };
  closes(produce_request("nobody", 0, batch_of({"a"}), 0));
  closes(produce_request("t", 1, batch_of({"a"}), 0));
  Slice bad = batch_of({"a"});
  bad.mutable_view()[BatchLayout::kCrc] ^= 1;
  closes(produce_request("t", 0, bad, 0));
  EXPECT_EQ(w.log_lines("acks=0 could not be appended").size(), 3u);
}

TEST(Produce, ATopicOrPartitionThatIsNotThere) {
  BrokerWorld w(3);
  const TopicId id = w.create_topic("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("nobody", batch_of({"a"})).error_code, ErrorCode::kUnknownTopicOrPartition);
    for (const int32_t partition : {1, -1, INT32_MAX, INT32_MIN})
      EXPECT_EQ(wire.produce("t", batch_of({"a"}), -1, 8, partition).error_code, ErrorCode::kUnknownTopicOrPartition);
    const auto by_id = [&](TopicId which, int32_t partition) {
      return wire.ask(produce_request("", partition, batch_of({"a"}), -1, which), 13).responses[0].partition_responses[0].error_code;
    };
    EXPECT_EQ(by_id(id, 0), ErrorCode::kNone);
    EXPECT_EQ(by_id(id, 1), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(by_id({1, 2}, 0), ErrorCode::kUnknownTopicId);
    EXPECT_EQ(by_id({}, 0), ErrorCode::kUnknownTopicId);
    // Group 0 is no topic, whatever its id.
    EXPECT_EQ(by_id(kMetadataPartition.topic, 0), ErrorCode::kUnknownTopicId);
  });
}

TEST(Produce, EachPartitionOfARequestSucceedsOrFailsAlone) {
  BrokerWorld w(4);
  w.create_topic("t", 3);
  w.run([&](Wire& wire) {
    ProduceRequest request = produce_request("t", 0, batch_of({"a"}));
    Slice bad = batch_of({"b"});
    bad.mutable_view()[70 % bad.size()] ^= 1;
    request.topic_data[0].partition_data.push_back({1, bad, {}});
    request.topic_data[0].partition_data.push_back({2, batch_of({"c", "d"}), {}});
    request.topic_data.push_back({"nobody", {}, {{0, batch_of({"e"}), {}}}, {}});
    const auto answer = wire.ask(request, 8);
    ASSERT_EQ(answer.responses.size(), 2u);
    const auto& t = answer.responses[0].partition_responses;
    EXPECT_EQ(t[0].error_code, ErrorCode::kNone);
    EXPECT_EQ(t[1].error_code, ErrorCode::kCorruptMessage);
    EXPECT_EQ(t[2].error_code, ErrorCode::kNone);
    EXPECT_EQ(answer.responses[1].partition_responses[0].error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(wire.fetch("t", 0, 2).high_watermark, Offset(2));
  });
}

TEST(Produce, WhoDoesNotLeadSaysWhoDoes) {
  BrokerWorld w(5, 3);
  const TopicId id = w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t");
  const uint32_t other = (leader + 1) % 3;
  w.run([&](Wire& wire) {
    const auto answer = wire.ask(produce_request("", 0, batch_of({"a"}), -1, id), 13);
    const auto& partition = answer.responses[0].partition_responses[0];
    EXPECT_EQ(partition.error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(partition.current_leader.leader_id, BrokerId(static_cast<int32_t>(leader) + 1));
    ASSERT_EQ(answer.node_endpoints.size(), 1u);
    EXPECT_EQ(answer.node_endpoints[0].host, w.world.name(w.cluster.broker(leader)));
    EXPECT_EQ(answer.node_endpoints[0].port, sim::SimCluster::kKafkaPort);
  }, other);
}

TEST(Produce, ADuplicateIsAnsweredWithItsFirstOffsetAndNotAppended) {
  BrokerWorld w(6);
  w.create_topic("t");
  w.create_topic("stamped", 1, 1, {{"message.timestamp.type", "LogAppendTime"}});
  w.run([&](Wire& wire) {
    for (int i = 0; i < 7; ++i) EXPECT_EQ(wire.produce("t", batch_from(1, 0, i * 2, 2)).base_offset, Offset(i * 2));
    for (int i = 2; i < 7; ++i) {
      const auto again = wire.produce("t", batch_from(1, 0, i * 2, 2));
      EXPECT_EQ(again.error_code, ErrorCode::kNone) << i;
      EXPECT_EQ(again.base_offset, Offset(i * 2));
    }
    // Only five are remembered; part of a batch, or more than it, is none of them; nor is a gap.
    EXPECT_EQ(wire.produce("t", batch_from(1, 0, 2, 2)).error_code, ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(wire.produce("t", batch_from(1, 0, 12, 1)).error_code, ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(wire.produce("t", batch_from(1, 0, 12, 3)).error_code, ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(wire.produce("t", batch_from(1, 0, 15)).error_code, ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(wire.produce("t", batch_from(1, 0, 14)).base_offset, Offset(14));
    EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(15));
    // The append time is the first copy's too.
    const auto first = wire.produce("stamped", batch_from(1, 0, 0));
    EXPECT_GT(first.log_append_time_ms, 0);
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 2_s));
    EXPECT_EQ(wire.produce("stamped", batch_from(1, 0, 0)).log_append_time_ms, first.log_append_time_ms);
  });
}

TEST(Produce, EpochsFenceAndSequencesWrap) {
  BrokerWorld w(7);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    // Nobody remembers this producer: it may begin anywhere.
    EXPECT_EQ(wire.produce("t", batch_from(9, 3, INT32_MAX - 1, 2)).base_offset, Offset(0));
    EXPECT_EQ(wire.produce("t", batch_from(9, 3, 0, 3)).base_offset, Offset(2)) << "2147483647 is followed by 0";
    EXPECT_EQ(wire.produce("t", batch_from(9, 3, INT32_MAX - 1, 2)).base_offset, Offset(0)) << "still remembered";
    EXPECT_EQ(wire.produce("t", batch_from(9, 2, 3)).error_code, ErrorCode::kInvalidProducerEpoch);
    EXPECT_EQ(wire.produce("t", batch_from(9, 4, 3)).error_code, ErrorCode::kOutOfOrderSequenceNumber) << "a new epoch begins at 0";
    EXPECT_EQ(wire.produce("t", batch_from(9, 4, 0)).base_offset, Offset(5));
    EXPECT_EQ(wire.produce("t", batch_from(9, 3, 3)).error_code, ErrorCode::kInvalidProducerEpoch);
    // One batch over the edge of the sequences.
    EXPECT_EQ(wire.produce("t", batch_from(10, 0, INT32_MAX, 4)).base_offset, Offset(6));
    EXPECT_EQ(wire.produce("t", batch_from(10, 0, 3)).base_offset, Offset(10));
    EXPECT_EQ(wire.produce("t", batch_from(11, 0, -1)).error_code, ErrorCode::kInvalidRecord);
  });
}

TEST(Produce, TransactionsAreRefusedAndNotHalfDone) {
  BrokerWorld w(8);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    ProduceRequest request = produce_request("t", 0, batch_from(1, 0, 0));
    request.transactional_id = "tx";
    EXPECT_EQ(wire.ask(request, 8).responses[0].partition_responses[0].error_code, ErrorCode::kInvalidTxnState);
    const Slice transactional = batch_of({"a"}, {.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0),
                                                 .base_sequence = Sequence(0), .transactional = true});
    EXPECT_EQ(wire.produce("t", transactional).error_code, ErrorCode::kInvalidTxnState)
        << "nobody would ever write the marker that ends this transaction";
    EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(0));
  });
}

TEST(Produce, TooFewInSyncReplicasAreToldBeforeTheAppend) {
  NodeConfig config = small_config();
  config.replica_lag_max = 2_s;
  BrokerWorld w(9, 3, config);
  w.create_topic("t", 1, 3, {{"min.insync.replicas", "3"}});
  const uint32_t leader = w.leader_of("t");
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"a"})).error_code, ErrorCode::kNone); }, leader);
  w.world.kill(w.cluster.broker((leader + 1) % 3));
  w.world.run_for(10_s);
  w.run([&](Wire& wire) {
    const Partition* replica = w.replica(leader, "t");
    const LogIndex before = replica->log().last_index();
    EXPECT_EQ(wire.produce("t", batch_of({"b"})).error_code, ErrorCode::kNotEnoughReplicas);
    EXPECT_EQ(replica->log().last_index(), before) << "refused, and appended all the same";
    // The rule is of acks=all alone.
    EXPECT_EQ(wire.produce("t", batch_of({"c"}), 1).error_code, ErrorCode::kNone);
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s)) << "the answer came before the other one had it";
    EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(2));
  }, leader);
}

TEST(Produce, WhoIsQuietIsInSyncAsLongAsItIsHeardOf) {
  NodeConfig config = small_config();
  config.replica_lag_max = 300_ms;
  config.housekeeping_interval = 100_ms;
  BrokerWorld w(15, 3, config);
  w.create_topic("t", 1, 3);
  const Partition* leader = w.replica(w.leader_of("t"), "t");
  for (int i = 0; i < 200; ++i) {
    w.world.run_for(100_ms);
    ASSERT_EQ(leader->in_sync().size(), 3u) << "after " << i * 100 << " ms in which nothing was written";
  }
}

TEST(Produce, TooFewCopiesAfterTheAppendAreToldSo) {
  NodeConfig config = small_config();
  config.replica_lag_max = 1_s;
  BrokerWorld w(10, 3, config);
  w.create_topic("t", 1, 3, {{"min.insync.replicas", "3"}});
  const uint32_t leader = w.leader_of("t");
  // One follower goes silent: a majority still commits, but three copies there are not.
  w.world.pause(w.cluster.broker((leader + 1) % 3));
  w.run([&](Wire& wire) {
    const auto answer = wire.produce("t", batch_of({"a"}));
    EXPECT_EQ(answer.error_code, ErrorCode::kNotEnoughReplicasAfterAppend);
    EXPECT_EQ(answer.base_offset, kNoOffset);
    EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(1));
  }, leader);
}

TEST(Produce, WithoutAMajorityAnAnswerComesInTimeAndSaysNothingWasAcknowledged) {
  BrokerWorld w(11, 3);
  w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t");
  for (uint32_t i = 1; i < 3; ++i) w.world.pause(w.cluster.broker((leader + i) % 3));
  w.run([&](Wire& wire) {
    ProduceRequest request = produce_request("t", 0, batch_of({"a"}));
    request.timeout_ms = 200;
    const Instant before = wire.runtime().now();
    const auto code = wire.ask(request, 8).responses[0].partition_responses[0].error_code;
    EXPECT_TRUE(code == ErrorCode::kRequestTimedOut || code == ErrorCode::kNotLeaderOrFollower) << static_cast<int>(code);
    EXPECT_LT(wire.runtime().now() - before, 1_s);
  }, leader);
}

TEST(Produce, AppendTimesLimitsAndKeysAreTheTopics) {
  BrokerWorld w(12);
  w.create_topic("stamped", 1, 1, {{"message.timestamp.type", "LogAppendTime"}});
  w.create_topic("small", 1, 1, {{"max.message.bytes", "200"}});
  w.create_topic("keyed", 1, 1, {{"cleanup.policy", "compact"}});
  w.create_topic("timely", 1, 1, {{"message.timestamp.before.max.ms", "1000"}});
  w.run([&](Wire& wire) {
    const auto stamped = wire.produce("stamped", batch_of({"a"}, {}, 5));
    EXPECT_GT(stamped.log_append_time_ms, 1'700'000'000'000);
    const auto fetched = wire.fetch("stamped", 0);
    const auto view = BatchView::parse(fetched.records.flat());
    ASSERT_TRUE(view.has_value());
    EXPECT_TRUE(view->check_crc());
    EXPECT_EQ(view->timestamp_type(), TimestampType::kLogAppendTime);
    EXPECT_EQ(view->max_timestamp(), stamped.log_append_time_ms);

    EXPECT_EQ(wire.produce("small", batch_of({std::string(150, 'x')})).error_code, ErrorCode::kMessageTooLarge);
    EXPECT_EQ(wire.produce("small", batch_of({"x"})).error_code, ErrorCode::kNone);

    BatchBuilder keyless;
    keyless.add(-1, "key", "v");
    keyless.add(-1, std::nullopt, as_bytes("v"));
    const auto refused = wire.produce("keyed", keyless.finish());
    EXPECT_EQ(refused.error_code, ErrorCode::kInvalidRecord);
    ASSERT_EQ(refused.record_errors.size(), 1u);
    EXPECT_EQ(refused.record_errors[0].batch_index, 1);

    const int64_t now = wire.runtime().wall_now().ms;
    EXPECT_EQ(wire.produce("timely", batch_of({"x"}, {}, now - 60'000)).error_code, ErrorCode::kInvalidTimestamp);
    EXPECT_EQ(wire.produce("timely", batch_of({"x"}, {}, now + 7'200'000)).error_code, ErrorCode::kInvalidTimestamp);
    EXPECT_EQ(wire.produce("timely", batch_of({"x"}, {}, now)).error_code, ErrorCode::kNone);
    EXPECT_EQ(wire.produce("timely", batch_of({"x"}, {.timestamp_type = TimestampType::kLogAppendTime, .max_timestamp_ms = now}, now)).error_code,
              ErrorCode::kInvalidTimestamp);
  });
}

TEST(Produce, AForcedCodecIsWhatIsStoredAndWhatItMakesOfABatchHasToFitToo) {
  BrokerWorld w(13);
  w.create_topic("zstd", 1, 1, {{"compression.type", "zstd"}});
  w.create_topic("plain", 1, 1, {{"compression.type", "uncompressed"}, {"max.message.bytes", "10000"}});
  w.run([&](Wire& wire) {
    for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd})
      EXPECT_EQ(wire.produce("zstd", batch_of({std::string(500, 'a')}, {.codec = codec})).error_code, ErrorCode::kNone);
    const auto fetched = wire.fetch("zstd", 0);
    BatchWalk walk(fetched.records.flat());
    int batches = 0;
    for (;;) {
      const auto batch = walk.next();
      ASSERT_TRUE(batch.has_value());
      if (!*batch) break;
      EXPECT_EQ((*batch)->codec(), Codec::kZstd);
      EXPECT_TRUE((*batch)->check_crc());
      EXPECT_EQ((*batch)->base_offset(), Offset(batches++));
    }
    EXPECT_EQ(batches, 5);
    // Small as it came, too large as it would be stored: it would lie there past every limit.
    const Slice bomb = batch_of({std::string(1 << 20, '\0')}, {.codec = Codec::kZstd});
    ASSERT_LT(bomb.size(), 10'000u);
    EXPECT_EQ(wire.produce("plain", bomb).error_code, ErrorCode::kMessageTooLarge);
    EXPECT_EQ(wire.fetch("plain", 0).high_watermark, Offset(0));
    // What does not decompress can never be stored: sending it again would not help.
    const Slice garbage = changed_batch(batch_of({"a"}, {.codec = Codec::kZstd}), [](std::string& bytes) {
      for (size_t i = BatchLayout::kRecords + 4; i < bytes.size(); ++i) bytes[i] = 'x';
    });
    EXPECT_EQ(wire.produce("plain", garbage).error_code, ErrorCode::kInvalidRecord);
  });
}

TEST(Produce, ZstdNeedsVersionSeven) {
  BrokerWorld w(14);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    const Slice batch = batch_of({"a"}, {.codec = Codec::kZstd});
    EXPECT_EQ(wire.produce("t", batch, -1, 6).error_code, ErrorCode::kUnsupportedCompressionType);
    EXPECT_EQ(wire.produce("t", Slice(batch.view()), -1, 7).error_code, ErrorCode::kNone);
  });
}

}  // namespace
}  // namespace taffrail::test
