// Goal: a consumer hands out every record from where it was told to begin, once and in order, and says so
// when it cannot. Method: as producer_sim.cc; logs are filled by hand, brokers refuse and move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/core.h>

#include "client/consumer.h"
#include "client/support/fake_cluster.h"
#include "record/builder.h"

namespace taffrail::client::test {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;
using testing::ElementsAre;

Slice batch(std::initializer_list<const char*> values, int64_t timestamp_ms = 1000) {
  BatchBuilder builder;
  for (const char* v : values) builder.add(timestamp_ms, "k", v);
  return builder.finish();
}

/// Polls until `count` records are there, or a while has passed.
std::vector<std::string> read(Task& task, Runtime& runtime, Consumer& consumer, size_t count) {
  std::vector<std::string> values;
  const Instant end = runtime.now() + 60_s;
  while (values.size() < count && runtime.now() < end) {
    const auto polled = consumer.poll(task, runtime.now() + 1_s);
    EXPECT_TRUE(polled) << polled.error().text();
    if (!polled) break;
    for (const Polled& p : *polled)
      for (const auto& r : p.records) values.push_back(*r.value);
  }
  return values;
}

struct Fixture {
  explicit Fixture(uint64_t seed, int32_t partitions = 1, uint32_t count = 2)
      : world(seed), brokers(world, count) {
    brokers.add_topic("t", partitions);
  }
  void run(ConsumerOptions options, std::function<void(Task&, Runtime&, Consumer&)> body,
           ClientObserver* observer = nullptr) {
    run_client(world, brokers, [&](Task& task, Runtime& runtime, Cluster& cluster) {
      Consumer consumer(cluster, options, observer);
      body(task, runtime, consumer);
      consumer.close(task);
    });
  }
  sim::World world;
  FakeCluster brokers;
};

TEST(Consumer, BeginsWhereItIsToldTo) {
  Fixture f(1);
  auto& log = f.brokers.log("t");
  f.brokers.append(log, batch({"a", "b", "c"}, 1000));
  f.brokers.append(log, batch({"d", "e"}, 2000));
  struct Case { StartAt at; std::vector<std::string> want; };
  for (const Case& c : {Case{StartAt::start(), {"a", "b", "c", "d", "e"}},
                        Case{StartAt::offset(Offset(1)), {"b", "c", "d", "e"}},
                        Case{StartAt::time(WallTime{1500}), {"d", "e"}}}) {
    f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
      consumer.assign({"t", 0}, c.at);
      EXPECT_EQ(read(task, runtime, consumer, c.want.size()), c.want);
      EXPECT_EQ(consumer.position({"t", 0}), Offset(5));
    });
  }
}

TEST(Consumer, FromTheEndOnlyWhatComesLaterIsRead) {
  Fixture f(2);
  auto& log = f.brokers.log("t");
  f.brokers.append(log, batch({"old"}));
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::end());
    const auto none = consumer.poll(task, runtime.now() + 2_s);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
    f.brokers.append(log, batch({"new"}));
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("new"));
  });
}

TEST(Consumer, ASilentBrokerDoesNotHoldBackTheOthers) {
  Fixture f(3, 2, 2);  // t-0 is led by broker 1, t-1 by broker 2.
  f.brokers.append(f.brokers.log("t", 1), batch({"x"}));
  ConsumerOptions options;
  options.wait_max = 20_s;
  f.run(options, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    consumer.assign({"t", 1}, StartAt::start());
    const Instant before = runtime.now();
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("x"));
    EXPECT_LT(runtime.now(), before + 5_s);
  });
}

