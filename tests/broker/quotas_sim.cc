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
    return found ? found->per_second : 0.0;
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
  const QuotaLimit limit{QuotaKind::kProduce, "c", 100};
  const auto use = [&](double amount, int64_t second) { return quotas.take(limit, {amount}, false, Instant{second * 1'000'000'000}).throttle; };
  EXPECT_EQ(use(1000, 100), Duration{}) << "ten seconds' worth";
  EXPECT_EQ(use(500, 100), 5_s);
  EXPECT_EQ(use(0, 120), Duration{}) << "long over";
  EXPECT_EQ(use(1000, 120), Duration{});
}

TEST(Quotas, TokensAreOverdrawnOnceAndComeBackWithTime) {
  Quotas quotas;
  const QuotaLimit limit{QuotaKind::kMutation, "c", 2};
  const auto take = [&](std::vector<double> amounts, bool strictly, int64_t second) {
    return quotas.take(limit, amounts, strictly, Instant{second * 1'000'000'000});
  };
  const auto first = take({20, 10, 1}, true, 100);  // 22 are there.
  EXPECT_EQ(first.count, 2u);
  EXPECT_EQ(first.throttle, 4_s);
  EXPECT_EQ(take({1}, true, 102).count, 0u);
  EXPECT_EQ(take({1}, false, 102).count, 1u) << "who cannot be refused waits";
  EXPECT_EQ(take({1}, true, 105).count, 1u);
}

TEST(Quotas, BucketsThatNobodyUsesAreForgotten) {
  Quotas quotas;
  for (int i = 0; i < 5000; ++i)
    (void)quotas.take({QuotaKind::kProduce, std::to_string(i), 1}, {1}, false, Instant{i * 1'000'000'000LL});
  EXPECT_LT(quotas.bucket_count(), 1100u);
}

struct ClientQuotas : testing::Test {
  void set(const std::string& key, double value, std::optional<std::string> client = std::nullopt) {
    w->run([&](Wire& wire) {
      protocol::AlterClientQuotasRequest request;
      request.entries.push_back({{{"client-id", client, {}}}, {{key, value, false, {}}}, {}});
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
