// Goal: what a producer reports is what happened. Acknowledged records stand in the log once, in order, at
// the offset that was named; failed ones do not stand there; whatever is neither is reported as unknown.
// Method: scripted brokers on the simulated network refuse, drop connections before and after they acted,
// fall silent and hand leadership on; the log in memory is then compared with what the observer was told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <set>

#include "client/producer.h"
#include "client/support/fake_cluster.h"

namespace taffrail::client::test {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;
using testing::ElementsAre;

class History final : public ClientObserver {
 public:
  void on_send(uint64_t id, const TopicPartition&, const Record& r) override { sent[id] = *r.value; }
  void on_ack(uint64_t id, const TopicPartition&, Offset at) override {
    EXPECT_TRUE(settled.insert(id).second);
    acked[id] = at;
  }
  void on_fail(uint64_t id, const TopicPartition&, const Error&) override {
    EXPECT_TRUE(settled.insert(id).second);
    failed.insert(id);
  }
  void on_unknown(uint64_t id, const TopicPartition&, const Error&) override {
    EXPECT_TRUE(settled.insert(id).second);
    unknown.insert(id);
  }

  /// The whole contract, against the log as it is.
  void check(const std::vector<std::string>& log) const {
    std::map<std::string, std::vector<size_t>> places;
    for (size_t i = 0; i < log.size(); ++i) places[log[i]].push_back(i);
    size_t last = 0;
    for (const auto& [id, value] : sent) {
      const auto at = places.contains(value) ? places.at(value) : std::vector<size_t>();
      ASSERT_LE(at.size(), 1u) << value << " is there twice";
      if (failed.contains(id)) {
        EXPECT_TRUE(at.empty()) << value << " was said to have failed";
      }
      if (!acked.contains(id)) continue;
      ASSERT_EQ(at.size(), 1u) << value << " was acknowledged and is lost";
      if (acked.at(id) != kNoOffset) {
        EXPECT_EQ(acked.at(id), Offset(static_cast<int64_t>(at[0])));
      }
      EXPECT_GE(at[0], last) << value << " is out of order";
      last = at[0];
    }
    EXPECT_EQ(settled.size(), sent.size());
  }

  std::map<uint64_t, std::string> sent;
  std::map<uint64_t, Offset> acked;
  std::set<uint64_t> failed, unknown, settled;
};

Record value(const std::string& text) { return {.key = {}, .value = text}; }

/// Sends `count` numbered records to t-0, in batches of a few, and waits for their end.
void send_all(Task& task, Producer& producer, int count) {
  for (int i = 0; i < count; ++i) {
    const auto sent = producer.send(task, "t", 0, value(fmt::format("v{:04}", i)), static_cast<uint64_t>(i));
    ASSERT_TRUE(sent) << sent.error().text();
  }
  ASSERT_TRUE(producer.flush(task));
}

ProducerOptions small_batches() {
  ProducerOptions options;
  options.batch_bytes = 200;
  return options;
}

TEST(Producer, RecordsStandInTheLogInOrderAtTheOffsetsThatWereAcknowledged) {
  sim::World world(1);
  FakeCluster brokers(world, 2);
  brokers.add_topic("t", 1);
  History history;
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    Producer producer(cluster, small_batches(), &history);
    send_all(task, producer, 100);
    EXPECT_EQ(producer.counts().acked, 100u);
    EXPECT_LT(producer.counts().requests, 60u) << "records share batches";
    producer.close(task);
  });
  EXPECT_EQ(history.acked.size(), 100u);
  history.check(brokers.values("t"));
}

TEST(Producer, ABatchWhoseAnswerWasLostIsNotWrittenTwice) {
  sim::World world(2);
  FakeCluster brokers(world, 2);
  brokers.add_topic("t", 1);
  brokers.next(ApiKey::kProduce, {Script::kActAndDrop}, 3);
  History history;
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    Producer producer(cluster, small_batches(), &history);
    send_all(task, producer, 30);
    EXPECT_GT(producer.counts().retries, 0u);
    producer.close(task);
  });
  EXPECT_EQ(history.acked.size(), 30u);
  history.check(brokers.values("t"));
}

TEST(Producer, FollowsALeaderThatMovesWhileBatchesAreOnTheirWay) {
  sim::World world(3);
  FakeCluster brokers(world, 3);
  brokers.add_topic("t", 1);
  History history;
  int produced = 0;
  brokers.script = [&](ApiKey key) -> std::optional<Script> {
    if (key == ApiKey::kProduce && ++produced % 7 == 0)
      brokers.move_leader("t", 0, BrokerId(1 + produced % 3));
    return {};
  };
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    Producer producer(cluster, small_batches(), &history);
    send_all(task, producer, 200);
    producer.close(task);
  });
  EXPECT_EQ(history.acked.size(), 200u);
  history.check(brokers.values("t"));
}

TEST(Producer, ABatchThatIsRefusedForGoodDoesNotTakeThoseBehindItAlong) {
  sim::World world(4);
  FakeCluster brokers(world, 1);
  brokers.add_topic("t", 1);
  brokers.next(ApiKey::kProduce, {Script::kRefuse, ErrorCode::kMessageTooLarge});
  History history;
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    Producer producer(cluster, small_batches(), &history);
    send_all(task, producer, 60);
    EXPECT_EQ(producer.counts().epochs, 1u) << "the hole in the sequence is closed by a new epoch";
    producer.close(task);
  });
  EXPECT_FALSE(history.failed.empty());
  EXPECT_EQ(history.failed.size() + history.acked.size(), 60u);
  history.check(brokers.values("t"));
}

