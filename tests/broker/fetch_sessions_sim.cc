// Goal: what the client's consumer reads in sessions is every record once and in order, whatever happens to brokers,
// topics and itself (I-N5). Method: simulated brokers and the real client, which tell each other only what is new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "broker/fetch_sessions.h"
#include "broker/support/broker_world.h"
#include "client/admin.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace taffrail::test {
namespace {

using client::StartAt;
using testing::ElementsAre;

struct Reading {
  Reading(Task& t, Runtime& r, const client::ClusterOptions& options)
      : task(t), runtime(r), cluster(r, options), admin(cluster), producer(cluster, {}), consumer(cluster, {}) {}

  void produce(const std::string& topic, int32_t partition, const std::string& value) {
    client::Record record;
    record.value = value;
    const auto sent = producer.send(task, topic, partition, std::move(record));
    ASSERT_TRUE(sent) << sent.error().text();
    EXPECT_TRUE(producer.flush(task, runtime.now() + 60_s));
  }
  /// Until `count` more have come.
  void read(size_t count) {
    const Instant end = runtime.now() + 60_s;
    while (count > 0 && runtime.now() < end) count -= std::min(count, poll(1_s));
    EXPECT_EQ(count, 0u) << "records did not come";
  }
  size_t poll(Duration limit) {
    const auto polled = consumer.poll(task, runtime.now() + limit);
    EXPECT_TRUE(polled) << polled.error().text();
    size_t count = 0;
    if (!polled) return count;
    for (const auto& part : *polled)
      for (const auto& record : part.records) {
        values[part.from.partition].push_back(*record.value);
        ++count;
      }
    return count;
  }
  void close() {
    consumer.close(task);
    producer.close(task);
    cluster.close(task);
  }

  Task& task;
  Runtime& runtime;
  client::Cluster cluster;
  client::Admin admin;
  client::Producer producer;
  client::Consumer consumer;
  std::map<int32_t, std::vector<std::string>> values;
};

void run(BrokerWorld& w, const std::function<void(Reading&)>& body) {
  const bool ended = w.world.run_fiber(w.cluster.client(0), [&](Task& task, Runtime& runtime) {
    Reading reading(task, runtime, w.cluster.bootstrap());
    body(reading);
    reading.close();
  }, 600_s);
  EXPECT_TRUE(ended) << "the fiber did not end";
  EXPECT_FALSE(w.world.failure().has_value()) << *w.world.failure();
}

FetchSessions& sessions(BrokerWorld& w) { return w.cluster.node(0)->context().fetch_sessions(); }

TEST(FetchSessionsOfAClient, HoldWhatItReadsAndNothingElse) {
  BrokerWorld w(1);
  w.create_topic("t", 4);
  run(w, [&](Reading& r) {
    for (int32_t p = 0; p < 4; ++p) r.consumer.assign({"t", p}, StartAt::start());
    r.produce("t", 2, "a");
    r.read(1);
    r.poll(2_s);
    EXPECT_EQ(sessions(w).size(), 1u);
    EXPECT_EQ(sessions(w).partition_count(), 4u);
    r.consumer.unassign({"t", 2});
    r.produce("t", 2, "b");
    r.poll(2_s);
    EXPECT_EQ(sessions(w).partition_count(), 3u);
    r.consumer.assign({"t", 2}, StartAt::offset(Offset(1)));
    r.produce("t", 3, "c");
    r.read(2);
    r.poll(2_s);
    EXPECT_EQ(sessions(w).size(), 1u);
    EXPECT_EQ(sessions(w).partition_count(), 4u);
    for (int32_t p = 0; p < 4; ++p)
      EXPECT_EQ(r.consumer.high_watermark({"t", p}), Offset(p == 2 ? 2 : p == 3 ? 1 : 0)) << p;
    EXPECT_THAT(r.values[2], ElementsAre("a", "b"));
    EXPECT_THAT(r.values[3], ElementsAre("c"));
  });
}

TEST(FetchSessionsOfAClient, GoWithTheBrokerAndAreOpenedAnew) {
  BrokerWorld w(2);
  w.create_topic("t", 3);
  run(w, [&](Reading& r) {
    for (int32_t p = 0; p < 3; ++p) r.consumer.assign({"t", p}, StartAt::start());
    for (int round = 0; round < 4; ++round) {
      for (int32_t p = 0; p < 3; ++p) r.produce("t", p, std::to_string(round));
      r.read(3);
      // Once between two fetches, once while one waits there.
      if (round % 2 == 0) r.poll(700_ms);
      w.world.restart(w.cluster.broker(0));
      EXPECT_TRUE(r.runtime.sleep_for(r.task, 3_s));
    }
    r.poll(2_s);
    EXPECT_EQ(sessions(w).size(), 1u);
    EXPECT_EQ(sessions(w).partition_count(), 3u);
    for (int32_t p = 0; p < 3; ++p) EXPECT_THAT(r.values[p], ElementsAre("0", "1", "2", "3"));
  });
}

TEST(FetchSessionsOfAClient, FollowATopicThatIsMadeAgain) {
  BrokerWorld w(3);
  w.create_topic("t", 2);
  w.create_topic("other");
  run(w, [&](Reading& r) {
    r.consumer.assign({"other", 0}, StartAt::start());
    for (int32_t p = 0; p < 2; ++p) r.consumer.assign({"t", p}, StartAt::start());
    for (const char* value : {"a", "b", "c"}) r.produce("t", 0, value);
    r.read(3);
    r.poll(1_s);
    ASSERT_TRUE(r.admin.delete_topic(r.task, "t", r.runtime.now() + 20_s));
    ASSERT_TRUE(r.admin.create_topic(r.task, {"t", 2, 1}, r.runtime.now() + 20_s));
    r.produce("t", 0, "new");
    r.produce("t", 1, "newer");
    r.read(2);
    r.poll(2_s);
    EXPECT_EQ(sessions(w).size(), 1u);
    EXPECT_EQ(sessions(w).partition_count(), 3u) << "those of the old one are forgotten";
    EXPECT_THAT(r.values[0], ElementsAre("a", "b", "c", "new"));
    EXPECT_THAT(r.values[1], ElementsAre("newer"));
  });
}

TEST(FetchSessionsOfAClient, LoseNothingWhereLeadersComeAndGo) {
  for (const uint64_t seed : {4, 5, 6}) {
    BrokerWorld w(seed, 3);
    w.create_topic("t", 6, 3);
    w.world.run_for(2_s);
    run(w, [&](Reading& r) {
      for (int32_t p = 0; p < 6; ++p) r.consumer.assign({"t", p}, StartAt::start());
      std::vector<std::string> want;
      for (int round = 0; round < 6; ++round) {
        want.push_back(std::to_string(round));
        for (int32_t p = 0; p < 6; ++p) r.produce("t", p, want.back());
        const sim::NodeId broker = w.cluster.broker(static_cast<uint32_t>(round % 3));
        if (round % 2 == 0) w.world.restart(broker);
        else w.world.after(100_ms, [&w, broker] { w.world.isolate(broker); });
        r.read(6);
        EXPECT_TRUE(r.runtime.sleep_for(r.task, 2_s));
        w.world.after(0_ms, [&w] { w.world.heal(); });
        r.poll(2_s);
      }
      for (int32_t p = 0; p < 6; ++p) EXPECT_EQ(r.values[p], want) << "seed " << seed << ", partition " << p;
    });
  }
}

}  // namespace
}  // namespace taffrail::test
