// Goal: what operators set beside topics is recorded, or refused with Kafka's codes, and nothing else happens then.
// Method: single commands on small clusters.
#include <algorithm>
#include <limits>
#include <map>

#include "controller/features.h"
#include "controller/retiring.h"
#include "controller/setting_keys.h"
#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using Op = AlterConfigsCommand::Op;

constexpr int8_t kTopic = 2;
constexpr int8_t kBroker = 4;
constexpr int8_t kGroup = 32;

ErrorCode alter(SmallCluster& cluster, int8_t type, const std::string& name, const std::string& key,
                std::optional<std::string> value) {
  AlterConfigsCommand command;
  command.resources.push_back({type, name, {{key, value ? Op::kSet : Op::kDelete, value}}});
  return cluster.run(command).items[0].error;
}

ErrorCode retire(SmallCluster& cluster, int32_t broker, std::optional<std::string> what) {
  return alter(cluster, kBroker, std::to_string(broker), "taffrail.retire", std::move(what));
}

void create(SmallCluster& cluster, const std::string& name, int32_t partitions, int16_t replicas) {
  CreateTopicsCommand command;
  command.topics.push_back({.name = name, .partition_count = partitions, .replication_factor = replicas});
  ASSERT_EQ(cluster.run(command).items[0].error, ErrorCode::kNone);
}

QuorumView quorum_of(const SmallCluster& cluster, std::initializer_list<int32_t> voters) {
  QuorumView view;
  for (const auto& [id, broker] : cluster.image.brokers())
    view.members.push_back({broker.replica, std::find(voters.begin(), voters.end(), id.value) != voters.end(), 1, 1, 1});
  return view;
}

ErrorCode unregister(SmallCluster& cluster, int32_t broker, bool retired = false) {
  return cluster.run(UnregisterBrokerCommand{BrokerId(broker), retired}).items[0].error;
}

TEST(UnregisterBroker, ForgetsOneThatIsAwayAndEmpty) {
  SmallCluster cluster(3);
  EXPECT_EQ(unregister(cluster, 9), ErrorCode::kBrokerIdNotRegistered);
  EXPECT_EQ(unregister(cluster, 3), ErrorCode::kInvalidRequest) << "it is alive";
  cluster.alive = {BrokerId(1), BrokerId(2)};
  ASSERT_EQ(alter(cluster, kBroker, "3", "log.retention.ms", "5"), ErrorCode::kNone);
  EXPECT_EQ(unregister(cluster, 3), ErrorCode::kNone);
  EXPECT_EQ(cluster.image.find_broker(BrokerId(3)), nullptr);
  EXPECT_TRUE(cluster.image.settings().brokers.empty()) << "what was set of it alone goes with it";
  EXPECT_TRUE(cluster.image.settings().unregistered.contains(BrokerId(3)));
  cluster.run(RegisterBrokerCommand{broker_record(3)});
  EXPECT_TRUE(cluster.image.settings().empty()) << "it is back";
}

TEST(UnregisterBroker, KeepsOneOnWhichReplicasAre) {
  SmallCluster cluster(3);
  create(cluster, "t", 1, 3);
  cluster.alive = {BrokerId(1), BrokerId(2)};
  EXPECT_EQ(unregister(cluster, 3), ErrorCode::kInvalidRequest);
  EXPECT_NE(cluster.image.find_broker(BrokerId(3)), nullptr);
}

TEST(UnregisterBroker, OneThatLeavesByItselfHasNoVoteAnyMore) {
  SmallCluster cluster(3);
  cluster.quorum = quorum_of(cluster, {1, 2, 3});
  EXPECT_EQ(unregister(cluster, 3, /*retired=*/true), ErrorCode::kInvalidRequest) << "nobody wanted it to";
  ASSERT_EQ(retire(cluster, 3, "replicas"), ErrorCode::kNone);
  EXPECT_EQ(unregister(cluster, 3, true), ErrorCode::kInvalidRequest) << "with its vote a majority may go";
  cluster.quorum = quorum_of(cluster, {1, 2});
  EXPECT_EQ(unregister(cluster, 3, true), ErrorCode::kNone);
}

