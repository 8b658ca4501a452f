// Goal: a consumer hands out every record from where it was told to begin, once and in order, and says so
// when it cannot. Method: as producer_sim.cc; logs are filled by hand, brokers refuse and move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>

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

std::vector<size_t> named(const FakeCluster& brokers) {
  std::vector<size_t> all;
  for (const auto& fetch : brokers.fetches) all.push_back(fetch.named());
  return all;
}

// Goal of the next ones: fetches in sessions (KIP-227) read what whole ones would, and name only what is new.

TEST(ConsumerSessions, NameWhatHasChangedAndNoMore) {
  Fixture f(20, 5, 1);
  f.brokers.append(f.brokers.log("t", 1), batch({"a", "b"}));
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    for (int32_t p = 0; p < 5; ++p) consumer.assign({"t", p}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 2), ElementsAre("a", "b"));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 1900_ms));
    f.brokers.append(f.brokers.log("t", 3), batch({"x"}));
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("x"));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 900_ms));
    for (int32_t p = 0; p < 5; ++p)
      EXPECT_EQ(consumer.high_watermark({"t", p}), Offset(p == 1 ? 2 : p == 3 ? 1 : 0)) << p;
  });
  EXPECT_THAT(named(f.brokers), ElementsAre(5, 1, 0, 0, 0, 0, 1, 0));
  for (size_t i = 0; i < f.brokers.fetches.size(); ++i) {
    EXPECT_EQ(f.brokers.fetches[i].request.session_epoch, static_cast<int32_t>(i));
    EXPECT_EQ(f.brokers.fetches[i].forgotten(), 0u);
  }
  const auto& then = f.brokers.fetches[6].request.topics[0].partitions[0];
  EXPECT_EQ(then.partition, 3);
  EXPECT_EQ(then.fetch_offset, Offset(1));
}

// Every record once, whatever becomes of sessions. With `disturb` before each fetch is answered.
void reads_everything_once(Fixture& f, int32_t partitions, const std::function<std::optional<Script>(int)>& disturb) {
  std::vector<std::string> want;
  for (int i = 0; i < 60; ++i) {
    want.push_back(fmt::format("v{:02}", i));
    f.brokers.append(f.brokers.log("t", i % partitions), batch({want.back().c_str()}));
  }
  int fetched = 0;
  f.brokers.script = [&](ApiKey key) -> std::optional<Script> {
    if (key != ApiKey::kFetch) return {};
    return disturb(++fetched);
  };
  ConsumerOptions options;
  options.partition_max_bytes = 100;
  f.run(options, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    for (int32_t p = 0; p < partitions; ++p) consumer.assign({"t", p}, StartAt::start());
    std::vector<std::string> got = read(task, runtime, consumer, want.size());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, want);
    const auto more = consumer.poll(task, runtime.now() + 5_s);
    ASSERT_TRUE(more);
    EXPECT_TRUE(more->empty());
  });
  f.brokers.script = {};
}

TEST(ConsumerSessions, ALostAnswerLeadsToAWholeRequest) {
  Fixture f(21, 3, 1);
  reads_everything_once(f, 3, [](int fetched) -> std::optional<Script> {
    if (fetched % 4 == 0) return Script{Script::kActAndDrop};
    if (fetched % 7 == 0) return Script{Script::kDropFirst};
    return {};
  });
  // What was dropped first has not been seen there.
  size_t whole = 0;
  for (size_t i = 1; i < f.brokers.fetches.size(); ++i) {
    const auto& before = f.brokers.fetches[i - 1].request;
    const auto& now = f.brokers.fetches[i].request;
    if (now.session_epoch != 0) {
      EXPECT_EQ(now.session_epoch, before.session_epoch + 1);
      continue;
    }
    ++whole;
    EXPECT_EQ(f.brokers.fetches[i].forgotten(), 0u);
    EXPECT_NE(now.session_id, 0) << "the old one is ended";
  }
  EXPECT_GE(whole, 5u);
}

