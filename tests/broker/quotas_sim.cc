// Goal: a client that uses more than its quota is slowed down to it, whether it keeps to what it is told or not, and
// nobody else is. Method: the buckets alone, then simulated brokers and raw connections.
#include "broker/quotas.h"

#include "broker/shard.h"
#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

QuotaEntity entity(std::optional<std::string> user_key, std::optional<std::string> client_key) {
  QuotaEntity out;
  if (user_key) out["user"] = *user_key == "*" ? std::nullopt : user_key;
  if (client_key) out["client-id"] = *client_key == "*" ? std::nullopt : client_key;
  return out;
}

TEST(Quotas, TheMostSpecialOneApplies) {
  ClusterSettings settings;
  const auto limit = [&](const std::string& client) {
    const auto found = find_quota(settings, QuotaKind::kProduce, client);
    return found ? static_cast<double>(found->per_1000_s) / 1000 : 0.0;
  };
  double value = 1;
  EXPECT_EQ(limit("c"), 0);
  // From the least special on: each new one takes over.
  for (const auto& next : {entity({}, "*"), entity({}, "c"), entity("*", {}), entity("*", "*"), entity("*", "c"),
                           entity("ANONYMOUS", {}), entity("ANONYMOUS", "*"), entity("ANONYMOUS", "c")}) {
    settings.quotas[next]["producer_byte_rate"] = ++value;
    EXPECT_EQ(limit("c"), value);
  }
  EXPECT_FALSE(find_quota(settings, QuotaKind::kFetch, "c").has_value());
  EXPECT_EQ(limit("d"), 8) << "of the user, whoever the client";
}

