// Goal: administration over the wire does what it answers, to the letter of Kafka's errors, and no more than was
// asked. Method: one or three brokers; what was answered is compared with what the cluster then says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using namespace protocol;
using testing::HasSubstr;

CreateTopicsRequest creating(const std::string& name, int32_t partitions = 1, int16_t replicas = 1) {
  CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = replicas;
  return request;
}

struct Admin {
  explicit Admin(Wire& w) : wire(w) {}
  CreateTopicsResponse::Topic create(const CreateTopicsRequest& request, int16_t version = 7) {
    const auto answer = wire.ask(request, version);
    EXPECT_EQ(answer.topics.size(), request.topics.size());
    return answer.topics.empty() ? CreateTopicsResponse::Topic{} : answer.topics[0];
  }
  ErrorCode code_of(const CreateTopicsRequest& request) { return create(request).error_code; }
  bool exists(const std::string& name) {
    MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({{}, name, {}});
    request.allow_auto_topic_creation = false;
    return wire.ask(request, 12).topics.at(0).error_code != ErrorCode::kUnknownTopicOrPartition;
  }
  size_t partitions_of(const std::string& name) {
    MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({{}, name, {}});
    return wire.ask(request, 12).topics.at(0).partitions.size();
  }
  ErrorCode alter(ConfigResourceType type, const std::string& name,
                  std::vector<IncrementalAlterConfigsRequest::Config> changes, bool validate_only = false) {
    IncrementalAlterConfigsRequest request;
    request.validate_only = validate_only;
    request.resources.push_back({type, name, std::move(changes), {}});
    return wire.ask(request, 1).responses.at(0).error_code;
  }
  Wire& wire;
};

// One sync makes all their votes durable, and each elects itself by its own: that must not take a stack that grows with
// their number. Kafka's clients create topics like that on a single broker every day.
TEST(CreateTopics, ThousandsOfPartitionsComeUpAtOnce) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    EXPECT_EQ(admin.code_of(creating("t", 3000)), ErrorCode::kNone);
    EXPECT_EQ(wire.produce("t", batch_of({"one"}), -1, 8, 2999).error_code, ErrorCode::kNone);
  });
}

TEST(CreateTopics, AnswersWhatWasMade) {
  BrokerWorld w(1, 3);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    auto request = creating("t", 4, 2);
    request.topics[0].configs = {{"retention.ms", "1000", {}}, {"message.format.version", "2.0", {}}};
    const auto made = admin.create(request);
    EXPECT_EQ(made.error_code, ErrorCode::kNone);
    EXPECT_EQ(made.num_partitions, 4);
    EXPECT_EQ(made.replication_factor, 2);
    EXPECT_FALSE(made.topic_id.is_zero());
    ASSERT_TRUE(made.configs.has_value());
    bool found = false;
    for (const auto& config : *made.configs) {
      EXPECT_NE(config.name, "message.format.version") << "retired: accepted and dropped";
      if (config.name != "retention.ms") continue;
      found = true;
      EXPECT_EQ(config.value, "1000");
      EXPECT_EQ(config.config_source, ConfigSource::kTopicConfig);
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(admin.partitions_of("t"), 4u);
    // Defaults from v4 on; copies for as many brokers as there are, at most three.
    const auto plain = admin.create(creating("plain", -1, -1));
    EXPECT_EQ(plain.num_partitions, 1);
    EXPECT_EQ(plain.replication_factor, 3);
    EXPECT_EQ(admin.code_of(creating("t", 4, 2)), ErrorCode::kTopicAlreadyExists);
  });
}

TEST(CreateTopics, ValidateOnlyMakesNothing) {
  BrokerWorld w(2);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    auto request = creating("t", 3);
    request.validate_only = true;
    const auto answer = admin.create(request);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    EXPECT_EQ(answer.num_partitions, 3);
    EXPECT_FALSE(admin.exists("t"));
    EXPECT_EQ(admin.code_of(creating("t", 3)), ErrorCode::kNone);
    EXPECT_EQ(admin.code_of(request), ErrorCode::kTopicAlreadyExists);
  });
}