TEST(Retiring, NothingNewIsPlacedOnABrokerThatRetires) {
  SmallCluster cluster(4);
  ASSERT_EQ(retire(cluster, 4, " leaders "), ErrorCode::kNone) << "blanks count for nothing";
  EXPECT_EQ(retirement_of(cluster.image, BrokerId(4)), Retirement::kLeaders);
  create(cluster, "t", 8, 3);
  EXPECT_FALSE(cluster.image.has_replicas_on(BrokerId(4)));
  CreateTopicsCommand four;
  four.topics.push_back({.name = "u", .partition_count = 1, .replication_factor = 4});
  EXPECT_EQ(cluster.run(four).items[0].error, ErrorCode::kInvalidReplicationFactor);
  ASSERT_EQ(retire(cluster, 4, std::nullopt), ErrorCode::kNone);
  EXPECT_EQ(cluster.run(four).items[0].error, ErrorCode::kNone);
  EXPECT_EQ(retire(cluster, 4, "now"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(cluster, kBroker, "", "taffrail.retire", "leaders"), ErrorCode::kInvalidRequest) << "not all of them";
}

TEST(Retiring, ReplicasMoveToWhereTheFewestAreInAnotherRack) {
  SmallCluster cluster(5);
  for (const auto& [id, rack] : std::map<int32_t, std::string>{{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}, {5, "c"}}) {
    BrokerRecord record = broker_record(id);
    record.rack = rack;
    cluster.run(RegisterBrokerCommand{record});
  }
  CreateTopicsCommand command;
  command.topics.push_back({.name = "t", .assignments = {{0, {BrokerId(1), BrokerId(2), BrokerId(3)}}}});
  ASSERT_EQ(cluster.run(command).items[0].error, ErrorCode::kNone);
  ASSERT_EQ(retire(cluster, 3, "replicas"), ErrorCode::kNone);
  const RetiringStep step = next_retiring_step(cluster.image, cluster.alive);
  ASSERT_EQ(step.moves.partitions.size(), 1u);
  const std::vector<BrokerId> to{BrokerId(1), BrokerId(2), BrokerId(5)};
  EXPECT_EQ(*step.moves.partitions[0].replicas, to) << "rack c has nobody else of it";
  cluster.run(step.moves);
  EXPECT_TRUE(next_retiring_step(cluster.image, cluster.alive).moves.partitions.empty()) << "it is under way";
  EXPECT_TRUE(cluster.image.has_replicas_on(BrokerId(3))) << "until it is there";
}

TEST(Retiring, AFewPartitionsMoveAtATimeAndNoneWithoutAPlace) {
  SmallCluster cluster(4);
  create(cluster, "t", 40, 3);
  ASSERT_EQ(retire(cluster, 1, "replicas"), ErrorCode::kNone);
  const RetiringStep step = next_retiring_step(cluster.image, cluster.alive);
  EXPECT_EQ(step.moves.partitions.size(), kRetiringMovesMax);
  EXPECT_EQ(step.stuck, 0u);
  cluster.alive = {BrokerId(1)};
  const RetiringStep none = next_retiring_step(cluster.image, cluster.alive);
  EXPECT_TRUE(none.moves.partitions.empty());
  EXPECT_GT(none.stuck, 0u);
}

TEST(UpdateFeatures, AllOrNone) {
  SmallCluster cluster(1);
  using Type = UpdateFeaturesCommand::Type;
  EXPECT_EQ(feature_level(cluster.image, kGroupVersion), 1);
  const auto update = [&](const std::string& name, int16_t level, Type type) {
    return cluster.run(UpdateFeaturesCommand{{{name, level, type}}, false}).items[0].error;
  };
  EXPECT_EQ(update("group.version", 0, Type::kUpgrade), ErrorCode::kInvalidUpdateVersion) << "that is a downgrade";
  EXPECT_EQ(update("group.version", 2, Type::kUpgrade), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("group.version", -1, Type::kUnsafeDowngrade), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("warp.drive", 1, Type::kUpgrade), ErrorCode::kInvalidUpdateVersion);
  const UpdateFeaturesCommand both{{{"group.version", 0, Type::kSafeDowngrade}, {"warp.drive", 1, Type::kUpgrade}}, false};
  const auto reply = cluster.run(both);
  ASSERT_EQ(reply.items.size(), 1u);
  EXPECT_EQ(reply.items[0].error, ErrorCode::kInvalidUpdateVersion);
  EXPECT_TRUE(cluster.image.settings().features.empty());
  EXPECT_EQ(update("group.version", 0, Type::kSafeDowngrade), ErrorCode::kNone);
  EXPECT_EQ(feature_level(cluster.image, kGroupVersion), 0);
  EXPECT_EQ(update("group.version", 1, Type::kUpgrade), ErrorCode::kNone);
}

TEST(ChangeVoter, KafkasOwnCodes) {
  SmallCluster cluster(4);
  cluster.quorum = quorum_of(cluster, {1, 2, 3});
  const auto change = [&](ReplicaId replica, bool vote) { return cluster.run(ChangeVoterCommand{replica, vote}).items[0].error; };
  const auto disk = [](int32_t id) { return broker_record(id).replica; };
  EXPECT_EQ(change(disk(1), true), ErrorCode::kDuplicateVoter);
  EXPECT_EQ(change({BrokerId(1), DiskId{9, 9}}, true), ErrorCode::kDuplicateVoter) << "whatever disk it names";
  EXPECT_EQ(change({BrokerId(4), DiskId{9, 9}}, true), ErrorCode::kInvalidVoterKey);
  EXPECT_EQ(change(disk(7), true), ErrorCode::kBrokerIdNotRegistered);
  EXPECT_EQ(change(disk(4), false), ErrorCode::kVoterNotFound);
  EXPECT_EQ(change({BrokerId(1), DiskId{9, 9}}, false), ErrorCode::kVoterNotFound);
  EXPECT_EQ(change(disk(4), true), ErrorCode::kNone);
  EXPECT_EQ(change(disk(1), false), ErrorCode::kNone);
  EXPECT_EQ(change(disk(2), false), ErrorCode::kNone);
  EXPECT_EQ(change(disk(3), false), ErrorCode::kInvalidRequest) << "the last one that stays";
  EXPECT_EQ(cluster.image.settings().votes.size(), 3u);
}

AlterQuotasCommand quota(std::vector<std::pair<std::string, std::optional<std::string>>> entity, const std::string& key, double value,
                         bool remove = false) {
  AlterQuotasCommand command;
  command.entries.push_back({std::move(entity), {{key, value, remove}}});
  return command;
}

TEST(AlterQuotas, EveryCombinationOfEntitiesThatKafkaHas) {
  SmallCluster cluster(1);
  const auto set = [&](const AlterQuotasCommand& command) { return cluster.run(command).items[0].error; };
  using Entity = std::vector<std::pair<std::string, std::optional<std::string>>>;
  for (const Entity& entity : std::vector<Entity>{{{"user", "u"}}, {{"user", std::nullopt}}, {{"client-id", "c"}},
                                                  {{"client-id", std::nullopt}}, {{"user", "u"}, {"client-id", "c"}},
                                                  {{"user", std::nullopt}, {"client-id", std::nullopt}}})
    EXPECT_EQ(set(quota(entity, "producer_byte_rate", 1024)), ErrorCode::kNone);
  EXPECT_EQ(cluster.image.settings().quotas.size(), 6u);
  EXPECT_EQ(set(quota({{"ip", "127.0.0.1"}}, "connection_creation_rate", 5)), ErrorCode::kNone);
  EXPECT_EQ(set(quota({{"ip", "127.0.0.1"}}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"ip", "127.0.0.1"}, {"user", "u"}}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"ip", std::nullopt}}, "connection_creation_rate", 7)), ErrorCode::kNone);
  EXPECT_EQ(set(quota({{"ip", "2001:db8::1"}}, "connection_creation_rate", 7)), ErrorCode::kNone);
  for (const double rate : {0.0, 1.5, 0x1p31})
    EXPECT_EQ(set(quota({{"ip", std::nullopt}}, "connection_creation_rate", rate)), ErrorCode::kInvalidRequest) << rate;
  EXPECT_EQ(set(quota({{"ip", "example.invalid"}}, "connection_creation_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "connection_creation_rate", 5)), ErrorCode::kInvalidRequest);
  for (const auto& ip : {std::optional<std::string>(), std::optional<std::string>("2001:db8::1")})
    EXPECT_EQ(set(quota({{"ip", ip}}, "connection_creation_rate", 0, /*remove=*/true)), ErrorCode::kNone);
  EXPECT_EQ(set(quota({}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"planet", "mars"}}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", ""}}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}, {"user", "v"}}, "producer_byte_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "no_such_rate", 5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "producer_byte_rate", 0)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "producer_byte_rate", 1.5)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "request_percentage", std::numeric_limits<double>::quiet_NaN())), ErrorCode::kInvalidRequest);
  EXPECT_EQ(set(quota({{"user", "u"}}, "request_percentage", 12.5)), ErrorCode::kNone);
  EXPECT_EQ(set(quota({{"user", "u"}}, "request_percentage", 0, /*remove=*/true)), ErrorCode::kNone);
  EXPECT_EQ(set(quota({{"user", "u"}}, "producer_byte_rate", 0, /*remove=*/true)), ErrorCode::kNone);
  EXPECT_EQ(cluster.image.settings().quotas.size(), 6u) << "an entity without any is not kept";
  EXPECT_EQ(set(quota({{"ip", "some where"}}, "connection_creation_rate", 5)), ErrorCode::kInvalidRequest);
  auto twice = quota({{"user", "twice"}}, "producer_byte_rate", 5);
  twice.entries.push_back(twice.entries[0]);
  for (const ItemReply& item : cluster.run(twice).items) EXPECT_EQ(item.error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(cluster.image.settings().quotas.size(), 6u) << "neither of the two";
}