TEST(Quotas, ARateMayBeUsedUpAtOnceAndIsThenPaidFor) {
  Quotas quotas;
  const QuotaLimit limit{QuotaKind::kProduce, "c", 100'000};
  const auto use = [&](int64_t amount, int64_t second) { return quotas.take(limit, {amount}, false, Instant{second * 1'000'000'000}).throttle; };
  EXPECT_EQ(use(1000, 100), Duration{}) << "ten seconds' worth";
  EXPECT_EQ(use(500, 100), 5_s);
  EXPECT_EQ(use(0, 120), Duration{}) << "long over";
  EXPECT_EQ(use(1000, 120), Duration{});
}

TEST(Quotas, TokensAreOverdrawnOnceAndComeBackWithTime) {
  Quotas quotas;
  const QuotaLimit limit{QuotaKind::kMutation, "c", 2'000};
  const auto take = [&](std::vector<int64_t> amounts, bool strictly, int64_t second) {
    return quotas.take(limit, amounts, strictly, Instant{second * 1'000'000'000});
  };
  const auto first = take({20, 10, 1}, true, 100);  // 22 are there.
  EXPECT_EQ(first.count, 2u);
  EXPECT_EQ(first.throttle, 4_s);
  EXPECT_EQ(take({1}, true, 102).count, 0u);
  EXPECT_EQ(take({1}, false, 102).count, 1u) << "who cannot be refused waits";
  EXPECT_EQ(take({1}, true, 105).count, 1u);
  EXPECT_EQ(take({-100}, false, 105).throttle, Duration{}) << "what was not needed";
  EXPECT_EQ(take({22, 1, 1}, true, 105).count, 2u) << "and never more than all is there";
}

TEST(Quotas, ConnectionsBeyondTheRateAreTurnedAwayAndDoNotCount) {
  Quotas quotas;
  const QuotaLimit limit{QuotaKind::kConnection, "10.0.0.1", 10'000};
  const auto open = [&](Instant now) { return quotas.take(limit, {1}, false, now); };
  const Instant then{100'000'000'000};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(open(then).throttle, Duration{});
  for (int i = 0; i < 50; ++i) {
    const auto refused = open(then);
    EXPECT_EQ(refused.count, 0u);
    EXPECT_EQ(refused.throttle, 100_ms);
  }
  EXPECT_EQ(open(then + 100_ms).count, 1u);
  const QuotaLimit slow{QuotaKind::kConnection, "10.0.0.2", 100};
  EXPECT_EQ(quotas.take(slow, {1}, false, then).count, 1u);
  EXPECT_EQ(quotas.take(slow, {1}, false, then).throttle, 1_s) << "as long as anybody is held";
}

TEST(Quotas, OfConnectionsTheAddresssOwnOneApplies) {
  ClusterSettings settings;
  const auto limit = [&](const std::string& host) {
    const auto found = find_connection_quota(settings, host);
    return found ? found->per_1000_s / 1000 : 0;
  };
  EXPECT_EQ(limit("10.0.0.1"), 0);
  settings.quotas[{{"client-id", std::nullopt}}]["producer_byte_rate"] = 9;
  settings.quotas[{{"user", std::nullopt}}]["producer_byte_rate"] = 9;
  settings.quotas[{{"ip", "10.0.0.1"}}]["connection_creation_rate"] = 5;
  settings.quotas[{{"ip", "2001:DB8:0:0::1"}}]["connection_creation_rate"] = 6;
  EXPECT_EQ(limit("10.0.0.1"), 5);
  EXPECT_EQ(limit("10.0.0.2"), 0);
  EXPECT_EQ(limit("2001:db8::1"), 6);
  settings.quotas[{{"ip", std::nullopt}}]["connection_creation_rate"] = 7;
  EXPECT_EQ(limit("10.0.0.2"), 7);
  EXPECT_EQ(limit("2001:db8::2"), 7);
  EXPECT_EQ(limit("no address"), 7);
  EXPECT_NE(find_connection_quota(settings, "10.0.0.2")->bucket, find_connection_quota(settings, "10.0.0.3")->bucket);
}

TEST(Quotas, BucketsThatNobodyUsesAreForgotten) {
  Quotas quotas;
  for (int i = 0; i < 5000; ++i)
    (void)quotas.take({QuotaKind::kProduce, std::to_string(i), 1}, {1}, false, Instant{i * 1'000'000'000LL});
  EXPECT_LT(quotas.bucket_count(), 1100u);
}

struct ClientQuotas : testing::Test {
  void set(const std::string& key, double value, std::optional<std::string> name = std::nullopt, const std::string& type = "client-id") {
    w->run([&](Wire& wire) {
      protocol::AlterClientQuotasRequest request;
      request.entries.push_back({{{type, name, {}}}, {{key, value, false, {}}}, {}});
      const auto answer = wire.ask(request, 1);
      ASSERT_EQ(answer.entries.size(), 1u);
      EXPECT_EQ(answer.entries[0].error_code, ErrorCode::kNone) << answer.entries[0].error_message.value_or("");
    });
    w->world.run_for(1_s);
  }
  std::unique_ptr<BrokerWorld> w;
};

TEST_F(ClientQuotas, WhoProducesTooMuchIsSlowedDownAndTold) {
  w = std::make_unique<BrokerWorld>(1, 1);
  w->create_topic("t");
  set("producer_byte_rate", 10'000);
  const std::string kilobytes(20'000, 'x');
  w->run([&](Wire& wire) {
    const Instant began = wire.runtime().now();
    int32_t told = 0;
    // It does not keep to what it is told, and is not heard all the same.
    for (int i = 0; i < 15; ++i) {
      const auto answer = wire.ask(produce_request("t", 0, batch_of({kilobytes}), -1), 8);
      EXPECT_EQ(answer.responses[0].partition_responses[0].error_code, ErrorCode::kNone);
      told = std::max(told, answer.throttle_time_ms);
    }
    const Duration took = wire.runtime().now() - began;
    EXPECT_GT(told, 1000);
    EXPECT_GT(took, 15_s) << "300 kB at 10 kB/s, of which 100 kB at once";
    EXPECT_LT(took, 40_s);
  });
}

TEST_F(ClientQuotas, WhoFetchesTooMuchLikewiseAndOthersAreNot) {
  w = std::make_unique<BrokerWorld>(2, 1);
  w->create_topic("t");
  const std::string kilobytes(50'000, 'x');
  w->run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({kilobytes})).error_code, ErrorCode::kNone); });
  set("consumer_byte_rate", 10'000, "somebody else");
  const auto ten_fetches = [&](Wire& wire) {
    const Instant began = wire.runtime().now();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(wire.fetch("t", 0).error_code, ErrorCode::kNone);
    return wire.runtime().now() - began;
  };
  w->run([&](Wire& wire) { EXPECT_LT(ten_fetches(wire), 2_s); });
  set("consumer_byte_rate", 10'000, "test");
  w->run([&](Wire& wire) { EXPECT_GT(ten_fetches(wire), 20_s); });
}

TEST_F(ClientQuotas, WhatIsUsedOnSeveralShardsCountsTogether) {
  NodeConfig config = small_config();
  config.shards = 3;
  w = std::make_unique<BrokerWorld>(3, 1, config);
  w->create_topic("t", 3);
  set("producer_byte_rate", 10'000);
  const std::string kilobytes(20'000, 'x');
  // 160 kB over eight connections, whichever shards they are on: no one of them is over the quota alone.
  w->run([&](Wire& first) {
    int32_t told = 0;
    for (int i = 0; i < 8; ++i) {
      Wire wire = w->connect(first);
      told = std::max(told, wire.ask(produce_request("t", i % 3, batch_of({kilobytes}), -1), 8).throttle_time_ms);
    }
    EXPECT_GT(told, 1000);
    size_t buckets = 0;
    for (BrokerShard* shard : w->cluster.node(0)->shards()) buckets += shard->quotas().bucket_count();
    EXPECT_EQ(buckets, 1u);
  });
}

TEST_F(ClientQuotas, AFetchBringsNoMoreThanMayBeHadAtOnce) {
  w = std::make_unique<BrokerWorld>(6, 1);
  w->create_topic("t");
  set("consumer_byte_rate", 1000, "test");
  w->run([&](Wire& wire) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(wire.produce("t", batch_of({std::string(3'000, 'x')})).error_code, ErrorCode::kNone);
    const auto fetched = wire.fetch("t", 0);
    const size_t bytes = fetched.records.flat().size();
    EXPECT_GT(bytes, 6'000u);
    EXPECT_LE(bytes, 10'000u);
  });
}

/// Worlds in which time is exact: clocks that do not drift, and work that takes `turn`.
sim::Knobs exact(Duration turn) {
  sim::Knobs knobs;
  knobs.cpu.slice = {turn, 0_us};
  knobs.clock.drift_ppm_max = 0;
  return knobs;
}

TEST_F(ClientQuotas, ConnectionsBeyondTheirRateAreHeldAndThenClosed) {
  NodeConfig config = small_config();
  config.shards = 3;
  w = std::make_unique<BrokerWorld>(7, 1, config, exact(1_us));
  set("connection_creation_rate", 1, std::nullopt, "ip");
  const auto is_served = [](Wire& wire) { return wire.try_ask(protocol::ApiVersionsRequest{}, 0).has_value(); };
  w->world.run_for(20_s);
  w->run([&](Wire& first) {
    const Instant began = first.runtime().now();
    EXPECT_TRUE(is_served(first));
    // Ten seconds' worth may come at once, over whichever shards.
    std::vector<Wire> open;
    for (int i = 1; i < 10; ++i) EXPECT_TRUE(is_served(open.emplace_back(w->connect(first))));
    EXPECT_LT(first.runtime().now() - began, 1_s);
    Runtime& broker = w->cluster.node(0)->context().runtime();
    for (int i = 0; i < 5; ++i) {
      // Eleven of them are the rate of eleven seconds: whatever is missing of that.
      const Duration expected = 1_s - Duration{broker.now().ns % (1_s).ns};
      const Instant asked = first.runtime().now();
      Wire late = w->connect(first);
      EXPECT_FALSE(is_served(late));
      const Duration held = first.runtime().now() - asked;
      EXPECT_GT(held, expected - 2_ms);
      EXPECT_LT(held, expected + 5_ms);
      (void)first.runtime().sleep_for(first.task(), 300_ms);
    }
    for (Wire& wire : open) EXPECT_TRUE(is_served(wire)) << "who is in stays in";
    (void)first.runtime().sleep_for(first.task(), 11_s);
    Wire later = w->connect(first);
    EXPECT_TRUE(is_served(later));
  });
  // Each address is counted alone.
  bool other_served = false;
  (void)w->world.run_fiber(w->cluster.client(1), [&](Task& task, Runtime& runtime) {
    auto socket = runtime.net().connect(task, w->cluster.node(0)->listener("PLAINTEXT"), runtime.now() + 2_s);
    ASSERT_TRUE(socket.has_value());
    Wire wire(task, runtime, *std::move(socket));
    other_served = is_served(wire);
  });
  EXPECT_TRUE(other_served);
}

TEST_F(ClientQuotas, WhoTakesTooMuchOfAThreadIsSlowedDownToItsShare) {
  // A question that is answered at once is one piece of work.
  w = std::make_unique<BrokerWorld>(8, 1, small_config(), exact(1_ms));
  set("request_percentage", 1, "test");
  w->run([&](Wire& wire) {
    Runtime& broker = w->cluster.node(0)->context().runtime();
    wire.runtime().sleep_for(wire.task(), 20_s).value();
    // 1 % of ten seconds is 100 ms at once, and of what has passed of the eleventh.
    int64_t asked = 0;
    int32_t told = 0;
    const Instant began = wire.runtime().now();
    while (told == 0 && asked < 1000) {
      told = wire.ask(protocol::ApiVersionsRequest{}, 1).throttle_time_ms;
      ++asked;
    }
    EXPECT_GT(asked, 100);
    EXPECT_LE(asked, 111);
    // What was used is that many milliseconds, each worth a tenth of a second.
    const Duration span = 10_s + Duration{broker.now().ns % (1_s).ns};
    EXPECT_NEAR(static_cast<double>(told), static_cast<double>((100_ms * asked - span).ms()), 10);
    // It does not keep to what it is told; in the long run it gets its share, and nobody is silenced for longer than a
    // second at a time.
    int32_t most = 0;
    while (wire.runtime().now() - began < 60_s) {
      most = std::max(most, wire.ask(protocol::ApiVersionsRequest{}, 1).throttle_time_ms);
      ++asked;
    }
    EXPECT_GE(asked, 600);
    EXPECT_LE(asked, 720);
    EXPECT_LE(most, 1000);
  });
}

TEST_F(ClientQuotas, WorkOfOtherShardsForAClientIsItsOwn) {
  NodeConfig config = small_config();
  config.shards = 3;
  w = std::make_unique<BrokerWorld>(9, 1, config, exact(1_ms));
  w->create_topic("t", 3);
  set("request_percentage", 1, "test");
  w->run([&](Wire& wire) {
    wire.runtime().sleep_for(wire.task(), 20_s).value();
    // A question of all three shards is more work than one of none.
    protocol::ListOffsetsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    for (int32_t p = 0; p < 3; ++p) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = p;
      partition.timestamp = -1;
    }
    int64_t asked = 0;
    while (wire.ask(request, 7).throttle_time_ms == 0 && asked < 1000) ++asked;
    EXPECT_GT(asked, 5);
    EXPECT_LT(asked, 20) << "what is done here alone is enough for thirty";
  });
}

TEST_F(ClientQuotas, TopicsBeyondTheQuotaAreRefusedOrPaidFor) {
  w = std::make_unique<BrokerWorld>(4, 1);
  set("controller_mutation_rate", 1);
  w->run([&](Wire& wire) {
    protocol::CreateTopicsRequest request;
    for (const char* name : {"a", "b", "c"}) {
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      topic.num_partitions = 8;
      topic.replication_factor = 1;
    }
    const auto strict = wire.ask(request, 7);
    ASSERT_EQ(strict.topics.size(), 3u);
    EXPECT_EQ(strict.topics[0].error_code, ErrorCode::kNone);
    EXPECT_EQ(strict.topics[1].error_code, ErrorCode::kNone) << "overdrawn with this one";
    EXPECT_EQ(strict.topics[2].error_code, ErrorCode::kThrottlingQuotaExceeded);
    EXPECT_GT(strict.throttle_time_ms, 1000);
    request.topics.erase(request.topics.begin(), request.topics.begin() + 2);
    const auto lenient = wire.ask(request, 5);
    EXPECT_EQ(lenient.topics[0].error_code, ErrorCode::kNone);
    EXPECT_GT(lenient.throttle_time_ms, 1000);
    // What is refused for another reason costs nothing.
    wire.runtime().sleep_for(wire.task(), 60_s).value();
    request.topics[0].name = "a";
    EXPECT_EQ(wire.ask(request, 7).throttle_time_ms, 0);
  });
}

TEST_F(ClientQuotas, AreDescribedByFilter) {
  w = std::make_unique<BrokerWorld>(5, 3);
  set("producer_byte_rate", 5, "c");
  set("request_percentage", 12.5, "c");
  set("consumer_byte_rate", 7);
  using protocol::QuotaMatch;
  const auto ask = [&](Wire& wire, std::vector<protocol::DescribeClientQuotasRequest::Component> components, bool strict = false) {
    return wire.ask(protocol::DescribeClientQuotasRequest{std::move(components), strict, {}}, 1);
  };
  w->run([&](Wire& wire) {
    const auto all = ask(wire, {});
    ASSERT_TRUE(all.entries.has_value());
    EXPECT_EQ(all.entries->size(), 2u);
    const auto one = ask(wire, {{"client-id", QuotaMatch::kExact, "c", {}}}, true);
    ASSERT_EQ(one.entries->size(), 1u);
    EXPECT_EQ((*one.entries)[0].values.size(), 2u);
    EXPECT_EQ(ask(wire, {{"client-id", QuotaMatch::kDefault, {}, {}}}).entries->size(), 1u);
    EXPECT_EQ(ask(wire, {{"client-id", QuotaMatch::kAny, {}, {}}}).entries->size(), 2u);
    EXPECT_EQ(ask(wire, {{"user", QuotaMatch::kAny, {}, {}}}).entries->size(), 0u);
    EXPECT_EQ(ask(wire, {{"planet", QuotaMatch::kAny, {}, {}}}).error_code, ErrorCode::kUnsupportedVersion);
    EXPECT_EQ(ask(wire, {{"user", static_cast<QuotaMatch>(5), {}, {}}}).error_code, ErrorCode::kInvalidRequest);
    const auto twice = ask(wire, {{"user", QuotaMatch::kAny, {}, {}}, {"user", QuotaMatch::kAny, {}, {}}});
    EXPECT_EQ(twice.error_code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(twice.entries.has_value());
  }, 1);
}

}  // namespace
}  // namespace taffrail::test