TEST(CreateTopics, RefusalsAndTheirCodes) {
  BrokerWorld w(3, 3);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("../etc"),
                                   std::string("a b"), std::string("a\0b", 3), std::string("a\x1b[31m"), std::string("a\nb"),
                                   std::string("\xc3\xa9t\xc3\xa9"), std::string("\xff\xfe"), std::string(250, 'a'),
                                   std::string(32767, 'a')}) {
      EXPECT_EQ(admin.code_of(creating(bad)), ErrorCode::kInvalidTopicException) << bad.substr(0, 20);
    }
    EXPECT_EQ(admin.code_of(creating(std::string(249, 'a'))), ErrorCode::kNone);
    for (const int32_t count : {0, -2, INT32_MIN}) EXPECT_EQ(admin.code_of(creating("p", count)), ErrorCode::kInvalidPartitions);
    EXPECT_EQ(admin.code_of(creating("p", INT32_MAX)), ErrorCode::kPolicyViolation);
    for (const int16_t rf : {int16_t{0}, int16_t{-2}, int16_t{4}, int16_t{32767}})
      EXPECT_EQ(admin.code_of(creating("r", 1, rf)), ErrorCode::kInvalidReplicationFactor) << rf;

    const auto with_config = [&](const std::string& name, std::optional<std::string> value) {
      auto request = creating("c");
      request.topics[0].configs.push_back({name, std::move(value), {}});
      return admin.create(request);
    };
    EXPECT_EQ(with_config("no.such.config", "1").error_code, ErrorCode::kInvalidConfig);
    EXPECT_EQ(with_config("retention.ms", "soon").error_code, ErrorCode::kInvalidConfig);
    EXPECT_EQ(with_config("retention.ms", "-2").error_code, ErrorCode::kInvalidConfig);
    EXPECT_EQ(with_config("cleanup.policy", "burn").error_code, ErrorCode::kInvalidConfig);
    const auto null = with_config("retention.ms", std::nullopt);
    EXPECT_EQ(null.error_code, ErrorCode::kInvalidConfig);
    EXPECT_THAT(null.error_message.value_or(""), HasSubstr("retention.ms"));
    EXPECT_FALSE(admin.exists("c"));

    // Each of a request alone, in its order.
    auto several = creating("good");
    several.topics.push_back(several.topics[0]);
    several.topics[1].name = "bad name";
    several.topics.push_back(several.topics[0]);
    several.topics[2].name = "null";
    several.topics[2].configs.push_back({"retention.ms", std::nullopt, {}});
    several.topics.push_back(several.topics[0]);
    several.topics[3].name = "also.good";
    several.topics.push_back(several.topics[0]);
    several.topics[4].name = "twice";
    several.topics.push_back(several.topics[4]);
    const auto answer = wire.ask(several, 7);
    std::vector<ErrorCode> codes;
    for (const auto& topic : answer.topics) codes.push_back(topic.error_code);
    EXPECT_EQ(codes, (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kInvalidTopicException, ErrorCode::kInvalidConfig,
                                             ErrorCode::kNone, ErrorCode::kInvalidRequest, ErrorCode::kInvalidRequest}));
    EXPECT_EQ(answer.topics[3].name, "also.good");
    EXPECT_EQ(admin.code_of(creating("also_good")), ErrorCode::kInvalidTopicException) << "it collides";
  });
}

