// Goal: consumers get whole batches, as soon as there are enough, and are told where the log begins, ends and
// changed hands. Method: one or three brokers; records written through one connection and read through another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;

std::vector<int64_t> base_offsets(const Records& records) {
  std::vector<int64_t> out;
  const Slice bytes = records.flat();
  BatchWalk walk(bytes);
  for (;;) {
    const auto batch = walk.next();
    EXPECT_TRUE(batch.has_value());
    if (!batch || !*batch) return out;
    EXPECT_TRUE((*batch)->check_crc());
    out.push_back((*batch)->base_offset().value);
  }
}

TEST(Fetch, WholeBatchesFromTheOneThatHoldsTheOffset) {
  BrokerWorld w(1);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    for (int i = 0; i < 4; ++i) wire.produce("t", batch_of({"a", "b", "c"}));
    EXPECT_EQ(base_offsets(wire.fetch("t", 0).records), (std::vector<int64_t>{0, 3, 6, 9}));
    EXPECT_EQ(base_offsets(wire.fetch("t", 7).records), (std::vector<int64_t>{6, 9})) << "inside a batch";
    EXPECT_EQ(base_offsets(wire.fetch("t", 11).records), (std::vector<int64_t>{9}));
  });
}

TEST(Fetch, AtTheEndItWaitsAndBeyondItIsAnError) {
  BrokerWorld w(2);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({"a", "b"}));
    const Instant before = wire.runtime().now();
    const auto at_end = wire.fetch("t", 2);
    EXPECT_EQ(at_end.error_code, ErrorCode::kNone);
    EXPECT_EQ(at_end.records.size_bytes(), 0u);
    EXPECT_FALSE(at_end.records.is_null()) << "clients look at the records before they look at the error";
    EXPECT_GE(wire.runtime().now() - before, 99_ms);
    for (const int64_t outside : {int64_t{3}, int64_t{-1}, int64_t{-2}, INT64_MAX, INT64_MIN}) {
      const Instant asked = wire.runtime().now();
      const auto answer = wire.fetch("t", outside);
      EXPECT_EQ(answer.error_code, ErrorCode::kOffsetOutOfRange) << outside;
      EXPECT_EQ(answer.log_start_offset, Offset(0));
      EXPECT_FALSE(answer.records.is_null());
      EXPECT_LT(wire.runtime().now() - asked, 50_ms) << "an error does not wait";
    }
  });
}

TEST(Fetch, ALongPollEndsWhenThereIsEnoughAndNotBefore) {
  BrokerWorld w(3);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    const Slice one = batch_of({std::string(1000, 'x')});
    FetchRequest request = fetch_request("t", 0, 0);
    request.max_wait_ms = 10'000;
    request.min_bytes = static_cast<int32_t>(2 * one.size() + 1);
    Wire reader = w.connect(wire);
    const Instant before = wire.runtime().now();
    reader.send(reader.frame_of(request, 12));
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 1_s));
      wire.produce("t", Slice(one.view()));
    }
    const auto frame = reader.receive();
    ASSERT_TRUE(frame.has_value());
    const auto answer = reader.read<FetchResponse>(*frame, 12);
    EXPECT_EQ(base_offsets(answer->responses[0].partitions[0].records), (std::vector<int64_t>{0, 1, 2}));
    EXPECT_GE(wire.runtime().now() - before, 3_s);
    EXPECT_LT(wire.runtime().now() - before, 3500_ms);
    // And it ends when its time is over, with what there is.
    request.topics[0].partitions[0].fetch_offset = Offset(2);
    request.max_wait_ms = 500;
    request.min_bytes = INT32_MAX;
    const Instant again = wire.runtime().now();
    EXPECT_EQ(base_offsets(reader.ask(request, 12).responses[0].partitions[0].records), (std::vector<int64_t>{2}));
    EXPECT_GE(wire.runtime().now() - again, 500_ms);
    EXPECT_LT(wire.runtime().now() - again, 600_ms);
  });
}