TEST(Consumer, FollowsTheLeaderWithoutMissingOrRepeating) {
  Fixture f(4, 1, 3);
  std::vector<std::string> want;
  for (int i = 0; i < 50; ++i) {
    want.push_back(fmt::format("v{}", i));
    f.brokers.append(f.brokers.log("t"), batch({want.back().c_str()}));
    if (i % 10 == 9) f.brokers.move_leader("t", 0, BrokerId(1 + i % 3));
  }
  int fetched = 0;
  f.brokers.script = [&](ApiKey key) -> std::optional<Script> {
    if (key != ApiKey::kFetch) return {};
    if (++fetched % 3 == 0) f.brokers.move_leader("t", 0, BrokerId(1 + fetched % 3));
    if (fetched % 5 == 0) return Script{Script::kActAndDrop};
    return {};
  };
  ConsumerOptions options;
  options.partition_max_bytes = 100;
  f.run(options, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    EXPECT_EQ(read(task, runtime, consumer, want.size()), want);
  });
}

TEST(Consumer, ADamagedBatchIsAnErrorWithItsOffsetAndNeverRecords) {
  Fixture f(5);
  auto& log = f.brokers.log("t");
  f.brokers.append(log, batch({"good"}));
  f.brokers.append(log, batch({"rotten"}));
  log.batches[1].mutable_view()[log.batches[1].size() - 3] ^= 1;
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("good"));
    const auto polled = consumer.poll(task, runtime.now() + 10_s);
    ASSERT_FALSE(polled);
    EXPECT_EQ(polled.error().code, Errc::kCorrupt);
    EXPECT_THAT(polled.error().message, testing::HasSubstr("offset 1"));
    EXPECT_EQ(consumer.position({"t", 0}), Offset(1));
  });
}

class Resets final : public ClientObserver {
 public:
  void on_reset(const TopicPartition&, Offset from, Offset to, const Error&) override {
    seen.emplace_back(from.value, to.value);
  }
  std::vector<std::pair<int64_t, int64_t>> seen;
};

TEST(Consumer, ALostPlaceIsLeftAsTheResetRuleSaysAndReported) {
  Fixture f(6);
  auto& log = f.brokers.log("t");
  f.brokers.append(log, batch({"a", "b"}));
  f.brokers.append(log, batch({"c"}));
  log.start = Offset(2);
  log.batches.erase(log.batches.begin());
  Resets resets;
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::offset(Offset(0)));
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("c"));
  }, &resets);
  EXPECT_THAT(resets.seen, ElementsAre(std::pair(int64_t{0}, int64_t{2})));
  ConsumerOptions strict;
  strict.reset = ResetTo::kFail;
  f.run(strict, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::offset(Offset(0)));
    const auto polled = consumer.poll(task, runtime.now() + 10_s);
    ASSERT_FALSE(polled);
    EXPECT_EQ(polled.error().code, Errc::kOutOfRange);
  });
}

TEST(Consumer, ALogThatWasCutBelowThePositionIsNoticedWhenTheLeaderChanges) {
  Fixture f(7);
  auto& log = f.brokers.log("t");
  f.brokers.append(log, batch({"a"}));
  f.brokers.append(log, batch({"b"}));
  Resets resets;
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 2), ElementsAre("a", "b"));
    // An unclean election: the new leader never had "b".
    log.batches.pop_back();
    log.next = Offset(1);
    f.brokers.move_leader("t", 0, BrokerId(2));
    f.brokers.append(log, batch({"other"}));
    f.brokers.append(log, batch({"more"}));
    EXPECT_THAT(read(task, runtime, consumer, 2), ElementsAre("other", "more"));
  }, &resets);
  EXPECT_THAT(resets.seen, ElementsAre(std::pair(int64_t{2}, int64_t{1})));
}

TEST(Consumer, APartitionThatDoesNotExistIsAnError) {
  Fixture f(8);
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 5}, StartAt::start());
    const auto polled = consumer.poll(task, runtime.now() + 10_s);
    ASSERT_FALSE(polled);
    EXPECT_EQ(polled.error().code, Errc::kNotFound);
  });
}

}  // namespace
}  // namespace taffrail::client::test