TEST(CreateTopics, ReplicasByHand) {
  BrokerWorld w(4, 3);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    const auto by_hand = [&](const std::string& name, std::vector<CreateTopicsRequest::Assignment> assignments,
                             int32_t partitions = -1, int16_t rf = -1) {
      auto request = creating(name, partitions, rf);
      request.topics[0].assignments = std::move(assignments);
      return admin.create(request);
    };
    const BrokerId a(1), b(2), c(3), nobody(9);
    const auto made = by_hand("t", {{1, {b, c}, {}}, {0, {c, a}, {}}});
    EXPECT_EQ(made.error_code, ErrorCode::kNone) << made.error_message.value_or("");
    EXPECT_EQ(made.num_partitions, 2);
    EXPECT_EQ(made.replication_factor, 2);
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 3_s));
    MetadataRequest request;
    const auto topic = wire.ask(request, 12).topics.at(0);
    EXPECT_EQ(topic.partitions.at(0).replica_nodes, (std::vector<BrokerId>{c, a})) << "in the order that was given";
    EXPECT_EQ(topic.partitions.at(0).leader_id, c) << "the first is preferred";
    EXPECT_EQ(topic.partitions.at(1).leader_id, b);

    EXPECT_EQ(by_hand("x", {{0, {a}, {}}}, 1).error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(by_hand("x", {{0, {a}, {}}}, -1, 1).error_code, ErrorCode::kInvalidRequest);
    for (const auto& bad : std::vector<std::vector<CreateTopicsRequest::Assignment>>{
             {{1, {a}, {}}}, {{0, {a}, {}}, {0, {b}, {}}}, {{0, {}, {}}}, {{0, {a, a}, {}}}, {{0, {nobody}, {}}},
             {{0, {a}, {}}, {1, {a, b}, {}}}, {{-1, {a}, {}}}, {{INT32_MAX, {a}, {}}}})
      EXPECT_EQ(by_hand("x", bad).error_code, ErrorCode::kInvalidReplicaAssignment);
    EXPECT_FALSE(admin.exists("x"));
  });
}

TEST(DeleteTopics, ByNameAndById) {
  BrokerWorld w(5, 3);
  const TopicId first = w.create_topic("first", 2, 3);
  const TopicId second = w.create_topic("second", 1, 3);
  const TopicId third = w.create_topic("third", 1, 3);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    DeleteTopicsRequest by_name;
    by_name.timeout_ms = 5000;
    by_name.topic_names = {"first", "nobody"};
    const auto names = wire.ask(by_name, 5);
    EXPECT_EQ(names.responses.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(names.responses.at(1).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_FALSE(admin.exists("first"));

    DeleteTopicsRequest by_id;
    by_id.timeout_ms = 5000;
    by_id.topics = {{std::nullopt, second, {}}, {std::nullopt, first, {}}, {"third", third, {}}, {std::nullopt, {}, {}},
                    {"third", {}, {}}, {std::nullopt, third, {}}};
    const auto ids = wire.ask(by_id, 6);
    ASSERT_EQ(ids.responses.size(), 6u);
    EXPECT_EQ(ids.responses[0].error_code, ErrorCode::kNone);
    EXPECT_EQ(ids.responses[0].name, "second");
    EXPECT_EQ(ids.responses[0].topic_id, second);
    EXPECT_EQ(ids.responses[1].error_code, ErrorCode::kUnknownTopicId) << "it went a moment ago";
    EXPECT_EQ(ids.responses[2].error_code, ErrorCode::kInvalidRequest) << "by both";
    EXPECT_EQ(ids.responses[3].error_code, ErrorCode::kInvalidRequest) << "by neither";
    EXPECT_EQ(ids.responses[4].error_code, ErrorCode::kInvalidRequest) << "twice the same";
    EXPECT_TRUE(admin.exists("third"));

    // The name is free again, for a topic that has nothing of the old one.
    const auto again = admin.create(creating("first", 1, 3));
    EXPECT_EQ(again.error_code, ErrorCode::kNone);
    EXPECT_NE(again.topic_id, first);
    EXPECT_EQ(wire.ask(produce_request("", 0, batch_of({"late"}), -1, first), 13).responses[0].partition_responses[0].error_code,
              ErrorCode::kUnknownTopicId);
  });
}

TEST(DeleteTopics, WhoWaitsForATopicThatGoesIsAnswered) {
  BrokerWorld w(6);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    Wire reader = w.connect(wire);
    FetchRequest request = fetch_request("t", 0, 0);
    request.max_wait_ms = 30'000;
    reader.send(reader.frame_of(request, 12));
    ASSERT_TRUE(wire.runtime().sleep_for(wire.task(), 100_ms));
    DeleteTopicsRequest remove;
    remove.timeout_ms = 5000;
    remove.topic_names = {"t"};
    EXPECT_EQ(wire.ask(remove, 5).responses.at(0).error_code, ErrorCode::kNone);
    const auto frame = reader.receive(2_s);
    ASSERT_TRUE(frame.has_value()) << "a long poll waits for a topic that is gone";
    const auto code = reader.read<FetchResponse>(*frame, 12)->responses.at(0).partitions.at(0).error_code;
    EXPECT_TRUE(code == ErrorCode::kUnknownTopicOrPartition || code == ErrorCode::kNotLeaderOrFollower);
  });
}