TEST(Fetch, LimitsHoldButTheFirstBatchAlwaysComes) {
  BrokerWorld w(4);
  w.create_topic("t", 2);
  w.run([&](Wire& wire) {
    const Slice one = batch_of({std::string(1000, 'x')});
    for (int32_t p = 0; p < 2; ++p)
      for (int i = 0; i < 3; ++i) wire.produce("t", Slice(one.view()), -1, 8, p);
    const auto ask = [&](int32_t max, int32_t partition_max) {
      FetchRequest request = fetch_request("t", 0, 0);
      request.max_bytes = max;
      request.topics[0].partitions[0].partition_max_bytes = partition_max;
      request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
      request.topics[0].partitions[1].partition = 1;
      const auto answer = wire.ask(request, 12);
      std::pair<size_t, size_t> counts;
      counts.first = base_offsets(answer.responses[0].partitions[0].records).size();
      counts.second = base_offsets(answer.responses[0].partitions[1].records).size();
      return counts;
    };
    const auto size = static_cast<int32_t>(one.size());
    using Counts = std::pair<size_t, size_t>;
    EXPECT_EQ(ask(INT32_MAX, INT32_MAX), Counts(3, 3));
    EXPECT_EQ(ask(INT32_MAX, 2 * size), Counts(2, 2));
    EXPECT_EQ(ask(4 * size, INT32_MAX), Counts(3, 1)) << "over all partitions";
    EXPECT_EQ(ask(1, INT32_MAX), Counts(1, 0)) << "KIP-74: a batch past every limit, or nobody gets past it";
    EXPECT_EQ(ask(INT32_MAX, 1), Counts(1, 0));
    EXPECT_EQ(ask(0, 0), Counts(1, 0));
    EXPECT_EQ(ask(-1, -1), Counts(1, 0));
  });
}

TEST(Fetch, TopicsPartitionsAndEpochsThatAreNotThere) {
  BrokerWorld w(5, 3);
  const TopicId id = w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t");
  w.run([&](Wire& wire) {
    const auto code = [&](FetchRequest request, int16_t version) {
      const auto answer = wire.ask(request, version);
      EXPECT_EQ(answer.responses.at(0).partitions.size(), 1u);
      EXPECT_FALSE(answer.responses[0].partitions[0].records.is_null());
      return answer.responses[0].partitions[0].error_code;
    };
    EXPECT_EQ(code(fetch_request("nobody", 0, 0), 12), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(code(fetch_request("t", 1, 0), 12), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(code(fetch_request("t", -1, 0), 12), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(code(fetch_request("", 0, 0, id), 13), ErrorCode::kNone);
    EXPECT_EQ(code(fetch_request("", 0, 0, {5, 5}), 13), ErrorCode::kUnknownTopicId);
    EXPECT_EQ(code(fetch_request("", 0, 0, kMetadataPartition.topic), 13), ErrorCode::kUnknownTopicId);
    const auto epoch = static_cast<int32_t>(w.replica(leader, "t")->epoch().value);
    FetchRequest request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    EXPECT_EQ(code(request, 12), ErrorCode::kNone);
    request.topics[0].partitions[0].current_leader_epoch = epoch - 1;
    EXPECT_EQ(code(request, 12), ErrorCode::kFencedLeaderEpoch);
    request.topics[0].partitions[0].current_leader_epoch = epoch + 1;
    EXPECT_EQ(code(request, 12), ErrorCode::kUnknownLeaderEpoch);
    // A session that nobody opened.
    request = fetch_request("t", 0, 0);
    request.session_id = 17;
    request.session_epoch = 1;
    EXPECT_EQ(wire.ask(request, 12).error_code, ErrorCode::kFetchSessionIdNotFound);
  }, leader);
  w.run([&](Wire& wire) {
    const auto answer = wire.ask(fetch_request("", 0, 0, id), 16);
    EXPECT_EQ(answer.responses[0].partitions[0].error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(answer.responses[0].partitions[0].current_leader.leader_id, BrokerId(static_cast<int32_t>(leader) + 1));
    ASSERT_EQ(answer.node_endpoints.size(), 1u);
    EXPECT_EQ(answer.node_endpoints[0].node_id, BrokerId(static_cast<int32_t>(leader) + 1));
  }, (leader + 1) % 3);
}

TEST(Fetch, ReadCommittedGetsAListOfAbortedTransactionsThatIsEmpty) {
  BrokerWorld w(6);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({"a"}));
    FetchRequest request = fetch_request("t", 0, 0);
    request.isolation_level = IsolationLevel::kReadCommitted;
    const auto partition = wire.ask(request, 12).responses[0].partitions[0];
    ASSERT_TRUE(partition.aborted_transactions.has_value());
    EXPECT_TRUE(partition.aborted_transactions->empty());
    EXPECT_EQ(partition.last_stable_offset, Offset(1));
    EXPECT_FALSE(wire.fetch("t", 0).aborted_transactions.has_value());
  });
}

TEST(Fetch, ASessionNamesOnlyWhatChanges) {
  BrokerWorld w(12);
  const TopicId id = w.create_topic("t", 2);
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({"a"}), -1, 8, 0);
    FetchRequest request = fetch_request("", 0, 0, id);
    request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
    request.topics[0].partitions[1].partition = 1;
    request.session_epoch = 0;
    request.max_wait_ms = 100;
    const FetchResponse opened = wire.ask(request, 17);
    ASSERT_GT(opened.session_id, 0);
    ASSERT_EQ(opened.responses.at(0).partitions.size(), 2u);

    // From now on the request names what it has read, the answer what is new.
    FetchRequest next;
    next.max_wait_ms = 100;
    next.min_bytes = 1;
    next.session_id = opened.session_id;
    next.session_epoch = 1;
    next.topics.push_back({"", id, {request.topics[0].partitions[0]}, {}});
    next.topics[0].partitions[0].fetch_offset = Offset(1);
    const FetchResponse quiet = wire.ask(next, 17);
    EXPECT_EQ(quiet.session_id, opened.session_id);
    EXPECT_TRUE(quiet.responses.empty());

    wire.produce("t", batch_of({"b"}), -1, 8, 1);
    next.topics.clear();
    next.session_epoch = 2;
    const FetchResponse news = wire.ask(next, 17);
    ASSERT_EQ(news.responses.size(), 1u);
    EXPECT_EQ(news.responses[0].topic_id, id);
    ASSERT_EQ(news.responses[0].partitions.size(), 1u);
    EXPECT_EQ(news.responses[0].partitions[0].partition_index, 1);
    EXPECT_EQ(base_offsets(news.responses[0].partitions[0].records), (std::vector<int64_t>{0}));

    EXPECT_EQ(wire.ask(next, 17).error_code, ErrorCode::kInvalidFetchSessionEpoch) << "said twice";
    next.session_epoch = 3;
    next.topics.push_back({"t", {}, {request.topics[0].partitions[0]}, {}});
    EXPECT_EQ(wire.ask(next, 12).error_code, ErrorCode::kFetchSessionTopicIdError);
    next.topics.clear();
    next.session_epoch = -1;
    EXPECT_EQ(wire.ask(next, 17).session_id, 0) << "its end";
    next.session_epoch = 3;
    next.session_id = opened.session_id;
    EXPECT_EQ(wire.ask(next, 17).error_code, ErrorCode::kFetchSessionIdNotFound);
  });
}

