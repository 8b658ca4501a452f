// Goal: what a partition's leader is asked about its log, besides records, is answered as Kafka answers it: where the
// log shall begin, who has written to it, how large it is. Method: raw requests; what was answered is compared with
// what clients then read, on brokers of one shard and of two, and after a restart.
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;

DeleteRecordsResponse::Partition delete_records(Wire& wire, const std::string& topic, int64_t before, int16_t version = 2,
                                                int32_t partition = 0) {
  DeleteRecordsRequest request;
  request.timeout_ms = 20'000;
  request.topics.push_back({topic, {{partition, Offset(before), {}}}, {}});
  const auto answer = wire.ask(request, version);
  EXPECT_EQ(answer.topics.at(0).name, topic);
  return answer.topics.at(0).partitions.at(0);
}

TEST(DeleteRecords, TheLogBeginsWhereItWasAskedTo) {
  BrokerWorld w(31);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(wire.produce("t", batch_of({"a", "b", "c"})).error_code, ErrorCode::kNone);
    for (int16_t version = 0; version <= 2; ++version) {
      const auto done = delete_records(wire, "t", 4 + version, version);
      EXPECT_EQ(done.error_code, ErrorCode::kNone);
      EXPECT_EQ(done.low_watermark, Offset(4 + version));
    }
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kEarliest).offset, Offset(6));
    EXPECT_EQ(wire.fetch("t", 5).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(wire.fetch("t", 6).log_start_offset, Offset(6));
    // Behind it already: nothing moves, and that is a success.
    EXPECT_EQ(delete_records(wire, "t", 2).low_watermark, Offset(6));
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kEarliest).offset, Offset(6));
    // All that there is; what comes next has the next offset.
    EXPECT_EQ(delete_records(wire, "t", -1).low_watermark, Offset(30));
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kEarliest).offset, Offset(30));
    EXPECT_EQ(wire.produce("t", batch_of({"d"})).base_offset, Offset(30));
  });
}

TEST(DeleteRecords, WhatCannotBeIsRefusedAndNothingMoves) {
  BrokerWorld w(32);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({"a", "b", "c"}));
    EXPECT_EQ(delete_records(wire, "t", 4).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(delete_records(wire, "t", -2).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(delete_records(wire, "t", INT64_MIN).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(delete_records(wire, "t", 1, 2, 7).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(delete_records(wire, "nobody", 1).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(delete_records(wire, "t", 4).low_watermark, kNoOffset);
    IncrementalAlterConfigsRequest compact;
    compact.resources.push_back({ConfigResourceType::kTopic, "t", {{"cleanup.policy", AlterConfigOp::kSet, "compact", {}}}, {}});
    EXPECT_EQ(wire.ask(compact, 1).responses.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(delete_records(wire, "t", 1).error_code, ErrorCode::kPolicyViolation);
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kEarliest).offset, Offset(0));
  });
}

TEST(DescribeProducers, NamesThoseThatTheLeaderRemembers) {
  BrokerWorld w(33);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    DescribeProducersRequest request;
    request.topics.push_back({"t", {0, 5}, {}});
    EXPECT_TRUE(wire.ask(request, 0).topics.at(0).partitions.at(0).active_producers.empty());
    wire.produce("t", batch_from(70, 2, 0, 3));
    wire.produce("t", batch_of({"no producer"}));
    const auto answer = wire.ask(request, 0).topics.at(0);
    ASSERT_EQ(answer.partitions.size(), 2u);
    EXPECT_EQ(answer.partitions[1].error_code, ErrorCode::kUnknownTopicOrPartition);
    ASSERT_EQ(answer.partitions[0].active_producers.size(), 1u);
    const auto& producer = answer.partitions[0].active_producers[0];
    EXPECT_EQ(producer.producer_id, ProducerId(70));
    EXPECT_EQ(producer.producer_epoch, 2);
    EXPECT_EQ(producer.last_sequence, 2);
    EXPECT_EQ(producer.current_txn_start_offset, kNoOffset);
  });
}

TEST(DescribeLogDirs, EveryPartitionWithItsSize) {
  BrokerWorld w(34);
  w.create_topic("t");
  w.create_topic("u");
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({std::string(1000, 'x')}));
    for (int16_t version = 1; version <= 4; ++version) {
      const auto all = wire.ask(DescribeLogDirsRequest{}, version);
      ASSERT_EQ(all.results.size(), 1u);
      EXPECT_EQ(all.results[0].error_code, ErrorCode::kNone);
      ASSERT_EQ(all.results[0].topics.size(), 2u);
      EXPECT_EQ(all.results[0].topics[0].name, "t");
      EXPECT_GE(all.results[0].topics[0].partitions.at(0).partition_size, 1000);
      EXPECT_LT(all.results[0].topics[1].partitions.at(0).partition_size, 1000);
      EXPECT_EQ(all.results[0].total_bytes > 0, version >= 4);
    }
    DescribeLogDirsRequest one;
    one.topics.emplace().push_back({"u", {0, 9}, {}});
    const auto answer = wire.ask(one, 4);
    ASSERT_EQ(answer.results.at(0).topics.size(), 1u);
    EXPECT_EQ(answer.results[0].topics[0].name, "u");
    EXPECT_EQ(answer.results[0].topics[0].partitions.size(), 1u);
  });
}

TEST(AlterConfigs, ReplacesAllThatWasSet) {
  BrokerWorld w(35);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    const auto alter = [&](std::vector<AlterConfigsRequest::Config> configs, bool validate_only = false) {
      AlterConfigsRequest request;
      request.validate_only = validate_only;
      request.resources.push_back({ConfigResourceType::kTopic, "t", std::move(configs), {}});
      return wire.ask(request, 2).responses.at(0).error_code;
    };
    const auto value = [&](const std::string& name) { return wire.config_of("t", name); };
    EXPECT_EQ(alter({{"retention.ms", "1000", {}}, {"segment.ms", "5000", {}}}), ErrorCode::kNone);
    EXPECT_EQ(value("retention.ms"), "1000");
    EXPECT_EQ(alter({{"retention.ms", "2000", {}}}, true), ErrorCode::kNone);
    EXPECT_EQ(value("retention.ms"), "1000");
    EXPECT_EQ(alter({{"retention.ms", "x", {}}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(alter({{"retention.ms", {}, {}}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(value("segment.ms"), "5000");
    EXPECT_EQ(alter({{"retention.ms", "3000", {}}}), ErrorCode::kNone);
    EXPECT_EQ(value("retention.ms"), "3000");
    EXPECT_EQ(value("segment.ms"), "604800000") << "what was not named is at its default again";
    EXPECT_EQ(alter({}), ErrorCode::kNone);
    EXPECT_EQ(value("retention.ms"), "604800000");
  });
}

}  // namespace
}  // namespace taffrail::test