TEST(Producer, WhatIsNotAnsweredInTimeIsUnknownAndWhatFollowsIsDelivered) {
  sim::World world(5);
  FakeCluster brokers(world, 1);
  brokers.add_topic("t", 1);
  History history;
  bool silent = true;
  brokers.script = [&](ApiKey key) -> std::optional<Script> {
    if (key == ApiKey::kProduce && silent) return Script{Script::kNeverAnswer};
    return {};
  };
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    ProducerOptions options = small_batches();
    options.request_timeout = 1_s;
    options.delivery_timeout = 5_s;
    Producer producer(cluster, options, &history);
    const auto first = producer.send(task, "t", 0, value("lost"), 0);
    ASSERT_TRUE(first);
    const auto settled = first->wait(task);
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().code, Errc::kTimedOut);
    EXPECT_TRUE(first->may_be_in_log());
    silent = false;
    const auto second = producer.send(task, "t", 0, value("found"), 1);
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->wait(task));
    producer.close(task);
  });
  EXPECT_THAT(history.unknown, ElementsAre(0));
  EXPECT_THAT(brokers.values("t"), ElementsAre("lost", "found"));
}

TEST(Producer, WithoutAcksNothingIsKnown) {
  sim::World world(6);
  FakeCluster brokers(world, 1);
  brokers.add_topic("t", 1);
  History history;
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    ProducerOptions options;
    options.acks = 0;
    options.idempotent = false;
    Producer producer(cluster, options, &history);
    const auto sent = producer.send(task, "t", 0, value("a"), 0);
    ASSERT_TRUE(sent);
    const auto at = sent->wait(task);
    ASSERT_TRUE(at) << at.error().text();
    EXPECT_EQ(*at, kNoOffset);
    (void)runtime.sleep_for(task, 1_s);
    producer.close(task);
  });
  EXPECT_THAT(history.unknown, ElementsAre(0));
  EXPECT_THAT(brokers.values("t"), ElementsAre("a"));
}

TEST(Producer, ATopicThatDoesNotExistIsSaidSoAndNothingWasTaken) {
  sim::World world(7);
  FakeCluster brokers(world, 1);
  History history;
  run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
    ProducerOptions options;
    options.create_topics = false;
    Producer producer(cluster, options, &history);
    const auto sent = producer.send(task, "nowhere", {}, value("a"));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::kNotFound);
    producer.close(task);
  });
  EXPECT_TRUE(history.sent.empty());
}

TEST(Producer, ClosingSettlesEverythingThatWasTaken) {
  sim::World world(8);
  FakeCluster brokers(world, 1);
  brokers.add_topic("t", 1);
  brokers.script = [](ApiKey key) -> std::optional<Script> {
    if (key == ApiKey::kProduce) return Script{Script::kNeverAnswer};
    return {};
  };
  History history;
  run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
    Producer producer(cluster, small_batches(), &history);
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(producer.send(task, "t", 0, value(fmt::format("{}", i)), i));
    (void)runtime.sleep_for(task, 1_s);
    producer.close(task);
    EXPECT_FALSE(producer.send(task, "t", 0, value("late")));
  });
  EXPECT_EQ(history.settled.size(), 100u);
  EXPECT_FALSE(history.unknown.empty());
  history.check(brokers.values("t"));
}

// For every seed: any mix of refusals, lost connections and moving leaders that comes to an end.
TEST(Producer, WhateverBrokersDoTheReportAgreesWithTheLog) {
  uint64_t unknown = 0;
  uint64_t failed = 0;
  uint64_t epochs = 0;
  for (uint64_t seed = 100; seed < 500; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    sim::World world(seed);
    FakeCluster brokers(world, 3);
    brokers.add_topic("t", 1);
    CounterRandom random(seed);
    brokers.script = [&](ApiKey key) -> std::optional<Script> {
      if (key != ApiKey::kProduce) return {};
      const uint64_t what = random.below(24);
      if (what == 0) return Script{Script::kActAndDrop};
      if (what == 1) return Script{Script::kDropFirst};
      if (what == 2) return Script{Script::kRefuse, ErrorCode::kNotEnoughReplicas};
      if (what == 3) return Script{Script::kRefuse, ErrorCode::kRequestTimedOut};
      if (what == 4 && random.chance(1, 4)) return Script{Script::kRefuse, ErrorCode::kMessageTooLarge};
      if (what == 5 && random.chance(1, 8)) return Script{Script::kNeverAnswer};
      if (what == 6) brokers.move_leader("t", 0, BrokerId(static_cast<int32_t>(1 + random.below(3))));
      return {};
    };
    History history;
    run_client(world, brokers, [&](Task& task, Runtime&, Cluster& cluster) {
      ProducerOptions options = small_batches();
      options.request_timeout = 2_s;
      options.delivery_timeout = 10_s;
      Producer producer(cluster, options, &history);
      send_all(task, producer, 150);
      epochs += producer.counts().epochs;
      producer.close(task);
    });
    history.check(brokers.values("t"));
    unknown += history.unknown.size();
    failed += history.failed.size();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(unknown + failed, 0u) << "some seeds have to lead into the rare branches";
  EXPECT_GT(epochs, 0u);
}

}  // namespace
}  // namespace taffrail::client::test