TEST(CreatePartitions, OnlyEverMore) {
  BrokerWorld w(7, 3);
  w.create_topic("t", 2, 2);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    const auto widen = [&](const std::string& name, int32_t count, std::optional<std::vector<CreatePartitionsRequest::Assignment>> by_hand = {},
                           bool validate_only = false) {
      CreatePartitionsRequest request;
      request.timeout_ms = 5000;
      request.validate_only = validate_only;
      request.topics.push_back({name, count, std::move(by_hand), {}});
      return wire.ask(request, 3).results.at(0).error_code;
    };
    EXPECT_EQ(widen("t", 4, {}, true), ErrorCode::kNone);
    EXPECT_EQ(admin.partitions_of("t"), 2u);
    EXPECT_EQ(widen("t", 4), ErrorCode::kNone);
    EXPECT_EQ(admin.partitions_of("t"), 4u);
    for (const int32_t count : {4, 3, 0, -1, INT32_MIN}) EXPECT_EQ(widen("t", count), ErrorCode::kInvalidPartitions) << count;
    EXPECT_EQ(widen("t", INT32_MAX), ErrorCode::kPolicyViolation);
    EXPECT_EQ(widen("nobody", 5), ErrorCode::kUnknownTopicOrPartition);
    using A = CreatePartitionsRequest::Assignment;
    EXPECT_EQ(widen("t", 5, std::vector<A>{}), ErrorCode::kInvalidReplicaAssignment);
    EXPECT_EQ(widen("t", 5, std::vector<A>{{{BrokerId(1)}, {}}}), ErrorCode::kInvalidReplicaAssignment) << "one copy fewer than the others";
    EXPECT_EQ(widen("t", 5, std::vector<A>{{{BrokerId(3), BrokerId(1)}, {}}}), ErrorCode::kNone);
  });
  EXPECT_FALSE(w.cluster.await_settled(10_s).has_value());
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"a"}), -1, 8, 4).error_code, ErrorCode::kNone); }, w.leader_of("t", 4));
}