TEST(Fetch, WhatIsNotCommittedIsNotSeen) {
  BrokerWorld w(7, 3);
  w.create_topic("t", 1, 3);
  const uint32_t leader = w.leader_of("t");
  w.run([&](Wire& wire) { wire.produce("t", batch_of({"a"})); }, leader);
  for (uint32_t i = 1; i < 3; ++i) w.world.pause(w.cluster.broker((leader + i) % 3));
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.produce("t", batch_of({"b"}), 1).base_offset, Offset(1)) << "acks=1 is the leader's own disk";
    const auto fetched = wire.fetch("t", 0);
    EXPECT_EQ(base_offsets(fetched.records), (std::vector<int64_t>{0}));
    EXPECT_EQ(fetched.high_watermark, Offset(1));
    EXPECT_EQ(wire.fetch("t", 1).error_code, ErrorCode::kNone) << "between the watermark and the end there is nothing yet";
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kLatest).offset, Offset(1));
  }, leader);
}

TEST(ListOffsets, PlacesAndTimes) {
  BrokerWorld w(8);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    using T = ListOffsetsTimestamp;
    const auto offset = [&](int64_t timestamp, int16_t version = 11) { return wire.offset_at("t", timestamp, version).offset; };
    // An empty log.
    EXPECT_EQ(offset(T::kEarliest), Offset(0));
    EXPECT_EQ(offset(T::kLatest), Offset(0));
    EXPECT_EQ(offset(T::kMaxTimestamp), kNoOffset);
    EXPECT_EQ(offset(0), kNoOffset);
    // Times that do not rise, and inside of compressed batches.
    const auto write = [&](Codec codec, std::vector<int64_t> times) {
      BatchBuilder builder({.codec = codec});
      for (const int64_t time : times) builder.add(time, "k", "v");
      wire.produce("t", builder.finish());
    };
    write(Codec::kNone, {1000, 3000, 2000});
    write(Codec::kLz4, {2500, 5000, 4000});
    write(Codec::kZstd, {4500});
    EXPECT_EQ(offset(T::kEarliest), Offset(0));
    EXPECT_EQ(offset(T::kLatest), Offset(7));
    EXPECT_EQ(offset(T::kEarliestLocal), Offset(0));
    EXPECT_EQ(offset(T::kLatestTiered), kNoOffset);
    const auto most = wire.offset_at("t", T::kMaxTimestamp);
    EXPECT_EQ(most.offset, Offset(4));
    EXPECT_EQ(most.timestamp, 5000);
    EXPECT_EQ(offset(0), Offset(0));
    EXPECT_EQ(offset(1000), Offset(0));
    EXPECT_EQ(offset(1001), Offset(1));
    EXPECT_EQ(offset(3001), Offset(4)) << "the first record in the log that is late enough, not the earliest of them";
    EXPECT_EQ(wire.offset_at("t", 3001).timestamp, 5000);
    EXPECT_EQ(offset(5001), kNoOffset);
    EXPECT_EQ(offset(INT64_MAX), kNoOffset);
    EXPECT_EQ(wire.offset_at("t", 5001).error_code, ErrorCode::kNone);
    EXPECT_EQ(wire.offset_at("nobody", 0).error_code, ErrorCode::kUnknownTopicOrPartition);
    // What a version does not know is a time before 1970 to it, and no place; and nothing is that old.
    for (int16_t version = 1; version <= 11; ++version) {
      EXPECT_EQ(offset(T::kEarliest, version), Offset(0));
      EXPECT_EQ(offset(T::kLatest, version), Offset(7));
    }
  });
}