TEST(ConsumerSessions, ABrokerThatKnowsTheSessionNoMoreIsAskedForEverythingAtOnce) {
  Fixture f(22, 3, 1);
  reads_everything_once(f, 3, [&f](int fetched) -> std::optional<Script> {
    if (fetched % 5 == 0) f.brokers.lose_sessions();
    return {};
  });
  size_t refused = 0;
  for (size_t i = 2; i < f.brokers.fetches.size(); ++i) {
    const auto& fetch = f.brokers.fetches[i];
    if (fetch.request.session_epoch != 0) continue;
    ++refused;
    EXPECT_EQ(fetch.request.session_id, 0);
    EXPECT_EQ(fetch.named(), 3u);
  }
  EXPECT_GE(refused, 4u);
  EXPECT_EQ(f.brokers.asked[ApiKey::kMetadata], 1) << "no leader is in doubt";
}

TEST(ConsumerSessions, ARestartedBrokerIsReadOn) {
  Fixture f(23, 3, 2);
  reads_everything_once(f, 3, [&f](int fetched) -> std::optional<Script> {
    if (fetched % 9 == 0) f.brokers.restart(BrokerId(1 + fetched % 2));
    return {};
  });
}

TEST(ConsumerSessions, WithoutOneEverythingIsNamedEachTime) {
  for (const bool old : {false, true}) {
    Fixture f(24, 3, 1);
    if (old) f.brokers.version_max[ApiKey::kFetch] = 6;
    else f.brokers.without_session = INT32_MAX;
    reads_everything_once(f, 3, [](int) { return std::nullopt; });
    for (const auto& fetch : f.brokers.fetches) {
      EXPECT_EQ(fetch.request.session_epoch, old ? -1 : 0);
      EXPECT_EQ(fetch.named(), 3u);
    }
  }
}

TEST(ConsumerSessions, WhatIsUnassignedIsForgotten) {
  Fixture f(25, 3, 1);
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    for (int32_t p = 0; p < 3; ++p) consumer.assign({"t", p}, StartAt::start());
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 900_ms));
    consumer.unassign({"t", 1});
    f.brokers.append(f.brokers.log("t", 1), batch({"unwanted"}));
    const auto none = consumer.poll(task, runtime.now() + 1_s);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
    consumer.assign({"t", 1}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("unwanted"));
  });
  std::vector<size_t> forgotten;
  for (const auto& fetch : f.brokers.fetches) forgotten.push_back(fetch.forgotten());
  EXPECT_THAT(forgotten, ElementsAre(0, 0, 1, 0, 0));
  EXPECT_THAT(named(f.brokers), ElementsAre(3, 0, 0, 0, 1));
}

TEST(ConsumerSessions, AnAnswerMovesNobodyWhoWasAssignedAnewMeanwhile) {
  Fixture f(26, 2, 1);
  for (const char* value : {"a", "b", "c"}) f.brokers.append(f.brokers.log("t", 1), batch({value}));
  ConsumerOptions options;
  options.partition_max_bytes = 1;
  f.run(options, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    consumer.assign({"t", 1}, StartAt::offset(Offset(3)));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 700_ms));  // The second fetch is on its way.
    consumer.assign({"t", 1}, StartAt::offset(Offset(1)));
    EXPECT_EQ(consumer.high_watermark({"t", 1}), kNoOffset);
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("b"));
    // Another time to where it was: the broker has no news of that, but the consumer has not heard them.
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("c"));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 700_ms));
    consumer.assign({"t", 1}, StartAt::offset(Offset(3)));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 1500_ms));
    EXPECT_EQ(consumer.high_watermark({"t", 1}), Offset(3));
    EXPECT_EQ(consumer.position({"t", 1}), Offset(3));
  });
  for (size_t i = 0; i < f.brokers.fetches.size(); ++i)
    EXPECT_EQ(f.brokers.fetches[i].request.session_epoch, static_cast<int32_t>(i)) << "one session";
}