TEST(Configs, AreAlteredOneByOneAndDescribedWithWhereTheyComeFrom) {
  BrokerWorld w(8, 3);
  w.create_topic("t", 1, 3);
  w.run([&](Wire& wire) {
    Admin admin(wire);
    constexpr auto kTopic = ConfigResourceType::kTopic;
    using Op = AlterConfigOp;
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kSet, "5000", {}}, {"cleanup.policy", Op::kAppend, "compact", {}}}), ErrorCode::kNone);
    EXPECT_EQ(wire.config_of("t", "retention.ms"), "5000");
    EXPECT_EQ(wire.config_of("t", "cleanup.policy"), "delete,compact");
    EXPECT_EQ(admin.alter(kTopic, "t", {{"cleanup.policy", Op::kSubtract, "delete", {}}}), ErrorCode::kNone);
    EXPECT_EQ(wire.config_of("t", "cleanup.policy"), "compact");
    EXPECT_EQ(admin.alter(kTopic, "t", {{"cleanup.policy", Op::kDelete, std::nullopt, {}}}), ErrorCode::kNone);
    EXPECT_EQ(wire.config_of("t", "cleanup.policy"), "delete");
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kSet, "7000", {}}}, true), ErrorCode::kNone);
    EXPECT_EQ(wire.config_of("t", "retention.ms"), "5000") << "only validated";
    // A change that is refused changes nothing of its resource.
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kSet, "1", {}}, {"max.message.bytes", Op::kSet, "much", {}}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(wire.config_of("t", "retention.ms"), "5000");
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kSet, "1", {}}, {"retention.ms", Op::kSet, "2", {}}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kSet, std::nullopt, {}}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kAppend, "1", {}}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(admin.alter(kTopic, "t", {{"no.such", Op::kSet, "1", {}}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(admin.alter(kTopic, "nobody", {{"retention.ms", Op::kSet, "1", {}}}), ErrorCode::kUnknownTopicOrPartition);
    for (const int8_t op : {int8_t{4}, int8_t{-1}, int8_t{-128}})
      EXPECT_EQ(admin.alter(kTopic, "t", {{"cleanup.policy", static_cast<Op>(op), "compact", {}}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(admin.alter(static_cast<ConfigResourceType>(77), "t", {}), ErrorCode::kInvalidRequest);

    // The brokers' defaults stand in where a topic sets nothing.
    EXPECT_EQ(admin.alter(ConfigResourceType::kBroker, "", {{"log.retention.ms", Op::kSet, "9000", {}}}), ErrorCode::kNone);
    EXPECT_EQ(wire.config_of("t", "retention.ms"), "5000");
    EXPECT_EQ(admin.alter(kTopic, "t", {{"retention.ms", Op::kDelete, std::nullopt, {}}}), ErrorCode::kNone);
    DescribeConfigsRequest describe;
    describe.include_synonyms = true;
    describe.resources.push_back({kTopic, "t", std::vector<std::string>{"retention.ms"}, {}});
    const auto config = wire.ask(describe, 4).results.at(0).configs.at(0);
    EXPECT_EQ(config.value, "9000");
    EXPECT_EQ(config.config_source, ConfigSource::kDynamicDefaultBrokerConfig);
    ASSERT_EQ(config.synonyms.size(), 2u);
    EXPECT_EQ(config.synonyms[1].source, ConfigSource::kDefaultConfig);

    // And act: a limit that falls is the next batch's.
    EXPECT_EQ(admin.alter(kTopic, "t", {{"max.message.bytes", Op::kSet, "100", {}}}), ErrorCode::kNone);
  });
  w.world.run_for(1_s);
  w.run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({std::string(200, 'x')})).error_code, ErrorCode::kMessageTooLarge); },
        w.leader_of("t"));
}

TEST(Configs, OfBrokersAndOfWhatHasNone) {
  BrokerWorld w(9, 3);
  w.run([&](Wire& wire) {
    const auto describe = [&](ConfigResourceType type, const std::string& name) {
      DescribeConfigsRequest request;
      request.resources.push_back({type, name, std::nullopt, {}});
      return wire.ask(request, 4).results.at(0);
    };
    const auto own = describe(ConfigResourceType::kBroker, "1");
    EXPECT_EQ(own.error_code, ErrorCode::kNone);
    bool found = false;
    for (const auto& config : own.configs) {
      EXPECT_FALSE(config.documentation.has_value());
      if (config.name != "node.id") continue;
      found = true;
      EXPECT_EQ(config.value, "1");
      EXPECT_TRUE(config.read_only);
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(describe(ConfigResourceType::kBroker, "2").error_code, ErrorCode::kInvalidRequest) << "ask broker 2 itself";
    EXPECT_EQ(describe(ConfigResourceType::kBroker, "").error_code, ErrorCode::kNone);
    EXPECT_EQ(describe(ConfigResourceType::kTopic, "nobody").error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(describe(ConfigResourceType::kTopic, "a/b").error_code, ErrorCode::kInvalidTopicException);
    EXPECT_EQ(describe(ConfigResourceType::kGroup, "g").error_code, ErrorCode::kNone);
    EXPECT_EQ(describe(ConfigResourceType::kGroup, "").error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(describe(ConfigResourceType::kClientMetrics, "m").error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(describe(static_cast<ConfigResourceType>(-5), "x").error_code, ErrorCode::kInvalidRequest);
  });
}

TEST(Admin, AnyBrokerWillDo) {
  BrokerWorld w(10, 3);
  for (uint32_t broker = 0; broker < 3; ++broker)
    w.run([&](Wire& wire) {
      Admin admin(wire);
      const std::string name = "t" + std::to_string(broker);
      EXPECT_EQ(admin.code_of(creating(name, 1, 3)), ErrorCode::kNone);
      EXPECT_TRUE(admin.exists(name)) << "what was answered is there, where it was asked";
    }, broker);
}

}  // namespace
}  // namespace taffrail::test