TEST(BrokerConfigs, OneBrokersOwnStandOverThoseOfAll) {
  SmallCluster cluster(2);
  ASSERT_EQ(alter(cluster, kBroker, "", "log.retention.ms", "1000"), ErrorCode::kNone);
  ASSERT_EQ(alter(cluster, kBroker, "2", "log.retention.ms", "2000"), ErrorCode::kNone);
  EXPECT_EQ(acting_configs(cluster.image, BrokerId(1)).at("log.retention.ms"), "1000");
  EXPECT_EQ(acting_configs(cluster.image, BrokerId(2)).at("log.retention.ms"), "2000");
  EXPECT_EQ(alter(cluster, kBroker, "7", "log.retention.ms", "5"), ErrorCode::kBrokerIdNotRegistered);
  EXPECT_EQ(alter(cluster, kBroker, "two", "log.retention.ms", "5"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(cluster, kBroker, "2", "node.id", "5"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(cluster, kBroker, "2", "log.retention.ms", "soon"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(cluster, kTopic, "", "retention.ms", "5"), ErrorCode::kInvalidRequest);
  ASSERT_EQ(alter(cluster, kBroker, "2", "leader.replication.throttled.rate", "5"), ErrorCode::kNone);
}

TEST(GroupConfigs, AreCheckedAgainstTheLimitsOfKafka) {
  SmallCluster cluster(1);
  EXPECT_EQ(alter(cluster, kGroup, "g", "consumer.session.timeout.ms", "50000"), ErrorCode::kNone);
  EXPECT_EQ(group_settings(cluster.image, "g").session_timeout, 50_s);
  EXPECT_FALSE(group_settings(cluster.image, "h").session_timeout.has_value());
  EXPECT_EQ(alter(cluster, kGroup, "g", "consumer.session.timeout.ms", "1"), ErrorCode::kInvalidConfig);
  EXPECT_EQ(alter(cluster, kGroup, "g", "consumer.color", "1"), ErrorCode::kInvalidConfig);
  EXPECT_EQ(alter(cluster, kGroup, "", "consumer.session.timeout.ms", "50000"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(alter(cluster, kGroup, "g", "consumer.session.timeout.ms", std::nullopt), ErrorCode::kNone);
  EXPECT_TRUE(cluster.image.settings().empty());
}

}  // namespace
}  // namespace taffrail