TEST(ListOffsets, APoisonedBatchIsAnErrorAndNotAnEnd) {
  BrokerWorld w(9);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    const Slice poison = changed_batch(batch_of({"a"}, {.codec = Codec::kZstd}, 1000),
                                       [](std::string& bytes) { bytes.back() ^= 0xff; bytes[BatchLayout::kRecords + 5] = '\xff'; });
    ASSERT_EQ(wire.produce("t", poison).error_code, ErrorCode::kNone);
    EXPECT_EQ(wire.offset_at("t", 500).error_code, ErrorCode::kKafkaStorageError);
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kMaxTimestamp).error_code, ErrorCode::kKafkaStorageError);
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kLatest).offset, Offset(1));
    EXPECT_EQ(base_offsets(wire.fetch("t", 0).records), (std::vector<int64_t>{0})) << "served as it came";
    EXPECT_EQ(wire.produce("t", batch_of({"b"})).base_offset, Offset(1));
  });
}

TEST(OffsetForLeaderEpoch, WhereAnEpochEnded) {
  BrokerWorld w(10, 3);
  w.create_topic("t", 1, 3);
  const uint32_t first = w.leader_of("t");
  const auto old_epoch = static_cast<int32_t>(w.replica(first, "t")->epoch().value);
  w.run([&](Wire& wire) { wire.produce("t", batch_of({"a", "b", "c"})); }, first);
  w.world.kill(w.cluster.broker(first));
  w.world.run_for(5_s);
  const uint32_t second = w.leader_of("t");
  ASSERT_NE(first, second);
  const auto new_epoch = static_cast<int32_t>(w.replica(second, "t")->epoch().value);
  w.run([&](Wire& wire) {
    wire.produce("t", batch_of({"d"}));
    const auto end_of = [&](int32_t epoch, int32_t current = -1) {
      OffsetForLeaderEpochRequest request;
      request.replica_id = BrokerId(-1);
      request.topics.push_back({"t", {{0, current, epoch, {}}}, {}});
      return wire.ask(request, 4).topics.at(0).partitions.at(0);
    };
    EXPECT_EQ(end_of(old_epoch).end_offset, Offset(3));
    EXPECT_EQ(end_of(old_epoch).leader_epoch, old_epoch);
    EXPECT_EQ(end_of(new_epoch).end_offset, Offset(4));
    EXPECT_EQ(end_of(new_epoch - 1).end_offset, Offset(3)) << "the largest epoch that is not above the one asked for";
    for (const int32_t unknown : {new_epoch + 1, INT32_MAX, -1, INT32_MIN}) {
      EXPECT_EQ(end_of(unknown).leader_epoch, -1) << unknown;
      EXPECT_EQ(end_of(unknown).end_offset, kNoOffset) << unknown;
      EXPECT_EQ(end_of(unknown).error_code, ErrorCode::kNone) << unknown;
    }
    // Before any epoch that is here: what is here begins where that ended, or later (as Kafka has it).
    EXPECT_EQ(end_of(0).leader_epoch, 0);
    EXPECT_EQ(end_of(0).end_offset, Offset(0));
    EXPECT_EQ(end_of(old_epoch, old_epoch).error_code, ErrorCode::kFencedLeaderEpoch);
    EXPECT_EQ(end_of(old_epoch, new_epoch + 1).error_code, ErrorCode::kUnknownLeaderEpoch);
    // A reader of the old epoch is told so as well.
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kLatest).leader_epoch, new_epoch);
    EXPECT_EQ(wire.offset_at("t", ListOffsetsTimestamp::kEarliest).leader_epoch, old_epoch);
    DeleteRecordsRequest all;
    all.timeout_ms = 20'000;
    all.topics.push_back({"t", {{0, Offset(-1), {}}}, {}});
    EXPECT_EQ(wire.ask(all, 2).topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(end_of(old_epoch).end_offset, Offset(4)) << "whoever read all of it reads on";
  }, second);
}

}  // namespace
}  // namespace taffrail::test