TEST(ConsumerSessions, ATopicThatWasMadeAgainIsReadFromItsStart) {
  for (const int16_t version : {int16_t{12}, int16_t{18}}) {
    Fixture f(27, 2, 1);
    f.brokers.version_max[ApiKey::kFetch] = version;
    for (int32_t p = 0; p < 2; ++p) f.brokers.append(f.brokers.log("t", p), batch({"old", "older"}));
    f.brokers.add_topic("other", 1);
    f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
      consumer.assign({"other", 0}, StartAt::start());
      for (int32_t p = 0; p < 2; ++p) consumer.assign({"t", p}, StartAt::start());
      EXPECT_EQ(read(task, runtime, consumer, 4).size(), 4u);
      ASSERT_TRUE(consumer.poll(task, runtime.now() + 700_ms));
      f.brokers.make_again("t");
      for (int32_t p = 0; p < 2; ++p) f.brokers.append(f.brokers.log("t", p), batch({p == 0 ? "new" : "newer"}));
      EXPECT_THAT(read(task, runtime, consumer, 2), testing::UnorderedElementsAre("new", "newer"));
      f.brokers.append(f.brokers.log("other"), batch({"aside"}));
      EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("aside"));
    });
    size_t whole = 0;
    for (const auto& fetch : f.brokers.fetches) whole += fetch.request.session_epoch == 0 ? 1 : 0;
    EXPECT_EQ(whole, 1u) << "the session went on";
  }
}

TEST(ConsumerSessions, WhatWasNeverToldIsInDoubt) {
  for (const bool at_first : {true, false}) {
    Fixture f(30, 2, 1);
    const TopicPartition silent{"t", 1};
    f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
      if (at_first) f.brokers.left_out = silent;
      consumer.assign({"t", 0}, StartAt::start());
      if (at_first) consumer.assign(silent, StartAt::start());
      ASSERT_TRUE(consumer.poll(task, runtime.now() + 1_s));
      f.brokers.left_out = silent;
      if (!at_first) consumer.assign(silent, StartAt::start());
      ASSERT_TRUE(consumer.poll(task, runtime.now() + 5_s));
      EXPECT_EQ(consumer.high_watermark({"t", 0}), Offset(0));
      EXPECT_EQ(consumer.high_watermark(silent), kNoOffset);
      EXPECT_GT(f.brokers.asked[ApiKey::kMetadata], 3) << "perhaps another leads";
      f.brokers.left_out.reset();
      f.brokers.append(f.brokers.log("t", 1), batch({"a"}));
      EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("a"));
    });
  }
}

TEST(ConsumerSessions, TopicsWithAndWithoutIdsDoNotMix) {
  Fixture f(28, 1, 1);
  f.brokers.add_topic("nameless", 1, /*has_id=*/false);
  f.brokers.append(f.brokers.log("t"), batch({"a"}));
  f.brokers.append(f.brokers.log("nameless"), batch({"b"}));
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    consumer.assign({"t", 0}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("a"));
    consumer.assign({"nameless", 0}, StartAt::start());
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("b"));
    consumer.unassign({"nameless", 0});
    f.brokers.append(f.brokers.log("t"), batch({"c"}));
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("c"));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 700_ms));
  });
  int16_t before = 0;
  for (const auto& fetch : f.brokers.fetches) {
    EXPECT_EQ(fetch.request.session_epoch == 0, fetch.version != before) << "each time the versions change";
    before = fetch.version;
  }
  EXPECT_EQ(before, 18);
}

TEST(ConsumerSessions, APartitionThatMovesAwayLeavesTheSession) {
  Fixture f(29, 3, 2);  // t-0 and t-2 are led by broker 1, t-1 by broker 2.
  f.run({}, [&](Task& task, Runtime& runtime, Consumer& consumer) {
    for (int32_t p = 0; p < 3; ++p) consumer.assign({"t", p}, StartAt::start());
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 900_ms));
    f.brokers.move_leader("t", 2, BrokerId(2));
    f.brokers.append(f.brokers.log("t", 2), batch({"moved"}));
    EXPECT_THAT(read(task, runtime, consumer, 1), ElementsAre("moved"));
    ASSERT_TRUE(consumer.poll(task, runtime.now() + 2_s));
  });
  std::map<int32_t, size_t> forgotten, whole;
  for (const auto& fetch : f.brokers.fetches) {
    forgotten[fetch.broker.value] += fetch.forgotten();
    whole[fetch.broker.value] += fetch.request.session_epoch == 0 ? 1 : 0;
  }
  EXPECT_THAT(forgotten, ElementsAre(std::pair(1, 1u), std::pair(2, 0u)));
  EXPECT_THAT(whole, ElementsAre(std::pair(1, 1u), std::pair(2, 1u)));
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
